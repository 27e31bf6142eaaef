//! What the host has for the virtual routers: sockets and interfaces.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netif::View;
use vrrp_core::settings::{Family, TrackerKind, Transport};

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
        let key = (settings.interface.as_str(), settings.family, unicast);
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
        line!(out, "   VRRP instances");
        for item in pool.get(&key).into_iter().flatten() {
            let settings = item.router.settings();
            line!(out, "     {} vrid {}", settings.name, settings.vrid);
        }
    }
}

pub(super) fn interfaces(out: &mut String, view: &View, items: &[Item<'_>]) {
    line!(out, "------< Interfaces >------");
    for link in view.links() {
        line!(out, " Name = {}", link.name);
        line!(out, "   index = {}", link.index);
        let addresses: Vec<IpAddr> = view
            .addresses(link.index)
            .map(|address| address.key.addr)
            .collect();
        let first = |wanted: fn(&IpAddr) -> bool| {
            let found = addresses.iter().find(|address| wanted(address));
            found.map_or_else(|| "(none)".to_owned(), IpAddr::to_string)
        };
        line!(out, "   IPv4 address = {}", first(IpAddr::is_ipv4));
        line!(out, "   IPv6 address = {}", first(IpAddr::is_ipv6));
        if let Some(mac) = link.ethernet().filter(|_| !link.loopback) {
            let bytes = mac.map(|byte| format!("{byte:02x}"));
            line!(out, "   MAC = {}", bytes.join(":"));
        }
        let mut state = vec![
            if link.up { "UP" } else { "not UP" },
            if link.running {
                "RUNNING"
            } else {
                "not RUNNING"
            },
        ];
        state.extend(link.loopback.then_some("loopback"));
        state.extend((!link.multicast).then_some("no multicast"));
        line!(out, "   State = {}", state.join(", "));
        line!(out, "   MTU = {}", link.mtu);
        let kind = if link.loopback {
            "LOOPBACK"
        } else if link.ethernet().is_some() {
            "ETHERNET"
        } else {
            "UNKNOWN"
        };
        line!(out, "   HW Type = {kind}");
        tracking(out, &link.name, items);
    }
}

fn tracking(out: &mut String, interface: &str, items: &[Item<'_>]) {
    let mut titled = false;
    for item in items {
        let settings = item.router.settings();
        let own = (settings.interface == interface).then_some(0);
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
