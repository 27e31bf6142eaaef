//! Commands about frontends and sessions.

use relay::{KillCause, SessionFilter};

use super::super::plane::{FrontStatus, Plane};
use super::{Context, Reply};

/// The proxy that a command names and that accepts connections: its index.
fn find(plane: &Plane, name: Option<&&str>) -> Result<usize, Reply> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(Reply::error("A frontend name is expected."));
    };
    let proxies = plane.config.proxies.iter().enumerate();
    let listens = |index: usize| {
        let place = plane.places.get(index);
        place.is_some_and(|place| place.frontend.is_some())
    };
    let mut found = proxies.filter(|(index, proxy)| listens(*index) && named(proxy, name));
    match found.next() {
        Some((index, _)) => Ok(index),
        None => Err(Reply::error("No such frontend.")),
    }
}

/// Whether `name` means this proxy: its name, or `#` and its id.
pub(super) fn named(proxy: &haproxy_cfg::model::Proxy, name: &str) -> bool {
    proxy.name == name
        || name
            .strip_prefix('#')
            .is_some_and(|id| id.parse() == Ok(proxy.id))
}

fn status(plane: &Plane, proxy: usize) -> FrontStatus {
    plane.fronts.get(proxy).copied().unwrap_or_default()
}

pub(super) fn disable(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let mut plane = context.plane.borrow_mut();
    let proxy = match find(&plane, words.get(2)) {
        Ok(proxy) => proxy,
        Err(reply) => return reply,
    };
    match status(&plane, proxy) {
        FrontStatus::Open => plane.pause(proxy),
        FrontStatus::Paused => return Reply::error("All sockets are already disabled."),
        FrontStatus::Stopped => {
            return Reply::error("Frontend was previously shut down, cannot disable.");
        }
    }
    Reply::Silent
}

pub(super) fn enable(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let mut plane = context.plane.borrow_mut();
    let proxy = match find(&plane, words.get(2)) {
        Ok(proxy) => proxy,
        Err(reply) => return reply,
    };
    match status(&plane, proxy) {
        FrontStatus::Paused => plane.resume(proxy),
        FrontStatus::Open => return Reply::error("All sockets are already enabled."),
        FrontStatus::Stopped => {
            return Reply::error("Frontend was previously shut down, cannot enable.");
        }
    }
    Reply::Silent
}

pub(super) fn shutdown(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let mut plane = context.plane.borrow_mut();
    let proxy = match find(&plane, words.get(2)) {
        Ok(proxy) => proxy,
        Err(reply) => return reply,
    };
    if status(&plane, proxy) == FrontStatus::Stopped {
        return Reply::error("Frontend was already shut down.");
    }
    plane.stop_front(proxy);
    Reply::Silent
}

pub(super) fn shutdown_session(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let hex = words.get(2).and_then(|word| word.strip_prefix("0x"));
    let Some(serial) = hex.and_then(|hex| u64::from_str_radix(hex, 16).ok()) else {
        return Reply::error("Session pointer expected (use 'show sess').");
    };
    let plane = context.plane.borrow();
    if !plane
        .relay
        .sessions()
        .iter()
        .any(|session| session.serial == serial)
    {
        return Reply::error("No such session (use 'show sess').");
    }
    plane
        .relay
        .kill(SessionFilter::Serial(serial), KillCause::Operator);
    Reply::Silent
}

pub(super) fn set_maxconn_global(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let Some(text) = words.get(3).filter(|text| !text.is_empty()) else {
        return Reply::error("Expects an integer value.");
    };
    let Ok(value) = text.parse::<u32>() else {
        return Reply::error("Expects an integer value.");
    };
    let mut plane = context.plane.borrow_mut();
    let most = plane.identity.maxconn;
    if value > most {
        return Reply::error("Value out of range.");
    }
    // 0 returns to the limit the process started with.
    plane.maxconn = if value == 0 { most } else { value };
    plane.relay.set_maxconn(plane.maxconn);
    Reply::Silent
}
