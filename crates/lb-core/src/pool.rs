//! One backend's servers with their live state.

use crate::balance::{Algorithm, Balancer, Group};
use crate::queue::{Position, Queues, Ticket, Waiting};
use crate::server::{
    Admin, MAX_WEIGHT, Operational, Server, ServerSettings, ServerView, WEIGHT_SCALE,
};
use crate::time::Time;

/// What the configuration says about a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// `balance`.
    pub algorithm: Algorithm,
    /// `option allbackups`: all usable backup servers share the load, not only the first.
    pub all_backups: bool,
    /// `option redispatch` (without `option persist`): sessions waiting for a server that goes down
    /// ask for another one; otherwise they wait on.
    pub redispatch: bool,
    /// `fullconn`: sessions at which servers with `minconn` reach `maxconn`; 0 = never scaled.
    pub fullconn: u32,
    /// The servers in the order of the configuration.
    pub servers: Vec<ServerSettings>,
}

/// What is known about the connection that asks for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// Hash of the client's address for `balance source`: IPv4 as a big-endian number, IPv6 as
    /// the exclusive or of its four 32-bit words. `None` (a UNIX client) falls back to the order
    /// of the map.
    pub source: Option<u32>,
    /// Sessions of the backend, the asking one included; `minconn` scales with it.
    pub backend_sessions: u32,
    /// A server that has just failed this connection: taken only if no other is free.
    pub avoid: Option<usize>,
}

/// The answer to [`Pool::pick`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Picked {
    /// This server; a slot on it is now taken and has to be given back by [`Pool::release`].
    Server(usize),
    /// Every candidate is full: wait in the queue named.
    Wait(Waiting),
    /// No server is usable (`<NOSRV>`, `SC`).
    NoServer,
}

/// A waiting connection that inherited a slot, or has to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dispatch {
    /// A slot on `server` is reserved for `ticket`.
    Assigned {
        /// The connection that waited.
        ticket: Ticket,
        /// The server whose slot it owns now.
        server: usize,
        /// Its place in the queue it left.
        position: Position,
    },
    /// What `ticket` waited for is gone: it calls [`Pool::pick`] again.
    Requeue {
        /// The connection that waited.
        ticket: Ticket,
        /// Its place in the queue it left.
        position: Position,
    },
}

/// A change of one server from outside the data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Health checks: up, stopping or down.
    Operational(Operational),
    /// The operator: ready, drain or maintenance.
    Admin(Admin),
    /// `set server ... weight`, 0..=256.
    Weight(u16),
    /// `set maxconn server`, 0 = unlimited.
    Maxconn(u32),
}

/// One backend's servers, their state, their queues and the balance algorithm.
#[derive(Debug, Clone)]
pub struct Pool {
    algorithm: Algorithm,
    servers: Vec<Server>,
    balancer: Balancer,
    queues: Queues,
    all_backups: bool,
    redispatch: bool,
    fullconn: u32,
    queued_max: u32,
    /// Servers in slow start, and when their weights are due for another step.
    warming: u32,
    next_step: Time,
}

