//! Why adverts are dropped, in keepalived's words.

use std::net::IpAddr;

use thiserror::Error;

use super::Interval;

/// Why an advert is not accepted. The display form is keepalived's own
/// wording without the leading `(instance) `.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Fewer than the eight bytes every message begins with. keepalived says
    /// so before it looks for the instance, hence without its name.
    #[error("IPv4 VRRP packet too short - {length} bytes")]
    Truncated {
        /// Bytes of the whole IP packet.
        length: usize,
    },
    /// Fewer bytes than address count and authentication account for.
    #[error("vrrp packet too short, length {length} and expect {expected}")]
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
    #[error("Invalid packet type. {received} and expect 1")]
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
    /// A multicast packet was passed on by a router.
    #[error("invalid TTL/HL. Received {received} and expect {expected}")]
    Ttl {
        /// Time to live on the wire.
        received: u8,
        /// The only one accepted.
        expected: u8,
    },
    /// The time to live is out of the peer's limits.
    #[error("TTL/HL {received} not in range {min} - {max}")]
    TtlRange {
        /// Time to live on the wire.
        received: u8,
        /// The peer's `min_ttl`.
        min: u8,
        /// The peer's `max_ttl`.
        max: u8,
    },
    /// The sender is no unicast peer.
    #[error("unicast source address {source_address} not a unicast peer")]
    Source {
        /// The sender's address.
        source_address: IpAddr,
    },
    /// The number of virtual addresses differs.
    #[error("received an unexpected ip number count {received}, expected {expected}!")]
    Count {
        /// Count on the wire.
        received: u8,
        /// How many we have.
        expected: usize,
    },
    /// Another advertisement interval (version 2 only; RFC 3768, 7.1).
    #[error("advertisement interval mismatch mine={expected} rcv'd={received}")]
    Interval {
        /// Interval on the wire.
        received: Interval,
        /// Ours.
        expected: Interval,
    },
    /// A master of version 3 that says it speaks without pause. keepalived
    /// counts it as down at once; it has no words for it.
    #[error("received an advertisement interval of 0")]
    ZeroInterval,
    /// The number of addresses is right, but one of ours is not among them.
    #[error("ip address associated with VRID {vrid} not present in MASTER advert: {missing}")]
    Address {
        /// The virtual router id.
        vrid: u8,
        /// The first of ours that is missing.
        missing: IpAddr,
    },
    /// The checksum is wrong.
    #[error("Invalid VRRPv{version} checksum")]
    Checksum {
        /// Version on the wire.
        version: u8,
    },
}
