//! `option` lines (configuration manual, section 4.2).

use super::Status;
use crate::draft::{Draft, Kind, LogLine};
use crate::line::{Line, Prefix};
use crate::model::CheckKind;
use crate::reader::Reader;

const FE: u8 = 1;
const BE: u8 = 2;
const BOTH: u8 = FE | BE;

/// What an option does.
#[derive(Clone, Copy)]
enum Effect {
    /// A boolean, which `no` takes back.
    Flag(fn(&mut Draft, bool)),
    /// A choice: yes, `no`, or what `default` stands for.
    Choice(fn(&mut Draft, Option<bool>)),
    /// A boolean of HTTP, warned of in TCP mode.
    Http,
    /// A boolean of HTTP that is not even warned of.
    Silent,
    /// Something with words of its own, without `no`.
    Custom(fn(&mut Reader<'_>, &mut Draft, &Line)),
}

struct Row {
    name: &'static str,
    sides: u8,
    status: Status,
    effect: Effect,
}

const fn flag(name: &'static str, sides: u8, effect: fn(&mut Draft, bool)) -> Row {
    Row {
        name,
        sides,
        status: Status::Full,
        effect: Effect::Flag(effect),
    }
}

const fn choice(name: &'static str, sides: u8, effect: fn(&mut Draft, Option<bool>)) -> Row {
    Row {
        name,
        sides,
        status: Status::Full,
        effect: Effect::Choice(effect),
    }
}

const NOT_TCP: Status = Status::Accepted("it is for HTTP only");
const CHECKS: Status = Status::Refused("checks are a TCP connect or 'option ssl-hello-chk'.");

const fn http(name: &'static str, sides: u8) -> Row {
    Row {
        name,
        sides,
        status: NOT_TCP,
        effect: Effect::Http,
    }
}

const fn silent(name: &'static str, sides: u8) -> Row {
    Row {
        name,
        sides,
        status: NOT_TCP,
        effect: Effect::Silent,
    }
}

const fn custom(
    name: &'static str,
    sides: u8,
    status: Status,
    effect: fn(&mut Reader<'_>, &mut Draft, &Line),
) -> Row {
    Row {
        name,
        sides,
        status,
        effect: Effect::Custom(effect),
    }
}

/// The options, in the order in which suggestions try them and warnings name them.
const ROWS: &[Row] = &[
    flag("abortonclose", BE, |d, on| {
        d.settings.options.abortonclose = on
    }),
    flag("allbackups", BE, |d, on| d.settings.options.allbackups = on),
    http("checkcache", BE),
    flag("clitcpka", FE, |d, on| d.settings.options.clitcpka = on),
    flag("contstats", FE, |d, on| d.settings.options.contstats = on),
    flag("dontlognull", FE, |d, on| d.settings.dontlognull = on),
    http("http-buffer-request", BOTH),
    http("http-ignore-probes", FE),
    http("idle-close-on-response", FE),
    http("prefer-last-server", BE),
    flag("logasap", FE, |d, on| d.settings.logasap = on),
    flag("nolinger", BOTH, |d, on| {
        d.settings.options.nolinger_client = on;
        d.settings.options.nolinger_server = on;
    }),
    flag("persist", BE, |d, on| d.settings.options.persist = on),
    flag("srvtcpka", BE, |d, on| d.settings.options.srvtcpka = on),
    flag("transparent", BE, |d, on| {
        d.settings.options.transparent = on;
        d.dispatch = on;
    }),
    flag("splice-request", BOTH, |d, on| {
        d.settings.options.splice_request = on
    }),
    flag("splice-response", BOTH, |d, on| {
        d.settings.options.splice_response = on
    }),
    choice("splice-auto", BOTH, |d, on| {
        d.settings.options.splice_auto = on
    }),
    http("accept-invalid-http-request", FE),
    http("accept-invalid-http-response", BE),
    flag("dontlog-normal", FE, |d, on| d.settings.dontlog_normal = on),
    flag("log-separate-errors", FE, |d, on| {
        d.settings.log_separate_errors = on
    }),
    flag("log-health-checks", BE, |d, on| {
        d.settings.log_health_checks = on
    }),
    flag("socket-stats", FE, |d, on| {
        d.settings.options.socket_stats = on
    }),
    choice("tcp-smart-accept", FE, |d, on| {
        d.settings.options.tcp_smart_accept = on
    }),
    choice("tcp-smart-connect", BE, |d, on| {
        d.settings.options.tcp_smart_connect = on
    }),
    flag("independent-streams", BOTH, |d, on| {
        d.settings.options.independent_streams = on
    }),
    http("http-use-proxy-header", FE),
    http("http-pretend-keepalive", BE),
    http("http-no-delay", BOTH),
    http("disable-h2-upgrade", FE),
    silent("h1-case-adjust-bogus-client", FE),
    silent("h1-case-adjust-bogus-server", BE),
    silent("httpclose", BOTH),
    silent("http-server-close", BOTH),
    silent("http-keep-alive", BOTH),
    custom("httplog", FE, NOT_TCP, httplog),
    custom("httpslog", FE, NOT_TCP, httplog),
    custom("tcplog", FE, Status::Full, tcplog),
    custom("tcpka", BOTH, Status::Full, tcpka),
    custom("redispatch", BE, Status::Full, redispatch),
    custom("forwardfor", BOTH, NOT_TCP, forwarded),
    custom("originalto", BOTH, NOT_TCP, forwarded),
    custom("ssl-hello-chk", BE, Status::Full, ssl_hello),
    custom("httpchk", BE, CHECKS, refused_check),
    custom("tcp-check", BE, Status::Full, tcp_check),
    custom("smtpchk", BE, CHECKS, refused_check),
    custom("mysql-check", BE, CHECKS, refused_check),
    custom("pgsql-check", BE, CHECKS, refused_check),
    custom("redis-check", BE, CHECKS, refused_check),
    custom("ldap-check", BE, CHECKS, refused_check),
    custom("spop-check", BE, CHECKS, refused_check),
    custom("external-check", BE, CHECKS, refused_check),
];

/// Names of all options.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

/// Names with their status, for the documentation.
pub(crate) fn statuses() -> impl Iterator<Item = (&'static str, Status)> {
    ROWS.iter().map(|row| (row.name, row.status))
}

/// HTTP options that are warned of in TCP mode: name, and the sides they are for, in the
/// original's order.
pub(crate) fn warned() -> impl Iterator<Item = (&'static str, bool, bool)> {
    ROWS.iter()
        .filter(|row| matches!(row.effect, Effect::Http))
        .map(|row| (row.name, row.sides & FE != 0, row.sides & BE != 0))
}

/// An `option` line.
pub(crate) fn option(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let name = line.arg(1).to_owned();
    if name.is_empty() {
        reader.fatal_near(line, "'option' expects an option name.");
        return;
    }
    let row = ROWS.iter().find(|row| row.name == name);
    let negatable =
        row.is_some_and(|row| !matches!(row.effect, Effect::Custom(_)) || row.name == "redispatch");
    if line.prefix != Prefix::Plain && !negatable {
        reader.fatal_near(
            line,
            format!("negation/default is not supported for option '{name}'."),
        );
        return;
    }
    let Some(row) = row else {
        unknown(reader, line, &name);
        return;
    };
    match row.effect {
        Effect::Custom(handler) => handler(reader, draft, line),
        Effect::Flag(_) | Effect::Choice(_) | Effect::Http | Effect::Silent => {
            if reader.too_many(line, 2, 0) || misplaced(reader, draft, line, row) {
                return;
            }
            let on = line.prefix == Prefix::Plain;
            match row.effect {
                Effect::Flag(set) => set(draft, on),
                Effect::Choice(set) => set(draft, (line.prefix != Prefix::Default).then_some(on)),
                Effect::Http => {
                    draft.settings.http.insert(row.name, on);
                }
                Effect::Silent | Effect::Custom(_) => {}
            }
        }
    }
}

fn misplaced(reader: &mut Reader<'_>, draft: &Draft, line: &Line, row: &Row) -> bool {
    match row.sides {
        FE => reader.misplaced(draft, line, row.name, true, ""),
        BE => reader.misplaced(draft, line, row.name, false, ""),
        _ => false,
    }
}

fn unknown(reader: &mut Reader<'_>, line: &Line, name: &str) {
    let gone = match name {
        "forceclose" => {
            Some("2.0, please just remove it, or use 'option httpclose' if absolutely needed.")
        }
        "http-tunnel" => Some("2.1, please just remove it, it shouldn't be needed."),
        _ => None,
    };
    if let Some(gone) = gone {
        reader.fatal_near(
            line,
            format!("option '{name}' is not supported any more since HAProxy {gone}"),
        );
        return;
    }
    let hint = crate::suggest::option(name).map_or_else(
        || String::from("."),
        |near| format!("; did you mean '{near}' maybe ?"),
    );
    reader.fatal_at(line, format!("unknown option '{name}'{hint}"));
}

/// `option tcplog` in a backend is of no use.
fn ignored_in_backend(reader: &mut Reader<'_>, draft: &Draft, line: &Line) {
    if draft.kind != Kind::Defaults && !draft.has_frontend() {
        reader.warn_at(
            line,
            format!(
                "backend '{}' : 'option {}' directive is ignored in backends.",
                draft.name,
                line.arg(1)
            ),
        );
    }
}

/// Only `defaults` warn of a second choice.
fn overrides(reader: &mut Reader<'_>, draft: &Draft, line: &Line, new: &str) {
    let old = match &draft.settings.log_line {
        LogLine::None => return,
        LogLine::Tcp => "tcplog",
        LogLine::Http(_, _) if draft.settings.log_clf => "httplog clf",
        LogLine::Http(name, _) => name,
    };
    if draft.kind == Kind::Defaults {
        reader.warn_near(
            line,
            format!("'option {new}' overrides previous 'option {old}' in 'defaults' section."),
        );
    }
}

fn tcplog(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if reader.too_many(line, 2, 0) {
        return;
    }
    ignored_in_backend(reader, draft, line);
    overrides(reader, draft, line, "tcplog");
    draft.settings.log_line = LogLine::Tcp;
}

fn httplog(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let name = if line.arg(1) == "httplog" {
        "httplog"
    } else {
        "httpslog"
    };
    if name == "httplog" && !line.arg(2).is_empty() {
        if line.arg(2) != "clf" {
            reader.fatal_at(line, "keyword 'httplog' only supports option 'clf'.");
            return;
        }
        if reader.too_many(line, 2, 1) {
            return;
        }
    }
    ignored_in_backend(reader, draft, line);
    let clf = line.arg(2) == "clf";
    overrides(
        reader,
        draft,
        line,
        if clf { "httplog clf" } else { "httplog" },
    );
    draft.settings.log_clf = clf;
    draft.settings.log_line = LogLine::Http(name, line.place.clone());
}

fn tcpka(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if reader.too_many(line, 2, 0) {
        return;
    }
    if draft.has_frontend() {
        draft.settings.options.clitcpka = true;
    }
    if draft.has_backend() {
        draft.settings.options.srvtcpka = true;
    }
}

fn redispatch(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if reader.misplaced(draft, line, "redispatch", false, "") {
        return;
    }
    draft.settings.redispatch = match line.prefix {
        Prefix::Plain => Some(match line.arg(2) {
            "" => -1,
            word => crate::number::atoi(word),
        }),
        Prefix::No | Prefix::Default => None,
    };
}

fn forwarded(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let name = if line.arg(1) == "forwardfor" {
        "forwardfor"
    } else {
        "originalto"
    };
    let mut at = 2;
    while !line.arg(at).is_empty() {
        match line.arg(at) {
            "except" | "header" => at += 2,
            "if-none" if name == "forwardfor" => at += 1,
            _ => {
                let choices = if name == "forwardfor" {
                    "'except', 'header' and 'if-none'"
                } else {
                    "'except' and 'header'"
                };
                reader.fatal_at(
                    line,
                    format!("'option {name}' only supports optional values: {choices}."),
                );
                return;
            }
        }
    }
    draft.settings.http.insert(name, true);
}

fn ssl_hello(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "ssl-hello-chk", false, "");
    if reader.too_many(line, 2, 0) {
        return;
    }
    draft.settings.check_kind = CheckKind::SslHello;
}

/// Without rules `option tcp-check` is the plain connect; rules are refused where they stand.
fn tcp_check(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "tcp-check", false, "");
    if reader.too_many(line, 2, 0) {
        return;
    }
    draft.settings.check_kind = CheckKind::Connect;
}

fn refused_check(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let name = line.arg(1).to_owned();
    if reader.misplaced(draft, line, &name, false, "") {
        return;
    }
    draft.broken = true;
    reader.refuse(
        line,
        &format!("option {name}"),
        "checks are a TCP connect or 'option ssl-hello-chk'.",
    );
}
