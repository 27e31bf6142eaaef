//! A running relay on loopback with servers the test plays itself.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its part of the rig"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a rig that cannot be set up fails its test"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use relay::{
    Algorithm, Backend, BackendState, Frontend, FrontendState, ListenSocket, Listener,
    ListenerState, OnMarkedDown, PoolSettings, Redispatch, Relay, RelaySettings, Rings, Server,
    ServerAddress, ServerSettings, ServerState, SessionRecord, SessionSink, Snapshot,
    SocketOptions,
};

/// Everything a test waits for comes within this time, or the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A session record without borrowed parts, and the fields of a `tcplog` line after the date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub server: String,
    pub queue: i64,
    pub connect: i64,
    pub total: i64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub state: String,
    pub counts: String,
    pub queues: String,
}

struct Sink {
    ended: Mutex<Sender<Ended>>,
    gate: Arc<Gate>,
}

/// Records pass here on their way, on the worker's own thread: closing it stops the worker at the
/// next one, while the kernel goes on.
#[derive(Default)]
pub struct Gate {
    closed: Mutex<()>,
    arrived: AtomicU32,
}

impl Gate {
    pub fn close(&self) -> MutexGuard<'_, ()> {
        self.closed.lock().unwrap()
    }

    /// Records that have come to the gate.
    pub fn arrived(&self) -> u32 {
        self.arrived.load(Ordering::SeqCst)
    }
}

impl SessionSink for Sink {
    fn ended(&self, record: &SessionRecord<'_>) {
        self.gate.arrived.fetch_add(1, Ordering::SeqCst);
        drop(self.gate.close());
        let time = |time: Option<u32>| time.map_or(-1, i64::from);
        let plus = if record.redispatched { "+" } else { "" };
        let ended = Ended {
            server: record
                .server
                .map_or("<NOSRV>".into(), |server| server.name.to_string()),
            queue: time(record.queue_time),
            connect: time(record.connect_time),
            total: i64::from(record.total_time),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            state: record.termination.to_string(),
            counts: format!(
                "{}/{}/{}/{}/{plus}{}",
                record.active,
                record.frontend_active,
                record.backend_active,
                record.server_active,
                record.retries
            ),
            queues: format!("{}/{}", record.server_queue, record.backend_queue),
        };
        // The test may be over.
        let _gone = self.ended.lock().unwrap().send(ended);
    }
}

/// What a test may change before the relay starts.
pub struct Setup {
    pub relay: RelaySettings,
    pub frontend: Frontend,
    pub listener: Listener,
    pub backend: Backend,
    pub pool: PoolSettings,
    pub on_marked_down: OnMarkedDown,
    /// Rings made before; otherwise the relay makes them.
    pub rings: Option<Rings>,
}

impl Setup {
    pub fn new(servers: usize) -> Self {
        let second = Some(Duration::from_secs(10));
        let pool = PoolSettings {
            algorithm: Algorithm::RoundRobin,
            all_backups: false,
            redispatch: false,
            fullconn: 0,
            servers: (1..)
                .take(servers)
                .map(|id| ServerSettings {
                    id,
                    ..Default::default()
                })
                .collect(),
        };
        Self {
            relay: RelaySettings {
                io_uring: std::env::var_os("RELAY_IO_URING").is_some(),
                ..RelaySettings::default()
            },
            frontend: Frontend {
                name: "l".into(),
                id: 2,
                listeners: Vec::new(),
                backend: Some(0),
                maxconn: 0,
                rate_limit: 0,
                timeout_client: second,
                timeout_client_fin: None,
                socket: SocketOptions::default(),
                log_asap: false,
                state: Arc::new(FrontendState::new(1)),
            },
            listener: bind_line(1, 1),
            backend: Backend {
                name: "l".into(),
                id: 2,
                servers: Vec::new(),
                timeout_connect: second,
                timeout_server: second,
                timeout_queue: None,
                timeout_tunnel: None,
                timeout_server_fin: None,
                retries: 3,
                redispatch: Redispatch::Off,
                abort_on_close: false,
                socket: SocketOptions::default(),
                state: Arc::new(BackendState::new(&pool, 1)),
            },
            pool,
            on_marked_down: OnMarkedDown::Keep,
            rings: None,
        }
    }

    /// Connections begin in a ring.
    pub fn in_ring(self) -> Self {
        self.with(|setup| setup.relay.io_uring = true)
    }

