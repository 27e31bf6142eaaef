//! epoll and non-blocking sockets.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use rustix::time::Timespec;

/// Events taken from the kernel at once.
const BATCH: usize = 256;

/// One epoll descriptor.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(BATCH),
        })
    }

    pub(crate) fn add(&self, source: impl AsFd, token: usize, flags: EventFlags) -> io::Result<()> {
        let data = EventData::new_u64(token as u64);
        Ok(epoll::add(&self.epoll, source, data, flags)?)
    }

    pub(crate) fn modify(
        &self,
        source: impl AsFd,
        token: usize,
        flags: EventFlags,
    ) -> io::Result<()> {
        let data = EventData::new_u64(token as u64);
        Ok(epoll::modify(&self.epoll, source, data, flags)?)
    }

    /// Waits, and puts the tokens of what is ready into `ready`.
    pub(crate) fn wait(
        &mut self,
        ready: &mut Vec<usize>,
        most: Option<Duration>,
    ) -> io::Result<()> {
        ready.clear();
        self.events.clear();
        // Whole milliseconds, rounded up: the old call takes no less.
        let most = most.map(|most| {
            let millis = i64::try_from(most.as_millis()).unwrap_or(i64::MAX / 2) + 1;
            Timespec {
                tv_sec: millis / 1000,
                tv_nsec: millis % 1000 * 1_000_000,
            }
        });
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), most.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.extend(self.events.iter().map(|event| event.data.u64() as usize));
        Ok(())
    }
}

/// What a send or receive came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes; 0 from a receive is the end of the stream.
    Moved(usize),
    /// Not now.
    Blocked,
    /// The connection is lost.
    Failed(Errno),
}

pub(crate) fn send(socket: impl AsFd, bytes: &[u8]) -> Step {
    step(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL))
}

pub(crate) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Step {
    step(rustix::net::recv(socket, buffer, RecvFlags::empty()).map(|(_, length)| length))
}

fn step(outcome: rustix::io::Result<usize>) -> Step {
    match outcome {
        Ok(length) => Step::Moved(length),
        // A connection that is still being made is not ready either.
        Err(Errno::AGAIN | Errno::INTR | Errno::NOTCONN | Errno::INPROGRESS) => Step::Blocked,
        Err(errno) => Step::Failed(errno),
    }
}

fn stream() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
}

/// Begins a connection.
pub(crate) fn connect(target: SocketAddrV4) -> rustix::io::Result<OwnedFd> {
    let socket = stream()?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match rustix::net::connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// A listener of its own share of the connections.
pub(crate) fn listen(address: SocketAddrV4) -> io::Result<(OwnedFd, SocketAddrV4)> {
    let socket = stream()?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    // Accepted sockets inherit it.
    sockopt::set_tcp_nodelay(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, 4096)?;
    let bound = SocketAddrV4::try_from(rustix::net::getsockname(&socket)?)?;
    Ok((socket, bound))
}

/// The error's name as the kernel's manual has it, for the report.
pub(crate) fn name(errno: Errno) -> String {
    match errno {
        Errno::CONNREFUSED => "refused".to_owned(),
        Errno::CONNRESET => "reset".to_owned(),
        Errno::PIPE => "broken pipe".to_owned(),
        Errno::ADDRNOTAVAIL => "no free port".to_owned(),
        Errno::MFILE | Errno::NFILE => "no descriptor".to_owned(),
        Errno::TIMEDOUT => "timed out".to_owned(),
        other => io::Error::from(other).to_string(),
    }
}
