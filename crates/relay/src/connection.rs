//! One connection of a worker: sockets, the state machine, and what the log will say.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lb_core::Position;

use crate::copy::Lane;
use crate::handle::SessionInfo;
use crate::record::{Peer, SessionRecord};
use crate::session::{Direction, Policy, Session, Side, Unsent, Watch};
use crate::snapshot::{Backend, Frontend, Listener, Server, Snapshot};
use crate::uring::Air;

/// The settings a connection began with.
pub(crate) type Settings = Rc<Arc<Snapshot>>;

/// An entry of a worker's slab.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) generation: u32,
    pub(crate) session: Session,
    pub(crate) client: OwnedFd,
    pub(crate) server: Option<OwnedFd>,
    /// Client to server.
    pub(crate) up: Lane,
    /// Server to client.
    pub(crate) down: Lane,
    /// What it has under way in the worker's ring; `None` once epoll watches it.
    pub(crate) air: Option<Box<Air>>,
    /// Whether it waits in the worker's run queue.
    pub(crate) runnable: bool,
    pub(crate) place: Place,
    pub(crate) stamps: Stamps,
    pub(crate) figures: Figures,
}

/// An index into a list of the configuration, or none: in four bytes, since there is one of each
/// for every open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index(u32);

impl Index {
    pub(crate) const NONE: Self = Self(u32::MAX);

    pub(crate) fn get(self) -> Option<usize> {
        (self != Self::NONE)
            .then(|| usize::try_from(self.0).ok())
            .flatten()
    }
}

impl From<Option<usize>> for Index {
    fn from(index: Option<usize>) -> Self {
        index
            .and_then(|index| u32::try_from(index).ok())
            .map_or(Self::NONE, Self)
    }
}

/// A moment in milliseconds after the session began, or none; in four bytes. What lies 49 days
/// later or more counts as the last one there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct After(u32);

impl After {
    pub(crate) const NEVER: Self = Self(u32::MAX);

    pub(crate) fn millis(millis: u64) -> Self {
        Self(u32::try_from(millis).unwrap_or(u32::MAX).min(u32::MAX - 1))
    }

    pub(crate) fn get(self) -> Option<u64> {
        (self != Self::NEVER).then_some(u64::from(self.0))
    }
}

/// Where it belongs.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) settings: Settings,
    pub(crate) frontend: Index,
    pub(crate) listener: Index,
    pub(crate) backend: Index,
    /// The server chosen last.
    pub(crate) server: Index,
    /// The server a retry left, to be avoided by the next choice.
    pub(crate) left: Index,
    /// It holds a slot of `server`.
    pub(crate) slot: bool,
    /// It is counted among the sessions of `server`.
    pub(crate) attached: bool,
    /// It waits in a queue of the backend.
    pub(crate) queued: bool,
}

/// Times in milliseconds of the relay's clock.
#[derive(Debug)]
pub(crate) struct Stamps {
    pub(crate) accepted: u64,
    /// Microseconds since the UNIX epoch.
    pub(crate) wall: u64,
    /// Last activity of either side.
    pub(crate) client: u64,
    pub(crate) server: u64,
    /// When what it waits for (a slot, the connection, the next attempt) has taken too long.
    pub(crate) expires: Option<NonZeroU64>,
    /// When a server was assigned, and when its connection stood; since `accepted`.
    pub(crate) queued: After,
    pub(crate) connected: After,
}

/// What the log wants to know.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) serial: u64,
    pub(crate) client: Peer,
    pub(crate) local: Peer,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) redispatched: bool,
    pub(crate) position: Position,
}

/// How many sessions there are, for the log.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) active: u32,
    pub(crate) frontend: u32,
    pub(crate) backend: u32,
    pub(crate) server: u32,
}

impl Connection {
    pub(crate) fn frontend(&self) -> Option<&Arc<Frontend>> {
        self.place
            .settings
            .frontends
            .get(self.place.frontend.get()?)
    }

    pub(crate) fn listener(&self) -> Option<&Arc<Listener>> {
        self.frontend()?.listeners.get(self.place.listener.get()?)
    }

    pub(crate) fn backend(&self) -> Option<&Arc<Backend>> {
        self.place.settings.backends.get(self.place.backend.get()?)
    }

    pub(crate) fn server(&self) -> Option<&Arc<Server>> {
        self.backend()?.servers.get(self.place.server.get()?)
    }

