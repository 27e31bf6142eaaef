//! The actions of `tcp-request` and `tcp-response` rules.

use crate::draft::Draft;
use crate::expr::references::{self, Context};
use crate::expr::{self, fetches, format};
use crate::line::Line;
use crate::model::{Action, Counter, Expr, LogLevel, Number, Only, Stage, Variable};
use crate::number;
use crate::reader::Reader;

/// Actions that take part in guesses at what was meant.
const NAMES: &[&str] = &[
    "accept",
    "reject",
    "capture",
    "expect-proxy",
    "expect-netscaler-cip",
    "track-sc",
    "ot-group",
    "set-log-level",
    "set-nice",
    "switch-mode",
    "use-service",
    "sc-inc-gpc",
    "sc-inc-gpc0",
    "sc-inc-gpc1",
    "sc-set-gpt",
    "sc-set-gpt0",
    "send-spoe-group",
    "do-resolve",
    "set-var-fmt",
    "set-var",
    "unset-var",
    "set-src",
    "set-src-port",
    "set-dst",
    "set-dst-port",
    "set-mark",
    "set-tos",
    "silent-drop",
    "set-priority-class",
    "set-priority-offset",
];

const REQUEST: &str = "'accept', 'reject', 'capture', 'expect-proxy', 'expect-netscaler-cip', 'track-sc0' ... 'track-sc2', 'ot-group', 'set-log-level', 'set-nice', 'switch-mode', 'use-service', 'sc-inc-gpc(*)', 'sc-inc-gpc0(*)', 'sc-inc-gpc1(*)', 'sc-set-gpt(*)', 'sc-set-gpt0(*)', 'send-spoe-group', 'do-resolve(*)', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)', 'set-src', 'set-src-port', 'set-dst', 'set-dst-port', 'set-mark', 'set-tos', 'silent-drop', 'set-priority-class', 'set-priority-offset'";
const CONNECTION: &str = "'accept', 'reject', 'capture', 'expect-proxy', 'expect-netscaler-cip', 'track-sc0' ... 'track-sc2', 'sc-inc-gpc(*)', 'sc-inc-gpc0(*)', 'sc-inc-gpc1(*)', 'sc-set-gpt(*)', 'sc-set-gpt0(*)', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)', 'set-dst', 'set-dst-port', 'set-mark', 'set-src', 'set-src-port', 'set-tos', 'silent-drop'";
const RESPONSE: &str = "'accept', 'close', 'reject', 'ot-group', 'set-log-level', 'set-nice', 'sc-inc-gpc(*)', 'sc-inc-gpc0(*)', 'sc-inc-gpc1(*)', 'sc-set-gpt(*)', 'sc-set-gpt0(*)', 'send-spoe-group', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)', 'set-mark', 'set-tos', 'silent-drop'";

/// The most that `track-scN` counts at the same time.
const SLOTS: usize = 3;

const CONTENT: [Stage; 2] = [Stage::FrontendContent, Stage::BackendContent];

