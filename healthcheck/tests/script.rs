//! `vrrp_script` results: the first decides, the others repeat.

use healthcheck::script::ScriptResult::{Failure, Success};
use healthcheck::script::ScriptState::{Failed, Good, Unknown};
use healthcheck::script::{InitFail, ScriptHealth, ScriptResult, ScriptState};

fn check(mut script: ScriptHealth, steps: &[(ScriptResult, Option<ScriptState>, ScriptState)]) {
    for (index, (result, change, state)) in steps.iter().enumerate() {
        let found = script.record(*result);
        assert_eq!((found, script.state()), (*change, *state), "step {index}");
    }
}

#[test]
fn the_first_result_decides_alone() {
    let fresh = ScriptHealth::new(5, 5, InitFail::No);
    assert_eq!(fresh.state(), Unknown);
    check(fresh, &[(Failure, Some(Failed), Failed)]);
    check(fresh, &[(Success, Some(Good), Good)]);
}

#[test]
fn fall_failures_in_a_row_make_it_fail() {
    check(
        ScriptHealth::new(1, 3, InitFail::No),
        &[
            (Success, Some(Good), Good),
            (Failure, None, Good),
            (Failure, None, Good),
            (Success, None, Good),
            (Failure, None, Good),
            (Failure, None, Good),
            (Failure, Some(Failed), Failed),
            (Failure, None, Failed),
            (Success, Some(Good), Good),
        ],
    );
}

#[test]
fn rise_successes_in_a_row_make_it_good() {
    check(
        ScriptHealth::new(2, 1, InitFail::No),
        &[
            (Failure, Some(Failed), Failed),
            (Success, None, Failed),
            (Failure, None, Failed),
            (Success, None, Failed),
            (Success, Some(Good), Good),
            (Failure, Some(Failed), Failed),
        ],
    );
}

#[test]
fn init_fail_starts_failed_and_has_to_rise() {
    let script = ScriptHealth::new(2, 1, InitFail::Yes);
    assert_eq!(script.state(), Failed);
    check(
        script,
        &[(Success, None, Failed), (Success, Some(Good), Good)],
    );
}

#[test]
fn zero_counts_as_one() {
    check(
        ScriptHealth::new(0, 0, InitFail::No),
        &[
            (Success, Some(Good), Good),
            (Failure, Some(Failed), Failed),
            (Success, Some(Good), Good),
        ],
    );
}
