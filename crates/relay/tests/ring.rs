//! Connections that begin in an io_uring: what stays there, what lands with epoll, and that nobody
//! can tell from outside.
//!
//! Where the system grants no ring, there is nothing to test here, and each test says so.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a thread that fails fails its test, and one that tests nothing says so"
)]

mod rig;

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::RawFd;
use std::thread;
use std::time::{Duration, Instant};

use relay::{KillCause, Rings, ServerAddress, SessionFilter};
use rig::{End, Rig, Setup, drain, ms, pass, until};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::SockRef;

/// A relay with a ring, if there is one to be had.
fn over_ring(change: impl FnOnce(&mut Setup)) -> Option<Rig> {
    let setup = Setup::new(1).in_ring().with(|setup| {
        setup.frontend.timeout_client = ms(60_000);
        setup.backend.timeout_server = ms(60_000);
        change(setup);
    });
    granted(setup.start())
}

fn granted(rig: Rig) -> Option<Rig> {
    match rig.relay.ring_refusal() {
        None => Some(rig),
        Some(reason) => {
            eprintln!("SKIPPED, no io_uring here: {reason}");
            None
        }
    }
}

/// Whether epoll watches the relay's socket towards this client: its connection has landed. The
/// kernel's table of connections is not asked: after a hundred thousand of them it takes a second.
fn landed(rig: &Rig, client: &TcpStream) -> bool {
    let theirs = client.local_addr().unwrap();
    let me = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let named = |name: &str| -> Vec<RawFd> {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        files
            .filter(|file| {
                std::fs::read_link(file.path())
                    .is_ok_and(|link| link.to_str().is_some_and(|link| link.starts_with(name)))
            })
            .filter_map(|file| file.file_name().to_str()?.parse().ok())
            .collect()
    };
    let inode = named("socket:").into_iter().find_map(|number| {
        let fd = pidfd_getfd(&me, number, PidfdGetfdFlags::empty()).ok()?;
        let socket = SockRef::from(&fd);
        let ends = (socket.local_addr().ok()?, socket.peer_addr().ok()?);
        let found = (ends.0.as_socket()?, ends.1.as_socket()?) == (rig.address, theirs);
        found.then(|| rustix::fs::fstat(&fd).ok()).flatten()
    });
    let Some(inode) = inode else { return false };
    let entry = format!(" ino:{:x} ", inode.st_ino);
    named("anon_inode:[eventpoll]").into_iter().any(|number| {
        std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"))
            .is_ok_and(|text| text.contains(&entry))
    })
}

/// Bytes that the relay has read of the only client there is.
fn bytes_in(rig: &Rig) -> u64 {
    let start = Instant::now();
    loop {
        // None while the worker is busy.
        if let Some(session) = rig.relay.sessions().first() {
            return session.bytes_in;
        }
        assert!(
            start.elapsed() < rig::PATIENCE,
            "the worker does not answer"
        );
    }
}

fn until_landed(rig: &Rig, client: &TcpStream) {
    until("the connection to land", || landed(rig, client));
}

/// A pair whose connection is in the air, having relayed both ways. One that a busy machine has
/// delayed may have landed: then it is another's turn.
fn flying(rig: &Rig) -> (TcpStream, TcpStream) {
    for _ in 0..1000 {
        let (mut client, mut server) = rig.pair();
        pass(&mut client, &mut server, "question");
        pass(&mut server, &mut client, "answer");
        if !landed(rig, &client) {
            return (client, server);
        }
        drop(client);
        drop(server);
        rig.ended();
    }
    unreachable!("connections of a question and an answer do not stay in the ring");
}

fn both_end(rig: &Rig, client: TcpStream, mut server: TcpStream) {
    drop(client);
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    drop(server);
    assert_eq!(rig.ended().state, "--");
}

