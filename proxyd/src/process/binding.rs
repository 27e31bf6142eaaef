//! Binding every address of a configuration.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use haproxy_cfg::model::{Bind, BindAddr, Config, Place, Proxy, StatsSocket, V6Only};
use osys::error_text;
use socket2::{Domain, Protocol, SockAddr, Socket as Socket2, Type};

use super::sockets::{Inherited, Key, Listening, Owner, Socket, Sockets};
use super::unix_socket;

/// How sockets are bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Worker threads, each of which gets a socket of its own where possible.
    pub(crate) workers: usize,
    /// The connection limit of the process: the default backlog.
    pub(crate) maxconn: u32,
    /// Whether several sockets may share an address (no `-dR`, no
    /// `noreuseport`).
    pub(crate) reuseport: bool,
}

/// What could not be done as wanted; the text is the original's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// It listens, though not as configured.
    Warning(String),
    /// It does not listen.
    Alert(String),
}

/// One address to listen on.
#[derive(Clone, Copy, Debug)]
enum Wanted<'a> {
    Proxy {
        index: usize,
        proxy: &'a Proxy,
        number: usize,
        bind: &'a Bind,
    },
    Stats {
        index: usize,
        socket: &'a StatsSocket,
        clients: u32,
    },
}

/// The step in which an address met a problem.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Up to `bind(2)`.
    Binding,
    /// Up to `listen(2)`.
    Starting,
}

/// Families in the order in which the original binds them.
const FAMILIES: [Family; 3] = [Family::Inet6, Family::Inet4, Family::Unix];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Inet6,
    Inet4,
    Unix,
}

/// How many addresses clients can come in by, admin sockets not counted.
pub(crate) fn listener_count(config: &Config) -> usize {
    enabled(config).map(|(_, proxy)| proxy.binds.len()).sum()
}

/// Binds what is not in `sockets` yet. Call it again after complaints to try
/// only what failed.
pub(crate) fn bind_all(
    config: &Config,
    options: Options,
    inherited: &mut Inherited,
    sockets: &mut Sockets,
) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let wanted = all_wanted(config);
    for family in FAMILIES {
        for one in wanted.iter().filter(|one| one.family() == family) {
            if sockets.list.iter().any(|done| done.owner == one.owner()) {
                continue;
            }
            match listen(*one, options, inherited, &mut complaints) {
                Ok(listening) => sockets.list.push(listening),
                Err(problem) => complaints.push(Complaint::Alert(problem)),
            }
        }
    }
    complaints
}

fn enabled(config: &Config) -> impl Iterator<Item = (usize, &Proxy)> {
    config.frontends().filter(|(_, proxy)| !proxy.disabled)
}

fn all_wanted(config: &Config) -> Vec<Wanted<'_>> {
    let stats = config
        .global
        .stats_sockets
        .iter()
        .enumerate()
        .map(|(index, socket)| Wanted::Stats {
            index,
            socket,
            clients: config.global.stats_maxconn,
        });
    let proxies = enabled(config).flat_map(|(index, proxy)| {
        proxy
            .binds
            .iter()
            .enumerate()
            .map(move |(number, bind)| Wanted::Proxy {
                index,
                proxy,
                number,
                bind,
            })
    });
    stats.chain(proxies).collect()
}

impl<'a> Wanted<'a> {
    fn address(&self) -> &'a BindAddr {
        match self {
            Self::Proxy { bind, .. } => &bind.addr,
            Self::Stats { socket, .. } => &socket.addr,
        }
    }

    fn family(&self) -> Family {
        match self.address() {
            BindAddr::Inet {
                addr: SocketAddr::V6(_),
                ..
            } => Family::Inet6,
            BindAddr::Inet { .. } => Family::Inet4,
            BindAddr::Unix(_) | BindAddr::Abns(_) | BindAddr::Fd(_) => Family::Unix,
        }
    }

    fn owner(&self) -> Owner {
        match self {
            Self::Proxy { index, number, .. } => Owner::Proxy {
                proxy: *index,
                bind: *number,
            },
            Self::Stats { index, .. } => Owner::Stats(*index),
        }
    }

    fn key(&self) -> Key {
        match self {
            Self::Proxy { bind, .. } => Key::of_bind(bind),
            Self::Stats { socket, .. } => Key::of_stats(socket),
        }
    }

    fn place(&self) -> &'a Place {
        match self {
            Self::Proxy { bind, .. } => &bind.place,
            Self::Stats { socket, .. } => &socket.place,
        }
    }

    /// A whole message about a problem of this address.
    fn complain(&self, step: Step, problem: &str) -> String {
        let step = match step {
            Step::Binding => "Binding",
            Step::Starting => "Starting",
        };
        let place = self.place();
        let whose = match self {
            Self::Proxy { proxy, .. } => format!("{} {}", proxy.kind.word(), proxy.name),
            Self::Stats { .. } => "frontend GLOBAL".to_owned(),
        };
        format!(
            "{step} [{}:{}] for {whose}: {problem}",
            place.file, place.line
        )
    }

    /// `backlog`, else the connection limit that applies here.
    fn backlog(&self, options: Options) -> u32 {
        match self {
            Self::Proxy { proxy, bind, .. } => bind
                .backlog
                .or(proxy.backlog)
                .or(bind.maxconn)
                .or(proxy.maxconn)
                .filter(|count| *count > 0)
                .unwrap_or(options.maxconn),
            Self::Stats {
                socket, clients, ..
            } => socket
                .backlog
                .or(socket.maxconn)
                .filter(|count| *count > 0)
                .unwrap_or(*clients),
        }
    }

    /// Sockets to open for it: workers share what cannot be bound twice, and
    /// the admin sockets have one reader.
    fn count(&self, options: Options) -> usize {
        match (self, self.address()) {
            (Self::Proxy { .. }, BindAddr::Inet { .. }) if options.reuseport => {
                options.workers.max(1)
            }
            _ => 1,
        }
    }
}

