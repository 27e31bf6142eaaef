//! Announcements, leases, and addresses that others remove.

#![expect(clippy::unwrap_used, reason = "a helper that breaks fails its test")]

mod common;

use common::{Bench, PEER, VIP, actions, effects, ip, log, millis, plain, reference};
use vrrp_core::settings::{Address, Instance, Lease};
use vrrp_core::{Action, Duration, Event, State, Time};

fn two_addresses() -> Instance {
    let mut settings = plain(reference(100));
    settings
        .addresses
        .push(Address::new(ip("10.0.254.254"), 16, "eth0"));
    settings
        .excluded
        .push(Address::new(ip("192.0.2.1"), 24, "eth1"));
    settings
}

/// Seconds after `start` at which announcements went out, each once.
fn bursts(start: Time, seen: &[(Time, Action)]) -> Vec<(u64, usize)> {
    let mut bursts: Vec<(u64, usize)> = Vec::new();
    for (time, action) in seen {
        if matches!(action, Action::SendGarp { .. }) {
            let at = time.since(start).as_nanos() / 1_000_000;
            match bursts.last_mut() {
                Some((last, count)) if *last == at => *count += 1,
                _ => bursts.push((at, 1)),
            }
        }
    }
    bursts
}

/// Runs a backup until one Master_Down and `after` more have passed; what was
/// seen, and when it became master.
fn take_over(settings: Instance, after: Duration) -> (Time, Vec<(Time, Action)>) {
    let mut bench = Bench::started(settings);
    let wait = bench.wait().unwrap();
    let start = bench.now + wait;
    (start, bench.run(wait + after))
}

#[test]
fn five_at_once_and_five_after_five_seconds() {
    let (start, seen) = take_over(plain(reference(100)), Duration::from_secs(60));
    assert_eq!(bursts(start, &seen), [(0, 5), (5_000, 5)]);
}

#[test]
fn addresses_are_announced_in_turn_excluded_ones_too() {
    let (start, seen) = take_over(two_addresses(), Duration::ZERO);
    assert_eq!(bursts(start, &seen), [(0, 15)]);
    let order: Vec<String> = seen
        .iter()
        .filter_map(|(_, action)| match action {
            Action::SendGarp { address, interface } => Some(format!("{address} {interface}")),
            _ => None,
        })
        .take(4)
        .collect();
    let expected = [
        "10.0.254.253 eth0",
        "10.0.254.254 eth0",
        "192.0.2.1 eth1",
        "10.0.254.253 eth0",
    ];
    assert_eq!(order, expected);
    // Only the first two are in the advert.
    let advertised = seen.iter().find_map(|(_, action)| match action {
        Action::SendAdvert(advert) => Some(advert.addresses.len()),
        _ => None,
    });
    assert_eq!(advertised, Some(2));
}

#[test]
fn burst_settings_are_obeyed() {
    let mut settings = plain(reference(100));
    settings.garp.repeat = 2;
    settings.garp.delay = Duration::from_secs(1);
    let (start, seen) = take_over(settings.clone(), Duration::from_secs(10));
    assert_eq!(bursts(start, &seen), [(0, 2), (1_000, 2)]);
    settings.garp.delay = Duration::ZERO;
    let (start, seen) = take_over(settings, Duration::from_secs(10));
    assert_eq!(bursts(start, &seen), [(0, 2)]);
}

#[test]
fn refresh_comes_with_adverts() {
    let mut settings = plain(reference(100));
    settings.garp.delay = Duration::from_secs(1);
    settings.garp.repeat = 2;
    settings.garp.refresh = Duration::from_millis(1_500);
    settings.garp.refresh_repeat = 3;
    let (start, seen) = take_over(settings, millis(6_500));
    assert_eq!(
        bursts(start, &seen),
        [(0, 2), (1_000, 2), (2_000, 3), (4_000, 3), (6_000, 3)]
    );
}

#[test]
fn announcements_are_paced_when_told_so() {
    let mut settings = two_addresses();
    settings.garp.repeat = 2;
    settings.garp.delay = Duration::ZERO;
    settings.garp.interval = millis(10);
    let (start, seen) = take_over(settings, millis(500));
    let expected: Vec<_> = (0..6).map(|turn| (turn * 10, 1)).collect();
    assert_eq!(bursts(start, &seen), expected);
}

#[test]
fn pacing_ends_with_mastership() {
    let mut settings = plain(reference(100));
    settings.garp.interval = millis(10);
    let mut bench = Bench::master(settings);
    bench.advert(PEER, 200);
    assert_eq!(bursts(bench.now, &bench.run(millis(500))), []);
}

