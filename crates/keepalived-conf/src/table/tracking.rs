//! Trackers, groups, and the lines of routes and rules, which are only looked over.

use vrrp_core::settings::Sense;

use crate::draft::{GroupDraft, TrackedInterface, TrackedScript};
use crate::number::boolean;
use crate::pass::Pass;
use crate::text::{Line, Word};

use super::instance::{MAX_INTERFACE, current, name};
use super::{Action, Handled, Row, addresses, no_list_close, nothing, notify};

const NO_GROUPS: &str = "each instance changes state by itself";
const NO_PROCESSES: &str = "processes are not watched; use a vrrp_script";
const NO_FILES: &str = "files are not watched; use a vrrp_script";

/// The keywords of `vrrp_sync_group`.
pub(super) const SYNC_GROUP: &[Row] = &[
    Row::accepted("group", "{ INSTANCE ... }", nothing, NO_GROUPS).with_action(Action::List {
        entry: member,
        close: close_members,
    }),
    Row::accepted("track_interface", "{ NAME ... }", nothing, NO_GROUPS).with_action(
        Action::List {
            entry: nothing,
            close: no_list_close,
        },
    ),
    Row::accepted("track_script", "{ NAME ... }", nothing, NO_GROUPS).with_action(Action::List {
        entry: group_script,
        close: no_list_close,
    }),
    Row::accepted("track_file", "{ NAME ... }", nothing, NO_GROUPS).with_action(Action::List {
        entry: nothing,
        close: no_list_close,
    }),
    Row::accepted("track_process", "{ NAME ... }", nothing, NO_GROUPS).with_action(Action::List {
        entry: nothing,
        close: no_list_close,
    }),
    Row::accepted("track_bfd", "{ NAME ... }", nothing, NO_GROUPS).with_action(Action::List {
        entry: nothing,
        close: no_list_close,
    }),
    Row::refused(
        "notify",
        "COMMAND [USER [GROUP]]",
        notify::of_group,
        notify::REASON,
    ),
    Row::refused(
        "notify_master",
        "COMMAND [USER [GROUP]]",
        notify::of_group,
        notify::REASON,
    ),
    Row::refused(
        "notify_backup",
        "COMMAND [USER [GROUP]]",
        notify::of_group,
        notify::REASON,
    ),
    Row::refused(
        "notify_fault",
        "COMMAND [USER [GROUP]]",
        notify::of_group,
        notify::REASON,
    ),
    Row::refused(
        "notify_stop",
        "COMMAND [USER [GROUP]]",
        notify::of_group,
        notify::REASON,
    ),
    Row::accepted("notify_priority_changes", "BOOL", nothing, NO_GROUPS),
    Row::accepted("smtp_alert", "[BOOL]", group_mail, NO_GROUPS),
    Row::accepted("global_tracking", "", global_tracking, NO_GROUPS),
    Row::accepted("sync_group_tracking_weight", "", nothing, NO_GROUPS),
];

/// The keywords of `vrrp_track_process`.
pub(super) const TRACK_PROCESS: &[Row] = &[
    Row::accepted("process", "COMMAND ...", nothing, NO_PROCESSES),
    Row::accepted("param_match", "initial|partial", nothing, NO_PROCESSES),
    Row::accepted("weight", "-254..254 [reverse]", nothing, NO_PROCESSES),
    Row::accepted("quorum", "COUNT", nothing, NO_PROCESSES),
    Row::accepted("quorum_max", "COUNT", nothing, NO_PROCESSES),
    Row::accepted("delay", "SECONDS", nothing, NO_PROCESSES),
    Row::accepted("fork_delay", "SECONDS", nothing, NO_PROCESSES),
    Row::accepted("terminate_delay", "SECONDS", nothing, NO_PROCESSES),
    Row::accepted("full_command", "", nothing, NO_PROCESSES),
];

/// The keywords of `track_file`.
pub(super) const TRACK_FILE: &[Row] = &[
    Row::accepted("file", "NAME", nothing, NO_FILES),
    Row::accepted("weight", "NUMBER [reverse]", nothing, NO_FILES),
    Row::accepted("init_file", "[NUMBER] [overwrite]", nothing, NO_FILES),
];

/// The keywords of `track_group`.
pub(super) const TRACK_GROUP: &[Row] = &[Row::accepted(
    "group",
    "{ INSTANCE ... }",
    nothing,
    "addresses outside an instance are not set",
)
.with_action(Action::List {
    entry: nothing,
    close: no_list_close,
})];

