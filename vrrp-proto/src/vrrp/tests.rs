use super::*;

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 254, 253));
const MASTER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 254, 252));
const BACKUP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 254, 251));

/// Bytes from hex with blanks.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn v4(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Packets captured from keepalived, each with its meaning.
fn golden() -> Vec<(&'static str, Vec<u8>, Advert)> {
    let advert = |vrid, priority, auth, addresses: &[&str]| Advert {
        version: Version::V2,
        vrid,
        priority,
        interval: Interval::Seconds(1),
        auth,
        addresses: addresses.iter().map(|text| v4(text)).collect(),
    };
    vec![
        (
            "unicast with a password of more than eight bytes",
            hex("213c 6701 0101 e28e 0a00fefd 6b38732d6c62406c"),
            advert(60, 103, Auth::pass(b"k8s-lb@lab"), &["10.0.254.253"]),
        ),
        (
            "multicast, no authentication, two addresses",
            hex("2133 9602 0001 3734 0a00fec9 0a00feca 0000000000000000"),
            advert(51, 150, Auth::None, &["10.0.254.201", "10.0.254.202"]),
        ),
        (
            "a password of four bytes, zero padded",
            hex("2138 9601 0101 da8f 0a00fece 3132333400000000"),
            advert(56, 150, Auth::pass(b"1234"), &["10.0.254.206"]),
        ),
    ]
}

fn from_master(payload: Vec<u8>) -> Datagram {
    Datagram {
        source: MASTER,
        destination: BACKUP,
        ttl: 255,
        header_len: 20,
        payload,
    }
}

fn reference() -> Advert {
    Advert {
        version: Version::V2,
        vrid: 60,
        priority: 103,
        interval: Interval::Seconds(1),
        auth: Auth::pass(b"k8s-lb@lab"),
        addresses: vec![VIP],
    }
}

fn expect(addresses: &[IpAddr]) -> Expect<'_> {
    Expect {
        version: Version::V2,
        senders: Senders::Anybody,
        auth: Auth::pass(b"k8s-lb@lab"),
        interval: Interval::Seconds(1),
        addresses,
        list: ListRule::Same,
    }
}

