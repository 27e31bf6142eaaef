//! Keywords of `defaults`, `frontend`, `backend` and `listen` (configuration manual, section 4).

use super::{Handler, NO_DEFAULTS, PROXY, Row, Status, bind, http, log, option, server, timeout};
use crate::draft::{Draft, Kind};
use crate::line::Line;
use crate::model::{Balance, Mode};
use crate::number;
use crate::reader::Reader;
use crate::text;

type Handle = fn(&mut Reader<'_>, &mut Draft, &Line);

const fn row(name: &'static str, arity: Option<usize>, status: Status, handler: Handle) -> Row {
    Row {
        name,
        sections: PROXY,
        arity,
        status,
        handler: Handler::Proxy(handler),
    }
}

/// A keyword that `defaults` do not take.
const fn own(name: &'static str, arity: Option<usize>, status: Status, handler: Handle) -> Row {
    Row {
        name,
        sections: PROXY | NO_DEFAULTS,
        arity,
        status,
        handler: Handler::Proxy(handler),
    }
}

const fn refused(name: &'static str, reason: &'static str) -> Row {
    Row {
        name,
        sections: PROXY,
        arity: None,
        status: Status::Refused(reason),
        handler: Handler::Nothing,
    }
}

const FULL: Status = Status::Full;
const HTTP: Status = Status::Accepted("it is for HTTP only");
const STICK: &str = "there are no stick tables.";

/// The table; suggestions try its rows in this order.
pub(crate) const ROWS: &[Row] = &[
    row("clitcpka-cnt", None, FULL, timeout::keepalive),
    row("clitcpka-idle", None, FULL, timeout::keepalive),
    row("clitcpka-intvl", None, FULL, timeout::keepalive),
    row("clitimeout", None, FULL, timeout::old),
    row("compression", None, HTTP, http::ignore),
    row("contimeout", None, FULL, timeout::old),
    row("declare", None, HTTP, http::declare),
    row("errorfile", None, HTTP, http::errorfile),
    refused("errorfiles", "there are no http-errors sections."),
    row("errorloc", None, HTTP, http::errorloc),
    row("errorloc302", None, HTTP, http::errorloc),
    row("errorloc303", None, HTTP, http::errorloc),
    refused("external-check", "no check starts a program."),
    refused("filter", "data is relayed as it is."),
    row("http-check", None, HTTP, http::http_check),
    row("http-error", None, HTTP, http::ignore),
    row("max-keep-alive-queue", None, HTTP, http::keep_alive_queue),
    row("rate-limit", None, FULL, rate_limit),
    row(
        "retry-on",
        None,
        Status::Accepted("a failed connect is always tried again, nothing else is"),
        retry_on,
    ),
    row("srvtcpka-cnt", None, FULL, timeout::keepalive),
    row("srvtcpka-idle", None, FULL, timeout::keepalive),
    row("srvtcpka-intvl", None, FULL, timeout::keepalive),
    row("srvtimeout", None, FULL, timeout::old),
    refused(
        "tcp-check",
        "checks are a TCP connect or 'option ssl-hello-chk'.",
    ),
    row("timeout", None, FULL, timeout::timeout),
    refused("use-fcgi-app", "there is no FastCGI in TCP mode."),
    own("bind", None, FULL, bind::bind),
    own("server", None, FULL, server::server),
    row("default-server", None, FULL, server::default_server),
    own("server-template", None, FULL, server::server_template),
    row("balance", None, FULL, balance),
    row("mode", Some(1), FULL, mode),
    row("log", None, FULL, proxy_log),
    refused(
        "log-format",
        "lines are those of 'option tcplog' or the default.",
    ),
    refused(
        "log-format-sd",
        "lines are those of 'option tcplog' or the default.",
    ),
    refused(
        "error-log-format",
        "lines are those of 'option tcplog' or the default.",
    ),
    row("log-tag", None, FULL, log_tag),
    row("maxconn", None, FULL, maxconn),
    row("backlog", None, FULL, backlog),
    row("fullconn", None, FULL, fullconn),
    row("retries", None, FULL, retries),
    row("option", None, FULL, option::option),
    row("default_backend", None, FULL, default_backend),
    own("id", Some(1), FULL, id),
    own("description", None, FULL, description),
    row("disabled", Some(0), FULL, |_, draft, _| {
        draft.settings.disabled = true
    }),
    row("enabled", Some(0), FULL, |_, draft, _| {
        draft.settings.disabled = false
    }),
    row(
        "bind-process",
        None,
        Status::Accepted("every worker serves every proxy"),
        |reader, _, line| {
            reader.warn_near(
                line,
                "'bind-process' has no effect, is deprecated, and will be removed in version 2.7.",
            );
        },
    ),
    row(
        "hash-type",
        None,
        Status::Accepted("the source hash is map-based"),
        hash_type,
    ),
    refused("hash-balance-factor", "there is no consistent hashing."),
    row(
        "load-server-state-from-file",
        None,
        Status::Accepted("server states start afresh"),
        load_state,
    ),
    row(
        "server-state-file-name",
        None,
        Status::Accepted("server states start afresh"),
        http::ignore_back,
    ),
    refused("stick-table", STICK),
    refused("stick", STICK),
    refused("source", "the source address is left to the kernel."),
    refused("usesrc", "the source address is left to the kernel."),
    refused("dispatch", "write a server instead."),
    refused("transparent", "write 'option transparent' instead."),
    refused("email-alert", "no mail is sent."),
    refused("persist", "there is no persistence."),
    row("cookie", None, HTTP, http::cookie),
    row("capture", None, HTTP, http::capture),
    row("monitor-uri", None, HTTP, http::monitor_uri),
    own("monitor", None, HTTP, http::monitor),
    row("monitor-net", None, HTTP, http::monitor_net),
    row("stats", None, HTTP, http::stats),
    row("http-reuse", None, HTTP, http::ignore_back),
    row("http-send-name-header", None, HTTP, http::ignore_back),
    row("http-request", None, HTTP, http::rules),
    row("http-response", None, HTTP, http::rules),
    row("http-after-response", None, HTTP, http::rules),
    own("redirect", None, HTTP, http::rules),
    row("unique-id-format", None, HTTP, http::ignore),
    row("unique-id-header", None, HTTP, http::ignore),
    row("max-session-srv-conns", None, HTTP, http::ignore),
    row("redispatch", None, FULL, |reader, _, line| {
        reader.fatal_at(line, "keyword 'redispatch' directive is not supported anymore since HAProxy 2.1. Use 'option redispatch'.");
    }),
    row("grace", None, FULL, |reader, _, line| {
        reader.fatal_near(
            line,
            "the 'grace' keyword is not supported any more since HAProxy version 2.5.",
        );
    }),
    row("block", None, FULL, |reader, _, line| {
        reader.fatal_at(line, "The 'block' directive is not supported anymore since HAProxy 2.1. Use 'http-request deny' which uses the exact same syntax.");
    }),
    row("appsession", None, FULL, |reader, _, line| {
        reader.fatal_at(
            line,
            "'appsession' is not supported anymore since HAProxy 1.6.",
        );
    }),
    row("reqadd", None, FULL, http::old_rule),
    row("rspadd", None, FULL, http::old_rule),
    row("rspdel", None, FULL, http::old_rule),
    row("reqrep", None, FULL, http::old_rule),
];

fn mode(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    match line.arg(1) {
        "tcp" => draft.settings.mode = Mode::Tcp,
        "http" => draft.settings.mode = Mode::Http,
        "health" => reader.fatal_at(line, "'mode health' doesn't exist anymore. Please use 'http-request return status 200' instead."),
        other => {
            let text = format!("unknown proxy mode '{other}'.");
            reader.fatal_at(line, text);
        }
    }
}

fn balance(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "balance", false, "");
    let word = line.arg(1).to_owned();
    let settings = &mut draft.settings;
    settings.layer7_balance = false;
    let name = word.split_once('(').map_or(word.as_str(), |(name, _)| name);
    settings.balance = match name {
        "" | "roundrobin" => Balance::RoundRobin,
        "static-rr" => Balance::StaticRr,
        "leastconn" => Balance::LeastConn,
        "first" => Balance::First,
        "source" => Balance::Source,
        "url_param" if line.arg(2).is_empty() => {
            reader.fatal_at(line, "balance url_param requires an URL parameter name.");
            return;
        }
        "uri" | "url_param" => {
            settings.layer7_balance = true;
            Balance::RoundRobin
        }
        "hdr" if word.starts_with("hdr(") => {
            settings.layer7_balance = true;
            Balance::RoundRobin
        }
        "random" | "rdp-cookie" | "hash" => {
            let what = format!("balance {word}");
            reader.refuse(
                line,
                &what,
                "the algorithms are roundrobin, static-rr, leastconn, first and source.",
            );
            return;
        }
        _ => {
            reader.fatal_at(line, "balance only supports 'roundrobin', 'static-rr', 'leastconn', 'source', 'uri', 'url_param', 'hdr(name)' and 'rdp-cookie(name)' options.");
            return;
        }
    };
}

