//! What routers track besides their own interface, and what they share.

use keepalived_conf::GarpGroupDef;
use vrrp_core::settings::{Tracker, TrackerKind};

use super::*;

fn uplink(running: bool) -> Link {
    Link {
        index: 3,
        name: "uplink".to_owned(),
        ..link(running)
    }
}

fn tracking(weight: i16) -> Config {
    let mut settings = instance();
    settings.scripts.clear();
    settings.trackers = vec![Tracker {
        kind: TrackerKind::Interface,
        name: "uplink".to_owned(),
        weight,
        sense: Sense::Normal,
    }];
    config(settings)
}

#[test]
fn a_tracked_interface_that_is_missing_or_down_is_a_fault() {
    let mut host = Host::new(tracking(0));
    assert_eq!(host.state(), State::Fault, "it is missing");
    host.kernel.set_link(uplink(true));
    host.settle();
    assert_eq!(host.state(), State::Backup);
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
    host.lines();
    host.kernel.set_link(uplink(false));
    host.settle();
    assert_eq!(host.state(), State::Fault);
    assert!(!host.holds_vip());
    let lines = host.lines();
    assert!(
        lines.contains(&"Netlink reports uplink down".to_owned()),
        "{lines:?}"
    );
    host.kernel.set_link(uplink(true));
    host.settle();
    assert_eq!(host.state(), State::Backup);
    host.kernel.drop_link(3);
    host.settle();
    assert_eq!(host.state(), State::Fault);
}

#[test]
fn a_tracked_interface_with_a_weight_moves_the_priority() {
    let mut host = Host::new(tracking(-20));
    let priority = |host: &Host| host.engine.slots[0].router.effective_priority();
    assert_eq!(priority(&host), 81);
    host.kernel.set_link(uplink(true));
    host.settle();
    assert_eq!(priority(&host), 101);
}

#[test]
fn a_reload_that_begins_to_track_an_interface_looks_at_it_at_once() {
    let mut host = Host::new(reference());
    host.kernel.set_link(uplink(false));
    host.settle();
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
    host.engine.reload(host.now, tracking(0));
    host.settle();
    assert_eq!(host.state(), State::Fault);
    host.engine.reload(host.now, reference());
    host.settle();
    assert_eq!(host.state(), State::Backup);
}

#[test]
fn announcements_of_two_routers_keep_one_interval() {
    keeps_one_interval(Duration::from_millis(100), Vec::new());
}

#[test]
fn a_garp_group_sets_the_pace_of_its_interfaces() {
    let group = GarpGroupDef {
        interfaces: vec!["ens160".to_owned()],
        interval: Some(Duration::from_millis(100)),
        gna_interval: None,
    };
    keeps_one_interval(Duration::ZERO, vec![group]);
}

fn keeps_one_interval(own: Duration, groups: Vec<GarpGroupDef>) {
    let mut first = instance();
    first.garp.interval = own;
    first.scripts.clear();
    let mut second = first.clone();
    second.name = "second".to_owned();
    second.vrid = NonZeroU8::new(61).unwrap();
    second.addresses = vec![Address::new([10, 0, 254, 254].into(), 16, "ens160")];
    let mut config = config(first);
    let def = InstanceDef {
        settings: second,
        ..config.instances[0].clone()
    };
    config.instances.push(def);
    config.global.garp_groups = groups;
    let mut host = Host::new(config);
    // Both have announced where they send from.
    host.pass(1000);
    host.engine.wire.frames.clear();
    let mut last = 0;
    let mut moments = Vec::new();
    while host.now < Time(5_500_000_000) {
        host.pass(10);
        let sent = host.engine.wire.frames.len();
        if sent > last {
            moments.push(host.now.0 / 1_000_000);
            assert_eq!(
                sent,
                last + 1,
                "two at once at {} ms",
                host.now.0 / 1_000_000
            );
        }
        last = sent;
    }
    assert_eq!(moments.len(), 10, "{moments:?}");
    assert!(
        moments.windows(2).all(|pair| pair[1] - pair[0] >= 100),
        "{moments:?}"
    );
}
