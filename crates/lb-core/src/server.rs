//! One server as the pool knows it: settings, live state, effective weight.

use crate::time::Time;

/// Units of effective weight per unit of configured weight, so that slow start can move a weight
/// of 1 in sixteen steps. The order of round robin depends on this very scale.
pub(crate) const WEIGHT_SCALE: u32 = 16;
/// The highest configured weight (`weight 256`).
pub(crate) const MAX_WEIGHT: u32 = 256;
/// The highest effective weight.
pub(crate) const MAX_EFFECTIVE: u32 = MAX_WEIGHT * WEIGHT_SCALE;

/// What the configuration says about one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// The server's id inside its backend, from 1; `balance first` fills in this order.
    pub id: u32,
    /// `weight`, 0..=256; 0 takes no new connection.
    pub weight: u16,
    /// `backup`: used only when no active server is usable.
    pub backup: bool,
    /// `maxconn`: connections at the same time, 0 = unlimited.
    pub maxconn: u32,
    /// `minconn`: lower bound of the dynamic limit, 0 = the limit is `maxconn` at any load.
    pub minconn: u32,
    /// `maxqueue`: connections waiting for this very server, 0 = unlimited.
    pub maxqueue: u32,
    /// `slowstart` in milliseconds, 0 = full weight at once.
    pub slowstart: u32,
    /// Administrative state at start (`disabled` is [`Admin::Maintenance`]).
    pub admin: Admin,
    /// Operational state at start; a server is up until its first check says otherwise.
    pub operational: Operational,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            id: 1,
            weight: 1,
            backup: false,
            maxconn: 0,
            minconn: 0,
            maxqueue: 0,
            slowstart: 0,
            admin: Admin::Ready,
            operational: Operational::Up,
        }
    }
}

/// What the operator wants of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Admin {
    /// In service as far as its checks allow.
    Ready,
    /// No new connection by balancing; those open go on.
    Drain,
    /// Out of service.
    Maintenance,
}

/// What the checks say about a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operational {
    /// Takes connections.
    Up,
    /// Alive, but asks for no new connection (`NOLB`).
    Stopping,
    /// Failed its checks.
    Down,
}

/// A copy of one server's live figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerView {
    /// What the operator wants.
    pub admin: Admin,
    /// What the checks say.
    pub operational: Operational,
    /// The configured weight now in force, 0..=256.
    pub weight: u16,
    /// The effective weight in force, in sixteenths of a configured unit (slow start lowers it).
    pub effective_weight: u32,
    /// Whether it is a backup server.
    pub backup: bool,
    /// Whether balancing may choose it now.
    pub usable: bool,
    /// Slots taken, connections being opened included.
    pub served: u32,
    /// Sessions attached to the server (`scur`, `srv_conn`).
    pub sessions: u32,
    /// The most sessions at one time since start or since the last [`crate::Pool::clear_peaks`].
    pub sessions_max: u32,
    /// Connections waiting for this very server.
    pub queued: u32,
    /// The most waiting at one time.
    pub queued_max: u32,
    /// `maxconn` in force, 0 = unlimited.
    pub maxconn: u32,
}

/// A server inside the pool.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) id: u32,
    pub(crate) weight: u32,
    pub(crate) backup: bool,
    pub(crate) maxconn: u32,
    pub(crate) minconn: u32,
    pub(crate) maxqueue: u32,
    pub(crate) slowstart: u32,
    pub(crate) admin: Admin,
    pub(crate) operational: Operational,
    /// When slow start began, if it is under way.
    pub(crate) warming_since: Option<Time>,
    pub(crate) effective: u32,
    pub(crate) served: u32,
    pub(crate) sessions: u32,
    pub(crate) sessions_max: u32,
    pub(crate) queued: u32,
    pub(crate) queued_max: u32,
}

impl Server {
    pub(crate) fn new(settings: &ServerSettings) -> Self {
        let mut server = Self {
            id: settings.id,
            weight: u32::from(settings.weight).min(MAX_WEIGHT),
            backup: settings.backup,
            maxconn: settings.maxconn,
            minconn: settings.minconn,
            maxqueue: settings.maxqueue,
            slowstart: settings.slowstart,
            admin: settings.admin,
            operational: settings.operational,
            warming_since: None,
            effective: 0,
            served: 0,
            sessions: 0,
            sessions_max: 0,
            queued: 0,
            queued_max: 0,
        };
        server.effective = server.weight * WEIGHT_SCALE;
        server
    }

    /// Alive and not in maintenance, whatever its weight.
    pub(crate) fn in_service(&self) -> bool {
        self.admin != Admin::Maintenance && self.operational == Operational::Up
    }

    /// Whether balancing may choose it.
    pub(crate) fn usable(&self) -> bool {
        self.admin == Admin::Ready && self.operational == Operational::Up && self.effective > 0
    }

    /// The effective weight slow start allows at `now`; ends slow start when its time is over.
    pub(crate) fn recompute_effective(&mut self, now: Time, dynamic: bool) {
        let full = self.weight * WEIGHT_SCALE;
        let Some(since) = self.warming_since else {
            self.effective = full;
            return;
        };
        let elapsed = now.since(since);
        if elapsed >= u64::from(self.slowstart) || !dynamic {
            if elapsed >= u64::from(self.slowstart) {
                self.warming_since = None;
            }
            self.effective = full;
            return;
        }
        // The ratio moves in sixteenths and never starts at zero, or a warming server alone in
        // its backend would refuse everybody.
        let sixteenths = (u64::from(WEIGHT_SCALE) * elapsed + u64::from(self.slowstart))
            / u64::from(self.slowstart);
        let sixteenths = u32::try_from(sixteenths).unwrap_or(WEIGHT_SCALE);
        self.effective = self.weight * sixteenths.clamp(1, WEIGHT_SCALE);
    }

    /// The connection limit in force, `None` if there is none. `minconn` makes it follow the load
    /// of the backend between `minconn` and `maxconn`, which it reaches at `fullconn`.
    pub(crate) fn limit(&self, now: Time, backend_sessions: u32, fullconn: u32) -> Option<u32> {
        if self.maxconn == 0 {
            return None;
        }
        let mut limit = if self.minconn == 0
            || self.minconn >= self.maxconn
            || fullconn == 0
            || backend_sessions >= fullconn
        {
            self.maxconn
        } else {
            let scaled =
                u64::from(backend_sessions) * u64::from(self.maxconn) / u64::from(fullconn);
            u32::try_from(scaled)
                .unwrap_or(self.maxconn)
                .max(self.minconn)
        };
        if let Some(since) = self.warming_since {
            let elapsed = now.since(since);
            if elapsed < u64::from(self.slowstart) {
                let percent = (100 * elapsed / u64::from(self.slowstart)).max(1);
                let scaled = u64::from(limit) * percent / 100;
                limit = u32::try_from(scaled).unwrap_or(limit).max(1);
            }
        }
        Some(limit)
    }

    pub(crate) fn view(&self) -> ServerView {
        ServerView {
            admin: self.admin,
            operational: self.operational,
            weight: u16::try_from(self.weight).unwrap_or(u16::MAX),
            effective_weight: self.effective,
            backup: self.backup,
            usable: self.usable(),
            served: self.served,
            sessions: self.sessions,
            sessions_max: self.sessions_max,
            queued: self.queued,
            queued_max: self.queued_max,
            maxconn: self.maxconn,
        }
    }
}
