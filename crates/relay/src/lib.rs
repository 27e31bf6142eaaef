//! The data path: accept, pick a server, connect, relay both ways, count.
//!
//! One worker thread per core, each with a tokio current_thread runtime in which a single
//! edge-triggered epoll instance hangs as one `AsyncFd`; the worker's connections are entries of a
//! slab, and a connection never leaves its worker. The logic of a connection is a pure state
//! machine that is tested without sockets.
//!
//! The crate knows no control code: it reads an immutable [`Snapshot`], owns its counters, takes
//! commands from a mailbox per worker and reports sessions to a [`SessionSink`].
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod admit;
mod assign;
mod backend_state;
mod clock;
mod connect;
mod connection;
mod copy;
mod counters;
mod descriptors;
mod drive;
mod finish;
mod handle;
mod listen;
mod rate;
mod record;
mod session;
mod shared;
mod snapshot;
mod splice;
mod uring;
mod wheel;
mod worker;

pub use backend_state::BackendState;
pub use counters::{
    BackendTotals, FrontendState, FrontendTotals, Gauge, ListenerState, ListenerTotals,
    ServerState, Timings,
};
pub use handle::{
    Changed, DEFAULT_PIPES, KillCause, ListenSocket, ProcessFigures, Relay, RelaySettings,
    SessionFilter, SessionInfo, Shutdown, Splice, StartError,
};
/// The balancing types control needs to build a backend and to change its servers.
pub use lb_core::{
    Admin, Algorithm, Change, Operational, PoolSettings, ServerSettings, ServerView,
};
pub use rate::Rate;
pub use record::{
    Cause, Peer, SessionRecord, SessionSink, SessionStart, Shortage, Stage, Termination,
};
pub use snapshot::{
    Backend, Frontend, Keepalive, Listener, OnMarkedDown, Redispatch, Server, ServerAddress,
    Snapshot, SocketOptions, SpliceOptions,
};
pub use uring::Rings;
