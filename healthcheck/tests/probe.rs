//! Probes against real listeners on loopback.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has failed"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use healthcheck::probe::{Kind, Limits, Peer, run};
use healthcheck::{Outcome, Status};

const LONG: Duration = Duration::from_secs(20);

fn probe(peer: &Peer, kind: Kind, limits: Limits) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(peer, kind, limits))
}

fn patient() -> Limits {
    Limits::new(LONG, None, None)
}

/// A server that reads the hello, then does as told; the hello comes back.
fn server(answer: impl FnOnce(TcpStream) + Send + 'static) -> (Peer, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::Inet(listener.local_addr().unwrap());
    let handle = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 126];
        stream.read_exact(&mut hello).unwrap();
        answer(stream);
        hello.to_vec()
    });
    (peer, handle)
}

fn check_answer(bytes: &'static [u8], status: Status, info: &str) {
    let (peer, handle) = server(move |mut stream| {
        stream.write_all(bytes).unwrap();
        // A prober that has its answer may have reset the connection already.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // Its reset ends this, not the server's close.
        let _ = stream.read(&mut [0]);
    });
    let outcome = probe(&peer, Kind::SslHello, patient());
    assert_eq!(
        (outcome.status, outcome.info.as_ref()),
        (status, info),
        "{bytes:?}"
    );
    let hello = handle.join().unwrap();
    assert_eq!(hello.get(..5), Some(&b"\x16\x03\x00\x00\x79"[..]));
}

#[test]
fn a_handshake_record_or_an_alert_passes() {
    check_answer(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76", Status::L6Ok, "");
    check_answer(b"\x15\x03\x00\x00\x02\x02\x28", Status::L6Ok, "");
}

#[test]
fn other_answers_fail() {
    check_answer(b"HTTP/1.0 400 Bad Request\r\n\r\n", Status::L6Response, "");
    check_answer(
        b"",
        Status::L6Response,
        "TCPCHK got an empty response at step 2",
    );
}

#[test]
fn an_answer_in_pieces_is_put_together() {
    let (peer, handle) = server(|mut stream| {
        stream.set_nodelay(true).unwrap();
        for byte in b"\x16\x03\x03\x00\x01" {
            stream.write_all(&[*byte]).unwrap();
        }
        let _ = stream.read(&mut [0]);
    });
    assert_eq!(probe(&peer, Kind::SslHello, patient()).status, Status::L6Ok);
    handle.join().unwrap();
}

#[test]
fn silence_is_a_layer_six_timeout_with_and_without_timeout_check() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::Inet(listener.local_addr().unwrap());
    let short = Duration::from_millis(60);
    for limits in [
        Limits::new(short, None, None),
        Limits::new(LONG, Some(LONG), Some(short)),
    ] {
        let outcome = probe(&peer, Kind::SslHello, limits);
        assert_eq!(
            (outcome.status, outcome.info.as_ref()),
            (Status::L6Timeout, "")
        );
        assert!(
            outcome.duration >= short && outcome.duration < LONG,
            "{outcome:?}"
        );
    }
}

#[test]
fn limits_combine_as_the_manual_says() {
    let ms = Duration::from_millis;
    let limits = Limits::new(ms(2000), Some(ms(5000)), None);
    assert_eq!(
        limits,
        Limits {
            connect: ms(2000),
            answer: None
        }
    );
    let limits = Limits::new(ms(2000), Some(ms(300)), Some(ms(700)));
    assert_eq!(
        limits,
        Limits {
            connect: ms(300),
            answer: Some(ms(700))
        }
    );
    let limits = Limits::new(ms(2000), Some(ms(5000)), Some(ms(9000)));
    assert_eq!(
        limits,
        Limits {
            connect: ms(2000),
            answer: Some(ms(9000))
        }
    );
    let limits = Limits::new(ms(2000), None, Some(ms(700)));
    assert_eq!(
        limits,
        Limits {
            connect: ms(2000),
            answer: Some(ms(700))
        }
    );
}

#[test]
fn a_closed_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for kind in [Kind::Connect, Kind::SslHello] {
        let outcome = probe(&Peer::Inet(address), kind, patient());
        assert_eq!(
            (outcome.status, outcome.info.as_ref()),
            (Status::L4Connection, "Connection refused")
        );
    }
}

#[test]
fn an_address_without_a_route_is_a_connection_problem_at_once() {
    let peer = Peer::Inet("255.255.255.255:80".parse().unwrap());
    let outcome = probe(&peer, Kind::Connect, patient());
    assert_eq!(
        (outcome.status, outcome.info.as_ref()),
        (
            Status::L4Connection,
            "General socket error (Network is unreachable)"
        )
    );
}

/// A full accept queue leaves the SYN unanswered.
#[test]
fn a_connect_without_an_answer_is_a_layer_four_timeout() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let fillers: Vec<socket2::Socket> = (0..4)
        .map(|_| {
            let filler =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address.into());
            filler
        })
        .collect();
    let limits = Limits::new(Duration::from_millis(80), None, None);
    let outcome = probe(&Peer::Inet(address), Kind::Connect, limits);
    assert_eq!(
        (outcome.status, outcome.info.as_ref()),
        (Status::L4Timeout, "")
    );
    drop(fillers);
}

/// The reset overtakes the handshake's last ACK, so the checked server never sees a connection.
/// A scheduler that keeps this process waiting for longer than the kernel delays that ACK (some
/// 40 ms) spoils one attempt, not five.
#[test]
fn a_plain_check_is_never_accepted() {
    let unseen = (0..5).any(|_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let outcome = probe(&Peer::Inet(address), Kind::Connect, patient());
        assert_eq!(outcome.status, Status::L4Ok);
        let client = TcpStream::connect(address).unwrap();
        let (_, accepted) = listener.accept().unwrap();
        accepted == client.local_addr().unwrap()
    });
    assert!(unseen);
}

#[test]
fn unix_sockets_are_checked_too() {
    let dir = std::env::temp_dir().join(format!("healthcheck-{}", std::process::id()));
    let _ = std::fs::remove_file(&dir);
    let listener = UnixListener::bind(&dir).unwrap();
    let peer = Peer::Unix(dir.clone());
    assert_eq!(probe(&peer, Kind::Connect, patient()).status, Status::L4Ok);
    drop(listener);
    let outcome = probe(&peer, Kind::Connect, patient());
    assert_eq!(
        (outcome.status, outcome.info.as_ref()),
        (
            Status::SocketError,
            "General socket error (Connection refused)"
        )
    );
    std::fs::remove_file(&dir).unwrap();
    let outcome = probe(&peer, Kind::Connect, patient());
    assert_eq!(
        (outcome.status, outcome.info.as_ref()),
        (
            Status::SocketError,
            "General socket error (No such file or directory)"
        )
    );
    let name = format!("healthcheck-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let peer = Peer::Abstract(name.into_bytes());
    assert_eq!(probe(&peer, Kind::Connect, patient()).status, Status::L4Ok);
    drop(listener);
}