#[test]
fn a_short_connection_never_leaves_the_ring() {
    let Some(rig) = over_ring(|_| {}) else { return };
    let (client, server) = flying(&rig);
    both_end(&rig, client, server);
}

#[test]
fn bulk_lands_and_is_spliced() {
    let Some(rig) = over_ring(|_| {}) else { return };
    let (mut client, mut server) = flying(&rig);
    let bulk: Vec<u8> = (0_u32..16 << 20).map(|at| (at ^ (at >> 9)) as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| server.write_all(&bulk).unwrap());
        let mut got = vec![0; bulk.len()];
        std::io::Read::read_exact(&mut client, &mut got).unwrap();
        assert!(got == bulk, "wrong bytes");
    });
    assert!(landed(&rig, &client));
    assert!(rig.relay.figures().bytes_spliced > 0);
    both_end(&rig, client, server);
}

/// Small messages only, so that it is not bulk that lands it.
#[test]
fn a_reader_that_stalls_holds_the_writer_up_and_loses_nothing() {
    let Some(rig) = over_ring(|setup| setup.backend.socket.send_buffer = Some(4096)) else {
        return;
    };
    SockRef::from(rig.servers[0].as_ref().unwrap())
        .set_recv_buffer_size(4096)
        .unwrap();
    let (client, mut server) = flying(&rig);
    client.set_nonblocking(true).unwrap();
    let message = [7; 500];
    let read = || bytes_in(&rig);
    let before = read();
    let mut sent = 0;
    while !landed(&rig, &client) {
        match (&client).write(&message) {
            Ok(wrote) => sent += wrote as u64,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        until("it to be read or the connection to land", || {
            read() - before == sent || landed(&rig, &client)
        });
        assert!(sent < 16 << 20, "nothing holds the writer up");
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(drain(&mut server), (vec![7; sent as usize], End::Fin));
    drop(server);
    assert_eq!(rig.ended().state, "--");
}

/// Its end counts as room to the kernel, which must not make the ring wait for it.
#[test]
fn a_server_that_has_said_all_and_reads_nothing_gets_all_in_the_end() {
    let Some(rig) = over_ring(|setup| setup.backend.socket.send_buffer = Some(4096)) else {
        return;
    };
    SockRef::from(rig.servers[0].as_ref().unwrap())
        .set_recv_buffer_size(4096)
        .unwrap();
    for _ in 0..5 {
        let (mut client, mut server) = flying(&rig);
        let read = || bytes_in(&rig);
        let before = read();
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(drain(&mut client), (vec![], End::Fin));
        client.set_nonblocking(true).unwrap();
        let mut sent = 0;
        // Small messages, one at a time, until one waits for room: it has been read all the same.
        while !landed(&rig, &client) {
            for _ in 0..4 {
                sent += client.write(&[7; 500]).unwrap() as u64;
                let start = Instant::now();
                while read() - before < sent && start.elapsed() < Duration::from_millis(2) {}
            }
        }
        drop(client);
        assert_eq!(drain(&mut server), (vec![7; sent as usize], End::Fin));
        drop(server);
        assert_eq!(rig.ended().state, "--");
    }
}

#[test]
fn a_side_that_has_ended_still_hears_the_other() {
    let Some(rig) = over_ring(|_| {}) else { return };
    for server_first in [false, true] {
        let (client, server) = flying(&rig);
        let seen = client.try_clone().unwrap();
        let (mut first, mut second) = if server_first {
            (server, client)
        } else {
            (client, server)
        };
        first.shutdown(Shutdown::Write).unwrap();
        assert_eq!(drain(&mut second), (vec![], End::Fin));
        until_landed(&rig, &seen);
        pass(&mut second, &mut first, "still there");
        second.shutdown(Shutdown::Write).unwrap();
        assert_eq!(drain(&mut first), (vec![], End::Fin));
        assert_eq!(rig.ended().state, "--");
    }
}

#[test]
fn silence_lands_and_goes_on_later() {
    let Some(rig) = over_ring(|_| {}) else { return };
    let (mut client, mut server) = flying(&rig);
    until_landed(&rig, &client);
    pass(&mut client, &mut server, "once more");
    pass(&mut server, &mut client, "at last");
    both_end(&rig, client, server);
}

/// In the air nobody listens to a client that waits for its server.
#[test]
fn a_slow_connect_lands_and_is_given_up_with_its_client() {
    let (address, _fillers) = rig::mute();
    let setup = Setup::new(1).in_ring().with(|setup| {
        setup.backend.timeout_connect = ms(600_000);
    });
    let Some(rig) = granted(setup.start_at(vec![None], vec![address.clone()])) else {
        return;
    };
    let client = rig.connect();
    until_landed(&rig, &client);
    drop(client);
    assert_eq!(rig.ended().state, "CC");

    let setup = Setup::new(1).in_ring().with(|setup| {
        setup.backend.timeout_connect = ms(100);
        setup.backend.retries = 1;
    });
    let rig = setup.start_at(vec![None], vec![address]);
    assert_eq!(drain(&mut rig.connect()), (vec![], End::Fin));
    let ended = rig.ended();
    assert_eq!(
        (ended.state.as_str(), ended.counts.as_str()),
        ("sC", "1/1/0/0/1")
    );
}

#[test]
fn a_place_in_the_queue_lands() {
    let Some(rig) = over_ring(|setup| setup.pool.servers[0].maxconn = 1) else {
        return;
    };
    let (first, first_server) = flying(&rig);
    let mut second = rig.connect();
    until_landed(&rig, &second);
    assert_eq!(rig.backend().state.queued().0, 1);
    let third = rig.connect();
    until_landed(&rig, &third);
    drop(third);
    assert_eq!(rig.ended().state, "CQ");
    both_end(&rig, first, first_server);
    let mut server = rig.accept(0);
    pass(&mut second, &mut server, "my turn");
    both_end(&rig, second, server);
}

#[test]
fn a_pause_before_the_next_attempt_lands() {
    let setup = Setup::new(1).in_ring().with(|setup| {
        setup.backend.retries = 1000;
        setup.backend.timeout_connect = ms(1000);
    });
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    drop(held);
    let Some(rig) = granted(setup.start_at(vec![None], vec![ServerAddress::Inet(address)])) else {
        return;
    };
    let client = rig.connect();
    until_landed(&rig, &client);
    // It is heard there, and attempts go on from there.
    let attempts = || rig.backend().servers[0].state.totals().connects;
    until("the next attempts", || attempts() > 2);
    drop(client);
    assert_eq!(rig.ended().state, "CC");
}

#[test]
fn servers_on_unix_sockets_land_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let setup = Setup::new(1).in_ring();
    let Some(rig) = granted(setup.start_at(vec![None], vec![ServerAddress::Unix(path)])) else {
        return;
    };
    let mut client = rig.connect();
    let (mut server, _) = listener.accept().unwrap();
    until_landed(&rig, &client);
    server.write_all(b"over there").unwrap();
    drop(server);
    assert_eq!(drain(&mut client), (b"over there".to_vec(), End::Fin));
    drop(client);
    assert_eq!(rig.ended().state, "--");
}

#[test]
fn resets_in_the_air_are_told_from_ends() {
    let Some(rig) = over_ring(|_| {}) else { return };
    let (client, mut server) = flying(&rig);
    rig::reset(client);
    let (bytes, _) = drain(&mut server);
    assert_eq!((bytes, rig.ended().state.as_str()), (vec![], "CD"));
    let (mut client, server) = flying(&rig);
    rig::reset(server);
    let (bytes, _) = drain(&mut client);
    assert_eq!((bytes, rig.ended().state.as_str()), (vec![], "SD"));
}

#[test]
fn timeouts_hold_in_the_air() {
    let Some(rig) = over_ring(|setup| setup.backend.timeout_server = ms(200)) else {
        return;
    };
    let (mut client, mut server) = flying(&rig);
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    drop(client);
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    let ended = rig.ended();
    assert_eq!(ended.state, "sD");
    assert!((200..5000).contains(&ended.total), "{ended:?}");
}

#[test]
fn operators_and_stops_reach_the_air() {
    let Some(rig) = over_ring(|_| {}) else { return };
    let (mut client, mut server) = flying(&rig);
    rig.relay.kill(SessionFilter::All, KillCause::Operator);
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    assert_eq!(rig.ended().state, "K-");
    // A soft stop lets a connection in the air finish there, a hard one ends it.
    let (mut client, mut server) = flying(&rig);
    rig.relay.shutdown(relay::Shutdown::Soft);
    until("the doors to close", || rig.relay.figures().listeners == 0);
    pass(&mut client, &mut server, "still here");
    both_end(&rig, client, server);
    let Some(rig) = over_ring(|_| {}) else { return };
    let (mut client, _server) = flying(&rig);
    rig.relay.shutdown(relay::Shutdown::Hard);
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    assert_eq!(rig.ended().state, "K-");
}

/// More connections speak at a time than the ring has buffers.
#[test]
fn those_for_whom_no_buffer_is_left_are_heard_all_the_same() {
    const CONNECTIONS: usize = 400;
    let Some(rig) = over_ring(|setup| setup.backend.timeout_server = ms(600_000)) else {
        return;
    };
    let mut pairs: Vec<_> = (0..CONNECTIONS).map(|_| rig.pair()).collect();
    // The worker stands still at the record of this one, while all others speak.
    let (client, server) = rig.pair();
    let gate = std::sync::Arc::clone(&rig.gate);
    let closed = gate.close();
    drop((client, server));
    until("the worker to stand still", || gate.arrived() > 0);
    for (number, (client, server)) in pairs.iter_mut().enumerate() {
        client.write_all(&question(number)).unwrap();
        server.write_all(&answer(number)).unwrap();
    }
    drop(closed);
    for (number, (client, server)) in pairs.iter_mut().enumerate() {
        let mut got = question(0);
        std::io::Read::read_exact(server, &mut got).unwrap();
        assert_eq!(got, question(number));
        let mut got = answer(0);
        std::io::Read::read_exact(client, &mut got).unwrap();
        assert_eq!(got, answer(number));
    }
    drop(pairs);
    for _ in 0..=CONNECTIONS {
        rig.ended();
    }
    until("all to be gone", || rig.relay.figures().connections == 0);
}

fn question(number: usize) -> Vec<u8> {
    format!("question {number:05}").repeat(20).into_bytes()
}

fn answer(number: usize) -> Vec<u8> {
    format!("answer {number:05}").repeat(300).into_bytes()
}

#[test]
fn a_worker_that_never_waits_serves() {
    let Some(rig) = over_ring(|setup| setup.relay.busy_polling = true) else {
        return;
    };
    for _ in 0..20 {
        let (client, server) = flying(&rig);
        both_end(&rig, client, server);
    }
}

/// The system refused rings, or nobody made them: all is as without them.
#[test]
fn without_a_ring_epoll_serves_and_says_so() {
    let rig = Setup::new(1)
        .in_ring()
        .with(|setup| setup.rings = Some(Rings::default()))
        .start();
    assert_eq!(rig.relay.ring_refusal(), Some("no ring was prepared"));
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, "question");
    assert!(landed(&rig, &client), "it is epoll that serves");
    both_end(&rig, client, server);
}

#[test]
fn rings_are_made_only_if_they_are_wanted() {
    let rig = Setup::new(1)
        .with(|setup| {
            setup.relay.io_uring = false;
            setup.rings = Some(Rings::default());
        })
        .start();
    assert_eq!(rig.relay.ring_refusal(), None);
}
