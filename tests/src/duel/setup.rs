//! What the two routers are told: one `keepalived.conf` for each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::pair::Implementation;

/// The virtual address over IPv4.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 253);
/// The virtual address over IPv6, beside a link-local one.
pub const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xfe, 0, 0, 0, 0, 0, 0x253);
/// The routers' own addresses.
pub const ADDRESSES: [Ipv4Addr; 2] = [
    Ipv4Addr::new(10, 0, 254, 252),
    Ipv4Addr::new(10, 0, 254, 251),
];
/// The file whose absence fails the weighted script.
pub const HEALTHY: &str = "/run/lab/healthy";
/// The file whose absence fails the script without a weight.
pub const VITAL: &str = "/run/lab/vital";

/// How the routers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wire {
    /// VRRPv2 with a password from address to address, as the owner's files.
    Unicast,
    /// VRRPv2 to 224.0.0.18.
    Multicast,
    /// VRRPv3 over IPv4, half a second between adverts.
    V3,
    /// VRRPv3 over IPv4, a tenth of a second between adverts.
    V3Fast,
    /// VRRPv3 over IPv6, half a second between adverts.
    Ipv6,
    /// VRRPv3 over IPv4 from address to address, half a second between adverts.
    UnicastV3,
    /// VRRPv2 to 224.0.0.18 with the virtual router's own hardware address.
    Vmac,
    /// The same, with adverts from the interface below (`vmac_xmit_base`).
    VmacBase,
    /// VRRPv3 over IPv6 with the virtual router's own hardware address.
    VmacIpv6,
}

impl Wire {
    /// Time between two adverts.
    pub const fn interval(self) -> Duration {
        match self {
            Self::Unicast | Self::Multicast | Self::Vmac | Self::VmacBase => Duration::from_secs(1),
            Self::V3 | Self::UnicastV3 | Self::Ipv6 | Self::VmacIpv6 => Duration::from_millis(500),
            Self::V3Fast => Duration::from_millis(100),
        }
    }

    /// The longest Master_Down of any priority: three adverts and a skew of at most one.
    pub fn master_down(self) -> Duration {
        self.interval() * 4
    }

    /// The virtual address that is watched.
    pub const fn address(self) -> IpAddr {
        if self.is_ipv6() {
            IpAddr::V6(VIP6)
        } else {
            IpAddr::V4(VIP)
        }
    }

    /// Whether the routers speak IPv6.
    pub const fn is_ipv6(self) -> bool {
        matches!(self, Self::Ipv6 | Self::VmacIpv6)
    }

    /// Whether adverts go from address to address.
    pub const fn is_unicast(self) -> bool {
        matches!(self, Self::Unicast | Self::UnicastV3)
    }

    /// The hardware address of the virtual router (RFC 9568 section 7.3), if it has one of
    /// its own.
    pub const fn virtual_mac(self) -> Option<&'static str> {
        match self {
            Self::Vmac | Self::VmacBase => Some("00:00:5e:00:01:3c"),
            Self::VmacIpv6 => Some("00:00:5e:00:02:3c"),
            Self::Unicast
            | Self::Multicast
            | Self::V3
            | Self::V3Fast
            | Self::UnicastV3
            | Self::Ipv6 => None,
        }
    }

    const fn version(self) -> u8 {
        match self {
            Self::Unicast | Self::Multicast | Self::Vmac | Self::VmacBase => 2,
            Self::V3 | Self::V3Fast | Self::UnicastV3 | Self::Ipv6 | Self::VmacIpv6 => 3,
        }
    }
}

/// Two routers, the first with the higher priority.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How they speak.
    pub wire: Wire,
    /// Whose daemons they are.
    pub routers: [Implementation; 2],
    /// The vrrpd to run; the workspace's own if there is none.
    pub vrrpd: Option<PathBuf>,
    /// Seconds between two runs of a script; no script at all if 0.
    pub script_interval: u32,
    /// Whether a script without weight is tracked too.
    pub vital: bool,
    /// What else stands in `global_defs`.
    pub globals: String,
    /// What else stands in the instance.
    pub extras: String,
}