/// Reads the action at word `at`, which moves behind it.
///
/// # Errors
/// In the original's words.
pub(super) fn read(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    at: &mut usize,
    stage: Stage,
    kind: &str,
) -> Result<Action, String> {
    let written = line.arg(*at).to_owned();
    *at += 1;
    let owner = format!("{} '{}'", draft.word(), draft.name);
    let request = stage != Stage::BackendResponse;
    let content = CONTENT.contains(&stage);
    let action = match written.as_str() {
        "accept" => Action::Accept,
        "reject" => Action::Reject,
        "close" if !request => Action::Close,
        "silent-drop" => Action::SilentDrop,
        "expect-proxy" | "expect-netscaler-cip" if request => {
            let layer = line.arg(*at);
            if layer != "layer4" {
                return Err(format!(
                    "'{kind} {written}' only supports 'layer4' in {owner} (got '{layer}')"
                ));
            }
            *at += 1;
            if stage != Stage::FrontendConnection {
                return Err(format!(
                    "'{written} layer4' is not allowed in '{kind}' rules in {owner}"
                ));
            }
            if written == "expect-netscaler-cip" {
                return Err(unsupported(&written, "only the PROXY protocol is spoken."));
            }
            Action::ExpectProxy
        }
        "capture" if request => {
            if !content {
                return Err(format!(
                    "'capture {}' is not allowed in '{kind}' rules in {owner}",
                    line.arg(*at)
                ));
            }
            capture(reader, draft, line, at, stage, kind)?
        }
        "set-src" | "set-src-port" | "set-dst" | "set-dst-port" if request => {
            // The original lets addresses be taken from bytes even where there are none yet.
            let stage = if stage == Stage::BackendContent {
                stage
            } else {
                Stage::FrontendContent
            };
            let value = value(reader, draft, line, at, stage, &Context::Acl, None)?;
            match written.as_str() {
                "set-src" => Action::SetSource(value),
                "set-src-port" => Action::SetSourcePort(value),
                "set-dst" => Action::SetDestination(value),
                _ => Action::SetDestinationPort(value),
            }
        }
        "set-mark" => Action::SetMark(mark(line, at)?),
        // As in the original, only the lowest byte counts.
        "set-tos" => Action::SetTos(mark(line, at)?.to_le_bytes()[0]),
        "set-log-level" if content || !request => {
            let level = line.arg(*at).to_owned();
            *at += 1;
            if level == "silent" {
                Action::SetLogLevel(None)
            } else {
                let level = LogLevel::from_name(&level)
                    .ok_or("expects exactly 1 argument (log level name or 'silent')")?;
                Action::SetLogLevel(Some(level))
            }
        }
        "set-nice" if content || !request => {
            let value = line.arg(*at);
            if value.is_empty() {
                return Err(String::from("expects exactly 1 argument (integer value)"));
            }
            *at += 1;
            Action::SetNice(number::atoi(value).clamp(-1024, 1024))
        }
        "set-priority-class" | "set-priority-offset" if content => {
            let context = Context::Acl;
            let value = value(reader, draft, line, at, stage, &context, Some(line.arg(0)))?;
            if written == "set-priority-class" {
                Action::SetPriorityClass(value)
            } else {
                Action::SetPriorityOffset(value)
            }
        }
        "switch-mode" if content => return Err(switch_mode(line, *at)),
        "use-service" if content => {
            return Err(match line.arg(*at) {
                "" => format!("'{}' expects a service name.", line.arg(0)),
                "prometheus-exporter" => String::from(
                    "Prometheus exporter service only available on 'http-request' rulesets",
                ),
                _ => format!("'{}' unknown service name.", line.arg(1)),
            });
        }
        "send-spoe-group" if content || !request => {
            return Err(unsupported(&written, "no agents are asked."));
        }
        _ if request && written.starts_with("track-sc") => {
            track(reader, draft, line, at, stage, kind)?
        }
        _ if written.starts_with("set-var") || written.starts_with("unset-var") => {
            variable(reader, draft, line, at, stage, &written)?
        }
        _ if written.starts_with("sc-inc-gpc") || written.starts_with("sc-set-gpt") => {
            match counters(reader, draft, line, at, stage, &written)? {
                Some(action) => action,
                None => return Err(unknown(stage, kind, &owner, &written)),
            }
        }
        _ if content && written.starts_with("do-resolve") => {
            return Err(
                do_resolve(&written).unwrap_or_else(|| unknown(stage, kind, &owner, &written))
            );
        }
        _ => return Err(unknown(stage, kind, &owner, &written)),
    };
    Ok(action)
}

fn unsupported(what: &str, reason: &str) -> String {
    format!("'{what}' is not supported: {reason}")
}

