//! Log lines in keepalived's own words: scripts and people grep for them.

use std::fmt;
use std::net::IpAddr;

use vrrp_proto::vrrp::DecodeError;

use crate::state::State;
use crate::time::Duration;

/// Whether keepalived shows a line always or only with `-D`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detail {
    /// Always.
    Always,
    /// With `-D` (`--log-detail`) only.
    Detailed,
}

/// Syslog severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// LOG_ERR
    Error,
    /// LOG_WARNING
    Warning,
    /// LOG_NOTICE
    Notice,
    /// LOG_INFO
    Info,
}

/// One line of the log. Its display form is the whole text behind the ident.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogLine {
    /// `(name) Entering BACKUP STATE (init)`
    EnteringInit { name: String },
    /// `(name) Entering MASTER STATE`
    Entering { name: String, state: State },
    /// `(name) Changing effective priority from 103 to 101`
    Priority { name: String, from: u8, to: u8 },
    /// A packet was dropped.
    Dropped { name: String, error: DecodeError },
    /// `VRRP_Script(name) succeeded`: for the driver, as scripts are shared.
    ScriptSucceeded { script: String },
}

impl LogLine {
    /// Whether it needs `-D`.
    #[must_use]
    pub const fn detail(&self) -> Detail {
        Detail::Always
    }

    /// Its syslog severity.
    #[must_use]
    pub const fn level(&self) -> Level {
        Level::Info
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _: Option<(IpAddr, Duration)> = None;
        match self {
            Self::EnteringInit { name } => {
                write!(formatter, "({name}) Entering BACKUP STATE (init)")
            }
            Self::Entering { name, state } => write!(formatter, "({name}) Entering {state} STATE"),
            Self::Priority { name, from, to } => {
                write!(
                    formatter,
                    "({name}) Changing effective priority from {from} to {to}"
                )
            }
            Self::Dropped { name, error } => write!(formatter, "({name}) {error}"),
            Self::ScriptSucceeded { script } => {
                write!(formatter, "VRRP_Script({script}) succeeded")
            }
        }
    }
}
