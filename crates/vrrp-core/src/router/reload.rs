//! New settings for a running router. What did not change keeps its state.

use super::{PreemptDelay, Running, VirtualRouter};
use crate::event::Health;
use crate::log::InstanceLine;
use crate::settings::{Address, Instance, Tracker, Transport, Version};
use crate::state::State;

impl VirtualRouter {
    /// Takes `new` in place of the present settings.
    pub(super) fn reload(&mut self, new: Instance) {
        if new == self.settings {
            return;
        }
        if self.running == Running::Yes && !is_same_router(&self.settings, &new) {
            // To the others this is another router: one ends, one begins.
            self.stop();
            self.take_over_judgements(&new);
            self.replace(new);
            self.set_effective_priority();
            self.start();
            return;
        }
        self.take_over_judgements(&new);
        let old_addresses: Vec<Address> = self.settings.all_addresses().cloned().collect();
        let old_lease = self.lease;
        let old_list = self.advertised.clone();
        let old_priority = self.effective_priority;
        let old_interval = self.master_interval;
        let old = self.replace(new);
        self.list_changed(old_list);
        self.set_effective_priority();
        let (from, to) = (self.base_priority, self.effective_priority);
        if self.running == Running::Yes && to != old_priority && to != from {
            self.log(InstanceLine::Priority { from, to });
        }
        if self.running == Running::Yes && self.state != State::Master {
            self.remove_new_addresses(&old_addresses);
        }
        // In version 3 a backup waits for its master as that one said, not as it
        // would speak itself (RFC 5798, 6.1).
        let follows = self.state == State::Backup
            && self.settings.version == Version::V3
            && self.last_master.is_some();
        if !follows {
            self.master_interval = self.settings.advert_interval;
        }
        match self.state {
            State::Init | State::Fault => {}
            State::Backup => {
                let silence = self.settings.silence_of(self.master_interval);
                if silence != old.silence_of(old_interval) {
                    self.timers.master_down = Some(self.now + self.master_down());
                }
                if self.settings.preempt != old.preempt {
                    self.preempt_delay = PreemptDelay::Idle;
                }
            }
            State::Master => {
                self.change_addresses(&old_addresses, self.lease != old_lease);
                let soonest = self.now + self.settings.advert_interval;
                self.timers.advert = self.timers.advert.map(|deadline| deadline.min(soonest));
                if self.settings.garp != old.garp {
                    let reassert = self.settings.garp.reassert;
                    let refresh = self.settings.garp.refresh;
                    self.timers.garp_reassert = (!reassert.is_zero()).then(|| self.now + reassert);
                    self.timers.garp_refresh = (!refresh.is_zero()).then(|| self.now + refresh);
                }
            }
        }
        self.tell_lower_priority(old_priority);
        self.judge();
    }

    fn replace(&mut self, new: Instance) -> Instance {
        if new.priority != self.settings.priority {
            self.base_priority = new.priority.get();
        }
        let old = std::mem::replace(&mut self.settings, new);
        self.derive_from_settings();
        self.leave_group();
        old
    }

    /// Judgements follow their script by name. One that nobody judged yet is
    /// unknown: it keeps a router from starting, not from running on.
    fn take_over_judgements(&mut self, new: &Instance) {
        let judged: Vec<(&str, Option<Health>)> = self
            .settings
            .scripts
            .iter()
            .zip(&self.scripts)
            .map(|(script, health)| (script.name.as_str(), *health))
            .collect();
        let find = |name: &str| {
            judged
                .iter()
                .find(|(known, _)| *known == name)
                .and_then(|(_, health)| *health)
        };
        self.scripts = new
            .scripts
            .iter()
            .map(|script| find(&script.name))
            .collect();
        let known: Vec<_> = self
            .settings
            .trackers
            .iter()
            .map(|tracker| (tracker.kind, tracker.name.as_str()))
            .zip(&self.trackers)
            .collect();
        let standing = |tracker: &Tracker| {
            let wanted = (tracker.kind, tracker.name.as_str());
            known
                .iter()
                .find(|(known, _)| *known == wanted)
                .and_then(|(_, standing)| **standing)
        };
        self.trackers = new.trackers.iter().map(standing).collect();
    }
}

/// Whether the others see the same virtual router. Peers may come and go.
fn is_same_router(old: &Instance, new: &Instance) -> bool {
    let same_transport = match (&old.transport, &new.transport) {
        (
            Transport::Multicast {
                group: old_group,
                source: old_source,
            },
            Transport::Multicast { group, source },
        ) => (old_group, old_source) == (group, source),
        (
            Transport::Unicast {
                source: old_source, ..
            },
            Transport::Unicast { source, .. },
        ) => old_source == source,
        (Transport::Multicast { .. }, Transport::Unicast { .. })
        | (Transport::Unicast { .. }, Transport::Multicast { .. }) => false,
    };
    let identity = |instance: &Instance| (instance.vrid, instance.version, instance.family);
    same_transport && old.interface == new.interface && identity(old) == identity(new)
}
