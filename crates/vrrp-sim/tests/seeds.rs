//! 256 seeds in a plain test run; `cargo xtask sim` runs more, or one alone.

use vrrp_core::settings::Lease;
use vrrp_sim::{Reassurance, Report, Setup, run};

#[test]
fn no_storm_breaks_an_invariant() {
    let mut total = Report::default();
    for seed in 0..256 {
        match run(Setup::of_seed(seed), seed) {
            Ok(report) => {
                total.steps += report.steps;
                total.changes += report.changes;
            }
            Err(breach) => panic!("\n{breach}"),
        }
    }
    println!("{} steps, {} state changes", total.steps, total.changes);
    assert!(total.changes > 0);
}

/// Storms that broke one once: several routers get new address lists within moments, and each
/// has to hear the better one in its own list at once.
#[test]
fn storms_of_before_break_none() {
    for seed in [987, 2198, 2972, 5397, 5475, 5849] {
        if let Err(breach) = run(Setup::of_seed(seed), seed) {
            panic!("\n{breach}");
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_run() {
    for seed in 0..4 {
        let reports: Vec<_> = (0..2)
            .map(|_| run(Setup::of_seed(seed), seed).unwrap())
            .collect();
        assert_eq!(reports[0], reports[1]);
    }
}

/// Without a lease a killed master keeps its address, as keepalived's does:
/// the watch would see it, were it told to expect one.
#[test]
fn without_a_lease_nothing_is_promised_about_dead_nodes() {
    for seed in 0..16 {
        if let Err(breach) = run(Setup::of_seed(seed).with_lease(Lease::Off), seed) {
            panic!("\n{breach}");
        }
    }
}

/// The simulation can fail: with what keepalived does about a healed split
/// the client is left believing the loser in some runs.
#[test]
fn keepaliveds_way_leaves_hosts_behind() {
    let breaches: Vec<String> = (0..256)
        .filter_map(|seed| {
            let setup = Setup::of_seed(seed).with_reassurance(Reassurance::Keepaliveds);
            run(setup, seed).err().map(|breach| breach.what)
        })
        .collect();
    assert!(!breaches.is_empty());
    assert!(
        breaches.iter().all(|what| what.starts_with("hosts know")),
        "{breaches:?}"
    );
}
