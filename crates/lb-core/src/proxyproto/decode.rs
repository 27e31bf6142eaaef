//! Reading headers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Addresses, Header, SIGNATURE, kind};
use crate::hash::crc32c;

/// The most bytes a header of version 1 may have.
pub const LONGEST_V1: usize = 107;
/// Fewer bytes than this are called truncated, whatever they are.
const SHORTEST: usize = 16;
/// Longer names and ids are invalid.
const LONGEST_AUTHORITY: usize = 255;
const LONGEST_UNIQUE_ID: usize = 128;

/// Why there is no header. The text is the one of the log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The connection ended before its first byte.
    Closed,
    /// No byte in time.
    TimedOut,
    /// It ended within the header, or the header is longer than can be.
    Truncated,
    /// No header at all.
    NotProxy,
    /// A header that breaks the rules. What follows the addresses may be at fault: they are known
    /// then.
    Invalid(Option<Addresses>),
    /// A protocol that is not spoken.
    Unhandled,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "Connection closed while waiting for PROXY protocol header",
            Self::TimedOut => "Timeout while waiting for PROXY protocol header",
            Self::Truncated => "Truncated PROXY protocol header received",
            Self::NotProxy => "Received something which does not look like a PROXY protocol header",
            Self::Invalid(_) => "Received an invalid PROXY protocol header",
            Self::Unhandled => "Received an unhandled protocol in the PROXY protocol header",
        })
    }
}

/// Reads the header that `bytes` begin with; `None` if more bytes are needed to tell.
///
/// # Errors
/// It is none, or a wrong one: no further byte can make it right.
pub fn decode(bytes: &[u8]) -> Result<Option<Header>, Refusal> {
    let begins = |with: &[u8]| {
        let common = bytes.len().min(with.len());
        bytes.get(..common) == with.get(..common)
    };
    if begins(SIGNATURE) {
        binary(bytes)
    } else if begins(b"PROXY ") {
        text(bytes)
    } else {
        Err(foreign(bytes))
    }
}

fn foreign(bytes: &[u8]) -> Refusal {
    if bytes.len() < SHORTEST {
        Refusal::Truncated
    } else {
        Refusal::NotProxy
    }
}

/// Version 1: one line of text.
fn text(bytes: &[u8]) -> Result<Option<Header>, Refusal> {
    let Some(rest) = bytes.strip_prefix(b"PROXY ") else {
        return Ok(None);
    };
    let could_be = |word: &[u8]| word.starts_with(rest);
    if rest.starts_with(b"UNKNOWN\r\n") {
        return Ok(Some(Header {
            length: b"PROXY UNKNOWN\r\n".len(),
            ..Header::default()
        }));
    }
    let (v4, fields) = if let Some(fields) = rest.strip_prefix(b"TCP4 ") {
        (true, fields)
    } else if let Some(fields) = rest.strip_prefix(b"TCP6 ") {
        (false, fields)
    } else if could_be(b"UNKNOWN\r\n") || could_be(b"TCP4 ") || could_be(b"TCP6 ") {
        return Ok(None);
    } else {
        return Err(Refusal::Unhandled);
    };
    let invalid = Refusal::Invalid(None);
    let Some(end) = fields
        .iter()
        .position(|byte| *byte == b'\r' || *byte == b'\n')
    else {
        return if bytes.len() < LONGEST_V1 {
            Ok(None)
        } else {
            Err(Refusal::Truncated)
        };
    };
    let before = bytes.len() - fields.len() + end;
    if before + 2 > LONGEST_V1 {
        return Err(Refusal::Truncated);
    }
    match (fields.get(end), fields.get(end + 1)) {
        (Some(b'\r'), Some(b'\n')) => {}
        (Some(b'\r'), None) => return Ok(None),
        _ => return Err(invalid),
    }
    let line = fields.get(..end).unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| invalid)?;
    let addresses = line_addresses(line, v4).ok_or(invalid)?;
    Ok(Some(Header {
        addresses: Some(addresses),
        length: before + 2,
        ..Header::default()
    }))
}

