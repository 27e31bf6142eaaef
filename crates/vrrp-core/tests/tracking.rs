//! Scripts, link and source address: priority and FAULT.

mod common;

use common::{Bench, OURS, PEER, actions, effects, ip, log, millis, plain, reference, script};
use vrrp_core::settings::{Initial, Instance, Script, Sense, Track, Transport};
use vrrp_core::{Duration, Event, Health, State};
use vrrp_proto::vrrp::GROUP_V4;

/// Whatever the fault was, unicast peers may have lost us.
const BACK: [&str; 2] = [
    "(V) Entering BACKUP STATE",
    "V: sending gratuitous ARP for 10.0.254.252",
];

fn tracking(priority: u8, scripts: Vec<Script>) -> Instance {
    let mut settings = plain(reference(priority));
    settings.scripts = scripts;
    settings
}

fn one(weight: i16) -> Vec<Script> {
    vec![script("chk", weight, Sense::Normal)]
}

/// Effective priority before the first result, while up, while down.
fn priorities(base: u8, weight: i16, sense: Sense) -> [u8; 3] {
    let mut bench = Bench::started(tracking(base, vec![script("chk", weight, sense)]));
    let before = bench.router.effective_priority();
    bench.judged(0, Health::Up);
    let up = bench.router.effective_priority();
    bench.judged(0, Health::Down);
    [before, up, bench.router.effective_priority()]
}

#[test]
fn weights_of_both_signs() {
    assert_eq!(priorities(101, 2, Sense::Normal), [101, 103, 101]);
    assert_eq!(priorities(101, -2, Sense::Normal), [101, 101, 99]);
    assert_eq!(priorities(100, 20, Sense::Reverse), [100, 80, 100]);
    assert_eq!(priorities(100, -20, Sense::Reverse), [100, 100, 120]);
}

#[test]
fn the_effective_priority_is_clamped_to_1_and_254() {
    assert_eq!(priorities(250, 253, Sense::Normal), [250, 254, 250]);
    assert_eq!(priorities(10, -253, Sense::Normal), [10, 10, 1]);
    assert_eq!(priorities(1, 254, Sense::Reverse), [1, 1, 1]);
}

#[test]
fn the_sum_is_not_clamped_on_the_way() {
    let scripts = vec![
        script("a", 100, Sense::Normal),
        script("b", -100, Sense::Normal),
    ];
    let mut bench = Bench::started(tracking(200, scripts));
    bench.judged(0, Health::Up);
    assert_eq!(bench.router.effective_priority(), 254);
    bench.judged(1, Health::Down);
    assert_eq!(bench.router.effective_priority(), 200);
    bench.judged(0, Health::Down);
    assert_eq!(bench.router.effective_priority(), 100);
}

#[test]
fn the_owner_is_not_touched_by_weights() {
    assert_eq!(priorities(255, -100, Sense::Normal), [255, 255, 255]);
    assert_eq!(priorities(255, 100, Sense::Reverse), [255, 255, 255]);
}

#[test]
fn a_change_says_so_and_a_repeated_result_says_nothing() {
    let mut bench = Bench::started(tracking(101, one(2)));
    let actions = bench.judged(0, Health::Up);
    assert_eq!(
        log(&actions),
        ["(V) Changing effective priority from 101 to 103"]
    );
    assert_eq!(effects(&actions), "notify BACKUP_PRIORITY 103");
    assert_eq!(bench.judged(0, Health::Up), []);
    // The first result of a positive weight changes nothing if it is bad.
    let mut bench = Bench::started(tracking(101, one(2)));
    assert_eq!(bench.judged(0, Health::Down), []);
}

/// The running Master_Down timer moves by the difference of the skews.
#[test]
fn a_new_priority_moves_the_running_timer() {
    let mut bench = Bench::started(tracking(100, one(56)));
    bench.run(millis(1_000));
    let wait = bench.wait().unwrap();
    bench.judged(0, Health::Up);
    // 56 of 256 parts of a second sooner.
    assert_eq!(bench.wait(), Some(wait - Duration(218_750_000)));
    bench.judged(0, Health::Down);
    assert_eq!(bench.wait(), Some(wait));

    // Also when the timer stands at a skew only, and even into the past.
    bench.advert(PEER, 0);
    bench.run(millis(550));
    bench.judged(0, Health::Up);
    assert_eq!(bench.wait(), Some(Duration::ZERO));
    bench.run(Duration::ZERO);
    assert_eq!(bench.router.state(), State::Master);
}

