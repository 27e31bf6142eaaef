//! The running data path as control sees it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use lb_core::{Change, ServerView};

use crate::record::{Peer, SessionSink};
use crate::snapshot::Snapshot;

/// Process-wide settings of the data path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelaySettings {
    /// Worker threads (`nbthread`), at least 1.
    pub workers: usize,
    /// Bytes of the read buffer each worker shares among its connections. `tune.bufsize` if the
    /// configuration sets it; the default suits the memory of one buffer per thread.
    pub buffer: usize,
    /// Whether large transfers move through pipes (`nosplice` turns it off).
    pub splice: Splice,
    /// Size asked of every pipe (`tune.pipesize`), in bytes.
    pub pipe_size: usize,
    /// Pipes of the whole process (`maxpipes`), 0 = a default that fits the kernel's limits.
    pub max_pipes: usize,
    /// `maxconn` of the process: sessions at the same time, 0 = unlimited.
    pub maxconn: u32,
    /// `maxconnrate`: connections accepted per second, 0 = unlimited.
    pub maxconn_rate: u32,
    /// `tune.maxaccept`: connections accepted in a row by one listener.
    pub max_accept: u32,
    /// Name of the worker threads as `ps` and `pgrep` see it.
    pub thread_name: String,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            workers: 1,
            buffer: 256 * 1024,
            splice: Splice::Auto,
            pipe_size: 1024 * 1024,
            max_pipes: 0,
            maxconn: 0,
            maxconn_rate: 0,
            max_accept: 64,
            thread_name: String::from("haproxy"),
        }
    }
}

/// Whether data may move through pipes without being copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Splice {
    /// After two full reads in a row.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// A bound and listening socket, with the place it belongs to.
#[derive(Debug)]
pub struct ListenSocket {
    /// Index into [`Snapshot::frontends`].
    pub frontend: usize,
    /// Index into [`crate::Frontend::listeners`].
    pub listener: usize,
    /// One descriptor per worker (`SO_REUSEPORT`). With fewer, the workers share the last one.
    pub fds: Vec<OwnedFd>,
}

/// Which sessions to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionFilter {
    /// Every session.
    All,
    /// The session with this serial number.
    Serial(u64),
    /// The sessions of one server: indexes of backend and server.
    Server(usize, usize),
    /// The sessions on backup servers of a backend.
    Backups(usize),
    /// The sessions of one frontend.
    Frontend(usize),
}

/// Why sessions are ended from outside: first character of their termination state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillCause {
    /// `K`: the operator.
    Operator,
    /// `D`: their server was marked down.
    ServerDown,
    /// `U`: an active server is up again.
    ServerUp,
}

/// What [`Relay::change_server`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// The server before.
    pub before: ServerView,
    /// The server after.
    pub after: ServerView,
    /// Waiting sessions that moved: away from a server that went, or to one that came.
    pub requeued: u32,
    /// Sessions still waiting: for the server that went, or in the backend's queue.
    pub queue_left: u32,
    /// Usable active servers of the backend afterwards.
    pub active: u32,
    /// Usable backup servers of the backend afterwards.
    pub backups: u32,
}

/// A session as `show sess` lists it.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// Unique in this process.
    pub serial: u64,
    /// Who connected.
    pub client: Peer,
    /// Index of its frontend.
    pub frontend: usize,
    /// Index of its backend, if one is configured.
    pub backend: Option<usize>,
    /// Index of its server, once chosen.
    pub server: Option<usize>,
    /// Milliseconds since it was accepted.
    pub age: u64,
    /// Bytes read from the client.
    pub bytes_in: u64,
    /// Bytes read from the server.
    pub bytes_out: u64,
}