    pub(crate) fn client_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }

    pub(crate) fn server_fd(&self) -> Option<BorrowedFd<'_>> {
        self.server.as_ref().map(OwnedFd::as_fd)
    }

    pub(crate) fn unsent(&self) -> Unsent {
        Unsent {
            up: self.up.has_unsent() || self.is_sending(Direction::Up),
            down: self.down.has_unsent() || self.is_sending(Direction::Down),
        }
    }

    /// The configuration's word on failures.
    pub(crate) fn policy(&self) -> Policy {
        self.backend().map_or(
            Policy {
                retries: 0,
                redispatch: crate::snapshot::Redispatch::Off,
                timeout_connect: None,
                abort_on_close: false,
            },
            |backend| Policy {
                retries: backend.retries,
                redispatch: backend.redispatch,
                timeout_connect: backend.timeout_connect.map(millis),
                abort_on_close: backend.abort_on_close,
            },
        )
    }

    /// The next moment at which silence of a side, or a wait, becomes a timeout.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let watches = self.session.watches(self.unsent());
        let client = watches
            .client
            .and_then(|watch| self.due(Side::Client, watch));
        let server = watches
            .server
            .and_then(|watch| self.due(Side::Server, watch));
        [client, server, self.stamps.expires.map(NonZeroU64::get)]
            .into_iter()
            .flatten()
            .min()
    }

    /// The side whose inactivity has lasted too long at `now`, and what it failed to do. The client
    /// is asked first: with equal timeouts it is the one to be blamed.
    pub(crate) fn overdue(&self, now: u64) -> Option<(Side, Watch)> {
        let watches = self.session.watches(self.unsent());
        [
            (Side::Client, watches.client),
            (Side::Server, watches.server),
        ]
        .into_iter()
        .filter_map(|(side, watch)| Some((side, watch?)))
        .find(|(side, watch)| self.due(*side, *watch).is_some_and(|due| due <= now))
    }

    fn due(&self, side: Side, watch: Watch) -> Option<u64> {
        let stamp = match side {
            Side::Client => self.stamps.client,
            Side::Server => self.stamps.server,
        };
        Some(stamp + millis(self.timeout(side, watch)?))
    }

    /// `timeout client` and its kin; `timeout tunnel` replaces both once connected, and the `-fin`
    /// ones replace either once that side has been told the end.
    fn timeout(&self, side: Side, watch: Watch) -> Option<Duration> {
        let frontend = self.frontend()?;
        let backend = self.backend();
        let plain = match side {
            Side::Client => frontend.timeout_client,
            Side::Server => backend.and_then(|backend| backend.timeout_server),
        };
        let connected = self.stamps.connected != After::NEVER;
        let tunnel = backend
            .and_then(|backend| backend.timeout_tunnel)
            .filter(|_| connected);
        let fin = match side {
            Side::Client => frontend.timeout_client_fin,
            Side::Server => backend.and_then(|backend| backend.timeout_server_fin),
        };
        match watch {
            Watch::SilenceAfterFin => fin.or(tunnel).or(plain),
            Watch::Silence | Watch::Stall => tunnel.or(plain),
        }
    }

    /// The record for the log at `now`.
    pub(crate) fn record(&self, now: u64, counts: Counts) -> Option<SessionRecord<'_>> {
        let short = |millis: u64| u32::try_from(millis).unwrap_or(u32::MAX);
        let queued = self.stamps.queued.get();
        let connected = self.stamps.connected.get();
        Some(SessionRecord {
            serial: self.figures.serial,
            client: self.figures.client,
            local: self.figures.local,
            accepted: UNIX_EPOCH + Duration::from_micros(self.stamps.wall),
            frontend: self.frontend()?,
            listener: self.listener()?,
            backend: self.backend().map(AsRef::as_ref),
            server: self.server(),
            // The original counts from the request's time, which in TCP mode is -1.
            queue_time: queued.map(|queued| short(queued + 1)),
            connect_time: connected.map(|at| short(at.saturating_sub(queued.unwrap_or(0)))),
            total_time: short(now.saturating_sub(self.stamps.accepted)),
            bytes_in: self.figures.bytes_in,
            bytes_out: self.figures.bytes_out,
            termination: self.session.termination,
            active: counts.active,
            frontend_active: counts.frontend,
            backend_active: counts.backend,
            server_active: counts.server,
            retries: self.session.retries,
            redispatched: self.figures.redispatched,
            server_queue: self.figures.position.server,
            backend_queue: self.figures.position.backend,
        })
    }

    pub(crate) fn info(&self, now: u64) -> SessionInfo {
        SessionInfo {
            serial: self.figures.serial,
            client: self.figures.client,
            frontend: self.place.frontend.get().unwrap_or_default(),
            backend: self.place.backend.get(),
            server: self.place.server.get(),
            age: now.saturating_sub(self.stamps.accepted),
            bytes_in: self.figures.bytes_in,
            bytes_out: self.figures.bytes_out,
        }
    }
}

/// `wait` milliseconds after `now`.
pub(crate) const fn later(now: u64, wait: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(now.saturating_add(wait))
}

/// A timeout in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_connection_costs_little_memory() {
        // With its timer's 24 bytes and the slab's 16: ten thousand idle ones are 3 MB.
        assert!(
            size_of::<Connection>() <= 272,
            "{}",
            size_of::<Connection>()
        );
    }

    #[test]
    fn no_index_and_no_moment_are_told_from_all_others() {
        assert_eq!(Index::from(None).get(), None);
        assert_eq!(Index::from(Some(0)).get(), Some(0));
        assert_eq!(Index::from(Some(70_000)).get(), Some(70_000));
        assert_eq!(After::NEVER.get(), None);
        assert_eq!(After::millis(0).get(), Some(0));
        assert_eq!(After::millis(u64::MAX).get(), Some(u64::from(u32::MAX) - 1));
    }
}
