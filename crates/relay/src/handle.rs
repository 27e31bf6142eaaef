//! The running data path as control sees it.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use lb_core::{Admin, Change, Operational, ServerView, Time};
use osys::ring::Seed;

use crate::clock;
use crate::listen::Door;
use crate::record::{Cause, Peer, SessionSink};
use crate::shared::{Command, Shared, WorkerCells};
use crate::snapshot::{OnMarkedDown, Snapshot};
use crate::uring::Rings;
use crate::worker::Worker;

/// Process-wide settings of the data path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelaySettings {
    /// Worker threads (`nbthread`), at least 1.
    pub workers: usize,
    /// Bytes of the read buffer each worker shares among its connections, at least 16: the most
    /// that is read at once, and that a direction holds while its reader stalls. `tune.bufsize` if
    /// the configuration sets it; the default suits the memory of one buffer per thread.
    pub buffer: usize,
    /// Whether large transfers move through pipes (`nosplice` turns it off).
    pub splice: Splice,
    /// Size asked of every pipe (`tune.pipesize`), in bytes.
    pub pipe_size: usize,
    /// Pipes of the whole process (`maxpipes`); `None` = a default that fits the kernel's limits.
    pub max_pipes: Option<usize>,
    /// `maxconn` of the process: sessions at the same time, 0 = unlimited.
    pub maxconn: u32,
    /// `maxconnrate`: connections accepted per second, 0 = unlimited.
    pub maxconn_rate: u32,
    /// `tune.maxaccept`: connections accepted in a row by one listener.
    pub max_accept: u32,
    /// `tune.maxpollevents`: events looked at in one turn, at least 1; more than 256 never are.
    pub max_events: usize,
    /// `busy-polling`: workers look at their sockets without ever waiting.
    pub busy_polling: bool,
    /// `tune.io-uring`: connections begin on an io_uring and are handed over to epoll when they
    /// move bulk or wait. Workers to which the system grants no ring use epoll alone.
    pub io_uring: bool,
    /// `cpu-map`: the CPUs of each worker; all there are for one without an entry.
    pub cpus: Vec<Option<Vec<usize>>>,
    /// Name of the worker threads as `ps` and `pgrep` see it.
    pub thread_name: String,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            workers: 1,
            buffer: 256 * 1024,
            splice: Splice::Auto,
            pipe_size: 1024 * 1024,
            max_pipes: None,
            maxconn: 0,
            maxconn_rate: 0,
            max_accept: 64,
            max_events: 256,
            busy_polling: false,
            io_uring: false,
            cpus: Vec::new(),
            thread_name: String::from("haproxy"),
        }
    }
}

/// Whether data may move through pipes without being copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Splice {
    /// After two full reads in a row.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// A bound and listening socket, with the place it belongs to.
#[derive(Debug)]
pub struct ListenSocket {
    /// Index into [`Snapshot::frontends`].
    pub frontend: usize,
    /// Index into [`crate::Frontend::listeners`].
    pub listener: usize,
    /// Descriptors (`SO_REUSEPORT`): number i belongs to worker i modulo the number of workers. With
    /// fewer than workers, the last one is shared. Several sockets of one listener are fine.
    pub fds: Vec<OwnedFd>,
}

/// Which sessions to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionFilter {
    /// Every session.
    All,
    /// The session with this serial number.
    Serial(u64),
    /// The sessions of one server: indexes of backend and server.
    Server(usize, usize),
    /// The sessions on backup servers of a backend.
    Backups(usize),
    /// The sessions of one frontend.
    Frontend(usize),
}

/// Why sessions are ended from outside: first character of their termination state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillCause {
    /// `K`: the operator.
    Operator,
    /// `D`: their server was marked down.
    ServerDown,
    /// `U`: an active server is up again.
    ServerUp,
}

/// What [`Relay::change_server`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// The server before.
    pub before: ServerView,
    /// The server after.
    pub after: ServerView,
    /// Waiting sessions that moved: away from a server that went, or to one that came.
    pub requeued: u32,
    /// Sessions still waiting: for the server that went, or in the backend's queue.
    pub queue_left: u32,
    /// Usable active servers of the backend afterwards.
    pub active: u32,
    /// Usable backup servers of the backend afterwards.
    pub backups: u32,
}

