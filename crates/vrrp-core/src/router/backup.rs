//! BACKUP (RFC 3768, 6.4.2).

use vrrp_proto::Datagram;

use super::receive::Heard;
use super::{PreemptDelay, VirtualRouter};
use crate::action::Action;
use crate::log::{InstanceLine, LogLine};
use crate::settings::{Preempt, Version};
use crate::time::Duration;

/// A timer this much behind is worth a line in the log.
pub(super) const LATE: Duration = Duration::from_secs(1);

impl VirtualRouter {
    /// An advert in BACKUP. A lower one is not answered and the timer runs on:
    /// preemption comes one Master_Down after the last advert accepted.
    pub(super) fn backup_receives(&mut self, datagram: &Datagram) {
        let Some(heard) = self.accept(datagram) else {
            return;
        };
        if heard.priority == 0 {
            self.log(InstanceLine::BackupReceivedPriorityZero);
            self.timers.master_down = Some(self.now + self.skew());
        } else if heard.priority >= self.effective_priority {
            if self.preempt_delay != PreemptDelay::Idle {
                self.preempt_delay = PreemptDelay::Idle;
                self.log(InstanceLine::PreemptDelayStopped);
            }
            self.adopt_interval(heard);
            self.follow();
            self.obeyed = Some((heard.source, heard.priority));
        } else if self.lets_lower_be() {
            self.adopt_interval(heard);
            self.follow();
            // Once the delay is over, it and a whole Master_Down it shall be.
            self.obeyed = None;
        } else {
            self.log(InstanceLine::LowerDiscarded {
                source: heard.source,
                priority: heard.priority,
            });
            self.take_over_if_it_fell(heard);
        }
    }

    /// A master that was followed so far and says now that it is worse than we
    /// are: the address is to move, and nobody gains by waiting for silence as
    /// keepalived does. The skew lets the best backup win. A router that never
    /// followed it, as after a start, waits as the RFC says.
    fn take_over_if_it_fell(&mut self, heard: Heard) {
        let Some((source, from)) = self.obeyed else {
            return;
        };
        if source != heard.source || heard.priority >= from {
            return;
        }
        self.obeyed = None;
        self.log(InstanceLine::MasterFell {
            source,
            from,
            to: heard.priority,
            ours: self.effective_priority,
        });
        let soon = self.now + self.skew();
        self.timers.master_down = self.timers.master_down.map(|deadline| deadline.min(soon));
    }

    /// In version 3 a backup waits for the master it has, not for itself
    /// (RFC 5798, 6.4.2, (435)).
    pub(super) fn adopt_interval(&mut self, heard: Heard) {
        if self.settings.version == Version::V3 && heard.interval != self.master_interval {
            self.log(InstanceLine::IntervalAdopted {
                from: self.master_interval,
                to: heard.interval,
            });
            self.master_interval = heard.interval;
        }
    }

    /// The sender is our master: the timer starts anew.
    fn follow(&mut self) {
        self.wants_master = None;
        self.timers.master_down = Some(self.now + self.master_down());
    }

    /// Preempt_Mode (RFC 3768, 6.1), and keepalived's delay of it.
    fn lets_lower_be(&mut self) -> bool {
        match (self.settings.preempt, self.preempt_delay) {
            (Preempt::Yes, PreemptDelay::Idle | PreemptDelay::Until(_)) => false,
            (Preempt::No, PreemptDelay::Idle | PreemptDelay::Until(_)) => true,
            (Preempt::After(delay), PreemptDelay::Idle) => {
                self.preempt_delay = PreemptDelay::Until(self.now + delay);
                self.log(InstanceLine::PreemptDelayStarted(delay));
                true
            }
            (Preempt::After(_), PreemptDelay::Until(end)) => self.now < end,
        }
    }

    /// Master_Down.
    pub(super) fn backup_timer(&mut self) {
        let Some(deadline) = self
            .timers
            .master_down
            .filter(|deadline| *deadline <= self.now)
        else {
            return;
        };
        let late = self.now.since(deadline);
        if late >= LATE {
            self.act(Action::Log(LogLine::TimerLate { late }));
        }
        if late >= self.settings.silence_of(self.master_interval) {
            // The whole process stood still for longer than it takes to count
            // a master as down; that nothing was heard meanwhile says nothing.
            self.log(InstanceLine::ListeningAgain { late });
            self.follow();
            return;
        }
        self.log(InstanceLine::AdvertTimeout);
        self.take_over();
    }
}
