//! `bind` lines and the words after the address, which `stats socket` shares (configuration
//! manual, section 5.1).

use std::time::Duration;

use super::Status;
use crate::address::{self, Address, Host, Port};
use crate::draft::Draft;
use crate::line::Line;
use crate::model::{Bind, BindAddr, SeverityOutput, StatsLevel, UnixRights, V6Only};
use crate::number::{self, Unit};
use crate::reader::Reader;

/// One address and port of a `bind` line may make this many listeners.
const MOST_LISTENERS: usize = 65_536;

/// What the words after an address said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    pub(crate) name: Option<String>,
    pub(crate) id: Option<u32>,
    pub(crate) maxconn: Option<u32>,
    pub(crate) backlog: Option<u32>,
    pub(crate) interface: Option<String>,
    pub(crate) transparent: bool,
    pub(crate) defer_accept: bool,
    pub(crate) tfo: bool,
    pub(crate) mss: Option<i32>,
    pub(crate) tcp_ut: Option<Duration>,
    pub(crate) rights: UnixRights,
    pub(crate) nice: i32,
    pub(crate) v6only: V6Only,
    pub(crate) level: StatsLevel,
    pub(crate) expose_fd_listeners: bool,
    pub(crate) severity_output: SeverityOutput,
}

/// Why the words cannot be used.
pub(crate) enum WordError {
    /// No such word.
    Unknown(String),
    /// A wrong value, in the original's words.
    Wrong(String),
    /// A word of HAProxy that does nothing here.
    Refused(String),
}

struct Word {
    name: &'static str,
    /// How many arguments follow.
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

const TLS: Status = Status::Refused("TLS is relayed to the servers, never ended here.");
const FULL: Status = Status::Full;

/// All words, in the order in which suggestions try them.
const WORDS: &[Word] = &[
    word(
        "accept-netscaler-cip",
        1,
        Status::Refused("only plain TCP is accepted."),
    ),
    word(
        "accept-proxy",
        0,
        Status::Refused("the PROXY protocol is not spoken."),
    ),
    word("backlog", 1, FULL),
    word("defer-accept", 0, FULL),
    word("expose-fd", 1, FULL),
    word("gid", 1, FULL),
    word("group", 1, FULL),
    word("id", 1, FULL),
    word("interface", 1, FULL),
    word("level", 1, FULL),
    word("maxconn", 1, FULL),
    word("mode", 1, FULL),
    word("mss", 1, FULL),
    word("name", 1, FULL),
    word(
        "namespace",
        1,
        Status::Refused("listeners stay in their own network namespace."),
    ),
    word("nice", 1, FULL),
    word("process", 1, Status::Accepted("every worker listens")),
    word("proto", 1, Status::Accepted("only plain TCP is relayed")),
    word("severity-output", 1, FULL),
    word(
        "shards",
        1,
        Status::Accepted("every worker has its own socket"),
    ),
    word("tcp-ut", 1, FULL),
    word("tfo", 0, FULL),
    word("thread", 1, Status::Accepted("every worker listens")),
    word("transparent", 0, FULL),
    word("uid", 1, FULL),
    word("user", 1, FULL),
    word("v4v6", 0, FULL),
    word("v6only", 0, FULL),
    word("allow-0rtt", 0, TLS),
    word("alpn", 1, TLS),
    word("ca-file", 1, TLS),
    word("ca-ignore-err", 1, TLS),
    word("ca-sign-file", 1, TLS),
    word("ca-sign-pass", 1, TLS),
    word("ca-verify-file", 1, TLS),
    word("ciphers", 1, TLS),
    word("ciphersuites", 1, TLS),
    word("crl-file", 1, TLS),
    word("crt", 1, TLS),
    word("crt-ignore-err", 1, TLS),
    word("crt-list", 1, TLS),
    word("curves", 1, TLS),
    word("ecdhe", 1, TLS),
    word("force-sslv3", 0, TLS),
    word("force-tlsv10", 0, TLS),
    word("force-tlsv11", 0, TLS),
    word("force-tlsv12", 0, TLS),
    word("force-tlsv13", 0, TLS),
    word("generate-certificates", 0, TLS),
    word("no-ca-names", 0, TLS),
    word("no-sslv3", 0, TLS),
    word("no-tls-tickets", 0, TLS),
    word("no-tlsv10", 0, TLS),
    word("no-tlsv11", 0, TLS),
    word("no-tlsv12", 0, TLS),
    word("no-tlsv13", 0, TLS),
    word("npn", 1, TLS),
    word("prefer-client-ciphers", 0, TLS),
    word("ssl", 0, TLS),
    word("ssl-max-ver", 1, TLS),
    word("ssl-min-ver", 1, TLS),
    word("strict-sni", 0, TLS),
    word("tls-ticket-keys", 1, TLS),
    word("verify", 1, TLS),
];

/// Names of all words.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|word| word.name)
}

