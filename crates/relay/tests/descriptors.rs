//! Descriptors run out: what stands goes on, bulk is copied, clients wait, and all of it ends when
//! there are descriptors again.
//!
//! The limit is the whole process': each test runs in a process of its own, which is this test binary
//! started again.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "torture/pattern.rs"]
mod pattern;
mod rig;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;

use rig::{End, Rig, Setup, drain, pass, until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

const ALONE: &str = "RELAY_TEST_ALONE";

/// Runs `test` of this file in a process of its own.
fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(ran, "no test of the name {name}");
}

/// Lets this process open `free` more descriptors; dropping it lifts the limit.
struct Scarce(Rlimit);

impl Scarce {
    fn new(free: usize) -> Self {
        let before = getrlimit(Resource::Nofile);
        let open: BTreeSet<u64> = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        // The directory's own descriptor is among them, and closed by now: one of the free ones.
        let own = open
            .iter()
            .copied()
            .find(|fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).is_err());
        let limit = (0..)
            .filter(|fd| !open.contains(fd) || Some(*fd) == own)
            .nth(free)
            .unwrap();
        let scarce = Rlimit {
            current: Some(limit),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, scarce).unwrap();
        Self(before)
    }
}

impl Drop for Scarce {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).unwrap();
    }
}

/// Sends `total` bytes down a connection and checks them.
fn bulk(mut server: &TcpStream, mut client: &TcpStream, total: u64) {
    const PIECE: usize = 1 << 20;
    thread::scope(|scope| {
        scope.spawn(|| {
            for at in (0..total).step_by(PIECE) {
                server.write_all(pattern::bytes(3, at, PIECE)).unwrap();
            }
        });
        let mut got = vec![0; PIECE];
        for at in (0..total).step_by(PIECE) {
            client.read_exact(&mut got).unwrap();
            assert!(got == pattern::bytes(3, at, PIECE), "in the MiB from {at}");
        }
    });
}

fn finish(rig: &Rig, mut client: TcpStream, mut server: TcpStream) {
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    drop(server);
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    assert_eq!(rig.ended().state, "--");
}

#[test]
fn bulk_without_a_pipe_is_copied() {
    alone("bulk_without_a_pipe_is_copied", || {
        let rig = Setup::new(1).start();
        let (client, server) = rig.pair();
        // None at all, and one where a pipe has two ends.
        for free in [0, 1] {
            let scarce = Scarce::new(free);
            bulk(&server, &client, 64 << 20);
            assert_eq!(rig.relay.figures().bytes_spliced, 0);
            drop(scarce);
        }
        until("pipes to be used again", || {
            bulk(&server, &client, 16 << 20);
            rig.relay.figures().bytes_spliced > 0
        });
        finish(&rig, client, server);
    });
}

/// A client's socket that has its descriptor before they run out.
fn prepared() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
}

fn connected(socket: Socket, rig: &Rig) -> TcpStream {
    socket.connect(&rig.address.into()).unwrap();
    rig::patient(socket.into())
}

#[test]
fn clients_wait_until_there_are_descriptors() {
    alone("clients_wait_until_there_are_descriptors", || {
        let rig = Setup::new(1).start();
        let (mut client, mut server) = rig.pair();
        let sockets: Vec<Socket> = (0..20).map(|_| prepared()).collect();
        let scarce = Scarce::new(0);
        let clients: Vec<TcpStream> = sockets
            .into_iter()
            .map(|socket| connected(socket, &rig))
            .collect();
        until("accepting to fail", || {
            rig.frontend().state.totals().accept_errors >= 3
        });
        assert_eq!(rig.relay.figures().sessions, 1);
        // Who is in is served.
        pass(&mut client, &mut server, "still here");
        pass(&mut server, &mut client, "yes");
        drop(scarce);
        for mut client in clients {
            client.write_all(b"at last").unwrap();
            let mut server = rig.accept(0);
            let mut got = [0; 7];
            server.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"at last");
            drop(client);
            drop(server);
            assert_eq!(rig.ended().state, "--");
        }
        finish(&rig, client, server);
    });
}

#[test]
fn a_client_without_a_descriptor_for_its_server_is_told_so() {
    alone(
        "a_client_without_a_descriptor_for_its_server_is_told_so",
        || {
            let rig = Setup::new(1).start();
            let (client, server) = rig.pair();
            finish(&rig, client, server);
            let sockets: Vec<Socket> = (0..10).map(|_| prepared()).collect();
            let scarce = Scarce::new(1);
            for socket in sockets {
                let mut client = connected(socket, &rig);
                assert_eq!(drain(&mut client), (vec![], End::Fin));
                assert_eq!(rig.ended().state, "RC");
                // Keeps its descriptor from the next.
                std::mem::forget(client);
            }
            drop(scarce);
            let (mut client, mut server) = rig.pair();
            pass(&mut client, &mut server, "there are enough again");
            finish(&rig, client, server);
            let view = rig.backend().state.server(0).unwrap();
            assert_eq!((view.served, view.sessions), (0, 0));
        },
    );
}

/// The whole random mix, with one pipe or two to be had now and then, and often none.
#[test]
fn scarcity_that_comes_and_goes_harms_nobody() {
    alone("scarcity_that_comes_and_goes_harms_nobody", || {
        let rig = Setup::new(1).start();
        let pairs: Vec<(TcpStream, TcpStream)> = (0..8).map(|_| rig.pair()).collect();
        for free in [0, 3, 0, 5, 1, 0, 9] {
            let scarce = Scarce::new(free);
            thread::scope(|scope| {
                for (client, server) in &pairs {
                    scope.spawn(|| bulk(server, client, 8 << 20));
                }
            });
            drop(scarce);
        }
        for (client, server) in pairs {
            finish(&rig, client, server);
        }
        until("the pipes to come back", || {
            rig.relay.figures().pipes_used == 0
        });
    });
}
