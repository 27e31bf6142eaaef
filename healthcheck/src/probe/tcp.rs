//! The connection under every probe.

use std::borrow::Cow;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::hello::{Stream, judge, ssl_hello};
use super::{Kind, Limits, Peer};
use crate::{Outcome, Status};

/// Bytes of an answer that are read at most; the first five decide.
const ANSWER: usize = 1024;

/// What a check found, without its duration.
type Finding = (Status, Cow<'static, str>);

pub(super) async fn run(peer: &Peer, kind: Kind, limits: Limits) -> Outcome {
    let begin = Instant::now();
    let (status, info) = match timeout(limits.connect, connect(peer)).await {
        Err(_) => (Status::L4Timeout, Cow::Borrowed("")),
        Ok(Err(finding)) => finding,
        Ok(Ok(connection)) => match kind {
            Kind::Connect => (Status::L4Ok, Cow::Borrowed("")),
            Kind::SslHello => {
                let left = limits
                    .answer
                    .unwrap_or_else(|| limits.connect.saturating_sub(begin.elapsed()));
                hello(&connection, left).await
            }
        },
    };
    Outcome {
        status,
        info,
        duration: begin.elapsed(),
    }
}

/// A connection that ends with a reset: nobody waits for a checker's last bytes, and no port
/// stays in TIME_WAIT.
enum Connection {
    Inet(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    /// Hands a socket whose connect may still be under way to the runtime.
    fn new(peer: &Peer, socket: Socket) -> io::Result<Self> {
        Ok(match peer {
            Peer::Inet(_) => Self::Inet(TcpStream::from_std(socket.into())?),
            Peer::Unix(_) | Peer::Abstract(_) => {
                Self::Unix(UnixStream::from_std(OwnedFd::from(socket).into())?)
            }
        })
    }

    async fn ready(&self, interest: Interest) -> io::Result<()> {
        match self {
            Self::Inet(stream) => stream.ready(interest).await?,
            Self::Unix(stream) => stream.ready(interest).await?,
        };
        Ok(())
    }

    fn error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Inet(stream) => stream.take_error(),
            Self::Unix(stream) => stream.take_error(),
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Inet(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Inet(stream) => stream.try_read(buffer),
            Self::Unix(stream) => stream.try_read(buffer),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Self::Inet(stream) = &*self {
            // Without the option the socket still closes, only more politely.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

async fn connect(peer: &Peer) -> Result<Connection, Finding> {
    let (domain, address) = address(peer).map_err(|error| local_error(&error))?;
    let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), None)
        .map_err(|error| local_error(&error))?;
    if let Peer::Inet(_) = peer {
        // Without quick acknowledgements the kernel holds the handshake's last ACK back. A plain
        // check closes (with a reset) before it goes out, so the server's accept(2) never
        // returns and its log stays clean.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_quickack(false);
    }
    let pending = match socket.connect(&address) {
        Ok(()) => false,
        Err(error) if is(&error, Errno::INPROGRESS) => true,
        Err(error) => return Err(refused_at_once(peer, &error)),
    };
    let connection = Connection::new(peer, socket).map_err(|error| local_error(&error))?;
    if pending {
        let ready = connection.ready(Interest::WRITABLE).await;
        ready.map_err(|error| local_error(&error))?;
    }
    match connection.error() {
        Ok(None) => Ok(connection),
        Ok(Some(error)) | Err(error) => Err((Status::L4Connection, words(&error))),
    }
}

fn address(peer: &Peer) -> io::Result<(Domain, SockAddr)> {
    Ok(match peer {
        Peer::Inet(address) => (Domain::for_address(*address), SockAddr::from(*address)),
        Peer::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
        Peer::Abstract(name) => {
            let mut path = Vec::with_capacity(name.len() + 1);
            path.push(0);
            path.extend_from_slice(name);
            let path = Path::new(std::ffi::OsStr::from_bytes(&path));
            (Domain::UNIX, SockAddr::unix(path)?)
        }
    })
}

async fn hello(connection: &Connection, limit: Duration) -> Finding {
    match timeout(limit, exchange(connection)).await {
        Err(_) => (Status::L6Timeout, Cow::Borrowed("")),
        Ok(Ok(finding)) => finding,
        Ok(Err(error)) => (Status::SocketError, words(&error)),
    }
}

async fn exchange(connection: &Connection) -> io::Result<Finding> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // The field has 32 bits and wraps, as on every TLS stack (RFC 6101, 5.6.1.2).
    let seconds = now.unwrap_or_default().as_secs() & u64::from(u32::MAX);
    let hello = ssl_hello(u32::try_from(seconds).unwrap_or_default());
    let mut rest: &[u8] = &hello;
    while !rest.is_empty() {
        connection.ready(Interest::WRITABLE).await?;
        match connection.try_write(rest) {
            Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let mut answer = Vec::with_capacity(ANSWER);
    let mut buffer = [0; ANSWER];
    loop {
        connection.ready(Interest::READABLE).await?;
        let length = match connection.try_read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let stream = if length == 0 {
            Stream::Ended
        } else {
            Stream::Open
        };
        if let Some(finding) = judge(&answer, stream) {
            return Ok(finding);
        }
    }
}

/// An error of this host's own making.
fn local_error(error: &io::Error) -> Finding {
    (Status::SocketError, general(error))
}

/// `connect(2)` failed before anything was sent.
fn refused_at_once(peer: &Peer, error: &io::Error) -> Finding {
    match peer {
        Peer::Inet(_) if is(error, Errno::CONNREFUSED) => (Status::L4Connection, words(error)),
        Peer::Inet(_) => (Status::L4Connection, general(error)),
        Peer::Unix(_) | Peer::Abstract(_) => (Status::SocketError, general(error)),
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    Errno::from_io_error(error) == Some(errno)
}

/// The system's words for an error, without Rust's " (os error N)".
fn words(error: &io::Error) -> Cow<'static, str> {
    match error.raw_os_error() {
        Some(number) => Cow::Borrowed(nix::errno::Errno::from_raw(number).desc()),
        None => Cow::Owned(error.to_string()),
    }
}

fn general(error: &io::Error) -> Cow<'static, str> {
    Cow::Owned(format!("General socket error ({})", words(error)))
}
