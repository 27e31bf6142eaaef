//! The receive matrix: what each kind of advert does in each state, over
//! version 2, version 3 and IPv6, to a group and to peers. Words and verdicts
//! are those of keepalived 2.2.7 with injected adverts.

#![expect(clippy::unwrap_used, reason = "a helper that breaks fails its test")]

mod common;
#[path = "matrix/wire.rs"]
mod wire;

use common::{Bench, effects, log, millis};
use vrrp_core::settings::{
    AddressCheck, Auth, Checksum, Initial, Instance, OldChecksum, OnAdvert, Preempt, SourceCheck,
    Transport, Version,
};
use vrrp_core::{Duration, Event, State};
use vrrp_proto::Datagram;
use vrrp_proto::vrrp::{Advert, Interval};
use wire::{From, WIRES, Wire, is_accepted, is_dropped, reaction};

/// A backup of each wire that hears `packet` 0.9 s after it began to wait: the
/// log, and how long it waits from then on.
fn backup_hears(
    wire: Wire,
    settings: &Instance,
    from: From,
    advert: &Advert,
) -> (Vec<String>, Duration) {
    let mut bench = wire.router_in(State::Backup, settings.clone());
    bench.sleep(millis(890));
    let actions = bench.event(Event::Packet(wire.packet(from, advert)));
    assert_eq!(effects(&actions), "", "{wire:?}");
    assert_eq!(bench.router.state(), State::Backup, "{wire:?}");
    (log(&actions), bench.wait().unwrap())
}

/// Neither who is not started nor who is at fault reacts to an advert.
#[test]
fn init_and_fault_hear_nothing() {
    for wire in WIRES {
        for state in [State::Init, State::Fault] {
            for (from, priority) in [
                (From::Below, 1),
                (From::Above, 100),
                (From::Above, 255),
                (From::Below, 0),
            ] {
                let packet = wire.packet(from, &wire.advert(priority));
                let done = reaction(wire, &wire.settings(), state, &packet);
                assert_eq!(done, (state, Vec::new()), "{wire:?} {priority}");
            }
        }
    }
}

#[test]
fn lower_priority_as_backup_lets_the_timer_run_on() {
    for wire in WIRES {
        let settings = wire.settings();
        let (lines, wait) = backup_hears(wire, &settings, From::Above, &wire.advert(99));
        let source = wire.address(From::Above);
        assert_eq!(
            lines,
            [format!(
                "(V) received lower priority (99) advert from {source} - discarding"
            )]
        );
        assert_eq!(wait + millis(900), settings.master_down(100), "{wire:?}");
    }
}

#[test]
fn lower_priority_as_backup_with_nopreempt_is_followed() {
    for wire in WIRES {
        let mut settings = wire.settings();
        settings.preempt = Preempt::No;
        let (lines, wait) = backup_hears(wire, &settings, From::Below, &wire.advert(1));
        assert_eq!(lines, [""; 0]);
        assert_eq!(wait, settings.master_down(100), "{wire:?}");
    }
}

#[test]
fn lower_priority_as_backup_is_followed_while_preempt_delay_runs() {
    for wire in WIRES {
        let mut settings = wire.settings();
        settings.preempt = Preempt::After(Duration::from_secs(5));
        let mut bench = wire.router_in(State::Backup, settings.clone());
        let lower = wire.packet(From::Below, &wire.advert(99));
        let lines = log(&bench.event(Event::Packet(lower.clone())));
        assert_eq!(lines, ["(V) start preempt delay (5.000000)"]);
        for _ in 0..4 {
            bench.run(millis(1_000));
            assert_eq!(bench.event(Event::Packet(lower.clone())), []);
            assert_eq!(bench.wait(), Some(settings.master_down(100)), "{wire:?}");
        }
        // The delay is over; Master_Down runs from the last one followed.
        bench.run(millis(1_000));
        let lines = log(&bench.event(Event::Packet(lower)));
        assert!(lines[0].contains("discarding"), "{wire:?}: {lines:?}");
        bench.run(settings.master_down(100));
        assert_eq!(bench.router.state(), State::Master, "{wire:?}");
    }
}

