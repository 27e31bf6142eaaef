use super::*;
use crate::Datagram;

/// The header of a captured advert, its checksum filled in by a kernel.
const GOLDEN: [u8; HEADER_LEN] = [
    0x45, 0xc0, 0x00, 0x28, 0x00, 0x01, 0x00, 0x00, 0xff, 0x70, 0xa8, 0xac, 0x0a, 0x00, 0xfe, 0xfc,
    0x0a, 0x00, 0xfe, 0xfb,
];

fn meaning() -> Header {
    Header::advert(
        Ipv4Addr::new(10, 0, 254, 252),
        Ipv4Addr::new(10, 0, 254, 251),
        255,
        1,
    )
}

fn packet(payload: &[u8]) -> Vec<u8> {
    let mut bytes = meaning().encode(payload.len());
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn the_captured_header_both_ways() {
    assert_eq!(meaning().encode(20), GOLDEN);
    assert!(checksum_is_valid(&GOLDEN));
    let mut whole = GOLDEN.to_vec();
    whole.extend([7; 20]);
    assert_eq!(Header::decode(&whole), Ok((meaning(), &[7_u8; 20][..])));
}

#[test]
fn padding_behind_the_total_length_is_dropped() {
    let mut bytes = packet(b"payload");
    bytes.extend([0; 30]);
    assert_eq!(Header::decode(&bytes).unwrap().1, b"payload");
    assert_eq!(Datagram::from_ipv4(&bytes).unwrap().payload, b"payload");
}

#[test]
fn options_are_kept_and_padded() {
    let header = Header {
        options: vec![1, 1, 1],
        ..meaning()
    };
    let bytes = header.encode(0);
    assert_eq!((bytes.len(), bytes[0]), (24, 0x46));
    assert!(checksum_is_valid(&bytes));
    let (decoded, payload) = Header::decode(&bytes).unwrap();
    assert_eq!(decoded.options, [1, 1, 1, 0]);
    assert_eq!(decoded.header_len(), 24);
    assert!(payload.is_empty());
    let too_many = Header {
        options: vec![1; 99],
        ..meaning()
    };
    assert_eq!(too_many.encode(0).len(), 60);
}

#[test]
fn faults_are_told_apart() {
    let good = packet(&[0; 20]);
    for length in 0..HEADER_LEN {
        assert_eq!(
            Header::decode(&good[..length]),
            Err(DecodeError::TooShort {
                length,
                expected: 20
            })
        );
    }
    assert_eq!(
        Header::decode(&good[..39]),
        Err(DecodeError::TooShort {
            length: 39,
            expected: 40
        })
    );
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    assert_eq!(
        Header::decode(&changed(0, 0x65)),
        Err(DecodeError::Version { received: 6 })
    );
    assert_eq!(
        Header::decode(&changed(0, 0x44)),
        Err(DecodeError::HeaderLength { words: 4 })
    );
    assert_eq!(
        Header::decode(&changed(3, 19)),
        Err(DecodeError::TotalLength {
            total: 19,
            header: 20
        })
    );
    assert_eq!(
        Header::decode(&changed(0, 0x4f)),
        Err(DecodeError::TotalLength {
            total: 40,
            header: 60
        })
    );
    assert_eq!(
        Datagram::from_ipv4(&changed(9, 17)),
        Err(DecodeError::Protocol {
            received: 17,
            expected: 112
        })
    );
    assert!(!checksum_is_valid(&changed(8, 254)));
    assert!(!checksum_is_valid(&good[..19]));
    assert!(!checksum_is_valid(&[]));
}
