//! Readers that stall and streams that press: nothing is held beyond the buffers, nothing is lost,
//! and nobody starves.
//!
//! All bounds are upper bounds on bytes or lower bounds on shares; none is about time. A slow machine
//! makes these tests slower, not red.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a thread that fails fails its test"
)]

#[path = "torture/pattern.rs"]
mod pattern;
mod rig;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use relay::Splice;
use rig::{Rig, Setup, pass};
use socket2::SockRef;

/// A relay that takes a stalled reader's time for granted.
fn setup() -> Setup {
    patient(Setup::new(1))
}

fn patient(setup: Setup) -> Setup {
    setup.with(|setup| {
        setup.frontend.timeout_client = rig::ms(600_000);
        setup.backend.timeout_server = rig::ms(600_000);
    })
}

/// One direction of a connection: who sends, who reads, and how far they are.
struct Stream<'a> {
    number: u64,
    from: &'a TcpStream,
    to: &'a TcpStream,
    sent: u64,
    received: u64,
    ended: bool,
}

impl<'a> Stream<'a> {
    fn new(number: u64, from: &'a TcpStream, to: &'a TcpStream) -> Self {
        from.set_nonblocking(true).unwrap();
        to.set_nonblocking(true).unwrap();
        Self {
            number,
            from,
            to,
            sent: 0,
            received: 0,
            ended: false,
        }
    }

