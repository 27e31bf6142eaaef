//! What is dropped, and when.

use netif::{Guard, Guarded, Side};

use super::*;

/// The reference host, whose master does not answer.
fn silent() -> Config {
    let mut settings = instance();
    settings.scripts.clear();
    let local = Address::new("fe80::99".parse().unwrap(), 64, "ens160");
    settings.excluded = vec![local];
    let mut config = config(settings);
    config.scripts.clear();
    config.instances[0].accept = false;
    config
}

fn dropped(guard: &Guard) -> Vec<String> {
    let name = |one: &Guarded| match &one.link {
        None => one.address.to_string(),
        Some(Side::Name(name)) => format!("{}%{name}", one.address),
        Some(Side::Index(index)) => format!("{}%{index}", one.address),
    };
    guard.addresses.iter().map(name).collect()
}

#[test]
fn what_is_dropped_comes_before_the_addresses_and_goes_after_them() {
    let mut host = Host::new(silent());
    assert_eq!(host.kernel.guards(), []);
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
    let guards = host.kernel.guards();
    assert_eq!(guards.len(), 1);
    assert_eq!(dropped(&guards[0]), ["10.0.254.253", "fe80::99%ens160"]);
    assert_eq!(
        (guards[0].table.as_str(), guards[0].priority),
        ("keepalived", -1)
    );
    host.receive(200);
    assert_eq!(host.state(), State::Backup);
    let guards = host.kernel.guards();
    assert!(guards.last().unwrap().addresses.is_empty());
}

#[test]
fn an_owner_answers_always_and_others_unless_told_otherwise() {
    let mut owner = silent();
    owner.instances[0].settings.priority = NonZeroU8::MAX;
    let mut open = silent();
    open.instances[0].accept = true;
    for config in [owner, open] {
        let mut host = Host::new(config);
        host.pass(4000);
        assert_eq!(host.state(), State::Master);
        assert_eq!(host.kernel.guards(), []);
    }
}

#[test]
fn a_reload_says_anew_what_is_dropped() {
    let mut host = Host::new(silent());
    host.pass(4000);
    let mut other = silent();
    other.global.nftables_table = Some("vrrp".to_owned());
    other.global.nftables_ifindex = true;
    other.global.nftables_counters = true;
    host.engine.reload(host.now, other);
    host.settle();
    let guard = host.kernel.guards().pop().unwrap();
    assert_eq!(dropped(&guard), ["10.0.254.253", "fe80::99%2"]);
    assert_eq!((guard.table.as_str(), guard.counters), ("vrrp", true));
    let mut open = silent();
    open.instances[0].accept = true;
    host.engine.reload(host.now, open);
    host.settle();
    assert_eq!(host.state(), State::Master);
    let guard = host.kernel.guards().pop().unwrap();
    assert!(guard.is_empty());
    host.engine.reload(host.now, silent());
    host.settle();
    let guard = host.kernel.guards().pop().unwrap();
    assert_eq!(guard.addresses.len(), 2);
    host.engine.stop(host.now);
    host.settle();
    assert!(host.kernel.guards().pop().unwrap().is_empty());
}

fn complaints(host: &Host) -> usize {
    let lines = host.lines();
    let complaint = |line: &&String| line.contains("Cannot set firewall rules");
    lines.iter().filter(complaint).count()
}

/// A table may be another process's for a while: the warden's of a daemon that was killed.
#[test]
fn a_refusal_is_said_once_and_keeps_nobody_from_being_master() {
    let mut host = Host::new(silent());
    host.kernel.refuse_guard(Some(95));
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
    assert!(host.holds_vip());
    assert_eq!(complaints(&host), 1);
    let asked = host.kernel.guards().len();
    host.pass(20_000);
    assert_eq!(complaints(&host), 0);
    assert_eq!(host.kernel.guards().len(), asked + 4);
    host.kernel.refuse_guard(None);
    host.pass(20_000);
    let guards = host.kernel.guards();
    assert_eq!(guards.len(), asked + 5);
    assert_eq!(guards.last().unwrap().addresses.len(), 2);
}

#[test]
fn a_first_refusal_is_not_worth_a_line() {
    let mut host = Host::new(silent());
    host.kernel.refuse_guard(Some(1));
    while host.state() != State::Master {
        host.pass(50);
    }
    host.kernel.refuse_guard(None);
    host.pass(300);
    assert_eq!(complaints(&host), 0);
    assert_eq!(host.kernel.guards().len(), 2);
}
