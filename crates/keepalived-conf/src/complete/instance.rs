//! One instance: the checks in keepalived's order, each of which mends what it complains of.

use std::net::IpAddr;

use vrrp_core::settings::{Initial, TrackerKind};

use crate::draft::{AuthType, Family, InstanceDraft, Tracked};
use crate::pass::Pass;

use super::MAX_ADDRESSES;
use super::groups::Group;

const OWNER: u8 = 255;
const SECOND: u64 = 1_000_000;

/// `false` if keepalived gives up on the whole configuration.
pub(super) fn complete(
    pass: &mut Pass<'_>,
    draft: &mut InstanceDraft,
    group: Option<&Group>,
) -> bool {
    let name = draft.name.clone();
    let strict = draft.strict.unwrap_or(pass.draft.vrrp.strict);
    if draft.interface.is_none() {
        pass.complain(format!("({name}) Unknown interface!"));
        return false;
    }
    if draft.family() == Family::V6 && draft.version.unwrap_or(pass.draft.vrrp.version) == 2 {
        let text = format!("({name}) cannot use IPv6 with VRRP version 2; setting version 3");
        if strict && draft.version.is_some() {
            pass.complain(text);
        } else {
            pass.log(text);
        }
        draft.version = Some(3);
    }
    if draft.addresses.is_empty() {
        if strict || draft.family() == Family::V6 {
            pass.complain(format!(
                "({name}) No VIP specified; at least one is required"
            ));
            return false;
        }
        pass.complain(format!(
            "({name}) No VIP specified; at least one is sensible"
        ));
    }
    draft.priority = Some(draft.priority.unwrap_or(match draft.state {
        Some(Initial::Master) => OWNER,
        Some(Initial::Backup) | None => 100,
    }));
    let owner = draft.priority == Some(OWNER);
    if strict
        && draft
            .state
            .is_some_and(|state| (state == Initial::Master) != owner)
    {
        pass.complain(format!(
            "({name}) State MASTER must match being address owner"
        ));
        draft.state = Some(if owner {
            Initial::Master
        } else {
            Initial::Backup
        });
    }
    let version = draft.version.unwrap_or(pass.draft.vrrp.version);
    authentication(pass, draft, strict, version);
    transport(pass, draft);
    if draft.auth_type == Some(AuthType::Ah) && draft.state == Some(Initial::Master) {
        if !owner {
            pass.complain(format!(
                "({name}) Initial state master is incompatible with AH authentication - clearing"
            ));
        }
        draft.state = Some(Initial::Backup);
    }
    if let Some(IpAddr::V6(first)) = draft
        .addresses
        .first()
        .map(|address| address.address.address)
        && first.segments()[0] & 0xffc0 != 0xfe80
    {
        if strict {
            pass.complain(format!(
                "({name}) the first IPv6 VIP address must be link local"
            ));
        } else {
            pass.log(format!(
                "({name}) the first IPv6 VIP address should be link local"
            ));
        }
    }
    preemption(pass, draft, strict);
    strictness(pass, draft, strict, version);
    interval(pass, draft, version);
    trackers(pass, draft, group);
    if draft.addresses.is_empty() {
        pass.complain(format!(
            "({name}) No VIP specified; at least one is sensible"
        ));
    }
    if draft.addresses.len() > MAX_ADDRESSES {
        let count = draft.addresses.len();
        pass.complain(format!(
            "({name}) Number of VIPs ({count}) exceeds maximum/space available in packet (max {MAX_ADDRESSES} addresses) - excess moved to eVIPs"
        ));
        let excess = draft.addresses.split_off(MAX_ADDRESSES);
        draft.excluded.splice(0..0, excess);
    }
    true
}

fn authentication(pass: &mut Pass<'_>, draft: &mut InstanceDraft, strict: bool, version: u32) {
    let name = &draft.name;
    if draft.auth_type.is_none() {
        return;
    }
    if strict {
        pass.complain(format!(
            "({name}) Strict mode does not support authentication. Ignoring."
        ));
    } else if version == 3 {
        pass.complain(format!(
            "({name}) VRRP version 3 does not support authentication. Ignoring."
        ));
    } else if draft.auth_pass.is_empty() {
        pass.complain(format!(
            "({name}) Authentication specified but no password given. Ignoring"
        ));
    } else if draft.auth_type == Some(AuthType::Ah) && draft.family() == Family::V6 {
        pass.complain(format!(
            "({name}) Cannot use AH authentication with IPv6. ignoring"
        ));
    } else {
        return;
    }
    draft.auth_type = None;
}

fn transport(pass: &mut Pass<'_>, draft: &mut InstanceDraft) {
    let name = &draft.name;
    if (draft.unicast || draft.fault_without_peer) && draft.peers.is_empty() {
        if draft.fault_without_peer {
            pass.log(format!(
                "({name}) Cannot use unicast without any peers - going to fault state"
            ));
        } else {
            pass.complain(format!(
                "({name}) A unicast keyword has been specified without any unicast peers. Defaulting to multicast. This usage is deprecated - please update your configuration."
            ));
        }
    }
}

