//! What a configuration says, fully resolved: no field here still has to be read.
//!
//! Defaults of the original are filled in wherever a value always exists (retries, weights,
//! check intervals); `Option` means "not set", with the meaning of that in the field's comment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

mod expr;
mod rules;
mod server;

pub(crate) use expr::Stage;
pub use expr::{
    Acl, Arg, Call, Condition, Expr, Format, Map, Mask, Method, Part, Pattern, Scope, Term, Test,
    ValueKind, Variable,
};
pub use rules::{
    Action, Counter, Number, Only, Persist, Rule, Rules, Target, UseBackend, UseServer,
};
pub use server::{Check, Server, ServerAddr, ServerPort};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Process-wide settings.
    pub global: Global,
    /// All frontends, backends and listens in the order of their declaration.
    pub proxies: Vec<Proxy>,
}

impl Config {
    /// The index in [`Config::proxies`] of the proxy of that name that can take traffic from a
    /// frontend (a backend or a listen).
    #[must_use]
    pub fn backend_index(&self, name: &str) -> Option<usize> {
        self.proxies
            .iter()
            .position(|proxy| proxy.kind.has_backend() && proxy.name == name)
    }

    /// Whether anything listens: a proxy that is not disabled, or a stats socket.
    #[must_use]
    pub fn has_listener(&self) -> bool {
        !self.global.stats_sockets.is_empty()
            || self
                .proxies
                .iter()
                .any(|proxy| !proxy.disabled && !proxy.binds.is_empty())
    }

    /// The proxies that accept connections.
    pub fn frontends(&self) -> impl Iterator<Item = (usize, &Proxy)> {
        self.proxies
            .iter()
            .enumerate()
            .filter(|(_, proxy)| proxy.kind.has_frontend())
    }

    /// The proxies that have servers.
    pub fn backends(&self) -> impl Iterator<Item = (usize, &Proxy)> {
        self.proxies
            .iter()
            .enumerate()
            .filter(|(_, proxy)| proxy.kind.has_backend())
    }
}

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as it was named on the command line.
    pub file: Arc<str>,
    /// Line number, from 1.
    pub line: u32,
}

/// A user or group together with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name as written; the number in decimal if `uid`/`gid` was used.
    pub name: String,
    /// The numeric id.
    pub id: u32,
}

