//! The loop: one thread, one timer, and nothing in it that waits for anything but
//! the next thing to happen.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use daemonkit::notify;
use netif::{Event as KernelEvent, Kernel, RtNetlink};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;
use vrrp_core::{Duration, Time};
use vrrp_proto::Datagram;

use crate::dump;
use crate::engine::Engine;
use crate::host;
use crate::lateness::Lateness;
use crate::log::{Log, Voice};
use crate::notify::Notifier;
use crate::reload::{self, Prepared, Source};
use crate::script::runner::{Report, Runner};
use crate::track::{self, Trackers, Watched};
use crate::wire::{Endpoint, RawWire, Wire as _};

/// Kernel events taken in one turn, so that a storm of them cannot keep the timer
/// from firing.
const EVENTS_A_TURN: usize = 256;
/// How long the stop waits for the kernel to remove the addresses.
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);
/// How long it waits for the scripts' thread beyond what notify scripts may take.
const SCRIPT_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);

/// The monotonic clock, counted from the start of the daemon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Time {
        let elapsed = self.origin.elapsed().as_nanos();
        Time(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    fn instant(self, time: Time) -> Instant {
        self.origin + std::time::Duration::from_nanos(time.0)
    }
}

/// Signals the daemon answers.
#[derive(Debug)]
pub(crate) struct Signals {
    watched: Vec<(Command, Signal)>,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Stop,
    Reload,
    Data,
    Stats,
    /// The statistics, which begin anew.
    ClearStats,
    Json,
}

/// The real-time signals by which keepalived clears statistics and writes JSON: its
/// numbers follow the C library's, which keeps some for itself.
pub(crate) fn realtime(command: Command) -> Option<i32> {
    match command {
        Command::Json => Some(nix::libc::SIGRTMIN() + 2),
        Command::ClearStats => Some(nix::libc::SIGRTMAX() - 1),
        Command::Stop | Command::Reload | Command::Data | Command::Stats => None,
    }
}

impl Signals {
    /// Begins to catch them; needs the runtime.
    ///
    /// # Errors
    /// When handlers cannot be set.
    pub(crate) fn catch() -> std::io::Result<Self> {
        let watched = [
            (Command::Stop, SignalKind::terminate()),
            (Command::Stop, SignalKind::interrupt()),
            (Command::Reload, SignalKind::hangup()),
            (Command::Data, SignalKind::user_defined1()),
            (Command::Stats, SignalKind::user_defined2()),
        ]
        .into_iter()
        .chain(
            [Command::Json, Command::ClearStats]
                .into_iter()
                .filter_map(|command| {
                    let kind = SignalKind::from_raw(realtime(command)?);
                    Some((command, kind))
                }),
        )
        .map(|(command, kind)| Ok((command, signal(kind)?)))
        .collect::<std::io::Result<_>>()?;
        Ok(Self { watched })
    }

    /// Whether one asks for the stop; the others keep until they are asked for.
    pub(crate) fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut stops = self
            .watched
            .iter_mut()
            .filter(|(command, _)| *command == Command::Stop);
        if stops.any(|(_, signal)| signal.poll_recv(cx).is_ready()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// What came in since the last turn.
#[derive(Default)]
struct Inbox {
    /// All that had come in by then is in here, or was handed over before.
    heard: Time,
    packets: Vec<(Endpoint, Datagram)>,
    kernel: Vec<KernelEvent>,
    reports: Vec<Report>,
    /// Lines of the scripts' thread.
    lines: Vec<String>,
    tracked: Vec<track::Report>,
    commands: Vec<Command>,
    prepared: Option<Prepared>,
    kernel_lost: bool,
    timer: bool,
    /// How long after its time the timer fired.
    late: Option<std::time::Duration>,
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.packets.is_empty()
            && self.kernel.is_empty()
            && self.reports.is_empty()
            && self.lines.is_empty()
            && self.tracked.is_empty()
            && self.commands.is_empty()
            && self.prepared.is_none()
            && !self.kernel_lost
            && !self.timer
    }
}

/// The daemon at work.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) engine: Engine<RtNetlink, RawWire>,
    pub(crate) runner: Runner,
    pub(crate) notifier: Notifier,
    pub(crate) trackers: Trackers,
    pub(crate) signals: Signals,
    pub(crate) log: Rc<Log>,
    pub(crate) clock: Clock,
    pub(crate) source: Source,
    pub(crate) loading: Option<JoinHandle<Prepared>>,
    /// What was wrong with the running configuration when it was taken.
    pub(crate) accepted: reload::Complaints,
    pub(crate) host: host::Settings,
    pub(crate) lateness: Lateness,
    /// `-d`
    pub(crate) dump_at_start: bool,
    /// A reload was asked for while one was under way.
    pub(crate) reload_again: bool,
    /// What is to be run once it has ended.
    pub(crate) at_end: AtEnd,
}

