//! From a session to its server: choosing, queueing, connecting, giving back.

use std::net::IpAddr;
use std::sync::Arc;

use lb_core::{Dispatch, Picked, Request, Time, Waiting};
use rustix::event::epoll::EventFlags;

use crate::connect;
use crate::connection::{After, Connection, Index, later, millis};
use crate::counters::{BackendCells, mark_last};
use crate::record::Peer;
use crate::session::{Event, Failure, Phase, Side, Situation};
use crate::shared::{Token, place_of};
use crate::snapshot::Backend;
use crate::worker::Worker;

impl Worker {
    /// Asks the pool for a server. The event that follows, unless the session has to wait.
    pub(crate) fn choose(&mut self, token: Token) -> Option<Event> {
        let (worker, now) = (self.index, self.now);
        let connection = self.connection(token)?;
        let Some(backend) = connection.backend().map(Arc::clone) else {
            return Some(Event::NoServer);
        };
        let left = connection.place.left.get();
        let request = Request {
            source: source_hash(connection.figures.client),
            backend_sessions: backend.state.sessions.current(),
            avoid: left,
        };
        let mut pool = backend.state.pool();
        let picked = pool.pick(Time::from_millis(now), &request);
        match picked {
            Picked::Server(server) => {
                pool.attach(server);
                drop(pool);
                connection.place.attached = true;
                connection.place.slot = true;
                connection.count_selection(worker, &backend, Some(server));
                connection.place.server = Some(server).into();
                connection.stamps.queued = After::millis(now - connection.stamps.accepted);
                Some(Event::Assigned)
            }
            Picked::Wait(waiting) => {
                pool.enqueue(token.ticket(worker), waiting);
                drop(pool);
                connection.place.queued = true;
                match waiting {
                    Waiting::Backend => connection.place.server = Index::NONE,
                    Waiting::Server(server) => {
                        connection.count_selection(worker, &backend, Some(server));
                        connection.place.server = Some(server).into();
                    }
                }
                let wait = backend.timeout_queue.or(backend.timeout_connect);
                connection.stamps.expires = wait.and_then(|wait| later(now, millis(wait)));
                None
            }
            Picked::NoServer => {
                drop(pool);
                connection.count_selection(worker, &backend, None);
                connection.place.server = Index::NONE;
                Some(Event::NoServer)
            }
        }
    }

    /// A waiting session was given a slot, or has to ask again.
    pub(crate) fn dispatched(&mut self, backend: usize, dispatch: Dispatch) {
        let now = self.now;
        let token = match dispatch {
            Dispatch::Assigned { ticket, .. } | Dispatch::Requeue { ticket, .. } => {
                Token::of_ticket(ticket).1
            }
        };
        let waiting = self
            .connection(token)
            .filter(|connection| connection.place.queued);
        let Some(connection) = waiting else {
            self.return_slot(backend, dispatch);
            return;
        };
        connection.place.queued = false;
        connection.stamps.expires = None;
        connection.figures.position = place_of(&dispatch);
        let event = match dispatch {
            Dispatch::Assigned { server, .. } => {
                let Some(backend) = connection.backend().map(Arc::clone) else {
                    return;
                };
                backend.state.pool().attach(server);
                connection.place.attached = true;
                connection.place.slot = true;
                connection.place.server = Some(server).into();
                connection.place.left = Index::NONE;
                connection.stamps.queued = After::millis(now - connection.stamps.accepted);
                Some(Event::Assigned)
            }
            Dispatch::Requeue { .. } => self.choose(token),
        };
        if let Some(event) = event {
            self.feed(token, event);
        }
        self.arm(token);
    }

    /// The session a slot was meant for has gone: the next one waiting gets it.
    fn return_slot(&self, backend: usize, dispatch: Dispatch) {
        let Dispatch::Assigned { server, .. } = dispatch else {
            return;
        };
        let Some(state) = self
            .settings
            .backends
            .get(backend)
            .map(|backend| &backend.state)
        else {
            return;
        };
        let now = Time::from_millis(self.now);
        let next = state.pool().release(now, server, state.sessions.current());
        if let Some(next) = next {
            self.shared.deliver(backend, next);
        }
    }

    /// Opens a connection to the server at hand.
    pub(crate) fn open(&mut self, token: Token) -> Option<Event> {
        let (worker, now) = (self.index, self.now);
        let connection = self.connection(token)?;
        let backend = connection.backend().map(Arc::clone)?;
        let server = connection.server().map(Arc::clone)?;
        server.state.session_rate.event(now);
        mark_last(&server.state.last_session, now / 1000);
        for cells in [&server.state.cells, &backend.state.figures.cells] {
            if let Some(cells) = cells.get(worker) {
                cells.connects.add(1);
            }
        }
        if let Some(cells) = server.state.cells.get(worker) {
            cells.sessions.add(1);
        }
        if connection.air.is_some()
            && let Some(event) = self.open_in_ring(token, &server, &backend)
        {
            return event;
        }
        let connection = self.connection(token)?;
        let attempt = match connect::begin(&server, &backend.socket, connection.figures.local) {
            Ok(attempt) => attempt,
            Err(failure) => return Some(self.failure(token, failure)),
        };
        connection.stamps.expires = backend
            .timeout_connect
            .and_then(|wait| later(now, millis(wait)));
        if self.watch(&attempt.fd, token, Side::Server).is_err() {
            return Some(self.failure(token, Failure::Resource));
        }
        let connected = attempt.connected;
        self.connection(token)?.server = Some(attempt.fd);
        if connected {
            self.stands(token, EventFlags::empty())
        } else {
            None
        }
    }

