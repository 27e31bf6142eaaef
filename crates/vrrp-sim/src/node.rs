//! One machine: its daemon, if any, its kernel, and what waits for the daemon.

use std::collections::VecDeque;
use std::net::IpAddr;

use vrrp_core::settings::Instance;
use vrrp_core::{Event, Health, State, SyncGroup, Time, VirtualRouter};

use crate::kernel::Kernel;

/// Packets a socket keeps for a daemon that does not read; the rest is lost.
const SOCKET_BUFFER: usize = 64;

#[derive(Debug)]
pub(crate) struct Node {
    /// The virtual routers this machine takes part in, in the same order on
    /// every node.
    pub(crate) seats: Vec<Seat>,
    /// What they agree on, if they are one sync group.
    pub(crate) group: Option<SyncGroup>,
    pub(crate) run: Run,
    pub(crate) kernel: Kernel,
    pub(crate) link_up: bool,
    /// How the scripts of this machine fare.
    pub(crate) scripts: Vec<Health>,
    /// What happened while the daemon was paused, with the seat it is for.
    pub(crate) waiting: VecDeque<(usize, Event)>,
    /// Since when the daemon has not run, if it does not.
    pub(crate) idle_since: Option<Time>,
    /// When it went on after its last pause.
    pub(crate) resumed: Option<Time>,
}

/// A machine's part in one virtual router.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) settings: Instance,
    pub(crate) router: Option<VirtualRouter>,
    /// Wake-ups of older ages are void.
    pub(crate) age: u64,
}

/// Whether the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Running,
    /// SIGSTOP: nothing is read, no timer is served, sockets fill.
    Paused,
    /// Not there: not started, crashed or stopped.
    Gone,
}

impl Seat {
    fn new(settings: Instance) -> Self {
        Self {
            settings,
            router: None,
            age: 0,
        }
    }

    /// The addresses it would hold as master.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.settings.all_addresses().map(|item| item.address)
    }

    pub(crate) fn priority(&self) -> u8 {
        self.router
            .as_ref()
            .map_or(0, VirtualRouter::effective_priority)
    }
}

/// The sync group of a daemon that starts.
pub(crate) fn new_group() -> SyncGroup {
    SyncGroup::new("G".to_owned())
}

impl Node {
    pub(crate) fn new(instances: Vec<Instance>, scripts: usize, grouped: bool) -> Self {
        Self {
            group: grouped.then(new_group),
            scripts: vec![Health::Up; scripts],
            seats: instances.into_iter().map(Seat::new).collect(),
            run: Run::Gone,
            kernel: Kernel::default(),
            link_up: true,
            waiting: VecDeque::new(),
            idle_since: Some(Time::default()),
            resumed: None,
        }
    }

    /// The state of a router of a daemon that runs.
    pub(crate) fn state(&self, seat: usize) -> Option<State> {
        match self.run {
            Run::Running => self
                .seats
                .get(seat)?
                .router
                .as_ref()
                .map(VirtualRouter::state),
            Run::Paused | Run::Gone => None,
        }
    }

    /// The seat an address belongs to.
    pub(crate) fn seat_of(&self, address: IpAddr) -> Option<usize> {
        self.seats
            .iter()
            .position(|seat| seat.addresses().any(|own| own == address))
    }

    /// Whether it holds any address of the router.
    pub(crate) fn holds_of(&self, seat: usize) -> bool {
        self.seats
            .get(seat)
            .is_some_and(|seat| seat.addresses().any(|address| self.kernel.holds(address)))
    }

    /// Keeps `event` for a daemon that is paused.
    pub(crate) fn keep(&mut self, seat: usize, event: Event) {
        let packets = self
            .waiting
            .iter()
            .filter(|(to, event)| *to == seat && matches!(event, Event::Packet(_)))
            .count();
        if !matches!(event, Event::Packet(_)) || packets < SOCKET_BUFFER {
            self.waiting.push_back((seat, event));
        }
    }
}
