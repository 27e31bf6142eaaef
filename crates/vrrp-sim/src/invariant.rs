//! What must hold, checked from the outside.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use vrrp_core::settings::Preempt;
use vrrp_core::{Duration, State, Time};

use crate::World;
use crate::fault::STORM_DELAY;
use crate::kernel;
use crate::node::{Node, Run};
use crate::settings::{ADDRESSES, Setup, vip};

/// An invariant that did not hold.
#[derive(Clone, Debug)]
pub struct Breach {
    /// The seed of the run.
    pub seed: u64,
    /// How many steps it had made.
    pub step: u64,
    /// Which invariant, and how it broke.
    pub what: String,
    /// What happened before, oldest first.
    pub timeline: Vec<String>,
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.timeline {
            writeln!(formatter, "  {line}")?;
        }
        writeln!(
            formatter,
            "seed {} step {}: {}",
            self.seed, self.step, self.what
        )?;
        write!(
            formatter,
            "replay with: cargo xtask sim --seed {}",
            self.seed
        )
    }
}

/// Two running owners that hear each other: one advert of either ends it. It
/// may have been sent just before they met, and takes its way twice.
fn two_owners(interval: Duration) -> Duration {
    interval + STORM_DELAY.times(2) + Duration::from_millis(50)
}

/// A master listens this long after a pause before it must hold the address.
const AFTER_PAUSE: Duration = Duration::from_millis(25);

/// Master_Down at the lowest priority, and one interval for a second master to
/// yield; with `preempt_delay` that and Master_Down once more.
pub(crate) fn settle(setup: &Setup) -> Duration {
    let interval = setup.interval();
    let master_down = interval.times(3) + Duration::from_secs(1);
    let delay = setup.preempt_delay();
    let preempted = if delay.is_zero() {
        Duration::ZERO
    } else {
        delay + master_down
    };
    master_down + two_owners(interval) + Duration::from_millis(20) + preempted
}

/// Two nodes and an address.
type Pair = (IpAddr, usize, usize);
/// A node's priority and its number of addresses.
type Standing = (u8, usize);

/// Checks a world step by step.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Pairs of running owners of an address that hear each other, and since
    /// when with these priorities and these numbers of addresses.
    both: BTreeMap<Pair, (Time, [Standing; 2])>,
    /// Steps at one and the same time.
    crowd: Crowd,
}

#[derive(Debug, Default)]
struct Crowd {
    at: Time,
    steps: u64,
}

/// Far more than happens at one time: a router that wants to be woken at once,
/// again and again, is stuck.
const CROWD: u64 = 10_000;

impl Watch {
    /// Checks what held from the last step until `until`, right before the
    /// next one.
    pub(crate) fn until(&mut self, world: &World, until: Time) -> Result<(), String> {
        if self.crowd.at == until {
            self.crowd.steps += 1;
        } else {
            self.crowd = Crowd {
                at: until,
                steps: 0,
            };
        }
        if self.crowd.steps > CROWD {
            return Err("progress: time stands still".to_owned());
        }
        for seat in 0..world.seats() {
            for number in 0..ADDRESSES {
                self.one_owner(world, seat, vip(seat, number), until)?;
            }
            for (index, node) in world.nodes.iter().enumerate() {
                lease(index, node, seat, until)?;
                holder_is_master(index, node, seat, until)?;
            }
        }
        Ok(())
    }

