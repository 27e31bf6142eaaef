//! Every row of the table of transitions is met by the simulation, or cannot be met: then the reason
//! is written here, and the simulation proves that it never is.

use std::collections::BTreeSet;

use crate::record::Cause;
use crate::session::tests::{EVENTS, states};
use crate::session::{Direction, Event, Flow, Phase, Session, Side};

/// The name of a row: the state, and the event without the pool's situation, which is not part of
/// the state.
pub(super) fn row(session: &Session, event: Event) -> String {
    let event = match event {
        Event::Failed(failure, _) => format!("Failed({failure:?})"),
        // An operator may kill for more reasons than the table lists.
        other => format!("{other:?}"),
    };
    format!(
        "{:?} {:?}/{:?} {event}",
        session.phase, session.up, session.down
    )
}

/// Why a row cannot be met.
fn unreachable(session: &Session, event: Event) -> Option<&'static str> {
    match session.phase {
        Phase::Over => Some("a session that is over has left the worker"),
        Phase::Relaying => while_relaying(session, event),
        Phase::Fresh | Phase::Waiting | Phase::Connecting | Phase::Pausing => {
            before_relaying(session.phase, event)
        }
    }
}

fn before_relaying(phase: Phase, event: Event) -> Option<&'static str> {
    match event {
        Event::Begun => (phase != Phase::Fresh).then_some("it begins once"),
        Event::Assigned | Event::NoServer | Event::QueueTimeout => {
            (phase != Phase::Waiting).then_some("no server is asked for now")
        }
        Event::Connected | Event::Failed(..) => {
            (phase != Phase::Connecting).then_some("no attempt is under way")
        }
        Event::PauseOver => (phase != Phase::Pausing).then_some("there is no pause"),
        Event::ClientLeft(_) => {
            (phase == Phase::Fresh).then_some("the first event is Begun or Broken")
        }
        Event::Killed(Cause::ServerDown) => matches!(phase, Phase::Fresh | Phase::Waiting)
            .then_some("it is on no server that could go down"),
        Event::Killed(_) | Event::Broken(Side::Client) | Event::Silent(Side::Client) => None,
        Event::Ended(_) | Event::Flushed(_) | Event::ServerDeaf | Event::Stalled(_) => {
            Some("no byte moves yet")
        }
        Event::Broken(Side::Server) | Event::Silent(Side::Server) => {
            Some("there is no server connection yet")
        }
    }
}

fn while_relaying(session: &Session, event: Event) -> Option<&'static str> {
    match event {
        Event::Begun
        | Event::Assigned
        | Event::NoServer
        | Event::QueueTimeout
        | Event::Connected
        | Event::Failed(..)
        | Event::PauseOver
        | Event::ClientLeft(_) => return Some("the server connection stands"),
        _ => {}
    }
    let (up, down) = (session.up, session.down);
    match (up, down) {
        // An end is read only when nothing waits, so what drains is flushed in the same breath:
        // between the two there is just what the other direction's turn may say.
        (Flow::Open, Flow::Draining) => {
            let said = matches!(
                event,
                Event::Ended(Side::Client)
                    | Event::Broken(Side::Client)
                    | Event::ServerDeaf
                    | Event::Flushed(Direction::Down)
            );
            return (!said).then_some("down is flushed before anything else happens");
        }
        (Flow::Draining, Flow::Open) => {
            let said = matches!(
                event,
                Event::Ended(Side::Server) | Event::Broken(_) | Event::Flushed(Direction::Up)
            );
            return (!said).then_some("up is flushed before anything else happens");
        }
        (Flow::Draining, Flow::Draining) => {
            return (event != Event::Flushed(Direction::Up)).then_some("up is flushed at once");
        }
        // Bytes wait for a server that is alone in being asked: its loss is noticed by writing.
        (Flow::Draining, Flow::Closed) if event == Event::Broken(Side::Server) => {
            return Some("a lost server is found deaf first");
        }
        // Bytes wait for the client, and the server has been dropped.
        (Flow::Closed, Flow::Draining) if event == Event::Broken(Side::Server) => {
            return Some("there is no server any more");
        }
        _ => {}
    }
    let unread = "only an open direction is read";
    let undrained = "only a draining direction is flushed";
    let unwritten = "nothing waits in a closed direction";
    match event {
        Event::Ended(Side::Client) | Event::Silent(Side::Client) => {
            (up != Flow::Open).then_some(unread)
        }
        Event::Ended(Side::Server) | Event::Silent(Side::Server) => {
            (down != Flow::Open).then_some(unread)
        }
        Event::Flushed(Direction::Up) => (up != Flow::Draining).then_some(undrained),
        Event::Flushed(Direction::Down) => (down != Flow::Draining).then_some(undrained),
        Event::ServerDeaf | Event::Stalled(Side::Server) => {
            (up == Flow::Closed).then_some(unwritten)
        }
        Event::Stalled(Side::Client) => (down == Flow::Closed).then_some(unwritten),
        _ => None,
    }
}

pub(super) fn check(covered: &BTreeSet<String>) {
    let (mut missed, mut refuted) = (Vec::new(), Vec::new());
    let mut rows = 0;
    for session in states() {
        for event in EVENTS {
            let row = row(&session, event);
            match (unreachable(&session, event), covered.contains(&row)) {
                (None, true) => rows += 1,
                (Some(_), false) => {}
                (None, false) => missed.push(row),
                (Some(reason), true) => refuted.push(format!("{row}: {reason}")),
            }
        }
    }
    assert!(missed.is_empty(), "never met:\n{}", missed.join("\n"));
    assert!(refuted.is_empty(), "met after all:\n{}", refuted.join("\n"));
    assert_eq!(rows, covered.len(), "rows that the table does not have");
}