fn hash_type(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "hash-type", false, "");
    match line.arg(1) {
        "map-based" => {}
        "consistent" => reader.refuse(
            line,
            "hash-type consistent",
            "the source hash is map-based.",
        ),
        _ => reader.fatal_at(
            line,
            "'hash-type' only supports 'consistent' and 'map-based'.",
        ),
    }
}

fn proxy_log(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let inherited = reader.global.log.clone();
    log::read(reader, line, &mut draft.settings.log, Some(&inherited));
}

fn log_tag(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if line.arg(1).is_empty() {
        reader.fatal_at(line, "'log-tag' expects a tag for use in syslog.");
    } else {
        draft.settings.log_tag = Some(text::decode(line.arg(1)));
    }
}

/// A number that the original takes without looking at it closely; `None` if the line is wrong.
fn lenient(
    reader: &mut Reader<'_>,
    draft: &Draft,
    line: &Line,
    frontend: bool,
    hint: &str,
) -> Option<u32> {
    let keyword = line.arg(0).to_owned();
    reader.misplaced(draft, line, &keyword, frontend, hint);
    if reader.too_many(line, 1, 1) {
        return None;
    }
    if line.arg(1).is_empty() {
        let hint = if keyword == "retries" {
            " (dispatch counts for one)"
        } else {
            ""
        };
        reader.fatal_at(
            line,
            format!("'{keyword}' expects an integer argument{hint}."),
        );
        return None;
    }
    Some(number::count(line.arg(1)))
}

