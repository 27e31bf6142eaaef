//! Who is told of a change of state: scripts and FIFOs, with keepalived's words.
//!
//! The FIFOs are written by the loop itself, which never waits for their readers; the
//! scripts run on the thread of [`crate::script::runner`], each party's transitions one
//! after the other ([`queue`]).

mod fifo;
pub(crate) mod queue;

use std::ffi::OsString;
use std::fmt;

use keepalived_conf::{Command, FifoDef, GlobalDefs, NotifyDef};
use tokio::sync::mpsc;
use vrrp_core::{Notification, State};

use self::fifo::Fifo;
use self::queue::Batch;
use crate::script::runner::Work;

/// Who changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    /// A `vrrp_instance`.
    Instance(String),
    /// A `vrrp_sync_group`.
    Group(String),
}

impl Party {
    const fn word(&self) -> &'static str {
        match self {
            Self::Instance(_) => "INSTANCE",
            Self::Group(_) => "GROUP",
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Instance(name) | Self::Group(name) => name,
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    Master,
    Backup,
    Fault,
    Stop,
    /// A reload removed it.
    Deleted,
    /// As master it heard an advert of lower priority.
    LowerPriority,
    /// Its priority changed while it was master.
    MasterPriority,
    /// Its priority changed while it was backup.
    BackupPriority,
}

impl Occasion {
    /// The occasion of a router's notification, if keepalived tells it.
    pub(crate) const fn of(what: Notification) -> Option<Self> {
        match what {
            Notification::Entered(State::Master) => Some(Self::Master),
            Notification::Entered(State::Backup) => Some(Self::Backup),
            Notification::Entered(State::Fault) => Some(Self::Fault),
            Notification::Stop => Some(Self::Stop),
            Notification::MasterReceivedLowerPriority => Some(Self::LowerPriority),
            Notification::PriorityChanged(State::Master) => Some(Self::MasterPriority),
            Notification::PriorityChanged(State::Backup) => Some(Self::BackupPriority),
            Notification::Entered(State::Init)
            | Notification::PriorityChanged(State::Init | State::Fault) => None,
        }
    }

    /// The word in FIFO lines and arguments (keepalived.conf(5), `notify`).
    const fn word(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
            Self::Deleted => "DELETED",
            Self::LowerPriority => "MASTER_RX_LOWER_PRI",
            Self::MasterPriority => "MASTER_PRIORITY",
            Self::BackupPriority => "BACKUP_PRIORITY",
        }
    }
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Who changed.
    pub(crate) party: Party,
    /// Whom it tells.
    pub(crate) orders: NotifyDef,
    /// What happened.
    pub(crate) occasion: Occasion,
    /// Its effective priority; not looked at for a group.
    pub(crate) priority: u8,
}

/// What one occasion sets off.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    line: Option<String>,
    first: Option<Command>,
    then: Option<Command>,
}

fn plan(notice: &Notice) -> Plan {
    let Notice { party, orders, .. } = notice;
    // Without `notify_deleted` a deletion goes by the name of a fault, and runs nothing.
    let unasked = notice.occasion == Occasion::Deleted && orders.deleted.is_none();
    let occasion = if unasked {
        Occasion::Fault
    } else {
        notice.occasion
    };
    let priority = match party {
        Party::Instance(_) => notice.priority,
        Party::Group(_) => 0,
    };
    let mut told = true;
    let (first, is_state) = match occasion {
        Occasion::Master => (&orders.master, true),
        Occasion::Backup => (&orders.backup, true),
        Occasion::Fault => (&orders.fault, true),
        Occasion::Stop => (&orders.stop, true),
        Occasion::Deleted => (orders.deleted.as_ref().unwrap_or(&None), true),
        Occasion::LowerPriority => (&orders.lower_priority, false),
        Occasion::MasterPriority | Occasion::BackupPriority => {
            told = orders.priority_changes;
            (&None, false)
        }
    };
    let words = [party.word(), party.name(), occasion.word()];
    let line = told.then(|| format!("{} \"{}\" {} {priority}\n", words[0], words[1], words[2]));
    let then = orders.any.as_ref().filter(|_| is_state).map(|any| {
        let mut any = any.clone();
        any.argv.extend(words.map(OsString::from));
        any.argv.push(priority.to_string().into());
        any
    });
    Plan {
        line,
        first: first.clone().filter(|_| !unasked),
        then,
    }
}

/// The loop's hold on everything that is told.
#[derive(Debug)]
pub(crate) struct Notifier {
    work: mpsc::Sender<Work>,
    readers: Vec<FifoDef>,
    fifos: Vec<Fifo>,
}

impl Notifier {
    /// Nobody but scripts is told, until [`Notifier::configure`].
    pub(crate) const fn new(work: mpsc::Sender<Work>) -> Self {
        Self {
            work,
            readers: Vec::new(),
            fifos: Vec::new(),
        }
    }

    /// Opens the FIFOs of the configuration and starts their programs; those that are no
    /// longer named go. What did not change is left alone: no reader misses a line in a
    /// reload. Gives lines for the log.
    pub(crate) fn configure(&mut self, global: &GlobalDefs) -> Vec<String> {
        let mut lines = Vec::new();
        let defs = [&global.fifo, &global.vrrp_fifo].into_iter().flatten();
        let before = std::mem::replace(&mut self.readers, defs.cloned().collect());
        let mut old = std::mem::take(&mut self.fifos);
        for def in &self.readers {
            let kept = old
                .iter()
                .position(|fifo| fifo.is(&def.path, def.owner.as_ref()));
            match kept.map(|at| old.swap_remove(at)) {
                Some(fifo) => self.fifos.push(fifo),
                None => match Fifo::open(&def.path, def.owner.clone()) {
                    Ok(fifo) => self.fifos.push(fifo),
                    Err(error) => lines.push(format!(
                        "Unable to create notify fifo {}: {}",
                        def.path.display(),
                        osys::error_text(&error)
                    )),
                },
            }
        }
        for fifo in old {
            fifo.remove();
        }
        if self.readers != before {
            let scripts = self.readers.iter().filter_map(|def| {
                let mut script = def.script.clone()?;
                script.argv.push(def.path.clone().into());
                Some(script)
            });
            lines.extend(self.hand_over(Work::Readers(scripts.collect())));
        }
        lines
    }

    /// Tells everybody whom it concerns. Gives lines for the log.
    pub(crate) fn tell(&mut self, notice: &Notice) -> Vec<String> {
        let plan = plan(notice);
        let mut lines = Vec::new();
        if let Some(line) = &plan.line {
            let written = self.fifos.iter_mut().filter_map(|fifo| fifo.write(line));
            lines.extend(written);
        }
        if plan.first.is_some() || plan.then.is_some() {
            let batch = Batch {
                party: notice.party.clone(),
                first: plan.first,
                then: plan.then,
            };
            lines.extend(self.hand_over(Work::Notify(batch)));
        }
        lines
    }

    /// Removes the FIFOs that were made; a reader that has one open reads on to its end.
    pub(crate) fn close(self) {
        for fifo in self.fifos {
            fifo.remove();
        }
    }

    fn hand_over(&self, work: Work) -> Option<String> {
        let refused = self.work.try_send(work).err()?;
        let what = match refused.into_inner() {
            Work::Notify(batch) => format!("({}) notify scripts", batch.party),
            Work::Run(_) | Work::Readers(_) | Work::LastWords(_) => {
                "notify fifo scripts".to_owned()
            }
        };
        Some(format!("{what} not run: too many scripts wait"))
    }
}

#[cfg(test)]
mod tests;
