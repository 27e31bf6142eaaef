//! `no_accept`: a master that does not answer on its addresses drops what comes for them; and
//! what virtual interfaces would tell switches by reports of group membership.

use std::net::IpAddr;

use daemonkit::syslog::Level;
use keepalived_conf::InstanceDef;
use netif::{Guard, Guarded, Kernel, Macvlan, Side, VirtualLink};
use vrrp_core::{Duration, InstanceLine, LogLine, State, Time};

use super::Engine;
use super::slot::Slot;
use super::vmac::macvlans;
use crate::log::Voice;
use crate::wire::Wire;

/// Priority of an address owner, who always answers (RFC 9568 section 6.1).
const OWNER: u8 = 255;
/// The tables' name if none is given.
const TABLE: &str = "keepalived";
/// Pauses before the kernel is asked again for what it refused, the first time and later.
const SOON: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_secs(5);

/// What the kernel was asked to drop.
#[derive(Debug, Default)]
pub(super) struct Firewall {
    asked: Guard,
    /// Whether the answer to that is still to come.
    pending: bool,
    /// How often in a row the kernel refused it.
    refused: u32,
    /// When to ask again.
    retry: Option<Time>,
    /// Why the kernel refused, as told last.
    fault: Option<netif::Error>,
    /// That the tables have the usual name has been told.
    told: bool,
}

impl Firewall {
    /// Whether the kernel has not said yet that it drops what is to be dropped.
    pub(super) const fn is_pending(&self) -> bool {
        self.pending
    }

    /// When the kernel is to be asked again.
    pub(super) const fn next(&self) -> Option<Time> {
        self.retry
    }
}

/// Whether its master drops packets for its addresses.
fn denies(def: &InstanceDef) -> bool {
    !def.accept && def.settings.priority.get() != OWNER
}

impl<K: Kernel, W: Wire> Engine<K, W> {
    /// Says that the tables have the usual name, if they are needed.
    pub(super) fn tell_of_tables(&mut self) {
        let mut all = self.config.instances.iter();
        let needed = all.any(|def| def.has_vmacs() || denies(def));
        if needed && !self.firewall.told && self.config.global.nftables_table.is_none() {
            self.firewall.told = true;
            let line = "use_vmac or no_accept/strict specified, but no firewall configured - using nftables";
            self.log.info(line);
        }
    }

    /// A router is about to say what it does with its addresses. What is dropped comes before
    /// they are set, and goes after they are removed.
    pub(super) fn guard_for(&mut self, index: usize, line: &LogLine) {
        let LogLine::Instance { what, .. } = line else {
            return;
        };
        let Some(slot) = self.slots.get_mut(index).filter(|slot| denies(&slot.def)) else {
            return;
        };
        match what {
            InstanceLine::SettingAddresses => {
                slot.guarded = true;
                let line = format!("({}) setting firewall drop rule", slot.name());
                if self.update_guard() && self.log.is_detailed() {
                    self.log.info(&line);
                }
            }
            InstanceLine::RemovingAddresses => slot.unguards = true,
            _ => {}
        }
    }

    /// What a router wanted has been done.
    pub(super) fn unguard(&mut self, index: usize) {
        let over = |slot: &&mut Slot| {
            slot.unguards || (slot.guarded && slot.router.state() != State::Master)
        };
        let Some(slot) = self.slots.get_mut(index).filter(over) else {
            return;
        };
        slot.unguards = false;
        slot.guarded = false;
        let line = format!("({}) removing firewall drop rule", slot.name());
        if self.log.is_detailed() {
            self.log.info(&line);
        }
        self.update_guard();
    }

    /// Asks for what is to be dropped now, if that is something else than before.
    pub(super) fn update_guard(&mut self) -> bool {
        let mut all = self.slots.iter().map(|slot| &slot.def);
        let needed = all.any(|def| def.has_vmacs() || denies(def));
        if !needed && self.firewall.asked.is_empty() {
            return false;
        }
        let guard = self.wanted_guard();
        let nothing = guard.is_empty() && self.firewall.asked.is_empty();
        if nothing || guard == self.firewall.asked {
            return false;
        }
        self.kernel.guard(&guard);
        self.firewall.asked = guard;
        self.firewall.pending = true;
        true
    }

    /// Asks once more for what the kernel refused: a table of the name may have been another
    /// process's, or the module not loaded yet.
    pub(super) fn retry_guard(&mut self) {
        self.firewall.retry = None;
        self.kernel.guard(&self.firewall.asked);
    }

    fn wanted_guard(&self) -> Guard {
        let global = &self.config.global;
        let mut addresses = Vec::new();
        let held = self.slots.iter();
        for slot in held.filter(|slot| slot.router.state() == State::Master && denies(&slot.def)) {
            let settings = slot.settings();
            for address in settings.addresses.iter().chain(&settings.excluded) {
                let local = matches!(address.address, IpAddr::V6(v6) if v6.is_unicast_link_local());
                let link = match (local, global.nftables_ifindex) {
                    (false, _) => None,
                    (true, false) => Some(Side::Name(address.interface.clone())),
                    (true, true) => {
                        let link = self.view.link_by_name(&address.interface);
                        Some(Side::Index(link.map_or(0, |link| link.index)))
                    }
                };
                addresses.push(Guarded {
                    address: address.address,
                    link,
                });
            }
        }
        addresses.sort();
        addresses.dedup();
        Guard {
            table: global
                .nftables_table
                .clone()
                .unwrap_or_else(|| TABLE.to_owned()),
            priority: global.nftables_priority,
            counters: global.nftables_counters,
            addresses,
            virtual_links: self.virtual_links(),
        }
    }

    fn virtual_links(&self) -> Vec<VirtualLink> {
        let of = |vmac: Macvlan| {
            Some(VirtualLink {
                index: self.view.link_by_name(&vmac.name)?.index,
                base: self.view.link_by_name(&vmac.base)?.index,
                v6: vmac.v6,
            })
        };
        let all = self.config.instances.iter().flat_map(macvlans);
        let mut links: Vec<VirtualLink> = all.filter_map(of).collect();
        links.sort();
        links.dedup();
        links
    }

    /// The kernel's answer; whether it is the last word for now.
    pub(super) fn guard_done(
        &mut self,
        now: Time,
        guard: &Guard,
        result: &Result<(), netif::Error>,
    ) -> bool {
        if *guard != self.firewall.asked {
            return false;
        }
        let Err(error) = result else {
            self.firewall.refused = 0;
            self.firewall.retry = None;
            self.firewall.fault = None;
            self.firewall.pending = false;
            return true;
        };
        self.firewall.refused = self.firewall.refused.saturating_add(1);
        // The warden of a daemon that was killed a moment ago may have tables of the name.
        if self.firewall.refused == 1 {
            self.firewall.retry = Some(now + SOON);
            return false;
        }
        self.firewall.retry = Some(now + RETRY);
        self.firewall.pending = false;
        if self.firewall.fault.as_ref() != Some(error) {
            let line = format!("Cannot set firewall rules, so no_accept has no effect: {error}");
            self.log.write(Voice::Vrrp, Level::Err, &line);
            self.firewall.fault = Some(error.clone());
        }
        true
    }
}
