//! A process that serves: no root any more, all threads running, signals.

use std::sync::Arc;

use daemonkit::signals;
use haproxy_cfg::model::Config;
use nix::sys::signal::Signal;
use relay::Rings;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::daemonize::{Nowhere, Up};
use super::messages::Messages;
use super::takeover::OldProcesses;
use super::{limits, privileges};
use crate::control::{self, Bound, Daemon, Identity, LogTargets};

/// Whether standard streams stay open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// They do.
    Foreground,
    /// They are replaced by `/dev/null` once the process is up.
    Background,
}

/// Whether a master supervises this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    /// It stands alone.
    None,
    /// It ends when its master does.
    Master,
}

/// Everything a serving process starts with.
pub(crate) struct Service {
    pub(crate) config: Arc<Config>,
    pub(crate) bound: Bound,
    pub(crate) log: LogTargets,
    pub(crate) identity: Identity,
    pub(crate) old: OldProcesses,
    pub(crate) ground: Ground,
    pub(crate) parent: Parent,
    /// Tells the process that waits for this one to come up.
    pub(crate) up: Option<Up>,
}

/// Signals that do nothing here, where they would end the process by default.
const WITHOUT_EFFECT: [Signal; 3] = [Signal::SIGUSR2, Signal::SIGALRM, Signal::SIGQUIT];

/// Serves until a soft stop is complete.
///
/// # Errors
/// The start failed; the text is for the operator.
pub(crate) fn run(service: Service, messages: &mut Messages) -> Result<(), String> {
    let nowhere = (service.ground == Ground::Background).then(Nowhere::open);
    let global = &service.config.global;
    let rings = control::rings(&service.config, &service.identity);
    privileges::drop_root(global, messages)?;
    privileges::harden(global);
    if service.parent == Parent::Master {
        // Asked for after the change of user, which would undo it.
        let _ = osys::process::set_parent_death_signal(Signal::SIGTERM);
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("Cannot start the event loop: {error}."))?
        .block_on(serve(service, nowhere, rings))
        .map_err(|error| format!("{error:#}."))
}

async fn serve(service: Service, nowhere: Option<Nowhere>, rings: Rings) -> anyhow::Result<()> {
    // Before anybody is told that this process is up, so that no signal that
    // follows meets the default action. SIGTERM and SIGINT keep it: the
    // process dies by them at once.
    let mut signals = Signals::listen()?;
    let may_fork = service.config.global.insecure_fork_wanted;
    let Service {
        config,
        bound,
        log,
        identity,
        old,
        up,
        ..
    } = service;
    let daemon = Daemon::start(config, bound, log, identity, rings)?;
    signals::unblock_all()?;
    if !may_fork {
        limits::forbid_new_processes();
    }
    old.dismiss();
    if let Some(nowhere) = nowhere {
        nowhere.replace_standard_streams();
    }
    if let Some(up) = up {
        up.tell();
    }
    loop {
        tokio::select! {
            () = daemon.finished() => return Ok(()),
            signal = signals.next() => match signal {
                Signal::SIGUSR1 => daemon.soft_stop(),
                Signal::SIGHUP => daemon.dump_states(),
                Signal::SIGTTOU => daemon.pause_listeners(),
                _ => daemon.resume_listeners(),
            },
        }
    }
}

/// The signals that a serving process reacts to.
struct Signals {
    soft_stop: Stream,
    dump: Stream,
    pause: Stream,
    resume: Stream,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let stream = |which: Signal| signal(SignalKind::from_raw(which as i32));
        for which in WITHOUT_EFFECT {
            // The handler stays when the stream goes.
            drop(stream(which)?);
        }
        Ok(Self {
            soft_stop: stream(Signal::SIGUSR1)?,
            dump: stream(Signal::SIGHUP)?,
            pause: stream(Signal::SIGTTOU)?,
            resume: stream(Signal::SIGTTIN)?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.soft_stop.recv() => Signal::SIGUSR1,
            _ = self.dump.recv() => Signal::SIGHUP,
            _ = self.pause.recv() => Signal::SIGTTOU,
            _ = self.resume.recv() => Signal::SIGTTIN,
        }
    }
}
