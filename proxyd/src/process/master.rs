//! The master: it holds the listening sockets, starts a worker, starts itself
//! anew when asked to reload, and ends with its workers (management guide,
//! section 3, `-W`).

use std::ffi::OsString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use daemonkit::notify;
use daemonkit::signals::Signals;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, fchdir};

use super::daemonize::{Child, Nowhere, Split, Up, split};
use super::messages::Messages;
use super::reexec::{self, State, Worker};
use super::serve::{self, Ground, Parent};
use super::sockets::{Inherited, Key, Sockets};
use super::startup::{self, Prepared};
use super::takeover::OldProcesses;

/// Signals a master reads one by one.
const WATCHED: [Signal; 9] = [
    Signal::SIGCHLD,
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGHUP,
    Signal::SIGTTOU,
    Signal::SIGTTIN,
    Signal::SIGQUIT,
];

/// How long a worker whose start failed may take to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Exit codes of workers that were asked to go.
const ASKED_TO_GO: [i32; 3] = [0, 128 + libc::SIGTERM, 128 + libc::SIGINT];

/// What the next image of the program needs besides the [`State`].
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) arguments: Vec<OsString>,
    /// Where the program was started; `-C` and relative paths count from there.
    pub(crate) directory: Option<OwnedFd>,
    /// `-Ws`
    pub(crate) systemd: bool,
}

/// A running master.
#[derive(Debug)]
pub(crate) struct Master {
    next: Next,
    messages: Messages,
    signals: Signals,
    workers: Vec<Worker>,
    no_exit_on_failure: bool,
    /// Held open for the worker after the next reload. Emptied by a stop.
    sockets: Sockets,
    inherited: Inherited,
    /// The first failure of a worker decides the exit code.
    exit_code: Option<i32>,
    stopping: bool,
}

impl Master {
    /// Starts a worker and supervises it; in the worker's process this serves.
    pub(crate) fn start(
        mut prepared: Prepared,
        previous: Option<State>,
        inherited: Inherited,
        next: Next,
        mut messages: Messages,
        up: Option<Up>,
    ) -> ExitCode {
        let reload = previous.is_some();
        let ground = prepared.ground;
        let old = std::mem::take(&mut prepared.old);
        let no_exit_on_failure = prepared.config.global.no_exit_on_failure;
        let former = previous.map(|state| state.workers).unwrap_or_default();
        // Blocked before the fork: nothing that is meant for the worker may
        // meet the default action before its handlers are in place.
        let started = Signals::block(&WATCHED).and_then(|signals| Ok((signals, split()?)));
        let (signals, child) = match started {
            Ok((signals, Split::Child(child))) => {
                // What only the master may hold: an open directory leads out
                // of any jail, and addresses that are not configured any more
                // must close with the master's copy.
                drop((signals, next, up, inherited));
                let service = startup::service(prepared, Parent::Master, Some(child));
                return startup::finish(serve::run(service, &mut messages), &mut messages);
            }
            Ok((signals, Split::Parent(child))) => (signals, child),
            Err(error) => {
                messages.main_alert(&format!("Cannot fork: {error}."));
                return ExitCode::FAILURE;
            }
        };
        messages.notice(&format!("New worker ({}) forked", child.pid));
        let mut master = Self {
            next,
            messages,
            signals,
            workers: former,
            no_exit_on_failure,
            sockets: prepared.sockets,
            inherited,
            exit_code: None,
            stopping: false,
        };
        if ground == Ground::Background {
            Nowhere::open().replace_standard_streams();
        }
        master.admit(child, reload, &old);
        if let Some(up) = up {
            up.tell();
        }
        master.supervise()
    }

    /// A master whose new image could not start a worker: those of the
    /// earlier image go on.
    pub(crate) fn waiting(
        state: State,
        inherited: Inherited,
        next: Next,
        messages: Messages,
    ) -> io::Result<Self> {
        let mut master = Self {
            next,
            messages,
            signals: Signals::block(&WATCHED)?,
            workers: state.workers,
            no_exit_on_failure: state.no_exit_on_failure,
            sockets: Sockets::default(),
            inherited,
            exit_code: None,
            stopping: false,
        };
        master.loading_failed();
        Ok(master)
    }

