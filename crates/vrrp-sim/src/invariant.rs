//! What must hold, checked from the outside.

use std::collections::BTreeMap;
use std::fmt;

use vrrp_core::settings::Preempt;
use vrrp_core::{Duration, State, Time};

use crate::World;
use crate::fault::STORM_DELAY;
use crate::kernel;
use crate::node::{Node, Run};

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
        write!(formatter, "replay with VRRP_SIM_SEED={}", self.seed)
    }
}

/// Two running owners that hear each other: one advert of either ends it. It
/// may have been sent just before they met, and takes its way twice.
const TWO_OWNERS: Duration = Duration(1_000_000_000 + 2 * STORM_DELAY.0 + 50_000_000);

/// A master listens this long after a pause before it must hold the address.
const AFTER_PAUSE: Duration = Duration::from_millis(25);

/// Master_Down at the lowest priority, and one interval for a second master to
/// yield.
pub(crate) const SETTLE: Duration = Duration(4_000_000_000 + TWO_OWNERS.0 + 20_000_000);

/// Checks a world step by step.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Pairs of running owners that hear each other, and since when.
    both: BTreeMap<(usize, usize), Time>,
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
        self.one_owner(world, until)?;
        for (index, node) in world.nodes.iter().enumerate() {
            lease(index, node, until)?;
            holder_is_master(index, node, until)?;
        }
        Ok(())
    }

    fn one_owner(&mut self, world: &World, until: Time) -> Result<(), String> {
        for first in 0..world.nodes.len() {
            for second in first + 1..world.nodes.len() {
                let owns = |index: usize| {
                    let node = &world.nodes[index];
                    node.run == Run::Running && node.kernel.holds()
                };
                let meet =
                    world.loss == 0 && world.reaches(first, second) && world.reaches(second, first);
                if !(owns(first) && owns(second) && meet) {
                    self.both.remove(&(first, second));
                    continue;
                }
                let since = *self.both.entry((first, second)).or_insert(world.now);
                let lasted = until.since(since);
                if lasted > TWO_OWNERS {
                    return Err(format!(
                        "one owner: node{first} and node{second} both hold the address and hear \
                         each other for {lasted} s"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn lease(index: usize, node: &Node, until: Time) -> Result<(), String> {
    let (Some(plan), Some(since)) = (node.settings.lease_plan(), node.idle_since) else {
        return Ok(());
    };
    let bound = Duration::from_secs(u64::from(plan.lifetime)) + kernel::LATE;
    let idle = until.since(since);
    if node.kernel.holds() && idle > bound {
        return Err(format!(
            "the lease: node{index} has not run for {idle} s and still holds the address"
        ));
    }
    Ok(())
}

fn holder_is_master(index: usize, node: &Node, until: Time) -> Result<(), String> {
    let Some(state) = node.state() else {
        return Ok(());
    };
    let holds = node.kernel.holds();
    let just_resumed = node
        .resumed
        .is_some_and(|resumed| until.since(resumed) <= AFTER_PAUSE);
    match (state, holds) {
        (State::Master, false) if !just_resumed => Err(format!(
            "holder and master: node{index} is MASTER without the address"
        )),
        (State::Init | State::Backup | State::Fault, true) => Err(format!(
            "holder and master: node{index} is {state} and holds the address"
        )),
        (State::Master, _) | (State::Init | State::Backup | State::Fault, false) => Ok(()),
    }
}

/// Invariant 5, when the quiet time has lasted [`SETTLE`].
pub(crate) fn settled(world: &World) -> Result<usize, String> {
    let masters = world.masters();
    let [master] = masters.as_slice() else {
        return Err(format!(
            "a master exists: {} of them after the faults ended",
            masters.len()
        ));
    };
    let holders = world
        .nodes
        .iter()
        .filter(|node| node.kernel.holds())
        .count();
    if holders != 1 {
        return Err(format!(
            "one owner: {holders} nodes hold the address in quiet times"
        ));
    }
    let priority = |index: usize| world.nodes[index].priority();
    let better = (0..world.nodes.len()).find(|index| priority(*index) > priority(*master));
    let preempts = |index: &usize| world.nodes[*index].settings.preempt == Preempt::Yes;
    if let Some(better) = better.filter(preempts) {
        return Err(format!(
            "a master exists: node{master} has priority {}, node{better} has {}",
            priority(*master),
            priority(better)
        ));
    }
    Ok(*master)
}

/// Invariants 6 and 7, at the end of the quiet time.
pub(crate) fn stayed(world: &World, master: usize, changes: u64) -> Result<(), String> {
    if world.changes != changes {
        return Err(format!(
            "no flapping: {} state changes in quiet times",
            world.changes - changes
        ));
    }
    if world.belief != Some(master) {
        return Err(format!(
            "hosts know: the client believes {:?}, the master is node{master}",
            world.belief
        ));
    }
    Ok(())
}
