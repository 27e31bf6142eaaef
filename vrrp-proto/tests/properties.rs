//! Properties over arbitrary input, with etherparse as an independent judge.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{Ipv4HeaderSlice, NetSlice, SlicedPacket};
use proptest::collection::vec;
use proptest::prelude::*;
use vrrp_proto::ipv4::Header;
use vrrp_proto::vrrp::{Advert, Auth, Expect, Interval, ListRule, Peer, Senders, Version, decode};
use vrrp_proto::{Datagram, arp, ipv4};

fn address() -> impl Strategy<Value = Ipv4Addr> {
    any::<[u8; 4]>().prop_map(Ipv4Addr::from)
}

fn auth() -> impl Strategy<Value = Auth> {
    prop_oneof![Just(Auth::None), any::<[u8; 8]>().prop_map(Auth::Pass)]
}

prop_compose! {
    fn advert()(
        vrid: u8, priority: u8, seconds: u8, auth in auth(), addresses in vec(address(), 0..=255),
    ) -> Advert {
        Advert {
            version: Version::V2,
            vrid,
            priority,
            interval: Interval::Seconds(seconds),
            auth,
            addresses: addresses.into_iter().map(IpAddr::V4).collect(),
        }
    }
}

fn datagram(payload: Vec<u8>) -> Datagram {
    Datagram {
        source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        destination: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
        ttl: 255,
        header_len: 20,
        payload,
    }
}

fn expectation(advert: &Advert) -> Expect<'_> {
    Expect {
        version: advert.version,
        senders: Senders::OnLink,
        auth: advert.auth,
        interval: advert.interval,
        addresses: &advert.addresses,
        list: ListRule::Same,
    }
}

proptest! {
    #[test]
    fn adverts_survive_the_round_trip(advert in advert()) {
        let bytes = advert.encode();
        prop_assert_eq!(bytes.len(), advert.encoded_len());
        let mut buffer = vec![0xa5; bytes.len()];
        advert.emit(&mut buffer);
        prop_assert_eq!(&buffer, &bytes);
        prop_assert_eq!(decode(&datagram(bytes), &expectation(&advert)), Ok(advert));
    }

    /// One changed bit never goes through unseen: the checksum, the length or
    /// a comparison catches it. Only the data bytes of an advert without
    /// authentication may change nothing but the checksum.
    #[test]
    fn one_flipped_bit_is_caught(advert in advert(), at: prop::sample::Index, bit in 0..8_u8) {
        let mut bytes = advert.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(&datagram(bytes), &expectation(&advert)).is_err());
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..200), advert in advert(), ttl: u8) {
        let _ = Header::decode(&bytes);
        let _ = ipv4::checksum_is_valid(&bytes);
        let _ = arp::Packet::decode(&bytes);
        if let Ok(datagram) = Datagram::from_ipv4(&bytes) {
            let _ = decode(&datagram, &expectation(&advert));
        }
        let peers = [Peer::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))];
        let expect = Expect { senders: Senders::Peers(&peers), ..expectation(&advert) };
        let _ = decode(&Datagram { ttl, ..datagram(bytes) }, &expect);
    }

    /// Random bytes are nearly always dropped at the length; these get further.
    #[test]
    fn bytes_that_look_like_an_advert_do_not_panic(advert in advert(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut: prop::sample::Index) {
        let mut bytes = advert.encode();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        let _ = decode(&datagram(bytes.clone()), &expectation(&advert));
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(decode(&datagram(bytes), &expectation(&advert)).is_err());
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
