//! `static_ipaddress`, `static_routes`, `static_rules`: there from the start of the daemon
//! to its end, whatever becomes of the routers. What somebody removes is set again at
//! once, so nobody has to hand over for it: nor does keepalived (measured with 2.2.7),
//! whatever `track_group` it has.

use keepalived_conf::Config;
use netif::{AddressKey, AddressSpec, Kernel, Routing};
use vrrp_core::Time;

use super::routing::{self, Missing, describe};
use super::{Engine, slot};
use crate::wire::Wire;

/// What is static, as it was asked for.
#[derive(Debug, Default)]
pub(super) struct Statics {
    addresses: Vec<AddressSpec>,
    routings: Vec<Fixed>,
    /// What could not be asked for, since its interface is missing; told once.
    missing: Vec<String>,
}

#[derive(Debug)]
struct Fixed {
    what: Routing,
    stage: Stage,
    /// Why it could not be set, as told last.
    told: Option<netif::Error>,
}

/// How a route or rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    Stands,
    /// The kernel refused it; the next change of the host may help.
    Refused,
}

/// What the configuration has, in the form of the kernel.
#[derive(Debug, Default)]
struct Wanted {
    addresses: Vec<AddressSpec>,
    routings: Vec<Routing>,
    /// Why some cannot be.
    missing: Vec<String>,
}

impl Statics {
    /// The kernel's answer to what was to be set. Whether a refusal is one of a static
    /// that has been told already.
    pub(super) fn answered(&mut self, what: &Routing, result: &Result<(), netif::Error>) -> bool {
        let mut all = self.routings.iter_mut();
        let Some(fixed) = all.find(|fixed| fixed.what == *what) else {
            return false;
        };
        let fault = result.as_ref().err().cloned();
        fixed.stage = match fault {
            None => Stage::Stands,
            Some(_) => Stage::Refused,
        };
        let again = fault.is_some() && fixed.told == fault;
        fixed.told = fault;
        again
    }
}

impl<K: Kernel, W: Wire> Engine<K, W> {
    /// Sets what the configuration has and is not there, and removes what it has no more.
    /// Addresses that are there already stay what they are: they are not removed at the
    /// end.
    pub(super) fn survey_statics(&mut self) {
        if self.stopping {
            return;
        }
        let Wanted {
            addresses,
            routings,
            missing,
        } = self.wanted_statics();
        for fault in &missing {
            if !self.statics.missing.contains(fault) {
                self.log.info(fault);
            }
        }
        self.statics.missing = missing;
        let old = std::mem::take(&mut self.statics.routings);
        let stays = |fixed: &Fixed| routings.contains(&fixed.what);
        let (mut kept, gone): (Vec<Fixed>, Vec<Fixed>) = old.into_iter().partition(stays);
        for fixed in gone.iter().rev() {
            self.kernel.remove_routing(&fixed.what);
        }
        let old = std::mem::take(&mut self.statics.addresses);
        for spec in old.iter().filter(|spec| !addresses.contains(spec)) {
            self.kernel.remove_address(spec);
        }
        for spec in addresses {
            let ours = old.contains(&spec);
            if !ours && self.view.holds(spec.key) {
                continue;
            }
            if !ours {
                self.set_static(&spec);
            }
            self.statics.addresses.push(spec);
        }
        for what in routings {
            let old = kept.iter().position(|old| old.what == what);
            let mut fixed = match old.map(|at| kept.swap_remove(at)) {
                Some(old) => old,
                None => Fixed {
                    what,
                    stage: Stage::Refused,
                    told: None,
                },
            };
            if fixed.stage == Stage::Refused {
                fixed.stage = Stage::Asked;
                self.kernel.set_routing(&fixed.what);
            }
            self.statics.routings.push(fixed);
        }
    }

    fn wanted_statics(&self) -> Wanted {
        let Config {
            static_addresses,
            static_routes,
            static_rules,
            ..
        } = &self.config;
        let mut wanted = Wanted::default();
        for def in static_addresses {
            let address = &def.address;
            match slot::spec(&self.view, address, None) {
                Some(spec) => wanted.addresses.push(spec),
                None => wanted.missing.push(format!(
                    "Cannot set static address {}: no interface {}",
                    address.address, address.interface
                )),
            }
        }
        for def in static_routes {
            match routing::route(&self.view, def) {
                Ok(route) => wanted.routings.push(route.into()),
                Err(Missing(device)) => wanted.missing.push(format!(
                    "Cannot set static route {}/{}: no interface {device}",
                    def.destination.address, def.destination.length
                )),
            }
        }
        for def in static_rules {
            wanted.routings.push(routing::rule(def).into());
        }
        wanted
    }

    fn set_static(&mut self, spec: &AddressSpec) {
        *self.setting.entry(spec.key).or_insert(0) += 1;
        self.kernel.add_address(spec);
    }

    /// An address is gone without our doing.
    pub(super) fn static_address_gone(&mut self, now: Time, key: AddressKey) {
        let mut all = self.statics.addresses.iter();
        let Some(spec) = all.find(|spec| spec.key == key).cloned() else {
            return;
        };
        // One that went with its interface comes back with it.
        let Some(link) = self.view.link(key.ifindex) else {
            self.statics.addresses.retain(|spec| spec.key != key);
            return;
        };
        let line = format!(
            "Restoring deleted static address {}/{} dev {}",
            key.addr, key.prefix, link.name
        );
        self.log_limited(now, &line);
        self.set_static(&spec);
    }

    /// A route or rule is gone without our doing.
    pub(super) fn static_gone(&mut self, now: Time, what: &Routing) {
        let mut all = self.statics.routings.iter_mut();
        let Some(fixed) = all.find(|fixed| fixed.what == *what) else {
            return;
        };
        fixed.stage = Stage::Asked;
        let line = format!("Restoring deleted static {}", describe(what, &self.view));
        self.log_limited(now, &line);
        self.kernel.set_routing(what);
    }

    /// A link came up: what leads over it is set again.
    pub(super) fn restore_statics(&mut self, ifindex: u32) {
        for fixed in &mut self.statics.routings {
            if routing::leads_over(&fixed.what, ifindex) {
                fixed.stage = Stage::Asked;
                self.kernel.set_routing(&fixed.what);
            }
        }
    }

    /// The end of the daemon.
    pub(super) fn remove_statics(&mut self) {
        let statics = std::mem::take(&mut self.statics);
        for fixed in statics.routings.iter().rev() {
            self.kernel.remove_routing(&fixed.what);
        }
        for spec in &statics.addresses {
            self.kernel.remove_address(spec);
        }
    }
}
