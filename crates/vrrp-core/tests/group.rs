//! Sync groups, held against what keepalived 2.2.7 logs in the same situation.

mod common;

use common::{Bench, PEER, ip, log, millis, plain, reference, script};
use vrrp_core::settings::{Address, Instance, Sense, Sync};
use vrrp_core::{Duration, Event, Health, Member, State, Step, SyncGroup};

/// Two members on one host.
struct Host {
    members: Vec<Bench>,
    group: SyncGroup,
    /// Log lines of members and group, and the group's notifications.
    seen: Vec<String>,
}

fn member(name: &str, last: u8, priority: u8) -> Instance {
    let mut settings = plain(reference(priority));
    settings.name = name.to_owned();
    settings.sync = Sync::Member;
    settings.addresses = vec![Address::new(ip(&format!("10.0.254.{last}")), 16, "eth0")];
    settings
}

impl Host {
    fn new(settings: Vec<Instance>) -> Self {
        Self {
            members: settings.into_iter().map(Bench::new).collect(),
            group: SyncGroup::new("G".to_owned()),
            seen: Vec::new(),
        }
    }

    fn started(priority: u8) -> Self {
        let mut host = Self::new(vec![
            member("I0", 100, priority),
            member("I1", 101, priority),
        ]);
        host.tell(0, Event::Start);
        host.tell(1, Event::Start);
        host
    }

    fn tell(&mut self, place: usize, event: Event) {
        let actions = self.members[place].event(event);
        self.seen.extend(log(&actions));
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let members: Vec<Member> = self
                .members
                .iter()
                .map(|bench| Member::of(&bench.router))
                .collect();
            match self.group.step(&members) {
                Some(Step::Tell(place, event)) => {
                    let actions = self.members[place].event(event);
                    self.seen.extend(log(&actions));
                }
                Some(Step::Log(line)) => self.seen.push(line.to_string()),
                Some(Step::Notify(state)) => self.seen.push(format!("notify GROUP {state}")),
                None => break,
            }
        }
    }

    fn run(&mut self, duration: Duration) {
        let end = self.members[0].now + duration;
        loop {
            let due = (0..self.members.len())
                .filter_map(|place| Some((self.members[place].router.poll_timeout()?, place)))
                .filter(|(due, _)| *due <= end)
                .min();
            let now = due.map_or(end, |(due, _)| due.max(self.members[0].now));
            for member in &mut self.members {
                member.now = now;
            }
            let Some((_, place)) = due else {
                return;
            };
            self.tell(place, Event::Timer);
        }
    }

    fn advert(&mut self, place: usize, priority: u8) {
        let packet = self.members[place].packet(PEER, priority);
        self.tell(place, Event::Packet(packet));
    }

    /// What was seen since, without what only `-D` shows of addresses.
    fn take(&mut self) -> Vec<String> {
        let lines = std::mem::take(&mut self.seen);
        lines
            .into_iter()
            .filter(|line| !line.contains("gratuitous") && !line.contains("VIPs"))
            .collect()
    }

    fn states(&self) -> Vec<State> {
        self.members
            .iter()
            .map(|member| member.router.state())
            .collect()
    }
}

#[test]
fn members_take_over_together() {
    let mut host = Host::started(150);
    assert_eq!(
        host.take(),
        [
            "(I0) Entering BACKUP STATE (init)",
            "(I1) Entering BACKUP STATE (init)",
            "notify GROUP BACKUP",
        ]
    );
    host.run(millis(3_500));
    assert_eq!(
        host.take(),
        [
            "(I0) Receive advertisement timeout",
            "(I1) Receive advertisement timeout",
            "(I1) Entering MASTER STATE",
            "VRRP_Group(G) Syncing instances to MASTER state",
            "(I0) Entering MASTER STATE",
            "notify GROUP MASTER",
        ]
    );
}

/// One network of two is cut off: no reason to move both.
#[test]
fn a_member_that_hears_nothing_waits_for_the_others() {
    let mut host = Host::started(100);
    for _ in 0..20 {
        host.run(millis(1_000));
        host.advert(1, 150);
    }
    assert_eq!(host.states(), [State::Backup; 2]);
    // The other one falls silent as well.
    host.run(millis(3_700));
    assert_eq!(host.states(), [State::Master; 2]);
}

