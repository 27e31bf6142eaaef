//! Virtual routes and rules: set while their router is MASTER.

use std::net::IpAddr;

use daemonkit::syslog::Level;
use keepalived_conf::model::routes::{
    HopDef, RouteDef, RouteKind, RouteMetrics, RuleAction, RuleDef,
};
use netif::{Hop, Kernel, RouteSpec, Routing, RuleSpec, View};
use vrrp_core::settings::Family;
use vrrp_core::{Event, State, Time};

use super::Engine;
use crate::log::Voice;
use crate::wire::Wire;

/// `RT_TABLE_MAIN`
const MAIN_TABLE: u32 = 254;
/// `RT_SCOPE_*`
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;

/// A route or rule that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) what: Routing,
    /// Whether somebody removing it sends the router to BACKUP.
    pub(super) tracked: bool,
}

impl<K: Kernel, W: Wire> Engine<K, W> {
    /// The router is MASTER.
    pub(super) fn set_routes(&mut self, index: usize) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let (wanted, faults) = wanted(&self.view, &slot.def.routes, &slot.def.rules);
        for fault in faults {
            let line = format!("({}) {fault}", slot.name());
            self.log.write(Voice::Vrrp, Level::Err, &line);
        }
        for held in &wanted {
            self.kernel.lease_routing(&held.what);
        }
        if let Some(slot) = self.slots.get_mut(index) {
            slot.held = wanted;
        }
    }

    /// The router is MASTER no more: rules go first, as nothing is looked up by them then.
    pub(super) fn remove_routes(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let held = std::mem::take(&mut slot.held);
        if self.stopping && self.switches.keep_addresses {
            return;
        }
        self.remove_held(&held);
    }

    pub(super) fn remove_held(&mut self, held: &[Held]) {
        let is_rule = |held: &&Held| matches!(held.what, Routing::Rule(_));
        let (rules, routes): (Vec<&Held>, Vec<&Held>) = held.iter().partition(is_rule);
        for held in rules.into_iter().chain(routes) {
            self.kernel.remove_routing(&held.what);
        }
    }

    /// Routes and rules that a daemon which was killed left behind. Those that the
    /// operator set carry another protocol.
    pub(super) fn remove_routes_left_behind(&mut self) {
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index) else {
                continue;
            };
            let (left, _) = wanted(&self.view, &slot.def.routes, &slot.def.rules);
            self.remove_held(&left);
        }
    }

    /// Before a router hears of a new configuration: what is in it no more goes.
    pub(super) fn drop_routes(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let (wanted, _) = wanted(&self.view, &slot.def.routes, &slot.def.rules);
        let stays = |held: &mut Held| wanted.iter().any(|new| new.what == held.what);
        let gone: Vec<Held> = slot.held.extract_if(.., |held| !stays(held)).collect();
        self.remove_held(&gone);
    }

    /// After it: what is new in it is set.
    pub(super) fn add_routes(&mut self, index: usize) {
        let slot = self.slots.get(index);
        if slot.is_some_and(|slot| slot.router.state() == State::Master) {
            self.set_routes(index);
        }
    }

    /// A link is up again: the kernel has dropped the routes over it when it went down,
    /// without a word for those of IPv4.
    pub(super) fn restore_routes(&mut self, ifindex: u32) {
        let held = self.slots.iter().flat_map(|slot| &slot.held);
        let over = held.filter(|held| leads_over(&held.what, ifindex));
        let lost: Vec<Routing> = over.map(|held| held.what.clone()).collect();
        for what in lost {
            self.kernel.lease_routing(&what);
        }
    }

    /// The kernel's answer.
    pub(super) fn routing_done(
        &mut self,
        what: &Routing,
        set: bool,
        result: &Result<(), netif::Error>,
    ) {
        if *result == Err(netif::Error::Superseded) {
            return;
        }
        let told_before = set && self.statics.answered(what, result);
        let Err(error) = result else {
            return;
        };
        if told_before {
            return;
        }
        let mut slots = self.slots.iter();
        let owner = slots.find(|slot| slot.held.iter().any(|held| held.what == *what));
        let owner = match owner {
            Some(slot) => format!("({}) ", slot.name()),
            None => String::new(),
        };
        let text = describe(what, &self.view);
        let line = match set {
            true => format!("{owner}Cannot set {text}: {error}"),
            false => format!("{owner}Cannot remove {text}: {error}"),
        };
        self.log.write(Voice::Vrrp, Level::Err, &line);
    }

    /// One that was set is gone without our doing.
    pub(super) fn routing_gone(&mut self, now: Time, what: &Routing) {
        // The kernel drops the routes over a link that goes down; they come back with it.
        if !self.has_way(what) {
            return;
        }
        self.static_gone(now, what);
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            let gone: Vec<Held> = slot
                .held
                .extract_if(.., |held| held.what == *what)
                .collect();
            if gone.iter().any(|held| held.tracked) {
                self.handle(now, index, Event::RouteRemoved);
            }
        }
    }

    fn has_way(&self, what: &Routing) -> bool {
        let Routing::Route(route) = what else {
            return true;
        };
        let mut ways = route.hops.iter().chain([&route.way]);
        ways.all(|way| {
            let link = way.ifindex.map(|index| self.view.link(index));
            link.is_none_or(|link| link.is_some_and(|link| link.up))
        })
    }
}

