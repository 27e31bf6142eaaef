//! Who takes part in a run.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU8;

use vrrp_core::Duration;
use vrrp_core::settings::{
    Address, AddressCheck, Auth, Initial, Instance, Lease, OnAdvert, Peer, Preempt, Script, Sense,
    SourceCheck, Sync, Transport,
};

/// The most addresses of one virtual router.
pub(crate) const ADDRESSES: u8 = 3;
/// The most nodes of a run.
const NODES: usize = 5;

/// Virtual address number `number` of virtual router `seat`.
pub(crate) fn vip(seat: usize, number: u8) -> IpAddr {
    let seat = u8::try_from(seat % 100).unwrap_or(0);
    IpAddr::V4(Ipv4Addr::new(10, 0, 100 + seat, 253 - number))
}

/// The nodes of a run and the virtual routers that each takes part in. All
/// adverts of a run are equally far apart.
#[derive(Clone, Debug)]
pub struct Setup {
    /// One list a node; all are equally long.
    pub(crate) nodes: Vec<Vec<Instance>>,
    /// Whether all virtual routers of a node are one sync group.
    pub(crate) grouped: bool,
}

/// What the routers do so that hosts learn who won a healed split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reassurance {
    /// The loser speaks once more, and a master announces itself periodically.
    Ours,
    /// Neither, as keepalived by default.
    Keepaliveds,
}

/// The address adverts of node `index` come from.
pub(crate) fn source(index: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(
        10,
        0,
        254,
        u8::try_from(index % 200).unwrap_or(0) + 1,
    ))
}

