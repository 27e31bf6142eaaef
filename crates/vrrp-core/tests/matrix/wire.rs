//! The wires a virtual router can be on, and adverts on them.

use std::net::IpAddr;
use std::num::NonZeroU8;

use vrrp_core::settings::{
    Address, Checksum, Family, Instance, Peer, SourceCheck, Transport, Version,
};
use vrrp_core::{Action, Event, State};
use vrrp_proto::Datagram;
use vrrp_proto::vrrp::{Advert, Auth, GROUP_V4, GROUP_V6, Path};

use crate::common::{Bench, ip, log, plain};

/// Version, family, and whether adverts go to a group or to peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    V2Multicast,
    V2Unicast,
    V3Multicast,
    V3Unicast,
    V6Multicast,
    V6Unicast,
}

use Wire::*;

pub(crate) const WIRES: [Wire; 6] = [
    V2Multicast,
    V2Unicast,
    V3Multicast,
    V3Unicast,
    V6Multicast,
    V6Unicast,
];

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// An address below ours.
    Below,
    Ours,
    Above,
}

impl Wire {
    pub(crate) const fn is_v6(self) -> bool {
        matches!(self, V6Multicast | V6Unicast)
    }

    pub(crate) const fn is_unicast(self) -> bool {
        matches!(self, V2Unicast | V3Unicast | V6Unicast)
    }

    pub(crate) const fn version(self) -> Version {
        match self {
            V2Multicast | V2Unicast => Version::V2,
            V3Multicast | V3Unicast | V6Multicast | V6Unicast => Version::V3,
        }
    }

    pub(crate) fn address(self, from: From) -> IpAddr {
        let last = match from {
            From::Below => 1,
            From::Ours => 2,
            From::Above => 3,
        };
        if self.is_v6() {
            ip(&format!("fe80::{last}"))
        } else {
            ip(&format!("10.0.0.{last}"))
        }
    }

    /// The virtual address of this number.
    pub(crate) fn vip(self, number: u8) -> IpAddr {
        if self.is_v6() {
            ip(&format!("2001:db8::{number:x}"))
        } else {
            ip(&format!("10.0.1.{number}"))
        }
    }

    fn destination(self) -> IpAddr {
        match (self.is_unicast(), self.is_v6()) {
            (true, _) => self.address(From::Ours),
            (false, false) => GROUP_V4.into(),
            (false, true) => GROUP_V6.into(),
        }
    }

    /// Priority 100, `advert_int 1`, two addresses, both neighbours as peers,
    /// and what keepalived does without being told otherwise.
    pub(crate) fn settings(self) -> Instance {
        let mut settings = plain(Instance::new("V", "eth0", NonZeroU8::new(60).unwrap()));
        settings.version = self.version();
        settings.family = if self.is_v6() { Family::V6 } else { Family::V4 };
        settings.addresses = [1, 2]
            .map(|number| Address::new(self.vip(number), 32, "eth0"))
            .into();
        let source = Some(self.address(From::Ours));
        settings.transport = if self.is_unicast() {
            Transport::Unicast {
                source,
                peers: vec![
                    Peer::new(self.address(From::Below)),
                    Peer::new(self.address(From::Above)),
                ],
                ttl: 255,
                source_check: SourceCheck::Off,
            }
        } else {
            Transport::Multicast {
                group: self.destination(),
                source,
            }
        };
        if self.version() == Version::V2 {
            settings.auth = Auth::pass(b"k8s-lb@lab");
        }
        settings
    }

    /// An advert that is right in everything.
    pub(crate) fn advert(self, priority: u8) -> Advert {
        let settings = self.settings();
        Advert {
            version: settings.version,
            vrid: 60,
            priority,
            interval: settings.wire_interval(),
            auth: settings.auth,
            addresses: vec![self.vip(1), self.vip(2)],
        }
    }

    pub(crate) fn packet(self, from: From, advert: &Advert) -> Datagram {
        self.packet_with(from, advert, Checksum::PseudoHeader)
    }

