//! `timeout` lines and other delays (configuration manual, section 2.5).

use std::time::Duration;

use crate::draft::{Draft, Kind};
use crate::line::Line;
use crate::model::Timeouts;
use crate::number::{self, DelayError, Unit};
use crate::reader::Reader;

/// Reads the delay `word`; says what is wrong with it in the words of `unexpected` (given the
/// wrong byte) or as an overflow of `keyword`.
pub(crate) fn read(reader: &mut Reader<'_>, word: &str, unit: Unit) -> Result<u32, DelayError> {
    let (value, rest) = number::delay(word, unit)?;
    trailing(reader, "", word, rest);
    Ok(value)
}

/// Warns of bytes after a delay's unit.
pub(crate) fn trailing(reader: &mut Reader<'_>, before: &str, word: &str, rest: &str) {
    if !rest.is_empty() {
        let wrong = crate::text::first_byte(rest);
        reader.warn(format!(
            "{before}unexpected character '{wrong}' after the timer value '{word}', only (us=microseconds,ms=milliseconds,s=seconds,m=minutes,h=hours,d=days) are supported. This will be reported as an error in next versions."
        ));
    }
}

/// The text about a delay that is too long.
pub(crate) fn overflow(word: &str, keyword: &str) -> String {
    format!(
        "timer overflow in argument '{word}' to '{keyword}' (maximum value is 2147483647 ms or ~24.8 days)"
    )
}

/// A delay in milliseconds as a setting: 0 is "none".
pub(crate) fn setting(millis: u32) -> Option<Duration> {
    (millis > 0).then(|| Duration::from_millis(u64::from(millis)))
}

/// `timeout <name> <delay>`
pub(crate) fn timeout(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let name = line.arg(1).to_owned();
    let frontend = match name.as_str() {
        "client" | "client-fin" => Some(true),
        "connect" | "server" | "check" | "queue" | "tunnel" | "server-fin" => Some(false),
        "http-request" | "http-keep-alive" | "tarpit" => None,
        _ => {
            reader.fatal_at(line, format!(
                "'timeout' supports 'client', 'server', 'connect', 'check', 'queue', 'http-keep-alive', 'http-request', 'tunnel', 'tarpit', 'client-fin' and 'server-fin' (got '{name}')"
            ));
            return;
        }
    };
    let word = line.arg(2).to_owned();
    if word.is_empty() {
        reader.fatal_at(
            line,
            format!("'timeout {name}' expects an integer value (in milliseconds)"),
        );
        return;
    }
    let millis = match read(reader, &word, Unit::Milli) {
        Ok(millis) => millis,
        Err(DelayError::Overflow) => {
            reader.fatal_at(line, overflow(&word, &format!("timeout {name}")));
            return;
        }
        Err(DelayError::Unexpected(wrong)) => {
            reader.fatal_at(
                line,
                format!("unexpected character '{wrong}' in 'timeout {name}'"),
            );
            return;
        }
    };
    let extra = line.arg(3).to_owned();
    if !extra.is_empty() {
        reader.fatal_at(
            line,
            format!("'timeout {name}' : unexpected extra argument '{extra}' after value '{word}'."),
        );
        return;
    }
    let side = match frontend {
        Some(true) if !draft.has_frontend() => Some("frontend"),
        Some(false) if !draft.has_backend() => Some("backend"),
        Some(_) | None => None,
    };
    if let Some(side) = side {
        reader.warn_at(
            line,
            format!(
                "'timeout {name}' will be ignored because {} '{}' has no {side} capability",
                draft.word(),
                draft.name
            ),
        );
    }
    let (timeouts, http, _) = &draft.inherited;
    let mut before = *timeouts;
    let http_before = http.get(&name).copied();
    let now = setting(millis);
    let overwritten = match (
        slot(&mut draft.settings.timeouts, &name),
        slot(&mut before, &name),
    ) {
        (Some(slot), Some(before)) => std::mem::replace(slot, now) != *before,
        // The timeouts of HTTP have no effect.
        _ => draft.settings.http_timeouts.insert(name.clone(), millis) != http_before,
    };
    if overwritten && side.is_none() && draft.kind != Kind::Defaults {
        reader.warn_at(
            line,
            format!("overwriting 'timeout {name}' which was already specified"),
        );
    }
}

fn slot<'a>(timeouts: &'a mut Timeouts, name: &str) -> Option<&'a mut Option<Duration>> {
    Some(match name {
        "client" => &mut timeouts.client,
        "client-fin" => &mut timeouts.client_fin,
        "connect" => &mut timeouts.connect,
        "server" => &mut timeouts.server,
        "check" => &mut timeouts.check,
        "queue" => &mut timeouts.queue,
        "tunnel" => &mut timeouts.tunnel,
        "server-fin" => &mut timeouts.server_fin,
        _ => return None,
    })
}

/// `clitimeout` and its kin, gone since HAProxy 2.1.
pub(crate) fn old(reader: &mut Reader<'_>, _: &mut Draft, line: &Line) {
    let word = line.arg(0).to_owned();
    let new = match word.as_str() {
        "clitimeout" => "client",
        "contimeout" => "connect",
        _ => "server",
    };
    reader.fatal_at(line, format!(
        "the '{word}' directive is not supported anymore since HAProxy 2.1. Use 'timeout {new}'."
    ));
}

/// `clitcpka-*` and `srvtcpka-*`
pub(crate) fn keepalive(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let keyword = line.arg(0).to_owned();
    let word = line.arg(1).to_owned();
    let client = keyword.starts_with("cli");
    if word.is_empty() {
        reader.fatal_at(line, format!("'{keyword}' expects an integer value"));
        return;
    }
    let seconds = if keyword.ends_with("-cnt") {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let rest = word.get(digits..).unwrap_or_default();
        if !rest.is_empty() {
            let wrong = crate::text::first_byte(rest);
            reader.fatal_at(
                line,
                format!("'{keyword}' : unexpected character '{wrong}' in integer value '{word}'"),
            );
            return;
        }
        number::count(&word)
    } else {
        match read(reader, &word, Unit::Second) {
            Ok(seconds) => seconds,
            Err(DelayError::Overflow) => {
                reader.fatal_at(line, format!("timer overflow in argument '{word}' to '{keyword}' (maximum value is 2147483647 s or ~68 years).\n"));
                return;
            }
            Err(DelayError::Unexpected(wrong)) => {
                reader.fatal_at(
                    line,
                    format!("unexpected character '{wrong}' in argument to <{keyword}>.\n"),
                );
                return;
            }
        }
    };
    let (misplaced, side) = if client {
        (!draft.has_frontend(), "frontend")
    } else {
        (!draft.has_backend(), "backend")
    };
    if misplaced {
        reader.warn_at(
            line,
            format!(
                "{keyword} will be ignored because {} '{}' has no {side} capability",
                draft.word(),
                draft.name
            ),
        );
    }
    let settings = if client {
        &mut draft.settings.keepalive_client
    } else {
        &mut draft.settings.keepalive_server
    };
    let delay = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)));
    match keyword.rsplit_once('-') {
        Some((_, "cnt")) => settings.count = (seconds > 0).then_some(seconds),
        Some((_, "idle")) => settings.idle = delay,
        _ => settings.interval = delay,
    }
}