/// The `global` sections taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// `chroot`: the jail that is entered after binding.
    pub chroot: Option<PathBuf>,
    /// `user` or `uid`; `None` keeps the starting user.
    pub user: Option<Identity>,
    /// `group` or `gid`; `None` keeps the starting group.
    pub group: Option<Identity>,
    /// `daemon`: detach after start.
    pub daemon: bool,
    /// `master-worker`: a master process supervises the worker.
    pub master_worker: bool,
    /// `master-worker no-exit-on-failure`: the master outlives a crashed worker.
    pub no_exit_on_failure: bool,
    /// `pidfile`; `-p` on the command line comes first.
    pub pidfile: Option<PathBuf>,
    /// `maxconn`, the limit of concurrent connections of the process; `None` is computed from the
    /// file descriptor limit.
    pub maxconn: Option<u32>,
    /// `maxconnrate`: accepted connections per second; 0 is unlimited.
    pub maxconnrate: u32,
    /// `maxsessrate`: sessions per second; 0 is unlimited.
    pub maxsessrate: u32,
    /// `maxpipes`; `None` is computed. 0 stands for a negative number, with which there are none.
    pub maxpipes: Option<u32>,
    /// `nbthread`; `None` is one per usable CPU.
    pub nbthread: Option<u32>,
    /// `cpu-map`
    pub cpu_map: CpuMap,
    /// `log` lines in order.
    pub log: Vec<LogTarget>,
    /// `log-tag`; `None` is the program's own name.
    pub log_tag: Option<Vec<u8>>,
    /// `log-send-hostname`: the host name to write, already looked up if none was given.
    pub log_send_hostname: Option<String>,
    /// `stats socket` lines in order.
    pub stats_sockets: Vec<StatsSocket>,
    /// `stats timeout`: idle time after which a client of a stats socket is dropped.
    pub stats_timeout: Duration,
    /// `stats maxconn`: concurrent clients of each stats socket.
    pub stats_maxconn: u32,
    /// `hard-stop-after`: the longest a soft stop may last.
    pub hard_stop_after: Option<Duration>,
    /// `grace`: how long listeners stay open after the soft stop signal.
    pub grace: Option<Duration>,
    /// `close-spread-time`: the window over which idle connections are closed at soft stop.
    pub close_spread_time: Option<Duration>,
    /// `node`: the name shown by `show info`; the host name if `None`.
    pub node: Option<String>,
    /// `description`, shown by `show info`.
    pub description: Option<String>,
    /// `localpeer`; `-L` comes first; the host name if `None`.
    pub localpeer: Option<String>,
    /// `ulimit-n`: file descriptor limit to set; `None` is computed.
    pub ulimit_n: Option<u32>,
    /// `fd-hard-limit`: ceiling for the computed limit.
    pub fd_hard_limit: Option<u32>,
    /// `strict-limits` (on unless `no strict-limits`): a limit that cannot be set is fatal.
    pub strict_limits: bool,
    /// `spread-checks` in percent, 0..=50.
    pub spread_checks: u8,
    /// `max-spread-checks`: the longest window over which first checks are laid out.
    pub max_spread_checks: Option<Duration>,
    /// `quiet`: no messages at start.
    pub quiet: bool,
    /// `nosplice`: never use splice(2).
    pub nosplice: bool,
    /// `noreuseport`: do not set SO_REUSEPORT.
    pub noreuseport: bool,
    /// `zero-warning`: any warning is fatal.
    pub zero_warning: bool,
    /// `busy-polling`.
    pub busy_polling: bool,
    /// `insecure-setuid-wanted`: do not set `PR_SET_NO_NEW_PRIVS`.
    pub insecure_setuid_wanted: bool,
    /// `insecure-fork-wanted`: do not forbid new processes.
    pub insecure_fork_wanted: bool,
    /// `set-dumpable`: keep core dumps possible after the change of user.
    pub set_dumpable: bool,
    /// `server-state-base`.
    pub server_state_base: Option<PathBuf>,
    /// `server-state-file`.
    pub server_state_file: Option<PathBuf>,
    /// `unix-bind`: prefix and rights of UNIX listeners (the prefix is already in their paths).
    pub unix_bind: UnixRights,
    /// `tune.*` keywords that act here.
    pub tune: Tune,
    /// What `setenv`, `presetenv`, `unsetenv` and `resetenv` left behind, in order of first
    /// change: `Some` sets the variable, `None` removes it.
    pub env: Vec<(OsString, Option<OsString>)>,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            chroot: None,
            user: None,
            group: None,
            daemon: false,
            master_worker: false,
            no_exit_on_failure: false,
            pidfile: None,
            maxconn: None,
            maxconnrate: 0,
            maxsessrate: 0,
            maxpipes: None,
            nbthread: None,
            cpu_map: CpuMap::default(),
            log: Vec::new(),
            log_tag: None,
            log_send_hostname: None,
            stats_sockets: Vec::new(),
            stats_timeout: Duration::from_secs(10),
            stats_maxconn: 10,
            hard_stop_after: None,
            grace: None,
            close_spread_time: None,
            node: None,
            description: None,
            localpeer: None,
            ulimit_n: None,
            fd_hard_limit: None,
            strict_limits: true,
            spread_checks: 0,
            max_spread_checks: None,
            quiet: false,
            nosplice: false,
            noreuseport: false,
            zero_warning: false,
            busy_polling: false,
            insecure_setuid_wanted: false,
            insecure_fork_wanted: false,
            set_dumpable: false,
            server_state_base: None,
            server_state_file: None,
            unix_bind: UnixRights::default(),
            tune: Tune::default(),
            env: Vec::new(),
        }
    }
}

/// The CPUs of the threads, all numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuMap {
    /// CPUs of all threads together; empty without a limit.
    pub group: Vec<usize>,
    /// CPUs of single threads.
    pub threads: BTreeMap<usize, Vec<usize>>,
}

impl CpuMap {
    /// The CPUs that thread `thread` shall run on: its own as far as they are the group's. `None`
    /// where nothing is written, or no CPU is left.
    #[must_use]
    pub fn of_thread(&self, thread: usize) -> Option<Vec<usize>> {
        let group = &self.group;
        let cpus = match self.threads.get(&thread) {
            None => group.clone(),
            Some(own) if group.is_empty() => own.clone(),
            Some(own) => own
                .iter()
                .copied()
                .filter(|cpu| group.contains(cpu))
                .collect(),
        };
        (!cpus.is_empty()).then_some(cpus)
    }
}

