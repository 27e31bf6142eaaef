//! The control plane: everything that is not moving bytes.
//!
//! It builds the data path's settings from the configuration ([`build`]), runs the server checks
//! and acts on them ([`health`], [`transition`]), writes the log ([`logging`]) and serves the admin
//! sockets ([`api`]). All of it lives on one thread with a runtime of its own, so that nothing
//! here can make a connection wait.

mod api;
mod build;
mod clock;
mod health;
mod input;
mod logfmt;
mod logging;
mod plane;
mod server;
mod stop;
mod transition;

#[cfg(test)]
mod tests;

pub(crate) use input::{Bound, BoundListener, BoundStats, Console, Identity, default_pipes};
pub(crate) use logging::LogTargets;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use daemonkit::syslog::Level;
use haproxy_cfg::model::{Config, Global};
use relay::{Relay, RelaySettings, Rings, Splice};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use self::api::Exposed;
use self::logging::Logs;
use self::plane::{Plane, View};

/// What the process asks of the control thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    SoftStop,
    DumpStates,
    Pause,
    Resume,
}

/// The running daemon: data path, checks, log and admin sockets. Dropping it ends all of them at
/// once.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// `None` only while dropping.
    commands: Option<mpsc::UnboundedSender<Command>>,
    finished: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
}

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
        rings: Rings,
    ) -> anyhow::Result<Self> {
        let exposed = exposed(&config, &bound.listeners)?;
        let built = build::build(&config, &identity, bound.listeners)?;
        let logs = Arc::new(Logs::new(&config, targets, &identity));
        let sink: Arc<dyn relay::SessionSink> = Arc::<Logs>::clone(&logs);
        let settings = relay_settings(&config.global, &identity);
        let snapshot = Arc::clone(&built.snapshot);
        let relay = Relay::start_with(&settings, snapshot, built.sockets, sink, rings)?;
        if let Some(reason) = relay.ring_refusal() {
            let text = format!("tune.io-uring is without effect, epoll is used: {reason}");
            logs.warn_global(Level::Warning, &text);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the control thread's runtime")?;
        let stats = bound.stats;
        let view = View {
            snapshot: built.snapshot,
            places: built.places,
            addresses: built.addresses,
            exposed,
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        let (done, finished) = watch::channel(false);
        // Without a name of its own the thread keeps the program's, which `killall -0` and
        // `pgrep` look for.
        let thread = std::thread::Builder::new()
            .spawn(move || {
                let plane = Plane::new(config, identity, relay, view, logs);
                let plane = Rc::new(RefCell::new(plane));
                let local = LocalSet::new();
                local.block_on(&runtime, async {
                    health::start(&plane);
                    let sockets = api::start(&plane, stats);
                    plane.borrow().relay.measure_descriptors();
                    stop::serve(&plane, sockets, receiver, done).await;
                });
            })
            .context("cannot start the control thread")?;
        Ok(Self {
            commands: Some(sender),
            finished,
            thread: Some(thread),
        })
    }

    /// Closes all listeners; sessions finish, at the latest after `hard-stop-after` (SIGUSR1).
    pub(crate) fn soft_stop(&self) {
        self.send(Command::SoftStop);
    }

    /// Logs the state of every server (SIGHUP).
    pub(crate) fn dump_states(&self) {
        self.send(Command::DumpStates);
    }

    /// Stops accepting; the sockets stay bound (SIGTTOU).
    pub(crate) fn pause_listeners(&self) {
        self.send(Command::Pause);
    }

    /// Accepts again after [`Self::pause_listeners`] (SIGTTIN).
    pub(crate) fn resume_listeners(&self) {
        self.send(Command::Resume);
    }

    /// Resolves when a soft stop is complete: no listener and no session is left. The process
    /// then exits with 0.
    pub(crate) async fn finished(&self) {
        let mut finished = self.finished.clone();
        // An error says that the control thread is gone, which ends the service as well.
        let _ = finished.wait_for(|done| *done).await;
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // The thread is gone only once the service has finished.
            let _ = commands.send(command);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// A second descriptor of every listening socket, if an admin socket may hand them over.
fn exposed(config: &Config, listeners: &[BoundListener]) -> anyhow::Result<Vec<Exposed>> {
    let mut sockets = config.global.stats_sockets.iter();
    if !sockets.any(|socket| socket.expose_fd_listeners) {
        return Ok(Vec::new());
    }
    let mut exposed = Vec::new();
    for bound in listeners {
        let proxy = config.proxies.get(bound.proxy);
        let bind = proxy.and_then(|proxy| proxy.binds.get(bound.bind));
        for fd in &bound.fds {
            exposed.push(Exposed {
                proxy: bound.proxy,
                interface: bind.and_then(|bind| bind.interface.clone()),
                fd: fd
                    .try_clone()
                    .context("cannot duplicate a listening socket")?,
            });
        }
    }
    Ok(exposed)
}

/// The workers' rings, as far as the configuration wants them: before the change of user, for what
/// they lock in memory counts for whoever makes them.
pub(crate) fn rings(config: &Config, identity: &Identity) -> Rings {
    Rings::prepare(&relay_settings(&config.global, identity))
}

fn relay_settings(global: &Global, identity: &Identity) -> RelaySettings {
    let default = RelaySettings::default();
    let size = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    let mut settings = RelaySettings {
        workers: identity.workers.max(1),
        splice: if global.nosplice {
            Splice::Off
        } else {
            Splice::Auto
        },
        buffer: global.tune.bufsize.map_or(default.buffer, size),
        pipe_size: global.tune.pipesize.map_or(default.pipe_size, size),
        max_pipes: Some(match global.maxpipes {
            Some(count) => size(count),
            None => relay::DEFAULT_PIPES.min(size(default_pipes(identity.maxconn))),
        }),
        maxconn: identity.maxconn,
        maxconn_rate: global.maxconnrate,
        max_accept: match global.tune.maxaccept {
            None | Some(0) => default.max_accept,
            Some(unlimited) if unlimited < 0 => u32::MAX,
            Some(limit) => limit.unsigned_abs(),
        },
        busy_polling: global.busy_polling,
        io_uring: global.tune.io_uring,
        cpus: (0..identity.workers.max(1))
            .map(|worker| global.cpu_map.of_thread(worker))
            .collect(),
        thread_name: String::from_utf8_lossy(&identity.tag).into_owned(),
        ..default
    };
    if let Some(events) = global.tune.maxpollevents {
        settings.max_events = size(events);
    }
    settings
}
