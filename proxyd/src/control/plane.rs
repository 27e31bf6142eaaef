//! The control plane's state.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use haproxy_cfg::model::{self, Config};
use relay::{Relay, Snapshot};

use super::api::Exposed;
use super::build::{Addresses, Place};
use super::clock;
use super::input::Identity;
use super::logging::Logs;
use super::server::ServerState;

/// The plane as the tasks of the control thread share it. Never borrowed across an await.
pub(super) type Shared = Rc<RefCell<Plane>>;

/// A backend as the control plane sees it.
#[derive(Debug)]
pub(super) struct BackendState {
    /// Index into [`Config::proxies`].
    pub(super) proxy: usize,
    pub(super) servers: Vec<ServerState>,
    /// Seconds of [`clock`].
    pub(super) last_change: u64,
    pub(super) downtime: u64,
    pub(super) downs: u64,
    /// No server is usable.
    pub(super) down: bool,
}

impl BackendState {
    /// Whole seconds since it last went up or down.
    pub(super) fn since_change(&self, now: u64) -> u64 {
        now.saturating_sub(self.last_change)
    }

    /// Whole seconds without a usable server.
    pub(super) fn downtime(&self, now: u64) -> u64 {
        if self.down {
            self.downtime + self.since_change(now)
        } else {
            self.downtime
        }
    }
}

/// Whether a frontend accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum FrontStatus {
    /// It does.
    #[default]
    Open,
    /// Not now.
    Paused,
    /// Never again.
    Stopped,
}

/// Everything the control thread knows.
#[derive(Debug)]
pub(super) struct Plane {
    pub(super) config: Arc<Config>,
    pub(super) identity: Identity,
    pub(super) relay: Arc<Relay>,
    pub(super) snapshot: Arc<Snapshot>,
    /// One entry per proxy of the configuration.
    pub(super) places: Vec<Place>,
    /// Where listeners listen.
    pub(super) addresses: Addresses,
    /// What `_getsocks` hands over; empty if no admin socket may.
    pub(super) exposed: Vec<Rc<Exposed>>,
    /// One entry per proxy of the configuration.
    pub(super) fronts: Vec<FrontStatus>,
    /// In the order of the snapshot's backends.
    pub(super) backends: Vec<BackendState>,
    pub(super) logs: Arc<Logs>,
    pub(super) started: Instant,
    pub(super) start_time: SystemTime,
    pub(super) stopping: bool,
    /// Connections to admin sockets since start, and open now.
    pub(super) cli_total: u64,
    pub(super) cli_open: u32,
    /// `Maxconn` in force: `set maxconn global` lowers it.
    pub(super) maxconn: u32,
    /// Processor time used when `Idle_pct` was last asked for.
    pub(super) usage: super::api::Usage,
}

/// How the data path sees the configuration.
#[derive(Debug)]
pub(super) struct View {
    pub(super) snapshot: Arc<Snapshot>,
    /// One entry per proxy of the configuration.
    pub(super) places: Vec<Place>,
    /// Where listeners listen.
    pub(super) addresses: Addresses,
    /// What `_getsocks` hands over.
    pub(super) exposed: Vec<Exposed>,
}

/// Names one server: indexes of its backend in the snapshot and of the server in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerRef {
    pub(super) backend: usize,
    pub(super) server: usize,
}

impl Plane {
    /// Lets go of the descriptors of a frontend that closes, or the kernel would go on taking
    /// clients for it.
    pub(super) fn close_exposed(&mut self, proxy: usize) {
        self.exposed.retain(|socket| socket.proxy != proxy);
    }

    pub(super) fn new(
        config: Arc<Config>,
        identity: Identity,
        relay: Relay,
        view: View,
        logs: Arc<Logs>,
    ) -> Self {
        let View {
            snapshot,
            places,
            addresses,
            exposed,
        } = view;
        let now = clock::seconds();
        let backends = places.iter().enumerate().filter_map(|(proxy, place)| {
            place.backend?;
            let section = config.proxies.get(proxy)?;
            let state = |server| ServerState::new(server, !section.disabled, now);
            Some(BackendState {
                proxy,
                servers: section.servers.iter().map(state).collect(),
                last_change: now,
                downtime: 0,
                downs: 0,
                // One that begins without a usable server is down, though nothing went down.
                down: !section.servers.is_empty()
                    && section
                        .servers
                        .iter()
                        .all(|server| server.disabled || server.weight == 0),
            })
        });
        Self {
            backends: backends.collect(),
            fronts: vec![FrontStatus::Open; config.proxies.len()],
            maxconn: identity.maxconn,
            config,
            identity,
            relay: Arc::new(relay),
            snapshot,
            places,
            addresses,
            exposed: exposed.into_iter().map(Rc::new).collect(),
            logs,
            started: Instant::now(),
            start_time: SystemTime::now(),
            stopping: false,
            cli_total: 0,
            cli_open: 0,
            usage: super::api::Usage::default(),
        }
    }

    /// The section a backend of the snapshot came from.
    pub(super) fn section(&self, backend: usize) -> Option<(usize, &model::Proxy)> {
        let proxy = self.backends.get(backend)?.proxy;
        Some((proxy, self.config.proxies.get(proxy)?))
    }

    /// A server's state and its configuration.
    pub(super) fn server(&self, at: ServerRef) -> Option<(&ServerState, &model::Server)> {
        let state = self.backends.get(at.backend)?.servers.get(at.server)?;
        let (_, section) = self.section(at.backend)?;
        Some((state, section.servers.get(at.server)?))
    }

    pub(super) fn server_mut(&mut self, at: ServerRef) -> Option<&mut ServerState> {
        self.backends
            .get_mut(at.backend)?
            .servers
            .get_mut(at.server)
    }
}
