//! Counters: each worker writes its own cells, readers add them up.
//!
//! What only grows (sessions, bytes, errors) lives in cells with a single writer, so counting is
//! a load and a store without a locked instruction. What several workers have to agree on at once
//! (current connections, whose maxima and limits depend on the sum; events of the running second)
//! is one shared atomic, touched a few times per connection and never per byte.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use crate::rate::Rate;

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    pub(crate) fn add(&self, amount: u64) {
        self.0
            .store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    pub(crate) fn load(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A current number with its maximum, shared by all workers.
#[derive(Debug, Default)]
pub struct Gauge {
    current: AtomicU32,
    max: AtomicU32,
}

impl Gauge {
    /// The current number.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.current.load(Relaxed)
    }

    /// The highest number seen since start or since [`Gauge::clear_max`].
    #[must_use]
    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    /// Forgets the maximum (`clear counters`).
    pub fn clear_max(&self) {
        self.max.store(self.current(), Relaxed);
    }

    pub(crate) fn up(&self) -> u32 {
        let now = self.current.fetch_add(1, Relaxed).saturating_add(1);
        self.keep();
        now
    }

    /// One more unless that would exceed `limit` (0 = none). It counts for the maximum only once
    /// [`Gauge::keep`] says that it stays.
    pub(crate) fn try_up(&self, limit: u32) -> bool {
        let before = self.current.fetch_add(1, SeqCst);
        if limit > 0 && before >= limit {
            self.current.fetch_sub(1, SeqCst);
            return false;
        }
        true
    }

    /// Lets the current number count for the maximum.
    pub(crate) fn keep(&self) {
        let now = self.current();
        // A maximum is rarely beaten: look before writing to a line all workers share.
        if now > self.max.load(Relaxed) {
            self.max.fetch_max(now, Relaxed);
        }
    }

    pub(crate) fn down(&self) -> u32 {
        self.current.fetch_sub(1, SeqCst).saturating_sub(1)
    }
}

macro_rules! counters {
    ($(#[$doc:meta])* $cells:ident => $totals:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        /// One worker's cells; two cache lines apart from the next worker's.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct $cells {
            $(pub(crate) $field: Cell,)*
        }

        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $totals {
            $($(#[$field_doc])* pub $field: u64,)*
        }

        impl $totals {
            fn of(cells: &[$cells]) -> Self {
                let mut totals = Self::default();
                for cell in cells {
                    $(totals.$field = totals.$field.wrapping_add(cell.$field.load());)*
                }
                totals
            }

            fn since(self, base: &Self) -> Self {
                Self { $($field: self.$field.wrapping_sub(base.$field),)* }
            }
        }
    };
}

counters! {
    /// What a listener counted.
    ListenerCells => ListenerTotals {
        /// Sessions (`stot`).
        sessions,
        /// Bytes read from clients (`bin`).
        bytes_in,
        /// Bytes sent by servers (`bout`).
        bytes_out,
        /// Clients that aborted (`cli_abrt`).
        client_aborts,
        /// Servers that aborted (`srv_abrt`).
        server_aborts,
    }
}

counters! {
    /// What a frontend counted.
    FrontendCells => FrontendTotals {
        /// Connections accepted (`conn_tot`).
        connections,
        /// Sessions (`stot`).
        sessions,
        /// Bytes read from clients (`bin`).
        bytes_in,
        /// Bytes read from servers (`bout`).
        bytes_out,
        /// Sessions that ended before a server was asked for (`ereq`).
        failed_requests,
        /// Clients that aborted (`cli_abrt`).
        client_aborts,
        /// Servers that aborted (`srv_abrt`).
        server_aborts,
        /// `accept` calls that failed for want of descriptors or memory.
        accept_errors,
    }
}

counters! {
    /// What a backend or a server counted.
    BackendCells => BackendTotals {
        /// Sessions (`stot`); for a server, connection attempts.
        sessions,
        /// Times a server was chosen (`lbtot`).
        selected,
        /// Connection attempts (`connect`).
        connects,
        /// Bytes read from clients (`bin`).
        bytes_in,
        /// Bytes read from servers (`bout`).
        bytes_out,
        /// Sessions that found no way to a server (`econ`).
        failed_connections,
        /// Server connections that broke while relaying (`eresp`).
        failed_responses,
        /// Retries on the same server (`wretr`).
        retries,
        /// Sessions sent to another server (`wredis`).
        redispatches,
        /// Clients that aborted (`cli_abrt`).
        client_aborts,
        /// Servers that aborted (`srv_abrt`).
        server_aborts,
    }
}

/// Averages over the last sessions, in milliseconds, with their maxima.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// `qtime`: waiting in queues.
    pub queue: u32,
    /// `ctime`: connecting.
    pub connect: u32,
    /// `ttime`: whole session.
    pub total: u32,
    /// `qtime_max`.
    pub queue_max: u32,
    /// `ctime_max`.
    pub connect_max: u32,
    /// `ttime_max`.
    pub total_max: u32,
}

/// Sliding sums behind [`Timings`]: about the last 1024 (backend) or 512 (server) sessions.
#[derive(Debug)]
pub(crate) struct Averages {
    window: u32,
    sums: [AtomicU32; 3],
    maxima: [AtomicU32; 3],
    seen: AtomicU32,
}

impl Averages {
    const fn new(window: u32) -> Self {
        Self {
            window,
            sums: [const { AtomicU32::new(0) }; 3],
            maxima: [const { AtomicU32::new(0) }; 3],
            seen: AtomicU32::new(0),
        }
    }

    /// A sample (queue, connect, total) of one session.
    pub(crate) fn add(&self, sample: [u32; 3]) {
        let seen = self.seen.load(Relaxed);
        if seen < self.window {
            self.seen.store(seen + 1, Relaxed);
        }
        for ((sum, max), value) in self.sums.iter().zip(&self.maxima).zip(sample) {
            let old = sum.load(Relaxed);
            // Until the window is full the sum is a plain one; afterwards every sample pushes out
            // one average one. Two workers may lose a sample to each other: it is an average.
            let kept = if seen < self.window {
                old
            } else {
                old - old.div_ceil(self.window).min(old)
            };
            sum.store(kept.saturating_add(value), Relaxed);
            if value > max.load(Relaxed) {
                max.fetch_max(value, Relaxed);
            }
        }
    }

    fn timings(&self) -> Timings {
        let seen = self.seen.load(Relaxed).max(1);
        let [queue, connect, total] = [0, 1, 2].map(|i| {
            self.sums
                .get(i)
                .map_or(0, |sum| sum.load(Relaxed).div_ceil(seen))
        });
        let [queue_max, connect_max, total_max] =
            [0, 1, 2].map(|i| self.maxima.get(i).map_or(0, |max| max.load(Relaxed)));
        Timings {
            queue,
            connect,
            total,
            queue_max,
            connect_max,
            total_max,
        }
    }

    fn clear(&self) {
        for cell in self.sums.iter().chain(&self.maxima) {
            cell.store(0, Relaxed);
        }
        self.seen.store(0, Relaxed);
    }
}

/// Live figures of a frontend.
#[derive(Debug)]
pub struct FrontendState {
    /// Current sessions and their maximum.
    pub sessions: Gauge,
    /// Sessions per second.
    pub session_rate: Rate,
    /// Connections per second.
    pub connection_rate: Rate,
    pub(crate) cells: Box<[FrontendCells]>,
    base: std::sync::Mutex<FrontendTotals>,
    /// Bit n: worker n has clients it could not take because a limit was reached.
    pub(crate) starving: AtomicU64,
}

/// Live figures of a listener.
#[derive(Debug)]
pub struct ListenerState {
    /// Current sessions and their maximum.
    pub sessions: Gauge,
    pub(crate) cells: Box<[ListenerCells]>,
    base: std::sync::Mutex<ListenerTotals>,
}

/// Live figures of a server that are not the pool's.
#[derive(Debug)]
pub struct ServerState {
    /// Selections per second.
    pub session_rate: Rate,
    pub(crate) cells: Box<[BackendCells]>,
    pub(crate) averages: Averages,
    base: std::sync::Mutex<BackendTotals>,
    /// Second of the last session in whole seconds of the relay's clock plus one; 0 = never.
    pub(crate) last_session: AtomicU64,
}

fn cells<T: Default>(workers: usize) -> Box<[T]> {
    (0..workers.max(1)).map(|_| T::default()).collect()
}

fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl FrontendState {
    /// Figures for `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            sessions: Gauge::default(),
            session_rate: Rate::default(),
            connection_rate: Rate::default(),
            cells: cells(workers),
            base: std::sync::Mutex::default(),
            starving: AtomicU64::new(0),
        }
    }

    /// The sum over all workers since start or [`FrontendState::clear`].
    #[must_use]
    pub fn totals(&self) -> FrontendTotals {
        FrontendTotals::of(&self.cells).since(&locked(&self.base))
    }

    /// `clear counters all`.
    pub fn clear(&self) {
        *locked(&self.base) = FrontendTotals::of(&self.cells);
    }

    /// `clear counters`: forgets the maxima only.
    pub fn clear_peaks(&self) {
        self.sessions.clear_max();
        self.session_rate.clear_max();
        self.connection_rate.clear_max();
    }
}