/// A session as `show sess` lists it.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// Unique in this process.
    pub serial: u64,
    /// Who connected.
    pub client: Peer,
    /// Index of its frontend.
    pub frontend: usize,
    /// Index of its backend, if one is configured.
    pub backend: Option<usize>,
    /// Index of its server, once chosen.
    pub server: Option<usize>,
    /// Milliseconds since it was accepted.
    pub age: u64,
    /// Bytes read from the client.
    pub bytes_in: u64,
    /// Bytes read from the server.
    pub bytes_out: u64,
}

/// Process-wide figures (`show info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessFigures {
    /// `CurrConns`.
    pub connections: u32,
    /// The most at one time.
    pub connections_max: u32,
    /// `CumConns`: connections accepted.
    pub accepted: u64,
    /// `CumReq` and sessions: accepted and turned into a session.
    pub sessions: u64,
    /// `ConnRate`.
    pub connection_rate: u32,
    /// `MaxConnRate`.
    pub connection_rate_max: u32,
    /// `SessRate`.
    pub session_rate: u32,
    /// `MaxSessRate`.
    pub session_rate_max: u32,
    /// `TotalBytesOut`: bytes written to either side.
    pub bytes_out: u64,
    /// `TotalSplicdedBytesOut`: those of them that went through pipes.
    pub bytes_spliced: u64,
    /// `BytesOutRate`: bytes written in the running second, as a sliding rate.
    pub bytes_out_rate: u32,
    /// `PipesUsed`.
    pub pipes_used: u32,
    /// `PipesFree`: open and waiting in the workers' pools.
    pub pipes_free: u32,
    /// `Maxpipes`.
    pub pipes_max: u32,
    /// Listeners that accept.
    pub listeners: u32,
    /// `maxconn` in force, 0 = unlimited.
    pub maxconn: u32,
}

/// How to end the data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Listeners close, sessions finish by themselves.
    Soft,
    /// Listeners close and every session ends now (`K`).
    Hard,
}

/// Why [`Relay::start`] failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A worker could not be built.
    #[error("cannot start worker {worker}")]
    Worker {
        /// Which, from 0.
        worker: usize,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A socket names a frontend or listener the snapshot does not have.
    #[error("listening socket for frontend {frontend}, listener {listener}, which do not exist")]
    UnknownListener {
        /// Index of the frontend.
        frontend: usize,
        /// Index of the listener.
        listener: usize,
    },
}

