//! A small configuration that runs: log lines arrive on a UDP socket, commands go in through
//! admin sockets, servers are listeners of the test.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use haproxy_cfg::model::{
    Balance, Bind, BindAddr, Check, CheckKind, Config, ConnectionLog, Facility, Global, KeepAlive,
    LogDest, LogFormat, LogLevel, LogTarget, Mode, Options, Place, Proxy, ProxyKind, ProxyLog,
    Rules, Server, ServerAddr, ServerPort, SeverityOutput, StatsLevel, StatsSocket, Timeouts,
    UnixRights, V6Only,
};

use super::super::{Bound, BoundListener, BoundStats, Console, Daemon, Identity, LogTargets};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration under construction, and the sockets that belong to it.
pub(super) struct Plan {
    pub(super) config: Config,
    listeners: Vec<BoundListener>,
    log: UdpSocket,
}

/// A running daemon.
pub(super) struct Stage {
    pub(super) daemon: Daemon,
    log: UdpSocket,
    dir: tempfile::TempDir,
    /// Where frontends listen, in the order of their binds.
    pub(super) fronts: Vec<SocketAddr>,
}

pub(super) fn place() -> Place {
    Place {
        file: "test.cfg".into(),
        line: 1,
    }
}

pub(super) fn proxy(kind: ProxyKind, name: &str, id: u32) -> Proxy {
    let second = Some(Duration::from_secs(5));
    Proxy {
        kind,
        name: name.to_owned(),
        id,
        id_forced: false,
        place: place(),
        mode: Mode::Tcp,
        disabled: false,
        description: None,
        binds: Vec::new(),
        servers: Vec::new(),
        default_backend: None,
        acls: Vec::new(),
        rules: Rules::default(),
        balance: Balance::RoundRobin,
        timeouts: Timeouts {
            connect: second,
            client: second,
            server: second,
            ..Timeouts::default()
        },
        retries: 3,
        redispatch: None,
        maxconn: None,
        backlog: None,
        fullconn: None,
        rate_limit_sessions: 0,
        log: ProxyLog {
            format: ConnectionLog::TcpLog,
            ..ProxyLog::default()
        },
        options: Options::default(),
        check_kind: CheckKind::Connect,
        keepalive_client: KeepAlive::default(),
        keepalive_server: KeepAlive::default(),
    }
}

pub(super) fn server(name: &str, id: u32, address: SocketAddr) -> Server {
    Server {
        name: name.to_owned(),
        id,
        id_forced: false,
        addr: ServerAddr::Inet {
            ip: address.ip(),
            port: ServerPort::Fixed(address.port()),
        },
        fqdn: None,
        weight: 1,
        backup: false,
        disabled: false,
        maxconn: 0,
        minconn: 0,
        maxqueue: 0,
        check: None,
        slowstart: None,
        shutdown_on_down: false,
        shutdown_backup_on_up: false,
        tcp_ut: None,
        place: place(),
    }
}

/// A check that repeats fast while anything changes. Its `inter` bounds how long a check may take
/// as well, and a busy machine must not fail it.
pub(super) fn quick_check() -> Check {
    Check {
        inter: Duration::from_secs(1),
        fastinter: Some(Duration::from_millis(50)),
        downinter: Some(Duration::from_millis(50)),
        rise: 2,
        fall: 3,
        addr: None,
        port: None,
    }
}

impl Plan {
    /// An empty configuration with three admin sockets: admin, operator, user.
    pub(super) fn new() -> Self {
        let levels = [StatsLevel::Admin, StatsLevel::Operator, StatsLevel::User];
        let sockets = levels.into_iter().map(|level| StatsSocket {
            addr: BindAddr::Unix(PathBuf::from(format!("/run/{level:?}.sock"))),
            rights: UnixRights::default(),
            level,
            expose_fd_listeners: false,
            severity_output: SeverityOutput::None,
            backlog: None,
            maxconn: None,
            name: None,
            id: 1,
            place: place(),
        });
        let global = Global {
            stats_sockets: sockets.collect(),
            stats_timeout: PATIENCE,
            node: Some(String::from("testnode")),
            ..Global::default()
        };
        Self {
            config: Config {
                global,
                proxies: Vec::new(),
            },
            listeners: Vec::new(),
            log: UdpSocket::bind("127.0.0.1:0").unwrap(),
        }
    }

    /// Adds a proxy that logs to the test, listening on `binds` loopback ports.
    pub(super) fn add(&mut self, mut proxy: Proxy, binds: u32) -> usize {
        let index = self.config.proxies.len();
        proxy.log.targets = vec![LogTarget {
            dest: LogDest::Udp(self.log.local_addr().unwrap()),
            format: LogFormat::Priority,
            max_len: 1024,
            facility: Facility(16),
            max_level: LogLevel::DEBUG,
            min_level: LogLevel::EMERG,
            sample: None,
            place: place(),
        }];
        for id in 1..=binds {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let local = listener.local_addr().unwrap();
            proxy.binds.push(bind(id, local));
            self.listeners.push(BoundListener {
                proxy: index,
                bind: proxy.binds.len() - 1,
                fds: vec![listener.into()],
                local: Some(local),
                backlog: 100,
            });
        }
        self.config.proxies.push(proxy);
        index
    }

