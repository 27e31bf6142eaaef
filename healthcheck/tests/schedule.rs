//! First checks: spread evenly, the first at once.

use std::time::Duration;

use healthcheck::schedule::{first_delays, spread};
use proptest::prelude::*;

fn check(intervals: &[u64], cap: Option<u64>, expected: &[u64]) {
    let intervals: Vec<Duration> = intervals
        .iter()
        .copied()
        .map(Duration::from_millis)
        .collect();
    let found = first_delays(&intervals, cap.map(Duration::from_millis));
    let expected: Vec<Duration> = expected
        .iter()
        .copied()
        .map(Duration::from_millis)
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn equal_intervals_share_one_window() {
    check(&[2000, 2000, 2000], None, &[0, 666, 1333]);
    check(&[], None, &[]);
    check(&[1000], None, &[0]);
}

#[test]
fn the_shortest_interval_of_a_second_or_more_sets_the_window() {
    // The slow check waits within its own interval, as in the original.
    check(&[1000, 1000, 4000, 1000], None, &[0, 250, 2000, 750]);
}

#[test]
fn fast_checks_do_not_shrink_the_window_of_others() {
    check(&[200, 200, 2000, 200], None, &[0, 500, 1000, 1500]);
    check(&[200, 200], None, &[0, 100]);
}

#[test]
fn max_spread_checks_caps_the_window() {
    check(&[2000, 2000], Some(100), &[0, 50]);
}

proptest! {
    #[test]
    fn spread_stays_within_its_percentage(
        interval in 0_u64..2_147_483_647, percent in 0_u8..=60, random: u32,
    ) {
        let interval = Duration::from_millis(interval);
        let moved = spread(interval, percent, random);
        let reach = interval * u32::from(percent.min(50)) / 100;
        prop_assert!(moved >= interval - reach && moved <= interval + reach);
    }

    #[test]
    fn first_checks_come_within_the_longest_interval(
        intervals in prop::collection::vec(1_u64..100_000, 1..50),
    ) {
        let intervals: Vec<Duration> =
            intervals.into_iter().map(Duration::from_millis).collect();
        let delays = first_delays(&intervals, None);
        let longest = intervals.iter().copied().max().unwrap_or_default();
        prop_assert_eq!(delays.len(), intervals.len());
        prop_assert_eq!(delays.first().copied(), Some(Duration::ZERO));
        prop_assert!(delays.iter().all(|delay| *delay < longest.max(Duration::from_millis(1))));
    }
}
