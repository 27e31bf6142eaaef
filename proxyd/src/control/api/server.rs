//! Commands that change one server.

use relay::{KillCause, Operational, SessionFilter};

use super::super::plane::{Plane, ServerRef};
use super::frontend::named;
use super::{Context, Reply};

const HIGHEST_WEIGHT: u32 = 256;
const SET_USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | \
    agent-port | agent-send | check-addr | check-port | fqdn | health | ssl | state | weight";

/// The server that `<backend>/<server>` names; both may be `#` and an id.
fn find(plane: &Plane, word: Option<&&str>) -> Result<ServerRef, Reply> {
    let parts = word.and_then(|word| word.split_once('/'));
    let Some((backend, server)) = parts.filter(|(_, server)| !server.is_empty()) else {
        return Err(Reply::error("Require 'backend/server'."));
    };
    for (index, state) in plane.backends.iter().enumerate() {
        let section = plane.config.proxies.get(state.proxy);
        let Some(section) = section.filter(|section| named(section, backend)) else {
            continue;
        };
        let mut servers = section.servers.iter();
        let found = servers.position(|known| {
            let id = server.strip_prefix('#').map(str::parse);
            known.name == server || id == Some(Ok(known.id))
        });
        return match found {
            Some(server) => Ok(ServerRef {
                backend: index,
                server,
            }),
            None => Err(Reply::error("No such server.")),
        };
    }
    Err(Reply::error("No such backend."))
}

/// Finds the server of the third word and lets `act` work on it.
fn with(
    context: &mut Context<'_>,
    words: &[&str],
    act: impl FnOnce(&mut Plane, ServerRef) -> Reply,
) -> Reply {
    let mut plane = context.plane.borrow_mut();
    match find(&plane, words.get(2)) {
        Ok(at) => act(&mut plane, at),
        Err(reply) => reply,
    }
}

pub(super) fn disable(context: &mut Context<'_>, words: &[&str]) -> Reply {
    with(context, words, |plane, at| {
        plane.set_maintenance(at);
        Reply::Silent
    })
}

pub(super) fn enable(context: &mut Context<'_>, words: &[&str]) -> Reply {
    with(context, words, |plane, at| {
        plane.set_ready(at);
        Reply::Silent
    })
}

pub(super) fn disable_health(context: &mut Context<'_>, words: &[&str]) -> Reply {
    switch_health(context, words, false)
}

pub(super) fn enable_health(context: &mut Context<'_>, words: &[&str]) -> Reply {
    switch_health(context, words, true)
}

fn switch_health(context: &mut Context<'_>, words: &[&str], enabled: bool) -> Reply {
    with(context, words, |plane, at| {
        let server = plane.server_mut(at);
        let maintenance = server.as_ref().is_some_and(|s| s.admin.forced_maintenance);
        match server.and_then(|server| server.check.as_mut()) {
            Some(check) => {
                check.enabled = enabled;
                check.paused &= !enabled || maintenance;
                Reply::Silent
            }
            None if enabled => {
                Reply::error("Health check was not configured on this server, cannot enable.")
            }
            None => Reply::Silent,
        }
    })
}

pub(super) fn shutdown_sessions(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let words = words.get(1..).unwrap_or_default();
    with(context, words, |plane, at| {
        let filter = SessionFilter::Server(at.backend, at.server);
        plane.relay.kill(filter, KillCause::Operator);
        Reply::Silent
    })
}

pub(super) fn set(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let value = words.get(4).copied().unwrap_or_default();
    with(context, words, |plane, at| match words.get(3).copied() {
        Some("state") => set_state(plane, at, value),
        Some("health") => set_health(plane, at, value),
        Some("weight") => change_weight(plane, at, value),
        Some(
            what @ ("addr" | "agent" | "agent-addr" | "agent-port" | "agent-send" | "check-addr"
            | "check-port" | "fqdn" | "ssl"),
        ) => Reply::error(format!("'set server <srv> {what}' is not supported.")),
        Some(_) | None => Reply::error(SET_USAGE),
    })
}

fn set_state(plane: &mut Plane, at: ServerRef, value: &str) -> Reply {
    match value {
        "ready" => plane.set_ready(at),
        "drain" => plane.set_drain(at),
        "maint" => plane.set_maintenance(at),
        _ => {
            return Reply::error("'set server <srv> state' expects 'ready', 'drain' and 'maint'.");
        }
    }
    Reply::Silent
}

