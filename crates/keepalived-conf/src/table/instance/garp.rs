//! Gratuitous ARP of one instance.

use crate::draft::GarpDraft;
use crate::number::unsigned;
use crate::pass::Pass;
use crate::text::Line;

use super::super::Handled;
use super::{current, name};

/// The longest pause before a second burst, in seconds: 32 bits of microseconds hold no more.
pub(in crate::table) const LONGEST_DELAY: u32 = 4_294;

fn set(pass: &mut Pass<'_>, change: impl FnOnce(&mut GarpDraft)) {
    if let Some(instance) = current(pass) {
        change(&mut instance.garp);
    }
}

pub(super) fn delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, LONGEST_DELAY)) {
        Some(value) => set(pass, |garp| garp.delay = Some(value)),
        None => {
            let name = name(pass);
            pass.complain(format!(
                "({name}): garp_master_delay '{text}' invalid - ignoring"
            ));
        }
    }
    Ok(())
}

/// A count of at least one.
fn at_least_one(
    pass: &mut Pass<'_>,
    line: &Line,
    keyword: &str,
) -> Result<Option<u32>, crate::pass::Fatal> {
    let text = pass.text(line, 1)?;
    let name = name(pass);
    let value = pass.number(unsigned(&text, 0, u32::MAX));
    match value {
        Some(0) => pass.complain(format!(
            "({name}): {keyword} must be greater than 0, setting to 1"
        )),
        Some(_) => {}
        None => pass.complain(format!("({name}): {keyword} '{text}' invalid - ignoring")),
    }
    Ok(value.map(|value| value.max(1)))
}

pub(super) fn repeat(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = at_least_one(pass, line, "garp_master_repeat")? {
        set(pass, |garp| garp.repeat = Some(value));
    }
    Ok(())
}

pub(super) fn refresh(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => set(pass, |garp| garp.refresh = Some(value)),
        None => {
            let name = name(pass);
            pass.complain(format!(
                "({name}): Invalid garp_master_refresh '{text}' - ignoring"
            ));
            set(pass, |garp| garp.refresh = Some(0));
        }
    }
    Ok(())
}

pub(super) fn refresh_repeat(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = at_least_one(pass, line, "garp_master_refresh_repeat")? {
        set(pass, |garp| garp.refresh_repeat = Some(value));
    }
    Ok(())
}

pub(super) fn lower_delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, LONGEST_DELAY)) {
        Some(value) => set(pass, |garp| garp.lower_delay = Some(value)),
        None => {
            let name = name(pass);
            pass.complain(format!(
                "({name}): garp_lower_prio_delay '{text}' invalid - ignoring"
            ));
        }
    }
    Ok(())
}

pub(super) fn lower_repeat(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => set(pass, |garp| garp.lower_repeat = Some(value)),
        None => {
            let name = name(pass);
            pass.complain(format!("({name}): Invalid garp_lower_prio_repeat '{text}'"));
        }
    }
    Ok(())
}

pub(super) fn extra_if(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let prefix = format!("({}): ", name(pass));
    extra_interfaces(pass, line, &prefix, 0)
}

pub(super) fn vmac_interval(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.complain("Keyword \"vmac_garp_intvl\" is deprecated - please use \"garp_extra_if\"");
    extra_if(pass, line)
}

/// `[all] SECONDS`, at most a day.
pub(in crate::table) fn extra_interfaces(
    pass: &mut Pass<'_>,
    line: &Line,
    prefix: &str,
    least: u32,
) -> Handled {
    const DAY: u32 = 86_400;
    let keyword = line
        .words
        .first()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    let all = line.words.get(1).is_some_and(|word| word.is(b"all"));
    let Some(word) = line.words.get(if all { 2 } else { 1 }) else {
        pass.complain(format!(
            "{prefix}{keyword} specified without time - ignoring"
        ));
        return Ok(());
    };
    let text = word.text();
    if pass.number(unsigned(&text, least, DAY)).is_none() {
        pass.complain(format!("{prefix}{keyword} '{text}' invalid - ignoring"));
    }
    Ok(())
}
