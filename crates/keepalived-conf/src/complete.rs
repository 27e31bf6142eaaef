//! The checks that need the whole configuration, and the model that comes out of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU8;

use vrrp_core::settings::{
    Address, AddressCheck, Auth, Checksum, Configured, Family as RouterFamily, Garp, Initial,
    Instance, Lease, OnAdvert, Preempt, SourceCheck, Sync, Track, TrackerKind, Transport, Version,
};
use vrrp_core::time::Duration;

use crate::draft::{
    AddressDraft, AuthType, Family, GarpDraft, GlobalVrrp, InstanceDraft, ScriptDraft, ScriptUser,
};
use crate::model::routes::StaticAddressDef;
use crate::model::{
    Config, GlobalDefs, InstanceDef, InstanceDefaults, ScriptDef, TrackFileDef, TrackProcessDef,
};
use crate::pass::Pass;
use crate::report::Start;

mod groups;
mod instance;
mod scripts;
mod vmacs;

use groups::Group;

/// Where RFC 3768, section 5.2.2, sends adverts to.
const GROUP_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(224, 0, 0, 18));
/// Where RFC 5798, section 5.1.2.2, sends them to over IPv6.
const GROUP_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));

/// keepalived packs at most so many addresses into one advert.
const MAX_ADDRESSES: usize = 255;

/// The model, and what a daemon does with it.
pub(crate) fn complete(pass: &mut Pass<'_>) -> (Option<Config>, Start) {
    scripts::at_start_and_end(pass);
    if !pass.draft.missing_interface {
        return whole(pass);
    }
    pass.complain("Non-existent interface specified in configuration");
    // keepalived ends here. A daemon of ours runs what it can; a config test says no more.
    let insecure = pass.findings.insecure;
    pass.findings.aside = true;
    let outcome = whole(pass);
    pass.findings.aside = false;
    pass.findings.insecure = insecure;
    outcome
}

fn whole(pass: &mut Pass<'_>) -> (Option<Config>, Start) {
    let mut ready = BTreeMap::new();
    if !pass.draft.instances.is_empty() {
        ready = scripts::check(pass);
    }
    let unnumbered = pass
        .draft
        .instances
        .iter()
        .find(|instance| instance.vrid.is_none());
    if let Some(instance) = unnumbered {
        let (text, span) = (
            format!("({}) the virtual router id must be set", instance.name),
            instance.span,
        );
        pass.focus = Some(span);
        pass.complain(text);
        return (None, Start::Refuse(2));
    }
    let groups = groups::check(pass);
    let mut instances = std::mem::take(&mut pass.draft.instances);
    let mut start = Start::Run;
    let mut settled = Vec::new();
    for draft in &mut instances {
        pass.focus = Some(draft.span);
        let group = groups.iter().find(|group| group.has(&draft.name));
        if instance::complete(pass, draft, group) {
            settled.push(&*draft);
        } else {
            start = Start::Refuse(2);
            break;
        }
    }
    if start == Start::Run && duplicates(pass, &settled) {
        start = Start::Refuse(2);
    }
    pass.focus = None;
    let scripts = used_scripts(pass, &settled, &groups, &ready);
    let mut defs = Vec::new();
    let mut taken: Vec<String> = settled
        .iter()
        .filter_map(|draft| draft.vmac_name.clone())
        .collect();
    for draft in &settled {
        let group = groups.iter().find(|group| group.has(&draft.name));
        defs.extend(resolve(pass, draft, group, &scripts, &mut taken));
    }
    let tracks = |kind: TrackerKind, name: &str| {
        defs.iter().any(|def: &InstanceDef| {
            let mut trackers = def.settings.trackers.iter();
            trackers.any(|tracker| tracker.kind == kind && tracker.name == name)
        })
    };
    let config = Config {
        track_files: std::mem::take(&mut pass.draft.track_files)
            .into_iter()
            .map(|file| TrackFileDef {
                name: file.name,
                path: file.path.unwrap_or_default(),
                initial: file.initial,
                weight: file.weight,
                sense: file.sense,
            })
            .collect(),
        track_processes: std::mem::take(&mut pass.draft.track_processes)
            .into_iter()
            .map(|process| TrackProcessDef {
                weight: process.weight,
                sense: process.sense,
                ..process.def
            })
            .filter(|process| tracks(TrackerKind::Process, &process.name))
            .collect(),
        sync_groups: groups::resolve(&groups, &defs, &pass.draft.global),
        global: pass.draft.global.clone(),
        defaults: defaults(pass),
        scripts,
        instances: defs,
        track_groups: std::mem::take(&mut pass.draft.track_groups),
        static_addresses: static_addresses(pass),
        static_routes: std::mem::take(&mut pass.draft.static_routes),
        static_rules: std::mem::take(&mut pass.draft.static_rules),
    };
    (Some(config), start)
}

