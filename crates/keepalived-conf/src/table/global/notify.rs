//! FIFOs that are told of changes. keepalived.conf(5), "notify_fifo".

use std::path::PathBuf;

use crate::draft::Draft;
use crate::model::FifoDef;
use crate::pass::Pass;
use crate::security;
use crate::text::Line;

use super::super::{Handled, notify};
use super::other;

fn keyword(line: &Line) -> String {
    line.words
        .first()
        .map(|word| word.text().into_owned())
        .unwrap_or_default()
}

/// The FIFO that a keyword speaks of, and its place among the scripts.
fn place<'d>(draft: &'d mut Draft, keyword: &str) -> (&'d mut Option<FifoDef>, usize) {
    if keyword.starts_with("vrrp") {
        (&mut draft.global.vrrp_fifo, 1)
    } else {
        (&mut draft.global.fifo, 0)
    }
}

/// `notify_fifo` and `vrrp_notify_fifo`.
pub(super) fn fifo(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let keyword = keyword(line);
    let Some(word) = line.words.get(1) else {
        pass.complain(format!("No {keyword} name specified"));
        return Ok(());
    };
    let path = PathBuf::from(word.text().into_owned());
    if place(pass.draft, &keyword).0.is_some() {
        pass.complain(format!(
            "{keyword} already specified - ignoring {}",
            path.display()
        ));
        return Ok(());
    }
    let owner = if line.words.len() > 2 {
        let owner = security::credentials(pass, line, 2);
        if owner.is_none() {
            pass.log(format!(
                "Invalid user/group for {keyword} {} - ignoring",
                path.display()
            ));
            return Ok(());
        }
        owner
    } else {
        None
    };
    let (fifo, at) = place(pass.draft, &keyword);
    *fifo = Some(FifoDef {
        path,
        owner,
        script: None,
    });
    join(pass.draft, &keyword, at);
    Ok(())
}

/// `notify_fifo_script` and `vrrp_notify_fifo_script`.
pub(super) fn fifo_script(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let keyword = keyword(line);
    if line.words.len() < 2 {
        pass.complain(format!("No {keyword} specified"));
        return Ok(());
    }
    let (_, at) = place(pass.draft, &keyword);
    if pass.draft.fifo_scripts.get(at).is_some_and(Option::is_some) {
        let text = pass.text(line, 1)?;
        pass.complain(format!("{keyword} already specified - ignoring {text}"));
        return Ok(());
    }
    let command = notify::command(pass, line)?;
    if let Some(script) = pass.draft.fifo_scripts.get_mut(at) {
        *script = command;
    }
    join(pass.draft, &keyword, at);
    Ok(())
}

/// FIFO and script may stand in either order.
fn join(draft: &mut Draft, keyword: &str, at: usize) {
    let script = draft.fifo_scripts.get(at).cloned().flatten();
    if let Some(fifo) = place(draft, keyword).0 {
        fifo.script = script;
    }
}

/// `lvs_notify_fifo`: nothing writes it.
pub(super) fn lvs_fifo(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let complaint = format!("No {} name specified", keyword(line));
    other::needed(pass, line, &complaint)
}

/// `lvs_notify_fifo_script`
pub(super) fn lvs_fifo_script(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let complaint = format!("No {} specified", keyword(line));
    other::needed(pass, line, &complaint)
}

/// `vrrp_notify_priority_changes`
pub(super) fn priority_changes(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let value = line
        .words
        .get(1)
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    let complaint =
        format!("Invalid value '{value}' for global vrrp_notify_priority_changes specified");
    if let Some(value) = other::switch(pass, line, &complaint) {
        pass.draft.global.notify_priority_changes = value;
    }
    Ok(())
}

/// `fifo_write_vrrp_states_on_reload`
pub(super) fn states_on_reload(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.global.states_on_reload = true;
    Ok(())
}
