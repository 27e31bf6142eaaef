//! `virtual_server`, `virtual_server_group` and `SSL`.

use super::super::{Action, Block, Handled, Row, nothing};
use crate::pass::Fatal;

use super::*;

const SCHEDULERS: [&str; 14] = [
    "rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos",
];

/// A word of it.
macro_rules! row {
    ($name:literal, $take:expr) => {
        Row::accepted($name, "", $take, REASON)
    };
}

pub(in crate::table) const ROWS: &[Row] = &[
    row!("delay_before_retry", |pass, line| time(
        pass,
        line,
        0,
        MAX_64,
        "virtual server delay before retry '{}' invalid - ignoring"
    )),
    row!("delay_loop", |pass, line| time(
        pass,
        line,
        1,
        MAX_64,
        "virtual server delay loop '{}' invalid - ignoring"
    )),
    row!("lb_algo", scheduler),
    row!("lvs_sched", scheduler),
    row!("lb_kind", forwarding),
    row!("lvs_method", forwarding),
    row!("persistence_engine", |pass, line| pass
        .word(line, 1)
        .map(drop)),
    row!("persistence_timeout", persistence),
    row!("persistence_granularity", granularity),
    row!("protocol", protocol),
    row!("ip_family", family),
    row!("ha_suspend", nothing),
    row!("smtp_alert", |pass, line| switch(
        pass,
        line,
        "Invalid virtual_server smtp_alert parameter {}"
    )),
    row!("virtualhost", |pass, line| named(
        pass,
        line,
        "virtual server virtualhost missing"
    )),
    row!("snmp_name", |pass, line| {
        if line.words.len() != 2 {
            pass.complain("virtual server snmp_name missing or extra parameters");
        }
        Ok(())
    }),
    row!("alpha", nothing),
    row!("omega", nothing),
    row!("quorum", |pass, line| {
        let complaint = "Quorum {} must be in [1, 4294967295]. Setting to 1.";
        let read = count(pass, line, 1, u32::MAX, complaint)?;
        if let Some(server) = current(pass) {
            server.quorum = read.unwrap_or(1);
        }
        Ok(())
    }),
    row!("hysteresis", |pass, line| {
        let complaint = "Hysteresis {} must be in [0, 4294967295] - ignoring";
        let read = count(pass, line, 0, u32::MAX, complaint)?;
        if let (Some(server), Some(read)) = (current(pass), read) {
            server.hysteresis = read;
        }
        Ok(())
    }),
    row!("quorum_up", script),
    row!("quorum_down", script),
    row!("sorry_server", sorry),
    row!("sorry_server_inhibit", |pass, _| {
        if current(pass).is_some_and(|server| !server.sorry) {
            pass.complain("Ignoring sorry_server inhibit used before or without sorry_server");
        }
        Ok(())
    }),
    row!("sorry_server_lvs_method", |pass, line| {
        if current(pass).is_some_and(|server| !server.sorry) {
            pass.complain("sorry_server forwarding used without sorry_server");
            return Ok(());
        }
        method(pass, line, "sorry server").map(drop)
    }),
    row!("connect_timeout", |pass, line| time(
        pass,
        line,
        1,
        MAX_32,
        "virtual server connect_timeout {} invalid - ignoring"
    )),
    row!("retry", |pass, line| count(
        pass,
        line,
        1,
        u32::MAX,
        "retry value invalid - {}"
    )
    .map(drop)),
    row!("warmup", |pass, line| time(
        pass,
        line,
        0,
        MAX_64,
        "virtual server warmup '{}' invalid - ignoring"
    )),
    row!("inhibit_on_failure", nothing),
    row!("ops", |pass, _| {
        if let Some(server) = current(pass) {
            server.one_packet = true;
        }
        Ok(())
    }),
    row!("hashed", hashed),
    row!("flag-1", nothing),
    row!("flag-2", nothing),
    row!("flag-3", nothing),
    row!("sh-port", hashed),
    row!("sh-fallback", hashed),
    row!("mh-port", hashed),
    row!("mh-fallback", hashed),
    row!("weight", |pass, line| {
        let complaint = "Virtual server weight {} is outside range 1-2147483647";
        let read = count(pass, line, 1, i32::MAX.cast_unsigned(), complaint)?;
        if let (Some(server), Some(read)) = (current(pass), read) {
            server.weight = i64::from(read);
        }
        Ok(())
    }),
    row!("real_server", nothing).with_action(Action::Enter {
        open: real::open,
        inside: Block::RealServer,
        close: end::real_end,
    }),
];

