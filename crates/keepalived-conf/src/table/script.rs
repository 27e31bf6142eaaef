//! `vrrp_script`. keepalived.conf(5), "VRRP script(s)".

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use vrrp_core::settings::Sense;

use crate::draft::ScriptDraft;
use crate::number::{signed, unsigned};
use crate::pass::Pass;
use crate::security;
use crate::text::{Line, QuoteFault, split_escaped};

use super::{Handled, Row};

/// The longest time in whole seconds that 32 bits of microseconds hold.
const MAX_SECONDS: u32 = 4294;
const MAX_COUNT: u32 = 2_147_483_647;

/// The keywords.
pub(super) const ROWS: &[Row] = &[
    Row::full(
        "script",
        "COMMAND|\"COMMAND ARGUMENTS\"",
        command,
        "what to run; no shell reads it, `'` and `\\` quote within it",
    ),
    Row::full(
        "interval",
        "SECONDS",
        interval,
        "from one run to the next, 1 unless given",
    ),
    Row::full(
        "timeout",
        "SECONDS",
        timeout,
        "when a run counts as failed, the interval unless given",
    ),
    Row::full(
        "weight",
        "-253..253 [reverse]",
        weight,
        "0: failure is a fault; above: added while it succeeds; below: subtracted while it fails",
    ),
    Row::full(
        "rise",
        "COUNT",
        rise,
        "successes in a row before it counts as succeeding",
    ),
    Row::full(
        "fall",
        "COUNT",
        fall,
        "failures in a row before it counts as failing",
    ),
    Row::full("user", "USER [GROUP]", user, "whom to run it as"),
    Row::full(
        "init_fail",
        "",
        init_fail,
        "it counts as failing until `rise` successes",
    ),
];

pub(super) fn open(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = pass.text(line, 1)?;
    if pass.draft.scripts.iter().any(|script| script.name == name) {
        pass.log(format!(
            "Duplicate script name {name} - the first one counts"
        ));
    }
    pass.draft.scripts.push(ScriptDraft {
        name,
        argv: Vec::new(),
        interval: 1,
        timeout: None,
        weight: 0,
        sense: Sense::Normal,
        rise: 1,
        fall: 1,
        user: None,
        init_fail: false,
        remove: false,
    });
    Ok(())
}

/// The end of the block: what cannot be run is taken away.
pub(super) fn close(pass: &mut Pass<'_>) {
    let Some(mut script) = pass.draft.scripts.pop() else {
        return;
    };
    if script.remove {
        return;
    }
    if script.argv.is_empty() {
        pass.complain(format!(
            "No script set for vrrp_script {} - removing",
            script.name
        ));
        return;
    }
    if script.user.is_none() {
        script.user = security::default_user(pass);
        if script.user.is_none() {
            pass.complain(format!(
                "Unable to set default user for vrrp script {} - removing",
                script.name
            ));
            return;
        }
    }
    pass.draft.scripts.push(script);
}

/// The command of a line: the rest of it split with quotes and escapes gives the keyword and the
/// command's text, which is then split in the same way.
pub(super) fn command_of(pass: &mut Pass<'_>, line: &Line) -> Option<Vec<OsString>> {
    let split = |pass: &mut Pass<'_>, text: &[u8]| match split_escaped(text) {
        Ok(words) => Some(words),
        Err(QuoteFault::Open(quote)) => {
            let shown = String::from_utf8_lossy(text).into_owned();
            pass.complain(format!("String '{shown}': missing terminating {quote}"));
            None
        }
        Err(QuoteFault::EscapeAtEnd) => {
            let shown = String::from_utf8_lossy(text).into_owned();
            pass.complain(format!("Missing escape char at end: '{shown}'"));
            None
        }
    };
    let words = split(pass, &line.text)?;
    let argv = split(pass, words.get(1)?)?;
    Some(argv.into_iter().map(OsString::from_vec).collect())
}

