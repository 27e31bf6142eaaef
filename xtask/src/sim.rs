//! `cargo xtask sim`: the virtual router under simulated storms, for any number of seeds.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;
use vrrp_sim::{Breach, Report, Setup};

use crate::run::{complain, say};

/// Seeds between two lines of progress.
const STRIDE: u64 = 1_000;
/// Breaches shown before the run gives up: one is worth reading whole, the
/// seeds of a few more tell whether it is rare.
const ENOUGH: usize = 3;

/// Which runs to make.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// How many seeds, counted from --first
    #[arg(long, default_value_t = 256, conflicts_with = "seed")]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    first: u64,
    /// Run this seed alone
    #[arg(long)]
    seed: Option<u64>,
    /// Threads; as many as there are processors unless given
    #[arg(long)]
    threads: Option<NonZeroUsize>,
}

impl Options {
    fn seeds(&self) -> std::ops::Range<u64> {
        match self.seed {
            Some(seed) => seed..seed.saturating_add(1),
            None => self.first..self.first.saturating_add(self.seeds),
        }
    }
}

/// What all threads share.
struct Shared {
    next: AtomicU64,
    end: u64,
    enough: AtomicBool,
}

/// What one thread saw.
#[derive(Default)]
struct Seen {
    runs: u64,
    steps: u64,
    changes: u64,
    breaches: Vec<Breach>,
}

impl Seen {
    fn add(&mut self, report: Report) {
        self.runs += 1;
        self.steps += report.steps;
        self.changes += report.changes;
    }
}

/// Runs the simulation; fails if any invariant breaks.
pub(crate) fn sim(options: &Options) -> Result<ExitCode> {
    let seeds = options.seeds();
    let threads = match options.threads {
        Some(threads) => threads.get(),
        None => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
    };
    let began = Instant::now();
    let total = work(&seeds, threads)?;
    let seconds = began.elapsed().as_secs_f64();
    if let Some(first) = total.breaches.first() {
        say(&first.to_string());
        for other in total.breaches.iter().skip(1) {
            say(&format!("seed {}: {}", other.seed, other.what));
        }
        complain(&format!(
            "{} seeds broke an invariant",
            total.breaches.len()
        ));
        return Ok(ExitCode::FAILURE);
    }
    say(&format!(
        "{} seeds ({} to {}): no invariant broke in {} steps with {} state changes, {seconds:.1} s",
        total.runs,
        seeds.start,
        seeds.end.saturating_sub(1),
        total.steps,
        total.changes,
    ));
    Ok(ExitCode::SUCCESS)
}

fn work(seeds: &std::ops::Range<u64>, threads: usize) -> Result<Seen> {
    let shared = Shared {
        next: AtomicU64::new(seeds.start),
        end: seeds.end,
        enough: AtomicBool::new(false),
    };
    let mut total = Seen::default();
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| take_seeds(&shared, seeds.start)))
            .collect();
        for worker in workers {
            let seen = worker.join().ok().context("a simulation thread panicked")?;
            total.runs += seen.runs;
            total.steps += seen.steps;
            total.changes += seen.changes;
            total.breaches.extend(seen.breaches);
        }
        Ok(())
    })?;
    total.breaches.sort_by_key(|breach| breach.seed);
    Ok(total)
}

fn take_seeds(shared: &Shared, first: u64) -> Seen {
    let mut seen = Seen::default();
    while !shared.enough.load(Ordering::Relaxed) {
        let seed = shared.next.fetch_add(1, Ordering::Relaxed);
        if seed >= shared.end {
            break;
        }
        let done = seed - first;
        if done > 0 && done.is_multiple_of(STRIDE) {
            say(&format!("{done} of {} seeds", shared.end - first));
        }
        match vrrp_sim::run(Setup::of_seed(seed), seed) {
            Ok(report) => seen.add(report),
            Err(breach) => {
                seen.breaches.push(*breach);
                if seen.breaches.len() >= ENOUGH {
                    shared.enough.store(true, Ordering::Relaxed);
                }
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &[&str]) -> Options {
        Options::parse_from(std::iter::once("sim").chain(line.iter().copied()))
    }

    #[test]
    fn the_seeds_are_those_asked_for() {
        assert_eq!(options(&[]).seeds(), 0..256);
        assert_eq!(options(&["--seeds", "10", "--first", "5"]).seeds(), 5..15);
        assert_eq!(options(&["--seed", "7"]).seeds(), 7..8);
        let both = ["sim", "--seed", "7", "--seeds", "2"];
        assert!(Options::try_parse_from(both).is_err());
    }

    /// As many threads as one likes: each seed is run once.
    #[test]
    fn every_seed_is_run_once() {
        let one = work(&(3..9), 1).unwrap();
        let many = work(&(3..9), 8).unwrap();
        assert_eq!(one.runs, 6);
        assert_eq!(
            (one.runs, one.steps, one.changes),
            (many.runs, many.steps, many.changes)
        );
    }
}
