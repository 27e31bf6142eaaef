//! The IPv4 header (RFC 791, 3.1).

use std::net::Ipv4Addr;

use thiserror::Error;

use crate::checksum;
use crate::read::take;

/// IP protocol number of VRRP (RFC 3768, 5.2.4).
pub const PROTOCOL_VRRP: u8 = 112;
/// Type of service of adverts: class selector 6, internetwork control.
pub const TOS_INTERNETWORK_CONTROL: u8 = 0xc0;
/// Length in bytes of a header without options.
pub const HEADER_LEN: usize = 20;

/// The meaning of an IPv4 header. Packets of ours are never fragmented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Type of service (DSCP and ECN), the whole byte.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// The three flag bits and the fragment offset as they stand on the wire.
    pub flags_fragment: u16,
    /// Time to live, 0..=255.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Options, padded to a multiple of four bytes; at most 40 bytes.
    pub options: Vec<u8>,
}

/// Why bytes are not an IPv4 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Fewer bytes than the header, or than the header claims.
    #[error("ipv4 packet too short, length {length} and expect at least {expected}")]
    TooShort {
        /// Bytes present.
        length: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// The version field is not 4.
    #[error("wrong ip version. Received {received} and expect 4")]
    Version {
        /// The version field.
        received: u8,
    },
    /// The header length field is below 5 words.
    #[error("ipv4 header length {words} words and expect at least 5")]
    HeaderLength {
        /// The header length field in 32-bit words.
        words: u8,
    },
    /// The total length is smaller than the header.
    #[error("ipv4 total length {total} is shorter than its header of {header}")]
    TotalLength {
        /// The total length field.
        total: usize,
        /// The header length in bytes.
        header: usize,
    },
    /// Another protocol.
    #[error("ip protocol {received} and expect {expected}")]
    Protocol {
        /// The protocol field.
        received: u8,
        /// The protocol asked for.
        expected: u8,
    },
}

impl Header {
    /// A header as adverts carry it: class selector 6, not fragmented, no
    /// options.
    #[must_use]
    pub const fn advert(source: Ipv4Addr, destination: Ipv4Addr, ttl: u8, id: u16) -> Self {
        Self {
            tos: TOS_INTERNETWORK_CONTROL,
            id,
            flags_fragment: 0,
            ttl,
            protocol: PROTOCOL_VRRP,
            source,
            destination,
            options: Vec::new(),
        }
    }

    /// Length of the encoded header in bytes, 20..=60.
    #[must_use]
    pub fn header_len(&self) -> usize {
        let options = self.options.len().min(40);
        HEADER_LEN + options.div_ceil(4) * 4
    }

    /// Splits a packet into header and payload. Bytes behind the total length
    /// (link-layer padding) are dropped.
    ///
    /// The header checksum is not looked at: the kernel has done so for what a
    /// socket delivers. [`checksum_is_valid`] does it where no kernel did.
    ///
    /// # Errors
    /// See [`DecodeError`]; [`DecodeError::Protocol`] is never given here.
    pub fn decode(packet: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let too_short = |expected| DecodeError::TooShort {
            length: packet.len(),
            expected,
        };
        let (fixed, _) = take::<HEADER_LEN>(packet).ok_or(too_short(HEADER_LEN))?;
        let [
            version_ihl,
            tos,
            total_high,
            total_low,
            id_high,
            id_low,
            frag_high,
            frag_low,
            ttl,
            protocol,
            _,
            _,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
        ] = fixed;
        let (version, words) = (version_ihl >> 4, version_ihl & 0x0f);
        if version != 4 {
            return Err(DecodeError::Version { received: version });
        }
        let header_len = usize::from(words) * 4;
        if header_len < HEADER_LEN {
            return Err(DecodeError::HeaderLength { words });
        }
        let total = usize::from(u16::from_be_bytes([total_high, total_low]));
        if total < header_len {
            return Err(DecodeError::TotalLength {
                total,
                header: header_len,
            });
        }
        let whole = packet.get(..total).ok_or(too_short(total))?;
        let options = whole
            .get(HEADER_LEN..header_len)
            .ok_or(too_short(header_len))?;
        let payload = whole.get(header_len..).ok_or(too_short(header_len))?;
        let header = Self {
            tos,
            id: u16::from_be_bytes([id_high, id_low]),
            flags_fragment: u16::from_be_bytes([frag_high, frag_low]),
            ttl,
            protocol,
            source: Ipv4Addr::new(s0, s1, s2, s3),
            destination: Ipv4Addr::new(d0, d1, d2, d3),
            options: options.to_vec(),
        };
        Ok((header, payload))
    }

    /// The header bytes in front of a payload of `payload_len` bytes, with
    /// their checksum. A packet longer than 65535 bytes cannot be expressed;
    /// its length field saturates. Options past 40 bytes are cut.
    #[must_use]
    pub fn encode(&self, payload_len: usize) -> Vec<u8> {
        let header_len = self.header_len();
        let total = u16::try_from(header_len.saturating_add(payload_len)).unwrap_or(u16::MAX);
        // 5..=15, by `header_len`.
        let words = u8::try_from(header_len / 4).unwrap_or(15);
        let mut bytes = Vec::with_capacity(header_len);
        bytes.push(0x40 | words);
        bytes.push(self.tos);
        bytes.extend(total.to_be_bytes());
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.flags_fragment.to_be_bytes());
        bytes.push(self.ttl);
        bytes.push(self.protocol);
        bytes.extend([0, 0]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(self.options.iter().take(40));
        bytes.resize(header_len, 0);
        let sum = checksum::internet(&[&bytes]).to_be_bytes();
        if let Some(field) = bytes.get_mut(10..12) {
            field.copy_from_slice(&sum);
        }
        bytes
    }
}

/// Whether the header checksum of `packet` is right; `false` as well if the
/// header is cut short.
#[must_use]
pub fn checksum_is_valid(packet: &[u8]) -> bool {
    packet
        .first()
        .map(|first| usize::from(first & 0x0f) * 4)
        .filter(|length| *length >= HEADER_LEN)
        .and_then(|length| packet.get(..length))
        .is_some_and(|header| checksum::internet(&[header]) == 0)
}

#[cfg(test)]
mod tests;
