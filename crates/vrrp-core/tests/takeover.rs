//! A master that becomes worse than its backup loses the address after the
//! backup's skew, not after a whole Master_Down.

mod common;

use common::{Bench, PEER, effects, log, millis, plain, reference, script};
use vrrp_core::settings::{Preempt, Sense};
use vrrp_core::{Duration, Event, Health, State};

/// Skew of priority 102.
const SKEW: Duration = Duration(154 * 1_000_000_000 / 256);

fn following(master: u8) -> Bench {
    let mut bench = Bench::started(plain(reference(102)));
    bench.advert(PEER, master);
    bench.run(millis(400));
    bench
}

#[test]
fn a_backup_takes_over_after_its_skew_when_its_master_falls() {
    let mut bench = following(103);
    let actions = bench.advert(PEER, 101);
    assert_eq!(
        log(&actions),
        [
            "(V) received lower priority (101) advert from 10.0.254.251 - discarding",
            "(V) master 10.0.254.251 fell from priority 103 to 101, ours 102, taking over",
        ]
    );
    assert_eq!(bench.wait(), Some(SKEW));
    // More of the same neither hastens nor delays it.
    bench.run(millis(200));
    let again = bench.advert(PEER, 101);
    assert_eq!(log(&again).len(), 1);
    assert_eq!(bench.wait(), Some(SKEW - millis(200)));
    bench.run(SKEW);
    assert_eq!(bench.router.state(), State::Master);
}

#[test]
fn a_master_that_recovers_in_time_is_followed_again() {
    let mut bench = following(103);
    bench.advert(PEER, 101);
    bench.run(millis(200));
    bench.advert(PEER, 103);
    assert_eq!(bench.wait(), Some(bench.router.settings().master_down(102)));
}

/// The skew never lengthens the wait for a master that fell silent.
#[test]
fn a_timer_that_ends_sooner_stays() {
    let mut bench = following(103);
    bench.run(millis(3_000));
    let before = bench.wait();
    bench.advert(PEER, 101);
    assert_eq!(bench.wait(), before);
}

/// RFC 3768, 6.4.2: a router that has just started waits for Master_Down.
#[test]
fn a_fresh_router_waits() {
    let mut bench = Bench::started(plain(reference(102)));
    bench.run(millis(400));
    let before = bench.wait();
    bench.advert(PEER, 101);
    assert_eq!(bench.wait(), before);
    bench.advert(PEER, 90);
    assert_eq!(bench.wait(), before, "it never followed this one");
}

/// Our own priority rose: nothing failed, so nothing is hurried.
#[test]
fn a_router_that_recovers_waits() {
    let mut settings = plain(reference(100));
    settings.scripts = vec![script("chk", 5, Sense::Normal)];
    let mut bench = Bench::started(settings);
    bench.advert(PEER, 102);
    bench.run(millis(400));
    bench.judged(0, Health::Up);
    let before = bench.wait();
    bench.advert(PEER, 102);
    assert_eq!(bench.wait(), before);
}

#[test]
fn nopreempt_and_preempt_delay_mean_what_they_mean() {
    let mut settings = plain(reference(102));
    settings.preempt = Preempt::No;
    let mut bench = Bench::started(settings.clone());
    bench.advert(PEER, 103);
    bench.run(millis(400));
    bench.advert(PEER, 1);
    assert_eq!(bench.wait(), Some(settings.master_down(102)));

    settings.preempt = Preempt::After(Duration::from_secs(10));
    let mut bench = Bench::started(settings.clone());
    bench.advert(PEER, 103);
    bench.run(millis(400));
    let actions = bench.advert(PEER, 101);
    assert_eq!(log(&actions), ["(V) start preempt delay (10.000000)"]);
    assert_eq!(bench.wait(), Some(settings.master_down(102)));
    // After the delay a whole Master_Down, as ever.
    for _ in 0..9 {
        bench.run(millis(1_000));
        bench.advert(PEER, 101);
    }
    bench.run(millis(1_000));
    let actions = bench.advert(PEER, 101);
    assert!(log(&actions)[0].ends_with("discarding"));
    assert_eq!(
        bench.wait().map(|wait| wait + millis(1_000)),
        Some(settings.master_down(102))
    );
}

/// Another router's advert is no fall of the master.
#[test]
fn a_lower_advert_of_somebody_else_changes_nothing() {
    let mut bench = following(103);
    let before = bench.wait();
    bench.advert("10.0.254.250", 50);
    assert_eq!(bench.wait(), before);
}

#[test]
fn a_master_says_at_once_that_it_became_worse() {
    let mut settings = plain(reference(101));
    settings.scripts = vec![script("chk", 2, Sense::Normal)];
    let mut bench = Bench::master(settings.clone());
    let actions = bench.judged(0, Health::Up);
    assert_eq!(effects(&actions), "notify MASTER_PRIORITY 103");
    bench.run(millis(300));
    let actions = bench.judged(0, Health::Down);
    assert_eq!(effects(&actions), "advert 101, notify MASTER_PRIORITY 101");
    assert_eq!(
        bench.wait(),
        Some(millis(1_000)),
        "the next one follows in step"
    );

    bench.run(millis(300));
    settings.priority = std::num::NonZeroU8::new(50).unwrap();
    let actions = bench.event(Event::Reload(Box::new(settings)));
    assert_eq!(effects(&actions), "advert 50");
}
