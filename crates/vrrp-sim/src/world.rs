//! The nodes, the segment between them, and time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use vrrp_core::settings::Checksum;
use vrrp_core::{Action, Duration, Event, Member, State, Step, Time, VirtualRouter};
use vrrp_proto::Datagram;
use vrrp_proto::vrrp::Path;

use crate::kernel::Expiry;
use crate::node::{Node, Run};
use crate::settings::{Setup, source};

/// Lines of the timeline kept for a breach.
const TIMELINE: usize = 120;

/// Something that comes to pass at its time.
#[derive(Clone, Debug)]
enum Due {
    Arrive {
        to: usize,
        seat: usize,
        datagram: Datagram,
    },
    /// The client sees an announcement of this node.
    Announced {
        by: usize,
        address: IpAddr,
    },
    Wake {
        node: usize,
        seat: usize,
        age: u64,
    },
    Expire {
        node: usize,
        address: IpAddr,
        generation: u64,
    },
}

/// Nodes on one segment. Time passes from one due thing to the next.
#[derive(Debug)]
pub struct World {
    pub(crate) now: Time,
    pub(crate) nodes: Vec<Node>,
    /// How long adverts are apart, at most.
    pub(crate) interval: Duration,
    pub(crate) random: fastrand::Rng,
    /// Ordered pairs that cannot reach each other; the client is the last.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// Packets lost, in percent.
    pub(crate) loss: u8,
    /// The longest delay of a packet.
    pub(crate) delay: Duration,
    /// Whose announcement of an address the client saw last.
    pub(crate) belief: BTreeMap<IpAddr, usize>,
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
        let interval = setup.interval();
        let (scripts, grouped) = (setup.scripts(), setup.grouped);
        Self {
            now: Time::default(),
            nodes: setup
                .nodes
                .into_iter()
                .map(|instances| Node::new(instances, scripts, grouped))
                .collect(),
            interval,
            random: fastrand::Rng::with_seed(seed),
            cut: BTreeSet::new(),
            loss: 0,
            delay: CALM,
            belief: BTreeMap::new(),
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

    /// How many virtual routers each node takes part in.
    pub(crate) fn seats(&self) -> usize {
        self.nodes.first().map_or(0, |node| node.seats.len())
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
            Due::Arrive { to, seat, datagram } => self.tell(to, seat, Event::Packet(datagram)),
            Due::Announced { by, address } => {
                self.belief.insert(address, by);
            }
            Due::Wake { node, seat, age } => {
                let present = self.nodes.get(node).and_then(|node| node.seats.get(seat));
                if present.is_some_and(|seat| seat.age == age) {
                    self.tell_now(node, seat, Event::Timer);
                }
            }
            Due::Expire {
                node,
                address,
                generation,
            } => {
                if self
                    .nodes
                    .get_mut(node)
                    .is_some_and(|node| node.kernel.expire(address, generation))
                {
                    self.note(node, &format!("lease of {address} expires"));
                    self.removed(node, address);
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

    /// An address went without the daemon's doing.
    pub(crate) fn removed(&mut self, node: usize, address: IpAddr) {
        let seat = self.nodes.get(node).and_then(|node| node.seat_of(address));
        if let Some(seat) = seat {
            self.tell(node, seat, Event::AddressRemoved(address));
        }
    }

    /// An event for every router of a node.
    pub(crate) fn tell_all(&mut self, index: usize, event: &Event) {
        for seat in 0..self.seats() {
            self.tell(index, seat, event.clone());
        }
    }

    /// An event for a router of `index`, now or when its daemon runs again.
    pub(crate) fn tell(&mut self, index: usize, seat: usize, event: Event) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        match node.run {
            Run::Running => self.tell_now(index, seat, event),
            Run::Paused => node.keep(seat, event),
            Run::Gone => {}
        }
    }

    /// An event for a daemon that runs, and everything that follows from it.
    pub(crate) fn tell_now(&mut self, index: usize, number: usize, event: Event) {
        let now = self.now;
        let Some(seat) = self
            .nodes
            .get_mut(index)
            .filter(|node| node.run == Run::Running)
            .and_then(|node| node.seats.get_mut(number))
        else {
            return;
        };
        let Some(router) = seat.router.as_mut() else {
            return;
        };
        let before = router.state();
        router.handle(now, event);
        let actions: Vec<Action> = std::iter::from_fn(|| router.poll_action()).collect();
        let after = router.state();
        let wake = router.poll_timeout();
        seat.age += 1;
        let age = seat.age;
        if before != after {
            self.changes += 1;
            self.takeovers += u64::from(after == State::Master);
            self.note(index, &format!("router{number} {before} -> {after}"));
        }
        if let Some(wake) = wake {
            let due = Due::Wake {
                node: index,
                seat: number,
                age,
            };
            self.plan(wake.max(now), due);
        }
        for action in actions {
            self.perform(index, number, action);
        }
        self.sync(index);
    }

    /// What the sync group of a node wants now.
    fn sync(&mut self, index: usize) {
        let step = self.nodes.get_mut(index).and_then(|node| {
            let members: Vec<Member> = node
                .seats
                .iter()
                .filter_map(|seat| seat.router.as_ref())
                .map(Member::of)
                .collect();
            node.group.as_mut()?.step(&members)
        });
        match step {
            // This comes back here when the member has handled it.
            Some(Step::Tell(seat, event)) => self.tell_now(index, seat, event),
            Some(Step::Log(line)) => {
                self.note(index, &line.to_string());
                self.sync(index);
            }
            Some(Step::Notify(_)) => self.sync(index),
            None => {}
        }
    }

    fn perform(&mut self, index: usize, seat: usize, action: Action) {
        match action {
            Action::SendAdvert(advert) => {
                self.note(index, &format!("router{seat} advert {}", advert.priority));
                let checksum = self.checksum_of(index, seat);
                for to in 0..self.nodes.len() {
                    let path = Path {
                        source: source(index),
                        destination: source(to),
                        checksum,
                    };
                    let datagram = Datagram {
                        source: path.source,
                        destination: path.destination,
                        ttl: 255,
                        header_len: 20,
                        payload: advert.encode(&path),
                    };
                    self.send(index, to, Due::Arrive { to, seat, datagram });
                }
            }
            Action::SendGarp { address, .. } => {
                let due = Due::Announced { by: index, address };
                self.send(index, self.client(), due);
            }
            Action::AddAddress { address, lifetime } => {
                self.set_address(index, address.address, lifetime);
            }
            Action::RefreshAddress { address, lifetime } => {
                self.set_address(index, address.address, Some(lifetime));
            }
            Action::RemoveAddress(address) => {
                if let Some(node) = self.nodes.get_mut(index) {
                    node.kernel.remove(address.address);
                }
            }
            Action::SetRoutes | Action::RemoveRoutes | Action::Notify { .. } => {}
            Action::Log(line) => self.note(index, &line.to_string()),
        }
    }

    fn checksum_of(&self, index: usize, seat: usize) -> Checksum {
        let seat = self.nodes.get(index).and_then(|node| node.seats.get(seat));
        let router = seat.and_then(|seat| seat.router.as_ref());
        router.map(VirtualRouter::checksum).unwrap_or_default()
    }

    fn set_address(&mut self, index: usize, address: IpAddr, lifetime: Option<u32>) {
        let (now, random) = (self.now, &mut self.random);
        let expiry = self
            .nodes
            .get_mut(index)
            .and_then(|node| node.kernel.set(now, address, lifetime, random));
        if let Some(Expiry { at, generation }) = expiry {
            let due = Due::Expire {
                node: index,
                address,
                generation,
            };
            self.plan(at, due);
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

    /// Running masters of a router.
    pub(crate) fn masters(&self, seat: usize) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|index| self.nodes[*index].state(seat) == Some(State::Master))
            .collect()
    }

    /// Nothing is due until `time`.
    pub(crate) fn advance_to(&mut self, time: Time) {
        self.now = self.now.max(time);
    }
}
