//! What the data path tells about a session.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::snapshot::{Backend, Frontend, Listener, Server};

/// Receives the life of every session. Called on the worker's own thread: an implementation must
/// never block, or every connection of that worker waits.
pub trait SessionSink: Send + Sync {
    /// A client was accepted (`Connect from ...` without `option tcplog`).
    fn accepted(&self, _start: &SessionStart<'_>) {}
    /// The server connection stands and the frontend has `option logasap`; times and bytes are
    /// those so far.
    fn connected(&self, _record: &SessionRecord<'_>) {}
    /// The session is over.
    fn ended(&self, record: &SessionRecord<'_>);
    /// Clients of this frontend wait, since there is nothing left to take them in with. While that
    /// lasts, each listening socket tells it every ten seconds.
    fn exhausted(&self, _frontend: &Frontend, _shortage: Shortage) {}
    /// The sockets of the sessions that have ended are about to be closed, or the worker looks for
    /// more to do: what was kept to be written together is due. Called on the same thread as the
    /// others.
    fn turn_over(&self) {}
}

/// What has run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Descriptors of this process.
    ProcessDescriptors,
    /// Descriptors of the system.
    SystemDescriptors,
    /// Memory of the kernel.
    Memory,
}

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// TCP.
    Inet(SocketAddr),
    /// A UNIX socket, logged as `unix:<listener id>`.
    Unix,
}

/// A session that has just been accepted.
#[derive(Debug)]
pub struct SessionStart<'a> {
    /// Unique in this process.
    pub serial: u64,
    /// Who connected.
    pub client: Peer,
    /// Which local address was reached.
    pub local: Peer,
    /// Wall time of the accept.
    pub accepted: SystemTime,
    /// The frontend.
    pub frontend: &'a Frontend,
    /// The bind line.
    pub listener: &'a Listener,
}

/// A session that ended, with every field a `tcplog` line or a log-format needs.
#[derive(Debug)]
pub struct SessionRecord<'a> {
    /// Unique in this process.
    pub serial: u64,
    /// Who connected.
    pub client: Peer,
    /// Which local address was reached.
    pub local: Peer,
    /// Wall time of the accept.
    pub accepted: SystemTime,
    /// The frontend.
    pub frontend: &'a Frontend,
    /// The bind line.
    pub listener: &'a Listener,
    /// The backend, unless none is configured.
    pub backend: Option<&'a Backend>,
    /// The server last chosen; `None` is logged as `<NOSRV>`.
    pub server: Option<&'a Arc<Server>>,
    /// `Tw`: milliseconds in queues until a server was assigned; `None` is logged as -1.
    pub queue_time: Option<u32>,
    /// `Tc`: milliseconds until the server connection stood; `None` is logged as -1.
    pub connect_time: Option<u32>,
    /// `Tt`: milliseconds from accept to the end (to now, for [`SessionSink::connected`]).
    pub total_time: u32,
    /// Bytes read from the client.
    pub bytes_in: u64,
    /// Bytes read from the server (`%B`).
    pub bytes_out: u64,
    /// The two-character termination state.
    pub termination: Termination,
    /// Sessions of the process, this one included (`actconn`).
    pub active: u32,
    /// Sessions of the frontend, this one included (`feconn`).
    pub frontend_active: u32,
    /// Sessions of the backend after this one left it (`beconn`).
    pub backend_active: u32,
    /// Sessions of the server after this one left it (`srv_conn`).
    pub server_active: u32,
    /// Retries made.
    pub retries: u32,
    /// Whether the session moved to another server (a `+` before the retries).
    pub redispatched: bool,
    /// Sessions ahead in the server's queue when this one began to wait.
    pub server_queue: u32,
    /// Sessions ahead in the backend's queue when this one began to wait.
    pub backend_queue: u32,
}

impl SessionRecord<'_> {
    /// What `option dontlognull` leaves out: the client came and went without a byte, and nothing
    /// went wrong on our side.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        self.bytes_in == 0
    }

    /// Whether `option log-separate-errors` and `option dontlog-normal` count it as an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.termination.cause != Cause::Normal || self.retries > 0 || self.redispatched
    }
}

/// First character of the termination state: who ended the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Cause {
    /// `-`: both sides closed.
    #[default]
    Normal,
    /// `C`: the client aborted.
    ClientAbort,
    /// `c`: the client was silent for too long.
    ClientTimeout,
    /// `S`: the server aborted or refused.
    ServerAbort,
    /// `s`: the server was silent for too long, or did not answer the connect.
    ServerTimeout,
    /// `P`: a rule rejected it.
    Proxy,
    /// `R`: sockets, memory or ports ran out.
    Resource,
    /// `I`: an internal error.
    Internal,
    /// `D`: the server was marked down.
    ServerDown,
    /// `U`: a backup session killed because an active server is up.
    ServerUp,
    /// `K`: killed by the operator.
    Killed,
}

/// Second character of the termination state: what the session was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Stage {
    /// `-`: nothing out of the ordinary.
    #[default]
    Normal,
    /// `R`: no server asked for yet.
    Request,
    /// `Q`: in a queue.
    Queue,
    /// `C`: connecting.
    Connect,
    /// `D`: relaying.
    Data,
    /// `L`: last data on its way to the client after the server had closed.
    Last,
}

/// The termination state of a session: `--`, `CD`, `sC`, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Termination {
    /// Who.
    pub cause: Cause,
    /// When.
    pub stage: Stage,
}

impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match self.cause {
            Cause::Normal => '-',
            Cause::ClientAbort => 'C',
            Cause::ClientTimeout => 'c',
            Cause::ServerAbort => 'S',
            Cause::ServerTimeout => 's',
            Cause::Proxy => 'P',
            Cause::Resource => 'R',
            Cause::Internal => 'I',
            Cause::ServerDown => 'D',
            Cause::ServerUp => 'U',
            Cause::Killed => 'K',
        };
        let stage = match self.stage {
            Stage::Normal => '-',
            Stage::Request => 'R',
            Stage::Queue => 'Q',
            Stage::Connect => 'C',
            Stage::Data => 'D',
            Stage::Last => 'L',
        };
        write!(f, "{cause}{stage}")
    }
}
