//! An io_uring for sockets, with a safe face.
//!
//! What the kernel reads or writes while an operation is under way belongs to the ring until the
//! operation's completion: addresses and bytes. Received bytes lie in buffers of the ring, which
//! are lent out as [`Buffer`]s and come back by [`Ring::give_back`].
//!
//! Descriptors do not belong to it. The kernel looks their number up with the next submission: one
//! that has been named to the ring is closed through it ([`Ring::close`]), after what was asked
//! for before, so that its number cannot mean another file by then. Nor does closing end what is
//! under way on a descriptor; that is cancelled by its [`Flight`].

mod buffers;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use io_uring::{IoUring, cqueue, opcode, squeue, types::Fd};
use slab::Slab;
use socket2::SockAddr;

pub use buffers::Buffer;
use buffers::Buffers;

/// The group of the ring's only set of buffers.
const GROUP: u16 = 0;
/// Marks completions that nobody waits for: closing and cancelling.
const NOBODY: u64 = u64::MAX;
/// How often the end of a ring waits for operations to be gone before it leaves their memory alone.
const PATIENCE: u32 = 1000;

/// Sizes of a ring.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Operations that may be handed to the kernel at once: a power of two, at most 32768.
    pub submissions: u32,
    /// Completions that may wait: a power of two, at least `submissions`.
    pub completions: u32,
    /// Buffers for received bytes: a power of two, at most 32768.
    pub buffers: u16,
    /// Bytes of each buffer.
    pub buffer_size: u32,
}

/// A ring that does not work yet. Its memory counts towards `RLIMIT_MEMLOCK` of the user who made
/// it, so a daemon makes it before it gives up its privileges.
pub struct Seed {
    inner: IoUring,
    sizes: Sizes,
}

impl Seed {
    /// Sets up a ring. Linux 6.1 at least.
    ///
    /// # Errors
    /// If the kernel has no io_uring, does not know what is asked for, forbids it to this process,
    /// or would lock more memory than the limit.
    pub fn new(sizes: Sizes) -> io::Result<Self> {
        let inner = IoUring::builder()
            .setup_r_disabled()
            .setup_submit_all()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(sizes.completions)
            .build(sizes.submissions)?;
        Ok(Self { inner, sizes })
    }

    /// Makes the ring work for the calling thread, and for no other.
    ///
    /// # Errors
    /// If the kernel refuses, or the sizes of the buffers are none it accepts.
    pub fn enable(self) -> io::Result<Ring> {
        self.inner.submitter().register_enable_rings()?;
        let buffers = Buffers::new(self.sizes.buffers, self.sizes.buffer_size)?;
        // SAFETY: the entries are page-aligned, as many as said, and `Ring::drop` frees them only
        // once no operation is left that could take one.
        unsafe {
            self.inner.submitter().register_buf_ring_with_flags(
                buffers.entries(),
                self.sizes.buffers,
                GROUP,
                0,
            )?;
        }
        let mut ring = Ring {
            inner: self.inner,
            buffers: Some(buffers),
            flights: Slab::new(),
            _here: PhantomData,
        };
        if let Some(buffers) = &mut ring.buffers {
            buffers.fill();
        }
        Ok(ring)
    }
}

/// Names an operation until its completion has been taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight(u32);

/// One completion.
#[derive(Debug)]
pub struct Completion {
    /// What the operation was given as its name.
    pub tag: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an operation; a cancelled one fails with `ECANCELED`.
#[derive(Debug)]
pub enum Outcome {
    /// The connection stands, or not.
    Connected(io::Result<()>),
    /// Bytes of the peer, or `None` at their end. `ENOBUFS` when all buffers are lent out.
    Received(io::Result<Option<Buffer>>),
    /// The buffer that was to be sent, and how much of it was; `EAGAIN` if there is no room at all.
    Sent(Buffer, io::Result<usize>),
    /// The watched descriptor became readable; `false` if that will not be told again.
    Ready(bool),
}

#[derive(Debug)]
enum Kind {
    Connect(#[expect(dead_code, reason = "the kernel reads it")] Box<SockAddr>),
    Receive,
    Send(Buffer),
    Watch,
}

/// A working ring. It belongs to the thread that enabled it.
pub struct Ring {
    inner: IoUring,
    /// `None` only while it is dropped.
    buffers: Option<Buffers>,
    flights: Slab<(u64, Kind)>,
    /// Only the thread that enabled it may use it.
    _here: PhantomData<*const ()>,
}

impl Ring {
    /// Connects a blocking socket.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full.
    pub fn connect(&mut self, socket: impl AsFd, to: SocketAddr, tag: u64) -> io::Result<Flight> {
        let address = Box::new(SockAddr::from(to));
        let entry = opcode::Connect::new(number(socket), address.as_ptr().cast(), address.len());
        self.start(tag, Kind::Connect(address), entry.build())
    }

