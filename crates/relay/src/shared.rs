//! What the workers of one relay share: settings, process-wide figures, mailboxes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};

use arc_swap::ArcSwap;
use lb_core::{Dispatch, Position, Ticket};
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::watch;

use crate::clock;
use crate::counters::{Cell, Gauge};
use crate::descriptors::Descriptors;
use crate::handle::{KillCause, RelaySettings, SessionFilter, SessionInfo, Shutdown};
use crate::rate::Rate;
use crate::record::SessionSink;
use crate::snapshot::Snapshot;
use crate::splice::PipeFigures;

/// An order for one worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// A waiting session got a slot, or has to ask again.
    Dispatched {
        backend: usize,
        dispatch: Dispatch,
    },
    /// Take the snapshot now published.
    Publish,
    /// A limit that held clients back may have room again.
    Accept,
    Pause(usize),
    Resume(usize),
    Stop(usize),
    Kill(SessionFilter, KillCause),
    List(mpsc::Sender<Vec<SessionInfo>>),
    Shutdown(Shutdown),
}

/// A worker's orders. The queue is only ever touched by control and by rare events of the data
/// path (queues, limits), so a mutex does.
#[derive(Debug)]
pub(crate) struct Mailbox {
    commands: Mutex<Vec<Command>>,
    wake: OwnedFd,
}

impl Mailbox {
    fn new() -> std::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            commands: Mutex::default(),
            wake,
        })
    }

    pub(crate) fn send(&self, command: Command) {
        self.commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(command);
        // Full means that the worker has been told often enough.
        let _full = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// All orders so far, oldest first.
    pub(crate) fn take(&self) -> Vec<Command> {
        let mut counter = [0; 8];
        let _empty = rustix::io::read(&self.wake, &mut counter);
        std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One worker's process-wide counters.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct WorkerCells {
    pub(crate) accepted: Cell,
    pub(crate) sessions: Cell,
    pub(crate) bytes_out: Cell,
    pub(crate) bytes_spliced: Cell,
}

#[derive(Debug, Default)]
struct Written {
    at: u64,
    total: u64,
    rate: u32,
}

/// Shared by all workers and by control.
pub(crate) struct Shared {
    pub(crate) settings: RelaySettings,
    pub(crate) sink: Arc<dyn SessionSink>,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) cells: Vec<WorkerCells>,
    /// Sessions of the process (`actconn`).
    pub(crate) active: Arc<Gauge>,
    pub(crate) maxconn: AtomicU32,
    pub(crate) connection_rate: Rate,
    pub(crate) session_rate: Rate,
    pub(crate) serials: AtomicU64,
    /// Bit n: worker n has clients it could not take because the process is full.
    pub(crate) starving: AtomicU64,
    pub(crate) pipes: Arc<PipeFigures>,
    pub(crate) descriptors: Arc<Descriptors>,
    /// What the system said to the first worker that asked for an io_uring in vain.
    pub(crate) ring_refusal: OnceLock<String>,
    /// Sockets that accept.
    pub(crate) listening: AtomicU32,
    /// The last look at the bytes written, for their rate.
    written: Mutex<Written>,
    /// Workers that run.
    pub(crate) running: watch::Sender<usize>,
}

impl Shared {
    pub(crate) fn new(
        settings: RelaySettings,
        snapshot: Arc<Snapshot>,
        sink: Arc<dyn SessionSink>,
    ) -> std::io::Result<Self> {
        let workers = settings.workers;
        let active = Arc::new(Gauge::default());
        let descriptors = Arc::new(Descriptors::new(Arc::clone(&active)));
        Ok(Self {
            maxconn: AtomicU32::new(settings.maxconn),
            settings,
            sink,
            snapshot: ArcSwap::new(snapshot),
            mailboxes: (0..workers)
                .map(|_| Mailbox::new())
                .collect::<Result<_, _>>()?,
            cells: (0..workers).map(|_| WorkerCells::default()).collect(),
            active,
            connection_rate: Rate::default(),
            session_rate: Rate::default(),
            serials: AtomicU64::new(0),
            starving: AtomicU64::new(0),
            pipes: Arc::default(),
            descriptors,
            ring_refusal: OnceLock::new(),
            listening: AtomicU32::new(0),
            written: Mutex::default(),
            running: watch::Sender::new(0),
        })
    }

