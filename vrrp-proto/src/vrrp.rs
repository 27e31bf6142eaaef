//! The VRRP advertisement (RFC 3768, section 5).

use std::net::{IpAddr, Ipv4Addr};

use thiserror::Error;

use crate::Datagram;
use crate::checksum;
use crate::read::take;

/// The only message type (RFC 3768, 5.3.2).
pub const TYPE_ADVERTISEMENT: u8 = 1;
/// The multicast group of IPv4 adverts (RFC 3768, 5.2.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The only time to live a multicast advert may have (RFC 3768, 5.2.3).
pub const TTL: u8 = 255;

const FIXED_LEN: usize = 8;
const AUTH_LEN: usize = 8;

/// Protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Version {
    /// RFC 3768: IPv4, whole seconds, an authentication field.
    V2,
}

impl Version {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
        }
    }
}

/// The advertisement interval as its version writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Interval {
    /// Version 2: whole seconds (RFC 3768, 5.3.7).
    Seconds(u8),
}

/// Authentication of version 2 (RFC 2338, 5.3.6; RFC 3768 keeps the field).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Auth {
    /// Type 0. The eight data bytes are sent as zeros and not read.
    None,
    /// Type 1, a password in clear: eight bytes, zero padded.
    Pass([u8; 8]),
}

impl std::fmt::Debug for Auth {
    /// The password stays out of logs and dumps.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Pass(_) => "Pass(..)",
        })
    }
}

impl Auth {
    /// A password as it goes on the wire: the first eight bytes, padded with
    /// zeros.
    #[must_use]
    pub fn pass(password: &[u8]) -> Self {
        let mut data = [0; 8];
        for (to, from) in data.iter_mut().zip(password) {
            *to = *from;
        }
        Self::Pass(data)
    }

    /// The authentication type on the wire (RFC 3768, 5.3.6).
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Pass(_) => 1,
        }
    }

    const fn data(self) -> [u8; 8] {
        match self {
            Self::None => [0; 8],
            Self::Pass(data) => data,
        }
    }
}

/// The meaning of an advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Protocol version.
    pub version: Version,
    /// Virtual router id, 1..=255 (RFC 3768, 5.3.3).
    pub vrid: u8,
    /// Priority: 0 means the master stops, 255 is the address owner
    /// (RFC 3768, 5.3.4).
    pub priority: u8,
    /// Advertisement interval of the sender.
    pub interval: Interval,
    /// Authentication.
    pub auth: Auth,
    /// The virtual addresses, at most 255, all of one family. Addresses of a
    /// family that does not fit the version are left out when encoding.
    pub addresses: Vec<IpAddr>,
}

/// Which time to live a receiver accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlRule {
    /// Only 255 (multicast; RFC 3768, 5.2.3).
    Exactly255,
    /// Any (unicast without limits).
    Any,
    /// A unicast peer's `min_ttl` and `max_ttl`, both inclusive.
    Between(u8, u8),
}

/// What a receiver requires of an advert (RFC 3768, 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The version we speak.
    pub version: Version,
    /// Our authentication.
    pub auth: Auth,
    /// How many virtual addresses we have; `None` accepts any count.
    pub count: Option<u8>,
    /// Which time to live is accepted.
    pub ttl: TtlRule,
}

/// Why an advert is not accepted. The display form is keepalived's own
/// wording without the leading `(instance) `.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Fewer bytes than a message must have.
    #[error("vrrp packet too short, length {length} and expect at least {expected}")]
    TooShort {
        /// Bytes of the whole IP packet.
        length: usize,
        /// Bytes it must have.
        expected: usize,
    },
    /// More bytes than address count and authentication account for.
    #[error("vrrp packet too long, length {length} and expect {expected}")]
    TooLong {
        /// Bytes of the whole IP packet.
        length: usize,
        /// Bytes it must have.
        expected: usize,
    },
    /// Another protocol version.
    #[error("wrong version. Received {received} and expect {expected}")]
    Version {
        /// Version on the wire.
        received: u8,
        /// Version we speak.
        expected: u8,
    },
    /// Not an advertisement.
    #[error("Invalid packet type. {received} and expect {TYPE_ADVERTISEMENT}")]
    Type {
        /// Type on the wire.
        received: u8,
    },
    /// An authentication type that nobody defined.
    #[error("Invalid auth type: {received}")]
    UnknownAuthType {
        /// Authentication type on the wire.
        received: u8,
    },
    /// A known authentication type other than ours.
    #[error("received a {received} auth, expecting {expected}!")]
    AuthType {
        /// Authentication type on the wire.
        received: u8,
        /// Ours.
        expected: u8,
    },
    /// The password differs.
    #[error("received an invalid passwd!")]
    Password,
    /// The time to live is out of the accepted range.
    #[error("invalid TTL/HL. Received {received} and expect {expected}")]
    Ttl {
        /// Time to live on the wire.
        received: u8,
        /// The nearest accepted value.
        expected: u8,
    },
    /// The number of virtual addresses differs.
    #[error("received an unexpected ip number count {received}, expected {expected}!")]
    Count {
        /// Count on the wire.
        received: u8,
        /// How many we have.
        expected: u8,
    },
    /// The checksum is wrong.
    #[error("Invalid VRRPv{version} checksum")]
    Checksum {
        /// Version on the wire.
        version: u8,
    },
}

