//! The daemon itself, and what stands beside the virtual routers.

use std::net::IpAddr;
use std::path::PathBuf;

use vrrp_core::settings::Lease;

use crate::draft::ScriptUser;
use crate::env::Credentials;
use crate::model::Command;
use crate::number::{boolean, signed, unsigned};
use crate::pass::Pass;
use crate::reader::IncludeCheck;
use crate::security;
use crate::text::Line;

use super::super::{Handled, script};

/// A keyword whose parameter must be there and is not looked at.
pub(super) fn one_word(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.word(line, 1).map(|_| ())
}

pub(super) fn router_id(pass: &mut Pass<'_>, line: &Line) -> Handled {
    match line.words.get(1) {
        None => pass.complain("routerid name missing - ignoring"),
        Some(word) => pass.draft.global.router_id = word.text().into_owned(),
    }
    Ok(())
}

pub(super) fn address_lease(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const MAX_LEASE: u32 = 86_400;
    let text = pass.text(line, 1)?;
    if let Some(on) = boolean(text.as_bytes()) {
        pass.draft.global.lease = if on { Lease::Auto } else { Lease::Off };
    } else if let Some(seconds) = pass.number(unsigned(&text, 1, MAX_LEASE)) {
        pass.draft.global.lease = Lease::Seconds(seconds);
    } else {
        pass.complain(format!(
            "vrrp_address_lease '{text}' must be on, off or 1 to {MAX_LEASE} seconds - ignoring"
        ));
    }
    Ok(())
}

pub(super) fn script_user(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if line.words.len() < 2 {
        pass.complain("No script username specified");
        return Ok(());
    }
    pass.draft.script_user = match security::credentials(pass, line, 1) {
        Some(user) => ScriptUser::Known(user),
        None => {
            pass.complain("Error setting global script uid/gid");
            ScriptUser::Unknown
        }
    };
    Ok(())
}

pub(super) fn script_security(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.global.script_security = true;
    Ok(())
}

pub(super) fn dynamic_interfaces(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.draft.global.dynamic_interfaces = true;
    if let Some(word) = line.words.get(1)
        && !word.is(b"allow_if_changes")
    {
        pass.complain(format!(
            "Unknown dynamic_interfaces option '{}'",
            word.text()
        ));
    }
    Ok(())
}

pub(super) fn default_interface(pass: &mut Pass<'_>, line: &Line) -> Handled {
    match line.words.get(1) {
        None => pass.complain("default_interface requires interface name"),
        Some(word) => pass.draft.global.default_interface = word.text().into_owned(),
    }
    Ok(())
}

/// A switch that may stand alone; the complaint of a word that is no boolean.
pub(super) fn switch(pass: &mut Pass<'_>, line: &Line, complaint: &str) -> Option<bool> {
    let Some(word) = line.words.get(1) else {
        return Some(true);
    };
    let value = boolean(&word.bytes);
    if value.is_none() {
        pass.complain(complaint);
    }
    value
}

pub(super) fn log_unknown_vrids(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.global.log_unknown_vrids = true;
    Ok(())
}

pub(super) fn reload_check_config(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.draft.global.reload_check_log = line
        .words
        .get(1)
        .map(|word| PathBuf::from(word.text().as_ref()));
    Ok(())
}

pub(super) fn random_seed(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if pass.number(unsigned(&text, 0, u32::MAX)).is_none() {
        pass.complain(format!("random_seed {text} invalid"));
    }
    Ok(())
}

pub(super) fn include_check(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let words: Vec<String> = line
        .rest(1)
        .iter()
        .map(|word| word.text().into_owned())
        .collect();
    let Some(reader) = pass.reader() else {
        return Ok(());
    };
    if words.is_empty() {
        reader.check = IncludeCheck::ALL;
        return Ok(());
    }
    let relative = words
        .first()
        .is_some_and(|word| word.starts_with(['+', '-']));
    let mut check = if relative {
        reader.check
    } else {
        IncludeCheck::default()
    };
    let mut on = true;
    let mut unknown = Vec::new();
    for word in &words {
        let name = match word.strip_prefix('-') {
            Some(name) => {
                on = false;
                name
            }
            None => match word.strip_prefix('+') {
                Some(name) => {
                    on = true;
                    name
                }
                None => word,
            },
        };
        match name {
            "readable" => check.readable = on,
            "match" => check.matching = on,
            "wildcard_match" => check.wildcard = on,
            "brace_match" => check.brace = on,
            _ => unknown.push(name.to_owned()),
        }
    }
    check.readable |= check.matching || check.wildcard || check.brace;
    reader.check = check;
    for name in unknown {
        pass.complain(format!("Unknown include_check type '{name}' - ignoring"));
    }
    Ok(())
}

