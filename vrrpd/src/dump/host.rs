//! What the host has for the virtual routers: sockets and interfaces.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netif::{Link, View};
use vrrp_core::settings::{Family, Track, TrackerKind, Transport};

use super::{Item, line};

/// Routers that share their sockets, together.
pub(super) fn sockets(out: &mut String, items: &[Item<'_>]) {
    line!(out, "------< VRRP Sockpool >------");
    let mut pool: BTreeMap<_, Vec<&Item<'_>>> = BTreeMap::new();
    let mut order = Vec::new();
    for item in items {
        let settings = item.router.settings();
        let unicast = match settings.transport {
            Transport::Multicast { .. } => None,
            Transport::Unicast { source, .. } => item.source.or(source),
        };
        // Adverts of a virtual interface that go out of the one below share its sockets.
        let vmac = item.def.vmac.as_ref().filter(|vmac| !vmac.xmit_base);
        let interface = vmac.map_or(settings.interface.as_str(), |vmac| &vmac.name);
        let key = (interface, settings.family, unicast);
        if !pool.contains_key(&key) {
            order.push(key);
        }
        pool.entry(key).or_default().push(item);
    }
    for key in order {
        let (interface, family, unicast) = key;
        line!(out, "   Interface = {interface}");
        let family = match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        line!(out, "   Family = {family}");
        line!(out, "   Protocol = VRRP");
        match unicast {
            None => line!(out, "   Type = Multicast"),
            Some(address) => {
                line!(out, "   Type = Unicast");
                line!(out, "   Address = {address}");
            }
        }
        let mut members = pool.get(&key).into_iter().flatten();
        let buffer = members.find_map(|item| item.def.receive_buffer);
        line!(out, "   Rx buf size = {}", buffer.unwrap_or_default());
        line!(out, "   VRRP instances");
        for item in pool.get(&key).into_iter().flatten() {
            let settings = item.router.settings();
            line!(out, "     {} vrid {}", settings.name, settings.vrid);
        }
    }
}

pub(super) fn interfaces(out: &mut String, view: &View, items: &[Item<'_>]) {
    line!(out, "------< Interfaces >------");
    let settings = items.iter().map(|item| item.router.settings());
    let virtual_addresses: BTreeSet<IpAddr> = settings
        .flat_map(|settings| settings.addresses.iter().chain(&settings.excluded))
        .map(|address| address.address)
        .collect();
    // Those made by us come last, as the original learns of them last.
    let (virtual_ones, others): (Vec<&Link>, Vec<&Link>) = view
        .links()
        .partition(|link| below(&link.name, items).is_some());
    for link in others {
        interface(out, view, link, &virtual_addresses, items);
    }
    missing(out, view, items);
    for link in virtual_ones {
        interface(out, view, link, &virtual_addresses, items);
    }
}

fn interface(
    out: &mut String,
    view: &View,
    link: &Link,
    virtual_addresses: &BTreeSet<IpAddr>,
    items: &[Item<'_>],
) {
    line!(out, " Name = {}", link.name);
    line!(out, "   index = {}", link.index);
    let addresses: Vec<IpAddr> = view
        .addresses(link.index)
        .map(|address| address.key.addr)
        .filter(|address| !virtual_addresses.contains(address))
        .collect();
    let first = |wanted: fn(&IpAddr) -> bool| {
        let found = addresses.iter().find(|address| wanted(address));
        found.map_or_else(|| "(none)".to_owned(), IpAddr::to_string)
    };
    line!(out, "   IPv4 address = {}", first(IpAddr::is_ipv4));
    line!(out, "   IPv6 address = {}", first(is_link_local));
    let local = addresses.iter().filter(|address| is_link_local(address));
    let more: Vec<&IpAddr> = local.skip(1).collect();
    if !more.is_empty() {
        line!(out, "   Additional IPv6 addresses :");
        for address in more {
            line!(out, "     {address}");
        }
    }
    if let Some(mac) = link.ethernet().filter(|_| !link.loopback) {
        let bytes = mac.map(|byte| format!("{byte:02x}"));
        line!(out, "   MAC = {}", bytes.join(":"));
        line!(out, "   MAC broadcast = ff:ff:ff:ff:ff:ff");
    }
    let mut state = vec![standing(link)];
    let flags = [
        (link.loopback, "no broadcast"),
        (link.loopback, "loopback"),
        (!link.multicast, "no multicast"),
    ];
    let on = flags.into_iter().filter(|(on, _)| *on);
    state.extend(on.map(|(_, flag)| flag.to_owned()));
    line!(out, "   State = {}", state.join(", "));
    line!(out, "   Seen up = {}", u8::from(link.up));
    line!(out, "   Delayed state change running = false");
    line!(out, "   Up debounce timer = 0us");
    line!(out, "   Down debounce timer = 0us");
    if let Some(below) = below(&link.name, items) {
        let base = view.link_by_name(below);
        let state = base.map_or_else(|| "missing".to_owned(), standing);
        line!(
            out,
            "   VMAC type private, underlying interface = {below}, state = {state}"
        );
        line!(out, "   I/f created by keepalived");
    }
    line!(out, "   MTU = {}", link.mtu);
    let kind = if link.loopback {
        "LOOPBACK"
    } else if link.ethernet().is_some() {
        "ETHERNET"
    } else {
        "UNKNOWN"
    };
    line!(out, "   HW Type = {kind}");
    line!(out, "   NIC netlink status update");
    tracking(out, &link.name, items);
}

/// Interfaces that instances name and that are not there.
fn missing(out: &mut String, view: &View, items: &[Item<'_>]) {
    let own = items.iter().map(|item| &item.router.settings().interface);
    let missing: BTreeSet<&String> = own
        .filter(|name| !name.is_empty() && view.link_by_name(name).is_none())
        .collect();
    for name in missing {
        line!(out, " Name = {name}");
        line!(out, "   index = 0 (deleted)");
        line!(out, "   IPv4 address = (none)");
        line!(out, "   IPv6 address = (none)");
        line!(
            out,
            "   State = not UP, not RUNNING, no broadcast, no multicast"
        );
        line!(out, "   Seen up = 0");
        line!(out, "   Delayed state change running = false");
        line!(out, "   Up debounce timer = 0us");
        line!(out, "   Down debounce timer = 0us");
        line!(out, "   MTU = 0");
        line!(out, "   HW Type = UNKNOWN (0)");
        line!(out, "   NIC netlink status update");
        tracking(out, name, items);
    }
}

fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn standing(link: &Link) -> String {
    let up = if link.up { "UP" } else { "not UP" };
    let running = if link.running {
        "RUNNING"
    } else {
        "not RUNNING"
    };
    format!("{up}, {running}")
}

/// The interface below, if this one is a router's virtual one.
fn below<'a>(interface: &str, items: &[Item<'a>]) -> Option<&'a str> {
    let defs = items.iter().map(|item| item.def);
    defs.filter_map(|def| def.below(interface)).next()
}

fn tracking(out: &mut String, interface: &str, items: &[Item<'_>]) {
    let mut titled = false;
    for item in items {
        let settings = item.router.settings();
        let virtual_one = item.def.vmac.as_ref().map(|vmac| vmac.name.as_str());
        let is_own = settings.interface == interface || virtual_one == Some(interface);
        // What keepalived shows for `dont_track_primary`.
        let weight = if settings.track_link == Track::No {
            255
        } else {
            0
        };
        let own = is_own.then_some(weight);
        let tracked = settings
            .trackers
            .iter()
            .find(|tracker| tracker.kind == TrackerKind::Interface && tracker.name == interface);
        let Some(weight) = tracked.map(|tracker| tracker.weight).or(own) else {
            continue;
        };
        if !titled {
            line!(out, "   Tracking VRRP instances :");
            titled = true;
        }
        line!(out, "     {}, weight {weight}", settings.name);
    }
}
