//! From sections as read to the model: what can only be said once all files are read, in the
//! original's order.

use std::net::IpAddr;
use std::time::Duration;

use crate::draft::{Draft, Kind, LogLine, ServerDraft};
use crate::keyword::{option, rules};
use crate::model::{
    Check, Config, ConnectionLog, Global, Mode, Proxy, ProxyKind, ProxyLog, ServerAddr,
};
use crate::reader::Reader;

const MISSING_TIMEOUTS: &str = "   | While not properly invalid, you will certainly encounter various problems\n   | with such a configuration. To fix this, please ensure that all following\n   | timeouts are set to a non-zero value: 'client', 'connect', 'server'.";

/// Settles everything; `None` if something is fatal.
pub(crate) fn resolve(reader: &mut Reader<'_>) -> Option<Config> {
    let mut drafts = std::mem::take(&mut reader.proxies);
    global(reader);
    let targets: Vec<Option<usize>> = (0..drafts.len())
        .map(|index| {
            if drafts
                .get(index)
                .is_some_and(|draft| draft.settings.disabled)
            {
                return None;
            }
            if let Some(draft) = drafts.get(index)
                && draft.has_frontend()
                && draft.binds.is_empty()
            {
                reader.warn(format!(
                    "{} '{}' has no 'bind' directive. Please declare it as a backend if this was intended.",
                    draft.word(),
                    draft.name
                ));
            }
            let target = target(reader, &drafts, index);
            let rules = rules::resolve(reader, &drafts, index);
            if let Some(draft) = drafts.get_mut(index) {
                draft.settings.rules.rules = rules;
                check(reader, draft);
            }
            target
        })
        .collect();
    if reader.fatal {
        return None;
    }
    addresses(reader, &mut drafts);
    if reader.fatal {
        return None;
    }
    let taken: Vec<u32> = drafts.iter().filter_map(|draft| draft.id).collect();
    let mut next = 2;
    let proxy_maxconn = reader.args.proxy_maxconn.filter(|count| *count > 0);
    let proxies = drafts
        .into_iter()
        .zip(targets)
        .filter_map(|(mut draft, target)| {
            let id = draft.id.unwrap_or_else(|| free_id(&taken, &mut next));
            draft.settings.maxconn = draft.settings.maxconn.or(proxy_maxconn);
            proxy(draft, target, id)
        })
        .collect();
    Some(Config {
        global: std::mem::take(&mut reader.global),
        proxies,
    })
}

/// The next number from `next` on that is not taken.
fn free_id(taken: &[u32], next: &mut u32) -> u32 {
    while taken.contains(next) {
        *next += 1;
    }
    let id = *next;
    *next += 1;
    id
}

fn global(reader: &mut Reader<'_>) {
    let number = |name: &str| reader.numbers.get(name).copied();
    let positive = |name: &str| {
        number(name)
            .and_then(|value| u32::try_from(value).ok())
            .filter(|value| *value > 0)
    };
    let changed: Vec<_> = {
        use std::os::unix::ffi::OsStringExt;
        let to_os = |bytes: &Vec<u8>| std::ffi::OsString::from_vec(bytes.clone());
        let set = reader
            .variables
            .iter()
            .filter(|(name, value)| reader.initial_variables.get(*name) != Some(*value))
            .map(|(name, value)| (to_os(name), Some(to_os(value))));
        let removed = reader
            .initial_variables
            .keys()
            .filter(|name| !reader.variables.contains_key(*name))
            .map(|name| (to_os(name), None));
        set.chain(removed).collect()
    };
    let mut global = Global {
        maxconn: positive("maxconn"),
        maxconnrate: positive("maxconnrate").unwrap_or(0),
        maxsessrate: positive("maxsessrate").unwrap_or(0),
        maxpipes: number("maxpipes")
            .filter(|count| *count != 0)
            .map(|count| u32::try_from(count.max(0)).unwrap_or(u32::MAX)),
        ulimit_n: positive("ulimit-n"),
        fd_hard_limit: positive("fd-hard-limit"),
        env: changed,
        ..std::mem::take(&mut reader.global)
    };
    let tune = &mut global.tune;
    tune.bufsize = positive("tune.bufsize");
    tune.pipesize = positive("tune.pipesize");
    tune.maxaccept = number("tune.maxaccept")
        .map(|value| i32::try_from(value).unwrap_or(-1))
        .filter(|value| *value != 0);
    tune.maxpollevents = positive("tune.maxpollevents");
    tune.rcvbuf_client = positive("tune.rcvbuf.client");
    tune.rcvbuf_server = positive("tune.rcvbuf.server");
    tune.sndbuf_client = positive("tune.sndbuf.client");
    tune.sndbuf_server = positive("tune.sndbuf.server");
    if let Some(name) = &reader.args.localpeer {
        global.localpeer = Some(name.to_string_lossy().into_owned());
    }
    reader.global = global;
    let state = reader.global.server_state_file.clone();
    if let Some(path) = state {
        let path = match (&reader.global.server_state_base, path.is_relative()) {
            (Some(base), true) => base.join(path),
            _ => path,
        };
        if let Err(error) = reader.environment.read(&path) {
            let text = crate::env::reason(&error);
            reader.warn(format!(
                "config: Can't open global server state file '{}': {text}",
                path.display()
            ));
        }
    }
}