/// Names with their status, for the documentation.
pub(crate) fn statuses() -> impl Iterator<Item = (&'static str, Status)> {
    WORDS.iter().map(|word| (word.name, word.status))
}

/// The addresses of a comma-separated list with port ranges.
pub(crate) fn addresses(reader: &Reader<'_>, list: &str) -> Result<Vec<BindAddr>, String> {
    let lookup = |name: &[u8]| reader.variable(name);
    let mut found = Vec::new();
    let list = list.strip_suffix(',').unwrap_or(list);
    for text in list.split(',') {
        match address::parse(text, address::LISTEN, reader.environment, &lookup)? {
            Address::Unix(path) => found.push(BindAddr::Unix(path)),
            Address::Abns(name) => found.push(BindAddr::Abns(name)),
            Address::Fd(fd) => found.push(BindAddr::Fd(fd)),
            Address::Inet {
                host: Host::Ip(ip),
                port: Port::Range(low, high),
            } => {
                if found.len() + usize::from(high - low) >= MOST_LISTENERS {
                    return Err(format!("too many addresses in '{text}'"));
                }
                found.extend((low..=high).map(|port| BindAddr::Inet {
                    addr: std::net::SocketAddr::new(ip, port),
                    v6only: V6Only::System,
                }));
            }
            Address::Inet { .. } => return Err(format!("invalid address: '{text}'")),
        }
    }
    Ok(found)
}

/// Reads the words of `line` from `at` on.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    line: &Line,
    mut at: usize,
    section: &str,
    words: &mut Words,
) -> Result<(), WordError> {
    while !line.arg(at).is_empty() {
        let name = line.arg(at);
        let Some(word) = WORDS.iter().find(|word| word.name == name) else {
            return Err(WordError::Unknown(name.to_owned()));
        };
        if let Status::Refused(reason) = word.status {
            return Err(WordError::Refused(format!(
                "'{name}' is not supported: {reason}"
            )));
        }
        let value = line.arg(at + 1).to_owned();
        apply(reader, words, word.name, &value)
            .map_err(|text| WordError::Wrong(format!("'{name}' : {text}")))
            .map_err(|error| match (error, word.name) {
                // These two name the value, or nothing, where the others name the word.
                (WordError::Wrong(_), "level" | "expose-fd" | "severity-output")
                    if !value.is_empty() =>
                {
                    WordError::Wrong(choice(word.name, &value))
                }
                // This one names the value instead of the word.
                (WordError::Wrong(text), "thread") => {
                    WordError::Wrong(text.replacen("'thread'", &format!("'{value}'"), 1))
                }
                (error, _) => error,
            })?;
        if word.name == "process" {
            let text = format!(
                "'{} {}' in section '{section}' : 'process {value}' on 'bind' lines is deprecated and will be removed in 2.7.",
                line.arg(0),
                line.arg(1),
            );
            reader.warn_at(line, text);
        }
        at += 1 + word.arguments;
    }
    Ok(())
}

