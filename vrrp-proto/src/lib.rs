//! Wire formats of the virtual router: VRRP version 2 over IPv4 (RFC 3768) and
//! version 3 over IPv4 and IPv6 (RFC 5798, RFC 9568), gratuitous ARP (RFC 826), unsolicited neighbour advertisements (RFC 4861)
//! and the IPv4 header (RFC 791).
//!
//! Bytes from the network come in through one checked door a type
//! ([`Datagram::from_ipv4`], [`vrrp::decode`], [`arp::Packet::decode`]); what is
//! behind the door is plain owned data. Nothing in here does IO, reads a clock
//! or panics on any input.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod arp;
pub mod checksum;
mod datagram;
pub mod ipv4;
pub mod ipv6;
pub mod ndisc;
mod read;
pub mod vrrp;

pub use datagram::Datagram;
