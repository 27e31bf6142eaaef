//! Values, and how one kind is made of another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A number.
    Int(i64),
    /// An address.
    Ip(IpAddr),
    /// Text.
    Text(Vec<u8>),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Value {
    /// As a number; addresses of IPv6 and bytes are none.
    #[must_use]
    pub fn to_int(&self) -> Option<i64> {
        match self {
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Int(value) => Some(*value),
            Self::Ip(IpAddr::V4(ip)) => Some(i64::from(ip.to_bits())),
            Self::Text(text) => Some(leading_number(text)),
            Self::Ip(IpAddr::V6(_)) | Self::Binary(_) => None,
        }
    }

    /// As an address: text that is one, numbers as IPv4.
    #[must_use]
    pub fn to_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Int(value) => Some(Ipv4Addr::from_bits(low_half(*value)).into()),
            Self::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Self::Bool(_) | Self::Binary(_) => None,
        }
    }

    /// As text; bytes end at their first zero.
    #[must_use]
    pub fn into_text(self) -> Vec<u8> {
        match self {
            Self::Bool(value) => i64::from(value).to_string().into_bytes(),
            Self::Int(value) => value.to_string().into_bytes(),
            Self::Ip(ip) => ip.to_string().into_bytes(),
            Self::Text(text) => text,
            Self::Binary(mut bytes) => {
                if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
                    bytes.truncate(end);
                }
                bytes
            }
        }
    }

    /// As bytes; numbers have eight, the most significant first.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Bool(value) => i64::from(value).to_be_bytes().to_vec(),
            Self::Int(value) => value.to_be_bytes().to_vec(),
            Self::Ip(IpAddr::V4(ip)) => ip.octets().to_vec(),
            Self::Ip(IpAddr::V6(ip)) => ip.octets().to_vec(),
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    /// Whether it is true: any number but zero.
    #[must_use]
    pub fn to_bool(&self) -> Option<bool> {
        self.to_int().map(|value| value != 0)
    }
}

/// The lower 32 bits.
pub(super) const fn low_half(value: i64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The number that a text begins with; 0 if it begins with none, and what does not fit is clamped.
pub(super) fn leading_number(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_i64, |sum, digit| {
        let digit = i64::from(digit - b'0');
        let sum = sum.saturating_mul(10);
        if negative {
            sum.saturating_sub(digit)
        } else {
            sum.saturating_add(digit)
        }
    })
}

/// An IPv4 address as IPv6 carries it.
pub(super) fn mapped(ip: Ipv4Addr) -> Ipv6Addr {
    ip.to_ipv6_mapped()
}
