//! Keywords of HTTP that configurations carry along in TCP mode: read as far as the original's
//! errors need it, and warned of as it does.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::proxy::anonymous_defaults;
use crate::draft::{Draft, Kind};
use crate::line::Line;
use crate::reader::Reader;

/// Status codes that have an error page.
const STATUS: &[i32] = &[
    200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503, 504,
];

/// Nothing at all.
pub(crate) fn ignore(_: &mut Reader<'_>, _: &mut Draft, _: &Line) {}

/// Nothing but a warning in a frontend.
pub(crate) fn ignore_back(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let keyword = line.arg(0).to_owned();
    reader.misplaced(draft, line, &keyword, false, "");
    if keyword == "http-send-name-header" && line.arg(1).is_empty() {
        reader.fatal_at(line, "'http-send-name-header' requires a header string.");
    }
}

/// `declare capture`
pub(crate) fn declare(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if draft.kind == Kind::Defaults {
        reader.fatal_at(line, "'declare' not available in default section");
    } else if !draft.has_frontend() {
        reader.fatal_at(
            line,
            "'declare' only available in frontend or listen section",
        );
    }
}

/// `max-keep-alive-queue`
pub(crate) fn keep_alive_queue(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if !draft.has_backend() {
        reader.warn_at(
            line,
            format!(
                "max-keep-alive-queue will be ignored because {} '{}' has no backend capability",
                draft.word(),
                draft.name
            ),
        );
    }
}

/// `errorfile`: silent in TCP mode, but the file must be there.
pub(crate) fn errorfile(reader: &mut Reader<'_>, _: &mut Draft, line: &Line) {
    if line.arg(1).is_empty() || line.arg(2).is_empty() {
        reader.fatal_at(
            line,
            "errorfile : expects <status_code> and <file> as arguments.\n",
        );
        return;
    }
    let status = crate::number::atoi(line.arg(1));
    let file = line.arg(2).to_owned();
    // The file is opened before the status is looked at.
    let path = OsString::from_vec(crate::text::decode(&file));
    let content = reader.environment.read(Path::new(&path));
    if !STATUS.contains(&status) {
        reader.fatal_at(
            line,
            format!("errorfile : status code '{status}' not handled."),
        );
    } else if content.is_err() {
        reader.fatal_at(line, format!("errorfile : error opening file '{file}'."));
    }
}

/// `errorloc` and its kin.
pub(crate) fn errorloc(reader: &mut Reader<'_>, _: &mut Draft, line: &Line) {
    let keyword = line.arg(0).to_owned();
    if line.arg(1).is_empty() || line.arg(2).is_empty() {
        reader.fatal_at(
            line,
            format!("{keyword} : expects <status_code> and <url> as arguments.\n"),
        );
        return;
    }
    let status = crate::number::atoi(line.arg(1));
    if !STATUS.contains(&status) {
        reader.fatal_at(
            line,
            format!("{keyword} : status code '{status}' not handled."),
        );
    }
}

/// `http-check`
pub(crate) fn http_check(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "http-check", false, "");
    draft.settings.http_check_rules = draft.kind != Kind::Defaults;
}

/// `cookie`
pub(crate) fn cookie(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "cookie", false, "");
    if line.arg(1).is_empty() {
        reader.fatal_at(line, "'cookie' expects <cookie_name> as argument.");
    } else {
        draft.settings.http.insert("cookie", true);
    }
}

/// `capture`
pub(crate) fn capture(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "capture", true, "");
    let what = line.arg(1).to_owned();
    if !matches!(what.as_str(), "cookie" | "request" | "response") {
        reader.fatal_at(
            line,
            "'capture' expects 'cookie' or 'request header' or 'response header'.",
        );
    } else if draft.kind == Kind::Defaults {
        reader.fatal_at(
            line,
            format!("'capture {what}' not allowed in 'defaults' section."),
        );
    } else if what == "cookie" {
        draft.settings.http.insert("capture", true);
    }
}

/// `monitor-uri`
pub(crate) fn monitor_uri(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "monitor-uri", true, "");
    if line.arg(1).is_empty() {
        reader.fatal_at(line, "'monitor-uri' expects an URI.");
    } else {
        draft.settings.http.insert("monitor-uri", true);
    }
}

/// `monitor fail`
pub(crate) fn monitor(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "monitor", true, "");
    if line.arg(1) != "fail" {
        reader.fatal_at(line, "'monitor' only supports 'fail'.");
    }
}

/// `monitor-net`, gone.
pub(crate) fn monitor_net(reader: &mut Reader<'_>, _: &mut Draft, line: &Line) {
    let net = line.arg(1).to_owned();
    reader.fatal_at(line, format!(
        "'monitor-net' doesn't exist anymore. Please use 'http-request return status 200 if {{ src {net} }}' instead."
    ));
}

/// `stats`
pub(crate) fn stats(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    const EXPECTS: &str = "expects 'admin', 'uri', 'realm', 'auth', 'scope', 'enable', 'hide-version', 'show-node', 'show-desc' or 'show-legends'.";
    let what = line.arg(1).to_owned();
    match what.as_str() {
        "" => reader.fatal_near(line, format!("missing keyword in 'stats', {EXPECTS}")),
        "admin" if draft.kind == Kind::Defaults => {
            reader.fatal_near(line, "'stats admin' not allowed in 'defaults' section.");
        }
        "http-request" if draft.kind == Kind::Defaults => {
            reader.fatal_near(line, "'stats' not allowed in 'defaults' section.");
        }
        "admin" | "uri" | "realm" | "auth" | "scope" | "enable" | "hide-version" | "show-node"
        | "show-desc" | "show-legends" | "show-modules" | "refresh" | "http-request" => {
            draft.settings.http.insert("stats", true);
        }
        _ => reader.fatal_near(line, format!("unknown stats parameter '{what}', {EXPECTS}")),
    }
}

/// `http-request`, `http-response`, `http-after-response`, `redirect`
pub(crate) fn rules(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let keyword = match line.arg(0) {
        "http-request" => "http-request",
        "http-response" => "http-response",
        "http-after-response" => "http-after-response",
        _ => "redirect",
    };
    if anonymous_defaults(draft) {
        reader.fatal_at(
            line,
            format!("'{keyword}' not allowed in anonymous 'defaults' section."),
        );
        return;
    }
    super::rules::in_order(reader, draft, line, keyword);
    draft.settings.http.insert(keyword, true);
}

/// Rules that are gone since HAProxy 2.1.
pub(crate) fn old_rule(reader: &mut Reader<'_>, _: &mut Draft, line: &Line) {
    let keyword = line.arg(0).to_owned();
    let instead = match keyword.as_str() {
        "reqadd" => " 'http-request add-header' instead.",
        "rspadd" => " 'http-response add-header' instead.",
        "rspdel" => " 'http-response del-header' .",
        _ => {
            " 'http-request replace-path', 'http-request replace-uri' or 'http-request replace-header' instead."
        }
    };
    reader.fatal_at(
        line,
        format!(
            "The '{keyword}' directive is not supported anymore since HAProxy 2.1. Use{instead}"
        ),
    );
}
