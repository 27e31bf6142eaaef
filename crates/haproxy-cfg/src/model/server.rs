//! Servers and their checks.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::Place;

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// `id`, or the automatic number from 1 within the backend.
    pub id: u32,
    /// Whether `id` was written.
    pub id_forced: bool,
    /// Where it is.
    pub addr: ServerAddr,
    /// The host name it was resolved from, if it was not written as an address.
    pub fqdn: Option<String>,
    /// `weight`, 0..=256.
    pub weight: u32,
    /// `backup`
    pub backup: bool,
    /// `disabled`: starts in maintenance.
    pub disabled: bool,
    /// `maxconn`; 0 is unlimited.
    pub maxconn: u32,
    /// `minconn`; 0 is no dynamic limit.
    pub minconn: u32,
    /// `maxqueue`; 0 is unlimited.
    pub maxqueue: u32,
    /// `check`
    pub check: Option<Check>,
    /// `slowstart`
    pub slowstart: Option<Duration>,
    /// `on-marked-down shutdown-sessions`
    pub shutdown_on_down: bool,
    /// `on-marked-up shutdown-backup-sessions`
    pub shutdown_backup_on_up: bool,
    /// `tcp-ut`: TCP_USER_TIMEOUT.
    pub tcp_ut: Option<Duration>,
    /// The line that defined it.
    pub place: Place,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddr {
    /// TCP, with how the port is found.
    Inet {
        /// Its address.
        ip: IpAddr,
        /// Its port.
        port: ServerPort,
    },
    /// A stream UNIX socket.
    Unix(PathBuf),
    /// A UNIX socket of Linux' abstract namespace; the name without the leading zero byte.
    Abns(Vec<u8>),
}

impl ServerAddr {
    /// The address with its port, if the port does not depend on the client's connection.
    #[must_use]
    pub fn fixed(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet {
                ip,
                port: ServerPort::Fixed(port),
            } => Some(SocketAddr::new(*ip, *port)),
            Self::Inet { .. } | Self::Unix(_) | Self::Abns(_) => None,
        }
    }
}

/// The port of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerPort {
    /// This one.
    Fixed(u16),
    /// The one the client connected to, plus this (`server s 10.0.0.1:+1000`, or no port: 0).
    Offset(i32),
}

/// How a server is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// `inter`: between checks of a server in a steady state.
    pub inter: Duration,
    /// `fastinter`: while the state is changing; `inter` if `None`.
    pub fastinter: Option<Duration>,
    /// `downinter`: while it is fully down; `inter` if `None`.
    pub downinter: Option<Duration>,
    /// `rise`: successes that bring it up.
    pub rise: u32,
    /// `fall`: failures that take it down.
    pub fall: u32,
    /// `addr`: another address to check.
    pub addr: Option<IpAddr>,
    /// `port`: another port to check.
    pub port: Option<u16>,
}

impl Check {
    /// The time between checks while the state is changing.
    #[must_use]
    pub fn fast(&self) -> Duration {
        self.fastinter.unwrap_or(self.inter)
    }

    /// The time between checks while the server is fully down.
    #[must_use]
    pub fn down(&self) -> Duration {
        self.downinter.unwrap_or(self.inter)
    }
}
