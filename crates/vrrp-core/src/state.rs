//! The states of a virtual router.

use std::fmt;

/// RFC 3768, 6.3, and keepalived's FAULT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Not started, stopped, or started and waiting for the first result of
    /// an unweighted script.
    Init,
    /// Watching the master's adverts.
    Backup,
    /// Holding the addresses and sending adverts.
    Master,
    /// Unable to take part: link down, source address gone, or an unweighted
    /// script failed.
    Fault,
}

impl State {
    /// Every state, for tables and tests.
    pub const ALL: [Self; 4] = [Self::Init, Self::Backup, Self::Master, Self::Fault];
}

impl fmt::Display for State {
    /// The word of keepalived's logs and notify scripts.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
        })
    }
}