    /// Sends what the kernel takes; whether it took anything.
    fn send(&mut self) -> bool {
        let bytes = pattern::bytes(self.number, self.sent, 256 << 10);
        match self.from.write(bytes) {
            Ok(sent) => {
                self.sent += sent as u64;
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads what is there, and checks it; whether there was anything.
    fn receive(&mut self, buffer: &mut [u8]) -> bool {
        match self.to.read(buffer) {
            Ok(0) => {
                let first = !self.ended;
                self.ended = true;
                first
            }
            Ok(got) => {
                assert!(
                    buffer[..got] == *pattern::bytes(self.number, self.received, got),
                    "a wrong byte after {} of stream {}",
                    self.received,
                    self.number
                );
                self.received += got as u64;
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Sends until nobody takes anything any more.
fn press(streams: &mut [Stream<'_>], limit: u64) {
    let mut quiet = 0;
    while quiet < 60 {
        let mut moved = false;
        for stream in &mut *streams {
            moved |= stream.send();
            assert!(
                stream.sent < limit,
                "nothing holds stream {} back",
                stream.number
            );
        }
        quiet = if moved { 0 } else { quiet + 1 };
        if !moved {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Ends every stream, reads all of it, and checks that it is all there.
fn release(streams: &mut [Stream<'_>]) {
    for stream in &*streams {
        stream.from.shutdown(Shutdown::Write).unwrap();
    }
    let mut buffer = vec![0; 256 << 10];
    let start = std::time::Instant::now();
    while streams.iter().any(|stream| !stream.ended) {
        assert!(start.elapsed() < 4 * rig::PATIENCE, "not all of it arrives");
        let mut moved = false;
        for stream in streams.iter_mut().filter(|stream| !stream.ended) {
            moved |= stream.receive(&mut buffer);
        }
        if !moved {
            thread::sleep(Duration::from_millis(1));
        }
    }
    for stream in streams {
        assert_eq!(stream.received, stream.sent, "stream {}", stream.number);
    }
}

/// Bytes the relay has read and not written, in buffers of its own and in pipes.
fn held(rig: &Rig) -> u64 {
    let sessions = rig.relay.sessions();
    let read: u64 = sessions
        .iter()
        .map(|session| session.bytes_in + session.bytes_out)
        .sum();
    read - rig.relay.figures().bytes_out
}

/// The most the kernel gives one socket's buffer by itself.
fn kernel_limit(name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
    text.split_whitespace().last().unwrap().parse().unwrap()
}

#[test]
fn a_stalled_reader_stops_its_sender() {
    let kernel = 2 * (kernel_limit("tcp_wmem") + kernel_limit("tcp_rmem"));
    for splice in [Splice::Auto, Splice::Off] {
        for up in [true, false] {
            let setup = setup().with(|setup| setup.relay.splice = splice);
            let own = match splice {
                Splice::Auto => setup.relay.pipe_size.max(setup.relay.buffer),
                Splice::Off => setup.relay.buffer,
            };
            let rig = setup.start();
            let (client, server) = rig.pair();
            let (from, to) = if up {
                (&client, &server)
            } else {
                (&server, &client)
            };
            let mut streams = [Stream::new(1, from, to)];
            press(&mut streams, kernel + own as u64);
            let held = held(&rig);
            assert!(held <= own as u64, "{held} bytes are held ({splice:?})");
            assert!(rig.relay.figures().pipes_used <= 1);
            // The other direction is none the worse for it.
            let mut back = [Stream::new(2, to, from)];
            back[0].send();
            release(&mut back);
            release(&mut streams);
            assert_eq!(rig.ended().state, "--");
        }
    }
}

/// Bytes a worker holds in memory before its reads get small, and how small.
const PLENTY: u64 = 64 << 20;
const SPARE: u64 = 16 << 10;

#[test]
fn hundreds_of_stalled_readers_cost_a_bounded_amount() {
    for splice in [Splice::Off, Splice::Auto] {
        hundreds_stall(splice);
    }
}

fn hundreds_stall(splice: Splice) {
    const CONNECTIONS: usize = 500;
    let setup = setup().with(|setup| {
        setup.relay.splice = splice;
        // Much comes at once and little goes out, so that what is held is held by the relay.
        for socket in [&mut setup.frontend.socket, &mut setup.backend.socket] {
            socket.receive_buffer = Some(512 << 10);
            socket.send_buffer = Some(16 << 10);
        }
    });
    let (buffer, pipe) = (setup.relay.buffer as u64, setup.relay.pipe_size as u64);
    let rig = setup.start();
    let pairs: Vec<(TcpStream, TcpStream)> = (0..CONNECTIONS).map(|_| rig.pair()).collect();
    let mut streams = Vec::new();
    for ((client, server), number) in pairs.iter().zip((0..).step_by(2)) {
        for end in [client, server] {
            SockRef::from(end).set_recv_buffer_size(16 << 10).unwrap();
            SockRef::from(end).set_send_buffer_size(256 << 10).unwrap();
        }
        streams.push(Stream::new(number, client, server));
        streams.push(Stream::new(number + 1, server, client));
    }
    press(&mut streams, 64 << 20);
    let held = held(&rig);
    let figures = rig.relay.figures();
    let copied = PLENTY + buffer + streams.len() as u64 * SPARE;
    let bound = copied + u64::from(figures.pipes_used) * pipe;
    assert!(held <= bound, "{held} bytes are held, with {figures:?}");
    assert!(figures.pipes_used <= figures.pipes_max, "{figures:?}");
    assert!(splice == Splice::Auto || figures.pipes_used == 0);
    for end in pairs.iter().flat_map(|(client, server)| [client, server]) {
        // Small windows take their time on loopback.
        SockRef::from(end).set_recv_buffer_size(1 << 20).unwrap();
    }
    release(&mut streams);
    for _ in 0..CONNECTIONS {
        assert_eq!(rig.ended().state, "--");
    }
    rig::until("the pipes to come back", || {
        rig.relay.figures().pipes_used == 0
    });
}

/// Sends on and on until `stop`, then a FIN.
fn flood(mut to: &TcpStream, stop: &AtomicBool) {
    let piece = pattern::bytes(0, 0, 256 << 10);
    while !stop.load(Relaxed) {
        to.write_all(piece).unwrap();
    }
    to.shutdown(Shutdown::Write).unwrap();
}

/// Stops the flood.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Reads to the end and counts.
fn swallow(mut from: &TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer).unwrap() {
            0 => return,
            got => count.fetch_add(got as u64, Relaxed),
        };
    }
}

/// Floods `streams` while `meanwhile` runs; the bytes each has moved.
fn flooded(streams: &[(&TcpStream, &TcpStream)], meanwhile: impl FnOnce(&[AtomicU64])) -> Vec<u64> {
    let stop = AtomicBool::new(false);
    let counts: Vec<AtomicU64> = streams.iter().map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for ((from, to), count) in streams.iter().zip(&counts) {
            scope.spawn(|| flood(from, &stop));
            scope.spawn(|| swallow(to, count));
        }
        // Also if it fails: nobody would ever say so otherwise.
        let _stop = Stop(&stop);
        meanwhile(&counts);
    });
    counts.iter().map(|count| count.load(Relaxed)).collect()
}

fn all_reach(counts: &[AtomicU64], least: u64) {
    rig::until("every stream to get its share", || {
        counts.iter().all(|count| count.load(Relaxed) >= least)
    });
}

#[test]
fn bulk_streams_starve_neither_each_other_nor_a_small_connection() {
    for setup in Setup::of_each_driver(1) {
        with_bulk_beside(setup, Splice::Auto);
    }
    with_bulk_beside(setup(), Splice::Off);
}

fn with_bulk_beside(setup: Setup, splice: Splice) {
    let rig = patient(setup)
        .with(|setup| setup.relay.splice = splice)
        .start();
    let (mut client, mut server) = rig.pair();
    let bulk: Vec<(TcpStream, TcpStream)> = (0..16).map(|_| rig.pair()).collect();
    let streams: Vec<(&TcpStream, &TcpStream)> = bulk
        .iter()
        .map(|(client, server)| (server, client))
        .collect();
    let moved = flooded(&streams, |counts| {
        for _ in 0..50 {
            pass(&mut client, &mut server, "request");
            pass(&mut server, &mut client, "response");
        }
        // Those that come while it lasts are served as well.
        for _ in 0..50 {
            let (mut client, mut server) = rig.pair();
            pass(&mut client, &mut server, "request");
        }
        // The sum of all has moved while the slowest moved this.
        all_reach(counts, 4 << 20);
    });
    let (least, most) = (moved.iter().min().unwrap(), moved.iter().max().unwrap());
    assert!(least * 50 >= *most, "{moved:?}");
}

#[test]
fn both_directions_of_a_connection_get_their_share() {
    for splice in [Splice::Auto, Splice::Off] {
        let rig = setup().with(|setup| setup.relay.splice = splice).start();
        let (client, server) = rig.pair();
        let moved = flooded(&[(&client, &server), (&server, &client)], |counts| {
            all_reach(counts, 64 << 20);
        });
        assert!(
            moved[0] * 20 >= moved[1] && moved[1] * 20 >= moved[0],
            "{moved:?}"
        );
        assert_eq!(rig.ended().state, "--");
    }
}

/// One connection that goes from bulk to small messages and back, again and again.
#[test]
fn splicing_comes_and_goes_with_bulk() {
    let rig = setup().start();
    let (mut client, mut server) = rig.pair();
    let spliced = || rig.relay.figures().bytes_spliced;
    for round in 0..6 {
        let before = spliced();
        let (from, to) = if round % 2 == 0 {
            (&mut client, &mut server)
        } else {
            (&mut server, &mut client)
        };
        // As much as it takes: bulk has to arrive faster than it is read at least twice.
        let (mut at, step) = (0, 4 << 20);
        while spliced() - before < 1 << 20 {
            assert!(at < 1 << 30, "a gibibyte, and no pipe was used");
            thread::scope(|scope| {
                scope.spawn(|| from.write_all(pattern::bytes(round, at, step)).unwrap());
                let mut got = vec![0; step];
                to.read_exact(&mut got).unwrap();
                assert!(got == pattern::bytes(round, at, step), "round {round}");
            });
            at += step as u64;
        }
        // The first small messages show that the bulk is over.
        for _ in 0..3 {
            pass(from, to, "small");
            pass(to, from, "small");
        }
        rig::until("the pipe to come back", || {
            rig.relay.figures().pipes_used == 0
        });
        let before = spliced();
        for _ in 0..20 {
            pass(from, to, "a small question");
            pass(to, from, "a small answer");
        }
        assert_eq!(spliced(), before, "small messages go through a pipe");
    }
    drop(client);
    drop(server);
    assert_eq!(rig.ended().state, "--");
}
