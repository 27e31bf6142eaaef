//! What expressions can ask about a connection.

use std::net::SocketAddr;
use std::time::Duration;

use super::Value;

/// Bytes of one side that have arrived and were not passed on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bytes<'a> {
    /// The bytes.
    pub data: &'a [u8],
    /// More of them may come, and may be waited for.
    pub open: bool,
    /// The most that are ever looked at.
    pub room: usize,
}

/// How long a variable lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// As long as the process; all connections share it.
    Process,
    /// As long as the connection.
    Connection,
    /// While requests are looked at.
    Request,
    /// While responses are looked at.
    Response,
}

/// A variable's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variable {
    /// How long it lives.
    pub scope: Scope,
    /// Its name, the scope as written before it.
    pub name: Box<str>,
}

/// A live number. Indices are those of the settings' lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Figure {
    /// Connections of a backend (`be_conn`).
    BackendConnections(usize),
    /// Connections a backend could still take (`be_conn_free`); -1 if there is no limit.
    BackendFree(usize),
    /// New sessions of a backend in the last second (`be_sess_rate`).
    BackendRate(usize),
    /// Waiting connections of a backend for each of its servers (`avg_queue`).
    AverageQueue(usize),
    /// Slots and places in queues that a backend has free (`connslots`); -1 if there is no limit.
    Slots(usize),
    /// Waiting connections of a backend and its servers (`queue`).
    Queue(usize),
    /// Usable servers of a backend (`nbsrv`).
    UsableServers(usize),
    /// Connections of a frontend (`fe_conn`).
    FrontendConnections(usize),
    /// New sessions of a frontend in the last second (`fe_sess_rate`).
    FrontendRate(usize),
    /// Connections of a server (`srv_conn`).
    ServerConnections(usize, usize),
    /// Connections that a server could still take (`srv_conn_free`); -1 if there is no limit.
    ServerFree(usize, usize),
    /// Whether a server is up (`srv_is_up`).
    ServerUp(usize, usize),
    /// A server's weight as it acts, as configured, and as set (`srv_weight`, `srv_iweight`,
    /// `srv_uweight`).
    ServerWeight(usize, usize),
    /// As configured.
    ServerInitialWeight(usize, usize),
    /// As set by the operator.
    ServerUserWeight(usize, usize),
    /// Connections waiting for a server (`srv_queue`).
    ServerQueue(usize, usize),
    /// New sessions of a server in the last second (`srv_sess_rate`).
    ServerRate(usize, usize),
    /// Connections of the bind line (`dst_conn`).
    ListenerConnections,
    /// `fe_id`
    FrontendId,
    /// `be_id`
    BackendId,
    /// `srv_id`
    ServerId,
    /// `so_id`
    ListenerId,
    /// `timeout client` in milliseconds.
    ClientTimeout,
    /// `timeout server` of the backend in milliseconds.
    ServerTimeout,
    /// `timeout tunnel` of the backend in milliseconds.
    TunnelTimeout,
    /// Whether the process is about to end.
    Stopping,
    /// The worker's number, from 0.
    Thread,
    /// `set-priority-class`
    PriorityClass,
    /// `set-priority-offset`
    PriorityOffset,
    /// Whether the client's address, the one it reached, or those of the socket, are this host's.
    SourceIsLocal,
    /// The address that the client reached.
    DestinationIsLocal,
    /// Whether a PROXY protocol header was read.
    ProxyHeader,
    /// The line of the rule that decided last (`last_rule_line`).
    RuleLine,
    /// A figure of the kernel's about the client's connection, by its place in [`Figure::KERNEL`].
    Kernel(usize),
}

impl Figure {
    /// Names of the kernel's figures: times are in microseconds.
    pub const KERNEL: [&'static str; 8] = [
        "fc_rtt",
        "fc_rttvar",
        "fc_unacked",
        "fc_sacked",
        "fc_retrans",
        "fc_fackets",
        "fc_lost",
        "fc_reordering",
    ];
}

/// A name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// `fe_name`
    Frontend,
    /// `fe_defbe`
    DefaultBackend,
    /// `be_name`
    Backend,
    /// `srv_name`
    Server,
    /// `so_name`
    Listener,
    /// `last_rule_file`
    RuleFile,
    /// `fc_pp_authority`
    ProxyAuthority,
    /// `fc_pp_unique_id`
    ProxyUniqueId,
}

/// A connection as expressions see it. Everything may be unknown.
pub trait Facts {
    /// The client's address, or what rules and PROXY headers have put in its place.
    fn source(&self) -> Option<SocketAddr> {
        None
    }
    /// The address that the client reached, or what has been put in its place.
    fn destination(&self) -> Option<SocketAddr> {
        None
    }
    /// The addresses of the client's socket itself: its own and ours.
    fn client_socket(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        (None, None)
    }
    /// The addresses of the server's socket: ours and its own.
    fn server_socket(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        (None, None)
    }
    /// What the client has sent.
    fn request(&self) -> Bytes<'_> {
        Bytes::default()
    }
    /// What the server has sent.
    fn response(&self) -> Bytes<'_> {
        Bytes::default()
    }
    /// Whether nothing more will be waited for.
    fn is_final(&self) -> bool {
        true
    }
    /// A live number.
    fn figure(&self, _: Figure) -> Option<i64> {
        None
    }
    /// A name.
    fn label(&self, _: Label) -> Option<Vec<u8>> {
        None
    }
    /// The server of that name in a backend.
    fn server_named(&self, _backend: usize, _name: &[u8]) -> Option<usize> {
        None
    }
    /// The backend of that name.
    fn backend_named(&self, _: &[u8]) -> Option<usize> {
        None
    }
    /// A variable's value.
    fn variable(&self, _: &Variable) -> Option<Value> {
        None
    }
    /// Gives a variable a value, or takes it away.
    fn set_variable(&mut self, _: &Variable, _: Option<Value>) {}
    /// Time since the UNIX epoch.
    fn wall(&self) -> Duration {
        Duration::ZERO
    }
    /// A random number.
    fn random(&mut self) -> u64 {
        0
    }
}

/// No connection at all: for expressions of constants.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFacts;

impl Facts for NoFacts {}
