//! The probes: each opens one connection and gives one [`Outcome`].

mod hello;
mod tcp;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::Outcome;

pub use hello::{Stream, judge, ssl_hello};

/// What to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// TCP.
    Inet(SocketAddr),
    /// A stream UNIX socket.
    Unix(PathBuf),
    /// A UNIX socket of Linux' abstract namespace, without the leading zero byte.
    Abstract(Vec<u8>),
}

/// What to do once connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Nothing: being accepted is enough.
    #[default]
    Connect,
    /// `option ssl-hello-chk`: send a hello and look at the first bytes of the answer.
    SslHello,
}

/// How long a check may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the start until the connection stands.
    pub connect: Duration,
    /// From then until the answer; `None` lets `connect` bound the whole check.
    pub answer: Option<Duration>,
}

impl Limits {
    /// The limits that `inter`, `timeout connect` and `timeout check` set together: without
    /// `timeout check` the whole check ends within `inter`; with it, connecting ends within the
    /// smaller of `timeout connect` and `inter`, and the answer has `timeout check`.
    #[must_use]
    pub fn new(inter: Duration, connect: Option<Duration>, check: Option<Duration>) -> Self {
        match check {
            None => Self {
                connect: inter,
                answer: None,
            },
            Some(check) => Self {
                connect: connect.map_or(inter, |connect| connect.min(inter)),
                answer: Some(check),
            },
        }
    }
}

/// Runs one check to its end. Must be called within a tokio runtime with IO and time.
pub async fn run(peer: &Peer, kind: Kind, limits: Limits) -> Outcome {
    tcp::run(peer, kind, limits).await
}