    /// Receives once from a blocking socket, into a buffer that is taken only when there is
    /// something.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full.
    pub fn receive(&mut self, socket: impl AsFd, tag: u64) -> io::Result<Flight> {
        let entry = opcode::Recv::new(number(socket), std::ptr::null_mut(), 0)
            .buf_group(GROUP)
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.start(tag, Kind::Receive, entry)
    }

    /// Sends what was received, as much of it as there is room for.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full: the buffer is given back then. `InvalidInput` for
    /// a buffer of another ring.
    pub fn send(&mut self, socket: impl AsFd, buffer: Buffer, tag: u64) -> io::Result<Flight> {
        let bytes = self.bytes(&buffer)?;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(number(socket), bytes.as_ptr(), length)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
            .build();
        self.start(tag, Kind::Send(buffer), entry)
    }

    /// Tells each time when a descriptor (an epoll instance, say) becomes readable.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full.
    pub fn watch(&mut self, fd: impl AsFd, tag: u64) -> io::Result<Flight> {
        let events = u32::try_from(libc::POLLIN).unwrap_or(1);
        let entry = opcode::PollAdd::new(number(fd), events).multi(true).build();
        self.start(tag, Kind::Watch, entry)
    }

    /// Closes a descriptor with the next submission, after whatever was asked for before.
    pub fn close(&mut self, fd: OwnedFd) {
        let raw = fd.into_raw_fd();
        let entry = quiet(opcode::Close::new(Fd(raw)).build());
        // SAFETY: closing reads no memory, and the descriptor is ours to close.
        if unsafe { self.push(&entry) }.is_err() {
            // SAFETY: the kernel has not been told of it, so it is still open and ours.
            drop(unsafe { OwnedFd::from_raw_fd(raw) });
        }
    }

    /// Asks to end an operation. Its completion comes all the same, and may be a success.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full.
    pub fn cancel(&mut self, flight: Flight) -> io::Result<()> {
        let entry = quiet(opcode::AsyncCancel::new(flight.0.into()).build());
        // SAFETY: cancelling reads no memory of ours.
        unsafe { self.push(&entry) }
    }

    /// Hands over what was asked for, and waits for `wait` completions, which may be none.
    ///
    /// # Errors
    /// `Interrupted` by a signal; `ResourceBusy` while too many completions wait.
    pub fn submit(&mut self, wait: usize) -> io::Result<()> {
        let queue = self.inner.submission();
        // What has come is made a completion only by a call that asks for it, even if it does not
        // wait: the kernel says by a flag that there is something.
        let idle = queue.is_empty() && !queue.taskrun() && !queue.cq_overflow();
        drop(queue);
        if wait == 0 && idle {
            return Ok(());
        }
        self.inner.submit_and_wait(wait).map(drop)
    }

    /// The next completion that is there.
    pub fn take(&mut self) -> Option<Completion> {
        loop {
            let entry = self.inner.completion().next()?;
            if let Some(completion) = self.complete(&entry) {
                return Some(completion);
            }
        }
    }

