//! A router as a member of a sync group; what the group decides is in
//! [`crate::SyncGroup`].

use super::transition::Farewell;
use super::{Running, VirtualRouter};
use crate::settings::Sync;
use crate::state::State;
use crate::time::Time;

impl VirtualRouter {
    /// Whether it cannot take part whatever the other members do.
    #[must_use]
    pub fn has_fault_of_its_own(&self) -> bool {
        self.running == Running::Yes && self.is_faulty_alone()
    }

    /// Whether it is in FAULT because another member is.
    #[must_use]
    pub const fn is_held_in_fault(&self) -> bool {
        self.held_in_fault
    }

    /// Since when it would be master if it were alone; `None` as long as it
    /// hears a better one.
    #[must_use]
    pub fn wants_master(&self) -> Option<Time> {
        match self.state {
            State::Backup => self.wants_master,
            State::Init | State::Master | State::Fault => None,
        }
    }

    pub(super) fn hold_in_fault(&mut self, held: bool) {
        if self.held_in_fault != held {
            self.held_in_fault = held;
            self.judge();
        }
    }

    /// The others of the group elect a new master at once. Ours may be it again,
    /// if the member that led the way finds nobody better: it waits for one
    /// skew then, and must not have to wait for the rest of the group.
    pub(super) fn step_down_with_group(&mut self) {
        self.step_down(self.skew(), Farewell::PriorityZero);
    }

    /// Master_Down is over: MASTER, or a wish that the group hears.
    pub(super) fn take_over(&mut self) {
        match self.settings.sync {
            Sync::Alone => self.become_master(),
            Sync::Member => {
                self.wants_master = Some(self.now);
                self.timers.master_down = Some(self.now + self.master_down());
            }
        }
    }

    /// Settings changed: outside a group nobody holds it in FAULT.
    pub(super) fn leave_group(&mut self) {
        if self.settings.sync == Sync::Alone {
            self.held_in_fault = false;
            self.wants_master = None;
        }
    }
}
