//! Limits, queues, retries, several workers, stopping.
#![expect(clippy::unwrap_used, reason = "helpers fail their test")]

mod rig;

use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use relay::{Change, Operational, Redispatch, ServerAddress};
use rig::{End, Setup, drain, ms, pass, until};

/// A loopback address where nobody listens, as long as the socket that holds it lives.
fn dead() -> (socket2::Socket, ServerAddress) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(
            &"127.0.0.1:0"
                .parse::<std::net::SocketAddr>()
                .unwrap()
                .into(),
        )
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, ServerAddress::Inet(address))
}

fn hang_up(client: TcpStream, mut server: TcpStream) {
    drop(client);
    assert_eq!(drain(&mut server), (vec![], End::Fin));
}

#[test]
fn a_refused_server_is_tried_again_after_a_pause() {
    let setup = Setup::new(1).with(|setup| {
        setup.backend.retries = 2;
        setup.backend.timeout_connect = ms(100);
    });
    let (_held, address) = dead();
    let rig = setup.start_at(vec![None], vec![address]);
    assert_eq!(drain(&mut rig.connect()), (vec![], End::Fin));
    let ended = rig.ended();
    assert_eq!(
        (ended.state.as_str(), ended.counts.as_str()),
        ("SC", "1/1/0/0/2")
    );
    assert_eq!(
        (ended.server.as_str(), ended.queue, ended.connect),
        ("a", 1, -1)
    );
    assert!((200..2000).contains(&ended.total), "{ended:?}");
    let server = rig.backend().servers[0].state.totals();
    assert_eq!(
        (server.sessions, server.connects, server.selected),
        (3, 3, 1)
    );
    assert_eq!((server.retries, server.failed_connections), (2, 1));
    assert_eq!(rig.backend().state.totals().sessions, 1);
}

#[test]
fn redispatch_goes_to_another_server_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_held, address) = dead();
    let alive = ServerAddress::Inet(listener.local_addr().unwrap());
    let setup = Setup::new(2).with(|setup| setup.backend.redispatch = Redispatch::BeforeLast(1));
    let rig = setup.start_at(vec![None, Some(listener)], vec![address, alive]);
    let client = rig.connect();
    hang_up(client, rig.accept(1));
    let ended = rig.ended();
    assert_eq!(
        (ended.server.as_str(), ended.counts.as_str()),
        ("b", "1/1/0/0/+1")
    );
    assert!(ended.total < 900, "{ended:?}");
    let totals = rig.backend().state.totals();
    assert_eq!(
        (totals.redispatches, totals.retries, totals.selected),
        (1, 0, 2)
    );
    assert_eq!(rig.backend().servers[0].state.totals().redispatches, 1);
}

#[test]
fn a_full_server_makes_the_next_wait() {
    let rig = Setup::new(1)
        .with(|setup| setup.pool.servers[0].maxconn = 1)
        .start();
    let (first, first_server) = rig.pair();
    let second = rig.connect();
    until("the second to wait", || rig.backend().state.queued().0 == 1);
    let third = rig.connect();
    until("the third to wait", || rig.backend().state.queued().0 == 2);
    hang_up(first, first_server);
    let ended = rig.ended();
    assert_eq!(
        (ended.counts.as_str(), ended.queues.as_str()),
        ("3/3/2/0/0", "0/0")
    );
    let server = rig.accept(0);
    hang_up(second, server);
    assert_eq!(rig.ended().queues, "0/1");
    let server = rig.accept(0);
    hang_up(third, server);
    assert_eq!(rig.ended().queues, "0/2");
    assert_eq!(rig.backend().state.queued(), (0, 2));
    assert_eq!(rig.backend().state.server(0).unwrap().sessions_max, 1);
}

#[test]
fn waiting_has_an_end() {
    let rig = Setup::new(1)
        .with(|setup| {
            setup.pool.servers[0].maxconn = 1;
            setup.backend.timeout_queue = ms(100);
        })
        .start();
    let (_first, _server) = rig.pair();
    assert_eq!(drain(&mut rig.connect()), (vec![], End::Fin));
    let ended = rig.ended();
    assert_eq!(
        (ended.state.as_str(), ended.server.as_str()),
        ("sQ", "<NOSRV>")
    );
    assert!(ended.queue > 100 && ended.connect == -1, "{ended:?}");
    assert_eq!(rig.backend().state.totals().failed_connections, 1);
    drop(rig.connect());
    let ended = rig.ended();
    assert_eq!((ended.state.as_str(), ended.queues.as_str()), ("CQ", "0/1"));
    assert_eq!(rig.backend().state.queued().0, 0);
}

