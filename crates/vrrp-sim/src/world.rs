//! The nodes, the segment between them, and time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use vrrp_core::settings::Instance;
use vrrp_core::{Action, Duration, Event, Health, State, Time, VirtualRouter};
use vrrp_proto::Datagram;

use crate::kernel::Expiry;
use crate::node::{Node, Run};
use crate::settings::{Setup, VIP, source};

/// Lines of the timeline kept for a breach.
const TIMELINE: usize = 120;

/// Something that comes to pass at its time.
#[derive(Clone, Debug)]
enum Due {
    Arrive {
        to: usize,
        datagram: Datagram,
    },
    /// The client sees an announcement of this node.
    Announced {
        by: usize,
    },
    Wake {
        node: usize,
        age: u64,
    },
    Expire {
        node: usize,
        generation: u64,
    },
}

/// Nodes on one segment. Time passes from one due thing to the next.
#[derive(Debug)]
pub struct World {
    pub(crate) now: Time,
    pub(crate) nodes: Vec<Node>,
    pub(crate) random: fastrand::Rng,
    /// Ordered pairs that cannot reach each other; the client is the last.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// Packets lost, in percent.
    pub(crate) loss: u8,
    /// The longest delay of a packet.
    pub(crate) delay: Duration,
    /// Whose announcement the client saw last.
    pub(crate) belief: Option<usize>,
    pub(crate) steps: u64,
    /// State changes of running daemons so far.
    pub(crate) changes: u64,
    /// How many of them led to MASTER.
    pub(crate) takeovers: u64,
    agenda: BTreeMap<(Time, u64), Due>,
    next: u64,
    timeline: VecDeque<String>,
}

/// Delays of a network in order.
pub(crate) const CALM: Duration = Duration::from_millis(2);

impl World {
    /// Nobody runs yet.
    #[must_use]
    pub fn new(setup: Setup, seed: u64) -> Self {
        Self {
            now: Time::default(),
            nodes: setup.instances.into_iter().map(Node::new).collect(),
            random: fastrand::Rng::with_seed(seed),
            cut: BTreeSet::new(),
            loss: 0,
            delay: CALM,
            belief: None,
            steps: 0,
            changes: 0,
            takeovers: 0,
            agenda: BTreeMap::new(),
            next: 0,
            timeline: VecDeque::new(),
        }
    }

    /// The client's place in [`World::cut`].
    pub(crate) fn client(&self) -> usize {
        self.nodes.len()
    }