pub(super) fn rcv_bufs(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let keyword = line
        .words
        .first()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    let what = keyword.trim_end_matches("_rcv_bufs");
    match line.words.get(1) {
        None => pass.complain(format!("{what}_rcv_bufs size missing")),
        Some(word) => {
            let text = word.text();
            if pass.number(unsigned(&text, 0, u32::MAX)).is_none() {
                pass.complain(format!("{what}_rcv_bufs size ({text}) invalid"));
            }
        }
    }
    Ok(())
}

pub(super) fn rcv_force(pass: &mut Pass<'_>, line: &Line) -> Handled {
    global_bool(pass, line)
}

pub(super) fn global_bool(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let keyword = line
        .words
        .first()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    let value = line
        .words
        .get(1)
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    switch(
        pass,
        line,
        &format!("Invalid value '{value}' for global {keyword} specified"),
    );
    Ok(())
}

pub(super) fn smtp_alert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    global_bool(pass, line)
}

pub(super) fn close_mail(pass: &mut Pass<'_>, count: usize) {
    if count == 0 {
        pass.complain("Warning - empty notification_email block");
    }
}

pub(super) fn mail_from(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if line.words.len() < 2 {
        pass.complain("emailfrom missing - ignoring");
    }
    Ok(())
}

pub(super) fn smtp_server(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let port = match line.words.get(2) {
        Some(_) => pass.text(line, 2)?,
        None => "25".to_owned(),
    };
    if let Err(faulty) = unsigned(&port, 1, u32::from(u16::MAX)) {
        // keepalived says it twice.
        pass.complain(faulty.message.clone());
        pass.complain(faulty.message);
        pass.complain(format!("Invalid smtp server {text} {port}"));
        return Ok(());
    }
    // Nothing is looked up: a name may well become known later, a number never.
    let name = text.contains('.')
        && !text
            .bytes()
            .all(|byte| byte == b'.' || byte.is_ascii_digit());
    if !name && text.parse::<IpAddr>().is_err() && !is_short_ipv4(&text) {
        pass.complain(format!("Invalid smtp server {text} {port}"));
    }
    Ok(())
}

pub(super) fn smtp_timeout(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const MAX_TIMEOUT: u32 = 4294;
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, MAX_TIMEOUT)) {
        None => pass.complain(format!(
            "smtp_connect_timeout '{text}' must be in [0, {MAX_TIMEOUT}] - ignoring"
        )),
        Some(0) => pass.complain("smtp_conect_timeout must be greater than 0, setting to 1"),
        Some(_) => {}
    }
    Ok(())
}

/// `startup` or `shutdown`, and its place among the two.
fn start_or_end(line: &Line, rest: &str) -> (String, usize) {
    let keyword = line.words.first().map(|word| word.text().into_owned());
    let keyword = keyword.unwrap_or_default();
    let what = keyword.trim_end_matches(rest).to_owned();
    let place = usize::from(what == "shutdown");
    (what, place)
}

/// `startup_script` and `shutdown_script`: run as the superuser unless another user is named.
pub(super) fn start_script(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let (what, place) = start_or_end(line, "_script");
    if line.words.len() < 2 {
        pass.complain(format!("{what} script missing"));
        return Ok(());
    }
    let known = pass.draft.start_scripts.get(place);
    if known.is_some_and(Option::is_some) {
        pass.complain(format!("{what} script already specified"));
        return Ok(());
    }
    let argv = script::command_of(pass, line).filter(|argv| !argv.is_empty());
    let user = match line.words.len() {
        2 => Some(Credentials::ROOT),
        _ => security::credentials(pass, line, 2),
    };
    match (argv, user, pass.draft.start_scripts.get_mut(place)) {
        (Some(argv), Some(user), Some(slot)) => *slot = Some(Command { argv, user }),
        _ => pass.complain(format!("Invalid {what} script")),
    }
    Ok(())
}

pub(super) fn script_timeout(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let (what, place) = start_or_end(line, "_script_timeout");
    let Some(word) = line.words.get(1) else {
        pass.complain(format!("{what}_script_timeout requires value"));
        return Ok(());
    };
    let text = word.text();
    let seconds = pass.number(unsigned(&text, 1, 1000));
    if seconds.is_none() {
        pass.complain(format!(
            "{what}_script_timeout '{text}' must be in [1, 1000] - ignoring"
        ));
    }
    if let (Some(seconds), Some(slot)) = (seconds, pass.draft.start_timeouts.get_mut(place)) {
        *slot = Some(seconds);
    }
    Ok(())
}

pub(super) fn nftables_priority(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(signed(&text, i32::MIN, i32::MAX)) {
        Some(priority) => pass.draft.global.nftables_priority = priority,
        None => pass.complain(format!("invalid nftables chain priority '{text}'")),
    }
    Ok(())
}