fn choice(word: &str, value: &str) -> String {
    match word {
        "level" => {
            format!("'level' only supports 'user', 'operator', and 'admin' (got '{value}')")
        }
        "expose-fd" => format!("'expose-fd' only supports 'listeners' (got '{value}')"),
        _ => format!(
            "'severity-output' only supports 'none', 'number', and 'string' (got '{value}')"
        ),
    }
}

fn needed(value: &str, what: &str) -> Result<(), String> {
    if value.is_empty() {
        Err(what.to_owned())
    } else {
        Ok(())
    }
}

fn apply(reader: &Reader<'_>, words: &mut Words, name: &str, value: &str) -> Result<(), String> {
    match name {
        "name" => {
            needed(value, "missing name")?;
            words.name = Some(value.to_owned());
        }
        "id" => {
            needed(value, "expects an integer argument")?;
            let number = number::atol(value);
            if !value
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
            {
                return Err(format!("expects an integer argument, found '{value}'"));
            }
            words.id = Some(
                u32::try_from(number)
                    .ok()
                    .filter(|id| *id > 0)
                    .ok_or_else(|| String::from("custom id has to be > 0"))?,
            );
        }
        "maxconn" | "backlog" => {
            needed(value, "missing value")?;
            let number = number::atoi(value);
            let count = u32::try_from(number)
                .map_err(|_| format!("invalid value {number}, must be >= 0"))?;
            let slot = if name == "maxconn" {
                &mut words.maxconn
            } else {
                &mut words.backlog
            };
            *slot = (count > 0).then_some(count);
        }
        "interface" => {
            needed(value, "missing interface name")?;
            words.interface = Some(value.to_owned());
        }
        "transparent" => words.transparent = true,
        "defer-accept" => words.defer_accept = true,
        "tfo" => words.tfo = true,
        "v4v6" => words.v6only = V6Only::Off,
        "v6only" => words.v6only = V6Only::On,
        "mss" => {
            needed(value, "missing MSS value")?;
            let mss = number::atoi(value);
            if mss == 0 || mss.unsigned_abs() > 65535 {
                return Err(String::from(
                    "expects an MSS with and absolute value between 1 and 65535",
                ));
            }
            words.mss = Some(mss);
        }
        "tcp-ut" => {
            needed(value, "missing TCP User Timeout value")?;
            match number::delay(value, Unit::Milli) {
                Ok((millis, "")) => {
                    words.tcp_ut = Some(Duration::from_millis(u64::from(millis)));
                }
                _ => return Err(String::from("expects a positive delay in milliseconds")),
            }
        }
        "nice" => {
            needed(value, "missing value")?;
            let nice = number::atoi(value);
            if !(-1024..=1024).contains(&nice) {
                return Err(format!(
                    "invalid value {nice}, allowed range is -1024..1024"
                ));
            }
            words.nice = nice;
        }
        "mode" => {
            words.rights.mode = Some(u32::from_str_radix(value, 8).map_err(|_| {
                format!("missing or invalid mode '{value}' (octal integer expected)")
            })?);
        }
        "uid" | "gid" => {
            needed(value, "missing value")?;
            let id = Some(number::atoi(value).cast_unsigned());
            if name == "uid" {
                words.rights.uid = id;
            } else {
                words.rights.gid = id;
            }
        }
        "user" => {
            needed(value, "missing user name")?;
            words.rights.uid = Some(
                reader
                    .environment
                    .user_id(value)
                    .ok_or_else(|| format!("unknown user name '{value}'"))?,
            );
        }
        "group" => {
            needed(value, "missing group name")?;
            words.rights.gid = Some(
                reader
                    .environment
                    .group_id(value)
                    .ok_or_else(|| format!("unknown group name '{value}'"))?,
            );
        }
        "level" => {
            needed(value, "missing level")?;
            words.level = match value {
                "user" => StatsLevel::User,
                "operator" => StatsLevel::Operator,
                "admin" => StatsLevel::Admin,
                _ => return Err(String::new()),
            };
        }
        "expose-fd" => {
            needed(value, "missing fd type")?;
            if value != "listeners" {
                return Err(String::new());
            }
            words.expose_fd_listeners = true;
        }
        "severity-output" => {
            words.severity_output = match value {
                "none" => SeverityOutput::None,
                "number" => SeverityOutput::Number,
                "string" => SeverityOutput::String,
                _ => return Err(String::from("missing severity format")),
            };
        }
        "thread" if value.is_empty() || number::atoi(value) > 64 => {
            return Err(format!(
                "'{value}' is not a valid number/range. It supports numbers from 1 to 64."
            ));
        }
        "process" | "thread" => {
            let number = value
                .bytes()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'/'));
            if !value.is_empty() && !number && !matches!(value, "all" | "odd" | "even") {
                return Err(format!("'{value}' is not a valid number/range."));
            }
            needed(
                value,
                "'' is not a valid number/range. It supports numbers from 1 to 1.",
            )?;
        }
        "shards" => {
            needed(value, "missing value")?;
            let shards = number::atoi(value);
            if value != "by-thread" && !(1..=64).contains(&shards) {
                return Err(format!(
                    "invalid value {shards}, allowed range is 1..64 or 'by-thread'"
                ));
            }
        }
        "proto" => {
            needed(value, "missing value")?;
            if !matches!(value, "none" | "h1" | "h2" | "fcgi") {
                return Err(format!(" unknown MUX protocol '{value}'"));
            }
            if value != "none" {
                return Err(format!(
                    "'{value}' is not supported: only plain TCP is relayed."
                ));
            }
        }
        _ => {}
    }
    Ok(())
}

