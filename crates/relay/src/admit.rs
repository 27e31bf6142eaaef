//! Letting clients in and making sessions of them.

use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use lb_core::Position;
use rustix::net::sockopt::socket_error;

use crate::connect;
use crate::connection::{After, Connection, Figures, Index, Place, Settings, Stamps};
use crate::copy::{Lane, When};
use crate::listen::{self, Door, Guest, Nobody};
use crate::record::{Cause, SessionStart};
use crate::session::{Event, Session, Side};
use crate::shared::{MAX_SLOTS, Token};
use crate::snapshot::{Frontend, Listener};
use crate::worker::Worker;

impl Worker {
    /// Accepts what waits at the doors, as far as limits and `tune.maxaccept` allow.
    pub(crate) fn admit_guests(&mut self) {
        for index in 0..self.doors.len() {
            self.admit_at(index);
        }
    }

    fn admit_at(&mut self, index: usize) {
        let settings = Rc::clone(&self.settings);
        let blocking = self.ring.is_some();
        for _ in 0..self.shared.settings.max_accept.max(1) {
            let Some(Some(door)) = self.doors.get_mut(index) else {
                return;
            };
            if !door.ready || !door.is_open() || door.not_before.is_some() {
                return;
            }
            let Some((frontend, listener)) = listen::place(&settings, door) else {
                return;
            };
            let process = self.shared.settings.maxconn_rate;
            let wait =
                listen::rate_wait(frontend.rate_limit, frontend.state.session_rate.current())
                    .or_else(|| listen::rate_wait(process, self.shared.connection_rate.current()));
            if let Some(wait) = wait {
                door.not_before = Some(self.now + wait);
                return;
            }
            match door.admit(self.index, frontend, listener, &self.shared, blocking) {
                Ok(guest) => {
                    let (frontend_index, listener_index) = (door.frontend, door.listener);
                    let at = (frontend_index, listener_index);
                    self.begin(&settings, frontend, listener, at, guest);
                }
                Err(Nobody::Empty | Nobody::Full) => {
                    door.ready = false;
                    return;
                }
                Err(Nobody::GaveUp) => {}
                Err(Nobody::Exhausted(shortage)) => {
                    if door.rest(self.now) {
                        self.shared.sink.exhausted(frontend, shortage);
                    }
                    if let Some(pipes) = &self.scratch.pipes {
                        pipes.close_free();
                    }
                    if let Some(cells) = frontend.state.cells.get(self.index) {
                        cells.accept_errors.add(1);
                    }
                    return;
                }
            }
        }
    }

    /// Lets in who waits already at doors about to close: the kernel resets clients left in the
    /// queue of a socket that is closed. Rate limits and `tune.maxaccept` do not hold here, the
    /// counts of connections do. No more than a full backlog each, for a new process may be
    /// listening on the same socket.
    pub(crate) fn drain_doors(&mut self, which: impl Fn(&Door) -> bool) {
        let settings = Rc::clone(&self.settings);
        let blocking = self.ring.is_some();
        for index in 0..self.doors.len() {
            let mut left = None;
            while left != Some(0_u32) {
                let Some(door) = self.doors.get(index).and_then(Option::as_ref) else {
                    break;
                };
                let place = listen::place(&settings, door).filter(|_| which(door));
                let Some((frontend, listener)) = place else {
                    break;
                };
                left = Some(left.unwrap_or(listener.backlog.max(1)).saturating_sub(1));
                match door.admit(self.index, frontend, listener, &self.shared, blocking) {
                    Ok(guest) => {
                        let at = (door.frontend, door.listener);
                        self.begin(&settings, frontend, listener, at, guest);
                    }
                    Err(Nobody::GaveUp) => {}
                    Err(Nobody::Empty | Nobody::Full | Nobody::Exhausted(_)) => break,
                }
            }
        }
    }

