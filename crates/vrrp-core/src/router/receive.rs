//! From a packet to an advert that counts. What is dropped here has touched
//! no timer and no state: keepalived 2.2.7 begins its advert interval anew on
//! any packet, so that forged ones can silence a master.

use std::net::IpAddr;

use vrrp_proto::Datagram;
use vrrp_proto::vrrp::{self, Advert, DecodeError, Expect, Interval, ListRule, Senders};

use super::VirtualRouter;
use crate::log::InstanceLine;
use crate::settings::{AddressCheck, Checksum, OldChecksum, SourceCheck, Transport, Version};
use crate::time::Duration;

/// What an accepted advert says about its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) source: IpAddr,
    pub(super) priority: u8,
    /// How often it speaks.
    pub(super) interval: Duration,
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
        let decoded = vrrp::decode(datagram, &expect);
        let (decoded, old) = match decoded {
            Err(DecodeError::Checksum { .. }) if self.may_be_old() => {
                let expect = Expect {
                    checksum: Checksum::PseudoHeaderOfGroup,
                    ..expect
                };
                (vrrp::decode(datagram, &expect), true)
            }
            Ok(_) | Err(_) => (decoded, false),
        };
        match decoded {
            Ok(advert) => {
                if old && self.checksum != Checksum::PseudoHeaderOfGroup {
                    self.log(InstanceLine::OldChecksum);
                    self.checksum = Checksum::PseudoHeaderOfGroup;
                }
                self.counters.advert_received += 1;
                if advert.priority == 0 {
                    self.counters.priority_zero_received += 1;
                }
                self.last_master = Some(datagram.source);
                Some(Heard {
                    source: datagram.source,
                    priority: advert.priority,
                    interval: interval(&advert),
                })
            }
            Err(error) => {
                self.counters.dropped(&error);
                self.log(InstanceLine::Dropped(error));
                None
            }
        }
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