#[test]
fn lower_priority_as_master_is_answered() {
    for wire in WIRES {
        let packet = wire.packet(From::Above, &wire.advert(99));
        let (state, actions) = reaction(wire, &wire.settings(), State::Master, &packet);
        let (one, two) = (wire.vip(1), wire.vip(2));
        let round = format!("garp {one}, garp {two}, ");
        assert_eq!(state, State::Master);
        assert_eq!(
            effects(&actions),
            format!(
                "advert 100, {}notify MASTER_RX_LOWER_PRI 100",
                round.repeat(5)
            ),
            "{wire:?}"
        );
        assert_eq!(
            log(&actions)[0],
            format!(
                "(V) Received advert from {} with lower priority 99, ours 100, forcing new election",
                packet.source
            )
        );
    }
}

#[test]
fn lower_prio_no_advert_leaves_out_the_advert_only() {
    for wire in WIRES {
        let mut settings = wire.settings();
        settings.on_lower = OnAdvert::Silent;
        let packet = wire.packet(From::Above, &wire.advert(99));
        let (state, actions) = reaction(wire, &settings, State::Master, &packet);
        assert_eq!(state, State::Master);
        let done = effects(&actions);
        assert!(!done.contains("advert"), "{wire:?}: {done}");
        assert!(done.contains("notify MASTER_RX_LOWER_PRI 100"), "{wire:?}");
        assert!(log(&actions)[0].ends_with("with lower priority 99, ours 100"));
    }
}

#[test]
fn equal_priority_as_backup_is_followed_from_any_address() {
    for wire in WIRES {
        for from in [From::Below, From::Above] {
            let settings = wire.settings();
            let (lines, wait) = backup_hears(wire, &settings, from, &wire.advert(100));
            assert_eq!(lines, [""; 0]);
            assert_eq!(wait, settings.master_down(100), "{wire:?}");
        }
    }
}

#[test]
fn equal_priority_as_master_goes_by_the_address() {
    for wire in WIRES {
        let settings = wire.settings();
        let below = wire.packet(From::Below, &wire.advert(100));
        let (state, actions) = reaction(wire, &settings, State::Master, &below);
        assert_eq!(state, State::Master, "{wire:?}");
        assert!(effects(&actions).starts_with("advert 100, garp"));

        let above = wire.packet(From::Above, &wire.advert(100));
        let (state, actions) = reaction(wire, &settings, State::Master, &above);
        assert_eq!(state, State::Backup, "{wire:?}");
        let lines = log(&actions);
        assert_eq!(
            lines[0],
            format!(
                "(V) Master received advert from {} with same priority 100 but higher IP address \
                 than ours",
                above.source
            )
        );
        assert_eq!(lines[1], "(V) Entering BACKUP STATE");
    }
}

#[test]
fn higher_priority_as_backup_is_followed() {
    for wire in WIRES {
        for priority in [101, 254, 255] {
            let settings = wire.settings();
            let (lines, wait) = backup_hears(wire, &settings, From::Below, &wire.advert(priority));
            assert_eq!(lines, [""; 0]);
            assert_eq!(wait, settings.master_down(100), "{wire:?}");
        }
    }
}

#[test]
fn higher_priority_as_master_makes_it_yield_without_priority_zero() {
    for wire in WIRES {
        let packet = wire.packet(From::Below, &wire.advert(101));
        // keepalived's own default first, then higher_prio_send_advert.
        for (answer, first) in [
            (OnAdvert::Silent, ""),
            (OnAdvert::Advertise, "advert 100, "),
        ] {
            let mut settings = wire.settings();
            settings.on_higher = answer;
            let mut bench = wire.router_in(State::Master, settings.clone());
            let actions = bench.event(Event::Packet(packet.clone()));
            let (one, two) = (wire.vip(1), wire.vip(2));
            assert_eq!(
                effects(&actions),
                format!("{first}remove {one}, remove {two}, notify BACKUP 100"),
                "{wire:?}"
            );
            assert_eq!(
                log(&actions),
                [
                    format!(
                        "(V) Master received advert from {} with higher priority 101, ours 100",
                        packet.source
                    ),
                    "(V) Entering BACKUP STATE".to_owned(),
                    "(V) removing VIPs.".to_owned(),
                ]
            );
            assert_eq!(bench.wait(), Some(settings.master_down(100)), "{wire:?}");
        }
    }
}

