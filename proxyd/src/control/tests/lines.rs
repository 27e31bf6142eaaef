//! Lines of connections, against lines captured from Debian's haproxy 2.6.12.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use haproxy_cfg::model::ProxyKind;
use relay::{
    Cause, Frontend, FrontendState, Listener, ListenerState, Peer, SessionRecord, SessionStart,
    SocketOptions, Stage, Termination,
};

use super::super::build::build;
use super::super::logfmt::{connect_from, tcplog};
use super::stage::{Plan, identity, proxy, server};

/// 2026-11-22 15:27:41.885 wherever we are.
fn moment() -> std::time::SystemTime {
    let utc = 1_795_361_261;
    let offset = i64::from(osys::time::local(utc).utc_offset);
    UNIX_EPOCH + Duration::new(u64::try_from(utc - offset).unwrap(), 885_000_000)
}

fn listener() -> Listener {
    Listener {
        name: "sock-1".into(),
        id: 1,
        maxconn: 0,
        backlog: 0,
        state: Arc::new(ListenerState::new(1)),
    }
}

fn frontend(name: &str, log_asap: bool) -> Frontend {
    Frontend {
        name: name.into(),
        id: 2,
        listeners: Vec::new(),
        backend: None,
        maxconn: 0,
        rate_limit: 0,
        timeout_client: None,
        timeout_client_fin: None,
        socket: SocketOptions::default(),
        log_asap,
        state: Arc::new(FrontendState::new(1)),
    }
}

fn check(change: impl FnOnce(&mut SessionRecord<'_>), log_asap: bool, expected: &str) {
    let mut plan = Plan::new();
    let mut section = proxy(ProxyKind::Backend, "be", 3);
    section.servers = vec![server("m1", 1, "127.0.0.1:1".parse().unwrap())];
    plan.add(section, 0);
    let built = build(&plan.config, &identity(), Vec::new()).unwrap();
    let backend = &built.snapshot.backends[0];
    let (frontend, listener) = (frontend("fe", log_asap), listener());
    let mut record = SessionRecord {
        serial: 1,
        client: Peer::Inet("127.0.0.1:34366".parse().unwrap()),
        local: Peer::Inet("127.0.0.1:6443".parse().unwrap()),
        accepted: moment(),
        frontend: &frontend,
        listener: &listener,
        backend: Some(backend),
        server: Some(&backend.servers[0]),
        queue_time: Some(1),
        connect_time: Some(0),
        total_time: 300,
        bytes_in: 3,
        bytes_out: 3,
        termination: Termination::default(),
        active: 1,
        frontend_active: 1,
        backend_active: 0,
        server_active: 0,
        retries: 0,
        redispatched: false,
        server_queue: 0,
        backend_queue: 0,
    };
    change(&mut record);
    let mut line = String::from("left over");
    tcplog(&mut line, &record);
    assert_eq!(line, expected);
}

#[test]
fn a_plain_session() {
    check(
        |_| {},
        false,
        "127.0.0.1:34366 [22/Nov/2026:15:27:41.885] fe be/m1 1/0/300 3 -- 1/1/0/0/0 0/0",
    );
}

#[test]
fn no_usable_server() {
    check(
        |record| {
            record.server = None;
            (record.queue_time, record.connect_time) = (None, None);
            (record.total_time, record.bytes_out) = (0, 0);
            record.termination = Termination {
                cause: Cause::ServerAbort,
                stage: Stage::Connect,
            };
        },
        false,
        "127.0.0.1:34366 [22/Nov/2026:15:27:41.885] fe be/<NOSRV> -1/-1/0 0 SC 1/1/0/0/0 0/0",
    );
}

#[test]
fn no_backend_at_all() {
    check(
        |record| {
            (record.server, record.backend) = (None, None);
            (record.queue_time, record.connect_time) = (None, None);
        },
        false,
        "127.0.0.1:34366 [22/Nov/2026:15:27:41.885] fe fe/<NOSRV> -1/-1/300 3 -- 1/1/0/0/0 0/0",
    );
}

#[test]
fn redispatched_and_queued() {
    check(
        |record| {
            (record.retries, record.redispatched) = (2, true);
            (record.server_queue, record.backend_queue) = (4, 5);
            record.termination.cause = Cause::ClientTimeout;
            record.termination.stage = Stage::Data;
        },
        false,
        "127.0.0.1:34366 [22/Nov/2026:15:27:41.885] fe be/m1 1/0/300 3 cD 1/1/0/0/+2 4/5",
    );
}

#[test]
fn logasap_marks_what_is_not_final() {
    check(
        |record| (record.total_time, record.bytes_out) = (0, 0),
        true,
        "127.0.0.1:34366 [22/Nov/2026:15:27:41.885] fe be/m1 1/0/+0 +0 -- 1/1/0/0/0 0/0",
    );
}

#[test]
fn other_clients() {
    check(
        |record| record.client = Peer::Unix,
        false,
        "unix:1 [22/Nov/2026:15:27:41.885] fe be/m1 1/0/300 3 -- 1/1/0/0/0 0/0",
    );
    check(
        |record| record.client = Peer::Inet("[::1]:45214".parse().unwrap()),
        false,
        "::1:45214 [22/Nov/2026:15:27:41.885] fe be/m1 1/0/300 3 -- 1/1/0/0/0 0/0",
    );
    check(
        |record| record.client = Peer::Inet("[::ffff:127.0.0.1]:41908".parse().unwrap()),
        false,
        "::ffff:127.0.0.1:41908 [22/Nov/2026:15:27:41.885] fe be/m1 1/0/300 3 -- 1/1/0/0/0 0/0",
    );
}

fn check_connect(client: Peer, local: Peer, expected: &str) {
    let (frontend, listener) = (frontend("l1", false), listener());
    let start = SessionStart {
        serial: 1,
        client,
        local,
        accepted: moment(),
        frontend: &frontend,
        listener: &listener,
    };
    let mut line = String::new();
    connect_from(&mut line, &start);
    assert_eq!(line, expected);
}

#[test]
fn connections_without_a_format() {
    check_connect(
        Peer::Inet("127.0.0.1:57590".parse().unwrap()),
        Peer::Inet("127.0.0.1:16950".parse().unwrap()),
        "Connect from 127.0.0.1:57590 to 127.0.0.1:16950 (l1/TCP)",
    );
    check_connect(
        Peer::Inet("[::1]:44874".parse().unwrap()),
        Peer::Inet("[::1]:17025".parse().unwrap()),
        "Connect from ::1:44874 to ::1:17025 (l1/TCP)",
    );
    check_connect(Peer::Unix, Peer::Unix, "Connect to unix:1 (l1/TCP)");
}
