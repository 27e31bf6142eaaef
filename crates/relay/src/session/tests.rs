//! The whole table of the session's transitions, then its stories.

use super::*;
use crate::snapshot::Redispatch;

const POLICY: Policy = Policy {
    retries: 3,
    redispatch: Redispatch::Off,
    timeout_connect: Some(5000),
    abort_on_close: false,
};
const ONE: Situation = Situation {
    active: 1,
    server_up: true,
    takes_turns: true,
};
const TWO: Situation = Situation {
    active: 2,
    server_up: true,
    takes_turns: true,
};

pub(super) const EVENTS: [Event; 24] = [
    Event::Begun,
    Event::Assigned,
    Event::NoServer,
    Event::QueueTimeout,
    Event::Connected,
    Event::Failed(Failure::Refused, ONE),
    Event::Failed(Failure::TimedOut, ONE),
    Event::Failed(Failure::Resource, ONE),
    Event::PauseOver,
    Event::ClientLeft(Leftover::Nothing),
    Event::ClientLeft(Leftover::Bytes),
    Event::Ended(Side::Client),
    Event::Ended(Side::Server),
    Event::Broken(Side::Client),
    Event::Broken(Side::Server),
    Event::ServerDeaf,
    Event::Flushed(Direction::Up),
    Event::Flushed(Direction::Down),
    Event::Silent(Side::Client),
    Event::Silent(Side::Server),
    Event::Stalled(Side::Client),
    Event::Stalled(Side::Server),
    Event::Killed(Cause::Killed),
    Event::Killed(Cause::ServerDown),
];

fn at(phase: Phase, up: Flow, down: Flow) -> Session {
    Session {
        phase,
        up,
        down,
        ..Session::new()
    }
}

/// One row: the phase afterwards, the flows, the termination state, and what is to be done.
fn row(mut session: Session, event: Event) -> String {
    let actions = session.handle(event, &POLICY);
    let mut done = String::new();
    let mut add = |condition: bool, word: &str| {
        if condition {
            done.push(' ');
            done.push_str(word);
        }
    };
    add(actions.discard == Some(Direction::Up), "discard-up");
    add(actions.discard == Some(Direction::Down), "discard-down");
    add(actions.drop_server == Some(Farewell::Reset), "reset-server");
    add(actions.drop_server == Some(Farewell::Close), "close-server");
    add(actions.shut_server, "fin-server");
    add(actions.shut_client, "fin-client");
    add(actions.choose, "choose");
    add(actions.connect, "connect");
    add(
        matches!(actions.next, Some(Next::SameServer { .. })),
        "retry",
    );
    add(
        matches!(actions.next, Some(Next::OtherServer { .. })),
        "move",
    );
    add(actions.failed, "failed");
    add(actions.finish, "finish");
    let Session {
        phase,
        up,
        down,
        termination,
        ..
    } = session;
    format!("{event:?} -> {phase:?} {up:?}/{down:?} {termination}{done}")
}

/// Every state of the table.
pub(super) fn states() -> Vec<Session> {
    let mut states = vec![
        at(Phase::Fresh, Flow::Open, Flow::Open),
        at(Phase::Waiting, Flow::Open, Flow::Open),
        at(Phase::Connecting, Flow::Open, Flow::Open),
        at(Phase::Pausing, Flow::Open, Flow::Open),
        at(Phase::Over, Flow::Closed, Flow::Closed),
    ];
    for up in [Flow::Open, Flow::Draining, Flow::Closed] {
        for down in [Flow::Open, Flow::Draining, Flow::Closed] {
            if (up, down) != (Flow::Closed, Flow::Closed) {
                states.push(at(Phase::Relaying, up, down));
            }
        }
    }
    states
}

fn table() -> String {
    let mut text = String::new();
    for state in states() {
        text.push_str(&format!(
            "{:?} {:?}/{:?}\n",
            state.phase, state.up, state.down
        ));
        for event in EVENTS {
            text.push_str("  ");
            text.push_str(&row(state, event));
            text.push('\n');
        }
    }
    text
}

/// `transitions.txt` lists every (state, event) pair. `RELAY_BLESS=1` rewrites it; the diff is then
/// what has to be justified.
#[test]
fn every_transition_is_as_written_down() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/session/transitions.txt");
    let table = table();
    if std::env::var_os("RELAY_BLESS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    for (got, expected) in table.lines().zip(expected.lines()) {
        assert_eq!(got, expected);
    }
    assert_eq!(table, expected);
}

#[test]
fn an_over_session_ignores_everything() {
    for event in EVENTS {
        let mut session = at(Phase::Over, Flow::Closed, Flow::Closed);
        let before = session;
        assert_eq!(session.handle(event, &POLICY), Actions::NONE);
        assert_eq!(session, before);
    }
}

fn connecting() -> Session {
    let mut session = Session::new();
    assert!(session.handle(Event::Begun, &POLICY).choose);
    assert!(session.handle(Event::Assigned, &POLICY).connect);
    session
}

fn relaying() -> Session {
    let mut session = connecting();
    assert_eq!(session.handle(Event::Connected, &POLICY), Actions::NONE);
    session
}

#[test]
fn half_close_in_either_order() {
    for (first, second, fin_server) in [
        (Side::Client, Side::Server, true),
        (Side::Server, Side::Client, false),
    ] {
        let mut session = relaying();
        let direction = |side| {
            if side == Side::Client {
                Direction::Up
            } else {
                Direction::Down
            }
        };
        session.handle(Event::Ended(first), &POLICY);
        let actions = session.handle(Event::Flushed(direction(first)), &POLICY);
        assert_eq!(
            (actions.shut_server, actions.shut_client),
            (fin_server, !fin_server)
        );
        session.handle(Event::Ended(second), &POLICY);
        let actions = session.handle(Event::Flushed(direction(second)), &POLICY);
        assert!(actions.finish && !actions.shut_client && !actions.shut_server);
        assert_eq!(session.termination.to_string(), "--");
    }
}

