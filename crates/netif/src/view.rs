//! The daemon's mirror of links and addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::kernel::{Event, Origin};
use crate::model::{Address, AddressKey, Link, Snapshot};

/// What changed in a [`View`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A link appeared (also a renamed one, under its new name).
    LinkAppeared(Link),
    /// A link changed; before and after.
    LinkChanged {
        /// As it was.
        before: Link,
        /// As it is.
        after: Link,
    },
    /// A link is gone.
    LinkGone(Link),
    /// An address appeared. A refreshed lifetime is no change.
    AddressAppeared(Address),
    /// An address is gone.
    AddressGone {
        /// Which.
        key: AddressKey,
        /// By whose doing; after lost events nobody knows, and it says others.
        origin: Origin,
    },
}

/// Links and addresses as far as the events tell.
#[derive(Debug, Clone, Default)]
pub struct View {
    links: BTreeMap<u32, Link>,
    addresses: Vec<Address>,
}

impl View {
    /// Takes one event in and says what it changed; [`Event::Done`] changes nothing.
    pub fn apply(&mut self, event: &Event) -> Vec<Change> {
        match event {
            Event::Snapshot(snapshot) => self.replace(snapshot),
            Event::Link(link) => self.set_link(link),
            Event::LinkGone { index } => self.drop_link(*index),
            Event::Address(address) => self.set_address(address),
            Event::AddressGone { key, origin } => self.drop_address(*key, *origin),
            Event::Done { .. }
            | Event::LinkDone { .. }
            | Event::RoutingDone { .. }
            | Event::RoutingGone(_)
            | Event::GuardDone { .. }
            | Event::Unleased(_) => Vec::new(),
        }
    }

