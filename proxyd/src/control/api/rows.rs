//! The rows of `show stat`: what there is to say of frontends, listeners, servers and backends.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use haproxy_cfg::model::{Balance, BindAddr, Proxy, Server, ServerAddr};
use healthcheck::Status;
use healthcheck::fsm::State;
use relay::{Operational, ServerView};

use super::super::plane::{FrontStatus, Plane, ServerRef};
use super::super::server::ServerState;
use super::super::{build, clock};
use super::fields::{FIELDS, SEPARATOR};
use super::output::Value;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Frontend,
    Backend,
    Server,
    Listener,
}

impl Kind {
    /// The `type` column.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Frontend => 0,
            Self::Backend => 1,
            Self::Server => 2,
            Self::Listener => 3,
        }
    }

    /// The letter of typed lines, the word of JSON.
    pub(super) const fn names(self) -> (char, &'static str) {
        match self {
            Self::Frontend => ('F', "Frontend"),
            Self::Backend => ('B', "Backend"),
            Self::Server => ('S', "Server"),
            Self::Listener => ('L', "Listener"),
        }
    }
}

/// One row; columns it has nothing for are absent.
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) iid: u32,
    pub(super) sid: u32,
    pub(super) cells: BTreeMap<&'static str, Value>,
}

impl Row {
    fn new(kind: Kind, proxy: &Proxy, sid: u32, name: &str) -> Self {
        let mut row = Self {
            kind,
            iid: proxy.id,
            sid,
            cells: BTreeMap::new(),
        };
        row.set("pxname", proxy.name.as_str());
        row.set("svname", name);
        row.set("pid", 1_u32);
        row.set("iid", proxy.id);
        row.set("sid", sid);
        row.set("type", kind.number());
        row.set("mode", "tcp");
        for zero in ["dresp", "wrew", "eint"] {
            row.set(zero, 0_u64);
        }
        // What TLS and HTTP would count.
        let separator = FIELDS.iter().position(|field| field.name == SEPARATOR);
        let modules = FIELDS.get(separator.map_or(FIELDS.len(), |at| at + 1)..);
        let whole = matches!(kind, Kind::Frontend | Kind::Backend);
        for field in modules.unwrap_or_default() {
            if whole || field.name.starts_with("ssl_") {
                row.set(field.name, 0_u64);
            }
        }
        row
    }

    fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.cells.insert(name, value.into());
    }
}

/// Which servers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Selection {
    /// Servers that are down are left out.
    pub(super) up: bool,
    /// Servers in maintenance are left out.
    pub(super) no_maint: bool,
}

/// One proxy under report.
pub(super) struct Report<'a> {
    pub(super) plane: &'a Plane,
    /// Its index in the configuration.
    pub(super) index: usize,
    pub(super) proxy: &'a Proxy,
    pub(super) selection: Selection,
    /// Addresses are for operators.
    pub(super) show_addresses: bool,
}

