//! Sends VRRP packets of any kind from the host it runs on.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;

use std::time::{Duration, Instant};

use crate::host::INTERFACE;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// IP protocol number of VRRP (RFC 3768, 5.2.4).
const VRRP: i32 = 112;

/// What to send where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForgeSpec {
    /// Where to.
    pub target: Ipv4Addr,
    /// What comes after the IP header.
    pub payload: Vec<u8>,
    /// Time to live of the IP header, which the kernel writes.
    pub ttl: u32,
}

/// What to send again and again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FloodSpec {
    /// Where to and what, in turn.
    pub packets: Vec<(Ipv4Addr, Vec<u8>)>,
    /// Time to live of the IP headers.
    pub ttl: u32,
    /// Packets a second.
    pub per_second: u32,
    /// For how long.
    pub duration: Duration,
}

/// Sends one packet.
pub(super) fn forge(spec: &ForgeSpec) -> Result<ExitCode> {
    let socket = open(spec.ttl)?;
    send(&socket, spec.target, &spec.payload)?;
    Ok(ExitCode::SUCCESS)
}

/// Sends packets for a time, and then says how many went out. Neither a full queue nor a
/// busy machine makes it give up: what is late is made up for.
pub(super) fn flood(spec: &FloodSpec) -> Result<ExitCode> {
    const TURN: Duration = Duration::from_millis(1);
    let socket = open(spec.ttl)?;
    let mut packets = spec.packets.iter().cycle();
    let (start, mut sent, mut due) = (Instant::now(), 0u64, 0u64);
    super::report(&"flooding")?;
    while start.elapsed() < spec.duration {
        let elapsed = u64::try_from(start.elapsed().as_micros())?;
        let target = elapsed * u64::from(spec.per_second) / 1_000_000;
        while due <= target {
            due += 1;
            if let Some((target, payload)) = packets.next()
                && send(&socket, *target, payload).is_ok()
            {
                sent += 1;
            }
        }
        std::thread::sleep(TURN);
    }
    super::report(&sent)?;
    Ok(ExitCode::SUCCESS)
}

fn open(ttl: u32) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(VRRP)))
        .context("cannot open a raw socket")?;
    socket.bind_device(Some(INTERFACE.as_bytes()))?;
    socket.set_ttl_v4(ttl)?;
    socket.set_multicast_ttl_v4(ttl)?;
    socket.set_multicast_loop_v4(false)?;
    // Whatever arrives here concerns nobody.
    socket.set_recv_buffer_size(1)?;
    Ok(socket)
}

fn send(socket: &Socket, target: Ipv4Addr, payload: &[u8]) -> Result<()> {
    socket.send_to(payload, &SockAddr::from(SocketAddrV4::new(target, 0)))?;
    Ok(())
}
