//! Replays the fuzz corpus on the stable toolchain: whatever once went into
//! the fuzzer, and whatever once broke a decoder, must go through unharmed.

use std::fs;
use std::path::Path;

use vrrp_proto::vrrp::{
    self, Auth, Checksum, Expect, Interval, ListRule, Path as Way, Senders, Version,
};
use vrrp_proto::{Datagram, arp};

#[test]
fn the_fuzz_corpus_goes_through_every_decoder() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/vrrp_decode");
    let addresses = ["10.0.254.253".parse().unwrap()];
    let mut accepted = Vec::new();
    let mut replayed = 0;
    let mut entries: Vec<_> = fs::read_dir(&corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let bytes = fs::read(&path).unwrap();
        let _ = arp::Packet::decode(&bytes);
        for auth in [Auth::None, Auth::pass(b"k8s-lb@lab")] {
            let expect = Expect {
                version: Version::V2,
                senders: Senders::OnLink,
                auth,
                interval: Interval::Seconds(1),
                addresses: &addresses,
                checksum: Checksum::PseudoHeader,
                list: ListRule::Same,
            };
            let decoded = Datagram::from_ipv4(&bytes)
                .ok()
                .and_then(|datagram| vrrp::decode(&datagram, &expect).ok());
            if let Some(advert) = decoded {
                // What goes in and is understood comes out again unchanged.
                let datagram = Datagram::from_ipv4(&bytes).unwrap();
                let way = Way {
                    source: datagram.source,
                    destination: datagram.destination,
                    checksum: Checksum::PseudoHeader,
                };
                assert_eq!(advert.encode(&way), datagram.payload, "{}", path.display());
                accepted.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
        replayed += 1;
    }
    assert!(replayed >= 10, "the corpus is there: {replayed} files");
    assert_eq!(accepted, ["multicast-v2-no-auth", "unicast-v2-pass"]);
}
