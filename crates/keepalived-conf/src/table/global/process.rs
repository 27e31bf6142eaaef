//! Keywords about the daemon's own processes.

use vrrp_core::time::Duration;

use crate::number::{signed, unsigned};
use crate::pass::Pass;
use crate::text::Line;

use super::super::Handled;

/// The kernel keeps this many bytes of a process's name.
const MAX_NAME: usize = 15;

/// `vrrp`, `checker` or `bfd`, as the keyword begins; only the first is a process here.
fn process_of(line: &Line) -> String {
    let keyword = line
        .words
        .first()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    keyword.split('_').next().unwrap_or_default().to_owned()
}

const OURS: &str = "vrrp";

pub(super) fn nice(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let process = process_of(line);
    let Some(word) = line.words.get(1) else {
        pass.complain(format!("No {process} process priority specified"));
        return Ok(());
    };
    match pass.number(signed(&word.text(), -20, 19)) {
        Some(value) if process == OURS => pass.draft.global.nice = Some(value),
        Some(_) => {}
        None => pass.complain(format!("Invalid {process} process priority specified")),
    }
    Ok(())
}

pub(super) fn realtime(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const MIN: i32 = 1;
    const MAX: i32 = 99;
    let process = process_of(line);
    let Some(word) = line.words.get(1) else {
        pass.complain(format!("No {process} process real-time priority specified"));
        return Ok(());
    };
    let text = word.text();
    let Some(value) = pass.number(signed(&text, i32::MIN, i32::MAX)) else {
        pass.complain(format!(
            "{process} process real-time priority '{text}' invalid"
        ));
        return Ok(());
    };
    if value < MIN {
        pass.complain(format!("{process} process real-time priority {value} less than minimum {MIN} - setting to minimum"));
    } else if value > MAX {
        pass.complain(format!("{process} process real-time priority {value} greater than maximum {MAX} - setting to maximum"));
    }
    if process == OURS {
        pass.draft.global.realtime_priority = u32::try_from(value.clamp(MIN, MAX)).ok();
    }
    Ok(())
}

pub(super) fn realtime_limit(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let process = process_of(line);
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 1, u32::MAX)) {
        Some(value) if process == OURS => pass.draft.global.realtime_limit = Some(value.into()),
        Some(_) => {}
        None => pass.complain(format!("Invalid {process} real-time limit - {text}")),
    }
    Ok(())
}

pub(super) fn no_swap(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.global.no_swap = true;
    Ok(())
}

pub(super) fn affinity(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let process = process_of(line);
    let last = pass.env.cpus().saturating_sub(1);
    if line.words.len() < 2 {
        pass.complain(format!("No {process} cpu_id set specified"));
        return Ok(());
    }
    for word in line.rest(1) {
        pass.focus = Some(word.span);
        let read = signed(&word.text(), 0, i32::try_from(last).unwrap_or(i32::MAX));
        let shown = read
            .as_ref()
            .err()
            .and_then(|faulty| faulty.value)
            .unwrap_or(0);
        match pass.number(read) {
            Some(cpu) if process == OURS => {
                pass.draft.global.cpu_affinity.extend(u32::try_from(cpu));
            }
            Some(_) => {}
            None => {
                pass.complain(format!(
                    "Invalid cpu_id:{shown} specified for {process} process"
                ));
                break;
            }
        }
    }
    Ok(())
}

pub(super) fn all_names(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft
        .global
        .process_name
        .get_or_insert_with(|| "keepalived".to_owned());
    pass.draft
        .global
        .vrrp_process_name
        .get_or_insert_with(|| "keepalived_vrrp".to_owned());
    Ok(())
}

fn process_name(pass: &mut Pass<'_>, line: &Line) -> Result<String, crate::pass::Fatal> {
    let word = pass.word(line, 1)?;
    let mut name = word.text().into_owned();
    if name.len() > MAX_NAME {
        pass.complain(format!(
            "Process name {name} more than {MAX_NAME} characters, truncating"
        ));
        let end = (0..=MAX_NAME)
            .rev()
            .find(|end| name.is_char_boundary(*end))
            .unwrap_or(0);
        name.truncate(end);
    }
    Ok(name)
}

pub(super) fn name(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = process_name(pass, line)?;
    pass.draft.global.process_name = Some(name);
    Ok(())
}

pub(super) fn vrrp_name(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = process_name(pass, line)?;
    pass.draft.global.vrrp_process_name = Some(name);
    Ok(())
}

/// `umask`: a number in C's notation, or names of bits with `|` between them.
pub(super) fn umask(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if text.starts_with(|sign: char| sign.is_ascii_digit()) {
        let value = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None if text.starts_with('0') => u32::from_str_radix(&text, 8),
            None => text.parse(),
        };
        match value.ok().filter(|value| *value <= 0o777) {
            Some(value) => pass.draft.global.umask = Some(value),
            None => pass.complain(format!("invalid umask value {text}")),
        }
        return Ok(());
    }
    let joined: String = line
        .rest(1)
        .iter()
        .map(|word| word.text().into_owned())
        .collect();
    let mut mask = 0;
    for bit in joined.split('|') {
        let Some(value) = bit_value(bit) else {
            pass.complain(format!("Unknown umask bit {bit}"));
            return Ok(());
        };
        mask |= value;
    }
    pass.draft.global.umask = Some(mask);
    Ok(())
}

fn bit_value(name: &str) -> Option<u32> {
    let bits = match name.get(..2)? {
        "IR" => 4,
        "IW" => 2,
        "IX" => 1,
        _ => return None,
    };
    match name.get(2..)? {
        "USR" => Some(bits << 6),
        "GRP" => Some(bits << 3),
        "OTH" => Some(bits),
        _ => None,
    }
}

pub(super) fn max_auto_priority(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const MAX: i32 = 99;
    let mut most = MAX;
    if let Some(word) = line.words.get(1) {
        let text = word.text();
        let Some(read) = pass.number(signed(&text, -1, MAX)) else {
            pass.complain(format!(
                "max_auto_priority '{text}' must be in [0, {MAX}] (or -1 to disable) - ignoring"
            ));
            return Ok(());
        };
        most = read;
    }
    let most = u32::try_from(most).ok().filter(|most| *most > 0);
    pass.draft.global.max_auto_priority = most;
    Ok(())
}

pub(super) fn min_auto_delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let Some(word) = line.words.get(1) else {
        pass.complain("min_auto_priority_delay requires delay time");
        return Ok(());
    };
    let text = word.text();
    let read = pass.number(signed(&text, 1, 10_000_000));
    match read.and_then(|micros| u64::try_from(micros).ok()) {
        Some(micros) => {
            pass.draft.global.min_auto_priority_delay = Duration::from_micros(micros);
        }
        None => pass.complain(format!(
            "min_auto_priority_delay '{text}' must be in [1, 10000000] - ignoring"
        )),
    }
    Ok(())
}