fn maxconn(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let hint = "Maybe you want 'fullconn' instead ?";
    if let Some(count) = lenient(reader, draft, line, true, hint) {
        draft.settings.maxconn = (count > 0).then_some(count);
    }
}

fn backlog(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if let Some(count) = lenient(reader, draft, line, true, "") {
        draft.settings.backlog = (count > 0).then_some(count);
    }
}

fn fullconn(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let hint = "Maybe you want 'maxconn' instead ?";
    if let Some(count) = lenient(reader, draft, line, false, hint) {
        draft.settings.fullconn = (count > 0).then_some(count);
    }
}

fn retries(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if let Some(count) = lenient(reader, draft, line, false, "") {
        draft.settings.retries = Some(count);
    }
}

fn retry_on(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    const EVENTS: &[&str] = &[
        "none",
        "conn-failure",
        "empty-response",
        "junk-response",
        "response-timeout",
        "0rtt-rejected",
        "all-retryable-errors",
        "401",
        "403",
        "404",
        "408",
        "425",
        "500",
        "501",
        "502",
        "503",
        "504",
    ];
    if line.arg(1).is_empty() {
        reader.fatal_at(
            line,
            "'retry-on' needs at least one keyword to specify when to retry",
        );
        return;
    }
    if !draft.has_backend() {
        reader.fatal_at(
            line,
            "'retry-on' only available in backend or listen section",
        );
        return;
    }
    for word in line.words.iter().skip(1) {
        if !EVENTS.contains(&word.as_str()) {
            reader.fatal_at(line, format!("'retry-on': unknown keyword '{word}'"));
            return;
        }
        if word == "none" {
            reader.refuse(line, "retry-on none", "use 'retries 0' instead.");
            return;
        }
    }
}