    /// The event for a failed attempt, with the pool's situation at this moment.
    pub(crate) fn failure(&mut self, token: Token, failure: Failure) -> Event {
        let mut situation = Situation {
            active: 0,
            server_up: true,
            takes_turns: false,
        };
        if let Some(connection) = self.connection(token) {
            // The attempt's socket is of no more use.
            connection.server = None;
            connection.stamps.expires = None;
            if let Some((backend, server)) = connection.backend().zip(connection.place.server.get())
            {
                let pool = backend.state.pool();
                situation.active = pool.active();
                situation.takes_turns = pool.algorithm().takes_turns();
                situation.server_up = pool.server(server).is_some_and(|view| {
                    view.admin != lb_core::Admin::Maintenance
                        && view.operational == lb_core::Operational::Up
                });
            }
        }
        Event::Failed(failure, situation)
    }

    /// The server's socket became writable while connecting: it stands, or it failed.
    pub(crate) fn connect_ended(&mut self, token: Token, flags: EventFlags) -> Option<Event> {
        let failed = EventFlags::ERR | EventFlags::HUP;
        if flags.contains(EventFlags::OUT) && !flags.intersects(failed) {
            return self.stands(token, flags);
        }
        let connection = self.connection(token)?;
        match connect::outcome(connection.server_fd()?) {
            Ok(()) => self.stands(token, flags),
            Err(failure) => Some(self.failure(token, failure)),
        }
    }

    pub(crate) fn stands(&mut self, token: Token, flags: EventFlags) -> Option<Event> {
        let now = self.now;
        let connection = self.connection(token)?;
        connection.stamps.connected = After::millis(now - connection.stamps.accepted);
        connection.stamps.server = now;
        connection.stamps.expires = None;
        connection.up.writable = true;
        connection.down.readable |=
            flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP);
        connection.down.ending |= flags.intersects(EventFlags::RDHUP | EventFlags::HUP);
        if let Some(backend) = connection.backend() {
            mark_last(&backend.state.last_session, now / 1000);
        }
        Some(Event::Connected)
    }

    /// Leaves the server: gives the slot back and hands it on. The number of sessions that remain
    /// on the server.
    pub(crate) fn leave_server(&mut self, token: Token, backend_sessions: u32) -> u32 {
        let now = Time::from_millis(self.now);
        let Some(connection) = self.connection(token) else {
            return 0;
        };
        let Some((index, server)) = connection
            .place
            .backend
            .get()
            .zip(connection.place.server.get())
        else {
            return 0;
        };
        let (slot, attached) = (connection.place.slot, connection.place.attached);
        connection.place.slot = false;
        connection.place.attached = false;
        let Some(backend) = connection.backend() else {
            return 0;
        };
        let mut pool = backend.state.pool();
        let left = if attached {
            pool.detach(server)
        } else {
            pool.server(server).map_or(0, |view| view.sessions)
        };
        let next = if slot {
            pool.release(now, server, backend_sessions)
        } else {
            None
        };
        drop(pool);
        if let Some(next) = next {
            self.shared.deliver(index, next);
        }
        left
    }

    /// Whether a session waits in a phase in which the kernel may already have decided the
    /// connection attempt: then that decision comes first.
    pub(crate) fn settle_attempt(&mut self, token: Token) -> Option<Event> {
        let connection = self.connection(token)?;
        if connection.session.phase != Phase::Connecting {
            return None;
        }
        if !connect::settled(connection.server_fd()?) {
            return None;
        }
        self.connect_ended(token, EventFlags::empty())
    }
}

impl Connection {
    /// Counts a choice: a first one, a return to the server that failed (a retry), or a move away
    /// from it (a redispatch).
    fn count_selection(&mut self, worker: usize, backend: &Backend, server: Option<usize>) {
        let left = std::mem::replace(&mut self.place.left, Index::NONE).get();
        let cells = |index: Option<usize>| -> Option<&BackendCells> {
            backend.servers.get(index?)?.state.cells.get(worker)
        };
        let common = backend.state.figures.cells.get(worker);
        if let Some(left) = left {
            let moved = Some(left) != server;
            self.figures.redispatched |= moved;
            for cells in [cells(Some(left)), common].into_iter().flatten() {
                if moved {
                    cells.redispatches.add(1)
                } else {
                    cells.retries.add(1)
                }
            }
        }
        if server.is_some() && server != left {
            for cells in [cells(server), common].into_iter().flatten() {
                cells.selected.add(1);
            }
        }
    }
}

/// What `balance source` hashes: the address as a number, IPv6 folded to 32 bits.
fn source_hash(client: Peer) -> Option<u32> {
    let Peer::Inet(address) = client else {
        return None;
    };
    Some(match address.ip() {
        IpAddr::V4(ip) => ip.to_bits(),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            [96, 64, 32, 0]
                .into_iter()
                .fold(0, |hash, shift| hash ^ (bits >> shift) as u32)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hash_as_big_endian_numbers() {
        let hash = |text: &str| source_hash(Peer::Inet(text.parse().unwrap()));
        assert_eq!(hash("127.0.0.10:99"), Some(0x7f00_000a));
        assert_eq!(hash("[2001:db8::1]:99"), Some(0x2001_0db8 ^ 1));
        assert_eq!(source_hash(Peer::Unix), None);
    }
}