#[test]
fn abortonclose_frees_the_queue_of_clients_that_left_bytes() {
    for abort in [true, false] {
        let rig = Setup::new(1)
            .with(|setup| {
                setup.pool.servers[0].maxconn = 1;
                setup.backend.abort_on_close = abort;
                setup.backend.timeout_queue = ms(200);
            })
            .start();
        let (_first, _server) = rig.pair();
        let mut second = rig.connect();
        until("the second to wait", || rig.backend().state.queued().0 == 1);
        std::io::Write::write_all(&mut second, b"x").unwrap();
        drop(second);
        let ended = rig.ended();
        let expected = if abort { "CQ" } else { "sQ" };
        assert_eq!((ended.state.as_str(), ended.bytes_in), (expected, 1));
    }
}

#[test]
fn a_server_that_comes_back_takes_those_who_wait() {
    let rig = Setup::new(2)
        .with(|setup| setup.pool.servers[0].maxconn = 1)
        .start();
    rig.relay
        .change_server(0, 1, Change::Operational(Operational::Down))
        .unwrap();
    let (_first, _server) = rig.pair();
    let mut second = rig.connect();
    until("the second to wait", || rig.backend().state.queued().0 == 1);
    let changed = rig
        .relay
        .change_server(0, 1, Change::Operational(Operational::Up))
        .unwrap();
    assert_eq!(
        (changed.requeued, changed.queue_left, changed.active),
        (1, 0, 2)
    );
    let mut server = rig.accept(1);
    pass(&mut second, &mut server, "served");
}

#[test]
fn clients_beyond_maxconn_wait_in_the_backlog() {
    for process in [false, true] {
        let rig = Setup::new(1)
            .with(|setup| {
                if process {
                    setup.relay.maxconn = 2;
                } else {
                    setup.frontend.maxconn = 2;
                }
            })
            .start();
        let (first, first_server) = rig.pair();
        let (_second, _second_server) = rig.pair();
        let mut third = rig.connect();
        std::io::Write::write_all(&mut third, b"patience").unwrap();
        assert_eq!(rig.relay.sessions().len(), 2);
        hang_up(first, first_server);
        let mut server = rig.accept(0);
        let mut got = [0; 8];
        std::io::Read::read_exact(&mut server, &mut got).unwrap();
        assert_eq!(&got, b"patience");
        assert_eq!(rig.frontend().state.sessions.max(), 2);
        assert_eq!(rig.relay.figures().connections_max, 2);
    }
}

#[test]
fn workers_share_the_order_of_servers() {
    let rig = Setup::new(3).with(|setup| setup.relay.workers = 4).start();
    for round in 0..12 {
        let (mut client, mut server) = (rig.connect(), rig.accept(round % 3));
        pass(&mut client, &mut server, "round robin over all workers");
        drop(server);
        assert_eq!(drain(&mut client), (vec![], End::Fin));
        drop(client);
        assert_eq!(rig.ended().state, "--");
    }
    let totals = rig.frontend().state.totals();
    assert_eq!(
        (totals.sessions, totals.connections, totals.bytes_in),
        (12, 12, 12 * 28)
    );
    assert_eq!(rig.frontend().state.session_rate.max().min(1), 1);
}

#[test]
fn pausing_refuses_and_resuming_serves() {
    let rig = Setup::new(1).start();
    rig.relay.pause(0);
    until("the port to refuse", || {
        TcpStream::connect(rig.address).is_err()
    });
    assert_eq!(rig.relay.figures().listeners, 0);
    rig.relay.resume(0);
    until("the port to accept", || rig.relay.figures().listeners == 1);
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, "again");
}

#[test]
fn a_soft_stop_lets_sessions_finish_and_a_hard_one_does_not() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let over = |rig: &rig::Rig, patience| {
        runtime.block_on(async {
            tokio::time::timeout(patience, rig.relay.drained())
                .await
                .is_ok()
        })
    };
    let rig = Setup::new(1).start();
    let (mut client, mut server) = rig.pair();
    rig.relay.shutdown(relay::Shutdown::Soft);
    until("the doors to close", || rig.relay.figures().listeners == 0);
    assert!(TcpStream::connect(rig.address).is_err());
    pass(&mut client, &mut server, "still here");
    assert!(!over(&rig, Duration::from_millis(50)), "a session is left");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    drop(server);
    assert!(over(&rig, rig::PATIENCE));
    assert_eq!(rig.ended().state, "--");

    let rig = Setup::new(1).start();
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, "x");
    rig.relay.shutdown(relay::Shutdown::Hard);
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    assert!(over(&rig, rig::PATIENCE));
    assert_eq!(rig.ended().state, "K-");
}

