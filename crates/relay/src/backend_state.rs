//! What lives on behind a backend: its pool of servers, its figures.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lb_core::{Pool, PoolSettings, ServerView, Time};

use crate::clock;
use crate::counters::{BackendFigures, BackendTotals, Gauge, Timings, since_last};
use crate::rate::Rate;

/// The servers' state, the queues and the figures of one backend.
///
/// The pool sits behind a mutex that a connection takes once when it picks its server and once
/// when it gives the slot back, never while it relays: an exact round robin over all workers
/// needs one place that knows whose turn it is.
#[derive(Debug)]
pub struct BackendState {
    pool: Mutex<Pool>,
    /// Current sessions (`beconn`, `scur`) and their maximum.
    pub sessions: Gauge,
    /// Sessions per second.
    pub session_rate: Rate,
    pub(crate) figures: BackendFigures,
    pub(crate) last_session: AtomicU64,
}

impl BackendState {
    /// A backend's state with figures for `workers` workers.
    #[must_use]
    pub fn new(settings: &PoolSettings, workers: usize) -> Self {
        Self {
            pool: Mutex::new(Pool::new(settings, Time::from_millis(clock::millis()))),
            sessions: Gauge::default(),
            session_rate: Rate::default(),
            figures: BackendFigures::new(workers),
            last_session: AtomicU64::new(0),
        }
    }

    /// The pool. Held for a few instructions only, by workers as well as by control.
    pub(crate) fn pool(&self) -> MutexGuard<'_, Pool> {
        // A worker that panics aborts the process in release builds; in tests the pool is still
        // consistent, because every method of it completes before the guard drops.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One server's live figures.
    #[must_use]
    pub fn server(&self, index: usize) -> Option<ServerView> {
        self.pool().server(index)
    }

    /// All servers' live figures, in the order of the configuration.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerView> {
        self.pool().views()
    }

    /// Usable servers: (active, backup).
    #[must_use]
    pub fn usable(&self) -> (u32, u32) {
        let pool = self.pool();
        (pool.active(), pool.backups())
    }

    /// Sum of the effective weights balancing uses now, in configured units (`weight` of the
    /// BACKEND row of `show stat`).
    #[must_use]
    pub fn total_weight(&self) -> u32 {
        self.pool().total_weight()
    }

    /// Sessions waiting for any server: (now, the most at one time).
    #[must_use]
    pub fn queued(&self) -> (u32, u32) {
        let pool = self.pool();
        (pool.queued(), pool.queued_max())
    }

    /// The sum over all workers since start or [`BackendState::clear`].
    #[must_use]
    pub fn totals(&self) -> BackendTotals {
        self.figures.totals()
    }

    /// Average and highest times of its sessions.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.figures.timings()
    }

    /// Whole seconds since a session last used the backend (`lastsess`), `None` if never.
    #[must_use]
    pub fn last_session(&self) -> Option<u64> {
        since_last(&self.last_session)
    }

    /// `clear counters`: forgets the maxima, of the servers as well.
    pub fn clear_peaks(&self) {
        self.sessions.clear_max();
        self.session_rate.clear_max();
        self.pool().clear_peaks();
    }

    /// `clear counters all`.
    pub fn clear(&self) {
        self.figures.clear();
        self.clear_peaks();
    }
}