fn listen(
    wanted: Wanted<'_>,
    options: Options,
    inherited: &mut Inherited,
    complaints: &mut Vec<Complaint>,
) -> Result<Listening, String> {
    let key = wanted.key();
    let backlog = wanted.backlog(options);
    let binding = |problem: String| wanted.complain(Step::Binding, &problem);
    let starting = |problem: String| wanted.complain(Step::Starting, &problem);
    let mut warnings = Vec::new();
    let mut listening = Listening {
        owner: wanted.owner(),
        key: key.clone(),
        sockets: Vec::new(),
        backlog,
    };
    for _ in 0..wanted.count(options) {
        let kept = match wanted.address() {
            // Renamed or removed by somebody: nobody would find ours.
            BindAddr::Unix(path) if !unix_socket::exists(path) => None,
            _ => inherited.take(&key),
        };
        let socket = match kept {
            Some(fd) => {
                if let (BindAddr::Unix(path), Wanted::Stats { socket, .. }) =
                    (wanted.address(), wanted)
                {
                    unix_socket::update_rights(path, &socket.rights).map_err(binding)?;
                }
                Socket {
                    fd,
                    inherited: true,
                }
            }
            None => Socket {
                fd: open(wanted, options, &mut warnings).map_err(binding)?,
                inherited: false,
            },
        };
        let mut warn = |problem| warnings.push(starting(problem));
        start_listening(&socket.fd, wanted, backlog, &mut warn).map_err(starting)?;
        listening.sockets.push(socket);
    }
    // Each worker's socket has met the same problems.
    warnings.dedup();
    complaints.extend(warnings.into_iter().map(Complaint::Warning));
    // There were more workers before. Clients may be waiting in the queues of
    // the other sockets, and closing one would reset them.
    while let Some(fd) = inherited.take(&key) {
        listening.sockets.push(Socket {
            fd,
            inherited: true,
        });
    }
    Ok(listening)
}

fn open(
    wanted: Wanted<'_>,
    options: Options,
    warnings: &mut Vec<String>,
) -> Result<OwnedFd, String> {
    match (wanted.address(), wanted) {
        (BindAddr::Inet { addr, v6only }, _) => {
            open_inet(*addr, *v6only, wanted, options, warnings)
        }
        (BindAddr::Unix(path), Wanted::Proxy { bind, .. }) => {
            unix_socket::bind_path(path, &bind.rights)
        }
        (BindAddr::Unix(path), Wanted::Stats { socket, .. }) => {
            unix_socket::bind_path(path, &socket.rights)
        }
        (BindAddr::Abns(name), _) => unix_socket::bind_abstract(name),
        (BindAddr::Fd(number), _) => take_over(*number),
    }
}

/// A socket that the parent process bound for us.
fn take_over(number: i32) -> Result<OwnedFd, String> {
    // A second line may name the same descriptor: it gets a copy.
    let fd = osys::fd::adopt(number)
        .or_else(|_| osys::fd::duplicate(number))
        .map_err(|error| {
            format!(
                "cannot use file descriptor '{number}' : {}.",
                error_text(&error)
            )
        })?;
    let nonblocking = rustix::fs::fcntl_getfl(&fd)
        .map(|flags| flags | rustix::fs::OFlags::NONBLOCK)
        .and_then(|flags| rustix::fs::fcntl_setfl(&fd, flags));
    nonblocking.map_err(|error| {
        format!(
            "cannot make socket non-blocking ({}) for [fd@{number}]",
            error_text(&error.into())
        )
    })?;
    Ok(fd)
}

fn open_inet(
    address: SocketAddr,
    v6only: V6Only,
    wanted: Wanted<'_>,
    options: Options,
    warnings: &mut Vec<String>,
) -> Result<OwnedFd, String> {
    let shown = shown(address);
    let explain =
        |what: &str, error: &io::Error| format!("{what} ({}) for [{shown}]", error_text(error));
    let socket = Socket2::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )
    .map_err(|error| explain("cannot create receiving socket", &error))?;
    // Whatever of these a kernel does not know, `bind` is what counts.
    let _ = socket.set_reuse_address(true);
    if options.reuseport {
        let _ = socket.set_reuse_port(true);
    }
    if address.is_ipv6() {
        let _ = socket.set_only_v6(v6only == V6Only::On);
    }
    if let Wanted::Proxy { bind, .. } = wanted {
        prepare(&socket, address, bind, &mut |what, error| {
            warnings.push(wanted.complain(Step::Binding, &explain(what, error)));
        });
    }
    socket
        .bind(&SockAddr::from(address))
        .map_err(|error| explain("cannot bind socket", &error))?;
    Ok(socket.into())
}