impl Pool {
    /// A pool whose servers are as the settings say.
    #[must_use]
    pub fn new(settings: &PoolSettings, now: Time) -> Self {
        let servers: Vec<Server> = settings.servers.iter().map(Server::new).collect();
        Self {
            algorithm: settings.algorithm,
            balancer: Balancer::new(settings.algorithm, &servers),
            queues: Queues::new(servers.len()),
            servers,
            all_backups: settings.all_backups,
            redispatch: settings.redispatch,
            fullconn: settings.fullconn,
            queued_max: 0,
            warming: 0,
            next_step: now,
        }
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Chooses a server and takes a slot on it, or says what to do instead.
    pub fn pick(&mut self, now: Time, request: &Request) -> Picked {
        self.warm_up(now);
        let group = self.group();
        if group == Group::Nobody {
            return Picked::NoServer;
        }
        let waiting = self.queues.backend_len();
        // Somebody already waits for any server: nobody overtakes, unless the whole backend
        // consists of waiters and nobody is left who could free a slot.
        let all_wait = waiting.saturating_add(1) >= request.backend_sessions;
        if waiting > 0 && !all_wait && self.balancer.respects_backend_queue() {
            return Picked::Wait(Waiting::Backend);
        }
        let Self {
            servers,
            balancer,
            fullconn,
            algorithm,
            ..
        } = self;
        let has_room = |index: usize| {
            servers.get(index).is_some_and(|server: &Server| {
                let Some(limit) = server.limit(now, request.backend_sessions, *fullconn) else {
                    return true;
                };
                if *algorithm == Algorithm::LeastConnections {
                    // It may also send connections to wait at a server with `maxqueue`.
                    return server.served.saturating_add(server.queued)
                        < limit.saturating_add(server.maxqueue);
                }
                server.queued == 0 && server.served < limit
            })
        };
        let chosen = balancer.pick(group, servers, has_room, request.avoid, request.source);
        let Some(index) = chosen else {
            return Picked::Wait(Waiting::Backend);
        };
        self.claim(now, index, request.backend_sessions)
    }

    /// Takes a slot on one particular server: the retry that stays where it failed.
    pub fn pick_same(&mut self, now: Time, index: usize, backend_sessions: u32) -> Picked {
        if index >= self.servers.len() {
            return Picked::NoServer;
        }
        self.claim(now, index, backend_sessions)
    }

    fn claim(&mut self, now: Time, index: usize, backend_sessions: u32) -> Picked {
        let fullconn = self.fullconn;
        let Some(server) = self.servers.get_mut(index) else {
            return Picked::NoServer;
        };
        let limit = server.limit(now, backend_sessions, fullconn);
        if limit.is_some_and(|limit| server.queued > 0 || server.served >= limit) {
            if server.maxqueue > 0 && server.queued >= server.maxqueue {
                return Picked::Wait(Waiting::Backend);
            }
            return Picked::Wait(Waiting::Server(index));
        }
        server.served += 1;
        self.balancer.load_changed(index, server);
        Picked::Server(index)
    }

    /// Puts a connection into the queue [`Picked::Wait`] named.
    pub fn enqueue(&mut self, ticket: Ticket, waiting: Waiting) {
        self.queues.push(ticket, waiting);
        match waiting {
            Waiting::Backend => self.queued_max = self.queued_max.max(self.queues.backend_len()),
            Waiting::Server(index) => self.queue_changed(index),
        }
    }

    /// Takes a connection out of its queue (timeout, abort); `None` if it had left already,
    /// and then a [`Dispatch`] for it is under way.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<Position> {
        let (waiting, position) = self.queues.remove(ticket)?;
        if let Waiting::Server(index) = waiting {
            self.queue_changed(index);
        }
        Some(position)
    }

    /// Gives a slot back; the waiting connection that inherits one, if any. `backend_sessions`
    /// counts the sessions that remain.
    pub fn release(&mut self, now: Time, index: usize, backend_sessions: u32) -> Option<Dispatch> {
        let server = self.servers.get_mut(index)?;
        debug_assert!(server.served > 0, "a slot given back twice");
        server.served = server.served.saturating_sub(1);
        self.balancer.load_changed(index, server);
        self.next_for(now, index, backend_sessions)
    }

    /// The oldest waiting connection that may have a slot on `index`, with the slot taken.
    fn next_for(&mut self, now: Time, index: usize, backend_sessions: u32) -> Option<Dispatch> {
        let fullconn = self.fullconn;
        let shared = self.serves_backend_queue(index);
        let server = self.servers.get(index)?;
        let limit = server.limit(now, backend_sessions, fullconn);
        if limit.is_some_and(|limit| server.served >= limit) {
            return None;
        }
        let (ticket, waiting, position) = self.queues.pop_for(index, shared)?;
        if waiting == Waiting::Server(index) {
            self.queue_changed(index);
        }
        let server = self.servers.get_mut(index)?;
        server.served += 1;
        self.balancer.load_changed(index, server);
        Some(Dispatch::Assigned {
            ticket,
            server: index,
            position,
        })
    }

    /// Whether `index` takes connections that wait for any server.
    fn serves_backend_queue(&self, index: usize) -> bool {
        let Some(server) = self.servers.get(index).filter(|server| server.usable()) else {
            return false;
        };
        match self.group() {
            Group::Nobody => false,
            Group::Active => !server.backup,
            Group::OneBackup(first) => first == index,
            Group::Backups => true,
        }
    }

    /// A session attached itself to a server (`srv_conn`); the number it finds afterwards.
    pub fn attach(&mut self, index: usize) -> u32 {
        let Some(server) = self.servers.get_mut(index) else {
            return 0;
        };
        server.sessions += 1;
        server.sessions_max = server.sessions_max.max(server.sessions);
        server.sessions
    }

    /// A session left a server; the number that remains.
    pub fn detach(&mut self, index: usize) -> u32 {
        let Some(server) = self.servers.get_mut(index) else {
            return 0;
        };
        debug_assert!(server.sessions > 0, "a session detached twice");
        server.sessions = server.sessions.saturating_sub(1);
        server.sessions
    }

