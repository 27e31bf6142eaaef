//! What a virtual router knows of the others from their adverts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vrrp_proto::Datagram;
use vrrp_proto::vrrp::{Claim, DecodeError};

use crate::time::Time;

/// Senders remembered; on a segment where more of them claim one virtual router
/// id, those heard longest ago are forgotten.
const MOST: usize = 16;

/// The last advert of one sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// What it said. Of an advert that was dropped every field may be forged.
    pub claim: Claim,
    /// Why it was dropped, if it was.
    pub fault: Option<DecodeError>,
    /// When it came.
    pub heard: Time,
    /// When its last advert came that passed every check, if any did.
    pub agreed: Option<Time>,
}

/// The senders heard, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peers(BTreeMap<IpAddr, PeerView>);

impl Peers {
    /// An advert came and was accepted or dropped.
    pub(crate) fn heard(&mut self, now: Time, datagram: &Datagram, fault: Option<DecodeError>) {
        let Some(claim) = Claim::of(datagram) else {
            return;
        };
        let agreed = match fault {
            None => Some(now),
            Some(_) => self.agreed(datagram.source),
        };
        let view = PeerView {
            claim,
            fault,
            heard: now,
            agreed,
        };
        if !self.0.contains_key(&datagram.source) && self.0.len() >= MOST {
            self.forget_one();
        }
        self.0.insert(datagram.source, view);
    }

    /// A flood of forged senders pushes itself out before those that once said
    /// something right.
    fn forget_one(&mut self) {
        let oldest = self
            .0
            .iter()
            .min_by_key(|(_, view)| (view.agreed.is_some(), view.heard))
            .map(|(source, _)| *source);
        if let Some(oldest) = oldest {
            self.0.remove(&oldest);
        }
    }

    /// When an advert of `source` passed every check, if one did.
    pub(crate) fn agreed(&self, source: IpAddr) -> Option<Time> {
        self.0.get(&source).and_then(|view| view.agreed)
    }

    /// Whether an advert of `source` passed every check before.
    pub(crate) fn knows(&self, source: IpAddr) -> bool {
        self.agreed(source).is_some()
    }

    /// Whether the last advert of `source` had a fault.
    pub(crate) fn faulty(&self, source: IpAddr) -> bool {
        self.0.get(&source).is_some_and(|view| view.fault.is_some())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpAddr, &PeerView)> {
        self.0.iter().map(|(source, view)| (*source, view))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn from(last: u8) -> Datagram {
        Datagram {
            source: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
            destination: IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)),
            ttl: 255,
            header_len: 20,
            payload: vec![0x21, 60, 100, 1, 0, 1, 0, 0],
        }
    }

    #[test]
    fn a_flood_of_strangers_does_not_push_out_who_was_right() {
        let mut peers = Peers::default();
        peers.heard(Time(1), &from(1), None);
        for stranger in 2..200 {
            let fault = Some(DecodeError::Password);
            peers.heard(Time(u64::from(stranger)), &from(stranger), fault);
        }
        assert_eq!(peers.iter().count(), MOST);
        assert!(peers.knows(from(1).source));
        assert!(!peers.knows(from(199).source));
        // One bad advert takes nothing of what was known.
        peers.heard(Time(500), &from(1), Some(DecodeError::Password));
        assert!(peers.knows(from(1).source));
    }
}
