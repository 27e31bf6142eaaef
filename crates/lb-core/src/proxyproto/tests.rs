use proptest::prelude::*;

use super::*;

const V1: &[u8] = b"PROXY TCP4 10.1.2.3 10.9.8.7 1111 2222\r\n";

fn addresses(source: &str, destination: &str) -> Option<Addresses> {
    Some(Addresses {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    })
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let size = u16::try_from(body.len()).unwrap().to_be_bytes();
    let head = [0x20 | command, family, size[0], size[1]];
    [&SIGNATURE[..], &head, body].concat()
}

const FOUR: &[u8] = &[10, 1, 2, 3, 10, 9, 8, 7, 4, 0x57, 8, 0xae];

fn check(bytes: &[u8], expected: Option<Addresses>) {
    let header = decode(bytes).unwrap().unwrap();
    assert_eq!(header.addresses, expected, "{bytes:?}");
}

fn refuse(bytes: &[u8], expected: Refusal) {
    assert_eq!(decode(bytes), Err(expected), "{:?}", bytes.escape_ascii());
}

#[test]
fn headers_tell_addresses() {
    let four = addresses("10.1.2.3:1111", "10.9.8.7:2222");
    check(V1, four);
    check(b"PROXY UNKNOWN\r\nrest", None);
    check(
        b"PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 0 65535\r\n",
        addresses("[2001:db8::1]:0", "[::ffff:1.2.3.4]:65535"),
    );
    check(&v2(1, 0x11, FOUR), four);
    check(&v2(0, 0x11, FOUR), None);
    check(&v2(0, 0, b"anything"), None);
    let tlvs = [FOUR, b"\x01\0\x02h2\x02\0\x03foo\x05\0\x02id"].concat();
    let header = decode(&v2(1, 0x11, &tlvs)).unwrap().unwrap();
    assert_eq!(header.addresses, four);
    assert_eq!(header.authority.as_deref(), Some(&b"foo"[..]));
    assert_eq!(header.unique_id.as_deref(), Some(&b"id"[..]));
}

/// What HAProxy 2.6 says of the same bytes.
#[test]
fn wrong_headers_are_told_apart() {
    refuse(b"GET / HTTP/1.0\r\n\r\n", Refusal::NotProxy);
    refuse(b"XXXXXXXXXXXXXXX", Refusal::Truncated);
    refuse(b"XXXXXXXXXXXXXXXX", Refusal::NotProxy);
    refuse(b"PROXY XXX", Refusal::Unhandled);
    refuse(b"PROXY UNKNOWN foo\r\n", Refusal::Unhandled);
    refuse(b"PROXY UDP4 1.2.3.4 1.1.1.1 1 1\r\n", Refusal::Unhandled);
    for line in [
        "TCP4 1.1.1.1 1.1.1.1 -1 2\r\nx",
        "TCP4 1.1.1.1 1.1.1.1 1\r\nx",
        "TCP4 1.1.1.1 1.1.1.1 1 2 3\r\nx",
        "TCP4  1.1.1.1 1.1.1.1 1 2\r\nx",
        "TCP4 1.1.1.1 1.1.1.1 1 2\nx",
        "TCP4 1.1.1.1 1.1.1.1 1 2\rx",
        "TCP4 ::1 ::1 1 2\r\nx",
        "TCP4 300.1.1.1 1.1.1.1 1 2\r\nx",
        "TCP4 1.1.1.1 1.1.1.1 70000 2\r\nx",
    ] {
        refuse(format!("PROXY {line}").as_bytes(), Refusal::Invalid(None));
    }
    let long = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 120]].concat();
    refuse(&long, Refusal::Truncated);
    refuse(&[&SIGNATURE[..], b"XXXX"].concat(), Refusal::NotProxy);
    refuse(&[&SIGNATURE[..], b"X"].concat(), Refusal::Truncated);
    for (command, family, body) in [
        (1, 0, &b""[..]),
        (1, 0x31, &[0; 216]),
        (1, 0x12, FOUR),
        (2, 0x11, FOUR),
        (1, 0x11, &FOUR[..11]),
        (1, 0x21, FOUR),
    ] {
        refuse(&v2(command, family, body), Refusal::Invalid(None));
    }
    let known = Refusal::Invalid(addresses("10.1.2.3:1111", "10.9.8.7:2222"));
    let authority = [&b"\x02\x01\x00"[..], &[b'a'; 256]].concat();
    let id = [&b"\x05\0\x81"[..], &[b'a'; 129]].concat();
    for tlv in [
        &b"\x01\0\x09h2"[..],
        b"\x01\0",
        b"\x03\0\x04\0\0\0\0",
        b"\x03\0\x03\0\0\0",
        &authority,
        &id,
    ] {
        refuse(&v2(1, 0x11, &[FOUR, tlv].concat()), known);
    }
}