    /// Each driver's.
    pub fn of_each_driver(servers: usize) -> [Self; 2] {
        [Self::new(servers), Self::new(servers).in_ring()]
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn start(self) -> Rig {
        let servers =
            (0..self.pool.servers.len()).map(|_| Some(TcpListener::bind("127.0.0.1:0").unwrap()));
        let servers: Vec<Option<TcpListener>> = servers.collect();
        let addresses = servers
            .iter()
            .map(|server| ServerAddress::Inet(server.as_ref().unwrap().local_addr().unwrap()));
        let addresses = addresses.collect();
        self.start_at(servers, addresses)
    }

    pub fn start_at(
        mut self,
        servers: Vec<Option<TcpListener>>,
        addresses: Vec<ServerAddress>,
    ) -> Rig {
        let workers = self.relay.workers;
        for (address, (letter, id)) in addresses.into_iter().zip(('a'..='z').zip(1..)) {
            let mut server = server(letter, id, address, workers);
            server.on_marked_down = self.on_marked_down;
            self.backend.servers.push(Arc::new(server));
        }
        self.backend.state = Arc::new(BackendState::new(&self.pool, workers));
        self.frontend.state = Arc::new(FrontendState::new(workers));
        self.listener.state = Arc::new(ListenerState::new(workers));
        self.frontend.listeners.push(Arc::new(self.listener));
        let (socket, address) = listener();
        let snapshot = Arc::new(Snapshot {
            frontends: vec![Arc::new(self.frontend)],
            backends: vec![Arc::new(self.backend)],
        });
        let (sender, ended) = channel();
        let gate = Arc::new(Gate::default());
        let sink = Arc::new(Sink {
            ended: Mutex::new(sender),
            gate: Arc::clone(&gate),
        });
        let sockets = vec![ListenSocket {
            frontend: 0,
            listener: 0,
            fds: vec![socket.into()],
        }];
        let rings = self.rings.unwrap_or_else(|| Rings::prepare(&self.relay));
        let relay = Relay::start_with(&self.relay, Arc::clone(&snapshot), sockets, sink, rings);
        let relay = relay.unwrap();
        say_refusal(&relay);
        Rig {
            relay,
            snapshot,
            servers,
            address,
            ended,
            gate,
        }
    }
}

/// Where the system grants no ring, the relay is tested with epoll alone: the reader should know.
pub fn say_refusal(relay: &Relay) {
    if let Some(reason) = relay.ring_refusal() {
        eprintln!("NO IO_URING HERE, epoll is tested instead: {reason}");
    }
}

/// Where a listener is whose backlog is full, so that it answers no handshake, as long as the
/// sockets live.
pub fn mute() -> (ServerAddress, Vec<socket2::Socket>) {
    let socket =
        || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = socket();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut sockets = vec![listener];
    for _ in 0..3 {
        let filler = socket();
        filler.set_nonblocking(true).unwrap();
        let _pending = filler.connect(&address.into());
        sockets.push(filler);
    }
    (ServerAddress::Inet(address), sockets)
}

/// A bind line without limits.
pub fn bind_line(id: u32, workers: usize) -> Listener {
    Listener {
        name: format!("sock-{id}").into(),
        id,
        maxconn: 0,
        backlog: 128,
        state: Arc::new(ListenerState::new(workers)),
    }
}

/// A server without options.
pub fn server(letter: char, id: u32, address: ServerAddress, workers: usize) -> Server {
    Server {
        name: letter.to_string().into(),
        id,
        address,
        source: None,
        on_marked_down: OnMarkedDown::Keep,
        state: Arc::new(ServerState::new(workers)),
    }
}

/// A listener on a free port that was asked for by its number: the kernel forgets a port of its own
/// choice when listening pauses.
fn listener() -> (TcpListener, SocketAddr) {
    let bound = |address: SocketAddr| {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();
        socket
    };
    let chosen = bound("127.0.0.1:0".parse().unwrap());
    let address = chosen.local_addr().unwrap().as_socket().unwrap();
    let socket = bound(address);
    socket.listen(128).unwrap();
    (socket.into(), address)
}

pub struct Rig {
    pub relay: Relay,
    pub snapshot: Arc<Snapshot>,
    pub servers: Vec<Option<TcpListener>>,
    pub address: SocketAddr,
    pub ended: Receiver<Ended>,
    pub gate: Arc<Gate>,
}

impl Rig {
    pub fn connect(&self) -> TcpStream {
        patient(TcpStream::connect(self.address).unwrap())
    }

    pub fn accept(&self, server: usize) -> TcpStream {
        let listener = self.servers[server].as_ref().unwrap();
        patient(listener.accept().unwrap().0)
    }

    /// A client and its server, connected through the relay.
    pub fn pair(&self) -> (TcpStream, TcpStream) {
        let client = self.connect();
        (client, self.accept(0))
    }

    pub fn ended(&self) -> Ended {
        self.ended
            .recv_timeout(PATIENCE)
            .expect("a session record in time")
    }

    pub fn backend(&self) -> &Backend {
        &self.snapshot.backends[0]
    }

    pub fn frontend(&self) -> &Frontend {
        &self.snapshot.frontends[0]
    }
}

pub fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// How a stream ended for its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Fin,
    Reset,
}

/// Reads to the end: the bytes, and how it ended.
pub fn drain(stream: &mut TcpStream) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 65536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (bytes, End::Fin),
            Ok(got) => bytes.extend_from_slice(&buffer[..got]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return (bytes, End::Reset),
            Err(error) => panic!("after {} bytes: {error}", bytes.len()),
        }
    }
}

/// Sends `text` and checks that it arrives at the other end.
pub fn pass(from: &mut TcpStream, to: &mut TcpStream, text: &str) {
    from.write_all(text.as_bytes()).unwrap();
    let mut got = vec![0; text.len()];
    to.read_exact(&mut got).unwrap();
    assert_eq!(got, text.as_bytes());
}

/// Closes with a reset.
pub fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Waits until `condition` holds.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub const fn ms(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}
