//! Pipes for moving bytes between sockets without copying them.
//!
//! Three traps shape this module. `EAGAIN` of a splice into a pipe means "socket empty" or "pipe
//! full", and slots run out long before bytes do with small segments: a pipe is only ever filled
//! when it is empty, and then drained before it is filled again. Pipe memory is limited per user:
//! beyond the limit the kernel hands out pipes of a page or two, so the size is read back and a
//! small pipe is refused. Descriptors can run out: then no pipe is had, and the caller copies.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rustix::io::Errno;
use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};

/// Below this a pipe costs more system calls than copying.
const SMALLEST: usize = 64 * 1024;

/// Pipes of the whole process.
#[derive(Debug, Default)]
pub(crate) struct PipeFigures {
    pub(crate) used: AtomicU32,
    pub(crate) free: AtomicU32,
}

/// The pipes of one worker.
#[derive(Debug)]
pub(crate) struct PipePool {
    /// Empty pipes, ready for use.
    free: Rc<RefCell<Vec<Ends>>>,
    size: usize,
    /// How many this worker may have open, those in use included.
    limit: usize,
    open: Rc<std::cell::Cell<usize>>,
    figures: Arc<PipeFigures>,
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
    size: usize,
}

/// A pipe in use; dropping it returns it to its pool if it is empty, and closes it otherwise.
#[derive(Debug)]
pub(crate) struct Pipe {
    ends: Option<Ends>,
    filled: usize,
    home: Rc<RefCell<Vec<Ends>>>,
    open: Rc<std::cell::Cell<usize>>,
    figures: Arc<PipeFigures>,
}

impl PipePool {
    pub(crate) fn new(size: usize, limit: usize, figures: Arc<PipeFigures>) -> Self {
        Self {
            free: Rc::default(),
            size,
            limit,
            open: Rc::default(),
            figures,
        }
    }

    /// An empty pipe, or `None` when there are enough already or the system gives no more.
    pub(crate) fn take(&self) -> Option<Pipe> {
        let reused = self.free.borrow_mut().pop();
        let ends = match reused {
            Some(ends) => {
                self.figures.free.fetch_sub(1, Relaxed);
                ends
            }
            None => self.create()?,
        };
        self.figures.used.fetch_add(1, Relaxed);
        Some(Pipe {
            ends: Some(ends),
            filled: 0,
            home: Rc::clone(&self.free),
            open: Rc::clone(&self.open),
            figures: Arc::clone(&self.figures),
        })
    }

    fn create(&self) -> Option<Ends> {
        if self.open.get() >= self.limit {
            return None;
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // Refused above `pipe-max-size` or the user's share: what counts is what it has now.
        let _refused = fcntl_setpipe_size(&write, self.size);
        let size = fcntl_getpipe_size(&write).ok()?;
        if size < SMALLEST.min(self.size) {
            return None;
        }
        self.open.set(self.open.get() + 1);
        Some(Ends { read, write, size })
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
        self.figures.used.fetch_sub(1, Relaxed);
        let Some(ends) = self.ends.take() else { return };
        if self.filled == 0 {
            self.figures.free.fetch_add(1, Relaxed);
            self.home.borrow_mut().push(ends);
        } else {
            self.open.set(self.open.get().saturating_sub(1));
        }
    }
}

impl Drop for PipePool {
    fn drop(&mut self) {
        let free = u32::try_from(self.free.borrow().len()).unwrap_or(0);
        self.figures.free.fetch_sub(free, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn pipes_are_bounded_and_come_back_empty() {
        let figures = Arc::new(PipeFigures::default());
        let pool = PipePool::new(SMALLEST, 2, Arc::clone(&figures));
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
        let pool = PipePool::new(SMALLEST, 1, Arc::default());
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
