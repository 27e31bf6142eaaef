//! Listens for gratuitous ARP on the host's wire.

use std::io::Read;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::Moment;

/// EtherType of ARP (RFC 826).
const ETHERTYPE_ARP: u16 = 0x0806;

/// A gratuitous ARP that was seen: sender and target address are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When.
    pub at: Moment,
    /// Whose address was announced.
    pub address: Ipv4Addr,
    /// The hardware address that claims it, as `02:00:00:00:fe:fc`.
    pub mac: String,
}

/// Reports every gratuitous ARP until the host ends.
pub(super) fn listen() -> Result<ExitCode> {
    let protocol = Protocol::from(i32::from(ETHERTYPE_ARP.to_be()));
    let mut socket =
        Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).context("cannot listen for ARP")?;
    super::report(&"listening")?;
    let mut frame = [0; 1514];
    loop {
        let length = socket.read(&mut frame)?;
        if let Some((address, mac)) = frame.get(..length).and_then(gratuitous) {
            super::report(&Sighting {
                at: Moment::now(),
                address,
                mac,
            })?;
        }
    }
}

/// Ethernet header 14 bytes, then RFC 826: sender hardware address at 8, sender
/// protocol address at 14, target protocol address at 24.
fn gratuitous(frame: &[u8]) -> Option<(Ipv4Addr, String)> {
    let arp = frame.get(14..)?;
    let octets = |at: usize| <[u8; 4]>::try_from(arp.get(at..at + 4)?).ok();
    let (sender, target) = (octets(14)?, octets(24)?);
    let mac: Vec<String> = arp.get(8..14)?.iter().map(|b| format!("{b:02x}")).collect();
    (sender == target && sender != [0; 4]).then(|| (Ipv4Addr::from(sender), mac.join(":")))
}
