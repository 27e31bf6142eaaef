//! Gratuitous ARP over Ethernet for IPv4 (RFC 826, RFC 5227 section 3).

use std::net::Ipv4Addr;

use pnet_packet::arp::{ArpHardwareTypes, ArpOperation, ArpPacket, MutableArpPacket};
use pnet_packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use thiserror::Error;

/// Length in bytes of an Ethernet frame with an ARP packet, without padding.
pub const FRAME_LEN: usize = 42;

/// A hardware address.
pub type MacAddr = [u8; 6];

/// Everybody on the segment.
pub const BROADCAST: MacAddr = [0xff; 6];

const ETHERNET_LEN: usize = 14;

/// Request or reply; other code points survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// 1
    Request,
    /// 2
    Reply,
    /// Any other value.
    Other(u16),
}

/// An Ethernet frame that carries ARP for IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Ethernet destination.
    pub destination: MacAddr,
    /// Ethernet source.
    pub source: MacAddr,
    /// Request or reply.
    pub operation: Operation,
    /// Sender hardware address.
    pub sender_mac: MacAddr,
    /// Sender protocol address.
    pub sender: Ipv4Addr,
    /// Target hardware address.
    pub target_mac: MacAddr,
    /// Target protocol address.
    pub target: Ipv4Addr,
}

/// Why bytes are not an Ethernet frame with ARP for IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Fewer than 42 bytes.
    #[error("arp frame too short, length {length} and expect at least {FRAME_LEN}")]
    TooShort {
        /// Bytes present.
        length: usize,
    },
    /// The frame carries something else.
    #[error("ethertype {received:#06x} and expect 0x0806")]
    EtherType {
        /// The ethertype field.
        received: u16,
    },
    /// Not Ethernet/IPv4 ARP, or address lengths that do not fit it.
    #[error(
        "arp for hardware {hardware}/{hardware_len}, protocol {protocol:#06x}/{protocol_len} is not ethernet and ipv4"
    )]
    Kind {
        /// Hardware type field; 1 is Ethernet.
        hardware: u16,
        /// Hardware address length field in bytes.
        hardware_len: u8,
        /// Protocol type field; 0x0800 is IPv4.
        protocol: u16,
        /// Protocol address length field in bytes.
        protocol_len: u8,
    },
}

impl Operation {
    const fn from_wire(value: u16) -> Self {
        match value {
            1 => Self::Request,
            2 => Self::Reply,
            other => Self::Other(other),
        }
    }

    const fn to_wire(self) -> u16 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
            Self::Other(other) => other,
        }
    }
}

impl Packet {
    /// The announcement that `address` is at `mac`: a broadcast *request* with
    /// sender and target both `address` and the broadcast address as target
    /// hardware address, as keepalived sends it (not zeros).
    #[must_use]
    pub const fn gratuitous(mac: MacAddr, address: Ipv4Addr) -> Self {
        Self {
            destination: BROADCAST,
            source: mac,
            operation: Operation::Request,
            sender_mac: mac,
            sender: address,
            target_mac: BROADCAST,
            target: address,
        }
    }

    /// Whether this announces an address rather than asking for one.
    #[must_use]
    pub fn is_gratuitous(&self) -> bool {
        self.sender == self.target
    }

    /// Reads a frame; padding behind the 42 bytes is allowed.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let too_short = DecodeError::TooShort {
            length: frame.len(),
        };
        let body = frame.get(ETHERNET_LEN..FRAME_LEN).ok_or(too_short)?;
        let ethernet = EthernetPacket::new(frame).ok_or(too_short)?;
        let arp = ArpPacket::new(body).ok_or(too_short)?;
        if ethernet.get_ethertype() != EtherTypes::Arp {
            return Err(DecodeError::EtherType {
                received: ethernet.get_ethertype().0,
            });
        }
        let (hardware, hardware_len) = (arp.get_hardware_type(), arp.get_hw_addr_len());
        let (protocol, protocol_len) = (arp.get_protocol_type(), arp.get_proto_addr_len());
        if (hardware, hardware_len) != (ArpHardwareTypes::Ethernet, 6)
            || (protocol, protocol_len) != (EtherTypes::Ipv4, 4)
        {
            return Err(DecodeError::Kind {
                hardware: hardware.0,
                hardware_len,
                protocol: protocol.0,
                protocol_len,
            });
        }
        Ok(Self {
            destination: ethernet.get_destination().octets(),
            source: ethernet.get_source().octets(),
            operation: Operation::from_wire(arp.get_operation().0),
            sender_mac: arp.get_sender_hw_addr().octets(),
            sender: arp.get_sender_proto_addr(),
            target_mac: arp.get_target_hw_addr().octets(),
            target: arp.get_target_proto_addr(),
        })
    }

    /// Writes the whole frame over `frame`.
    pub fn emit(&self, frame: &mut [u8; FRAME_LEN]) {
        let (header, body) = frame.split_at_mut(ETHERNET_LEN);
        // Both buffers have the length their packet needs, so there is a view.
        if let Some(mut ethernet) = MutableEthernetPacket::new(header) {
            ethernet.set_destination(self.destination.into());
            ethernet.set_source(self.source.into());
            ethernet.set_ethertype(EtherTypes::Arp);
        }
        if let Some(mut arp) = MutableArpPacket::new(body) {
            arp.set_hardware_type(ArpHardwareTypes::Ethernet);
            arp.set_protocol_type(EtherTypes::Ipv4);
            arp.set_hw_addr_len(6);
            arp.set_proto_addr_len(4);
            arp.set_operation(ArpOperation::new(self.operation.to_wire()));
            arp.set_sender_hw_addr(self.sender_mac.into());
            arp.set_sender_proto_addr(self.sender);
            arp.set_target_hw_addr(self.target_mac.into());
            arp.set_target_proto_addr(self.target);
        }
    }
}

/// The 42 bytes of [`Packet::gratuitous`].
#[must_use]
pub fn gratuitous(mac: MacAddr, address: Ipv4Addr) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    Packet::gratuitous(mac, address).emit(&mut frame);
    frame
}

#[cfg(test)]
mod tests;
