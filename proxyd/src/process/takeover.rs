//! Old processes that this one replaces (`-sf`, `-st`).

use haproxy_cfg::argv::{Args, Replace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The processes named on the command line and how they shall end.
#[derive(Clone, Debug, Default)]
pub(crate) struct OldProcesses {
    pids: Vec<Pid>,
    finish: bool,
}

impl OldProcesses {
    pub(crate) fn named_by(args: &Args) -> Self {
        let pids = args
            .old_pids
            .iter()
            // 0 and negative numbers would name whole process groups.
            .filter(|pid| **pid > 0)
            .map(|pid| Pid::from_raw(*pid))
            .collect();
        Self {
            pids,
            finish: args.replace != Some(Replace::Terminate),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pids.is_empty()
    }

    /// Asks them to stop listening, for the time this process tries to bind.
    pub(crate) fn pause(&self) {
        self.signal(Signal::SIGTTOU);
    }

    /// Asks them to listen again: this process could not take their place.
    pub(crate) fn resume(&self) {
        self.signal(Signal::SIGTTIN);
    }

    /// Asks them to go: every socket is bound.
    pub(crate) fn dismiss(&self) {
        self.signal(if self.finish {
            Signal::SIGUSR1
        } else {
            Signal::SIGTERM
        });
    }

    fn signal(&self, signal: Signal) {
        for pid in &self.pids {
            // One that has gone already has nothing left to hand over.
            let _ = kill(*pid, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_groups_are_never_signalled() {
        let args = Args {
            old_pids: vec![0, -1, 4_194_305],
            replace: Some(Replace::Finish),
            ..Args::default()
        };
        let old = OldProcesses::named_by(&args);
        assert_eq!(old.pids, [Pid::from_raw(4_194_305)]);
        assert!(old.finish);
        old.dismiss();
    }
}