fn default_backend(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "default_backend", true, "");
    if reader.too_many(line, 1, 1) {
        return;
    }
    if line.arg(1).is_empty() {
        reader.fatal_at(line, "'default_backend' expects a backend name.");
    } else {
        draft.settings.default_backend = Some(line.arg(1).to_owned());
    }
}

fn id(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if line.arg(1).is_empty() {
        reader.fatal_near(line, "'id' expects an integer argument.");
        return;
    }
    let id = number::count(line.arg(1));
    if id == 0 {
        reader.fatal_near(line, "custom id has to be > 0.");
        return;
    }
    let clash = reader
        .proxies
        .iter()
        .chain(std::iter::once(&*draft))
        .find(|other| other.id == Some(id))
        .map(|other| {
            format!(
                "parsing [{}]: {} {} reuses same custom id as {} {} (declared at {}:{}).",
                line.at(),
                draft.word(),
                draft.name,
                other.word(),
                other.name,
                other.place.file,
                other.place.line
            )
        });
    if let Some(clash) = clash {
        reader.fatal(clash);
    } else {
        draft.id = Some(id);
    }
}

fn description(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if line.arg(1).is_empty() {
        reader.fatal_near(line, "'description' expects a string argument.");
        // The original leaves its reader here as if the file could not be opened.
        let file = line.place.file.to_string();
        reader.fatal(format!(
            "Could not open configuration file {file} : Success"
        ));
        reader.abandon();
    } else {
        draft.description = Some(line.joined(1));
    }
}

fn rate_limit(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let (what, word) = (line.arg(1).to_owned(), line.arg(2).to_owned());
    if what != "sessions" {
        reader.fatal_at(
            line,
            format!("'rate-limit' only supports 'sessions' (got '{what}')"),
        );
        return;
    }
    if word.is_empty() {
        reader.fatal_at(
            line,
            "'rate-limit sessions' expects expects an integer value (in sessions/second)",
        );
        return;
    }
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    if digits < word.len() {
        let wrong = text::first_byte(word.get(digits..).unwrap_or_default());
        reader.fatal_at(
            line,
            format!(
                "'rate-limit sessions' : unexpected character '{wrong}' in integer value '{word}'"
            ),
        );
        return;
    }
    if !draft.has_frontend() {
        reader.warn_at(line, format!("rate-limit sessions will be ignored because backend '{}' has no frontend capability", draft.name));
    }
    let before = std::mem::replace(&mut draft.settings.rate_limit, number::count(&word));
    if before != draft.inherited.2 && draft.has_frontend() && draft.kind != Kind::Defaults {
        reader.warn_at(
            line,
            "overwriting rate-limit sessions which was already specified",
        );
    }
}

fn load_state(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "load-server-state-from-file", false, "");
    let word = line.arg(1).to_owned();
    match word.as_str() {
        "none" => {}
        "global" | "local" => reader.refuse(
            line,
            "load-server-state-from-file",
            "server states start afresh.",
        ),
        _ => reader.fatal_at(
            line,
            format!(
                "'load-server-state-from-file' expects 'global', 'local' or 'none'. Got '{word}'"
            ),
        ),
    }
}

/// Whether the section is a `defaults` without a name, which takes no rules.
pub(crate) fn anonymous_defaults(draft: &Draft) -> bool {
    draft.kind == Kind::Defaults && draft.name.is_empty()
}
