//! New settings for a running router.

mod common;

use std::num::NonZeroU8;

use common::{Bench, PEER, actions, effects, ip, log, millis, plain, reference, script};
use vrrp_core::settings::{
    Address, Auth, Instance, Lease, Peer, Preempt, Sense, Transport, Version,
};
use vrrp_core::{Duration, Event, Health, State};

fn changed(bench: &Bench, change: impl FnOnce(&mut Instance)) -> Event {
    let mut settings = bench.router.settings().clone();
    change(&mut settings);
    Event::Reload(Box::new(settings))
}

#[test]
fn equal_settings_change_nothing() {
    let mut bench = Bench::master(reference(100));
    let before = bench.router.clone();
    let event = changed(&bench, |_| {});
    assert_eq!(bench.event(event), []);
    assert_eq!(bench.router, before);
}

#[test]
fn a_lower_priority_moves_the_address_by_election() {
    let mut bench = Bench::master(plain(reference(103)));
    let event = changed(&bench, |settings| {
        settings.priority = NonZeroU8::new(90).unwrap()
    });
    // At once, so that a better backup need not wait for the next advert.
    assert_eq!(effects(&bench.event(event)), "advert 90");
    assert_eq!(bench.router.state(), State::Master);
    assert_eq!(effects(&actions(bench.run(millis(1_000)))), "advert 90");
}

#[test]
fn a_new_priority_moves_a_backups_timer() {
    let mut bench = Bench::started(plain(reference(100)));
    bench.run(millis(1_000));
    let wait = bench.wait().unwrap();
    let event = changed(&bench, |settings| {
        settings.priority = NonZeroU8::new(228).unwrap()
    });
    bench.event(event);
    assert_eq!(bench.wait(), Some(wait - Duration(500_000_000)));
}

#[test]
fn addresses_come_and_go_without_a_move() {
    let mut bench = Bench::master(plain(reference(100)));
    let event = changed(&bench, |settings| {
        settings
            .addresses
            .push(Address::new(ip("10.0.254.1"), 16, "eth0"));
    });
    let added = bench.event(event);
    assert_eq!(
        effects(&added),
        "add 10.0.254.253, add 10.0.254.1, garp 10.0.254.1 x5"
    );
    let event = changed(&bench, |settings| {
        settings.addresses.pop();
    });
    let removed = bench.event(event);
    assert_eq!(effects(&removed), "remove 10.0.254.1");
    assert_eq!(
        log(&removed),
        ["(V) ip address 10.0.254.1/16 dev eth0, no longer exist"]
    );
    assert_eq!(bench.router.state(), State::Master);
    // From now on only adverts with the new list are accepted, and sent.
    bench.advert(PEER, 200);
    assert_eq!(bench.router.state(), State::Backup);

    // A backup has nothing set.
    let event = changed(&bench, |settings| settings.addresses.clear());
    assert_eq!(bench.event(event), []);
}

#[test]
fn the_lease_can_be_switched() {
    let mut bench = Bench::master(plain(reference(100)));
    let event = changed(&bench, |settings| settings.lease = Lease::Auto);
    assert_eq!(effects(&bench.event(event)), "add 10.0.254.253 for 3");
    let event = changed(&bench, |settings| settings.lease = Lease::Off);
    assert_eq!(effects(&bench.event(event)), "add 10.0.254.253");
    assert_eq!(effects(&actions(bench.run(millis(1_000)))), "advert 100");
}

#[test]
fn intervals_take_effect_at_once() {
    let mut slow = plain(reference(100));
    slow.advert_interval = Duration::from_secs(60);
    let mut bench = Bench::started(slow.clone());
    let event = changed(&bench, |settings| {
        settings.advert_interval = Duration::from_secs(1)
    });
    bench.event(event);
    assert_eq!(bench.wait(), Some(Duration(3_609_375_000)));

    let mut bench = Bench::master(slow);
    bench.run(Duration::from_secs(10));
    let event = changed(&bench, |settings| {
        settings.advert_interval = Duration::from_secs(1)
    });
    bench.event(event);
    assert_eq!(bench.wait(), Some(Duration::from_secs(1)));
}

#[test]
fn judgements_follow_their_script_by_name() {
    let mut settings = plain(reference(100));
    settings.scripts = vec![
        script("a", 10, Sense::Normal),
        script("b", 20, Sense::Normal),
    ];
    let mut bench = Bench::started(settings);
    bench.judged(0, Health::Up);
    bench.judged(1, Health::Up);
    assert_eq!(bench.router.effective_priority(), 130);
    let event = changed(&bench, |settings| {
        settings.scripts.remove(0);
        settings.scripts.push(script("c", 40, Sense::Normal));
    });
    bench.event(event);
    assert_eq!(bench.router.effective_priority(), 120);
    bench.judged(1, Health::Up);
    assert_eq!(bench.router.effective_priority(), 160);
}

