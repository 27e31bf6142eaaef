//! An io_uring for sockets, with a safe face.
//!
//! What the kernel reads or writes while an operation is under way belongs to the ring until its
//! last completion: descriptors, addresses, bytes. Received bytes lie in buffers of the ring, which
//! are lent out as [`Buffer`]s and come back by [`Ring::give_back`] or by being sent.

mod buffers;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::rc::Rc;

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
            serial: 0,
        };
        if let Some(buffers) = &mut ring.buffers {
            buffers.fill();
        }
        Ok(ring)
    }
}

/// Names an operation under way, to cancel it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    key: usize,
    serial: u64,
}

/// What came of an operation.
#[derive(Debug)]
pub enum Outcome {
    /// A client's socket, blocking and close-on-exec.
    Accepted(OwnedFd),
    /// The connection stands.
    Connected,
    /// Bytes of a peer.
    Received(Buffer),
    /// The peer has ended its stream.
    Ended,
    /// So many bytes were sent; fewer than asked for only if it was cancelled meanwhile.
    Sent(usize),
    /// The watched descriptor became readable.
    Ready,
}

/// One completion.
#[derive(Debug)]
pub struct Completion {
    /// What the operation was given as its name.
    pub tag: u64,
    /// The outcome. A cancelled operation fails with `ECANCELED`; receiving with `ENOBUFS` when all
    /// buffers are lent out.
    pub outcome: io::Result<Outcome>,
    /// The operation goes on: more completions will come.
    pub more: bool,
}

