//! One virtual router and what the host has for it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::SystemTime;

use keepalived_conf::InstanceDef;
use netif::{AddressFlags, AddressKey, AddressSpec, Link, Scope, View};
use osys::vrrp_socket::Listen;
use vrrp_core::settings::{Address, Family, Instance, TrackerKind, Transport};
use vrrp_core::{Counters, Time, VirtualRouter};

use super::routing::Held;
use crate::advice::Adviser;
use crate::wire::Endpoint;

/// A virtual router in the daemon.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) router: VirtualRouter,
    pub(super) def: InstanceDef,
    /// What the router was told last; `None` before it was started.
    pub(super) told: Option<Ground>,
    /// Where its sockets are, when they are open.
    pub(super) endpoint: Option<Endpoint>,
    /// Its routes and rules that are set, in order.
    pub(super) held: Vec<Held>,
    /// Whether what comes for its addresses is dropped.
    pub(super) guarded: bool,
    /// It said that it removes its addresses.
    pub(super) unguards: bool,
    /// Its sync group's place among the groups.
    pub(super) group: Option<usize>,
    /// When to try again to open them.
    pub(super) retry: Option<Time>,
    /// Identification of the last IP packet sent (RFC 791, 3.1).
    pub(super) ip_id: u16,
    /// Its number in the record.
    pub(super) recorded: Option<u64>,
    /// When it entered its state.
    pub(super) transition: Option<SystemTime>,
    /// Its counters when the statistics were cleared.
    pub(super) cleared: Counters,
    /// What was said of its peers, and when they were looked at last.
    pub(super) adviser: Adviser,
    pub(super) advised: Option<Time>,
    /// Why a reload stops it, which is not told as a stop.
    pub(super) leaving: Option<Leaving>,
}

/// Why a virtual router leaves although the daemon stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// The new configuration does not have it.
    Deleted,
    /// Another one of its name begins.
    Replaced,
}

/// What the host has for a virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ground {
    /// The interface can pass packets, and sockets are open on it.
    pub(super) usable: bool,
    /// The address adverts come from.
    pub(super) source: Option<IpAddr>,
}

impl Slot {
    pub(super) fn new(def: InstanceDef) -> Self {
        Self {
            router: VirtualRouter::new(def.settings.clone()),
            def,
            told: None,
            endpoint: None,
            held: Vec::new(),
            guarded: false,
            unguards: false,
            group: None,
            retry: None,
            ip_id: 0,
            recorded: None,
            transition: None,
            cleared: Counters::default(),
            adviser: Adviser::default(),
            advised: None,
            leaving: None,
        }
    }

    pub(super) fn settings(&self) -> &Instance {
        &self.def.settings
    }

    pub(super) fn name(&self) -> &str {
        &self.def.settings.name
    }

    /// Identifications count from 1; 0 would let the kernel choose one (raw(7)).
    pub(super) fn next_ip_id(&mut self) -> u16 {
        self.ip_id = self.ip_id.checked_add(1).unwrap_or(1);
        self.ip_id
    }

    /// Whether the state of the interface is of interest to it.
    pub(super) fn watches(&self, interface: &str) -> bool {
        let settings = self.settings();
        settings.interface == interface
            || self.def.below(interface).is_some()
            || settings
                .trackers
                .iter()
                .any(|tracker| tracker.kind == TrackerKind::Interface && tracker.name == interface)
    }

