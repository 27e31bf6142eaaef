//! Addresses as netlink messages; routes and rules too, both ways.

use std::net::IpAddr;

use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
    NetlinkMessage,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags as WireFlags, AddressMessage, CacheInfo,
};
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RoutePreference, RouteRealm, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::rule::{
    RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::model::AddressSpec;
use crate::routing::{Hop, Network, RouteSpec, Routing, RuleSpec, same_network};
use crate::watch::FOREVER;

/// `RTN_UNICAST`
const UNICAST: u8 = 1;
/// `RT_SCOPE_NOWHERE`: of a removal, that any scope is meant.
const NOWHERE: u8 = 255;
/// `RTAX_CC_ALGO`
const CONGESTION: u16 = 16;
/// What the kernel makes of an IPv6 route without a metric.
const METRIC_V6: u32 = 1024;

/// The request that sets it.
///
/// As keepalived has it (measured with 2.2.7): a unicast route goes before those that match
/// the same, of other kinds there may be one alone, and of rules no two may be alike.
pub(crate) fn setting(what: &Routing) -> NetlinkMessage<RouteNetlinkMessage> {
    let (inner, flags) = match what {
        Routing::Route(route) => {
            let order = match (route.append, route.kind) {
                (true, _) => NLM_F_APPEND,
                (false, UNICAST) => 0,
                (false, _) => NLM_F_EXCL,
            };
            let message = route_message(route, route.kind, route.scope);
            (RouteNetlinkMessage::NewRoute(message), order)
        }
        Routing::Rule(rule) => (RouteNetlinkMessage::NewRule(rule_message(rule)), NLM_F_EXCL),
    };
    request(inner, NLM_F_CREATE | flags)
}

/// The request that removes it.
pub(crate) fn removal(what: &Routing) -> NetlinkMessage<RouteNetlinkMessage> {
    let inner = match what {
        Routing::Route(route) => {
            let kind = if route.kind == UNICAST { 0 } else { route.kind };
            RouteNetlinkMessage::DelRoute(route_message(route, kind, NOWHERE))
        }
        Routing::Rule(rule) => RouteNetlinkMessage::DelRule(rule_message(rule)),
    };
    request(inner, 0)
}

impl Routing {
    /// The request that removes it as the bytes of a whole netlink message, for whoever
    /// outlives the daemon.
    #[must_use]
    pub fn removal_bytes(&self) -> Vec<u8> {
        whole(removal(self))
    }
}

/// The request that begins the lifetime of an address anew, as the bytes of a whole netlink
/// message.
pub(crate) fn lifetime(spec: &AddressSpec) -> Vec<u8> {
    let message = RouteNetlinkMessage::NewAddress(address(spec));
    whole(request(message, NLM_F_CREATE | NLM_F_REPLACE))
}

/// The request that removes the link with that index, as the bytes of a whole netlink message.
pub(crate) fn link_removal(index: u32) -> Vec<u8> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    whole(request(RouteNetlinkMessage::DelLink(link), 0))
}

/// The request for what there is to know about the link with that index.
pub(crate) fn link_request(index: u32) -> Vec<u8> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetLink(link));
    message.header.flags = NLM_F_REQUEST;
    whole(message)
}

fn whole(mut message: NetlinkMessage<RouteNetlinkMessage>) -> Vec<u8> {
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn request(inner: RouteNetlinkMessage, flags: u16) -> NetlinkMessage<RouteNetlinkMessage> {
    let mut message = NetlinkMessage::from(inner);
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    message
}

const fn family(v6: bool) -> AddressFamily {
    if v6 {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    }
}

/// The number of the table as far as the header has room for it.
fn short(table: u32) -> u8 {
    u8::try_from(table).unwrap_or(0)
}

const fn realm(number: u32) -> RouteRealm {
    let [a, b, c, d] = number.to_be_bytes();
    RouteRealm {
        source: u16::from_be_bytes([a, b]),
        destination: u16::from_be_bytes([c, d]),
    }
}

/// The kernel refuses networks with bits beyond their length.
fn masked((address, length): Network) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let dropped = 32 - u32::from(length.min(32));
            let kept = u32::MAX.checked_shl(dropped).unwrap_or(0);
            IpAddr::V4((address.to_bits() & kept).into())
        }
        IpAddr::V6(address) => {
            let dropped = 128 - u32::from(length.min(128));
            let kept = u128::MAX.checked_shl(dropped).unwrap_or(0);
            IpAddr::V6((address.to_bits() & kept).into())
        }
    }
}

