//! RFC 3768, case by case. Where keepalived knowingly differs the test says so.

mod common;

use common::{Bench, HIGHER_PEER, OURS, PEER, actions, effects, ip, millis, plain, reference};
use vrrp_core::settings::{Initial, OnAdvert, Preempt};
use vrrp_core::{Action, Duration, Event, State};

/// 6.1: Skew_Time and Master_Down_Interval, to the nanosecond.
#[test]
fn section_6_1_master_down_interval() {
    for (priority, nanos) in [
        (1, 3_996_093_750),
        (100, 3_609_375_000),
        (103, 3_597_656_250),
        (254, 3_007_812_500),
        (255, 3_003_906_250),
    ] {
        let bench = Bench::started(plain(reference(priority)));
        assert_eq!(bench.wait(), Some(Duration(nanos)), "priority {priority}");
    }
    let mut settings = plain(reference(100));
    settings.advert_interval = Duration::from_secs(10);
    assert_eq!(
        Bench::started(settings.clone()).wait(),
        Some(Duration(30_609_375_000))
    );
    settings.down_timer_adverts = 1;
    assert_eq!(
        Bench::started(settings).wait(),
        Some(Duration(10_609_375_000))
    );
}

/// 6.1: two backups of different priority never time out together.
#[test]
fn section_6_1_every_priority_has_its_own_skew() {
    let settings = reference(100);
    let waits: Vec<_> = (1..=255)
        .map(|priority| settings.master_down(priority))
        .collect();
    assert!(waits.windows(2).all(|pair| pair[0] > pair[1]));
}

/// 6.4.1: the owner takes over at once. keepalived asks for `state MASTER` as
/// well.
#[test]
fn section_6_4_1_owner_starts_as_master() {
    let mut settings = plain(reference(255));
    settings.initial = Initial::Master;
    let mut bench = Bench::new(settings.clone());
    assert_eq!(
        effects(&bench.event(Event::Start)),
        "remove 10.0.254.253, advert 255, add 10.0.254.253, garp 10.0.254.253 x5, notify MASTER 255"
    );
    assert_eq!(bench.router.state(), State::Master);

    settings.initial = Initial::Backup;
    assert_eq!(Bench::started(settings).router.state(), State::Backup);
}

/// 6.4.1: everybody else becomes backup, whatever `state` wishes.
#[test]
fn section_6_4_1_others_start_as_backup() {
    for initial in [Initial::Master, Initial::Backup] {
        let mut settings = plain(reference(254));
        settings.initial = initial;
        assert_eq!(Bench::started(settings).router.state(), State::Backup);
    }
}

/// 6.4.2: Master_Down_Timer fires: advert, then addresses, then gratuitous ARP.
#[test]
fn section_6_4_2_master_down_timer() {
    let mut bench = Bench::started(plain(reference(100)));
    assert_eq!(actions(bench.run(Duration(3_609_374_999))), []);
    let took_over = actions(bench.run(Duration(1)));
    assert_eq!(
        effects(&took_over),
        "advert 100, add 10.0.254.253, garp 10.0.254.253 x5, notify MASTER 100"
    );
}

/// 6.4.2: priority 0: the timer is set to Skew_Time, anew for each.
#[test]
fn section_6_4_2_priority_zero() {
    let mut bench = Bench::started(plain(reference(100)));
    bench.advert(PEER, 200);
    bench.advert(PEER, 0);
    assert_eq!(bench.wait(), Some(Duration(609_375_000)));
    bench.run(millis(300));
    bench.advert(PEER, 0);
    assert_eq!(bench.wait(), Some(Duration(609_375_000)));
    bench.run(Duration(609_375_000));
    assert_eq!(bench.router.state(), State::Master);
}

/// 6.4.2: an equal or higher advert resets the timer to Master_Down_Interval.
#[test]
fn section_6_4_2_equal_or_higher_advert() {
    for priority in [100, 101, 255] {
        let mut bench = Bench::started(plain(reference(100)));
        bench.run(millis(2_000));
        bench.advert(PEER, priority);
        assert_eq!(bench.wait(), Some(Duration(3_609_375_000)), "{priority}");
    }
}

/// 6.4.2: Preempt_Mode true: a lower advert is discarded and the timer runs on.
#[test]
fn section_6_4_2_lower_advert_with_preemption() {
    let mut bench = Bench::started(plain(reference(100)));
    bench.run(millis(2_000));
    let before = bench.router.poll_timeout();
    assert_eq!(effects(&bench.advert(PEER, 99)), "");
    assert_eq!(bench.router.poll_timeout(), before);
}

/// 6.4.2: Preempt_Mode false: any advert resets the timer.
#[test]
fn section_6_4_2_lower_advert_without_preemption() {
    let mut settings = plain(reference(100));
    settings.preempt = Preempt::No;
    let mut bench = Bench::started(settings);
    for _ in 0..10 {
        bench.run(millis(2_000));
        bench.advert(PEER, 1);
        assert_eq!(bench.wait(), Some(Duration(3_609_375_000)));
    }
    assert_eq!(bench.router.state(), State::Backup);
}