/// The running workers. Dropping it ends every session and stops them at once.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Starts the workers, each with its own sockets of `sockets`.
    ///
    /// # Errors
    /// If a thread, an epoll instance or a runtime cannot be had, or a socket belongs nowhere; the
    /// sockets are closed then.
    pub fn start(
        settings: &RelaySettings,
        snapshot: Arc<Snapshot>,
        sockets: Vec<ListenSocket>,
        sink: Arc<dyn SessionSink>,
    ) -> Result<Self, StartError> {
        let rings = Rings::prepare(settings);
        Self::start_with(settings, snapshot, sockets, sink, rings)
    }

    /// As [`Relay::start`], with rings that were made for these settings before.
    ///
    /// # Errors
    /// As [`Relay::start`].
    pub fn start_with(
        settings: &RelaySettings,
        snapshot: Arc<Snapshot>,
        sockets: Vec<ListenSocket>,
        sink: Arc<dyn SessionSink>,
        mut rings: Rings,
    ) -> Result<Self, StartError> {
        let settings = settings.clone().completed();
        let workers = settings.workers;
        let failed = |worker| move |source| StartError::Worker { worker, source };
        let mut doors: Vec<Vec<Door>> = (0..workers).map(|_| Vec::new()).collect();
        for socket in sockets {
            let ListenSocket {
                frontend,
                listener,
                fds,
            } = socket;
            if snapshot
                .frontends
                .get(frontend)
                .is_none_or(|f| f.listeners.get(listener).is_none())
            {
                return Err(StartError::UnknownListener { frontend, listener });
            }
            let fds = enough(fds, workers).map_err(failed(0))?;
            for (number, fd) in fds.into_iter().enumerate() {
                if let Some(doors) = doors.get_mut(number % workers) {
                    doors.push(Door::new(fd, frontend, listener));
                }
            }
        }
        let shared = Arc::new(Shared::new(settings, snapshot, sink).map_err(failed(0))?);
        let listening = doors.iter().map(Vec::len).sum::<usize>();
        shared
            .listening
            .store(u32::try_from(listening).unwrap_or(u32::MAX), Relaxed);
        let mut relay = Self {
            shared,
            threads: Vec::new(),
        };
        for (worker, doors) in doors.into_iter().enumerate() {
            let seed = rings.take();
            relay.spawn(worker, doors, seed).map_err(failed(worker))?;
        }
        relay.measure_descriptors();
        Ok(relay)
    }

    /// Finds out how many descriptors are left for sessions. Call it again once the rest of the
    /// process has opened what it needs, or after a change of the limit.
    pub fn measure_descriptors(&self) {
        let settings = &self.shared.settings;
        let descriptors = &self.shared.descriptors;
        descriptors.measure(settings.workers, settings.maxconn);
    }

    /// Why a worker that was to use an io_uring uses epoll alone, if there is one.
    pub fn ring_refusal(&self) -> Option<&str> {
        self.shared.ring_refusal.get().map(String::as_str)
    }

    /// Starts one worker and waits until it stands.
    fn spawn(
        &mut self,
        index: usize,
        doors: Vec<Door>,
        seed: std::io::Result<Seed>,
    ) -> std::io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let (ready, answer) = mpsc::channel();
        let thread = std::thread::Builder::new().name(self.shared.settings.thread_name.clone());
        let body = move || {
            if let Some(Some(cpus)) = shared.settings.cpus.get(index) {
                pin(cpus);
            }
            let worker = match Worker::new(index, Arc::clone(&shared), doors, seed) {
                Ok(worker) => worker,
                Err(error) => {
                    let _nobody = ready.send(Err(error));
                    return;
                }
            };
            shared.running.send_modify(|running| *running += 1);
            let _nobody = ready.send(Ok(()));
            // Its epoll instance or runtime broke: the worker is lost, the others go on.
            let _lost = worker.run();
            shared.running.send_modify(|running| *running -= 1);
        };
        self.threads.push(thread.spawn(body)?);
        answer
            .recv()
            .unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))
    }

    /// Puts new settings in force for connections accepted from now on. Pools and figures live on
    /// in the `Arc`s control carries over; frontends and backends keep their indexes.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.shared.snapshot.store(snapshot);
        self.shared.broadcast(|| Command::Publish);
    }

    /// The settings in force.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// Changes a server's state, weight or limit, hands waiting sessions on, and ends its sessions
    /// if it went down and is configured so. `None` if there is no such server.
    pub fn change_server(&self, backend: usize, server: usize, change: Change) -> Option<Changed> {
        let snapshot = self.snapshot();
        let settings = snapshot.backends.get(backend)?;
        let mut pool = settings.state.pool();
        let before = pool.server(server)?;
        let now = Time::from_millis(clock::millis());
        let moved = pool.change(now, server, change, settings.state.sessions.current());
        let after = pool.server(server)?;
        let in_service = |view: &ServerView| {
            view.admin != Admin::Maintenance && view.operational == Operational::Up
        };
        let went = in_service(&before) && !in_service(&after);
        let changed = Changed {
            before,
            after,
            requeued: u32::try_from(moved.len()).unwrap_or(u32::MAX),
            queue_left: if went { after.queued } else { pool.queued() },
            active: pool.active(),
            backups: pool.backups(),
        };
        drop(pool);
        for dispatch in moved {
            self.shared.deliver(backend, dispatch);
        }
        let stopped = after.operational != Operational::Up || after.admin == Admin::Maintenance;
        let kills = settings
            .servers
            .get(server)
            .is_some_and(|server| server.on_marked_down == OnMarkedDown::ShutdownSessions);
        if went && stopped && kills {
            self.kill(
                SessionFilter::Server(backend, server),
                KillCause::ServerDown,
            );
        }
        Some(changed)
    }

    /// Stops accepting on a frontend; its sockets stay bound and refuse clients (SIGTTOU).
    pub fn pause(&self, frontend: usize) {
        self.shared.broadcast(|| Command::Pause(frontend));
    }

    /// Accepts again after [`Relay::pause`] (SIGTTIN).
    pub fn resume(&self, frontend: usize) {
        self.shared.broadcast(|| Command::Resume(frontend));
    }

    /// Closes a frontend's sockets for good.
    pub fn stop(&self, frontend: usize) {
        self.shared.broadcast(|| Command::Stop(frontend));
    }

    /// `maxconn` of the process, 0 = unlimited.
    pub fn set_maxconn(&self, maxconn: u32) {
        self.shared.maxconn.store(maxconn, Relaxed);
        self.shared.broadcast(|| Command::Accept);
    }

    /// Ends sessions from outside.
    pub fn kill(&self, filter: SessionFilter, cause: KillCause) {
        self.shared.broadcast(|| Command::Kill(filter, cause));
    }

    /// All sessions, oldest first. Waits for the workers' answers (at most a second), so never call
    /// it from one.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        let (sender, answers) = mpsc::channel();
        self.shared.broadcast(|| Command::List(sender.clone()));
        drop(sender);
        let until = std::time::Instant::now() + LISTING;
        let mut sessions = Vec::new();
        for _ in &self.shared.mailboxes {
            let left = until.saturating_duration_since(std::time::Instant::now());
            // A worker that has stopped drops the order unanswered.
            let Ok(mut part) = answers.recv_timeout(left) else {
                break;
            };
            sessions.append(&mut part);
        }
        sessions.sort_by_key(|session| session.serial);
        sessions
    }

    /// Process-wide figures.
    #[must_use]
    pub fn figures(&self) -> ProcessFigures {
        let shared = &self.shared;
        let sum = |of: fn(&WorkerCells) -> u64| shared.cells.iter().map(of).sum();
        ProcessFigures {
            connections: shared.active.current(),
            connections_max: shared.active.max(),
            accepted: sum(|cells| cells.accepted.load()),
            sessions: sum(|cells| cells.sessions.load()),
            connection_rate: shared.connection_rate.current(),
            connection_rate_max: shared.connection_rate.max(),
            session_rate: shared.session_rate.current(),
            session_rate_max: shared.session_rate.max(),
            bytes_out: sum(|cells| cells.bytes_out.load()),
            bytes_spliced: sum(|cells| cells.bytes_spliced.load()),
            bytes_out_rate: shared.written(sum(|cells| cells.bytes_out.load())),
            pipes_used: shared.pipes.used.load(Relaxed),
            pipes_free: shared.pipes.free.load(Relaxed),
            pipes_max: u32::try_from(shared.settings.pipes()).unwrap_or(u32::MAX),
            listeners: shared.listening.load(Relaxed),
            maxconn: shared.maxconn.load(Relaxed),
        }
    }

    /// Ends the data path; [`Relay::drained`] tells when it is over.
    pub fn shutdown(&self, how: Shutdown) {
        self.shared.broadcast(|| Command::Shutdown(how));
    }

    /// Resolves once [`Relay::shutdown`] has closed all listeners and no session is left.
    pub async fn drained(&self) {
        let mut running = self.shared.running.subscribe();
        // An error would mean that the sender is gone, and with it the workers.
        let _gone = running.wait_for(|running| *running == 0).await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shutdown(Shutdown::Hard);
        for thread in self.threads.drain(..) {
            // A worker that panicked has nothing left to say.
            let _panicked = thread.join();
        }
    }
}

