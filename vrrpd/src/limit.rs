//! How often a line may be logged that a packet from the network can cause.

use std::collections::BTreeMap;

use vrrp_core::{Duration, Time};

/// Lines of one shape that pass at once.
const BURST: u32 = 10;
/// After a burst, one line of a shape a second passes: as many as one misconfigured
/// peer causes, which is what the originals' readers are used to.
const PERIOD: Duration = Duration::from_secs(1);
/// Shapes remembered: more than there are messages for some instances. With many instances
/// those that find no room share one.
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

/// Counts lines by their shape: the text without its numbers and addresses.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    buckets: BTreeMap<String, Bucket>,
}

impl Bucket {
    const fn new(now: Time) -> Self {
        Self {
            tokens: BURST,
            refilled: now,
            suppressed: 0,
        }
    }

    fn refill(&mut self, now: Time) {
        let periods = now.since(self.refilled).as_nanos() / PERIOD.as_nanos();
        if periods > 0 {
            let refill = u32::try_from(periods).unwrap_or(BURST);
            self.tokens = self.tokens.saturating_add(refill).min(BURST);
            self.refilled = now;
        }
    }

    /// Whether a new one would let the same lines pass. What was kept back long ago is not
    /// told then.
    const fn is_idle(&self) -> bool {
        self.tokens == BURST
    }
}

impl Limiter {
    pub(crate) fn admit(&mut self, now: Time, line: &str) -> Verdict {
        let shape = self.known_shape(now, line);
        let bucket = self.buckets.entry(shape).or_insert(Bucket::new(now));
        bucket.refill(now);
        if bucket.tokens == 0 {
            bucket.suppressed += 1;
            return Verdict::KeepBack;
        }
        bucket.tokens -= 1;
        Verdict::Pass {
            suppressed: std::mem::take(&mut bucket.suppressed),
        }
    }

    /// The line's shape, or the one that is shared when no other has room. Those that were
    /// quiet for a while make room; none is forgotten before: a table that forgets under load
    /// limits nothing.
    fn known_shape(&mut self, now: Time, line: &str) -> String {
        let shape = shape(line);
        if self.buckets.len() < SHAPES || self.buckets.contains_key(&shape) {
            return shape;
        }
        // Looked at once a period, not for every line.
        let shared = self.buckets.get(SHARED).copied();
        let looked = shared.is_some_and(|shared| now.since(shared.refilled) < PERIOD);
        if !looked {
            self.buckets.retain(|_, bucket| {
                bucket.refill(now);
                !bucket.is_idle()
            });
        }
        if self.buckets.len() < SHAPES {
            return shape;
        }
        SHARED.to_owned()
    }
}

/// The shape of what finds no room; no line has it.
const SHARED: &str = "";

/// The text without what a packet can fill in at will: digits, and words with two colons,
/// which are IPv6 addresses.
fn shape(line: &str) -> String {
    let is_address = |word: &str| word.bytes().filter(|byte| *byte == b':').count() >= 2;
    let words = line.split_inclusive(' ').filter(|word| !is_address(word));
    words
        .flat_map(str::chars)
        .filter(|c| !c.is_ascii_digit())
        .collect()
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
    fn forged_ipv6_sources_are_one_shape() {
        let mut limiter = Limiter::default();
        let admitted = (0..10_000_u16).filter(|n| {
            let source = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xabcd, *n);
            let line =
                format!("(V) received lower priority (50) advert from {source} - discarding");
            limiter.admit(at(0), &line) != Verdict::KeepBack
        });
        assert_eq!(admitted.count(), BURST as usize);
        assert_eq!(limiter.buckets.len(), 1);
    }

    fn name(n: u32) -> String {
        n.to_string().bytes().map(|b| char::from(b + 20)).collect()
    }

    #[test]
    fn more_shapes_than_there_is_room_for_are_limited_together() {
        let mut limiter = Limiter::default();
        let mut passed = 0;
        // A thousand names in turn, ten thousand lines a second for ten seconds.
        for n in 0..100_000_u32 {
            let line = format!("({}) received an invalid passwd!", name(n % 1000));
            let verdict = limiter.admit(at(u64::from(n) / 10), &line);
            passed += u32::from(verdict != Verdict::KeepBack);
            assert!(limiter.buckets.len() <= SHAPES + 1);
        }
        // A burst and one line a second for each shape and for the shared one.
        let most = (u32::try_from(SHAPES).unwrap() + 1) * (BURST + 10);
        assert!(passed <= most, "{passed}");
        // Afterwards there is room again.
        let line = "(another) received an invalid passwd!";
        assert_eq!(
            limiter.admit(at(60_000), line),
            Verdict::Pass { suppressed: 0 }
        );
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut limiter = Limiter::default();
        for n in 0..10_000_u32 {
            limiter.admit(at(0), &name(n));
        }
        assert!(limiter.buckets.len() <= SHAPES + 1);
    }
}
