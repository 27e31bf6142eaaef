//! Properties over arbitrary input, with etherparse as an independent judge.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{Ipv4HeaderSlice, NetSlice, SlicedPacket};
use proptest::collection::vec;
use proptest::prelude::*;
use vrrp_proto::ipv4::Header;
use vrrp_proto::vrrp::{
    Advert, Auth, Checksum, Expect, Interval, ListRule, MAX_CENTISECONDS, Path, Peer, Senders,
    Version, decode,
};
use vrrp_proto::{Datagram, arp, ipv4};

fn address() -> impl Strategy<Value = Ipv4Addr> + Clone {
    any::<[u8; 4]>().prop_map(Ipv4Addr::from)
}

fn auth() -> impl Strategy<Value = Auth> {
    prop_oneof![Just(Auth::None), any::<[u8; 8]>().prop_map(Auth::Pass)]
}

/// An advert of any version over any family, and where it goes.
fn message() -> impl Strategy<Value = (Advert, Path)> {
    prop_oneof![
        version_2(),
        version_3(address().prop_map(IpAddr::V4)),
        version_3(address_v6())
    ]
}

fn address_v6() -> impl Strategy<Value = IpAddr> + Clone {
    any::<[u8; 16]>().prop_map(IpAddr::from)
}

fn checksum() -> impl Strategy<Value = Checksum> {
    prop_oneof![
        Just(Checksum::PseudoHeader),
        Just(Checksum::PseudoHeaderOfGroup),
        Just(Checksum::Message)
    ]
}

prop_compose! {
    fn version_2()(
        vrid: u8, priority: u8, seconds: u8, auth in auth(), checksum in checksum(),
        addresses in vec(address(), 0..=255), source in address(), destination in address(),
    ) -> (Advert, Path) {
        let advert = Advert {
            version: Version::V2,
            vrid,
            priority,
            interval: Interval::Seconds(seconds),
            auth,
            addresses: addresses.into_iter().map(IpAddr::V4).collect(),
        };
        (advert, Path { source: source.into(), destination: destination.into(), checksum })
    }
}

prop_compose! {
    fn version_3(address: impl Strategy<Value = IpAddr> + Clone)(
        vrid: u8, priority: u8, hundredths in 1..=MAX_CENTISECONDS, checksum in checksum(),
        addresses in vec(address.clone(), 0..=255), source in address.clone(), destination in address,
    ) -> (Advert, Path) {
        let advert = Advert {
            version: Version::V3,
            vrid,
            priority,
            interval: Interval::Centiseconds(hundredths),
            auth: Auth::None,
            addresses,
        };
        (advert, Path { source, destination, checksum })
    }
}

fn datagram(path: &Path, payload: Vec<u8>) -> Datagram {
    Datagram {
        source: path.source,
        destination: path.destination,
        ttl: 255,
        header_len: if path.source.is_ipv4() { 20 } else { 0 },
        payload,
    }
}

fn expectation<'a>(advert: &'a Advert, path: &Path) -> Expect<'a> {
    Expect {
        version: advert.version,
        senders: Senders::OnLink,
        auth: advert.auth,
        interval: advert.interval,
        checksum: path.checksum,
        addresses: &advert.addresses,
        list: ListRule::Same,
    }
}

