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
//! the rest; there is one place each for splicing, stalls and timers. Clients are let in by
//! accept(2) as ever, which alone leaves those beyond a limit in the backlog, and tells their
//! addresses.

mod flight;
mod landing;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use osys::ring::{Buffer, Completion, Flight, Outcome, Ring, Seed, Sizes};
use rustix::io::Errno;

use crate::clock;
use crate::connection::Connection;
use crate::copy::{Stop, Turn};
use crate::handle::RelaySettings;
use crate::session::{Direction, Flow, Phase, Side};
use crate::shared::{Shared, Token};
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

/// The workers' rings before there are workers. What they take of the memory that may be locked
/// counts for the user who makes them: a daemon does so before it gives up its privileges.
#[derive(Debug, Default)]
pub struct Rings {
    seeds: VecDeque<io::Result<Seed>>,
}

impl Rings {
    /// As many as the settings want: one for each worker, or none. What the system refuses is told
    /// by [`crate::Relay::ring_refusal`].
    #[must_use]
    pub fn prepare(settings: &RelaySettings) -> Self {
        let workers = if settings.io_uring {
            settings.workers.max(1)
        } else {
            0
        };
        Self {
            seeds: (0..workers).map(|_| Seed::new(SIZES)).collect(),
        }
    }

    /// The next worker's.
    pub(crate) fn take(&mut self) -> io::Result<Seed> {
        let none = || Err(io::Error::other("no ring was prepared"));
        self.seeds.pop_front().unwrap_or_else(none)
    }
}

/// A ring that tells of `epoll`, if the settings want one and the system grants it. Call it on the
/// worker's thread.
pub(crate) fn set_up(shared: &Shared, epoll: &OwnedFd, seed: io::Result<Seed>) -> Option<Ring> {
    if !shared.settings.io_uring {
        return None;
    }
    let watching = seed.and_then(Seed::enable).and_then(|mut ring| {
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
        let mut seen = 0;
        while let Some(completion) = self.ring.as_mut().and_then(Ring::take) {
            seen += 1;
            self.completed(completion);
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

    fn is_landing(&mut self, token: Token) -> bool {
        self.connection(token)
            .and_then(|entry| entry.air.as_deref())
            .is_some_and(|air| air.landing)
    }

    fn leg(&mut self, token: Token, direction: Direction) -> Option<&mut Leg> {
        self.connection(token)?.leg(direction)
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

/// The operation has done nothing, and says nothing about its socket: with epoll it is done again.
fn is_undone(error: Errno) -> bool {
    matches!(error, Errno::CANCELED | Errno::INTR | Errno::AGAIN)
}

/// A wait that may simply be repeated.
fn transient(error: &io::Error) -> bool {
    matches!(errno(error), Errno::INTR | Errno::BUSY | Errno::AGAIN)
}