impl ListenerState {
    /// Figures for `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            sessions: Gauge::default(),
            cells: cells(workers),
            base: std::sync::Mutex::default(),
        }
    }

    /// The sum over all workers since start or [`ListenerState::clear`].
    #[must_use]
    pub fn totals(&self) -> ListenerTotals {
        ListenerTotals::of(&self.cells).since(&locked(&self.base))
    }

    /// `clear counters all`.
    pub fn clear(&self) {
        *locked(&self.base) = ListenerTotals::of(&self.cells);
    }
}

impl ServerState {
    /// Figures for `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            session_rate: Rate::default(),
            cells: cells(workers),
            averages: Averages::new(512),
            base: std::sync::Mutex::default(),
            last_session: AtomicU64::new(0),
        }
    }

    /// The sum over all workers since start or [`ServerState::clear`].
    #[must_use]
    pub fn totals(&self) -> BackendTotals {
        BackendTotals::of(&self.cells).since(&locked(&self.base))
    }

    /// Average and highest times of its sessions.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.averages.timings()
    }

    /// Whole seconds since a session last used the server (`lastsess`), `None` if never.
    #[must_use]
    pub fn last_session(&self) -> Option<u64> {
        since_last(&self.last_session)
    }

    /// `clear counters all`.
    pub fn clear(&self) {
        *locked(&self.base) = BackendTotals::of(&self.cells);
        self.averages.clear();
        self.session_rate.clear_max();
    }
}