    pub(crate) fn broadcast(&self, command: impl Fn() -> Command) {
        for mailbox in &self.mailboxes {
            mailbox.send(command());
        }
    }

    /// Bytes per second since figures were last asked for, given all bytes written so far.
    pub(crate) fn written(&self, total: u64) -> u32 {
        let now = clock::millis();
        let mut last = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_sub(last.at);
        if elapsed >= 1000 {
            let bytes = total.saturating_sub(last.total);
            last.rate = u32::try_from(bytes.saturating_mul(1000) / elapsed).unwrap_or(u32::MAX);
            last.at = now;
            last.total = total;
        }
        last.rate
    }

    /// Hands a waiting session of `backend` to the worker it belongs to.
    pub(crate) fn deliver(&self, backend: usize, dispatch: Dispatch) {
        let ticket = match dispatch {
            Dispatch::Assigned { ticket, .. } | Dispatch::Requeue { ticket, .. } => ticket,
        };
        if let Some(mailbox) = self.mailboxes.get(Token::of_ticket(ticket).0) {
            mailbox.send(Command::Dispatched { backend, dispatch });
        }
    }

    /// Wakes the workers in `mask`, whose clients may now have room.
    pub(crate) fn wake_starving(&self, mask: &AtomicU64) {
        // Ordered against the other side's "note that I starve, then look again".
        if mask.load(Ordering::SeqCst) == 0 {
            return;
        }
        let waiting = mask.swap(0, Ordering::SeqCst);
        for (worker, mailbox) in self.mailboxes.iter().enumerate() {
            if waiting & worker_bit(worker) != 0 {
                mailbox.send(Command::Accept);
            }
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A worker's bit in a mask of starving workers; workers beyond the 64th share one.
pub(crate) fn worker_bit(worker: usize) -> u64 {
    1 << worker.min(63)
}

/// Names one connection of a worker: its slot in the slab, and a generation that tells it apart
/// from those that had the slot before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// Slots of one worker; what is left of 32 bits names the worker in a [`Ticket`].
const SLOT_BITS: u32 = 22;
pub(crate) const MAX_SLOTS: usize = 1 << SLOT_BITS;

impl Token {
    pub(crate) fn ticket(self, worker: usize) -> Ticket {
        let place = ((worker as u64) << SLOT_BITS) | u64::from(self.slot);
        Ticket((place << 32) | u64::from(self.generation))
    }

    /// The worker and the connection a ticket names.
    pub(crate) fn of_ticket(ticket: Ticket) -> (usize, Self) {
        let place = ticket.0 >> 32;
        let worker = usize::try_from(place >> SLOT_BITS).unwrap_or(usize::MAX);
        let slot = u32::try_from(place & ((1 << SLOT_BITS) - 1)).unwrap_or(u32::MAX);
        let generation = u32::try_from(ticket.0 & 0xffff_ffff).unwrap_or(0);
        (worker, Self { slot, generation })
    }
}

/// What a session that left its queue learns.
pub(crate) const fn place_of(dispatch: &Dispatch) -> Position {
    match dispatch {
        Dispatch::Assigned { position, .. } | Dispatch::Requeue { position, .. } => *position,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_name_worker_and_connection() {
        for worker in [0, 1, 63, 1023] {
            for slot in [0, 1, (1 << SLOT_BITS) - 1] {
                let token = Token {
                    slot,
                    generation: 0xdead_beef,
                };
                assert_eq!(Token::of_ticket(token.ticket(worker)), (worker, token));
            }
        }
    }
}