fn unknown(stage: Stage, kind: &str, owner: &str, written: &str) -> String {
    let list = match stage {
        Stage::FrontendContent | Stage::BackendContent => REQUEST,
        Stage::BackendResponse => {
            return format!("'{kind}' expects {RESPONSE} in {owner} (got '{written}').");
        }
        _ => CONNECTION,
    };
    let name = written.split('(').next().unwrap_or_default();
    let names = NAMES
        .iter()
        .filter(|name| list.contains(&format!("'{name}")));
    let near = crate::suggest::nearest(name, names.copied())
        .map(|near| format!(" Did you mean '{near}' maybe ?"))
        .unwrap_or_default();
    format!("'{kind}' expects {list} in {owner} (got '{written}').{near}\n")
}

/// An expression that can be evaluated at `stage`; `blamed` is what the message about one that cannot
/// names instead of it.
fn value(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    at: &mut usize,
    stage: Stage,
    context: &Context,
    blamed: Option<&str>,
) -> Result<Expr, String> {
    let expr = expr::parse(reader, line, at)?;
    if !expr.fits(stage) {
        return Err(format!(
            "fetch method '{}' extracts information from '{}', none of which is available here",
            blamed.unwrap_or(&expr.text),
            fetches::source(expr.fetch.name, expr.places)
        ));
    }
    let found = references::of(&expr, context, &line.place);
    draft.settings.acls.references.extend(found);
    Ok(expr)
}

fn capture(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    at: &mut usize,
    stage: Stage,
    kind: &str,
) -> Result<Action, String> {
    let before = |wrong: String| format!("'{kind} capture' : {wrong}");
    let context = Context::Rule("capture rule");
    let value = value(reader, draft, line, at, stage, &context, None).map_err(before)?;
    if line.arg(*at) != "len" {
        return Err(before(String::from(
            "a positive 'len' argument is mandatory",
        )));
    }
    let length = number::count(line.arg(*at + 1));
    if length == 0 {
        return Err(before(String::from("length must be > 0")));
    }
    *at += 2;
    Ok(Action::Capture { value, length })
}

/// A number in decimal or hexadecimal.
fn mark(line: &Line, at: &mut usize) -> Result<u32, String> {
    let written = line.arg(*at);
    if written.is_empty() {
        return Err(String::from(
            "expects exactly 1 argument (integer/hex value)",
        ));
    }
    *at += 1;
    let (digits, radix) = match written.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (written.strip_prefix('-').unwrap_or(written), 10),
    };
    let end = digits
        .find(|c: char| !c.is_digit(radix))
        .unwrap_or(digits.len());
    let rest = digits.get(end..).unwrap_or_default();
    if !rest.is_empty() || digits.is_empty() {
        let rest = if end == 0 { written } else { rest };
        return Err(format!(
            "invalid character starting at '{rest}' (integer/hex value expected)"
        ));
    }
    let value = digits.chars().fold(0_u64, |sum, digit| {
        sum.saturating_mul(u64::from(radix))
            .saturating_add(u64::from(digit.to_digit(radix).unwrap_or(0)))
    });
    let value = u32::try_from(value).unwrap_or(u32::MAX);
    Ok(if written.starts_with('-') {
        value.wrapping_neg()
    } else {
        value
    })
}

fn switch_mode(line: &Line, at: usize) -> String {
    match line.arg(at) {
        "" => String::from("'tcp-request switch-mode' expects a mode as argument."),
        "http" if line.arg(at + 1) == "proto" && !matches!(line.arg(at + 2), "h1" | "h2") => {
            format!(
                "'tcp-request switch-mode': 'proto' expects a valid MUX protocol, if specified (got '{}')",
                line.arg(at + 2)
            )
        }
        "http" => unsupported("switch-mode http", "only TCP is relayed."),
        mode => format!("'tcp-request switch-mode' expects a valid mode (got '{mode}')."),
    }
}