#[test]
fn priority_zero_as_backup_leaves_the_skew() {
    for wire in WIRES {
        let settings = wire.settings();
        let mut bench = wire.router_in(State::Backup, settings.clone());
        let zero = wire.packet(From::Above, &wire.advert(0));
        // A master at fault says it twice.
        for _ in 0..2 {
            let lines = log(&bench.event(Event::Packet(zero.clone())));
            assert_eq!(lines, ["(V) Backup received priority 0 advertisement"]);
            assert_eq!(bench.wait(), Some(settings.skew(100)), "{wire:?}");
            bench.sleep(millis(1));
        }
        bench.run(settings.skew(100));
        assert_eq!(bench.router.state(), State::Master, "{wire:?}");
        assert_eq!(bench.router.counters().priority_zero_received, 2);
    }
}

#[test]
fn priority_zero_as_master_brings_an_advert() {
    for wire in WIRES {
        let zero = wire.packet(From::Above, &wire.advert(0));
        let (state, actions) = reaction(wire, &wire.settings(), State::Master, &zero);
        assert_eq!(state, State::Master);
        assert_eq!(effects(&actions), "advert 100", "{wire:?}");
        assert_eq!(log(&actions), ["(V) Master received priority 0 message"]);
    }
}

#[test]
fn the_owner_meets_another_owner() {
    for wire in WIRES {
        let mut settings = wire.settings();
        settings.priority = std::num::NonZeroU8::MAX;
        settings.initial = Initial::Master;
        let mut bench = Bench::started(settings);
        assert_eq!(bench.router.state(), State::Master, "{wire:?}");
        let lines = log(&bench.event(Event::Packet(wire.packet(From::Below, &wire.advert(255)))));
        assert!(lines[0].starts_with("(V) CONFIGURATION ERROR"), "{lines:?}");
        assert_eq!(bench.router.effective_priority(), 254);
        assert_eq!(bench.router.state(), State::Backup, "{wire:?}");
    }
}

#[test]
fn another_interval_is_dropped_in_version_2() {
    for wire in [Wire::V2Multicast, Wire::V2Unicast] {
        let mut advert = wire.advert(200);
        advert.interval = Interval::Seconds(2);
        is_dropped(
            wire,
            &wire.settings(),
            &wire.packet(From::Above, &advert),
            Some("(V) advertisement interval mismatch mine=1 sec rcv'd=2 sec"),
        );
    }
}

#[test]
fn another_interval_is_adopted_in_version_3() {
    for wire in WIRES {
        if wire.version() == Version::V2 {
            continue;
        }
        let settings = wire.settings();
        let mut advert = wire.advert(150);
        advert.interval = Interval::Centiseconds(250);
        let (lines, wait) = backup_hears(wire, &settings, From::Above, &advert);
        assert_eq!(
            lines,
            ["(V) advertisement interval updated from 1000ms to 2500ms by master"]
        );
        // 3 * 2.5 s + 156 / 256 * 2.5 s
        assert_eq!(wait, Duration(9_023_437_500), "{wire:?}");

        // A master that yields waits for the better one as that one speaks.
        let mut bench = wire.router_in(State::Master, settings.clone());
        bench.event(Event::Packet(wire.packet(From::Above, &advert)));
        assert_eq!(bench.wait(), Some(Duration(9_023_437_500)), "{wire:?}");
        // Priority 0: its skew, not ours.
        let zero = Advert {
            priority: 0,
            ..advert.clone()
        };
        bench.event(Event::Packet(wire.packet(From::Above, &zero)));
        assert_eq!(bench.wait(), Some(Duration(1_523_437_500)), "{wire:?}");
        // Master again: our own interval counts.
        let taken = common::actions(bench.run(millis(1_600)));
        assert!(effects(&taken).starts_with("advert 100"));
        bench.run(millis(6_000));
        assert_eq!(bench.router.settings().advert_interval, millis(1_000));
        let yielded = wire.packet(From::Above, &wire.advert(150));
        bench.event(Event::Packet(yielded));
        assert_eq!(bench.wait(), Some(settings.master_down(100)), "{wire:?}");

        // Of a lower one nothing is adopted.
        let lower = Advert {
            priority: 50,
            ..advert
        };
        let (lines, _) = backup_hears(wire, &settings, From::Above, &lower);
        assert!(!lines.iter().any(|line| line.contains("updated")));
    }
}

