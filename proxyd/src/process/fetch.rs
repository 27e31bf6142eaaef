//! `-x`: listening sockets from a process that is still serving.
//!
//! The old process is asked over its admin socket (`expose-fd listeners`) in
//! the original's own way, seen on the wire: `_getsocks` and a line feed; then
//! the number of sockets as a native integer; then messages that carry up to
//! [`BATCH`] descriptors each and, for each of them, the name of a network
//! namespace, the name of an interface (a length byte before either) and an
//! integer of flags. Each message is acknowledged by an integer.

use std::ffi::OsStr;
use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use haproxy_cfg::model::{BindAddr, V6Only};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrAny, SocketAddrUnix,
    getsockname, recvmsg, sockopt,
};
use socket2::SockRef;

use super::sockets::{Inherited, Key};

/// Descriptors in one message; the kernel's own limit.
const BATCH: usize = 253;
/// More sockets than this are not believed.
const MOST: i32 = 100_000;
/// Bytes of a message: two names and an integer for each descriptor.
const MESSAGE: usize = BATCH * (2 + 255 + 255 + 4);
/// A process that does not answer is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why no sockets were had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody listens there; the text is the original's.
    #[error("Failed to connect to the old process socket '{0}'")]
    NotThere(String),
    /// What listens there does not hand sockets over.
    #[error("Failed to get the number of sockets to be transferred !")]
    NotOffered,
    /// It stopped in the middle.
    #[error("Failed to receive sockets from the old process : {0}")]
    Broken(String),
}

/// Fetches every listening socket of the process behind the admin socket
/// `address`.
///
/// # Errors
/// [`Failure`]; nothing was taken over then.
pub(crate) fn sockets(address: &OsStr) -> Result<Inherited, Failure> {
    let shown = address.to_string_lossy().into_owned();
    let stream = connect(address).map_err(|_| Failure::NotThere(shown))?;
    let count = ask(&stream).map_err(|_| Failure::NotOffered)?;
    let count = usize::try_from(count)
        .ok()
        .filter(|_| (0..=MOST).contains(&count))
        .ok_or(Failure::NotOffered)?;
    let received =
        receive(&stream, count).map_err(|error| Failure::Broken(osys::error_text(&error)))?;
    let mut inherited = Inherited::default();
    for (fd, interface) in received {
        if let Some(key) = key_of(&fd, &interface) {
            inherited.add(key, fd);
        }
    }
    Ok(inherited)
}

