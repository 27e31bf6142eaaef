//! Open destinations. One descriptor each, shared by all targets that name it.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{
    AddressFamily, MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, send, sendmmsg, socket_with,
};

/// An unreachable socket path is tried again at most this often; connecting to one never waits.
const RECONNECT_PAUSE: Duration = Duration::from_millis(1);

/// Bytes a pipe takes in one piece when it is writable at all (`pipe(7)`).
const PIPE_BUF: usize = 4096;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// A UNIX datagram socket, such as `/dev/log`.
    Unix(PathBuf),
    /// A UNIX datagram socket in the abstract namespace.
    Abstract(Vec<u8>),
    /// A UDP collector.
    Udp(SocketAddr),
    /// An inherited descriptor; 1 is standard output, 2 standard error.
    Fd(RawFd),
}

/// Why a line was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The reader does not keep up.
    #[error("queue full")]
    Full,
    /// The system's error number.
    #[error("error number {0}")]
    Failed(i32),
}

/// All destinations opened so far.
#[derive(Debug, Default)]
pub struct Sinks {
    open: BTreeMap<Destination, Arc<Sink>>,
}

impl Sinks {
    /// The sink of a destination, opened now if it is new. Opening cannot
    /// fail: a path that does not exist yet is tried again when a line is sent.
    pub fn open(&mut self, destination: &Destination) -> Arc<Sink> {
        if let Some(sink) = self.open.get(destination) {
            return Arc::clone(sink);
        }
        let sink = Arc::new(Sink::new(destination));
        self.open.insert(destination.clone(), Arc::clone(&sink));
        sink
    }
}

/// One open destination.
#[derive(Debug)]
pub struct Sink {
    kind: Kind,
    born: Instant,
    /// Milliseconds after `born` of the last attempt to connect, plus one.
    last_attempt: AtomicU64,
}

#[derive(Debug)]
enum Kind {
    Unix {
        socket: OwnedFd,
        address: SocketAddrUnix,
    },
    Udp {
        socket: UdpSocket,
        address: SocketAddr,
    },
    /// A stream whose reader may be slow: each write is checked first.
    Pipe(OwnedFd),
    /// Written through a socket call that can be told not to wait.
    StreamSocket(OwnedFd),
    /// A regular file: a write does not wait for a reader.
    File(OwnedFd),
    Broken(i32),
}

impl Sink {
    fn new(destination: &Destination) -> Self {
        let kind = open(destination).unwrap_or_else(|error| Kind::Broken(errno(&error)));
        let sink = Self {
            kind,
            born: Instant::now(),
            last_attempt: AtomicU64::new(0),
        };
        if let Kind::Unix { socket, address } = &sink.kind {
            // If nobody listens yet, the first line tries again.
            let _ = connect(socket, address);
        }
        sink
    }

