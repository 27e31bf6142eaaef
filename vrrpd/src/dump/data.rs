//! `keepalived.data`: virtual routers.

use keepalived_conf::{Command, InstanceDef, NotifyDef};
use netif::Link;
use vrrp_core::settings::{
    Address, AddressCheck, Auth, Checksum, Family, Instance, OldChecksum, OnAdvert, Preempt,
    Script, SourceCheck, Track, Tracker, TrackerKind, Transport, Version,
};
use vrrp_core::{Duration, State};
use vrrp_proto::vrrp::Interval;

use super::{Item, MASKED, address, command, line, reverse, routes, stamp_in_words, word, yes};

pub(super) fn topology(out: &mut String, items: &[Item<'_>]) {
    line!(out, "------< VRRP Topology >------");
    for item in items {
        router(out, item);
    }
}

fn router(out: &mut String, item: &Item<'_>) {
    let settings = item.router.settings();
    line!(out, " VRRP Instance = {}", settings.name);
    line!(out, "   VRRP Version = {}", settings.version.number());
    if let Some(group) = item.group {
        line!(out, "   Sync group = {group}");
    }
    if settings.family == Family::V6 {
        line!(out, "   Using Native IPv6");
    }
    state(out, item);
    timing(out, item);
    wire(out, item);
    garp(out, settings);
    priority(out, item);
    if let Auth::None = settings.auth {
        if settings.version == Version::V2 {
            line!(out, "   Authentication type = none");
        }
    } else {
        line!(out, "   Authentication type = SIMPLE_PASSWORD");
        // The password is nobody's business, not even in a file of mode 0600.
        line!(out, "   Password = {MASKED}");
    }
    addresses(out, item);
    unicast(out, settings);
    routings(out, item.def);
    let (scripts, trackers) = item.own_tracked();
    tracked(out, trackers, scripts, "processes");
    notified(out, item.def);
}

/// Whom it tells.
fn notified(out: &mut String, def: &InstanceDef) {
    line!(out, "   Using smtp notification = {}", yes(def.smtp_alert));
    let def = &def.notify;
    let deleted = match def.deleted {
        None => "Fault",
        Some(_) => "Deleted",
    };
    line!(out, "   Notify deleted = {deleted}");
    scripts_told(out, def);
    line!(out, "   Notify priority changes = {}", def.priority_changes);
}

/// The commands, each with its user.
pub(super) fn scripts_told(out: &mut String, def: &NotifyDef) {
    for (what, script) in [
        ("Backup state transition", &def.backup),
        ("Master state transition", &def.master),
        ("Fault state transition", &def.fault),
        ("Stop state transition", &def.stop),
        (
            "Deleted state transition",
            def.deleted.as_ref().unwrap_or(&None),
        ),
        ("Generic state transition", &def.any),
        ("Master rx lower pri state transition", &def.lower_priority),
    ] {
        if let Some(Command { argv, user }) = script {
            let words = command(argv);
            line!(
                out,
                "   {what} script = {words}, uid:gid {}:{}",
                user.uid,
                user.gid
            );
        }
    }
}

fn state(out: &mut String, item: &Item<'_>) {
    let settings = item.router.settings();
    line!(out, "   State = {}", item.router.state());
    if item.router.state() == State::Backup {
        let master = item.master();
        let router = master.map_or_else(
            || match settings.transport {
                Transport::Multicast { group, .. } => group.to_string(),
                Transport::Unicast { .. } => "0.0.0.0".to_owned(),
            },
            |(source, _)| source.to_string(),
        );
        line!(out, "   Master router = {router}");
        let claim = master.map(|(_, view)| view.claim);
        let priority = claim.map_or(0, |claim| claim.priority);
        line!(out, "   Master priority = {priority}");
        if let Some(claim) = claim.filter(|_| settings.version == Version::V3) {
            let seconds = interval(claim.interval);
            line!(out, "   Master advert int = {seconds:.2} sec");
        }
    }
    let unicast = matches!(settings.transport, Transport::Unicast { .. });
    if unicast || item.def.vmac.is_some() {
        line!(out, "   Flags:");
    } else {
        line!(out, "   Flags: none");
    }
    if unicast {
        line!(out, "     Using unicast");
    }
    line!(out, "   Wantstate = {}", item.router.state());
    line!(out, "   Number of config faults = 0");
    line!(
        out,
        "   Number of interface and track script faults = {}",
        item.faults
    );
    line!(out, "   Number of track scripts init = {}", item.undecided);
}

fn timing(out: &mut String, item: &Item<'_>) {
    if let Some(transition) = item.transition {
        line!(out, "   Last transition = {}", stamp_in_words(transition));
    }
    match item.timeout {
        Some(timeout) => line!(out, "   Read timeout = {}", stamp_in_words(timeout)),
        None => line!(out, "   Read timeout = DISABLED"),
    }
    let settings = item.router.settings();
    let of_master = item.master().map(|(_, view)| view.claim.interval);
    let of_master = match (settings.version, of_master) {
        (Version::V3, Some(Interval::Centiseconds(hundredths))) => {
            Duration::from_millis(u64::from(hundredths) * 10)
        }
        _ => settings.advert_interval,
    };
    let down = settings.master_down_behind(item.router.effective_priority(), of_master);
    line!(
        out,
        "   Master down timer = {} usecs",
        down.as_nanos() / 1000
    );
}

fn wire(out: &mut String, item: &Item<'_>) {
    let settings = item.router.settings();
    let interface = &settings.interface;
    if let Some(vmac) = &item.def.vmac {
        let (name, base) = (&vmac.name, vmac.xmit_base);
        let up = item.link.is_some_and(Link::is_usable);
        line!(
            out,
            "   Use VMAC, i/f name {name}, is_up = {up}, xmit_base = {base}"
        );
        let through = if base { ", xmit base i/f" } else { "" };
        line!(out, "   Interface = {name}, vmac on {interface}{through}");
    } else {
        line!(out, "   Interface = {interface}");
    }
    if settings.track_link == Track::No {
        line!(out, "   VRRP interface tracking disabled");
    }
    if settings.address_check == AddressCheck::SkipSameMaster {
        line!(out, "   Skip checking advert IP addresses");
    }
    if item.def.strict {
        line!(out, "   Enforcing strict VRRP compliance");
    }
    let (Transport::Multicast { source, .. } | Transport::Unicast { source, .. }) =
        &settings.transport;
    let origin = source.map_or("", |_| " (from configuration)");
    match item.source.or(*source) {
        Some(source) => line!(out, "   Using src_ip = {source}{origin}"),
        None => line!(out, "   Using src_ip = (none)"),
    }
    if let Transport::Multicast { group, .. } = &settings.transport {
        match item.link.filter(|_| group.is_ipv6()) {
            Some(link) => line!(out, "   Multicast address {group}, ifindex {}", link.index),
            None => line!(out, "   Multicast address {group}"),
        }
    }
}

fn garp(out: &mut String, settings: &Instance) {
    let garp = &settings.garp;
    let rows: [(&str, u64); 7] = [
        ("delay", garp.delay.as_secs()),
        ("repeat", garp.repeat.into()),
        ("refresh", garp.refresh.as_secs()),
        ("refresh repeat", garp.refresh_repeat.into()),
        ("lower priority delay", garp.lower_delay.as_secs()),
        ("lower priority repeat", garp.lower_repeat.into()),
        ("", settings.down_timer_adverts.into()),
    ];
    for (name, value) in rows {
        if name.is_empty() {
            line!(out, "   Down timer adverts = {value}");
        } else {
            line!(out, "   Gratuitous ARP {name} = {value}");
        }
    }
    line!(
        out,
        "   Send advert after receive lower priority advert = {}",
        settings.on_lower == OnAdvert::Advertise
    );
    line!(
        out,
        "   Send advert after receive higher priority advert = {}",
        settings.on_higher == OnAdvert::Advertise
    );
}

fn priority(out: &mut String, item: &Item<'_>) {
    let settings = item.router.settings();
    line!(out, "   Virtual Router ID = {}", settings.vrid);
    line!(out, "   Priority = {}", settings.priority);
    let effective = item.router.effective_priority();
    line!(out, "   Effective priority = {effective}");
    line!(out, "   Total priority = {effective}");
    line!(
        out,
        "   Advert interval = {}",
        in_units(settings.version, settings.advert_interval)
    );
    if let (Version::V3, Some((_, view))) = (settings.version, item.master()) {
        let interval = std::time::Duration::from_secs_f64(interval(view.claim.interval));
        line!(
            out,
            "   Master advert interval = {} milli-sec",
            interval.as_millis()
        );
    }
    line!(out, "   Accept = {}", word(item.def.accept));
    line!(
        out,
        "   Preempt = {}",
        word(settings.preempt != Preempt::No)
    );
    if let Preempt::After(delay) = settings.preempt {
        let seconds = delay.to_std().as_secs_f64();
        line!(out, "   Preempt delay = {seconds} secs");
    }
    line!(
        out,
        "   Promote_secondaries = {}",
        word(item.def.promote_secondaries)
    );
    if let Some(bytes) = item.def.receive_buffer {
        line!(out, "   Kernel rx buffer size = {bytes}");
    }
}

fn in_units(version: Version, interval: Duration) -> String {
    match version {
        Version::V2 => format!("{} sec", interval.as_secs()),
        Version::V3 => format!("{} milli-sec", interval.to_std().as_millis()),
    }
}

fn addresses(out: &mut String, item: &Item<'_>) {
    let settings = item.router.settings();
    let set = item.router.state() == State::Master;
    let list = |out: &mut String, list: &[Address]| {
        for address in list {
            line!(
                out,
                "     {}",
                address::text(address, item.below(address), set)
            );
        }
    };
    line!(out, "   Virtual IP ({}):", settings.addresses.len());
    list(out, &settings.addresses);
    if !settings.excluded.is_empty() {
        line!(out, "   Virtual IP Excluded :");
        list(out, &settings.excluded);
    }
}

fn routings(out: &mut String, def: &InstanceDef) {
    if !def.routes.is_empty() {
        line!(out, "   Virtual Routes :");
        for def in &def.routes {
            line!(out, "     {}", routes::route(def));
        }
    }
    if !def.rules.is_empty() {
        line!(out, "   Virtual Rules :");
        for def in &def.rules {
            line!(out, "     {}", routes::rule(def));
        }
    }
}

fn unicast(out: &mut String, settings: &Instance) {
    let Transport::Unicast {
        peers,
        ttl,
        source_check,
        ..
    } = &settings.transport
    else {
        return;
    };
    if *ttl != vrrp_proto::vrrp::TTL {
        line!(out, "   Unicast TTL = {ttl}");
    }
    let check = *source_check == SourceCheck::PeersOnly;
    line!(out, "   Check unicast src : {}", yes(check));
    line!(out, "   Unicast Peer :");
    for peer in peers {
        line!(
            out,
            "     {} min_ttl {} max_ttl {}",
            peer.address,
            peer.min_ttl,
            peer.max_ttl
        );
    }
    if settings.version == Version::V3 {
        let compatible = match (settings.old_checksum, settings.checksum) {
            (OldChecksum::Never, _) => "never",
            (OldChecksum::Always, _) | (_, Checksum::PseudoHeaderOfGroup) => "yes",
            (OldChecksum::Mirror, _) => "no",
        };
        line!(out, "   Unicast checksum compatibility = {compatible}");
    }
}

/// What an instance or a group tracks; the two differ in the title of processes.
pub(super) fn tracked(out: &mut String, trackers: &[Tracker], scripts: &[Script], processes: &str) {
    let kinds = [
        (TrackerKind::Interface, "interfaces", ""),
        (TrackerKind::File, "files", ","),
        (TrackerKind::Process, processes, ","),
    ];
    for (kind, title, comma) in kinds {
        let all = trackers.iter();
        let mut of_kind = all.filter(|tracker| tracker.kind == kind).peekable();
        if of_kind.peek().is_some() {
            line!(out, "   Tracked {title} :");
        }
        for tracker in of_kind {
            line!(
                out,
                "     {}{comma} weight {}{}",
                tracker.name,
                tracker.weight,
                reverse(tracker.sense)
            );
        }
        if kind == TrackerKind::Interface && !scripts.is_empty() {
            line!(out, "   Tracked scripts :");
            for script in scripts {
                line!(
                    out,
                    "     {} weight {}{}",
                    script.name,
                    script.weight,
                    reverse(script.sense)
                );
            }
        }
    }
}

/// Seconds of an interval on the wire.
pub(super) fn interval(interval: Interval) -> f64 {
    match interval {
        Interval::Seconds(seconds) => seconds.into(),
        Interval::Centiseconds(hundredths) => f64::from(hundredths) / 100.0,
    }
}
