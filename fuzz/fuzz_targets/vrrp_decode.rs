//! Any bytes through the IPv4, VRRP and ARP decoders. What is accepted must
//! encode to what came in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vrrp_proto::vrrp::{self, Auth, Expect, Interval, ListRule, Senders, Version};
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
    for auth in [Auth::None, Auth::pass(b"k8s-lb@lab")] {
        for senders in [Senders::OnLink, Senders::Anybody] {
            let expect = Expect {
                version: Version::V2,
                senders,
                auth,
                interval: Interval::Seconds(1),
                addresses: &addresses,
                list: ListRule::SameCount,
            };
            if let Ok(advert) = vrrp::decode(&datagram, &expect) {
                let mut expected = datagram.payload.clone();
                if auth == Auth::None {
                    // These eight bytes are not read and sent as zeros; the
                    // checksum follows them.
                    let length = expected.len();
                    expected[length - 8..].fill(0);
                    expected[6..8].copy_from_slice(&advert.encode()[6..8]);
                }
                assert_eq!(advert.encode(), expected);
            }
        }
    }
});
