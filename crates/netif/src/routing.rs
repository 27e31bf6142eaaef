//! Routes and policy rules as plain data. All numbers are those of rtnetlink(7).

use std::net::IpAddr;

/// A network: its address, of which bits beyond the length count nothing, and the
/// length, up to 32 or 128.
pub type Network = (IpAddr, u8);

/// One way out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hop {
    /// The next router; it may be of the other family.
    pub gateway: Option<IpAddr>,
    /// Interface index.
    pub ifindex: Option<u32>,
    /// Its share among several, 1 to 256; 0 counts as 1.
    pub weight: u16,
    /// The next router is taken to be on the link.
    pub onlink: bool,
    /// Realms, that of the source in the upper half.
    pub realms: Option<u32>,
}

/// A route to be set, as in ip-route(8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// `RTN_*`; 1 is unicast.
    pub kind: u8,
    /// Where to.
    pub destination: Network,
    /// For packets from there alone (IPv6).
    pub from: Option<Network>,
    /// The source address that connections of this host get.
    pub source: Option<IpAddr>,
    /// The way, if there is one alone; its weight counts nothing.
    pub way: Hop,
    /// The ways, if there are several.
    pub hops: Vec<Hop>,
    /// `RT_TABLE_*`; 254 is the main one.
    pub table: u32,
    /// `RTPROT_*`: who set it.
    pub protocol: u8,
    /// `RT_SCOPE_*`.
    pub scope: u8,
    /// The kernel's choice if not given: 0, and 1024 with IPv6.
    pub metric: Option<u32>,
    /// Type of service that packets must have; 0 for any.
    pub tos: u8,
    /// Seconds until the kernel removes it (IPv6).
    pub expires: Option<u32>,
    /// Preference as in RFC 4191, 2.1 (IPv6).
    pub preference: Option<u8>,
    /// Whether the time to live goes on in an MPLS tunnel.
    pub ttl_propagate: Option<bool>,
    /// Metrics for connections by their `RTAX_*` numbers.
    pub metrics: Vec<(u16, u32)>,
    /// Congestion control by name.
    pub congestion: Option<String>,
    /// Set behind those that match the same, not before them.
    pub append: bool,
}

impl RouteSpec {
    /// A unicast route of the main table.
    #[must_use]
    pub const fn new(destination: Network, way: Hop) -> Self {
        Self {
            kind: 1,
            destination,
            from: None,
            source: None,
            way,
            hops: Vec::new(),
            table: 254,
            protocol: 0,
            scope: 0,
            metric: None,
            tos: 0,
            expires: None,
            preference: None,
            ttl_propagate: None,
            metrics: Vec::new(),
            congestion: None,
            append: false,
        }
    }
}

/// A policy rule to be set, as in ip-rule(8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSpec {
    /// Whether it is one of IPv6.
    pub v6: bool,
    /// For packets that do not match.
    pub inverted: bool,
    /// Sources; all if not given.
    pub from: Option<Network>,
    /// Destinations; all if not given.
    pub to: Option<Network>,
    /// `FR_ACT_*`; 1 is to look in the table.
    pub action: u8,
    /// `RT_TABLE_*`; 0 for none.
    pub table: u32,
    /// The rule to go on at, for action 2.
    pub target: Option<u32>,
    /// Look in the table of the interface's VRF.
    pub vrf_table: bool,
    /// Rules of lower preference come first.
    pub preference: u32,
    /// Type of service that packets must have; 0 for any.
    pub tos: u8,
    /// Firewall mark, and the bits of it that count.
    pub mark: Option<(u32, Option<u32>)>,
    /// Realms, that of the source in the upper half.
    pub realms: Option<u32>,
    /// Name of the interface packets came in by.
    pub input: Option<String>,
    /// Name of the interface the socket is bound to.
    pub output: Option<String>,
    /// Routes of networks this short or shorter do not count.
    pub suppress_prefix: Option<u32>,
    /// Routes over interfaces of that group do not count.
    pub suppress_group: Option<u32>,
    /// Tunnel id.
    pub tunnel: Option<u64>,
    /// User ids, first and last.
    pub users: Option<(u32, u32)>,
    /// `RTPROT_*`: who set it.
    pub protocol: u8,
    /// IP protocol.
    pub transport: Option<u8>,
    /// Source ports, first and last.
    pub source_ports: Option<(u16, u16)>,
    /// Destination ports, first and last.
    pub destination_ports: Option<(u16, u16)>,
}

impl RuleSpec {
    /// A rule that sends packets of any kind to a table.
    #[must_use]
    pub const fn new(v6: bool, preference: u32, table: u32) -> Self {
        Self {
            v6,
            inverted: false,
            from: None,
            to: None,
            action: 1,
            table,
            target: None,
            vrf_table: false,
            preference,
            tos: 0,
            mark: None,
            realms: None,
            input: None,
            output: None,
            suppress_prefix: None,
            suppress_group: None,
            tunnel: None,
            users: None,
            protocol: 0,
            transport: None,
            source_ports: None,
            destination_ports: None,
        }
    }
}

/// A route or a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routing {
    /// A route.
    Route(Box<RouteSpec>),
    /// A rule.
    Rule(Box<RuleSpec>),
}

impl From<RouteSpec> for Routing {
    fn from(route: RouteSpec) -> Self {
        Self::Route(Box::new(route))
    }
}

impl From<RuleSpec> for Routing {
    fn from(rule: RuleSpec) -> Self {
        Self::Rule(Box::new(rule))
    }
}

/// Whether two addresses are in the same network of that length.
pub(crate) fn same_network(one: IpAddr, other: IpAddr, length: u8) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((one, width), (other, width_of_other)) = (bits(one), bits(other));
    let dropped = 128 - u32::from(length.min(width));
    width == width_of_other && (one ^ other).checked_shr(dropped).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_compared_by_their_length() {
        let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
        for (one, other, length, expected) in [
            ("10.1.2.3", "10.1.9.9", 16, true),
            ("10.1.2.3", "10.2.2.3", 16, false),
            ("10.1.2.3", "192.0.2.1", 0, true),
            ("10.1.2.3", "10.1.2.3", 32, true),
            ("10.1.2.3", "10.1.2.2", 32, false),
            ("10.1.2.3", "::", 0, false),
            ("2001:db8::1", "2001:db8::2", 64, true),
            ("2001:db8::1", "2001:db8::2", 128, false),
        ] {
            assert_eq!(
                same_network(ip(one), ip(other), length),
                expected,
                "{one} {other}/{length}"
            );
        }
    }
}