    /// Applies a change from outside. The waiting connections it concerns come back: those that
    /// have to ask again because their server went, or those a server that came takes over.
    pub fn change(
        &mut self,
        now: Time,
        index: usize,
        change: Change,
        backend_sessions: u32,
    ) -> Vec<Dispatch> {
        self.warm_up(now);
        let dynamic = self.algorithm.is_dynamic();
        let Some(server) = self.servers.get_mut(index) else {
            return Vec::new();
        };
        let was_in_service = server.in_service();
        let was_usable = server.usable();
        match change {
            Change::Operational(operational) => server.operational = operational,
            Change::Admin(admin) => server.admin = admin,
            Change::Weight(weight) => server.weight = u32::from(weight).min(MAX_WEIGHT),
            Change::Maxconn(maxconn) => server.maxconn = maxconn,
        }
        if server.in_service() && !was_in_service && server.slowstart > 0 {
            server.warming_since = Some(now);
        } else if !server.in_service() {
            server.warming_since = None;
        }
        server.recompute_effective(now, dynamic);
        self.balancer.state_changed(index, server);
        let (in_service, usable) = (server.in_service(), server.usable());
        self.count_warming(now);
        if was_in_service && !in_service {
            return self.redistribute(index);
        }
        if usable && !was_usable || matches!(change, Change::Maxconn(_) | Change::Weight(_)) {
            return std::iter::from_fn(|| self.next_for(now, index, backend_sessions)).collect();
        }
        Vec::new()
    }

    fn redistribute(&mut self, index: usize) -> Vec<Dispatch> {
        if !self.redispatch {
            return Vec::new();
        }
        let tickets = self.queues.drain(Waiting::Server(index));
        self.queue_changed(index);
        tickets
            .into_iter()
            .map(|(ticket, position)| Dispatch::Requeue { ticket, position })
            .collect()
    }

    /// Everybody who waits anywhere, taken out of the queues (hard stop).
    pub fn drain_queues(&mut self) -> Vec<(Ticket, Position)> {
        let mut tickets = self.queues.drain(Waiting::Backend);
        for index in 0..self.servers.len() {
            tickets.extend(self.queues.drain(Waiting::Server(index)));
            self.queue_changed(index);
        }
        tickets
    }

    fn queue_changed(&mut self, index: usize) {
        let queued = self.queues.server_len(index);
        if let Some(server) = self.servers.get_mut(index) {
            server.queued = queued;
            server.queued_max = server.queued_max.max(queued);
            self.balancer.load_changed(index, server);
        }
    }

    fn group(&self) -> Group {
        let mut first_backup = None;
        for (index, server) in self.servers.iter().enumerate() {
            if !server.usable() {
                continue;
            }
            if !server.backup {
                return Group::Active;
            }
            first_backup = first_backup.or(Some(index));
        }
        match first_backup {
            None => Group::Nobody,
            Some(_) if self.all_backups => Group::Backups,
            Some(index) => Group::OneBackup(index),
        }
    }

    /// Moves the weights of servers in slow start, in the steps the original takes: a twentieth
    /// of `slowstart`, at least a second.
    fn warm_up(&mut self, now: Time) {
        if self.warming == 0 || now < self.next_step {
            return;
        }
        let dynamic = self.algorithm.is_dynamic();
        for (index, server) in self.servers.iter_mut().enumerate() {
            if server.warming_since.is_some() {
                server.recompute_effective(now, dynamic);
                self.balancer.state_changed(index, server);
            }
        }
        self.count_warming(now);
    }

    fn count_warming(&mut self, now: Time) {
        let steps = self
            .servers
            .iter()
            .filter(|server| server.warming_since.is_some());
        let steps: Vec<u64> = steps
            .map(|server| u64::from(server.slowstart / 20).max(1000))
            .collect();
        self.warming = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        self.next_step = now.plus(steps.into_iter().min().unwrap_or(1000));
    }

    /// One server's live figures.
    #[must_use]
    pub fn server(&self, index: usize) -> Option<ServerView> {
        self.servers.get(index).map(Server::view)
    }

    /// All servers' live figures, in the order of the configuration.
    #[must_use]
    pub fn views(&self) -> Vec<ServerView> {
        self.servers.iter().map(Server::view).collect()
    }

    /// Usable servers that are no backups.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.count(|server| server.usable() && !server.backup)
    }

    /// Usable backup servers.
    #[must_use]
    pub fn backups(&self) -> u32 {
        self.count(|server| server.usable() && server.backup)
    }

    fn count(&self, of: impl Fn(&Server) -> bool) -> u32 {
        let count = self.servers.iter().filter(|server| of(server)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Sum of the effective weights balancing uses now, in configured units.
    #[must_use]
    pub fn total_weight(&self) -> u32 {
        let total = self.balancer.total_weight(self.group(), &self.servers);
        u32::try_from(total.div_ceil(u64::from(WEIGHT_SCALE))).unwrap_or(u32::MAX)
    }

    /// Connections waiting for any server.
    #[must_use]
    pub fn queued(&self) -> u32 {
        self.queues.backend_len()
    }

    /// The most waiting for any server at one time.
    #[must_use]
    pub const fn queued_max(&self) -> u32 {
        self.queued_max
    }

    /// Forgets the maxima (`clear counters`).
    pub fn clear_peaks(&mut self) {
        self.queued_max = self.queues.backend_len();
        for server in &mut self.servers {
            server.sessions_max = server.sessions;
            server.queued_max = server.queued;
        }
    }
}