fn line_addresses(line: &str, v4: bool) -> Option<Addresses> {
    let mut fields = line.split(' ');
    let mut ip = || -> Option<IpAddr> {
        let field = fields.next()?;
        if v4 {
            field.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        } else {
            field.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
    };
    let (source, destination) = (ip()?, ip()?);
    let mut port = || -> Option<u16> {
        let field = fields.next()?;
        let digits = field.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| field.parse().ok()).flatten()
    };
    let (from, to) = (port()?, port()?);
    fields.next().is_none().then_some(Addresses {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(destination, to),
    })
}

/// Version 2: a signature, four bytes, then as many as these say.
fn binary(bytes: &[u8]) -> Result<Option<Header>, Refusal> {
    let Some(rest) = bytes.strip_prefix(SIGNATURE) else {
        return Ok(None);
    };
    let [version, family, high, low, body @ ..] = rest else {
        return match rest.first() {
            Some(version) if version >> 4 != 2 => Err(foreign(bytes)),
            _ => Ok(None),
        };
    };
    if version >> 4 != 2 {
        return Err(foreign(bytes));
    }
    let size = usize::from(u16::from_be_bytes([*high, *low]));
    let Some(body) = body.get(..size) else {
        return Ok(None);
    };
    let length = SIGNATURE.len() + 4 + size;
    let local = Header {
        length,
        ..Header::default()
    };
    match (version & 0x0f, family) {
        (0, _) => Ok(Some(local)),
        (1, 0x11) => {
            let (addresses, rest) = four(body).ok_or(Refusal::Invalid(None))?;
            extras(bytes, length, addresses, rest).map(Some)
        }
        (1, 0x21) => {
            let (addresses, rest) = six(body).ok_or(Refusal::Invalid(None))?;
            extras(bytes, length, addresses, rest).map(Some)
        }
        _ => Err(Refusal::Invalid(None)),
    }
}

fn four(body: &[u8]) -> Option<(Addresses, &[u8])> {
    let (source, rest) = body.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    ports(
        Ipv4Addr::from(*source).into(),
        Ipv4Addr::from(*destination).into(),
        rest,
    )
}

fn six(body: &[u8]) -> Option<(Addresses, &[u8])> {
    let (source, rest) = body.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    ports(
        Ipv6Addr::from(*source).into(),
        Ipv6Addr::from(*destination).into(),
        rest,
    )
}

fn ports(source: IpAddr, destination: IpAddr, rest: &[u8]) -> Option<(Addresses, &[u8])> {
    let (from, rest) = rest.split_first_chunk::<2>()?;
    let (to, rest) = rest.split_first_chunk::<2>()?;
    let addresses = Addresses {
        source: SocketAddr::new(source, u16::from_be_bytes(*from)),
        destination: SocketAddr::new(destination, u16::from_be_bytes(*to)),
    };
    Some((addresses, rest))
}

/// What follows the addresses: kind, length, value, as often as there is room.
fn extras(
    bytes: &[u8],
    length: usize,
    addresses: Addresses,
    mut rest: &[u8],
) -> Result<Header, Refusal> {
    let invalid = Refusal::Invalid(Some(addresses));
    let mut header = Header {
        addresses: Some(addresses),
        length,
        ..Header::default()
    };
    while !rest.is_empty() {
        let [kind, high, low, after @ ..] = rest else {
            return Err(invalid);
        };
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, next) = after.split_at_checked(size).ok_or(invalid)?;
        match *kind {
            kind::CRC32C => {
                let sum: [u8; 4] = value.try_into().map_err(|_| invalid)?;
                // The checksum itself counts as zeros.
                let from = length - next.len() - 4;
                let mut whole: Vec<u8> = bytes.iter().copied().take(length).collect();
                whole
                    .iter_mut()
                    .skip(from)
                    .take(4)
                    .for_each(|byte| *byte = 0);
                if crc32c(&whole) != u32::from_be_bytes(sum) {
                    return Err(invalid);
                }
            }
            kind::AUTHORITY if size > LONGEST_AUTHORITY => return Err(invalid),
            kind::AUTHORITY => header.authority = Some(value.into()),
            kind::UNIQUE_ID if size > LONGEST_UNIQUE_ID => return Err(invalid),
            kind::UNIQUE_ID => header.unique_id = Some(value.into()),
            _ => {}
        }
        rest = next;
    }
    Ok(header)
}
