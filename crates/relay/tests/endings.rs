//! How sessions end: what both peers see, and what the log says. Every expectation was first seen
//! with HAProxy 2.6.12 under the same behaviour of client and server.

mod rig;

use std::io::{Read, Write};
use std::net::Shutdown;

use rig::{End, Setup, drain, ms, pass, reset, until};

#[test]
fn a_normal_end() {
    let rig = Setup::new(1).start();
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, "hello");
    pass(&mut server, &mut client, "abc");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    pass(&mut server, &mut client, "after the client's FIN");
    drop(server);
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    let ended = rig.ended();
    assert_eq!(
        (ended.state.as_str(), ended.counts.as_str()),
        ("--", "1/1/0/0/0")
    );
    assert_eq!(
        (ended.server.as_str(), ended.bytes_in, ended.bytes_out),
        ("a", 5, 25)
    );
    assert_eq!((ended.queue, ended.queues.as_str()), (1, "0/0"));
}

#[test]
fn the_server_may_end_first() {
    let rig = Setup::new(1).start();
    let (mut client, mut server) = rig.pair();
    server.write_all(b"abc").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(drain(&mut client), (b"abc".to_vec(), End::Fin));
    pass(&mut client, &mut server, "after the server's FIN");
    drop(client);
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    assert_eq!(rig.ended().state, "--");
}

#[test]
fn a_client_that_resets() {
    let rig = Setup::new(1).start();
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, "hello");
    reset(client);
    assert_eq!(drain(&mut server), (vec![], End::Reset));
    let ended = rig.ended();
    assert_eq!((ended.state.as_str(), ended.bytes_in), ("CD", 5));
    assert_eq!(rig.backend().state.totals().client_aborts, 1);
}

#[test]
fn a_server_that_resets() {
    let rig = Setup::new(1).start();
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, "hello");
    server.write_all(b"last words").unwrap();
    pass(&mut client, &mut server, "x");
    reset(server);
    assert_eq!(drain(&mut client), (b"last words".to_vec(), End::Fin));
    assert_eq!(rig.ended().state, "SD");
    let totals = rig.backend().state.totals();
    assert_eq!((totals.server_aborts, totals.failed_responses), (1, 1));
}