fn route_message(route: &RouteSpec, kind: u8, scope: u8) -> RouteMessage {
    let (destination, length) = route.destination;
    let v6 = destination.is_ipv6();
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(v6);
    header.destination_prefix_length = length;
    header.tos = route.tos;
    header.table = short(route.table);
    header.protocol = route.protocol.into();
    header.scope = RouteScope::from(scope);
    header.kind = RouteType::from(kind);
    if route.way.onlink {
        header.flags |= RouteFlags::Onlink;
    }
    let attributes = &mut message.attributes;
    if length > 0 {
        let network = RouteAddress::from(masked(route.destination));
        attributes.push(RouteAttribute::Destination(network));
    }
    if let Some(from) = route.from {
        header.source_prefix_length = from.1;
        attributes.push(RouteAttribute::Source(masked(from).into()));
    }
    if route.table > 255 {
        attributes.push(RouteAttribute::Table(route.table));
    }
    let source = route.source.map(RouteAddress::from);
    attributes.extend(source.map(RouteAttribute::PrefSource));
    attributes.extend(gateway(&route.way, v6));
    attributes.extend(route.way.ifindex.map(RouteAttribute::Oif));
    let realms = route.way.realms.map(realm);
    attributes.extend(realms.map(RouteAttribute::Realm));
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    attributes.extend(route.expires.map(RouteAttribute::Expires));
    let preference = route.preference.map(RoutePreference::from);
    attributes.extend(preference.map(RouteAttribute::Preference));
    let propagate = route.ttl_propagate.map(|on| u8::from(on).into());
    attributes.extend(propagate.map(RouteAttribute::TtlPropagate));
    let metrics = metrics(route);
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    if !route.hops.is_empty() {
        let hops = route.hops.iter().map(|hop| next_hop(hop, v6)).collect();
        attributes.push(RouteAttribute::MultiPath(hops));
    }
    message
}

/// The next router; one of the other family needs an attribute of its own.
fn gateway(hop: &Hop, v6: bool) -> Option<RouteAttribute> {
    Some(match hop.gateway? {
        IpAddr::V4(gateway) if v6 => RouteAttribute::Via(RouteVia::Inet(gateway)),
        IpAddr::V6(gateway) if !v6 => RouteAttribute::Via(RouteVia::Inet6(gateway)),
        gateway => RouteAttribute::Gateway(gateway.into()),
    })
}

fn next_hop(hop: &Hop, v6: bool) -> RouteNextHop {
    let mut next = RouteNextHop::default();
    next.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    next.interface_index = hop.ifindex.unwrap_or(0);
    if hop.onlink {
        next.flags |= RouteNextHopFlags::Onlink;
    }
    next.attributes.extend(gateway(hop, v6));
    let realms = hop.realms.map(realm);
    next.attributes.extend(realms.map(RouteAttribute::Realm));
    next
}

fn metrics(route: &RouteSpec) -> Vec<RouteMetric> {
    let numbers = route.metrics.iter();
    let mut metrics: Vec<RouteMetric> = numbers
        .map(|(kind, value)| {
            RouteMetric::Other(DefaultNla::new(*kind, value.to_ne_bytes().to_vec()))
        })
        .collect();
    metrics.extend(route.congestion.as_ref().map(|name| {
        let mut text = name.clone().into_bytes();
        text.push(0);
        RouteMetric::Other(DefaultNla::new(CONGESTION, text))
    }));
    metrics
}