proptest! {
    #[test]
    fn adverts_survive_the_round_trip((advert, path) in message()) {
        let bytes = advert.encode(&path);
        prop_assert_eq!(bytes.len(), advert.encoded_len(&path));
        let mut buffer = vec![0xa5; bytes.len()];
        advert.emit(&path, &mut buffer);
        prop_assert_eq!(&buffer, &bytes);
        let expect = expectation(&advert, &path);
        prop_assert_eq!(decode(&datagram(&path, bytes), &expect), Ok(advert.clone()));
    }

    /// One changed bit never goes through unseen: the checksum, the length or
    /// a comparison catches it. Only the data bytes of an advert without
    /// authentication may change nothing but the checksum.
    #[test]
    fn one_flipped_bit_is_caught((advert, path) in message(), at: prop::sample::Index, bit in 0..8_u8) {
        let mut bytes = advert.encode(&path);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(&datagram(&path, bytes), &expectation(&advert, &path)).is_err());
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..200), (advert, path) in message(), ttl: u8) {
        let _ = Header::decode(&bytes);
        let _ = ipv4::checksum_is_valid(&bytes);
        let _ = arp::Packet::decode(&bytes);
        if let Ok(datagram) = Datagram::from_ipv4(&bytes) {
            let _ = decode(&datagram, &expectation(&advert, &path));
        }
        let peers = [Peer::new(path.source)];
        let expect = Expect { senders: Senders::Peers(&peers), ..expectation(&advert, &path) };
        let _ = decode(&Datagram { ttl, ..datagram(&path, bytes) }, &expect);
    }

    /// Random bytes are nearly always dropped at the length; these get further.
    #[test]
    fn bytes_that_look_like_an_advert_do_not_panic((advert, path) in message(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut: prop::sample::Index) {
        let mut bytes = advert.encode(&path);
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        let _ = decode(&datagram(&path, bytes.clone()), &expectation(&advert, &path));
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(decode(&datagram(&path, bytes), &expectation(&advert, &path)).is_err());
    }

    #[test]
    fn etherparse_reads_our_ipv4_header(
        source in address(), destination in address(), ttl: u8, id: u16, payload in vec(any::<u8>(), 0..64),
    ) {
        let header = Header::advert(source, destination, ttl, id);
        let mut packet = header.encode(payload.len());
        packet.extend_from_slice(&payload);
        let theirs = Ipv4HeaderSlice::from_slice(&packet).unwrap();
        prop_assert_eq!(theirs.source_addr(), source);
        prop_assert_eq!(theirs.destination_addr(), destination);
        prop_assert_eq!(theirs.ttl(), ttl);
        prop_assert_eq!(theirs.identification(), id);
        prop_assert_eq!(theirs.protocol().0, 112);
        prop_assert_eq!(usize::from(theirs.total_len()), packet.len());
        prop_assert_eq!(theirs.dcp().value(), 48);
        prop_assert!(!theirs.dont_fragment() && !theirs.more_fragments());
        let owned = theirs.to_header();
        prop_assert_eq!(owned.calc_header_checksum(), theirs.header_checksum());
        prop_assert_eq!(Header::decode(&packet), Ok((header, payload.as_slice())));
    }

    /// Where etherparse accepts an IPv4 packet, we do and agree; where we
    /// accept one, so does it.
    #[test]
    fn etherparse_agrees_about_arbitrary_ipv4(mut bytes in vec(any::<u8>(), 0..80), words in 4..16_u8) {
        if let [first, _, high, low, ..] = bytes.as_mut_slice() {
            *first = 0x40 | words;
            (*high, *low) = (0, *low % 96);
        }
        let ours = Header::decode(&bytes);
        let theirs = etherparse::Ipv4Header::from_slice(&bytes);
        if let Ok((header, payload)) = &ours {
            let (their_header, _) = theirs.unwrap();
            prop_assert_eq!(Ipv4Addr::from(their_header.source), header.source);
            prop_assert_eq!(&their_header.options[..], header.options.as_slice());
            prop_assert_eq!(their_header.payload_len(), Ok(u16::try_from(payload.len()).unwrap()));
        } else if let Ok((their_header, _)) = theirs {
            // It does not look past the header here: the rest must be missing.
            prop_assert!(usize::from(their_header.total_len) > bytes.len() || usize::from(their_header.total_len) < their_header.header_len());
        }
    }

    #[test]
    fn etherparse_reads_our_gratuitous_arp(mac: [u8; 6], vip in address()) {
        let frame = arp::gratuitous(mac, vip);
        let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Arp(theirs)) = sliced.net else {
            return Err(TestCaseError::fail("not ARP to etherparse"));
        };
        prop_assert_eq!(theirs.operation(), etherparse::ArpOperation::REQUEST);
        prop_assert_eq!(theirs.sender_hw_addr(), &mac);
        prop_assert_eq!(theirs.sender_protocol_addr(), &vip.octets());
        prop_assert_eq!(theirs.target_hw_addr(), &[0xff; 6]);
        prop_assert_eq!(theirs.target_protocol_addr(), &vip.octets());
        prop_assert_eq!(theirs.hw_addr_type(), etherparse::ArpHardwareId::ETHERNET);
        prop_assert_eq!(arp::Packet::decode(&frame), Ok(arp::Packet::gratuitous(mac, vip)));
    }
}
