//! Words of keepalived 2.3, which 2.2.7 does not know: files written for it keep their meaning.

use std::path::PathBuf;

use crate::number::unsigned;
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
    if pass.number(unsigned(&text, 1, 2)) == Some(2) {
        let place = line.words.first().map(|word| word.span);
        pass.own(
            place,
            "'json_version 2' has no effect here",
            "the JSON dump has the shape of version 1",
        );
    }
    Ok(())
}

pub(super) fn boolean(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let word = line.words.first().map(|word| word.text().into_owned());
    let word = word.unwrap_or_default();
    let _ = switch(pass, line, &format!("Invalid value for {word} specified"));
    Ok(())
}
