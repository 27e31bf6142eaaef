//! Pipes for moving bytes between sockets without copying them.
//!
//! Three traps shape this module. `EAGAIN` of a splice into a pipe means "socket empty" or "pipe
//! full", and slots run out long before bytes do with small segments: a pipe is only ever filled
//! when it is empty, and then drained before it is filled again. Pipe memory is limited per user:
//! beyond the limit the kernel hands out pipes of a page or two, so the size is read back and a
//! small pipe is refused. Descriptors can run out: then no pipe is had, and the caller copies.
//!
//! `maxpipes` bounds the process. Each worker owns an equal share of it, which no lock guards; what
//! is left over by the division is common to all of them, so that one pipe among many workers
//! serves whoever needs it.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};

use crate::clock;
use crate::descriptors::{Descriptors, PAIR};

/// Below this a pipe costs more system calls than copying.
const SMALLEST: usize = 64 * 1024;
/// How long no new pipe is asked for after the system refused one, in milliseconds.
const REST: u64 = 1000;

/// Pipes of the whole process.
#[derive(Debug, Default)]
pub(crate) struct PipeFigures {
    pub(crate) used: AtomicU32,
    pub(crate) free: AtomicU32,
    common: Mutex<Shelf>,
}

/// Empty pipes, ready for use, and how many there are with those in use.
#[derive(Debug, Default)]
struct Shelf {
    free: Vec<Ends>,
    open: usize,
}

/// What the pools of all workers keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PipeLimits {
    /// Bytes asked for every pipe.
    pub(crate) size: usize,
    /// Pipes of the process, those in use included.
    pub(crate) pipes: usize,
    /// Workers that share them.
    pub(crate) workers: usize,
}

/// The pipes one worker may use.
#[derive(Debug)]
pub(crate) struct PipePool(Rc<Pool>);

#[derive(Debug)]
struct Pool {
    own: RefCell<Shelf>,
    limits: PipeLimits,
    /// The system refused a pipe: none is asked for before this time.
    not_before: Cell<u64>,
    figures: Arc<PipeFigures>,
    descriptors: Arc<Descriptors>,
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
    size: usize,
    shelf: Owner,
}

/// Whose share a pipe comes out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Worker,
    Everybody,
}

/// A pipe in use; dropping it returns it to its shelf if it is empty, and closes it otherwise.
#[derive(Debug)]
pub(crate) struct Pipe {
    ends: Option<Ends>,
    filled: usize,
    pool: Rc<Pool>,
}

impl PipePool {
    pub(crate) fn new(
        limits: PipeLimits,
        figures: Arc<PipeFigures>,
        descriptors: Arc<Descriptors>,
    ) -> Self {
        Self(Rc::new(Pool {
            own: RefCell::default(),
            limits,
            not_before: Cell::new(0),
            figures,
            descriptors,
        }))
    }

    /// An empty pipe, or `None` when there are enough already or the system gives no more.
    pub(crate) fn take(&self) -> Option<Pipe> {
        let PipeLimits { pipes, workers, .. } = self.0.limits;
        let workers = workers.max(1);
        let ends = self
            .0
            .take_from(&mut self.0.own.borrow_mut(), pipes / workers, Owner::Worker)
            .or_else(|| {
                let left_over = pipes % workers;
                let figures = &self.0.figures;
                (left_over > 0)
                    .then(|| {
                        self.0
                            .take_from(&mut figures.common(), left_over, Owner::Everybody)
                    })
                    .flatten()
            })?;
        self.0.figures.used.fetch_add(1, Relaxed);
        Some(Pipe {
            ends: Some(ends),
            filled: 0,
            pool: Rc::clone(&self.0),
        })
    }

    /// Closes what is not in use: descriptors have become scarce.
    pub(crate) fn close_free(&self) {
        self.0.close_free(&mut self.0.own.borrow_mut());
        self.0.close_free(&mut self.0.figures.common());
    }
}

