//! Sync groups, with the words and the order that keepalived 2.2.7 was seen to have.

use keepalived_conf::SyncGroupDef;
use vrrp_core::settings::{Sync, Tracker, TrackerKind};

use super::*;
use crate::notify::{Occasion, Party};

/// Two routers in one group; the second one tracks another interface.
fn pair() -> Config {
    let member = |name: &str, vrid: u8, priority: u8, last: u8| {
        let mut settings = instance();
        settings.name = name.to_owned();
        settings.vrid = NonZeroU8::new(vrid).unwrap();
        settings.priority = NonZeroU8::new(priority).unwrap();
        settings.scripts.clear();
        settings.addresses = vec![Address::new([10, 0, 254, last].into(), 16, "ens160")];
        settings.sync = Sync::Member;
        settings
    };
    let first = member("V1", 1, 150, 201);
    let mut second = member("V2", 2, 100, 202);
    second.trackers = vec![Tracker {
        kind: TrackerKind::Interface,
        name: "uplink".to_owned(),
        weight: 0,
        sense: Sense::Normal,
    }];
    let mut config = config(first);
    config.scripts.clear();
    let def = InstanceDef {
        settings: second,
        ..config.instances[0].clone()
    };
    config.instances.push(def);
    config.sync_groups = vec![SyncGroupDef {
        name: "G".to_owned(),
        members: vec!["V1".to_owned(), "V2".to_owned()],
        ..SyncGroupDef::default()
    }];
    config
}

fn uplink(running: bool) -> Link {
    Link {
        index: 3,
        name: "uplink".to_owned(),
        ..link(running)
    }
}

/// A host whose uplink is there from the start.
fn host(config: Config, running: bool) -> Host {
    let mut host = Host::without_address(config);
    host.kernel.set_link(uplink(running));
    host.kernel.add_foreign_address(&own_address());
    host.begin();
    host
}

/// What was told, in order.
fn told(host: &mut Host) -> Vec<(String, Occasion)> {
    let name = |party: Party| match party {
        Party::Instance(name) | Party::Group(name) => name,
    };
    let notices = host.engine.take_notices().into_iter();
    notices
        .map(|notice| (name(notice.party), notice.occasion))
        .collect()
}

fn expected(names: [&str; 3], occasion: Occasion) -> Vec<(String, Occasion)> {
    names.map(|name| (name.to_owned(), occasion)).to_vec()
}

fn states(host: &Host) -> [State; 2] {
    [0, 1].map(|index| host.engine.slots[index].router.state())
}

#[test]
fn members_become_master_together_and_fall_together() {
    let mut host = host(pair(), true);
    assert_eq!(
        told(&mut host),
        expected(["G", "V1", "V2"], Occasion::Backup)
    );
    host.pass(3500);
    assert_eq!(states(&host), [State::Backup, State::Backup]);
    host.lines();
    host.pass(200);
    assert_eq!(states(&host), [State::Master, State::Master]);
    assert_eq!(
        told(&mut host),
        expected(["V2", "V1", "G"], Occasion::Master)
    );
    assert_eq!(
        host.lines(),
        [
            "(V2) Entering MASTER STATE",
            "VRRP_Group(G) Syncing instances to MASTER state",
            "(V1) Entering MASTER STATE",
        ]
    );
    host.kernel.set_link(uplink(false));
    host.settle();
    assert_eq!(states(&host), [State::Fault, State::Fault]);
    assert_eq!(
        told(&mut host),
        expected(["V2", "V1", "G"], Occasion::Fault)
    );
    assert_eq!(host.kernel.addresses().len(), 1);
    host.kernel.set_link(uplink(true));
    host.settle();
    assert_eq!(states(&host), [State::Backup, State::Backup]);
    assert_eq!(
        told(&mut host),
        expected(["V2", "V1", "G"], Occasion::Backup)
    );
    host.pass(4000);
    assert_eq!(states(&host), [State::Master, State::Master]);
    told(&mut host);
    host.engine.stop(host.now);
    assert_eq!(told(&mut host), expected(["V1", "V2", "G"], Occasion::Stop));
}

#[test]
fn a_member_at_fault_at_the_start_holds_the_others() {
    let mut host = host(pair(), false);
    assert_eq!(states(&host), [State::Fault, State::Fault]);
    assert_eq!(
        told(&mut host),
        expected(["V1", "V2", "G"], Occasion::Fault)
    );
    let lines = host.lines();
    let line = "VRRP_Group(G): Syncing V2 to FAULT state".to_owned();
    assert!(lines.contains(&line), "{lines:?}");
    host.kernel.set_link(uplink(true));
    host.settle();
    assert_eq!(states(&host), [State::Backup, State::Backup]);
}

#[test]
fn a_reload_makes_and_unmakes_a_group() {
    let mut alone = pair();
    alone.sync_groups.clear();
    for def in &mut alone.instances {
        def.settings.sync = Sync::Alone;
    }
    let mut host = host(alone.clone(), true);
    host.pass(4000);
    assert_eq!(states(&host), [State::Master, State::Master]);
    host.engine.reload(host.now, pair());
    host.settle();
    assert_eq!(states(&host), [State::Master, State::Master]);
    host.kernel.set_link(uplink(false));
    host.settle();
    assert_eq!(states(&host), [State::Fault, State::Fault]);
    host.engine.reload(host.now, alone);
    host.settle();
    assert_eq!(states(&host), [State::Backup, State::Fault]);
}

#[test]
fn an_unchanged_reload_of_a_group_tells_nothing() {
    let mut host = host(pair(), true);
    host.pass(4000);
    told(&mut host);
    host.sent();
    host.engine.reload(host.now, pair());
    host.settle();
    assert_eq!(told(&mut host), []);
    assert_eq!(host.sent(), []);
    assert_eq!(states(&host), [State::Master, State::Master]);
}