/// Takes the first line of a virtual server.
pub(in crate::table) fn open(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let first = pass.text(line, 1)?;
    let second = line.words.get(2).map(|word| word.text().into_owned());
    let second = second.as_deref();
    let head = match (first.as_str(), second) {
        ("group", Some(name)) => Some((Head::Group(name.to_owned()), 0)),
        ("fwmark", Some(mark)) => match pass.number(unsigned(mark, 0, u32::MAX)) {
            Some(mark) => Some((Head::Mark(mark), 0)),
            None => {
                pass.complain(format!(
                    "virtual server fwmark '{mark}' must be in [0, 4294967295] - ignoring"
                ));
                None
            }
        },
        // 2.2.7 ends with a fault of memory here.
        ("group" | "fwmark", None) => pass.text(line, 2).map(|_| None)?,
        (text, second) => {
            let read = port(pass, second.filter(|port| *port != "0"), 1);
            let found = address(text).zip(read);
            if found.is_none() {
                let (what, port) = match second {
                    Some(port) => ("address/port", format!("/{port}")),
                    None => ("address", String::new()),
                };
                pass.complain(format!(
                    "Invalid virtual server IP {what} {text}{port} - skipping"
                ));
            }
            found.map(|(address, port)| (Head::Address(address), port))
        }
    };
    match head {
        None => pass.skip_block(),
        Some((head, port)) => pass.draft.lvs.servers.push(Virtual {
            head,
            port,
            protocol: None,
            scheduler: None,
            method: None,
            persistent: false,
            one_packet: false,
            quorum: 1,
            hysteresis: 0,
            weight: 1,
            sorry: false,
            odd_sorry: None,
            reals: Vec::new(),
        }),
    }
    Ok(())
}

fn scheduler(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if !SCHEDULERS.contains(&text.as_str()) {
        pass.complain(format!("Invalid lvs_scheduler '{text}' - ignoring"));
    } else if let Some(server) = current(pass) {
        server.scheduler = Some(text);
    }
    Ok(())
}

fn forwarding(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let read = method(pass, line, "virtual server")?;
    if let (Some(server), Some(read)) = (current(pass), read) {
        server.method = Some(read);
    }
    Ok(())
}

fn persistence(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const MONTH: u32 = 31 * 86_400;
    if let Some(word) = line.words.get(1) {
        let text = word.text();
        if pass.number(unsigned(&text, 1, MONTH)).is_none() {
            pass.complain("persistence_timeout invalid");
            return Ok(());
        }
    }
    if let Some(server) = current(pass) {
        server.persistent = true;
    }
    Ok(())
}

fn granularity(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let v6 = current(pass)
        .is_some_and(|server| matches!(server.head, Head::Address(address) if address.is_ipv6()));
    if v6 {
        if pass.number(unsigned(&text, 1, 128)).is_none() {
            pass.complain(format!(
                "Invalid IPv6 persistence_granularity specified - {text}"
            ));
        }
    } else if !super::super::global::is_short_ipv4(&text) {
        pass.complain(format!(
            "Invalid IPv4 persistence_granularity specified - {text}"
        ));
    }
    Ok(())
}

fn protocol(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let known = ["tcp", "udp", "sctp"]
        .into_iter()
        .find(|name| text.eq_ignore_ascii_case(name));
    match (known, current(pass)) {
        (Some(known), Some(server)) => server.protocol = Some(known),
        (Some(_), None) => {}
        (None, _) => pass.complain(format!("Unknown protocol {text} - ignoring")),
    }
    Ok(())
}

fn family(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if !["inet", "inet6"].contains(&text.as_str()) {
        pass.complain(format!("unknown address family {text}"));
        return Ok(());
    }
    let conflict = current(pass).is_some_and(|server| {
        matches!(server.head, Head::Address(address) if address.is_ipv6() != (text == "inet6"))
    });
    if conflict {
        pass.complain(format!(
            "Virtual server specified family {text} conflicts with server family"
        ));
    }
    Ok(())
}

fn sorry(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let second = line.words.get(2).map(|word| word.text().into_owned());
    let port = port(pass, second.as_deref().filter(|port| *port != "0"), 1);
    let Some(address) = address(&text).filter(|_| port.is_some()) else {
        pass.complain(format!("Invalid sorry server IP address {text} - skipping"));
        return Ok(());
    };
    let Some(server) = current(pass) else {
        return Ok(());
    };
    let conflict = matches!(server.head, Head::Address(own) if own.is_ipv6() != address.is_ipv6());
    server.odd_sorry = conflict.then_some(address);
    server.sorry = true;
    Ok(())
}

/// For schedulers by hash alone.
fn hashed(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let by_hash = current(pass)
        .and_then(|server| server.scheduler.as_deref())
        .is_some_and(|name| ["sh", "mh"].contains(&name));
    if !by_hash {
        let word = line.words.first().map(|word| word.text().into_owned());
        let word = word.unwrap_or_default();
        pass.complain(format!("{word} only applies to sh scheduler - ignoring"));
    }
    Ok(())
}