/// A script that is run once all else has ended, and how long it may take.
pub(crate) type AtEnd = Rc<RefCell<Option<(keepalived_conf::Command, Duration)>>>;

impl Driver {
    /// Runs until a signal says to stop; the result is the exit code.
    pub(crate) async fn run(mut self) -> u8 {
        let mut announced = false;
        loop {
            let mut inbox = self.wait().await;
            self.log.flush();
            if let Some(late) = inbox.late {
                let global = &self.engine.config().global;
                self.lateness.seen(late, global, &self.log);
            }
            let now = self.clock.now();
            if !inbox.packets.is_empty() {
                self.engine.packets(now, std::mem::take(&mut inbox.packets));
            }
            if !inbox.kernel.is_empty() {
                self.engine.kernel_events(now, &inbox.kernel);
            }
            for report in &inbox.reports {
                self.engine.report(now, report);
            }
            for line in &inbox.lines {
                self.log.info(line);
            }
            for report in &inbox.tracked {
                match report {
                    track::Report::Stands {
                        kind,
                        name,
                        standing,
                    } => self.engine.tracker(now, *kind, name, *standing),
                    track::Report::Line(line) => self.log.info(line),
                    track::Report::Looked => {}
                }
            }
            if let Some(prepared) = inbox.prepared.take() {
                self.prepared(prepared);
            }
            // Not by the present time: the process may have stood still since it
            // listened, and adverts wait again.
            self.engine.tick(inbox.heard);
            self.pass_notices();
            self.start_jobs();
            if !announced && self.engine.knows_the_host() {
                announced = true;
                self.log.write(
                    Voice::Parent,
                    daemonkit::syslog::Level::Info,
                    "Startup complete",
                );
                if self.dump_at_start {
                    dump::to_log(&self.engine, now, &self.log);
                }
                notify::ready();
            }
            for command in inbox.commands {
                match command {
                    Command::Stop => {
                        let script = &self.engine.config().global.shutdown_script;
                        self.at_end.borrow_mut().clone_from(script);
                        return self.stop().await;
                    }
                    Command::Reload => self.begin_reload(),
                    Command::Data => dump::data(&self.engine, now, &self.log),
                    Command::Stats => dump::stats(&self.engine, now, &self.log),
                    Command::ClearStats => dump::clear_stats(&mut self.engine, now, &self.log),
                    Command::Json => dump::json(&self.engine, now, &self.log),
                }
            }
            if inbox.kernel_lost {
                self.log.write(
                    Voice::Vrrp,
                    daemonkit::syslog::Level::Err,
                    "Netlink: connection lost, cannot go on",
                );
                self.stop().await;
                return 1;
            }
        }
    }

