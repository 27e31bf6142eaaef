//! Lines that track something, and sync groups.

use vrrp_core::settings::{Sense, TrackerKind};

use crate::draft::{GroupDraft, NotifyDraft, Tracked, TrackedScript};
use crate::model::TrackGroupDef;
use crate::number::boolean;
use crate::pass::Pass;
use crate::text::{Line, Word};

use super::instance::{MAX_INTERFACE, current, name};
use super::{Action, Handled, Row, addresses, no_list_close, nothing, notify};

/// The keywords of `vrrp_sync_group`.
pub(super) const SYNC_GROUP: &[Row] = &[
    Row::full("group", "{ INSTANCE ... }", nothing, "its members").with_action(Action::List {
        entry: member,
        close: close_members,
    }),
    Row::full(
        "track_interface",
        "{ NAME ... }",
        nothing,
        "tracked by every member",
    )
    .with_action(Action::List {
        entry: group_interface,
        close: no_list_close,
    }),
    Row::full(
        "track_script",
        "{ NAME ... }",
        nothing,
        "tracked by every member",
    )
    .with_action(Action::List {
        entry: group_script,
        close: no_list_close,
    }),
    Row::full(
        "track_file",
        "{ NAME ... }",
        nothing,
        "tracked by every member",
    )
    .with_action(Action::List {
        entry: group_file,
        close: no_list_close,
    }),
    Row::full(
        "track_process",
        "{ NAME ... }",
        nothing,
        "tracked by every member",
    )
    .with_action(Action::List {
        entry: group_process,
        close: no_list_close,
    }),
    Row::refused(
        "track_bfd",
        "{ NAME ... }",
        nothing,
        "there is no BFD; a tracker of it is not run",
    )
    .with_action(Action::List {
        entry: group_bfd,
        close: no_list_close,
    }),
    Row::full(
        "notify",
        "COMMAND [USER [GROUP]]",
        notify::of_group,
        "a command with GROUP, name, state and 0 as its last arguments",
    ),
    Row::full(
        "notify_master",
        "COMMAND [USER [GROUP]]",
        notify::of_group,
        "a command run when the group becomes MASTER",
    ),
    Row::full(
        "notify_backup",
        "COMMAND [USER [GROUP]]",
        notify::of_group,
        "a command run when it becomes BACKUP",
    ),
    Row::full(
        "notify_fault",
        "COMMAND [USER [GROUP]]",
        notify::of_group,
        "a command run when it goes to FAULT",
    ),
    Row::full(
        "notify_stop",
        "COMMAND [USER [GROUP]]",
        notify::of_group,
        "a command run when the daemon stops",
    ),
    Row::full(
        "notify_priority_changes",
        "BOOL",
        group_priority_changes,
        "for all members",
    ),
    Row::refused("smtp_alert", "[BOOL]", group_mail, "no mail is sent"),
    Row::full(
        "global_tracking",
        "",
        global_tracking,
        "what one member tracks, all do",
    ),
    Row::full(
        "sync_group_tracking_weight",
        "",
        tracking_weight,
        "weights of members count as they do outside a group",
    ),
];

/// The keywords of `track_group`.
pub(super) const TRACK_GROUP: &[Row] = &[Row::accepted(
    "group",
    "{ INSTANCE ... }",
    nothing,
    "what is static is set again at once, and nobody hands over for it",
)
.with_action(Action::List {
    entry: track_group_member,
    close: close_track_group,
})];

/// `weight W [reverse]` after the name of a tracker.
struct Weighing {
    weight: Option<i32>,
    /// As the tracker's own block has it unless a word says otherwise.
    sense: Option<Sense>,
}

/// The words of keepalived's complaints, which differ from tracker to tracker.
struct Wording {
    unknown_option: fn(&str, &str) -> String,
    no_value: fn(&str) -> String,
    out_of_range: fn(&str, &str) -> String,
    unknown_weight_option: fn(&str, &str) -> String,
    /// Whether 254 is one too many.
    narrow: bool,
    /// Whether a word after the weight that nobody knows drops the tracker.
    strict: bool,
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
    narrow: true,
    strict: false,
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
    narrow: true,
    strict: false,
};

