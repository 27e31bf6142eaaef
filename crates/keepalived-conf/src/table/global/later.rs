//! Words of keepalived 2.3 and 2.4, which 2.2.7 does not know: files written for it keep their meaning.

use std::path::PathBuf;

use vrrp_core::time::Duration;

use crate::number::{seconds, unsigned};
use crate::pass::Pass;
use crate::text::Line;

use super::super::Handled;
use super::other::switch;

pub(super) fn state_file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.draft.global.state_dump_file = Some(PathBuf::from(pass.text(line, 1)?));
    Ok(())
}

pub(super) fn stats_file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.draft.global.stats_dump_file = Some(PathBuf::from(pass.text(line, 1)?));
    Ok(())
}

pub(super) fn json_file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.draft.global.json_dump_file = Some(PathBuf::from(pass.text(line, 1)?));
    Ok(())
}

pub(super) fn json_version(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if let Some(version) = pass.number(unsigned(&text, 1, 2)) {
        pass.draft.global.json_version = if version == 2 { 2 } else { 1 };
    }
    Ok(())
}

pub(super) fn delay_after_boot(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const MOST: u64 = 4_294_967_295;
    let text = pass.text(line, 1)?;
    match pass.loose_decimals(seconds(&text, 0, MOST)) {
        None => pass.complain(format!("vrrp_delay_after_boot '{text}' is invalid")),
        Some(micros) => pass.draft.global.delay_after_boot = Duration::from_micros(micros),
    }
    Ok(())
}

pub(super) fn boolean(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let word = line.words.first().map(|word| word.text().into_owned());
    let word = word.unwrap_or_default();
    let _ = switch(pass, line, &format!("Invalid value for {word} specified"));
    Ok(())
}