    /// Waits for the new worker to come up and lets it take the old one's place.
    fn admit(&mut self, child: Child, reload: bool, old: &OldProcesses) {
        let pid = child.pid;
        if child.wait_until_up() {
            for worker in &mut self.workers {
                worker.leaving = true;
            }
            self.signal_workers(Signal::SIGUSR1);
            old.dismiss();
            self.workers.push(Worker {
                pid,
                leaving: false,
            });
            // Addresses that are not configured any more.
            self.inherited = Inherited::default();
            self.messages.notice("Loading success.");
            self.tell_ready();
            return;
        }
        let code = end_of(pid);
        self.report_end(pid, false, code);
        if reload {
            let sockets = std::mem::take(&mut self.sockets);
            sockets.return_to(&mut self.inherited);
            self.loading_failed();
        } else {
            self.fail(code);
        }
    }

    fn loading_failed(&mut self) {
        self.messages.warning("Loading failure!");
        // The service runs on as before, which is what the manager must know.
        self.tell_ready();
    }

    fn tell_ready(&self) {
        if self.next.systemd {
            notify::ready();
        }
    }

    /// Reacts to signals until no worker is left; the value is the exit code.
    pub(crate) fn supervise(mut self) -> ExitCode {
        self.reap();
        while !self.workers.is_empty() {
            match self.signals.wait(None) {
                Ok(Some(signal)) => self.react(signal),
                Ok(None) => {}
                Err(error) => {
                    let text = format!("Cannot wait for signals: {error}");
                    self.messages.alert(&text);
                    self.stop(Signal::SIGTERM);
                    self.exit_code = Some(1);
                    break;
                }
            }
            // Signals of one kind may have been merged.
            self.reap();
        }
        let code = self.exit_code.unwrap_or(0);
        self.messages
            .warning(&format!("All workers exited. Exiting... ({code})"));
        ExitCode::from(u8::try_from(code).unwrap_or(1))
    }

    fn react(&mut self, signal: Signal) {
        match signal {
            Signal::SIGUSR2 | Signal::SIGHUP => self.reload(),
            Signal::SIGTERM | Signal::SIGINT | Signal::SIGUSR1 => self.stop(signal),
            Signal::SIGTTOU | Signal::SIGTTIN | Signal::SIGQUIT => self.signal_workers(signal),
            // SIGCHLD: children are looked after for every signal.
            _ => {}
        }
    }

    /// Starts the program anew. Whatever may be wrong with the new
    /// configuration is found out by the new image, while the worker goes on.
    fn reload(&mut self) {
        if self.stopping {
            return;
        }
        self.messages.notice("Reloading HAProxy");
        if self.next.systemd {
            notify::reloading();
        }
        let here = rustix::fs::open(
            ".",
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        );
        if let Some(directory) = &self.next.directory {
            // If it cannot be entered any more, absolute paths still work.
            let _ = fchdir(directory);
        }
        let state = State {
            workers: self.workers.clone(),
            sockets: self.open_sockets(),
            no_exit_on_failure: self.no_exit_on_failure,
        };
        let error = reexec::start_again(&state, &self.next.arguments);
        if let Ok(here) = here {
            let _ = fchdir(here);
        }
        self.messages
            .warning(&format!("Failed to reexecute the master process: {error}"));
        self.loading_failed();
    }

    fn open_sockets(&self) -> Vec<(RawFd, Key)> {
        let all = self.sockets.list().chain(self.inherited.list());
        all.map(|(fd, key)| (fd, key.clone())).collect()
    }

    /// Passes a stop on; nobody shall connect to sockets without a worker.
    fn stop(&mut self, signal: Signal) {
        if !self.stopping {
            self.stopping = true;
            self.messages.warning("Exiting Master process...");
            if self.next.systemd {
                notify::stopping();
            }
        }
        self.sockets = Sockets::default();
        self.inherited = Inherited::default();
        self.signal_workers(signal);
    }

    fn signal_workers(&self, signal: Signal) {
        for worker in &self.workers {
            // One that is gone will be noticed by its end.
            let _ = kill(worker.pid, signal);
        }
    }

