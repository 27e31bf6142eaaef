//! Bytes through the relay: exact in both directions whatever the pace, with half-closes at any
//! moment, and never more in memory than a buffer.
#![expect(clippy::unwrap_used, reason = "a thread that fails fails its test")]

mod rig;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use relay::Splice;
use rig::{End, Setup, drain, until};

/// A small seeded generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The byte at `position` of stream `seed`.
fn byte(seed: u64, position: usize) -> u8 {
    let mixed = (position as u64)
        .wrapping_add(seed << 40)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

/// Sends `total` bytes of stream `seed` in random pieces with stalls, then a FIN.
fn send(mut stream: TcpStream, seed: u64, total: usize) {
    let mut random = Random(seed * 2 + 1);
    let mut sent = 0;
    while sent < total {
        let exponent = random.below(21);
        let piece = (random.below(1 << exponent) as usize + 1).min(total - sent);
        let bytes: Vec<u8> = (sent..sent + piece)
            .map(|position| byte(seed, position))
            .collect();
        stream.write_all(&bytes).unwrap();
        sent += piece;
        if random.below(40) == 0 {
            thread::sleep(Duration::from_millis(random.below(4)));
        }
    }
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Reads to the end in random pieces with stalls and checks every byte.
fn receive(mut stream: TcpStream, seed: u64, total: usize) {
    let mut random = Random(seed * 2 + 7);
    let mut buffer = vec![0; 1 << 18];
    let mut got = 0;
    loop {
        let exponent = random.below(18) + 1;
        let room = random.below(1 << exponent) as usize + 1;
        let read = stream.read(&mut buffer[..room]).unwrap();
        if read == 0 {
            break;
        }
        for (offset, value) in buffer[..read].iter().enumerate() {
            assert_eq!(
                *value,
                byte(seed, got + offset),
                "seed {seed}, byte {}",
                got + offset
            );
        }
        got += read;
        if random.below(60) == 0 {
            thread::sleep(Duration::from_millis(random.below(4)));
        }
    }
    assert_eq!(got, total, "seed {seed}");
}

fn exact(splice: Splice, buffer: usize, seed: u64) {
    let rig = Setup::new(1)
        .with(|setup| {
            setup.relay.splice = splice;
            setup.relay.buffer = buffer;
        })
        .start();
    let mut random = Random(seed);
    let mut threads = Vec::new();
    let mut expected = (0, 0);
    for stream in 0..12_u64 {
        let size = |random: &mut Random| {
            let exponent = random.below(23);
            random.below(1 << exponent) as usize
        };
        let (up, down) = (size(&mut random), size(&mut random));
        expected.0 += up as u64;
        expected.1 += down as u64;
        let (client, server) = rig.pair();
        let seeds = (seed * 1000 + stream * 2 + 1, seed * 1000 + stream * 2 + 2);
        let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        threads.push(thread::spawn(move || send(client, seeds.0, up)));
        threads.push(thread::spawn(move || receive(server_too, seeds.0, up)));
        threads.push(thread::spawn(move || send(server, seeds.1, down)));
        threads.push(thread::spawn(move || receive(client_too, seeds.1, down)));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    for _ in 0..12 {
        assert_eq!(rig.ended().state, "--", "seed {seed}");
    }
    let totals = rig.backend().state.totals();
    assert_eq!((totals.bytes_in, totals.bytes_out), expected);
    until("pipes to come back", || rig.relay.figures().pipes_used == 0);
    let figures = rig.relay.figures();
    assert_eq!((figures.connections, figures.sessions), (0, 12));
    assert_eq!(figures.bytes_out, expected.0 + expected.1);
    if splice == Splice::Off {
        assert_eq!((figures.bytes_spliced, figures.pipes_free), (0, 0));
    }
}

#[test]
fn copied_bytes_are_exact() {
    exact(Splice::Off, 256 * 1024, 1);
    exact(Splice::Off, 1024, 2);
}

#[test]
fn spliced_bytes_are_exact() {
    exact(Splice::Auto, 256 * 1024, 3);
    // A small buffer is full all the time: pipes come and go with every trickle.
    exact(Splice::Auto, 2048, 4);
    exact(Splice::Auto, 16 * 1024, 5);
}

#[test]
fn large_transfers_are_spliced_and_small_ones_are_not() {
    let rig = Setup::new(1).start();
    let (mut client, mut server) = rig.pair();
    rig::pass(&mut client, &mut server, "a small question");
    assert_eq!(rig.relay.figures().bytes_spliced, 0);
    let total = 64 << 20;
    let writer = thread::spawn(move || {
        let piece = vec![7; 1 << 20];
        for _ in 0..total >> 20 {
            server.write_all(&piece).unwrap();
        }
    });
    let (bytes, end) = drain(&mut client);
    writer.join().unwrap();
    assert_eq!((bytes.len(), end), (total, End::Fin));
    let figures = rig.relay.figures();
    assert!(figures.bytes_spliced > total as u64 / 2, "{figures:?}");
}

#[test]
fn without_pipes_it_copies() {
    let rig = Setup::new(1)
        .with(|setup| setup.relay.max_pipes = Some(1))
        .start();
    let mut threads = Vec::new();
    for seed in 1..=4 {
        let (client, server) = rig.pair();
        threads.push(thread::spawn(move || send(server, seed, 8 << 20)));
        threads.push(thread::spawn(move || receive(client, seed, 8 << 20)));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(rig.relay.figures().pipes_free <= 1);
}

#[test]
fn a_stalled_reader_stops_the_sender() {
    for splice in [Splice::Auto, Splice::Off] {
        let rig = Setup::new(1)
            .with(|setup| setup.relay.splice = splice)
            .start();
        let (mut client, server) = rig.pair();
        server.set_nonblocking(true).unwrap();
        let mut sent = 0_u64;
        let piece = vec![1; 1 << 20];
        let mut quiet = 0;
        // The server may send until nothing has moved for a while.
        while quiet < 100 {
            match (&server).write(&piece) {
                Ok(wrote) => {
                    sent += wrote as u64;
                    quiet = 0;
                }
                Err(_) => {
                    quiet += 1;
                    thread::sleep(Duration::from_millis(2));
                }
            }
            assert!(sent < 256 << 20, "nothing holds the sender back");
        }
        // What the kernel holds in its sockets beside that is for its limits to say.
        let held = rig.relay.sessions()[0].bytes_out - rig.relay.figures().bytes_out;
        assert!(held <= 1 << 20, "{held} bytes are held");
        server.shutdown(Shutdown::Write).unwrap();
        let (bytes, end) = drain(&mut client);
        assert_eq!(
            (bytes.len() as u64, end),
            (sent, End::Fin),
            "all of it is delivered"
        );
    }
}

#[test]
fn one_direction_does_not_starve_the_other() {
    let rig = Setup::new(1).start();
    let (client, server) = rig.pair();
    let total = 24 << 20;
    let ends = [
        (client.try_clone().unwrap(), server.try_clone().unwrap(), 1),
        (server, client, 2),
    ];
    let threads = ends.map(|(from, to, seed)| {
        (
            thread::spawn(move || send(from, seed, total)),
            thread::spawn(move || receive(to, seed, total)),
        )
    });
    for (sender, receiver) in threads {
        sender.join().unwrap();
        receiver.join().unwrap();
    }
    assert_eq!(rig.ended().state, "--");
}

#[test]
fn resets_at_any_moment_leave_nothing_behind() {
    // Without retries a server sees each session once, even one it resets before the relay looks.
    let rig = Setup::new(1)
        .with(|setup| setup.backend.retries = 0)
        .start();
    let mut random = Random(99);
    for _ in 0..60 {
        let (mut client, mut server) = rig.pair();
        let size = random.below(300_000) as usize;
        let piece = vec![3; size];
        client.set_nonblocking(true).unwrap();
        server.set_nonblocking(true).unwrap();
        let _some = client.write(&piece);
        let _some = server.write(&piece);
        match random.below(4) {
            0 => {
                rig::reset(client);
                drop(server);
            }
            1 => {
                rig::reset(server);
                drop(client);
            }
            2 => drop((client, server)),
            _ => {
                client.shutdown(Shutdown::Write).unwrap();
                rig::reset(server);
            }
        }
        rig.ended();
    }
    until("all sessions to be gone", || {
        rig.relay.figures().connections == 0
    });
    let view = rig.backend().state.server(0).unwrap();
    assert_eq!((view.served, view.sessions), (0, 0));
    assert_eq!(rig.relay.figures().pipes_used, 0);
    assert_eq!(rig.frontend().state.sessions.current(), 0);
    assert_eq!(rig.backend().state.sessions.current(), 0);
}
