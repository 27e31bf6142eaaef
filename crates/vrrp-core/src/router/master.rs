//! MASTER (RFC 3768, 6.4.3).

use vrrp_proto::Datagram;

use super::backup::LATE;
use super::receive::Heard;
use super::timers::take_due;
use super::transition::Farewell;
use super::{Link, VirtualRouter, priority};
use crate::action::{Action, Notification};
use crate::log::{InstanceLine, LogLine};
use crate::settings::{Garp, OnAdvert};
use crate::time::{Duration, Time};

/// Adverts of lower priority, or of priority 0, that follow an answered one
/// this closely are not answered again: the sender has the answer already, and a forger gets no amplifier.
const ANSWER_PAUSE: Duration = Duration::from_millis(100);

/// How long a master that stood still listens before it acts as one again.
/// Packets that waited in the socket are handed in long before this.
pub(super) const RESUME_PAUSE: Duration = Duration::from_millis(20);

impl VirtualRouter {
    /// An advert in MASTER.
    pub(super) fn master_receives(&mut self, datagram: &Datagram) {
        let Some(heard) = self.accept(datagram) else {
            return;
        };
        if heard.priority == 0 {
            self.log(InstanceLine::MasterReceivedPriorityZero);
            if self.may_answer() {
                self.assert_mastership();
            }
            return;
        }
        if heard.priority == priority::OWNER && self.is_owner() {
            self.log(InstanceLine::TwoOwners);
            self.base_priority = priority::OWNER - 1;
            self.set_effective_priority();
        }
        if self.is_better(&heard) {
            self.yield_to(heard);
        } else {
            self.answer_lower(heard);
        }
    }

    /// RFC 3768, 6.4.3: the higher priority wins, then the higher address.
    pub(super) fn is_better(&self, heard: &Heard) -> bool {
        let ours = self.effective_priority;
        let higher_address = self.own_source().is_none_or(|own| heard.source > own);
        heard.priority > ours || (heard.priority == ours && higher_address)
    }

    /// Somebody better is master. No priority 0: the other one is here.
    fn yield_to(&mut self, heard: Heard) {
        let Heard {
            source,
            priority,
            interval: _,
        } = heard;
        if self.settings.on_higher == OnAdvert::Advertise {
            self.send_advert();
        }
        let ours = self.effective_priority;
        self.log(if priority > ours {
            InstanceLine::HigherReceived {
                source,
                priority,
                ours,
            }
        } else {
            InstanceLine::HigherAddressReceived { source, priority }
        });
        self.adopt_interval(heard);
        self.step_down(self.master_down(), Farewell::Silent);
    }

    /// There was a second master, and hosts may have learned its address: it
    /// gets an answer, and hosts get announcements.
    fn answer_lower(&mut self, heard: Heard) {
        let slept = self.timers.resume.is_some() || self.lease_has_expired();
        if !self.may_answer() && !slept {
            return;
        }
        let answer = self.settings.on_lower;
        self.log(InstanceLine::LowerReceived {
            source: heard.source,
            priority: heard.priority,
            ours: self.effective_priority,
            answer,
        });
        let Garp {
            lower_repeat,
            lower_delay,
            ..
        } = self.settings.garp;
        if slept {
            // It took over while we slept; we are better and take it back.
            self.reclaim();
        } else {
            if answer == OnAdvert::Advertise {
                self.assert_mastership();
            }
            if lower_repeat > 0 {
                self.announce(lower_repeat);
                self.timers.garp_lower = (!lower_delay.is_zero()).then(|| self.now + lower_delay);
            }
        }
        self.notify(Notification::MasterReceivedLowerPriority);
    }

    /// Whether the last answer is long enough ago; if so, this is one.
    pub(super) fn may_answer(&mut self) -> bool {
        let may = self
            .last_answer
            .is_none_or(|answer| self.now.since(answer) >= ANSWER_PAUSE);
        if may {
            self.last_answer = Some(self.now);
        }
        may
    }

    /// An advert out of turn. It counts as the next one.
    pub(super) fn assert_mastership(&mut self) {
        self.refresh_addresses();
        self.send_advert();
        self.timers.advert = Some(self.now + self.settings.advert_interval);
    }

    /// Everything that is due. Refreshes come before adverts: what we tell the
    /// others to rely on must be there.
    pub(super) fn master_timer(&mut self) {
        if self.timers.resume.is_some() {
            if take_due(&mut self.timers.resume, self.now).is_some() {
                self.reclaim();
            }
            return;
        }
        if self.stood_still() {
            self.listen_first();
            return;
        }
        let due = |timer: Option<Time>| timer.is_some_and(|deadline| deadline <= self.now);
        if due(self.timers.lease) || due(self.timers.advert) {
            self.refresh_addresses();
        }
        if let Some(deadline) = take_due(&mut self.timers.advert, self.now) {
            let late = self.now.since(deadline);
            if late >= LATE {
                self.act(Action::Log(LogLine::TimerLate { late }));
            }
            self.send_advert();
            // In step with the last one, unless a whole interval was missed.
            let interval = self.settings.advert_interval;
            let in_step = deadline + interval;
            self.timers.advert = Some(if in_step > self.now {
                in_step
            } else {
                self.now + interval
            });
            self.refresh_announcements();
        }
        self.announce_when_due();
    }

    /// The others may have elected a new master while we were not run.
    fn stood_still(&self) -> bool {
        let late = self
            .timers
            .advert
            .map_or(Duration::ZERO, |deadline| self.now.since(deadline));
        self.lease_has_expired() || late >= self.settings.silence()
    }

    /// Lets packets that wait in the socket come first.
    pub(super) fn listen_first(&mut self) {
        if self.timers.resume.is_some() {
            return;
        }
        let late = self
            .timers
            .advert
            .map_or(Duration::ZERO, |deadline| self.now.since(deadline));
        self.act(Action::Log(LogLine::TimerLate { late }));
        self.log(InstanceLine::LeaseExpired { late });
        self.timers.resume = Some(self.now + RESUME_PAUSE);
    }

    /// Nobody better spoke: the addresses are ours again.
    fn reclaim(&mut self) {
        self.timers.resume = None;
        self.send_advert();
        self.timers.advert = Some(self.now + self.settings.advert_interval);
        self.log_setting();
        self.add_addresses();
        self.set_routes();
        self.announce_takeover();
    }

    /// A link that nobody tracks came back: hosts may have moved meanwhile.
    pub(super) fn master_link_up(&mut self) {
        if self.link == Link::Down {
            self.link = Link::Up;
            self.announce_takeover();
        }
        self.judge();
    }
}