fn current<'p>(pass: &'p mut Pass<'_>) -> Option<&'p mut ScriptDraft> {
    pass.draft.scripts.last_mut()
}

fn name(pass: &Pass<'_>) -> String {
    pass.draft
        .scripts
        .last()
        .map(|script| script.name.clone())
        .unwrap_or_default()
}

fn command(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let argv = command_of(pass, line).unwrap_or_default();
    if argv.is_empty() {
        return Ok(());
    }
    if let Some(script) = current(pass) {
        script.argv = argv;
    }
    Ok(())
}

fn interval(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let Some(mut seconds) = pass.number(unsigned(&text, 0, MAX_SECONDS)) else {
        let name = name(pass);
        pass.complain(format!(
            "({name}): vrrp script interval '{text}' must be between 1 and {MAX_SECONDS} - ignoring"
        ));
        return Ok(());
    };
    if seconds == 0 {
        let name = name(pass);
        pass.complain(format!(
            "({name}): vrrp script interval must be greater than 0, setting to 1"
        ));
        seconds = 1;
    }
    if let Some(script) = current(pass) {
        script.interval = seconds;
    }
    Ok(())
}

fn timeout(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let Some(mut seconds) = pass.number(unsigned(&text, 0, MAX_SECONDS)) else {
        let name = name(pass);
        pass.complain(format!(
            "({name}): vrrp script timeout '{text}' invalid - ignoring"
        ));
        return Ok(());
    };
    if seconds == 0 {
        let name = name(pass);
        pass.complain(format!(
            "({name}): vrrp script timeout must be greater than 0, setting to 1"
        ));
        seconds = 1;
    }
    if let Some(script) = current(pass) {
        script.timeout = Some(seconds);
    }
    Ok(())
}

fn weight(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let read = signed(&text, -253, 253);
    let valid = read.is_ok();
    let value = pass.loose_number(read);
    let name = name(pass);
    if !valid {
        pass.complain(format!(
            "vrrp_script {name} weight {text} must be in [-253, 253]"
        ));
    }
    let mut sense = Sense::Normal;
    if let Some(option) = line.words.get(2) {
        if option.is(b"reverse") {
            sense = Sense::Reverse;
        } else {
            pass.complain(format!(
                "vrrp_script {name} unknown weight option {}",
                option.text()
            ));
        }
    }
    if let (Some(value), Some(script)) = (value, current(pass)) {
        // A weight beyond the range acts as the largest that still tells priorities apart.
        script.weight = i16::try_from(value.clamp(-254, 254)).unwrap_or(0);
        script.sense = sense;
    }
    Ok(())
}

fn count(pass: &mut Pass<'_>, line: &Line, what: &str) -> Result<u32, crate::pass::Fatal> {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 1, MAX_COUNT)) {
        Some(count) => Ok(count),
        None => {
            let name = name(pass);
            pass.complain(format!(
                "({name}): vrrp script {what} value '{text}' invalid, defaulting to 1"
            ));
            Ok(1)
        }
    }
}

fn rise(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let rise = count(pass, line, "rise")?;
    if let Some(script) = current(pass) {
        script.rise = rise;
    }
    Ok(())
}

fn fall(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let fall = count(pass, line, "fall")?;
    if let Some(script) = current(pass) {
        script.fall = fall;
    }
    Ok(())
}

fn user(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.word(line, 1)?;
    let found = security::credentials(pass, line, 1);
    let Some(script) = current(pass) else {
        return Ok(());
    };
    if found.is_none() {
        let shown: Vec<String> = script
            .argv
            .iter()
            .map(|word| format!("'{}'", word.display()))
            .collect();
        script.remove = true;
        let shown = shown.join(" ");
        pass.complain(format!("Unable to set uid/gid for script {shown}"));
        return Ok(());
    }
    script.user = found;
    script.remove = false;
    Ok(())
}

fn init_fail(pass: &mut Pass<'_>, _: &Line) -> Handled {
    if let Some(script) = current(pass) {
        script.init_fail = true;
    }
    Ok(())
}
