//! The state machine: who holds what, and the table of (state, event).

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::action::{Action, Notification};
use crate::counters::Counters;
use crate::event::{Event, GroupEvent, Health, Standing};
use crate::lease::LeasePlan;
use crate::log::{InstanceLine, LogLine};
use crate::peers::{PeerView, Peers};
use crate::settings::{Checksum, Instance, OldChecksum};
use crate::state::State;
use crate::time::{Duration, Time};
use lists::OtherLists;
use timers::Timers;

mod addresses;
mod backup;
mod group;
mod invariants;
mod lists;
mod master;
mod priority;
mod receive;
mod reload;
mod routes;
mod timers;
mod transition;

/// One virtual router.
///
/// ```text
///              Start, healthy                Master_Down timer
///   +------+ ----------------> +--------+ ---------------------> +--------+
///   | INIT |                   | BACKUP |                        | MASTER |
///   +------+ <---------------- +--------+ <--------------------- +--------+
///       |          Stop         ^      |    better advert,          |
///       | Start, unhealthy      |      |    VIP removed             |
///       |                       |      v                            |
///       |       healthy again +-----------+   link, source, script  |
///       +-------------------> |   FAULT   | <-----------------------+
///                             +-----------+
/// ```
///
/// Stop leads from every state to INIT. The owner (priority 255, `state
/// MASTER`) goes from INIT to MASTER directly (RFC 3768, 6.4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRouter {
    settings: Instance,
    /// The addresses adverts list, cut out of the settings.
    advertised: Vec<IpAddr>,
    lease: Option<LeasePlan>,

    state: State,
    /// Between Start and Stop. INIT while this holds means waiting for the
    /// first result of an unweighted script.
    running: Running,
    now: Time,
    timers: Timers,

    link: Link,
    source: Source,
    /// Judgements in the order of `settings.scripts`; `None` before the first.
    scripts: Vec<Option<Health>>,
    /// How things stand in the order of `settings.trackers`.
    trackers: Vec<Option<Standing>>,

    /// `settings.priority`, or 254 after a second owner was met.
    base_priority: u8,
    effective_priority: u8,
    preempt_delay: PreemptDelay,
    /// Who sent the last advert accepted as backup.
    last_master: Option<IpAddr>,
    /// The master this backup follows and the priority it had.
    obeyed: Option<(IpAddr, u8)>,
    peers: Peers,
    /// Another member of the sync group is at fault.
    held_in_fault: bool,
    /// When the master fell silent, if the sync group has not decided yet.
    wants_master: Option<Time>,
    /// Address lists that adverts carry besides our own.
    other_lists: OtherLists,
    /// Master_Adver_Interval (RFC 5798, 6.1): the master's in version 3, ours
    /// in version 2 and before anybody spoke.
    master_interval: Duration,
    /// How our checksums are made.
    checksum: Checksum,
    /// When a lower advert was answered last.
    last_answer: Option<Time>,
    /// When the kernel removes the addresses unless they are refreshed.
    lease_until: Option<Time>,
    garps: VecDeque<(IpAddr, String)>,

    counters: Counters,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    Down,
}

/// What is known about the address adverts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Nobody spoke of it: taken as the configured one.
    Assumed,
    Present(IpAddr),
    Absent,
}

/// `preempt_delay` begins with the first lower advert heard as backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PreemptDelay {
    Idle,
    Until(Time),
}

impl VirtualRouter {
    /// A router in [`State::Init`]. It does nothing before [`Event::Start`].
    #[must_use]
    pub fn new(settings: Instance) -> Self {
        let mut router = Self {
            advertised: Vec::new(),
            lease: None,
            state: State::Init,
            running: Running::No,
            now: Time::default(),
            timers: Timers::default(),
            link: Link::Up,
            source: Source::Assumed,
            scripts: vec![None; settings.scripts.len()],
            trackers: vec![None; settings.trackers.len()],
            base_priority: settings.priority.get(),
            effective_priority: settings.priority.get(),
            preempt_delay: PreemptDelay::Idle,
            last_master: None,
            obeyed: None,
            peers: Peers::default(),
            held_in_fault: false,
            wants_master: None,
            other_lists: OtherLists::default(),
            master_interval: settings.advert_interval,
            checksum: Checksum::default(),
            last_answer: None,
            lease_until: None,
            garps: VecDeque::new(),
            counters: Counters::default(),
            actions: VecDeque::new(),
            settings,
        };
        router.derive_from_settings();
        router
    }

