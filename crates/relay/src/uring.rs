//! Connections that begin on an io_uring.
//!
//! The ring does what is most of the cost of a short connection: it connects, receives and sends
//! little, and closes. Such a connection is *in the air*: its sockets are blocking ones that epoll
//! does not know. Each direction has at most one operation under way, a receive or the send of what
//! was received, so that a reader that stalls holds its sender up by itself.
//!
//! It *lands* for good with epoll as soon as it is anything else: bulk, a destination without room,
//! a queue, a pause, a slow connect, one side's end, a timeout, a side that broke, a second's
//! silence. Landing cancels what is under way, keeps what was read and not sent, and lets epoll tell
//! the rest; there is one place each for splicing, stalls and timers. Clients are let in by accept(2) as ever, which alone
//! leaves those beyond a limit in the backlog, and tells their addresses.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use osys::ring::{Buffer, Completion, Flight, Outcome, Ring, Seed, Sizes};
use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, ioctl_fionbio};

use crate::clock;
use crate::connect;
use crate::connection::{Connection, later, millis};
use crate::copy::{Stop, Turn};
use crate::record::Cause;
use crate::session::{Direction, Event, Failure, Flow, Phase, Side};
use crate::shared::{Shared, Token};
use crate::snapshot::{Backend, Server};
use crate::worker::Worker;

/// A connection may be connecting, or open on one side only, for so many milliseconds in the air.
const GRACE: u64 = 20;
/// One that has been silent for so many milliseconds costs less memory with epoll: two receives under
/// way take more than two entries there.
const REST: u64 = 1000;
/// Full buffers in a row that make bulk.
const BULK: u8 = 2;
/// Tag of the worker's epoll instance.
const EPOLL: u64 = u64::MAX;
/// Of a small message only the first page of a buffer is ever touched.
const SIZES: Sizes = Sizes {
    submissions: 256,
    completions: 1024,
    buffers: 128,
    buffer_size: 16 * 1024,
};
const QUIET: Turn = Turn {
    read: 0,
    written: 0,
    spliced: 0,
    stop: Stop::Idle,
};

/// What a connection has under way.
#[derive(Debug, Default)]
pub(crate) struct Air {
    up: Leg,
    /// Connecting counts here: nothing comes down before.
    down: Leg,
    landing: bool,
}

#[derive(Debug, Default)]
struct Leg {
    flight: Option<Flight>,
    /// It is a send.
    sending: bool,
    /// Full buffers in a row.
    full: u8,
}

impl Air {
    /// Ends what is under way; whatever still comes of it finds nobody.
    pub(crate) fn cancel(&self, ring: &mut Ring) {
        for flight in [self.up.flight, self.down.flight].into_iter().flatten() {
            // A ring that takes nothing any more has stopped its worker.
            let _broken = ring.cancel(flight);
        }
    }

    /// When it is to be looked at whether it should land.
    pub(crate) fn look_at(&self, connection: &Connection, now: u64) -> Option<u64> {
        // A landing is looked at again like any other short wait.
        let soon = self.landing || connection.dawdles();
        Some(now + if soon { GRACE } else { REST })
    }