/// By default one announcement every five seconds, once both bursts are over.
#[test]
fn a_master_reasserts_itself() {
    let mut settings = reference(100);
    settings.lease = Lease::Off;
    let (start, seen) = take_over(settings, Duration::from_secs(20));
    assert_eq!(
        bursts(start, &seen),
        [(0, 5), (5_000, 5), (10_000, 1), (15_000, 1), (20_000, 1)]
    );
    // Silent, unlike a burst.
    let late: Vec<Action> = seen
        .into_iter()
        .filter(|(time, _)| time.since(start) > Duration::from_secs(9))
        .map(|(_, action)| action)
        .filter(|action| matches!(action, Action::Log(_)))
        .collect();
    assert_eq!(late, []);
}

#[test]
fn a_lower_advert_brings_two_bursts() {
    let mut bench = Bench::master(plain(reference(100)));
    bench.run(Duration::from_secs(6));
    let start = bench.now;
    assert_eq!(
        effects(&bench.advert(PEER, 50)),
        "advert 100, garp 10.0.254.253 x5, notify MASTER_RX_LOWER_PRI 100"
    );
    assert_eq!(
        bursts(start, &bench.run(Duration::from_secs(20))),
        [(5_000, 5)]
    );

    let mut settings = plain(reference(100));
    settings.garp.lower_repeat = 1;
    settings.garp.lower_delay = Duration::from_secs(2);
    let mut bench = Bench::master(settings.clone());
    bench.run(Duration::from_secs(6));
    let start = bench.now;
    assert!(effects(&bench.advert(PEER, 50)).contains("garp 10.0.254.253, "));
    assert_eq!(
        bursts(start, &bench.run(Duration::from_secs(20))),
        [(2_000, 1)]
    );

    settings.garp.lower_repeat = 0;
    let mut bench = Bench::master(settings);
    assert!(!effects(&bench.advert(PEER, 50)).contains("garp"));
}

#[test]
fn a_flood_of_lower_adverts_is_no_amplifier() {
    let mut bench = Bench::master(plain(reference(100)));
    let mut answers = 0;
    for _ in 0..1_000 {
        answers += usize::from(effects(&bench.advert(PEER, 50)).contains("advert"));
        bench.run(millis(1));
    }
    assert_eq!(answers, 10);
}

#[test]
fn the_loser_of_a_healed_split_lets_the_winner_know() {
    // The loser hears first: its last advert makes the winner announce.
    let mut loser = Bench::master(plain(reference(100)));
    let mut winner = Bench::master(plain(reference(103)));
    let yielded = effects(&loser.advert(PEER, 103));
    assert_eq!(
        yielded,
        "advert 100, remove 10.0.254.253, notify BACKUP 100"
    );
    assert!(effects(&winner.advert(PEER, 100)).contains("garp 10.0.254.253 x5"));
}

#[test]
fn addresses_are_leased_and_refreshed_with_each_advert() {
    let mut settings = reference(100);
    settings.garp.reassert = Duration::ZERO;
    let mut bench = Bench::started(settings.clone());
    let took_over = actions(bench.run(millis(3_610)));
    assert!(effects(&took_over).contains("add 10.0.254.253 for 3, garp"));
    // The refresh comes first: what is advertised must be there.
    assert_eq!(
        effects(&actions(bench.run(millis(1_000)))),
        "refresh 10.0.254.253 for 3, advert 100"
    );
    assert_eq!(
        effects(&bench.advert(PEER, 50)),
        "refresh 10.0.254.253 for 3, advert 100, garp 10.0.254.253 x5, \
         notify MASTER_RX_LOWER_PRI 100"
    );

    // A shorter lease is refreshed between adverts as well.
    settings.lease = Lease::Seconds(2);
    let mut bench = Bench::master(settings);
    assert_eq!(
        effects(&actions(bench.run(millis(1_000)))),
        "refresh 10.0.254.253 for 2 x2, advert 100"
    );
}

#[test]
fn without_a_lease_addresses_are_set_for_good() {
    let mut bench = Bench::started(plain(reference(100)));
    assert!(effects(&actions(bench.run(millis(3_610)))).contains("add 10.0.254.253, garp"));
    assert_eq!(effects(&actions(bench.run(millis(1_000)))), "advert 100");
}