impl Setup {
    /// What the run of `seed` is made of.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Self::drawn(&mut fastrand::Rng::with_seed(seed ^ 0x5e7))
    }

    /// Two to five nodes with one to three virtual routers; priorities, scripts,
    /// preemption, interval and addresses are drawn.
    #[must_use]
    pub fn drawn(random: &mut fastrand::Rng) -> Self {
        let count = random.usize(2..=NODES);
        let seats = *random.choice(&[1, 1, 1, 2, 3]).unwrap_or(&1);
        // Small ranges make ties and close priorities likely.
        let base = random.u8(1..=200);
        let preempt = match random.u8(0..8) {
            0 | 1 => Preempt::No,
            2 => Preempt::After(Duration::from_secs(random.u64(1..=5))),
            _ => Preempt::Yes,
        };
        let interval = Duration::from_secs(*random.choice(&[1, 1, 1, 2, 3]).unwrap_or(&1));
        let grouped = seats > 1 && random.bool();
        let owner = random.u8(0..8) == 0;
        let silent = random.u8(0..8) == 0;
        let skip = random.u8(0..4) == 0;
        // Members of a group have no weighted scripts.
        let weights: &[i16] = if grouped { &[0] } else { &[0, 2, 20, -2, -20] };
        let weights: Vec<i16> = (0..random.usize(0..=2))
            .map(|_| *random.choice(weights).unwrap_or(&0))
            .collect();
        let nodes = (0..count)
            .map(|index| {
                let common = random.u8(0..=50);
                let own = |seat: usize| {
                    let above = if grouped { common } else { random.u8(0..=50) };
                    let mut instance = instance(index, count, seat, base + above);
                    if grouped {
                        instance.sync = Sync::Member;
                    }
                    instance.preempt = preempt;
                    instance.advert_interval = interval;
                    instance.scripts = scripts(&weights);
                    if owner && index == 0 {
                        instance.priority = NonZeroU8::MAX;
                        instance.initial = Initial::Master;
                        instance.preempt = Preempt::Yes;
                    }
                    if silent {
                        instance.on_lower = OnAdvert::Silent;
                    }
                    if skip {
                        instance.address_check = AddressCheck::SkipSameMaster;
                    }
                    instance
                };
                (0..seats).map(own).collect()
            })
            .collect();
        Self { nodes, grouped }
    }

    /// Nodes of the given priorities in one virtual router, without scripts,
    /// preempting.
    #[must_use]
    pub fn of_priorities(priorities: &[u8]) -> Self {
        let nodes = priorities
            .iter()
            .enumerate()
            .map(|(index, priority)| vec![instance(index, priorities.len(), 0, *priority)])
            .collect();
        Self {
            nodes,
            grouped: false,
        }
    }

    /// Nodes of the given priorities in two virtual routers that are one sync
    /// group on each node.
    #[must_use]
    pub fn of_groups(priorities: &[u8]) -> Self {
        let count = priorities.len();
        let node = |(index, priority): (usize, &u8)| {
            let member = |seat| {
                let mut member = instance(index, count, seat, *priority);
                member.sync = Sync::Member;
                member
            };
            (0..2).map(member).collect()
        };
        Self {
            nodes: priorities.iter().enumerate().map(node).collect(),
            grouped: true,
        }
    }

    /// The same with another lease.
    #[must_use]
    pub fn with_lease(self, lease: Lease) -> Self {
        self.with(|instance| instance.lease = lease)
    }

    /// The same, each node with scripts of these weights.
    #[must_use]
    pub fn with_scripts(self, weights: &[i16]) -> Self {
        self.with(|instance| instance.scripts = scripts(weights))
    }

    /// The same with or without what we do beyond keepalived.
    #[must_use]
    pub fn with_reassurance(self, reassurance: Reassurance) -> Self {
        self.with(|instance| match reassurance {
            Reassurance::Ours => {
                instance.on_higher = OnAdvert::Advertise;
                instance.garp.reassert = Duration::from_secs(5);
            }
            Reassurance::Keepaliveds => {
                instance.on_higher = OnAdvert::Silent;
                instance.garp.reassert = Duration::ZERO;
            }
        })
    }

    fn with(mut self, change: impl Fn(&mut Instance)) -> Self {
        self.nodes.iter_mut().flatten().for_each(change);
        self
    }

    fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.nodes.iter().flatten()
    }

    /// How far adverts are apart.
    pub(crate) fn interval(&self) -> Duration {
        let longest = self.instances().map(|instance| instance.advert_interval);
        longest.max().unwrap_or(Duration::ZERO)
    }

    /// The longest `preempt_delay`.
    pub(crate) fn preempt_delay(&self) -> Duration {
        let delays = self.instances().map(|instance| match instance.preempt {
            Preempt::After(delay) => delay,
            Preempt::Yes | Preempt::No => Duration::ZERO,
        });
        delays.max().unwrap_or(Duration::ZERO)
    }

    /// How many scripts each node runs.
    pub(crate) fn scripts(&self) -> usize {
        let scripts = self.instances().map(|instance| instance.scripts.len());
        scripts.max().unwrap_or(0)
    }
}

fn scripts(weights: &[i16]) -> Vec<Script> {
    let script = |(number, weight): (usize, &i16)| Script {
        name: format!("script{number}"),
        weight: *weight,
        sense: Sense::Normal,
    };
    weights.iter().enumerate().map(script).collect()
}

/// The first `count` addresses of a virtual router.
pub(crate) fn addresses(seat: usize, count: u8) -> Vec<Address> {
    (0..count.min(ADDRESSES))
        .map(|number| Address::new(vip(seat, number), 16, "eth0"))
        .collect()
}

fn instance(index: usize, count: usize, seat: usize, priority: u8) -> Instance {
    let vrid = u8::try_from(seat + 1).ok().and_then(NonZeroU8::new);
    let name = format!("router{seat}");
    let mut instance = Instance::new(&name, "eth0", vrid.unwrap_or(NonZeroU8::MIN));
    instance.priority = NonZeroU8::new(priority).unwrap_or(NonZeroU8::MIN);
    instance.auth = Auth::pass(b"simulate");
    instance.addresses = addresses(seat, 1);
    instance.transport = Transport::Unicast {
        source: Some(source(index)),
        peers: (0..count)
            .filter(|peer| *peer != index)
            .map(|peer| Peer::new(source(peer)))
            .collect(),
        ttl: 255,
        source_check: SourceCheck::PeersOnly,
    };
    instance
}
