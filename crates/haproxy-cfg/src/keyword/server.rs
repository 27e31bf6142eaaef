//! `server`, `default-server` and `server-template` lines (configuration manual, section 5.2).

use std::time::Duration;

use super::Status;
use crate::address::{self, Address, Host, Port};
use crate::draft::{Draft, ServerDraft, ServerSettings};
use crate::line::Line;
use crate::model::{Server, ServerAddr, ServerPort};
use crate::number::{self, DelayError, Unit};
use crate::reader::Reader;

/// The most servers that one `server-template` line makes.
const MOST_TEMPLATES: i64 = 65_536;

struct Word {
    name: &'static str,
    arguments: usize,
    status: Status,
}

const fn word(name: &'static str, arguments: usize, status: Status) -> Word {
    Word {
        name,
        arguments,
        status,
    }
}

const FULL: Status = Status::Full;
const TLS: Status = Status::Refused("servers are spoken to in plain TCP.");
const HTTP: Status = Status::Accepted("it is for HTTP only");
const AGENT: Status = Status::Refused("agent checks are not done.");
const SEND_PROXY: Status = Status::Refused("the PROXY protocol is not spoken.");
const OBSERVE: Status = Status::Refused("traffic is not observed for health.");
const STICK: Status = Status::Accepted("there are no stick tables");
const RESOLVE: Status = Status::Refused("names are looked up once, at start.");

