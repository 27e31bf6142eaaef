//! Virtual interfaces (`use_vmac`): made before the routers start, made again when their
//! base comes back, removed at the end.

use std::collections::{BTreeMap, BTreeSet};

use daemonkit::syslog::Level;
use keepalived_conf::{Config, InstanceDef};
use netif::{Kernel, Macvlan};
use vrrp_core::settings::{Family, Lease};
use vrrp_core::{Duration, Time};

use super::{Engine, SOCKET_RETRY};
use crate::log::Voice;
use crate::wire::Wire;

/// How long the start waits for interfaces to be made. A router whose interface comes
/// later begins in FAULT.
const MAKING: Duration = Duration::from_secs(2);

/// What is said when the warden cannot be started.
const UNLEASED: &str =
    "Routes, rules and virtual interfaces would stay if this process were killed or hung";

/// How a virtual interface stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Asked for.
    Making,
    /// It is there, and what it must not tell is not kept back yet.
    Telltale,
    Made,
    /// It could not be made and is tried again then.
    Failed(Time),
}

/// All virtual interfaces.
#[derive(Debug, Default)]
pub(super) struct Vmacs {
    all: BTreeMap<String, (Macvlan, Stage)>,
    /// Until when the start waits for those being made; set when it first could not go
    /// on.
    patience: Option<Time>,
    /// The interfaces that were given `promote_secondaries`, with their numbers: one that
    /// is made anew has lost it.
    promoted: BTreeMap<String, u32>,
}

impl Vmacs {
    /// Whether the start is to wait for interfaces that are being made.
    pub(super) fn hold_the_start(&mut self, now: Time) -> bool {
        let making =
            |(_, stage): &(Macvlan, Stage)| matches!(stage, Stage::Making | Stage::Telltale);
        self.all.values().any(making) && now < *self.patience.get_or_insert(now + MAKING)
    }

    /// Until when the start waits, if it does.
    pub(super) const fn waits_until(&self) -> Option<Time> {
        self.patience
    }

    /// Whether the interface of that name has been made as it should be.
    pub(super) fn is_made(&self, name: &str) -> bool {
        let known = self.all.get(name);
        known.is_some_and(|(_, stage)| *stage == Stage::Made)
    }

    /// When one that could not be made is to be tried again.
    pub(super) fn next(&self) -> Option<Time> {
        let failed = |(_, stage): &(Macvlan, Stage)| match stage {
            Stage::Failed(retry) => Some(*retry),
            Stage::Making | Stage::Telltale | Stage::Made => None,
        };
        self.all.values().filter_map(failed).min()
    }
}

/// Addresses without a device of their own are on the virtual interface, unless they are of
/// the other family: its hardware address is not for those.
pub(super) fn move_addresses(config: &mut Config) {
    for InstanceDef { settings, vmac, .. } in &mut config.instances {
        let Some(vmac) = vmac else {
            continue;
        };
        let v6 = settings.family == Family::V6;
        let all = settings.addresses.iter_mut();
        for address in all.chain(&mut settings.excluded) {
            if address.interface == settings.interface && address.address.is_ipv6() == v6 {
                address.interface.clone_from(&vmac.name);
            }
        }
    }
}

/// The virtual interfaces of an instance.
pub(super) fn macvlans(def: &InstanceDef) -> impl Iterator<Item = Macvlan> {
    let own = def.vmac.iter().map(|vmac| Macvlan {
        name: vmac.name.clone(),
        base: def.settings.interface.clone(),
        mac: vmac.mac,
        v6: def.settings.family == Family::V6,
    });
    own.chain(def.address_vmacs.iter().map(|vmac| Macvlan {
        name: vmac.name.clone(),
        base: vmac.base.clone(),
        mac: vmac.mac,
        v6: vmac.v6,
    }))
}

