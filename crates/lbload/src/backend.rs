//! The server behind the proxies: what it does with a connection is said by the first byte.

use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::thread;

use anyhow::{Context, Result};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::poll::{self, Poller, Step};
use crate::report::line_out;
use crate::wire::{self, BLOCK, Mode, Trailer};

/// Connections accepted in one go.
const ACCEPTS: usize = 64;

/// Bytes read at once.
const READ: usize = 1 << 20;

/// Serves for ever; prints the address it listens on once it does.
pub(crate) fn serve(listen: SocketAddrV4, threads: usize) -> Result<()> {
    crate::die_with_parent()?;
    let (first, bound) =
        poll::listen(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let mut listeners = vec![first];
    for _ in 1..threads {
        listeners.push(poll::listen(bound)?.0);
    }
    line_out(&format!("{{\"listening\":\"{bound}\"}}"))?;
    thread::scope(|scope| {
        let running: Vec<_> = listeners
            .into_iter()
            .map(|listener| scope.spawn(|| Server::new(listener)?.run()))
            .collect();
        for thread in running {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a backend thread panicked"))??;
        }
        Ok(())
    })
}

struct Connection {
    socket: OwnedFd,
    mode: Option<Mode>,
    /// What could not be sent yet.
    pending: Vec<u8>,
    sent: u64,
    received: u64,
    /// The other side has ended its direction.
    ended: bool,
    interest: EventFlags,
}

/// Whether a connection goes on.
#[derive(PartialEq, Eq)]
enum Going {
    On,
    Over,
}

struct Server {
    poller: Poller,
    listener: OwnedFd,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    block: Vec<u8>,
    buffer: Vec<u8>,
}

/// The listener's token.
const LISTENER: usize = usize::MAX;

impl Server {
    fn new(listener: OwnedFd) -> Result<Self> {
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER, EventFlags::IN)?;
        Ok(Self {
            poller,
            listener,
            slots: Vec::new(),
            free: Vec::new(),
            block: wire::block(),
            buffer: vec![0; READ],
        })
    }

    fn run(mut self) -> Result<()> {
        let mut ready = Vec::new();
        loop {
            self.poller.wait(&mut ready, None)?;
            for &token in &ready {
                if token == LISTENER {
                    self.accept()?;
                } else {
                    self.advance(token)?;
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        for _ in 0..ACCEPTS {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = match rustix::net::accept_with(&self.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => break,
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(error) => return Err(error).context("cannot accept"),
            };
            let token = self.free.pop().unwrap_or(self.slots.len());
            if token == self.slots.len() {
                self.slots.push(None);
            }
            let interest = EventFlags::IN;
            self.poller.add(&socket, token, interest)?;
            self.slots[token] = Some(Connection {
                socket,
                mode: None,
                pending: Vec::new(),
                sent: 0,
                received: 0,
                ended: false,
                interest,
            });
        }
        Ok(())
    }

    fn advance(&mut self, token: usize) -> Result<()> {
        // An event of the connection that had the slot before finds nothing to do.
        let Some(connection) = &mut self.slots[token] else {
            return Ok(());
        };
        if connection.turn(&self.block, &mut self.buffer) == Going::Over {
            self.slots[token] = None;
            self.free.push(token);
            return Ok(());
        }
        let interest = connection.wants();
        if interest != connection.interest {
            connection.interest = interest;
            self.poller.modify(&connection.socket, token, interest)?;
        }
        Ok(())
    }
}

impl Connection {
    fn turn(&mut self, block: &[u8], buffer: &mut [u8]) -> Going {
        let read = if self.reads() {
            self.read(buffer)
        } else {
            Going::On
        };
        if read == Going::Over {
            return Going::Over;
        }
        self.write(block)
    }

    /// An echo that cannot be sent stops reading, so that memory stays small.
    fn reads(&self) -> bool {
        !self.ended && (self.mode != Some(Mode::Echo) || self.pending.is_empty())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Going {
        let bytes = match poll::receive(&self.socket, buffer) {
            Step::Blocked => return Going::On,
            Step::Failed(_) => return Going::Over,
            Step::Moved(0) => return self.end(),
            Step::Moved(length) => &buffer[..length],
        };
        self.received += bytes.len() as u64;
        if self.mode.is_none() {
            // A health check says nothing, a stranger something else.
            let Some(mode) = bytes.first().copied().and_then(Mode::from_byte) else {
                return Going::Over;
            };
            self.mode = Some(mode);
        }
        if self.mode == Some(Mode::Echo) {
            match poll::send(&self.socket, bytes) {
                Step::Moved(length) => self.pending.extend_from_slice(&bytes[length..]),
                Step::Blocked => self.pending.extend_from_slice(bytes),
                Step::Failed(_) => return Going::Over,
            }
        }
        Going::On
    }

    fn end(&mut self) -> Going {
        self.ended = true;
        match self.mode {
            None => Going::Over,
            Some(Mode::Echo) if self.pending.is_empty() => Going::Over,
            Some(Mode::Echo) => Going::On,
            Some(Mode::Sink | Mode::Source | Mode::Both) => {
                let trailer = Trailer {
                    sent: self.sent,
                    received: self.received,
                };
                self.pending.extend_from_slice(&trailer.encode());
                Going::On
            }
        }
    }

    fn write(&mut self, block: &[u8]) -> Going {
        if !self.pending.is_empty() {
            match poll::send(&self.socket, &self.pending) {
                Step::Moved(length) => {
                    self.pending.drain(..length);
                }
                Step::Blocked => {}
                Step::Failed(_) => return Going::Over,
            }
            if self.ended && self.pending.is_empty() {
                return Going::Over;
            }
        } else if self.streams() {
            let offset = (self.sent % BLOCK as u64) as usize;
            match poll::send(&self.socket, &block[offset..]) {
                Step::Moved(length) => self.sent += length as u64,
                Step::Blocked => {}
                Step::Failed(_) => return Going::Over,
            }
        }
        Going::On
    }

    fn streams(&self) -> bool {
        !self.ended && self.mode.is_some_and(Mode::sends_stream)
    }

    fn wants(&self) -> EventFlags {
        let mut flags = EventFlags::empty();
        if self.reads() {
            flags |= EventFlags::IN;
        }
        if self.streams() || !self.pending.is_empty() {
            flags |= EventFlags::OUT;
        }
        flags
    }
}
