//! Fetches: where values come from (configuration manual, 7.3.2 to 7.3.5).

use std::net::{IpAddr, SocketAddr};

use super::{Answer, Arg, Facts, Figure, Label, Value, Variable, hello, payload};

/// A fetch with its arguments.
#[derive(Debug, Clone)]
pub enum Fetch {
    /// The same for every connection.
    Constant(Value),
    /// An address of the connection.
    Address(Address),
    /// Its port.
    Port(Address),
    /// A live number.
    Figure(Figure),
    /// A live number that is true or false.
    Flag(Figure),
    /// The kernel's figure in milliseconds instead of microseconds.
    Millis(Figure),
    /// A name.
    Label(Label),
    /// `req.len`, `res.len`
    Length(Side),
    /// `payload`
    Payload(Side, i64, i64),
    /// `payload_lv`
    Counted(Side, i64, i64, Option<(i64, bool)>),
    /// `rdp_cookie`
    RdpCookie(Vec<u8>),
    /// `rdp_cookie_cnt`
    RdpCookies(Vec<u8>),
    /// `ssl_hello_type`
    HelloType(Side),
    /// `req.ssl_sni`
    ServerName,
    /// `req.ssl_alpn`
    Protocols,
    /// `req.ssl_ec_ext`
    Curves,
    /// `req.ssl_st_ext`
    Ticket,
    /// `req.ssl_ver`
    Version,
    /// `req.proto_http`
    IsHttp,
    /// `wait_end`
    WaitEnd,
    /// `var`, with what to give if it is not set.
    Variable(Variable, Option<Vec<u8>>),
    /// `date`: the time, plus an offset in the same unit.
    Date(i64, Unit),
    /// `rand`: a number below the limit, of 32 bits without one.
    Random(Option<u64>),
    /// `uuid`
    Uuid,
    /// Nothing is known about it here.
    Nothing,
}

/// One of a connection's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// `src`
    Source,
    /// `dst`
    Destination,
    /// `fc_src`
    ClientSource,
    /// `fc_dst`
    ClientDestination,
    /// `bc_src`
    ServerSource,
    /// `bc_dst`
    ServerDestination,
}

/// Whose bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Request,
    /// The server's.
    Response,
    /// Those being looked at: the client's until there are some of the server's.
    Current,
}

/// The unit of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
}

impl Fetch {
    /// The fetch of that name; `None` if there is none here.
    #[must_use]
    pub fn new(name: &str, args: &[Arg]) -> Option<Self> {
        if let Some(fetch) = Self::of_process(name, args) {
            return Some(fetch);
        }
        if let Some(fetch) = Self::of_connection(name) {
            return Some(fetch);
        }
        Self::of_bytes(name, args).or_else(|| Self::of_proxies(name, args))
    }

