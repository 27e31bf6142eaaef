//! What a load reports: one line of JSON.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use anyhow::Result;
use serde::Serialize;

/// The outcome of one load.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Connections or requests that were answered as they should be.
    pub(crate) done: u64,
    /// Payload sent by the load, bytes.
    pub(crate) sent: u64,
    /// Payload received by the load, bytes.
    pub(crate) received: u64,
    /// From the first connect to the last reply.
    pub(crate) secs: f64,
    /// What went wrong, by kind.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Percentiles in microseconds, by what was timed.
    pub(crate) latency: BTreeMap<String, Percentiles>,
    /// Nanoseconds, by what was timed; becomes `latency` when printed.
    #[serde(skip)]
    pub(crate) samples: BTreeMap<&'static str, Vec<u64>>,
}

/// Nearest-rank percentiles, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    count: usize,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Report {
    pub(crate) fn error(&mut self, kind: &str) {
        self.errors_of(kind, 1);
    }

    pub(crate) fn errors_of(&mut self, kind: &str, count: u64) {
        if count > 0 {
            *self.errors.entry(kind.to_owned()).or_insert(0) += count;
        }
    }

    pub(crate) fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    pub(crate) fn sample(&mut self, what: &'static str, nanoseconds: u64) {
        self.samples.entry(what).or_default().push(nanoseconds);
    }

    /// Takes over the samples of a load's hot loop, where a map would cost.
    pub(crate) fn samples(&mut self, what: &'static str, nanoseconds: Vec<u64>) {
        self.samples.entry(what).or_default().extend(nanoseconds);
    }

    /// Adds what another thread did at the same time.
    pub(crate) fn add(&mut self, other: Self) {
        self.done += other.done;
        self.sent += other.sent;
        self.received += other.received;
        self.secs = self.secs.max(other.secs);
        for (kind, count) in other.errors {
            self.errors_of(&kind, count);
        }
        for (what, samples) in other.samples {
            self.samples(what, samples);
        }
    }

    /// Prints the line.
    ///
    /// # Errors
    /// If standard output is gone.
    pub(crate) fn print(mut self) -> Result<()> {
        for (what, mut samples) in std::mem::take(&mut self.samples) {
            if let Some(percentiles) = percentiles(&mut samples) {
                self.latency.insert(what.to_owned(), percentiles);
            }
        }
        let line = serde_json::to_string(&self)?;
        line_out(&line)
    }
}

/// Writes a line to standard output, at once.
///
/// # Errors
/// If standard output is gone.
pub(crate) fn line_out(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

fn percentiles(nanoseconds: &mut [u64]) -> Option<Percentiles> {
    nanoseconds.sort_unstable();
    let max = *nanoseconds.last()?;
    let count = nanoseconds.len();
    let at = |per_mille: usize| {
        let rank = (count * per_mille).div_ceil(1000).max(1);
        nanoseconds.get(rank - 1).map_or(0.0, |ns| micros(*ns))
    };
    Some(Percentiles {
        count,
        p50: at(500),
        p90: at(900),
        p99: at(990),
        p999: at(999),
        max: micros(max),
    })
}

fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_that_were_seen() {
        let mut samples: Vec<u64> = (1..=1000).rev().map(|n| n * 1000).collect();
        let seen = percentiles(&mut samples).unwrap();
        assert_eq!(
            (seen.p50, seen.p90, seen.p99, seen.p999, seen.max),
            (500.0, 900.0, 990.0, 999.0, 1000.0)
        );
        assert_eq!(percentiles(&mut [7000]).unwrap().p50, 7.0);
        assert_eq!(percentiles(&mut []), None);
    }

    #[test]
    fn threads_add_up_and_errors_stay_apart() {
        let mut sum = Report::default();
        for secs in [1.0, 2.0] {
            let mut one = Report {
                done: 3,
                secs,
                ..Report::default()
            };
            one.error("reset");
            one.sample("reply", 5);
            sum.add(one);
        }
        sum.errors_of("stuck", 0);
        assert_eq!((sum.done, sum.secs), (6, 2.0));
        assert_eq!(sum.errors, BTreeMap::from([("reset".to_owned(), 2)]));
        assert_eq!(sum.samples["reply"], [5, 5]);
    }
}
