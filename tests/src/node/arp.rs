//! Listens for gratuitous ARP and unsolicited neighbour advertisements on the host's wire.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::Moment;

/// EtherType of ARP (RFC 826).
const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv6 (RFC 2464).
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// A host told everybody that an address is its own: a gratuitous ARP, in which sender and
/// target address are the same, or a neighbour advertisement to all nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When.
    pub at: Moment,
    /// Whose address was announced.
    pub address: IpAddr,
    /// The hardware address that claims it, as `02:00:00:00:fe:fc`.
    pub mac: String,
}

/// What reads an announcement out of a frame.
type Reader = fn(&[u8]) -> Option<(IpAddr, String)>;

/// Reports every announcement until the host ends.
pub(super) fn listen() -> Result<ExitCode> {
    let arp = open(ETHERTYPE_ARP).context("cannot listen for ARP")?;
    let neighbours = open(ETHERTYPE_IPV6).context("cannot listen for neighbours")?;
    super::report(&"listening")?;
    std::thread::spawn(move || follow(neighbours, advertised));
    follow(arp, gratuitous)?;
    Ok(ExitCode::SUCCESS)
}

fn open(ethertype: u16) -> Result<Socket> {
    let protocol = Protocol::from(i32::from(ethertype.to_be()));
    Ok(Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?)
}

fn follow(mut socket: Socket, read: Reader) -> Result<()> {
    let mut frame = [0; 1514];
    loop {
        let length = socket.read(&mut frame)?;
        if let Some((address, mac)) = frame.get(..length).and_then(read) {
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
fn gratuitous(frame: &[u8]) -> Option<(IpAddr, String)> {
    let arp = frame.get(14..)?;
    let octets = |at: usize| <[u8; 4]>::try_from(arp.get(at..at + 4)?).ok();
    let (sender, target) = (octets(14)?, octets(24)?);
    let address = IpAddr::from(Ipv4Addr::from(sender));
    (sender == target && sender != [0; 4]).then_some((address, mac(arp.get(8..14)?)))
}

/// Ethernet header 14 bytes, IPv6 header 40, then RFC 4861, 4.4: type 136, target at 8,
/// and the target's link-layer address as an option of type 2 at 24.
fn advertised(frame: &[u8]) -> Option<(IpAddr, String)> {
    const ICMPV6: u8 = 58;
    let (next, to) = (*frame.get(20)?, frame.get(38..54)?);
    let advert = frame.get(54..)?;
    let to_all = to.first() == Some(&0xff);
    if next != ICMPV6 || !to_all || advert.first() != Some(&136) || advert.get(24) != Some(&2) {
        return None;
    }
    let target = <[u8; 16]>::try_from(advert.get(8..24)?).ok()?;
    Some((
        IpAddr::from(Ipv6Addr::from(target)),
        mac(advert.get(26..32)?),
    ))
}

fn mac(octets: &[u8]) -> String {
    let octets: Vec<String> = octets.iter().map(|b| format!("{b:02x}")).collect();
    octets.join(":")
}