/// A line of a group.
pub(in crate::table) fn member(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let first = pass.text(line, 0)?;
    let name = pass.draft.lvs.groups.last().map(|(name, _)| name.clone());
    let name = name.unwrap_or_default();
    let mut found = Members::default();
    if first == "fwmark" {
        let mark = pass.text(line, 1)?;
        let family = line.words.get(2).map(|word| word.text().into_owned());
        if pass.number(unsigned(&mark, 0, u32::MAX)).is_none() {
            pass.complain(format!(
                "({name}): fwmark '{mark}' must be in [0, 4294967295] - ignoring"
            ));
        } else if let Some(family) = family.filter(|it| it != "inet" && it != "inet6") {
            pass.complain(format!(
                "({name}): fwmark '{mark}' family {family} unknown - ignoring"
            ));
        } else {
            found.count = 1;
            found.marks = true;
        }
    } else if let Some(port) = addresses(pass, line, &first) {
        found.count = 1;
        found.without_port = port == 0;
    }
    if let Some((_, members)) = pass.draft.lvs.groups.last_mut() {
        members.count += found.count;
        members.marks |= found.marks;
        members.without_port |= found.without_port;
    }
    Ok(())
}

/// The port of an address, a range or a network, if it is in order.
fn addresses(pass: &mut Pass<'_>, line: &Line, first: &str) -> Option<u16> {
    let second = line.words.get(1).map(|word| word.text().into_owned());
    let port = port(pass, second.as_deref().filter(|port| *port != "0"), 1);
    let known = address(first).zip(port);
    let Some((address, port)) = known else {
        let second = second.unwrap_or_else(|| "(null)".to_owned());
        pass.complain(format!(
            "Invalid virtual server group IP address {first} /port/{second} - skipping"
        ));
        return None;
    };
    if let Some((_, length)) = first.split_once('/') {
        let most = if address.is_ipv6() { 128 } else { 32 };
        if length.parse::<u32>().is_ok_and(|length| length <= most) {
            return Some(port);
        }
        pass.complain(format!("Invalid netmask - {first} - skipping"));
        return None;
    }
    let Some((_, last)) = first.split_once('-') else {
        return Some(port);
    };
    let IpAddr::V4(address) = address else {
        return Some(port);
    };
    let [.., least] = address.octets();
    if let Ok(number) = last.parse::<u32>() {
        if number > 255 {
            pass.complain(format!(
                "Virtual server group range '{first}' end '{last}' too large"
            ));
            return None;
        }
        if number <= u32::from(least) {
            pass.complain(format!(
                "Address range end is not greater than address range start - {first} - skipping"
            ));
            return None;
        }
    }
    Some(port)
}

/// The first line of a group is taken by its list.
pub(in crate::table) fn group(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = pass.text(line, 1)?;
    if line.words.len() > 2 {
        // keepalived looks for a word it has not got, and gives up.
        pass.complain(
            "*** Configuration line starting `***MISSING ***` is missing a parameter at word position 1",
        );
        return Err(Fatal);
    }
    pass.draft.lvs.groups.push((name, Members::default()));
    Ok(())
}

pub(in crate::table) fn group_end(pass: &mut Pass<'_>) {
    let empty = pass
        .draft
        .lvs
        .groups
        .pop_if(|(_, members)| members.count == 0);
    if let Some((name, _)) = empty {
        pass.complain(format!(
            "virtual server group {name} has no entries - removing"
        ));
    }
}

pub(in crate::table) const SSL: &[Row] = &[
    row!("password", |pass, line| ssl_word(pass, line, "password")),
    row!("ca", |pass, line| ssl_word(pass, line, "cafile")),
    row!("certificate", |pass, line| ssl_word(pass, line, "certfile")),
    row!("key", |pass, line| ssl_word(pass, line, "keyfile")),
];

fn ssl_word(pass: &mut Pass<'_>, line: &Line, name: &str) -> Handled {
    if line.words.len() < 2 {
        pass.complain(format!("SSL {name} missing"));
        return Ok(());
    }
    if pass.draft.lvs.ssl.1.iter().any(|known| known == name) {
        pass.complain(format!("SSL {name} already specified - replacing"));
    } else {
        pass.draft.lvs.ssl.1.push(name.to_owned());
    }
    Ok(())
}

pub(in crate::table) fn ssl(pass: &mut Pass<'_>, _: &Line) -> Handled {
    let again = std::mem::replace(&mut pass.draft.lvs.ssl.0, true);
    if again {
        pass.complain("SSL context already specified - replacing");
    }
    pass.draft.lvs.ssl.1.clear();
    Ok(())
}
