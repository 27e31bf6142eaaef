//! Several virtual routers on a simulated network, kernel and clock.
//!
//! The routers are [`vrrp_core::VirtualRouter`] values, the very code the
//! daemon runs. Everything around them is made up: a [`World`] of nodes on one
//! segment, each with one or more of them, a client that believes the last gratuitous ARP it saw, a kernel
//! that removes addresses whose lease ran out (0.02 s early to 0.3 s late, as
//! Linux does), packets that are lost, delayed, overtaken or cut off. All
//! chance comes from one seed, so a run can be repeated step by step.
//!
//! # Faults
//!
//! A run alternates between a stormy time, in which [`fault`] draws pauses
//! (SIGSTOP), crashes (SIGKILL), stops (SIGTERM), restarts, link cuts,
//! partitions (both ways and one way), loss, delay, failing scripts, removed
//! addresses and reloads, and a quiet time, in which everything is mended.
//!
//! # Invariants
//!
//! [`invariant`] checks after every step:
//!
//! 1. **One owner.** Two nodes that run and hear each other both hold the
//!    address for no longer than one advertisement interval and the delays of
//!    the network.
//! 2. **The lease.** A node that does not run (crashed, paused) holds the
//!    address for no longer than its lease, however late the kernel is.
//! 3. **Holder and master are one.** A running node holds the address only as
//!    MASTER, and a MASTER holds it, except for the moment after a pause in
//!    which it listens first.
//! 4. **Progress.** Nobody wants to be woken at once for ever.
//!
//! and in every quiet time:
//!
//! 5. **A master exists** within Master_Down and skew (and one more interval
//!    for a second master to yield) after the last fault ended, exactly one,
//!    and none has a better priority unless preemption is off.
//! 6. **A group is together**: its members are MASTER on one and the same node.
//! 7. **No flapping.** From then on nobody changes its state.
//! 8. **Hosts know.** At its end the client believes the master.
//!
//! [`strike`] plays a few chosen faults instead and measures what came of them.
//!
//! A breach carries the seed, the step and the timeline that led to it.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod control;
pub mod fault;
pub mod invariant;
mod kernel;
mod node;
mod run;
mod settings;
mod world;

pub use invariant::Breach;
pub use run::{Aftermath, Report, run, strike};
pub use settings::{Reassurance, Setup};
pub use world::World;
