//! Effective priority and health, from what is tracked.

use super::{Link, Running, Source, VirtualRouter};
use crate::action::Notification;
use crate::event::{Health, Standing};
use crate::log::{InstanceLine, StartFault};
use crate::settings::{Script, Sense, Track, Tracker, TrackerKind};
use crate::state::State;

/// The address owner (RFC 3768, 5.3.4).
pub(super) const OWNER: u8 = 255;

/// What an unweighted script means for the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Healthy,
    /// No result yet.
    Unknown,
    Faulty,
}

fn verdict(script: &Script, health: Option<Health>) -> Verdict {
    match (script.sense, health) {
        (_, None) => Verdict::Unknown,
        (Sense::Normal, Some(Health::Up)) | (Sense::Reverse, Some(Health::Down)) => {
            Verdict::Healthy
        }
        (Sense::Normal, Some(Health::Down)) | (Sense::Reverse, Some(Health::Up)) => Verdict::Faulty,
    }
}

/// What a weighted script adds: a positive weight while it succeeds, a
/// negative one while it fails, nothing before the first result. `reverse`
/// flips the sign of what is added.
fn contribution(script: &Script, health: Option<Health>) -> i64 {
    let weight = i64::from(script.weight);
    let counts = match health {
        Some(Health::Up) => weight > 0,
        Some(Health::Down) => weight < 0,
        None => false,
    };
    match (counts, script.sense) {
        (false, Sense::Normal | Sense::Reverse) => 0,
        (true, Sense::Normal) => weight,
        (true, Sense::Reverse) => -weight,
    }
}

/// What a tracker adds: an interface or a process like a script, a file its
/// number times the weight.
fn tracked(tracker: &Tracker, standing: Option<Standing>) -> i64 {
    let weight = i64::from(tracker.weight);
    let added = match standing {
        Some(Standing::Up) if weight > 0 => weight,
        Some(Standing::Down) if weight < 0 => weight,
        Some(Standing::Number(number)) => i64::from(number).saturating_mul(weight),
        Some(Standing::Up | Standing::Down) | None => 0,
    };
    match tracker.sense {
        Sense::Normal => added,
        Sense::Reverse => -added,
    }
}

/// Whether what is tracked is a fault by itself.
fn is_fault(tracker: &Tracker, standing: Option<Standing>) -> bool {
    match (standing, tracker.weight) {
        (Some(Standing::Up | Standing::Down), 0) => {
            let wanted = match tracker.sense {
                Sense::Normal => Standing::Up,
                Sense::Reverse => Standing::Down,
            };
            standing != Some(wanted)
        }
        (Some(Standing::Number(number)), 0) => number != 0,
        // Nothing could be added that far below and leave a priority.
        (Some(Standing::Number(_)), _) => tracked(tracker, standing) <= -254,
        (Some(Standing::Up | Standing::Down) | None, _) => false,
    }
}

fn in_words(tracker: &Tracker, standing: Option<Standing>) -> StartFault {
    let name = tracker.name.clone();
    match tracker.kind {
        TrackerKind::Interface => StartFault::LinkDown { interface: name },
        TrackerKind::File => StartFault::File {
            file: name,
            status: match tracker.weight {
                0 => -254,
                _ => tracked(tracker, standing),
            },
        },
        TrackerKind::Process => StartFault::Process {
            process: name,
            quorum: standing.unwrap_or(Standing::Down),
        },
    }
}

impl VirtualRouter {
    /// What is tracked stands in this way, for the first time or anew.
    pub(super) fn tracker_stands(&mut self, index: usize, standing: Standing) {
        let (Some(slot), Some(tracker)) = (
            self.trackers.get_mut(index),
            self.settings.trackers.get(index),
        ) else {
            return;
        };
        if *slot == Some(standing) {
            return;
        }
        let before = is_fault(tracker, *slot);
        *slot = Some(standing);
        let after = is_fault(tracker, *slot);
        if tracker.kind == TrackerKind::File && self.running == Running::Yes && before != after {
            let file = tracker.name.clone();
            self.log(if after {
                InstanceLine::FileFault { file }
            } else {
                InstanceLine::FileFaultOver { file }
            });
        }
        self.priority_may_have_changed();
    }