pub(super) fn leads_over(what: &Routing, ifindex: u32) -> bool {
    match what {
        Routing::Route(route) => {
            let mut ways = route.hops.iter().chain([&route.way]);
            // Where no link is named the gateway decides, which may be behind this one.
            ways.any(|way| way.ifindex == Some(ifindex))
                || (route.way.ifindex.is_none()
                    && route.hops.iter().all(|hop| hop.ifindex.is_none()))
        }
        Routing::Rule(_) => false,
    }
}

/// What is to be set, routes first, and why some cannot be.
pub(super) fn wanted(
    view: &View,
    routes: &[RouteDef],
    rules: &[RuleDef],
) -> (Vec<Held>, Vec<String>) {
    let (mut wanted, mut faults) = (Vec::new(), Vec::new());
    for def in routes {
        match route(view, def) {
            Ok(route) => wanted.push(Held {
                what: route.into(),
                tracked: def.tracked,
            }),
            Err(Missing(device)) => {
                let (to, length) = (def.destination.address, def.destination.length);
                let line = format!("Cannot set route {to}/{length}: no interface {device}");
                faults.push(line);
            }
        }
    }
    for def in rules {
        wanted.push(Held {
            what: rule(def).into(),
            tracked: def.tracked,
        });
    }
    (wanted, faults)
}

/// The interface of that name is missing.
#[derive(Debug)]
pub(super) struct Missing(pub(super) String);

/// The netlink form of a route.
pub(super) fn route(view: &View, def: &RouteDef) -> Result<RouteSpec, Missing> {
    let index = |device: &Option<String>| match device {
        None => Ok(None),
        Some(name) => match view.link_by_name(name) {
            Some(link) => Ok(Some(link.index)),
            None => Err(Missing(name.clone())),
        },
    };
    let hop = |def: &HopDef| {
        Ok(Hop {
            gateway: def.gateway,
            ifindex: index(&def.device)?,
            weight: def.weight.unwrap_or(1),
            onlink: def.onlink,
            realms: def.realms,
        })
    };
    let table = match (def.table, &def.vrf) {
        (Some(table), _) => table,
        (None, None) => MAIN_TABLE,
        (None, Some(vrf)) => {
            let link = view.link_by_name(vrf);
            let table = link.and_then(|link| link.vrf_table);
            table.ok_or_else(|| Missing(vrf.clone()))?
        }
    };
    Ok(RouteSpec {
        kind: def.kind as u8,
        destination: (def.destination.address, def.destination.length),
        from: def.from.map(|from| (from.address, from.length)),
        source: def.source,
        way: Hop {
            gateway: def.gateway,
            ifindex: index(&def.device)?,
            weight: 1,
            onlink: def.onlink,
            realms: def.realms,
        },
        hops: def.hops.iter().map(hop).collect::<Result<_, _>>()?,
        table,
        protocol: def.protocol,
        scope: def.scope.unwrap_or_else(|| scope(def)),
        metric: def.metric,
        tos: def.tos,
        expires: def.expires,
        preference: def.preference.map(|preference| preference as u8),
        ttl_propagate: def.ttl_propagate,
        metrics: metrics(&def.metrics),
        congestion: def.metrics.congestion.clone(),
        append: def.append,
    })
}