#[test]
fn every_beginning_of_a_header_waits_for_more() {
    for whole in [
        V1.to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        v2(1, 0x11, FOUR),
        v2(0, 0, b""),
    ] {
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length]), Ok(None), "{length}");
        }
        let header = decode(&[&whole[..], b"rest"].concat()).unwrap().unwrap();
        assert_eq!(header.length, whole.len());
    }
}

/// Recorded from HAProxy 2.6.
#[test]
fn headers_are_written_as_the_original_writes_them() {
    let four = Content {
        addresses: addresses("127.0.0.1:56096", "127.0.0.1:56417"),
        ..Content::default()
    };
    let line = Form {
        binary: false,
        options: Options::default(),
    };
    let all = Form {
        binary: true,
        options: Options {
            ssl: true,
            cert_cn: true,
            authority: true,
            crc32c: true,
            unique_id: true,
            ..Options::default()
        },
    };
    assert_eq!(
        encode(line, &four),
        b"PROXY TCP4 127.0.0.1 127.0.0.1 56096 56417\r\n"
    );
    assert_eq!(encode(line, &Content::default()), b"PROXY UNKNOWN\r\n");
    let recorded = Content {
        addresses: addresses("127.0.0.1:45978", "127.0.0.1:37567"),
        ..Content::default()
    };
    assert_eq!(
        encode(all, &recorded),
        b"\r\n\r\n\0\r\nQUIT\n!\x11\x00\x1e\x7f\x00\x00\x01\x7f\x00\x00\x01\xb3\x9a\x92\xbf\x03\x00\x04P\x05\x81\x15\x05\x00\x00 \x00\x05\x00\x00\x00\x00\x00"
    );
    assert_eq!(
        encode(all, &Content::default()),
        b"\r\n\r\n\x00\r\nQUIT\n \x00\x00\x12\x03\x00\x04\x95^j\x00\x05\x00\x00 \x00\x05\x00\x00\x00\x00\x00"
    );
}

proptest! {
    #[test]
    fn what_is_written_can_be_read(
        source: (std::net::IpAddr, u16),
        port: u16,
        binary: bool,
        crc32c: bool,
        ssl: bool,
        authority in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..255)),
        rest: Vec<u8>,
    ) {
        let source = SocketAddr::from(source);
        let destination = SocketAddr::new(source.ip(), port);
        let addresses = Some(Addresses { source, destination });
        let options = Options { crc32c, ssl, authority: true, unique_id: true, ..Options::default() };
        let content = Content { addresses, authority: authority.as_deref(), ..Content::default() };
        let mut bytes = encode(Form { binary, options }, &content);
        let length = bytes.len();
        bytes.extend(rest);
        let header = decode(&bytes).unwrap().unwrap();
        prop_assert_eq!(header.addresses, addresses);
        prop_assert_eq!(header.length, length);
        if binary {
            prop_assert_eq!(header.authority.as_deref(), authority.as_deref());
        }
    }

    #[test]
    fn no_bytes_are_too_strange(bytes: Vec<u8>, marked: bool, cut in 0..16_usize) {
        let bytes = if marked { [&SIGNATURE[..cut.min(12)], &bytes].concat() } else { bytes };
        if let Ok(Some(header)) = decode(&bytes) {
            prop_assert!(header.length <= bytes.len());
        }
    }
}