/// Process-wide figures (`show info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessFigures {
    /// `CurrConns`.
    pub connections: u32,
    /// The most at one time.
    pub connections_max: u32,
    /// `CumConns`: connections accepted.
    pub accepted: u64,
    /// `CumReq` and sessions: accepted and turned into a session.
    pub sessions: u64,
    /// `ConnRate`.
    pub connection_rate: u32,
    /// `MaxConnRate`.
    pub connection_rate_max: u32,
    /// `SessRate`.
    pub session_rate: u32,
    /// `MaxSessRate`.
    pub session_rate_max: u32,
    /// `TotalBytesOut`: bytes written to either side.
    pub bytes_out: u64,
    /// `TotalSplicdedBytesOut`: those of them that went through pipes.
    pub bytes_spliced: u64,
    /// `BytesOutRate`: bytes written in the running second, as a sliding rate.
    pub bytes_out_rate: u32,
    /// `PipesUsed`.
    pub pipes_used: u32,
    /// `PipesFree`: open and waiting in the workers' pools.
    pub pipes_free: u32,
    /// `Maxpipes`.
    pub pipes_max: u32,
    /// Listeners that accept.
    pub listeners: u32,
    /// `maxconn` in force, 0 = unlimited.
    pub maxconn: u32,
}

/// How to end the data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Listeners close, sessions finish by themselves.
    Soft,
    /// Listeners close and every session ends now (`K`).
    Hard,
}

/// Why [`Relay::start`] failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A worker could not be built.
    #[error("cannot start worker {worker}")]
    Worker {
        /// Which, from 0.
        worker: usize,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A socket names a frontend or listener the snapshot does not have.
    #[error("listening socket for frontend {frontend}, listener {listener}, which do not exist")]
    UnknownListener {
        /// Index of the frontend.
        frontend: usize,
        /// Index of the listener.
        listener: usize,
    },
}

/// The running workers. Dropping it stops them at once.
#[derive(Debug)]
pub struct Relay {
    snapshot: Arc<Snapshot>,
}

impl Relay {
    /// Starts the workers, each with its own sockets of `sockets`.
    ///
    /// # Errors
    /// If a thread, an epoll instance or a runtime cannot be had; sockets are closed then.
    pub fn start(
        settings: &RelaySettings,
        snapshot: Arc<Snapshot>,
        sockets: Vec<ListenSocket>,
        sink: Arc<dyn SessionSink>,
    ) -> Result<Self, StartError> {
        let _ = (settings, sockets, sink);
        Ok(Self { snapshot })
    }

    /// Puts new settings in force for connections accepted from now on. Pools and figures live on
    /// in the `Arc`s control carries over.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let _ = snapshot;
    }

    /// The settings in force.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// Changes a server's state, weight or limit, hands waiting sessions on, and ends its sessions
    /// if it went down and is configured so. `None` if there is no such server.
    pub fn change_server(&self, backend: usize, server: usize, change: Change) -> Option<Changed> {
        let _ = (backend, server, change);
        None
    }

    /// Stops accepting on a frontend; its sockets stay bound and refuse clients (SIGTTOU).
    pub fn pause(&self, frontend: usize) {
        let _ = frontend;
    }

    /// Accepts again after [`Relay::pause`] (SIGTTIN).
    pub fn resume(&self, frontend: usize) {
        let _ = frontend;
    }

    /// Closes a frontend's sockets for good.
    pub fn stop(&self, frontend: usize) {
        let _ = frontend;
    }

    /// `maxconn` of the process, 0 = unlimited.
    pub fn set_maxconn(&self, maxconn: u32) {
        let _ = maxconn;
    }

    /// Ends sessions from outside.
    pub fn kill(&self, filter: SessionFilter, cause: KillCause) {
        let _ = (filter, cause);
    }

    /// All sessions, oldest first. Waits for the workers' answers, so never call it from one.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        Vec::new()
    }

    /// Process-wide figures.
    #[must_use]
    pub fn figures(&self) -> ProcessFigures {
        ProcessFigures::default()
    }

    /// Ends the data path; [`Relay::drained`] tells when it is over.
    pub fn shutdown(&self, how: Shutdown) {
        let _ = how;
    }

    /// Resolves once all listeners are closed and no session is left.
    pub async fn drained(&self) {
        std::future::pending::<()>().await;
    }
}