/// What holds for instances that say nothing themselves.
fn defaults(pass: &Pass<'_>) -> InstanceDefaults {
    let vrrp = &pass.draft.vrrp;
    InstanceDefaults {
        version: vrrp.version,
        strict: vrrp.strict,
        check_unicast_source: vrrp.check_unicast_source,
        skip_check_addresses: vrrp.skip_check_addresses,
        lower_no_advert: vrrp.lower_no_advert,
        higher_send_advert: vrrp.higher_send_advert.unwrap_or(true),
        down_timer_adverts: vrrp.down_timer_adverts,
        garp: garp(&GarpDraft::default(), vrrp, Family::V4),
        garp_interval: Duration::from_micros(vrrp.garp_interval),
        gna_interval: Duration::from_micros(vrrp.gna_interval),
        groups: [vrrp.group4, vrrp.group6],
        vmac_prefix: vrrp.vmac_prefix.clone(),
        script_user: match &pass.draft.script_user {
            ScriptUser::Known(user) => Some(user.clone()),
            ScriptUser::Unset | ScriptUser::Unknown => None,
        },
    }
}

/// `static_ipaddress`, on the default interface where none is named.
fn static_addresses(pass: &mut Pass<'_>) -> Vec<StaticAddressDef> {
    let default = pass.draft.global.default_interface.clone();
    let drafts = std::mem::take(&mut pass.draft.static_addresses);
    let addresses = addresses(&drafts, &default);
    addresses
        .into_iter()
        .zip(drafts)
        .map(|(address, draft)| StaticAddressDef {
            address,
            track_group: draft.track_group,
        })
        .collect()
}

/// Two instances that would take each other's adverts.
fn duplicates(pass: &mut Pass<'_>, instances: &[&InstanceDraft]) -> bool {
    let mut found = false;
    for (at, one) in instances.iter().enumerate() {
        for other in instances.iter().skip(at + 1) {
            let same = one.vrid == other.vrid
                && one.family() == other.family()
                && one.interface == other.interface;
            if !same || one.peers.is_empty() != other.peers.is_empty() {
                continue;
            }
            let vrid = one.vrid.unwrap_or_default();
            pass.focus = Some(other.span);
            if one.peers.is_empty() {
                if one.group != other.group {
                    continue;
                }
                pass.complain(format!(
                    "{} and {} both use VRID {vrid} with IPv{} on interface {}",
                    one.name,
                    other.name,
                    one.family().number(),
                    one.interface.as_deref().unwrap_or_default(),
                ));
                found = true;
            } else if one.peers.iter().any(|peer| {
                other
                    .peers
                    .iter()
                    .any(|other| other.address == peer.address)
            }) {
                pass.complain(format!(
                    "({}) duplicate VRID conflict with {} VRID {vrid}",
                    one.name, other.name
                ));
                found = true;
            }
        }
    }
    found
}

/// The scripts that some instance tracks.
fn used_scripts(
    pass: &mut Pass<'_>,
    instances: &[&InstanceDraft],
    groups: &[Group],
    ready: &BTreeMap<String, Vec<std::ffi::OsString>>,
) -> Vec<ScriptDef> {
    let mut used = Vec::new();
    for script in std::mem::take(&mut pass.draft.scripts) {
        let of_instances = instances.iter().flat_map(|instance| &instance.scripts);
        let of_groups = groups.iter().flat_map(|group| &group.draft.scripts);
        let tracked = of_instances
            .chain(of_groups)
            .any(|entry| entry.name == script.name);
        let Some(argv) = ready.get(&script.name) else {
            continue;
        };
        if tracked {
            used.push(script_def(pass, script, argv.clone()));
        } else {
            pass.log(format!("Warning - script {} is not used", script.name));
        }
    }
    used
}

fn script_def(pass: &Pass<'_>, script: ScriptDraft, argv: Vec<std::ffi::OsString>) -> ScriptDef {
    ScriptDef {
        argv,
        interval: Duration::from_secs(script.interval.into()),
        timeout: Duration::from_secs(script.timeout.unwrap_or(script.interval).into()),
        own_timeout: script.timeout.is_some(),
        rise: script.rise,
        fall: script.fall,
        weight: script.weight,
        sense: script.sense,
        user: script.user.unwrap_or_else(|| pass.env.me()),
        init_fail: script.init_fail,
        name: script.name,
    }
}