/// The backend of a frontend.
fn target(reader: &mut Reader<'_>, drafts: &[Draft], index: usize) -> Option<usize> {
    let draft = drafts.get(index)?;
    let name = draft.settings.default_backend.as_ref()?;
    named_backend(reader, drafts, index, name, "default_backend")
}

/// The backend that a rule of a frontend names.
pub(crate) fn named_backend(
    reader: &mut Reader<'_>,
    drafts: &[Draft],
    index: usize,
    name: &str,
    rule: &str,
) -> Option<usize> {
    let draft = drafts.get(index)?;
    let found = drafts
        .iter()
        .position(|other| other.has_backend() && other.name == *name);
    let text = match found {
        Some(found) if found == index => {
            format!(
                "Proxy '{}': loop detected for {rule}: '{name}'.",
                draft.name
            )
        }
        None => format!(
            "Proxy '{}': unable to find required {rule}: '{name}'.",
            draft.name
        ),
        Some(found) => {
            let other = drafts.get(found)?;
            if draft.settings.mode == Mode::Http && other.settings.mode == Mode::Tcp {
                format!(
                    "http {} '{}' ({}:{}) tries to use incompatible tcp {} '{}' ({}:{}) {} (see 'mode').",
                    draft.word(),
                    draft.name,
                    draft.place.file,
                    draft.place.line,
                    other.word(),
                    other.name,
                    other.place.file,
                    other.place.line,
                    if rule == "use_backend" {
                        "in a 'use_backend' rule"
                    } else {
                        "as its default backend"
                    }
                )
            } else {
                return Some(found);
            }
        }
    };
    reader.fatal(text);
    None
}

/// What one proxy is warned of or refused for.
fn check(reader: &mut Reader<'_>, draft: &mut Draft) {
    let (word, name) = (draft.word(), draft.name.clone());
    let tcp = draft.settings.mode == Mode::Tcp;
    let (front, back) = (draft.has_frontend(), draft.has_backend());
    let http = |draft: &Draft, key: &str| draft.settings.http.get(key).copied().unwrap_or(false);
    if tcp {
        if http(draft, "cookie") {
            reader.warn(format!(
                "cookie will be ignored for {word} '{name}' (needs 'mode http')."
            ));
        }
        if http(draft, "monitor-uri") {
            reader.warn(format!(
                "monitor-uri will be ignored for {word} '{name}' (needs 'mode http')."
            ));
        }
        if draft.settings.layer7_balance {
            reader.warn(format!("Layer 7 hash not possible for {word} '{name}' (needs 'mode http'). Falling back to round robin."));
        }
        if let LogLine::Http(option, place) = &draft.settings.log_line {
            reader.warn(format!(
                    "parsing [{}:{}] : 'option {option}' not usable with {word} '{name}' (needs 'mode http'). Falling back to 'option tcplog'.",
                    place.file, place.line
                ));
            draft.settings.log_line = LogLine::Tcp;
        }
    } else if !draft.broken {
        reader.fatal(format!(
            "parsing [{}:{}] : {word} '{name}': 'mode http' is not supported: only TCP is relayed, use 'mode tcp'.",
            draft.place.file, draft.place.line
        ));
    }
    let timeouts = &draft.settings.timeouts;
    let server_side = back && !draft.servers.is_empty();
    if (front && timeouts.client.is_none())
        || (server_side && (timeouts.connect.is_none() || timeouts.server.is_none()))
    {
        reader.warn(format!(
            "missing timeouts for {word} '{name}'.\n{MISSING_TIMEOUTS}"
        ));
    }
    if draft.settings.http_check_rules {
        reader.warn(format!("{word} '{name}' uses http-check rules without 'option httpchk', so the rules are ignored."));
    }
    if front && draft.settings.log_line != LogLine::None && draft.settings.log.is_empty() {
        reader.warn(format!(
            "log format ignored for {word} '{name}' since it has no log address."
        ));
    }
    if tcp {
        for (key, what) in [
            ("stats", "statement"),
            ("capture", "statement"),
            ("http-request", "rules"),
            ("http-response", "rules"),
            ("http-after-response", "rules"),
            ("redirect", "rules"),
        ] {
            if http(draft, key) {
                let (verb, it) = if what == "rules" {
                    ("require", "they")
                } else {
                    ("requires", "it")
                };
                reader.warn(format!(
                    "'{key}' {what} ignored for {word} '{name}' as {it} {verb} HTTP mode."
                ));
            }
        }
        let forwarded = [("forwardfor", true, true), ("originalto", true, true)];
        for (option, on_front, on_back) in forwarded.into_iter().chain(option::warned()) {
            if http(draft, option) && ((front && on_front) || (back && on_back)) {
                reader.warn(format!(
                    "'option {option}' ignored for {word} '{name}' as it requires HTTP mode."
                ));
            }
        }
    }
    servers(reader, draft);
}