    fn of_process(name: &str, args: &[Arg]) -> Option<Self> {
        let int = |index: usize| match args.get(index) {
            Some(Arg::Int(value)) => Some(*value),
            _ => None,
        };
        let text = |index: usize| match args.get(index) {
            Some(Arg::Text(bytes)) => bytes.clone(),
            _ => Vec::new(),
        };
        Some(match name {
            "always_true" => Self::Constant(Value::Bool(true)),
            "always_false" => Self::Constant(Value::Bool(false)),
            "bool" => Self::Constant(Value::Bool(int(0) == Some(1))),
            "int" => Self::Constant(Value::Int(int(0)?)),
            "str" | "meth" | "env" | "hostname" => Self::Constant(Value::Text(text(0))),
            "bin" => Self::Constant(Value::Binary(text(0))),
            "nbproc" | "proc" => Self::Constant(Value::Int(1)),
            "ipv4" | "ipv6" => match args.first() {
                Some(Arg::Ip(ip)) => Self::Constant(Value::Ip(*ip)),
                _ => return None,
            },
            "date" => Self::Date(
                int(0).unwrap_or(0),
                match text(1).as_slice() {
                    b"ms" => Unit::Millis,
                    b"us" => Unit::Micros,
                    _ => Unit::Seconds,
                },
            ),
            "rand" => Self::Random(int(0).and_then(|limit| u64::try_from(limit).ok())),
            "uuid" => Self::Uuid,
            "thread" => Self::Figure(Figure::Thread),
            "stopping" => Self::Flag(Figure::Stopping),
            "wait_end" => Self::WaitEnd,
            "var" => {
                let default = match args.get(1) {
                    Some(Arg::Text(bytes)) => Some(bytes.clone()),
                    _ => None,
                };
                match args.first() {
                    Some(Arg::Variable(name)) => Self::Variable(name.clone(), default),
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    fn of_connection(name: &str) -> Option<Self> {
        Some(match name {
            "src" => Self::Address(Address::Source),
            "src_port" => Self::Port(Address::Source),
            "dst" => Self::Address(Address::Destination),
            "dst_port" => Self::Port(Address::Destination),
            "fc_src" => Self::Address(Address::ClientSource),
            "fc_src_port" => Self::Port(Address::ClientSource),
            "fc_dst" => Self::Address(Address::ClientDestination),
            "fc_dst_port" => Self::Port(Address::ClientDestination),
            "bc_src" => Self::Address(Address::ServerSource),
            "bc_src_port" => Self::Port(Address::ServerSource),
            "bc_dst" => Self::Address(Address::ServerDestination),
            "bc_dst_port" => Self::Port(Address::ServerDestination),
            "src_is_local" | "fc_src_is_local" => Self::Flag(Figure::SourceIsLocal),
            "dst_is_local" | "fc_dst_is_local" => Self::Flag(Figure::DestinationIsLocal),
            "fc_rcvd_proxy" => Self::Flag(Figure::ProxyHeader),
            "fc_pp_authority" => Self::Label(Label::ProxyAuthority),
            "fc_pp_unique_id" => Self::Label(Label::ProxyUniqueId),
            "dst_conn" => Self::Figure(Figure::ListenerConnections),
            "fe_id" => Self::Figure(Figure::FrontendId),
            "fe_name" => Self::Label(Label::Frontend),
            "fe_defbe" => Self::Label(Label::DefaultBackend),
            "fe_client_timeout" => Self::Figure(Figure::ClientTimeout),
            "be_id" => Self::Figure(Figure::BackendId),
            "be_name" => Self::Label(Label::Backend),
            "be_server_timeout" | "cur_server_timeout" => Self::Figure(Figure::ServerTimeout),
            "be_tunnel_timeout" | "cur_tunnel_timeout" => Self::Figure(Figure::TunnelTimeout),
            "so_id" => Self::Figure(Figure::ListenerId),
            "so_name" => Self::Label(Label::Listener),
            "srv_id" => Self::Figure(Figure::ServerId),
            "srv_name" => Self::Label(Label::Server),
            "prio_class" => Self::Figure(Figure::PriorityClass),
            "prio_offset" => Self::Figure(Figure::PriorityOffset),
            "last_rule_file" => Self::Label(Label::RuleFile),
            "last_rule_line" => Self::Figure(Figure::RuleLine),
            _ => return None,
        })
    }

    fn of_bytes(name: &str, args: &[Arg]) -> Option<Self> {
        let int = |index: usize| match args.get(index) {
            Some(Arg::Int(value)) => Some(*value),
            _ => None,
        };
        let text = || match args.first() {
            Some(Arg::Text(bytes)) => bytes.clone(),
            _ => Vec::new(),
        };
        let side = if name.starts_with("req.") {
            Side::Request
        } else if name.starts_with("res.") {
            Side::Response
        } else {
            Side::Current
        };
        Some(match name {
            "req.len" | "req_len" => Self::Length(Side::Request),
            "res.len" => Self::Length(Side::Response),
            "payload" | "req.payload" | "res.payload" => Self::Payload(side, int(0)?, int(1)?),
            "payload_lv" | "req.payload_lv" | "res.payload_lv" => {
                let second = int(2).map(|second| (second, int(3) == Some(1)));
                Self::Counted(side, int(0)?, int(1)?, second)
            }
            "rdp_cookie" | "req.rdp_cookie" => Self::RdpCookie(text()),
            "rdp_cookie_cnt" | "req.rdp_cookie_cnt" => Self::RdpCookies(text()),
            "req.ssl_hello_type" | "req_ssl_hello_type" => Self::HelloType(Side::Request),
            "res.ssl_hello_type" | "rep_ssl_hello_type" => Self::HelloType(Side::Response),
            "req.ssl_sni" | "req_ssl_sni" => Self::ServerName,
            "req.ssl_alpn" => Self::Protocols,
            "req.ssl_ec_ext" => Self::Curves,
            "req.ssl_st_ext" => Self::Ticket,
            "req.ssl_ver" | "req_ssl_ver" => Self::Version,
            "req.proto_http" | "req_proto_http" => Self::IsHttp,
            _ => return None,
        })
    }

    fn of_proxies(name: &str, args: &[Arg]) -> Option<Self> {
        let number = Figure::KERNEL.iter().position(|known| *known == name);
        if let Some(number) = number {
            let micros = matches!(args.first(), Some(Arg::Text(unit)) if unit == b"us");
            // Only the first two are times.
            return Some(if number < 2 && !micros {
                Self::Millis(Figure::Kernel(number))
            } else {
                Self::Figure(Figure::Kernel(number))
            });
        }
        Some(Self::Figure(match (name, args.first()) {
            ("be_conn", Some(Arg::Backend(at))) => Figure::BackendConnections(*at),
            ("be_conn_free", Some(Arg::Backend(at))) => Figure::BackendFree(*at),
            ("be_sess_rate", Some(Arg::Backend(at))) => Figure::BackendRate(*at),
            ("avg_queue", Some(Arg::Backend(at))) => Figure::AverageQueue(*at),
            ("connslots", Some(Arg::Backend(at))) => Figure::Slots(*at),
            ("queue", Some(Arg::Backend(at))) => Figure::Queue(*at),
            ("nbsrv", Some(Arg::Backend(at))) => Figure::UsableServers(*at),
            ("fe_conn", Some(Arg::Frontend(at))) => Figure::FrontendConnections(*at),
            ("fe_sess_rate", Some(Arg::Frontend(at))) => Figure::FrontendRate(*at),
            ("fe_req_rate", Some(Arg::Frontend(_))) => {
                return Some(Self::Constant(Value::Int(0)));
            }
            ("srv_conn", Some(Arg::Server(b, s))) => Figure::ServerConnections(*b, *s),
            ("srv_conn_free", Some(Arg::Server(b, s))) => Figure::ServerFree(*b, *s),
            ("srv_is_up", Some(Arg::Server(b, s))) => {
                return Some(Self::Flag(Figure::ServerUp(*b, *s)));
            }
            ("srv_weight", Some(Arg::Server(b, s))) => Figure::ServerWeight(*b, *s),
            ("srv_iweight", Some(Arg::Server(b, s))) => Figure::ServerInitialWeight(*b, *s),
            ("srv_uweight", Some(Arg::Server(b, s))) => Figure::ServerUserWeight(*b, *s),
            ("srv_queue", Some(Arg::Server(b, s))) => Figure::ServerQueue(*b, *s),
            ("srv_sess_rate", Some(Arg::Server(b, s))) => Figure::ServerRate(*b, *s),
            _ => return None,
        }))
    }

    /// The value for the connection that `facts` tells of.
    pub(super) fn value(&self, facts: &mut dyn Facts) -> Answer {
        let found = |value: Option<Value>| value.map_or(Answer::NOTHING, Answer::of);
        match self {
            Self::Constant(value) => Answer::of(value.clone()),
            Self::Address(which) => found(address(facts, *which).map(|a| Value::Ip(a.ip()))),
            Self::Port(which) => {
                found(address(facts, *which).map(|a| Value::Int(i64::from(a.port()))))
            }
            Self::Figure(figure) => found(facts.figure(*figure).map(Value::Int)),
            Self::Flag(figure) => found(facts.figure(*figure).map(|value| Value::Bool(value != 0))),
            Self::Millis(figure) => {
                found(facts.figure(*figure).map(|value| Value::Int(value / 1000)))
            }
            Self::Label(label) => found(facts.label(*label).map(Value::Text)),
            Self::Length(side) => {
                let bytes = bytes(facts, *side);
                let length = i64::try_from(bytes.data.len()).unwrap_or(i64::MAX);
                Answer {
                    value: Some(Value::Int(length)),
                    open: true,
                }
            }
            Self::Payload(side, offset, length) => {
                payload::payload(bytes(facts, *side), *offset, *length)
            }
            Self::Counted(side, offset, size, second) => {
                payload::counted(bytes(facts, *side), *offset, *size, *second)
            }
            Self::RdpCookie(name) => payload::rdp_cookie(facts.request(), name),
            Self::RdpCookies(name) => {
                let answer = payload::rdp_cookie(facts.request(), name);
                Answer {
                    value: Some(Value::Int(i64::from(answer.value.is_some()))),
                    open: answer.open,
                }
            }
            Self::HelloType(side) => hello::kind(bytes(facts, *side), *side != Side::Response),
            Self::ServerName => hello::server_name(facts.request()),
            Self::Protocols => hello::protocols(facts.request()),
            Self::Curves => hello::names_curves(facts.request()),
            Self::Ticket => hello::ticket(facts.request()),
            Self::Version => hello::version(facts.request()),
            Self::IsHttp => is_http(facts.request().data),
            Self::WaitEnd => Answer {
                value: Some(Value::Bool(facts.is_final())),
                open: true,
            },
            Self::Variable(name, default) => {
                let value = facts.variable(name);
                found(value.or_else(|| default.clone().map(Value::Text)))
            }
            Self::Date(offset, unit) => {
                let wall = facts.wall();
                let count = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
                let now = match unit {
                    Unit::Seconds => count(u128::from(wall.as_secs())),
                    Unit::Millis => count(wall.as_millis()),
                    Unit::Micros => count(wall.as_micros()),
                };
                Answer::of(Value::Int(now.saturating_add(*offset)))
            }
            Self::Random(limit) => {
                let random = facts.random() & 0xffff_ffff;
                let random = match limit {
                    Some(limit) => random.wrapping_mul(*limit) >> 32,
                    None => random,
                };
                Answer::of(Value::Int(i64::try_from(random).unwrap_or(i64::MAX)))
            }
            Self::Uuid => Answer::of(Value::Text(uuid(facts.random(), facts.random()))),
            Self::Nothing => Answer::NOTHING,
        }
    }
}

fn address(facts: &dyn Facts, which: Address) -> Option<SocketAddr> {
    let found = match which {
        Address::Source => facts.source(),
        Address::Destination => facts.destination(),
        Address::ClientSource => facts.client_socket().0,
        Address::ClientDestination => facts.client_socket().1,
        Address::ServerSource => facts.server_socket().0,
        Address::ServerDestination => facts.server_socket().1,
    }?;
    let ip: IpAddr = found.ip().to_canonical();
    Some(SocketAddr::new(ip, found.port()))
}

fn bytes(facts: &dyn Facts, side: Side) -> super::Bytes<'_> {
    match side {
        Side::Request => facts.request(),
        Side::Response => facts.response(),
        Side::Current => {
            let response = facts.response();
            if response.room > 0 {
                response
            } else {
                facts.request()
            }
        }
    }
}

/// Whether the bytes are the first line and the headers of an HTTP/1 request (RFC 9112).
fn is_http(data: &[u8]) -> Answer {
    let method = data
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'))
        .count();
    match data.get(method) {
        None => return Answer::LATER,
        Some(b' ') if method > 0 => {}
        Some(_) => {
            return Answer {
                value: Some(Value::Bool(false)),
                open: false,
            };
        }
    }
    let whole =
        data.windows(4).any(|end| end == b"\r\n\r\n") || data.windows(2).any(|end| end == b"\n\n");
    let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if data.contains(&b'\n') {
        let version = line.get(line.len().saturating_sub(9)..).unwrap_or_default();
        if !matches!(version, b" HTTP/1.0" | b" HTTP/1.1") {
            return Answer::of(Value::Bool(false));
        }
    }
    if whole {
        Answer::of(Value::Bool(true))
    } else {
        Answer::LATER
    }
}

/// RFC 9562 section 5.4.
fn uuid(high: u64, low: u64) -> Vec<u8> {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 1 << 63;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
    .into_bytes()
}