#[derive(Debug)]
enum Kind {
    Accept,
    Connect(#[expect(dead_code, reason = "the kernel reads it")] Box<SockAddr>),
    Receive,
    SendBuffer(Buffer),
    SendBytes(#[expect(dead_code, reason = "the kernel reads it")] Vec<u8>),
    Watch,
}

#[derive(Debug)]
struct Flight {
    tag: u64,
    serial: u64,
    kind: Kind,
    /// Stays open, so that its number means the same file until the kernel has looked it up.
    _fd: Rc<OwnedFd>,
}

/// A working ring. It belongs to the thread that enabled it.
pub struct Ring {
    inner: IoUring,
    /// `None` only while it is dropped.
    buffers: Option<Buffers>,
    flights: Slab<Flight>,
    serial: u64,
}

impl Ring {
    /// Accepts clients of a listening socket until it is cancelled or fails.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full.
    pub fn accept(&mut self, listener: &Rc<OwnedFd>, tag: u64) -> io::Result<Ticket> {
        let entry = opcode::AcceptMulti::new(Fd(listener.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        self.start(listener, tag, Kind::Accept, entry)
    }

    /// Connects a blocking socket.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full.
    pub fn connect(
        &mut self,
        socket: &Rc<OwnedFd>,
        to: SocketAddr,
        tag: u64,
    ) -> io::Result<Ticket> {
        let address = Box::new(SockAddr::from(to));
        let entry = opcode::Connect::new(
            Fd(socket.as_raw_fd()),
            address.as_ptr().cast(),
            address.len(),
        )
        .build();
        self.start(socket, tag, Kind::Connect(address), entry)
    }

    /// Receives once, into a buffer that is taken only when there is something.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full.
    pub fn receive(&mut self, socket: &Rc<OwnedFd>, tag: u64) -> io::Result<Ticket> {
        let entry = opcode::Recv::new(Fd(socket.as_raw_fd()), std::ptr::null_mut(), 0)
            .buf_group(GROUP)
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.start(socket, tag, Kind::Receive, entry)
    }

    /// Sends what was received, all of it; the buffer comes back by itself.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full; `InvalidInput` for a buffer of another ring.
    pub fn send(&mut self, socket: &Rc<OwnedFd>, buffer: Buffer, tag: u64) -> io::Result<Ticket> {
        let bytes = self.bytes(&buffer)?;
        let entry = send_entry(socket, bytes);
        self.start(socket, tag, Kind::SendBuffer(buffer), entry)
    }

    /// Sends bytes, all of them.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full.
    pub fn send_bytes(
        &mut self,
        socket: &Rc<OwnedFd>,
        bytes: Vec<u8>,
        tag: u64,
    ) -> io::Result<Ticket> {
        let entry = send_entry(socket, &bytes);
        self.start(socket, tag, Kind::SendBytes(bytes), entry)
    }

    /// Tells each time when a descriptor (an epoll instance, say) becomes readable.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full.
    pub fn watch(&mut self, fd: &Rc<OwnedFd>, tag: u64) -> io::Result<Ticket> {
        let events = u32::try_from(libc::POLLIN).unwrap_or(1);
        let entry = opcode::PollAdd::new(Fd(fd.as_raw_fd()), events)
            .multi(true)
            .build();
        self.start(fd, tag, Kind::Watch, entry)
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

    /// Asks to end an operation. Its last completion comes all the same, and may be a success.
    ///
    /// # Errors
    /// As [`Self::submit`], if the queue is full.
    pub fn cancel(&mut self, ticket: Ticket) -> io::Result<()> {
        let flight = self.flights.get(ticket.key);
        if flight.is_none_or(|flight| flight.serial != ticket.serial) {
            return Ok(());
        }
        let entry = quiet(opcode::AsyncCancel::new(ticket.key as u64).build());
        // SAFETY: cancelling reads no memory of ours.
        unsafe { self.push(&entry) }
    }

    /// Hands over what was asked for, and waits for `wait` completions, which may be none.
    ///
    /// # Errors
    /// `Interrupted` by a signal; `ResourceBusy` while too many completions wait.
    pub fn submit(&mut self, wait: usize) -> io::Result<()> {
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

    /// Operations that have not had their last completion.
    pub fn under_way(&self) -> usize {
        self.flights.len()
    }

    fn start(
        &mut self,
        fd: &Rc<OwnedFd>,
        tag: u64,
        kind: Kind,
        entry: squeue::Entry,
    ) -> io::Result<Ticket> {
        self.serial += 1;
        let serial = self.serial;
        let key = self.flights.insert(Flight {
            tag,
            serial,
            kind,
            _fd: Rc::clone(fd),
        });
        // SAFETY: what the entry points to is owned by the flight (boxes, vectors and buffers do not
        // move with it), which is kept until the last completion.
        if let Err(error) = unsafe { self.push(&entry.user_data(key as u64)) } {
            let flight = self.flights.try_remove(key);
            if let Some(Kind::SendBuffer(buffer)) = flight.map(|flight| flight.kind) {
                self.give_back(buffer);
            }
            return Err(error);
        }
        Ok(Ticket { key, serial })
    }

    /// # Safety
    /// Memory that the entry points to stays as it is until its last completion.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: promised by the caller.
        while unsafe { self.inner.submission().push(entry) }.is_err() {
            self.inner.submit()?;
        }
        Ok(())
    }

    fn complete(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let more = cqueue::more(entry.flags());
        let buffer = cqueue::buffer_select(entry.flags());
        let key = usize::try_from(entry.user_data()).ok()?;
        if entry.user_data() == NOBODY {
            return None;
        }
        let flight = self.flights.get(key)?;
        let tag = flight.tag;
        let length = usize::try_from(entry.result());
        let failed = || io::Error::from_raw_os_error(entry.result().saturating_neg());
        let outcome = match (&flight.kind, length) {
            (Kind::Accept, Ok(_)) => {
                // SAFETY: a descriptor the kernel has just opened for this completion.
                Ok(Outcome::Accepted(unsafe {
                    OwnedFd::from_raw_fd(entry.result())
                }))
            }
            (Kind::Connect(_), Ok(_)) => Ok(Outcome::Connected),
            (Kind::Watch, Ok(_)) => Ok(Outcome::Ready),
            (Kind::SendBuffer(_) | Kind::SendBytes(_), Ok(sent)) => Ok(Outcome::Sent(sent)),
            (Kind::Receive, Ok(length)) => {
                let buffers = self.buffers.as_mut();
                let lent = buffers.and_then(|buffers| buffers.lend(buffer?, length));
                match lent {
                    Some(buffer) if length > 0 => Ok(Outcome::Received(buffer)),
                    Some(unused) => {
                        self.give_back(unused);
                        Ok(Outcome::Ended)
                    }
                    None => Ok(Outcome::Ended),
                }
            }
            (_, Err(_)) => Err(failed()),
        };
        if !more
            && let Some(flight) = self.flights.try_remove(key)
            && let Kind::SendBuffer(buffer) = flight.kind
        {
            self.give_back(buffer);
        }
        Some(Completion { tag, outcome, more })
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

fn send_entry(socket: &Rc<OwnedFd>, bytes: &[u8]) -> squeue::Entry {
    // What is longer is sent in part, as the outcome says.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), length)
        .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
        .build()
}

/// An operation whose success is of no interest.
fn quiet(entry: squeue::Entry) -> squeue::Entry {
    entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(NOBODY)
}