fn preemption(pass: &mut Pass<'_>, draft: &mut InstanceDraft, strict: bool) {
    let name = draft.name.clone();
    if draft.nopreempt && draft.priority == Some(OWNER) {
        pass.complain(format!(
            "({name}) nopreempt is incompatible with priority {OWNER}. resetting nopreempt"
        ));
        draft.nopreempt = false;
    }
    if draft.state == Some(Initial::Master) {
        if draft.nopreempt {
            pass.complain(format!(
                "({name}) Warning - nopreempt will not work with initial state MASTER - clearing"
            ));
            draft.nopreempt = false;
        }
        if draft.preempt_delay.is_some_and(|delay| delay > 0) {
            pass.complain(format!("({name}) Warning - preempt delay will not work with initial state MASTER - clearing"));
            draft.preempt_delay = None;
        }
    }
    if draft.preempt_delay.is_some_and(|delay| delay > 0) {
        if strict {
            pass.complain(format!(
                "({name}) preempt_delay is incompatible with strict mode - resetting"
            ));
            if !draft.nopreempt {
                draft.preempt_delay = None;
            }
        }
        if draft.nopreempt {
            pass.complain(format!(
                "({name}) preempt_delay is incompatible with nopreempt mode - resetting"
            ));
            draft.preempt_delay = None;
        }
    }
}

fn strictness(pass: &mut Pass<'_>, draft: &mut InstanceDraft, strict: bool, version: u32) {
    let name = draft.name.clone();
    let default_count = pass.draft.vrrp.down_timer_adverts;
    if strict && draft.down_timer_adverts.unwrap_or(default_count) != 3 {
        pass.complain(format!(
            "({name}) down_timer_adverts is incompatible with strict mode - resetting"
        ));
        draft.down_timer_adverts = Some(3);
    }
    if strict && version == 2 && draft.accept == Some(true) {
        pass.complain(format!(
            "({name}) warning - accept mode for VRRP version 2 does not comply with RFC3768 - resetting"
        ));
        draft.accept = Some(false);
    }
    if !draft.peers.is_empty() && draft.group.is_some() {
        pass.complain(format!(
            "({name}) multicast destination specified with unicast - ignoring"
        ));
        draft.group = None;
    }
    if !strict {
        return;
    }
    if draft.garp.lower_repeat.is_some_and(|count| count > 0) {
        pass.complain(format!(
            "({name}) Strict mode requires no repeat garps. resetting"
        ));
    }
    if draft.garp.lower_delay.is_some_and(|delay| delay > 0) {
        pass.complain(format!(
            "({name}) Strict mode requires no repeat garp delay. resetting"
        ));
    }
    draft.garp.lower_repeat = Some(0);
    draft.garp.lower_delay = Some(0);
    if draft.lower_no_advert == Some(false) {
        pass.complain(format!(
            "({name}) Strict mode requires no lower priority advert. resetting"
        ));
    }
    draft.lower_no_advert = Some(true);
    if draft.higher_send_advert == Some(true) {
        pass.complain(format!(
            "({name}) strict mode requires higher_prio_send_advert to be clear. resetting"
        ));
    }
    draft.higher_send_advert = Some(false);
}

fn interval(pass: &mut Pass<'_>, draft: &mut InstanceDraft, version: u32) {
    const MAX_V3: u64 = 40_950_000;
    const HUNDREDTH: u64 = 10_000;
    let name = &draft.name;
    let micros = draft.advert_interval.unwrap_or(SECOND);
    let shown = format!("{}.{:06}", micros / SECOND, micros % SECOND);
    let rounded = if version == 2 {
        let seconds = ((micros + SECOND / 2) / SECOND).max(1);
        if !micros.is_multiple_of(SECOND) {
            pass.complain(format!(
                "({name}) VRRPv2 advertisement interval {shown}s must be an integer. rounding"
            ));
        }
        seconds * SECOND
    } else if micros >= MAX_V3 + HUNDREDTH {
        let hundredths = (micros + HUNDREDTH / 2) / HUNDREDTH;
        pass.complain(format!(
            "({name}) VRRPv3 advertisement interval {}.{:02}s is out of range. Must be less than 40.96s. Setting to 40.95s",
            hundredths / 100,
            hundredths % 100
        ));
        MAX_V3
    } else {
        if !micros.is_multiple_of(HUNDREDTH) {
            pass.complain(format!("({name}) VRRPv3 advertisement interval {shown}s must be in units of 10ms - rounding"));
        }
        // keepalived would round 40.955 up to what 12 bits cannot hold.
        let rounded = ((micros + HUNDREDTH / 2) / HUNDREDTH).max(1) * HUNDREDTH;
        rounded.min(MAX_V3)
    };
    draft.advert_interval = Some(rounded);
}

