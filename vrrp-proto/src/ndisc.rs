//! Unsolicited neighbour advertisements (RFC 4861, 4.4 and 7.2.6): what
//! gratuitous ARP is for IPv4, for the IPv6 addresses an instance may hold.

use std::net::Ipv6Addr;

use crate::arp::MacAddr;
use crate::checksum;

/// Length in bytes of an Ethernet frame with an advertisement that carries the
/// target link-layer address.
pub const FRAME_LEN: usize = 86;

/// Where they go: everybody on the segment.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const ALL_NODES_MAC: MacAddr = [0x33, 0x33, 0, 0, 0, 1];
const ETHERTYPE_IPV6: u16 = 0x86dd;
const NEXT_HEADER_ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ICMP_LEN: u8 = 32;
/// Override, and neither Router nor Solicited.
const FLAGS: u32 = 0x2000_0000;
/// Target link-layer address, one unit of eight bytes.
const OPTION: [u8; 2] = [2, 1];

/// The announcement that `address` is at `mac`, from the address itself to all
/// nodes, as a whole frame.
#[must_use]
pub fn unsolicited(mac: MacAddr, address: Ipv6Addr) -> [u8; FRAME_LEN] {
    let message = |sum: u16| {
        let mut bytes = Vec::with_capacity(usize::from(ICMP_LEN));
        bytes.extend([NEIGHBOUR_ADVERTISEMENT, 0]);
        bytes.extend(sum.to_be_bytes());
        bytes.extend(FLAGS.to_be_bytes());
        bytes.extend(address.octets());
        bytes.extend(OPTION);
        bytes.extend(mac);
        bytes
    };
    // RFC 8200, 8.1: the pseudo-header.
    let (source, destination) = (address.octets(), ALL_NODES.octets());
    let tail = [0, 0, 0, ICMP_LEN, 0, 0, 0, NEXT_HEADER_ICMPV6];
    let sum = checksum::internet(&[&source, &destination, &tail, &message(0)]);

    let header = [0x60, 0, 0, 0, 0, ICMP_LEN, NEXT_HEADER_ICMPV6, 255];
    let bytes = ALL_NODES_MAC
        .into_iter()
        .chain(mac)
        .chain(ETHERTYPE_IPV6.to_be_bytes())
        .chain(header)
        .chain(source)
        .chain(destination)
        .chain(message(sum));
    let mut frame = [0; FRAME_LEN];
    for (to, from) in frame.iter_mut().zip(bytes) {
        *to = from;
    }
    frame
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    #[test]
    fn etherparse_reads_the_announcement() {
        let mac = [0xb2, 0xdf, 0x76, 0xaf, 0x63, 0xcb];
        let address: Ipv6Addr = "2001:db8::54".parse().unwrap();
        let frame = unsolicited(mac, address);
        let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Ipv6(ip)) = sliced.net else {
            panic!("not IPv6 to etherparse");
        };
        assert_eq!(ip.header().source_addr(), address);
        assert_eq!(ip.header().destination_addr(), ALL_NODES);
        // RFC 4861, 7.1.2: anything else is discarded.
        assert_eq!(ip.header().hop_limit(), 255);
        let Some(TransportSlice::Icmpv6(icmp)) = sliced.transport else {
            panic!("not ICMPv6 to etherparse");
        };
        assert_eq!((icmp.type_u8(), icmp.code_u8()), (136, 0));
        assert!(icmp.is_checksum_valid(address.octets(), ALL_NODES.octets()));
        let message = icmp.slice();
        assert_eq!(message[4..8], [0x20, 0, 0, 0]);
        assert_eq!(message[8..24], address.octets());
        assert_eq!(message[24..], [2, 1, 0xb2, 0xdf, 0x76, 0xaf, 0x63, 0xcb]);
        assert_eq!(
            frame[..12],
            [0x33, 0x33, 0, 0, 0, 1, 0xb2, 0xdf, 0x76, 0xaf, 0x63, 0xcb]
        );
    }

    #[test]
    fn the_frame_is_the_one_captured_from_keepalived() {
        let mac = [0xf2, 0x85, 0xe0, 0x62, 0xf7, 0x8c];
        let frame = unsolicited(mac, "2001:db8::53".parse().unwrap());
        let captured = "333300000001f285e062f78c86dd6000\
                        000000203aff20010db8000000000000\
                        000000000053ff020000000000000000\
                        00000000000188003012200000002001\
                        0db80000000000000000000000530201\
                        f285e062f78c";
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, captured);
    }
}
