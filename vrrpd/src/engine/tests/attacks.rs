//! What somebody on the wire can make a router say: lines, adverts and announcements are
//! bounded whatever comes, also by one who knows the password.

use super::*;

/// Packets a millisecond: 50,000 a second.
const RATE: usize = 50;
const MILLIS: u64 = 1500;

/// The most lines that a second and a half of an attack of one kind is worth: a burst of
/// ten of a shape and then one a second, of two shapes.
const LINES: usize = 24;

/// What came of an attack.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    lines: usize,
    adverts: usize,
    announcements: usize,
    notices: usize,
}

/// Sends `packets` in turn, so many a millisecond.
fn attack(host: &mut Host, packets: &[Datagram]) -> Told {
    let endpoint = host.engine.slots[0].endpoint.unwrap();
    host.lines();
    host.sent();
    host.engine.wire.frames.clear();
    host.engine.take_notices();
    let mut next = packets.iter().cycle();
    for _ in 0..MILLIS {
        let batch = next.by_ref().take(RATE);
        let batch: Vec<(Endpoint, Datagram)> = batch.map(|one| (endpoint, one.clone())).collect();
        host.engine.packets(host.now, batch);
        host.settle();
        host.pass(1);
    }
    Told {
        lines: host.lines().len(),
        adverts: host.sent().len(),
        announcements: host.engine.wire.frames.len(),
        notices: host.engine.take_notices().len(),
    }
}

/// A master whose second burst of announcements is over.
fn master(config: Config) -> Host {
    let mut host = Host::new(config);
    host.pass(15_000);
    assert_eq!(host.state(), State::Master);
    host
}

fn changed(at: usize, value: u8) -> Datagram {
    let mut packet = datagram(PEER, 100);
    packet.payload[at] = value;
    packet
}

/// What a master says by itself in the time, and that it stays one.
fn is_left_alone(config: Config, packet: Datagram) {
    let mut host = master(config);
    let told = attack(&mut host, &[packet]);
    assert_eq!(host.state(), State::Master);
    assert!(host.holds_vip());
    assert!((1..=LINES).contains(&told.lines), "{told:?}");
    assert!((1..=2).contains(&told.adverts), "{told:?}");
    assert_eq!((told.announcements, told.notices), (0, 0), "{told:?}");
}

#[test]
fn bad_checksums() {
    is_left_alone(reference(), changed(6, 0x55));
}

#[test]
fn bad_versions() {
    is_left_alone(reference(), changed(0, 0x41));
    is_left_alone(reference(), changed(0, 0x31));
}

#[test]
fn unknown_routers_that_are_to_be_told() {
    let mut curious = reference();
    curious.global.log_unknown_vrids = true;
    is_left_alone(curious, changed(1, 61));
}

#[test]
fn masters_that_say_they_leave() {
    let mut host = master(reference());
    let told = attack(&mut host, &[datagram(PEER, 0)]);
    assert_eq!(host.state(), State::Master);
    assert!(told.lines <= LINES, "{told:?}");
    assert!((1..=20).contains(&told.adverts), "{told:?}");
    assert!(told.announcements <= 100, "{told:?}");
    assert!(told.notices <= 20, "{told:?}");
}

#[test]
fn lower_masters() {
    let mut host = master(reference());
    let told = attack(&mut host, &[datagram(PEER, 50)]);
    assert_eq!(host.state(), State::Master);
    assert!(told.lines <= LINES, "{told:?}");
    assert!((1..=20).contains(&told.adverts), "{told:?}");
    assert!(told.announcements <= 100, "{told:?}");
    assert!(told.notices <= 20, "{told:?}");
}

/// The worst that one who knows the password can do: a higher master comes, falls below and
/// leaves, again and again.
#[test]
fn masters_that_rise_and_fall() {
    let priorities = [[200, 50], [200, 0], [50, 0]];
    for two in priorities {
        let mut host = master(reference());
        let told = attack(&mut host, &two.map(|priority| datagram(PEER, priority)));
        assert!(told.lines <= 2 * LINES, "{two:?}: {told:?}");
        assert!(told.adverts <= 40, "{two:?}: {told:?}");
        assert!(told.announcements <= 100, "{two:?}: {told:?}");
        assert!(told.notices <= 20, "{two:?}: {told:?}");
    }
}

/// As above, with just the silence that lets the victim be master each time.
#[test]
fn masters_that_come_once_the_address_is_back() {
    let mut host = master(reference());
    host.lines();
    host.sent();
    host.engine.wire.frames.clear();
    let mut moves = 0;
    for _ in 0..20 {
        host.receive(200);
        assert_eq!(host.state(), State::Backup);
        host.receive(0);
        let before = host.now;
        while host.state() != State::Master {
            host.pass(1);
        }
        // The skew of its priority is between two moves, whatever is said.
        assert!(host.now.since(before) >= Duration::from_millis(600));
        moves += 1;
    }
    assert!(host.engine.wire.frames.len() <= moves * 20);
    assert!(host.sent().len() <= moves * 3);
    assert!(host.lines().len() <= moves * 10);
}