    /// Sleeps until something happens. Packets are looked for first.
    async fn wait(&mut self) -> Inbox {
        let retry = self.log.retry_in().map(|pause| Instant::now() + pause);
        let deadline = self.engine.deadline();
        let deadline = deadline.map(|deadline| self.clock.instant(deadline));
        let deadline = deadline.into_iter().chain(retry).min();
        // Without a deadline the timer is never looked at.
        let mut timer = pin!(tokio::time::sleep_until(
            deadline.unwrap_or_else(Instant::now)
        ));
        // The runtime's own budget of a turn is smaller than what may wait after a
        // pause, and would let the timer fire with adverts unread. All loops in here
        // have limits of their own.
        unconstrained(poll_fn(|cx| {
            let mut inbox = Inbox {
                heard: self.clock.now(),
                ..Inbox::default()
            };
            if let Poll::Ready(packets) = self.engine.wire_mut().poll_packets(cx) {
                inbox.packets = packets;
            }
            while inbox.kernel.len() < EVENTS_A_TURN {
                match self.engine.kernel_mut().poll_event(cx) {
                    Poll::Ready(Some(event)) => inbox.kernel.push(event),
                    Poll::Ready(None) => {
                        inbox.kernel_lost = true;
                        break;
                    }
                    Poll::Pending => break,
                }
            }
            while let Poll::Ready(Some(report)) = self.runner.poll_report(cx) {
                inbox.reports.push(report);
            }
            while let Poll::Ready(Some(line)) = self.runner.poll_line(cx) {
                inbox.lines.push(line);
            }
            while inbox.tracked.len() < EVENTS_A_TURN {
                match self.trackers.poll_report(cx) {
                    Poll::Ready(report) => inbox.tracked.push(report),
                    Poll::Pending => break,
                }
            }
            for (command, signal) in &mut self.signals.watched {
                if let Poll::Ready(Some(())) = signal.poll_recv(cx) {
                    inbox.commands.push(*command);
                }
            }
            if let Some(loading) = &mut self.loading
                && let Poll::Ready(result) = std::pin::Pin::new(loading).poll(cx)
            {
                let broken = |error| Prepared::failed(format!("not finished: {error}"));
                inbox.prepared = Some(result.unwrap_or_else(broken));
                self.loading = None;
            }
            if deadline.is_some() && timer.as_mut().poll(cx).is_ready() {
                inbox.timer = true;
                inbox.late = deadline.map(|deadline| deadline.elapsed());
            }
            if inbox.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(inbox)
            }
        }))
        .await
    }

    /// Tells scripts and FIFOs what happened.
    fn pass_notices(&mut self) {
        for notice in self.engine.take_notices() {
            for line in self.notifier.tell(&notice) {
                self.log.info(&line);
            }
        }
    }

    fn start_jobs(&mut self) {
        for job in self.engine.take_jobs() {
            if let Err(job) = self.runner.run(job) {
                self.engine.job_refused(&job);
            }
        }
    }

    /// The file is read on a helper thread: a large one must not hold adverts up.
    fn begin_reload(&mut self) {
        if self.loading.is_some() {
            self.reload_again = true;
            return;
        }
        self.log.write(
            Voice::Parent,
            daemonkit::syslog::Level::Info,
            "Reloading ...",
        );
        notify::reloading();
        let (source, accepted) = (self.source.clone(), self.accepted.clone());
        self.loading = Some(tokio::task::spawn_blocking(move || {
            reload::prepare(&source, &accepted)
        }));
    }

    fn prepared(&mut self, prepared: Prepared) {
        for line in &prepared.parent {
            self.log
                .write(Voice::Parent, daemonkit::syslog::Level::Info, line);
        }
        self.log.info("Reloading");
        for line in &prepared.vrrp {
            self.log.info(line);
        }
        match prepared.outcome {
            Ok((config, complaints)) => {
                self.accepted = complaints;
                let host = self.host.with(&config.global);
                host.apply(&self.host, &self.log);
                self.host = host;
                for line in self.notifier.configure(&config.global) {
                    self.log.info(&line);
                }
                self.watch(Watched::of(&config));
                let repeat = config.global.states_on_reload;
                self.engine.reload(self.clock.now(), config);
                self.pass_notices();
                if repeat {
                    self.engine.repeat_states();
                    self.pass_notices();
                }
                self.log.info("Reload complete");
            }
            Err(reasons) => {
                for reason in reasons {
                    let line = format!("Reload: {reason}");
                    self.log
                        .write(Voice::Vrrp, daemonkit::syslog::Level::Err, &line);
                }
            }
        }
        notify::ready();
        if std::mem::take(&mut self.reload_again) {
            self.begin_reload();
        }
    }

    /// Watches other files and processes; what is watched already goes on as it is.
    fn watch(&mut self, watched: Watched) {
        if *self.trackers.watched() == watched {
            return;
        }
        match Trackers::start(watched, false) {
            Ok(trackers) => self.trackers = trackers,
            Err(error) => self.log.write(
                Voice::Vrrp,
                daemonkit::syslog::Level::Err,
                &format!("Cannot watch files and processes: {error}"),
            ),
        }
    }

    async fn stop(mut self) -> u8 {
        notify::stopping();
        self.log
            .write(Voice::Parent, daemonkit::syslog::Level::Info, "Stopping");
        self.engine.stop(self.clock.now());
        self.pass_notices();
        let removed = tokio::time::timeout(STOP_LIMIT, self.drain()).await;
        if removed.is_err() {
            self.log
                .info("The kernel has not removed all addresses in time");
        }
        self.notifier.close();
        // The runner has limits of its own, and this is for the case that it hangs.
        let limit = self.engine.config().global.child_wait_time.to_std();
        let hung = limit.saturating_add(SCRIPT_LIMIT);
        let _ = tokio::time::timeout(hung, self.runner.stop(limit)).await;
        self.log.info(&host::last_line(&self.log));
        0
    }

    /// Takes the kernel's answers until none is outstanding.
    async fn drain(&mut self) {
        const LOOK: std::time::Duration = std::time::Duration::from_millis(2);
        while self.engine.is_busy() {
            let next = poll_fn(|cx| self.engine.kernel_mut().poll_event(cx));
            match tokio::time::timeout(LOOK, next).await {
                Ok(Some(event)) => self.engine.kernel_events(self.clock.now(), &[event]),
                Ok(None) => return,
                Err(_) => {}
            }
        }
    }
}
