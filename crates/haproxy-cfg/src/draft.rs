//! A proxy while its section is being read.

use std::collections::BTreeMap;

use crate::expr::condition::Acls;
use crate::keyword::rules::RuleDraft;
use crate::model::{
    Balance, Bind, CheckKind, KeepAlive, LogTarget, Mode, Options, Place, ProxyKind, Server,
    ServerAddr, Timeouts,
};

/// What kind of section a draft is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `defaults`
    Defaults,
    /// A proxy.
    Proxy(ProxyKind),
}

/// How connections shall be logged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum LogLine {
    /// Nothing written.
    #[default]
    None,
    /// `option tcplog`
    Tcp,
    /// `option httplog` or `httpslog`, and the place of it.
    Http(&'static str, Place),
}

/// Everything that a proxy inherits from a `defaults` section.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) disabled: bool,
    pub(crate) timeouts: Timeouts,
    pub(crate) retries: Option<u32>,
    pub(crate) redispatch: Option<i32>,
    pub(crate) maxconn: Option<u32>,
    pub(crate) backlog: Option<u32>,
    pub(crate) fullconn: Option<u32>,
    pub(crate) rate_limit: u32,
    pub(crate) balance: Balance,
    pub(crate) layer7_balance: bool,
    pub(crate) options: Options,
    pub(crate) check_kind: CheckKind,
    pub(crate) keepalive_client: KeepAlive,
    pub(crate) keepalive_server: KeepAlive,
    pub(crate) log: Vec<LogTarget>,
    pub(crate) log_line: LogLine,
    /// `option httplog` was followed by `clf`.
    pub(crate) log_clf: bool,
    pub(crate) dontlognull: bool,
    pub(crate) dontlog_normal: bool,
    pub(crate) logasap: bool,
    pub(crate) log_separate_errors: bool,
    pub(crate) log_health_checks: bool,
    pub(crate) log_tag: Option<Vec<u8>>,
    pub(crate) default_backend: Option<String>,
    pub(crate) default_server: ServerSettings,
    /// Timeouts of HTTP, in milliseconds, for the warnings about writing them twice.
    pub(crate) http_timeouts: BTreeMap<String, u32>,
    /// Things of HTTP that are only warned of: keyword or option, by name.
    pub(crate) http: BTreeMap<&'static str, bool>,
    /// `http-check` rules were written.
    pub(crate) http_check_rules: bool,
    /// ACLs, which sections do not share, and those of rules that they do.
    pub(crate) acls: Acls,
    pub(crate) rules: RuleDraft,
}

/// What `default-server` sets and a `server` line may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerSettings {
    pub(crate) check: bool,
    pub(crate) inter: u32,
    pub(crate) fastinter: Option<u32>,
    pub(crate) downinter: Option<u32>,
    pub(crate) rise: u32,
    pub(crate) fall: u32,
    pub(crate) check_port: Option<u16>,
    pub(crate) check_addr: Option<std::net::IpAddr>,
    pub(crate) weight: u32,
    pub(crate) backup: bool,
    pub(crate) disabled: bool,
    pub(crate) maxconn: u32,
    pub(crate) minconn: u32,
    pub(crate) maxqueue: u32,
    pub(crate) slowstart: u32,
    pub(crate) shutdown_on_down: bool,
    pub(crate) shutdown_backup_on_up: bool,
    pub(crate) tcp_ut: Option<u32>,
    pub(crate) cookie: bool,
    pub(crate) redir: bool,
    /// `init-addr`; `None` is "last,libc".
    pub(crate) init_addr: Option<Vec<String>>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            check: false,
            inter: 2000,
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            check_port: None,
            check_addr: None,
            weight: 1,
            backup: false,
            disabled: false,
            maxconn: 0,
            minconn: 0,
            maxqueue: 0,
            slowstart: 0,
            shutdown_on_down: false,
            shutdown_backup_on_up: false,
            tcp_ut: None,
            cookie: false,
            redir: false,
            init_addr: None,
        }
    }
}

/// A server and what is settled only after all files are read.
#[derive(Debug, Clone)]
pub(crate) struct ServerDraft {
    /// The server; its address is a placeholder while `host` is a name.
    pub(crate) server: Server,
    /// A name to look up.
    pub(crate) host: Option<String>,
    pub(crate) settings: ServerSettings,
}

impl ServerDraft {
    /// Whether it has a port of its own.
    pub(crate) fn has_port(&self) -> bool {
        match &self.server.addr {
            ServerAddr::Inet { .. } => self.server.addr.fixed().is_some_and(|a| a.port() > 0),
            ServerAddr::Unix(_) | ServerAddr::Abns(_) => true,
        }
    }
}

/// A section while it is being read.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) settings: Settings,
    /// The timeouts and the rate limit that it started with.
    pub(crate) inherited: (Timeouts, BTreeMap<String, u32>, u32),
    pub(crate) id: Option<u32>,
    pub(crate) description: Option<String>,
    pub(crate) binds: Vec<Bind>,
    /// For each bind, whether its id was written.
    pub(crate) bind_ids: Vec<bool>,
    pub(crate) servers: Vec<ServerDraft>,
    /// Kinds of HTTP rules that were written, for the warnings about their order.
    pub(crate) rules: Vec<&'static str>,
    /// `dispatch`, `option transparent` and the like make it usable without servers.
    pub(crate) dispatch: bool,
    /// For `defaults` with rules: whether frontends and backends inherit from it.
    pub(crate) heirs: (bool, bool),
    /// Something in it was refused or ambiguous, so that its checks would mislead.
    pub(crate) broken: bool,
}

impl Draft {
    /// Whether it accepts connections (`defaults` count for both).
    pub(crate) const fn has_frontend(&self) -> bool {
        match self.kind {
            Kind::Defaults => true,
            Kind::Proxy(kind) => kind.has_frontend(),
        }
    }

    /// Whether it has servers (`defaults` count for both).
    pub(crate) const fn has_backend(&self) -> bool {
        match self.kind {
            Kind::Defaults => true,
            Kind::Proxy(kind) => kind.has_backend(),
        }
    }

    /// Whether it has a stick table.
    pub(crate) const fn has_table(&self) -> bool {
        false
    }

    /// The word that messages use for its kind.
    pub(crate) const fn word(&self) -> &'static str {
        match self.kind {
            Kind::Defaults => "defaults",
            Kind::Proxy(kind) => kind.word(),
        }
    }
}
