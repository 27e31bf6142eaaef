//! Rules of a proxy: what becomes of a connection (configuration manual, `tcp-request`,
//! `tcp-response`, `use_backend`, `use-server`).

use std::time::Duration;

use super::{Condition, Expr, Format, LogLevel, Place, Variable};

/// All rules of one proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// `tcp-request connection`: right after the accept.
    pub connection: Vec<Rule>,
    /// `tcp-request session`: after the handshakes with the client.
    pub session: Vec<Rule>,
    /// `tcp-request content`: with the client's first bytes.
    pub request: Vec<Rule>,
    /// `tcp-response content`: with the server's first bytes.
    pub response: Vec<Rule>,
    /// `tcp-request inspect-delay`
    pub request_delay: Option<Duration>,
    /// `tcp-response inspect-delay`
    pub response_delay: Option<Duration>,
    /// `use_backend`, in order.
    pub backends: Vec<UseBackend>,
    /// `use-server`, in order.
    pub servers: Vec<UseServer>,
    /// `force-persist` and `ignore-persist`, in order.
    pub persist: Vec<Persist>,
}

/// One `tcp-request` or `tcp-response` rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What is done.
    pub action: Action,
    /// When; always without one.
    pub condition: Option<Condition>,
    /// The line that it is on.
    pub place: Place,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `accept`: no further rule of this kind is looked at.
    Accept,
    /// `reject`: the connection ends.
    Reject,
    /// `silent-drop`: it ends without the client being told.
    SilentDrop,
    /// `close`: the server connection ends.
    Close,
    /// `expect-proxy layer4`: a PROXY protocol header comes first.
    ExpectProxy,
    /// `track-scN`
    Track {
        /// N.
        slot: usize,
        /// What is counted for.
        key: Expr,
        /// The table's name; `None` is the proxy's own.
        table: Option<String>,
    },
    /// `set-var`
    SetVar {
        /// The variable.
        name: Variable,
        /// Conditions on the variable itself, all of which must hold.
        only: Vec<Only>,
        /// Its new value.
        value: Expr,
    },
    /// `set-var-fmt`
    SetVarFormat {
        /// The variable.
        name: Variable,
        /// Conditions on the variable itself, all of which must hold.
        only: Vec<Only>,
        /// Its new value.
        value: Format,
    },
    /// `unset-var`
    UnsetVar(Variable),
    /// `set-src`: from now on the client has this address.
    SetSource(Expr),
    /// `set-src-port`
    SetSourcePort(Expr),
    /// `set-dst`
    SetDestination(Expr),
    /// `set-dst-port`
    SetDestinationPort(Expr),
    /// `set-mark`: the netfilter mark of packets to the client.
    SetMark(u32),
    /// `set-tos`: the TOS byte of packets to the client.
    SetTos(u8),
    /// `set-log-level`; `None` is `silent`.
    SetLogLevel(Option<LogLevel>),
    /// `set-nice`, which is without effect.
    SetNice(i32),
    /// `set-priority-class`: the place in queues.
    SetPriorityClass(Expr),
    /// `set-priority-offset`
    SetPriorityOffset(Expr),
    /// `sc-inc-gpc`, `sc-inc-gpc0`, `sc-inc-gpc1`
    Increment {
        /// Which counter.
        counter: Counter,
        /// The tracked entry.
        slot: usize,
    },
    /// `sc-set-gpt`, `sc-set-gpt0`
    SetTag {
        /// Which tag; `None` is the one of `gpt0`.
        tag: Option<u32>,
        /// The tracked entry.
        slot: usize,
        /// Its new value.
        value: Number,
    },
    /// `capture`, which only keeps a slot for the log.
    Capture {
        /// What is captured.
        value: Expr,
        /// Its longest length in bytes.
        length: u32,
    },
}

impl Action {
    /// The expressions in it.
    pub(crate) fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Track { key: expr, .. }
            | Self::SetVar { value: expr, .. }
            | Self::SetSource(expr)
            | Self::SetSourcePort(expr)
            | Self::SetDestination(expr)
            | Self::SetDestinationPort(expr)
            | Self::SetPriorityClass(expr)
            | Self::SetPriorityOffset(expr)
            | Self::Capture { value: expr, .. }
            | Self::SetTag {
                value: Number::Of(expr),
                ..
            } => vec![expr],
            Self::SetVarFormat { value, .. } => value.exprs().collect(),
            Self::Accept
            | Self::Reject
            | Self::SilentDrop
            | Self::Close
            | Self::ExpectProxy
            | Self::UnsetVar(_)
            | Self::SetMark(_)
            | Self::SetTos(_)
            | Self::SetLogLevel(_)
            | Self::SetNice(_)
            | Self::Increment { .. }
            | Self::SetTag {
                value: Number::Fixed(_),
                ..
            } => Vec::new(),
        }
    }
}

/// A general purpose counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// `gpc0`
    Zero,
    /// `gpc1`
    One,
    /// One of `gpc(n)`.
    Of(u32),
}

/// A number written, or one to be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// As written.
    Fixed(u32),
    /// An expression's.
    Of(Expr),
}

/// `set-var(name,condition)`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// `ifexists`
    IfExists,
    /// `ifnotexists`
    IfNotExists,
    /// `ifempty`
    IfEmpty,
    /// `ifnotempty`
    IfNotEmpty,
    /// `ifset`
    IfSet,
    /// `ifnotset`
    IfNotSet,
    /// `ifgt`
    IfGreater,
    /// `iflt`
    IfLess,
}

/// A `use_backend` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseBackend {
    /// Where to.
    pub target: Target,
    /// When; always without one.
    pub condition: Option<Condition>,
    /// The line that it is on.
    pub place: Place,
}

/// A `use-server` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseServer {
    /// Which server: an index into the proxy's servers.
    pub target: Target,
    /// When.
    pub condition: Condition,
    /// The line that it is on.
    pub place: Place,
}

/// Something named, or a name to be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An index.
    Fixed(usize),
    /// A name; what it names is looked for at run time, and the rule does nothing if there is none.
    Named(Format),
}

/// `force-persist` or `ignore-persist`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persist {
    /// Whether it forces.
    pub force: bool,
    /// When.
    pub condition: Condition,
}

impl Rules {
    /// Whether a connection meets any of them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