/// A wish is forgotten when the master is heard again.
#[test]
fn a_master_that_is_back_is_followed() {
    let mut host = Host::started(100);
    host.run(millis(3_000));
    host.advert(1, 150);
    host.run(millis(1_000));
    host.advert(0, 150);
    host.advert(1, 150);
    // Only the second one falls silent now.
    for _ in 0..10 {
        host.run(millis(1_000));
        host.advert(0, 150);
    }
    assert_eq!(host.states(), [State::Backup; 2]);
}

#[test]
fn one_fault_is_everybodys() {
    let mut host = Host::started(150);
    host.run(millis(3_500));
    host.take();
    host.tell(1, Event::LinkDown);
    assert_eq!(
        host.take(),
        [
            "(I1) Entering FAULT STATE",
            "(I1) sent 0 priority",
            "VRRP_Group(G) Syncing instances to FAULT state",
            "(I0) Entering FAULT STATE",
            "(I0) sent 0 priority",
            "notify GROUP FAULT",
        ]
    );
    // Not over while any member has one.
    host.tell(0, Event::LinkDown);
    host.tell(1, Event::LinkUp);
    assert_eq!(host.states(), [State::Fault; 2]);
    host.take();
    host.tell(0, Event::LinkUp);
    let seen = host.take();
    assert_eq!(host.states(), [State::Backup; 2], "{seen:?}");
    assert_eq!(seen.last().map(String::as_str), Some("notify GROUP BACKUP"));
    assert!(seen.contains(&"VRRP_Group(G) Syncing instances to BACKUP state".to_owned()));
}

#[test]
fn when_one_yields_all_do() {
    let mut host = Host::started(150);
    host.run(millis(3_500));
    host.take();
    host.advert(0, 200);
    let seen = host.take();
    assert_eq!(host.states(), [State::Backup; 2]);
    assert!(
        seen.contains(&"(I1) sent 0 priority".to_owned()),
        "{seen:?}"
    );
    assert_eq!(seen.last().map(String::as_str), Some("notify GROUP BACKUP"));
}

/// An address removed by hand is back after one skew, as without a group.
#[test]
fn a_member_that_steps_back_takes_nobody_out_for_long() {
    let mut host = Host::started(150);
    host.run(millis(3_500));
    host.tell(1, Event::AddressRemoved(ip("10.0.254.101")));
    assert_eq!(host.states(), [State::Backup; 2]);
    // (256 - 150) / 256 s
    host.run(millis(415));
    assert_eq!(host.states(), [State::Master; 2]);
}

#[test]
fn an_unweighted_script_of_one_member_is_a_fault_of_all() {
    let mut settings = vec![member("I0", 100, 150), member("I1", 101, 150)];
    settings[0].scripts = vec![script("chk", 0, Sense::Normal)];
    let mut host = Host::new(settings);
    host.tell(0, Event::Start);
    host.tell(1, Event::Start);
    // The first one waits for its script, and the group for it.
    host.run(millis(10_000));
    assert_eq!(host.states(), [State::Init, State::Backup]);
    host.tell(
        0,
        Event::Script {
            index: 0,
            health: Health::Down,
        },
    );
    assert_eq!(host.states(), [State::Fault; 2]);
    host.tell(
        0,
        Event::Script {
            index: 0,
            health: Health::Up,
        },
    );
    host.run(millis(3_700));
    assert_eq!(host.states(), [State::Master; 2]);
}

#[test]
fn a_member_that_leaves_the_group_decides_alone() {
    let mut host = Host::started(150);
    host.tell(1, Event::LinkDown);
    assert_eq!(host.states(), [State::Fault; 2]);
    let mut alone = member("I0", 100, 150);
    alone.sync = Sync::Alone;
    let first = &mut host.members[0];
    first.event(Event::Reload(Box::new(alone)));
    assert_eq!(first.router.state(), State::Backup);
    first.run(millis(3_700));
    assert_eq!(first.router.state(), State::Master);
}

#[test]
fn stopping_ends_the_group_as_well() {
    let mut host = Host::started(150);
    host.tell(0, Event::Stop);
    host.tell(1, Event::Stop);
    assert_eq!(host.group.state(), State::Init);
}
