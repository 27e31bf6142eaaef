//! Balance algorithms, server state and queues: pure logic.
//!
//! A [`Pool`] is one backend's servers with their live state. It is told the time, it owns no
//! socket, clock, lock or random source, and it answers one question: which server takes the next
//! connection. The order in which `balance roundrobin` and `balance static-rr` spread connections
//! is, connection by connection, that of HAProxy 2.6 (`tests/golden.rs` holds sequences recorded
//! from the binary).
//!
//! A connection's life as the pool sees it: [`Pool::pick`] reserves a slot on a server, or says
//! that the connection has to wait ([`Pool::enqueue`]); [`Pool::release`] gives the slot back and
//! names the waiting connection that inherits it.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod balance;
pub mod hash;
mod pool;
pub mod proxyproto;
mod queue;
pub mod sample;
mod server;
mod time;

pub use balance::Algorithm;
pub use pool::{Change, Dispatch, Picked, Pool, PoolSettings, Request};
pub use queue::{Position, Ticket, Waiting};
pub use server::{Admin, Operational, ServerSettings, ServerView};
pub use time::Time;
