//! From the configuration to the data path's settings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use haproxy_cfg::model::{
    Balance, Bind, Config, KeepAlive, Options, Proxy, Server, ServerAddr, ServerPort, Target, Tune,
    UseBackend,
};
use relay::{
    Admin, Algorithm, Backend, BackendState, Frontend, FrontendState, Keepalive, ListenSocket,
    Listener, ListenerState, OnMarkedDown, Operational, PoolSettings, Redispatch, ServerAddress,
    ServerSettings, ServerState, Snapshot, SocketOptions, SpliceOptions,
};

use super::input::{BoundListener, Identity};

/// Where each proxy of the configuration is in the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// Index into [`Snapshot::frontends`], unless it has no frontend side or is disabled.
    pub(super) frontend: Option<usize>,
    /// Index into [`Snapshot::backends`], unless it has no backend side.
    pub(super) backend: Option<usize>,
}

/// The data path's view of a configuration.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) snapshot: Arc<Snapshot>,
    /// One entry per proxy of the configuration.
    pub(super) places: Vec<Place>,
    pub(super) sockets: Vec<ListenSocket>,
    pub(super) addresses: Addresses,
}

/// The addresses in use, by proxy and bind; only TCP sockets have one.
pub(super) type Addresses = BTreeMap<(usize, usize), SocketAddr>;

/// Builds everything with fresh figures.
///
/// # Errors
/// If a socket names a bind line that does not exist.
pub(super) fn build(
    config: &Config,
    identity: &Identity,
    listeners: Vec<BoundListener>,
) -> anyhow::Result<Built> {
    let places = places(config);
    let backlogs = Backlogs(&listeners);
    let mut snapshot = Snapshot::default();
    for (index, proxy) in config.proxies.iter().enumerate() {
        let place = places.get(index).copied().unwrap_or_default();
        if place.frontend.is_some() {
            let target = always(proxy).or(proxy.default_backend).or_else(|| {
                // A listen without `default_backend` serves its clients itself.
                place.backend.map(|_| index)
            });
            let target = target.and_then(|target| places.get(target)?.backend);
            let tune = &config.global.tune;
            let frontend = frontend(index, proxy, target, identity, &backlogs, tune);
            snapshot.frontends.push(Arc::new(frontend));
        }
        if place.backend.is_some() {
            let backend = backend(config, index, proxy, identity);
            snapshot.backends.push(Arc::new(backend));
        }
    }
    let addresses = listeners
        .iter()
        .filter_map(|bound| Some(((bound.proxy, bound.bind), bound.local?)))
        .collect();
    let sockets = listeners
        .into_iter()
        .map(|bound| socket(config, &places, bound))
        .collect::<anyhow::Result<_>>()?;
    Ok(Built {
        snapshot: Arc::new(snapshot),
        places,
        sockets,
        addresses,
    })
}

/// The backend of a `use_backend` without a condition that comes before all others.
fn always(proxy: &Proxy) -> Option<usize> {
    match proxy.rules.backends.first()? {
        UseBackend {
            target: Target::Fixed(index),
            condition: None,
            ..
        } => Some(*index),
        _ => None,
    }
}

fn places(config: &Config) -> Vec<Place> {
    let (mut frontends, mut backends) = (0.., 0..);
    config
        .proxies
        .iter()
        .map(|proxy| Place {
            frontend: (proxy.kind.has_frontend() && !proxy.disabled)
                .then(|| frontends.next())
                .flatten(),
            backend: proxy.kind.has_backend().then(|| backends.next()).flatten(),
        })
        .collect()
}

fn socket(config: &Config, places: &[Place], bound: BoundListener) -> anyhow::Result<ListenSocket> {
    let proxy = config
        .proxies
        .get(bound.proxy)
        .with_context(|| format!("a socket for proxy {}, which does not exist", bound.proxy))?;
    let frontend = places.get(bound.proxy).and_then(|place| place.frontend);
    let Some(frontend) = frontend else {
        bail!("a socket for '{}', which does not listen", proxy.name);
    };
    if bound.bind >= proxy.binds.len() {
        bail!(
            "a socket for bind {} of '{}', which does not exist",
            bound.bind,
            proxy.name
        );
    }
    Ok(ListenSocket {
        frontend,
        listener: bound.bind,
        fds: bound.fds,
    })
}

/// The backlogs in use, by proxy and bind.
struct Backlogs<'a>(&'a [BoundListener]);

impl Backlogs<'_> {
    fn of(&self, proxy: usize, bind: usize) -> Option<u32> {
        let same = |bound: &&BoundListener| bound.proxy == proxy && bound.bind == bind;
        self.0.iter().find(same).map(|bound| bound.backlog)
    }
}

fn frontend(
    index: usize,
    proxy: &Proxy,
    backend: Option<usize>,
    identity: &Identity,
    backlogs: &Backlogs<'_>,
    tune: &Tune,
) -> Frontend {
    let maxconn = frontend_maxconn(proxy, identity.maxconn);
    let listeners = proxy.binds.iter().enumerate().map(|(number, bind)| {
        Arc::new(Listener {
            name: listener_name(bind).into(),
            id: bind.id,
            maxconn: bind.maxconn.unwrap_or(0),
            backlog: backlogs.of(index, number).unwrap_or(maxconn),
            state: Arc::new(ListenerState::new(identity.workers)),
        })
    });
    Frontend {
        name: proxy.name.as_str().into(),
        id: proxy.id,
        listeners: listeners.collect(),
        backend,
        maxconn,
        rate_limit: proxy.rate_limit_sessions,
        timeout_client: proxy.timeouts.client,
        timeout_client_fin: proxy.timeouts.client_fin,
        socket: SocketOptions {
            keepalive: keepalive(proxy.options.clitcpka, &proxy.keepalive_client),
            nolinger: proxy.options.nolinger_client,
            splice: splice(&proxy.options),
            receive_buffer: tune.rcvbuf_client,
            send_buffer: tune.sndbuf_client,
            // Of the listening socket, where accepted ones inherit it from.
            smart_connect: false,
        },
        log_asap: proxy.log.logasap,
        state: Arc::new(FrontendState::new(identity.workers)),
    }
}

