//! Log lines word by word, and which of them need `-D`.

mod common;

use std::num::NonZeroU8;

use common::{Bench, HIGHER_PEER, PEER, actions, effects, log, millis, plain, reference};
use vrrp_core::settings::{Initial, OnAdvert};
use vrrp_core::{Action, Detail, Duration, Event, LogLine, State};

/// What keepalived shows without `-D`.
fn always(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Log(line) if line.detail() == Detail::Always => Some(line.to_string()),
            _ => None,
        })
        .collect()
}

#[test]
fn becoming_master() {
    let mut settings = plain(reference(100));
    settings.garp.repeat = 1;
    let mut bench = Bench::new(settings);
    let started = bench.event(Event::Start);
    assert_eq!(
        log(&started),
        ["(V) removing VIPs.", "(V) Entering BACKUP STATE (init)"]
    );
    assert_eq!(always(&started), ["(V) Entering BACKUP STATE (init)"]);

    let master = actions(bench.run(millis(3_610)));
    let all: Vec<String> = master
        .iter()
        .filter_map(|action| match action {
            Action::Log(line) => Some(line.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(
        all,
        [
            "(V) Receive advertisement timeout",
            "(V) Entering MASTER STATE",
            "(V) setting VIPs.",
            "(V) Sending/queueing gratuitous ARPs on eth0 for 10.0.254.253",
            "Sending gratuitous ARP on eth0 for 10.0.254.253",
        ]
    );
    assert_eq!(always(&master), ["(V) Entering MASTER STATE"]);
}

#[test]
fn losing_to_a_better_one() {
    let mut bench = Bench::master(plain(reference(102)));
    let lost = bench.advert(PEER, 103);
    assert_eq!(
        log(&lost),
        [
            "(V) Master received advert from 10.0.254.251 with higher priority 103, ours 102",
            "(V) Entering BACKUP STATE",
            "(V) removing VIPs."
        ]
    );
    assert_eq!(always(&lost).len(), 2);

    let mut bench = Bench::master(plain(reference(100)));
    assert_eq!(
        log(&bench.advert(HIGHER_PEER, 100))[0],
        "(V) Master received advert from 10.0.255.1 with same priority 100 but higher IP address \
         than ours"
    );
}

#[test]
fn lower_adverts() {
    let mut bench = Bench::started(plain(reference(102)));
    let discarded = bench.advert(PEER, 101);
    assert_eq!(
        always(&discarded),
        ["(V) received lower priority (101) advert from 10.0.254.251 - discarding"]
    );

    let mut bench = Bench::master(plain(reference(100)));
    assert_eq!(
        always(&bench.advert(PEER, 50)),
        [
            "(V) Received advert from 10.0.254.251 with lower priority 50, ours 100, forcing new \
          election"
        ]
    );
    let mut silent = plain(reference(100));
    silent.on_lower = OnAdvert::Silent;
    let mut bench = Bench::master(silent);
    assert_eq!(
        always(&bench.advert(PEER, 50)),
        ["(V) Received advert from 10.0.254.251 with lower priority 50, ours 100"]
    );
}

#[test]
fn priority_zero_and_stop() {
    let mut bench = Bench::started(plain(reference(100)));
    let heard = bench.advert(PEER, 0);
    assert_eq!(
        log(&heard),
        ["(V) Backup received priority 0 advertisement"]
    );
    assert_eq!(always(&heard), [""; 0]);

    let mut bench = Bench::master(plain(reference(100)));
    let heard = bench.advert(PEER, 0);
    assert_eq!(log(&heard), ["(V) Master received priority 0 message"]);
    let stopped = bench.event(Event::Stop);
    assert_eq!(log(&stopped), ["(V) sent 0 priority", "(V) removing VIPs."]);
    assert_eq!(always(&stopped), [""; 0]);
}

#[test]
fn two_owners() {
    let mut settings = plain(reference(255));
    settings.initial = Initial::Master;
    let mut bench = Bench::started(settings);
    // Even one with a lower address than ours wins now.
    let lost = bench.advert(PEER, 255);
    assert_eq!(
        always(&lost),
        [
            "(V) CONFIGURATION ERROR: local instance and a remote instance are both configured as \
             address owner, please fix - reducing local priority",
            "(V) Master received advert from 10.0.254.251 with higher priority 255, ours 254",
            "(V) Entering BACKUP STATE"
        ]
    );
    assert_eq!(bench.router.effective_priority(), 254);
    // For good: until the configured priority is another.
    bench.event(Event::Stop);
    bench.event(Event::Start);
    assert_eq!(
        (bench.router.state(), bench.router.effective_priority()),
        (State::Backup, 254)
    );
    let mut settings = bench.router.settings().clone();
    settings.priority = NonZeroU8::new(120).unwrap();
    bench.event(Event::Reload(Box::new(settings)));
    assert_eq!(bench.router.effective_priority(), 120);
}

#[test]
fn what_the_driver_says_in_keepaliveds_words() {
    let interface = || "eth0".to_owned();
    let script = || "chk_haproxy".to_owned();
    let lines = [
        (
            LogLine::LinkDown {
                interface: interface(),
            },
            "Netlink reports eth0 down",
        ),
        (
            LogLine::LinkUp {
                interface: interface(),
            },
            "Netlink reports eth0 up",
        ),
        (
            LogLine::ScriptReturning {
                script: script(),
                status: 1,
            },
            "Script `chk_haproxy` now returning 1",
        ),
        (
            LogLine::ScriptFailed {
                script: script(),
                reason: "exited with status 1".to_owned(),
            },
            "VRRP_Script(chk_haproxy) failed (exited with status 1)",
        ),
        (
            LogLine::ScriptSucceeded { script: script() },
            "VRRP_Script(chk_haproxy) succeeded",
        ),
        (
            LogLine::ScriptConsideredSuccessful { script: script() },
            "VRRP_Script(chk_haproxy) considered successful on reload",
        ),
        (
            LogLine::TimerLate {
                late: Duration::from_micros(7_172_512),
            },
            "A thread timer expired 7.172512 seconds ago",
        ),
    ];
    for (line, words) in lines {
        assert_eq!(line.to_string(), words);
        assert_eq!(line.detail(), Detail::Always);
    }
}

#[test]
fn the_password_is_in_no_debug_output() {
    let bench = Bench::master(reference(100));
    assert!(!format!("{:?}", bench.router).contains("k8s"));
    assert!(!format!("{:?}", bench.router).contains("107, 56, 115"));
    assert_eq!(effects(&[]), "");
}
