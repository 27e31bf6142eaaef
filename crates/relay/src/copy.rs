//! One direction of bytes: read, write at once, keep only what the destination did not take.

use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::snapshot::SpliceOptions;
use crate::splice::{Pipe, PipePool};

/// A read of at least this much is a bulk read (or a read that fills a smaller buffer).
const BULK: usize = 64 * 1024;
/// Bulk reads in a row after which bytes go through a pipe.
const BULK_READS: u8 = 2;
/// A pipe that moved less than this at once goes back to the pool: the transfer is small now.
const TRICKLE: usize = 4096;
/// Rounds of reading and writing one direction may do before the others get their turn.
const ROUNDS: u32 = 4;
/// Marks a direction that is not spliced: its options forbid it, or its sockets cannot.
const NEVER: u8 = u8::MAX;

/// Bytes one worker holds for destinations that do not take them, beyond which it reads no more
/// than [`SPARE`] at once: readers that stall must not cost memory without bound.
const HELD: usize = 64 * 1024 * 1024;
/// What a direction may read at once when much is held already.
const SPARE: usize = 16 * 1024;

/// What a worker's connections share for moving bytes.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Every read lands here and is written out before the next one.
    pub(crate) buffer: Box<[u8]>,
    /// `None` with `nosplice`.
    pub(crate) pipes: Option<PipePool>,
    /// Bytes that wait for their destinations, pipes left out.
    held: Rc<Cell<usize>>,
}

impl Scratch {
    /// `size` is the most that is read at once, in bytes.
    pub(crate) fn new(size: usize, pipes: Option<PipePool>) -> Self {
        Self {
            buffer: vec![0; size].into_boxed_slice(),
            pipes,
            held: Rc::default(),
        }
    }

    /// Where the next read may land.
    fn room(&mut self) -> &mut [u8] {
        let most = if self.held.get() < HELD {
            self.buffer.len()
        } else {
            self.buffer.len().min(SPARE)
        };
        self.buffer.get_mut(..most).unwrap_or_default()
    }

    fn hold(&self, bytes: &[u8]) -> Box<Held> {
        self.held.set(self.held.get() + bytes.len());
        Box::new(Held {
            bytes: bytes.into(),
            sent: 0,
            total: Rc::clone(&self.held),
        })
    }
}

/// Bytes a destination has not taken yet: exactly sized, and gone once written.
#[derive(Debug)]
struct Held {
    bytes: Box<[u8]>,
    sent: usize,
    /// What the worker holds in all.
    total: Rc<Cell<usize>>,
}

impl Held {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let rest = self.total.get().saturating_sub(self.bytes.len());
        self.total.set(rest);
    }
}

/// The state of one direction.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    held: Option<Box<Held>>,
    pipe: Option<Box<Pipe>>,
    /// Bulk reads in a row, or [`NEVER`].
    bulk: u8,
    /// `option splice-request` or `splice-response`: no bulk has to be seen first.
    eager: bool,
    /// The source may have bytes (or its end) for us.
    pub(crate) readable: bool,
    /// The destination may take bytes.
    pub(crate) writable: bool,
    /// The source's end or an error is known to be there, so a short read is not the last.
    pub(crate) ending: bool,
    /// What the kernel tells of the source.
    pub(crate) hearing: Hearing,
}

/// What the kernel tells of a socket. While a direction's destination holds everything up, each
/// segment that arrives at its source would wake the worker for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Hearing {
    /// Bytes, room for bytes, end and errors.
    #[default]
    All,
    /// No bytes.
    Room,
    /// Neither bytes nor room: the other direction has room as far as is known.
    End,
}

impl Hearing {
    /// Nothing of bytes; of room only if there is none now.
    pub(crate) const fn without_bytes(takes: bool) -> Self {
        if takes { Self::End } else { Self::Room }
    }
}

/// When a direction is spliced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Never.
    Never,
    /// Once it moves bulk.
    Bulk,
    /// From the first byte on; small traffic is copied all the same until more comes at once.
    AtOnce,
}

impl When {
    /// What the options of frontend and backend ask of each direction, up first. One side that
    /// wants it is enough, as in the original; bulk is spliced unless a side forbids it and the
    /// other does not ask for it.
    pub(crate) fn of(frontend: SpliceOptions, backend: SpliceOptions) -> [Self; 2] {
        let autos = [frontend.auto, backend.auto];
        let usual = if autos.contains(&Some(false)) && !autos.contains(&Some(true)) {
            Self::Never
        } else {
            Self::Bulk
        };
        [
            frontend.request || backend.request,
            frontend.response || backend.response,
        ]
        .map(|asked| if asked { Self::AtOnce } else { usual })
    }
}

