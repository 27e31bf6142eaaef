//! Links and addresses as plain data.

use std::net::{IpAddr, Ipv4Addr};

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Interface index, always positive.
    pub index: u32,
    /// Interface name.
    pub name: String,
    /// Hardware address, as long as the link type has it (6 bytes on Ethernet).
    pub mac: Vec<u8>,
    /// Largest payload in bytes.
    pub mtu: u32,
    /// Administratively up (`IFF_UP`).
    pub up: bool,
    /// Carrier present and operational (`IFF_RUNNING`).
    pub running: bool,
    /// The link does no ARP (`IFF_NOARP`): no gratuitous ARP is to be sent.
    pub no_arp: bool,
    /// Loopback device (`IFF_LOOPBACK`).
    pub loopback: bool,
    /// Multicast capable (`IFF_MULTICAST`).
    pub multicast: bool,
    /// Number of the routing table of its members, where it is a VRF.
    pub vrf_table: Option<u32>,
}

impl Link {
    /// Whether packets can pass: up and running.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.up && self.running
    }

    /// The hardware address where it is an Ethernet one.
    #[must_use]
    pub fn ethernet(&self) -> Option<[u8; 6]> {
        self.mac.as_slice().try_into().ok()
    }
}

/// What tells one address on one link from another: IPv4 allows the same address
/// twice with two prefix lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey {
    /// Interface index.
    pub ifindex: u32,
    /// The local address.
    pub addr: IpAddr,
    /// Prefix length, 0 to 32 or 128.
    pub prefix: u8,
}

/// Address scope, `RT_SCOPE_*` of rtnetlink(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scope(pub u8);

impl Scope {
    /// Valid everywhere.
    pub const GLOBAL: Self = Self(0);
    /// Valid on this link only.
    pub const LINK: Self = Self(253);
    /// Valid inside this host only.
    pub const HOST: Self = Self(254);
}

/// Flags an address is created with, as in ip-address(8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddressFlags {
    /// `nodad`: no duplicate address detection (IPv6).
    pub nodad: bool,
    /// `noprefixroute`: no route for the prefix.
    pub noprefixroute: bool,
    /// `mngtmpaddr`: a template for temporary addresses (IPv6).
    pub mngtmpaddr: bool,
    /// `home`: home address (IPv6).
    pub home: bool,
    /// `autojoin`: join the multicast group of that address.
    pub autojoin: bool,
}

/// An address to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressSpec {
    /// Link, address and prefix.
    pub key: AddressKey,
    /// Address of the other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// Broadcast address; none is set unless given.
    pub broadcast: Option<Ipv4Addr>,
    /// Label, up to 15 bytes, IPv4 only.
    pub label: Option<String>,
    /// Scope.
    pub scope: Scope,
    /// Flags.
    pub flags: AddressFlags,
    /// Kernel lifetime in seconds, positive: the kernel removes the address by
    /// itself when it runs out. `None` means for ever.
    pub lifetime: Option<u32>,
    /// Preferred lifetime in seconds, at most `lifetime`; 0 marks the address as
    /// deprecated, so that it is not chosen as a source. `None`: like `lifetime`.
    pub preferred: Option<u32>,
}

impl AddressSpec {
    /// A global address without label, broadcast, peer or lifetime.
    #[must_use]
    pub const fn new(key: AddressKey) -> Self {
        Self {
            key,
            peer: None,
            broadcast: None,
            label: None,
            scope: Scope::GLOBAL,
            flags: AddressFlags {
                nodad: false,
                noprefixroute: false,
                mngtmpaddr: false,
                home: false,
                autojoin: false,
            },
            lifetime: None,
            preferred: None,
        }
    }

    /// Whether the kernel can turn the one into the other while it is held.
    #[must_use]
    pub fn differs_only_in_lifetime(&self, other: &Self) -> bool {
        let renewed = Self {
            lifetime: other.lifetime,
            preferred: other.preferred,
            ..self.clone()
        };
        renewed == *other
    }
}

/// An address as the kernel reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Link, address and prefix.
    pub key: AddressKey,
    /// Scope.
    pub scope: Scope,
    /// Label (IPv4).
    pub label: Option<String>,
    /// An IPv4 address after the first of its subnet on this link.
    pub secondary: bool,
    /// IPv6: duplicate address detection still runs.
    pub tentative: bool,
    /// IPv6: duplicate address detection found another owner.
    pub dad_failed: bool,
    /// Remaining lifetime in seconds; `None` means for ever.
    pub lifetime: Option<u32>,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// All links.
    pub links: Vec<Link>,
    /// All addresses, in the kernel's order (the first of a link is its primary).
    pub addresses: Vec<Address>,
}

/// A private macvlan on top of a link: an interface with a hardware address of its own
/// that hears nothing of its siblings (`use_vmac`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macvlan {
    /// Interface name, at most 15 bytes.
    pub name: String,
    /// Name of the link it is made on.
    pub base: String,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Whether it carries IPv6; IPv4 alone if not.
    pub v6: bool,
}
