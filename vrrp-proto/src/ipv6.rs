//! The IPv6 header of adverts (RFC 8200, 3).

use std::net::Ipv6Addr;

use crate::ipv4::{PROTOCOL_VRRP, TOS_INTERNETWORK_CONTROL};

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 40;

/// A header as adverts carry it: class selector 6, no flow label, no extension
/// headers, in front of `payload_len` bytes; more than 65,535 cannot be said and
/// are cut to that.
#[must_use]
pub fn advert_header(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    payload_len: usize,
) -> Vec<u8> {
    let version_class = 0x6000_0000 | (u32::from(TOS_INTERNETWORK_CONTROL) << 20);
    let length = u16::try_from(payload_len).unwrap_or(u16::MAX);
    let mut header = Vec::with_capacity(HEADER_LEN + payload_len);
    header.extend(version_class.to_be_bytes());
    header.extend(length.to_be_bytes());
    header.extend([PROTOCOL_VRRP, hop_limit]);
    header.extend(source.octets());
    header.extend(destination.octets());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etherparse_reads_the_header() {
        let source = "fe80::4443:cbff:fee4:e4bc".parse().unwrap();
        let destination = "ff02::12".parse().unwrap();
        let bytes = advert_header(source, destination, 255, 40);
        let (header, rest) = etherparse::Ipv6Header::from_slice(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!(header.source_addr(), source);
        assert_eq!(header.destination_addr(), destination);
        assert_eq!(header.traffic_class, 0xc0);
        assert_eq!((header.hop_limit, header.payload_length), (255, 40));
        assert_eq!(header.next_header.0, 112);
    }
}