    /// A script was judged, for the first time or anew.
    pub(super) fn script_judged(&mut self, index: usize, health: Health) {
        let Some(slot) = self.scripts.get_mut(index) else {
            return;
        };
        if *slot == Some(health) {
            return;
        }
        *slot = Some(health);
        self.priority_may_have_changed();
    }

    fn priority_may_have_changed(&mut self) {
        let from = self.effective_priority;
        self.set_effective_priority();
        let to = self.effective_priority;
        if from != to {
            self.log(InstanceLine::Priority { from, to });
            self.tell_lower_priority(from);
            if matches!(self.state, State::Backup | State::Master) {
                self.notify(Notification::PriorityChanged(self.state));
            }
        }
        self.judge();
    }

    /// A master that became worse says so at once: a better backup takes over
    /// after its skew.
    pub(super) fn tell_lower_priority(&mut self, from: u8) {
        if self.state == State::Master
            && self.effective_priority < from
            && self.timers.resume.is_none()
        {
            self.assert_mastership();
        }
    }

    /// The sum of base and weights is not clamped on the way, only its end: a
    /// script at +50 and one at -50 cancel out even at priority 254.
    pub(super) fn set_effective_priority(&mut self) {
        let before = self.skew();
        self.effective_priority = if self.base_priority == OWNER {
            OWNER
        } else {
            let weights: i64 = self
                .settings
                .scripts
                .iter()
                .zip(&self.scripts)
                .map(|(script, health)| contribution(script, *health))
                .sum();
            let trackers: i64 = self
                .settings
                .trackers
                .iter()
                .zip(&self.trackers)
                .map(|(tracker, standing)| tracked(tracker, *standing))
                .sum();
            let total = i64::from(self.base_priority) + weights + trackers;
            u8::try_from(total.clamp(1, 254)).unwrap_or(254)
        };
        // The running Master_Down timer moves by the difference of the skews.
        let after = self.skew();
        if let Some(deadline) = &mut self.timers.master_down {
            *deadline = *deadline - before + after;
        }
    }

    /// The link or the source address keeps the router from taking part.
    pub(super) fn network_is_down(&self) -> bool {
        let link_down = self.link == Link::Down && self.settings.track_link == Track::Yes;
        link_down || self.source == Source::Absent
    }

    /// What is tracked and wrong, in words for the log.
    pub(super) fn tracked_faults(&self) -> Vec<StartFault> {
        let tracked = self.settings.trackers.iter().zip(&self.trackers);
        tracked
            .filter(|(tracker, standing)| is_fault(tracker, **standing))
            .map(|(tracker, standing)| in_words(tracker, *standing))
            .collect()
    }

    fn unweighted_is(&self, wanted: Verdict) -> bool {
        self.settings
            .scripts
            .iter()
            .zip(&self.scripts)
            .filter(|(script, _)| script.weight == 0)
            .any(|(script, health)| verdict(script, *health) == wanted)
    }

    /// A fault as the present state sees it. A script without a result keeps
    /// a router from starting, but is no reason to stop one that runs.
    pub(super) fn is_faulty(&self) -> bool {
        self.held_in_fault || self.is_faulty_alone()
    }

    pub(super) fn is_faulty_alone(&self) -> bool {
        let tracked = self.settings.trackers.iter().zip(&self.trackers);
        self.network_is_down()
            || self.unweighted_is(Verdict::Faulty)
            || tracked
                .into_iter()
                .any(|(tracker, standing)| is_fault(tracker, *standing))
    }

    /// An unweighted script has not been judged yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.unweighted_is(Verdict::Unknown)
    }

    /// Moves between taking part and FAULT as what is tracked demands.
    pub(super) fn judge(&mut self) {
        match (self.state, self.running) {
            (State::Init, Running::No) => {}
            (State::Init, Running::Yes) => self.leave_init(),
            (State::Backup | State::Master, Running::Yes | Running::No) => {
                if self.is_faulty() {
                    self.enter_fault();
                }
            }
            (State::Fault, Running::Yes | Running::No) => {
                if !self.is_faulty() && !self.is_waiting() {
                    self.recover();
                }
            }
        }
    }
}