#[test]
fn a_master_tells_its_new_priority_with_the_next_advert() {
    let mut bench = Bench::master(tracking(101, one(2)));
    assert_eq!(
        effects(&bench.judged(0, Health::Up)),
        "notify MASTER_PRIORITY 103"
    );
    assert_eq!(effects(&actions(bench.run(millis(1_000)))), "advert 103");
}

/// keepalived holds such an instance in FAULT from the start, silently.
#[test]
fn an_unweighted_script_holds_the_router_until_its_first_result() {
    let mut bench = Bench::new(tracking(100, one(0)));
    let started = bench.event(Event::Start);
    assert_eq!(log(&started), ["(V) removing VIPs."]);
    assert_eq!((bench.router.state(), bench.wait()), (State::Init, None));
    bench.sleep(Duration::from_secs(60));
    let first = bench.judged(0, Health::Up);
    assert_eq!(log(&first), BACK);
    assert_eq!(bench.wait(), Some(Duration(3_609_375_000)));

    let mut bench = Bench::started(tracking(100, one(0)));
    let first = bench.judged(0, Health::Down);
    assert_eq!(log(&first), [""; 0]);
    assert_eq!(effects(&first), "notify FAULT 100");
    assert_eq!(log(&bench.judged(0, Health::Up)), BACK);
}

#[test]
fn weighted_scripts_do_not_hold_the_router() {
    let bench = Bench::started(tracking(100, one(2)));
    assert_eq!(bench.router.state(), State::Backup);
}

#[test]
fn every_unweighted_script_must_have_been_judged() {
    let scripts = vec![
        script("a", 0, Sense::Normal),
        script("b", 0, Sense::Reverse),
    ];
    let mut bench = Bench::started(tracking(100, scripts));
    bench.judged(0, Health::Up);
    assert_eq!(bench.router.state(), State::Init);
    // Reversed: a failure is health.
    bench.judged(1, Health::Down);
    assert_eq!(bench.router.state(), State::Backup);
    bench.judged(1, Health::Up);
    assert_eq!(bench.router.state(), State::Fault);
}

#[test]
fn a_result_before_the_start_counts() {
    let mut bench = Bench::new(tracking(100, one(0)));
    bench.judged(0, Health::Up);
    let started = bench.event(Event::Start);
    assert_eq!(
        log(&started),
        ["(V) removing VIPs.", "(V) Entering BACKUP STATE (init)"]
    );
}

#[test]
fn a_failed_unweighted_script_is_a_fault() {
    let mut settings = tracking(100, one(0));
    settings.garp.delay = Duration::ZERO;
    let mut bench = Bench::started(settings);
    bench.judged(0, Health::Up);
    bench.run(millis(4_000));
    let failed = bench.judged(0, Health::Down);
    assert_eq!(
        log(&failed),
        [
            "(V) Entering FAULT STATE",
            "(V) sent 0 priority",
            "(V) removing VIPs."
        ]
    );
    assert_eq!(
        effects(&failed),
        "advert 0 x2, remove 10.0.254.253, notify FAULT 100"
    );
    // Adverts mean nothing now.
    assert_eq!(bench.advert(PEER, 50), []);
    let back = bench.judged(0, Health::Up);
    assert_eq!(log(&back), BACK);
    assert_eq!(bench.wait(), Some(Duration(3_609_375_000)));
}

#[test]
fn a_link_that_goes_down_and_comes_back() {
    let mut bench = Bench::master(plain(reference(100)));
    let down = bench.event(Event::LinkDown);
    assert_eq!(
        effects(&down),
        "advert 0 x2, remove 10.0.254.253, notify FAULT 100"
    );
    assert_eq!(bench.event(Event::LinkDown), []);
    assert_eq!(bench.wait(), None);
    // Unicast: the peers are told our own address.
    let up = bench.event(Event::LinkUp);
    assert_eq!(
        log(&up),
        [
            "(V) Entering BACKUP STATE",
            "V: sending gratuitous ARP for 10.0.254.252"
        ]
    );
    assert_eq!(effects(&up), "notify BACKUP 100, garp 10.0.254.252");
    assert_eq!(bench.wait(), Some(Duration(3_609_375_000)));

    let mut multicast = plain(reference(100));
    multicast.transport = Transport::Multicast {
        group: GROUP_V4.into(),
        source: Some(ip(OURS)),
    };
    let mut bench = Bench::master(multicast);
    bench.event(Event::LinkDown);
    assert_eq!(effects(&bench.event(Event::LinkUp)), "notify BACKUP 100");
}