impl PipeFigures {
    fn common(&self) -> MutexGuard<'_, Shelf> {
        self.common.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn take_from(&self, shelf: &mut Shelf, limit: usize, owner: Owner) -> Option<Ends> {
        if let Some(ends) = shelf.free.pop() {
            self.figures.free.fetch_sub(1, Relaxed);
            return Some(ends);
        }
        if shelf.open >= limit {
            return None;
        }
        let rested = self.not_before.get();
        if rested > 0 && clock::millis() < rested {
            return None;
        }
        // Connections need them more.
        let room = self.descriptors.spare() >= PAIR;
        let ends = room.then(|| self.create(owner)).flatten();
        if ends.is_some() {
            shelf.open += 1;
            self.descriptors.pipes.fetch_add(1, Relaxed);
        } else {
            self.not_before.set(clock::millis() + REST);
        }
        ends
    }

    fn create(&self, shelf: Owner) -> Option<Ends> {
        let wanted = self.limits.size;
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // Refused above `pipe-max-size` or the user's share: what counts is what it has now.
        let _refused = fcntl_setpipe_size(&write, wanted);
        let size = fcntl_getpipe_size(&write).ok()?;
        (size >= SMALLEST.min(wanted)).then_some(Ends {
            read,
            write,
            size,
            shelf,
        })
    }

    fn close_free(&self, shelf: &mut Shelf) {
        let closed = std::mem::take(&mut shelf.free).len();
        shelf.open = shelf.open.saturating_sub(closed);
        let closed = u32::try_from(closed).unwrap_or(0);
        self.figures.free.fetch_sub(closed, Relaxed);
        self.descriptors.pipes.fetch_sub(closed.into(), Relaxed);
    }

    /// A pipe comes back: empty ones wait for the next use.
    fn put_back(&self, ends: Ends, shelf: &mut Shelf, empty: bool) {
        if empty {
            self.figures.free.fetch_add(1, Relaxed);
            shelf.free.push(ends);
        } else {
            shelf.open = shelf.open.saturating_sub(1);
            self.descriptors.pipes.fetch_sub(1, Relaxed);
        }
    }
}

impl Pipe {
    /// Bytes inside.
    pub(crate) const fn filled(&self) -> usize {
        self.filled
    }

    /// Moves bytes from a socket into the empty pipe; 0 is the end of the stream.
    pub(crate) fn fill(&mut self, source: BorrowedFd<'_>) -> Result<usize, Errno> {
        debug_assert_eq!(self.filled, 0, "only an empty pipe is filled");
        let Some(ends) = &self.ends else {
            return Err(Errno::BADF);
        };
        let moved = splice_some(source, ends.write.as_fd(), ends.size)?;
        self.filled = moved;
        Ok(moved)
    }

    /// Moves bytes from the pipe to a socket.
    pub(crate) fn drain(&mut self, destination: BorrowedFd<'_>) -> Result<usize, Errno> {
        let Some(ends) = &self.ends else {
            return Err(Errno::BADF);
        };
        let moved = splice_some(ends.read.as_fd(), destination, self.filled)?;
        self.filled = self.filled.saturating_sub(moved);
        Ok(moved)
    }
}

