//! Random sessions without sockets: a model of client, server, kernel buffers and time drives the
//! machine the way the worker does, and what must always hold is checked after every event.
//!
//! `RELAY_SEED=N` takes another seed, `RELAY_ONLY=N` plays session N of it alone and shows its events.

mod coverage;
mod driver;
mod invariants;
mod peer;

use std::collections::BTreeSet;

use driver::Driver;

/// Sessions of one run of the test.
const SESSIONS: u64 = 150_000;
/// Random steps of a session before everybody falls silent.
const STEPS: u32 = 120;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn random_sessions_keep_every_invariant_and_cover_every_transition() {
    let seed = number("RELAY_SEED").unwrap_or(2026);
    let only = number("RELAY_ONLY");
    let mut covered = BTreeSet::new();
    for session in only.map_or(0..SESSIONS, |only| only..only + 1) {
        let mut random = fastrand::Rng::with_seed(seed ^ session.rotate_left(32));
        let steps = random.u32(0..STEPS);
        let mut driver = Driver::new(random, format!("RELAY_SEED={seed} RELAY_ONLY={session}"));
        for _ in 0..steps {
            if driver.is_over() {
                break;
            }
            driver.step();
        }
        driver.settle();
        if only.is_some() {
            println!("{}", driver.story());
        }
        covered.append(&mut driver.covered);
    }
    if only.is_none() {
        coverage::check(&covered);
    }
}
