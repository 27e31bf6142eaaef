//! The words the session speaks with its driver.

use super::retry::{Failure, Next, Situation};
use crate::record::Cause;

/// One end of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// One stream of bytes: `Up` from client to server, `Down` back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Just accepted: nothing is known of the client yet.
    Fresh,
    /// Has no server yet: about to ask for one, or in a queue.
    Waiting,
    /// A connection to the server is being opened.
    Connecting,
    /// Waits before it tries again.
    Pausing,
    /// Both connections stand.
    Relaying,
    /// Done; only cleaning up is left.
    Over,
}

/// One direction of a relaying session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The source may send.
    Open,
    /// The source has ended; bytes are still on their way to the destination.
    Draining,
    /// The destination has been told the end.
    Closed,
}

/// Whether a client that ended has left bytes for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftover {
    Bytes,
    Nothing,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The client is alive after its accept.
    Begun,
    /// A slot on a server is ours.
    Assigned,
    /// No server is usable.
    NoServer,
    /// Waited in a queue for too long.
    QueueTimeout,
    /// The server connection stands.
    Connected,
    /// An attempt to connect failed.
    Failed(Failure, Situation),
    /// The pause before the next attempt is over.
    PauseOver,
    /// The client's end of stream, noticed before there was a server connection.
    ClientLeft(Leftover),
    /// End of stream was read from a side.
    Ended(Side),
    /// A side is lost: reset, or an error that ends it both ways.
    Broken(Side),
    /// Nothing can be written to the server any more; what it has sent can still be read.
    ServerDeaf,
    /// Everything read in a direction whose source has ended is written.
    Flushed(Direction),
    /// A side that was free to send did not, for its inactivity timeout.
    Silent(Side),
    /// A side did not take the bytes waiting for it, for its inactivity timeout.
    Stalled(Side),
    /// Ended from outside.
    Killed(Cause),
}

/// What the driver has to do, in the order of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Actions {
    /// Forget the bytes waiting in a direction.
    pub(crate) discard: Option<Direction>,
    /// Close the server connection now.
    pub(crate) drop_server: Option<Farewell>,
    /// Send a FIN to the server.
    pub(crate) shut_server: bool,
    /// Send a FIN to the client.
    pub(crate) shut_client: bool,
    /// Enter the backend and ask for a server.
    pub(crate) choose: bool,
    /// Open a connection to the server at hand.
    pub(crate) connect: bool,
    /// What follows a failed attempt.
    pub(crate) next: Option<Next>,
    /// The session never got its server: it counts as a failed connection (`econ`).
    pub(crate) failed: bool,
    /// Close both sides and report.
    pub(crate) finish: bool,
}

impl Actions {
    pub(super) const NONE: Self = Self {
        discard: None,
        drop_server: None,
        shut_server: false,
        shut_client: false,
        choose: false,
        connect: false,
        next: None,
        failed: false,
        finish: false,
    };
    pub(super) const FINISH: Self = Self {
        finish: true,
        ..Self::NONE
    };
    pub(super) const CONNECT: Self = Self {
        connect: true,
        ..Self::NONE
    };
}

/// How a connection to a server is closed early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// With a reset: it could still send or has bytes that nobody will take.
    Reset,
    /// It has said all it can.
    Close,
}

/// Which sides' inactivity has to be timed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Watches {
    pub(crate) client: Option<Watch>,
    pub(crate) server: Option<Watch>,
}

/// Why a side is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// It may send.
    Silence,
    /// It may send, and it has been told that nothing more will come: `*-fin` applies.
    SilenceAfterFin,
    /// It has to take bytes that wait for it.
    Stall,
}

/// Whether bytes wait in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Unsent {
    pub(crate) up: bool,
    pub(crate) down: bool,
}
