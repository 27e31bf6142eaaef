//! `max_auto_priority`: a process whose timers fire late becomes a more urgent one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use daemonkit::syslog::Level;
use keepalived_conf::GlobalDefs;

use crate::log::{Log, Voice};

/// The thread that hands requests to the kernel, which is as urgent as the loop: the lease of
/// addresses hangs on both.
#[derive(Debug, Clone, Default)]
pub(crate) struct Companion(Arc<AtomicI32>);

impl Companion {
    /// To be called on it.
    pub(crate) fn is_this_thread(&self) {
        self.0.store(osys::sched::thread_id(), Ordering::Relaxed);
    }
}

/// What the priority was raised to.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    companion: Companion,
    raised: u32,
}

impl Lateness {
    pub(crate) fn new(companion: Companion) -> Self {
        Self {
            companion,
            raised: 0,
        }
    }

    /// A timer fired so much after its time.
    pub(crate) fn seen(&mut self, late: Duration, global: &GlobalDefs, log: &Log) {
        let Some(next) = self.next(late, global) else {
            return;
        };
        self.raised = next;
        let Ok(priority) = u8::try_from(next) else {
            return;
        };
        let result = osys::sched::set_round_robin(priority);
        let thread = self.companion.0.load(Ordering::Relaxed);
        let result = result.and(osys::sched::set_round_robin_of(thread, priority));
        match result {
            Ok(()) => log.info(&format!("Set realtime priority {next}")),
            Err(error) => {
                let line = format!("Unable to set realtime priority {next}: {error}");
                log.write(Voice::Vrrp, Level::Warning, &line);
            }
        }
    }

    /// The priority to take on, if it is to be another one.
    fn next(&self, late: Duration, global: &GlobalDefs) -> Option<u32> {
        if late <= global.min_auto_priority_delay.to_std() {
            return None;
        }
        let most = global.max_auto_priority?;
        let now = global
            .realtime_priority
            .unwrap_or_default()
            .max(self.raised);
        (now < most).then_some(now + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_by_one_up_to_the_limit() {
        let late = Duration::from_millis(1001);
        let mut global = GlobalDefs::default();
        let mut lateness = Lateness::default();
        assert_eq!(lateness.next(late, &global), None);
        global.max_auto_priority = Some(3);
        assert_eq!(lateness.next(Duration::from_secs(1), &global), None);
        assert_eq!(lateness.next(late, &global), Some(1));
        global.realtime_priority = Some(2);
        assert_eq!(lateness.next(late, &global), Some(3));
        lateness.raised = 3;
        assert_eq!(lateness.next(late, &global), None);
    }
}