/// Encodes, changes bytes, and mends the checksum.
fn altered(advert: &Advert, change: impl FnOnce(&mut Vec<u8>)) -> Datagram {
    let mut bytes = advert.encode();
    change(&mut bytes);
    if bytes.len() >= 8 {
        bytes[6..8].fill(0);
        let sum = checksum::internet(&[&bytes]);
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    from_master(bytes)
}

#[test]
fn captured_packets_decode_to_their_meaning() {
    for (name, bytes, advert) in golden() {
        let expect = Expect {
            auth: advert.auth,
            ..expect(&advert.addresses)
        };
        assert_eq!(
            decode(&from_master(bytes), &expect),
            Ok(advert.clone()),
            "{name}"
        );
    }
}

#[test]
fn meanings_encode_to_the_captured_packets() {
    for (name, bytes, advert) in golden() {
        assert_eq!(advert.encode(), bytes, "{name}");
        // A buffer full of rubbish shows a field that was not written.
        let mut buffer = vec![0xa5; bytes.len() + 3];
        assert_eq!(advert.emit(&mut buffer), bytes.len(), "{name}");
        assert_eq!(buffer[..bytes.len()], bytes, "{name}");
        assert_eq!(buffer[bytes.len()..], [0xa5; 3], "{name}");
        let mut short = vec![0xa5; bytes.len() - 1];
        assert_eq!(advert.emit(&mut short), 0, "{name}");
        assert!(short.iter().all(|byte| *byte == 0xa5), "{name}");
    }
}

#[test]
fn a_whole_captured_packet_goes_through_both_doors() {
    let packet = hex("45c0 0028 0001 0000 ff70 a8ac 0a00fefc 0a00fefb
         213c 6701 0101 e28e 0a00fefd 6b38732d6c62406c");
    let datagram = Datagram::from_ipv4(&packet).unwrap();
    assert_eq!((datagram.source, datagram.destination), (MASTER, BACKUP));
    assert_eq!(
        (datagram.ttl, datagram.vrid(), datagram.total_len()),
        (255, Some(60), 40)
    );
    assert_eq!(decode(&datagram, &expect(&[VIP])), Ok(reference()));
}

/// One fault each: the error with its numbers, and keepalived's words for it.
#[test]
fn faults_are_told_apart() {
    let one = reference();
    let two = Advert {
        addresses: vec![VIP, v4("10.0.254.254")],
        ..reference()
    };
    let other = Advert {
        addresses: vec![v4("10.0.254.254")],
        ..reference()
    };
    let cases = [
        (
            from_master(one.encode()[..7].to_vec()),
            DecodeError::Truncated { length: 27 },
            "IPv4 VRRP packet too short - 27 bytes",
        ),
        (
            from_master(one.encode()[..8].to_vec()),
            DecodeError::TooShort {
                length: 28,
                expected: 40,
            },
            "vrrp packet too short, length 28 and expect 40",
        ),
        (
            from_master(one.encode()[..19].to_vec()),
            DecodeError::TooShort {
                length: 39,
                expected: 40,
            },
            "vrrp packet too short, length 39 and expect 40",
        ),
        (
            altered(&one, |bytes| bytes[3] = 9),
            DecodeError::TooShort {
                length: 40,
                expected: 72,
            },
            "vrrp packet too short, length 40 and expect 72",
        ),
        (
            altered(&one, |bytes| bytes.extend(*b"abcd")),
            DecodeError::TooLong {
                length: 44,
                expected: 40,
            },
            "vrrp packet too long, length 44 and expect 40",
        ),
        (
            altered(&one, |bytes| bytes[3] = 0),
            DecodeError::TooLong {
                length: 40,
                expected: 36,
            },
            "vrrp packet too long, length 40 and expect 36",
        ),
        (
            // Version 3 has no authentication field, so this one is too long.
            altered(&one, |bytes| bytes[0] = 0x31),
            DecodeError::TooLong {
                length: 40,
                expected: 32,
            },
            "vrrp packet too long, length 40 and expect 32",
        ),
        (
            // Captured version 3 packet with our virtual router id.
            from_master(hex("313c 9601 0064 0000 0a00fefd")),
            DecodeError::Version {
                received: 3,
                expected: 2,
            },
            "wrong version. Received 3 and expect 2",
        ),
        (
            altered(&one, |bytes| bytes[4] = 7),
            DecodeError::UnknownAuthType { received: 7 },
            "Invalid auth type: 7",
        ),
        (
            altered(&one, |bytes| bytes[4] = 0),
            DecodeError::AuthType {
                received: 0,
                expected: 1,
            },
            "received a 0 auth, expecting 1!",
        ),
        (
            altered(&one, |bytes| bytes[4] = 2),
            DecodeError::AuthType {
                received: 2,
                expected: 1,
            },
            "received a 2 auth, expecting 1!",
        ),
        (
            altered(&one, |bytes| bytes[19] = b'x'),
            DecodeError::Password,
            "received an invalid passwd!",
        ),
        (
            altered(&one, |bytes| bytes[5] = 2),
            DecodeError::Interval {
                received: Interval::Seconds(2),
                expected: Interval::Seconds(1),
            },
            "advertisement interval mismatch mine=1 sec rcv'd=2 sec",
        ),
        (
            altered(&one, |bytes| bytes[0] = 0x22),
            DecodeError::Type { received: 2 },
            "Invalid packet type. 2 and expect 1",
        ),
        (
            from_master(two.encode()),
            DecodeError::Count {
                received: 2,
                expected: 1,
            },
            "received an unexpected ip number count 2, expected 1!",
        ),
        (
            from_master({
                let mut bytes = one.encode();
                bytes[6] ^= 1;
                bytes
            }),
            DecodeError::Checksum { version: 2 },
            "Invalid VRRPv2 checksum",
        ),
        (
            from_master({
                let mut bytes = one.encode();
                bytes[6..8].fill(0);
                bytes
            }),
            DecodeError::Checksum { version: 2 },
            "Invalid VRRPv2 checksum",
        ),
        (
            from_master(other.encode()),
            DecodeError::Address {
                vrid: 60,
                missing: VIP,
            },
            "ip address associated with VRID 60 not present in MASTER advert: 10.0.254.253",
        ),
    ];
    for (datagram, error, words) in cases {
        assert_eq!(decode(&datagram, &expect(&[VIP])), Err(error), "{words}");
        assert_eq!(error.to_string(), words);
    }
}

/// Of two faults the one told is the one keepalived 2.2.7 tells (tried with
/// injected packets).
#[test]
fn the_first_of_two_faults_is_keepaliveds() {
    let one = reference();
    let two = Advert {
        addresses: vec![VIP, v4("10.0.254.254")],
        ..reference()
    };
    let name = |result: Result<Advert, DecodeError>| match result.unwrap_err() {
        DecodeError::Truncated { .. } => "truncated",
        DecodeError::TooShort { .. } => "short",
        DecodeError::TooLong { .. } => "long",
        DecodeError::Version { .. } => "version",
        DecodeError::Type { .. } => "type",
        DecodeError::UnknownAuthType { .. } => "unknown auth",
        DecodeError::AuthType { .. } => "auth",
        DecodeError::Password => "password",
        DecodeError::Ttl { .. } => "ttl",
        DecodeError::TtlRange { .. } => "ttl range",
        DecodeError::Source { .. } => "source",
        DecodeError::Count { .. } => "count",
        DecodeError::Interval { .. } => "interval",
        DecodeError::Address { .. } => "address",
        DecodeError::Checksum { .. } => "checksum",
    };
    let ours = [VIP];
    let bad_sum = |mut datagram: Datagram| {
        datagram.payload[6] ^= 1;
        datagram
    };
    let check = |datagram: &Datagram, first| {
        assert_eq!(name(decode(datagram, &expect(&ours))), first);
    };
    check(&bad_sum(altered(&one, |bytes| bytes[19] = 0)), "password");
    check(&bad_sum(altered(&one, |bytes| bytes[0] = 0x22)), "type");
    check(&bad_sum(from_master(two.encode())), "count");
    check(&bad_sum(altered(&one, |bytes| bytes[5] = 2)), "interval");
    check(&bad_sum(altered(&one, |bytes| bytes.push(0))), "long");
    check(
        &altered(&one, |bytes| (bytes[19], bytes[0]) = (0, 0x22)),
        "password",
    );
    check(
        &altered(&one, |bytes| (bytes[5], bytes[0]) = (2, 0x22)),
        "interval",
    );
    check(&altered(&two, |bytes| bytes[0] = 0x22), "type");
    check(&altered(&two, |bytes| bytes[5] = 2), "interval");
    check(
        &altered(&one, |bytes| (bytes[4], bytes[5]) = (7, 2)),
        "unknown auth",
    );

    // Multicast: the time to live comes after the length, before the version.
    let on_link = Expect {
        senders: Senders::OnLink,
        ..expect(&ours)
    };
    let far = |mut datagram: Datagram| {
        datagram.ttl = 254;
        datagram
    };
    let v3 = from_master(hex("313c 9601 0064 0000 0a00fefd"));
    assert_eq!(name(decode(&far(v3), &on_link)), "ttl");
    let long = altered(&one, |bytes| bytes.push(0));
    assert_eq!(name(decode(&far(long), &on_link)), "long");

    // Unicast: who sent it comes last.
    let peers = [Peer {
        address: BACKUP,
        min_ttl: 250,
        max_ttl: 254,
    }];
    let peers_only = Expect {
        senders: Senders::Peers(&peers),
        ..expect(&ours)
    };
    assert_eq!(
        name(decode(&from_master(two.encode()), &peers_only)),
        "count"
    );
    assert_eq!(
        name(decode(&from_master(one.encode()), &peers_only)),
        "source"
    );
}

#[test]
fn who_may_send() {
    let packet = |source, ttl| Datagram {
        source,
        ttl,
        ..from_master(reference().encode())
    };
    let ours = [VIP];
    let result = |senders, source, ttl| {
        decode(
            &packet(source, ttl),
            &Expect {
                senders,
                ..expect(&ours)
            },
        )
        .map(|_| ())
    };
    assert_eq!(result(Senders::OnLink, MASTER, 255), Ok(()));
    let error = result(Senders::OnLink, MASTER, 254).unwrap_err();
    assert_eq!(
        error,
        DecodeError::Ttl {
            received: 254,
            expected: 255
        }
    );
    assert_eq!(
        error.to_string(),
        "invalid TTL/HL. Received 254 and expect 255"
    );

    // Anybody may have any: a unicast peer may be behind routers.
    assert_eq!(result(Senders::Anybody, MASTER, 254), Ok(()));
    assert_eq!(result(Senders::Anybody, MASTER, 1), Ok(()));

    let peers = [
        Peer {
            address: MASTER,
            min_ttl: 250,
            max_ttl: 254,
        },
        Peer::new(BACKUP),
    ];
    let senders = Senders::Peers(&peers);
    assert_eq!(result(senders, MASTER, 250), Ok(()));
    assert_eq!(result(senders, MASTER, 254), Ok(()));
    assert_eq!(result(senders, BACKUP, 1), Ok(()));
    let error = result(senders, MASTER, 249).unwrap_err();
    assert_eq!(error.to_string(), "TTL/HL 249 not in range 250 - 254");
    assert_eq!(
        result(senders, MASTER, 255).unwrap_err().to_string(),
        "TTL/HL 255 not in range 250 - 254"
    );
    let error = result(senders, v4("10.0.254.77"), 255).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unicast source address 10.0.254.77 not a unicast peer"
    );
}

#[test]
fn what_is_accepted_although_it_looks_odd() {
    // Type 0 with rubbish in the eight bytes (RFC 3768, 5.3.10: ignored).
    let open = Advert {
        auth: Auth::None,
        ..reference()
    };
    let rubbish = altered(&open, |bytes| bytes[12..20].copy_from_slice(b"12345678"));
    let ours = [VIP];
    let no_auth = Expect {
        auth: Auth::None,
        ..expect(&ours)
    };
    assert_eq!(decode(&rubbish, &no_auth), Ok(open));
    // A password where none is expected is a fault all the same.
    assert_eq!(
        decode(&from_master(reference().encode()), &no_auth),
        Err(DecodeError::AuthType {
            received: 1,
            expected: 0
        })
    );

    // Addresses in another order.
    let swapped = Advert {
        addresses: vec![v4("10.0.254.254"), VIP],
        ..reference()
    };
    let ours = [VIP, v4("10.0.254.254")];
    assert!(decode(&from_master(swapped.encode()), &expect(&ours)).is_ok());
    // One of them twice is not both of them.
    let twice = Advert {
        addresses: vec![VIP, VIP],
        ..reference()
    };
    assert_eq!(
        decode(&from_master(twice.encode()), &expect(&ours)),
        Err(DecodeError::Address {
            vrid: 60,
            missing: ours[1]
        })
    );
    // With skip_check_adv_addr only the number counts.
    let count_only = Expect {
        list: ListRule::SameCount,
        ..expect(&ours)
    };
    assert!(decode(&from_master(twice.encode()), &count_only).is_ok());
}

#[test]
fn ip_options_count_as_length() {
    let mut datagram = from_master(reference().encode()[..12].to_vec());
    datagram.header_len = 24;
    assert_eq!(
        decode(&datagram, &expect(&[VIP])).unwrap_err().to_string(),
        "vrrp packet too short, length 36 and expect 44"
    );
}

#[test]
fn passwords_are_compared_on_eight_bytes() {
    assert_eq!(Auth::pass(b"k8s-lb@lab"), Auth::pass(b"k8s-lb@l"));
    assert_ne!(Auth::pass(b"k8s-lb@"), Auth::pass(b"k8s-lb@l"));
    assert_eq!(Auth::pass(b""), Auth::Pass([0; 8]));
    // What is printed for debugging holds no secret.
    assert_eq!(format!("{:?}", Auth::pass(b"secret")), "Pass(..)");
}

#[test]
fn addresses_that_do_not_fit_are_left_out() {
    let mixed = Advert {
        addresses: vec![v4("fe80::1"), VIP],
        ..reference()
    };
    assert_eq!(mixed.encode(), reference().encode());
    let many = Advert {
        addresses: vec![VIP; 300],
        ..reference()
    };
    assert_eq!(many.encode().len(), 8 + 255 * 4 + 8);
    assert_eq!(many.encode()[3], 255);
}