/// The `tune.*` keywords that act on a TCP relay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tune {
    /// `tune.bufsize` in bytes, a multiple of 16; `None` is not written.
    pub bufsize: Option<u32>,
    /// `tune.pipesize` in bytes; `None` is not written.
    pub pipesize: Option<u32>,
    /// `tune.maxaccept`: connections accepted in one turn; -1 is unlimited, `None` is computed.
    pub maxaccept: Option<i32>,
    /// `tune.io-uring on`: a keyword of ours.
    pub io_uring: bool,
    /// `tune.maxpollevents`; `None` is computed.
    pub maxpollevents: Option<u32>,
    /// `tune.rcvbuf.client` in bytes.
    pub rcvbuf_client: Option<u32>,
    /// `tune.rcvbuf.server` in bytes.
    pub rcvbuf_server: Option<u32>,
    /// `tune.sndbuf.client` in bytes.
    pub sndbuf_client: Option<u32>,
    /// `tune.sndbuf.server` in bytes.
    pub sndbuf_server: Option<u32>,
}

/// One `log` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// Where lines go.
    pub dest: LogDest,
    /// How a line is dressed.
    pub format: LogFormat,
    /// `len`: longest line in bytes.
    pub max_len: u32,
    /// The syslog facility.
    pub facility: Facility,
    /// Less important lines are not sent.
    pub max_level: LogLevel,
    /// More important lines are sent as this level.
    pub min_level: LogLevel,
    /// `sample`: only some lines are sent.
    pub sample: Option<LogSample>,
    /// The line that defined it.
    pub place: Place,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogDest {
    /// A datagram UNIX socket.
    Unix(PathBuf),
    /// A syslog server over UDP.
    Udp(SocketAddr),
    /// An inherited descriptor; `stdout` is 1, `stderr` is 2.
    Fd(i32),
}

/// The header before a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// No `format` given: as [`Self::Local`], or as [`Self::Rfc3164`] under `log-send-hostname`.
    #[default]
    Auto,
    /// `<PRI>Mon dd hh:mm:ss tag[pid]: `, never with the host name.
    Local,
    /// The same, always with the host name.
    Rfc3164,
    /// RFC 5424 section 6.
    Rfc5424,
    /// `<PRI>` alone.
    Priority,
    /// `<level>` alone, as journald reads it.
    Short,
    /// `<level>` and an ISO 8601 date.
    Timed,
    /// An ISO 8601 date alone.
    Iso,
    /// Nothing.
    Raw,
}

/// `sample <ranges>:<size>` of a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSample {
    /// Which of each `size` lines are sent: low and high index, both from 1 and included.
    pub ranges: Vec<(u32, u32)>,
    /// After how many lines counting starts again.
    pub size: u32,
}

/// A syslog facility (RFC 5424 table 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(pub u8);

impl Facility {
    /// Names in the order of their codes.
    pub const NAMES: [&'static str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2",
        "ftp", "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4",
        "local5", "local6", "local7",
    ];

    /// The facility of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let index = Self::NAMES.iter().position(|known| *known == name)?;
        u8::try_from(index).ok().map(Self)
    }
}

/// A syslog level (RFC 5424 table 2); smaller is more important.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogLevel(pub u8);

impl LogLevel {
    /// Names in the order of their codes.
    pub const NAMES: [&'static str; 8] = [
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
    ];
    /// `emerg`, the most important.
    pub const EMERG: Self = Self(0);
    /// `debug`, the least important.
    pub const DEBUG: Self = Self(7);

    /// The level of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let index = Self::NAMES.iter().position(|known| *known == name)?;
        u8::try_from(index).ok().map(Self)
    }
}

/// One `stats socket` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsSocket {
    /// Where it listens.
    pub addr: BindAddr,
    /// `mode`, `user`, `group` of the socket file.
    pub rights: UnixRights,
    /// `level`.
    pub level: StatsLevel,
    /// `expose-fd listeners`: a client may fetch the listening sockets.
    pub expose_fd_listeners: bool,
    /// `severity-output`.
    pub severity_output: SeverityOutput,
    /// `backlog`.
    pub backlog: Option<u32>,
    /// `maxconn`.
    pub maxconn: Option<u32>,
    /// `name`.
    pub name: Option<String>,
    /// `id`, or the automatic number from 1.
    pub id: u32,
    /// The line that defined it.
    pub place: Place,
}

/// What a client of a stats socket may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum StatsLevel {
    /// Only harmless reading.
    User,
    /// All reading and clearing of counters.
    #[default]
    Operator,
    /// Everything.
    Admin,
}

