//! Virtual addresses: set, refreshed, announced, removed.

use super::VirtualRouter;
use super::timers::take_due;
use crate::action::Action;
use crate::log::{InstanceLine, LogLine};
use crate::settings::{Address, Garp};
use crate::time::{Duration, Time};

/// The kernel counts jiffies and removes up to 20 ms early.
const EARLY: Duration = Duration::from_millis(20);

impl VirtualRouter {
    fn lifetime(&self) -> Option<u32> {
        self.lease.map(|plan| plan.lifetime)
    }

    /// The lease runs from now on.
    fn begin_lease(&mut self) {
        if let Some(plan) = self.lease {
            self.timers.lease = Some(self.now + plan.refresh);
            self.lease_until =
                Some(self.now + Duration::from_secs(u64::from(plan.lifetime)) - EARLY);
        } else {
            self.timers.lease = None;
            self.lease_until = None;
        }
    }

    /// The kernel has removed the addresses by now.
    pub(super) fn lease_has_expired(&self) -> bool {
        self.lease_until.is_some_and(|end| end <= self.now)
    }

    pub(super) fn add_addresses(&mut self) {
        let lifetime = self.lifetime();
        let add = |address: &Address| Action::AddAddress {
            address: address.clone(),
            lifetime,
        };
        self.actions.extend(self.settings.all_addresses().map(add));
        self.begin_lease();
    }

    pub(super) fn refresh_addresses(&mut self) {
        let Some(lifetime) = self.lifetime() else {
            return;
        };
        let refresh = |address: &Address| Action::RefreshAddress {
            address: address.clone(),
            lifetime,
        };
        self.actions
            .extend(self.settings.all_addresses().map(refresh));
        self.begin_lease();
    }

    pub(super) fn remove_addresses(&mut self) {
        self.actions.extend(
            self.settings
                .all_addresses()
                .cloned()
                .map(Action::RemoveAddress),
        );
        self.lease_until = None;
    }

    /// Addresses that a reload adds while we are not master: like at the start,
    /// a predecessor may have left them behind.
    pub(super) fn remove_new_addresses(&mut self, old: &[Address]) {
        let new = self.settings.all_addresses().cloned();
        let added = new.filter(|address| !old.contains(address));
        self.actions.extend(added.map(Action::RemoveAddress));
    }

    /// Adds, removes and announces what a reload changed while we are master.
    pub(super) fn change_addresses(&mut self, old: &[Address], lease_changed: bool) {
        let new: Vec<Address> = self.settings.all_addresses().cloned().collect();
        for address in old.iter().filter(|address| !new.contains(address)) {
            self.log(InstanceLine::AddressNoLongerConfigured {
                address: address.address,
                prefix: address.prefix,
                interface: address.interface.clone(),
            });
            self.act(Action::RemoveAddress(address.clone()));
        }
        let added: Vec<&Address> = new
            .iter()
            .filter(|address| !old.contains(address))
            .collect();
        if added.is_empty() && !lease_changed {
            return;
        }
        self.log_setting();
        // Setting an address that is there begins its lease anew, no more.
        self.add_addresses();
        if !added.is_empty() {
            self.announce_these(&added, self.settings.garp.repeat);
        }
    }

    /// The bursts of a new master: now, and again after the delay.
    pub(super) fn announce_takeover(&mut self) {
        let Garp {
            repeat,
            delay,
            refresh,
            reassert,
            ..
        } = self.settings.garp;
        self.announce(repeat);
        let after = |delay: Duration| (!delay.is_zero()).then(|| self.now + delay);
        self.timers.garp_second = after(delay);
        self.timers.garp_refresh = after(refresh);
        // It begins after the second burst, so that both bursts stand alone.
        self.timers.garp_reassert = after(reassert).map(|time| time + delay);
    }

    /// `repeat` announcements of each address, in turn.
    pub(super) fn announce(&mut self, repeat: u8) {
        let all: Vec<Address> = self.settings.all_addresses().cloned().collect();
        self.announce_these(&all.iter().collect::<Vec<_>>(), repeat);
    }

    fn announce_these(&mut self, addresses: &[&Address], repeat: u8) {
        // A burst that still waits for its turn is part of the new one.
        self.garps.clear();
        for round in 0..repeat.max(1) {
            for address in addresses {
                if round == 0 {
                    self.log(InstanceLine::GarpQueued {
                        interface: address.interface.clone(),
                        address: address.address,
                    });
                }
                self.garps
                    .push_back((address.address, address.interface.clone()));
                if self.settings.garp.interval.is_zero() {
                    self.send_next_garp();
                }
            }
        }
        if self.timers.garp_pace.is_none() {
            self.send_paced();
        }
    }

    fn send_next_garp(&mut self) {
        if let Some((address, interface)) = self.garps.pop_front() {
            self.act(Action::Log(LogLine::GarpSent {
                interface: interface.clone(),
                address,
            }));
            self.act(Action::SendGarp { address, interface });
        }
    }

    fn send_paced(&mut self) {
        if !self.garps.is_empty() {
            self.send_next_garp();
            self.timers.garp_pace = Some(self.now + self.settings.garp.interval);
        }
    }

    /// `garp_master_refresh`: keepalived looks at it with each advert.
    pub(super) fn refresh_announcements(&mut self) {
        let Garp {
            refresh,
            refresh_repeat,
            ..
        } = self.settings.garp;
        if refresh.is_zero() {
            self.timers.garp_refresh = None;
        } else if take_due(&mut self.timers.garp_refresh, self.now).is_some() {
            self.timers.garp_refresh = Some(self.now + refresh);
            self.announce(refresh_repeat);
        }
    }

    /// One announcement each, without the log lines of a burst.
    fn reassert(&mut self) {
        if !self.garps.is_empty() {
            // A burst is on its way.
            return;
        }
        let all = self.settings.all_addresses();
        self.garps = all
            .map(|item| (item.address, item.interface.clone()))
            .collect();
        if self.settings.garp.interval.is_zero() {
            for (address, interface) in std::mem::take(&mut self.garps) {
                self.act(Action::SendGarp { address, interface });
            }
        } else if self.timers.garp_pace.is_none() {
            self.send_paced();
        }
    }

    /// Second bursts, the single announcements in between, and what waits for
    /// its turn.
    pub(super) fn announce_when_due(&mut self) {
        let Garp {
            repeat,
            lower_repeat,
            reassert,
            ..
        } = self.settings.garp;
        let now = self.now;
        if take_due(&mut self.timers.garp_second, now).is_some() {
            self.announce(repeat);
        }
        if take_due(&mut self.timers.garp_lower, now).is_some() {
            self.announce(lower_repeat);
        }
        if take_due(&mut self.timers.garp_reassert, now).is_some() {
            self.timers.garp_reassert = next_period(now, reassert);
            self.reassert();
        }
        if take_due(&mut self.timers.garp_pace, now).is_some() {
            self.send_paced();
        }
    }
}

fn next_period(now: Time, period: Duration) -> Option<Time> {
    (!period.is_zero()).then(|| now + period)
}
