//! One machine: its daemon, if any, its kernel, and what waits for the daemon.

use std::collections::VecDeque;

use vrrp_core::settings::Instance;
use vrrp_core::{Event, Health, State, Time, VirtualRouter};

use crate::kernel::Kernel;

/// Packets a socket keeps for a daemon that does not read; the rest is lost.
const SOCKET_BUFFER: usize = 64;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) settings: Instance,
    pub(crate) router: Option<VirtualRouter>,
    pub(crate) run: Run,
    pub(crate) kernel: Kernel,
    pub(crate) link_up: bool,
    /// How the scripts of this machine fare.
    pub(crate) scripts: Vec<Health>,
    /// What happened while the daemon was paused.
    pub(crate) waiting: VecDeque<Event>,
    /// Since when the daemon has not run, if it does not.
    pub(crate) idle_since: Option<Time>,
    /// When it went on after its last pause.
    pub(crate) resumed: Option<Time>,
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

impl Node {
    pub(crate) fn new(settings: Instance) -> Self {
        Self {
            scripts: vec![Health::Up; settings.scripts.len()],
            settings,
            router: None,
            run: Run::Gone,
            kernel: Kernel::default(),
            link_up: true,
            waiting: VecDeque::new(),
            idle_since: Some(Time::default()),
            resumed: None,
            age: 0,
        }
    }

    /// The state of a daemon that runs.
    pub(crate) fn state(&self) -> Option<State> {
        match self.run {
            Run::Running => self.router.as_ref().map(VirtualRouter::state),
            Run::Paused | Run::Gone => None,
        }
    }

    pub(crate) fn priority(&self) -> u8 {
        self.router
            .as_ref()
            .map_or(0, VirtualRouter::effective_priority)
    }

    /// Keeps `event` for a daemon that is paused.
    pub(crate) fn keep(&mut self, event: Event) {
        let packets = self
            .waiting
            .iter()
            .filter(|event| matches!(event, Event::Packet(_)))
            .count();
        if !matches!(event, Event::Packet(_)) || packets < SOCKET_BUFFER {
            self.waiting.push_back(event);
        }
    }
}
