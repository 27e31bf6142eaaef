use super::*;

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 254, 253));
const MASTER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 254, 252));
const BACKUP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 254, 251));

/// Version 2 looks at nothing of it.
const PATH: Path = Path {
    source: MASTER,
    destination: BACKUP,
    checksum: Checksum::PseudoHeader,
};

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
        checksum: Checksum::PseudoHeader,
        list: ListRule::Same,
    }
}

/// Encodes, changes bytes, and mends the checksum.
fn altered(advert: &Advert, change: impl FnOnce(&mut Vec<u8>)) -> Datagram {
    let mut bytes = advert.encode(&PATH);
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
        assert_eq!(advert.encode(&PATH), bytes, "{name}");
        // A buffer full of rubbish shows a field that was not written.
        let mut buffer = vec![0xa5; bytes.len() + 3];
        assert_eq!(advert.emit(&PATH, &mut buffer), bytes.len(), "{name}");
        assert_eq!(buffer[..bytes.len()], bytes, "{name}");
        assert_eq!(buffer[bytes.len()..], [0xa5; 3], "{name}");
        let mut short = vec![0xa5; bytes.len() - 1];
        assert_eq!(advert.emit(&PATH, &mut short), 0, "{name}");
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
            from_master(one.encode(&PATH)[..7].to_vec()),
            DecodeError::Truncated { length: 27 },
            "IPv4 VRRP packet too short - 27 bytes",
        ),
        (
            from_master(one.encode(&PATH)[..8].to_vec()),
            DecodeError::TooShort {
                length: 28,
                expected: 40,
            },
            "vrrp packet too short, length 28 and expect 40",
        ),
        (
            from_master(one.encode(&PATH)[..19].to_vec()),
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
            from_master(two.encode(&PATH)),
            DecodeError::Count {
                received: 2,
                expected: 1,
            },
            "received an unexpected ip number count 2, expected 1!",
        ),
        (
            from_master({
                let mut bytes = one.encode(&PATH);
                bytes[6] ^= 1;
                bytes
            }),
            DecodeError::Checksum { version: 2 },
            "Invalid VRRPv2 checksum",
        ),
        (
            from_master({
                let mut bytes = one.encode(&PATH);
                bytes[6..8].fill(0);
                bytes
            }),
            DecodeError::Checksum { version: 2 },
            "Invalid VRRPv2 checksum",
        ),
        (
            from_master(other.encode(&PATH)),
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
        DecodeError::ZeroInterval => "zero interval",
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
    check(&bad_sum(from_master(two.encode(&PATH))), "count");
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
        name(decode(&from_master(two.encode(&PATH)), &peers_only)),
        "count"
    );
    assert_eq!(
        name(decode(&from_master(one.encode(&PATH)), &peers_only)),
        "source"
    );
}

