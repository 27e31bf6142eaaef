//! Routes and rules as `ip route` and `ip rule` know them. Numbers are those of rtnetlink(7).

use std::net::IpAddr;

use vrrp_core::settings::{Address, Family};

/// What keepalived writes into `protocol` of its routes and rules, so that they can be told from
/// other programs'. Only such ones are tracked.
pub const PROTOCOL_KEEPALIVED: u8 = 18;

/// An address with the length of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The address; bits beyond the length may be set.
    pub address: IpAddr,
    /// 0..=32 or 0..=128.
    pub length: u8,
}

/// One line of `static_ipaddress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticAddressDef {
    /// The address, its device filled in.
    pub address: Address,
    /// `track_group`
    pub track_group: Option<String>,
}

/// One line of `virtual_routes` or `static_routes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteDef {
    /// `blackhole` and the like.
    pub kind: RouteKind,
    /// Where to; all of a family for `default`.
    pub destination: Prefix,
    /// `from`; IPv6 only.
    pub from: Option<Prefix>,
    /// `src`: the source address that connections of this host get.
    pub source: Option<IpAddr>,
    /// `via`: the next hop, which may be of the other family.
    pub gateway: Option<IpAddr>,
    /// `dev`
    pub device: Option<String>,
    /// `onlink`: the next hop is taken to be on the link.
    pub onlink: bool,
    /// `nexthop`: further ways; with these `gateway` and `device` are mostly not set.
    pub hops: Vec<HopDef>,
    /// `table`; the VRF's or the main one if not given.
    pub table: Option<u32>,
    /// `vrf`
    pub vrf: Option<String>,
    /// `protocol`, [`PROTOCOL_KEEPALIVED`] unless given.
    pub protocol: u8,
    /// `scope`; by the kind and the next hop if not given.
    pub scope: Option<u8>,
    /// `metric` (also `priority`, `preference`); the kernel's choice if not given.
    pub metric: Option<u32>,
    /// `tos`
    pub tos: u8,
    /// `realms FROM/TO`: FROM in the upper half; IPv4 only.
    pub realms: Option<u32>,
    /// `expires` in seconds; IPv6 only.
    pub expires: Option<u32>,
    /// `pref`; IPv6 only.
    pub preference: Option<RouterPreference>,
    /// `ttl-propagate`
    pub ttl_propagate: Option<bool>,
    /// Hints for connections over this route.
    pub metrics: RouteMetrics,
    /// `append`: behind the routes that match the same, not before them.
    pub append: bool,
    /// Whether somebody removing it sends the instance to BACKUP: not with `no_track`, nor
    /// without a device.
    pub tracked: bool,
    /// `track_group`, of static routes alone.
    pub track_group: Option<String>,
}

impl RouteDef {
    /// The family of its destination.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.destination.address)
    }
}

/// What becomes of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RouteKind {
    /// They are sent on.
    Unicast = 1,
    /// They are for this host.
    Local = 2,
    /// They are broadcasts.
    Broadcast = 3,
    /// They are broadcasts when received, and unicast when sent.
    Anycast = 4,
    /// They are multicast.
    Multicast = 5,
    /// They are dropped.
    Blackhole = 6,
    /// They are refused as unreachable.
    Unreachable = 7,
    /// They are refused as forbidden.
    Prohibit = 8,
    /// The search goes on in other tables.
    Throw = 9,
    /// Their addresses are rewritten; no kernel of today does it.
    Nat = 10,
    /// An outside resolver decides; no kernel of today has one.
    Resolve = 11,
}

/// One `nexthop` of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HopDef {
    /// `via`
    pub gateway: Option<IpAddr>,
    /// `dev`
    pub device: Option<String>,
    /// `weight`, 1..=256; 1 unless given.
    pub weight: Option<u16>,
    /// `onlink`
    pub onlink: bool,
    /// `realms`, as in a route.
    pub realms: Option<u32>,
}

