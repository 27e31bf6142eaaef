//! Unsolicited neighbour advertisements (RFC 4861, 7.2.6): what gratuitous ARP is to
//! IPv4. IPv6 addresses of an IPv4 router come from `virtual_ipaddress_excluded`.

use std::net::Ipv6Addr;

/// Ethernet, IPv6 and the message with one option.
pub(crate) const FRAME_LEN: usize = 86;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ICMPV6: u8 = 58;
/// RFC 4861, 4.4: type, code, checksum to be filled in, flags (Override only, as the
/// original sends it).
const HEAD: [u8; 8] = [136, 0, 0, 0, 0x20, 0, 0, 0];

/// The whole frame that tells everybody on the link that `address` is at `mac`.
pub(crate) fn advertisement(mac: [u8; 6], address: Ipv6Addr) -> Vec<u8> {
    let mut message = Vec::with_capacity(32);
    message.extend_from_slice(&HEAD);
    message.extend_from_slice(&address.octets());
    // Target link-layer address, one unit of eight bytes (RFC 4861, 4.6.1).
    message.extend_from_slice(&[2, 1]);
    message.extend_from_slice(&mac);
    let checksum = checksum(address, &message).to_be_bytes();

    let mut frame = Vec::with_capacity(FRAME_LEN);
    // RFC 2464, 7: the last four bytes of the group behind 33:33.
    frame.extend_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&[0x86, 0xdd]);
    frame.extend_from_slice(&[0x60, 0, 0, 0, 0, 32, ICMPV6, 255]);
    frame.extend_from_slice(&address.octets());
    frame.extend_from_slice(&ALL_NODES.octets());
    for (at, byte) in message.into_iter().enumerate() {
        frame.push(match at {
            2 => checksum[0],
            3 => checksum[1],
            _ => byte,
        });
    }
    frame
}

/// RFC 8200, 8.1: the sum over pseudo-header and message.
fn checksum(source: Ipv6Addr, message: &[u8]) -> u16 {
    let mut sum = 32 + u32::from(ICMPV6);
    let pairs = [&source.octets()[..], &ALL_NODES.octets()[..], message];
    for part in pairs {
        for pair in part.chunks(2) {
            if let [high, low] = pair {
                sum += u32::from(u16::from_be_bytes([*high, *low]));
            }
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_the_captured_one() {
        let mac = [0xf2, 0x85, 0xe0, 0x62, 0xf7, 0x8c];
        let frame = advertisement(mac, "2001:db8::53".parse().unwrap());
        let captured = "333300000001f285e062f78c86dd6000\
                        000000203aff20010db8000000000000\
                        000000000053ff020000000000000000\
                        00000000000188003012200000002001\
                        0db80000000000000000000000530201\
                        f285e062f78c";
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, captured);
        assert_eq!(frame.len(), FRAME_LEN);
    }
}