impl Setup {
    /// The two daemons with a script of weight 2, as the owner has it.
    pub fn new(wire: Wire, routers: [Implementation; 2]) -> Self {
        Self {
            wire,
            routers,
            vrrpd: None,
            script_interval: 2,
            vital: false,
            globals: String::new(),
            extras: String::new(),
        }
    }

    /// The file of one router.
    pub fn conf(&self, index: usize) -> String {
        self.conf_with(index, if index == 0 { 101 } else { 100 }, &[])
    }

    /// The file of one router with this priority and these further virtual addresses.
    pub fn conf_with(&self, index: usize, priority: u8, more: &[&str]) -> String {
        let mut text = format!(
            "global_defs {{\n  router_id r{}\n  script_user root\n{}}}\n",
            index + 1,
            self.globals
        );
        let mut tracked = String::new();
        if self.script_interval > 0 {
            text += &script("healthy", HEALTHY, self.script_interval, 2);
            tracked += "    healthy\n";
            if self.vital {
                text += &script("vital", VITAL, self.script_interval, 0);
                tracked += "    vital\n";
            }
        }
        text += &format!(
            "vrrp_instance V {{\n  state BACKUP\n  interface ens160\n  virtual_router_id 60\n  \
             priority {priority}\n  advert_int {}\n  version {}\n{}",
            self.wire.interval().as_secs_f64(),
            self.wire.version(),
            self.extras
        );
        if self.wire.version() == 2 {
            text += "  authentication {\n    auth_type PASS\n    auth_pass lab-pass\n  }\n";
        }
        if self.wire.is_unicast() {
            let [first, second] = ADDRESSES;
            let (own, peer) = if index == 0 {
                (first, second)
            } else {
                (second, first)
            };
            text += &format!("  unicast_src_ip {own}\n  unicast_peer {{\n    {peer}\n  }}\n");
        }
        if self.wire.virtual_mac().is_some() {
            text += "  use_vmac\n";
        }
        if self.wire == Wire::VmacBase {
            text += "  vmac_xmit_base\n";
        }
        text += "  virtual_ipaddress {\n";
        if self.wire.is_ipv6() {
            text += &format!("    fe80::fe:253/64\n    {VIP6}/64\n");
        } else {
            text += &format!("    {VIP}/16\n");
        }
        for address in more {
            text += &format!("    {address}\n");
        }
        text += "  }\n";
        if !tracked.is_empty() {
            text += &format!("  track_script {{\n{tracked}  }}\n");
        }
        text + "}\n"
    }
}

/// A script that succeeds while a file is there.
fn script(name: &str, file: &str, interval: u32, weight: u8) -> String {
    format!(
        "vrrp_script {name} {{\n  script \"/usr/bin/test -e {file}\"\n  interval {interval}\n  \
         weight {weight}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use Implementation::Ours;

    #[test]
    fn the_routers_differ_in_name_priority_and_addresses() {
        let setup = Setup::new(Wire::Unicast, [Ours; 2]);
        let (first, second) = (setup.conf(0), setup.conf(1));
        let differing: Vec<(&str, &str)> = first
            .lines()
            .zip(second.lines())
            .filter(|(a, b)| a != b)
            .collect();
        assert_eq!(differing.len(), 4, "{differing:?}");
        assert!(first.contains("weight 2") && !first.contains("vital"));
    }

    #[test]
    fn a_further_address_is_in_the_list() {
        let setup = Setup::new(Wire::Multicast, [Ours; 2]);
        let text = setup.conf_with(0, 7, &["10.0.254.200/16"]);
        assert!(text.contains("priority 7\n") && text.contains("    10.0.254.200/16\n  }\n"));
        assert!(!text.contains("unicast"));
    }
}