/// The name a listener goes by in the statistics.
pub(super) fn listener_name(bind: &Bind) -> String {
    bind.name
        .clone()
        .unwrap_or_else(|| format!("sock-{}", bind.id))
}

/// Sessions a frontend takes at the same time.
pub(super) fn frontend_maxconn(proxy: &Proxy, process: u32) -> u32 {
    proxy.maxconn.unwrap_or(process)
}

/// `fullconn`, or a tenth of what all frontends may send to this backend.
pub(super) fn fullconn(config: &Config, index: usize, process: u32) -> u32 {
    let Some(proxy) = config.proxies.get(index) else {
        return 1;
    };
    if let Some(fullconn) = proxy.fullconn {
        return fullconn;
    }
    let reaching = config.frontends().filter(|(number, frontend)| {
        frontend.default_backend.map_or(*number, |target| target) == index
    });
    let sum: u64 = reaching
        .map(|(_, frontend)| u64::from(frontend_maxconn(frontend, process)))
        .sum();
    u32::try_from(sum.div_ceil(10)).unwrap_or(u32::MAX).max(1)
}

fn backend(config: &Config, index: usize, proxy: &Proxy, identity: &Identity) -> Backend {
    let servers = proxy.servers.iter();
    let servers = servers.map(|server| Arc::new(self::server(server, identity.workers)));
    let pool = PoolSettings {
        algorithm: algorithm(proxy.balance),
        all_backups: proxy.options.allbackups,
        redispatch: proxy.redispatch.is_some() && !proxy.options.persist,
        fullconn: fullconn(config, index, identity.maxconn),
        servers: proxy.servers.iter().map(pool_settings).collect(),
    };
    Backend {
        name: proxy.name.as_str().into(),
        id: proxy.id,
        servers: servers.collect(),
        timeout_connect: proxy.timeouts.connect,
        timeout_server: proxy.timeouts.server,
        timeout_queue: proxy.timeouts.queue,
        timeout_tunnel: proxy.timeouts.tunnel,
        timeout_server_fin: proxy.timeouts.server_fin,
        retries: proxy.retries,
        redispatch: redispatch(proxy.redispatch),
        abort_on_close: proxy.options.abortonclose,
        socket: SocketOptions {
            keepalive: keepalive(proxy.options.srvtcpka, &proxy.keepalive_server),
            nolinger: proxy.options.nolinger_server,
            splice: splice(&proxy.options),
            receive_buffer: config.global.tune.rcvbuf_server,
            send_buffer: config.global.tune.sndbuf_server,
            smart_connect: proxy.options.tcp_smart_connect == Some(true),
        },
        state: Arc::new(BackendState::new(&pool, identity.workers)),
    }
}

fn server(server: &Server, workers: usize) -> relay::Server {
    let address = match &server.addr {
        ServerAddr::Inet {
            ip,
            port: ServerPort::Fixed(port),
        } => ServerAddress::Inet(SocketAddr::new(*ip, *port)),
        ServerAddr::Inet {
            ip,
            port: ServerPort::Offset(add),
        } => ServerAddress::Offset { ip: *ip, add: *add },
        ServerAddr::Unix(path) => ServerAddress::Unix(path.clone()),
        ServerAddr::Abns(name) => ServerAddress::Abstract(name.clone()),
    };
    relay::Server {
        name: server.name.as_str().into(),
        id: server.id,
        address,
        source: None,
        on_marked_down: if server.shutdown_on_down {
            OnMarkedDown::ShutdownSessions
        } else {
            OnMarkedDown::Keep
        },
        state: Arc::new(ServerState::new(workers)),
    }
}

fn pool_settings(server: &Server) -> ServerSettings {
    let slowstart = server.slowstart.map_or(0, |time| time.as_millis());
    ServerSettings {
        id: server.id,
        weight: u16::try_from(server.weight).unwrap_or(u16::MAX),
        backup: server.backup,
        maxconn: server.maxconn,
        minconn: server.minconn,
        maxqueue: server.maxqueue,
        slowstart: u32::try_from(slowstart).unwrap_or(u32::MAX),
        admin: if server.disabled {
            Admin::Maintenance
        } else {
            Admin::Ready
        },
        operational: Operational::Up,
    }
}

fn algorithm(balance: Balance) -> Algorithm {
    match balance {
        Balance::RoundRobin => Algorithm::RoundRobin,
        Balance::StaticRr => Algorithm::StaticRoundRobin,
        Balance::LeastConn => Algorithm::LeastConnections,
        Balance::First => Algorithm::First,
        Balance::Source => Algorithm::Source,
    }
}

fn redispatch(option: Option<i32>) -> Redispatch {
    match option {
        None | Some(0) => Redispatch::Off,
        Some(every @ 1..) => Redispatch::Every(every.unsigned_abs()),
        Some(before) => Redispatch::BeforeLast(before.unsigned_abs()),
    }
}

fn splice(options: &Options) -> SpliceOptions {
    SpliceOptions {
        auto: options.splice_auto,
        request: options.splice_request,
        response: options.splice_response,
    }
}

fn keepalive(enabled: bool, settings: &KeepAlive) -> Keepalive {
    Keepalive {
        enabled,
        count: settings.count,
        idle: settings.idle,
        interval: settings.interval,
    }
}