fn servers(reader: &mut Reader<'_>, draft: &mut Draft) {
    let (word, proxy) = (draft.word(), draft.name.clone());
    for (index, server) in draft.servers.iter().enumerate() {
        let earlier = draft.servers.get(..index).unwrap_or_default();
        let name = &server.server.name;
        if let Some(other) = earlier.iter().find(|other| other.server.name == *name) {
            let place = &server.server.place;
            reader.fatal(format!(
                "parsing [{}:{}] : {word} '{proxy}', another server named '{name}' was already defined at line {}, please use distinct names.",
                place.file, place.line, other.server.place.line
            ));
        }
    }
    for server in &draft.servers {
        let name = &server.server.name;
        if draft.settings.mode == Mode::Tcp {
            if server.settings.redir {
                reader.fatal(format!("{word} '{proxy}' : server cannot have cookie or redirect prefix in non-HTTP mode."));
            } else if server.settings.cookie {
                reader.warn(format!("{word} '{proxy}' : ignoring cookie for server '{name}' as HTTP mode is disabled."));
            }
        }
    }
    for server in &draft.servers {
        if server.settings.check && !server.has_port() && server.settings.check_port.is_none() {
            reader.fatal(format!(
                "config: {word} '{proxy}': server '{}' has neither service port nor check port.",
                server.server.name
            ));
        }
    }
}

/// Looks names of servers up.
fn addresses(reader: &mut Reader<'_>, drafts: &mut [Draft]) {
    let mut failed = false;
    for draft in drafts.iter_mut().filter(|draft| !draft.settings.disabled) {
        let proxy = draft.name.clone();
        for server in &mut draft.servers {
            let Some(host) = server.host.clone() else {
                continue;
            };
            match lookup(reader, server, &host) {
                Ok(Found::Address(found)) => {
                    if let ServerAddr::Inet { ip, .. } = &mut server.server.addr {
                        *ip = found;
                    }
                }
                Ok(Found::NotAsked) => server.server.disabled = true,
                Ok(Found::Nothing) => {
                    server.server.disabled = true;
                    let place = &server.server.place;
                    reader.warn(format!(
                        "[{}:{}] : 'server {proxy}/{}' : could not resolve address '{host}', disabling server.",
                        place.file, place.line, server.server.name
                    ));
                }
                Err(what) => {
                    let place = &server.server.place;
                    reader.alert(format!(
                        "[{}:{}] : 'server {proxy}/{}' : {what} '{host}'.",
                        place.file, place.line, server.server.name
                    ));
                    failed = true;
                }
            }
        }
    }
    if failed {
        reader.fatal("Failed to initialize server(s) addr.");
        reader.address_failed = true;
    }
}