    fn one_owner(
        &mut self,
        world: &World,
        seat: usize,
        address: IpAddr,
        until: Time,
    ) -> Result<(), String> {
        // What a node holds under settings it no longer has is the lease's matter.
        let owns = |index: &usize| {
            let node = &world.nodes[*index];
            let configured = node.seats[seat].addresses().any(|own| own == address);
            node.run == Run::Running && configured && node.kernel.holds(address)
        };
        let owners: Vec<usize> = (0..world.nodes.len()).filter(owns).collect();
        let meet = |first: usize, second: usize| {
            world.loss == 0 && world.reaches(first, second) && world.reaches(second, first)
        };
        self.both.retain(|(of, first, second), _| {
            *of != address
                || owners.contains(first) && owners.contains(second) && meet(*first, *second)
        });
        for (place, first) in owners.iter().enumerate() {
            for second in owners.iter().skip(place + 1) {
                if !meet(*first, *second) {
                    continue;
                }
                // An advert that would have ended it says nothing any more once the
                // order or the list of addresses has changed.
                let standing = [*first, *second].map(|index| {
                    let seat = &world.nodes[index].seats[seat];
                    (seat.priority(), seat.settings.addresses.len())
                });
                let entry = self
                    .both
                    .entry((address, *first, *second))
                    .or_insert((world.now, standing));
                if entry.1 != standing {
                    *entry = (world.now, standing);
                }
                let lasted = until.since(entry.0);
                if lasted > two_owners(world.interval) {
                    return Err(format!(
                        "one owner: node{first} and node{second} both hold {address} and hear \
                         each other for {lasted} s"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn lease(index: usize, node: &Node, seat: usize, until: Time) -> Result<(), String> {
    let Some(since) = node.idle_since else {
        return Ok(());
    };
    let Some(plan) = node.seats[seat].settings.lease_plan() else {
        return Ok(());
    };
    let bound = Duration::from_secs(u64::from(plan.lifetime)) + kernel::LATE;
    let idle = until.since(since);
    let held = (0..ADDRESSES).any(|number| node.kernel.holds(vip(seat, number)));
    if held && idle > bound {
        return Err(format!(
            "the lease: node{index} has not run for {idle} s and still holds an address of \
             router{seat}"
        ));
    }
    Ok(())
}

fn holder_is_master(index: usize, node: &Node, seat: usize, until: Time) -> Result<(), String> {
    let Some(state) = node.state(seat) else {
        return Ok(());
    };
    let just_resumed = node
        .resumed
        .is_some_and(|resumed| until.since(resumed) <= AFTER_PAUSE);
    for address in node.seats[seat].addresses() {
        match (state, node.kernel.holds(address)) {
            (State::Master, false) if !just_resumed => {
                return Err(format!(
                    "holder and master: node{index} is MASTER without {address}"
                ));
            }
            (State::Init | State::Backup | State::Fault, true) => {
                return Err(format!(
                    "holder and master: node{index} is {state} and holds {address}"
                ));
            }
            (State::Master, _) | (State::Init | State::Backup | State::Fault, false) => {}
        }
    }
    Ok(())
}

/// Invariants 5 and 6, when the quiet time has lasted [`settle`]: the master of each
/// virtual router.
pub(crate) fn settled(world: &World) -> Result<Vec<usize>, String> {
    let masters: Vec<usize> = (0..world.seats())
        .map(|seat| settled_seat(world, seat))
        .collect::<Result<_, _>>()?;
    let grouped = world.nodes.iter().any(|node| node.group.is_some());
    if grouped && masters.iter().any(|master| Some(master) != masters.first()) {
        return Err(format!("a group is together: its masters are {masters:?}"));
    }
    Ok(masters)
}

fn settled_seat(world: &World, seat: usize) -> Result<usize, String> {
    let masters = world.masters(seat);
    let [master] = masters.as_slice() else {
        return Err(format!(
            "a master exists: router{seat} has {} of them after the faults ended",
            masters.len()
        ));
    };
    let holders = world
        .nodes
        .iter()
        .filter(|node| node.holds_of(seat))
        .count();
    if holders != 1 {
        return Err(format!(
            "one owner: {holders} nodes hold addresses of router{seat} in quiet times"
        ));
    }
    let priority = |index: usize| world.nodes[index].seats[seat].priority();
    let better = (0..world.nodes.len()).find(|index| priority(*index) > priority(*master));
    let preempts = |index: &usize| world.nodes[*index].seats[seat].settings.preempt != Preempt::No;
    if let Some(better) = better.filter(preempts) {
        return Err(format!(
            "a master exists: node{master} has priority {} in router{seat}, node{better} has {}",
            priority(*master),
            priority(better)
        ));
    }
    Ok(*master)
}

/// Invariants 7 and 8, at the end of the quiet time.
pub(crate) fn stayed(world: &World, masters: &[usize], changes: u64) -> Result<(), String> {
    if world.changes != changes {
        return Err(format!(
            "no flapping: {} state changes in quiet times",
            world.changes - changes
        ));
    }
    for (seat, master) in masters.iter().enumerate() {
        for address in world.nodes[*master].seats[seat].addresses() {
            let believed = world.belief.get(&address);
            if believed != Some(master) {
                return Err(format!(
                    "hosts know: the client believes {believed:?} for {address}, the master is \
                     node{master}"
                ));
            }
        }
    }
    Ok(())
}