fn trackers(pass: &mut Pass<'_>, draft: &mut InstanceDraft, group: Option<&Group>) {
    let name = draft.name.clone();
    let own = draft.interface.clone();
    let is_own = |tracked: &Tracked| {
        tracked.kind == TrackerKind::Interface && Some(&tracked.name) == own.as_ref()
    };
    for tracked in draft.trackers.iter().filter(|tracked| is_own(tracked)) {
        pass.focus = Some(tracked.span);
        pass.complain(format!(
            "({name}) Ignoring track_interface {} since own interface",
            tracked.name
        ));
    }
    draft.trackers.retain(|tracked| !is_own(tracked));
    let shared = group.map(|group| both_tracked(pass, draft, group, own.as_deref()));
    let owner = draft.priority == Some(OWNER);
    if owner || group.is_some_and(|group| !group.draft.weights) {
        ignore_weights(pass, draft, owner);
    }
    for of_group in shared.unwrap_or_default() {
        let same =
            |own: &&mut Tracked| own.kind == TrackerKind::Interface && own.name == of_group.name;
        if let Some(own) = draft.trackers.iter_mut().find(same) {
            own.weight = of_group.weight;
            own.sense = of_group.sense;
        }
    }
    pass.focus = Some(draft.span);
    if draft.xmit_base && !draft.use_vmac {
        pass.complain(format!("({name}) vmac_xmit_base is only valid with a vmac"));
    }
    if draft.ipvlan == Some(false) && draft.family() == Family::V4 {
        pass.complain(format!(
            "({name}) IPv4 ipvlan requires a source ip address to be configured. setting instance to fault state"
        ));
    }
}

/// What the instance and its group both track. The answer is the group's entries that take the
/// place of the instance's own: of those with a weight.
fn both_tracked(
    pass: &mut Pass<'_>,
    draft: &InstanceDraft,
    group: &Group,
    own: Option<&str>,
) -> Vec<Tracked> {
    let mut winning = Vec::new();
    let interfaces = group
        .draft
        .trackers
        .iter()
        .filter(|tracked| tracked.kind == TrackerKind::Interface);
    for shared in interfaces {
        let tracked =
            |other: &Tracked| other.kind == TrackerKind::Interface && other.name == shared.name;
        let mut ours = draft.trackers.iter().filter(|other| tracked(other));
        let known = ours.next();
        if known.is_some_and(|known| known.weight != 0) {
            winning.push(shared.clone());
        }
        if Some(shared.name.as_str()) == own || known.is_some() {
            pass.focus = Some(draft.span);
            pass.complain(format!(
                "({}) track_interface {} is configured on VRRP instance and sync group. Remove vrrp instance or sync group config",
                draft.name, shared.name
            ));
        }
    }
    winning
}

/// Weights that cannot act: those of the address owner, and those of a group's members.
fn ignore_weights(pass: &mut Pass<'_>, draft: &mut InstanceDraft, owner: bool) {
    let name = draft.name.clone();
    let (part, owner_or_group, cause) = if owner {
        ("", "address owner", "address_owner")
    } else {
        ("weight ", "SYNC group", "SYNC group")
    };
    let of_kind = |draft: &InstanceDraft, kind: TrackerKind| -> Vec<Tracked> {
        let all = draft.trackers.iter();
        all.filter(|tracked| tracked.kind == kind && tracked.weight != 0)
            .cloned()
            .collect()
    };
    for tracked in of_kind(draft, TrackerKind::Interface) {
        pass.focus = Some(tracked.span);
        pass.complain(format!(
            "({name}) ignoring {} tracked interface {part}due to {owner_or_group}",
            tracked.name
        ));
    }
    for tracked in draft.scripts.iter().filter(|tracked| tracked.weight != 0) {
        pass.focus = Some(tracked.span);
        pass.complain(format!(
            "({name}) ignoring tracked script {} with weights due to {cause}",
            tracked.name
        ));
    }
    draft.scripts.retain(|tracked| tracked.weight == 0);
    for tracked in of_kind(draft, TrackerKind::File) {
        pass.focus = Some(tracked.span);
        let file = &tracked.name;
        pass.complain(if tracked.weight != 1 {
            format!(
                "({name}) ignoring tracked file {file} with weight {} due to {cause}",
                tracked.weight
            )
        } else {
            format!(
                "({name}) ignoring weight from tracked file {file} due to {cause}. specify weight 0"
            )
        });
    }
    draft.trackers.retain(|tracked| {
        tracked.weight == 0
            || match tracked.kind {
                TrackerKind::Interface => !owner,
                TrackerKind::File => false,
                TrackerKind::Process => true,
            }
    });
    // In a group the link goes on counting, as a fault.
    let interfaces = draft.trackers.iter_mut();
    for tracked in interfaces.filter(|tracked| tracked.kind == TrackerKind::Interface) {
        tracked.weight = 0;
    }
}
