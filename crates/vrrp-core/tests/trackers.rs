//! `track_interface`, `track_file`, `track_process`, and virtual routes; words
//! and order as keepalived 2.2.7 has them.

mod common;

use common::{Bench, effects, log, millis, plain, reference};
use vrrp_core::settings::{Configured, Instance, Sense, Tracker, TrackerKind};
use vrrp_core::{Action, Event, Standing, State};

fn tracker(kind: TrackerKind, weight: i16, sense: Sense) -> Tracker {
    Tracker {
        kind,
        name: "t1".to_owned(),
        weight,
        sense,
    }
}

fn tracking(priority: u8, kind: TrackerKind, weight: i16, sense: Sense) -> Instance {
    let mut settings = plain(reference(priority));
    settings.trackers = vec![tracker(kind, weight, sense)];
    settings
}

impl Bench {
    fn stands(&mut self, standing: Standing) -> Vec<Action> {
        self.event(Event::Tracker { index: 0, standing })
    }
}

/// The priority while it is up, and while it is down.
fn up_and_down(kind: TrackerKind, weight: i16, sense: Sense) -> [u8; 2] {
    let mut bench = Bench::started(tracking(100, kind, weight, sense));
    [Standing::Up, Standing::Down].map(|standing| {
        bench.stands(standing);
        assert_eq!(bench.router.state(), State::Backup);
        bench.router.effective_priority()
    })
}

#[test]
fn weighted_interfaces_and_processes_count_like_scripts() {
    for kind in [TrackerKind::Interface, TrackerKind::Process] {
        assert_eq!(up_and_down(kind, 10, Sense::Normal), [110, 100]);
        assert_eq!(up_and_down(kind, -10, Sense::Normal), [100, 90]);
        assert_eq!(up_and_down(kind, 10, Sense::Reverse), [90, 100]);
        assert_eq!(up_and_down(kind, -10, Sense::Reverse), [100, 110]);
        assert_eq!(up_and_down(kind, 254, Sense::Normal), [254, 100]);
        assert_eq!(up_and_down(kind, -254, Sense::Normal), [100, 1]);
    }
}

#[test]
fn an_unweighted_interface_that_is_down_is_a_fault() {
    for kind in [TrackerKind::Interface, TrackerKind::Process] {
        for (sense, good, bad) in [
            (Sense::Normal, Standing::Up, Standing::Down),
            (Sense::Reverse, Standing::Down, Standing::Up),
        ] {
            let mut bench = Bench::master(tracking(100, kind, 0, sense));
            bench.stands(good);
            assert_eq!(bench.router.state(), State::Master);
            let lines = log(&bench.stands(bad));
            assert_eq!(lines[0], "(V) Entering FAULT STATE", "{kind:?}");
            assert_eq!(bench.router.state(), State::Fault);
            bench.stands(good);
            assert_eq!(bench.router.state(), State::Backup);
            assert_eq!(bench.router.effective_priority(), 100);
        }
    }
}

#[test]
fn the_owner_is_touched_by_no_weight_but_by_faults() {
    let mut bench = Bench::started(tracking(255, TrackerKind::File, 2, Sense::Normal));
    bench.stands(Standing::Number(-50));
    assert_eq!(bench.router.effective_priority(), 255);
    bench.stands(Standing::Number(-127));
    assert_eq!(bench.router.state(), State::Fault);
}

/// Measured: weight 2, priority 100; 5, -60, -127.
#[test]
fn a_files_number_is_multiplied_with_its_weight() {
    let mut bench = Bench::master(tracking(100, TrackerKind::File, 2, Sense::Normal));
    assert_eq!(
        log(&bench.stands(Standing::Number(5)))[0],
        "(V) Changing effective priority from 100 to 110"
    );
    assert_eq!(
        log(&bench.stands(Standing::Number(-60)))[0],
        "(V) Changing effective priority from 110 to 1"
    );
    let fault = log(&bench.stands(Standing::Number(-127)));
    assert_eq!(fault[0], "(V): tracked file t1 now FAULT state");
    assert!(fault.contains(&"(V) Entering FAULT STATE".to_owned()));
    let over = log(&bench.stands(Standing::Number(0)));
    assert_eq!(over[0], "(V): tracked file t1 leaving FAULT state");
    assert!(over.contains(&"(V) Entering BACKUP STATE".to_owned()));
    assert_eq!(bench.router.effective_priority(), 100);
    // Whatever a file may hold.
    for number in [i32::MIN, i32::MAX] {
        bench.stands(Standing::Number(number));
    }
    assert_eq!(bench.router.effective_priority(), 254);
}

