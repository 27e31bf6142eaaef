//! How often a line may be logged that a packet from the network can cause.

use std::collections::BTreeMap;

use vrrp_core::{Duration, Time};

/// Lines of one shape that pass at once.
const BURST: u32 = 10;
/// After a burst, one line of a shape a second passes: as many as one misconfigured
/// peer causes, which is what the originals' readers are used to.
const PERIOD: Duration = Duration::from_secs(1);
/// Shapes remembered; a packet cannot make more of them than there are messages.
const SHAPES: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: u32,
    refilled: Time,
    suppressed: u64,
}

/// Whether a line passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It does; so many of its shape were kept back since the last one.
    Pass {
        /// Lines kept back.
        suppressed: u64,
    },
    /// It does not.
    KeepBack,
}

/// Counts lines by their shape: the text without its numbers.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    buckets: BTreeMap<String, Bucket>,
}

impl Limiter {
    pub(crate) fn admit(&mut self, now: Time, line: &str) -> Verdict {
        let shape: String = line.chars().filter(|c| !c.is_ascii_digit()).collect();
        if self.buckets.len() >= SHAPES && !self.buckets.contains_key(&shape) {
            self.buckets.clear();
        }
        let bucket = self.buckets.entry(shape).or_insert(Bucket {
            tokens: BURST,
            refilled: now,
            suppressed: 0,
        });
        let periods = now.since(bucket.refilled).as_nanos() / PERIOD.as_nanos();
        if periods > 0 {
            let refill = u32::try_from(periods).unwrap_or(BURST);
            bucket.tokens = bucket.tokens.saturating_add(refill).min(BURST);
            bucket.refilled = now;
        }
        if bucket.tokens == 0 {
            bucket.suppressed += 1;
            return Verdict::KeepBack;
        }
        bucket.tokens -= 1;
        Verdict::Pass {
            suppressed: std::mem::take(&mut bucket.suppressed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time(millis * 1_000_000)
    }

    #[test]
    fn a_flood_becomes_one_line_a_second_that_counts_the_rest() {
        let mut limiter = Limiter::default();
        let mut passed = 0;
        // 20,000 lines within one second.
        for n in 0..20_000_u64 {
            let line = format!("(V) invalid TTL/HL. Received {n} and expect 255");
            if limiter.admit(at(n / 20), &line) != Verdict::KeepBack {
                passed += 1;
            }
        }
        assert_eq!(passed, BURST);
        assert_eq!(
            limiter.admit(at(1500), "(V) invalid TTL/HL. Received 7 and expect 255"),
            Verdict::Pass { suppressed: 19_990 }
        );
    }

    #[test]
    fn one_line_a_second_passes_for_ever_and_shapes_do_not_mix() {
        let mut limiter = Limiter::default();
        for second in 0..100 {
            let line = format!("(V) received an unexpected ip number count {second}");
            assert_eq!(
                limiter.admit(at(second * 1000), &line),
                Verdict::Pass { suppressed: 0 }
            );
        }
        assert_eq!(
            limiter.admit(at(99_000), "(W) received an invalid passwd!"),
            Verdict::Pass { suppressed: 0 }
        );
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut limiter = Limiter::default();
        for n in 0..10_000_u32 {
            let name: String = n.to_string().bytes().map(|b| char::from(b + 20)).collect();
            limiter.admit(at(0), &name);
        }
        assert!(limiter.buckets.len() <= SHAPES);
    }
}