    /// Makes a session of an accepted client and asks for its server.
    fn begin(
        &mut self,
        settings: &Settings,
        frontend: &Frontend,
        listener: &Listener,
        at: (usize, usize),
        guest: Guest,
    ) {
        if self.connections.len() >= MAX_SLOTS {
            listen::leave(frontend, listener, &self.shared);
            return;
        }
        self.count_accept(frontend, listener);
        let wall = SystemTime::now();
        let serial = self.shared.serials.fetch_add(1, Ordering::Relaxed);
        connect::apply(guest.fd.as_fd(), &frontend.socket);
        let (client, local) = (guest.client, guest.local);
        self.shared.sink.accepted(&SessionStart {
            serial,
            client,
            local,
            accepted: wall,
            frontend,
            listener,
        });
        self.generation = self.generation.wrapping_add(1);
        let slot = self.connections.insert(Box::new(Connection {
            generation: self.generation,
            session: Session::new(),
            client: guest.fd,
            server: None,
            up: Lane::new(),
            down: Lane::new(),
            air: self.ring.is_some().then(Box::default),
            runnable: false,
            place: Place {
                settings: Rc::clone(settings),
                frontend: Some(at.0).into(),
                listener: Some(at.1).into(),
                backend: Index::NONE,
                server: Index::NONE,
                left: Index::NONE,
                slot: false,
                attached: false,
                queued: false,
            },
            stamps: Stamps {
                accepted: self.now,
                wall: wall
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0)),
                client: self.now,
                server: self.now,
                expires: None,
                queued: After::NEVER,
                connected: After::NEVER,
            },
            figures: Figures {
                serial,
                client,
                local,
                bytes_in: 0,
                bytes_out: 0,
                redispatched: false,
                position: Position::default(),
            },
        }));
        let slot = u32::try_from(slot).unwrap_or(u32::MAX);
        let token = Token {
            slot,
            generation: self.generation,
        };
        let Some(connection) = self.connections.get(slot as usize) else {
            return;
        };
        if connection.air.is_some() {
            // What epoll would have told: a client that has reset already asks for nothing.
            let event = match socket_error(&connection.client) {
                Ok(Ok(())) => Event::Begun,
                Ok(Err(_)) | Err(_) => Event::Broken(Side::Client),
            };
            self.feed(token, event);
            self.arm(token);
            return;
        }
        if self.watch(&connection.client, token, Side::Client).is_err() {
            self.feed(token, Event::Killed(Cause::Resource));
            return;
        }
        self.arm(token);
        // The kernel reports the fresh socket at once, and with it whether the client is alive.
        self.expecting = true;
    }

    /// Enters the backend: from now on the session counts there.
    pub(crate) fn enter_backend(&mut self, token: Token) {
        let (worker, now) = (self.index, self.now);
        let Some(connection) = self.connection(token) else {
            return;
        };
        let backends = connection.place.settings.backends.len();
        let frontend = connection.frontend();
        let index = frontend
            .and_then(|f| f.backend)
            .filter(|index| *index < backends);
        connection.place.backend = index.into();
        let options = connection.frontend().zip(connection.backend());
        if let Some((frontend, backend)) = options {
            let [up, down] = When::of(frontend.socket.splice, backend.socket.splice);
            connection.up.splice(up);
            connection.down.splice(down);
        }
        let Some(backend) = connection.backend() else {
            return;
        };
        backend.state.sessions.up();
        backend.state.session_rate.event(now);
        if let Some(cells) = backend.state.figures.cells.get(worker) {
            cells.sessions.add(1);
        }
    }

    fn count_accept(&self, frontend: &Frontend, listener: &Listener) {
        self.shared.connection_rate.event(self.now);
        self.shared.session_rate.event(self.now);
        frontend.state.connection_rate.event(self.now);
        frontend.state.session_rate.event(self.now);
        if let Some(cells) = self.shared.cells.get(self.index) {
            cells.accepted.add(1);
            cells.sessions.add(1);
        }
        if let Some(cells) = frontend.state.cells.get(self.index) {
            cells.connections.add(1);
            cells.sessions.add(1);
        }
        if let Some(cells) = listener.state.cells.get(self.index) {
            cells.sessions.add(1);
        }
    }
}