#[test]
fn a_reversed_file_counts_the_other_way() {
    let mut bench = Bench::started(tracking(100, TrackerKind::File, 2, Sense::Reverse));
    bench.stands(Standing::Number(5));
    assert_eq!(bench.router.effective_priority(), 90);
}

#[test]
fn any_number_in_an_unweighted_file_is_a_fault() {
    let mut bench = Bench::started(tracking(100, TrackerKind::File, 0, Sense::Normal));
    for (number, state) in [
        (0, State::Backup),
        (3, State::Fault),
        (4, State::Fault),
        (0, State::Backup),
        (-1, State::Fault),
    ] {
        bench.stands(Standing::Number(number));
        assert_eq!(bench.router.state(), state, "{number}");
    }
}

#[test]
fn what_is_down_at_the_start_says_so() {
    let mut settings = plain(reference(100));
    settings.trackers = vec![
        tracker(TrackerKind::Interface, 0, Sense::Normal),
        tracker(TrackerKind::File, 0, Sense::Normal),
        tracker(TrackerKind::File, 3, Sense::Normal),
        tracker(TrackerKind::Process, 0, Sense::Normal),
        // Weighted: no fault, whatever it does.
        tracker(TrackerKind::Process, 5, Sense::Normal),
    ];
    settings.routes = Configured::Yes;
    settings.rules = Configured::Yes;
    let mut bench = Bench::new(settings);
    let standings = [
        Standing::Down,
        Standing::Number(7),
        Standing::Number(-100),
        Standing::Down,
        Standing::Down,
    ];
    for (index, standing) in standings.into_iter().enumerate() {
        bench.event(Event::Tracker { index, standing });
    }
    assert_eq!(
        log(&bench.event(Event::Start)),
        [
            "(V): entering FAULT state (interface t1 down)",
            "(V): entering FAULT state (tracked file t1 has status -254)",
            "(V): entering FAULT state (tracked file t1 has status -300)",
            "(V) entering FAULT state (tracked process t1 quorum not achieved)",
            "(V) entering FAULT state",
            "(V) removing Virtual Rules",
            "(V) removing Virtual Routes",
            "(V) removing VIPs.",
        ]
    );
    assert_eq!(bench.router.state(), State::Fault);
}

fn with_routes() -> Bench {
    let mut settings = plain(reference(100));
    settings.routes = Configured::Yes;
    settings.rules = Configured::Yes;
    Bench::started(settings)
}

#[test]
fn routes_are_set_behind_addresses_and_removed_before_them() {
    let mut bench = with_routes();
    let actions = common::actions(bench.run(millis(3_700)));
    assert_eq!(
        effects(&actions),
        "advert 100, add 10.0.254.253, routes, garp 10.0.254.253 x5, notify MASTER 100"
    );
    assert_eq!(
        log(&actions)[1..5],
        [
            "(V) Entering MASTER STATE",
            "(V) setting VIPs.",
            "(V) setting Virtual Routes",
            "(V) setting Virtual Rules",
        ]
    );
    let actions = bench.event(Event::Stop);
    assert_eq!(
        effects(&actions),
        "advert 0, no routes, remove 10.0.254.253, notify STOP 100"
    );
    assert_eq!(
        log(&actions),
        [
            "(V) sent 0 priority",
            "(V) removing Virtual Rules",
            "(V) removing Virtual Routes",
            "(V) removing VIPs.",
        ]
    );
}

/// keepalived steps back for one skew, and is back if nobody is better.
#[test]
fn a_route_removed_by_somebody_else() {
    let mut bench = with_routes();
    assert_eq!(bench.event(Event::RouteRemoved), []);
    bench.run(millis(3_700));
    let gone = bench.event(Event::RouteRemoved);
    assert_eq!(
        effects(&gone),
        "advert 0, no routes, remove 10.0.254.253, notify BACKUP 100"
    );
    bench.run(millis(610));
    assert_eq!(bench.router.state(), State::Master);
}

/// A router that slept beyond its lease sets them anew, for the kernel may have
/// dropped them with the addresses.
#[test]
fn routes_come_back_with_the_addresses() {
    let mut settings = reference(100);
    settings.routes = Configured::Yes;
    let mut bench = Bench::master(settings);
    bench.sleep(millis(10_000));
    assert_eq!(effects(&bench.event(Event::RouteRemoved)), "");
    assert_eq!(bench.router.state(), State::Master);
    let back = effects(&common::actions(bench.run(millis(30))));
    assert!(
        back.starts_with("advert 100, add 10.0.254.253 for 3, routes"),
        "{back}"
    );
}
