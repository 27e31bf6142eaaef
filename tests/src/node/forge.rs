//! Sends VRRP packets of any kind from the host it runs on.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;

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

/// Sends one packet.
pub(super) fn forge(spec: &ForgeSpec) -> Result<ExitCode> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(VRRP)))
        .context("cannot open a raw socket")?;
    socket.set_ttl_v4(spec.ttl)?;
    socket.send_to(
        &spec.payload,
        &SockAddr::from(SocketAddrV4::new(spec.target, 0)),
    )?;
    Ok(ExitCode::SUCCESS)
}