    pub(super) fn start(self) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let stats = (0..3).map(|socket| {
            let listener = UnixListener::bind(dir.path().join(socket.to_string())).unwrap();
            BoundStats {
                socket,
                fd: listener.into(),
            }
        });
        let bound = Bound {
            stats: stats.collect(),
            listeners: self.listeners,
        };
        let fronts = bound.listeners.iter().filter_map(|bound| bound.local);
        let fronts = fronts.collect();
        let targets = LogTargets::open(&self.config);
        let rings = crate::control::rings(&self.config, &identity());
        let daemon =
            Daemon::start(Arc::new(self.config), bound, targets, identity(), rings).unwrap();
        Stage {
            daemon,
            log: self.log,
            dir,
            fronts,
        }
    }
}

fn bind(id: u32, addr: SocketAddr) -> Bind {
    Bind {
        addr: BindAddr::Inet {
            addr,
            v6only: V6Only::System,
        },
        name: None,
        id,
        maxconn: None,
        backlog: None,
        interface: None,
        transparent: false,
        defer_accept: false,
        tfo: false,
        mss: None,
        tcp_ut: None,
        rights: UnixRights::default(),
        nice: 0,
        text: addr.to_string(),
        place: place(),
    }
}

pub(super) fn identity() -> Identity {
    Identity {
        tag: b"haproxy".to_vec(),
        pid: std::process::id(),
        workers: 1,
        maxconn: 2000,
        ulimit_n: 4000,
        maxsock: 4000,
        hostname: String::from("host"),
        version: String::from("2.6.12"),
        release_date: String::from("2026/10/17"),
        console: Console::Quiet,
    }
}

impl Stage {
    /// A client of an admin socket.
    pub(super) fn connect(&self, socket: usize) -> UnixStream {
        UnixStream::connect(self.dir.path().join(socket.to_string())).unwrap()
    }

    /// Sends bytes to an admin socket (0 admin, 1 operator, 2 user) and reads until it closes.
    pub(super) fn raw(&self, socket: usize, bytes: &[u8]) -> String {
        let mut stream = self.connect(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// The answer to one command at level admin.
    pub(super) fn command(&self, command: &str) -> String {
        self.raw(0, format!("{command}\n").as_bytes())
    }

    /// The next log line, its final line feed taken off.
    pub(super) fn line(&self) -> String {
        self.log.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 2048];
        let length = self.log.recv(&mut buffer).expect("no log line came");
        let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
        line.strip_suffix('\n').expect("no line feed").to_owned()
    }

    /// The next log line with the check's duration, which differs each time, blanked.
    pub(super) fn check_line(&self) -> String {
        let line = self.line();
        let Some((head, tail)) = line.split_once("check duration: ") else {
            return line;
        };
        let rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        format!("{head}check duration: N{rest}")
    }

    /// Asks until the answer holds `part`.
    pub(super) fn wait_for(&self, command: &str, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.command(command);
            if answer.contains(part) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{part:?} never came: {answer}");
        }
    }

    /// The cells of one row of `show stat`, by column.
    pub(super) fn row(&self, filter: &str) -> Vec<(String, String)> {
        let csv = self.command(&format!("show stat {filter}"));
        let mut lines = csv.lines();
        let header = lines.next().unwrap().trim_start_matches("# ");
        let row = lines.next().unwrap();
        let cells = header.split(',').zip(row.split(','));
        cells
            .map(|(name, cell)| (name.to_owned(), cell.to_owned()))
            .collect()
    }
}

/// A listener that can go away and come back at the same address.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    listener: Option<TcpListener>,
}

impl Upstream {
    pub(super) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            listener: Some(listener),
        }
    }

    pub(super) fn stop(&mut self) {
        self.listener = None;
    }

    pub(super) fn restart(&mut self) {
        self.listener = Some(TcpListener::bind(self.address).unwrap());
    }

    /// Takes one connection, and sends it back what it sends until it ends.
    pub(super) fn echo_once(&self) -> std::thread::JoinHandle<()> {
        let listener = self.listener.as_ref().unwrap().try_clone().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut copy = stream.try_clone().unwrap();
            // A reset ends it just as well.
            let _ = std::io::copy(&mut copy, &mut stream);
        })
    }
}

/// Connects, sends `data`, reads as much back, and leaves.
pub(super) fn talk(address: SocketAddr, data: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(data).unwrap();
    let mut back = vec![0; data.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, data);
}

/// Waits until the daemon says that it has finished.
pub(super) fn wait_finished(daemon: &Daemon) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let finished = async { tokio::time::timeout(PATIENCE, daemon.finished()).await };
    runtime.block_on(finished).expect("never finished");
}