#[test]
fn the_owner_waits_like_anybody_after_a_fault() {
    let mut settings = plain(reference(255));
    settings.initial = Initial::Master;
    let mut bench = Bench::started(settings);
    bench.event(Event::LinkDown);
    bench.event(Event::LinkUp);
    assert_eq!(bench.router.state(), State::Backup);
}

/// An owner that has only waited for the first result of a script begins as at its start.
#[test]
fn the_owner_takes_over_once_its_script_is_good() {
    let mut settings = tracking(255, one(0));
    settings.initial = Initial::Master;
    let mut bench = Bench::started(settings.clone());
    assert_ne!(bench.router.state(), State::Master);
    bench.judged(0, Health::Up);
    assert_eq!(bench.router.state(), State::Master);
    let mut bench = Bench::started(settings);
    bench.judged(0, Health::Down);
    assert_eq!(bench.router.state(), State::Fault);
    bench.judged(0, Health::Up);
    assert_eq!(bench.router.state(), State::Backup);
}

#[test]
fn a_link_nobody_tracks_may_go() {
    let mut settings = plain(reference(100));
    settings.track_link = Track::No;
    let mut bench = Bench::master(settings);
    assert_eq!(bench.event(Event::LinkDown), []);
    assert_eq!(bench.router.state(), State::Master);
    // When it is back, hosts hear of us.
    assert_eq!(effects(&bench.event(Event::LinkUp)), "garp 10.0.254.253 x5");
    assert_eq!(bench.event(Event::LinkUp), []);
}

#[test]
fn a_source_address_that_goes_and_comes_back() {
    let mut bench = Bench::master(plain(reference(100)));
    bench.event(Event::Source(None));
    assert_eq!(bench.router.state(), State::Fault);
    bench.event(Event::Source(Some(ip(OURS))));
    assert_eq!(bench.router.state(), State::Backup);
    assert_eq!(bench.wait(), Some(Duration(3_609_375_000)));
}

#[test]
fn two_faults_end_when_both_are_over() {
    let mut bench = Bench::master(tracking(100, one(-10)));
    bench.event(Event::LinkDown);
    bench.event(Event::Source(None));
    bench.event(Event::LinkUp);
    assert_eq!(bench.router.state(), State::Fault);
    // Priorities follow their scripts meanwhile.
    let judged = bench.judged(0, Health::Down);
    assert_eq!(
        log(&judged),
        ["(V) Changing effective priority from 100 to 90"]
    );
    assert_eq!(effects(&judged), "");
    bench.event(Event::Source(Some(ip(OURS))));
    assert_eq!(bench.router.state(), State::Backup);
}

#[test]
fn faults_at_the_start_say_why() {
    let mut bench = Bench::new(plain(reference(100)));
    bench.event(Event::LinkDown);
    let lines = log(&bench.event(Event::Start));
    assert_eq!(
        lines,
        [
            "(V): entering FAULT state (interface eth0 down)",
            "(V) entering FAULT state",
            "(V) removing VIPs."
        ]
    );

    let mut bench = Bench::new(plain(reference(100)));
    bench.event(Event::Source(None));
    let lines = log(&bench.event(Event::Start));
    assert_eq!(
        lines[0],
        "(V): entering FAULT state (src address not configured)"
    );

    let mut settings = plain(reference(100));
    settings.transport = Transport::Multicast {
        group: GROUP_V4.into(),
        source: None,
    };
    let mut bench = Bench::new(settings);
    bench.event(Event::Source(None));
    let lines = log(&bench.event(Event::Start));
    assert_eq!(
        lines[0],
        "(V) entering FAULT state (no IPv4 address for interface)"
    );
    assert_eq!(bench.router.state(), State::Fault);
    bench.event(Event::Source(Some(ip(OURS))));
    assert_eq!(bench.router.state(), State::Backup);
}
