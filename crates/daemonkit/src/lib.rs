//! What both daemons need as daemons: syslog, sd_notify, signals, pidfile, traces.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod notify;
pub mod pidfile;
pub mod signals;
pub mod syslog;
pub mod trace;
