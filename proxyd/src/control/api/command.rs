//! The commands: one row each, and what is answered when no row fits.

use cfgtext::edit_distance;
use haproxy_cfg::model::StatsLevel::{self, Admin, Operator, User};

use super::{
    Context, Reply, Severity, counters, frontend, info, server, session, show, stat, state,
};

/// One command.
pub(super) struct Row {
    /// The words it begins with, parted by single blanks.
    words: &'static str,
    level: StatsLevel,
    /// Its line in `help`: usage, then meaning.
    usage: &'static str,
    meaning: &'static str,
    handler: Handler,
}

/// Carries out a command; gets all its words.
type Handler = fn(&mut Context<'_>, &[&str]) -> Reply;

/// Commands in the order of `help`.
const ROWS: &[Row] = &[
    row(
        "clear counters",
        Operator,
        "clear counters [all]",
        "clear max statistics counters (or all counters)",
        counters::clear,
    ),
    row(
        "disable frontend",
        Admin,
        "disable frontend <frontend>",
        "temporarily disable specific frontend",
        frontend::disable,
    ),
    row(
        "disable health",
        Admin,
        "disable health",
        "disable health checks",
        server::disable_health,
    ),
    row(
        "disable server",
        Admin,
        "disable server (DEPRECATED)",
        "disable a server for maintenance (use 'set server' instead)",
        server::disable,
    ),
    row(
        "enable frontend",
        Admin,
        "enable frontend <frontend>",
        "re-enable specific frontend",
        frontend::enable,
    ),
    row(
        "enable health",
        Admin,
        "enable health",
        "enable health checks",
        server::enable_health,
    ),
    row(
        "enable server",
        Admin,
        "enable server  (DEPRECATED)",
        "enable a disabled server (use 'set server' instead)",
        server::enable,
    ),
    row(
        "get weight",
        User,
        "get weight <bk>/<srv>",
        "report a server's current weight",
        server::get_weight,
    ),
    row(
        "operator",
        User,
        "operator",
        "lower the level of the current CLI session to operator",
        session::operator,
    ),
    row(
        "set maxconn global",
        Admin,
        "set maxconn global <value>",
        "change the per-process maxconn setting",
        frontend::set_maxconn_global,
    ),
    row(
        "set maxconn server",
        Admin,
        "set maxconn server <bk>/<srv>",
        "change a server's maxconn setting",
        server::set_maxconn,
    ),
    row(
        "set server",
        Admin,
        "set server <bk>/<srv> [opts]",
        "change a server's state, weight, address or ssl",
        server::set,
    ),
    row(
        "set severity-output",
        User,
        "set severity-output [none|number|string]",
        "set presence of severity level in feedback information",
        session::severity_output,
    ),
    row(
        "set timeout",
        User,
        "set timeout [cli] <delay>",
        "change a timeout setting",
        session::timeout,
    ),
    row(
        "set weight",
        Admin,
        "set weight <bk>/<srv>  (DEPRECATED)",
        "change a server's weight (use 'set server' instead)",
        server::set_weight,
    ),
    row(
        "show backend",
        User,
        "show backend",
        "list backends in the current running config",
        show::backend,
    ),
    row(
        "show cli level",
        User,
        "show cli level",
        "display the level of the current CLI session",
        session::level,
    ),
    row(
        "show cli sockets",
        User,
        "show cli sockets",
        "dump list of cli sockets",
        show::sockets,
    ),
    row(
        "show env",
        Operator,
        "show env [var]",
        "dump environment variables known to the process",
        show::env,
    ),
    row(
        "show errors",
        Operator,
        "show errors [<px>] [request|response]",
        "report last request and/or response errors for each proxy",
        show::errors,
    ),
    row(
        "show info",
        User,
        "show info [desc|json|typed|float]*",
        "report information about the running process",
        info::show,
    ),
    row(
        "show servers conn",
        User,
        "show servers conn [<backend>]",
        "dump server connections status (all or for a single backend)",
        state::connections,
    ),
    row(
        "show servers state",
        User,
        "show servers state [<backend>]",
        "dump volatile server information (all or for a single backend)",
        state::show,
    ),
    row(
        "show sess",
        Operator,
        "show sess [id]",
        "report the list of current sessions or dump this exact session",
        show::sessions,
    ),
    row(
        "show stat",
        User,
        "show stat [desc|json|no-maint|typed|up]*",
        "report counters for each proxy and server",
        stat::show,
    ),
    row(
        "show version",
        User,
        "show version",
        "show version of the current process",
        show::version,
    ),
    row(
        "shutdown frontend",
        Admin,
        "shutdown frontend <frontend>",
        "stop a specific frontend",
        frontend::shutdown,
    ),
    row(
        "shutdown session",
        Admin,
        "shutdown session [id]",
        "kill a specific session",
        frontend::shutdown_session,
    ),
    row(
        "shutdown sessions server",
        Admin,
        "shutdown sessions server <bk>/<srv>",
        "kill sessions on a server",
        server::shutdown_sessions,
    ),
    row(
        "user",
        User,
        "user",
        "lower the level of the current CLI session to user",
        session::user,
    ),
];

/// Listed after all others, whatever was asked for.
const ALWAYS: [(&str, &str); 3] = [
    ("help [<command>]", "list matching or all commands"),
    ("prompt", "toggle interactive mode with prompt"),
    ("quit", "disconnect"),
];

/// Commands of the original that this program does not have. They are named so that an answer can
/// tell a command that is missing from one that is misspelt.
const MISSING: &[&str] = &[
    "abort ssl",
    "add acl",
    "add map",
    "add server",
    "add ssl",
    "clear acl",
    "clear map",
    "clear table",
    "commit acl",
    "commit map",
    "commit ssl",
    "debug",
    "del acl",
    "del map",
    "del server",
    "del ssl",
    "disable agent",
    "disable dynamic-cookie",
    "enable agent",
    "enable dynamic-cookie",
    "experimental-mode",
    "expert-mode",
    "get acl",
    "get map",
    "get var",
    "httpclient",
    "mcli-debug-mode",
    "new ssl",
    "prepare acl",
    "prepare map",
    "set dynamic-cookie-key",
    "set map",
    "set maxconn frontend",
    "set profiling",
    "set rate-limit",
    "set ssl",
    "set table",
    "set var",
    "show acl",
    "show activity",
    "show cache",
    "show events",
    "show fd",
    "show libs",
    "show map",
    "show peers",
    "show pools",
    "show profiling",
    "show resolvers",
    "show schema",
    "show ssl",
    "show startup-logs",
    "show table",
    "show tasks",
    "show threads",
    "show tls-keys",
    "show trace",
    "trace",
    "update ssl",
];

/// How many commands are offered for one that is not known.
const SUGGESTIONS: usize = 5;

const fn row(
    words: &'static str,
    level: StatsLevel,
    usage: &'static str,
    meaning: &'static str,
    handler: Handler,
) -> Row {
    Row {
        words,
        level,
        usage,
        meaning,
        handler,
    }
}

/// Carries out one command.
pub(super) fn execute(context: &mut Context<'_>, words: &[String]) -> Reply {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.first().copied() {
        None | Some("") => return unknown(&[]),
        Some("help") => return help(words.get(1..).unwrap_or_default()),
        Some("prompt") => return session::prompt(context),
        Some("quit") => return Reply::Close,
        Some(_) => {}
    }
    if let Some(row) = ROWS.iter().find(|row| begins(&words, row.words)) {
        if context.session.level < row.level {
            return Reply::error("Permission denied");
        }
        return (row.handler)(context, &words);
    }
    if words == ["_getsocks"] {
        // Only sockets with `expose-fd listeners` have it.
        return Reply::error("Permission denied");
    }
    match MISSING.iter().find(|missing| begins(&words, missing)) {
        Some(missing) => Reply::error(format!("Command '{missing}' is not supported.")),
        None => unknown(&words),
    }
}