impl Report<'_> {
    /// Adds the proxy's rows.
    pub(super) fn rows(&self, rows: &mut Vec<Row>) {
        rows.extend(self.frontend());
        if self.proxy.options.socket_stats {
            self.listeners(rows);
        }
        let place = self.plane.places.get(self.index);
        let Some(backend) = place.and_then(|place| place.backend) else {
            return;
        };
        let Some(live) = self.plane.snapshot.backends.get(backend) else {
            return;
        };
        let views = live.state.servers();
        for (number, view) in views.iter().enumerate() {
            let at = ServerRef {
                backend,
                server: number,
            };
            rows.extend(self.server(at, view));
        }
        rows.extend(self.backend(backend));
    }

    fn frontend(&self) -> Option<Row> {
        let place = self.plane.places.get(self.index)?;
        let front = self.plane.snapshot.frontends.get(place.frontend?)?;
        let (state, totals) = (&front.state, front.state.totals());
        let mut row = Row::new(Kind::Frontend, self.proxy, 0, "FRONTEND");
        row.set("scur", state.sessions.current());
        row.set("smax", state.sessions.max());
        row.set("slim", front.maxconn);
        row.set("stot", totals.sessions);
        row.set("bin", totals.bytes_in);
        row.set("bout", totals.bytes_out);
        row.set("ereq", totals.failed_requests);
        let status = match self
            .plane
            .fronts
            .get(self.index)
            .copied()
            .unwrap_or_default()
        {
            FrontStatus::Open => "OPEN",
            FrontStatus::Paused => "PAUSED",
            FrontStatus::Stopped => "STOP",
        };
        row.set("status", status);
        row.set("rate", state.session_rate.current());
        row.set("rate_lim", front.rate_limit);
        row.set("rate_max", state.session_rate.max());
        row.set("conn_rate", state.connection_rate.current());
        row.set("conn_rate_max", state.connection_rate.max());
        row.set("conn_tot", totals.connections);
        for zero in ["req_rate", "req_rate_max"] {
            row.set(zero, 0_u32);
        }
        for zero in [
            "dreq", "req_tot", "comp_in", "comp_out", "comp_byp", "comp_rsp", "dcon", "dses",
        ] {
            row.set(zero, 0_u64);
        }
        Some(row)
    }

    fn listeners(&self, rows: &mut Vec<Row>) {
        let place = self.plane.places.get(self.index);
        let front = place.and_then(|place| self.plane.snapshot.frontends.get(place.frontend?));
        let Some(front) = front else { return };
        let status = match self
            .plane
            .fronts
            .get(self.index)
            .copied()
            .unwrap_or_default()
        {
            FrontStatus::Open | FrontStatus::Paused => "OPEN",
            FrontStatus::Stopped => "STOP",
        };
        let binds = self.proxy.binds.iter().enumerate();
        for (listener, (number, bind)) in front.listeners.iter().zip(binds) {
            let totals = listener.state.totals();
            let mut row = Row::new(Kind::Listener, self.proxy, listener.id, &listener.name);
            row.set("scur", listener.state.sessions.current());
            row.set("smax", listener.state.sessions.max());
            row.set("slim", listener.maxconn);
            row.set("stot", totals.sessions);
            row.set("bin", totals.bytes_in);
            row.set("bout", totals.bytes_out);
            row.set("status", status);
            for zero in ["dreq", "ereq", "dcon", "dses"] {
                row.set(zero, 0_u64);
            }
            if self.show_addresses {
                let local = self.plane.addresses.get(&(self.index, number));
                row.set("addr", bind_address(&bind.addr, local));
            }
            rows.push(row);
        }
    }

    fn server(&self, at: ServerRef, view: &ServerView) -> Option<Row> {
        let (state, server) = self.plane.server(at)?;
        if self.selection.up && !state.is_running()
            || self.selection.no_maint && state.admin.forced_maintenance
        {
            return None;
        }
        let live = self.plane.snapshot.backends.get(at.backend)?;
        let live = live.servers.get(at.server)?;
        let (totals, timings) = (live.state.totals(), live.state.timings());
        let mut row = Row::new(Kind::Server, self.proxy, server.id, &server.name);
        row.set("qcur", view.queued);
        row.set("qmax", view.queued_max);
        row.set("scur", view.sessions);
        row.set("smax", view.sessions_max);
        if view.maxconn != 0 {
            row.set("slim", view.maxconn);
        }
        if server.maxqueue != 0 {
            row.set("qlimit", server.maxqueue);
        }
        common(&mut row, &totals, &timings, live.state.last_session());
        row.set("status", status(state));
        // The pool brings a warming server's weight up to date only when it picks one.
        let throttle = state.throttle(server.slowstart);
        let weight = match throttle {
            Some(_) => view.effective_weight.div_ceil(16),
            None => u32::from(view.weight),
        };
        row.set("weight", weight);
        row.set("uweight", u32::from(view.weight));
        row.set("act", u32::from(!server.backup));
        row.set("bck", u32::from(server.backup));
        row.set("rate", live.state.session_rate.current());
        row.set("rate_max", live.state.session_rate.max());
        let now = clock::seconds();
        row.set("lastchg", seconds(state.since_change(now)));
        if let Some(check) = state.check.as_ref().filter(|check| check.enabled) {
            row.set("chkfail", check.failures);
            row.set("chkdown", state.downs);
            row.set("downtime", seconds(state.downtime(now)));
        }
        check(&mut row, state);
        if let Some(percent) = throttle {
            row.set("throttle", percent);
        }
        if self.show_addresses {
            row.set("addr", server_address(server));
        }
        row.set("need_conn_est", state.needed_connections());
        for zero in [
            "srv_icur",
            "idle_conn_cur",
            "safe_conn_cur",
            "used_conn_cur",
        ] {
            row.set(zero, 0_u32);
        }
        Some(row)
    }

    fn backend(&self, backend: usize) -> Option<Row> {
        let live = self.plane.snapshot.backends.get(backend)?;
        let control = self.plane.backends.get(backend)?;
        let state = &live.state;
        let (totals, timings) = (state.totals(), state.timings());
        let (active, backups) = state.usable();
        let mut row = Row::new(Kind::Backend, self.proxy, 0, "BACKEND");
        let (queued, queued_max) = state.queued();
        row.set("qcur", queued);
        row.set("qmax", queued_max);
        row.set("scur", state.sessions.current());
        row.set("smax", state.sessions.max());
        let limit = build::fullconn(&self.plane.config, self.index, self.plane.identity.maxconn);
        row.set("slim", limit);
        common(&mut row, &totals, &timings, state.last_session());
        let up = active + backups > 0 || self.proxy.servers.is_empty();
        row.set(
            "status",
            self.backend_status(up, control.servers.as_slice()),
        );
        let weight = state.total_weight();
        row.set("weight", weight);
        row.set("uweight", weight);
        row.set("act", active);
        row.set("bck", backups);
        row.set("chkdown", control.downs);
        let now = clock::seconds();
        row.set("lastchg", seconds(control.since_change(now)));
        if !self.proxy.servers.is_empty() {
            row.set("downtime", seconds(control.downtime(now)));
        }
        row.set("rate", state.session_rate.current());
        row.set("rate_max", state.session_rate.max());
        row.set("algo", algorithm(self.proxy.balance));
        for zero in ["dreq", "comp_in", "comp_out", "comp_byp", "comp_rsp"] {
            row.set(zero, 0_u64);
        }
        for zero in [
            "agg_server_status",
            "agg_server_check_status",
            "agg_check_status",
        ] {
            row.set(zero, 0_u32);
        }
        Some(row)
    }

    fn backend_status(&self, up: bool, servers: &[ServerState]) -> String {
        let word = if up { "UP" } else { "DOWN" };
        if !self.selection.up && !self.selection.no_maint {
            return word.to_owned();
        }
        let running = servers.iter().filter(|server| server.is_running()).count();
        format!("{word} ({running}/{})", servers.len())
    }
}