impl<K: Kernel, W: Wire> Engine<K, W> {
    /// Asks for the interfaces that are configured and not there, and has those removed
    /// that are configured no more.
    pub(super) fn survey_vmacs(&mut self, now: Time) {
        if self.stopping {
            return;
        }
        self.promote_secondaries();
        let all = &self.config.instances;
        let wanted: Vec<Macvlan> = all.iter().flat_map(macvlans).collect();
        // What the operator wants to outlive a killed daemon stays whole.
        let is_leased = |def: &&InstanceDef| def.settings.lease != Lease::Off;
        let leased = all.iter().filter(is_leased).flat_map(macvlans);
        let leased: BTreeSet<String> = leased.map(|link| link.name).collect();
        let view = &self.view;
        let kernel = &mut self.kernel;
        self.vmacs.all.retain(|_, (link, stage)| {
            let stays = wanted.contains(link);
            if !stays {
                kernel.remove_macvlan(link);
            }
            // One that went with its base is made anew when that is back.
            let there = match stage {
                Stage::Making => true,
                Stage::Telltale | Stage::Made => view.link_by_name(&link.name).is_some(),
                Stage::Failed(_) => view.link_by_name(&link.base).is_some(),
            };
            stays && there
        });
        for link in wanted {
            let due = match self.vmacs.all.get(&link.name) {
                None => true,
                Some((_, Stage::Failed(retry))) => *retry <= now,
                Some((_, Stage::Making | Stage::Telltale | Stage::Made)) => false,
            };
            if due && view.link_by_name(&link.base).is_some() {
                if leased.contains(&link.name) {
                    self.kernel.lease_macvlan(&link);
                } else {
                    self.kernel.make_macvlan(&link);
                }
                let name = link.name.clone();
                self.vmacs.all.insert(name, (link, Stage::Making));
            }
        }
    }

    /// `promote_secondaries` of the interfaces there are.
    fn promote_secondaries(&mut self) {
        let all = self.config.instances.iter();
        let names = all
            .filter(|def| def.promote_secondaries)
            .map(|def| &def.settings.interface);
        let wanted: BTreeMap<String, u32> = names
            .filter_map(|name| Some((name.clone(), self.view.link_by_name(name)?.index)))
            .collect();
        if wanted != self.vmacs.promoted {
            self.kernel
                .promote_secondaries(&wanted.keys().cloned().collect());
            self.vmacs.promoted = wanted;
        }
    }

    /// The kernel's answer.
    pub(super) fn vmac_done(
        &mut self,
        now: Time,
        link: &Macvlan,
        made: bool,
        result: &Result<(), netif::Error>,
    ) {
        let all = self.config.instances.iter();
        let of = |def: &&InstanceDef| def.below(&link.name).is_some();
        let owner = all.clone().find(of).map(|def| def.settings.name.clone());
        let owner = owner.as_deref().unwrap_or("?");
        let name = &link.name;
        let (level, line) = match (made, result) {
            (true, Ok(())) => (
                Level::Info,
                format!("({owner}): Success creating VMAC interface {name}"),
            ),
            (true, Err(error)) => (
                Level::Err,
                format!("({owner}): Unable to create VMAC interface {name}: {error}"),
            ),
            (false, Ok(())) => (
                Level::Info,
                format!("({owner}) Success removing VMAC interface {name}"),
            ),
            (false, Err(error)) => (
                Level::Err,
                format!("({owner}) Unable to remove VMAC interface {name}: {error}"),
            ),
        };
        self.log.write(Voice::Vrrp, level, &line);
        self.update_guard();
        if !made {
            return;
        }
        if let Some((known, stage)) = self.vmacs.all.get_mut(name)
            && known == link
        {
            *stage = match result {
                Ok(()) if self.firewall.is_pending() => Stage::Telltale,
                Ok(()) => Stage::Made,
                Err(_) => Stage::Failed(now + SOCKET_RETRY),
            };
        }
        self.survey(now);
    }

    /// What is to be dropped has been told to the kernel: groups may be joined.
    pub(super) fn vmacs_guarded(&mut self, now: Time) {
        let mut news = false;
        for (_, stage) in self.vmacs.all.values_mut() {
            if *stage == Stage::Telltale {
                *stage = Stage::Made;
                news = true;
            }
        }
        if news {
            self.survey(now);
        }
    }

    /// There is no warden.
    pub(super) fn unleased(&self, reason: &str) {
        let line = format!("{UNLEASED}: {reason}");
        self.log.write(Voice::Vrrp, Level::Err, &line);
    }

    /// The end: what was made goes, after the addresses on it.
    pub(super) fn remove_vmacs(&mut self) {
        if self.switches.keep_addresses {
            return;
        }
        if !std::mem::take(&mut self.vmacs.promoted).is_empty() {
            self.kernel.promote_secondaries(&BTreeSet::new());
        }
        for (link, _) in std::mem::take(&mut self.vmacs.all).into_values() {
            self.kernel.remove_macvlan(&link);
        }
    }
}