/// Whether a command begins with the words of `pattern`.
fn begins(words: &[&str], pattern: &str) -> bool {
    let mut words = words.iter();
    pattern
        .split(' ')
        .all(|expected| words.next() == Some(&expected))
}

fn help(words: &[&str]) -> Reply {
    let text = "The following commands are valid at this level:";
    Reply::Message(Severity::Info, list(text, words))
}

fn unknown(words: &[&str]) -> Reply {
    let text = if words.is_empty() {
        "Unknown command. Please enter one of the following commands only:"
    } else {
        "Unknown command, but maybe one of the following ones is a better match:"
    };
    Reply::Message(Severity::Info, list(text, words))
}

/// `title`, then the commands that `words` may mean, then those that always exist.
fn list(title: &str, words: &[&str]) -> String {
    let rows = matching(words)
        .into_iter()
        .map(|row| (row.usage, row.meaning));
    let mut text = String::from(title);
    for (usage, meaning) in rows.chain(ALWAYS) {
        text.push_str(&format!("\n  {usage:<40}: {meaning}"));
    }
    text.push('\n');
    text
}

/// The rows that begin with `words`, or else the few that look most like them.
fn matching(words: &[&str]) -> Vec<&'static Row> {
    let known = |row: &&Row| {
        let mut parts = row.words.split(' ');
        words.iter().all(|word| parts.next() == Some(*word))
    };
    let exact: Vec<&Row> = ROWS.iter().filter(known).collect();
    if !exact.is_empty() {
        return exact;
    }
    let typed = words.iter().take(3).copied().collect::<Vec<_>>().join(" ");
    // A text longer than any command resembles none; comparing it would only take time.
    let typed: String = typed.chars().take(64).collect();
    let mut ranked: Vec<(usize, usize)> = ROWS
        .iter()
        .enumerate()
        .map(|(index, row)| (distance(&typed, row.words), index))
        .collect();
    ranked.sort_unstable();
    let best = ranked.first().map_or(0, |(distance, _)| *distance);
    let near = ranked.iter().take(SUGGESTIONS);
    let mut near: Vec<usize> = near
        .filter(|(distance, _)| *distance <= best + 2)
        .map(|(_, index)| *index)
        .collect();
    near.sort_unstable();
    near.into_iter()
        .filter_map(|index| ROWS.get(index))
        .collect()
}

