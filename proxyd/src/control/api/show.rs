//! Small `show` commands.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::time::SystemTime;

use haproxy_cfg::model::BindAddr;
use relay::Peer;

use super::super::logfmt;
use super::session::level_name;
use super::{Context, Reply, Severity};

pub(super) fn version(context: &mut Context<'_>, _: &[&str]) -> Reply {
    Reply::Message(
        Severity::Info,
        context.plane.borrow().identity.version.clone(),
    )
}

pub(super) fn backend(context: &mut Context<'_>, _: &[&str]) -> Reply {
    let plane = context.plane.borrow();
    let mut out = String::from("# name\n");
    for (_, proxy) in plane.config.backends() {
        out.push_str(&proxy.name);
        out.push('\n');
    }
    Reply::Data(out)
}

pub(super) fn sockets(context: &mut Context<'_>, _: &[&str]) -> Reply {
    let plane = context.plane.borrow();
    let mut out = String::from("# socket lvl processes\n");
    for socket in &plane.config.global.stats_sockets {
        let address = match &socket.addr {
            BindAddr::Unix(path) => format!("unix@{}", path.display()),
            BindAddr::Abns(name) => format!("abns@{}", String::from_utf8_lossy(name)),
            BindAddr::Inet { addr, .. } if addr.is_ipv6() => {
                format!("ipv6@[{}]:{}", addr.ip(), addr.port())
            }
            BindAddr::Inet { addr, .. } => format!("ipv4@{addr}"),
            BindAddr::Fd(number) => format!("fd@{number}"),
        };
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{address} {} all", level_name(socket.level));
    }
    Reply::Data(out)
}

pub(super) fn env(_: &mut Context<'_>, words: &[&str]) -> Reply {
    let line = |name: &OsStr, value: &OsStr| {
        format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy())
    };
    let Some(wanted) = words.get(2).filter(|name| !name.is_empty()) else {
        let all = std::env::vars_os().map(|(name, value)| line(&name, &value));
        return Reply::Data(all.collect());
    };
    let mut all = std::env::vars_os();
    match all.find(|(name, _)| name.to_str() == Some(wanted)) {
        Some((name, value)) => Reply::Data(line(&name, &value)),
        None => Reply::error("Variable not found"),
    }
}

/// Protocol errors of HTTP, of which a TCP proxy has none.
pub(super) fn errors(_: &mut Context<'_>, _: &[&str]) -> Reply {
    let mut date = String::new();
    logfmt::date(&mut date, SystemTime::now());
    Reply::Data(format!("Total events captured on [{date}] : 0\n"))
}

/// One line a session: who talks to whom, since when, and how much.
pub(super) fn sessions(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let wanted = words
        .get(2)
        .copied()
        .filter(|word| !word.is_empty() && *word != "all");
    let serial =
        match wanted.map(|word| word.strip_prefix("0x").map(|h| u64::from_str_radix(h, 16))) {
            None => None,
            Some(Some(Ok(serial))) => Some(serial),
            Some(_) => return Reply::error("Session pointer expected (use 'show sess')."),
        };
    let plane = context.plane.borrow();
    let mut out = String::new();
    for session in plane.relay.sessions() {
        if serial.is_some_and(|serial| serial != session.serial) {
            continue;
        }
        let frontend = plane.snapshot.frontends.get(session.frontend);
        let backend = session
            .backend
            .and_then(|index| plane.snapshot.backends.get(index));
        let server = session.server.and_then(|index| backend?.servers.get(index));
        let (protocol, source) = match session.client {
            Peer::Inet(address) if address.is_ipv6() => {
                ("tcpv6", format!("{}:{}", address.ip(), address.port()))
            }
            Peer::Inet(address) => ("tcpv4", address.to_string()),
            Peer::Unix => ("unix_stream", String::from("unix")),
        };
        // Writing into a String cannot fail.
        let _ = writeln!(
            out,
            "0x{:x}: proto={protocol} src={source} fe={} be={} srv={} age={}s in={} out={}",
            session.serial,
            frontend.map_or("<NONE>", |frontend| &frontend.name),
            backend.map_or("<NONE>", |backend| &backend.name),
            server.map_or("<none>", |server| &server.name),
            session.age / 1000,
            session.bytes_in,
            session.bytes_out,
        );
    }
    Reply::Data(out)
}