    pub(crate) fn packet_with(self, from: From, advert: &Advert, checksum: Checksum) -> Datagram {
        let (source, destination) = (self.address(from), self.destination());
        let path = Path {
            source,
            destination,
            checksum,
        };
        Datagram {
            source,
            destination,
            ttl: 255,
            header_len: if self.is_v6() { 0 } else { 20 },
            payload: advert.encode(&path),
        }
    }

    /// The bytes of `datagram` changed, with a checksum that fits again.
    pub(crate) fn altered(
        self,
        from: From,
        advert: &Advert,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Datagram {
        let mut packet = self.packet(from, advert);
        change(&mut packet.payload);
        packet.payload[6..8].fill(0);
        let sum = self.checksum(&packet).to_be_bytes();
        packet.payload[6..8].copy_from_slice(&sum);
        packet
    }

    /// The checksum, in the words of the RFCs and not of the code under test.
    fn checksum(self, packet: &Datagram) -> u16 {
        let octets = |address| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let mut summed = Vec::new();
        if self.version() == Version::V3 {
            summed.extend(octets(packet.source));
            summed.extend(octets(packet.destination));
            summed.extend(u32::try_from(packet.payload.len()).unwrap().to_be_bytes());
            summed.extend([0, 0, 0, 112]);
        }
        summed.extend(&packet.payload);
        vrrp_proto::checksum::internet(&[&summed])
    }

    /// A router in `state` that has never heard anybody.
    pub(crate) fn router_in(self, state: State, settings: Instance) -> Bench {
        let mut bench = match state {
            State::Init => Bench::new(settings),
            State::Backup => Bench::started(settings),
            State::Master => {
                let mut bench = Bench::master(settings);
                // Past the second burst, between two adverts.
                bench.run(crate::common::millis(5_500));
                bench
            }
            State::Fault => {
                let mut bench = Bench::started(settings);
                bench.event(Event::LinkDown);
                bench
            }
        };
        assert_eq!(bench.router.state(), state);
        bench.sleep(crate::common::millis(10));
        bench
    }
}

/// `packet` in each state: no timer, no state, no priority is touched, nothing
/// is done but to log `words`; who takes no part does not even log.
pub(crate) fn is_dropped(wire: Wire, settings: &Instance, packet: &Datagram, words: Option<&str>) {
    for state in State::ALL {
        let mut bench = wire.router_in(state, settings.clone());
        let waits = bench.router.poll_timeout();
        let actions = bench.event(Event::Packet(packet.clone()));
        assert_eq!(bench.router.poll_timeout(), waits, "{wire:?} {state}");
        assert_eq!(bench.router.state(), state, "{wire:?}");
        let expected: Vec<String> = match (state, words) {
            (State::Init | State::Fault, _) | (_, None) => Vec::new(),
            (State::Backup | State::Master, Some(words)) => vec![words.to_owned()],
        };
        assert_eq!(log(&actions), expected, "{wire:?} {state}");
        assert_eq!(
            actions.len(),
            expected.len(),
            "{wire:?} {state}: {actions:?}"
        );
        assert_eq!(
            bench.router.counters().advert_received,
            0,
            "{wire:?} {state}"
        );
    }
}

/// `packet`, of a higher priority, counts: a backup waits anew, a master yields.
pub(crate) fn is_accepted(wire: Wire, settings: &Instance, packet: &Datagram) {
    let mut bench = wire.router_in(State::Backup, settings.clone());
    bench.sleep(crate::common::millis(900));
    bench.event(Event::Packet(packet.clone()));
    assert_eq!(bench.router.counters().advert_received, 1, "{wire:?}");
    let wait = bench.wait().unwrap();
    assert!(wait >= settings.master_down(100), "{wire:?}: {wait}");

    let mut bench = wire.router_in(State::Master, settings.clone());
    bench.event(Event::Packet(packet.clone()));
    assert_eq!(bench.router.state(), State::Backup, "{wire:?}");
}

/// Done in the state, and the state it leads to.
pub(crate) fn reaction(
    wire: Wire,
    settings: &Instance,
    state: State,
    packet: &Datagram,
) -> (State, Vec<Action>) {
    let mut bench = wire.router_in(state, settings.clone());
    let actions = bench.event(Event::Packet(packet.clone()));
    (bench.router.state(), actions)
}
