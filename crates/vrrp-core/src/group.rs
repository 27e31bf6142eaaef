//! `vrrp_sync_group`: virtual routers of one host that are MASTER together or
//! not at all.
//!
//! A [`SyncGroup`] is a value like the routers. Whoever drives them asks it,
//! after each event that one of its members handled, for the next [`Step`] until
//! there is none. The rules are keepalived's:
//!
//! - One member that is at fault by itself puts all in FAULT; when none is any
//!   more, all go to BACKUP.
//! - A member whose master fell silent does not take over alone: all go to
//!   MASTER once every one of them wants to.
//! - When one leaves MASTER, all do.

use std::fmt;

use crate::event::{Event, GroupEvent};
use crate::router::VirtualRouter;
use crate::state::State;
use crate::time::Time;

/// A group and what it last agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    name: String,
    /// What was notified last.
    state: State,
    /// Where the members are being brought to, if they are not there yet.
    syncing: Option<State>,
}

/// What is to be done for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This event goes to the member of this place.
    Tell(usize, Event),
    /// This goes into the log.
    Log(GroupLine),
    /// All members are there: scripts and FIFOs are told.
    Notify(State),
}

/// `VRRP_Group(G) Syncing instances to MASTER state`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLine {
    /// Name of the group.
    pub group: String,
    /// Where its members are brought to.
    pub state: State,
}

impl fmt::Display for GroupLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, state } = self;
        write!(
            formatter,
            "VRRP_Group({group}) Syncing instances to {state} state"
        )
    }
}

/// How one member stands, as far as the group is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    state: State,
    /// It has a fault of its own.
    faulty: bool,
    /// It is in FAULT for the sake of another one.
    held: bool,
    /// Its master fell silent then.
    wants: Option<Time>,
}

impl Member {
    /// How `router` stands.
    #[must_use]
    pub fn of(router: &VirtualRouter) -> Self {
        Self {
            state: router.state(),
            faulty: router.has_fault_of_its_own(),
            held: router.is_held_in_fault(),
            wants: router.wants_master(),
        }
    }
}

impl SyncGroup {
    /// A group that was not started.
    #[must_use]
    pub const fn new(name: String) -> Self {
        Self {
            name,
            state: State::Init,
            syncing: None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its members last agreed on; [`State::Init`] before they did.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The next thing to do, given how each member stands; `None` when they
    /// agree. Members that were stopped are left alone.
    pub fn step(&mut self, members: &[Member]) -> Option<Step> {
        if members.iter().all(|member| member.state == State::Init) {
            self.state = State::Init;
            self.syncing = None;
            return None;
        }
        let wanted = self.wanted(members);
        let late = |member: &Member| match wanted {
            State::Fault => !member.faulty && !member.held,
            State::Master => member.state == State::Backup,
            State::Backup => member.held || member.state == State::Master,
            State::Init => false,
        };
        let Some(place) = first_of(members, wanted, late) else {
            self.syncing = None;
            return self.agree(wanted, members);
        };
        // The one that brings the others along did so by itself.
        let leads =
            wanted == State::Master && !members.iter().any(|member| member.state == State::Master);
        if self.syncing != Some(wanted) && !leads {
            self.syncing = Some(wanted);
            return Some(Step::Log(GroupLine {
                group: self.name.clone(),
                state: wanted,
            }));
        }
        let event = match wanted {
            State::Fault => GroupEvent::Fault,
            State::Master => GroupEvent::Master,
            State::Backup | State::Init if members.get(place).is_some_and(|it| it.held) => {
                GroupEvent::FaultOver
            }
            State::Backup | State::Init => GroupEvent::Backup,
        };
        Some(Step::Tell(place, Event::Group(event)))
    }

    /// Where the members belong.
    fn wanted(&self, members: &[Member]) -> State {
        let any = |state: State| members.iter().any(|member| member.state == state);
        if members.iter().any(|member| member.faulty) {
            State::Fault
        } else if members
            .iter()
            .all(|member| member.state == State::Master || member.wants.is_some())
        {
            State::Master
        } else if any(State::Master) && self.state != State::Master {
            // The address owner begins as MASTER and takes the others along.
            State::Master
        } else {
            State::Backup
        }
    }

    fn agree(&mut self, wanted: State, members: &[Member]) -> Option<Step> {
        let there = members.iter().all(|member| member.state == wanted);
        if !there || self.state == wanted {
            return None;
        }
        self.state = wanted;
        Some(Step::Notify(wanted))
    }
}

/// The member to be told first: on the way to MASTER the one that waited last,
/// as keepalived does it, else the first.
fn first_of(members: &[Member], wanted: State, late: impl Fn(&Member) -> bool) -> Option<usize> {
    let mut places = members
        .iter()
        .enumerate()
        .filter(|(_, member)| late(member));
    if wanted == State::Master {
        places.max_by_key(|(_, member)| member.wants).map(|it| it.0)
    } else {
        places.next().map(|it| it.0)
    }
}