/// All words, in the order in which suggestions try them.
const WORDS: &[Word] = &[
    word("addr", 1, FULL),
    word("agent-addr", 1, AGENT),
    word("agent-check", 0, AGENT),
    word("agent-inter", 1, AGENT),
    word("agent-port", 1, AGENT),
    word("agent-send", 1, AGENT),
    word("allow-0rtt", 0, TLS),
    word("alpn", 1, TLS),
    word("backup", 0, FULL),
    word("ca-file", 1, TLS),
    word("check", 0, FULL),
    word("check-alpn", 1, TLS),
    word("check-proto", 1, TLS),
    word("check-send-proxy", 0, SEND_PROXY),
    word("check-sni", 1, TLS),
    word("check-ssl", 0, TLS),
    word(
        "check-via-socks4",
        0,
        Status::Refused("SOCKS is not spoken."),
    ),
    word("ciphers", 1, TLS),
    word("ciphersuites", 1, TLS),
    word("cookie", 1, HTTP),
    word("crl-file", 1, TLS),
    word("crt", 1, TLS),
    word("disabled", 0, FULL),
    word("downinter", 1, FULL),
    word("enabled", 0, FULL),
    word("error-limit", 1, OBSERVE),
    word("fall", 1, FULL),
    word("fastinter", 1, FULL),
    word("force-sslv3", 0, TLS),
    word("force-tlsv10", 0, TLS),
    word("force-tlsv11", 0, TLS),
    word("force-tlsv12", 0, TLS),
    word("force-tlsv13", 0, TLS),
    word("id", 1, FULL),
    word("init-addr", 1, FULL),
    word("inter", 1, FULL),
    word(
        "log-proto",
        1,
        Status::Accepted("servers are no log targets"),
    ),
    word("max-reuse", 1, HTTP),
    word("maxconn", 1, FULL),
    word("maxqueue", 1, FULL),
    word("minconn", 1, FULL),
    word(
        "namespace",
        1,
        Status::Refused("connections stay in their own network namespace."),
    ),
    word(
        "no-agent-check",
        0,
        Status::Accepted("agent checks are not done"),
    ),
    word("no-backup", 0, FULL),
    word("no-check", 0, FULL),
    word(
        "no-check-send-proxy",
        0,
        Status::Accepted("the PROXY protocol is not spoken"),
    ),
    word(
        "no-check-ssl",
        0,
        Status::Accepted("checks speak plain TCP"),
    ),
    word(
        "no-send-proxy",
        0,
        Status::Accepted("the PROXY protocol is not spoken"),
    ),
    word(
        "no-send-proxy-v2",
        0,
        Status::Accepted("the PROXY protocol is not spoken"),
    ),
    word(
        "no-send-proxy-v2-ssl",
        0,
        Status::Accepted("the PROXY protocol is not spoken"),
    ),
    word(
        "no-send-proxy-v2-ssl-cn",
        0,
        Status::Accepted("the PROXY protocol is not spoken"),
    ),
    word(
        "no-ssl",
        0,
        Status::Accepted("servers are spoken to in plain TCP"),
    ),
    word(
        "no-ssl-reuse",
        0,
        Status::Accepted("servers are spoken to in plain TCP"),
    ),
    word(
        "no-sslv3",
        0,
        Status::Accepted("servers are spoken to in plain TCP"),
    ),
    word(
        "no-tfo",
        0,
        Status::Accepted("fast open is not used towards servers"),
    ),
    word(
        "no-tls-tickets",
        0,
        Status::Accepted("servers are spoken to in plain TCP"),
    ),
    word(
        "no-tlsv10",
        0,
        Status::Accepted("servers are spoken to in plain TCP"),
    ),
    word(
        "no-tlsv11",
        0,
        Status::Accepted("servers are spoken to in plain TCP"),
    ),
    word(
        "no-tlsv12",
        0,
        Status::Accepted("servers are spoken to in plain TCP"),
    ),
    word(
        "no-tlsv13",
        0,
        Status::Accepted("servers are spoken to in plain TCP"),
    ),
    word("non-stick", 0, STICK),
    word("npn", 1, TLS),
    word("observe", 1, OBSERVE),
    word("on-error", 1, OBSERVE),
    word("on-marked-down", 1, FULL),
    word("on-marked-up", 1, FULL),
    word("pool-low-conn", 1, HTTP),
    word("pool-max-conn", 1, HTTP),
    word("pool-purge-delay", 1, HTTP),
    word("port", 1, FULL),
    word("proto", 1, HTTP),
    word("proxy-v2-options", 1, SEND_PROXY),
    word("redir", 1, HTTP),
    word("resolve-net", 1, RESOLVE),
    word("resolve-opts", 1, RESOLVE),
    word("resolve-prefer", 1, RESOLVE),
    word("resolvers", 1, RESOLVE),
    word("rise", 1, FULL),
    word("send-proxy", 0, SEND_PROXY),
    word("send-proxy-v2", 0, SEND_PROXY),
    word("send-proxy-v2-ssl", 0, SEND_PROXY),
    word("send-proxy-v2-ssl-cn", 0, SEND_PROXY),
    word("slowstart", 1, FULL),
    word("sni", 1, TLS),
    word("socks4", 1, Status::Refused("SOCKS is not spoken.")),
    word(
        "source",
        1,
        Status::Refused("the source address is left to the kernel."),
    ),
    word("ssl", 0, TLS),
    word("ssl-max-ver", 1, TLS),
    word("ssl-min-ver", 1, TLS),
    word("ssl-reuse", 0, TLS),
    word("stick", 0, STICK),
    word("tcp-ut", 1, FULL),
    word(
        "tfo",
        0,
        Status::Refused("fast open is not used towards servers."),
    ),
    word("tls-tickets", 0, TLS),
    word(
        "track",
        1,
        Status::Refused("each server is checked by itself."),
    ),
    word(
        "usesrc",
        1,
        Status::Refused("the source address is left to the kernel."),
    ),
    word(
        "verify",
        1,
        Status::Accepted("servers are spoken to in plain TCP"),
    ),
    word(
        "verifyhost",
        1,
        Status::Accepted("servers are spoken to in plain TCP"),
    ),
    word("weight", 1, FULL),
    word("ws", 1, HTTP),
];

/// Names of all words.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|word| word.name)
}

/// Names with their status, for the documentation.
pub(crate) fn statuses() -> impl Iterator<Item = (&'static str, Status)> {
    WORDS.iter().map(|word| (word.name, word.status))
}

/// A `server` line.
pub(crate) fn server(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if refused_in_frontend(reader, draft, line) {
        return;
    }
    let (name, written) = (line.arg(1).to_owned(), line.arg(2).to_owned());
    if name.is_empty() || written.is_empty() {
        reader.fatal(format!(
            "[{}] : 'server' expects <name> and <addr>[:<port>] as arguments.",
            line.at()
        ));
        return;
    }
    if let Some(wrong) = crate::section::bad_name_byte(&name) {
        reader.fatal(format!(
            "[{}] : character '{wrong}' is not permitted in server name '{name}'.",
            line.at()
        ));
        return;
    }
    add(reader, draft, line, &name, 3, &written, true);
}