fn track(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    at: &mut usize,
    stage: Stage,
    kind: &str,
) -> Result<Action, String> {
    let written = line.arg(*at - 1).to_owned();
    let before = |wrong: String| format!("'{kind} {written}' : {wrong}");
    let digits = written.strip_prefix("track-sc").unwrap_or_default();
    if digits.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err(before(format!("Wrong track-sc number '{digits}'")));
    }
    let slot = digits.parse::<usize>().unwrap_or(0);
    if slot >= SLOTS {
        return Err(before(format!(
            "{digits} track-sc number exceeding {} (MAX_SESS_STKCTR-1) value",
            SLOTS - 1
        )));
    }
    let context = Context::Rule("tracking rule");
    let key = value(reader, draft, line, at, stage, &context, None).map_err(before)?;
    let mut table = None;
    if line.arg(*at) == "table" {
        table = Some(line.arg(*at + 1).to_owned());
        *at += 2;
    }
    let name = table.clone().unwrap_or_else(|| draft.name.clone());
    draft.settings.rules.tracked.push((slot, name));
    Ok(Action::Track { slot, key, table })
}

fn variable(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    at: &mut usize,
    stage: Stage,
    written: &str,
) -> Result<Action, String> {
    const EXPECTS: &str =
        "Expects 'set-var(<var-name>)', 'set-var-fmt(<var-name>)' or 'unset-var(<var-name>)'";
    let Some((action, inside)) = written.split_once('(') else {
        return Err(format!(
            "invalid or incomplete action '{written}'. {EXPECTS}"
        ));
    };
    let Some(inside) = inside.strip_suffix(')') else {
        return Err(format!(
            "incomplete argument after action '{written}'. {EXPECTS}"
        ));
    };
    let (name, conditions) = match inside.split_once(',') {
        Some((name, conditions)) if action != "unset-var" => (name, conditions),
        _ => (inside, ""),
    };
    let name: Variable = expr::variable(name)?;
    let only = conditions
        .split(',')
        .filter(|word| !word.is_empty())
        .map(only)
        .collect::<Result<Vec<_>, _>>()?;
    let phrase = match stage {
        Stage::FrontendConnection => "tcp-request connection expression",
        Stage::FrontendSession => "tcp-request session expression",
        Stage::BackendResponse => "tcp-response content expression",
        _ => "tcp-request content expression",
    };
    let context = Context::Rule(phrase);
    match action {
        "unset-var" => Ok(Action::UnsetVar(name)),
        "set-var" => {
            let value = value(reader, draft, line, at, stage, &context, Some(written))?;
            Ok(Action::SetVar { name, only, value })
        }
        "set-var-fmt" => {
            let format = line.arg(*at).to_owned();
            *at += 1;
            let value = format::parse(reader, draft, line, &format, stage, &context)?;
            Ok(Action::SetVarFormat { name, only, value })
        }
        _ => Err(format!(
            "invalid or incomplete action '{written}'. {EXPECTS}"
        )),
    }
}

fn only(word: &str) -> Result<Only, String> {
    Ok(match word {
        "ifexists" => Only::IfExists,
        "ifnotexists" => Only::IfNotExists,
        "ifempty" => Only::IfEmpty,
        "ifnotempty" => Only::IfNotEmpty,
        "ifset" => Only::IfSet,
        "ifnotset" => Only::IfNotSet,
        "ifgt" => Only::IfGreater,
        "iflt" => Only::IfLess,
        other => return Err(format!("unknown condition \"{other}\"")),
    })
}

