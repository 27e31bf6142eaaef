//! When the checks of a process start.

use std::time::Duration;

/// Checks that are repeated faster than this do not shrink the window of the first round.
const SHORTEST_WINDOW: Duration = Duration::from_millis(1000);

/// The delay of the first check of each server, in the order given.
///
/// All checks are laid out evenly over one window: the smallest interval of at least one second
/// among them, or a check's own interval where that is longer, but no longer than `cap`
/// (`max-spread-checks`). The first one starts at once.
#[must_use]
pub fn first_delays(intervals: &[Duration], cap: Option<Duration>) -> Vec<Duration> {
    let shortest = intervals
        .iter()
        .copied()
        .filter(|interval| *interval >= SHORTEST_WINDOW)
        .min()
        .unwrap_or_default();
    let count = u32::try_from(intervals.len()).unwrap_or(u32::MAX).max(1);
    let mut delays = Vec::with_capacity(intervals.len());
    for (index, interval) in intervals.iter().enumerate() {
        let window = shortest.max(*interval);
        let window = cap.map_or(window, |cap| window.min(cap));
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let millis = window.as_millis() * u128::from(index) / u128::from(count);
        delays.push(Duration::from_millis(
            u64::try_from(millis).unwrap_or(u64::MAX),
        ));
    }
    delays
}

/// `interval` moved by up to `percent` (0..=50) of itself in either direction (`spread-checks`).
/// `random` is any number; it picks the place.
#[must_use]
pub fn spread(interval: Duration, percent: u8, random: u32) -> Duration {
    let percent = u32::from(percent.min(50));
    let reach = interval * percent / 100;
    // 2^32 numbers laid over [-reach, +reach].
    let offset = (reach * 2).as_nanos() * u128::from(random) / u128::from(u32::MAX);
    let offset = Duration::from_nanos(u64::try_from(offset).unwrap_or(u64::MAX));
    (interval - reach).saturating_add(offset)
}