/// `severity-output` of a stats socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeverityOutput {
    /// Nothing before messages.
    #[default]
    None,
    /// `[3]: `
    Number,
    /// `[err]: `
    String,
}

/// Ownership and mode of a UNIX socket file; `None` leaves what the kernel gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnixRights {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindAddr {
    /// TCP.
    Inet {
        /// Address and port.
        addr: SocketAddr,
        /// For IPv6: whether IPv4 clients are kept out.
        v6only: V6Only,
    },
    /// A stream UNIX socket.
    Unix(PathBuf),
    /// A UNIX socket of Linux' abstract namespace; the name without the leading zero byte.
    Abns(Vec<u8>),
    /// An inherited listening descriptor.
    Fd(i32),
}

/// Whether an IPv6 listener takes IPv4 clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum V6Only {
    /// Leave the kernel's default (`net.ipv6.bindv6only`).
    #[default]
    System,
    /// `v6only`: IPv6 alone.
    On,
    /// `v4v6`: both.
    Off,
}

/// One listening address; a `bind` line makes one per address and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Where it listens.
    pub addr: BindAddr,
    /// `name`.
    pub name: Option<String>,
    /// `id`, or the automatic number from 1 within the proxy.
    pub id: u32,
    /// `maxconn`; `None` is the frontend's.
    pub maxconn: Option<u32>,
    /// `backlog`; `None` is the frontend's.
    pub backlog: Option<u32>,
    /// `interface`.
    pub interface: Option<String>,
    /// `transparent`: the address need not be local.
    pub transparent: bool,
    /// `defer-accept`.
    pub defer_accept: bool,
    /// `tfo`: TCP fast open.
    pub tfo: bool,
    /// `mss`: the maximum segment size; negative means "less than the interface's by".
    pub mss: Option<i32>,
    /// `tcp-ut`: TCP_USER_TIMEOUT.
    pub tcp_ut: Option<Duration>,
    /// `mode`, `user`, `group` of a UNIX socket file.
    pub rights: UnixRights,
    /// `nice`, -1024..=1024.
    pub nice: i32,
    /// The text of the address as written, for messages.
    pub text: String,
    /// The line that defined it.
    pub place: Place,
}

/// What a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// `frontend`
    Frontend,
    /// `backend`
    Backend,
    /// `listen`: both in one.
    Listen,
}

impl ProxyKind {
    /// Whether it accepts connections.
    #[must_use]
    pub const fn has_frontend(self) -> bool {
        matches!(self, Self::Frontend | Self::Listen)
    }

    /// Whether it has servers.
    #[must_use]
    pub const fn has_backend(self) -> bool {
        matches!(self, Self::Backend | Self::Listen)
    }

    /// The word that messages use: `frontend`, `backend`, `proxy`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Listen => "proxy",
        }
    }
}

/// `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Bytes are relayed as they are.
    #[default]
    Tcp,
    /// HTTP; exists only where no connection can reach it, since it is refused otherwise.
    Http,
}

/// One `frontend`, `backend` or `listen` section with all that it inherited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// What it is.
    pub kind: ProxyKind,
    /// Its name.
    pub name: String,
    /// `id`, or the automatic number (the first proxy has 2).
    pub id: u32,
    /// Whether `id` was written.
    pub id_forced: bool,
    /// The section's first line.
    pub place: Place,
    /// `mode`.
    pub mode: Mode,
    /// `disabled`: neither listens nor checks.
    pub disabled: bool,
    /// `description`.
    pub description: Option<String>,
    /// Listening addresses in order.
    pub binds: Vec<Bind>,
    /// Servers in order.
    pub servers: Vec<Server>,
    /// `default_backend` as an index into [`Config::proxies`]; a listen without one uses itself
    /// (`None`).
    pub default_backend: Option<usize>,
    /// ACLs of its rules.
    pub acls: Vec<Acl>,
    /// What becomes of its connections.
    pub rules: Rules,
    /// `balance`.
    pub balance: Balance,
    /// `timeout` lines.
    pub timeouts: Timeouts,
    /// `retries`: attempts after the first.
    pub retries: u32,
    /// `option redispatch [interval]`: `None` is off; 0 is never either; n > 0 redispatches on
    /// every n-th retry, n < 0 on the n-th from the last (-1, the default of the option, is the
    /// last retry).
    pub redispatch: Option<i32>,
    /// `maxconn` of a frontend; `None` is the process's.
    pub maxconn: Option<u32>,
    /// `backlog`; `None` is the frontend's maxconn.
    pub backlog: Option<u32>,
    /// `fullconn`; `None` is computed.
    pub fullconn: Option<u32>,
    /// `rate-limit sessions`: new sessions per second; 0 is unlimited.
    pub rate_limit_sessions: u32,
    /// `log`, `option tcplog` and their kin.
    pub log: ProxyLog,
    /// Boolean options.
    pub options: Options,
    /// What a server check does beyond the TCP connect.
    pub check_kind: CheckKind,
    /// TCP keep-alive settings of client connections.
    pub keepalive_client: KeepAlive,
    /// TCP keep-alive settings of server connections.
    pub keepalive_server: KeepAlive,
}

