//! A kernel that has no room to remember closed connections (`TCPTimeWaitOverflow` in nstat(8)): a
//! client that closed plainly answers whatever still comes for it with a reset, even the relay's own
//! FIN. All it sent had arrived before, and is delivered.
//!
//! The room is a network namespace's: the test runs in one of its own, which is this test binary
//! started again.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod rig;

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rig::{End, Rig, Setup, drain, ms, pass, until};

const ALONE: &str = "RELAY_TEST_ALONE";

#[test]
fn a_late_reset_takes_nothing_from_the_server() {
    if std::env::var_os(ALONE).is_some() {
        for setup in Setup::of_each_driver(1) {
            late_reset(setup);
        }
        return;
    }
    let prepare =
        "ip link set lo up && echo 0 > /proc/sys/net/ipv4/tcp_max_tw_buckets && exec \"$@\"";
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            prepare,
            "sh",
        ])
        .arg(std::env::current_exe().unwrap())
        .args([
            "a_late_reset_takes_nothing_from_the_server",
            "--exact",
            "--nocapture",
        ])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

fn late_reset(setup: Setup) {
    let setup = setup.with(|setup| {
        setup.backend.socket.send_buffer = Some(64 << 10);
        setup.frontend.timeout_client = ms(60_000);
        setup.backend.timeout_server = ms(60_000);
    });
    let rig = setup.start();
    let (mut client, mut server) = rig.pair();
    let address = client.local_addr().unwrap();
    let mut sent = 0;
    while taken(&rig, sent) {
        client.write_all(&[7; 8192]).unwrap();
        sent += 8192;
    }
    // The last piece waits in the kernel, for the server reads nothing.
    drop(client);
    until("the client to be forgotten", || !is_known(address, 1));
    server.shutdown(Shutdown::Write).unwrap();
    until("the reset", || !is_known(address, 2));
    // By the time it has served another, the worker has heard of it.
    let (mut other, mut behind) = rig.pair();
    pass(&mut other, &mut behind, "question");
    let (bytes, end) = drain(&mut server);
    assert_eq!((bytes.len(), end), (sent, End::Fin));
    assert_eq!(rig.ended().state, "--");
    end_both(&rig, other, behind);
}

/// Whether the relay has read everything; what it leaves for longer, it leaves for good.
fn taken(rig: &Rig, sent: usize) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        let sessions = rig.relay.sessions();
        let read = sessions.first().map_or(0, |session| session.bytes_in);
        if usize::try_from(read) == Ok(sent) {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// Whether the kernel has a socket with this address as its own (`place` 1) or as its peer's (2).
fn is_known(address: SocketAddr, place: usize) -> bool {
    let port = format!(":{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    table.lines().any(|line| {
        let word = line.split_whitespace().nth(place);
        word.is_some_and(|word| word.ends_with(&port))
    })
}

fn end_both(rig: &Rig, client: TcpStream, mut server: TcpStream) {
    drop(client);
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    drop(server);
    assert_eq!(rig.ended().state, "--");
}