/// How unlike a command is to what was typed: against as many of its words as were typed.
fn distance(typed: &str, words: &str) -> usize {
    let count = typed.split(' ').count();
    let head = words.split(' ').take(count).collect::<Vec<_>>().join(" ");
    edit_distance(typed.as_bytes(), head.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        let words: Vec<&str> = ROWS.iter().map(|row| row.words).collect();
        let mut sorted = words.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(words, sorted);
    }

    #[test]
    fn no_command_is_both_there_and_missing() {
        for missing in MISSING {
            let words: Vec<&str> = missing.split(' ').collect();
            assert!(
                !ROWS.iter().any(|row| begins(&words, row.words)),
                "{missing}"
            );
        }
    }

    fn check(words: &[&str], first: &str, count: usize) {
        let found: Vec<&str> = matching(words).iter().map(|row| row.words).collect();
        assert_eq!(found.first().copied(), Some(first), "{words:?}");
        assert_eq!(found.len(), count, "{words:?}: {found:?}");
    }

    #[test]
    fn a_beginning_lists_what_goes_on_from_it() {
        check(&["disable"], "disable frontend", 3);
        check(&["show", "servers"], "show servers conn", 2);
        check(&[], "clear counters", ROWS.len());
    }

    #[test]
    fn a_slip_lists_what_it_may_have_meant() {
        check(&["sho", "stat"], "show stat", 1);
        check(&["enabel", "server"], "enable server", 1);
        let near = matching(&["show", "inof"]);
        assert!(near.iter().any(|row| row.words == "show info"));
        assert!(near.len() <= SUGGESTIONS);
    }

    #[test]
    fn lines_have_the_originals_columns() {
        let text = list("Title:", &["show", "stat"]);
        assert_eq!(
            text,
            "Title:\n  \
             show stat [desc|json|no-maint|typed|up]*: report counters for each proxy and server\n  \
             help [<command>]                        : list matching or all commands\n  \
             prompt                                  : toggle interactive mode with prompt\n  \
             quit                                    : disconnect\n"
        );
    }
}