/// 6.4.2 and 6.4.3: Shutdown.
#[test]
fn section_6_4_shutdown() {
    let mut bench = Bench::started(plain(reference(100)));
    assert_eq!(effects(&bench.event(Event::Stop)), "notify STOP 100");
    assert_eq!((bench.router.state(), bench.wait()), (State::Init, None));

    let mut bench = Bench::master(plain(reference(100)));
    assert_eq!(
        effects(&bench.event(Event::Stop)),
        "advert 0, remove 10.0.254.253, notify STOP 100"
    );
    assert_eq!((bench.router.state(), bench.wait()), (State::Init, None));
}

/// 6.4.3: Adver_Timer fires: one advert each interval, in step.
#[test]
fn section_6_4_3_adver_timer() {
    let mut bench = Bench::master(plain(reference(100)));
    let start = bench.now;
    let sent: Vec<_> = bench
        .run(Duration::from_secs(4))
        .into_iter()
        .filter(|(_, action)| matches!(action, Action::SendAdvert(_)))
        .map(|(time, _)| time.since(start))
        .collect();
    assert_eq!(sent, [1, 2, 3, 4].map(Duration::from_secs));
    // A wake-up that comes late does not shift those after it.
    bench.sleep(millis(1_300));
    bench.event(Event::Timer);
    assert_eq!(bench.wait(), Some(millis(700)));
}

/// 6.4.3: priority 0 from another: an advert at once, and the timer anew.
#[test]
fn section_6_4_3_priority_zero() {
    let mut bench = Bench::master(plain(reference(100)));
    bench.run(millis(400));
    assert_eq!(effects(&bench.advert(PEER, 0)), "advert 100");
    assert_eq!(bench.router.state(), State::Master);
    assert_eq!(bench.wait(), Some(millis(1_000)));
}

/// 6.4.3: a higher advert: backup, timer at Master_Down_Interval. Not in the
/// RFC: one last advert, so that the winner learns that there were two.
#[test]
fn section_6_4_3_higher_priority() {
    let mut bench = Bench::master(plain(reference(100)));
    assert_eq!(
        effects(&bench.advert(PEER, 101)),
        "advert 100, remove 10.0.254.253, notify BACKUP 100"
    );
    assert_eq!(bench.router.state(), State::Backup);
    assert_eq!(bench.wait(), Some(Duration(3_609_375_000)));

    let mut settings = plain(reference(100));
    settings.on_higher = OnAdvert::Silent;
    let mut bench = Bench::master(settings);
    assert_eq!(
        effects(&bench.advert(PEER, 101)),
        "remove 10.0.254.253, notify BACKUP 100"
    );
}

/// 6.4.3: equal priority: the higher primary address wins.
#[test]
fn section_6_4_3_tie() {
    let mut bench = Bench::master(plain(reference(100)));
    bench.advert(PEER, 100);
    assert_eq!(bench.router.state(), State::Master);
    bench.advert(HIGHER_PEER, 100);
    assert_eq!(bench.router.state(), State::Backup);

    // Our address is compared as a number, not as text.
    let mut bench = Bench::master(plain(reference(100)));
    bench.event(Event::Source(Some(ip("10.0.9.1"))));
    bench.advert("10.0.10.1", 100);
    assert_eq!(bench.router.state(), State::Backup);
}

/// 6.4.3 says to discard a lower advert; keepalived (and RFC 9568) answer it,
/// and announce the addresses, since hosts may have learned the other.
#[test]
fn section_6_4_3_lower_priority() {
    let mut bench = Bench::master(plain(reference(100)));
    bench.run(millis(400));
    assert_eq!(
        effects(&bench.advert(PEER, 99)),
        "advert 100, garp 10.0.254.253 x5, notify MASTER_RX_LOWER_PRI 100"
    );
    assert_eq!(bench.wait(), Some(millis(1_000)));

    // `lower_prio_no_advert` follows the RFC; the announcements stay.
    let mut settings = plain(reference(100));
    settings.on_lower = OnAdvert::Silent;
    let mut bench = Bench::master(settings);
    bench.run(millis(400));
    assert_eq!(
        effects(&bench.advert(PEER, 99)),
        "garp 10.0.254.253 x5, notify MASTER_RX_LOWER_PRI 100"
    );
    assert_eq!(bench.wait(), Some(millis(600)));
}

/// 7.1: packets for another virtual router, and our own, are not ours to judge.
#[test]
fn section_7_1_foreign_packets() {
    let mut bench = Bench::master(plain(reference(100)));
    let mut foreign = bench.packet(PEER, 200);
    foreign.payload[1] = 61;
    assert_eq!(bench.event(Event::Packet(foreign)), []);
    assert_eq!(bench.advert(OURS, 200), []);
    assert_eq!(bench.router.state(), State::Master);
    assert_eq!(bench.router.counters().advert_received, 0);
}
