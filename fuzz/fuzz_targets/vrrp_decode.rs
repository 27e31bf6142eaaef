//! Any bytes through the IPv4, VRRP and ARP decoders. What is accepted must
//! encode to what came in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv6Addr};

use vrrp_proto::vrrp::{self, Auth, Checksum, Expect, GROUP_V6, Interval, ListRule, Path, Senders, Version};
use vrrp_proto::{Datagram, arp, ipv4};

fuzz_target!(|bytes: &[u8]| {
    let _ = ipv4::checksum_is_valid(bytes);
    if let Ok(packet) = arp::Packet::decode(bytes) {
        let mut frame = [0xa5; arp::FRAME_LEN];
        packet.emit(&mut frame);
        assert_eq!(frame, bytes[..arp::FRAME_LEN]);
    }
    let Ok(datagram) = Datagram::from_ipv4(bytes) else {
        return;
    };
    let addresses = ["10.0.254.253".parse().unwrap()];
    let third = Expect {
        version: Version::V3,
        senders: Senders::Anybody,
        auth: Auth::None,
        interval: Interval::Centiseconds(100),
        checksum: Checksum::PseudoHeader,
        addresses: &addresses,
        list: ListRule::SameCount,
    };
    let six = Datagram {
        source: IpAddr::V6(Ipv6Addr::LOCALHOST),
        destination: IpAddr::V6(GROUP_V6),
        header_len: 0,
        ..datagram.clone()
    };
    for datagram in [&datagram, &six] {
        if let Ok(advert) = vrrp::decode(datagram, &third) {
            let path = Path {
                source: datagram.source,
                destination: datagram.destination,
                checksum: Checksum::PseudoHeader,
            };
            let again = Datagram {
                payload: advert.encode(&path),
                ..datagram.clone()
            };
            assert_eq!(vrrp::decode(&again, &third), Ok(advert));
        }
    }
    for auth in [Auth::None, Auth::pass(b"k8s-lb@lab")] {
        for senders in [Senders::OnLink, Senders::Anybody] {
            let expect = Expect {
                version: Version::V2,
                senders,
                auth,
                interval: Interval::Seconds(1),
                checksum: Checksum::PseudoHeader,
                addresses: &addresses,
                list: ListRule::SameCount,
            };
            if let Ok(advert) = vrrp::decode(&datagram, &expect) {
                let path = Path {
                    source: datagram.source,
                    destination: datagram.destination,
                    checksum: Checksum::PseudoHeader,
                };
                let mut expected = datagram.payload.clone();
                if auth == Auth::None {
                    // These eight bytes are not read and sent as zeros; the
                    // checksum follows them.
                    let length = expected.len();
                    expected[length - 8..].fill(0);
                    expected[6..8].copy_from_slice(&advert.encode(&path)[6..8]);
                }
                assert_eq!(advert.encode(&path), expected);
            }
        }
    }
});
