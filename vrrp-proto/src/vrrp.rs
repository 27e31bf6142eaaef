//! The VRRP advertisement: version 2 (RFC 3768, section 5) over IPv4, version 3
//! (RFC 5798 and RFC 9568, section 5) over IPv4 and IPv6.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Datagram;
use crate::checksum;
use crate::ipv4::PROTOCOL_VRRP;
use crate::read::take;

mod error;

pub use error::DecodeError;

/// The only message type (RFC 3768, 5.3.2).
pub const TYPE_ADVERTISEMENT: u8 = 1;
/// The multicast group of IPv4 adverts (RFC 3768, 5.2.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The multicast group of IPv6 adverts (RFC 5798, 5.1.2.2).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// The longest interval version 3 can write, in hundredths of a second
/// (RFC 5798, 5.2.7: twelve bits).
pub const MAX_CENTISECONDS: u16 = 0x0fff;
/// The only time to live or hop limit a multicast advert may have (RFC 3768, 5.2.3).
pub const TTL: u8 = 255;

const FIXED_LEN: usize = 8;
const AUTH_LEN: usize = 8;

/// Protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Version {
    /// RFC 3768: IPv4, whole seconds, an authentication field.
    V2,
    /// RFC 5798 and RFC 9568: IPv4 and IPv6, hundredths of a second, no
    /// authentication field.
    V3,
}

impl Version {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// The advertisement interval as its version writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// Version 2: whole seconds (RFC 3768, 5.3.7).
    Seconds(u8),
    /// Version 3: hundredths of a second, at most [`MAX_CENTISECONDS`]
    /// (RFC 5798, 5.2.7).
    Centiseconds(u16),
}

impl fmt::Display for Interval {
    /// As keepalived writes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(formatter, "{seconds} sec"),
            Self::Centiseconds(hundredths) => {
                write!(formatter, "{}ms", u32::from(*hundredths) * 10)
            }
        }
    }
}

/// Authentication of version 2 (RFC 2338, 5.3.6; RFC 3768 keeps the field).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
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
    /// The virtual addresses, at most 255, all of one family. Addresses of
    /// another family than the packet's are left out when encoding.
    pub addresses: Vec<IpAddr>,
}

/// Where an advert goes from and to, and whether its checksum says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The address it comes from.
    pub source: IpAddr,
    /// The address it is sent to, of the same family.
    pub destination: IpAddr,
    /// What the checksum of version 3 covers.
    pub checksum: Checksum,
}

/// What the checksum covers besides the message. It matters to version 3 over
/// IPv4 only: version 2 never has a pseudo-header (RFC 3768, 5.3.8), IPv6
/// always has one (RFC 8200, 8.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Checksum {
    /// Source, destination, protocol and length: what keepalived, FRR and
    /// tshark understand by RFC 5798, 5.2.8.
    #[default]
    PseudoHeader,
    /// The same with 224.0.0.18 in the place of a unicast destination, as
    /// keepalived up to 1.3.6 does it.
    PseudoHeaderOfGroup,
    /// The message alone: RFC 9568, 5.2.8 (`v3_checksum_as_v2`).
    Message,
}

impl Path {
    const fn is_ipv4(&self) -> bool {
        self.source.is_ipv4()
    }

    /// The checksum of `message`; 0 if it carries a correct one.
    fn checksum(&self, version: Version, message: &[u8]) -> u16 {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let length = length.to_be_bytes();
        match (version, self.source, self.destination) {
            (Version::V3, IpAddr::V4(source), IpAddr::V4(destination)) => {
                let destination = match self.checksum {
                    Checksum::PseudoHeader => destination,
                    Checksum::PseudoHeaderOfGroup => GROUP_V4,
                    Checksum::Message => return checksum::internet(&[message]),
                };
                let [_, _, high, low] = length;
                let tail = [0, PROTOCOL_VRRP, high, low];
                checksum::internet(&[&source.octets(), &destination.octets(), &tail, message])
            }
            (Version::V3, IpAddr::V6(source), IpAddr::V6(destination)) => {
                let next = [0, 0, 0, PROTOCOL_VRRP];
                let (source, destination) = (source.octets(), destination.octets());
                checksum::internet(&[&source, &destination, &length, &next, message])
            }
            // No packet goes from one family to the other.
            (Version::V2, _, _) | (Version::V3, IpAddr::V4(_) | IpAddr::V6(_), _) => {
                checksum::internet(&[message])
            }
        }
    }
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
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
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
    /// Our advertisement interval; only version 2 requires it (RFC 3768, 7.1).
    pub interval: Interval,
    /// What the checksum of version 3 over IPv4 has to cover.
    pub checksum: Checksum,
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
    /// Not at all.
    Any,
}

