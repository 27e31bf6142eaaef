//! Address lists that differ while two hosts are reloaded one after the other.
//!
//! An advert with another address list than the receiver's is dropped
//! (RFC 3768, 7.1), so that two clusters which share a virtual router id by
//! mistake do not take each other's addresses away. But then adding an address
//! to both hosts of a pair, one after the other, makes two masters for as long
//! as they differ. Two rules keep one master:
//!
//! 1. A sender whose adverts once had the right list is heard with another one.
//! 2. A peer that is no vrrpd knows no such rule. A master whose list was
//!    changed sends its adverts with the old list as well, and one that hears a
//!    lower advert with a list that overlaps with its own sends them with that
//!    list as well. Both end after [`MEMORY`], the first also as soon as
//!    somebody uses the new list.
//!
//! Who hears both lists within one interval says nothing about it.

use std::net::IpAddr;

use vrrp_proto::vrrp::Advert;

use super::VirtualRouter;
use crate::action::Action;
use crate::time::{Duration, Time};

/// How long adverts carry another list: time enough to get to the other host.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Lists kept: the one from before a reload, and those of some peers.
const MOST: usize = 4;

/// Adverts at once for the sake of other lists in one [`ANSWER_WINDOW`]. Routers of one reload
/// after the other may need some within milliseconds, and each that is kept back leaves two
/// masters until the next tick; a forger gets no amplifier out of so few.
const ANSWERS: u8 = 8;
const ANSWER_WINDOW: Duration = Duration::from_secs(1);

/// Lists besides our own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OtherLists {
    /// Each with the end of its time: first the one from before a reload, then those of peers.
    lists: Vec<(Vec<IpAddr>, Time)>,
    /// Since when answers in somebody's own list are counted, and how many there were.
    answered: Option<(Time, u8)>,
}

impl OtherLists {
    /// Our own list was this one until now.
    fn keep(&mut self, list: Vec<IpAddr>, until: Time) {
        self.make_room_for(&list);
        self.lists.insert(0, (list, until));
    }

    /// A peer's list; whether it was not known yet. Where there is no room it takes the place
    /// of the newest: lists can be made up, those that were heard before may be real.
    fn remember(&mut self, list: Vec<IpAddr>, until: Time) -> bool {
        let known = self.lists.iter().any(|(known, _)| is_same(known, &list));
        self.make_room_for(&list);
        self.lists.push((list, until));
        !known
    }

    fn make_room_for(&mut self, list: &[IpAddr]) {
        self.lists.retain(|(known, _)| !is_same(known, list));
        self.lists.truncate(MOST - 1);
    }

    /// Whether there have been few adverts at once lately; if so, this is one more.
    fn may_answer(&mut self, now: Time) -> bool {
        let (since, count) = self
            .answered
            .filter(|(since, _)| now.since(*since) < ANSWER_WINDOW)
            .unwrap_or((now, 0));
        let may = count < ANSWERS;
        self.answered = Some((since, count + u8::from(may)));
        may
    }

    fn expire(&mut self, now: Time) {
        self.lists.retain(|(_, until)| *until > now);
    }
}

/// Whether two lists hold the same addresses, in any order.
pub(super) fn is_same(one: &[IpAddr], other: &[IpAddr]) -> bool {
    let sorted = |list: &[IpAddr]| {
        let mut list = list.to_vec();
        list.sort_unstable();
        list
    };
    one.len() == other.len() && sorted(one) == sorted(other)
}

impl VirtualRouter {
    /// Our list is another from now on.
    pub(super) fn list_changed(&mut self, old: Vec<IpAddr>) {
        if is_same(&old, &self.advertised) {
            return;
        }
        let ours = self.advertised.clone();
        self.other_lists
            .lists
            .retain(|(list, _)| !is_same(list, &ours));
        if !old.is_empty() {
            self.other_lists.keep(old, self.now + MEMORY);
        }
    }

    /// Somebody uses the same list as we do: nobody needs an older one.
    pub(super) fn list_is_shared(&mut self) {
        self.other_lists.lists.clear();
    }

    /// A lower router uses `list`. If it is meant to be the same virtual router
    /// as ours, it shall hear us: at once if it could not until now (a forger of ever new
    /// lists gets no amplifier), and from then on with every advert.
    pub(super) fn speak_to(&mut self, list: &[IpAddr]) {
        let is_meant = list.iter().any(|address| self.advertised.contains(address));
        if is_meant
            && self.other_lists.remember(list.to_vec(), self.now + MEMORY)
            && self.timers.resume.is_none()
            && self.other_lists.may_answer(self.now)
        {
            self.counters.advert_sent += 1;
            let advert = self.advert(self.effective_priority, list.to_vec());
            self.act(Action::SendAdvert(advert));
        }
    }

    fn advert(&self, priority: u8, addresses: Vec<IpAddr>) -> Advert {
        Advert {
            version: self.settings.version,
            vrid: self.settings.vrid.get(),
            priority,
            interval: self.settings.wire_interval(),
            auth: self.settings.auth,
            addresses,
        }
    }

    /// The adverts of one tick: with our list, then with the others.
    pub(super) fn adverts(&mut self, priority: u8) -> Vec<Advert> {
        self.other_lists.expire(self.now);
        let others = self.other_lists.lists.iter().map(|(list, _)| list);
        std::iter::once(&self.advertised)
            .chain(others)
            .map(|addresses| self.advert(priority, addresses.clone()))
            .collect()
    }
}
