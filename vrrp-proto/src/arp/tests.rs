use super::*;

const MAC: MacAddr = [0xb2, 0xdf, 0x76, 0xaf, 0x63, 0xcb];
const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 253);

/// Captured from keepalived.
const GOLDEN: [u8; FRAME_LEN] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xb2, 0xdf, 0x76, 0xaf, 0x63, 0xcb, 0x08, 0x06, 0x00, 0x01,
    0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0xb2, 0xdf, 0x76, 0xaf, 0x63, 0xcb, 0x0a, 0x00, 0xfe, 0xfd,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a, 0x00, 0xfe, 0xfd,
];

#[test]
fn the_captured_frame_both_ways() {
    assert_eq!(gratuitous(MAC, VIP), GOLDEN);
    let packet = Packet::decode(&GOLDEN).unwrap();
    assert_eq!(packet, Packet::gratuitous(MAC, VIP));
    assert!(packet.is_gratuitous());
    // A buffer full of rubbish shows a field that was not written.
    let mut frame = [0xa5; FRAME_LEN];
    packet.emit(&mut frame);
    assert_eq!(frame, GOLDEN);
}

#[test]
fn padding_is_allowed_and_unknown_operations_survive() {
    let mut frame = GOLDEN.to_vec();
    frame.resize(60, 0);
    frame[21] = 9;
    let packet = Packet::decode(&frame).unwrap();
    assert_eq!(packet.operation, Operation::Other(9));
    let mut again = [0xa5; FRAME_LEN];
    packet.emit(&mut again);
    assert_eq!(again, frame[..FRAME_LEN]);
}

#[test]
fn faults_are_told_apart() {
    for length in 0..FRAME_LEN {
        assert_eq!(
            Packet::decode(&GOLDEN[..length]),
            Err(DecodeError::TooShort { length })
        );
    }
    let changed = |at: usize, to: u8| {
        let mut frame = GOLDEN;
        frame[at] = to;
        Packet::decode(&frame).unwrap_err()
    };
    assert_eq!(changed(13, 0), DecodeError::EtherType { received: 0x0800 });
    let kind = |hardware, hardware_len, protocol, protocol_len| DecodeError::Kind {
        hardware,
        hardware_len,
        protocol,
        protocol_len,
    };
    assert_eq!(changed(15, 6), kind(6, 6, 0x0800, 4));
    assert_eq!(changed(17, 1), kind(1, 6, 0x0801, 4));
    assert_eq!(changed(18, 8), kind(1, 8, 0x0800, 4));
    assert_eq!(changed(19, 16), kind(1, 6, 0x0800, 16));
}