    /// When the next thing is due.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.agenda.first_key_value().map(|((time, _), _)| *time)
    }

    /// Lets the next due thing happen.
    pub(crate) fn step(&mut self) {
        let Some(((time, _), due)) = self.agenda.pop_first() else {
            return;
        };
        self.now = self.now.max(time);
        self.steps += 1;
        match due {
            Due::Arrive { to, datagram } => self.tell(to, Event::Packet(datagram)),
            Due::Announced { by } => self.belief = Some(by),
            Due::Wake { node, age } => {
                if self.nodes.get(node).is_some_and(|node| node.age == age) {
                    self.tell_now(node, Event::Timer);
                }
            }
            Due::Expire { node, generation } => {
                if self
                    .nodes
                    .get_mut(node)
                    .is_some_and(|node| node.kernel.expire(generation))
                {
                    self.note(node, "lease expires");
                    self.tell(node, Event::AddressRemoved(VIP));
                }
            }
        }
    }

    fn plan(&mut self, at: Time, due: Due) {
        self.next += 1;
        self.agenda.insert((at, self.next), due);
    }

    pub(crate) fn note(&mut self, node: usize, text: &str) {
        if self.timeline.len() == TIMELINE {
            self.timeline.pop_front();
        }
        self.timeline
            .push_back(format!("{} node{node} {text}", self.now));
    }

    /// What happened last, oldest first.
    pub(crate) fn timeline(&self) -> Vec<String> {
        self.timeline.iter().cloned().collect()
    }

    /// An event for the daemon of `index`, now or when it runs again.
    pub(crate) fn tell(&mut self, index: usize, event: Event) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        match node.run {
            Run::Running => self.tell_now(index, event),
            Run::Paused => node.keep(event),
            Run::Gone => {}
        }
    }

    /// An event for a daemon that runs, and everything that follows from it.
    fn tell_now(&mut self, index: usize, event: Event) {
        let now = self.now;
        let Some(node) = self
            .nodes
            .get_mut(index)
            .filter(|node| node.run == Run::Running)
        else {
            return;
        };
        let Some(router) = node.router.as_mut() else {
            return;
        };
        let before = router.state();
        router.handle(now, event);
        let actions: Vec<Action> = std::iter::from_fn(|| router.poll_action()).collect();
        let after = router.state();
        let wake = router.poll_timeout();
        node.age += 1;
        let age = node.age;
        if before != after {
            self.changes += 1;
            self.takeovers += u64::from(after == State::Master);
            self.note(index, &format!("{before} -> {after}"));
        }
        if let Some(wake) = wake {
            self.plan(wake.max(now), Due::Wake { node: index, age });
        }
        for action in actions {
            self.perform(index, action);
        }
    }

    fn perform(&mut self, index: usize, action: Action) {
        match action {
            Action::SendAdvert(advert) => {
                self.note(index, &format!("advert {}", advert.priority));
                let payload = advert.encode();
                for to in 0..self.nodes.len() {
                    let datagram = Datagram {
                        source: source(index),
                        destination: source(to),
                        ttl: 255,
                        header_len: 20,
                        payload: payload.clone(),
                    };
                    self.send(index, to, Due::Arrive { to, datagram });
                }
            }
            Action::SendGarp { address, .. } => {
                if address == VIP {
                    self.send(index, self.client(), Due::Announced { by: index });
                }
            }
            Action::AddAddress { address, lifetime } => {
                self.set_address(index, address.address, lifetime);
            }
            Action::RefreshAddress { address, lifetime } => {
                self.set_address(index, address.address, Some(lifetime));
            }
            Action::RemoveAddress(_) => {
                if let Some(node) = self.nodes.get_mut(index) {
                    node.kernel.remove();
                }
            }
            Action::Notify { .. } => {}
            Action::Log(line) => self.note(index, &line.to_string()),
        }
    }

    fn set_address(&mut self, index: usize, address: IpAddr, lifetime: Option<u32>) {
        debug_assert_eq!(address, VIP, "there is one address only");
        let (now, random) = (self.now, &mut self.random);
        let expiry = self
            .nodes
            .get_mut(index)
            .and_then(|node| node.kernel.set(now, lifetime, random));
        if let Some(Expiry { at, generation }) = expiry {
            self.plan(
                at,
                Due::Expire {
                    node: index,
                    generation,
                },
            );
        }
    }

    /// Puts something on the wire; it may be lost and takes its time.
    fn send(&mut self, from: usize, to: usize, due: Due) {
        if from == to || !self.reaches(from, to) || self.random.u8(0..100) < self.loss {
            return;
        }
        let delay = Duration(self.random.u64(50_000..=self.delay.as_nanos().max(50_000)));
        self.plan(self.now + delay, due);
    }

    /// Whether a packet of `from` gets to `to`, loss aside.
    pub(crate) fn reaches(&self, from: usize, to: usize) -> bool {
        let up = |index: usize| self.nodes.get(index).is_none_or(|node| node.link_up);
        up(from) && up(to) && !self.cut.contains(&(from, to))
    }

    /// Starts the daemon of `index` if there is none.
    pub(crate) fn start(&mut self, index: usize) {
        let Some(node) = self
            .nodes
            .get_mut(index)
            .filter(|node| node.run == Run::Gone)
        else {
            return;
        };
        node.router = Some(VirtualRouter::new(node.settings.clone()));
        node.run = Run::Running;
        node.idle_since = None;
        node.resumed = None;
        let (up, scripts) = (node.link_up, node.scripts.clone());
        self.note(index, "starts");
        self.tell_now(index, if up { Event::LinkUp } else { Event::LinkDown });
        self.tell_now(index, Event::Source(Some(source(index))));
        self.tell_now(index, Event::Start);
        for (number, health) in scripts.into_iter().enumerate() {
            self.tell_now(
                index,
                Event::Script {
                    index: number,
                    health,
                },
            );
        }
    }

    /// SIGTERM.
    pub(crate) fn stop(&mut self, index: usize) {
        self.note(index, "SIGTERM");
        self.tell_now(index, Event::Stop);
        self.kill(index);
    }

    /// SIGKILL: what the kernel holds stays.
    pub(crate) fn kill(&mut self, index: usize) {
        self.note(index, "is gone");
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(index) {
            node.router = None;
            node.run = Run::Gone;
            node.age += 1;
            node.waiting.clear();
            node.idle_since.get_or_insert(now);
        }
    }

    /// SIGSTOP.
    pub(crate) fn pause(&mut self, index: usize) {
        let now = self.now;
        if let Some(node) = self
            .nodes
            .get_mut(index)
            .filter(|node| node.run == Run::Running)
        {
            node.run = Run::Paused;
            node.age += 1;
            node.idle_since = Some(now);
            self.note(index, "SIGSTOP");
        }
    }

    /// SIGCONT. Packets come before the timer, as a driver should do it, or
    /// after it, which must do no harm either.
    pub(crate) fn resume(&mut self, index: usize) {
        let now = self.now;
        let timer_first = self.random.bool();
        let Some(node) = self
            .nodes
            .get_mut(index)
            .filter(|node| node.run == Run::Paused)
        else {
            return;
        };
        node.run = Run::Running;
        node.idle_since = None;
        node.resumed = Some(now);
        let waiting = std::mem::take(&mut node.waiting);
        self.note(index, "SIGCONT");
        if timer_first {
            self.tell_now(index, Event::Timer);
        }
        for event in waiting {
            // The driver looks again before it believes that an address is gone.
            let back = self
                .nodes
                .get(index)
                .is_some_and(|node| node.kernel.holds());
            if !(back && matches!(event, Event::AddressRemoved(_))) {
                self.tell_now(index, event);
            }
        }
        self.tell_now(index, Event::Timer);
    }

    pub(crate) fn set_link(&mut self, index: usize, up: bool) {
        let Some(node) = self.nodes.get_mut(index).filter(|node| node.link_up != up) else {
            return;
        };
        node.link_up = up;
        self.note(index, if up { "link up" } else { "link down" });
        self.tell(index, if up { Event::LinkUp } else { Event::LinkDown });
    }

    pub(crate) fn set_script(&mut self, index: usize, number: usize, health: Health) {
        let script = self
            .nodes
            .get_mut(index)
            .and_then(|node| node.scripts.get_mut(number));
        let Some(script) = script.filter(|script| **script != health) else {
            return;
        };
        *script = health;
        self.note(index, &format!("script {number} {health:?}"));
        self.tell(
            index,
            Event::Script {
                index: number,
                health,
            },
        );
    }

    /// Somebody removes the address by hand.
    pub(crate) fn remove_address(&mut self, index: usize) {
        if let Some(node) = self.nodes.get_mut(index).filter(|node| node.kernel.holds()) {
            node.kernel.remove();
            self.note(index, "address removed by hand");
            self.tell(index, Event::AddressRemoved(VIP));
        }
    }

    pub(crate) fn reload(&mut self, index: usize, settings: Instance) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.settings = settings.clone();
            self.note(index, &format!("reload, priority {}", settings.priority));
            self.tell(index, Event::Reload(Box::new(settings)));
        }
    }

    /// Running masters.
    pub(crate) fn masters(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|index| self.nodes[*index].state() == Some(State::Master))
            .collect()
    }
}