/// How long [`Relay::sessions`] waits for busy workers.
const LISTING: std::time::Duration = std::time::Duration::from_secs(1);

/// Pipes of the process without `maxpipes`: as many of a MiB as an unprivileged user's share of
/// pipe memory (64 MiB) holds, less a few for others.
pub const DEFAULT_PIPES: usize = 48;

impl RelaySettings {
    /// With defaults filled in and impossible values corrected.
    fn completed(mut self) -> Self {
        self.workers = self.workers.clamp(1, 1 << 10);
        self
    }

    /// Pipes the process may have.
    pub(crate) fn pipes(&self) -> usize {
        match self.splice {
            Splice::Auto => self.max_pipes.unwrap_or(DEFAULT_PIPES),
            Splice::Off => 0,
        }
    }
}

/// Binds this thread to CPUs; where none of them exists it runs on all, as the original does.
fn pin(cpus: &[usize]) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    for cpu in cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU) {
        set.set(*cpu);
    }
    let _absent = sched_setaffinity(None, &set);
}

/// At least one descriptor for each worker: the last is shared if there are too few.
fn enough(mut fds: Vec<OwnedFd>, workers: usize) -> std::io::Result<Vec<OwnedFd>> {
    while fds.len() < workers {
        let Some(last) = fds.last() else { break };
        fds.push(last.try_clone()?);
    }
    Ok(fds)
}

impl KillCause {
    pub(crate) const fn cause(self) -> Cause {
        match self {
            Self::Operator => Cause::Killed,
            Self::ServerDown => Cause::ServerDown,
            Self::ServerUp => Cause::ServerUp,
        }
    }
}