/// The keywords of `garp_group`.
pub(super) const GARP_GROUP: &[Row] = &[
    Row::accepted(
        "garp_interval",
        "SECONDS",
        nothing,
        "see vrrp_garp_interval",
    ),
    Row::accepted("gna_interval", "SECONDS", nothing, "see vrrp_gna_interval"),
    Row::accepted("interface", "NAME", nothing, "see vrrp_garp_interval"),
    Row::accepted(
        "interfaces",
        "{ NAME ... }",
        nothing,
        "see vrrp_garp_interval",
    )
    .with_action(Action::List {
        entry: nothing,
        close: no_list_close,
    }),
];

/// `weight W [reverse]` after the name of a tracker.
struct Weighing {
    weight: Option<i32>,
    sense: Sense,
}

/// The words of keepalived's complaints, which differ from tracker to tracker.
struct Wording {
    unknown_option: fn(&str, &str) -> String,
    no_value: fn(&str) -> String,
    out_of_range: fn(&str, &str) -> String,
    unknown_weight_option: fn(&str, &str) -> String,
}

const SCRIPT: Wording = Wording {
    unknown_option: |_, option| format!("unknown track script option {option} - ignoring"),
    no_value: |tracker| {
        format!("weight without value specified for track script {tracker} - ignoring")
    },
    out_of_range: |tracker, _| {
        format!("track script {tracker}: weight must be between [-253..253] inclusive, ignoring...")
    },
    unknown_weight_option: |tracker, option| {
        format!("unknown track_script {tracker} weight option {option} - ignoring")
    },
};

const INTERFACE: Wording = Wording {
    unknown_option: |tracker, option| {
        format!("unknown track_interface {tracker} option {option} - ignoring")
    },
    no_value: |tracker| {
        format!("weight without value specified for track_interface {tracker} - ignoring")
    },
    out_of_range: |tracker, value| {
        format!("weight {value} for {tracker} must be between [-253..253] inclusive. Ignoring...")
    },
    unknown_weight_option: |tracker, option| {
        format!("unknown track_interace {tracker} weight option {option} - ignoring")
    },
};

/// Reads the weight; `None` if the whole tracker is to be left out.
fn weighing(
    pass: &mut Pass<'_>,
    line: &Line,
    tracker: &str,
    wording: &Wording,
) -> Option<Weighing> {
    let mut weighing = Weighing {
        weight: None,
        sense: Sense::Normal,
    };
    let name = name(pass);
    let Some(option) = line.words.get(1) else {
        return Some(weighing);
    };
    pass.focus = Some(option.span);
    if !option.is(b"weight") {
        let option = option.text();
        pass.complain(format!(
            "({name}) {}",
            (wording.unknown_option)(tracker, &option)
        ));
        return None;
    }
    let Some(value) = line.words.get(2) else {
        pass.complain(format!("({name}) {}", (wording.no_value)(tracker)));
        return None;
    };
    pass.focus = Some(value.span);
    let text = value.text();
    match pass.number(addresses::tracker_weight(&text)) {
        None => pass.complain(format!(
            "({name}) {}",
            (wording.out_of_range)(tracker, &text)
        )),
        Some(weight) if weight.abs() == 254 => {
            pass.complain(format!(
                "({name}) weight for {tracker} cannot be +/-254. Setting to +/-253"
            ));
            weighing.weight = Some(weight.signum() * 253);
        }
        Some(weight) => weighing.weight = Some(weight),
    }
    if let Some(option) = line.words.get(3) {
        match option.bytes.as_slice() {
            b"reverse" => weighing.sense = Sense::Reverse,
            b"noreverse" => weighing.sense = Sense::Normal,
            _ => {
                let option = option.text();
                pass.complain(format!(
                    "({name}) {}",
                    (wording.unknown_weight_option)(tracker, &option)
                ));
            }
        }
    }
    Some(weighing)
}

/// A line of `track_script`.
pub(super) fn script(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let tracker = pass.text(line, 0)?;
    let name = name(pass);
    let Some(defaults) = pass
        .draft
        .scripts
        .iter()
        .find(|script| script.name == tracker)
        .map(|script| (script.weight, script.sense))
    else {
        pass.complain(format!(
            "({name}) track script {tracker} not found, ignoring..."
        ));
        return Ok(());
    };
    let twice = current(pass)
        .is_some_and(|instance| instance.scripts.iter().any(|other| other.name == tracker));
    if twice {
        pass.complain(format!(
            "({name}) duplicate track_script {tracker} - ignoring"
        ));
        return Ok(());
    }
    let Some(weighing) = weighing(pass, line, &tracker, &SCRIPT) else {
        return Ok(());
    };
    let (weight, sense) = match weighing.weight {
        Some(weight) => (i16::try_from(weight).unwrap_or(0), weighing.sense),
        None => defaults,
    };
    let Some(span) = line.words.first().map(|word| word.span) else {
        return Ok(());
    };
    if let Some(instance) = current(pass) {
        instance.scripts.push(TrackedScript {
            name: tracker,
            weight,
            sense,
            span,
        });
    }
    Ok(())
}

