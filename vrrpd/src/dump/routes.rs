//! Routes and rules on one line each, and the sections of what is static.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;

use keepalived_conf::Config;
use keepalived_conf::model::routes::{
    HopDef, PROTOCOL_KEEPALIVED, Prefix, RouteDef, RouteKind, RouteMetrics, RouterPreference,
    RuleAction, RuleDef,
};
use vrrp_core::settings::Family;

use super::{address, line};

/// `static_ipaddress`, `static_routes`, `static_rules` and `track_group`.
pub(super) fn fixed(out: &mut String, config: &Config) {
    if !config.static_addresses.is_empty() {
        line!(out, "------< Static Addresses >------");
        for def in &config.static_addresses {
            let mut text = address::text(&def.address, None, true);
            grouped(&mut text, def.track_group.as_deref());
            line!(out, "     {text}");
        }
    }
    if !config.static_routes.is_empty() {
        line!(out, "------< Static Routes >------");
        for def in &config.static_routes {
            line!(out, "     {}", route(def));
        }
    }
    if !config.static_rules.is_empty() {
        line!(out, "------< Static Rules >------");
        for def in &config.static_rules {
            line!(out, "     {}", rule(def));
        }
    }
    if !config.track_groups.is_empty() {
        line!(out, "------< Static Track groups >------");
        for group in &config.track_groups {
            line!(out, " Static Track Group = {}", group.name);
            line!(out, "   VRRP member instances :");
            for member in &group.members {
                line!(out, "     {member}");
            }
        }
    }
}

/// Adds ` WORD VALUE` for what is given; writing to a string cannot fail.
fn add(out: &mut String, word: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        let _ = write!(out, " {word} {value}");
    }
}

fn grouped(out: &mut String, group: Option<&str>) {
    add(out, "track_group", group);
}

/// A prefix that covers one address alone is not shown.
fn prefix(prefix: Prefix) -> String {
    let whole = if prefix.address.is_ipv4() { 32 } else { 128 };
    if prefix.length == whole {
        prefix.address.to_string()
    } else {
        format!("{}/{}", prefix.address, prefix.length)
    }
}

fn gateway(address: IpAddr) -> String {
    let family = if address.is_ipv4() { "inet" } else { "inet6" };
    format!("{family} {address}")
}

/// `FROM/TO`, or the latter alone.
fn realms(realms: u32) -> String {
    match (realms >> 16, realms & 0xffff) {
        (0, to) => to.to_string(),
        (from, to) => format!("{from}/{to}"),
    }
}

/// `prepend 10.40.0.0/16 via inet 10.0.0.254 dev eth0 proto 18`
pub(super) fn route(def: &RouteDef) -> String {
    let kind = match def.kind {
        RouteKind::Unicast => "",
        RouteKind::Local => "local ",
        RouteKind::Broadcast => "broadcast ",
        RouteKind::Anycast => "anycast ",
        RouteKind::Multicast => "multicast ",
        RouteKind::Blackhole => "blackhole ",
        RouteKind::Unreachable => "unreachable ",
        RouteKind::Prohibit => "prohibit ",
        RouteKind::Throw => "throw ",
        RouteKind::Nat => "nat ",
        RouteKind::Resolve => "xresolve ",
    };
    // Only routes that are sent on stand before others of their kind.
    let place = match def.kind {
        _ if def.append => "append",
        RouteKind::Unicast => "prepend",
        _ => "add",
    };
    let mut out = format!("{place} {kind}{}", prefix(def.destination));
    add(&mut out, "from", def.from.map(prefix));
    add(&mut out, "via", def.gateway.map(gateway));
    add(&mut out, "src", def.source);
    add(&mut out, "dev", def.device.as_ref());
    add(&mut out, "table", def.table);
    add(&mut out, "proto", Some(def.protocol));
    add(&mut out, "scope", def.scope);
    if def.onlink {
        out.push_str(" onlink");
    }
    let tos = Some(def.tos).filter(|tos| *tos != 0);
    add(&mut out, "tos", tos.map(|tos| format!("{tos:#x}")));
    add(&mut out, "realms", def.realms.map(realms));
    add(
        &mut out,
        "expires",
        def.expires.map(|time| format!("{time}sec")),
    );
    metrics(&mut out, &def.metrics);
    add(&mut out, "metric", def.metric);
    add(&mut out, "pref", def.preference.map(preference));
    add(&mut out, "ttl-propagate", def.ttl_propagate.map(enabled));
    for hop in &def.hops {
        out.push_str(&next_hop(hop));
    }
    if !def.tracked {
        out.push_str(" no_track");
    }
    grouped(&mut out, def.track_group.as_deref());
    out
}

const fn preference(preference: RouterPreference) -> &'static str {
    match preference {
        RouterPreference::Low => "low",
        RouterPreference::Medium => "medium",
        RouterPreference::High => "high",
    }
}

