//! The virtual router as a value: state and event in, state and actions out.
//!
//! [`VirtualRouter`] is told the time and what happened, and answers with what
//! shall be done and when it wants to be woken. It owns no clock, socket,
//! random source or logger, so the daemon, the simulator and the tests drive
//! the very same code.
//!
//! A driver does, for each virtual router:
//!
//! 1. hand every event to [`VirtualRouter::handle`] with the present time;
//! 2. perform [`VirtualRouter::poll_action`] until it gives `None`, in order;
//! 3. sleep until the next event or [`VirtualRouter::poll_timeout`], then send
//!    [`Event::Timer`]. A timer that comes early does nothing.
//!
//! When several things are due at once, packets that already wait in the
//! socket go in before the timer: after a pause of the whole process (a
//! suspended machine, a stopped process) the router then learns first who is
//! master now.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod action;
mod counters;
mod event;
mod group;
mod lease;
mod log;
mod peers;
#[cfg(feature = "record")]
pub mod record;
mod router;
pub mod settings;
mod state;
pub mod time;

pub use action::{Action, Notification};
pub use counters::Counters;
pub use event::{Event, GroupEvent, Health, Standing};
pub use group::{GroupLine, Member, Step, SyncGroup};
pub use log::{Detail, InstanceLine, Level, LogLine, StartFault};
pub use peers::PeerView;
pub use router::VirtualRouter;
pub use state::State;
pub use time::{Duration, Time};