/// Both ends come to light in one turn of the worker: a socket tells its error once, so each of them
/// has to be heard at once.
#[test]
fn a_reset_of_the_server_that_is_seen_together_with_the_clients_fin() {
    let rig = Setup::new(1)
        .with(|setup| {
            setup.relay.splice = relay::Splice::Off;
            setup.backend.socket.receive_buffer = Some(64 << 10);
        })
        .start();
    let (mut client, mut server) = rig.pair();
    let (other, mut behind) = rig.pair();
    // So much that the relay waits for the client.
    server.set_nonblocking(true).unwrap();
    let mut quiet = 0;
    while quiet < 50 {
        match server.write(&[7; 65536]) {
            Ok(wrote) => {
                assert!(wrote > 0);
                quiet = 0;
            }
            Err(_) => {
                quiet += 1;
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
    // The worker is stopped, by another session's end.
    let gate = rig.gate.close();
    drop(other);
    assert_eq!(drain(&mut behind), (vec![], End::Fin));
    drop(behind);
    until("the worker to stop", || rig.gate.arrived() == 1);
    // The server goes first, so that its end is known when the client's comes. The client takes all
    // that the kernel has for it, which makes room for the rest.
    reset(server);
    client.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut quiet = 0;
    while quiet < 50 {
        match client.read(&mut buffer) {
            Ok(got) => {
                assert!(got > 0);
                quiet = 0;
            }
            Err(_) => {
                quiet += 1;
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
    client.set_nonblocking(false).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    drop(gate);
    assert_eq!(rig.ended().state, "--", "the other session");
    assert_eq!(drain(&mut client).1, End::Fin);
    assert_eq!(rig.ended().state, "SD");
}

#[test]
fn a_silent_client() {
    let rig = Setup::new(1)
        .with(|setup| setup.frontend.timeout_client = ms(150))
        .start();
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, "hello");
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    pass(&mut server, &mut client, "it may still be answered");
    drop(server);
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    let ended = rig.ended();
    assert_eq!(ended.state, "cD");
    assert!((150..1000).contains(&ended.total), "{ended:?}");
}

#[test]
fn a_silent_server() {
    let rig = Setup::new(1)
        .with(|setup| setup.backend.timeout_server = ms(150))
        .start();
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, "hello");
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    pass(&mut client, &mut server, "it may still be asked");
    drop(client);
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    assert_eq!(rig.ended().state, "sD");
}

#[test]
fn both_silent_is_the_clients_fault() {
    let rig = Setup::new(1)
        .with(|setup| {
            setup.frontend.timeout_client = ms(150);
            setup.backend.timeout_server = ms(150);
        })
        .start();
    let (mut client, mut server) = rig.pair();
    pass(&mut server, &mut client, "x");
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    assert_eq!(rig.ended().state, "cD");
}

#[test]
fn activity_of_either_kind_keeps_both_timers_off() {
    let rig = Setup::new(1)
        .with(|setup| {
            setup.frontend.timeout_client = ms(1000);
            setup.backend.timeout_server = ms(1000);
        })
        .start();
    let (mut client, mut server) = rig.pair();
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(60));
        pass(&mut server, &mut client, "only the server speaks");
    }
    drop(server);
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    drop(client);
    let ended = rig.ended();
    assert_eq!(ended.state, "--");
    assert!(ended.total >= 1100, "{ended:?}");
}

#[test]
fn the_tunnel_timeout_replaces_both() {
    let rig = Setup::new(1)
        .with(|setup| {
            setup.frontend.timeout_client = ms(60_000);
            setup.backend.timeout_tunnel = ms(150);
        })
        .start();
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, "x");
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    assert_eq!(rig.ended().state, "cD");
}

#[test]
fn fin_timeouts_bound_the_second_half() {
    let rig = Setup::new(1)
        .with(|setup| setup.backend.timeout_server_fin = ms(150))
        .start();
    let (mut client, mut server) = rig.pair();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    assert_eq!(rig.ended().state, "sD");

    let rig = Setup::new(1)
        .with(|setup| setup.frontend.timeout_client_fin = ms(150))
        .start();
    let (mut client, mut server) = rig.pair();
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    assert_eq!(rig.ended().state, "cD");
}

#[test]
fn a_client_that_comes_and_goes_is_still_shown_to_the_server() {
    let rig = Setup::new(1).start();
    drop(rig.connect());
    let mut server = rig.accept(0);
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    drop(server);
    let ended = rig.ended();
    assert_eq!((ended.state.as_str(), ended.bytes_in), ("--", 0));
}

#[test]
fn sessions_ended_by_the_operator() {
    let rig = Setup::new(1).start();
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, "x");
    rig.relay.kill(
        relay::SessionFilter::Server(0, 0),
        relay::KillCause::Operator,
    );
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    assert_eq!(rig.ended().state, "K-");
}

#[test]
fn sessions_of_a_server_marked_down() {
    let rig = Setup::new(1)
        .with(|setup| setup.on_marked_down = relay::OnMarkedDown::ShutdownSessions)
        .start();
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, "x");
    let down = relay::Change::Operational(relay::Operational::Down);
    let changed = rig.relay.change_server(0, 0, down).unwrap();
    assert_eq!(
        (changed.before.sessions, changed.active, changed.backups),
        (1, 0, 0)
    );
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    assert_eq!(drain(&mut server), (vec![], End::Fin));
    assert_eq!(rig.ended().state, "D-");

    let mut client = rig.connect();
    assert_eq!(drain(&mut client), (vec![], End::Fin));
    let ended = rig.ended();
    assert_eq!(
        (ended.state.as_str(), ended.server.as_str()),
        ("SC", "<NOSRV>")
    );
    assert_eq!(
        (ended.queue, ended.connect, ended.counts.as_str()),
        (-1, -1, "1/1/0/0/0")
    );
    assert_eq!(rig.backend().state.totals().failed_connections, 1);
}