#[test]
fn the_first_culprit_stays() {
    let mut session = relaying();
    session.handle(Event::Silent(Side::Client), &POLICY);
    session.handle(Event::Flushed(Direction::Up), &POLICY);
    session.handle(Event::Silent(Side::Server), &POLICY);
    assert!(
        session
            .handle(Event::Flushed(Direction::Down), &POLICY)
            .finish
    );
    assert_eq!(session.termination.to_string(), "cD");
}

/// What follows each refusal, until the session gives up.
fn refusals(failure: Failure, situation: Situation, policy: &Policy) -> Vec<Next> {
    let mut session = connecting();
    let mut all = Vec::new();
    loop {
        let actions = session.handle(Event::Failed(failure, situation), policy);
        if actions.finish {
            assert!(actions.failed);
            return all;
        }
        all.extend(actions.next);
        if session.phase == Phase::Pausing {
            let actions = session.handle(Event::PauseOver, policy);
            if session.phase == Phase::Waiting {
                assert_eq!(actions.next, Some(Next::OtherServer { pause: 0 }));
            }
        }
        if session.phase == Phase::Waiting {
            session.handle(Event::Assigned, policy);
        }
    }
}

#[test]
fn retries_stay_with_the_server() {
    let same = |pause| Next::SameServer { pause };
    assert_eq!(refusals(Failure::Refused, TWO, &POLICY), [same(1000); 3]);
    assert_eq!(refusals(Failure::TimedOut, TWO, &POLICY), [same(0); 3]);
    assert_eq!(refusals(Failure::Resource, TWO, &POLICY), []);
    let hasty = Policy {
        timeout_connect: Some(300),
        retries: 1,
        ..POLICY
    };
    assert_eq!(refusals(Failure::Refused, ONE, &hasty), [same(300)]);
    let endless = Policy {
        timeout_connect: None,
        retries: 1,
        ..POLICY
    };
    assert_eq!(refusals(Failure::Refused, ONE, &endless), [same(1000)]);
}

#[test]
fn redispatch_moves_at_once_where_turns_are_taken() {
    let policy = Policy {
        redispatch: Redispatch::BeforeLast(1),
        ..POLICY
    };
    let (same, other) = (
        |pause| Next::SameServer { pause },
        |pause| Next::OtherServer { pause },
    );
    assert_eq!(refusals(Failure::Refused, TWO, &policy), [other(0); 3]);
    assert_eq!(
        refusals(Failure::Refused, ONE, &policy),
        [same(1000), same(1000), other(1000)]
    );
    let hash = Situation {
        takes_turns: false,
        ..TWO
    };
    assert_eq!(
        refusals(Failure::Refused, hash, &policy),
        [same(1000), same(1000), other(0)]
    );
    let down = Situation {
        active: 0,
        server_up: false,
        takes_turns: true,
    };
    assert_eq!(refusals(Failure::Refused, down, &policy), [other(1000); 3]);
    let every = Policy {
        redispatch: Redispatch::Every(2),
        ..POLICY
    };
    assert_eq!(
        refusals(Failure::Refused, ONE, &every),
        [same(1000), other(1000), same(1000)]
    );
}

#[test]
fn a_silent_client_does_not_cancel_a_connection_under_way() {
    let mut session = connecting();
    assert_eq!(
        session.handle(Event::Silent(Side::Client), &POLICY),
        Actions::NONE
    );
    assert_eq!(
        session.watches(Unsent::default()).client,
        None,
        "it is not timed twice"
    );
    session.handle(Event::Connected, &POLICY);
    assert!(
        session
            .handle(Event::Flushed(Direction::Up), &POLICY)
            .shut_server
    );
    assert_eq!(session.termination.to_string(), "cC");
    // But nobody pauses for it.
    let mut session = connecting();
    session.handle(Event::Silent(Side::Client), &POLICY);
    assert!(
        session
            .handle(Event::Failed(Failure::Refused, ONE), &POLICY)
            .finish
    );
    assert_eq!(session.termination.to_string(), "cC");
}

#[test]
fn abortonclose_cancels_for_clients_with_bytes_too() {
    let abort = Policy {
        abort_on_close: true,
        ..POLICY
    };
    let left = Event::ClientLeft(Leftover::Bytes);
    assert!(!connecting().handle(left, &POLICY).finish);
    let mut session = connecting();
    assert!(session.handle(left, &abort).finish);
    assert_eq!(session.termination.to_string(), "CC");
}

#[test]
fn who_is_timed() {
    let idle = Unsent::default();
    let session = relaying();
    let both = Watches {
        client: Some(Watch::Silence),
        server: Some(Watch::Silence),
    };
    assert_eq!(session.watches(idle), both);
    // A stalled server holds the client's bytes back: the client is not silent.
    let stalled = Watches {
        client: None,
        server: Some(Watch::Stall),
    };
    assert_eq!(
        session.watches(Unsent {
            up: true,
            down: false
        }),
        stalled
    );
    let mut session = relaying();
    session.handle(Event::Ended(Side::Client), &POLICY);
    session.handle(Event::Flushed(Direction::Up), &POLICY);
    let fin = Watches {
        client: None,
        server: Some(Watch::SilenceAfterFin),
    };
    assert_eq!(session.watches(idle), fin);
}