/// Options that must be set before `bind(2)`.
fn prepare(
    socket: &Socket2,
    address: SocketAddr,
    bind: &Bind,
    warn: &mut dyn FnMut(&str, &io::Error),
) {
    if bind.transparent {
        // IP_TRANSPARENT needs a privilege; IP_FREEBIND at least lets an
        // address be bound that the host does not have.
        let transparent = if address.is_ipv6() {
            socket
                .set_ip_transparent_v6(true)
                .or_else(|_| socket.set_freebind_v6(true))
        } else {
            socket
                .set_ip_transparent_v4(true)
                .or_else(|_| socket.set_freebind_v4(true))
        };
        if let Err(error) = transparent {
            warn("cannot make listening socket transparent", &error);
        }
    }
    if let Some(interface) = &bind.interface
        && let Err(error) = socket.bind_device(Some(interface.as_bytes()))
    {
        warn(
            &format!("cannot bind receiver to device '{interface}'"),
            &error,
        );
    }
}

fn start_listening(
    fd: &OwnedFd,
    wanted: Wanted<'_>,
    backlog: u32,
    warn: &mut dyn FnMut(String),
) -> Result<(), String> {
    if let (BindAddr::Inet { addr, .. }, Wanted::Proxy { bind, proxy, .. }) =
        (wanted.address(), wanted)
    {
        // `option tcp-smart-accept`: no acknowledgement of its own for a client's first bytes.
        let quick = proxy.options.tcp_smart_accept != Some(true);
        let _ = rustix::net::sockopt::set_tcp_quickack(fd, quick);
        tune(fd, bind, &mut |what| {
            warn(format!("{what} for [{}]", shown(*addr)));
        });
    }
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    rustix::net::listen(fd, backlog).map_err(|error| {
        let error = error_text(&error.into());
        match wanted.address() {
            BindAddr::Inet { addr, .. } => {
                format!("cannot listen to socket ({error}) for [{}]", shown(*addr))
            }
            BindAddr::Unix(path) => {
                format!(
                    "cannot listen to UNIX socket ({error}) [{}]",
                    path.display()
                )
            }
            BindAddr::Abns(_) => format!("cannot listen to UNIX socket ({error}) []"),
            BindAddr::Fd(number) => format!("cannot listen to socket ({error}) for [fd@{number}]"),
        }
    })
}

/// Options of a TCP listener that accepted connections inherit. One that
/// cannot be had is worth a warning, not the service.
fn tune(fd: &OwnedFd, bind: &Bind, warn: &mut dyn FnMut(String)) {
    let socket = socket2::SockRef::from(fd);
    // Off is the default; it matters for a socket that was inherited.
    let _ = socket.set_linger(None);
    if let Some(wanted) = bind.mss {
        let size = maximum_segment(&socket, wanted);
        if size.is_none_or(|size| socket.set_tcp_mss(size).is_err()) {
            warn(format!("cannot set MSS to {wanted}"));
        }
    }
    let timeout = socket.set_tcp_user_timeout(Some(bind.tcp_ut.unwrap_or(Duration::ZERO)));
    if bind.tcp_ut.is_some() && timeout.is_err() {
        warn("cannot set TCP User Timeout".to_owned());
    }
    let deferred = osys::sockopt::set_tcp_defer_accept(fd.as_fd(), i32::from(bind.defer_accept));
    if bind.defer_accept && deferred.is_err() {
        warn("cannot enable DEFER_ACCEPT".to_owned());
    }
    if bind.tfo {
        let queue = bind.backlog.and_then(|count| i32::try_from(count).ok());
        let queue = queue.unwrap_or(FASTOPEN_QUEUE);
        if osys::sockopt::set_tcp_fastopen(fd.as_fd(), queue).is_err() {
            warn("cannot enable TCP_FASTOPEN".to_owned());
        }
    }
}

/// `mss`: a negative value counts down from the system's default.
fn maximum_segment(socket: &socket2::SockRef<'_>, wanted: i32) -> Option<u32> {
    if wanted >= 0 {
        return u32::try_from(wanted).ok();
    }
    let default = i64::from(socket.tcp_mss().ok()?);
    u32::try_from(default + i64::from(wanted)).ok()
}

/// Connections with data in their SYN that may wait if no backlog is set.
const FASTOPEN_QUEUE: i32 = 1024;

/// Address and port as the original shows them: IPv6 without brackets.
fn shown(address: SocketAddr) -> String {
    format!("{}:{}", address.ip(), address.port())
}

#[cfg(test)]
mod tests;