const PROCESS: Wording = Wording {
    unknown_option: |_, option| format!("unknown track process option {option} - ignoring"),
    no_value: |tracker| {
        format!("weight without value specified for track process {tracker} - ignoring")
    },
    out_of_range: |tracker, _| {
        format!("weight for track process {tracker} must be in [-254..254] inclusive. Ignoring...")
    },
    unknown_weight_option: |tracker, option| {
        format!("unknown track_process {tracker} weight option {option} - ignoring")
    },
    narrow: false,
    strict: false,
};

const FILE: Wording = Wording {
    unknown_option: |_, option| format!("unknown track file option {option} - ignoring"),
    no_value: |tracker| {
        format!("weight without value specified for track file {tracker} - ignoring")
    },
    out_of_range: |tracker, _| {
        format!("weight for track file {tracker} must be in [-254..254] inclusive. Ignoring...")
    },
    unknown_weight_option: |tracker, option| {
        format!("unknown track file {tracker} weight option {option} - ignoring")
    },
    narrow: false,
    strict: true,
};

/// Whose trackers are read.
#[derive(Clone, Copy)]
enum Owner {
    Instance,
    Group,
}

impl Owner {
    fn name(self, pass: &Pass<'_>) -> String {
        match self {
            Self::Instance => name(pass),
            Self::Group => {
                let group = pass.draft.groups.last();
                group.map(|group| group.name.clone()).unwrap_or_default()
            }
        }
    }

    fn trackers<'p>(self, pass: &'p mut Pass<'_>) -> Option<&'p mut Vec<Tracked>> {
        match self {
            Self::Instance => current(pass).map(|instance| &mut instance.trackers),
            Self::Group => pass
                .draft
                .groups
                .last_mut()
                .map(|group| &mut group.trackers),
        }
    }

    fn scripts<'p>(self, pass: &'p mut Pass<'_>) -> Option<&'p mut Vec<TrackedScript>> {
        match self {
            Self::Instance => current(pass).map(|instance| &mut instance.scripts),
            Self::Group => pass.draft.groups.last_mut().map(|group| &mut group.scripts),
        }
    }
}

/// Reads the weight; `None` if the whole tracker is to be left out.
fn weighing(
    pass: &mut Pass<'_>,
    line: &Line,
    owner: Owner,
    tracker: &str,
    wording: &Wording,
) -> Option<Weighing> {
    let mut weighing = Weighing {
        weight: None,
        sense: None,
    };
    let name = owner.name(pass);
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
        Some(weight) if wording.narrow && weight.abs() == 254 => {
            pass.complain(format!(
                "({name}) weight for {tracker} cannot be +/-254. Setting to +/-253"
            ));
            weighing.weight = Some(weight.signum() * 253);
        }
        Some(weight) => weighing.weight = Some(weight),
    }
    if let Some(option) = line.words.get(3) {
        match option.bytes.as_slice() {
            b"reverse" => weighing.sense = Some(Sense::Reverse),
            b"noreverse" => weighing.sense = Some(Sense::Normal),
            _ => {
                let option = option.text();
                pass.complain(format!(
                    "({name}) {}",
                    (wording.unknown_weight_option)(tracker, &option)
                ));
                if wording.strict {
                    return None;
                }
            }
        }
    }
    Some(weighing)
}

impl Weighing {
    /// The weight in force, given that of the tracker's own block.
    fn over(self, defaults: (i16, Sense)) -> (i16, Sense) {
        match self.weight {
            Some(weight) => (
                i16::try_from(weight).unwrap_or(0),
                self.sense.unwrap_or(defaults.1),
            ),
            None => defaults,
        }
    }
}

/// A line of `track_script`.
pub(super) fn script(pass: &mut Pass<'_>, line: &Line) -> Handled {
    script_of(pass, line, Owner::Instance)
}

fn group_script(pass: &mut Pass<'_>, line: &Line) -> Handled {
    script_of(pass, line, Owner::Group)
}