fn set_health(plane: &mut Plane, at: ServerRef, value: &str) -> Reply {
    let health = match value {
        "up" => Operational::Up,
        "stopping" => Operational::Stopping,
        "down" => Operational::Down,
        _ => {
            return Reply::error("'set server <srv> health' expects 'up', 'stopping', or 'down'.");
        }
    };
    plane.force_health(at, health);
    Reply::Silent
}

pub(super) fn set_weight(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let value = words.get(3).copied().unwrap_or_default();
    with(context, words, |plane, at| change_weight(plane, at, value))
}

fn change_weight(plane: &mut Plane, at: ServerRef, value: &str) -> Reply {
    let initial = plane.server(at).map_or(1, |(_, server)| server.weight);
    let weight = match weight(value, initial) {
        Ok(weight) => weight,
        Err(text) => return Reply::error(text),
    };
    let algorithm = plane
        .section(at.backend)
        .map(|(_, section)| section.balance);
    if algorithm.is_some_and(is_static) && weight != 0 && weight != initial {
        return Reply::error(
            "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.",
        );
    }
    plane.set_weight(at, u16::try_from(weight).unwrap_or(u16::MAX));
    Reply::Silent
}

fn is_static(balance: haproxy_cfg::model::Balance) -> bool {
    use haproxy_cfg::model::Balance;
    match balance {
        Balance::StaticRr | Balance::Source => true,
        Balance::RoundRobin | Balance::LeastConn | Balance::First => false,
    }
}

/// A weight as a number or as a percentage of the initial one.
fn weight(text: &str, initial: u32) -> Result<u32, &'static str> {
    if text.is_empty() {
        return Err("Require <weight> or <weight%>.");
    }
    let (number, relative) = match text.strip_suffix('%') {
        Some(number) => (number, true),
        None => (text, false),
    };
    let Ok(number) = number.parse::<i64>() else {
        let digits = number
            .trim_start_matches('-')
            .starts_with(|c: char| c.is_ascii_digit());
        return Err(if digits {
            "Trailing garbage in weight string"
        } else {
            "Empty weight string empty or preceded by garbage"
        });
    };
    if relative {
        if number < 0 {
            return Err("Relative weight must be positive.");
        }
        let scaled = i64::from(initial).saturating_mul(number) / 100;
        let scaled = u32::try_from(scaled).unwrap_or(u32::MAX);
        return Ok(scaled.min(HIGHEST_WEIGHT));
    }
    match u32::try_from(number) {
        Ok(weight) if weight <= HIGHEST_WEIGHT => Ok(weight),
        Ok(_) | Err(_) => Err("Absolute weight can only be between 0 and 256 inclusive."),
    }
}

pub(super) fn get_weight(context: &mut Context<'_>, words: &[&str]) -> Reply {
    with(context, words, |plane, at| {
        let backend = plane.snapshot.backends.get(at.backend);
        let view = backend.and_then(|backend| backend.state.server(at.server));
        let now = view.map_or(0, |view| view.weight);
        let initial = plane.server(at).map_or(0, |(_, server)| server.weight);
        Reply::Data(format!("{now} (initial {initial})\n"))
    })
}

pub(super) fn set_maxconn(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let words = words.get(1..).unwrap_or_default();
    let value = words.get(3).copied().unwrap_or_default();
    with(context, words, |plane, at| {
        if value.is_empty() {
            return Reply::error("Require <maxconn>.");
        }
        match value.parse::<u32>() {
            Ok(maxconn) => {
                plane.set_server_maxconn(at, maxconn);
                Reply::Silent
            }
            Err(_) if value.starts_with(|c: char| c.is_ascii_digit()) => {
                Reply::error("Trailing garbage in maxconn string")
            }
            Err(_) => Reply::error("maxconn string empty or preceded by garbage"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_numbers_or_percentages() {
        let rows = [
            ("5", Ok(5)),
            ("256", Ok(256)),
            ("100%", Ok(10)),
            ("50%", Ok(5)),
            ("15%", Ok(1)),
            ("9%", Ok(0)),
            ("100000%", Ok(256)),
            (
                "257",
                Err("Absolute weight can only be between 0 and 256 inclusive."),
            ),
            (
                "-1",
                Err("Absolute weight can only be between 0 and 256 inclusive."),
            ),
            ("-1%", Err("Relative weight must be positive.")),
            ("x", Err("Empty weight string empty or preceded by garbage")),
            ("", Err("Require <weight> or <weight%>.")),
            ("5x", Err("Trailing garbage in weight string")),
        ];
        for (text, expected) in rows {
            assert_eq!(weight(text, 10), expected, "{text}");
        }
    }
}
