//! Sockets towards servers, and the options of sockets of either side.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt::{
    set_socket_keepalive, set_socket_linger, set_socket_recv_buffer_size, set_socket_reuseaddr,
    set_socket_send_buffer_size, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
    set_tcp_nodelay, set_tcp_quickack, socket_error,
};
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, bind, connect,
    getsockname, socket_with,
};

use crate::record::Peer;
use crate::session::Failure;
use crate::snapshot::{Keepalive, Server, ServerAddress, SocketOptions};

/// Flags of sockets that epoll watches.
const WAITLESS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// A connection attempt that has begun.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) fd: OwnedFd,
    /// It stands already (UNIX sockets connect at once).
    pub(crate) connected: bool,
}

/// Begins to connect to `server`. `local` is the address the client reached, for servers whose
/// port depends on it.
pub(crate) fn begin(
    server: &Server,
    options: &SocketOptions,
    local: Peer,
) -> Result<Attempt, Failure> {
    match &server.address {
        ServerAddress::Inet(address) => tcp(*address, server, options),
        ServerAddress::Offset { ip, add } => tcp(offset(*ip, *add, local)?, server, options),
        ServerAddress::Unix(path) => {
            let address = SocketAddrUnix::new(path).map_err(|_| Failure::Refused)?;
            unix(&address)
        }
        ServerAddress::Abstract(name) => {
            // The original fills abstract names with zeros to the end of the address.
            let mut padded = [0; 107];
            let room = padded.get_mut(..name.len()).ok_or(Failure::Refused)?;
            room.copy_from_slice(name);
            let address =
                SocketAddrUnix::new_abstract_name(&padded).map_err(|_| Failure::Refused)?;
            unix(&address)
        }
    }
}

/// The socket for an attempt that a ring makes, and where it goes; `None` if the server is not to be
/// reached by TCP.
pub(crate) fn prepare(
    server: &Server,
    options: &SocketOptions,
    local: Peer,
) -> Option<Result<(OwnedFd, SocketAddr), Failure>> {
    let address = match &server.address {
        ServerAddress::Inet(address) => Ok(*address),
        ServerAddress::Offset { ip, add } => offset(*ip, *add, local),
        ServerAddress::Unix(_) | ServerAddress::Abstract(_) => return None,
    };
    Some(address.and_then(|address| {
        let fd = inet(address, server, options, SocketFlags::CLOEXEC)?;
        Ok((fd, address))
    }))
}

/// The server's port, counted from the one that the client reached.
fn offset(ip: IpAddr, add: i32, local: Peer) -> Result<SocketAddr, Failure> {
    let port = match local {
        Peer::Inet(address) => i32::from(address.port()),
        Peer::Unix => 0,
    };
    let port = u16::try_from(port.saturating_add(add)).map_err(|_| Failure::Refused)?;
    Ok(SocketAddr::new(ip, port))
}

/// A socket for a server, with everything it needs before it is connected.
fn inet(
    address: SocketAddr,
    server: &Server,
    options: &SocketOptions,
    flags: SocketFlags,
) -> Result<OwnedFd, Failure> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let fd = stream(family, flags)?;
    // Small writes of one side leave at once: the sender has decided where its segments end.
    let _unsupported = set_tcp_nodelay(&fd, true);
    apply(fd.as_fd(), options);
    if let Some(source) = server.source {
        let _unsupported = set_socket_reuseaddr(&fd, true);
        bind(&fd, &source).map_err(|_| Failure::Resource)?;
    }
    Ok(fd)
}

fn tcp(address: SocketAddr, server: &Server, options: &SocketOptions) -> Result<Attempt, Failure> {
    let fd = inet(address, server, options, WAITLESS)?;
    let result = connect(&fd, &address);
    begun(fd, result)
}

fn unix(address: &SocketAddrUnix) -> Result<Attempt, Failure> {
    let fd = stream(AddressFamily::UNIX, WAITLESS)?;
    let result = connect(&fd, address);
    begun(fd, result)
}