/// After keepalived hears one it takes over at once.
#[test]
fn an_interval_of_zero_is_dropped_in_version_3() {
    for wire in WIRES {
        if wire.version() == Version::V3 {
            let mut advert = wire.advert(200);
            advert.interval = Interval::Centiseconds(0);
            is_dropped(
                wire,
                &wire.settings(),
                &wire.packet(From::Above, &advert),
                Some("(V) received an advertisement interval of 0"),
            );
        }
    }
}

#[test]
fn reserved_bits_mean_nothing_in_version_3() {
    for wire in WIRES {
        if wire.version() == Version::V3 {
            let packet = wire.altered(From::Above, &wire.advert(150), |bytes| bytes[4] |= 0xf0);
            is_accepted(wire, &wire.settings(), &packet);
        }
    }
}

#[test]
fn down_timer_adverts_is_the_multiplier() {
    for wire in WIRES {
        for (adverts, expected) in [
            (1, 1_609_375_000),
            (3, 3_609_375_000),
            (100, 100_609_375_000),
        ] {
            let mut settings = wire.settings();
            settings.down_timer_adverts = adverts;
            let (_, wait) = backup_hears(wire, &settings, From::Above, &wire.advert(100));
            assert_eq!(wait, Duration(expected), "{wire:?}");
        }
    }
}

#[test]
fn the_skew_of_version_3_is_a_part_of_the_masters_interval() {
    for wire in WIRES {
        if wire.version() == Version::V3 {
            let mut settings = wire.settings();
            settings.advert_interval = millis(10);
            let mut advert = wire.advert(200);
            advert.interval = Interval::Centiseconds(1);
            let (_, wait) = backup_hears_within(wire, &settings, &advert);
            assert_eq!(
                wait,
                Duration(30_000_000 + 10_000_000 * 156 / 256),
                "{wire:?}"
            );
        }
    }
}

fn backup_hears_within(
    wire: Wire,
    settings: &Instance,
    advert: &Advert,
) -> (Vec<String>, Duration) {
    let mut bench = Bench::started(settings.clone());
    bench.sleep(millis(20));
    let actions = bench.event(Event::Packet(wire.packet(From::Above, advert)));
    (log(&actions), bench.wait().unwrap())
}

#[test]
fn another_number_of_addresses_is_dropped() {
    for wire in WIRES {
        for (numbers, count) in [(vec![1], 1), (vec![1, 2, 3], 3), (vec![], 0)] {
            let mut advert = wire.advert(200);
            advert.addresses = numbers.into_iter().map(|number| wire.vip(number)).collect();
            let words = format!("(V) received an unexpected ip number count {count}, expected 2!");
            let packet = wire.packet(From::Above, &advert);
            is_dropped(wire, &wire.settings(), &packet, Some(&words));
        }
    }
}

#[test]
fn another_address_is_dropped() {
    for wire in WIRES {
        let mut advert = wire.advert(200);
        advert.addresses = vec![wire.vip(1), wire.vip(9)];
        let words = format!(
            "(V) ip address associated with VRID 60 not present in MASTER advert: {}",
            wire.vip(2)
        );
        let packet = wire.packet(From::Above, &advert);
        is_dropped(wire, &wire.settings(), &packet, Some(&words));
    }
}

#[test]
fn the_order_of_addresses_means_nothing() {
    for wire in WIRES {
        let mut advert = wire.advert(200);
        advert.addresses.reverse();
        is_accepted(wire, &wire.settings(), &wire.packet(From::Above, &advert));
    }
}

#[test]
fn skip_check_adv_addr_trusts_the_master_it_has() {
    for wire in WIRES {
        let mut settings = wire.settings();
        settings.address_check = AddressCheck::SkipSameMaster;
        let mut other = wire.advert(200);
        other.addresses = vec![wire.vip(8), wire.vip(9)];
        let other = wire.packet(From::Above, &other);
        let mut bench = wire.router_in(State::Backup, settings);
        bench.event(Event::Packet(other.clone()));
        assert_eq!(bench.router.counters().address_list_errors, 1, "{wire:?}");
        bench.event(Event::Packet(wire.packet(From::Above, &wire.advert(200))));
        assert_eq!(bench.event(Event::Packet(other)), [], "{wire:?}");
        assert_eq!(bench.router.counters().address_list_errors, 1, "{wire:?}");
        assert_eq!(bench.router.counters().advert_received, 2, "{wire:?}");
    }
}

