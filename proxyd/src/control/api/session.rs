//! Commands about the client's own session.

use std::time::Duration;

use haproxy_cfg::model::{SeverityOutput, StatsLevel};

use super::{Context, Reply, Severity};

pub(super) fn prompt(context: &mut Context<'_>) -> Reply {
    context.session.interactive = !context.session.interactive;
    Reply::Silent
}

pub(super) fn operator(context: &mut Context<'_>, _: &[&str]) -> Reply {
    if context.session.level < StatsLevel::Operator {
        return Reply::error("Permission denied");
    }
    context.session.level = StatsLevel::Operator;
    Reply::Silent
}

pub(super) fn user(context: &mut Context<'_>, _: &[&str]) -> Reply {
    context.session.level = StatsLevel::User;
    Reply::Silent
}

pub(super) fn level(context: &mut Context<'_>, _: &[&str]) -> Reply {
    Reply::Message(Severity::Info, level_name(context.session.level).into())
}

/// The word for a level.
pub(super) fn level_name(level: StatsLevel) -> &'static str {
    match level {
        StatsLevel::User => "user",
        StatsLevel::Operator => "operator",
        StatsLevel::Admin => "admin",
    }
}

pub(super) fn severity_output(context: &mut Context<'_>, words: &[&str]) -> Reply {
    context.session.severity = match words.get(2).copied() {
        Some("none") => SeverityOutput::None,
        Some("number") => SeverityOutput::Number,
        Some("string") => SeverityOutput::String,
        Some(_) | None => {
            return Reply::error("one of 'none', 'number', 'string' is a required argument");
        }
    };
    Reply::Silent
}

pub(super) fn timeout(context: &mut Context<'_>, words: &[&str]) -> Reply {
    if words.get(2).copied() != Some("cli") {
        return Reply::error("'set timeout' only supports 'cli'.");
    }
    let Some(text) = words.get(3).filter(|text| !text.is_empty()) else {
        return Reply::error("Expects an integer value.");
    };
    match delay(text) {
        Some(delay) if !delay.is_zero() => {
            context.session.timeout = delay;
            Reply::Silent
        }
        Some(_) | None => Reply::error("Invalid timeout value."),
    }
}

/// A delay as the configuration writes it, in seconds unless a unit is given.
fn delay(text: &str) -> Option<Duration> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "us" => number / 1000,
        "ms" => number,
        "" | "s" => number.checked_mul(1000)?,
        "m" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        "d" => number.checked_mul(86_400_000)?,
        _ => return None,
    };
    // The original's clock counts milliseconds in 31 bits.
    (millis <= 0x7fff_ffff).then_some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_seconds_unless_said_otherwise() {
        let rows = [
            ("3", Some(3_000)),
            ("3s", Some(3_000)),
            ("250ms", Some(250)),
            ("2m", Some(120_000)),
            ("1d", Some(86_400_000)),
            ("30d", None),
            ("x", None),
            ("3x", None),
            ("", None),
        ];
        for (text, millis) in rows {
            assert_eq!(delay(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
