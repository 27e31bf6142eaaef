//! What the process hands to the control plane.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// All sockets, bound and listening.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    /// Sockets of frontends.
    pub(crate) listeners: Vec<BoundListener>,
    /// Sockets of `stats socket` lines.
    pub(crate) stats: Vec<BoundStats>,
}

/// One listening address of a frontend.
#[derive(Debug)]
pub(crate) struct BoundListener {
    /// Index into [`haproxy_cfg::model::Config::proxies`].
    pub(crate) proxy: usize,
    /// Index into [`haproxy_cfg::model::Proxy::binds`].
    pub(crate) bind: usize,
    /// One descriptor per worker (`SO_REUSEPORT`); with fewer, workers share the last one.
    pub(crate) fds: Vec<OwnedFd>,
    /// The address in use, for TCP sockets.
    pub(crate) local: Option<SocketAddr>,
    /// The backlog given to `listen(2)`.
    pub(crate) backlog: u32,
}

/// One admin socket.
#[derive(Debug)]
pub(crate) struct BoundStats {
    /// Index into [`haproxy_cfg::model::Global::stats_sockets`].
    pub(crate) socket: usize,
    /// The listening descriptor, of any stream family.
    pub(crate) fd: OwnedFd,
}

/// Who the process is and what it may use.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The log tag unless `log-tag` says otherwise: the base name the program was started as.
    pub(crate) tag: Vec<u8>,
    /// Process id, as log lines and `show info` give it.
    pub(crate) pid: u32,
    /// Worker threads of the data path, at least 1.
    pub(crate) workers: usize,
    /// Sessions at the same time (`maxconn`, or what was computed for it).
    pub(crate) maxconn: u32,
    /// Descriptors the process may open (`Ulimit-n` of `show info`).
    pub(crate) ulimit_n: u32,
    /// Descriptors it needs for all its connections (`Maxsock`).
    pub(crate) maxsock: u32,
    /// The host's name, for `show info` and formats that carry one.
    pub(crate) hostname: String,
    /// The version number by itself, as `haproxy -v` shows it.
    pub(crate) version: String,
    /// The release date as `YYYY/MM/DD`.
    pub(crate) release_date: String,
    /// Whether state changes are copied to standard error.
    pub(crate) console: Console,
}

/// Whether messages go to standard error as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Console {
    /// They do, as long as somebody can read them.
    #[default]
    Show,
    /// `-q` or `quiet`: they do not.
    Quiet,
}

/// Without `maxpipes`, one pipe for every four connections.
const CONNECTIONS_PER_PIPE: u32 = 4;

/// The value of `maxpipes` if it is not written.
pub(crate) fn default_pipes(connections: u32) -> u32 {
    if connections < CONNECTIONS_PER_PIPE {
        connections
    } else {
        connections / CONNECTIONS_PER_PIPE
    }
}
