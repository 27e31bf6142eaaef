//! Medians and ratios.

use serde::Serialize;

/// Median and quartiles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

/// Median and quartiles of `values`, between neighbours where they fall between two;
/// `None` without a value.
pub(crate) fn spread(values: &[f64]) -> Option<Spread> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = |share: f64| {
        let place = share * last as f64;
        let below = place.floor();
        let low = sorted[below as usize];
        let high = sorted[(below as usize + 1).min(last)];
        low + (high - low) * (place - below)
    };
    Some(Spread {
        low: at(0.25),
        median: at(0.5),
        high: at(0.75),
    })
}

/// The ratios ours / theirs of the rounds in which both have a value.
pub(crate) fn ratios(ours: &[(usize, f64)], theirs: &[(usize, f64)]) -> Vec<f64> {
    ours.iter()
        .filter_map(|(round, value)| {
            let (_, other) = theirs.iter().find(|(other, _)| other == round)?;
            (*other != 0.0).then(|| value / other)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], expected: Option<(f64, f64, f64)>) {
        let seen = spread(values).map(|s| (s.low, s.median, s.high));
        assert_eq!(seen, expected, "{values:?}");
    }

    #[test]
    fn medians_and_quartiles() {
        check(&[], None);
        check(&[f64::NAN], None);
        check(&[3.0], Some((3.0, 3.0, 3.0)));
        check(&[4.0, 2.0], Some((2.5, 3.0, 3.5)));
        check(&[5.0, 1.0, 3.0], Some((2.0, 3.0, 4.0)));
        check(&[1.0, 2.0, 3.0, 100.0], Some((1.75, 2.5, 27.25)));
    }

    #[test]
    fn ratios_pair_rounds_and_leave_out_the_rest() {
        let ours = [(0, 1.0), (1, 2.0), (3, 9.0), (4, 1.0)];
        let theirs = [(3, 3.0), (0, 2.0), (2, 7.0), (4, 0.0)];
        assert_eq!(ratios(&ours, &theirs), [0.5, 3.0]);
        assert!(ratios(&ours, &[]).is_empty());
    }
}