#[test]
fn who_may_send() {
    let packet = |source, ttl| Datagram {
        source,
        ttl,
        ..from_master(reference().encode(&PATH))
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
        decode(&from_master(reference().encode(&PATH)), &no_auth),
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
    assert!(decode(&from_master(swapped.encode(&PATH)), &expect(&ours)).is_ok());
    // One of them twice is not both of them.
    let twice = Advert {
        addresses: vec![VIP, VIP],
        ..reference()
    };
    assert_eq!(
        decode(&from_master(twice.encode(&PATH)), &expect(&ours)),
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
    assert!(decode(&from_master(twice.encode(&PATH)), &count_only).is_ok());
}

#[test]
fn ip_options_count_as_length() {
    let mut datagram = from_master(reference().encode(&PATH)[..12].to_vec());
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
    assert_eq!(mixed.encode(&PATH), reference().encode(&PATH));
    let many = Advert {
        addresses: vec![VIP; 300],
        ..reference()
    };
    assert_eq!(many.encode(&PATH).len(), 8 + 255 * 4 + 8);
    assert_eq!(many.encode(&PATH)[3], 255);
}

/// Version 3 as captured from keepalived: the bytes, the way, the meaning.
fn golden_v3() -> Vec<(&'static str, Vec<u8>, Path, Advert)> {
    let path = |source: &str, destination: &str| Path {
        source: v4(source),
        destination: v4(destination),
        checksum: Checksum::PseudoHeader,
    };
    let advert = |vrid, interval, addresses: &[&str]| Advert {
        version: Version::V3,
        vrid,
        priority: 150,
        interval: Interval::Centiseconds(interval),
        auth: Auth::None,
        addresses: addresses.iter().map(|text| v4(text)).collect(),
    };
    vec![
        (
            "multicast, every half second",
            hex("3134 9601 0032 4640 0a00fecb"),
            path("10.0.254.252", "224.0.0.18"),
            advert(52, 50, &["10.0.254.203"]),
        ),
        (
            "unicast",
            hex("3135 9601 0064 1d23 0a00fecc"),
            path("10.0.254.252", "10.0.254.251"),
            advert(53, 100, &["10.0.254.204"]),
        ),
        (
            "IPv6",
            hex("3136 9602 0064 196e fe800000000000000000000000000054
                 20010db8000000000000000000000054"),
            path("fe80::4443:cbff:fee4:e4bc", "ff02::12"),
            advert(54, 100, &["fe80::54", "2001:db8::54"]),
        ),
    ]
}

fn received(path: &Path, payload: Vec<u8>) -> Datagram {
    Datagram {
        source: path.source,
        destination: path.destination,
        ttl: 255,
        header_len: if path.source.is_ipv4() { 20 } else { 0 },
        payload,
    }
}

fn expect_v3(advert: &Advert) -> Expect<'_> {
    Expect {
        version: Version::V3,
        senders: Senders::OnLink,
        auth: Auth::None,
        interval: Interval::Centiseconds(100),
        checksum: Checksum::PseudoHeader,
        addresses: &advert.addresses,
        list: ListRule::Same,
    }
}

#[test]
fn version_3_packets_decode_and_encode() {
    for (name, bytes, path, advert) in golden_v3() {
        assert_eq!(advert.encode(&path), bytes, "{name}");
        // Another interval than ours is the sender's affair in version 3.
        let decoded = decode(&received(&path, bytes), &expect_v3(&advert));
        assert_eq!(decoded, Ok(advert), "{name}");
    }
}

/// RFC 5798, 5.2.6: the upper four bits before the interval are not looked at.
#[test]
fn version_3_ignores_reserved_bits() {
    for (name, mut bytes, path, advert) in golden_v3() {
        bytes[4] |= 0xa0;
        bytes[6..8].fill(0);
        let sum = path.checksum(Version::V3, &bytes).to_be_bytes();
        bytes[6..8].copy_from_slice(&sum);
        let decoded = decode(&received(&path, bytes), &expect_v3(&advert));
        assert_eq!(decoded, Ok(advert), "{name}");
    }
}

/// Each way to make the checksum is understood by those who expect it and by
/// nobody else; over IPv6 there is only one.
#[test]
fn version_3_checksums_are_told_apart() {
    let ways = [
        Checksum::PseudoHeader,
        Checksum::PseudoHeaderOfGroup,
        Checksum::Message,
    ];
    for (name, _, path, advert) in golden_v3() {
        for made in ways {
            for wanted in ways {
                let bytes = advert.encode(&Path {
                    checksum: made,
                    ..path
                });
                let expect = Expect {
                    checksum: wanted,
                    ..expect_v3(&advert)
                };
                let covered = |way| match way {
                    _ if path.source.is_ipv6() => None,
                    Checksum::PseudoHeader => Some(path.destination),
                    Checksum::PseudoHeaderOfGroup => Some(IpAddr::V4(GROUP_V4)),
                    Checksum::Message => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                };
                let outcome = decode(&received(&path, bytes), &expect);
                if covered(made) == covered(wanted) {
                    assert_eq!(outcome, Ok(advert.clone()), "{name} {made:?} {wanted:?}");
                } else {
                    let fault = DecodeError::Checksum { version: 3 };
                    assert_eq!(outcome, Err(fault), "{name} {made:?} {wanted:?}");
                    assert_eq!(fault.to_string(), "Invalid VRRPv3 checksum");
                }
            }
        }
    }
}

#[test]
fn version_3_has_faults_of_its_own() {
    let (_, _, path, advert) = golden_v3().remove(0);
    let silent = Advert {
        interval: Interval::Centiseconds(0),
        ..advert.clone()
    };
    let outcome = decode(&received(&path, silent.encode(&path)), &expect_v3(&advert));
    assert_eq!(outcome, Err(DecodeError::ZeroInterval));

    // A message of version 2 to a router of version 3, and the reverse.
    let old = Advert {
        version: Version::V2,
        interval: Interval::Seconds(1),
        ..advert.clone()
    };
    let outcome = decode(&received(&path, old.encode(&path)), &expect_v3(&advert));
    let fault = DecodeError::Version {
        received: 2,
        expected: 3,
    };
    assert_eq!(outcome, Err(fault));
    assert_eq!(fault.to_string(), "wrong version. Received 2 and expect 3");
    let outcome = decode(
        &received(&path, advert.encode(&path)),
        &expect(&advert.addresses),
    );
    assert_eq!(
        outcome,
        Err(DecodeError::Version {
            received: 3,
            expected: 2
        })
    );

    // No authentication field, so eight bytes more are too many.
    let mut long = advert.encode(&path);
    long.extend([0; 8]);
    let outcome = decode(&received(&path, long), &expect_v3(&advert));
    assert_eq!(
        outcome,
        Err(DecodeError::TooLong {
            length: 40,
            expected: 32
        })
    );
}

/// What does not fit the field is cut to what does.
#[test]
fn intervals_are_written_as_the_version_can() {
    let cases = [
        (Interval::Seconds(40), 40, 4_000),
        (Interval::Seconds(255), 255, 4_095),
        (Interval::Centiseconds(10), 1, 10),
        (Interval::Centiseconds(150), 2, 150),
        (Interval::Centiseconds(9_999), 100, 4_095),
    ];
    for (interval, seconds, hundredths) in cases {
        assert_eq!(interval.whole_seconds(), seconds, "{interval:?}");
        assert_eq!(interval.hundredths(), hundredths, "{interval:?}");
    }
    assert_eq!(Interval::Seconds(2).to_string(), "2 sec");
    assert_eq!(Interval::Centiseconds(250).to_string(), "2500ms");
}

#[test]
fn a_claim_is_read_from_any_message_of_a_known_version() {
    let claims = |payload: Vec<u8>| Claim::of(&from_master(payload));
    assert_eq!(
        claims(reference().encode(&PATH)),
        Some(Claim {
            version: 2,
            priority: 103,
            count: 1,
            auth: Some(1),
            interval: Interval::Seconds(1),
        })
    );
    let (_, bytes, _, _) = golden_v3().remove(0);
    assert_eq!(
        claims(bytes),
        Some(Claim {
            version: 3,
            priority: 150,
            count: 1,
            auth: None,
            interval: Interval::Centiseconds(50),
        })
    );
    assert_eq!(claims(vec![0x21; 7]), None);
    assert_eq!(claims(vec![0x41; 20]), None);
}

/// Neither number nor addresses count, everything else does.
#[test]
fn a_receiver_may_leave_the_address_list_alone() {
    let other = [v4("10.0.254.1"), v4("10.0.254.2")];
    let any = Expect {
        list: ListRule::Any,
        ..expect(&other)
    };
    let good = from_master(reference().encode(&PATH));
    assert_eq!(decode(&good, &any), Ok(reference()));
    let mut bad = good;
    bad.payload[2] ^= 1;
    assert_eq!(
        decode(&bad, &any),
        Err(DecodeError::Checksum { version: 2 })
    );
}
