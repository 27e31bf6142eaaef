//! Sync groups: which instances they hold, and what they have their members track.

use std::collections::BTreeSet;

use vrrp_core::settings::{Script, Tracker};

use crate::draft::{GroupDraft, InstanceDraft, NotifyDraft, Tracked, TrackedScript};
use crate::model::{GlobalDefs, InstanceDef, NotifyDef, SyncGroupDef};
use crate::pass::Pass;

/// A group that has members.
pub(super) struct Group {
    pub(super) draft: GroupDraft,
    members: Vec<String>,
    /// With `global_tracking`: what its members track.
    shared: (Vec<TrackedScript>, Vec<Tracked>),
}

impl Group {
    pub(super) fn has(&self, instance: &str) -> bool {
        self.members.iter().any(|member| member == instance)
    }
}

/// Says what is wrong with the groups and gives those that remain.
pub(super) fn check(pass: &mut Pass<'_>) -> Vec<Group> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut groups = Vec::new();
    for draft in std::mem::take(&mut pass.draft.groups) {
        let name = &draft.name;
        let Some(listed) = &draft.members else {
            pass.complain(format!(
                "Sync group {name} has no virtual router(s). removing"
            ));
            continue;
        };
        let mut members: Vec<String> = Vec::new();
        for member in listed {
            let exists = pass
                .draft
                .instances
                .iter()
                .any(|instance| instance.name == *member);
            if !exists {
                pass.complain(format!(
                    "Virtual router {member} specified in sync group {name} doesn't exist - ignoring"
                ));
            } else if taken.insert(member.clone()) {
                members.push(member.clone());
            } else {
                pass.complain(format!(
                    "Virtual router {member} cannot exist in more than one sync group; ignoring {name}"
                ));
            }
        }
        match members.len() {
            0 => {
                pass.complain(format!(
                    "Sync group {name}, no matching virtual router found in group declaration - removing"
                ));
                continue;
            }
            1 => pass.complain(format!(
                "Sync group {name} has only 1 virtual router(s) - this probably isn't what you want"
            )),
            _ => {}
        }
        let shared = shared(pass, &draft, &members);
        groups.push(Group {
            draft,
            members,
            shared,
        });
    }
    groups
}

/// `global_tracking`: what one member tracks, all do.
fn shared(
    pass: &Pass<'_>,
    draft: &GroupDraft,
    members: &[String],
) -> (Vec<TrackedScript>, Vec<Tracked>) {
    if !draft.global {
        return (Vec::new(), Vec::new());
    }
    let instances = || {
        let all = pass.draft.instances.iter();
        all.filter(|instance| members.contains(&instance.name))
    };
    (
        instances().flat_map(|it| it.scripts.clone()).collect(),
        instances().flat_map(|it| it.trackers.clone()).collect(),
    )
}

/// What an instance tracks, by itself and for its group.
pub(super) fn scripts<'d>(
    draft: &'d InstanceDraft,
    group: Option<&'d Group>,
) -> Vec<&'d TrackedScript> {
    let mut all: Vec<&TrackedScript> = draft.scripts.iter().collect();
    let Some(group) = group else {
        return all;
    };
    let weights = group.draft.weights;
    let shared = group.shared.0.iter().filter(|it| weights || it.weight == 0);
    for entry in group.draft.scripts.iter().chain(shared) {
        if all.iter().all(|known| known.name != entry.name) {
            all.push(entry);
        }
    }
    all
}

/// An entry of `track_script`, as routers have it.
pub(super) fn script(entry: &TrackedScript) -> Script {
    Script {
        name: entry.name.clone(),
        weight: entry.weight,
        sense: entry.sense,
    }
}

/// The same for trackers of other kinds.
pub(super) fn tracker(entry: &Tracked) -> Tracker {
    Tracker {
        kind: entry.kind,
        name: entry.name.clone(),
        weight: entry.weight,
        sense: entry.sense,
    }
}

/// The same for trackers of other kinds.
pub(super) fn trackers<'d>(draft: &'d InstanceDraft, group: Option<&'d Group>) -> Vec<&'d Tracked> {
    let mut all: Vec<&Tracked> = draft.trackers.iter().collect();
    let Some(group) = group else {
        return all;
    };
    let weights = group.draft.weights;
    let shared = group.shared.1.iter().filter(|it| weights || it.weight == 0);
    for entry in group.draft.trackers.iter().chain(shared) {
        let same = |known: &&Tracked| known.kind == entry.kind && known.name == entry.name;
        if !all.iter().any(same) {
            all.push(entry);
        }
    }
    all
}

/// Whom a block tells; `global_defs` says whether changes of priorities are told.
pub(super) fn notify(draft: &NotifyDraft, global: &GlobalDefs) -> NotifyDef {
    NotifyDef {
        priority_changes: draft
            .priority_changes
            .unwrap_or(global.notify_priority_changes),
        ..draft.def.clone()
    }
}

/// The same for an instance, which does as its group does if it does not say.
pub(super) fn member_notify(
    draft: &NotifyDraft,
    group: Option<&Group>,
    global: &GlobalDefs,
) -> NotifyDef {
    let mut notify = notify(draft, global);
    let groups = group.and_then(|group| group.draft.notify.priority_changes);
    if let (None, Some(groups)) = (draft.priority_changes, groups) {
        notify.priority_changes = groups;
    }
    notify
}

/// The groups whose members run.
pub(super) fn resolve(
    groups: &[Group],
    instances: &[InstanceDef],
    global: &GlobalDefs,
) -> Vec<SyncGroupDef> {
    let runs = |member: &&String| instances.iter().any(|def| def.settings.name == **member);
    groups
        .iter()
        .map(|group| SyncGroupDef {
            name: group.draft.name.clone(),
            members: group.members.iter().filter(runs).cloned().collect(),
            notify: notify(&group.draft.notify, global),
            scripts: group.draft.scripts.iter().map(script).collect(),
            trackers: group.draft.trackers.iter().map(tracker).collect(),
            weights: group.draft.weights,
            smtp_alert: group.draft.smtp_alert.unwrap_or(global.smtp_alert),
        })
        .filter(|group| !group.members.is_empty())
        .collect()
}
