//! From a packet to an advert that counts. What is dropped here has touched
//! no timer and no state: keepalived 2.2.7 begins its advert interval anew on
//! any packet, so that forged ones can silence a master.

use std::net::IpAddr;

use vrrp_proto::Datagram;
use vrrp_proto::vrrp::{self, Advert, DecodeError, Expect, Interval, ListRule, Senders};

use super::{VirtualRouter, lists};
use crate::log::InstanceLine;
use crate::settings::{AddressCheck, Checksum, OldChecksum, SourceCheck, Transport, Version};
use crate::state::State;
use crate::time::Duration;

/// What an accepted advert says about its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) source: IpAddr,
    pub(super) priority: u8,
    /// How often it speaks.
    pub(super) interval: Duration,
}

/// What became of a packet.
enum Decoded {
    Accepted(Advert),
    /// Right in everything but its address list.
    OtherList(Advert, DecodeError),
    Dropped(DecodeError),
}

impl VirtualRouter {
    /// The advert in `datagram`, if it passes every check of RFC 3768, 7.1.
    pub(super) fn accept(&mut self, datagram: &Datagram) -> Option<Heard> {
        // Another router's, or an echo of our own.
        let foreign = datagram
            .vrid()
            .is_some_and(|vrid| vrid != self.settings.vrid.get());
        if foreign || self.own_source() == Some(datagram.source) {
            return None;
        }
        let senders = match &self.settings.transport {
            Transport::Multicast { .. } => Senders::OnLink,
            Transport::Unicast {
                source_check: SourceCheck::Off,
                ..
            } => Senders::Anybody,
            Transport::Unicast {
                source_check: SourceCheck::PeersOnly,
                peers,
                ..
            } => Senders::Peers(peers),
        };
        let list = match self.settings.address_check {
            AddressCheck::SkipSameMaster if self.last_master == Some(datagram.source) => {
                ListRule::SameCount
            }
            AddressCheck::Always | AddressCheck::SkipSameMaster => ListRule::Same,
        };
        let expect = Expect {
            version: self.settings.version,
            senders,
            auth: self.settings.auth,
            interval: self.settings.wire_interval(),
            checksum: self.settings.checksum,
            addresses: &self.advertised,
            list,
        };
        let (decoded, old) = self.decode(datagram, &expect);
        let decoded = match decoded {
            Err(error @ (DecodeError::Count { .. } | DecodeError::Address { .. })) => {
                let any = Expect {
                    list: ListRule::Any,
                    ..expect
                };
                match self.decode(datagram, &any) {
                    (Ok(advert), _) => Decoded::OtherList(advert, error),
                    (Err(_), _) => Decoded::Dropped(error),
                }
            }
            Err(error) => Decoded::Dropped(error),
            Ok(advert) => Decoded::Accepted(advert),
        };
        match decoded {
            Decoded::Accepted(advert) => {
                if old && self.checksum != Checksum::PseudoHeaderOfGroup {
                    self.log(InstanceLine::OldChecksum);
                    self.checksum = Checksum::PseudoHeaderOfGroup;
                }
                // A master beneath this one speaks in every list it knows, and would not speak
                // at all had it heard this one in its own.
                let deaf =
                    self.state == State::Master && advert.priority <= self.effective_priority;
                if !deaf && lists::is_same(&advert.addresses, &self.advertised) {
                    self.list_is_shared();
                }
                Some(self.accepted(datagram, &advert, None))
            }
            Decoded::OtherList(advert, error) => self.other_list(datagram, &advert, error),
            Decoded::Dropped(error) => {
                self.dropped(datagram, error);
                None
            }
        }
    }

    /// The advert under `expect`, and whether its checksum is made in
    /// keepalived's old way.
    fn decode(
        &self,
        datagram: &Datagram,
        expect: &Expect<'_>,
    ) -> (Result<Advert, DecodeError>, bool) {
        match vrrp::decode(datagram, expect) {
            Err(DecodeError::Checksum { .. }) if self.may_be_old() => {
                let expect = Expect {
                    checksum: Checksum::PseudoHeaderOfGroup,
                    ..*expect
                };
                (vrrp::decode(datagram, &expect), true)
            }
            decoded => (decoded, false),
        }
    }

    /// An advert that counts, be it with a `fault` that is tolerated.
    fn accepted(
        &mut self,
        datagram: &Datagram,
        advert: &Advert,
        fault: Option<DecodeError>,
    ) -> Heard {
        self.peers.heard(self.now, datagram, fault);
        self.counters.advert_received += 1;
        if advert.priority == 0 {
            self.counters.priority_zero_received += 1;
        }
        self.last_master = Some(datagram.source);
        Heard {
            source: datagram.source,
            priority: advert.priority,
            interval: interval(advert),
        }
    }

    fn dropped(&mut self, datagram: &Datagram, error: DecodeError) {
        self.peers.heard(self.now, datagram, Some(error));
        self.counters.dropped(&error);
        self.log(InstanceLine::Dropped(error));
    }

    /// Everything is right but the address list; see [`lists`].
    fn other_list(
        &mut self,
        datagram: &Datagram,
        advert: &Advert,
        error: DecodeError,
    ) -> Option<Heard> {
        if self.speaks_ours_too(datagram.source) {
            self.counters.advert_received += 1;
            let heard = Heard {
                source: datagram.source,
                priority: advert.priority,
                interval: interval(advert),
            };
            // It may still be deaf to ours.
            if self.state == State::Master && heard.priority != 0 && !self.is_better(&heard) {
                self.speak_to(&advert.addresses);
            }
            return Some(heard);
        }
        if self.peers.knows(datagram.source) {
            let heard_so_before = self.peers.faulty(datagram.source);
            self.counters.dropped(&error);
            self.log(InstanceLine::Dropped(error));
            if !heard_so_before {
                self.log(InstanceLine::ListTolerated {
                    source: datagram.source,
                });
            }
            let heard = self.accepted(datagram, advert, Some(error));
            if self.state == State::Master && !self.is_better(&heard) {
                self.speak_to(&advert.addresses);
            }
            return Some(heard);
        }
        self.dropped(datagram, error);
        let heard = Heard {
            source: datagram.source,
            priority: advert.priority,
            interval: interval(advert),
        };
        if self.state == State::Master && heard.priority != 0 && !self.is_better(&heard) {
            self.speak_to(&advert.addresses);
        }
        None
    }

    /// The sender says each of its adverts in several lists, one of them ours:
    /// the others are meant for somebody else, and nothing is wrong.
    fn speaks_ours_too(&self, source: IpAddr) -> bool {
        let window = self.settings.advert_interval.times(3).part(2);
        self.peers
            .agreed(source)
            .is_some_and(|agreed| self.now.since(agreed) < window)
    }

    /// Whether the sender may be a keepalived that makes its checksums in the
    /// old way.
    const fn may_be_old(&self) -> bool {
        matches!(self.settings.version, Version::V3)
            && matches!(self.settings.transport, Transport::Unicast { .. })
            && !matches!(self.settings.old_checksum, OldChecksum::Never)
    }
}

/// The interval an advert names.
fn interval(advert: &Advert) -> Duration {
    match advert.interval {
        Interval::Seconds(seconds) => Duration::from_secs(u64::from(seconds)),
        Interval::Centiseconds(hundredths) => Duration::from_millis(u64::from(hundredths) * 10),
    }
}