/// The settings of one instance whose faults are mended. `None`, with a word of our own, for
/// what this program cannot run.
fn resolve(
    pass: &mut Pass<'_>,
    draft: &InstanceDraft,
    group: Option<&Group>,
    scripts: &[ScriptDef],
    taken: &mut Vec<String>,
) -> Option<InstanceDef> {
    let global = &pass.draft.vrrp;
    let version = draft.version.unwrap_or(global.version);
    let interface = draft.interface.clone().unwrap_or_default();
    let mut settings = Instance::new(&draft.name, &interface, NonZeroU8::new(draft.vrid?)?);
    let unsupported = |pass: &mut Pass<'_>, what: &str, reason: &str| {
        pass.focus = Some(draft.span);
        pass.own(
            Some(draft.span),
            &format!("({}) {what}", draft.name),
            reason,
        );
    };
    if draft.auth_type == Some(AuthType::Ah) {
        unsupported(
            pass,
            "the instance is not started",
            "AH authentication cannot be run",
        );
        return None;
    }
    let global = &pass.draft.vrrp;
    settings.version = if version == 2 {
        Version::V2
    } else {
        Version::V3
    };
    settings.family = match draft.family() {
        Family::V4 => RouterFamily::V4,
        Family::V6 => RouterFamily::V6,
    };
    if draft.checksum_as_v2.unwrap_or(global.checksum_as_v2) {
        settings.checksum = Checksum::Message;
    }
    if let Some(old) = draft.old_checksum {
        settings.old_checksum = old;
    }
    settings.priority = NonZeroU8::new(draft.priority?)?;
    // An owner that is not told how to begin is the master at once (RFC 9568 section 6.4.1).
    settings.initial = draft.state.unwrap_or(match settings.priority {
        NonZeroU8::MAX => Initial::Master,
        _ => Initial::Backup,
    });
    settings.advert_interval = Duration::from_micros(draft.advert_interval.unwrap_or(1_000_000));
    settings.down_timer_adverts = draft
        .down_timer_adverts
        .unwrap_or(global.down_timer_adverts);
    settings.auth = match draft.auth_type {
        Some(_) => Auth::pass(&draft.auth_pass),
        None => Auth::None,
    };
    settings.transport = transport(draft, global);
    settings.preempt = match (draft.nopreempt, draft.preempt_delay) {
        (true, _) => Preempt::No,
        (false, Some(micros)) if micros > 0 => Preempt::After(Duration::from_micros(micros)),
        (false, _) => Preempt::Yes,
    };
    settings.addresses = addresses(&draft.addresses, &interface);
    settings.excluded = addresses(&draft.excluded, &interface);
    settings.scripts = groups::scripts(draft, group)
        .into_iter()
        .filter(|entry| scripts.iter().any(|script| script.name == entry.name))
        .map(groups::script)
        .collect();
    settings.trackers = groups::trackers(draft, group)
        .into_iter()
        .map(groups::tracker)
        .collect();
    settings.sync = match group {
        Some(_) => Sync::Member,
        None => Sync::Alone,
    };
    let any = |there: bool| {
        if there {
            Configured::Yes
        } else {
            Configured::No
        }
    };
    settings.routes = any(!draft.routes.is_empty());
    settings.rules = any(!draft.rules.is_empty());
    settings.garp = garp(&draft.garp, global, draft.family());
    settings.lease = pass.draft.global.lease;
    let peerless = draft.fault_without_peer && draft.peers.is_empty();
    settings.track_link = match peerless {
        true => Track::Yes,
        false => track(draft.track_link),
    };
    settings.on_lower = match draft.lower_no_advert.unwrap_or(global.lower_no_advert) {
        true => OnAdvert::Silent,
        false => OnAdvert::Advertise,
    };
    settings.on_higher = match draft.higher_send_advert.or(global.higher_send_advert) {
        Some(true) => OnAdvert::Advertise,
        Some(false) => OnAdvert::Silent,
        None => settings.on_higher,
    };
    settings.address_check = match draft
        .skip_check_addresses
        .unwrap_or(global.skip_check_addresses)
    {
        true => AddressCheck::SkipSameMaster,
        false => AddressCheck::Always,
    };
    if let (Lease::Seconds(seconds), safe) = (settings.lease, settings.safe_lease())
        && safe.is_none_or(|safe| seconds > safe)
    {
        let what = format!(
            "({}) vrrp_address_lease {seconds} outlives a dead master",
            draft.name
        );
        let reason = match safe {
            Some(safe) => format!("its backup takes over before; {safe} s would be safe"),
            None => "no lease is safe with its advert_int and down_timer_adverts".to_owned(),
        };
        pass.own(Some(draft.span), &what, &reason);
    }
    let vmac = vmacs::own(draft, &pass.draft.vrrp, taken);
    let address_vmacs = vmacs::of_addresses(pass, draft, &mut settings, taken);
    let own_scripts = draft.scripts.iter();
    let own_scripts = own_scripts.filter(|own| scripts.iter().any(|it| it.name == own.name));
    Some(InstanceDef {
        own_scripts: own_scripts.count(),
        own_trackers: draft.trackers.len(),
        settings,
        interface_present: draft.interface_present,
        peerless,
        routes: draft.routes.clone(),
        rules: draft.rules.clone(),
        notify: groups::member_notify(&draft.notify, group, &pass.draft.global),
        vmac,
        address_vmacs,
        accept: draft
            .accept
            .unwrap_or(!draft.strict.unwrap_or(pass.draft.vrrp.strict)),
        strict: draft.strict.unwrap_or(pass.draft.vrrp.strict),
        promote_secondaries: draft.promote_secondaries,
        receive_buffer: draft.receive_buffer,
        smtp_alert: draft.smtp_alert.unwrap_or(pass.draft.global.smtp_alert),
        span: Some(draft.span),
    })
}

