//! How many descriptors are left, without asking the kernel.
//!
//! A client that is let in needs a second descriptor for its server a moment later. Once the limit
//! is near, letting clients in until `accept(2)` fails would drop those that came last, and leave
//! nothing for checks and admin sockets: clients wait in the kernel's queue instead.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use rustix::process::{Resource, getrlimit};

use crate::counters::Gauge;

/// Kept in reserve if there is no room for all of `maxconn`, beside two for each worker.
const RESERVE: i64 = 6;
/// Closed descriptors in a row after which no open one is looked for.
const GAP: u32 = 512;
/// Sockets of a session, and ends of a pipe.
pub(crate) const PAIR: i64 = 2;

/// The descriptors of the process.
#[derive(Debug)]
pub(crate) struct Descriptors {
    /// What sessions and pipes may have together.
    capacity: AtomicI64,
    sessions: Arc<Gauge>,
    /// Pipes that are open.
    pub(crate) pipes: AtomicI64,
}

impl Descriptors {
    /// Without a limit until [`Self::measure`] was called.
    pub(crate) fn new(sessions: Arc<Gauge>) -> Self {
        Self {
            capacity: AtomicI64::new(i64::MAX),
            sessions,
            pipes: AtomicI64::new(0),
        }
    }

    /// Sets what is left by the limit in force beside what is open for other purposes. 0 for
    /// `maxconn` is unlimited.
    pub(crate) fn measure(&self, workers: usize, maxconn: u32) {
        let Some(limit) = getrlimit(Resource::Nofile).current else {
            return;
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let open = count_open(limit) - self.in_use();
        let workers = i64::try_from(workers).unwrap_or(i64::MAX);
        self.capacity
            .store(capacity(limit, open, workers, maxconn), Relaxed);
    }

    /// Descriptors that sessions and pipes may still open.
    pub(crate) fn spare(&self) -> i64 {
        let capacity = self.capacity.load(Relaxed);
        capacity.saturating_sub(self.in_use())
    }

    fn in_use(&self) -> i64 {
        let pairs = i64::from(self.sessions.current()) + self.pipes.load(Relaxed);
        pairs.saturating_mul(PAIR)
    }
}

/// The open descriptors of this process; /proc may be out of reach in a chroot. Numbers are given
/// from the lowest on, so behind a wide gap there are none.
fn count_open(limit: i64) -> i64 {
    let mut open = 0;
    let mut gap = 0;
    for number in 0..RawFd::try_from(limit).unwrap_or(RawFd::MAX) {
        if osys::fd::is_open(number) {
            open += 1;
            gap = 0;
        } else {
            gap += 1;
        }
        if gap > GAP {
            break;
        }
    }
    open
}

/// Descriptors for sessions and pipes. The reserve never takes away what `maxconn` needs where the
/// limit has room for all of it.
fn capacity(limit: i64, open: i64, workers: i64, maxconn: u32) -> i64 {
    let room = limit.saturating_sub(open);
    let beyond = room - PAIR * i64::from(maxconn);
    let reserve = RESERVE.saturating_add(PAIR * workers).min(limit / 4);
    let reserve = if maxconn > 0 && beyond >= 0 {
        reserve.min(beyond)
    } else {
        reserve
    };
    room - reserve
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_never_costs_what_maxconn_needs() {
        // Room for everything.
        assert_eq!(capacity(1000, 20, 1, 100), 972);
        // Just enough for 100 sessions, and one descriptor more.
        assert_eq!(capacity(221, 20, 1, 100), 200);
        // Not enough: then something is kept back.
        assert_eq!(capacity(200, 20, 1, 100), 172);
        assert_eq!(capacity(40, 20, 4, 100), 10);
        assert_eq!(capacity(1000, 20, 1, 0), 972);
    }

    #[test]
    fn sessions_and_pipes_take_two_each() {
        let sessions = Arc::new(Gauge::default());
        let descriptors = Descriptors::new(Arc::clone(&sessions));
        assert!(descriptors.spare() > i64::MAX / 2, "not measured yet");
        descriptors.measure(1, 0);
        let before = descriptors.spare();
        sessions.up();
        descriptors.pipes.fetch_add(2, Relaxed);
        assert_eq!(descriptors.spare(), before - 6);
    }
}
