//! Keywords of the global section (configuration manual, section 3).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use super::{GLOBAL, Handler, Row, Status, bind, log, threads, timeout, tune};
use crate::line::{Line, Prefix};
use crate::model::{Identity, StatsSocket};
use crate::number::{self, DelayError, Unit};
use crate::reader::Reader;
use crate::text;

const TLS: Status = Status::Accepted("TLS is relayed, never ended, so it has nothing to set");
const HTTP: Status = Status::Accepted("it tunes HTTP, which is not relayed");
const MEMORY: Status = Status::Accepted("memory is not managed this way");
const POLLER: Status = Status::Accepted("there is one event loop, epoll");
const BUDGET: Status = Status::Accepted("each connection has a budget of bytes a turn instead");
const LUA: Status = Status::Refused("there is no Lua here.");

const fn row(
    name: &'static str,
    arity: Option<usize>,
    status: Status,
    handler: fn(&mut Reader<'_>, &Line),
) -> Row {
    Row {
        name,
        sections: GLOBAL,
        arity,
        status,
        handler: Handler::Global(handler),
    }
}

const fn number(name: &'static str, once: bool, status: Status) -> Row {
    Row {
        name,
        sections: GLOBAL,
        arity: Some(1),
        status,
        handler: Handler::Number(once),
    }
}

const FULL: Status = Status::Full;

/// The table.
pub(crate) const ROWS: &[Row] = &[
    row("ca-base", Some(1), TLS, tune::tls_folder),
    row("close-spread-time", None, FULL, close_spread_time),
    row("crt-base", Some(1), TLS, tune::tls_folder),
    row(
        "default-path",
        None,
        Status::Refused("files are named from where the program was started."),
        ignore,
    ),
    row("grace", None, FULL, grace),
    row("h1-case-adjust", None, HTTP, ignore),
    row("h1-case-adjust-file", None, HTTP, ignore),
    row("h1-accept-payload-with-any-method", None, HTTP, ignore),
    row("hard-stop-after", None, FULL, hard_stop_after),
    row("httpclient.resolvers.id", None, HTTP, ignore),
    row("httpclient.resolvers.prefer", None, HTTP, ignore),
    row("httpclient.ssl.ca-file", None, HTTP, ignore),
    row("httpclient.ssl.verify", None, HTTP, ignore),
    row("issuers-chain-path", Some(1), TLS, tune::tls_folder),
    row("lua-load", None, LUA, ignore),
    row("lua-load-per-thread", None, LUA, ignore),
    row("lua-prepend-path", None, LUA, ignore),
    row("maxsslconn", Some(1), TLS, tune::positive),
    row(
        "mworker-max-reloads",
        None,
        Status::Accepted("old workers end by hard-stop-after"),
        ignore,
    ),
    row("nbthread", Some(1), FULL, threads::nbthread),
    row("no-memory-trimming", Some(0), MEMORY, ignore),
    row(
        "pp2-never-send-local",
        Some(0),
        Status::Accepted("no PROXY headers are sent"),
        ignore,
    ),
    row(
        "profiling.tasks",
        None,
        Status::Accepted("there are no tasks to profile"),
        profiling,
    ),
    row(
        "set-var",
        None,
        Status::Refused("there are no variables in TCP mode."),
        ignore,
    ),
    row(
        "set-var-fmt",
        None,
        Status::Refused("there are no variables in TCP mode."),
        ignore,
    ),
    row("ssl-default-bind-ciphers", Some(1), TLS, tune::tls_ciphers),
    row(
        "ssl-default-bind-ciphersuites",
        Some(1),
        TLS,
        tune::tls_ciphers,
    ),
    row("ssl-default-bind-curves", Some(1), TLS, tune::tls_ciphers),
    row("ssl-default-bind-options", None, TLS, tune::tls_options),
    row(
        "ssl-default-server-ciphers",
        Some(1),
        TLS,
        tune::tls_ciphers,
    ),
    row(
        "ssl-default-server-ciphersuites",
        Some(1),
        TLS,
        tune::tls_ciphers,
    ),
    row("ssl-default-server-options", None, TLS, tune::tls_options),
    row("ssl-dh-param-file", Some(1), TLS, tune::dh_param_file),
    row("ssl-load-extra-del-ext", Some(0), TLS, ignore),
    row("ssl-load-extra-files", None, TLS, ignore),
    row("ssl-mode-async", Some(0), TLS, ignore),
    row("ssl-propquery", Some(1), TLS, ignore),
    row("ssl-provider", Some(1), TLS, ignore),
    row("ssl-provider-path", Some(1), TLS, ignore),
    row("ssl-skip-self-issued-ca", Some(0), TLS, ignore),
    row("ssl-server-verify", Some(1), TLS, tune::tls_verify),
    row("stats", None, FULL, stats),
    row(
        "thread-group",
        None,
        Status::Accepted("threads are one group"),
        ignore,
    ),
    row(
        "thread-groups",
        Some(1),
        Status::Accepted("threads are one group"),
        threads::thread_groups,
    ),
    row("tune.fail-alloc", None, MEMORY, ignore),
    row("tune.fd.edge-triggered", None, POLLER, ignore),
    row("tune.h2.header-table-size", None, HTTP, ignore),
    row("tune.h2.initial-window-size", None, HTTP, ignore),
    row("tune.h2.max-concurrent-streams", None, HTTP, ignore),
    row("tune.h2.max-frame-size", None, HTTP, ignore),
    row("tune.idle-pool.shared", Some(1), HTTP, tune::switch),
    row(
        "tune.listener.multi-queue",
        Some(1),
        Status::Accepted(
            "each worker has a socket of its own, among which the kernel spreads clients",
        ),
        tune::switch,
    ),
    row("tune.lua.forced-yield", None, LUA, ignore),
    row("tune.lua.maxmem", None, LUA, ignore),
    row("tune.lua.service-timeout", None, LUA, ignore),
    row("tune.lua.session-timeout", None, LUA, ignore),
    row("tune.lua.task-timeout", None, LUA, ignore),
    row("tune.peers.max-updates-at-once", None, MEMORY, ignore),
    row("tune.pool-high-fd-ratio", None, HTTP, ignore),
    row("tune.pool-low-fd-ratio", None, HTTP, ignore),
    row("tune.sched.low-latency", Some(1), BUDGET, tune::switch),
    row("tune.ssl.cachesize", Some(1), TLS, tune::positive),
    row("tune.ssl.capture-buffer-size", Some(1), TLS, tune::positive),
    number("tune.ssl.capture-cipherlist-size", false, TLS),
    row(
        "tune.ssl.default-dh-param",
        Some(1),
        TLS,
        tune::dh_param_size,
    ),
    row("tune.ssl.force-private-cache", Some(0), TLS, ignore),
    row("tune.ssl.hard-maxrecord", Some(1), TLS, tune::positive),
    row("tune.ssl.keylog", None, TLS, ignore),
    row("tune.ssl.lifetime", None, TLS, tune::lifetime),
    row("tune.ssl.maxrecord", Some(1), TLS, tune::positive),
    row("tune.ssl.ssl-ctx-cache-size", Some(1), TLS, tune::positive),
    row("tune.vars.check-max-size", None, MEMORY, ignore),
    row("tune.vars.global-max-size", None, MEMORY, ignore),
    row("tune.vars.proc-max-size", None, MEMORY, ignore),
    row("tune.vars.reqres-max-size", None, MEMORY, ignore),
    row("tune.vars.sess-max-size", None, MEMORY, ignore),
    row("tune.vars.txn-max-size", None, MEMORY, ignore),
    row("daemon", Some(0), FULL, |reader, _| {
        reader.global.daemon = true
    }),
    row("master-worker", Some(1), FULL, master_worker),
    row("quiet", Some(0), FULL, quiet),
    row("zero-warning", Some(0), FULL, |reader, _| {
        reader.global.zero_warning = true;
        reader.zero_warning = true;
    }),
    row("noepoll", Some(0), POLLER, ignore),
    row("nokqueue", Some(0), POLLER, ignore),
    row("noevports", Some(0), POLLER, ignore),
    row("nopoll", Some(0), POLLER, ignore),
    row("nosplice", Some(0), FULL, |reader, _| {
        reader.global.nosplice = true
    }),
    row(
        "nogetaddrinfo",
        Some(0),
        Status::Accepted("the system's resolver is used"),
        ignore,
    ),
    row("noreuseport", Some(0), FULL, |reader, _| {
        reader.global.noreuseport = true
    }),
    row("busy-polling", Some(0), FULL, |reader, line| {
        reader.global.busy_polling = line.prefix == Prefix::Plain;
    }),
    row("set-dumpable", Some(0), FULL, |reader, line| {
        reader.global.set_dumpable = line.prefix == Prefix::Plain;
    }),
    row("strict-limits", Some(0), FULL, |reader, line| {
        reader.global.strict_limits = line.prefix != Prefix::No;
    }),
    row("insecure-fork-wanted", Some(0), FULL, |reader, line| {
        reader.global.insecure_fork_wanted = line.prefix == Prefix::Plain;
    }),
    row("insecure-setuid-wanted", Some(0), FULL, |reader, _| {
        reader.global.insecure_setuid_wanted = true;
    }),
    row(
        "numa-cpu-mapping",
        Some(0),
        Status::Accepted("without nbthread there is a worker for each CPU the process may use"),
        ignore,
    ),
    row(
        "expose-experimental-directives",
        Some(0),
        Status::Accepted("there are none"),
        ignore,
    ),
    row(
        "external-check",
        None,
        Status::Accepted("no check starts a program"),
        ignore,
    ),
    row("user", Some(1), FULL, user),
    row("group", Some(1), FULL, group),
    row("uid", Some(1), FULL, uid),
    row("gid", Some(1), FULL, gid),
    row("chroot", Some(1), FULL, chroot),
    row("pidfile", Some(1), FULL, pidfile),
    row("unix-bind", None, FULL, unix_bind),
    row("log", None, FULL, global_log),
    row("log-send-hostname", None, FULL, log_send_hostname),
    row("log-tag", Some(1), FULL, log_tag),
    row("localpeer", Some(1), FULL, localpeer),
    row("node", Some(1), FULL, node),
    row("description", None, FULL, description),
    row("spread-checks", Some(1), FULL, spread_checks),
    row("max-spread-checks", Some(1), FULL, max_spread_checks),
    row("cpu-map", None, FULL, threads::cpu_map),
    row("setenv", None, FULL, setenv),
    row("presetenv", None, FULL, setenv),
    row("unsetenv", None, FULL, unsetenv),
    row("resetenv", None, FULL, resetenv),
    row("server-state-base", None, FULL, server_state_base),
    row("server-state-file", None, FULL, server_state_file),
    row("nbproc", None, Status::Full, |reader, line| {
        reader.fatal_at(line, "nbproc is not supported any more since HAProxy 2.5. Threads will automatically be used on multi-processor machines if available.");
    }),
    row("tune.chksize", None, Status::Full, |reader, line| {
        reader.fatal_near(
            line,
            "option 'tune.chksize' is not supported any more (tune.bufsize is used instead).",
        );
    }),
    number("maxconn", true, FULL),
    number("maxconnrate", true, FULL),
    number("maxsessrate", true, FULL),
    number("maxsslrate", true, TLS),
    row("maxcomprate", Some(1), HTTP, tune::checked),
    row("maxcompcpuusage", Some(1), HTTP, tune::checked),
    number("maxzlibmem", false, HTTP),
    number("maxpipes", true, FULL),
    number("ulimit-n", true, FULL),
    number("fd-hard-limit", true, FULL),
    row("tune.bufsize", Some(1), FULL, tune::bufsize),
    row("tune.io-uring", Some(1), FULL, tune::io_uring),
    number("tune.maxaccept", false, FULL),
    number("tune.maxpollevents", false, FULL),
    row("tune.maxrewrite", Some(1), HTTP, tune::checked),
    number("tune.pipesize", false, FULL),
    number("tune.rcvbuf.client", true, FULL),
    number("tune.rcvbuf.server", true, FULL),
    number("tune.sndbuf.client", true, FULL),
    number("tune.sndbuf.server", true, FULL),
    number(
        "tune.recv_enough",
        false,
        Status::Accepted("a read that leaves room in the buffer has emptied the socket"),
    ),
    row("tune.idletimer", Some(1), HTTP, tune::idle_timer),
    number("tune.http.cookielen", false, HTTP),
    number("tune.http.logurilen", false, HTTP),
    row("tune.http.maxhdr", Some(1), HTTP, tune::checked),
    row("tune.comp.maxlevel", Some(1), HTTP, tune::checked),
    number("tune.buffers.limit", false, MEMORY),
    number("tune.buffers.reserve", false, MEMORY),
    number("tune.runqueue-depth", false, BUDGET),
    row("tune.pattern.cache-size", Some(1), MEMORY, tune::checked),
];

fn ignore(_: &mut Reader<'_>, _: &Line) {}

fn path(word: &str) -> PathBuf {
    PathBuf::from(OsString::from_vec(text::decode(word)))
}

/// A delay of the global section; `near` chooses the form of the place.
fn delay(reader: &mut Reader<'_>, line: &Line) -> Option<Duration> {
    let keyword = line.arg(0).to_owned();
    let word = line.arg(1).to_owned();
    if word.is_empty() {
        reader.fatal_at(line, format!("'{keyword}' expects <time> as argument.\n"));
        return None;
    }
    match timeout::read(reader, &word, Unit::Milli) {
        Ok(millis) => Some(Duration::from_millis(u64::from(millis))),
        Err(DelayError::Overflow) => {
            reader.fatal_at(line, timeout::overflow(&word, &keyword));
            None
        }
        Err(DelayError::Unexpected(wrong)) => {
            reader.fatal_at(
                line,
                format!("unexpected character '{wrong}' in argument to <{keyword}>.\n"),
            );
            None
        }
    }
}

fn hard_stop_after(reader: &mut Reader<'_>, line: &Line) {
    if let Some(delay) = delay(reader, line) {
        reader.global.hard_stop_after = (!delay.is_zero()).then_some(delay);
    }
}

fn grace(reader: &mut Reader<'_>, line: &Line) {
    if let Some(delay) = delay(reader, line) {
        reader.global.grace = (!delay.is_zero()).then_some(delay);
    }
}

fn close_spread_time(reader: &mut Reader<'_>, line: &Line) {
    if line.arg(1) == "infinite" {
        return;
    }
    if let Some(delay) = delay(reader, line) {
        reader.global.close_spread_time = (!delay.is_zero()).then_some(delay);
    }
}

fn profiling(reader: &mut Reader<'_>, line: &Line) {
    let word = line.arg(1).to_owned();
    if !matches!(word.as_str(), "on" | "auto" | "off") {
        reader.fatal_at(
            line,
            format!("'profiling.tasks' expects either 'on', 'auto', or 'off' but got '{word}'."),
        );
    }
}

fn master_worker(reader: &mut Reader<'_>, line: &Line) {
    match line.arg(1) {
        "" => {}
        "no-exit-on-failure" => reader.global.no_exit_on_failure = true,
        _ => {
            reader.fatal_at(
                line,
                "'master-worker' only supports 'no-exit-on-failure' option.",
            );
            return;
        }
    }
    reader.global.master_worker = true;
}

fn quiet(reader: &mut Reader<'_>, _: &Line) {
    reader.global.quiet = true;
    reader.muted = true;
}

fn identity(reader: &mut Reader<'_>, line: &Line, what: &str, id: Option<u32>) -> Option<Identity> {
    let name = line.arg(1).to_owned();
    if id.is_none() {
        reader.fatal_at(
            line,
            format!("cannot find {what} id for '{name}' (0:Success)"),
        );
    }
    id.map(|id| Identity { name, id })
}

fn user(reader: &mut Reader<'_>, line: &Line) {
    if reader.global.user.as_ref().is_some_and(|user| user.id > 0) {
        reader.alert_at(line, "user/uid already specified. Continuing.");
        return;
    }
    let id = reader.environment.user_id(line.arg(1));
    if let Some(user) = identity(reader, line, "user", id) {
        reader.global.user = Some(user);
    }
}

fn group(reader: &mut Reader<'_>, line: &Line) {
    if reader
        .global
        .group
        .as_ref()
        .is_some_and(|group| group.id > 0)
    {
        reader.alert_at(line, "gid/group was already specified. Continuing.");
        return;
    }
    let id = reader.environment.group_id(line.arg(1));
    if let Some(group) = identity(reader, line, "group", id) {
        reader.global.group = Some(group);
    }
}

fn numeric_identity(reader: &mut Reader<'_>, line: &Line, instead: &str) -> Option<Identity> {
    let keyword = line.arg(0).to_owned();
    let word = line.arg(1).to_owned();
    if word.is_empty() {
        reader.fatal_at(line, format!("'{keyword}' expects an integer argument."));
        return None;
    }
    let digits = word.strip_prefix('-').unwrap_or(&word);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        reader.warn_at(line, format!(
            " {keyword}: string '{word}' is not a number.\n   | You might want to use the '{instead}' parameter to use a system {instead} name."
        ));
        return None;
    }
    let id = number::atoi(&word).cast_unsigned();
    Some(Identity { name: word, id })
}

fn uid(reader: &mut Reader<'_>, line: &Line) {
    if reader.global.user.as_ref().is_some_and(|user| user.id > 0) {
        reader.alert_at(line, "user/uid already specified. Continuing.");
    } else if let Some(user) = numeric_identity(reader, line, "user") {
        reader.global.user = Some(user);
    }
}

fn gid(reader: &mut Reader<'_>, line: &Line) {
    if reader
        .global
        .group
        .as_ref()
        .is_some_and(|group| group.id > 0)
    {
        reader.alert_at(line, "group/gid already specified. Continuing.");
    } else if let Some(group) = numeric_identity(reader, line, "group") {
        reader.global.group = Some(group);
    }
}

fn chroot(reader: &mut Reader<'_>, line: &Line) {
    if reader.global.chroot.is_some() {
        reader.alert_at(line, "'chroot' already specified. Continuing.");
    } else if line.arg(1).is_empty() {
        reader.fatal_at(line, "'chroot' expects a directory as an argument.");
    } else {
        reader.global.chroot = Some(path(line.arg(1)));
    }
}

fn pidfile(reader: &mut Reader<'_>, line: &Line) {
    if reader.global.pidfile.is_some() || reader.args.pidfile.is_some() {
        reader.alert_at(line, "'pidfile' already specified. Continuing.");
    } else if line.arg(1).is_empty() {
        reader.fatal_at(line, "'pidfile' expects a file name as an argument.");
    } else {
        reader.global.pidfile = Some(path(line.arg(1)));
    }
}

fn unix_bind(reader: &mut Reader<'_>, line: &Line) {
    let mut at = 1;
    while !line.arg(at).is_empty() {
        let (word, value) = (line.arg(at).to_owned(), line.arg(at + 1).to_owned());
        let rights = &mut reader.global.unix_bind;
        match word.as_str() {
            "prefix" if value.is_empty() => {
                reader.fatal_at(line, "unix_bind 'prefix' expects a path as an argument.");
                return;
            }
            "prefix" => {
                reader.refuse(line, "unix-bind prefix", "write the whole path instead.");
                return;
            }
            "mode" => rights.mode = u32::from_str_radix(&value, 8).ok(),
            "uid" => rights.uid = Some(number::count(&value)),
            "gid" => rights.gid = Some(number::count(&value)),
            "user" => match reader.environment.user_id(&value) {
                Some(id) => rights.uid = Some(id),
                None => {
                    reader.fatal_at(line, format!("'unix-bind' : '{value}' unknown user."));
                    return;
                }
            },
            "group" => match reader.environment.group_id(&value) {
                Some(id) => rights.gid = Some(id),
                None => {
                    reader.fatal_at(line, format!("'unix-bind' : '{value}' unknown group."));
                    return;
                }
            },
            _ => {
                reader.fatal_at(line, "'unix-bind' only supports the 'prefix', 'mode', 'uid', 'gid', 'user' and 'group' options.");
                return;
            }
        }
        at += 2;
    }
}

fn global_log(reader: &mut Reader<'_>, line: &Line) {
    let mut targets = std::mem::take(&mut reader.global.log);
    log::read(reader, line, &mut targets, None);
    reader.global.log = targets;
}

fn log_send_hostname(reader: &mut Reader<'_>, line: &Line) {
    if reader.global.log_send_hostname.is_some() {
        reader.alert_at(line, "'log-send-hostname' already specified. Continuing.");
        return;
    }
    let name = match line.arg(1) {
        "" => reader.environment.hostname(),
        name => name.to_owned(),
    };
    reader.global.log_send_hostname = Some(name);
}

fn log_tag(reader: &mut Reader<'_>, line: &Line) {
    if line.arg(1).is_empty() {
        reader.fatal_at(line, "'log-tag' expects a tag for use in syslog.");
    } else {
        reader.global.log_tag = Some(text::decode(line.arg(1)));
    }
}

fn localpeer(reader: &mut Reader<'_>, line: &Line) {
    if line.arg(1).is_empty() {
        reader.fatal_at(line, "'localpeer' expects a name as an argument.");
    } else {
        reader.global.localpeer = Some(line.arg(1).to_owned());
    }
}

fn node(reader: &mut Reader<'_>, line: &Line) {
    let name = line.arg(1);
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if name.is_empty() || !name.bytes().all(valid) {
        reader.fatal_near(line, "'node' requires valid node name - non-empty string with digits(0-9), letters(A-Z, a-z), dot(.), hyphen(-) or underscode(_).");
    } else {
        reader.global.node = Some(name.to_owned());
    }
}

fn description(reader: &mut Reader<'_>, line: &Line) {
    if line.arg(1).is_empty() {
        reader.fatal_near(line, "'description' expects a string argument.");
    } else {
        reader.global.description = Some(line.joined(1));
    }
}

fn spread_checks(reader: &mut Reader<'_>, line: &Line) {
    if line.arg(1).is_empty() {
        reader.fatal_near(line, "'spread-checks' expects an integer argument (0..50).");
        return;
    }
    match u8::try_from(number::atol(line.arg(1))) {
        Ok(percent) if percent <= 50 => reader.global.spread_checks = percent,
        _ => reader.fatal_near(
            line,
            "'spread-checks' needs a positive value in range 0..50.",
        ),
    }
}

fn max_spread_checks(reader: &mut Reader<'_>, line: &Line) {
    let word = line.arg(1).to_owned();
    if word.is_empty() {
        reader.fatal_near(
            line,
            "'max-spread-checks' expects an integer argument (0..50).",
        );
        return;
    }
    match timeout::read(reader, &word, Unit::Milli) {
        Ok(millis) => reader.global.max_spread_checks = timeout::setting(millis),
        Err(DelayError::Overflow) => reader.fatal_near(line, format!("timer overflow in argument <{word}> to <max-spread-checks>, maximum value is 2147483647 ms (~24.8 days).")),
        Err(DelayError::Unexpected(wrong)) => reader.fatal_near(line, format!("unsupported character '{wrong}' in 'max-spread-checks' (wants an integer delay).")),
    }
}

fn setenv(reader: &mut Reader<'_>, line: &Line) {
    let keyword = line.arg(0).to_owned();
    if line.arg(1).is_empty() || line.arg(2).is_empty() {
        reader.fatal_near(line, format!("'{keyword}' expects a name and a value."));
        return;
    }
    let name = text::decode(line.arg(1));
    let value = text::decode(line.arg(2));
    if keyword == "setenv" || !reader.variables.contains_key(&name) {
        reader.variables.insert(name, value);
    }
}

fn unsetenv(reader: &mut Reader<'_>, line: &Line) {
    if line.arg(1).is_empty() {
        reader.fatal_near(line, "'unsetenv' expects at least one variable name.");
    }
    for word in line.words.iter().skip(1) {
        reader.variables.remove(&text::decode(word));
    }
}

fn resetenv(reader: &mut Reader<'_>, line: &Line) {
    let kept: Vec<Vec<u8>> = line.words.iter().skip(1).map(|w| text::decode(w)).collect();
    reader.variables.retain(|name, _| kept.contains(name));
}

fn server_state_base(reader: &mut Reader<'_>, line: &Line) {
    if reader.global.server_state_base.is_some() {
        reader.alert_at(line, "'server-state-base' already specified. Continuing.");
    } else if line.arg(1).is_empty() {
        reader.fatal_at(
            line,
            "'server-state-base' expects one argument: a directory path.",
        );
    } else {
        reader.global.server_state_base = Some(path(line.arg(1)));
    }
}

fn server_state_file(reader: &mut Reader<'_>, line: &Line) {
    if reader.global.server_state_file.is_some() {
        reader.alert_at(line, "'server-state-file' already specified. Continuing.");
    } else if line.arg(1).is_empty() {
        reader.fatal_at(
            line,
            "'server-state-file' expect one argument: a file path.",
        );
    } else {
        reader.global.server_state_file = Some(path(line.arg(1)));
    }
}

fn stats(reader: &mut Reader<'_>, line: &Line) {
    match line.arg(1) {
        "socket" => stats_socket(reader, line),
        "timeout" => {
            let word = line.arg(2).to_owned();
            match timeout::read(reader, &word, Unit::Milli) {
                Ok(0) => reader.fatal_at(line, "'stats timeout' expects a positive value"),
                Ok(millis) => {
                    reader.global.stats_timeout = Duration::from_millis(u64::from(millis))
                }
                Err(DelayError::Overflow) => {
                    reader.fatal_at(line, timeout::overflow(&word, "stats timeout"))
                }
                // The original prints the end of the word as the end of its message.
                Err(DelayError::Unexpected(wrong)) if wrong.is_empty() => {
                    reader.fatal_at(line, "'stats timeout' : unexpected character '");
                }
                Err(DelayError::Unexpected(wrong)) => reader.fatal_at(
                    line,
                    format!("'stats timeout' : unexpected character '{wrong}'"),
                ),
            }
        }
        "maxconn" => match number::count(line.arg(2)) {
            0 => reader.fatal_at(line, "'stats maxconn' expects a positive value"),
            count => reader.global.stats_maxconn = count,
        },
        "bind-process" => {
            let word = line.arg(2).to_owned();
            let number = word
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-');
            if !number && !matches!(word.as_str(), "all" | "odd" | "even") {
                reader.fatal_at(
                    line,
                    format!("'stats bind-process' : '{word}' is not a valid number/range."),
                );
            }
        }
        other => {
            let text = format!(
                "'stats' only supports 'socket', 'maxconn', 'bind-process' and 'timeout' (got '{other}')"
            );
            reader.fatal_at(line, text);
        }
    }
}

fn stats_socket(reader: &mut Reader<'_>, line: &Line) {
    if line.arg(2).is_empty() {
        reader.fatal_at(
            line,
            "'stats socket' in global section expects an address or a path to a UNIX socket",
        );
        return;
    }
    let addresses = match bind::addresses(reader, line.arg(2)) {
        Ok(addresses) => addresses,
        Err(error) => {
            let text = format!("parsing [{}] : 'stats socket' : {error}\n", line.at());
            reader.fatal_at(line, text);
            return;
        }
    };
    let mut words = bind::Words::default();
    if let Err(error) = bind::read(reader, line, 3, "global", &mut words) {
        let text = match error {
            bind::WordError::Unknown(word) => {
                let hint = crate::suggest::bind(&word)
                    .map(|near| format!(" Did you mean '{near}' maybe ?"))
                    .unwrap_or_default();
                format!("'stats socket' : unknown keyword '{word}'.{hint}")
            }
            bind::WordError::Wrong(text) => format!("'stats socket' : '{text}'"),
            bind::WordError::Refused(text) => text,
        };
        reader.fatal_at(line, text);
        return;
    }
    for addr in addresses {
        let id = u32::try_from(reader.global.stats_sockets.len() + 1).unwrap_or(u32::MAX);
        reader.global.stats_sockets.push(StatsSocket {
            addr,
            rights: words.rights,
            level: words.level,
            expose_fd_listeners: words.expose_fd_listeners,
            severity_output: words.severity_output,
            backlog: words.backlog,
            maxconn: words.maxconn,
            name: words.name.clone(),
            id: words.id.unwrap_or(id),
            place: line.place.clone(),
        });
    }
}