    fn reap(&mut self) {
        while let Ok(status) = waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            let (Some(pid), Some(code)) = (status.pid(), exit_code(status)) else {
                break;
            };
            let Some(index) = self.workers.iter().position(|worker| worker.pid == pid) else {
                continue;
            };
            let worker = self.workers.remove(index);
            self.report_end(pid, worker.leaving, code);
            if !worker.leaving {
                self.fail(code);
            }
        }
        self.forget_lost();
    }

    /// Workers that are no children of ours (any more) would be waited for in
    /// vain.
    fn forget_lost(&mut self) {
        if matches!(
            waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)),
            Err(Errno::ECHILD)
        ) {
            self.workers.clear();
        }
    }

    fn report_end(&mut self, pid: Pid, leaving: bool, code: i32) {
        let which = if leaving { "Former" } else { "Current" };
        let text = format!(
            "{which} worker ({pid}) exited with code {code} ({})",
            describe(code)
        );
        if code > 128 {
            self.messages.alert(&text);
        } else {
            self.messages.warning(&text);
        }
    }

    /// The worker that served has ended: so does everything, unless it was
    /// asked to or the configuration says otherwise.
    fn fail(&mut self, code: i32) {
        if code != 0 && code != 128 + libc::SIGTERM {
            self.exit_code.get_or_insert(code);
        }
        if !ASKED_TO_GO.contains(&code) && !self.no_exit_on_failure && !self.stopping {
            self.messages
                .alert("exit-on-failure: killing every processes with SIGTERM");
            self.sockets = Sockets::default();
            self.inherited = Inherited::default();
            self.signal_workers(Signal::SIGTERM);
        }
    }
}

/// The exit code of a worker that did not come up. It is about to end by
/// itself, having said why; one that hangs is ended.
fn end_of(pid: Pid) -> i32 {
    let begin = Instant::now();
    loop {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) if begin.elapsed() < FAREWELL => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(WaitStatus::StillAlive) => {
                let _ = kill(pid, Signal::SIGKILL);
                let status = waitpid(pid, None).ok().and_then(exit_code);
                return status.unwrap_or(128 + libc::SIGKILL);
            }
            Ok(status) => return exit_code(status).unwrap_or(1),
            Err(_) => return 1,
        }
    }
}

/// The exit code as a shell gives it: 128 + n for a death by signal n.
fn exit_code(status: WaitStatus) -> Option<i32> {
    match status {
        WaitStatus::Exited(_, code) => Some(code),
        WaitStatus::Signaled(_, signal, _) => Some(128 + signal as i32),
        _ => None,
    }
}

/// How a process with this exit code ended, as `strsignal(3)` words it.
fn describe(code: i32) -> &'static str {
    match Signal::try_from(code - 128) {
        Err(_) => "Exit",
        Ok(Signal::SIGHUP) => "Hangup",
        Ok(Signal::SIGINT) => "Interrupt",
        Ok(Signal::SIGQUIT) => "Quit",
        Ok(Signal::SIGILL) => "Illegal instruction",
        Ok(Signal::SIGTRAP) => "Trace/breakpoint trap",
        Ok(Signal::SIGABRT) => "Aborted",
        Ok(Signal::SIGBUS) => "Bus error",
        Ok(Signal::SIGFPE) => "Floating point exception",
        Ok(Signal::SIGKILL) => "Killed",
        Ok(Signal::SIGUSR1) => "User defined signal 1",
        Ok(Signal::SIGSEGV) => "Segmentation fault",
        Ok(Signal::SIGUSR2) => "User defined signal 2",
        Ok(Signal::SIGPIPE) => "Broken pipe",
        Ok(Signal::SIGALRM) => "Alarm clock",
        Ok(Signal::SIGTERM) => "Terminated",
        Ok(Signal::SIGXCPU) => "CPU time limit exceeded",
        Ok(Signal::SIGXFSZ) => "File size limit exceeded",
        Ok(Signal::SIGSYS) => "Bad system call",
        Ok(other) => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_described_as_the_original_does() {
        for (code, text) in [
            (0, "Exit"),
            (1, "Exit"),
            (128 + 9, "Killed"),
            (128 + 11, "Segmentation fault"),
            (128 + 15, "Terminated"),
            (128 + 2, "Interrupt"),
        ] {
            assert_eq!(describe(code), text, "{code}");
        }
    }

    #[test]
    fn deaths_by_signal_count_from_128() {
        let pid = Pid::from_raw(1);
        let killed = WaitStatus::Signaled(pid, Signal::SIGKILL, false);
        assert_eq!(exit_code(killed), Some(137));
        assert_eq!(exit_code(WaitStatus::Exited(pid, 3)), Some(3));
        assert_eq!(exit_code(WaitStatus::StillAlive), None);
    }
}
