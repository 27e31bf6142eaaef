//! Severities and facilities (RFC 3164, section 4.1.1) under the names that
//! configuration files use.

/// Severity of a line; smaller is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// 0, the system is unusable.
    Emerg,
    /// 1, somebody must act at once.
    Alert,
    /// 2, critical.
    Crit,
    /// 3, an error.
    Err,
    /// 4, a warning.
    Warning,
    /// 5, normal but worth a look.
    Notice,
    /// 6, informational.
    Info,
    /// 7, for developers.
    Debug,
}

impl Level {
    /// All levels, worst first; the position is the number.
    pub const ALL: [Self; 8] = [
        Self::Emerg,
        Self::Alert,
        Self::Crit,
        Self::Err,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// The level's number, 0..=7.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The level with this number; numbers above 7 give `Debug`.
    pub fn from_number(number: u8) -> Self {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .unwrap_or(Self::Debug)
    }

    /// The level's name in a `log` line of haproxy.cfg.
    pub fn name(self) -> &'static str {
        match self {
            Self::Emerg => "emerg",
            Self::Alert => "alert",
            Self::Crit => "crit",
            Self::Err => "err",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// Which part of the system speaks, 0..=23.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Facility(u8);

/// Names by number, as haproxy's manual lists them (section 4.2, `log`).
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2",
    "ftp", "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

impl Facility {
    /// `user`, number 1.
    pub const USER: Self = Self(1);
    /// `daemon`, number 3.
    pub const DAEMON: Self = Self(3);
    /// `local0`, number 16.
    pub const LOCAL0: Self = Self(16);

    /// The facility with this number, if it is below 24.
    pub fn from_number(number: u8) -> Option<Self> {
        (usize::from(number) < FACILITIES.len()).then_some(Self(number))
    }

    /// The facility of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let number = FACILITIES.iter().position(|known| *known == name)?;
        Self::from_number(u8::try_from(number).ok()?)
    }

    /// Its number, 0..=23.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        FACILITIES
            .get(usize::from(self.0))
            .copied()
            .unwrap_or("user")
    }
}