const fn enabled(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

fn metrics(out: &mut String, metrics: &RouteMetrics) {
    add(out, "congctl", metrics.congestion.as_ref());
    // Each with its number in rtnetlink(7), at whose place a bit says that it is locked.
    let rows = [
        (13, "rto_min", metrics.rto_min, "ms"),
        (12, "features", metrics.features, ""),
        (4, "rtt", metrics.rtt, "ms"),
        (5, "rttvar", metrics.rttvar, "ms"),
        (2, "mtu", metrics.mtu, ""),
        (3, "window", metrics.window, ""),
        (6, "ssthresh", metrics.ssthresh, ""),
        (7, "cwnd", metrics.cwnd, ""),
        (8, "advmss", metrics.advmss, ""),
        (9, "reordering", metrics.reordering, ""),
        (10, "hoplimit", metrics.hoplimit, ""),
        (11, "initcwnd", metrics.initcwnd, ""),
        (14, "initrwnd", metrics.initrwnd, ""),
        (15, "quickack", metrics.quickack, ""),
        (17, "fastopen_no_cookie", metrics.fastopen_no_cookie, ""),
    ];
    for (number, name, value, unit) in rows {
        let Some(value) = value else {
            continue;
        };
        let lock = if metrics.locked & (1 << number) == 0 {
            ""
        } else {
            "lock "
        };
        let value = match (name, value) {
            ("features", 1) => "ecn".to_owned(),
            _ => value.to_string(),
        };
        let _ = write!(out, " {name} {lock}{value}{unit}");
    }
}

fn next_hop(hop: &HopDef) -> String {
    let mut out = " nexthop".to_owned();
    add(&mut out, "via", hop.gateway.map(gateway));
    add(&mut out, "dev", hop.device.as_ref());
    add(&mut out, "weight", hop.weight);
    if hop.onlink {
        out.push_str(" onlink");
    }
    add(&mut out, "realm", hop.realms.map(realms));
    out
}

/// `from 10.50.0.0/16 priority 16383 tos 0x0 protocol 18 lookup 200`
pub(super) fn rule(def: &RuleDef) -> String {
    let mut out = if def.inverted { "not " } else { "" }.to_owned();
    let everything = match (&def.action, def.family) {
        (RuleAction::Nop, Family::V4) => "0.0.0.0/0",
        _ => "all",
    };
    out.push_str("from ");
    out.push_str(&def.from.map_or_else(|| everything.to_owned(), prefix));
    add(&mut out, "to", def.to.map(prefix));
    add(&mut out, "priority", Some(def.preference));
    let _ = write!(out, " tos {:#x}", def.tos);
    match def.mark {
        Some((mark, Some(mask))) => {
            let _ = write!(out, " fwmark {mark:#x}/{mask:#x}");
        }
        Some((mark, None)) => {
            let _ = write!(out, " fwmark {mark:#x}");
        }
        None => {}
    }
    add(&mut out, "iif", def.input.as_ref());
    add(&mut out, "oif", def.output.as_ref());
    add(&mut out, "suppress_prefixlen", def.suppress_prefix);
    add(&mut out, "suppress_ifgroup", def.suppress_group);
    add(&mut out, "tunnel-id", def.tunnel);
    let span = |(first, last): (u32, u32)| format!("{first}-{last}");
    add(&mut out, "uidrange", def.users.map(span));
    if def.action == RuleAction::VrfTable {
        out.push_str(" l3mdev");
    }
    if def.tracked || def.protocol != PROTOCOL_KEEPALIVED {
        add(&mut out, "protocol", Some(def.protocol));
    }
    add(&mut out, "ipproto", def.transport);
    let ports = |(first, last): (u16, u16)| span((first.into(), last.into()));
    add(&mut out, "sport", def.source_ports.map(ports));
    add(&mut out, "dport", def.destination_ports.map(ports));
    // Both numbers, also where the first is 0.
    let both = |realms: u32| format!("{}/{}", realms >> 16, realms & 0xffff);
    add(&mut out, "realms", def.realms.map(both));
    match def.action {
        RuleAction::Table(table) => add(&mut out, "lookup", Some(table)),
        RuleAction::Goto(rule) => add(&mut out, "goto", Some(rule)),
        RuleAction::Nop => out.push_str(" nop"),
        RuleAction::VrfTable => out.push_str(" lookup 0"),
        RuleAction::Blackhole => out.push_str(" type blackhole"),
        RuleAction::Unreachable => out.push_str(" type unreachable"),
        RuleAction::Prohibit => out.push_str(" type prohibit"),
    }
    if !def.tracked {
        out.push_str(" no_track");
    }
    grouped(&mut out, def.track_group.as_deref());
    out
}