    fn leg(&mut self, direction: Direction) -> &mut Leg {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

/// A ring that tells of `epoll`, if the settings want one and the system grants it.
pub(crate) fn set_up(shared: &Shared, epoll: &OwnedFd) -> Option<Ring> {
    if !shared.settings.io_uring {
        return None;
    }
    let ring = Seed::new(SIZES).and_then(Seed::enable);
    let watching = ring.and_then(|mut ring| {
        ring.watch(epoll, EPOLL)?;
        Ok(ring)
    });
    match watching {
        Ok(ring) => Some(ring),
        Err(error) => {
            let _another_worker_said_so = shared.ring_refusal.set(error.to_string());
            None
        }
    }
}

impl Worker {
    /// As [`Worker::run`], waiting in the ring.
    pub(crate) fn run_ring(&mut self) -> io::Result<()> {
        while !self.is_over() {
            self.now = clock::millis();
            self.turn();
            let polls = self.shared.settings.busy_polling && !self.stopping;
            let busy = polls || self.told || !self.runnable.is_empty() || self.doors_ready();
            if self.is_over() {
                break;
            }
            if !busy {
                self.set_alarm()?;
            }
            let Some(ring) = &mut self.ring else { break };
            match ring.submit(usize::from(!busy)) {
                Ok(()) => {}
                Err(error) if transient(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes what the ring has completed. The number of completions.
    pub(crate) fn reap(&mut self) -> usize {
        let sending = std::mem::take(&mut self.sending);
        let mut seen = 0;
        while let Some(completion) = self.ring.as_mut().and_then(Ring::take) {
            seen += 1;
            self.completed(completion);
        }
        for (token, direction) in sending {
            // Not done at once: the destination has no room.
            let waits = |entry: &mut Connection| entry.is_sending(direction);
            if self.connection(token).is_some_and(waits) {
                self.begin_landing(token);
            }
        }
        seen
    }

    fn completed(&mut self, completion: Completion) {
        let Completion { tag, outcome } = completion;
        let (token, direction) = decode(tag);
        match outcome {
            Outcome::Ready(more) => {
                self.told = true;
                if let Some(ring) = self.ring.as_mut().filter(|_| !more) {
                    let _broken = ring.watch(&self.epoll, EPOLL);
                }
            }
            Outcome::Connected(result) => self.attempt_over(token, result),
            Outcome::Received(result) => self.received(token, direction, result),
            Outcome::Sent(buffer, result) => self.sent(token, direction, buffer, result),
        }
    }

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

    fn attempt_over(&mut self, token: Token, result: io::Result<()>) {
        let Some(leg) = self.leg(token, Direction::Down) else {
            return;
        };
        leg.flight = None;
        let event = match result {
            Ok(()) => self.stands(token, EventFlags::empty()),
            Err(error) => match errno(&error) {
                // It goes on in the kernel, and epoll tells the outcome.
                Errno::CANCELED => {
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

    fn received(&mut self, token: Token, direction: Direction, got: io::Result<Option<Buffer>>) {
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
                Errno::NOBUFS | Errno::CANCELED => self.begin_landing(token),
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
        self.sending.push((token, direction));
        if bulk {
            // The kernel sends what it can before it looks at what is cancelled.
            self.begin_landing(token);
        }
    }

    fn sent(
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
            Err(error) if errno(&error) == Errno::CANCELED => 0,
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

    /// Its timer fired: whoever has been waiting for a while does so with epoll, and whatever is
    /// overdue is dealt with there.
    pub(crate) fn look_at_flight(&mut self, token: Token) {
        let now = self.now;
        let due = |entry: &mut Connection| {
            entry.dawdles()
                || entry.stamps.client.max(entry.stamps.server) + REST <= now
                || entry.stamps.expires.is_some_and(|at| at.get() <= now)
                || entry.overdue(now).is_some()
        };
        if self.connection(token).is_some_and(due) {
            self.begin_landing(token);
        }
    }

    /// Sessions that wait for a slot or an attempt do so with epoll.
    pub(crate) fn land_if_waiting(&mut self, token: Token) {
        if self.ring.is_none() {
            return;
        }
        let waits = |entry: &mut Connection| {
            entry.air.is_some() && matches!(entry.session.phase, Phase::Waiting | Phase::Pausing)
        };
        if self.connection(token).is_some_and(waits) {
            self.begin_landing(token);
        }
    }

    /// Closes a server connection that the session drops before its own end.
    pub(crate) fn close_server(&mut self, token: Token, fd: OwnedFd) {
        if self
            .connection(token)
            .is_none_or(|entry| entry.air.is_none())
        {
            return;
        }
        self.begin_landing(token);
        if let Some(ring) = &mut self.ring {
            ring.close(fd);
        }
    }

    fn begin_landing(&mut self, token: Token) {
        let Some(slot) = usize::try_from(token.slot).ok() else {
            return;
        };
        let air = self
            .connections
            .get_mut(slot)
            .filter(|entry| entry.generation == token.generation)
            .and_then(|entry| entry.air.as_deref_mut());
        let Some((air, ring)) = air.zip(self.ring.as_mut()) else {
            return;
        };
        if !air.landing {
            air.landing = true;
            air.cancel(ring);
        }
        self.try_to_land(token);
    }

    fn try_to_land(&mut self, token: Token) {
        let Some(connection) = self.connection(token) else {
            return;
        };
        let ready = |air: &Air| air.landing && air.up.flight.or(air.down.flight).is_none();
        if !connection.air.as_deref().is_some_and(ready) {
            return;
        }
        connection.air = None;
        let relaying = connection.session.phase == Phase::Relaying;
        let mut sockets = vec![(connection.client_fd(), Side::Client)];
        sockets.extend(connection.server_fd().map(|fd| (fd, Side::Server)));
        for (fd, _) in &sockets {
            let _never = ioctl_fionbio(fd, true);
        }
        if !self.watch_landed(token) {
            self.feed(token, Event::Killed(Cause::Resource));
            return;
        }
        if relaying {
            self.run_again(token);
        }
        self.arm(token);
    }

    fn watch_landed(&self, token: Token) -> bool {
        let connection = usize::try_from(token.slot)
            .ok()
            .and_then(|slot| self.connections.get(slot));
        let Some(connection) = connection else {
            return true;
        };
        let client = self.watch(&connection.client, token, Side::Client);
        let server = connection
            .server
            .as_ref()
            .map_or(Ok(()), |fd| self.watch(fd, token, Side::Server));
        client.and(server).is_ok()
    }

    fn is_landing(&mut self, token: Token) -> bool {
        self.connection(token)
            .and_then(|entry| entry.air.as_deref())
            .is_some_and(|air| air.landing)
    }

    fn leg(&mut self, token: Token, direction: Direction) -> Option<&mut Leg> {
        self.connection(token)?.leg(direction)
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

    /// Puts the rest of a buffer where epoll sends it from.
    fn keep(&mut self, token: Token, direction: Direction, buffer: Buffer, from: usize) {
        let slot = usize::try_from(token.slot).unwrap_or(usize::MAX);
        let connection = self
            .connections
            .get_mut(slot)
            .filter(|entry| entry.flow(direction) != Flow::Closed);
        if let Some((connection, ring)) = connection.zip(self.ring.as_ref())
            && let Some(rest) = ring.bytes(&buffer).ok().and_then(|bytes| bytes.get(from..))
        {
            let lane = match direction {
                Direction::Up => &mut connection.up,
                Direction::Down => &mut connection.down,
            };
            lane.keep(rest, &self.scratch);
        }
        self.give_back(buffer);
    }

    fn give_back(&mut self, buffer: Buffer) {
        if let Some(ring) = &mut self.ring {
            ring.give_back(buffer);
        }
    }
}

impl Connection {
    /// Whether the ring has bytes of this direction that are not sent yet.
    pub(crate) fn is_sending(&self, direction: Direction) -> bool {
        self.air.as_deref().is_some_and(|air| match direction {
            Direction::Up => air.up.sending,
            Direction::Down => air.down.sending,
        })
    }

    /// In a state that is short for most, and in which not everything is heard in the air.
    fn dawdles(&self) -> bool {
        let session = &self.session;
        session.phase == Phase::Connecting || session.up != Flow::Open || session.down != Flow::Open
    }

    fn leg(&mut self, direction: Direction) -> Option<&mut Leg> {
        Some(self.air.as_deref_mut()?.leg(direction))
    }

    fn flow(&self, direction: Direction) -> Flow {
        match direction {
            Direction::Up => self.session.up,
            Direction::Down => self.session.down,
        }
    }
}

/// The side a direction's bytes come from.
const fn source(direction: Direction) -> Side {
    match direction {
        Direction::Up => Side::Client,
        Direction::Down => Side::Server,
    }
}

fn encode(token: Token, direction: Direction) -> u64 {
    Worker::event_data(token, source(direction)).u64()
}

fn decode(tag: u64) -> (Token, Direction) {
    let low = tag & 0xffff_ffff;
    let token = Token {
        slot: u32::try_from(low >> 1).unwrap_or(u32::MAX),
        generation: u32::try_from(tag >> 32).unwrap_or(0),
    };
    let direction = if low & 1 == 0 {
        Direction::Up
    } else {
        Direction::Down
    };
    (token, direction)
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// A wait that may simply be repeated.
fn transient(error: &io::Error) -> bool {
    matches!(errno(error), Errno::INTR | Errno::BUSY | Errno::AGAIN)
}