    /// Hands over one line without ever waiting.
    ///
    /// # Errors
    /// The line was lost.
    pub fn send(&self, line: &[u8]) -> Result<(), SendError> {
        let sent = match &self.kind {
            Kind::Unix { socket, address } => self.send_unix(socket, address, line),
            Kind::Udp { socket, address } => socket.send_to(line, address).map(drop),
            Kind::Pipe(pipe) => write_pipe(pipe, line),
            Kind::StreamSocket(socket) => {
                send(socket, line, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
                    .map(drop)
                    .map_err(io::Error::from)
            }
            Kind::File(file) => rustix::io::write(file, line)
                .map(drop)
                .map_err(io::Error::from),
            Kind::Broken(errno) => Err(io::Error::from_raw_os_error(*errno)),
        };
        sent.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => SendError::Full,
            _ => SendError::Failed(errno(&error)),
        })
    }

    /// Hands over several lines at once where the destination can take them so.
    /// The number of lines, from the first on, that it took.
    pub(super) fn send_together(&self, lines: &[&[u8]]) -> usize {
        let (socket, address) = match &self.kind {
            Kind::Unix { socket, .. } => (socket.as_fd(), None),
            Kind::Udp { socket, address } => (socket.as_fd(), Some(address.as_any())),
            Kind::Pipe(_) | Kind::StreamSocket(_) | Kind::File(_) | Kind::Broken(_) => return 0,
        };
        let pieces: Vec<[IoSlice<'_>; 1]> = lines.iter().map(|line| [IoSlice::new(line)]).collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> = lines
            .iter()
            .map(|_| SendAncillaryBuffer::default())
            .collect();
        let mut messages: Vec<MMsgHdr<'_>> = pieces
            .iter()
            .zip(&mut controls)
            .map(|(piece, control)| match &address {
                Some(address) => MMsgHdr::new_with_addr(address, piece, control),
                None => MMsgHdr::new(piece, control),
            })
            .collect();
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmmsg(socket, &mut messages, flags).unwrap_or_default()
    }

    fn send_unix(&self, socket: &OwnedFd, address: &SocketAddrUnix, line: &[u8]) -> io::Result<()> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let error = match send(socket, line, flags) {
            Ok(_) => return Ok(()),
            // ENOBUFS: the system has no room for it either.
            Err(Errno::AGAIN | Errno::NOBUFS) => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Err(Errno::MSGSIZE) => return Err(Errno::MSGSIZE.into()),
            Err(error) => error,
        };
        // The reader is gone or was never there.
        if !self.may_connect() {
            return Err(error.into());
        }
        connect(socket, address)?;
        send(socket, line, flags)?;
        Ok(())
    }

    fn may_connect(&self) -> bool {
        let elapsed = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        let now = elapsed.saturating_add(1);
        let pause = u64::try_from(RECONNECT_PAUSE.as_millis()).unwrap_or_default();
        let last = self.last_attempt.load(Ordering::Relaxed);
        if last != 0 && now < last.saturating_add(pause) {
            return false;
        }
        self.last_attempt
            .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

fn open(destination: &Destination) -> io::Result<Kind> {
    match destination {
        Destination::Unix(path) => open_unix(SocketAddrUnix::new(path.as_path())?),
        Destination::Abstract(name) => open_unix(SocketAddrUnix::new_abstract_name(name)?),
        Destination::Udp(address) => {
            let any: SocketAddr = match address {
                SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let socket = UdpSocket::bind(any)?;
            socket.set_nonblocking(true)?;
            Ok(Kind::Udp {
                socket,
                address: *address,
            })
        }
        Destination::Fd(number) => open_inherited(*number),
    }
}

fn open_unix(address: SocketAddrUnix) -> io::Result<Kind> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    Ok(Kind::Unix { socket, address })
}

/// The non-blocking flag belongs to the open file, which other programs share
/// (a terminal, a pipe to a pager), so it is never set on what was inherited.
fn open_inherited(number: RawFd) -> io::Result<Kind> {
    let fd = osys::fd::duplicate(number)?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
    Ok(match kind {
        FileType::RegularFile => Kind::File(fd),
        FileType::Socket => Kind::StreamSocket(fd),
        _ => Kind::Pipe(reopen_nonblocking(number).unwrap_or(fd)),
    })
}

/// The same pipe or terminal as an open file of our own, which may be
/// non-blocking without anybody else noticing.
fn reopen_nonblocking(number: RawFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{number}");
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(Path::new(&path), flags, Mode::empty())?)
}

/// Writes to a pipe or terminal, which may have to stay in blocking mode:
/// when it is writable, it takes up to [`PIPE_BUF`] bytes without waiting.
fn write_pipe(pipe: &OwnedFd, line: &[u8]) -> io::Result<()> {
    for piece in line.chunks(PIPE_BUF) {
        let mut poll = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::OUT)];
        let now = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if rustix::event::poll(&mut poll, Some(&now))? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        rustix::io::write(pipe, piece)?;
    }
    Ok(())
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or_default()
}