fn checking(wire: Wire, min_ttl: u8, max_ttl: u8) -> Instance {
    let mut settings = wire.settings();
    if let Transport::Unicast {
        peers,
        source_check,
        ..
    } = &mut settings.transport
    {
        *source_check = SourceCheck::PeersOnly;
        peers.remove(0);
        for peer in peers {
            (peer.min_ttl, peer.max_ttl) = (min_ttl, max_ttl);
        }
    }
    settings
}

#[test]
fn check_unicast_src_takes_peers_only() {
    for wire in WIRES.into_iter().filter(|wire| wire.is_unicast()) {
        let stranger = wire.packet(From::Below, &wire.advert(200));
        is_accepted(wire, &wire.settings(), &stranger);
        let settings = checking(wire, 0, 255);
        let words = format!(
            "(V) unicast source address {} not a unicast peer",
            stranger.source
        );
        is_dropped(wire, &settings, &stranger, Some(&words));
        let peer = wire.packet(From::Above, &wire.advert(200));
        is_accepted(wire, &settings, &peer);
    }
}

#[test]
fn time_to_live_of_peers_has_their_limits() {
    for wire in WIRES.into_iter().filter(|wire| wire.is_unicast()) {
        let with = |ttl| Datagram {
            ttl,
            ..wire.packet(From::Above, &wire.advert(200))
        };
        // Without limits anything goes.
        for ttl in [1, 254, 255] {
            is_accepted(wire, &wire.settings(), &with(ttl));
        }
        let settings = checking(wire, 250, 254);
        for ttl in [250, 254] {
            is_accepted(wire, &settings, &with(ttl));
        }
        for ttl in [1, 249, 255] {
            let words = format!("(V) TTL/HL {ttl} not in range 250 - 254");
            is_dropped(wire, &settings, &with(ttl), Some(&words));
        }
    }
}

#[test]
fn time_to_live_of_a_group_is_255() {
    for wire in WIRES.into_iter().filter(|wire| !wire.is_unicast()) {
        for ttl in [0, 1, 254] {
            let packet = Datagram {
                ttl,
                ..wire.packet(From::Above, &wire.advert(200))
            };
            let words = format!("(V) invalid TTL/HL. Received {ttl} and expect 255");
            is_dropped(wire, &wire.settings(), &packet, Some(&words));
        }
    }
}

#[test]
fn own_packets_and_other_vrids_are_silently_ignored() {
    for wire in WIRES {
        let own = wire.packet(From::Ours, &wire.advert(200));
        is_dropped(wire, &wire.settings(), &own, None);
        let mut other = wire.advert(200);
        other.vrid = 61;
        let other = wire.packet(From::Above, &other);
        is_dropped(wire, &wire.settings(), &other, None);
    }
}

#[test]
fn a_wrong_checksum_is_dropped() {
    for wire in WIRES {
        let number = wire.version().number();
        let words = format!("(V) Invalid VRRPv{number} checksum");
        let mut settings = wire.settings();
        settings.old_checksum = OldChecksum::Never;
        for sum in [[0, 0], [0x12, 0x34]] {
            let mut packet = wire.packet(From::Above, &wire.advert(200));
            packet.payload[6..8].copy_from_slice(&sum);
            is_dropped(wire, &settings, &packet, Some(&words));
            is_dropped(wire, &wire.settings(), &packet, Some(&words));
        }
    }
}

#[test]
fn the_checksum_of_version_3_over_ipv4_has_two_modes() {
    for wire in [Wire::V3Multicast, Wire::V3Unicast] {
        let advert = wire.advert(200);
        let bare = wire.packet_with(From::Above, &advert, Checksum::Message);
        let full = wire.packet(From::Above, &advert);
        let words = Some("(V) Invalid VRRPv3 checksum");
        is_dropped(wire, &wire.settings(), &bare, words);
        let mut as_v2 = wire.settings();
        as_v2.checksum = Checksum::Message;
        is_accepted(wire, &as_v2, &bare);
        is_dropped(wire, &as_v2, &full, words);
        assert_eq!(Bench::new(as_v2).router.checksum(), Checksum::Message);
    }
    // IPv6 always has the pseudo-header (RFC 8200, 8.1).
    for wire in [Wire::V6Multicast, Wire::V6Unicast] {
        let mut settings = wire.settings();
        settings.checksum = Checksum::Message;
        is_accepted(
            wire,
            &settings,
            &wire.packet(From::Above, &wire.advert(200)),
        );
    }
}