/// A `default-server` line.
pub(crate) fn default_server(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if refused_in_frontend(reader, draft, line) {
        return;
    }
    let mut settings = draft.settings.default_server.clone();
    let before = format!("[{}] : ", line.at());
    let mut id = None;
    if words(reader, line, 1, &before, None, &mut settings, &mut id) {
        draft.settings.default_server = settings;
    }
}

/// A `server-template` line.
pub(crate) fn server_template(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if refused_in_frontend(reader, draft, line) {
        return;
    }
    let (prefix, range, written) = (
        line.arg(1).to_owned(),
        line.arg(2).to_owned(),
        line.arg(3).to_owned(),
    );
    if prefix.is_empty() || range.is_empty() || written.is_empty() {
        reader.fatal(format!(
            "[{}] : 'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments.",
            line.at()
        ));
        return;
    }
    let (low, high) = match range.split_once('-') {
        Some((low, high)) => (number::atol(low), number::atol(high)),
        None => (1, number::atol(&range)),
    };
    if low < 1 || high < low || high - low >= MOST_TEMPLATES {
        reader.fatal(format!(
            "[{}] : Wrong server-template number or range arg '{range}'.",
            line.at()
        ));
        return;
    }
    for number in low..=high {
        if !add(
            reader,
            draft,
            line,
            &format!("{prefix}{number}"),
            4,
            &written,
            number == low,
        ) {
            return;
        }
    }
}

fn refused_in_frontend(reader: &mut Reader<'_>, draft: &Draft, line: &Line) -> bool {
    if draft.has_backend() {
        return false;
    }
    let at = line.at();
    reader.fatal(format!(
        "[{at}] : parsing [{at}] : '{}' not allowed because {} '{}' has no backend capability.",
        line.arg(0),
        draft.word(),
        draft.name
    ));
    true
}

/// Reads address and words of one server and adds it; false if it is wrong.
fn add(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    name: &str,
    at: usize,
    written: &str,
    // For templates: only the first takes the `id` written.
    takes_id: bool,
) -> bool {
    let before = format!("[{}] : 'server {}/{name}' : ", line.at(), draft.name);
    let lookup = |name: &[u8]| reader.variable(name);
    let parsed = address::parse(written, address::SERVER, reader.environment, &lookup);
    let (addr, host) = match parsed {
        Ok(Address::Unix(path)) => (ServerAddr::Unix(path), None),
        Ok(Address::Abns(name)) => (ServerAddr::Abns(name), None),
        Ok(Address::Inet { host, port }) => {
            let port = match port {
                Port::Range(port, _) => ServerPort::Fixed(port),
                Port::Offset(offset) => ServerPort::Offset(offset),
            };
            match host {
                Host::Ip(ip) => (ServerAddr::Inet { ip, port }, None),
                Host::Name(name) => {
                    let ip = std::net::Ipv4Addr::UNSPECIFIED.into();
                    (ServerAddr::Inet { ip, port }, Some(name))
                }
            }
        }
        Ok(Address::Fd(_)) => return false,
        Err(error) => {
            reader.fatal(format!("{before}{error}"));
            return false;
        }
    };
    let mut settings = draft.settings.default_server.clone();
    let mut id = None;
    if !words(
        reader,
        line,
        at,
        &before,
        Some(name),
        &mut settings,
        &mut id,
    ) {
        return false;
    }
    if !takes_id {
        id = None;
    }
    if let Some(id) = id {
        let clash = draft
            .servers
            .iter()
            .map(|other| &other.server)
            .find(|other| other.id_forced && other.id == id)
            .map(|other| {
                format!(
                    "{before}'id' : custom id {id} already used at {}:{} ('server {}').",
                    other.place.file, other.place.line, other.name
                )
            });
        if let Some(clash) = clash {
            reader.fatal(clash);
            return false;
        }
    }
    draft.servers.push(ServerDraft {
        server: Server {
            name: name.to_owned(),
            id: id.unwrap_or(0),
            id_forced: id.is_some(),
            addr,
            fqdn: host.clone(),
            weight: settings.weight,
            backup: settings.backup,
            disabled: settings.disabled,
            maxconn: settings.maxconn,
            minconn: settings.minconn,
            maxqueue: settings.maxqueue,
            check: None,
            slowstart: (settings.slowstart > 0)
                .then(|| Duration::from_millis(u64::from(settings.slowstart))),
            shutdown_on_down: settings.shutdown_on_down,
            shutdown_backup_on_up: settings.shutdown_backup_on_up,
            tcp_ut: settings
                .tcp_ut
                .map(|ms| Duration::from_millis(u64::from(ms))),
            place: line.place.clone(),
        },
        host,
        settings,
    });
    true
}

