//! `garp_group`: interfaces that share the pace of their announcements.

use vrrp_core::time::Duration;

use crate::model::GarpGroupDef;
use crate::number::seconds;
use crate::pass::Pass;
use crate::text::Line;

use super::{Action, Handled, Row};

/// The keywords.
pub(super) const ROWS: &[Row] = &[
    Row::full(
        "garp_interval",
        "SECONDS",
        pace,
        "between gratuitous ARPs of all its interfaces",
    ),
    Row::full(
        "gna_interval",
        "SECONDS",
        pace,
        "between unsolicited neighbour advertisements",
    ),
    Row::full("interface", "NAME", interface, "one of its interfaces"),
    Row::full(
        "interfaces",
        "{ NAME ... }",
        super::nothing,
        "its interfaces",
    )
    .with_action(Action::List {
        entry: interfaces,
        close: close_interfaces,
    }),
];

fn current<'p>(pass: &'p mut Pass<'_>) -> Option<&'p mut GarpGroupDef> {
    pass.draft.global.garp_groups.last_mut()
}

pub(super) fn open(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.garp_group_list = 0;
    pass.draft.global.garp_groups.push(GarpGroupDef::default());
    Ok(())
}

/// The end of the block: without an interval there is nothing to keep.
pub(super) fn close(pass: &mut Pass<'_>) {
    let Some(group) = pass.draft.global.garp_groups.pop() else {
        return;
    };
    if group.interval.is_none() && group.gna_interval.is_none() {
        let number = pass.draft.garp_group_list;
        pass.complain(format!(
            "garp group {number} does not have any delay set - removing"
        ));
    } else if !group.interfaces.is_empty() {
        pass.draft.global.garp_groups.push(group);
    }
}

fn pace(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const MAX_MICROS: u64 = 4_294_967_295;
    let text = pass.text(line, 1)?;
    let neighbours = line
        .words
        .first()
        .is_some_and(|word| word.is(b"gna_interval"));
    let micros = pass.loose_decimals(seconds(&text, 0, MAX_MICROS));
    let interval = Some(Duration::from_micros(micros.unwrap_or(0)));
    if let Some(group) = current(pass) {
        if neighbours {
            group.gna_interval = interval;
        } else {
            group.interval = interval;
        }
    }
    Ok(())
}

fn interface(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = pass.text(line, 1)?;
    add(pass, name);
    Ok(())
}

fn interfaces(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.draft.garp_group_list = 1;
    let names = line.words.iter().map(|word| word.text().into_owned());
    pass.draft.garp_group_names.extend(names);
    Ok(())
}

fn close_interfaces(pass: &mut Pass<'_>, count: usize) {
    if count == 0 {
        pass.complain("Warning - empty garp_group interfaces block");
    }
    // keepalived looks at them when it has read them all.
    for name in std::mem::take(&mut pass.draft.garp_group_names) {
        add(pass, name);
    }
}

fn add(pass: &mut Pass<'_>, name: String) {
    if pass.env.interface(&name).is_none() && !pass.draft.global.dynamic_interfaces {
        pass.mend(format!(
            "WARNING - interface {name} specified for garp_group doesn't exist"
        ));
        pass.draft.missing_interface = true;
        return;
    }
    let mut groups = pass.draft.global.garp_groups.iter();
    if groups.any(|group| group.interfaces.contains(&name)) {
        pass.complain(format!(
            "garp_group already specified for {name} - ignoring"
        ));
    } else if let Some(group) = current(pass) {
        group.interfaces.push(name);
    }
}
