//! One run: storms and quiet times in turn.

use vrrp_core::{Duration, Time};

use crate::World;
use crate::fault::{self, Fault};
use crate::invariant::{self, Breach, Watch};
use crate::settings::{Setup, vip};

/// Storms of a run.
const STORMS: usize = 4;
/// Faults of a storm.
const FAULTS: usize = 60;
/// The quiet time: long enough for both bursts of a new master and for the
/// single announcement that comes after them.
const QUIET: Duration = Duration::from_secs(20);

/// What a run without breach did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Steps made.
    pub steps: u64,
    /// State changes seen.
    pub changes: u64,
}

/// Runs `setup` through storms drawn from `seed`.
///
/// # Errors
/// The first breach of an invariant.
pub fn run(setup: Setup, seed: u64) -> Result<Report, Box<Breach>> {
    let settle = invariant::settle(&setup);
    let mut world = World::new(setup, seed);
    let mut watch = Watch::default();
    for node in 0..world.nodes.len() {
        world.start(node);
    }
    let mut storms = || -> Result<(), String> {
        for storm in 0..=STORMS {
            // The first quiet time comes before the first storm.
            if storm > 0 {
                rage(&mut world, &mut watch)?;
            }
            fault::mend_all(&mut world);
            pass(&mut world, &mut watch, settle)?;
            let masters = invariant::settled(&world)?;
            let changes = world.changes;
            pass(&mut world, &mut watch, QUIET)?;
            invariant::stayed(&world, &masters, changes)?;
        }
        Ok(())
    };
    let outcome = storms();
    outcome.map_err(|what| {
        Box::new(Breach {
            seed,
            step: world.steps,
            what,
            timeline: world.timeline(),
        })
    })?;
    Ok(Report {
        steps: world.steps,
        changes: world.changes,
    })
}

/// What came of a few chosen faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aftermath {
    /// The longest time nobody held the address.
    pub without_owner: Duration,
    /// The longest time several nodes held it.
    pub several_owners: Duration,
    /// How often a node became master since the first fault.
    pub takeovers: u64,
    /// Who is master at the end, if there is exactly one.
    pub master: Option<usize>,
    /// Whom the client believes at the end.
    pub belief: Option<usize>,
}

/// Lets `setup` settle, then strikes `faults`, each so long after the one
/// before, and watches for another 20 s.
///
/// # Errors
/// The first breach of invariants 1 to 4.
pub fn strike(
    setup: Setup,
    seed: u64,
    faults: &[(Duration, Fault)],
) -> Result<Aftermath, Box<Breach>> {
    let settle = invariant::settle(&setup);
    let mut world = World::new(setup, seed);
    let mut watch = Watch::default();
    for node in 0..world.nodes.len() {
        world.start(node);
    }
    let mut owners = Owners::default();
    let outcome = (|| {
        pass(&mut world, &mut watch, settle)?;
        let before = world.takeovers;
        for (after, fault) in faults {
            owners.pass(&mut world, &mut watch, *after)?;
            fault.strike(&mut world);
        }
        owners.pass(&mut world, &mut watch, QUIET)?;
        Ok(world.takeovers - before)
    })();
    let takeovers = outcome.map_err(|what| {
        Box::new(Breach {
            seed,
            step: world.steps,
            what,
            timeline: world.timeline(),
        })
    })?;
    let masters = world.masters(0);
    Ok(Aftermath {
        without_owner: owners.none.longest,
        several_owners: owners.several.longest,
        takeovers,
        master: if let [master] = masters.as_slice() {
            Some(*master)
        } else {
            None
        },
        belief: world.belief.get(&vip(0, 0)).copied(),
    })
}

/// How long there was no owner, or more than one.
#[derive(Debug, Default)]
struct Owners {
    none: Spell,
    several: Spell,
}

/// The longest unbroken time something held.
#[derive(Debug, Default)]
struct Spell {
    since: Option<Time>,
    longest: Duration,
}

impl Spell {
    fn see(&mut self, holds: bool, from: Time, until: Time) {
        if holds {
            let since = *self.since.get_or_insert(from);
            self.longest = self.longest.max(until.since(since));
        } else {
            self.since = None;
        }
    }
}

impl Owners {
    /// As [`pass`], counting owners on the way.
    fn pass(
        &mut self,
        world: &mut World,
        watch: &mut Watch,
        duration: Duration,
    ) -> Result<(), String> {
        let end = world.now + duration;
        loop {
            let until = world.next_due().filter(|due| *due <= end).unwrap_or(end);
            watch.until(world, until)?;
            let count = world
                .nodes
                .iter()
                .filter(|node| node.kernel.holds(vip(0, 0)))
                .count();
            self.none.see(count == 0, world.now, until);
            self.several.see(count > 1, world.now, until);
            if world.next_due().is_none_or(|due| due > end) {
                world.advance_to(end);
                return Ok(());
            }
            world.step();
        }
    }
}

/// A storm: faults and mendings at drawn times, some together, some seconds
/// apart.
fn rage(world: &mut World, watch: &mut Watch) -> Result<(), String> {
    for _ in 0..FAULTS {
        let millis = match world.random.u8(0..4) {
            0 => 0,
            1 => world.random.u64(0..200),
            2 => world.random.u64(0..2_000),
            _ => world.random.u64(0..6_000),
        };
        pass(world, watch, Duration::from_millis(millis))?;
        Fault::drawn(world).strike(world);
    }
    Ok(())
}

/// Time passes, and everything that is due happens under watch.
pub(crate) fn pass(world: &mut World, watch: &mut Watch, duration: Duration) -> Result<(), String> {
    let end = world.now + duration;
    while let Some(due) = world.next_due().filter(|due| *due <= end) {
        watch.until(world, due)?;
        world.step();
    }
    watch.until(world, end)?;
    world.advance_to(end);
    Ok(())
}
