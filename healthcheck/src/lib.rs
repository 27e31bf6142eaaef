//! Is a server alive? Counters that are pure and probes that are sockets.
//!
//! [`fsm::Health`] is HAProxy's rise/fall counter as a value: it is told results and says what
//! changed. [`probe`] opens connections and turns what happened into an [`Outcome`].
//! [`schedule`] lays the first checks of a process out over time. [`script::ScriptHealth`] is the
//! counter of keepalived's `vrrp_script`, which starts differently.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod fsm;
mod outcome;
pub mod probe;
pub mod schedule;
pub mod script;

pub use outcome::{Outcome, Status, Verdict};