fn rule_message(rule: &RuleSpec) -> RuleMessage {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    header.family = family(rule.v6);
    header.tos = rule.tos;
    header.table = short(rule.table);
    header.action = rule.action.into();
    if rule.inverted {
        header.flags |= RuleFlags::Invert;
    }
    let attributes = &mut message.attributes;
    if let Some(from) = rule.from {
        header.src_len = from.1;
        attributes.push(RuleAttribute::Source(masked(from)));
    }
    if let Some(to) = rule.to {
        header.dst_len = to.1;
        attributes.push(RuleAttribute::Destination(masked(to)));
    }
    attributes.push(RuleAttribute::Priority(rule.preference));
    if rule.table > 255 {
        attributes.push(RuleAttribute::Table(rule.table));
    }
    if let Some((mark, mask)) = rule.mark {
        attributes.push(RuleAttribute::FwMark(mark));
        attributes.extend(mask.map(RuleAttribute::FwMask));
    }
    attributes.extend(rule.realms.map(realm).map(RuleAttribute::Realm));
    attributes.extend(rule.input.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.output.clone().map(RuleAttribute::Oifname));
    attributes.extend(rule.suppress_prefix.map(RuleAttribute::SuppressPrefixLen));
    attributes.extend(rule.suppress_group.map(RuleAttribute::SuppressIfGroup));
    attributes.extend(rule.tunnel.map(RuleAttribute::TunId));
    let users = rule.users.map(|(start, end)| RuleUidRange { start, end });
    attributes.extend(users.map(RuleAttribute::UidRange));
    if rule.protocol != 0 {
        attributes.push(RuleAttribute::Protocol(rule.protocol.into()));
    }
    let transport = rule.transport.map(i32::from).map(Into::into);
    attributes.extend(transport.map(RuleAttribute::IpProtocol));
    let range = |(start, end)| RulePortRange { start, end };
    let ports = rule.source_ports.map(range);
    attributes.extend(ports.map(RuleAttribute::SourcePortRange));
    let ports = rule.destination_ports.map(range);
    attributes.extend(ports.map(RuleAttribute::DestinationPortRange));
    attributes.extend(rule.target.map(RuleAttribute::Goto));
    if rule.vrf_table {
        attributes.push(RuleAttribute::L3MDev(true));
    }
    message
}

/// Whether the route that the kernel speaks of is this one. Two routes that differ in
/// nothing looked at here cannot be there at once, unless by `append`.
pub(crate) fn is_route(route: &RouteSpec, message: &RouteMessage) -> bool {
    let (destination, length) = route.destination;
    let v6 = destination.is_ipv6();
    let header = &message.header;
    let (mut network, mut from) = (None, None);
    let (mut table, mut metric) = (u32::from(header.table), 0);
    let mut way = Hop::default();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => network = ip(address),
            RouteAttribute::Source(address) => from = ip(address),
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Priority(number) => metric = *number,
            RouteAttribute::Gateway(address) => way.gateway = ip(address),
            RouteAttribute::Via(RouteVia::Inet(address)) => way.gateway = Some((*address).into()),
            RouteAttribute::Via(RouteVia::Inet6(address)) => way.gateway = Some((*address).into()),
            RouteAttribute::Oif(index) => way.ifindex = Some(*index),
            _ => {}
        }
    }
    let default_metric = if v6 { METRIC_V6 } else { 0 };
    let same_way = !route.hops.is_empty()
        || ((route.way.gateway.is_none() || route.way.gateway == way.gateway)
            && (route.way.ifindex.is_none() || route.way.ifindex == way.ifindex));
    header.address_family == family(v6)
        && header.destination_prefix_length == length
        && (length == 0 || network.is_some_and(|to| same_network(to, destination, length)))
        && route.from.map(masked) == from
        && header.tos == route.tos
        && table == route.table
        && u8::from(header.protocol) == route.protocol
        && metric == route.metric.unwrap_or(default_metric)
        && same_way
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// Whether the rule that the kernel speaks of is this one.
pub(crate) fn is_rule(rule: &RuleSpec, message: &RuleMessage) -> bool {
    let header = &message.header;
    let (mut from, mut to) = (None, None);
    let (mut table, mut preference) = (u32::from(header.table), 0);
    let (mut input, mut output, mut mark, mut protocol) = (None, None, None, 0);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Source(address) => from = Some(*address),
            RuleAttribute::Destination(address) => to = Some(*address),
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Priority(number) => preference = *number,
            RuleAttribute::Iifname(name) => input = Some(name),
            RuleAttribute::Oifname(name) => output = Some(name),
            RuleAttribute::FwMark(number) => mark = Some(*number),
            RuleAttribute::Protocol(number) => protocol = u8::from(*number),
            _ => {}
        }
    }
    header.family == family(rule.v6)
        && u8::from(header.action) == rule.action
        && header.flags.contains(RuleFlags::Invert) == rule.inverted
        && preference == rule.preference
        && table == rule.table
        && protocol == rule.protocol
        && (from, header.src_len) == (rule.from.map(masked), rule.from.map_or(0, |from| from.1))
        && (to, header.dst_len) == (rule.to.map(masked), rule.to.map_or(0, |to| to.1))
        && input == rule.input.as_ref()
        && output == rule.output.as_ref()
        && mark == rule.mark.map(|(mark, _)| mark)
}