pub(super) fn nftables(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if std::mem::replace(&mut pass.draft.packet_filter, true) {
        pass.complain("nftables already specified - ignoring");
        return Ok(());
    }
    let name = line.words.get(1).map(|word| word.text().into_owned());
    pass.draft.global.nftables_table = Some(name.unwrap_or_else(|| "keepalived".to_owned()));
    Ok(())
}

pub(super) fn nftables_counters(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.global.nftables_counters = true;
    Ok(())
}

pub(super) fn nftables_ifindex(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.global.nftables_ifindex = true;
    Ok(())
}

pub(super) fn iptables(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.packet_filter = true;
    pass.complain(
        "iptables not supported, using nftables instead. Please replace 'vrrp_iptables and 'vrrp_ipsets' with 'nftables' config option",
    );
    Ok(())
}

/// A complaint if the parameter is missing.
pub(super) fn needed(pass: &mut Pass<'_>, line: &Line, complaint: &str) -> Handled {
    if line.words.len() < 2 {
        pass.complain(complaint);
    }
    Ok(())
}

pub(super) fn dbus_name(pass: &mut Pass<'_>, line: &Line) -> Handled {
    needed(pass, line, "dbus_service_name missing - ignoring")
}

pub(super) fn snmp_socket(pass: &mut Pass<'_>, line: &Line) -> Handled {
    needed(pass, line, "SNMP error : snmp socket name missing")
}

pub(super) fn reload_time_file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    needed(pass, line, "reload_time_file invalid")
}

pub(super) fn sync_daemon(pass: &mut Pass<'_>, line: &Line) -> Handled {
    needed(pass, line, "lvs_sync_daemon requires interface")
}

pub(super) fn lvs_timeouts(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if line.words.len() < 3 {
        pass.complain("lvs_timeouts requires at least one option");
    }
    Ok(())
}

pub(super) fn flush_on_stop(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(word) = line.words.get(1)
        && !word.is(b"VS")
    {
        pass.complain(format!("Unknown lvs_flush_on_stop type {}", word.text()));
    }
    Ok(())
}

pub(super) fn data_use_instance(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let value = line
        .words
        .get(1)
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    let given = switch(
        pass,
        line,
        &format!("Invalid value '{value}' for global date_use_instance specified"),
    );
    if let Some(on) = given {
        pass.draft.global.data_use_instance = on;
    }
    Ok(())
}

pub(super) fn log_all_failures(pass: &mut Pass<'_>, line: &Line) -> Handled {
    switch(
        pass,
        line,
        "Invalid value for checker_log_all_failures specified",
    );
    Ok(())
}

pub(super) fn ipvs_priority(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if pass.number(signed(&text, i32::MIN, i32::MAX)).is_none() {
        pass.complain(format!("invalid ipvs nftables chain priority '{text}'"));
    }
    Ok(())
}

pub(super) fn ipvs_fwmark(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if pass.number(unsigned(&text, 1, u32::MAX)).is_none() {
        pass.complain(format!(
            "invalid ipvs nftables start_fwmark priority '{text}'"
        ));
    }
    Ok(())
}

pub(super) fn rx_bufs_policy(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let Some(word) = line.words.get(1) else {
        pass.complain("vrrp_rx_bufs_policy missing");
        return Ok(());
    };
    if !word.is(b"MTU") && !word.is(b"ADVERT") {
        let text = word.text();
        if pass.number(unsigned(&text, 0, u32::MAX)).is_none() {
            pass.complain(format!("Invalid vrrp_rx_bufs_policy {text}"));
        }
    }
    Ok(())
}

pub(super) fn rx_bufs_multiplier(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let Some(word) = line.words.get(1) else {
        pass.complain("Invalid vrrp_rx_bufs_multiplier");
        return Ok(());
    };
    let text = word.text();
    if pass.number(unsigned(&text, 1, u32::MAX)).is_none() {
        pass.complain(format!("Invalid vrrp_rx_bufs_multiplier {text}"));
    }
    Ok(())
}

/// Whether it is an IPv4 address of up to four numbers, the last of which fills what is left.
/// inet(3).
pub(in crate::table) fn is_short_ipv4(text: &str) -> bool {
    let numbers: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    let Some(numbers) = numbers else {
        return false;
    };
    let Some((last, first)) = numbers.split_last().filter(|(_, first)| first.len() < 4) else {
        return false;
    };
    let most = [u32::MAX, 0xff_ffff, 0xffff, 0xff];
    first.iter().all(|number| *number <= 0xff)
        && most.get(first.len()).is_some_and(|most| last <= most)
}
