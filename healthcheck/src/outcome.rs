//! What one check found.

use std::borrow::Cow;
use std::time::Duration;

/// The kind of a check's result: the `check_status` column of `show stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Status {
    /// No check has run.
    #[default]
    Unknown,
    /// A check has been set up and not yet run.
    Initializing,
    /// The check could not be carried out on this side.
    SocketError,
    /// The TCP connection was accepted.
    L4Ok,
    /// The TCP connection was neither accepted nor refused in time.
    L4Timeout,
    /// The TCP connection failed.
    L4Connection,
    /// The hello was answered.
    L6Ok,
    /// The hello was not answered in time.
    L6Timeout,
    /// The hello was answered by something else.
    L6Response,
}

/// Which way a result moves the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Neither: no check was made.
    Neutral,
    /// Towards down.
    Failed,
    /// Towards up.
    Passed,
}

impl Status {
    /// The short code of the `check_status` column.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "UNK",
            Self::Initializing => "INI",
            Self::SocketError => "SOCKERR",
            Self::L4Ok => "L4OK",
            Self::L4Timeout => "L4TOUT",
            Self::L4Connection => "L4CON",
            Self::L6Ok => "L6OK",
            Self::L6Timeout => "L6TOUT",
            Self::L6Response => "L6RSP",
        }
    }

    /// The sentence of log lines and of the `check_desc` column.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Initializing => "Initializing",
            Self::SocketError => "Socket error",
            Self::L4Ok => "Layer4 check passed",
            Self::L4Timeout => "Layer4 timeout",
            Self::L4Connection => "Layer4 connection problem",
            Self::L6Ok => "Layer6 check passed",
            Self::L6Timeout => "Layer6 timeout",
            Self::L6Response => "Layer6 invalid response",
        }
    }

    /// The number of the `srv_check_status` column of `show servers state`.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Initializing => 1,
            Self::SocketError => 4,
            Self::L4Ok => 6,
            Self::L4Timeout => 7,
            Self::L4Connection => 8,
            Self::L6Ok => 9,
            Self::L6Timeout => 10,
            Self::L6Response => 11,
        }
    }

    /// Which way it moves the counter.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Unknown | Self::Initializing => Verdict::Neutral,
            Self::L4Ok | Self::L6Ok => Verdict::Passed,
            Self::SocketError
            | Self::L4Timeout
            | Self::L4Connection
            | Self::L6Timeout
            | Self::L6Response => Verdict::Failed,
        }
    }
}

/// One finished check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// What was found.
    pub status: Status,
    /// What there is to say beyond the status (the system's error, a word on the answer); empty
    /// if nothing.
    pub info: Cow<'static, str>,
    /// From the start of the check to its end.
    pub duration: Duration,
}

impl Outcome {
    /// Which way it moves the counter.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.status.verdict()
    }
}