    fn derive_from_settings(&mut self) {
        self.advertised = self
            .settings
            .addresses
            .iter()
            .map(|item| item.address)
            .collect();
        self.lease = self.settings.lease_plan();
        self.checksum = match self.settings.old_checksum {
            OldChecksum::Mirror | OldChecksum::Never => self.settings.checksum,
            OldChecksum::Always => Checksum::PseudoHeaderOfGroup,
        };
    }

    /// Something happened at `now`. Time that runs backwards counts as
    /// standing still.
    pub fn handle(&mut self, now: Time, event: Event) {
        self.now = self.now.max(now);
        self.react(event);
        self.check_invariants();
    }

    /// The state table. Each pair stands here once; the conditions that decide
    /// inside a cell are in the functions it names.
    fn react(&mut self, event: Event) {
        match (self.state, event) {
            // RFC 3768, 6.4.1
            (State::Init, Event::Start) => self.start(),
            (State::Backup | State::Master | State::Fault, Event::Start) => {}

            // RFC 3768, 6.4.2 and 6.4.3; a router that takes no part hears
            // nothing.
            (State::Init | State::Fault, Event::Packet(_)) => {}
            (State::Backup, Event::Packet(datagram)) => self.backup_receives(&datagram),
            (State::Master, Event::Packet(datagram)) => self.master_receives(&datagram),

            (State::Init | State::Fault, Event::Timer) => {}
            (State::Backup, Event::Timer) => self.backup_timer(),
            (State::Master, Event::Timer) => self.master_timer(),

            (State::Init | State::Backup | State::Fault, Event::LinkUp) => {
                self.link = Link::Up;
                self.judge();
            }
            (State::Master, Event::LinkUp) => self.master_link_up(),
            (State::Init | State::Backup | State::Master | State::Fault, Event::LinkDown) => {
                self.link = Link::Down;
                self.judge();
            }

            (State::Init | State::Backup | State::Master | State::Fault, Event::Source(source)) => {
                self.source = source.map_or(Source::Absent, Source::Present);
                self.judge();
            }

            (
                State::Init | State::Backup | State::Master | State::Fault,
                Event::Script { index, health },
            ) => self.script_judged(index, health),

            (
                State::Init | State::Backup | State::Master | State::Fault,
                Event::Tracker { index, standing },
            ) => self.tracker_stands(index, standing),

            (
                State::Init | State::Backup | State::Master | State::Fault,
                Event::Group(GroupEvent::Fault),
            ) => self.hold_in_fault(true),
            (
                State::Init | State::Backup | State::Master | State::Fault,
                Event::Group(GroupEvent::FaultOver),
            ) => self.hold_in_fault(false),
            (State::Backup, Event::Group(GroupEvent::Master)) => self.become_master(),
            (State::Init | State::Master | State::Fault, Event::Group(GroupEvent::Master)) => {}
            (State::Master, Event::Group(GroupEvent::Backup)) => self.step_down_with_group(),
            (State::Init | State::Backup | State::Fault, Event::Group(GroupEvent::Backup)) => {}

            (
                State::Init | State::Backup | State::Fault,
                Event::AddressRemoved(_) | Event::RouteRemoved,
            ) => {}
            (State::Master, Event::AddressRemoved(address)) => self.address_removed(address),
            (State::Master, Event::RouteRemoved) => self.route_removed(),

            (
                State::Init | State::Backup | State::Master | State::Fault,
                Event::Reload(settings),
            ) => self.reload(*settings),

            // RFC 3768, 6.4.2 and 6.4.3: Shutdown
            (State::Init | State::Backup | State::Master | State::Fault, Event::Stop) => {
                self.stop();
            }
        }
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Event::Timer`] is wanted next; `None` for never. A time in the
    /// past means at once.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// The present state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Priority after script weights, 1..=255.
    #[must_use]
    pub const fn effective_priority(&self) -> u8 {
        self.effective_priority
    }

    /// What the checksums of the adverts to send cover.
    #[must_use]
    pub const fn checksum(&self) -> Checksum {
        self.checksum
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> &Instance {
        &self.settings
    }

    /// The last advert of each sender that spoke of this virtual router, up to
    /// 16 of them.
    pub fn peers(&self) -> impl Iterator<Item = (IpAddr, &PeerView)> {
        self.peers.iter()
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn log(&mut self, what: InstanceLine) {
        let name = self.settings.name.clone();
        self.act(Action::Log(LogLine::Instance { name, what }));
    }

    fn notify(&mut self, what: Notification) {
        self.act(Action::Notify {
            what,
            priority: self.effective_priority,
        });
    }

    fn master_down(&self) -> Duration {
        self.settings
            .master_down_behind(self.effective_priority, self.master_interval)
    }

    fn skew(&self) -> Duration {
        self.settings
            .skew_behind(self.effective_priority, self.master_interval)
    }
}