/// Reads the words of `line` from `at` on; `name` is `None` for `default-server`.
fn words(
    reader: &mut Reader<'_>,
    line: &Line,
    mut at: usize,
    before: &str,
    name: Option<&str>,
    settings: &mut ServerSettings,
    id: &mut Option<u32>,
) -> bool {
    while !line.arg(at).is_empty() {
        let found = line.arg(at).to_owned();
        let Some(word) = WORDS.iter().find(|word| word.name == found) else {
            let near = crate::suggest::server(&found);
            let text = match (near, name) {
                (Some(near), Some(_)) => {
                    format!("unknown keyword '{found}'; did you mean '{near}' maybe ?")
                }
                (Some(near), None) => format!(
                    "unknown keyword '{found}'; did you mean '{near}' maybe ? Hint: no address was expected for this server."
                ),
                (None, Some(_)) => format!("unknown keyword '{found}'."),
                (None, None) => format!(
                    "unknown keyword '{found}'. Hint: no address was expected for this server."
                ),
            };
            reader.fatal(format!("{before}{text}"));
            return false;
        };
        if let Status::Refused(reason) = word.status {
            reader.fatal(format!("{before}'{found}' is not supported: {reason}"));
            return false;
        }
        if word.name == "id" && name.is_none() {
            reader.alert(format!(
                "{before}'id' option is not accepted in default-server sections"
            ));
            at += 2;
            continue;
        }
        let value = line.arg(at + 1).to_owned();
        let owner = name.unwrap_or("default-server");
        if let Err(error) = apply(reader, word.name, &value, owner, before, settings, id) {
            // The original adds a full stop to texts of its handlers.
            reader.fatal(format!("{before}{error}."));
            return false;
        }
        at += 1 + word.arguments;
    }
    true
}

fn delay(
    reader: &mut Reader<'_>,
    word: &str,
    value: &str,
    owner: &str,
    before: &str,
) -> Result<u32, String> {
    let shown = if word == "slowstart" {
        "slowstart"
    } else {
        "agent-inter"
    };
    match number::delay(value, Unit::Milli) {
        Ok((millis, rest)) => {
            super::timeout::trailing(reader, before, value, rest);
            Ok(millis)
        }
        Err(DelayError::Overflow) => Err(format!(
            "timer overflow in argument <{value}> to <{word}> of server {owner}, maximum value is 2147483647 ms (~24.8 days)."
        )),
        Err(DelayError::Unexpected(wrong)) if wrong.is_empty() => {
            Err(String::from("unexpected character '"))
        }
        Err(DelayError::Unexpected(wrong)) => Err(format!(
            "unexpected character '{wrong}' in '{shown}' argument of server {owner}."
        )),
    }
}