    /// The bytes of a buffer.
    ///
    /// # Errors
    /// `InvalidInput` for a buffer of another ring.
    pub fn bytes(&self, buffer: &Buffer) -> io::Result<&[u8]> {
        let buffers = self.buffers.as_ref();
        let bytes = buffers.and_then(|buffers| buffers.bytes(buffer));
        bytes.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Gives a buffer back for others to be received into.
    pub fn give_back(&mut self, buffer: Buffer) {
        if let Some(buffers) = &mut self.buffers {
            buffers.give_back(buffer);
        }
    }

    /// Gives memory back that many operations at a time have left behind, if few are under way.
    pub fn shrink(&mut self) {
        const SPARSE: usize = 8;
        if self.flights.capacity() > 1024 && self.flights.len() * SPARSE < self.flights.capacity() {
            self.flights.shrink_to_fit();
        }
    }

    /// Operations that have not had their last completion.
    pub fn under_way(&self) -> usize {
        self.flights.len()
    }

    fn start(&mut self, tag: u64, kind: Kind, entry: squeue::Entry) -> io::Result<Flight> {
        let place = self.flights.vacant_entry();
        let flight = u32::try_from(place.key()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        place.insert((tag, kind));
        let entry = entry.user_data(flight.into());
        // SAFETY: what the entry points to is owned by the flight (boxes and buffers do not move
        // with it), which is kept until the completion.
        if let Err(error) = unsafe { self.push(&entry) } {
            if let Some((_, Kind::Send(buffer))) = self.end(flight) {
                self.give_back(buffer);
            }
            return Err(error);
        }
        Ok(Flight(flight))
    }

    fn end(&mut self, flight: u32) -> Option<(u64, Kind)> {
        self.flights.try_remove(usize::try_from(flight).ok()?)
    }

    /// # Safety
    /// Memory that the entry points to stays as it is until its completion.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: promised by the caller.
        while unsafe { self.inner.submission().push(entry) }.is_err() {
            self.inner.submit()?;
        }
        Ok(())
    }

    fn complete(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let key = u32::try_from(entry.user_data()).ok()?;
        let more = cqueue::more(entry.flags());
        if more {
            // Only watching goes on.
            let (tag, _) = self.flights.get(usize::try_from(key).ok()?)?;
            let (tag, outcome) = (*tag, Outcome::Ready(true));
            return Some(Completion { tag, outcome });
        }
        let (tag, kind) = self.end(key)?;
        let result = usize::try_from(entry.result())
            .map_err(|_| io::Error::from_raw_os_error(entry.result().saturating_neg()));
        let outcome = match kind {
            Kind::Connect(_) => Outcome::Connected(result.map(drop)),
            Kind::Watch => Outcome::Ready(false),
            Kind::Send(buffer) => Outcome::Sent(buffer, result),
            Kind::Receive => {
                let id = cqueue::buffer_select(entry.flags());
                Outcome::Received(result.map(|length| self.lend(id?, length)))
            }
        };
        Some(Completion { tag, outcome })
    }

    fn lend(&mut self, id: u16, length: usize) -> Option<Buffer> {
        let buffer = self.buffers.as_ref()?.lend(id, length)?;
        if length > 0 {
            return Some(buffer);
        }
        self.give_back(buffer);
        None
    }

    /// Ends everything under way. False if the kernel still holds on to something.
    fn wind_up(&mut self) -> bool {
        for (key, _) in &self.flights {
            let entry = quiet(opcode::AsyncCancel::new(key as u64).build());
            // SAFETY: cancelling reads no memory of ours.
            while unsafe { self.inner.submission().push(&entry) }.is_err() {
                if self.inner.submit().is_err() {
                    return false;
                }
            }
        }
        for _ in 0..PATIENCE {
            // Completions are taken first: they may keep the kernel from taking more.
            while self.take().is_some() {}
            if self.flights.is_empty() {
                // What is left in the queue only closes descriptors.
                return self.inner.submit().is_ok();
            }
            let done = self.inner.submit_and_wait(1);
            if done.is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
                return false;
            }
        }
        false
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed")
            .field("sizes", &self.sizes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("flights", &self.flights)
            .finish_non_exhaustive()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if !self.wind_up() {
            // The kernel may still read or write there: leaked rather than freed under it.
            std::mem::forget(self.buffers.take());
            std::mem::forget(std::mem::take(&mut self.flights));
        }
    }
}

fn number(fd: impl AsFd) -> Fd {
    Fd(fd.as_fd().as_raw_fd())
}

/// An operation whose success is of no interest.
fn quiet(entry: squeue::Entry) -> squeue::Entry {
    entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(NOBODY)
}
