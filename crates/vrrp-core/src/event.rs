//! What can happen to a virtual router.

use std::net::IpAddr;

use vrrp_proto::Datagram;

use crate::settings::Instance;

/// The judgement on a tracked script after its rise and fall counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Health {
    /// It succeeds.
    Up,
    /// It fails.
    Down,
}

/// How a tracked thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Standing {
    /// The interface is up, enough processes run.
    Up,
    /// It is not.
    Down,
    /// The number in a file.
    Number(i32),
}

/// What a sync group has its members do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum GroupEvent {
    /// Another member is at fault.
    Fault,
    /// No member is any more.
    FaultOver,
    /// Every member wants to be master: take over.
    Master,
    /// Another member is no longer master.
    Backup,
}

/// Something that happened. Events may come in any order and any state; one
/// that means nothing in the present state does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Event {
    /// The daemon starts this router. Before it the driver tells, with
    /// [`Event::LinkUp`] or [`Event::LinkDown`] and [`Event::Source`], how
    /// things stand; a link nobody spoke of counts as up, a source nobody
    /// spoke of as the configured one, present.
    Start,
    /// An IP packet of protocol 112 with our virtual router id arrived.
    /// Packets we sent ourselves are not handed in.
    Packet(Datagram),
    /// The time of [`crate::VirtualRouter::poll_timeout`] has come.
    Timer,
    /// The interface has carrier and is administratively up.
    LinkUp,
    /// The interface lost carrier, was set down, or vanished.
    LinkDown,
    /// The address our adverts come from: the configured source address or,
    /// without one, the interface's first address. `None`: there is none.
    Source(Option<IpAddr>),
    /// The judgement on the script `settings.scripts[index]`; sent for the
    /// first result and whenever it changes (repeating one does no harm).
    Script {
        /// Index into [`Instance::scripts`].
        index: usize,
        /// The judgement.
        health: Health,
    },
    /// How what `settings.trackers[index]` tracks stands; sent before
    /// [`Event::Start`] and whenever it changes (repeating does no harm). What
    /// nobody spoke of counts as well and adds nothing.
    Tracker {
        /// Index into [`Instance::trackers`].
        index: usize,
        /// How it stands.
        standing: Standing,
    },
    /// Somebody else, or the kernel when a lease ran out, removed one of our
    /// virtual addresses. Echoes of our own removals are not handed in, nor is
    /// an address that is back when the driver looks again.
    AddressRemoved(IpAddr),
    /// Somebody else removed one of our virtual routes or rules that is not
    /// `no_track`. Echoes of our own removals are not handed in.
    RouteRemoved,
    /// What the sync group of this router decided ([`crate::SyncGroup`]).
    Group(GroupEvent),
    /// New settings, already validated. What did not change keeps its state.
    /// Settings that name another interface or source address are better given
    /// to a new router after [`Event::Stop`]: what was said about the old link
    /// and source does not hold for them.
    Reload(Box<Instance>),
    /// The daemon ends: priority 0 if master, addresses away.
    Stop,
}
