//! keepalived 2.2.7's receive rules, one injected packet a row: what is
//! dropped, with which words, and that a dropped packet changes nothing.

#![expect(clippy::unwrap_used, reason = "a helper that breaks fails its test")]

mod common;

use common::{Bench, PEER, datagram, effects, ip, log, millis, plain, reference};
use vrrp_core::settings::{AddressCheck, Instance, Peer, SourceCheck, Transport};
use vrrp_core::{Event, State};
use vrrp_proto::Datagram;
use vrrp_proto::checksum;
use vrrp_proto::vrrp::{Advert, Auth, GROUP_V4, Interval, Version};

fn advert() -> Advert {
    Advert {
        version: Version::V2,
        vrid: 60,
        priority: 200,
        interval: Interval::Seconds(1),
        auth: Auth::pass(b"k8s-lb@l"),
        addresses: vec![ip("10.0.254.253")],
    }
}

fn packet(advert: &Advert) -> Datagram {
    datagram(PEER, advert)
}

/// A packet with bytes changed and the checksum mended.
fn altered(change: impl FnOnce(&mut Vec<u8>)) -> Datagram {
    let mut packet = packet(&advert());
    change(&mut packet.payload);
    if packet.payload.len() >= 8 {
        packet.payload[6..8].fill(0);
        let sum = checksum::internet(&[&packet.payload]).to_be_bytes();
        packet.payload[6..8].copy_from_slice(&sum);
    }
    packet
}

/// Drops `packet` in BACKUP and in MASTER: one line, no effect, no timer moved.
fn dropped(settings: &Instance, packet: &Datagram, words: &str) {
    let mut backup = Bench::started(plain(settings.clone()));
    backup.run(millis(700));
    let mut master = Bench::master(plain(settings.clone()));
    master.run(millis(700));
    for bench in [&mut backup, &mut master] {
        let mut expected = bench.router.clone();
        let actions = bench.event(Event::Packet(packet.clone()));
        assert_eq!(log(&actions), [words]);
        assert_eq!(effects(&actions), "");
        assert_eq!(
            bench.router.poll_timeout(),
            expected.poll_timeout(),
            "{words}"
        );
        // Nothing but a counter and the clock is different from before.
        expected.handle(bench.now, Event::Timer);
        let mut after = bench.router.clone();
        assert_ne!(after.counters(), expected.counters(), "{words}");
        assert_eq!(after.counters().advert_received, 0, "{words}");
        let rest = |router: &mut vrrp_core::VirtualRouter| {
            let deadline = router.poll_timeout().unwrap();
            router.handle(deadline, Event::Timer);
            std::iter::from_fn(|| router.poll_action()).collect::<Vec<_>>()
        };
        assert_eq!(rest(&mut after), rest(&mut expected), "{words}");
    }
}

fn accepted(settings: &Instance, packet: Datagram) {
    let mut bench = Bench::started(plain(settings.clone()));
    bench.run(millis(700));
    let actions = bench.event(Event::Packet(packet));
    assert_eq!(log(&actions), [""; 0]);
    assert_eq!(
        bench.wait(),
        Some(settings.master_down(settings.priority.get()))
    );
    assert_eq!(bench.router.counters().advert_received, 1);
}

#[test]
fn wrong_password_other_and_unknown_auth_type() {
    let settings = reference(100);
    let wrong = Advert {
        auth: Auth::pass(b"wrong"),
        ..advert()
    };
    dropped(
        &settings,
        &packet(&wrong),
        "(V) received an invalid passwd!",
    );
    let open = Advert {
        auth: Auth::None,
        ..advert()
    };
    dropped(
        &settings,
        &packet(&open),
        "(V) received a 0 auth, expecting 1!",
    );
    dropped(
        &settings,
        &altered(|bytes| bytes[4] = 7),
        "(V) Invalid auth type: 7",
    );
    let mut no_auth = reference(100);
    no_auth.auth = Auth::None;
    dropped(
        &no_auth,
        &packet(&advert()),
        "(V) received a 1 auth, expecting 0!",
    );
}

#[test]
fn no_auth_with_garbage_in_its_field_is_accepted() {
    let mut settings = reference(100);
    settings.auth = Auth::None;
    accepted(
        &settings,
        altered(|bytes| {
            bytes[4] = 0;
            bytes[12..20].copy_from_slice(b"garbage!");
        }),
    );
}

#[test]
fn other_advert_int() {
    dropped(
        &reference(100),
        &packet(&Advert {
            interval: Interval::Seconds(2),
            ..advert()
        }),
        "(V) advertisement interval mismatch mine=1 sec rcv'd=2 sec",
    );
}

#[test]
fn bad_or_zero_checksum() {
    let mut bad = packet(&advert());
    bad.payload[6] ^= 1;
    dropped(&reference(100), &bad, "(V) Invalid VRRPv2 checksum");
    bad.payload[6..8].fill(0);
    dropped(&reference(100), &bad, "(V) Invalid VRRPv2 checksum");
}

#[test]
fn address_count_and_addresses() {
    let two = Advert {
        addresses: vec![ip("10.0.254.253"), ip("10.0.254.254")],
        ..advert()
    };
    dropped(
        &reference(100),
        &packet(&two),
        "(V) received an unexpected ip number count 2, expected 1!",
    );
    let other = Advert {
        addresses: vec![ip("10.0.254.254")],
        ..advert()
    };
    dropped(
        &reference(100),
        &packet(&other),
        "(V) ip address associated with VRID 60 not present in MASTER advert: 10.0.254.253",
    );
}