/// `sc-inc-gpc*` and `sc-set-gpt*`; `None` if it is neither.
fn counters(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    at: &mut usize,
    stage: Stage,
    written: &str,
) -> Result<Option<Action>, String> {
    let (name, inside) = match written.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')').unwrap_or(rest))),
        None => (written, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let most = SLOTS - 1;
    let slot = |text: &str, single: bool| -> Result<usize, String> {
        if text.is_empty() {
            return Ok(0);
        }
        if !digits(text) {
            return Err(if single {
                format!("invalid stick table track ID. Expects {written}(<Track ID>)")
            } else {
                format!(
                    "invalid stick table track ID '{written}'. Expects {name}(<{} ID>,<Track ID>)",
                    if name == "sc-inc-gpc" { "GPC" } else { "GPT" }
                )
            });
        }
        match text.parse::<usize>() {
            Ok(slot) if slot <= most => Ok(slot),
            _ if name.starts_with("sc-inc-gpc") && single => Err(format!(
                "invalid stick table track ID. The max allowed ID is {most}"
            )),
            _ => Err(format!(
                "invalid stick table track ID '{written}'. The max allowed ID is {most}"
            )),
        }
    };
    match name {
        "sc-inc-gpc0" | "sc-inc-gpc1" => {
            let slot = slot(inside.unwrap_or_default(), true)?;
            let counter = if name == "sc-inc-gpc0" {
                Counter::Zero
            } else {
                Counter::One
            };
            Ok(Some(Action::Increment { counter, slot }))
        }
        "sc-inc-gpc" => {
            let inside = inside.ok_or_else(|| {
                format!("invalid gpc ID '{written}'. Expects sc-inc-gpc(<GPC ID>,<Track ID>)")
            })?;
            let pair = inside.split_once(',').filter(|(id, _)| digits(id));
            let (id, track) = pair.ok_or_else(|| {
                format!("Missing gpc ID '{written}'. Expects sc-inc-gpc(<GPC ID>,<Track ID>)")
            })?;
            Ok(Some(Action::Increment {
                counter: Counter::Of(id.parse().unwrap_or(u32::MAX)),
                slot: slot(track, false)?,
            }))
        }
        "sc-set-gpt0" => {
            let slot = slot(inside.unwrap_or_default(), true)?;
            let value = number_or_expr(reader, draft, line, at, stage)?;
            Ok(Some(Action::SetTag {
                tag: None,
                slot,
                value,
            }))
        }
        "sc-set-gpt" => {
            let pair = inside
                .and_then(|inside| inside.split_once(','))
                .filter(|(id, _)| digits(id));
            let (id, track) = pair.ok_or_else(|| {
                format!("Missing gpt ID '{written}'. Expects sc-set-gpt(<GPT ID>,<Track ID>)")
            })?;
            let slot = slot(track, false)?;
            let value = number_or_expr(reader, draft, line, at, stage)?;
            Ok(Some(Action::SetTag {
                tag: Some(id.parse().unwrap_or(u32::MAX)),
                slot,
                value,
            }))
        }
        _ => Ok(None),
    }
}

fn number_or_expr(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    at: &mut usize,
    stage: Stage,
) -> Result<Number, String> {
    let written = line.arg(*at);
    let digits = written.strip_prefix('-').unwrap_or(written);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let value = number::atol(written).to_le_bytes();
        *at += 1;
        let [a, b, c, d, ..] = value;
        return Ok(Number::Fixed(u32::from_le_bytes([a, b, c, d])));
    }
    value(reader, draft, line, at, stage, &Context::Acl, None).map(Number::Of)
}

/// What is wrong with `do-resolve`, of which nothing is right here; `None` if the word is another.
fn do_resolve(written: &str) -> Option<String> {
    let inside = written.strip_prefix("do-resolve")?;
    if !inside.is_empty() && !inside.starts_with('(') {
        return None;
    }
    let parts: Vec<&str> = inside
        .trim_start_matches('(')
        .trim_end_matches(')')
        .split(',')
        .collect();
    let known = parts.len() >= 2
        && parts
            .iter()
            .skip(2)
            .all(|option| matches!(*option, "ipv4" | "ipv6"));
    if !known {
        return Some(format!(
            "Can't parse '{written}'. Expects 'do-resolve(<varname>,<resolvers>[,<options>]) <expr>'. Available options are 'ipv4' and 'ipv6'"
        ));
    }
    Some(unsupported(
        "do-resolve",
        "connections do not wait for answers of name servers.",
    ))
}
