//! Where the proxies' log lines go: read, counted, forgotten.

use std::io::{Read, stdin};
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::event::epoll::EventFlags;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use serde::Serialize;

use crate::poll::{self, Poller, Step};
use crate::report::line_out;

/// Asked for, so that a busy moment of the machine does not lose lines; the kernel
/// gives what it allows.
const ROOM: usize = 4 << 20;

/// Lines so far.
#[derive(Debug, Default, Serialize)]
struct Counts {
    lines: u64,
    bytes: u64,
    /// The port of the UDP socket, if there is one.
    udp_port: Option<u16>,
}

/// Takes log lines until standard input ends; prints the counts at the start, for each
/// piece of input, and at the end.
pub(crate) fn swallow(udp: Option<SocketAddrV4>, unix: Option<&Path>) -> Result<()> {
    crate::die_with_parent()?;
    let mut counts = Counts::default();
    let mut sockets = Vec::new();
    if let Some(address) = udp {
        let socket = datagram(AddressFamily::INET)?;
        rustix::net::bind(&socket, &address).with_context(|| format!("cannot bind {address}"))?;
        let bound = SocketAddrV4::try_from(rustix::net::getsockname(&socket)?)?;
        counts.udp_port = Some(bound.port());
        sockets.push(socket);
    }
    if let Some(path) = unix {
        let socket = datagram(AddressFamily::UNIX)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)
            .with_context(|| format!("cannot bind {}", path.display()))?;
        sockets.push(socket);
    }
    let mut poller = Poller::new()?;
    for (token, socket) in sockets.iter().enumerate() {
        poller.add(socket, token, EventFlags::IN)?;
    }
    let questions = sockets.len();
    poller.add(stdin(), questions, EventFlags::IN)?;
    line_out(&serde_json::to_string(&counts)?)?;
    let mut ready = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        poller.wait(&mut ready, None)?;
        let asked = ready.contains(&questions);
        for socket in &sockets {
            while let Step::Moved(length) = poll::receive(socket, &mut buffer) {
                counts.lines += 1;
                counts.bytes += length as u64;
            }
        }
        if asked {
            let more = stdin().read(&mut buffer)?;
            line_out(&serde_json::to_string(&counts)?)?;
            if more == 0 {
                return Ok(());
            }
        }
    }
}

fn datagram(family: AddressFamily) -> Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    sockopt::set_socket_recv_buffer_size(&socket, ROOM)?;
    Ok(socket)
}