/// Timeouts; `None` is no limit, as in the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// `timeout connect`
    pub connect: Option<Duration>,
    /// `timeout client`
    pub client: Option<Duration>,
    /// `timeout server`
    pub server: Option<Duration>,
    /// `timeout check`
    pub check: Option<Duration>,
    /// `timeout queue`
    pub queue: Option<Duration>,
    /// `timeout tunnel`
    pub tunnel: Option<Duration>,
    /// `timeout client-fin`
    pub client_fin: Option<Duration>,
    /// `timeout server-fin`
    pub server_fin: Option<Duration>,
}

/// Which server takes the next connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// `roundrobin`: smooth weighted round robin.
    #[default]
    RoundRobin,
    /// `static-rr`: round robin over a fixed map.
    StaticRr,
    /// `leastconn`: fewest connections per weight.
    LeastConn,
    /// `first`: the first by id with room under its maxconn.
    First,
    /// `source`: by the client's address.
    Source,
}

/// What a proxy logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyLog {
    /// Where lines go (`log global` already replaced by the global targets).
    pub targets: Vec<LogTarget>,
    /// What a connection's line says.
    pub format: ConnectionLog,
    /// `option dontlognull`
    pub dontlognull: bool,
    /// `option dontlog-normal`
    pub dontlog_normal: bool,
    /// `option logasap`
    pub logasap: bool,
    /// `option log-separate-errors`
    pub log_separate_errors: bool,
    /// `option log-health-checks`
    pub log_health_checks: bool,
    /// `log-tag`; `None` is the global one.
    pub log_tag: Option<Vec<u8>>,
}

/// The line of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionLog {
    /// `Connect from ... to ... (name/TCP)` at its start.
    #[default]
    ConnectFrom,
    /// `option tcplog`, at its end.
    TcpLog,
}

/// Boolean options of a proxy that act in TCP mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// `option abortonclose`: a client that leaves cancels queue and connect.
    pub abortonclose: bool,
    /// `option allbackups`: use all backup servers, not only the first.
    pub allbackups: bool,
    /// `option clitcpka` or `tcpka`
    pub clitcpka: bool,
    /// `option srvtcpka` or `tcpka`
    pub srvtcpka: bool,
    /// `option contstats`
    pub contstats: bool,
    /// `option independent-streams`: a write does not renew the read timeout.
    pub independent_streams: bool,
    /// `option nolinger` (frontend side)
    pub nolinger_client: bool,
    /// `option nolinger` (backend side)
    pub nolinger_server: bool,
    /// `option persist`
    pub persist: bool,
    /// `option socket-stats`
    pub socket_stats: bool,
    /// `option splice-auto`; `None` is not written, `Some(false)` an explicit `no`.
    pub splice_auto: Option<bool>,
    /// `option splice-request`
    pub splice_request: bool,
    /// `option splice-response`
    pub splice_response: bool,
    /// `option tcp-smart-accept`; `None` is not written.
    pub tcp_smart_accept: Option<bool>,
    /// `option tcp-smart-connect`
    pub tcp_smart_connect: Option<bool>,
    /// `option transparent`: connect to the address the client asked for.
    pub transparent: bool,
}

/// `clitcpka-*` or `srvtcpka-*`; `None` leaves the kernel's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeepAlive {
    /// Probes before the connection is given up.
    pub count: Option<u32>,
    /// Idle time before the first probe.
    pub idle: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
}

/// What follows the TCP connect of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckKind {
    /// Nothing.
    #[default]
    Connect,
    /// `option ssl-hello-chk`: an SSLv3 hello, and any handshake or alert record as answer.
    SslHello,
}
