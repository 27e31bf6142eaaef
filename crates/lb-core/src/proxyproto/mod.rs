//! The PROXY protocol, versions 1 and 2: a header before a connection's own bytes that tells which
//! client it is for (<https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt>).

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{LONGEST_V1, Refusal, decode};
pub use encode::{Content, Form, Options, Tls, encode};

use std::net::SocketAddr;

/// What every header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Kinds of what may follow the addresses of version 2 (section 2.2 of the specification).
mod kind {
    pub(super) const ALPN: u8 = 0x01;
    pub(super) const AUTHORITY: u8 = 0x02;
    pub(super) const CRC32C: u8 = 0x03;
    pub(super) const UNIQUE_ID: u8 = 0x05;
    pub(super) const SSL: u8 = 0x20;
    pub(super) const SSL_VERSION: u8 = 0x21;
    pub(super) const SSL_CN: u8 = 0x22;
    pub(super) const SSL_CIPHER: u8 = 0x23;
    pub(super) const SSL_SIG_ALG: u8 = 0x24;
    pub(super) const SSL_KEY_ALG: u8 = 0x25;
}

/// The two ends of the connection that a header speaks of, both of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Who connected.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
}

/// A header that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The addresses; `None` (`UNKNOWN`, `LOCAL`) leaves the connection its own.
    pub addresses: Option<Addresses>,
    /// The host name the client asked for, if the sender told it.
    pub authority: Option<Box<[u8]>>,
    /// The sender's id of the connection.
    pub unique_id: Option<Box<[u8]>>,
    /// How many bytes the header has; the connection's own follow.
    pub length: usize,
}
