//! Adverts that nobody's router made.

use std::net::Ipv4Addr;

use crate::duel;

/// A VRRPv2 advert (RFC 3768, 5.3) or a VRRPv3 one over IPv4 (RFC 5798, 5.2), right for
/// the owner's virtual router in all respects but those a test changes.
#[derive(Debug, Clone, Copy)]
pub struct Advert {
    /// Version and type.
    pub version_type: u8,
    /// The virtual router.
    pub vrid: u8,
    /// Who sees a 255 gives way.
    pub priority: u8,
    /// How many addresses it says it has.
    pub count: u8,
    /// Version 2: kind of authentication.
    pub auth_type: u8,
    /// Version 2: seconds; version 3: hundredths.
    pub interval: u8,
    /// Its one address.
    pub address: Ipv4Addr,
    /// Version 2: the eight bytes of the password.
    pub password: [u8; 8],
}

impl Default for Advert {
    fn default() -> Self {
        Self {
            version_type: 0x21,
            vrid: 60,
            priority: 255,
            count: 1,
            auth_type: 1,
            interval: 1,
            address: duel::VIP,
            password: *b"k8s-lb@l",
        }
    }
}

impl Advert {
    /// What comes after the IP header, version 2.
    pub fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![
            self.version_type,
            self.vrid,
            self.priority,
            self.count,
            self.auth_type,
            self.interval,
            0,
            0,
        ];
        bytes.extend(self.address.octets());
        bytes.extend(self.password);
        let sum = checksum(&bytes);
        insert(bytes, sum)
    }

    /// What comes after the IP header, version 3 with the pseudo-header in its checksum.
    pub fn bytes_v3(self, source: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
        let mut bytes = vec![
            0x31,
            self.vrid,
            self.priority,
            self.count,
            0,
            self.interval,
            0,
            0,
        ];
        bytes.extend(self.address.octets());
        let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        let pseudo = [
            &source.octets()[..],
            &target.octets(),
            &[0, 112, 0, length],
            &bytes,
        ];
        let sum = checksum(&pseudo.concat());
        insert(bytes, sum)
    }
}

/// Bytes 6 and 7 of either version.
fn insert(mut bytes: Vec<u8>, sum: u16) -> Vec<u8> {
    for (place, byte) in bytes.iter_mut().skip(6).zip(sum.to_be_bytes()) {
        *place = byte;
    }
    bytes
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = bytes.chunks(2).fold(0u32, |sum, pair| {
        let high = pair.first().copied().map_or(0, u32::from);
        sum + high * 256 + pair.get(1).copied().map_or(0, u32::from)
    });
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The same with a wrong checksum.
pub fn corrupt(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(byte) = bytes.get_mut(7) {
        *byte ^= 0x55;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both were recorded from a router.
    #[test]
    fn known_adverts_come_out_byte_for_byte() {
        let recorded = [
            0x21, 0x3c, 0x67, 0x01, 0x01, 0x01, 0xe2, 0x8e, 0x0a, 0x00, 0xfe, 0xfd, 0x6b, 0x38,
            0x73, 0x2d, 0x6c, 0x62, 0x40, 0x6c,
        ];
        let advert = Advert {
            priority: 103,
            ..Advert::default()
        };
        assert_eq!(advert.bytes(), recorded);
        let recorded = [
            0x31, 0x34, 0x96, 0x01, 0x00, 0x32, 0x46, 0x40, 0x0a, 0x00, 0xfe, 0xcb,
        ];
        let advert = Advert {
            vrid: 52,
            priority: 150,
            interval: 50,
            address: Ipv4Addr::new(10, 0, 254, 203),
            ..Advert::default()
        };
        let source = Ipv4Addr::new(10, 0, 254, 252);
        let group = Ipv4Addr::new(224, 0, 0, 18);
        assert_eq!(advert.bytes_v3(source, group), recorded);
        assert_ne!(corrupt(recorded.to_vec()), recorded);
    }
}