/// A `bind` line.
pub(crate) fn bind(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "bind", true, "");
    let text = line.arg(1).to_owned();
    if text.is_empty() {
        reader.fatal_at(
            line,
            "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.",
        );
        return;
    }
    let section = crate::section::section_word(draft.kind);
    let found = match addresses(reader, &text) {
        Ok(found) => found,
        Err(error) => {
            reader.fatal_at(line, format!("'bind' : {}", error.trim_end()));
            return;
        }
    };
    let mut words = Words::default();
    let result = read(reader, line, 2, section, &mut words);
    let place = format!("'bind {text}' in section '{section}'");
    match result {
        Ok(()) => {}
        Err(WordError::Unknown(word)) => {
            let hint = crate::suggest::bind(&word).map_or_else(
                || String::from("."),
                |near| format!("; did you mean '{near}' maybe ?"),
            );
            reader.fatal_at(line, format!("{place}: unknown keyword '{word}'{hint}"));
            return;
        }
        Err(WordError::Wrong(error) | WordError::Refused(error)) => {
            reader.fatal_at(line, format!("{place} : {error}"));
            return;
        }
    }
    if let Some(id) = words.id {
        let clash = draft
            .binds
            .iter()
            .zip(&draft.bind_ids)
            .find(|(bind, forced)| **forced && bind.id == id)
            .map(|(bind, _)| {
                format!(
                    "{place} : 'id' : custom id {id} already used at {}:{} ('bind {}')",
                    bind.place.file, bind.place.line, bind.text
                )
            });
        if let Some(clash) = clash {
            reader.fatal_at(line, clash);
            return;
        }
    }
    for addr in found {
        let addr = match addr {
            BindAddr::Inet { addr, .. } => BindAddr::Inet {
                addr,
                v6only: words.v6only,
            },
            other => other,
        };
        draft.binds.push(Bind {
            addr,
            name: words.name.clone(),
            id: words.id.unwrap_or(0),
            maxconn: words.maxconn,
            backlog: words.backlog,
            interface: words.interface.clone(),
            transparent: words.transparent,
            defer_accept: words.defer_accept,
            tfo: words.tfo,
            mss: words.mss,
            tcp_ut: words.tcp_ut,
            rights: words.rights,
            nice: words.nice,
            text: text.clone(),
            place: line.place.clone(),
        });
        // A range takes one id for its first listener only.
        draft.bind_ids.push(words.id.take().is_some());
    }
}
