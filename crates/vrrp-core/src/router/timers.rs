//! The deadlines of a virtual router. One wake-up serves them all.

use crate::time::Time;

/// Each deadline, if armed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Timers {
    /// BACKUP: the master counts as down (RFC 3768, 6.2, Master_Down_Timer).
    pub(super) master_down: Option<Time>,
    /// MASTER: the next advert (RFC 3768, 6.2, Adver_Timer).
    pub(super) advert: Option<Time>,
    /// MASTER: the kernel lifetime of the addresses is begun anew.
    pub(super) lease: Option<Time>,
    /// MASTER: the second burst after becoming master.
    pub(super) garp_second: Option<Time>,
    /// MASTER: the second burst after a lower advert.
    pub(super) garp_lower: Option<Time>,
    /// MASTER: the periodic refresh; it is looked at with adverts only, as
    /// keepalived does, so it wakes nobody.
    pub(super) garp_refresh: Option<Time>,
    /// MASTER: the next single announcement for the sake of a healed split.
    pub(super) garp_reassert: Option<Time>,
    /// MASTER: the next announcement that waits for its turn.
    pub(super) garp_pace: Option<Time>,
    /// MASTER after a long pause of the whole process: until then nothing but
    /// packets counts. While armed it is the only deadline.
    pub(super) resume: Option<Time>,
}

impl Timers {
    /// The earliest deadline that wakes.
    pub(super) fn next(&self) -> Option<Time> {
        if self.resume.is_some() {
            return self.resume;
        }
        [
            self.master_down,
            self.advert,
            self.lease,
            self.garp_second,
            self.garp_lower,
            self.garp_reassert,
            self.garp_pace,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Nothing is awaited any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Takes a deadline out if it has come.
pub(super) fn take_due(timer: &mut Option<Time>, now: Time) -> Option<Time> {
    timer.take_if(|deadline| *deadline <= now)
}
