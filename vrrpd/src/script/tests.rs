use std::ffi::OsString;

use keepalived_conf::env::Credentials;
use vrrp_core::settings::Sense;
use vrrp_core::time::Duration;

use super::*;

fn def(rise: u32, fall: u32) -> ScriptDef {
    ScriptDef {
        name: "chk".to_owned(),
        argv: vec![OsString::from("/bin/true")],
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(2),
        own_timeout: true,
        rise,
        fall,
        weight: 2,
        sense: Sense::Normal,
        user: Credentials::ROOT,
        init_fail: false,
    }
}

fn seconds(seconds: u64) -> Time {
    Time(seconds * 1_000_000_000)
}

fn end(end: End) -> Report {
    Report { ticket: 7, end }
}

fn lines(script: &mut Tracked, what: End) -> (Vec<String>, Option<Health>) {
    let judged = script.report(&end(what));
    (judged.lines, judged.health)
}

#[test]
fn the_first_result_decides_alone_and_later_ones_are_counted() {
    let mut script = Tracked::new(def(2, 2), 7, seconds(0));
    assert_eq!(script.judgement(), None);
    assert_eq!(
        lines(&mut script, End::Exited(1)),
        (
            vec![
                "Script `chk` now returning 1".to_owned(),
                "VRRP_Script(chk) failed (exited with status 1)".to_owned()
            ],
            Some(Health::Down)
        )
    );
    assert_eq!(
        lines(&mut script, End::Exited(0)),
        (vec!["Script `chk` now returning 0".to_owned()], None)
    );
    assert_eq!(
        lines(&mut script, End::Exited(0)),
        (
            vec!["VRRP_Script(chk) succeeded".to_owned()],
            Some(Health::Up)
        )
    );
    assert_eq!(lines(&mut script, End::Signalled(9)), (vec![], None));
    assert_eq!(
        lines(&mut script, End::Signalled(9)),
        (
            vec!["VRRP_Script(chk) failed (due to signal 9)".to_owned()],
            Some(Health::Down)
        )
    );
}

#[test]
fn a_run_that_goes_on_makes_the_next_one_be_skipped() {
    let mut script = Tracked::new(def(1, 1), 7, seconds(0));
    assert!(matches!(script.due(seconds(0)), Due::Run(_)));
    assert_eq!(script.due(seconds(1)), Due::Nothing);
    assert_eq!(
        script.due(seconds(2)),
        Due::Skip("Track script chk is already running, expect idle - skipping run".to_owned())
    );
    assert_eq!(
        lines(&mut script, End::TimedOut),
        (
            vec!["VRRP_Script(chk) timed_out".to_owned()],
            Some(Health::Down)
        )
    );
    // It was told to end and has not ended yet.
    assert_eq!(
        script.due(seconds(4)),
        Due::Skip("Track script chk is being timed out, expect idle - skipping run".to_owned())
    );
    assert_eq!(lines(&mut script, End::Gone), (vec![], None));
    assert!(matches!(script.due(seconds(6)), Due::Run(_)));
}

#[test]
fn runs_missed_in_a_pause_are_not_made_up_for() {
    let mut script = Tracked::new(def(1, 1), 7, seconds(0));
    assert!(matches!(script.due(seconds(0)), Due::Run(_)));
    lines(&mut script, End::Exited(0));
    assert!(matches!(script.due(seconds(3601)), Due::Run(_)));
    assert_eq!(script.next(), seconds(3602));
}

#[test]
fn init_fail_counts_as_failed_from_the_start() {
    let mut failing = def(2, 1);
    failing.init_fail = true;
    let mut script = Tracked::new(failing, 7, seconds(0));
    assert_eq!(script.judgement(), Some(Health::Down));
    assert_eq!(lines(&mut script, End::Exited(0)), (vec![], None));
    assert_eq!(lines(&mut script, End::Exited(0)).1, Some(Health::Up));
}

#[test]
fn a_reload_says_what_it_keeps() {
    let mut script = Tracked::new(def(1, 1), 7, seconds(0));
    assert_eq!(script.kept_line(), None);
    lines(&mut script, End::Exited(3));
    assert_eq!(
        script.kept_line().as_deref(),
        Some("VRRP_Script(chk) considered unsuccessful on reload")
    );
}