/// A line of `track_interface`.
pub(super) fn interface(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let tracker = pass.text(line, 0)?;
    let name = name(pass);
    if tracker.len() >= MAX_INTERFACE {
        pass.complain(format!("Interface name '{tracker}' too long - ignoring"));
        return Ok(());
    }
    if pass.env.interface(&tracker).is_none() && !pass.draft.global.dynamic_interfaces {
        pass.complain(format!(
            "({name}) tracked interface {tracker} doesn't exist"
        ));
        pass.draft.missing_interface = true;
        return Ok(());
    }
    let twice = current(pass).is_some_and(|instance| {
        instance
            .interfaces
            .iter()
            .any(|other| other.name == tracker)
    });
    if twice {
        pass.complain(format!(
            "({name}) duplicate track_interface {tracker} - ignoring"
        ));
        return Ok(());
    }
    let Some(weighing) = weighing(pass, line, &tracker, &INTERFACE) else {
        return Ok(());
    };
    let Some(span) = line.words.first().map(|word| word.span) else {
        return Ok(());
    };
    if let Some(instance) = current(pass) {
        instance.interfaces.push(TrackedInterface {
            name: tracker,
            weighted: weighing.weight.is_some_and(|weight| weight != 0),
            span,
        });
    }
    Ok(())
}

/// A line that names a tracker of another kind.
fn other(pass: &mut Pass<'_>, line: &Line, kind: &'static str, known: bool) -> Handled {
    let tracker = pass.text(line, 0)?;
    let name = name(pass);
    if !known {
        pass.complain(format!(
            "({name}) track {kind} {tracker} not found, ignoring..."
        ));
        return Ok(());
    }
    let entry = (kind, tracker);
    let twice = current(pass).is_some_and(|instance| instance.others.contains(&entry));
    if twice {
        pass.complain(format!(
            "({name}) duplicate track_{kind} {} - ignoring",
            entry.1
        ));
    } else if let Some(instance) = current(pass) {
        instance.others.push(entry);
    }
    Ok(())
}

fn first_in(line: &Line, names: &[String]) -> bool {
    line.words
        .first()
        .is_some_and(|word| names.iter().any(|name| word.is(name.as_bytes())))
}

/// A line of `track_process`.
pub(super) fn process(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let known = first_in(line, &pass.draft.track_processes);
    other(pass, line, "process", known)
}

/// A line of `track_file`.
pub(super) fn file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let known = first_in(line, &pass.draft.track_files);
    other(pass, line, "file", known)
}

/// A line of `track_bfd`.
pub(super) fn bfd(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let known = first_in(line, &pass.draft.bfd_instances);
    other(pass, line, "bfd", known)
}

pub(super) fn open_process(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = pass.text(line, 1)?;
    pass.draft.track_processes.push(name);
    Ok(())
}

pub(super) fn open_file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = pass.text(line, 1)?;
    pass.draft.track_files.push(name);
    Ok(())
}

pub(super) fn open_track_group(pass: &mut Pass<'_>, line: &Line) -> Handled {
    match line.words.get(1) {
        None => {
            pass.complain("track_group must have a name - skipping");
            pass.skip_block();
        }
        Some(word)
            if pass
                .draft
                .track_groups
                .iter()
                .any(|name| word.is(name.as_bytes())) =>
        {
            pass.complain(format!("track_group {} already defined", word.text()));
            pass.skip_block();
        }
        Some(word) => pass.draft.track_groups.push(word.text().into_owned()),
    }
    Ok(())
}

pub(super) fn open_group(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let [_, word] = line.words.as_slice() else {
        pass.complain("vrrp_sync_group must have a name - skipping");
        pass.skip_block();
        return Ok(());
    };
    let name = word.text().into_owned();
    if pass.draft.groups.iter().any(|group| group.name == name) {
        pass.complain(format!("vrrp sync group {name} already defined"));
        pass.skip_block();
        return Ok(());
    }
    pass.draft.groups.push(GroupDraft {
        name,
        members: None,
        notifies: Vec::new(),
    });
    Ok(())
}

