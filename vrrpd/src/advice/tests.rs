use std::net::Ipv4Addr;
use std::num::NonZeroU8;

use vrrp_core::settings::{Address, Script, Tracker, Version};
use vrrp_core::{Event, Time};
use vrrp_proto::Datagram;
use vrrp_proto::vrrp::{Advert, Checksum, Path};

use super::*;

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 252);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 251);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 253);

fn own(priority: u8) -> Instance {
    let vrid = NonZeroU8::new(60).unwrap();
    let mut own = Instance::new("V", "eth0", vrid);
    own.priority = NonZeroU8::new(priority).unwrap();
    own.addresses = vec![Address::new(VIP.into(), 24, "eth0")];
    own
}

fn script(weight: i16) -> Script {
    Script {
        name: "chk_haproxy".to_owned(),
        weight,
        sense: Sense::Normal,
    }
}

/// What is said after this advert of the peer.
fn said(own: &Instance, change: impl FnOnce(&mut Advert)) -> Vec<String> {
    let mut advert = Advert {
        version: Version::V2,
        vrid: own.vrid.get(),
        priority: 98,
        interval: Interval::Seconds(1),
        auth: Auth::None,
        addresses: vec![VIP.into()],
    };
    change(&mut advert);
    let payload = advert.encode(&Path {
        source: PEER.into(),
        destination: GROUP.into(),
        checksum: Checksum::PseudoHeader,
    });
    let mut router = VirtualRouter::new(own.clone());
    router.handle(Time(0), Event::Source(Some(OURS.into())));
    router.handle(Time(0), Event::Start);
    let datagram = Datagram {
        source: PEER.into(),
        destination: GROUP.into(),
        ttl: 255,
        header_len: 20,
        payload,
    };
    let mut adviser = Adviser::default();
    let mut lines = Vec::new();
    // The same again is not said again.
    for second in 1..4 {
        router.handle(Time(second), Event::Packet(datagram.clone()));
        lines.extend(adviser.look(&router, Some(OURS.into())));
    }
    lines
}

fn check(own: &Instance, priority: u8, expected: &[&str]) {
    let expected: Vec<String> = expected
        .iter()
        .map(|text| format!("(V) {text} (peer {PEER})"))
        .collect();
    assert_eq!(said(own, |advert| advert.priority = priority), expected);
}

#[test]
fn a_weight_that_cannot_move_the_address_away() {
    let mut own = own(99);
    own.scripts = vec![script(2)];
    check(
        &own,
        98,
        &[
            "script chk_haproxy can lower 101 to 99 but the peer is at 98: a failure here will \
           not move the address",
        ],
    );
    // 99 is beneath 100, and equal to 99 it is the higher address that wins: ours.
    check(&own, 100, &[]);
    check(
        &own,
        99,
        &[
            "script chk_haproxy can lower 101 to 99 but the peer is at 99: a failure here will \
           not move the address",
        ],
    );
    own.scripts = vec![script(-20)];
    own.priority = NonZeroU8::new(130).unwrap();
    check(
        &own,
        98,
        &[
            "script chk_haproxy can lower 130 to 110 but the peer is at 98: a failure here will \
           not move the address",
        ],
    );
    own.scripts = vec![script(-50)];
    check(&own, 98, &[]);
}

#[test]
fn a_weight_that_could_not_bring_it_here() {
    let mut own = own(100);
    own.scripts = vec![script(2)];
    check(&own, 103, &[]);
    check(
        &own,
        105,
        &[
            "the peer is at 105 and we are at 102 at best: if it has script chk_haproxy as we \
           have it, 103 is as low as that takes it, and a failure there will not move the address \
             here",
        ],
    );
}

#[test]
fn weights_of_zero_and_reversed_ones_are_not_judged_as_falls() {
    let mut own = own(110);
    own.scripts = vec![script(0)];
    check(&own, 98, &[]);
    let mut reversed = script(5);
    reversed.sense = Sense::Reverse;
    own.scripts = vec![reversed];
    check(&own, 98, &[]);
}

