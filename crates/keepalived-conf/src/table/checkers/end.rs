//! What is said of virtual servers once all has been read.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::security::{Judgement, judge};

use super::*;

/// Whether it is the command of a script that can be run.
pub(super) fn is_runnable(pass: &Pass<'_>, command: &[u8]) -> bool {
    let program = command
        .split(|byte| byte.is_ascii_whitespace())
        .find(|word| !word.is_empty());
    let Some(program) = program else {
        return false;
    };
    let judged = judge(pass.env, OsStr::from_bytes(program), &pass.env.me());
    !matches!(
        judged,
        Judgement::NotFound | Judgement::NoFile | Judgement::NotExecutable(_)
    )
}

/// The end of `real_server`.
pub(in crate::table) fn real_end(pass: &mut Pass<'_>) {
    let Some(server) = current(pass) else {
        return;
    };
    let Head::Address(own) = server.head else {
        return;
    };
    let tunnel = |method: &Option<String>| method.as_deref() == Some("TUN");
    let crossed = |server: &Virtual, real: &Real| {
        real.address.is_ipv6() != own.is_ipv6() && !tunnel(&server.method) && !tunnel(&real.method)
    };
    let last = server.reals.pop();
    match last {
        Some(real) if crossed(server, &real) => {
            let address = real.address;
            pass.complain(format!(
                "Address family of virtual server and real server {address} don't match - skipping real server."
            ));
        }
        Some(real) => server.reals.push(real),
        None => {}
    }
}

/// The end of `virtual_server`.
pub(in crate::table) fn server_end(pass: &mut Pass<'_>) {
    let odd = current(pass).and_then(|server| server.odd_sorry.take());
    if let Some(address) = odd {
        pass.complain(format!(
            "Address family of virtual server and sorry server {address} don't match - skipping sorry server."
        ));
    }
}

/// All has been read.
pub(crate) fn complete(pass: &mut Pass<'_>) {
    pass.focus = None;
    let servers = std::mem::take(&mut pass.draft.lvs.servers);
    let mut groups: BTreeMap<String, Members> = BTreeMap::new();
    for (name, members) in std::mem::take(&mut pass.draft.lvs.groups) {
        groups.entry(name).or_insert(members);
    }
    for mut server in servers {
        let members = match &server.head {
            Head::Group(name) => groups.get(name).copied().unwrap_or_default(),
            Head::Mark(_) => Members {
                marks: true,
                ..Members::default()
            },
            Head::Address(_) => Members {
                without_port: server.port == 0,
                ..Members::default()
            },
        };
        for line in complaints(&mut server, members) {
            pass.complain(line);
        }
    }
    if pass.draft.lvs.scripts && !pass.draft.global.script_security {
        pass.findings.insecure = true;
        pass.say_security(
            "SECURITY VIOLATION - check scripts are being executed but script_security not enabled.",
        );
    }
}

fn complaints(server: &mut Virtual, members: Members) -> Vec<String> {
    let mut said = Vec::new();
    let name = server.name();
    if server.reals.is_empty() {
        said.push(format!(
            "Virtual server {name} has no real servers - ignoring"
        ));
        return said;
    }
    if members.marks {
        if server.protocol.is_some() {
            said.push(format!(
                "Warning: Virtual server {name}: protocol specified for fwmark - protocol will be ignored"
            ));
        }
    } else if server.protocol.is_none() {
        said.push(format!(
            "Virtual server {name}: no protocol set - defaulting to UDP"
        ));
        server.protocol = Some("udp");
    }
    let name = server.name();
    if members.without_port && !server.persistent {
        said.push(format!(
            "Virtual server {name}: zero port only valid for persistent services - setting"
        ));
    }
    if server.one_packet && server.protocol != Some("udp") {
        said.push(format!(
            "Virtual server {name}: one packet scheduling requires UDP - resetting"
        ));
    }
    if server.scheduler.is_none() {
        said.push(format!(
            "Virtual server {name}: no scheduler set, setting default 'wlc'"
        ));
    }
    if server.method.is_none() && server.reals.iter().any(|real| real.method.is_none()) {
        said.push(format!(
            "Virtual server {name}: no forwarding method set, setting default NAT"
        ));
    }
    said.extend(of_reals(server, &name));
    let total: i64 = server.reals.iter().map(|real| real.weight).sum();
    let quorum = i64::from(server.quorum).min(total);
    if quorum < i64::from(server.quorum) {
        said.push(format!(
            "Warning - quorum {} for {name} exceeds total weight of real servers {total}, reducing quorum to {quorum}",
            server.quorum
        ));
    }
    let hysteresis = i64::from(server.hysteresis);
    if hysteresis >= quorum {
        // keepalived counts below zero.
        let reset = u32::try_from(quorum - 1).unwrap_or(u32::MAX);
        said.push(format!(
            "Virtual server {name}: hysteresis {hysteresis} >= quorum {quorum}; setting hysteresis to {reset}"
        ));
    }
    said
}

fn of_reals(server: &mut Virtual, name: &str) -> Vec<String> {
    let mut said = Vec::new();
    let protocol = server.protocol.unwrap_or("none");
    let mut seen: BTreeSet<(IpAddr, u16)> = BTreeSet::new();
    let own = server.port;
    let method = server.method.clone();
    server.reals.retain(|real| {
        let key = (real.address, real.port);
        let shown = format!("[{}]:{protocol}:{}", real.address, real.port);
        if !seen.insert(key) {
            said.push(format!(
                "VS {name}: real server {shown} is duplicated - removing second rs"
            ));
            return false;
        }
        let method = real.method.as_ref().or(method.as_ref());
        let keeps_port = method.is_some_and(|it| it == "DR" || it == "TUN");
        if keeps_port && own != 0 && real.port != 0 && real.port != own {
            said.push(format!(
                "WARNING - virtual server {name} and real server {shown} ports don't match - resetting"
            ));
        }
        true
    });
    said
}
