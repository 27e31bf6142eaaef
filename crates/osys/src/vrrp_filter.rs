//! Which packets a raw socket of protocol 112 is handed: classic BPF programs
//! (linux/filter.h), which the kernel runs before it queues a packet.

use std::collections::BTreeSet;

use socket2::SockFilter;

/// The program that keeps every packet.
pub(crate) const ALL: [SockFilter; 1] = [instruction(RETURN, WHOLE)];

/// `BPF_RET | BPF_K` of linux/filter.h: how many bytes of the packet are kept.
const RETURN: u16 = 0x06;
/// More than the longest packet.
const WHOLE: u32 = u32::MAX;

const fn instruction(code: u16, k: u32) -> SockFilter {
    branch(code, k, 0, 0)
}

/// One that goes on so many instructions further if its test holds, or not.
const fn branch(code: u16, k: u32, yes: u8, no: u8) -> SockFilter {
    SockFilter::new(code, yes, no, k)
}

/// The program that keeps the packets of these virtual routers. A raw socket's filter sees an
/// IPv4 packet from its header on, an IPv6 one from its payload on.
pub(crate) fn keep(v6: bool, vrids: &BTreeSet<u8>) -> Vec<SockFilter> {
    // BPF_LDX | BPF_B | BPF_MSH: X is the length of the IPv4 header.
    const HEADER: u16 = 0xb1;
    // BPF_LDX | BPF_IMM
    const SET_X: u16 = 0x01;
    // BPF_LD | BPF_B | BPF_IND: a byte at X + k; beyond the end the packet is dropped.
    const BYTE: u16 = 0x50;
    // BPF_JMP | BPF_JGE and BPF_JGT, with a constant.
    const NOT_BELOW: u16 = 0x35;
    const ABOVE: u16 = 0x25;
    let mut all = vec![
        if v6 {
            instruction(SET_X, 0)
        } else {
            instruction(HEADER, 0)
        },
        // RFC 3768, 5.1: the second byte is the virtual router id.
        instruction(BYTE, 1),
    ];
    for (first, last) in ranges(vrids) {
        all.push(branch(NOT_BELOW, u32::from(first), 0, 2));
        all.push(branch(ABOVE, u32::from(last), 1, 0));
        all.push(instruction(RETURN, WHOLE));
    }
    all.push(instruction(RETURN, 0));
    all
}

/// Neighbouring ids as one range, so that many routers are few instructions.
fn ranges(vrids: &BTreeSet<u8>) -> Vec<(u8, u8)> {
    let mut ranges: Vec<(u8, u8)> = Vec::new();
    for vrid in vrids {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*vrid) => *last = *vrid,
            _ => ranges.push((*vrid, *vrid)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::Ipv4Addr;
    use std::num::NonZeroU32;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::vrrp_socket::{Listen, Receiver, Sender};

    /// A packet of this virtual router, as far as the filter looks.
    fn packet(source: Ipv4Addr, destination: Ipv4Addr, vrid: u8) -> Vec<u8> {
        let mut bytes = vec![
            0x45, 0xc0, 0, 28, 0, 1, 0, 0, 255, 112, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        bytes.splice(12..16, source.octets());
        bytes.splice(16..20, destination.octets());
        bytes.extend_from_slice(&[0x21, vrid, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn the_kernel_keeps_other_routers_packets_away() {
        let address = Ipv4Addr::new(127, 0, 0, 78);
        let listen = Listen::Address(address.into());
        let loopback = NonZeroU32::new(1);
        let receiver = match Receiver::open(listen, loopback) {
            Ok(receiver) => receiver,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
                return;
            }
        };
        let sender = Sender::open(loopback).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let heard = |wanted: &[u8]| {
            receiver
                .hear_only(&wanted.iter().copied().collect())
                .unwrap();
            for mark in 1..=u8::MAX {
                let packet = packet(Ipv4Addr::LOCALHOST, address, mark);
                sender.send(&packet, address.into()).unwrap();
            }
            // One that does not even have an id.
            let short = packet(Ipv4Addr::LOCALHOST, address, 9);
            sender.send(&short[..21], address.into()).unwrap();
            receiver.hear_all().unwrap();
            let end = packet(Ipv4Addr::LOCALHOST, address, 0);
            sender.send(&end, address.into()).unwrap();
            let mut heard = Vec::new();
            let mut buffer = [0; 64];
            while heard.last() != Some(&0) {
                assert!(Instant::now() < deadline);
                match receiver.receive(&mut buffer) {
                    Ok(_) => heard.push(buffer[21]),
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
            heard.pop();
            heard
        };
        for wanted in [
            vec![7],
            vec![60, 61, 62],
            vec![1, 3, 4, 5, 9, 254, 255],
            (1..=255).collect(),
            (1..=127).map(|half| half * 2).collect(),
            vec![],
        ] {
            assert_eq!(heard(&wanted), wanted);
        }
    }

    #[test]
    fn neighbours_are_one_range() {
        let ids = [1, 2, 3, 60, 254, 255].into();
        assert_eq!(ranges(&ids), [(1, 3), (60, 60), (254, 255)]);
        assert_eq!(ranges(&BTreeSet::new()), []);
    }
}
