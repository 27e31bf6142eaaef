//! The VRRP advertisement (RFC 3768, section 5).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::Datagram;
use crate::checksum;
use crate::read::take;

mod error;

pub use error::DecodeError;

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
pub enum Interval {
    /// Version 2: whole seconds (RFC 3768, 5.3.7).
    Seconds(u8),
}

impl fmt::Display for Interval {
    /// As keepalived writes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(formatter, "{seconds} sec"),
        }
    }
}

/// Authentication of version 2 (RFC 2338, 5.3.6; RFC 3768 keeps the field).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auth {
    /// Type 0. The eight data bytes are sent as zeros and not read.
    None,
    /// Type 1, a password in clear: eight bytes, zero padded.
    Pass([u8; 8]),
}

impl fmt::Debug for Auth {
    /// The password stays out of logs and dumps.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// From whom a receiver takes adverts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Senders<'a> {
    /// From anybody whose packets have a time to live of 255, which no router
    /// has passed on (multicast; RFC 3768, 5.2.3).
    OnLink,
    /// From anybody (unicast without `check_unicast_src`).
    Anybody,
    /// From these only, each within its limits on the time to live.
    Peers(&'a [Peer]),
}

/// A unicast peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The least time to live accepted from it (`min_ttl`), default 0.
    pub min_ttl: u8,
    /// The greatest (`max_ttl`), default 255.
    pub max_ttl: u8,
}

impl Peer {
    /// A peer without limits on the time to live.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self {
            address,
            min_ttl: 0,
            max_ttl: u8::MAX,
        }
    }
}

/// What a receiver requires of an advert (RFC 3768, 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect<'a> {
    /// The version we speak.
    pub version: Version,
    /// From whom adverts are taken.
    pub senders: Senders<'a>,
    /// Our authentication.
    pub auth: Auth,
    /// Our advertisement interval.
    pub interval: Interval,
    /// Our virtual addresses. The same number is required always, the same
    /// addresses, in any order, if `list` says so.
    pub addresses: &'a [IpAddr],
    /// How the address list is looked at.
    pub list: ListRule,
}

/// How a receiver looks at the address list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListRule {
    /// It must hold each of ours.
    Same,
    /// Only the number must be ours (`skip_check_adv_addr`).
    SameCount,
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
/// (RFC 3768, 7.1). Where a packet has several faults, the first one found is
/// told; the order is keepalived's: length, time to live of multicast, version,
/// authentication, interval, type, count, checksum, addresses, peer.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(datagram: &Datagram, expect: &Expect<'_>) -> Result<Advert, DecodeError> {
    let message = Message::split(datagram)?;
    if expect.senders == Senders::OnLink && datagram.ttl != TTL {
        return Err(DecodeError::Ttl {
            received: datagram.ttl,
            expected: TTL,
        });
    }
    if message.version != expect.version.number() {
        return Err(DecodeError::Version {
            received: message.version,
            expected: expect.version.number(),
        });
    }
    let auth = check_auth(message.auth_type, message.auth_data, expect.auth)?;
    let interval = Interval::Seconds(message.interval);
    if interval != expect.interval {
        return Err(DecodeError::Interval {
            received: interval,
            expected: expect.interval,
        });
    }
    if message.kind != TYPE_ADVERTISEMENT {
        return Err(DecodeError::Type {
            received: message.kind,
        });
    }
    let ours = expect.addresses;
    if usize::from(message.count) != ours.len() {
        return Err(DecodeError::Count {
            received: message.count,
            expected: ours.len(),
        });
    }
    if checksum::internet(&[&datagram.payload]) != 0 {
        return Err(DecodeError::Checksum {
            version: message.version,
        });
    }
    let addresses: Vec<IpAddr> = message
        .addresses
        .chunks_exact(4)
        .filter_map(|chunk| <[u8; 4]>::try_from(chunk).ok())
        .map(IpAddr::from)
        .collect();
    if expect.list == ListRule::Same
        && let Some(missing) = ours.iter().find(|address| !addresses.contains(address))
    {
        return Err(DecodeError::Address {
            vrid: message.vrid,
            missing: *missing,
        });
    }
    check_sender(datagram, expect.senders)?;
    Ok(Advert {
        version: expect.version,
        vrid: message.vrid,
        priority: message.priority,
        interval,
        auth,
        addresses,
    })
}

/// The fields of a message of the right length, not judged yet.
struct Message<'a> {
    version: u8,
    kind: u8,
    vrid: u8,
    priority: u8,
    count: u8,
    auth_type: u8,
    interval: u8,
    addresses: &'a [u8],
    auth_data: [u8; 8],
}

impl<'a> Message<'a> {
    /// The length a message must have follows from its own count and version:
    /// only version 2 has an authentication field (RFC 5798, 5.2).
    fn split(datagram: &'a Datagram) -> Result<Self, DecodeError> {
        let length = datagram.total_len();
        let (fixed, rest) =
            take::<FIXED_LEN>(&datagram.payload).ok_or(DecodeError::Truncated { length })?;
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
        let has_auth = version == Version::V2.number();
        let addresses_len = usize::from(count) * 4;
        let needed = FIXED_LEN + addresses_len + if has_auth { AUTH_LEN } else { 0 };
        let expected = datagram.header_len.saturating_add(needed);
        let too_short = DecodeError::TooShort { length, expected };
        let (addresses, rest) = rest.split_at_checked(addresses_len).ok_or(too_short)?;
        let (auth_data, rest) = if has_auth {
            take::<AUTH_LEN>(rest).ok_or(too_short)?
        } else {
            ([0; AUTH_LEN], rest)
        };
        if !rest.is_empty() {
            return Err(DecodeError::TooLong { length, expected });
        }
        Ok(Self {
            version,
            kind,
            vrid,
            priority,
            count,
            auth_type,
            interval,
            addresses,
            auth_data,
        })
    }
}

fn check_sender(datagram: &Datagram, senders: Senders<'_>) -> Result<(), DecodeError> {
    let Senders::Peers(peers) = senders else {
        return Ok(());
    };
    let Some(peer) = peers.iter().find(|peer| peer.address == datagram.source) else {
        return Err(DecodeError::Source {
            source_address: datagram.source,
        });
    };
    if !(peer.min_ttl..=peer.max_ttl).contains(&datagram.ttl) {
        return Err(DecodeError::TtlRange {
            received: datagram.ttl,
            min: peer.min_ttl,
            max: peer.max_ttl,
        });
    }
    Ok(())
}

fn check_auth(kind: u8, data: [u8; AUTH_LEN], ours: Auth) -> Result<Auth, DecodeError> {
    let mismatch = DecodeError::AuthType {
        received: kind,
        expected: ours.number(),
    };
    match (kind, ours) {
        (0, Auth::None) => Ok(Auth::None),
        (1, Auth::Pass(password)) if password == data => Ok(ours),
        (1, Auth::Pass(_)) => Err(DecodeError::Password),
        // Type 2 is the IP authentication header of RFC 2338.
        (0, Auth::Pass(_)) | (1, Auth::None) | (2, Auth::None | Auth::Pass(_)) => Err(mismatch),
        (received, Auth::None | Auth::Pass(_)) => Err(DecodeError::UnknownAuthType { received }),
    }
}

#[cfg(test)]
mod tests;
