//! Who is told of a change of state: scripts and FIFOs, with keepalived's words.
//!
//! The FIFOs are written by the loop itself, which never waits for their readers; the
//! scripts run on the thread of [`crate::script::runner`], each party's transitions one
//! after the other ([`queue`]).

mod fifo;
pub(crate) mod queue;

use std::ffi::OsString;
use std::fmt;

use keepalived_conf::env::Credentials;
use tokio::sync::mpsc;
use vrrp_core::{Notification, State};

use self::fifo::Fifo;
pub(crate) use self::fifo::FifoDef;
use self::queue::Batch;
use crate::script::runner::Work;

/// A program, its words, and whom to run it as. No shell reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// The program and its arguments.
    pub(crate) argv: Vec<OsString>,
    /// Whom to run it as.
    pub(crate) user: Credentials,
}

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

/// Whom a party tells (the `notify` keywords of its block).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) master: Option<Command>,
    pub(crate) backup: Option<Command>,
    pub(crate) fault: Option<Command>,
    pub(crate) stop: Option<Command>,
    /// `notify_master_rx_lower_pri`
    pub(crate) lower_priority: Option<Command>,
    /// `notify_deleted`, with or without a script; without it a deletion is told as a fault.
    pub(crate) deleted: Option<Option<Command>>,
    /// `notify`
    pub(crate) any: Option<Command>,
    /// `notify_priority_changes`
    pub(crate) priority_changes: bool,
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Who changed.
    pub(crate) party: Party,
    /// Whom it tells.
    pub(crate) orders: Orders,
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
    let occasion = match (notice.occasion, &orders.deleted) {
        (Occasion::Deleted, None) => Occasion::Fault,
        (occasion, _) => occasion,
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
        first: first.clone(),
        then,
    }
}

/// A FIFO and the program that reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) fifo: FifoDef,
    /// `vrrp_notify_fifo_script`: it gets the FIFO's path as its last word.
    pub(crate) script: Option<Command>,
}

/// The loop's hold on everything that is told.
#[derive(Debug)]
pub(crate) struct Notifier {
    work: mpsc::Sender<Work>,
    readers: Vec<Reader>,
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

    /// Opens these FIFOs and starts their programs; those that are no longer named go.
    /// What did not change is left alone: no reader misses a line in a reload. Gives
    /// lines for the log.
    pub(crate) fn configure(&mut self, readers: Vec<Reader>) -> Vec<String> {
        let mut lines = Vec::new();
        let before = std::mem::replace(&mut self.readers, readers);
        let mut old = std::mem::take(&mut self.fifos);
        for reader in &self.readers {
            let kept = old.iter().position(|fifo| *fifo.def() == reader.fifo);
            match kept.map(|at| old.swap_remove(at)) {
                Some(fifo) => self.fifos.push(fifo),
                None => match Fifo::open(reader.fifo.clone()) {
                    Ok(fifo) => self.fifos.push(fifo),
                    Err(error) => lines.push(format!(
                        "Unable to create notify fifo {}: {}",
                        reader.fifo.path.display(),
                        osys::error_text(&error)
                    )),
                },
            }
        }
        for fifo in old {
            fifo.remove();
        }
        if self.readers != before {
            let scripts = self.readers.iter().filter_map(|reader| {
                let mut script = reader.script.clone()?;
                script.argv.push(reader.fifo.path.clone().into());
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
            Work::Run(_) | Work::Readers(_) => "notify fifo scripts".to_owned(),
        };
        Some(format!("{what} not run: too many scripts wait"))
    }
}

#[cfg(test)]
mod tests;