fn connect(address: &OsStr) -> io::Result<UnixStream> {
    let bytes = address.as_bytes();
    let path = bytes.strip_prefix(b"unix@").unwrap_or(bytes);
    let stream = match bytes.strip_prefix(b"abns@") {
        Some(name) => {
            let name = super::unix_socket::abstract_address(name)?;
            let flags = rustix::net::SocketFlags::CLOEXEC;
            let socket = rustix::net::socket_with(
                rustix::net::AddressFamily::UNIX,
                rustix::net::SocketType::STREAM,
                flags,
                None,
            )?;
            rustix::net::connect(&socket, &name)?;
            UnixStream::from(socket)
        }
        None => UnixStream::connect(Path::new(OsStr::from_bytes(path)))?,
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(mut stream: &UnixStream) -> io::Result<i32> {
    stream.write_all(b"_getsocks\n")?;
    let mut count = [0; 4];
    stream.read_exact(&mut count)?;
    Ok(i32::from_ne_bytes(count))
}

/// Descriptors, each with the name of the interface it is bound to.
fn receive(mut stream: &UnixStream, count: usize) -> io::Result<Vec<(OwnedFd, Vec<u8>)>> {
    let mut received = Vec::new();
    let mut message = vec![0; MESSAGE];
    while received.len() < count {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let length = {
            let mut parts = [IoSliceMut::new(&mut message)];
            recvmsg(stream, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes
        };
        let mut names = message.get(..length).unwrap_or_default();
        let before = received.len();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = part {
                for fd in fds {
                    received.push((fd, interface(&mut names)?));
                }
            }
        }
        if received.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // After the last one the old process does not listen any more.
        let _ = stream.write_all(&0_i32.to_ne_bytes());
    }
    Ok(received)
}

/// Reads what belongs to one descriptor: namespace, interface, flags.
fn interface(names: &mut &[u8]) -> io::Result<Vec<u8>> {
    let short = || io::Error::from(io::ErrorKind::InvalidData);
    let mut take = |length: usize| {
        let (taken, rest) = names.split_at_checked(length).ok_or_else(short)?;
        *names = rest;
        Ok::<_, io::Error>(taken)
    };
    let mut name = || {
        let length = take(1)?.first().copied().unwrap_or_default();
        take(usize::from(length)).map(<[u8]>::to_vec)
    };
    let _namespace = name()?;
    let interface = name()?;
    take(size_of::<i32>())?;
    Ok(interface)
}

/// The key of a socket, from what the kernel says about it.
fn key_of(fd: &OwnedFd, interface: &[u8]) -> Option<Key> {
    let address = getsockname(fd).ok()?;
    let (address, transparent) = match SocketAddr::try_from(address.clone()) {
        Ok(address) => inet(fd, address),
        Err(_) => (unix(&address)?, false),
    };
    let interface = (!interface.is_empty()).then_some(interface);
    Some(Key::of(&address, transparent, interface))
}

fn inet(fd: &OwnedFd, addr: SocketAddr) -> (BindAddr, bool) {
    let socket = SockRef::from(fd);
    let (transparent, v6only) = match addr {
        SocketAddr::V4(_) => {
            let on = socket.ip_transparent_v4().unwrap_or(false)
                || socket.freebind_v4().unwrap_or(false);
            (on, V6Only::System)
        }
        SocketAddr::V6(_) => {
            let only = match sockopt::ipv6_v6only(fd) {
                Ok(true) => V6Only::On,
                _ => V6Only::Off,
            };
            let on = socket.ip_transparent_v6().unwrap_or(false)
                || socket.freebind_v6().unwrap_or(false);
            (on, only)
        }
    };
    (BindAddr::Inet { addr, v6only }, transparent)
}

fn unix(address: &SocketAddrAny) -> Option<BindAddr> {
    let address = SocketAddrUnix::try_from(address.clone()).ok()?;
    if let Some(name) = address.abstract_name() {
        let end = name.iter().rposition(|byte| *byte != 0)? + 1;
        return Some(BindAddr::Abns(name.get(..end)?.to_vec()));
    }
    let bound = address.path()?.to_bytes().to_vec();
    Some(BindAddr::Unix(PathBuf::from(OsStr::from_bytes(
        without_suffix(&bound),
    ))))
}

/// The path under which a socket was put into place: it was bound as
/// `<path>.<pid>.tmp`.
fn without_suffix(bound: &[u8]) -> &[u8] {
    let stripped = bound.strip_suffix(b".tmp").and_then(|rest| {
        let dot = rest.iter().rposition(|byte| *byte == b'.')?;
        let (path, pid) = rest.split_at_checked(dot)?;
        let digits = pid.get(1..)?;
        (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some(path)
    });
    stripped.unwrap_or(bound)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixListener;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    /// An old process that answers with these bytes and descriptors.
    fn old_process(count: i32, names: Vec<u8>, fds: Vec<OwnedFd>) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old.sock");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 10];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(&request, b"_getsocks\n");
            stream.write_all(&count.to_ne_bytes()).unwrap();
            let borrowed: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(&borrowed)));
            let parts = [io::IoSlice::new(&names)];
            let _ = sendmsg(&stream, &parts, &mut control, SendFlags::empty());
        });
        (dir, path)
    }

    #[test]
    fn sockets_arrive_under_their_addresses() {
        let dir = tempfile::tempdir().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let path = dir.path().join("u.sock");
        let unix = UnixListener::bind(dir.path().join("u.sock.4711.tmp")).unwrap();
        // As haproxy 2.6.12 sends them: the first one is bound to `lo`.
        let names = b"\0\x02lo\0\0\0\0\0\0\0\0\0\0".to_vec();
        let (_dir, old) = old_process(2, names, vec![tcp.into(), unix.into()]);
        let mut inherited = sockets(old.as_os_str()).unwrap();
        let inet = BindAddr::Inet {
            addr: address,
            v6only: V6Only::System,
        };
        assert!(inherited.take(&Key::of(&inet, false, None)).is_none());
        assert!(
            inherited
                .take(&Key::of(&inet, false, Some(b"lo")))
                .is_some()
        );
        let key = Key::of(&BindAddr::Unix(path), false, None);
        assert!(inherited.take(&key).is_some());
    }

    #[test]
    fn every_failure_is_told_apart() {
        let nobody = sockets(OsStr::new("/nonexistent.sock")).unwrap_err();
        assert_eq!(
            nobody.to_string(),
            "Failed to connect to the old process socket '/nonexistent.sock'"
        );
        // "Unkn", as an admin socket begins that does not know the command.
        let (_dir, old) = old_process(i32::from_ne_bytes(*b"Unkn"), vec![0], vec![]);
        assert_eq!(sockets(old.as_os_str()).unwrap_err(), Failure::NotOffered);
        let (_dir, old) = old_process(3, vec![0], vec![]);
        let broken = sockets(old.as_os_str()).unwrap_err();
        assert!(matches!(broken, Failure::Broken(_)), "{broken:?}");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (_dir, old) = old_process(1, vec![0, 9, 0], vec![listener.into()]);
        let broken = sockets(old.as_os_str()).unwrap_err();
        assert!(matches!(broken, Failure::Broken(_)), "{broken:?}");
    }

    #[test]
    fn only_the_suffix_of_a_bound_socket_is_taken_off() {
        for (bound, path) in [
            ("/run/a.sock.12.tmp", "/run/a.sock"),
            ("/run/a.sock", "/run/a.sock"),
            ("/run/a.tmp", "/run/a.tmp"),
            ("/run/a.x.tmp", "/run/a.x.tmp"),
        ] {
            assert_eq!(without_suffix(bound.as_bytes()), path.as_bytes());
        }
    }
}