    /// The link of that name.
    #[must_use]
    pub fn link_by_name(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// The link of that index.
    #[must_use]
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// All links by index.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// The addresses of a link, in the kernel's order.
    pub fn addresses(&self, ifindex: u32) -> impl Iterator<Item = &Address> {
        self.addresses
            .iter()
            .filter(move |address| address.key.ifindex == ifindex)
    }

    /// Whether any link has the address.
    #[must_use]
    pub fn has_address(&self, addr: IpAddr) -> bool {
        self.addresses.iter().any(|known| known.key.addr == addr)
    }

    /// Whether exactly this address is set.
    #[must_use]
    pub fn holds(&self, key: AddressKey) -> bool {
        self.addresses.iter().any(|known| known.key == key)
    }

    fn replace(&mut self, snapshot: &Snapshot) -> Vec<Change> {
        let mut changes = Vec::new();
        let gone: Vec<AddressKey> = self
            .addresses
            .iter()
            .map(|old| old.key)
            .filter(|key| !snapshot.addresses.iter().any(|new| new.key == *key))
            .collect();
        for key in gone {
            changes.extend(self.drop_address(key, Origin::Others));
        }
        let lost: Vec<u32> = self
            .links
            .keys()
            .copied()
            .filter(|index| !snapshot.links.iter().any(|new| new.index == *index))
            .collect();
        for index in lost {
            changes.extend(self.drop_link(index));
        }
        for link in &snapshot.links {
            changes.extend(self.set_link(link));
        }
        for address in &snapshot.addresses {
            changes.extend(self.set_address(address));
        }
        // The dump's order is the kernel's; single events only append.
        self.addresses.clone_from(&snapshot.addresses);
        changes
    }

    fn set_link(&mut self, link: &Link) -> Vec<Change> {
        match self.links.insert(link.index, link.clone()) {
            None => vec![Change::LinkAppeared(link.clone())],
            Some(before) if before == *link => Vec::new(),
            Some(before) if before.name != link.name => {
                vec![Change::LinkGone(before), Change::LinkAppeared(link.clone())]
            }
            Some(before) => vec![Change::LinkChanged {
                before,
                after: link.clone(),
            }],
        }
    }

    fn drop_link(&mut self, index: u32) -> Vec<Change> {
        let mut changes = Vec::new();
        self.addresses.retain(|address| {
            let stays = address.key.ifindex != index;
            if !stays {
                changes.push(Change::AddressGone {
                    key: address.key,
                    origin: Origin::Others,
                });
            }
            stays
        });
        changes.extend(self.links.remove(&index).map(Change::LinkGone));
        changes
    }

    fn set_address(&mut self, address: &Address) -> Vec<Change> {
        match self
            .addresses
            .iter_mut()
            .find(|known| known.key == address.key)
        {
            Some(known) => {
                *known = address.clone();
                Vec::new()
            }
            None => {
                self.addresses.push(address.clone());
                vec![Change::AddressAppeared(address.clone())]
            }
        }
    }

    fn drop_address(&mut self, key: AddressKey, origin: Origin) -> Vec<Change> {
        let before = self.addresses.len();
        self.addresses.retain(|known| known.key != key);
        if self.addresses.len() == before {
            return Vec::new();
        }
        vec![Change::AddressGone { key, origin }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Scope;

    fn link(index: u32, name: &str, running: bool) -> Link {
        Link {
            index,
            name: name.to_owned(),
            mac: vec![2, 0, 0, 0, 0, 1],
            mtu: 1500,
            up: true,
            running,
            no_arp: false,
            loopback: false,
            multicast: true,
            vrf_table: None,
        }
    }

    fn address(ifindex: u32, last: u8, lifetime: Option<u32>) -> Address {
        Address {
            key: AddressKey {
                ifindex,
                addr: [10, 0, 0, last].into(),
                prefix: 16,
            },
            scope: Scope::GLOBAL,
            label: None,
            secondary: false,
            tentative: false,
            dad_failed: false,
            lifetime,
        }
    }

    #[test]
    fn a_refreshed_lifetime_is_no_change() {
        let mut view = View::default();
        assert_eq!(
            view.apply(&Event::Address(address(2, 1, Some(3)))),
            [Change::AddressAppeared(address(2, 1, Some(3)))]
        );
        assert_eq!(view.apply(&Event::Address(address(2, 1, Some(2)))), []);
        assert!(view.has_address([10, 0, 0, 1].into()));
    }

    #[test]
    fn a_snapshot_after_lost_events_yields_exactly_the_difference() {
        let mut view = View::default();
        view.apply(&Event::Snapshot(Snapshot {
            links: vec![link(2, "eth0", true), link(3, "eth1", true)],
            addresses: vec![
                address(2, 1, None),
                address(2, 9, Some(3)),
                address(3, 5, None),
            ],
        }));
        let changes = view.apply(&Event::Snapshot(Snapshot {
            links: vec![link(2, "eth0", false), link(4, "eth2", true)],
            addresses: vec![address(2, 1, None), address(2, 7, None)],
        }));
        assert_eq!(
            changes,
            [
                Change::AddressGone {
                    key: address(2, 9, None).key,
                    origin: Origin::Others
                },
                Change::AddressGone {
                    key: address(3, 5, None).key,
                    origin: Origin::Others
                },
                Change::LinkGone(link(3, "eth1", true)),
                Change::LinkChanged {
                    before: link(2, "eth0", true),
                    after: link(2, "eth0", false)
                },
                Change::LinkAppeared(link(4, "eth2", true)),
                Change::AddressAppeared(address(2, 7, None)),
            ]
        );
        assert!(!view.holds(address(2, 9, None).key));
    }

    #[test]
    fn a_link_takes_its_addresses_along() {
        let mut view = View::default();
        view.apply(&Event::Link(link(2, "eth0", true)));
        view.apply(&Event::Address(address(2, 1, None)));
        let changes = view.apply(&Event::LinkGone { index: 2 });
        assert_eq!(changes.len(), 2);
        assert_eq!(
            changes.last(),
            Some(&Change::LinkGone(link(2, "eth0", true)))
        );
        assert!(view.link_by_name("eth0").is_none());
    }

    #[test]
    fn a_renamed_link_leaves_and_appears() {
        let mut view = View::default();
        view.apply(&Event::Link(link(2, "eth0", true)));
        let changes = view.apply(&Event::Link(link(2, "lan0", true)));
        assert_eq!(
            changes,
            [
                Change::LinkGone(link(2, "eth0", true)),
                Change::LinkAppeared(link(2, "lan0", true))
            ]
        );
    }
}
