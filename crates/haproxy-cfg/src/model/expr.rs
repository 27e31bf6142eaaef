//! Sample expressions, ACLs and conditions (configuration manual, section 7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// What a fetch or a converter gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// Known only at run time.
    Any,
    /// True or false.
    Bool,
    /// A signed 64-bit number.
    Int,
    /// An address of either family.
    Addr,
    /// An IPv4 address, or an IPv6 one where the connection has that.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// An HTTP method.
    Method,
}

/// A fetch with the converters applied to what it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    /// As written.
    pub text: String,
    /// Where the value comes from.
    pub fetch: Call,
    /// What becomes of it, in order.
    pub converters: Vec<Call>,
    /// What comes out at the end.
    pub kind: ValueKind,
    /// Where its fetch can be used, a bit for each stage of a connection's life.
    pub(crate) places: u32,
}

/// A fetch or converter with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, [`Arg::Missing`] for those left out before the last one written.
    pub args: Vec<Arg>,
}

/// An argument of a fetch or converter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// Left out.
    Missing,
    /// A number.
    Int(i64),
    /// Text.
    Text(Vec<u8>),
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// An IPv4 network mask.
    Mask4(Ipv4Addr),
    /// An IPv6 network mask.
    Mask6(Ipv6Addr),
    /// A frontend by name; `None` is the proxy that the expression stands in.
    Frontend(Option<String>),
    /// A backend by name; `None` is the proxy that the expression stands in.
    Backend(Option<String>),
    /// A server; without a backend it is one of the proxy that the expression stands in.
    Server {
        /// The backend's name.
        backend: Option<String>,
        /// The server's name.
        server: String,
    },
    /// A stick table by its proxy's name; `None` is that of the proxy that the expression stands in.
    Table(Option<String>),
    /// A user list by name.
    UserList(String),
    /// A regular expression.
    Regex(String),
    /// A variable.
    Variable(Variable),
    /// The content of a map file.
    Map(Arc<Map>),
}

/// How long a variable lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// As long as the process.
    Process,
    /// As long as the connection.
    Session,
    /// The same, in TCP mode.
    Transaction,
    /// While the request is processed.
    Request,
    /// While the response is processed.
    Response,
    /// During one health check.
    Check,
}

/// The name of a variable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variable {
    /// How long it lives.
    pub scope: Scope,
    /// Its name without the scope.
    pub name: String,
}

/// Pairs of a map file (configuration manual, 7.3.1, `map`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// The file's name as written.
    pub file: String,
    /// How keys are looked up.
    pub method: Method,
    /// What values are.
    pub output: ValueKind,
    /// Keys in the order of the file, and their values.
    pub entries: Vec<(Pattern, Vec<u8>)>,
    /// What a key that is not found gives.
    pub default: Option<Vec<u8>>,
}

/// How a value is compared with patterns (`-m`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// It exists.
    Found,
    /// It is true.
    Bool,
    /// It is one of some numbers.
    Int,
    /// It is in one of some networks.
    Ip,
    /// It is one of some byte strings.
    Binary,
    /// Its length is one of some numbers.
    Length,
    /// It is one of some texts.
    Exact,
    /// It begins with one.
    Begins,
    /// It ends with one.
    Ends,
    /// It holds one.
    Contains,
    /// One of its parts between slashes is one.
    Directory,
    /// One of its parts between dots, slashes, colons or question marks is one.
    Domain,
    /// It matches one of some regular expressions.
    Regex,
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// Numbers from the first to the second, both included; `None` is no bound.
    Range(Option<i64>, Option<i64>),
    /// A network: its address and the number of leading bits that count, or an IPv4 mask that is
    /// not made of leading ones.
    Net(IpAddr, Mask),
    /// Text or bytes.
    Text {
        /// The bytes.
        bytes: Vec<u8>,
        /// `-i`: upper and lower case are the same.
        ignore_case: bool,
    },
    /// A regular expression.
    Regex {
        /// As written.
        text: String,
        /// `-i`
        ignore_case: bool,
    },
}

/// A network mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// Of an IPv4 network.
    V4(u32),
    /// Of an IPv6 network.
    V6(u128),
}

/// One comparison of an ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// What is looked at.
    pub expr: Expr,
    /// How.
    pub method: Method,
    /// With what; one match is enough.
    pub patterns: Vec<Pattern>,
    /// The line that it is on.
    pub place: super::Place,
}

/// A named or anonymous ACL: true if one of its tests is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// Its name; empty for an anonymous one.
    pub name: String,
    /// The tests of all lines with this name.
    pub tests: Vec<Test>,
}

/// One ACL of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// `!` before it.
    pub negated: bool,
    /// Index into [`super::Proxy::acls`].
    pub acl: usize,
}

/// `if` or `unless` with ACLs: alternatives, each of which wants all of its terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `unless`
    pub unless: bool,
    /// The alternatives.
    pub any: Vec<Vec<Term>>,
}

/// Text with values in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Format {
    /// What it is put together from, in order.
    pub parts: Vec<Part>,
}

impl Format {
    /// The expressions in it.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expr { expr, .. } => Some(expr.as_ref()),
            Part::Text(_) => None,
        })
    }

    /// Whether it is the same for every connection.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }
}

/// A part of a [`Format`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Bytes as they are.
    Text(Vec<u8>),
    /// The value of an expression.
    Expr {
        /// The expression.
        expr: Box<Expr>,
        /// `+Q`: between double quotes.
        quoted: bool,
        /// `+X`: numbers and addresses in hexadecimal.
        hexadecimal: bool,
    },
}

/// Where an expression is evaluated; the numbers are those of the columns that `haproxy -dKsmp`
/// prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    FrontendConnection = 0,
    FrontendSession = 1,
    FrontendContent = 2,
    UseBackend = 5,
    BackendContent = 6,
    UseServer = 9,
    BackendResponse = 11,
}

impl Stage {
    /// The words for it in messages.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::FrontendConnection => "frontend tcp-request connection rule",
            Self::FrontendSession => "frontend tcp-request session rule",
            Self::FrontendContent => "frontend tcp-request content rule",
            Self::UseBackend => "frontend use-backend rule",
            Self::BackendContent => "backend tcp-request content rule",
            Self::UseServer => "backend use-server, balance or stick-match rule",
            Self::BackendResponse => "backend tcp-response content rule",
        }
    }
}

impl Expr {
    /// Whether its fetch can be used there.
    pub(crate) fn fits(&self, stage: Stage) -> bool {
        self.places & (1 << stage as u32) != 0
    }
}