impl Advert {
    /// The bytes of the message behind the IP header, with their checksum.
    #[must_use]
    pub fn encode(&self, path: &Path) -> Vec<u8> {
        let mut bytes = vec![0; self.encoded_len(path)];
        self.emit(path, &mut bytes);
        bytes
    }

    /// Length of the encoded message in bytes.
    #[must_use]
    pub fn encoded_len(&self, path: &Path) -> usize {
        let auth = match self.version {
            Version::V2 => AUTH_LEN,
            Version::V3 => 0,
        };
        FIXED_LEN + self.wire_addresses(path).count() * address_len(path.is_ipv4()) + auth
    }

    /// Writes the message over the first [`Self::encoded_len`] bytes of
    /// `buffer` and says how many that were; a shorter buffer is left alone
    /// and 0 returned.
    pub fn emit(&self, path: &Path, buffer: &mut [u8]) -> usize {
        let length = self.encoded_len(path);
        let Some(buffer) = buffer.get_mut(..length) else {
            return 0;
        };
        let count = u8::try_from(self.wire_addresses(path).count()).unwrap_or(u8::MAX);
        let (interval, auth): ([u8; 2], &[u8]) = match self.version {
            Version::V2 => (
                [self.auth.number(), self.interval.whole_seconds()],
                &self.auth.data(),
            ),
            Version::V3 => (self.interval.hundredths().to_be_bytes(), &[]),
        };
        let fixed = [
            (self.version.number() << 4) | TYPE_ADVERTISEMENT,
            self.vrid,
            self.priority,
            count,
        ];
        let mut message = Vec::with_capacity(length);
        message.extend(fixed);
        message.extend(interval);
        message.extend([0, 0]);
        for address in self.wire_addresses(path) {
            match address {
                IpAddr::V4(address) => message.extend(address.octets()),
                IpAddr::V6(address) => message.extend(address.octets()),
            }
        }
        message.extend(auth);
        let sum = path.checksum(self.version, &message).to_be_bytes();
        if let Some(field) = message.get_mut(6..8) {
            field.copy_from_slice(&sum);
        }
        for (to, from) in buffer.iter_mut().zip(message) {
            *to = from;
        }
        length
    }

    /// The addresses that can be written: of the packet's family, at most 255.
    fn wire_addresses(&self, path: &Path) -> impl Iterator<Item = IpAddr> + '_ {
        let v4 = path.is_ipv4();
        self.addresses
            .iter()
            .copied()
            .filter(move |address| address.is_ipv4() == v4)
            .take(usize::from(u8::MAX))
    }
}

impl Interval {
    /// As version 2 writes it, rounded, 1..=255.
    fn whole_seconds(self) -> u8 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Centiseconds(hundredths) => {
                let seconds = hundredths.saturating_add(50) / 100;
                u8::try_from(seconds.max(1)).unwrap_or(u8::MAX)
            }
        }
    }

    /// As version 3 writes it.
    fn hundredths(self) -> u16 {
        match self {
            Self::Seconds(seconds) => u16::from(seconds) * 100,
            Self::Centiseconds(hundredths) => hundredths,
        }
        .min(MAX_CENTISECONDS)
    }
}

/// Bytes of an address on the wire.
const fn address_len(v4: bool) -> usize {
    if v4 { 4 } else { 16 }
}

/// What a message says of its sender, judged by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Protocol version on the wire, 0..=15.
    pub version: u8,
    /// Priority.
    pub priority: u8,
    /// Number of virtual addresses.
    pub count: u8,
    /// Authentication type, if the version has one.
    pub auth: Option<u8>,
    /// Advertisement interval as the version writes it.
    pub interval: Interval,
}