fn apply(
    reader: &mut Reader<'_>,
    word: &str,
    value: &str,
    owner: &str,
    before: &str,
    settings: &mut ServerSettings,
    id: &mut Option<u32>,
) -> Result<(), String> {
    let missing = |what: &str| -> Result<(), String> {
        if value.is_empty() {
            Err(format!("'{word}' expects {what}"))
        } else {
            Ok(())
        }
    };
    match word {
        "check" => settings.check = true,
        "no-check" => settings.check = false,
        "backup" => settings.backup = true,
        "no-backup" => settings.backup = false,
        "disabled" => settings.disabled = true,
        "enabled" => settings.disabled = false,
        "inter" | "fastinter" | "downinter" => {
            missing("a delay as argument.")?;
            let millis = delay(reader, word, value, owner, before)?;
            if millis == 0 {
                return Err(format!(
                    "invalid value 0 for argument '{word}' of server {owner}."
                ));
            }
            match word {
                "inter" => settings.inter = millis,
                "fastinter" => settings.fastinter = Some(millis),
                _ => settings.downinter = Some(millis),
            }
        }
        "rise" | "fall" => {
            missing("an integer argument.")?;
            let count = number::count(value);
            if count == 0 {
                return Err(format!("'{word}' has to be > 0."));
            }
            if word == "rise" {
                settings.rise = count;
            } else {
                settings.fall = count;
            }
        }
        "port" => {
            missing("a port number as argument.")?;
            let port = u16::try_from(number::atoi(value) & 0xffff).unwrap_or(0);
            settings.check_port = (port > 0).then_some(port);
        }
        "addr" => {
            missing("<ipv4|ipv6> as argument.")?;
            let lookup = |name: &[u8]| reader.variable(name);
            let parsed = address::parse(value, address::CHECK, reader.environment, &lookup)
                .map_err(|error| format!("'addr' : {}", error.trim_end()))?;
            let Address::Inet {
                host: Host::Ip(ip),
                port,
            } = parsed
            else {
                return Err(format!(
                    "'addr {value}' is not supported: only IP addresses are checked"
                ));
            };
            settings.check_addr = Some(ip);
            if let Port::Range(port, _) = port
                && port > 0
            {
                settings.check_port = Some(port);
            }
        }
        "weight" => {
            let weight = number::atoi(value);
            settings.weight = u32::try_from(weight)
                .ok()
                .filter(|weight| *weight <= 256)
                .ok_or_else(|| {
                    format!("weight of server {owner} is not within 0 and 256 ({weight}).")
                })?;
        }
        "maxconn" => settings.maxconn = number::count(value),
        "minconn" => settings.minconn = number::count(value),
        "maxqueue" => settings.maxqueue = number::count(value),
        "slowstart" => {
            // Less than a second counts as seconds, as in the original.
            let millis = delay(reader, word, value, owner, before)?;
            settings.slowstart = millis.div_ceil(1000) * 1000;
        }
        "on-marked-down" => match value {
            "shutdown-sessions" => settings.shutdown_on_down = true,
            _ => {
                return Err(format!(
                    "'on-marked-down' expects 'shutdown-sessions' but got '{value}'"
                ));
            }
        },
        "on-marked-up" => match value {
            "shutdown-backup-sessions" => settings.shutdown_backup_on_up = true,
            _ => {
                return Err(format!(
                    "'on-marked-up' expects 'shutdown-backup-sessions' but got '{value}'"
                ));
            }
        },
        "id" => {
            if value.is_empty() {
                return Err(String::from("'id' : expects an integer argument"));
            }
            match number::count(value) {
                0 => return Err(String::from("'id' : custom id has to be > 0")),
                count => *id = Some(count),
            }
        }
        "tcp-ut" => {
            if value.is_empty() {
                return Err(String::from("'tcp-ut' : missing TCP User Timeout value"));
            }
            match number::delay(value, Unit::Milli) {
                Ok((millis, "")) => settings.tcp_ut = Some(millis),
                _ => {
                    return Err(String::from(
                        "'tcp-ut' : expects a positive delay in milliseconds",
                    ));
                }
            }
        }
        "init-addr" => {
            let methods: Vec<String> = value
                .split(',')
                .filter(|m| !m.is_empty())
                .map(str::to_owned)
                .collect();
            for method in &methods {
                let ip = method.parse::<std::net::IpAddr>().is_ok();
                if !ip && !matches!(method.as_str(), "libc" | "last" | "none") {
                    return Err(format!(
                        "'init-addr' : unknown init-addr method '{method}', supported methods are 'libc', 'last', 'none'."
                    ));
                }
            }
            settings.init_addr = (!methods.is_empty()).then_some(methods);
        }
        "cookie" => {
            missing("<value> as argument.")?;
            settings.cookie = true;
        }
        "redir" => {
            missing("<prefix> as argument.")?;
            settings.redir = true;
        }
        "proto" if value != "none" => {
            return Err(format!(
                "'proto {value}' is not supported: only plain TCP is relayed"
            ));
        }
        "verify" => match value {
            "none" | "required" => {}
            "" => return Err(String::from("'verify' : missing verify method")),
            _ => {
                return Err(format!(
                    "'verify' : unknown verify method '{value}', only 'none' and 'required' are supported"
                ));
            }
        },
        _ => {}
    }
    Ok(())
}
