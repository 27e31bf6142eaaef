//! Each single fault on a settled pair, at many moments between two adverts:
//! how long nobody, or more than one node, holds the address.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that breaks fails its test"
)]

use vrrp_core::Duration;
use vrrp_core::settings::Lease;
use vrrp_sim::fault::{Fault, Ways};
use vrrp_sim::{Aftermath, Setup, strike};

/// The reference pair while both are healthy.
const MASTER: usize = 0;
const BACKUP: usize = 1;
const CLIENT: usize = 2;

/// Skew of the backup, priority 102: (256 - 102) / 256 s.
const BACKUP_SKEW: u64 = 602;
/// Delays of the network and the listening after a pause.
const SLACK: u64 = 30;
/// How late the kernel may be.
const KERNEL: u64 = 300;

fn pair() -> Setup {
    Setup::of_priorities(&[103, 102])
}

/// Worst over forty moments within two intervals.
fn worst(setup: &Setup, faults: &[(u64, Fault)]) -> (u64, u64, Aftermath) {
    let mut worst = (0, 0);
    let mut last = None;
    for moment in 0..40 {
        let mut faults: Vec<(Duration, Fault)> = faults
            .iter()
            .map(|(after, fault)| (Duration::from_millis(*after), *fault))
            .collect();
        faults[0].0 = faults[0].0 + Duration::from_millis(moment * 50);
        let aftermath = match strike(setup.clone(), moment, &faults) {
            Ok(aftermath) => aftermath,
            Err(breach) => panic!("\n{breach}"),
        };
        let millis = |duration: Duration| duration.as_nanos().div_ceil(1_000_000);
        worst.0 = worst.0.max(millis(aftermath.without_owner));
        worst.1 = worst.1.max(millis(aftermath.several_owners));
        if let Some(last) = last {
            let ends =
                |aftermath: &Aftermath| (aftermath.master, aftermath.belief, aftermath.takeovers);
            assert_eq!(
                ends(&last),
                ends(&aftermath),
                "{faults:?}: the end is always the same"
            );
        }
        last = Some(aftermath);
    }
    (worst.0, worst.1, last.unwrap())
}

/// Nobody for at most so many milliseconds, several for at most so many, so many
/// takeovers, and who is master at the end.
fn check(faults: &[(u64, Fault)], nobody: u64, several: u64, takeovers: u64, master: usize) {
    let (without, with_several, end) = worst(&pair(), faults);
    assert!(
        without <= nobody,
        "{faults:?}: nobody for {without} ms, at most {nobody}"
    );
    assert!(
        with_several <= several,
        "{faults:?}: several for {with_several} ms, at most {several}"
    );
    assert_eq!(
        (end.master, end.belief),
        (Some(master), Some(master)),
        "{faults:?}"
    );
    assert_eq!(end.takeovers, takeovers, "{faults:?}: takeovers");
}

#[test]
fn a_stopped_master_leaves_one_skew() {
    check(
        &[(0, Fault::Stop(MASTER))],
        BACKUP_SKEW + SLACK,
        0,
        1,
        BACKUP,
    );
}

/// The lease is 3 s, Master_Down 3.6 s after the same advert: never two.
#[test]
fn a_killed_master_is_gone_before_the_backup_takes_over() {
    check(
        &[(0, Fault::Crash(MASTER))],
        BACKUP_SKEW + SLACK,
        0,
        1,
        BACKUP,
    );
}

#[test]
fn a_hung_master_is_gone_before_the_backup_takes_over_and_yields_nothing_when_it_returns() {
    check(
        &[(0, Fault::Pause(MASTER))],
        BACKUP_SKEW + SLACK,
        0,
        1,
        BACKUP,
    );
    // It comes back as the better one, MASTER all the time: two owners for the
    // way of one advert.
    let returns = [(0, Fault::Pause(MASTER)), (12_000, Fault::Resume(MASTER))];
    check(&returns, BACKUP_SKEW + SLACK, SLACK, 1, MASTER);
    let restarts = [(0, Fault::Crash(MASTER)), (12_000, Fault::Start(MASTER))];
    check(&restarts, BACKUP_SKEW + SLACK, SLACK, 2, MASTER);
}

/// A pause shorter than the lease costs nothing.
#[test]
fn a_short_hang_is_not_seen() {
    check(
        &[(0, Fault::Pause(MASTER)), (1_900, Fault::Resume(MASTER))],
        0,
        0,
        0,
        MASTER,
    );
}

#[test]
fn a_lost_link_leaves_one_master_down() {
    check(
        &[(0, Fault::LinkDown(MASTER))],
        3_000 + BACKUP_SKEW + SLACK,
        0,
        1,
        BACKUP,
    );
    let returns = [
        (0, Fault::LinkDown(MASTER)),
        (12_000, Fault::LinkUp(MASTER)),
    ];
    check(&returns, 3_000 + BACKUP_SKEW + SLACK, SLACK, 2, MASTER);
}

/// While they do not hear each other there are two; when they do, one at once,
/// and the client is told.
#[test]
fn a_split_that_heals() {
    let heals = [
        (0, Fault::Cut(MASTER, BACKUP, Ways::Both)),
        (12_000, Fault::Mend),
    ];
    let (without, several, end) = worst(&pair(), &heals);
    assert_eq!(without, 0);
    assert!(several > 8_000, "the cut is there: {several}");
    assert_eq!((end.master, end.belief), (Some(MASTER), Some(MASTER)));
    // One way only, each way.
    for (from, to) in [(MASTER, BACKUP), (BACKUP, MASTER)] {
        let heals = [(0, Fault::Cut(from, to, Ways::One)), (12_000, Fault::Mend)];
        let (_, _, end) = worst(&pair(), &heals);
        assert_eq!((end.master, end.belief), (Some(MASTER), Some(MASTER)));
    }
}

#[test]
fn faults_of_the_backup_are_not_seen() {
    for fault in [
        Fault::Stop(BACKUP),
        Fault::Crash(BACKUP),
        Fault::Pause(BACKUP),
        Fault::LinkDown(BACKUP),
        Fault::Cut(BACKUP, CLIENT, Ways::Both),
    ] {
        check(&[(0, fault)], 0, 0, 0, MASTER);
    }
    // One that returns from a long pause listens before it takes over.
    check(
        &[(0, Fault::Pause(BACKUP)), (15_000, Fault::Resume(BACKUP))],
        0,
        0,
        0,
        MASTER,
    );
}

#[test]
fn an_address_removed_by_hand_is_back_after_one_skew() {
    check(
        &[(0, Fault::RemoveAddress(MASTER, 0))],
        BACKUP_SKEW + SLACK,
        0,
        1,
        MASTER,
    );
}

/// What keepalived does: the measure is the same, the result is not.
#[test]
fn without_a_lease_a_killed_master_keeps_its_address() {
    let (_, several, _) = worst(&pair().with_lease(Lease::Off), &[(0, Fault::Crash(MASTER))]);
    assert!(several > 15_000, "{several}");
}

/// A backup whose skew is shorter than the kernel is late: the one case the
/// lease leaves open.
#[test]
fn at_the_highest_priorities_two_owners_last_as_long_as_the_kernel_is_late() {
    let high = Setup::of_priorities(&[254, 253]);
    let (_, several, _) = worst(&high, &[(0, Fault::Crash(MASTER))]);
    assert!((1..=KERNEL).contains(&several), "{several}");
}