fn splice_some(from: BorrowedFd<'_>, to: BorrowedFd<'_>, len: usize) -> Result<usize, Errno> {
    loop {
        match splice(
            from,
            None,
            to,
            None,
            len,
            SpliceFlags::NONBLOCK | SpliceFlags::MOVE,
        ) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let pool = &self.pool;
        pool.figures.used.fetch_sub(1, Relaxed);
        let Some(ends) = self.ends.take() else { return };
        let empty = self.filled == 0;
        match ends.shelf {
            Owner::Worker => pool.put_back(ends, &mut pool.own.borrow_mut(), empty),
            Owner::Everybody => pool.put_back(ends, &mut pool.figures.common(), empty),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close_free(&mut self.own.borrow_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    /// The pool of one of `workers` that share `pipes`.
    fn pool(pipes: usize, workers: usize, figures: &Arc<PipeFigures>) -> PipePool {
        let limits = PipeLimits {
            size: SMALLEST,
            pipes,
            workers,
        };
        let descriptors = Arc::new(Descriptors::new(Arc::default()));
        PipePool::new(limits, Arc::clone(figures), descriptors)
    }

    #[test]
    fn fewer_pipes_than_workers_serve_whoever_needs_one() {
        let figures = Arc::new(PipeFigures::default());
        let workers = [pool(1, 3, &figures), pool(1, 3, &figures)];
        for worker in &workers {
            let pipe = worker.take();
            assert!(pipe.is_some(), "the last one gave it back");
            assert!(workers.iter().all(|other| other.take().is_none()));
        }
        assert_eq!(
            (figures.used.load(Relaxed), figures.free.load(Relaxed)),
            (0, 1)
        );
    }

    #[test]
    fn what_division_leaves_over_belongs_to_all() {
        let figures = Arc::new(PipeFigures::default());
        let workers = [pool(5, 2, &figures), pool(5, 2, &figures)];
        let greedy: Vec<_> = std::iter::from_fn(|| workers[0].take()).collect();
        assert_eq!(greedy.len(), 3, "its own two and the one of all");
        let rest: Vec<_> = std::iter::from_fn(|| workers[1].take()).collect();
        assert_eq!(rest.len(), 2);
        drop(greedy);
        assert_eq!(figures.free.load(Relaxed), 3);
        workers[0].close_free();
        assert_eq!(figures.free.load(Relaxed), 0);
        assert!(workers[1].take().is_some(), "the common one can be had");
    }

    #[test]
    fn descriptors_that_connections_need_are_left_to_them() {
        let pool = pool(2, 1, &Arc::default());
        let pipe = pool.take();
        assert!(pipe.is_some());
        // As many sessions as there are descriptors.
        pool.0.descriptors.pipes.store(i64::MAX / 2, Relaxed);
        assert!(pool.take().is_none());
        assert!(pool.0.not_before.get() > 0, "it rests before it asks again");
        drop(pipe);
        assert!(pool.take().is_some(), "what is open can be used");
    }

    #[test]
    fn pipes_are_bounded_and_come_back_empty() {
        let figures = Arc::new(PipeFigures::default());
        let pool = pool(2, 1, &figures);
        let (first, second) = (pool.take(), pool.take());
        assert!(first.is_some() && second.is_some());
        assert!(pool.take().is_none(), "the limit is two");
        assert_eq!(
            (figures.used.load(Relaxed), figures.free.load(Relaxed)),
            (2, 0)
        );
        drop((first, second));
        assert_eq!(
            (figures.used.load(Relaxed), figures.free.load(Relaxed)),
            (0, 2)
        );

        let (mut client, near) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut pipe = pool.take().unwrap();
        assert_eq!(pipe.fill(near.as_fd()), Err(Errno::AGAIN));
        client.write_all(b"hello").unwrap();
        assert_eq!(pipe.fill(near.as_fd()), Ok(5));
        drop(pipe);
        assert_eq!(
            figures.free.load(Relaxed),
            1,
            "a pipe with bytes in it is not reused"
        );
        assert!(pool.take().is_some());
        drop(pool);
    }

    #[test]
    fn moves_bytes() {
        let pool = pool(1, 1, &Arc::default());
        let (mut client, near) = UnixStream::pair().unwrap();
        let (far, mut server) = UnixStream::pair().unwrap();
        client.write_all(b"through the pipe").unwrap();
        drop(client);
        let mut pipe = pool.take().unwrap();
        assert_eq!(pipe.fill(near.as_fd()), Ok(16));
        assert_eq!((pipe.drain(far.as_fd()), pipe.filled()), (Ok(16), 0));
        assert_eq!(pipe.fill(near.as_fd()), Ok(0), "end of stream");
        drop(far);
        let mut got = String::new();
        server.read_to_string(&mut got).unwrap();
        assert_eq!(got, "through the pipe");
    }
}