#[test]
fn a_new_unweighted_script_does_not_stop_a_running_router() {
    let mut bench = Bench::master(plain(reference(100)));
    let event = changed(&bench, |settings| {
        settings.scripts.push(script("chk", 0, Sense::Normal));
    });
    assert_eq!(bench.event(event), []);
    assert_eq!(bench.router.state(), State::Master);
    bench.judged(0, Health::Down);
    assert_eq!(bench.router.state(), State::Fault);
    // Nobody tracks it any more: the fault is over.
    let event = changed(&bench, |settings| settings.scripts.clear());
    bench.event(event);
    assert_eq!(bench.router.state(), State::Backup);
}

#[test]
fn a_weight_that_becomes_zero_makes_a_failed_script_a_fault() {
    let mut settings = plain(reference(100));
    settings.scripts = vec![script("chk", -10, Sense::Normal)];
    let mut bench = Bench::master(settings);
    bench.judged(0, Health::Down);
    let event = changed(&bench, |settings| settings.scripts[0].weight = 0);
    bench.event(event);
    assert_eq!(bench.router.state(), State::Fault);
    assert_eq!(bench.router.effective_priority(), 100);
}

#[test]
fn another_vrid_is_another_router() {
    let mut bench = Bench::master(plain(reference(100)));
    let event = changed(&bench, |settings| {
        settings.vrid = NonZeroU8::new(61).unwrap()
    });
    let reloaded = bench.event(event);
    assert_eq!(
        log(&reloaded),
        [
            "(V) sent 0 priority",
            "(V) removing VIPs.",
            "(V) removing VIPs.",
            "(V) Entering BACKUP STATE (init)"
        ]
    );
    assert_eq!(bench.router.state(), State::Backup);
}

#[test]
fn peers_may_come_and_go() {
    let mut bench = Bench::master(plain(reference(100)));
    let event = changed(&bench, |settings| {
        if let Transport::Unicast { peers, .. } = &mut settings.transport {
            peers.push(Peer::new(ip("10.0.254.77")));
        }
    });
    assert_eq!(bench.event(event), []);
    assert_eq!(bench.router.state(), State::Master);
}

#[test]
fn preempt_delay() {
    let mut settings = plain(reference(200));
    settings.preempt = Preempt::After(Duration::from_secs(2));
    let mut bench = Bench::started(settings);
    // The first lower advert starts it; until it ends they restart the timer.
    let lines = log(&bench.advert(PEER, 50));
    assert_eq!(lines, ["(V) start preempt delay (2.000000)"]);
    bench.run(millis(1_000));
    assert_eq!(log(&bench.advert(PEER, 50)), [""; 0]);
    assert_eq!(bench.wait(), Some(Duration(3_218_750_000)));
    bench.run(millis(1_000));
    let words = "(V) received lower priority (50) advert from 10.0.254.251 - discarding";
    assert_eq!(log(&bench.advert(PEER, 50)), [words]);
    bench.run(Duration(2_218_750_000));
    assert_eq!(bench.router.state(), State::Master);

    // A better advert ends it, and the next lower one starts it again.
    let mut bench = Bench::started(bench.router.settings().clone());
    bench.advert(PEER, 50);
    assert_eq!(log(&bench.advert(PEER, 201)), ["(V) stop preempt delay"]);
    let lines = log(&bench.advert(PEER, 50));
    assert_eq!(lines, ["(V) start preempt delay (2.000000)"]);
    // It is no protection for a master that is gone.
    bench.advert(PEER, 0);
    bench.run(millis(300));
    assert_eq!(bench.router.state(), State::Master);
}

/// What a predecessor left behind may be set on the master.
#[test]
fn an_address_that_is_new_to_a_backup_is_removed() {
    let mut bench = Bench::started(plain(reference(100)));
    let event = changed(&bench, |settings| {
        let second = Address::new(ip("10.0.254.254"), 16, "eth0");
        settings.addresses.push(second);
    });
    assert_eq!(effects(&bench.event(event)), "remove 10.0.254.254");
}

/// Version 3: a backup goes on waiting as its master speaks; what it would do
/// as master does not matter to it (RFC 5798, 6.1).
#[test]
fn a_backup_of_version_3_keeps_its_masters_interval() {
    let mut settings = plain(reference(100));
    settings.version = Version::V3;
    settings.auth = Auth::None;
    let mut bench = Bench::started(settings.clone());
    bench.advert(PEER, 150);
    let mut faster = settings.clone();
    faster.advert_interval = millis(100);
    bench.event(Event::Reload(Box::new(faster.clone())));
    assert_eq!(bench.wait(), Some(settings.master_down(100)));
    // The master goes on speaking once a second.
    for _ in 0..5 {
        bench.run(millis(1_000));
        let mut packet = Bench::new(settings.clone()).packet(PEER, 150);
        packet.source = ip(PEER);
        bench.event(Event::Packet(packet));
        assert_eq!(bench.router.state(), State::Backup);
        assert_eq!(bench.wait(), Some(settings.master_down(100)));
    }
    // What a former master said ends with a fault.
    bench.event(Event::LinkDown);
    bench.event(Event::LinkUp);
    assert_eq!(bench.wait(), Some(faster.master_down(100)));
}
