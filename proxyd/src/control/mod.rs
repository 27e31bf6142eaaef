//! The control plane: everything that is not moving bytes.
//!
//! It builds the data path's settings from the configuration ([`build`]), runs the server checks
//! and acts on them ([`health`]), writes the log ([`logging`]) and serves the admin sockets
//! ([`api`]). All of it lives on one thread with a runtime of its own, so that nothing here can
//! make a connection wait.

mod input;

pub(crate) use input::{Bound, BoundListener, BoundStats, Console, Identity};

use std::sync::Arc;

use haproxy_cfg::model::Config;

/// Where log lines go, opened while their paths can still be reached.
///
/// Make it before `chroot(2)`; the identity (pid, tag) comes in at [`Daemon::start`].
#[derive(Debug)]
pub(crate) struct LogTargets {}

impl LogTargets {
    /// Opens every target of the configuration. Cannot fail: a target that is absent now is
    /// tried again whenever a line is due.
    pub(crate) fn open(config: &Config) -> Self {
        let _ = config;
        Self {}
    }
}

/// The running daemon: data path, checks, log and admin sockets. Dropping it ends all of them at
/// once.
#[derive(Debug)]
pub(crate) struct Daemon {}

impl Daemon {
    /// Starts the data path's workers and the control thread. Call it with the final identity of
    /// the process: after fork, chroot and the change of user.
    ///
    /// # Errors
    /// If a thread or a runtime cannot be had, or `bound` names a proxy or bind line that the
    /// configuration does not have.
    pub(crate) fn start(
        config: Arc<Config>,
        bound: Bound,
        targets: LogTargets,
        identity: Identity,
    ) -> anyhow::Result<Self> {
        let _ = (config, bound, targets, identity);
        Ok(Self {})
    }

    /// Closes all listeners; sessions finish, at the latest after `hard-stop-after` (SIGUSR1).
    pub(crate) fn soft_stop(&self) {}

    /// Logs the state of every server (SIGHUP).
    pub(crate) fn dump_states(&self) {}

    /// Stops accepting; the sockets stay bound (SIGTTOU).
    pub(crate) fn pause_listeners(&self) {}

    /// Accepts again after [`Self::pause_listeners`] (SIGTTIN).
    pub(crate) fn resume_listeners(&self) {}

    /// Resolves when a soft stop is complete: no listener and no session is left. The process
    /// then exits with 0.
    pub(crate) async fn finished(&self) {
        std::future::pending::<()>().await;
    }
}