impl Claim {
    /// What `datagram` says; `None` if it is shorter than every message or of
    /// a version that nobody speaks.
    #[must_use]
    pub fn of(datagram: &Datagram) -> Option<Self> {
        let (fixed, _) = take::<FIXED_LEN>(&datagram.payload)?;
        let [version_type, _, priority, count, high, low, _, _] = fixed;
        let (auth, interval) = match version_type >> 4 {
            2 => (Some(high), Interval::Seconds(low)),
            3 => {
                let hundredths = u16::from_be_bytes([high, low]) & MAX_CENTISECONDS;
                (None, Interval::Centiseconds(hundredths))
            }
            _ => return None,
        };
        Some(Self {
            version: version_type >> 4,
            priority,
            count,
            auth,
            interval,
        })
    }
}

/// Reads an advert and holds it against what the receiver requires
/// (RFC 3768, 7.1; RFC 5798, 7.1). Where a packet has several faults, the first
/// one found is told; the order is keepalived's: length, time to live of
/// multicast, version, authentication and interval (version 2), type, count,
/// checksum, addresses, peer. An interval of 0 in version 3, after which
/// keepalived takes over at once, is a fault here.
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
    let [high, low] = message.interval;
    let (auth, interval) = match expect.version {
        Version::V2 => {
            let auth = check_auth(high, message.auth_data, expect.auth)?;
            let interval = Interval::Seconds(low);
            if interval != expect.interval {
                return Err(DecodeError::Interval {
                    received: interval,
                    expected: expect.interval,
                });
            }
            (auth, interval)
        }
        // The upper four bits are reserved (RFC 5798, 5.2.6).
        Version::V3 => {
            let hundredths = u16::from_be_bytes(message.interval) & MAX_CENTISECONDS;
            (Auth::None, Interval::Centiseconds(hundredths))
        }
    };
    if message.kind != TYPE_ADVERTISEMENT {
        return Err(DecodeError::Type {
            received: message.kind,
        });
    }
    let ours = expect.addresses;
    if expect.list != ListRule::Any && usize::from(message.count) != ours.len() {
        return Err(DecodeError::Count {
            received: message.count,
            expected: ours.len(),
        });
    }
    let path = Path {
        source: datagram.source,
        destination: datagram.destination,
        checksum: expect.checksum,
    };
    if path.checksum(expect.version, &datagram.payload) != 0 {
        return Err(DecodeError::Checksum {
            version: message.version,
        });
    }
    if interval == Interval::Centiseconds(0) {
        return Err(DecodeError::ZeroInterval);
    }
    let addresses = message.addresses();
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
    /// Version 2: authentication type and seconds; version 3: hundredths.
    interval: [u8; 2],
    addresses: &'a [u8],
    v4: bool,
    auth_data: [u8; 8],
}

impl<'a> Message<'a> {
    /// The length a message must have follows from its own count and version,
    /// and from the family of the packet: only version 2 has an authentication
    /// field (RFC 5798, 5.2).
    fn split(datagram: &'a Datagram) -> Result<Self, DecodeError> {
        let length = datagram.total_len();
        let (fixed, rest) =
            take::<FIXED_LEN>(&datagram.payload).ok_or(DecodeError::Truncated { length })?;
        let [version_type, vrid, priority, count, high, low, _, _] = fixed;
        let (version, kind) = (version_type >> 4, version_type & 0x0f);
        let has_auth = version == Version::V2.number();
        let v4 = datagram.source.is_ipv4();
        let addresses_len = usize::from(count) * address_len(v4);
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
            interval: [high, low],
            addresses,
            v4,
            auth_data,
        })
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.addresses
            .chunks_exact(address_len(self.v4))
            .filter_map(|chunk| {
                if self.v4 {
                    <[u8; 4]>::try_from(chunk).ok().map(IpAddr::from)
                } else {
                    <[u8; 16]>::try_from(chunk).ok().map(IpAddr::from)
                }
            })
            .collect()
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