#[test]
fn a_soft_stop_serves_clients_that_wait_in_the_backlog() {
    let rig = Setup::new(1)
        .with(|setup| setup.frontend.rate_limit = 1)
        .start();
    let (_first, _first_server) = rig.pair();
    // The rate limit holds these for seconds: the stop comes before it lets them in.
    let mut waiting: Vec<TcpStream> = (0..3).map(|_| rig.connect()).collect();
    rig.relay.shutdown(relay::Shutdown::Soft);
    for client in &mut waiting {
        let mut server = rig.accept(0);
        pass(client, &mut server, "served");
    }
}

#[test]
fn servers_on_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let rig = Setup::new(1).start_at(vec![None], vec![ServerAddress::Unix(path)]);
    let mut client = rig.connect();
    let (mut server, _) = listener.accept().unwrap();
    std::io::Write::write_all(&mut server, b"over there").unwrap();
    drop(server);
    assert_eq!(drain(&mut client), (b"over there".to_vec(), End::Fin));
    drop(client);
    assert_eq!(rig.ended().state, "--");
}

#[test]
fn clients_over_ipv6_and_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("front");
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let inet = TcpListener::bind("[::1]:0").unwrap();
    let address = inet.local_addr().unwrap();
    for socket in [std::os::fd::OwnedFd::from(unix), inet.into()] {
        let rig = Setup::new(1).start();
        let sink = std::sync::Arc::new(Silent);
        let door = relay::ListenSocket {
            frontend: 0,
            listener: 0,
            fds: vec![socket],
        };
        let settings = relay::RelaySettings::default();
        let snapshot = std::sync::Arc::clone(&rig.snapshot);
        let other = relay::Relay::start(&settings, snapshot, vec![door], sink).unwrap();
        let mut client: Box<dyn std::io::Read> =
            match std::os::unix::net::UnixStream::connect(&path) {
                Ok(stream) => Box::new(stream),
                Err(_) => Box::new(rig::patient(TcpStream::connect(address).unwrap())),
            };
        let mut server = rig.accept(0);
        std::io::Write::write_all(&mut server, b"hello").unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        let mut got = String::new();
        client.read_to_string(&mut got).unwrap();
        assert_eq!(got, "hello");
        let sessions = other.sessions();
        let peers: Vec<_> = sessions.iter().map(|session| session.client).collect();
        assert_eq!(peers.len(), 1);
        drop(client);
        drop(other);
        let _gone = std::fs::remove_file(&path);
    }
}

#[test]
fn a_paused_unix_socket_serves_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("front");
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let rig = Setup::new(1).start();
    let door = relay::ListenSocket {
        frontend: 0,
        listener: 0,
        fds: vec![unix.into()],
    };
    let settings = relay::RelaySettings::default();
    let snapshot = std::sync::Arc::clone(&rig.snapshot);
    let sink = std::sync::Arc::new(Silent);
    let other = relay::Relay::start(&settings, snapshot, vec![door], sink).unwrap();
    other.pause(0);
    until("the pause", || other.figures().listeners == 0);
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    other.resume(0);
    let mut server = rig.accept(0);
    std::io::Write::write_all(&mut server, b"hello").unwrap();
    drop(server);
    let mut got = String::new();
    std::io::Read::read_to_string(&mut client, &mut got).unwrap();
    assert_eq!(got, "hello");
}

struct Silent;

impl relay::SessionSink for Silent {
    fn ended(&self, _: &relay::SessionRecord<'_>) {}
}

#[test]
fn a_connect_without_answer_times_out() {
    let (address, _fillers) = rig::mute();
    let setup = Setup::new(1).with(|setup| {
        setup.backend.retries = 1;
        setup.backend.timeout_connect = ms(150);
    });
    let rig = setup.start_at(vec![None], vec![address]);
    assert_eq!(drain(&mut rig.connect()), (vec![], End::Fin));
    let ended = rig.ended();
    assert_eq!(
        (ended.state.as_str(), ended.counts.as_str()),
        ("sC", "1/1/0/0/1")
    );
    assert!((300..2000).contains(&ended.total), "{ended:?}");
    drop(rig.connect());
    assert_eq!(rig.ended().state, "CC");
}