/// What a look-up that is no error gives.
enum Found {
    Address(IpAddr),
    /// The server starts without one, and nobody was asked.
    NotAsked,
    /// The server starts without one, since the name is unknown.
    Nothing,
}

/// The address of a server's name, by the methods of `init-addr` in their order.
fn lookup(reader: &Reader<'_>, server: &ServerDraft, host: &str) -> Result<Found, &'static str> {
    let usual = [String::from("last"), String::from("libc")];
    let methods = server.settings.init_addr.as_deref().unwrap_or(&usual);
    let mut asked = false;
    for method in methods {
        match method.as_str() {
            "libc" => match reader.environment.resolve(host).first() {
                Some(ip) => return Ok(Found::Address(*ip)),
                None => asked = true,
            },
            "none" if asked => return Ok(Found::Nothing),
            "none" => return Ok(Found::NotAsked),
            "last" => {}
            ip => {
                if let Ok(ip) = ip.parse() {
                    return Ok(Found::Address(ip));
                }
            }
        }
    }
    match (asked, reader.args.tolerate_unresolved) {
        (true, true) => Ok(Found::Nothing),
        (false, true) => Ok(Found::NotAsked),
        (true, false) => Err("could not resolve address"),
        (false, false) => Err("no method found to resolve address"),
    }
}

fn proxy(draft: Draft, target: Option<usize>, id: u32) -> Option<Proxy> {
    let Kind::Proxy(kind) = draft.kind else {
        return None;
    };
    let settings = draft.settings;
    let taken: Vec<u32> = draft
        .binds
        .iter()
        .zip(&draft.bind_ids)
        .filter(|(_, forced)| **forced)
        .map(|(bind, _)| bind.id)
        .collect();
    let mut next = 1;
    let mut binds = draft.binds;
    for (bind, forced) in binds.iter_mut().zip(&draft.bind_ids) {
        if !forced {
            bind.id = free_id(&taken, &mut next);
        }
    }
    let taken: Vec<u32> = draft
        .servers
        .iter()
        .filter(|server| server.server.id_forced)
        .map(|server| server.server.id)
        .collect();
    let mut next = 1;
    let servers = draft
        .servers
        .into_iter()
        .map(|draft| {
            let settings = draft.settings;
            let mut server = draft.server;
            if !server.id_forced {
                server.id = free_id(&taken, &mut next);
            }
            let millis = |ms: u32| Duration::from_millis(u64::from(ms));
            server.check = settings.check.then(|| Check {
                inter: millis(settings.inter),
                fastinter: settings.fastinter.map(millis),
                downinter: settings.downinter.map(millis),
                rise: settings.rise,
                fall: settings.fall,
                addr: settings.check_addr,
                port: settings.check_port,
            });
            // A minconn without a maxconn, or above it, is the maxconn.
            if server.maxconn < server.minconn {
                server.maxconn = server.minconn;
            }
            server
        })
        .collect();
    Some(Proxy {
        kind,
        name: draft.name,
        id,
        id_forced: draft.id.is_some(),
        place: draft.place,
        mode: settings.mode,
        disabled: settings.disabled,
        description: draft.description,
        binds,
        servers,
        default_backend: if kind == ProxyKind::Backend {
            None
        } else {
            target
        },
        acls: settings.acls.all,
        rules: settings.rules.rules,
        balance: settings.balance,
        timeouts: settings.timeouts,
        retries: settings.retries.unwrap_or(3),
        redispatch: settings.redispatch,
        maxconn: settings.maxconn,
        backlog: settings.backlog,
        fullconn: settings.fullconn,
        rate_limit_sessions: settings.rate_limit,
        log: ProxyLog {
            targets: settings.log,
            format: match settings.log_line {
                LogLine::None => ConnectionLog::ConnectFrom,
                LogLine::Tcp | LogLine::Http(..) => ConnectionLog::TcpLog,
            },
            dontlognull: settings.dontlognull,
            dontlog_normal: settings.dontlog_normal,
            logasap: settings.logasap,
            log_separate_errors: settings.log_separate_errors,
            log_health_checks: settings.log_health_checks,
            log_tag: settings.log_tag,
        },
        options: settings.options,
        check_kind: settings.check_kind,
        keepalive_client: settings.keepalive_client,
        keepalive_server: settings.keepalive_server,
    })
}