pub(crate) fn since_last(cell: &AtomicU64) -> Option<u64> {
    let last = cell.load(Relaxed).checked_sub(1)?;
    Some(crate::clock::seconds().saturating_sub(last))
}

pub(crate) fn mark_last(cell: &AtomicU64, second: u64) {
    let value = second.saturating_add(1);
    // Most sessions of a busy server fall into a second already written.
    if cell.load(Relaxed) != value {
        cell.store(value, Relaxed);
    }
}

/// Counters and averages of a backend as a whole; its pool is in [`crate::BackendState`].
#[derive(Debug)]
pub(crate) struct BackendFigures {
    pub(crate) cells: Box<[BackendCells]>,
    pub(crate) averages: Averages,
    base: std::sync::Mutex<BackendTotals>,
}

impl BackendFigures {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            cells: cells(workers),
            averages: Averages::new(1024),
            base: std::sync::Mutex::default(),
        }
    }

    pub(crate) fn totals(&self) -> BackendTotals {
        BackendTotals::of(&self.cells).since(&locked(&self.base))
    }

    pub(crate) fn timings(&self) -> Timings {
        self.averages.timings()
    }

    pub(crate) fn clear(&self) {
        *locked(&self.base) = BackendTotals::of(&self.cells);
        self.averages.clear();
    }
}
