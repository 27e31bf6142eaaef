//! The settings the data path reads: immutable, resolved, shared by all workers.
//!
//! Control builds a [`Snapshot`] and publishes it; connections in flight finish on the one they
//! began with. What outlives a snapshot (counters, pools) sits behind an [`Arc`] of its own:
//! control carries it over to the next snapshot, so figures survive a change of settings.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::backend_state::BackendState;
use crate::counters::{FrontendState, ListenerState, ServerState};

/// Everything the data path needs to know.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Frontends (and the frontend half of `listen` sections).
    pub frontends: Vec<Arc<Frontend>>,
    /// Backends (and the backend half of `listen` sections).
    pub backends: Vec<Arc<Backend>>,
}

/// One `frontend`, or the client side of a `listen`.
#[derive(Debug)]
pub struct Frontend {
    /// Section name.
    pub name: Arc<str>,
    /// Proxy id (`iid`).
    pub id: u32,
    /// The sockets it listens on.
    pub listeners: Vec<Arc<Listener>>,
    /// Index into [`Snapshot::backends`] of where connections go; `None` closes them with `SC`.
    pub backend: Option<usize>,
    /// `maxconn`: sessions at the same time; further clients wait in the kernel's backlog. 0 means
    /// the process-wide limit alone.
    pub maxconn: u32,
    /// `rate-limit sessions` per second, 0 = unlimited.
    pub rate_limit: u32,
    /// `timeout client`.
    pub timeout_client: Option<Duration>,
    /// `timeout client-fin`.
    pub timeout_client_fin: Option<Duration>,
    /// Socket behaviour towards clients.
    pub socket: SocketOptions,
    /// `option logasap`: [`crate::SessionSink::connected`] is called.
    pub log_asap: bool,
    /// Live figures.
    pub state: Arc<FrontendState>,
}

/// One bound address of a frontend.
#[derive(Debug)]
pub struct Listener {
    /// `name` of the bind line, `sock-N` without one.
    pub name: Arc<str>,
    /// Listener id inside its frontend, from 1.
    pub id: u32,
    /// `maxconn` of the bind line, 0 = unlimited.
    pub maxconn: u32,
    /// Backlog to use when listening resumes after a pause.
    pub backlog: u32,
    /// Live figures.
    pub state: Arc<ListenerState>,
}

/// One `backend`, or the server side of a `listen`.
#[derive(Debug)]
pub struct Backend {
    /// Section name.
    pub name: Arc<str>,
    /// Proxy id (`iid`).
    pub id: u32,
    /// Servers, in the order of the pool's.
    pub servers: Vec<Arc<Server>>,
    /// `timeout connect`.
    pub timeout_connect: Option<Duration>,
    /// `timeout server`.
    pub timeout_server: Option<Duration>,
    /// `timeout queue`; without one, `timeout connect` bounds the wait.
    pub timeout_queue: Option<Duration>,
    /// `timeout tunnel`: replaces client and server timeouts once connected.
    pub timeout_tunnel: Option<Duration>,
    /// `timeout server-fin`.
    pub timeout_server_fin: Option<Duration>,
    /// `retries`: further attempts after the first failed.
    pub retries: u32,
    /// `option redispatch`.
    pub redispatch: Redispatch,
    /// `option abortonclose`: a client's FIN cancels queueing and connecting even if it has sent
    /// data.
    pub abort_on_close: bool,
    /// Socket behaviour towards servers.
    pub socket: SocketOptions,
    /// Live figures, the servers' state and queues.
    pub state: Arc<BackendState>,
}

/// One `server`.
#[derive(Debug)]
pub struct Server {
    /// Server name.
    pub name: Arc<str>,
    /// Server id inside its backend, from 1.
    pub id: u32,
    /// Where to connect.
    pub address: ServerAddress,
    /// `source`: local address of connections to this server.
    pub source: Option<SocketAddr>,
    /// `on-marked-down shutdown-sessions`.
    pub on_marked_down: OnMarkedDown,
    /// Live figures.
    pub state: Arc<ServerState>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    /// TCP over IPv4 or IPv6.
    Inet(SocketAddr),
    /// A server without a port of its own, or with a relative one (`:+1000`): the port the client
    /// connected to, plus `add`.
    Offset {
        /// The server's address.
        ip: IpAddr,
        /// Added to the port the client connected to.
        add: i32,
    },
    /// A UNIX stream socket by path.
    Unix(PathBuf),
    /// A UNIX stream socket in the abstract namespace (name without the leading zero byte).
    Abstract(Vec<u8>),
}

/// `option redispatch`: when a retry may go to another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redispatch {
    /// Always the same server.
    #[default]
    Off,
    /// `option redispatch N`, N > 0: at every Nth retry.
    Every(u32),
    /// `option redispatch -N` (the plain option is -1): at the Nth retry counted from the last.
    BeforeLast(u32),
}

/// `on-marked-down`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMarkedDown {
    /// Sessions live on.
    #[default]
    Keep,
    /// `shutdown-sessions`: they end with `D-`.
    ShutdownSessions,
}

/// Options of the sockets of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketOptions {
    /// `option tcpka`, `clitcpka`, `srvtcpka`.
    pub keepalive: Keepalive,
    /// `option nolinger`: close with RST.
    pub nolinger: bool,
    /// `option splice-*` of the section.
    pub splice: SpliceOptions,
    /// `tune.rcvbuf.client` or `.server` in bytes, `None` = the kernel's.
    pub receive_buffer: Option<u32>,
    /// `tune.sndbuf.client` or `.server` in bytes, `None` = the kernel's.
    pub send_buffer: Option<u32>,
    /// `option tcp-smart-connect`: the first bytes acknowledge the server's answer.
    pub smart_connect: bool,
}

/// `option splice-*` of a section. Frontend and backend of a session are looked at together: one
/// that asks for splicing is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpliceOptions {
    /// `option splice-auto`: bulk is spliced in both directions. That is done as well if nothing is
    /// written (`None`); `Some(false)`, an explicit `no`, forbids it.
    pub auto: Option<bool>,
    /// `option splice-request`: client to server is spliced from the first byte on.
    pub request: bool,
    /// `option splice-response`: the same, server to client.
    pub response: bool,
}

/// TCP keep-alive probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keepalive {
    /// Whether probes are sent at all.
    pub enabled: bool,
    /// `*-cnt`: unanswered probes before the connection is dead; `None` = the system's.
    pub count: Option<u32>,
    /// `*-idle`; `None` = the system's.
    pub idle: Option<Duration>,
    /// `*-intvl`; `None` = the system's.
    pub interval: Option<Duration>,
}

impl Snapshot {
    /// The backend connections of `frontend` go to.
    #[must_use]
    pub fn backend_of(&self, frontend: &Frontend) -> Option<&Arc<Backend>> {
        self.backends.get(frontend.backend?)
    }
}
