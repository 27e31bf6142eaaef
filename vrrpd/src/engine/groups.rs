//! Sync groups: after each event of a member the group says what the others do.

use keepalived_conf::NotifyDef;
use netif::Kernel;
use vrrp_core::{Event, GroupEvent, InstanceLine, LogLine, Member, State, Step, SyncGroup, Time};

use super::Engine;
use super::perform::Cause;
use crate::log::Voice;
use crate::notify::{Notice, Occasion, Party};
use crate::wire::Wire;

/// Steps that a group takes for one event, for each member: to FAULT or back, to MASTER
/// or BACKUP, and a line and a notice. More would be two rules that undo each other.
const STEPS_A_MEMBER: usize = 8;

/// A group in the daemon.
#[derive(Debug)]
pub(super) struct Group {
    rules: SyncGroup,
    /// Places of its members among the slots.
    members: Vec<usize>,
    orders: NotifyDef,
}

impl Group {
    pub(super) fn name(&self) -> &str {
        self.rules.name()
    }

    pub(super) const fn state(&self) -> State {
        self.rules.state()
    }
}

impl<K: Kernel, W: Wire> Engine<K, W> {
    /// Groups of the configuration in force; those that stay know how they stood.
    pub(super) fn regroup(&mut self) {
        let mut old = std::mem::take(&mut self.groups);
        for slot in &mut self.slots {
            slot.group = None;
        }
        for def in &self.config.sync_groups {
            let kept = old
                .iter()
                .position(|group| group.rules.name() == def.name)
                .map(|at| old.swap_remove(at).rules);
            let mut members = Vec::new();
            for (index, slot) in self.slots.iter_mut().enumerate() {
                if def.members.iter().any(|member| member == slot.name()) {
                    slot.group = Some(self.groups.len());
                    members.push(index);
                }
            }
            self.groups.push(Group {
                rules: kept.unwrap_or_else(|| SyncGroup::new(def.name.clone())),
                members,
                orders: def.notify.clone(),
            });
        }
    }

    /// The routers start, each group's members together: where one of them has a fault,
    /// none becomes BACKUP first.
    pub(super) fn start_slots(&mut self, now: Time, slots: &[usize]) {
        let first_notice = self.notices.len();
        self.syncing = false;
        for group in 0..self.groups.len() {
            self.hold_at_start(now, group, slots);
        }
        for index in slots {
            self.handle(now, *index, Event::Start);
        }
        self.syncing = true;
        self.sync_all(now);
        // As the original has it: at a start without a fault the group is told first.
        let begun = |notice: &Notice| {
            matches!(notice.party, Party::Group(_)) && notice.occasion == Occasion::Backup
        };
        if let Some(notices) = self.notices.get_mut(first_notice..) {
            notices.sort_by_key(|notice| !begun(notice));
        }
    }

    fn hold_at_start(&mut self, now: Time, group: usize, starting: &[usize]) {
        let Some(Group { rules, members, .. }) = self.groups.get(group) else {
            return;
        };
        let group = rules.name().to_owned();
        let (faulty, healthy): (Vec<usize>, Vec<usize>) =
            members.iter().copied().partition(|index| {
                let Some(slot) = self.slots.get(*index) else {
                    return false;
                };
                let mut trial = slot.router.clone();
                trial.handle(now, Event::Start);
                trial.has_fault_of_its_own()
            });
        let Some(name) = faulty
            .first()
            .and_then(|index| self.slots.get(*index))
            .map(|slot| slot.name().to_owned())
        else {
            return;
        };
        let line = format!("VRRP_Group({group}): Syncing {name} to FAULT state");
        self.log.info(&line);
        for index in healthy {
            if !starting.contains(&index) {
                continue;
            }
            if let Some(slot) = self.slots.get(index) {
                let line = LogLine::Instance {
                    name: slot.name().to_owned(),
                    what: InstanceLine::EnteringFaultAtStart,
                };
                self.log.info(&line.to_string());
            }
            self.handle(now, index, Event::Group(GroupEvent::Fault));
        }
    }

    /// The routers stop, and their groups are told after them.
    pub(super) fn stop_slots(&mut self, now: Time) {
        self.syncing = false;
        for index in 0..self.slots.len() {
            self.handle(now, index, Event::Stop);
        }
        for group in 0..self.groups.len() {
            self.notify_group(group, Occasion::Stop);
        }
    }

    pub(super) fn sync_all(&mut self, now: Time) {
        for group in 0..self.groups.len() {
            self.sync(now, group, Cause::Host);
        }
    }

    /// Carries out what the group wants, until its members agree.
    pub(super) fn sync(&mut self, now: Time, index: usize, cause: Cause) {
        if !self.syncing {
            return;
        }
        let steps = self
            .groups
            .get(index)
            .map_or(0, |group| (group.members.len() + 1) * STEPS_A_MEMBER);
        for _ in 0..steps {
            let Some(group) = self.groups.get_mut(index) else {
                return;
            };
            let slots = &self.slots;
            let standing = group.members.iter().filter_map(|at| slots.get(*at));
            let members: Vec<Member> = standing.map(|slot| Member::of(&slot.router)).collect();
            match group.rules.step(&members) {
                None => return,
                Some(Step::Tell(place, event)) => {
                    if let Some(member) = group.members.get(place).copied() {
                        self.handle_alone(now, member, event, cause);
                    }
                }
                Some(Step::Log(line)) => {
                    let level = daemonkit::syslog::Level::Info;
                    self.log.write(Voice::Vrrp, level, &line.to_string());
                }
                Some(Step::Notify(state)) => {
                    let occasion = match state {
                        State::Master => Occasion::Master,
                        State::Backup => Occasion::Backup,
                        State::Fault => Occasion::Fault,
                        State::Init => continue,
                    };
                    self.notify_group(index, occasion);
                }
            }
        }
    }

    fn notify_group(&mut self, index: usize, occasion: Occasion) {
        let Some(group) = self.groups.get(index) else {
            return;
        };
        self.notices.push(Notice {
            party: Party::Group(group.rules.name().to_owned()),
            orders: group.orders.clone(),
            occasion,
            priority: 0,
        });
    }
}
