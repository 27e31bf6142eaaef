//! Entering and leaving states.

use std::net::IpAddr;

use super::{Link, PreemptDelay, Running, Source, VirtualRouter, priority};
use crate::action::{Action, Notification};
use crate::log::{InstanceLine, LogLine, StartFault};
use crate::settings::{Initial, Track, Transport};
use crate::state::State;
use crate::time::Duration;

/// What a master that steps down tells the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Priority 0: they elect a new master after their skew.
    PriorityZero,
    /// Nothing: there is a better one already.
    Silent,
}

impl VirtualRouter {
    /// Start, once. Addresses that a predecessor left behind go first: they
    /// may be set on another node by now.
    pub(super) fn start(&mut self) {
        if self.running == Running::Yes {
            return;
        }
        self.running = Running::Yes;
        let faults = self.start_faults();
        let is_fault = !faults.is_empty();
        for fault in faults {
            self.log(InstanceLine::StartFault(fault));
        }
        if is_fault {
            self.log(InstanceLine::EnteringFaultAtStart);
        }
        self.remove_routes();
        if self.settings.all_addresses().next().is_some() {
            self.log_removing();
            self.remove_addresses();
        }
        if is_fault {
            self.state = State::Fault;
            self.notify(Notification::Entered(State::Fault));
        } else if self.is_faulty() || self.is_waiting() {
            self.leave_init();
        } else if self.takes_over_at_once() {
            self.log(InstanceLine::AdvertTimeout);
            self.become_master();
        } else {
            self.log(InstanceLine::EnteringBackupInit);
            self.become_backup(self.master_down());
        }
    }

    /// Why it cannot take part from the start: the network, or what is tracked.
    fn start_faults(&self) -> Vec<StartFault> {
        let network = self.network_fault();
        network.into_iter().chain(self.tracked_faults()).collect()
    }

    fn network_fault(&self) -> Option<StartFault> {
        if self.link == Link::Down && self.settings.track_link == Track::Yes {
            return Some(StartFault::LinkDown {
                interface: self.settings.interface.clone(),
            });
        }
        let configured = match self.settings.transport {
            Transport::Multicast { source, .. } | Transport::Unicast { source, .. } => source,
        };
        match (self.source, configured) {
            (Source::Absent, Some(_)) => Some(StartFault::NoSource),
            (Source::Absent, None) => Some(StartFault::NoAddress(self.settings.family)),
            (Source::Assumed | Source::Present(_), _) => None,
        }
    }

    /// INIT while running: keepalived counts it as FAULT already and logs
    /// nothing when the first result of a script is a failure. An owner that only waited for it is
    /// the master once it is good.
    pub(super) fn leave_init(&mut self) {
        if self.is_faulty() {
            self.state = State::Fault;
            self.notify(Notification::Entered(State::Fault));
        } else if !self.is_waiting() {
            if self.takes_over_at_once() {
                self.become_master();
            } else {
                self.recover();
            }
        }
    }

    /// RFC 3768, 6.4.1: priority 255.
    fn takes_over_at_once(&self) -> bool {
        self.is_owner() && self.settings.initial == Initial::Master
    }

    /// BACKUP from FAULT or INIT.
    pub(super) fn enter_backup(&mut self, master_down: Duration) {
        self.log(InstanceLine::Entering(State::Backup));
        self.become_backup(master_down);
    }

    /// BACKUP from MASTER; `farewell` says whether the others hear of it.
    pub(super) fn step_down(&mut self, master_down: Duration, farewell: Farewell) {
        self.log(InstanceLine::Entering(State::Backup));
        match farewell {
            Farewell::PriorityZero => {
                self.send_priority_zero();
                self.log(InstanceLine::SentPriorityZero);
            }
            Farewell::Silent => {}
        }
        self.give_up();
        self.become_backup(master_down);
    }

    fn become_backup(&mut self, master_down: Duration) {
        self.state = State::Backup;
        self.obeyed = None;
        self.wants_master = None;
        self.timers.master_down = Some(self.now + master_down);
        self.preempt_delay = PreemptDelay::Idle;
        self.notify(Notification::Entered(State::Backup));
    }

    /// FAULT from BACKUP or MASTER. A master says priority 0 twice, as
    /// keepalived does: one may get lost, and the link may be down anyway.
    pub(super) fn enter_fault(&mut self) {
        self.log(InstanceLine::Entering(State::Fault));
        if self.state == State::Master {
            self.send_priority_zero();
            self.send_priority_zero();
            self.log(InstanceLine::SentPriorityZero);
            self.give_up();
        }
        self.timers.clear();
        self.preempt_delay = PreemptDelay::Idle;
        self.master_interval = self.settings.advert_interval;
        self.state = State::Fault;
        self.notify(Notification::Entered(State::Fault));
    }

