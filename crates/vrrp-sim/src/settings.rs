//! Who takes part in a run.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU8;

use vrrp_core::Duration;
use vrrp_core::settings::{
    Address, Auth, Instance, Lease, OnAdvert, Peer, Preempt, Script, Sense, SourceCheck, Transport,
};

/// The virtual address of every run.
pub(crate) const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 254, 253));

/// The nodes of a run. All speak every second.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) instances: Vec<Instance>,
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
    /// Two or three nodes with drawn priorities, scripts and preemption.
    #[must_use]
    pub fn drawn(random: &mut fastrand::Rng) -> Self {
        let count = random.usize(2..=3);
        // Small ranges make ties and close priorities likely.
        let base = random.u8(1..=200);
        let preempt = if random.u8(0..4) == 0 {
            Preempt::No
        } else {
            Preempt::Yes
        };
        let weights: Vec<i16> = (0..random.usize(0..=2))
            .map(|_| *random.choice(&[0, 2, 20, -2, -20]).unwrap_or(&0))
            .collect();
        let instances = (0..count)
            .map(|index| {
                let mut instance = instance(index, count, base + random.u8(0..=50));
                instance.preempt = preempt;
                instance.scripts = weights
                    .iter()
                    .enumerate()
                    .map(|(number, weight)| Script {
                        name: format!("script{number}"),
                        weight: *weight,
                        sense: Sense::Normal,
                    })
                    .collect();
                instance
            })
            .collect();
        Self { instances }
    }

    /// Nodes of the given priorities without scripts, preempting.
    #[must_use]
    pub fn of_priorities(priorities: &[u8]) -> Self {
        let instances = priorities
            .iter()
            .enumerate()
            .map(|(index, priority)| instance(index, priorities.len(), *priority))
            .collect();
        Self { instances }
    }

    /// The same with another lease.
    #[must_use]
    pub fn with_lease(mut self, lease: Lease) -> Self {
        for instance in &mut self.instances {
            instance.lease = lease;
        }
        self
    }

    /// The same with or without what we do beyond keepalived.
    #[must_use]
    pub fn with_reassurance(mut self, reassurance: Reassurance) -> Self {
        for instance in &mut self.instances {
            match reassurance {
                Reassurance::Ours => {
                    instance.on_higher = OnAdvert::Advertise;
                    instance.garp.reassert = Duration::from_secs(5);
                }
                Reassurance::Keepaliveds => {
                    instance.on_higher = OnAdvert::Silent;
                    instance.garp.reassert = Duration::ZERO;
                }
            }
        }
        self
    }
}

fn instance(index: usize, count: usize, priority: u8) -> Instance {
    let mut instance = Instance::new(&format!("node{index}"), "eth0", NonZeroU8::MIN);
    instance.priority = NonZeroU8::new(priority).unwrap_or(NonZeroU8::MIN);
    instance.auth = Auth::pass(b"simulate");
    instance.addresses = vec![Address::new(VIP, 16, "eth0")];
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
