//! `clear counters`.

use haproxy_cfg::model::StatsLevel;

use super::{Context, Reply};

/// Forgets maxima; with `all`, which needs the highest level, every counter.
pub(super) fn clear(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let all = words.get(2).copied() == Some("all");
    if all && context.session.level < StatsLevel::Admin {
        return Reply::error("Permission denied");
    }
    let mut plane = context.plane.borrow_mut();
    for frontend in &plane.snapshot.frontends {
        frontend.state.clear_peaks();
        if all {
            frontend.state.clear();
        }
        for listener in &frontend.listeners {
            listener.state.sessions.clear_max();
            if all {
                listener.state.clear();
            }
        }
    }
    for backend in &plane.snapshot.backends {
        backend.state.clear_peaks();
        if all {
            backend.state.clear();
        }
        for server in &backend.servers {
            server.state.session_rate.clear_max();
            if all {
                server.state.clear();
            }
        }
    }
    if all {
        for backend in &mut plane.backends {
            backend.downs = 0;
            for server in &mut backend.servers {
                server.downs = 0;
                if let Some(check) = &mut server.check {
                    check.failures = 0;
                }
            }
        }
    }
    Reply::Silent
}