/// Why a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing can be done until a socket says so.
    Idle,
    /// There is more, but others wait.
    Budget,
    /// End of stream at the source.
    Ended,
    /// The source is lost.
    SourceLost,
    /// The destination is lost.
    DestinationLost,
}

/// What a turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) read: u64,
    pub(crate) written: u64,
    pub(crate) spliced: u64,
    pub(crate) stop: Stop,
}

/// Outcome of writing what waits.
enum Flush {
    Done,
    Blocked,
    Lost,
}

impl Lane {
    /// Between two fresh sockets: they take bytes, and epoll tells whether they have some.
    pub(crate) fn new() -> Self {
        Self {
            writable: true,
            ..Self::default()
        }
    }

    /// Says when bytes of this direction go through a pipe.
    pub(crate) fn splice(&mut self, when: When) {
        match when {
            When::Never => self.bulk = NEVER,
            When::Bulk => {}
            When::AtOnce => {
                self.eager = true;
                self.bulk = BULK_READS;
            }
        }
    }

    /// Whether bytes are to be spliced from the first one on.
    pub(crate) fn is_eager(&self) -> bool {
        self.eager
    }

    /// Keeps bytes that were read elsewhere until the destination takes them.
    pub(crate) fn keep(&mut self, bytes: &[u8], scratch: &Scratch) {
        self.writable = false;
        if bytes.is_empty() {
            return;
        }
        self.held = Some(match self.held.take() {
            None => scratch.hold(bytes),
            Some(before) => scratch.hold(&[before.rest(), bytes].concat()),
        });
    }

    /// Whether bytes wait for the destination.
    pub(crate) fn has_unsent(&self) -> bool {
        self.held.is_some() || self.pipe.as_ref().is_some_and(|pipe| pipe.filled() > 0)
    }

