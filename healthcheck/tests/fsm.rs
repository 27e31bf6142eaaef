//! The rise/fall counter: named cases, then everything it may never do.

use std::time::Duration;

use healthcheck::Verdict::{Failed, Neutral, Passed};
use healthcheck::fsm::{Change, Health, State, Thresholds};
use healthcheck::{Status, Verdict};
use proptest::prelude::*;

fn health(rise: u32, fall: u32) -> Health {
    Health::new(Thresholds {
        rise,
        fall,
        inter: Duration::from_millis(500),
        fastinter: Duration::from_millis(200),
        downinter: Duration::from_millis(300),
    })
}

/// Feeds results and compares what `show stat` would show after each: UP or DOWN with x/y.
fn check(rise: u32, fall: u32, steps: &[(Verdict, Change, &str)]) {
    let mut health = health(rise, fall);
    for (index, (verdict, change, shown)) in steps.iter().enumerate() {
        let found = health.record(*verdict);
        let (x, y) = health.progress();
        let state = match health.state() {
            State::Up => "UP",
            State::Down => "DOWN",
        };
        assert_eq!(
            (found, format!("{state} {x}/{y}").as_str()),
            (*change, *shown),
            "step {index}"
        );
    }
}

#[test]
fn a_fresh_server_is_up_one_failure_from_down() {
    let health = health(2, 3);
    assert_eq!(health.state(), State::Up);
    assert_eq!(health.progress(), (1, 3));
    assert_eq!(health.counter(), 2);
}

#[test]
fn the_first_failure_takes_a_fresh_server_down() {
    check(2, 3, &[(Failed, Change::Down, "DOWN 0/2")]);
}

#[test]
fn the_first_success_lifts_a_fresh_server_to_the_top() {
    check(
        2,
        3,
        &[
            (Passed, Change::Counter, "UP 3/3"),
            (Passed, Change::None, "UP 3/3"),
        ],
    );
}

#[test]
fn a_full_server_needs_fall_failures_to_go_down() {
    check(
        2,
        3,
        &[
            (Passed, Change::Counter, "UP 3/3"),
            (Failed, Change::Counter, "UP 2/3"),
            (Failed, Change::Counter, "UP 1/3"),
            (Failed, Change::Down, "DOWN 0/2"),
            (Failed, Change::None, "DOWN 0/2"),
        ],
    );
}

#[test]
fn a_down_server_needs_rise_successes_and_then_is_at_the_top() {
    check(
        2,
        3,
        &[
            (Failed, Change::Down, "DOWN 0/2"),
            (Passed, Change::Counter, "DOWN 1/2"),
            (Passed, Change::Up, "UP 3/3"),
        ],
    );
}

#[test]
fn a_relapse_while_rising_counts_back() {
    check(
        3,
        1,
        &[
            (Failed, Change::Down, "DOWN 0/3"),
            (Passed, Change::Counter, "DOWN 1/3"),
            (Passed, Change::Counter, "DOWN 2/3"),
            (Failed, Change::Counter, "DOWN 1/3"),
            (Passed, Change::Counter, "DOWN 2/3"),
            (Passed, Change::Up, "UP 1/1"),
            (Failed, Change::Down, "DOWN 0/3"),
        ],
    );
}

#[test]
fn neutral_results_change_nothing() {
    check(
        1,
        1,
        &[
            (Neutral, Change::None, "UP 1/1"),
            (Failed, Change::Down, "DOWN 0/1"),
            (Neutral, Change::None, "DOWN 0/1"),
        ],
    );
}

/// Measured on the original with inter 500, fastinter 200, downinter 300.
#[test]
fn intervals_follow_the_counter() {
    let ms = Duration::from_millis;
    let mut health = health(2, 3);
    assert_eq!(health.interval(), ms(200), "fresh");
    let expected = [
        (Passed, 500),
        (Failed, 200),
        (Failed, 200),
        (Failed, 300),
        (Passed, 200),
        (Passed, 500),
    ];
    for (verdict, interval) in expected {
        health.record(verdict);
        assert_eq!(health.interval(), ms(interval), "after {verdict:?}");
    }
}

#[test]
fn force_goes_to_the_ends_and_restart_to_the_edge() {
    let mut health = health(2, 3);
    health.force(State::Down);
    assert_eq!((health.state(), health.counter()), (State::Down, 0));
    health.force(State::Up);
    assert_eq!((health.state(), health.counter()), (State::Up, 4));
    health.restart();
    assert_eq!((health.state(), health.counter()), (State::Up, 2));
}

#[test]
fn zero_thresholds_count_as_one() {
    check(
        0,
        0,
        &[
            (Failed, Change::Down, "DOWN 0/1"),
            (Passed, Change::Up, "UP 1/1"),
        ],
    );
}

#[test]
fn status_codes_and_texts_are_the_originals() {
    let rows = [
        (Status::Unknown, "UNK", "Unknown", 0),
        (Status::Initializing, "INI", "Initializing", 1),
        (Status::SocketError, "SOCKERR", "Socket error", 4),
        (Status::L4Ok, "L4OK", "Layer4 check passed", 6),
        (Status::L4Timeout, "L4TOUT", "Layer4 timeout", 7),
        (
            Status::L4Connection,
            "L4CON",
            "Layer4 connection problem",
            8,
        ),
        (Status::L6Ok, "L6OK", "Layer6 check passed", 9),
        (Status::L6Timeout, "L6TOUT", "Layer6 timeout", 10),
        (Status::L6Response, "L6RSP", "Layer6 invalid response", 11),
    ];
    for (status, code, text, number) in rows {
        assert_eq!(
            (status.code(), status.text(), status.number()),
            (code, text, number)
        );
    }
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![3 => Just(Passed), 3 => Just(Failed), 1 => Just(Neutral)]
}

proptest! {
    /// A second, slower description of the same counter: runs of results instead of one number.
    #[test]
    fn enough_equal_results_always_decide(
        rise in 1_u32..6, fall in 1_u32..6, history in prop::collection::vec(verdict(), 0..60),
    ) {
        let mut health = health(rise, fall);
        for verdict in history {
            health.record(verdict);
        }
        let mut failing = health;
        for _ in 0..fall {
            failing.record(Failed);
        }
        prop_assert_eq!(failing.state(), State::Down);
        let mut passing = health;
        for _ in 0..rise.max(fall) {
            passing.record(Passed);
        }
        prop_assert_eq!(passing.state(), State::Up);
        prop_assert!(health.counter() < rise + fall);
    }

    /// `record` tells of a change exactly when there is one.
    #[test]
    fn changes_are_reported_exactly(
        rise in 1_u32..6, fall in 1_u32..6, history in prop::collection::vec(verdict(), 1..60),
    ) {
        let mut health = health(rise, fall);
        for verdict in history {
            let before = health;
            let change = health.record(verdict);
            let expected = match (before.state(), health.state()) {
                (State::Up, State::Down) => Change::Down,
                (State::Down, State::Up) => Change::Up,
                _ if before.counter() != health.counter() => Change::Counter,
                _ => Change::None,
            };
            prop_assert_eq!(change, expected);
            if verdict == Neutral {
                prop_assert_eq!(before, health);
            }
        }
    }
}
