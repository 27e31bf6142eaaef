//! A received VRRP message with what the IP layer knew about it.

use std::net::IpAddr;

use crate::ipv4::{self, Header};

/// One received IP packet of protocol 112: where it came from and its payload.
///
/// An IPv4 raw socket delivers the IP header, so [`Datagram::from_ipv4`] fills
/// everything in. An IPv6 socket does not: there the fields come from
/// `recvmsg` (source address, `IPV6_PKTINFO`, `IPV6_HOPLIMIT`) and
/// `header_len` is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Datagram {
    /// The sender's address.
    pub source: IpAddr,
    /// The address it was sent to.
    pub destination: IpAddr,
    /// Time to live (IPv4) or hop limit (IPv6), 0..=255.
    pub ttl: u8,
    /// Bytes of IP header in front of the payload; the originals' length
    /// messages count them.
    pub header_len: usize,
    /// The VRRP message. It reaches as far as the IP header says, without
    /// link-layer padding.
    pub payload: Vec<u8>,
}

impl Datagram {
    /// Splits what an IPv4 raw socket delivered.
    ///
    /// # Errors
    /// The IPv4 header is cut short, inconsistent, or not of protocol 112.
    pub fn from_ipv4(packet: &[u8]) -> Result<Self, ipv4::DecodeError> {
        let (header, payload) = Header::decode(packet)?;
        if header.protocol != ipv4::PROTOCOL_VRRP {
            return Err(ipv4::DecodeError::Protocol {
                received: header.protocol,
                expected: ipv4::PROTOCOL_VRRP,
            });
        }
        Ok(Self {
            source: IpAddr::V4(header.source),
            destination: IpAddr::V4(header.destination),
            ttl: header.ttl,
            header_len: header.header_len(),
            payload: payload.to_vec(),
        })
    }

    /// The virtual router id the message names (RFC 3768, 5.3.3), so that a
    /// driver can hand the datagram to the right router; `None` if the message
    /// is too short to hold one.
    #[must_use]
    pub fn vrid(&self) -> Option<u8> {
        self.payload.get(1).copied()
    }

    /// Length of the whole IP packet as the originals' messages count it.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.header_len.saturating_add(self.payload.len())
    }
}