fn script_of(pass: &mut Pass<'_>, line: &Line, owner: Owner) -> Handled {
    let tracker = pass.text(line, 0)?;
    let name = owner.name(pass);
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
    let twice = owner
        .scripts(pass)
        .is_some_and(|scripts| scripts.iter().any(|other| other.name == tracker));
    if twice {
        pass.complain(format!(
            "({name}) duplicate track_script {tracker} - ignoring"
        ));
        return Ok(());
    }
    let Some(weighing) = weighing(pass, line, owner, &tracker, &SCRIPT) else {
        return Ok(());
    };
    let (weight, sense) = weighing.over(defaults);
    let Some(span) = line.words.first().map(|word| word.span) else {
        return Ok(());
    };
    if let Some(scripts) = owner.scripts(pass) {
        scripts.push(TrackedScript {
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
    interface_of(pass, line, Owner::Instance)
}

fn group_interface(pass: &mut Pass<'_>, line: &Line) -> Handled {
    interface_of(pass, line, Owner::Group)
}

fn interface_of(pass: &mut Pass<'_>, line: &Line, owner: Owner) -> Handled {
    let tracker = pass.text(line, 0)?;
    let name = owner.name(pass);
    let missing = pass.env.interface(&tracker).is_none() && !pass.draft.global.dynamic_interfaces;
    if missing {
        pass.complain(format!(
            "({name}) tracked interface {tracker} doesn't exist"
        ));
        pass.draft.missing_interface = true;
    }
    if tracker.len() >= MAX_INTERFACE {
        if !missing {
            pass.complain(format!("Interface name '{tracker}' too long - ignoring"));
        }
        return Ok(());
    }
    let kind = Kind {
        kind: TrackerKind::Interface,
        word: "interface",
        wording: &INTERFACE,
    };
    // keepalived reads no further; a daemon of ours tracks it as one that is down.
    pass.findings.aside = missing;
    let handled = tracked(pass, line, owner, tracker, &kind, (0, Sense::Normal));
    pass.findings.aside = false;
    handled
}

/// A kind of tracker and its words.
struct Kind {
    kind: TrackerKind,
    word: &'static str,
    wording: &'static Wording,
}

/// Takes a tracker that is known.
fn tracked(
    pass: &mut Pass<'_>,
    line: &Line,
    owner: Owner,
    tracker: String,
    kind: &Kind,
    defaults: (i16, Sense),
) -> Handled {
    let name = owner.name(pass);
    let same = |other: &Tracked| other.kind == kind.kind && other.name == tracker;
    let twice = owner
        .trackers(pass)
        .is_some_and(|trackers| trackers.iter().any(same));
    if twice {
        let word = kind.word;
        pass.complain(format!(
            "({name}) duplicate track_{word} {tracker} - ignoring"
        ));
        return Ok(());
    }
    let Some(weighing) = weighing(pass, line, owner, &tracker, kind.wording) else {
        return Ok(());
    };
    let (weight, sense) = weighing.over(defaults);
    let Some(span) = line.words.first().map(|word| word.span) else {
        return Ok(());
    };
    if let Some(trackers) = owner.trackers(pass) {
        trackers.push(Tracked {
            kind: kind.kind,
            name: tracker,
            weight,
            sense,
            span,
        });
    }
    Ok(())
}

fn not_found(pass: &mut Pass<'_>, owner: Owner, kind: &str, tracker: &str) {
    let name = owner.name(pass);
    pass.complain(format!(
        "({name}) track {kind} {tracker} not found, ignoring..."
    ));
}

/// A line of `track_process`.
pub(super) fn process(pass: &mut Pass<'_>, line: &Line) -> Handled {
    process_of(pass, line, Owner::Instance)
}

fn group_process(pass: &mut Pass<'_>, line: &Line) -> Handled {
    process_of(pass, line, Owner::Group)
}

fn process_of(pass: &mut Pass<'_>, line: &Line, owner: Owner) -> Handled {
    let tracker = pass.text(line, 0)?;
    let known = pass
        .draft
        .track_processes
        .iter()
        .find(|process| process.def.name == tracker)
        .map(|process| (process.weight, process.sense));
    let Some(defaults) = known else {
        not_found(pass, owner, "process", &tracker);
        return Ok(());
    };
    let kind = Kind {
        kind: TrackerKind::Process,
        word: "process",
        wording: &PROCESS,
    };
    tracked(pass, line, owner, tracker, &kind, defaults)
}

/// A line of `track_file`.
pub(super) fn file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    file_of(pass, line, Owner::Instance)
}

fn group_file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    file_of(pass, line, Owner::Group)
}

fn file_of(pass: &mut Pass<'_>, line: &Line, owner: Owner) -> Handled {
    let tracker = pass.text(line, 0)?;
    let known = pass
        .draft
        .track_files
        .iter()
        .find(|file| file.name == tracker)
        .map(|file| (file.weight, file.sense));
    let Some(defaults) = known else {
        not_found(pass, owner, "file", &tracker);
        return Ok(());
    };
    let kind = Kind {
        kind: TrackerKind::File,
        word: "file",
        wording: &FILE,
    };
    tracked(pass, line, owner, tracker, &kind, defaults)
}

fn knows_bfd(pass: &Pass<'_>, tracker: &str) -> bool {
    pass.draft.bfd_instances.iter().any(|name| name == tracker)
}

fn group_bfd(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let tracker = pass.text(line, 0)?;
    if !knows_bfd(pass, &tracker) {
        not_found(pass, Owner::Group, "bfd", &tracker);
    }
    Ok(())
}

/// A line of `track_bfd`.
pub(super) fn bfd(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let tracker = pass.text(line, 0)?;
    if !knows_bfd(pass, &tracker) {
        not_found(pass, Owner::Instance, "bfd", &tracker);
        return Ok(());
    }
    let name = name(pass);
    let twice = current(pass).is_some_and(|instance| instance.bfd.contains(&tracker));
    if twice {
        pass.complain(format!("({name}) duplicate track_bfd {tracker} - ignoring"));
    } else if let Some(instance) = current(pass) {
        instance.bfd.push(tracker);
    }
    Ok(())
}

fn track_group_member(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let names = line.words.iter().map(|word| word.text().into_owned());
    if let Some(group) = pass.draft.track_groups.last_mut() {
        group.members.extend(names);
    }
    Ok(())
}

fn close_track_group(pass: &mut Pass<'_>, count: usize) {
    let last = pass.draft.track_groups.last();
    if let (Some(name), 0) = (last.map(|group| group.name.clone()), count) {
        pass.complain(format!(
            "Warning - track group {name} has empty group block"
        ));
    }
}

pub(super) fn open_track_group(pass: &mut Pass<'_>, line: &Line) -> Handled {
    match line.words.get(1).filter(|_| line.words.len() == 2) {
        None => {
            pass.complain("track_group must have a name - skipping");
            pass.skip_block();
        }
        Some(word)
            if pass
                .draft
                .track_groups
                .iter()
                .any(|group| word.is(group.name.as_bytes())) =>
        {
            pass.complain(format!("track_group {} already defined", word.text()));
            pass.skip_block();
        }
        Some(word) => pass.draft.track_groups.push(TrackGroupDef {
            name: word.text().into_owned(),
            members: Vec::new(),
        }),
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
        notify: NotifyDraft::default(),
        scripts: Vec::new(),
        trackers: Vec::new(),
        weights: false,
        global: false,
        smtp_alert: None,
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

fn group_priority_changes(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let value = match line.words.get(1) {
        None => Some(true),
        Some(word) => boolean(&word.bytes),
    };
    if value.is_none() {
        let name = Owner::Group.name(pass);
        let word = pass.text(line, 1)?;
        pass.complain(format!(
            "({name}) Invalid value '{word}' for sync group notify_priority_changes specified"
        ));
    }
    if let Some(group) = pass.draft.groups.last_mut() {
        group.notify.priority_changes = value.or(group.notify.priority_changes);
    }
    Ok(())
}

fn tracking_weight(pass: &mut Pass<'_>, _: &Line) -> Handled {
    if let Some(group) = pass.draft.groups.last_mut() {
        group.weights = true;
    }
    Ok(())
}

fn group_mail(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let value = line
        .words
        .get(1)
        .map_or(Some(true), |word| boolean(&word.bytes));
    if value.is_none() {
        let word = pass.text(line, 1)?;
        pass.complain(format!("Invalid vrrp_group smtp_alert parameter {word}"));
    }
    if let Some(group) = pass.draft.groups.last_mut() {
        group.smtp_alert = value.or(group.smtp_alert);
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
    if let Some(group) = pass.draft.groups.last_mut() {
        group.global = true;
    }
    Ok(())
}