fn stream(family: AddressFamily, flags: SocketFlags) -> Result<OwnedFd, Failure> {
    socket_with(family, SocketType::STREAM, flags, None).map_err(|_| Failure::Resource)
}

fn begun(fd: OwnedFd, result: Result<(), Errno>) -> Result<Attempt, Failure> {
    match result {
        Ok(()) => Ok(Attempt {
            fd,
            connected: true,
        }),
        Err(Errno::INPROGRESS | Errno::INTR) => Ok(Attempt {
            fd,
            connected: false,
        }),
        Err(error) => Err(refusal(error)),
    }
}

/// What an error of connect(2) means. No free local port is ours to answer for; a UNIX listener with
/// a full backlog (EAGAIN) is the server's.
pub(crate) fn refusal(error: Errno) -> Failure {
    match error {
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE | Errno::NOBUFS | Errno::NOMEM => Failure::Resource,
        Errno::TIMEDOUT => Failure::TimedOut,
        _ => Failure::Refused,
    }
}

/// Whether a connection attempt has come to its end, seen without waiting.
pub(crate) fn settled(fd: BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// The result of an attempt whose socket became writable.
pub(crate) fn outcome(fd: BorrowedFd<'_>) -> Result<(), Failure> {
    match socket_error(fd) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Errno::TIMEDOUT)) => Err(Failure::TimedOut),
        Ok(Err(_)) | Err(_) => Err(Failure::Refused),
    }
}

/// Applies the options of one side; an option the socket does not know is left out.
pub(crate) fn apply(fd: BorrowedFd<'_>, options: &SocketOptions) {
    let bytes = |size: u32| usize::try_from(size).unwrap_or(usize::MAX);
    if let Some(size) = options.receive_buffer {
        let _unsupported = set_socket_recv_buffer_size(fd, bytes(size));
    }
    if let Some(size) = options.send_buffer {
        let _unsupported = set_socket_send_buffer_size(fd, bytes(size));
    }
    if options.smart_connect {
        let _unsupported = set_tcp_quickack(fd, false);
    }
    let Keepalive {
        enabled,
        count,
        idle,
        interval,
    } = options.keepalive;
    if !enabled {
        return;
    }
    let _unsupported = set_socket_keepalive(fd, true);
    if let Some(count) = count {
        let _unsupported = set_tcp_keepcnt(fd, count);
    }
    if let Some(idle) = idle {
        let _unsupported = set_tcp_keepidle(fd, idle);
    }
    if let Some(interval) = interval {
        let _unsupported = set_tcp_keepintvl(fd, interval);
    }
}

/// Makes the coming close of `fd` a reset.
pub(crate) fn reset_on_close(fd: BorrowedFd<'_>) {
    let _unsupported = set_socket_linger(fd, Some(std::time::Duration::ZERO));
}

/// The local address of a socket.
pub(crate) fn local_peer(fd: BorrowedFd<'_>) -> Peer {
    getsockname(fd).map_or(Peer::Unix, |address| peer(Some(&address)))
}

/// An address as the log knows it. An IPv4 client of an IPv6 socket stays an IPv4 client.
pub(crate) fn peer(address: Option<&SocketAddrAny>) -> Peer {
    let Some(address) = address.and_then(|any| SocketAddr::try_from(any.clone()).ok()) else {
        return Peer::Unix;
    };
    Peer::Inet(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::{socket_recv_buffer_size, socket_send_buffer_size};

    use super::*;

    #[test]
    fn buffers_of_sockets_are_set_only_if_asked_for() {
        let sizes = |options: &SocketOptions| {
            let fd = stream(AddressFamily::INET, WAITLESS).unwrap();
            apply(fd.as_fd(), options);
            let receive = socket_recv_buffer_size(&fd).unwrap();
            (receive, socket_send_buffer_size(&fd).unwrap())
        };
        let usual = sizes(&SocketOptions::default());
        let set = sizes(&SocketOptions {
            receive_buffer: Some(30_000),
            send_buffer: Some(31_000),
            ..SocketOptions::default()
        });
        assert_ne!(usual, set);
        // The kernel doubles what it is asked for.
        assert_eq!(set, (60_000, 62_000));
    }
}