/// What servers and backends count alike.
fn common(
    row: &mut Row,
    totals: &relay::BackendTotals,
    timings: &relay::Timings,
    last_session: Option<u64>,
) {
    row.set("stot", totals.sessions);
    row.set("bin", totals.bytes_in);
    row.set("bout", totals.bytes_out);
    row.set("econ", totals.failed_connections);
    row.set("eresp", totals.failed_responses);
    row.set("wretr", totals.retries);
    row.set("wredis", totals.redispatches);
    row.set("lbtot", totals.selected);
    row.set("connect", totals.connects);
    row.set("cli_abrt", totals.client_aborts);
    row.set("srv_abrt", totals.server_aborts);
    row.set("reuse", 0_u64);
    row.set("qtime", timings.queue);
    row.set("ctime", timings.connect);
    row.set("rtime", 0_u32);
    row.set("ttime", timings.total);
    row.set("qtime_max", timings.queue_max);
    row.set("ctime_max", timings.connect_max);
    row.set("rtime_max", 0_u32);
    row.set("ttime_max", timings.total_max);
    let last = last_session.map_or(-1, |age| i32::try_from(age).unwrap_or(i32::MAX));
    row.set("lastsess", Value::S32(last));
}

/// The check columns; all stay empty until the first check has been made.
fn check(row: &mut Row, state: &ServerState) {
    let Some(check) = state.check.as_ref().filter(|_| state.is_checked()) else {
        return;
    };
    let running = if check.running { "* " } else { "" };
    row.set("check_status", format!("{running}{}", check.status.code()));
    if check.status > Status::Initializing {
        let millis = u64::try_from(check.duration.as_millis()).unwrap_or(u64::MAX);
        row.set("check_duration", millis);
    }
    row.set("check_desc", check.status.text());
    if !check.info.is_empty() {
        row.set("last_chk", check.info.as_ref());
    }
    let thresholds = check.health.thresholds();
    row.set("check_rise", thresholds.rise);
    row.set("check_fall", thresholds.fall);
    row.set("check_health", check.health.counter());
}

/// The `status` column of a server.
fn status(state: &ServerState) -> String {
    if state.admin.forced_maintenance {
        return String::from("MAINT");
    }
    let Some(check) = state.check.as_ref().filter(|check| check.enabled) else {
        return String::from(match state.operational {
            Operational::Down => "DOWN",
            Operational::Stopping => "NOLB",
            Operational::Up if state.admin.forced_drain => "DRAIN",
            Operational::Up => "no check",
        });
    };
    let (x, y) = check.health.progress();
    let word = match (state.operational, check.health.state()) {
        (Operational::Down, _) | (_, State::Down) => {
            // Fully down shows no progress.
            return if x == 0 {
                String::from("DOWN")
            } else {
                format!("DOWN {x}/{y}")
            };
        }
        (Operational::Stopping, State::Up) => "NOLB",
        (Operational::Up, State::Up) if state.admin.forced_drain => "DRAIN",
        (Operational::Up, State::Up) => "UP",
    };
    if x == y {
        word.to_owned()
    } else {
        format!("{word} {x}/{y}")
    }
}

fn seconds(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn algorithm(balance: Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "roundrobin",
        Balance::StaticRr => "static-rr",
        Balance::LeastConn => "leastconn",
        Balance::First => "first",
        Balance::Source => "source",
    }
}

/// The address in use if there is one: an inherited descriptor has it from elsewhere.
fn bind_address(configured: &BindAddr, local: Option<&SocketAddr>) -> String {
    match (configured, local) {
        (BindAddr::Unix(_), _) => String::from("unix"),
        (_, Some(local)) => local.to_string(),
        (BindAddr::Inet { addr, .. }, None) => addr.to_string(),
        (BindAddr::Abns(_) | BindAddr::Fd(_), None) => String::from("(error)"),
    }
}

fn server_address(server: &Server) -> String {
    match (&server.addr, server.addr.fixed()) {
        (_, Some(address)) => address.to_string(),
        (ServerAddr::Inet { ip, .. }, None) => format!("{ip}:0"),
        (ServerAddr::Unix(_) | ServerAddr::Abns(_), None) => String::from("unix"),
    }
}