#[test]
fn what_a_file_adds_is_not_guessed_and_an_owner_does_not_fall() {
    let mut own = own(100);
    own.scripts = vec![script(2)];
    check(&own, 255, &[]);
    own.trackers = vec![Tracker {
        kind: TrackerKind::File,
        name: "load".to_owned(),
        weight: 1,
        sense: Sense::Normal,
    }];
    check(&own, 98, &[]);
    check(&own, 105, &[]);
}

#[test]
fn interfaces_and_processes_are_judged_like_scripts() {
    let mut own = own(100);
    own.trackers = vec![Tracker {
        kind: TrackerKind::Interface,
        name: "eth1".to_owned(),
        weight: 10,
        sense: Sense::Normal,
    }];
    check(
        &own,
        98,
        &[
            "interface eth1 can lower 110 to 100 but the peer is at 98: a failure here will not \
           move the address",
        ],
    );
}

#[test]
fn equal_priorities_two_owners_and_nopreempt() {
    check(
        &own(98),
        98,
        &["priority 98 here and at the peer: the higher of the two addresses decides"],
    );
    check(
        &own(255),
        255,
        &["priority 255 here and at the peer: only one host can own the addresses"],
    );
    let mut own = own(99);
    own.scripts = vec![script(2)];
    own.preempt = Preempt::No;
    check(
        &own,
        98,
        &[
            "nopreempt: a check with a weight that fails on the master will not move the address \
           for as long as the master sends adverts",
        ],
    );
    check(&own, 0, &[]);
}

#[test]
fn what_makes_two_masters_is_said_in_words() {
    const TWO: &str = "each drops the adverts of the other, and both become master";
    let tell = |change: fn(&mut Advert)| {
        let lines = said(&own(110), change);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].clone()
    };
    for (line, expected) in [
        (
            tell(|advert| advert.interval = Interval::Seconds(2)),
            format!("(V) advert_int is 2 s at the peer and 1 s here: {TWO} (peer {PEER})"),
        ),
        (
            tell(|advert| advert.auth = Auth::Pass(*b"12345678")),
            format!("(V) the peer's authentication is PASS and ours none: {TWO} (peer {PEER})"),
        ),
        (
            tell(|advert| {
                advert.version = Version::V3;
                advert.interval = Interval::Centiseconds(100);
            }),
            format!("(V) the peer speaks VRRP version 3 and we speak 2: {TWO} (peer {PEER})"),
        ),
        (
            tell(|advert| advert.addresses.push(Ipv4Addr::new(10, 0, 254, 99).into())),
            format!(
                "(V) the peer announces 2 addresses and we 1: unless the lists of \
                 virtual_ipaddress are the same, {TWO} (peer {PEER})"
            ),
        ),
    ] {
        assert_eq!(line, expected);
    }
}

/// Adverts of another interval from `senders` hosts, some times over; how many lines.
fn forged(senders: u32, rounds: u32) -> usize {
    let mut router = VirtualRouter::new(own(110));
    router.handle(Time(0), Event::Start);
    let mut adviser = Adviser::default();
    let mut lines = 0;
    for round in 0..rounds {
        for sender in 0..senders {
            let mut payload = vec![0x21, 60, 100, 1, 0, 7, 0, 0, 10, 0, 254, 253];
            payload.extend([0; 8]);
            let sum = payload
                .chunks(2)
                .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
                .sum::<u32>();
            let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
            payload[6..8].copy_from_slice(&sum.to_be_bytes());
            let datagram = Datagram {
                source: Ipv4Addr::from(0x0a00_0000 + sender).into(),
                destination: GROUP.into(),
                ttl: 255,
                header_len: 20,
                payload,
            };
            router.handle(
                Time(u64::from(round * senders + sender)),
                Event::Packet(datagram),
            );
        }
        lines += adviser.look(&router, None).len();
    }
    lines
}

#[test]
fn one_bad_packet_is_no_reason_and_many_forged_senders_are_few_lines() {
    assert_eq!(forged(1, 1), 0);
    assert_eq!(forged(1, 5), 1);
    assert_eq!(forged(2000, 1), 0);
    assert!((1..=MOST).contains(&forged(16, 5)));
    assert!(forged(200, 20) <= MOST);
}
