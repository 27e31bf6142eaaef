//! Announcements of several virtual routers on one interface, one at a time.
//!
//! A virtual router keeps `vrrp_garp_interval` between its own announcements; switches
//! and hosts count all that an interface sends, so the interval is kept between those
//! of different routers here as well.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use vrrp_core::{Duration, Time};

/// Announcements of one address that wait at the same time: a burst of the default
/// length. More of them would tell nobody anything new.
const WAITING: usize = 5;

/// One announcement: the address, and the interface it is announced on.
pub(super) type Announcement = (IpAddr, String);

/// What shares one interval, and what waits for its turn in it.
#[derive(Debug, Default)]
struct Lane {
    interval: Duration,
    free_at: Time,
    waiting: VecDeque<Announcement>,
}

/// All that is paced.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    lanes: BTreeMap<String, Lane>,
}

impl Pacer {
    /// An announcement in `lane`, which keeps `interval` from one to the next. It is
    /// given back if it may be sent at once, and kept until its turn if not.
    pub(super) fn offer(
        &mut self,
        now: Time,
        lane: &str,
        interval: Duration,
        announcement: Announcement,
    ) -> Option<Announcement> {
        if interval.is_zero() {
            return Some(announcement);
        }
        if !self.lanes.contains_key(lane) {
            self.lanes.insert(lane.to_owned(), Lane::default());
        }
        let lane = self.lanes.get_mut(lane)?;
        lane.interval = interval;
        if lane.waiting.is_empty() && lane.free_at <= now {
            lane.free_at = now + interval;
            return Some(announcement);
        }
        let same = lane.waiting.iter().filter(|other| **other == announcement);
        if same.count() < WAITING {
            lane.waiting.push_back(announcement);
        }
        None
    }

    /// An address is not ours any more: nothing of it may be sent.
    pub(super) fn forget(&mut self, address: IpAddr, interface: &str) {
        for lane in self.lanes.values_mut() {
            lane.waiting
                .retain(|(waiting, on)| *waiting != address || on != interface);
        }
    }

    /// Those whose turn has come: one of each lane.
    pub(super) fn due(&mut self, now: Time) -> Vec<Announcement> {
        let mut due = Vec::new();
        for lane in self.lanes.values_mut() {
            if lane.free_at <= now
                && let Some(announcement) = lane.waiting.pop_front()
            {
                lane.free_at = now + lane.interval;
                due.push(announcement);
            }
        }
        due
    }

    /// When [`Pacer::due`] has something next.
    pub(super) fn next(&self) -> Option<Time> {
        let lanes = self.lanes.values().filter(|lane| !lane.waiting.is_empty());
        lanes.map(|lane| lane.free_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    fn announcement(last: u8) -> Announcement {
        ([10, 0, 0, last].into(), "eth0".to_owned())
    }

    fn at(millis: u64) -> Time {
        Time(millis * 1_000_000)
    }

    #[test]
    fn announcements_of_all_routers_keep_their_distance() {
        let mut pacer = Pacer::default();
        let mut sent = Vec::new();
        for last in 1..=4 {
            let free = pacer.offer(at(0), "eth0", INTERVAL, announcement(last));
            sent.extend(free.map(|free| (at(0), free)));
        }
        while let Some(next) = pacer.next() {
            sent.extend(pacer.due(next).into_iter().map(|free| (next, free)));
        }
        let expected: Vec<_> = (0..4)
            .map(|n| (at(u64::from(n) * 100), announcement(n + 1)))
            .collect();
        assert_eq!(sent, expected);
        // Another interface does not wait for this one.
        let other = ("10.0.0.1".parse().unwrap(), "eth1".to_owned());
        let free = pacer.offer(at(310), "eth1", INTERVAL, other.clone());
        assert_eq!(free, Some(other));
    }

    #[test]
    fn without_an_interval_all_go_at_once() {
        let mut pacer = Pacer::default();
        for last in 1..=100 {
            let free = pacer.offer(at(0), "eth0", Duration::ZERO, announcement(last));
            assert_eq!(free, Some(announcement(last)));
        }
        assert_eq!(pacer.next(), None);
    }

    #[test]
    fn what_was_given_up_is_not_announced() {
        let mut pacer = Pacer::default();
        for last in [1, 2, 2, 3] {
            pacer.offer(at(0), "eth0", INTERVAL, announcement(last));
        }
        pacer.forget([10, 0, 0, 2].into(), "eth0");
        assert_eq!(pacer.due(at(100)), [announcement(3)]);
        assert_eq!(pacer.next(), None);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut pacer = Pacer::default();
        for _ in 0..10_000 {
            pacer.offer(at(0), "eth0", INTERVAL, announcement(1));
        }
        assert_eq!(pacer.lanes["eth0"].waiting.len(), WAITING);
    }
}