    pub(super) fn link<'a>(&self, view: &'a View) -> Option<&'a Link> {
        view.link_by_name(&self.settings().interface)
    }

    /// The link adverts go out of.
    fn wire_link<'a>(&self, view: &'a View) -> Option<&'a Link> {
        match &self.def.vmac {
            Some(vmac) if !vmac.xmit_base => view.link_by_name(&vmac.name),
            Some(_) | None => self.link(view),
        }
    }

    /// The source address as the host stands: the configured one if it is there, or
    /// the interface's first that is nobody's virtual address.
    pub(super) fn source(
        &self,
        view: &View,
        virtual_addresses: &BTreeSet<IpAddr>,
    ) -> Option<IpAddr> {
        let (Transport::Multicast { source, .. } | Transport::Unicast { source, .. }) =
            &self.settings().transport;
        if let Some(configured) = source {
            return view.has_address(*configured).then_some(*configured);
        }
        let link = self.link(view)?;
        view.addresses(link.index)
            .map(|address| address.key.addr)
            .find(|addr| self.may_send_from(*addr) && !virtual_addresses.contains(addr))
    }

    /// Whether adverts may come from an address that nobody configured: IPv4, or
    /// the link-local one of IPv6 (RFC 5798, 5.1.2.1).
    fn may_send_from(&self, address: IpAddr) -> bool {
        match (self.settings().family, address) {
            (Family::V4, IpAddr::V4(_)) => true,
            (Family::V6, IpAddr::V6(address)) => address.is_unicast_link_local(),
            (Family::V4, IpAddr::V6(_)) | (Family::V6, IpAddr::V4(_)) => false,
        }
    }

    /// Where its sockets belong, given its source address.
    pub(super) fn wanted_endpoint(&self, view: &View, source: Option<IpAddr>) -> Option<Endpoint> {
        let ifindex = if self.settings().interface.is_empty() {
            None
        } else {
            Some(NonZeroU32::new(self.wire_link(view)?.index)?)
        };
        let listen = match (&self.settings().transport, source) {
            (Transport::Multicast { group, .. }, _) => Listen::Group(*group),
            (Transport::Unicast { .. }, Some(source)) => Listen::Address(source),
            (Transport::Unicast { .. }, None) => return None,
        };
        Some(Endpoint { ifindex, listen })
    }

    /// Destinations and time to live of its adverts.
    pub(super) fn destinations(&self) -> (Vec<IpAddr>, u8) {
        match &self.settings().transport {
            Transport::Multicast { group, .. } => (vec![*group], vrrp_proto::vrrp::TTL),
            Transport::Unicast { peers, ttl, .. } => {
                (peers.iter().map(|peer| peer.address).collect(), *ttl)
            }
        }
    }

    /// Whether a packet from there may be for this router rather than for another
    /// one with the same id: only unicast routers can share an id, if their peers
    /// differ.
    pub(super) fn has_peer(&self, source: IpAddr) -> bool {
        match &self.settings().transport {
            Transport::Multicast { .. } => true,
            Transport::Unicast { peers, .. } => peers.iter().any(|peer| peer.address == source),
        }
    }
}

/// All its addresses, advertised or not.
pub(super) fn addresses(settings: &Instance) -> impl Iterator<Item = &Address> {
    settings.addresses.iter().chain(&settings.excluded)
}

/// The netlink form of a virtual address; `None` while its interface is missing.
pub(super) fn spec(view: &View, address: &Address, lifetime: Option<u32>) -> Option<AddressSpec> {
    let link = view.link_by_name(&address.interface)?;
    let v6 = address.address.is_ipv6();
    let (peer, prefix) = match address.peer {
        Some((peer, prefix)) => (Some(peer), prefix),
        None => (None, address.prefix),
    };
    // As the original sets them: IPv6 without duplicate detection unless it is asked
    // for, since nobody may contest a virtual address, and a lone /128 never as a source address.
    let preferred = address
        .preferred_lifetime
        .filter(|_| v6)
        .or_else(|| (v6 && prefix == 128).then_some(0));
    Some(AddressSpec {
        key: AddressKey {
            ifindex: link.index,
            addr: address.address,
            prefix,
        },
        peer,
        broadcast: address.broadcast,
        label: address.label.clone(),
        scope: Scope(address.scope),
        flags: AddressFlags {
            nodad: v6 && !address.flags.no_dad,
            noprefixroute: address.flags.no_prefix_route,
            mngtmpaddr: address.flags.manage_temporary,
            home: address.flags.home,
            autojoin: address.flags.autojoin,
        },
        lifetime,
        preferred,
    })
}
