//! Gratuitous ARP over Ethernet for IPv4 (RFC 826, RFC 5227 section 3).

use std::net::Ipv4Addr;

use thiserror::Error;

use crate::read::take;

/// Length in bytes of an Ethernet frame with an ARP packet, without padding.
pub const FRAME_LEN: usize = 42;

/// A hardware address.
pub type MacAddr = [u8; 6];

/// Everybody on the segment.
pub const BROADCAST: MacAddr = [0xff; 6];

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV4: u16 = 0x0800;
const HARDWARE_ETHERNET: u16 = 1;

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
        let (destination, rest) = take::<6>(frame).ok_or(too_short)?;
        let (source, rest) = take::<6>(rest).ok_or(too_short)?;
        let (ethertype, rest) = take::<2>(rest).ok_or(too_short)?;
        let ethertype = u16::from_be_bytes(ethertype);
        let (kind, rest) = take::<6>(rest).ok_or(too_short)?;
        let (operation, rest) = take::<2>(rest).ok_or(too_short)?;
        let (sender_mac, rest) = take::<6>(rest).ok_or(too_short)?;
        let (sender, rest) = take::<4>(rest).ok_or(too_short)?;
        let (target_mac, rest) = take::<6>(rest).ok_or(too_short)?;
        let (target, _) = take::<4>(rest).ok_or(too_short)?;
        if ethertype != ETHERTYPE_ARP {
            return Err(DecodeError::EtherType {
                received: ethertype,
            });
        }
        let [
            hw_high,
            hw_low,
            proto_high,
            proto_low,
            hardware_len,
            protocol_len,
        ] = kind;
        let hardware = u16::from_be_bytes([hw_high, hw_low]);
        let protocol = u16::from_be_bytes([proto_high, proto_low]);
        if (hardware, hardware_len, protocol, protocol_len)
            != (HARDWARE_ETHERNET, 6, ETHERTYPE_IPV4, 4)
        {
            return Err(DecodeError::Kind {
                hardware,
                hardware_len,
                protocol,
                protocol_len,
            });
        }
        Ok(Self {
            destination,
            source,
            operation: Operation::from_wire(u16::from_be_bytes(operation)),
            sender_mac,
            sender: Ipv4Addr::from(sender),
            target_mac,
            target: Ipv4Addr::from(target),
        })
    }

    /// Writes the whole frame over `frame`.
    pub fn emit(&self, frame: &mut [u8; FRAME_LEN]) {
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            if let Some(room) = frame.get_mut(at..at + bytes.len()) {
                room.copy_from_slice(bytes);
            }
            at += bytes.len();
        };
        put(&self.destination);
        put(&self.source);
        put(&ETHERTYPE_ARP.to_be_bytes());
        put(&HARDWARE_ETHERNET.to_be_bytes());
        put(&ETHERTYPE_IPV4.to_be_bytes());
        put(&[6, 4]);
        put(&self.operation.to_wire().to_be_bytes());
        put(&self.sender_mac);
        put(&self.sender.octets());
        put(&self.target_mac);
        put(&self.target.octets());
    }
}

/// The 42 bytes of [`Packet::gratuitous`].
#[must_use]
pub fn gratuitous(mac: MacAddr, address: Ipv4Addr) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    Packet::gratuitous(mac, address).emit(&mut frame);
    frame
}