#[test]
fn the_old_checksum_of_unicast_is_mirrored_unless_forbidden() {
    let wire = Wire::V3Unicast;
    let old = wire.packet_with(
        From::Above,
        &wire.advert(200),
        Checksum::PseudoHeaderOfGroup,
    );
    is_accepted(wire, &wire.settings(), &old);
    let mut bench = wire.router_in(State::Backup, wire.settings());
    assert_eq!(bench.router.checksum(), Checksum::PseudoHeader);
    let lines = log(&bench.event(Event::Packet(old.clone())));
    assert_eq!(
        lines,
        ["(V) Setting unicast VRRPv3 checksum to old version"]
    );
    assert_eq!(bench.router.checksum(), Checksum::PseudoHeaderOfGroup);
    assert_eq!(bench.event(Event::Packet(old.clone())), [], "said once");

    let mut always = wire.settings();
    always.old_checksum = OldChecksum::Always;
    assert_eq!(
        Bench::new(always).router.checksum(),
        Checksum::PseudoHeaderOfGroup
    );
    let mut never = wire.settings();
    never.old_checksum = OldChecksum::Never;
    is_dropped(wire, &never, &old, Some("(V) Invalid VRRPv3 checksum"));
}

#[test]
fn authentication_of_version_2() {
    for wire in [Wire::V2Multicast, Wire::V2Unicast] {
        let settings = wire.settings();
        let with = |auth| {
            let mut advert = wire.advert(200);
            advert.auth = auth;
            wire.packet(From::Above, &advert)
        };
        // Eight bytes count, no more.
        is_accepted(wire, &settings, &with(Auth::pass(b"k8s-lb@lXX")));
        is_dropped(
            wire,
            &settings,
            &with(Auth::pass(b"k8s-lb@")),
            Some("(V) received an invalid passwd!"),
        );
        is_dropped(
            wire,
            &settings,
            &with(Auth::None),
            Some("(V) received a 0 auth, expecting 1!"),
        );
        let unknown = wire.altered(From::Above, &wire.advert(200), |bytes| bytes[4] = 7);
        is_dropped(wire, &settings, &unknown, Some("(V) Invalid auth type: 7"));

        let mut open = wire.settings();
        open.auth = Auth::None;
        let garbage = wire.altered(From::Above, &wire.advert(200), |bytes| bytes[4] = 0);
        is_accepted(wire, &open, &garbage);
        is_dropped(
            wire,
            &open,
            &with(Auth::pass(b"k8s-lb@l")),
            Some("(V) received a 1 auth, expecting 0!"),
        );
    }
}

#[test]
fn another_version_is_dropped() {
    for (wire, other, words) in [
        (
            Wire::V2Multicast,
            Wire::V3Multicast,
            "(V) wrong version. Received 3 and expect 2",
        ),
        (
            Wire::V3Unicast,
            Wire::V2Unicast,
            "(V) wrong version. Received 2 and expect 3",
        ),
    ] {
        let packet = other.packet(From::Above, &other.advert(200));
        is_dropped(wire, &wire.settings(), &packet, Some(words));
    }
}

#[test]
fn another_type_is_dropped() {
    for wire in WIRES {
        let packet = wire.altered(From::Above, &wire.advert(200), |bytes| {
            bytes[0] = (bytes[0] & 0xf0) | 2;
        });
        let words = Some("(V) Invalid packet type. 2 and expect 1");
        is_dropped(wire, &wire.settings(), &packet, words);
    }
}

#[test]
fn the_length_must_be_what_the_count_says() {
    for wire in WIRES {
        let whole = wire.packet(From::Above, &wire.advert(200));
        let expected = whole.total_len();
        let longer = wire.altered(From::Above, &wire.advert(200), |bytes| {
            bytes.extend([0; 4]);
        });
        let words = format!(
            "(V) vrrp packet too long, length {} and expect {expected}",
            expected + 4
        );
        is_dropped(wire, &wire.settings(), &longer, Some(&words));
        let shorter = wire.altered(From::Above, &wire.advert(200), |bytes| {
            bytes.truncate(bytes.len() - 2);
        });
        let words = format!(
            "(V) vrrp packet too short, length {} and expect {expected}",
            expected - 2
        );
        is_dropped(wire, &wire.settings(), &shorter, Some(&words));
    }
}
