//! Taking a new configuration over, without touching what did not change.

use std::collections::BTreeSet;
use std::net::IpAddr;

use keepalived_conf::{Config, InstanceDef};
use netif::Kernel;
use vrrp_core::settings::Transport;
use vrrp_core::{Event, Time};

use super::slot::{Leaving, Slot};
use super::{Engine, Tracked, vmac};
use crate::advice::Adviser;
use crate::wire::Wire;

impl<K: Kernel, W: Wire> Engine<K, W> {
    /// Goes over to `config`, which is known to be good.
    ///
    /// An unchanged instance is not even told. One that changed in place keeps its
    /// state as far as the change allows. One that moved to another interface or
    /// virtual router id leaves (priority 0, addresses away) and starts anew.
    pub(crate) fn reload(&mut self, now: Time, mut config: Config) {
        vmac::move_addresses(&mut config);
        self.reload_scripts(now, &config);
        self.syncing = false;
        let mut old = std::mem::take(&mut self.slots);
        // First what leaves, so that an address that moves from one instance to
        // another is removed before it is set.
        let leaving: Vec<Slot> = old
            .extract_if(.., |slot| {
                let mut defs = config.instances.iter();
                !defs.any(|def| is_same_router(&slot.def, def))
            })
            .collect();
        for mut slot in leaving {
            let name = slot.name();
            let stays = config.instances.iter().any(|def| def.settings.name == name);
            slot.leaving = Some(if stays {
                Leaving::Replaced
            } else {
                Leaving::Deleted
            });
            self.slots.push(slot);
            self.handle(now, self.slots.len() - 1, Event::Stop);
        }
        self.slots.clear();
        let mut fresh = Vec::new();
        let mut changed = Vec::new();
        let mut rerouted = Vec::new();
        for (index, def) in config.instances.iter().enumerate() {
            let kept = old.iter().position(|slot| is_same_router(&slot.def, def));
            let slot = match kept.map(|at| old.swap_remove(at)) {
                Some(mut slot) => {
                    if slot.def.settings != def.settings {
                        changed.push(index);
                    }
                    if slot.def.routes != def.routes || slot.def.rules != def.rules {
                        rerouted.push(index);
                    }
                    slot.def = def.clone();
                    slot
                }
                None => {
                    fresh.push(index);
                    Slot::new(def.clone())
                }
            };
            self.slots.push(slot);
        }
        self.config = config;
        self.tell_of_tables();
        self.soonest = None;
        self.regroup();
        if !self.started {
            return;
        }
        self.survey_vmacs(now);
        let virtual_addresses = self.virtual_addresses();
        self.note_interfaces();
        for index in &rerouted {
            self.drop_routes(*index);
        }
        for index in changed {
            self.reload_slot(now, index, &virtual_addresses);
        }
        for index in rerouted {
            self.add_routes(index);
        }
        for index in &fresh {
            self.prepare_slot(now, *index, &virtual_addresses);
        }
        self.start_slots(now, &fresh);
        for index in fresh {
            self.tell_all_scripts(now, index);
        }
        self.survey(now);
    }

    fn reload_slot(&mut self, now: Time, index: usize, virtual_addresses: &BTreeSet<IpAddr>) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        slot.adviser = Adviser::default();
        let settings = Box::new(slot.def.settings.clone());
        self.handle(now, index, Event::Reload(settings));
        self.survey_slot(now, index, virtual_addresses);
        self.tell_all_scripts(now, index);
        self.tell_all_trackers(now, index);
    }

    fn tell_all_scripts(&mut self, now: Time, index: usize) {
        let known: Vec<_> = self
            .scripts
            .iter()
            .filter_map(|script| Some((script.def().name.clone(), script.judgement()?)))
            .collect();
        for (name, health) in known {
            self.tell_script(now, index, &name, health);
        }
    }

    /// A script whose definition did not change keeps its judgement and its run.
    fn reload_scripts(&mut self, now: Time, config: &Config) {
        let mut old: Vec<Tracked> = std::mem::take(&mut self.scripts);
        for def in &config.scripts {
            let kept = old.iter().position(|script| script.def() == def);
            let tracked = match kept.map(|at| old.swap_remove(at)) {
                Some(script) => {
                    if let Some(line) = script.kept_line() {
                        self.log.info(&line);
                    }
                    script
                }
                None => self.new_script(def.clone(), now),
            };
            self.scripts.push(tracked);
        }
    }
}

/// Whether a new definition is the old router with other settings, as the other
/// hosts see it. Peers may come and go.
fn is_same_router(old: &InstanceDef, new: &InstanceDef) -> bool {
    if old.vmac != new.vmac || old.address_vmacs != new.address_vmacs {
        return false;
    }
    let (old, new) = (&old.settings, &new.settings);
    old.name == new.name
        && old.interface == new.interface
        && old.vrid == new.vrid
        && old.version == new.version
        && way(&old.transport) == way(&new.transport)
}

/// Group, if it is multicast, and configured source.
const fn way(transport: &Transport) -> (Option<IpAddr>, Option<IpAddr>) {
    match transport {
        Transport::Multicast { group, source } => (Some(*group), *source),
        Transport::Unicast { source, .. } => (None, *source),
    }
}