    /// FAULT is over: BACKUP with a full Master_Down, for the owner as well.
    pub(super) fn recover(&mut self) {
        self.enter_backup(self.master_down());
        self.announce_source();
    }

    /// Unicast peers may have lost us from their neighbour tables.
    fn announce_source(&mut self) {
        let (Transport::Unicast { .. }, Some(source)) =
            (&self.settings.transport, self.own_source())
        else {
            return;
        };
        let interface = self.settings.interface.clone();
        self.log(InstanceLine::SourceGarp(source));
        self.act(Action::Log(LogLine::GarpSent {
            interface: interface.clone(),
            address: source,
        }));
        self.act(Action::SendGarp {
            address: source,
            interface,
        });
    }

    /// MASTER (RFC 3768, 6.4.2): the advert goes first, so that the others
    /// know before hosts do; then the addresses, then the announcements.
    pub(super) fn become_master(&mut self) {
        self.counters.become_master += 1;
        self.timers.clear();
        self.state = State::Master;
        self.preempt_delay = PreemptDelay::Idle;
        self.last_answer = None;
        self.master_interval = self.settings.advert_interval;
        self.send_advert();
        self.timers.advert = Some(self.now + self.settings.advert_interval);
        self.log(InstanceLine::Entering(State::Master));
        self.log_setting();
        self.add_addresses();
        self.set_routes();
        self.announce_takeover();
        self.notify(Notification::Entered(State::Master));
    }

    /// Addresses are about to be set.
    pub(super) fn log_setting(&mut self) {
        self.log(InstanceLine::SettingAddresses);
        if !self.settings.excluded.is_empty() {
            self.log(InstanceLine::SettingExcluded);
        }
    }

    /// Addresses are about to be removed.
    fn log_removing(&mut self) {
        self.log(InstanceLine::RemovingAddresses);
        if !self.settings.excluded.is_empty() {
            self.log(InstanceLine::RemovingExcluded);
        }
    }

    /// What MASTER held goes away. The state is the caller's to change.
    pub(super) fn give_up(&mut self) {
        self.counters.release_master += 1;
        self.remove_routes();
        self.log_removing();
        self.remove_addresses();
        self.timers.clear();
        self.garps.clear();
    }

    /// Shutdown (RFC 3768, 6.4.2 and 6.4.3).
    pub(super) fn stop(&mut self) {
        if self.running == Running::No {
            return;
        }
        if self.state == State::Master {
            self.send_priority_zero();
            self.log(InstanceLine::SentPriorityZero);
            self.give_up();
        }
        self.timers.clear();
        self.preempt_delay = PreemptDelay::Idle;
        self.running = Running::No;
        self.master_interval = self.settings.advert_interval;
        self.held_in_fault = false;
        self.state = State::Init;
        self.notify(Notification::Stop);
    }

    /// A virtual address is gone and we did not remove it. The router steps
    /// back for one skew; if nobody else is better it is master again then.
    pub(super) fn address_removed(&mut self, address: IpAddr) {
        let Some(ours) = self
            .settings
            .all_addresses()
            .find(|ours| ours.address == address)
        else {
            return;
        };
        if ours.flags.no_track {
            return;
        }
        let interface = ours.interface.clone();
        self.act(Action::Log(LogLine::AddressRemoved { interface, address }));
        if self.lease_has_expired() {
            // Nobody removed it: we slept.
            self.listen_first();
            return;
        }
        self.step_down(self.skew(), Farewell::PriorityZero);
    }

    pub(super) fn is_owner(&self) -> bool {
        self.effective_priority == priority::OWNER
    }

    /// The address our adverts come from, if known.
    pub(super) fn own_source(&self) -> Option<IpAddr> {
        match (self.source, &self.settings.transport) {
            (Source::Present(address), _) => Some(address),
            (
                Source::Assumed,
                Transport::Multicast { source, .. } | Transport::Unicast { source, .. },
            ) => *source,
            (Source::Absent, _) => None,
        }
    }

    /// One advert to everybody.
    pub(super) fn send_advert(&mut self) {
        self.send(self.effective_priority);
    }

    pub(super) fn send_priority_zero(&mut self) {
        self.counters.priority_zero_sent += 1;
        self.send(0);
    }

    fn send(&mut self, priority: u8) {
        self.counters.advert_sent += 1;
        let adverts = self.adverts(priority);
        self.actions
            .extend(adverts.into_iter().map(Action::SendAdvert));
    }
}