const fn track(on: bool) -> Track {
    if on { Track::Yes } else { Track::No }
}

fn transport(draft: &InstanceDraft, global: &GlobalVrrp) -> Transport {
    if draft.peers.is_empty() {
        let (global, default) = match draft.family() {
            Family::V4 => (global.group4, GROUP_V4),
            Family::V6 => (global.group6, GROUP_V6),
        };
        return Transport::Multicast {
            group: draft.group.or(global).unwrap_or(default),
            source: draft.source,
        };
    }
    let check = draft.check_source.unwrap_or(global.check_unicast_source);
    Transport::Unicast {
        source: draft.source,
        peers: draft.peers.clone(),
        // 0 would keep the adverts within the host.
        ttl: draft.unicast_ttl.filter(|ttl| *ttl > 0).unwrap_or(u8::MAX),
        source_check: if check {
            SourceCheck::PeersOnly
        } else {
            SourceCheck::Off
        },
    }
}

fn addresses(drafts: &[AddressDraft], interface: &str) -> Vec<Address> {
    drafts
        .iter()
        .map(|draft| Address {
            interface: draft.device.clone().unwrap_or_else(|| interface.to_owned()),
            ..draft.address.clone()
        })
        .collect()
}

/// What the instance says, else what `global_defs` says, else the defaults; the timers after an
/// advert of lower priority follow those of a new master.
fn garp(own: &GarpDraft, global: &GlobalVrrp, family: Family) -> Garp {
    let defaults = Garp::default();
    let pick = |own: Option<u32>, global: Option<u32>| own.or(global);
    let seconds = |value: Option<u32>, default: Duration| {
        value.map_or(default, |value| Duration::from_secs(value.into()))
    };
    let count = |value: Option<u32>, default: u8| {
        value.map_or(default, |value| u8::try_from(value).unwrap_or(u8::MAX))
    };
    let delay = seconds(pick(own.delay, global.garp.delay), defaults.delay);
    let repeat = count(pick(own.repeat, global.garp.repeat), defaults.repeat);
    Garp {
        delay,
        repeat,
        refresh: seconds(pick(own.refresh, global.garp.refresh), defaults.refresh),
        refresh_repeat: count(
            pick(own.refresh_repeat, global.garp.refresh_repeat),
            defaults.refresh_repeat,
        ),
        lower_delay: seconds(pick(own.lower_delay, global.garp.lower_delay), delay),
        lower_repeat: count(pick(own.lower_repeat, global.garp.lower_repeat), repeat),
        interval: Duration::from_micros(match family {
            Family::V4 => global.garp_interval,
            Family::V6 => global.gna_interval,
        }),
        // A configured refresh, 0 included, takes the place of ours.
        reassert: match pick(own.refresh, global.garp.refresh) {
            Some(_) => Duration::ZERO,
            None => defaults.reassert,
        },
    }
}

/// Defaults that the host gives.
pub(crate) fn host_defaults(global: &mut GlobalDefs, hostname: &str) {
    if global.router_id.is_empty() {
        hostname.clone_into(&mut global.router_id);
    }
}
