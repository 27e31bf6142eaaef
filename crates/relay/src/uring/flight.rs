//! A connection in the air: connecting, receiving, sending.

use std::io;
use std::sync::Arc;

use osys::ring::Buffer;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use super::{BULK, QUIET, SIZES, encode, errno, is_undone, source};
use crate::connect;
use crate::connection::{later, millis};
use crate::copy::Turn;
use crate::record::Cause;
use crate::session::{Direction, Event, Failure, Flow, Phase, Side};
use crate::shared::Token;
use crate::snapshot::{Backend, Server};
use crate::worker::Worker;

impl Worker {
    /// Connects in the ring. `None` if the server is not one for it: the connection has landed.
    pub(crate) fn open_in_ring(
        &mut self,
        token: Token,
        server: &Arc<Server>,
        backend: &Arc<Backend>,
    ) -> Option<Option<Event>> {
        let now = self.now;
        let local = self.connection(token)?.figures.local;
        let Some(prepared) = connect::prepare(server, &backend.socket, local) else {
            self.begin_landing(token);
            return None;
        };
        let (fd, address) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return Some(Some(self.failure(token, failure))),
        };
        let flight = self.ring.as_mut().and_then(|ring| {
            ring.connect(&fd, address, encode(token, Direction::Down))
                .ok()
        });
        if flight.is_none() {
            return Some(Some(self.failure(token, Failure::Resource)));
        }
        let connection = self.connection(token)?;
        connection.stamps.expires = backend
            .timeout_connect
            .and_then(|wait| later(now, millis(wait)));
        connection.server = Some(fd);
        if let Some(leg) = connection.leg(Direction::Down) {
            leg.flight = flight;
        }
        Some(None)
    }

    pub(super) fn attempt_over(&mut self, token: Token, result: io::Result<()>) {
        let Some(leg) = self.leg(token, Direction::Down) else {
            return;
        };
        leg.flight = None;
        let event = match result {
            Ok(()) => self.stands(token, EventFlags::empty()),
            Err(error) => match errno(&error) {
                // It goes on in the kernel, and epoll tells the outcome.
                Errno::CANCELED | Errno::INTR | Errno::INPROGRESS | Errno::ALREADY => {
                    self.begin_landing(token);
                    return;
                }
                error => Some(self.failure(token, connect::refusal(error))),
            },
        };
        if let Some(event) = event {
            self.feed(token, event);
        }
        self.arm(token);
    }

    pub(super) fn received(
        &mut self,
        token: Token,
        direction: Direction,
        got: io::Result<Option<Buffer>>,
    ) {
        let Some(leg) = self.leg(token, direction) else {
            if let Ok(Some(buffer)) = got {
                self.give_back(buffer);
            }
            return;
        };
        leg.flight = None;
        let landing = self.is_landing(token);
        match got {
            Ok(Some(buffer)) => self.pass_on(token, direction, buffer),
            // The end can be read again.
            Ok(None) if landing => self.try_to_land(token),
            Ok(None) => {
                self.feed(token, Event::Ended(source(direction)));
                self.fly(token);
                self.arm(token);
            }
            Err(error) => match errno(&error) {
                // Whoever holds the buffers is done or lands in this very turn.
                Errno::NOBUFS if !landing => self.listen(token, direction),
                Errno::NOBUFS => self.begin_landing(token),
                error if is_undone(error) => self.begin_landing(token),
                _ => {
                    self.feed(token, Event::Broken(source(direction)));
                    self.begin_landing(token);
                }
            },
        }
    }

    /// Sends what was received, or keeps it for epoll.
    fn pass_on(&mut self, token: Token, direction: Direction, buffer: Buffer) {
        let length = buffer.len();
        let read = Turn {
            read: length as u64,
            ..QUIET
        };
        self.count(token, direction, read);
        let landing = self.is_landing(token);
        let Some(connection) = self.connection(token) else {
            return self.give_back(buffer);
        };
        if connection.flow(direction) == Flow::Closed {
            self.give_back(buffer);
            return self.try_to_land(token);
        }
        if landing {
            self.keep(token, direction, buffer, 0);
            return self.try_to_land(token);
        }
        let Some(leg) = connection.leg(direction) else {
            return self.give_back(buffer);
        };
        leg.full = if length == SIZES.buffer_size as usize {
            leg.full.saturating_add(1)
        } else {
            0
        };
        let bulk = leg.full >= BULK;
        let flight = {
            let (ring, connections) = (self.ring.as_mut(), &self.connections);
            let connection = usize::try_from(token.slot)
                .ok()
                .and_then(|slot| connections.get(slot));
            let fd = connection.and_then(|entry| match direction {
                Direction::Up => entry.server_fd(),
                Direction::Down => Some(entry.client_fd()),
            });
            ring.zip(fd)
                .and_then(|(ring, fd)| ring.send(fd, buffer, encode(token, direction)).ok())
        };
        let Some(leg) = self.leg(token, direction).filter(|_| flight.is_some()) else {
            // The bytes are lost, and with them the stream.
            self.feed(token, Event::Killed(Cause::Resource));
            return;
        };
        leg.flight = flight;
        leg.sending = true;
        if bulk {
            // The kernel sends what it can before it looks at what is cancelled.
            self.begin_landing(token);
        }
    }

    pub(super) fn sent(
        &mut self,
        token: Token,
        direction: Direction,
        buffer: Buffer,
        result: io::Result<usize>,
    ) {
        let Some(leg) = self.leg(token, direction) else {
            return self.give_back(buffer);
        };
        leg.flight = None;
        leg.sending = false;
        let done = match result {
            Ok(done) => done,
            Err(error) if is_undone(errno(&error)) => 0,
            Err(_) => {
                self.give_back(buffer);
                let event = match direction {
                    Direction::Up => Event::ServerDeaf,
                    Direction::Down => Event::Broken(Side::Client),
                };
                self.feed(token, event);
                return self.begin_landing(token);
            }
        };
        let written = Turn {
            written: done as u64,
            ..QUIET
        };
        self.count(token, direction, written);
        if done < buffer.len() {
            self.keep(token, direction, buffer, done);
            return self.begin_landing(token);
        }
        self.give_back(buffer);
        self.fly(token);
    }

    /// Goes on with a connection in the air: receives where nothing is under way, ends what has
    /// ended.
    pub(crate) fn fly(&mut self, token: Token) {
        for direction in [Direction::Up, Direction::Down] {
            if self.is_landing(token) {
                return self.try_to_land(token);
            }
            let Some(connection) = self
                .connection(token)
                .filter(|entry| entry.air.is_some() && entry.session.phase == Phase::Relaying)
            else {
                return;
            };
            if connection.up.is_eager() || connection.down.is_eager() {
                return self.begin_landing(token);
            }
            let flow = connection.flow(direction);
            let idle = connection
                .leg(direction)
                .is_some_and(|leg| leg.flight.is_none());
            match flow {
                Flow::Open if idle => self.listen(token, direction),
                Flow::Draining if idle => self.feed(token, Event::Flushed(direction)),
                Flow::Open | Flow::Draining | Flow::Closed => {}
            }
        }
    }

    fn listen(&mut self, token: Token, direction: Direction) {
        let (ring, connections) = (self.ring.as_mut(), &self.connections);
        let fd = usize::try_from(token.slot)
            .ok()
            .and_then(|slot| connections.get(slot))
            .and_then(|entry| match direction {
                Direction::Up => Some(entry.client_fd()),
                Direction::Down => entry.server_fd(),
            });
        let flight = ring
            .zip(fd)
            .and_then(|(ring, fd)| ring.receive(fd, encode(token, direction)).ok());
        match self.leg(token, direction) {
            Some(leg) if flight.is_some() => leg.flight = flight,
            _ => self.begin_landing(token),
        }
    }

    fn count(&mut self, token: Token, direction: Direction, turn: Turn) {
        let (worker, now) = (self.index, self.now);
        let (up, down) = match direction {
            Direction::Up => (turn, QUIET),
            Direction::Down => (QUIET, turn),
        };
        if let Some(connection) = self.connection(token) {
            connection.count_bytes(worker, now, up, down);
        }
        self.count_written(up, down);
    }
}