#[test]
fn addresses_in_another_order_and_ip_options_are_accepted() {
    let mut settings = reference(100);
    let second = vrrp_core::settings::Address::new(ip("10.0.254.254"), 16, "eth0");
    settings.addresses.push(second);
    let swapped = Advert {
        addresses: vec![ip("10.0.254.254"), ip("10.0.254.253")],
        ..advert()
    };
    accepted(&settings, packet(&swapped));
    accepted(
        &reference(100),
        Datagram {
            header_len: 24,
            ..packet(&advert())
        },
    );
}

#[test]
fn addresses_of_the_same_master_are_not_checked_twice_when_told_so() {
    let mut settings = plain(reference(100));
    settings.address_check = AddressCheck::SkipSameMaster;
    let mut bench = Bench::started(settings);
    let other = Advert {
        addresses: vec![ip("10.0.254.254")],
        ..advert()
    };
    bench.event(Event::Packet(packet(&other)));
    assert_eq!(bench.router.counters().address_list_errors, 1);
    bench.event(Event::Packet(packet(&advert())));
    bench.event(Event::Packet(packet(&other)));
    assert_eq!(bench.router.counters().address_list_errors, 1);
    assert_eq!(bench.router.counters().advert_received, 2);
    // Somebody else's are.
    bench.event(Event::Packet(datagram("10.0.254.77", &other)));
    assert_eq!(bench.router.counters().address_list_errors, 2);
}

#[test]
fn ttl_matters_for_multicast_only() {
    let far = Datagram {
        ttl: 254,
        ..packet(&advert())
    };
    let mut multicast = reference(100);
    multicast.transport = Transport::Multicast {
        group: GROUP_V4.into(),
        source: None,
    };
    dropped(
        &multicast,
        &far,
        "(V) invalid TTL/HL. Received 254 and expect 255",
    );
    accepted(&reference(100), far);
    accepted(
        &reference(100),
        Datagram {
            ttl: 1,
            ..packet(&advert())
        },
    );
}

#[test]
fn unicast_from_somebody_who_is_no_peer() {
    let stranger = datagram("10.0.254.77", &advert());
    accepted(&reference(100), stranger.clone());
    let mut checked = reference(100);
    checked.transport = Transport::Unicast {
        source: Some(ip("10.0.254.252")),
        peers: vec![Peer {
            address: ip(PEER),
            min_ttl: 250,
            max_ttl: 254,
        }],
        ttl: 255,
        source_check: SourceCheck::PeersOnly,
    };
    dropped(
        &checked,
        &stranger,
        "(V) unicast source address 10.0.254.77 not a unicast peer",
    );
    dropped(
        &checked,
        &packet(&advert()),
        "(V) TTL/HL 255 not in range 250 - 254",
    );
    accepted(
        &checked,
        Datagram {
            ttl: 250,
            ..packet(&advert())
        },
    );
}

#[test]
fn length_type_and_version() {
    let settings = reference(100);
    dropped(
        &settings,
        &altered(|bytes| bytes.extend([0; 4])),
        "(V) vrrp packet too long, length 44 and expect 40",
    );
    dropped(
        &settings,
        &altered(|bytes| bytes.truncate(19)),
        "(V) vrrp packet too short, length 39 and expect 40",
    );
    dropped(
        &settings,
        &altered(|bytes| bytes.truncate(7)),
        "IPv4 VRRP packet too short - 27 bytes",
    );
    dropped(
        &settings,
        &altered(|bytes| bytes[0] = 0x22),
        "(V) Invalid packet type. 2 and expect 1",
    );
    dropped(
        &settings,
        &altered(|bytes| {
            bytes.truncate(12);
            bytes[0] = 0x31;
        }),
        "(V) wrong version. Received 3 and expect 2",
    );
}

#[test]
fn each_fault_has_its_counter() {
    let mut bench = Bench::started(plain(reference(100)));
    let mut bad_sum = packet(&advert());
    bad_sum.payload[6] ^= 1;
    let packets = [
        bad_sum,
        altered(|bytes| bytes.push(0)),
        altered(|bytes| bytes.truncate(3)),
        altered(|bytes| bytes[0] = 0x22),
        altered(|bytes| bytes[4] = 7),
        altered(|bytes| bytes[4] = 0),
        altered(|bytes| bytes[12] = 0),
        altered(|bytes| bytes[5] = 9),
        altered(|bytes| bytes[8] = 9),
    ];
    for packet in packets {
        bench.event(Event::Packet(packet));
    }
    let counters = bench.router.counters();
    assert_eq!(counters.checksum_errors, 1);
    assert_eq!(counters.packet_length_errors, 2);
    assert_eq!(counters.invalid_type, 1);
    assert_eq!(counters.invalid_auth_type, 1);
    assert_eq!(counters.auth_type_mismatch, 1);
    assert_eq!(counters.auth_failures, 1);
    assert_eq!(counters.interval_errors, 1);
    assert_eq!(counters.address_list_errors, 1);
    assert_eq!(counters.advert_received, 0);
    assert_eq!(bench.router.state(), State::Backup);
}

/// keepalived 2.2.7 begins its interval anew on every packet, so that a flood
/// without the password silences it.
#[test]
fn a_flood_of_forged_packets_does_not_silence_a_master() {
    let mut bench = Bench::master(plain(reference(100)));
    let forged = packet(&Advert {
        auth: Auth::pass(b"forged"),
        ..advert()
    });
    let mut adverts = 0;
    for _ in 0..1_000 {
        bench.event(Event::Packet(forged.clone()));
        adverts += bench
            .run(millis(10))
            .iter()
            .filter(|(_, action)| matches!(action, vrrp_core::Action::SendAdvert(_)))
            .count();
    }
    assert_eq!(adverts, 10);
}