/// keepalived gives up for one skew when somebody removes its address.
#[test]
fn an_address_removed_by_somebody_else() {
    let mut bench = Bench::master(plain(two_addresses()));
    let removed = bench.event(Event::AddressRemoved(ip(VIP)));
    assert_eq!(
        log(&removed),
        [
            "Netlink reflector reports IP 10.0.254.253 removed from eth0",
            "(V) Entering BACKUP STATE",
            "(V) sent 0 priority",
            "(V) removing VIPs.",
            "(V) removing E-VIPs."
        ]
    );
    assert_eq!(bench.wait(), Some(Duration(609_375_000)));

    let mut untracked = plain(reference(100));
    untracked.addresses[0].flags.no_track = true;
    let mut bench = Bench::master(untracked);
    assert_eq!(bench.event(Event::AddressRemoved(ip(VIP))), []);
    assert_eq!(bench.router.state(), State::Master);
}

/// SIGSTOP, a suspended machine: the lease ran out meanwhile.
mod after_a_pause {
    use super::*;

    fn paused(settings: Instance, pause: Duration) -> Bench {
        let mut bench = Bench::master(settings);
        bench.run(Duration::from_secs(20));
        bench.sleep(pause);
        bench
    }

    #[test]
    fn a_master_that_finds_a_better_one_yields_without_touching_anything() {
        // Timer first or packet first, it makes no difference.
        for timer_first in [true, false] {
            let mut bench = paused(reference(100), Duration::from_secs(30));
            if timer_first {
                assert_eq!(effects(&bench.event(Event::Timer)), "");
                assert_eq!(bench.wait(), Some(millis(20)));
            }
            let yielded = effects(&bench.advert(PEER, 101));
            assert_eq!(
                yielded,
                "advert 100, remove 10.0.254.253, notify BACKUP 100"
            );
            assert_eq!(bench.router.state(), State::Backup);
        }
    }

    #[test]
    fn a_master_that_finds_a_lower_one_takes_everything_back() {
        for timer_first in [true, false] {
            let mut bench = paused(reference(100), Duration::from_secs(30));
            if timer_first {
                bench.event(Event::Timer);
            }
            assert_eq!(
                effects(&bench.advert(PEER, 99)),
                "advert 100, add 10.0.254.253 for 3, garp 10.0.254.253 x5, \
                 notify MASTER_RX_LOWER_PRI 100"
            );
            // Its other adverts waited in the same socket.
            assert_eq!(effects(&bench.advert(PEER, 99)), "");
            assert_eq!(bench.wait(), Some(millis(1_000)));
        }
    }

    #[test]
    fn a_master_that_hears_nobody_listens_first() {
        let mut bench = paused(reference(100), Duration::from_secs(30));
        let woken = bench.event(Event::Timer);
        assert_eq!(
            log(&woken)[0],
            "A thread timer expired 29.000000 seconds ago"
        );
        assert_eq!(effects(&woken), "");
        // The kernel's own message about the expired address changes nothing.
        assert_eq!(effects(&bench.event(Event::AddressRemoved(ip(VIP)))), "");
        assert_eq!(
            effects(&actions(bench.run(millis(20)))),
            "advert 100, add 10.0.254.253 for 3, garp 10.0.254.253 x5"
        );
        assert_eq!(bench.router.state(), State::Master);
    }

    #[test]
    fn the_kernels_message_may_come_first() {
        let mut bench = paused(reference(100), millis(3_200));
        assert_eq!(effects(&bench.event(Event::AddressRemoved(ip(VIP)))), "");
        assert_eq!(bench.router.state(), State::Master);
        assert_eq!(bench.wait(), Some(millis(20)));
    }

    #[test]
    fn a_short_pause_is_no_more_than_a_late_advert() {
        let mut bench = paused(reference(100), millis(2_000));
        assert!(effects(&bench.event(Event::Timer)).contains("advert 100"));
    }

    #[test]
    fn without_a_lease_a_master_listens_first_as_well() {
        let mut bench = paused(plain(reference(100)), Duration::from_secs(30));
        assert_eq!(effects(&bench.event(Event::Timer)), "");
        assert_eq!(bench.wait(), Some(millis(20)));
    }

    #[test]
    fn a_backup_listens_again() {
        let mut bench = Bench::started(reference(100));
        bench.advert(PEER, 200);
        bench.sleep(Duration::from_secs(30));
        assert_eq!(effects(&bench.event(Event::Timer)), "");
        assert_eq!(bench.router.state(), State::Backup);
        assert_eq!(bench.wait(), Some(Duration(3_609_375_000)));
        // A little late is on time.
        bench.sleep(millis(4_000));
        assert!(effects(&bench.event(Event::Timer)).starts_with("advert 100"));
    }
}
