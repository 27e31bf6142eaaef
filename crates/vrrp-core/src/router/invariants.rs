//! What must hold between any two events. Checked in debug builds only, and
//! only about ourselves: nothing a peer sends can make an assertion fail.

use super::{Running, VirtualRouter, priority};
use crate::state::State;

impl VirtualRouter {
    pub(super) fn check_invariants(&self) {
        let timers = &self.timers;
        let master = self.state == State::Master;
        let backup = self.state == State::Backup;

        debug_assert_eq!(
            timers.advert.is_some(),
            master,
            "a master, and nobody else, advertises"
        );
        debug_assert_eq!(
            timers.master_down.is_some(),
            backup,
            "a backup waits for its master"
        );
        debug_assert!(
            master || !backup || timers.lease.is_none(),
            "only a master holds a lease"
        );
        debug_assert_eq!(
            timers.lease.is_some() && self.lease_until.is_some(),
            master && self.lease.is_some(),
            "a master refreshes its lease if there is one"
        );
        debug_assert!(
            master
                || (timers.garp_second, timers.garp_lower, timers.garp_refresh)
                    == (None, None, None)
                    && (timers.garp_reassert, timers.garp_pace, timers.resume)
                        == (None, None, None),
            "only a master announces"
        );
        debug_assert!(master || self.garps.is_empty(), "only a master announces");
        debug_assert!(
            self.garps.is_empty() || timers.garp_pace.is_some(),
            "an announcement that waits has its turn"
        );

        debug_assert!(
            self.running == Running::Yes || self.state == State::Init,
            "a router that does not run is in INIT"
        );
        debug_assert!(
            self.running == Running::No || self.state != State::Init || self.is_waiting(),
            "a running router is in INIT only to wait for a script"
        );
        debug_assert!(
            !(master || backup) || !self.is_faulty(),
            "a faulty router does not take part"
        );
        debug_assert!(
            self.state != State::Fault || self.is_faulty() || self.is_waiting(),
            "a healthy router takes part"
        );

        debug_assert_eq!(self.scripts.len(), self.settings.scripts.len());
        debug_assert_eq!(self.trackers.len(), self.settings.trackers.len());
        debug_assert_ne!(
            self.effective_priority, 0,
            "0 is no priority but a farewell"
        );
        debug_assert_eq!(
            self.effective_priority == priority::OWNER,
            self.base_priority == priority::OWNER,
            "weights make nobody an owner and touch none"
        );
    }
}