    /// Whether the destination holds everything up.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.writable && self.has_unsent()
    }

    /// Whether more than a destination takes is on its way, so that the source will go on sending
    /// while this direction is held up.
    pub(crate) fn is_bulk(&self) -> bool {
        self.bulk >= BULK_READS && self.bulk != NEVER
    }

    /// Forgets what waits.
    pub(crate) fn discard(&mut self) {
        self.held = None;
        self.pipe = None;
    }

    /// Moves bytes until a socket blocks, the source ends or the budget is used up. With `reading`
    /// false it only writes what waits.
    pub(crate) fn turn(
        &mut self,
        source: BorrowedFd<'_>,
        destination: BorrowedFd<'_>,
        reading: bool,
        scratch: &mut Scratch,
    ) -> Turn {
        let mut turn = Turn {
            read: 0,
            written: 0,
            spliced: 0,
            stop: Stop::Idle,
        };
        let mut rounds = 0;
        loop {
            match self.flush(destination, &mut turn) {
                Flush::Done => {}
                Flush::Blocked => return turn,
                Flush::Lost => {
                    turn.stop = Stop::DestinationLost;
                    return turn;
                }
            }
            if !reading || !self.readable {
                self.pipe = None;
                return turn;
            }
            if rounds == ROUNDS {
                turn.stop = Stop::Budget;
                return turn;
            }
            rounds += 1;
            let got = if self.bulk >= BULK_READS && self.bulk != NEVER && self.take_pipe(scratch) {
                self.splice_in(source, &mut turn)
            } else {
                self.read_and_write(source, destination, scratch, &mut turn)
            };
            if let Some(stop) = got {
                turn.stop = stop;
                return turn;
            }
        }
    }

    fn take_pipe(&mut self, scratch: &Scratch) -> bool {
        if self.pipe.is_none() {
            let pipe = scratch.pipes.as_ref().and_then(PipePool::take);
            self.pipe = pipe.map(Box::new);
        }
        self.pipe.is_some()
    }

    /// Fills the empty pipe; the next round drains it.
    fn splice_in(&mut self, source: BorrowedFd<'_>, turn: &mut Turn) -> Option<Stop> {
        let Some(pipe) = &mut self.pipe else {
            return Some(Stop::Idle);
        };
        match pipe.fill(source) {
            Ok(0) => {
                self.pipe = None;
                Some(Stop::Ended)
            }
            Ok(moved) => {
                turn.read += moved as u64;
                if moved < TRICKLE {
                    self.bulk = 0;
                }
                None
            }
            // The pipe was empty, so it is the socket that has nothing.
            Err(Errno::AGAIN) => {
                self.readable = false;
                self.pipe = None;
                Some(Stop::Idle)
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                self.bulk = NEVER;
                self.pipe = None;
                None
            }
            Err(_) => {
                self.pipe = None;
                Some(Stop::SourceLost)
            }
        }
    }

    fn read_and_write(
        &mut self,
        source: BorrowedFd<'_>,
        destination: BorrowedFd<'_>,
        scratch: &mut Scratch,
        turn: &mut Turn,
    ) -> Option<Stop> {
        let buffer = scratch.room();
        let room = buffer.len();
        let got = match recv(source, buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Some(Stop::Ended),
            Ok((got, _)) => got.min(room),
            Err(Errno::AGAIN) => {
                self.readable = false;
                return Some(Stop::Idle);
            }
            Err(Errno::INTR) => return None,
            Err(_) => return Some(Stop::SourceLost),
        };
        turn.read += got as u64;
        if got < room && !self.ending {
            // The socket is empty now; new bytes announce themselves.
            self.readable = false;
        }
        if self.bulk != NEVER {
            self.bulk = if self.eager && got >= TRICKLE.min(room) {
                BULK_READS
            } else if got >= BULK.min(room) {
                (self.bulk + 1).min(BULK_READS)
            } else {
                0
            };
        }
        let bytes = scratch.buffer.get(..got).unwrap_or_default();
        let mut taken = 0;
        if self.writable {
            match send_some(destination, bytes) {
                Ok(sent) => taken = sent,
                Err(Errno::AGAIN) => {}
                Err(_) => return Some(Stop::DestinationLost),
            }
            self.writable = taken == got;
        }
        turn.written += taken as u64;
        if let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            self.held = Some(scratch.hold(rest));
        }
        None
    }

    fn flush(&mut self, destination: BorrowedFd<'_>, turn: &mut Turn) -> Flush {
        while self.has_unsent() {
            if !self.writable {
                return Flush::Blocked;
            }
            let result = if let Some(held) = &mut self.held {
                let result = send_some(destination, held.rest());
                held.sent += result.unwrap_or(0);
                result
            } else {
                let Some(pipe) = &mut self.pipe else { break };
                let result = pipe.drain(destination);
                turn.spliced += result.unwrap_or(0) as u64;
                result
            };
            match result {
                Ok(sent) => turn.written += sent as u64,
                Err(Errno::AGAIN) => self.writable = false,
                Err(_) => return Flush::Lost,
            }
            if self
                .held
                .as_ref()
                .is_some_and(|held| held.rest().is_empty())
            {
                self.held = None;
            }
        }
        Flush::Done
    }
}

fn send_some(destination: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        match send(destination, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_much_is_held_little_is_read() {
        let mut scratch = Scratch::new(256 * 1024, None);
        assert_eq!(scratch.room().len(), 256 * 1024);
        let held = scratch.hold(&vec![0; HELD]);
        assert_eq!(scratch.room().len(), SPARE);
        let more = scratch.hold(b"more");
        drop(held);
        assert_eq!((scratch.held.get(), scratch.room().len()), (4, 256 * 1024));
        drop(more);
        assert_eq!(scratch.held.get(), 0);

        let mut small = Scratch::new(4096, None);
        let _held = small.hold(&vec![0; HELD]);
        assert_eq!(small.room().len(), 4096, "tune.bufsize is never exceeded");
    }

    fn options(auto: Option<bool>, request: bool, response: bool) -> SpliceOptions {
        SpliceOptions {
            auto,
            request,
            response,
        }
    }

    #[test]
    fn one_side_that_asks_for_splicing_is_enough() {
        use When::{AtOnce, Bulk, Never};
        let silent = SpliceOptions::default();
        for (one, other, expected) in [
            (silent, silent, [Bulk, Bulk]),
            (options(Some(true), false, false), silent, [Bulk, Bulk]),
            (options(None, true, false), silent, [AtOnce, Bulk]),
            (options(None, false, true), silent, [Bulk, AtOnce]),
            (options(Some(false), false, false), silent, [Never, Never]),
            (options(Some(false), true, false), silent, [AtOnce, Never]),
            (
                options(Some(false), false, false),
                options(Some(true), false, false),
                [Bulk, Bulk],
            ),
            (
                options(Some(false), false, false),
                options(None, false, true),
                [Never, AtOnce],
            ),
        ] {
            assert_eq!(When::of(one, other), expected, "{one:?} {other:?}");
            assert_eq!(When::of(other, one), expected, "{other:?} {one:?}");
        }
    }
}
