//! A relay with many lanes: a lane is a bind line and the server behind it, which listens on the
//! same port of another loopback address. With one connection at a time in each lane, both ends of a
//! connection know each other before a byte is sent.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use relay::{
    BackendState, FrontendState, ListenSocket, Peer, Relay, ServerAddress, SessionRecord,
    SessionSink, Snapshot, Termination,
};
use rustix::event::{EventfdFlags, eventfd};
use socket2::{Domain, Socket, Type};

use crate::rig::{self, Setup, bind_line, server};

const SERVERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What the relay said of a session.
#[derive(Debug, Clone)]
pub struct Record {
    pub client: Peer,
    pub connected: bool,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub termination: Termination,
    pub retries: u32,
}

/// Records on their way to the thread that plays the lanes.
#[derive(Debug)]
pub struct Post {
    records: Mutex<Vec<(usize, Record)>>,
    pub wake: OwnedFd,
}

impl Post {
    fn new() -> Self {
        Self {
            records: Mutex::default(),
            wake: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap(),
        }
    }

    /// Takes what has come.
    pub fn take(&self) -> Vec<(usize, Record)> {
        let mut count = [0; 8];
        let _nothing = rustix::io::read(&self.wake, &mut count);
        std::mem::take(&mut *self.records.lock().unwrap())
    }
}

struct Sink(Arc<Post>);

impl SessionSink for Sink {
    fn ended(&self, record: &SessionRecord<'_>) {
        let lane = record.listener.id as usize - 1;
        let post = &self.0;
        let taken = Record {
            client: record.client,
            connected: record.connect_time.is_some(),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            termination: record.termination,
            retries: record.retries,
        };
        post.records.lock().unwrap().push((lane, taken));
        let _full = rustix::io::write(&post.wake, &1_u64.to_ne_bytes());
    }
}

#[derive(Debug)]
pub struct LaneSockets {
    /// The server listens here.
    pub server: OwnedFd,
    /// The relay listens here.
    pub relay: SocketAddr,
}

pub struct Field {
    pub relay: Relay,
    pub snapshot: Arc<Snapshot>,
    pub lanes: Vec<LaneSockets>,
    pub post: Arc<Post>,
}

impl Field {
    pub fn start(mut setup: Setup, lanes: usize) -> Self {
        let workers = setup.relay.workers;
        let mut sockets = Vec::new();
        let mut ends = Vec::new();
        for (index, id) in (0..lanes).zip(1..) {
            let (fds, relay, server) = lane(workers);
            sockets.push(ListenSocket {
                frontend: 0,
                listener: index,
                fds,
            });
            setup
                .frontend
                .listeners
                .push(Arc::new(bind_line(id, workers)));
            ends.push(LaneSockets { server, relay });
        }
        let behind = ServerAddress::Offset {
            ip: SERVERS.into(),
            add: 0,
        };
        setup
            .backend
            .servers
            .push(Arc::new(server('a', 1, behind, workers)));
        setup.backend.state = Arc::new(BackendState::new(&setup.pool, workers));
        setup.frontend.state = Arc::new(FrontendState::new(workers));
        let snapshot = Arc::new(Snapshot {
            frontends: vec![Arc::new(setup.frontend)],
            backends: vec![Arc::new(setup.backend)],
        });
        let post = Arc::new(Post::new());
        let sink = Arc::new(Sink(Arc::clone(&post)));
        let relay = Relay::start(&setup.relay, Arc::clone(&snapshot), sockets, sink).unwrap();
        rig::say_refusal(&relay);
        Self {
            relay,
            snapshot,
            lanes: ends,
            post,
        }
    }
}

/// The relay's sockets of one lane, their address, and the server's socket on the same port.
fn lane(workers: usize) -> (Vec<OwnedFd>, SocketAddr, OwnedFd) {
    let bound = |address: SocketAddr| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).map(|()| socket)
    };
    for _ in 0..100 {
        let first = bound(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = first.local_addr().unwrap().as_socket().unwrap();
        let Ok(server) = bound(SocketAddr::new(SERVERS.into(), address.port())) else {
            continue;
        };
        server.listen(64).unwrap();
        let mut fds = vec![first];
        while fds.len() < workers {
            fds.push(bound(address).unwrap());
        }
        for fd in &fds {
            fd.listen(64).unwrap();
        }
        return (
            fds.into_iter().map(OwnedFd::from).collect(),
            address,
            server.into(),
        );
    }
    panic!("no port is free on both addresses");
}