/// `pref`: RFC 4191, section 2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RouterPreference {
    /// `medium`
    Medium = 0,
    /// `high`
    High = 1,
    /// `low`
    Low = 3,
}

/// Metrics of a route, as far as they are given. Times are milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteMetrics {
    /// `mtu`
    pub mtu: Option<u32>,
    /// `window`
    pub window: Option<u32>,
    /// `rtt`, up to 960,000 ms. The kernel counts in eighths.
    pub rtt: Option<u32>,
    /// `rttvar`, up to 480,000 ms. The kernel counts in quarters.
    pub rttvar: Option<u32>,
    /// `ssthresh`
    pub ssthresh: Option<u32>,
    /// `cwnd`
    pub cwnd: Option<u32>,
    /// `advmss`
    pub advmss: Option<u32>,
    /// `reordering`
    pub reordering: Option<u32>,
    /// `hoplimit`, 0..=255
    pub hoplimit: Option<u32>,
    /// `initcwnd`
    pub initcwnd: Option<u32>,
    /// `features`: bit 0 for `ecn`.
    pub features: Option<u32>,
    /// `rto_min`, up to 120,000 ms.
    pub rto_min: Option<u32>,
    /// `initrwnd`
    pub initrwnd: Option<u32>,
    /// `quickack`, 0 or 1
    pub quickack: Option<u32>,
    /// `fastopen_no_cookie`, 0 or 1
    pub fastopen_no_cookie: Option<u32>,
    /// `congctl`: the congestion control by name.
    pub congestion: Option<String>,
    /// The metrics that stood behind `lock`: one bit each, at the place of its number in
    /// rtnetlink(7) (`RTAX_MTU` is 2).
    pub locked: u32,
}

/// One line of `virtual_rules` or `static_rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleDef {
    /// IPv4 unless an address or `inet6` says otherwise.
    pub family: Family,
    /// `not`: packets that do not match.
    pub inverted: bool,
    /// `from`; every source if not given.
    pub from: Option<Prefix>,
    /// `to`; every destination if not given.
    pub to: Option<Prefix>,
    /// What is done.
    pub action: RuleAction,
    /// `preference` (also `priority`, `order`); counted down from 16384 where not given.
    pub preference: u32,
    /// `tos`
    pub tos: u8,
    /// `fwmark MARK[/MASK]`
    pub mark: Option<(u32, Option<u32>)>,
    /// `realms FROM/TO`: FROM in the upper half; IPv4 only.
    pub realms: Option<u32>,
    /// `iif`
    pub input: Option<String>,
    /// `oif`
    pub output: Option<String>,
    /// `suppress_prefixlength`: routes of networks this short or shorter do not count.
    pub suppress_prefix: Option<u32>,
    /// `suppress_ifgroup`: routes over interfaces of that group do not count.
    pub suppress_group: Option<u32>,
    /// `tunnel-id`
    pub tunnel: Option<u64>,
    /// `uidrange`
    pub users: Option<(u32, u32)>,
    /// `protocol`, [`PROTOCOL_KEEPALIVED`] unless given.
    pub protocol: u8,
    /// `ipproto`
    pub transport: Option<u8>,
    /// `sport`
    pub source_ports: Option<(u16, u16)>,
    /// `dport`
    pub destination_ports: Option<(u16, u16)>,
    /// Whether somebody removing it sends the instance to BACKUP.
    pub tracked: bool,
    /// `track_group`, of static rules alone.
    pub track_group: Option<String>,
}

/// What a rule does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleAction {
    /// `table`: look there; never 0.
    Table(u32),
    /// `goto`: go on at the rule of that preference, which is greater.
    Goto(u32),
    /// `nop`: go on.
    Nop,
    /// `l3mdev`: look in the table of the interface's VRF.
    VrfTable,
    /// Drop it.
    Blackhole,
    /// Refuse it as unreachable.
    Unreachable,
    /// Refuse it as forbidden.
    Prohibit,
}