impl Advert {
    /// The bytes of the message behind the IP header, with their checksum.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.encoded_len()];
        self.emit(&mut bytes);
        bytes
    }

    /// Length of the encoded message in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        FIXED_LEN + self.wire_addresses().count() * 4 + AUTH_LEN
    }

    /// Writes the message over the first [`Self::encoded_len`] bytes of
    /// `buffer` and says how many that were; a shorter buffer is left alone
    /// and 0 returned.
    pub fn emit(&self, buffer: &mut [u8]) -> usize {
        let length = self.encoded_len();
        let Some(buffer) = buffer.get_mut(..length) else {
            return 0;
        };
        let count = u8::try_from(self.wire_addresses().count()).unwrap_or(u8::MAX);
        let Interval::Seconds(interval) = self.interval;
        let fixed = [
            (self.version.number() << 4) | TYPE_ADVERTISEMENT,
            self.vrid,
            self.priority,
            count,
            self.auth.number(),
            interval,
            0,
            0,
        ];
        let addresses = self.wire_addresses().flat_map(|address| address.octets());
        let bytes = fixed.into_iter().chain(addresses).chain(self.auth.data());
        for (to, from) in buffer.iter_mut().zip(bytes) {
            *to = from;
        }
        let sum = checksum::internet(&[buffer]).to_be_bytes();
        if let Some(field) = buffer.get_mut(6..8) {
            field.copy_from_slice(&sum);
        }
        length
    }

    /// The addresses that can be written: IPv4, at most 255.
    fn wire_addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.addresses
            .iter()
            .filter_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            })
            .take(usize::from(u8::MAX))
    }
}

/// Reads an advert and holds it against what the receiver requires
/// (RFC 3768, 7.1).
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(datagram: &Datagram, expect: &Expect) -> Result<Advert, DecodeError> {
    let payload = datagram.payload.as_slice();
    let too_short = |needed: usize| DecodeError::TooShort {
        length: datagram.total_len(),
        expected: datagram.header_len.saturating_add(needed),
    };
    let (fixed, rest) = take::<FIXED_LEN>(payload).ok_or(too_short(FIXED_LEN))?;
    let [
        version_type,
        vrid,
        priority,
        count,
        auth_type,
        interval,
        _,
        _,
    ] = fixed;
    let (version, kind) = (version_type >> 4, version_type & 0x0f);
    if version != expect.version.number() {
        return Err(DecodeError::Version {
            received: version,
            expected: expect.version.number(),
        });
    }
    let needed = FIXED_LEN + usize::from(count) * 4 + AUTH_LEN;
    let (addresses, auth_data) = rest
        .split_at_checked(usize::from(count) * 4)
        .ok_or(too_short(needed))?;
    let (auth_data, trailing) = take::<AUTH_LEN>(auth_data).ok_or(too_short(needed))?;
    if !trailing.is_empty() {
        return Err(DecodeError::TooLong {
            length: datagram.total_len(),
            expected: datagram.header_len.saturating_add(needed),
        });
    }
    check_ttl(datagram.ttl, expect.ttl)?;
    if kind != TYPE_ADVERTISEMENT {
        return Err(DecodeError::Type { received: kind });
    }
    if checksum::internet(&[payload]) != 0 {
        return Err(DecodeError::Checksum { version });
    }
    let auth = check_auth(auth_type, auth_data, expect.auth)?;
    if let Some(expected) = expect.count.filter(|expected| *expected != count) {
        return Err(DecodeError::Count {
            received: count,
            expected,
        });
    }
    let addresses = addresses
        .chunks_exact(4)
        .filter_map(|chunk| <[u8; 4]>::try_from(chunk).ok())
        .map(IpAddr::from)
        .collect();
    Ok(Advert {
        version: expect.version,
        vrid,
        priority,
        interval: Interval::Seconds(interval),
        auth,
        addresses,
    })
}

fn check_ttl(received: u8, rule: TtlRule) -> Result<(), DecodeError> {
    let (min, max) = match rule {
        TtlRule::Exactly255 => (TTL, TTL),
        TtlRule::Any => (0, u8::MAX),
        TtlRule::Between(min, max) => (min, max),
    };
    if received < min {
        return Err(DecodeError::Ttl {
            received,
            expected: min,
        });
    }
    if received > max {
        return Err(DecodeError::Ttl {
            received,
            expected: max,
        });
    }
    Ok(())
}

fn check_auth(kind: u8, data: [u8; 8], ours: Auth) -> Result<Auth, DecodeError> {
    let received = match kind {
        0 => Auth::None,
        1 => Auth::Pass(data),
        2 => {
            return Err(DecodeError::AuthType {
                received: kind,
                expected: ours.number(),
            });
        }
        other => return Err(DecodeError::UnknownAuthType { received: other }),
    };
    match (received, ours) {
        (Auth::None, Auth::None) => Ok(received),
        (Auth::Pass(theirs), Auth::Pass(own)) if theirs == own => Ok(received),
        (Auth::Pass(_), Auth::Pass(_)) => Err(DecodeError::Password),
        (Auth::None, Auth::Pass(_)) | (Auth::Pass(_), Auth::None) => Err(DecodeError::AuthType {
            received: kind,
            expected: ours.number(),
        }),
    }
}
