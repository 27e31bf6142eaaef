//! What goes wrong, and how it is mended.

use std::num::NonZeroU8;

use vrrp_core::settings::Instance;
use vrrp_core::{Duration, Health};

use crate::World;
use crate::node::Run;
use crate::settings::{ADDRESSES, addresses};
use crate::world::CALM;

/// The longest delay of a packet in a storm.
pub const STORM_DELAY: Duration = Duration::from_millis(200);

/// One fault, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGSTOP
    Pause(usize),
    /// SIGCONT
    Resume(usize),
    /// SIGKILL
    Crash(usize),
    /// SIGTERM
    Stop(usize),
    /// The daemon is started (again).
    Start(usize),
    /// Carrier lost.
    LinkDown(usize),
    /// Carrier back.
    LinkUp(usize),
    /// Packets from the first to the second are lost, both ways or one way.
    /// The number of nodes stands for the client.
    Cut(usize, usize, Ways),
    /// All cuts are mended.
    Mend,
    /// So many percent of all packets are lost.
    Loss(u8),
    /// Packets take up to [`STORM_DELAY`], or their normal time.
    Delay(bool),
    /// The script of this number fails.
    ScriptFails(usize, usize),
    /// It succeeds again.
    ScriptRecovers(usize, usize),
    /// Somebody removes the first address of a virtual router.
    RemoveAddress(usize, usize),
    /// New settings for a virtual router, with another priority.
    Reload(usize, usize, NonZeroU8),
    /// New settings for a virtual router, with so many addresses.
    ReloadAddresses(usize, usize, u8),
}

/// The directions of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// Neither hears the other.
    Both,
    /// Only the first is not heard.
    One,
}

impl Fault {
    /// Draws a fault or a mending for `world`.
    #[must_use]
    pub fn drawn(world: &mut World) -> Self {
        let count = world.nodes.len();
        let seats = world.seats();
        let random = &mut world.random;
        let node = random.usize(0..count);
        let seat = random.usize(0..seats);
        let script = random.usize(0..2);
        let ways = if random.bool() { Ways::Both } else { Ways::One };
        let priority = NonZeroU8::new(random.u8(1..=254)).unwrap_or(NonZeroU8::MIN);
        match random.u8(0..34) {
            0..=2 => Self::Pause(node),
            3..=6 => Self::Resume(node),
            7..=8 => Self::Crash(node),
            9 => Self::Stop(node),
            10..=13 => Self::Start(node),
            14 => Self::LinkDown(node),
            15..=16 => Self::LinkUp(node),
            17..=19 => Self::Cut(node, random.usize(0..=count), ways),
            20..=21 => Self::Mend,
            22 => Self::Loss(random.u8(1..=100)),
            23 => Self::Loss(0),
            24 => Self::Delay(true),
            25 => Self::Delay(false),
            26..=27 => Self::ScriptFails(node, script),
            28..=29 => Self::ScriptRecovers(node, script),
            30 => Self::RemoveAddress(node, seat),
            31 => Self::Reload(node, seat, priority),
            _ => Self::ReloadAddresses(node, seat, random.u8(1..=ADDRESSES)),
        }
    }

    /// Lets it happen.
    pub fn strike(self, world: &mut World) {
        match self {
            Self::Pause(node) => world.pause(node),
            Self::Resume(node) => world.resume(node),
            Self::Crash(node) => world.kill(node),
            Self::Stop(node) => world.stop(node),
            Self::Start(node) => world.start(node),
            Self::LinkDown(node) => world.set_link(node, false),
            Self::LinkUp(node) => world.set_link(node, true),
            Self::Cut(from, to, ways) => {
                world.cut.insert((from, to));
                if ways == Ways::Both {
                    world.cut.insert((to, from));
                }
                world.note(from, &format!("cut off from {to} ({ways:?})"));
            }
            Self::Mend => world.cut.clear(),
            Self::Loss(percent) => world.loss = percent,
            Self::Delay(storm) => world.delay = if storm { STORM_DELAY } else { CALM },
            Self::ScriptFails(node, script) => world.set_script(node, script, Health::Down),
            Self::ScriptRecovers(node, script) => world.set_script(node, script, Health::Up),
            Self::RemoveAddress(node, seat) => world.remove_address(node, seat),
            Self::Reload(node, seat, priority) => {
                // Members of a group with different orders would never agree.
                let grouped = world.nodes.get(node).is_some_and(|it| it.group.is_some());
                let seats = if grouped {
                    0..world.seats()
                } else {
                    seat..seat + 1
                };
                for seat in seats {
                    reload(world, node, seat, |settings| settings.priority = priority);
                }
            }
            Self::ReloadAddresses(node, seat, count) => {
                let list = addresses(seat, count);
                reload(world, node, seat, |settings| settings.addresses = list);
            }
        }
    }
}

fn reload(world: &mut World, node: usize, seat: usize, change: impl FnOnce(&mut Instance)) {
    let settings = world.nodes.get(node).and_then(|node| node.seats.get(seat));
    if let Some(mut settings) = settings.map(|seat| seat.settings.clone()) {
        change(&mut settings);
        world.reload(node, seat, settings);
    }
}

/// Everything is mended, everybody runs, and all agree on the addresses.
pub fn mend_all(world: &mut World) {
    world.cut.clear();
    world.loss = 0;
    world.delay = CALM;
    for node in 0..world.nodes.len() {
        world.set_link(node, true);
        for script in 0..2 {
            world.set_script(node, script, Health::Up);
        }
        match world.nodes.get(node).map(|node| node.run) {
            Some(Run::Paused) => world.resume(node),
            Some(Run::Gone) => world.start(node),
            Some(Run::Running) | None => {}
        }
    }
    for seat in 0..world.seats() {
        let lengths = |world: &World| -> Vec<usize> {
            let lists = world.nodes.iter().filter_map(|node| node.seats.get(seat));
            lists.map(|seat| seat.settings.addresses.len()).collect()
        };
        let lengths = lengths(world);
        let agreed = lengths.first().copied().unwrap_or(1);
        let agreed = u8::try_from(agreed).unwrap_or(1);
        for (node, length) in lengths.into_iter().enumerate() {
            if length != usize::from(agreed) {
                Fault::ReloadAddresses(node, seat, agreed).strike(world);
            }
        }
    }
}