/// The netlink form of an address.
pub(crate) fn address(spec: &AddressSpec) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = spec.key.ifindex;
    message.header.prefix_len = spec.key.prefix;
    message.header.scope = spec.scope.0.into();
    message.header.family = match spec.key.addr {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let attributes = &mut message.attributes;
    attributes.push(AddressAttribute::Local(spec.key.addr));
    attributes.push(AddressAttribute::Address(
        spec.peer.unwrap_or(spec.key.addr),
    ));
    if let Some(broadcast) = spec.broadcast {
        attributes.push(AddressAttribute::Broadcast(broadcast));
    }
    if let Some(label) = &spec.label {
        attributes.push(AddressAttribute::Label(label.clone()));
    }
    let flags = wire_flags(spec);
    if !flags.is_empty() {
        attributes.push(AddressAttribute::Flags(flags));
    }
    if spec.lifetime.is_some() || spec.preferred.is_some() {
        let valid = spec.lifetime.unwrap_or(FOREVER);
        let mut info = CacheInfo::default();
        info.ifa_valid = valid;
        info.ifa_preferred = spec.preferred.unwrap_or(valid).min(valid);
        attributes.push(AddressAttribute::CacheInfo(info));
    }
    message
}

fn wire_flags(spec: &AddressSpec) -> WireFlags {
    let wanted = spec.flags;
    let mut flags = WireFlags::empty();
    flags.set(WireFlags::Nodad, wanted.nodad);
    flags.set(WireFlags::Noprefixroute, wanted.noprefixroute);
    flags.set(WireFlags::Managetempaddr, wanted.mngtmpaddr);
    flags.set(WireFlags::Homeaddress, wanted.home);
    flags.set(WireFlags::Mcautojoin, wanted.autojoin);
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AddressKey;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn way(gateway: &str, ifindex: u32) -> Hop {
        Hop {
            gateway: Some(ip(gateway)),
            ifindex: Some(ifindex),
            ..Hop::default()
        }
    }

    fn bytes(mut message: NetlinkMessage<RouteNetlinkMessage>) -> Vec<u8> {
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn rich() -> RouteSpec {
        let mut route = RouteSpec::new((ip("192.168.3.77"), 24), way("10.0.0.6", 3));
        route.source = Some(ip("10.0.0.100"));
        route.metric = Some(7);
        route.metrics = vec![(2, 1400)];
        route.protocol = 18;
        route
    }

    /// What keepalived 2.2.7 sends for
    /// `src 10.0.0.100 to 192.168.3.0/24 via 10.0.0.6 dev eth0 metric 7 mtu 1400`.
    #[test]
    fn a_route_is_asked_for_as_the_original_does() {
        let rest = [
            8, 0, 1, 0, 192, 168, 3, 0, // RTA_DST
            8, 0, 7, 0, 10, 0, 0, 100, // RTA_PREFSRC
            8, 0, 5, 0, 10, 0, 0, 6, // RTA_GATEWAY
            8, 0, 4, 0, 3, 0, 0, 0, // RTA_OIF
            8, 0, 6, 0, 7, 0, 0, 0, // RTA_PRIORITY
            12, 0, 8, 0, 8, 0, 2, 0, 0x78, 5, 0, 0, // RTA_METRICS, RTAX_MTU
        ];
        let set = bytes(setting(&rich().into()));
        assert_eq!(set[..8], [80, 0, 0, 0, 24, 0, 5, 4]);
        assert_eq!(set[16..28], [2, 24, 0, 0, 254, 18, 0, 1, 0, 0, 0, 0]);
        assert_eq!(set[28..], rest);
        let gone = Routing::from(rich()).removal_bytes();
        assert_eq!(gone[..8], [80, 0, 0, 0, 25, 0, 5, 0]);
        assert_eq!(gone[16..28], [2, 24, 0, 0, 254, 18, 255, 0, 0, 0, 0, 0]);
        assert_eq!(gone[28..], rest);
    }

    /// What it sends for `from 10.9.0.0/16 table 9`.
    #[test]
    fn a_rule_is_asked_for_as_the_original_does() {
        let mut rule = RuleSpec::new(false, 16383, 9);
        rule.from = Some((ip("10.9.0.0"), 16));
        rule.protocol = 18;
        let set = bytes(setting(&rule.into()));
        assert_eq!(set[..8], [52, 0, 0, 0, 32, 0, 5, 6]);
        assert_eq!(set[16..28], [2, 0, 16, 0, 9, 0, 0, 1, 0, 0, 0, 0]);
        let rest = [
            8, 0, 2, 0, 10, 9, 0, 0, 8, 0, 6, 0, 255, 63, 0, 0, 5, 0, 21, 0, 18, 0, 0, 0,
        ];
        assert_eq!(set[28..], rest);
    }

    #[test]
    fn special_routes_are_alone_and_appended_ones_go_last() {
        let mut route = rich();
        route.append = true;
        let flags = |route: &RouteSpec| setting(&route.clone().into()).header.flags;
        assert_eq!(flags(&route), 0xc05);
        route.append = false;
        route.kind = 6;
        assert_eq!(flags(&route), 0x605);
    }

    #[test]
    fn the_kernels_words_are_known_again() {
        let ours = rich();
        let same = route_message(&ours, ours.kind, ours.scope);
        assert!(is_route(&ours, &same));
        let mut all = Vec::new();
        let changes: [fn(&mut RouteSpec); 8] = [
            |route| route.destination.0 = ip("192.168.4.0"),
            |route| route.destination.1 = 25,
            |route| route.metric = Some(8),
            |route| route.table = 1000,
            |route| route.way.ifindex = Some(4),
            |route| route.way.gateway = Some(ip("10.0.0.7")),
            |route| route.protocol = 4,
            |route| route.tos = 8,
        ];
        for change in changes {
            let mut other = ours.clone();
            change(&mut other);
            all.push(route_message(&other, other.kind, other.scope));
        }
        for (place, other) in all.iter().enumerate() {
            assert!(!is_route(&ours, other), "{place}");
        }
        let hop = way("fe80::1", 3);
        let v6 = RouteSpec::new((ip("2001:db8:5::"), 48), hop);
        let mut told = route_message(&v6, 1, 0);
        assert!(!is_route(&v6, &told), "the kernel gives it a metric");
        told.attributes.push(RouteAttribute::Priority(METRIC_V6));
        assert!(is_route(&v6, &told));
    }

    #[test]
    fn rules_are_known_by_all_that_tells_them_apart() {
        let mut ours = RuleSpec::new(true, 100, 1000);
        ours.from = Some((ip("2001:db8::1"), 64));
        ours.input = Some("eth0".to_owned());
        ours.mark = Some((5, Some(7)));
        assert!(is_rule(&ours, &rule_message(&ours)));
        let changes: [fn(&mut RuleSpec); 9] = [
            |rule| rule.preference = 101,
            |rule| rule.table = 1001,
            |rule| rule.from = None,
            |rule| rule.to = rule.from,
            |rule| rule.input = None,
            |rule| rule.mark = None,
            |rule| rule.inverted = true,
            |rule| rule.action = 6,
            |rule| rule.v6 = false,
        ];
        for change in changes {
            let mut other = ours.clone();
            change(&mut other);
            assert!(!is_rule(&ours, &rule_message(&other)), "{other:?}");
        }
    }

    #[test]
    fn a_leased_address_carries_both_lifetimes() {
        let mut spec = AddressSpec::new(AddressKey {
            ifindex: 2,
            addr: [10, 0, 254, 253].into(),
            prefix: 16,
        });
        spec.lifetime = Some(3);
        let wire = address(&spec);
        let mut expected = CacheInfo::default();
        expected.ifa_valid = 3;
        expected.ifa_preferred = 3;
        assert!(
            wire.attributes
                .contains(&AddressAttribute::CacheInfo(expected))
        );
        assert!(
            !wire
                .attributes
                .iter()
                .any(|attribute| matches!(attribute, AddressAttribute::Broadcast(_)))
        );
        spec.lifetime = None;
        assert_eq!(address(&spec).attributes.len(), 2);
    }
}