fn member(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let names: Vec<String> = line
        .words
        .iter()
        .map(Word::text)
        .map(std::borrow::Cow::into_owned)
        .collect();
    if let Some(group) = pass.draft.groups.last_mut() {
        group.members.get_or_insert_default().extend(names);
    }
    Ok(())
}

fn close_members(pass: &mut Pass<'_>, count: usize) {
    if count == 0 {
        let name = pass
            .draft
            .groups
            .last()
            .map(|group| group.name.clone())
            .unwrap_or_default();
        pass.complain(format!("Warning - sync group {name} has empty group block"));
    }
}

fn group_script(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let tracker = pass.text(line, 0)?;
    if !pass
        .draft
        .scripts
        .iter()
        .any(|script| script.name == tracker)
    {
        let name = pass
            .draft
            .groups
            .last()
            .map(|group| group.name.clone())
            .unwrap_or_default();
        pass.complain(format!(
            "({name}) track script {tracker} not found, ignoring..."
        ));
    }
    Ok(())
}

fn group_mail(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(word) = line.words.get(1)
        && boolean(&word.bytes).is_none()
    {
        pass.complain(format!(
            "Invalid vrrp_group smtp_alert parameter {}",
            word.text()
        ));
    }
    Ok(())
}

fn global_tracking(pass: &mut Pass<'_>, _: &Line) -> Handled {
    let name = pass
        .draft
        .groups
        .last()
        .map(|group| group.name.clone())
        .unwrap_or_default();
    pass.complain(format!(
        "({name}) global_tracking is deprecated. Use track_interface/script/file on the sync group"
    ));
    Ok(())
}

/// A line of `static_ipaddress`.
pub(super) fn static_address(pass: &mut Pass<'_>, line: &Line) -> Handled {
    addresses::fixed(pass, line)
}

/// A line of `virtual_routes` or `static_routes`, looked over for what keepalived warns of most.
pub(super) fn route(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const VALUES: [&[u8]; 2] = [b"src", b"to"];
    const KINDS: [&[u8]; 5] = [b"blackhole", b"unreachable", b"prohibit", b"throw", b"nat"];
    let mut words = line.words.iter();
    let mut destination = None;
    let mut device = false;
    while let Some(word) = words.next() {
        if KINDS.contains(&word.bytes.as_slice()) {
            continue;
        }
        if word.is(b"dev") || word.is(b"oif") {
            device = true;
            if let Some(value) = words.next() {
                let text = value.text();
                if pass.env.interface(&text).is_none() && !pass.draft.global.dynamic_interfaces {
                    pass.complain(format!(
                        "WARNING - interface {text} for VROUTE nexthop doesn't exist"
                    ));
                    pass.draft.missing_interface = true;
                }
            }
        } else if word.is(b"gw") {
            pass.complain("\"gw\" for routes is deprecated. Please use \"via\"");
            words.next();
        } else if word.is(b"or") {
            pass.complain("\"or\" for routes is deprecated. Please use \"nexthop\"");
            words.next();
        } else if VALUES.contains(&word.bytes.as_slice()) {
            let value = words.next();
            if word.is(b"to") {
                destination = value;
            }
        } else if destination.is_none() {
            destination = Some(word);
        } else {
            words.next();
        }
    }
    let Some(destination) = destination else {
        pass.complain("Route must have a destination");
        return Ok(());
    };
    if !device {
        pass.complain(format!(
            "Warning - cannot track route {} with no interface specified, not tracking",
            destination.text()
        ));
    }
    Ok(())
}

/// A line of `virtual_rules` or `static_rules`, looked over in the same way.
pub(super) fn rule(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const FIRST: u32 = 16384;
    let preferred = line.words.iter().any(|word| {
        ["preference", "order", "priority", "pref"]
            .iter()
            .any(|name| word.is(name.as_bytes()))
    });
    for pair in line.words.windows(2) {
        if let [keyword, value] = pair
            && (keyword.is(b"from") || keyword.is(b"to"))
            && !value.is(b"all")
        {
            let text = value.text();
            let address = text.split('/').next().unwrap_or_default();
            if address.parse::<std::net::IpAddr>().is_err() {
                pass.complain(format!("VRRP parsed invalid IP {text}. skipping IP..."));
                pass.complain(format!("Invalid rule {} address {text}", keyword.text()));
                return Ok(());
            }
        }
    }
    if !preferred {
        let preference = FIRST.saturating_sub(pass.draft.rule_preference);
        pass.draft.rule_preference += 1;
        pass.complain(format!(
            "Rule has no preference specified - setting to {preference}. This is probably not what you want."
        ));
    }
    Ok(())
}