/// As ip-route(8) has it: what is for this host stays in it, what needs no router stays
/// on the link.
fn scope(def: &RouteDef) -> u8 {
    if def.family() == Family::V6 {
        return 0;
    }
    match def.kind {
        RouteKind::Local | RouteKind::Nat => SCOPE_HOST,
        RouteKind::Broadcast | RouteKind::Multicast | RouteKind::Anycast => SCOPE_LINK,
        RouteKind::Unicast if def.gateway.is_none() && def.hops.is_empty() => SCOPE_LINK,
        _ => 0,
    }
}

/// The metrics that are given, with their numbers in rtnetlink(7).
fn metrics(metrics: &RouteMetrics) -> Vec<(u16, u32)> {
    let locked = (metrics.locked != 0).then_some(metrics.locked);
    let given = [
        (1, locked),
        (2, metrics.mtu),
        (3, metrics.window),
        (4, metrics.rtt.map(|rtt| rtt.saturating_mul(8))),
        (5, metrics.rttvar.map(|rttvar| rttvar.saturating_mul(4))),
        (6, metrics.ssthresh),
        (7, metrics.cwnd),
        (8, metrics.advmss),
        (9, metrics.reordering),
        (10, metrics.hoplimit),
        (11, metrics.initcwnd),
        (12, metrics.features),
        (13, metrics.rto_min),
        (14, metrics.initrwnd),
        (15, metrics.quickack),
        (17, metrics.fastopen_no_cookie),
    ];
    let given = given.into_iter();
    given
        .filter_map(|(kind, value)| Some((kind, value?)))
        .collect()
}

/// The netlink form of a rule.
pub(super) fn rule(def: &RuleDef) -> RuleSpec {
    let (action, table, target) = match def.action {
        RuleAction::Table(table) => (1, table, None),
        RuleAction::Goto(target) => (2, 0, Some(target)),
        RuleAction::Nop => (3, 0, None),
        RuleAction::VrfTable => (1, 0, None),
        RuleAction::Blackhole => (6, 0, None),
        RuleAction::Unreachable => (7, 0, None),
        RuleAction::Prohibit => (8, 0, None),
    };
    RuleSpec {
        v6: def.family == Family::V6,
        inverted: def.inverted,
        from: def.from.map(|from| (from.address, from.length)),
        to: def.to.map(|to| (to.address, to.length)),
        action,
        table,
        target,
        vrf_table: def.action == RuleAction::VrfTable,
        preference: def.preference,
        tos: def.tos,
        mark: def.mark,
        realms: def.realms,
        input: def.input.clone(),
        output: def.output.clone(),
        suppress_prefix: def.suppress_prefix,
        suppress_group: def.suppress_group,
        tunnel: def.tunnel,
        users: def.users,
        protocol: def.protocol,
        transport: def.transport,
        source_ports: def.source_ports,
        destination_ports: def.destination_ports,
    }
}

/// It in words, as ip(8) would have them.
pub(super) fn describe(what: &Routing, view: &View) -> String {
    let network = |(address, length): (IpAddr, u8)| format!("{address}/{length}");
    let hop = |hop: &Hop| {
        let gateway = hop.gateway.map(|gateway| format!(" via {gateway}"));
        let link = hop.ifindex.and_then(|index| view.link(index));
        let device = link.map(|link| format!(" dev {}", link.name));
        gateway.unwrap_or_default() + &device.unwrap_or_default()
    };
    match what {
        Routing::Route(route) => {
            let mut text = format!("route {}{}", network(route.destination), hop(&route.way));
            for next in &route.hops {
                text += &format!(" nexthop{}", hop(next));
            }
            if route.table != MAIN_TABLE {
                text += &format!(" table {}", route.table);
            }
            text
        }
        Routing::Rule(rule) => {
            let mut text = format!("rule {}:", rule.preference);
            for (word, side) in [("from", rule.from), ("to", rule.to)] {
                if let Some(side) = side {
                    text += &format!(" {word} {}", network(side));
                }
            }
            if rule.table != 0 {
                text += &format!(" table {}", rule.table);
            }
            text
        }
    }
}
