//! Events per second as HAProxy's `rate` columns count them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::clock;

/// Events of the running second and of the one before, shared by all workers.
///
/// [`Rate::current`] is a sliding second: the running second's events plus the part of the
/// previous second's that the window still covers. [`Rate::max`] is the most events counted
/// inside one second of the clock.
#[derive(Debug, Default)]
pub struct Rate {
    /// Second of the relay's clock (high half), events in it (low half).
    current: AtomicU64,
    previous: AtomicU32,
    max: AtomicU32,
}

const COUNT: u64 = 0xffff_ffff;

impl Rate {
    /// Counts one event now; `millis` is the relay clock's reading.
    pub(crate) fn event(&self, millis: u64) {
        let second = millis / 1000;
        loop {
            let seen = self.current.load(Relaxed);
            let count = if seen >> 32 == second {
                seen & COUNT
            } else {
                0
            };
            let next = (second << 32) | (count + 1).min(COUNT);
            if self
                .current
                .compare_exchange_weak(seen, next, Relaxed, Relaxed)
                .is_err()
            {
                continue;
            }
            if seen >> 32 != second {
                self.previous.store(carried(seen, second), Relaxed);
            }
            let count = u32::try_from(count + 1).unwrap_or(u32::MAX);
            if count > self.max.load(Relaxed) {
                self.max.fetch_max(count, Relaxed);
            }
            return;
        }
    }

    /// Events per second over the sliding second that ends now.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.at(clock::millis())
    }

    fn at(&self, millis: u64) -> u32 {
        let second = millis / 1000;
        let seen = self.current.load(Relaxed);
        let (count, previous) = if seen >> 32 == second {
            (seen & COUNT, self.previous.load(Relaxed))
        } else {
            (0, carried(seen, second))
        };
        let left = 1000 - millis % 1000;
        let carried = u64::from(previous) * left / 1000;
        u32::try_from(count + carried).unwrap_or(u32::MAX)
    }

    /// The most events in one second since start or since [`Rate::clear_max`].
    #[must_use]
    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    /// Forgets the maximum.
    pub fn clear_max(&self) {
        self.max.store(0, Relaxed);
    }
}

/// What the second before `second` counted, given the last word written.
fn carried(seen: u64, second: u64) -> u32 {
    if (seen >> 32) + 1 == second {
        u32::try_from(seen & COUNT).unwrap_or(u32::MAX)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slides_over_the_second() {
        let rate = Rate::default();
        for _ in 0..10 {
            rate.event(5_200);
        }
        assert_eq!(rate.at(5_900), 10);
        assert_eq!(rate.at(6_000), 10);
        assert_eq!(rate.at(6_500), 5);
        assert_eq!(rate.at(7_000), 0);
        rate.event(6_500);
        assert_eq!(rate.at(6_500), 6);
        assert_eq!(rate.max(), 10);
    }

    #[test]
    fn a_gap_forgets_everything() {
        let rate = Rate::default();
        rate.event(1_000);
        rate.event(9_000);
        assert_eq!(rate.at(9_000), 1);
        rate.clear_max();
        assert_eq!(rate.max(), 0);
    }
}
