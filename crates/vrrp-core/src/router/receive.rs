//! From a packet to an advert that counts. What is dropped here has touched
//! no timer and no state: keepalived 2.2.7 begins its advert interval anew on
//! any packet, so that forged ones can silence a master.

use std::net::IpAddr;

use vrrp_proto::Datagram;
use vrrp_proto::vrrp::{self, Expect, ListRule, Senders};

use super::VirtualRouter;
use crate::log::InstanceLine;
use crate::settings::{AddressCheck, SourceCheck, Transport};

/// What an accepted advert says about its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) source: IpAddr,
    pub(super) priority: u8,
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
            addresses: &self.advertised,
            list,
        };
        match vrrp::decode(datagram, &expect) {
            Ok(advert) => {
                self.counters.advert_received += 1;
                if advert.priority == 0 {
                    self.counters.priority_zero_received += 1;
                }
                self.last_master = Some(datagram.source);
                Some(Heard {
                    source: datagram.source,
                    priority: advert.priority,
                })
            }
            Err(error) => {
                self.counters.dropped(&error);
                self.log(InstanceLine::Dropped(error));
                None
            }
        }
    }
}
