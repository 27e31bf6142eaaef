//! What both daemons need as daemons: syslog, sd_notify, signals, pidfile
#![warn(missing_docs)]
