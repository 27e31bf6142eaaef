//! The thread that runs scripts.
//!
//! Starting a program waits for the disk it lies on, so it must not happen on the
//! thread that sends adverts.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use keepalived_conf::Command;
use keepalived_conf::env::Credentials;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::launch;
use crate::notify::queue::{Batch, Queues};

/// Jobs and reports under way: each script has at most one run, which makes at most
/// two reports, and there are far fewer scripts than this.
const DEPTH: usize = 4096;
/// How long notify scripts may still run when the daemon ends without saying how long.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What the thread is asked for.
#[derive(Debug)]
pub(crate) enum Work {
    /// A run of a `vrrp_script`.
    Run(Job),
    /// The notify scripts of a transition.
    Notify(Batch),
    /// The programs that read FIFOs; those of before are told to end.
    Readers(Vec<Command>),
    /// How long notify scripts may still run: the daemon ends.
    LastWords(Duration),
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// Whose run it is.
    pub(crate) ticket: u64,
    /// Program and arguments.
    pub(crate) argv: Vec<OsString>,
    /// Whom to run it as.
    pub(crate) user: Credentials,
    /// When it is told to end.
    pub(crate) timeout: Duration,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// Whose run it was.
    pub(crate) ticket: u64,
    /// What happened.
    pub(crate) end: End,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It took too long and was told to end; [`End::Gone`] follows.
    TimedOut,
    /// A run that took too long is gone at last.
    Gone,
    /// It could not be started.
    NotStarted(String),
}

/// The loop's hold on the thread. Dropping it ends the scripts and the thread.
#[derive(Debug)]
pub(crate) struct Runner {
    work: mpsc::Sender<Work>,
    reports: mpsc::Receiver<Report>,
    lines: mpsc::Receiver<String>,
}

impl Runner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When threads cannot be made.
    pub(crate) fn start() -> io::Result<Self> {
        let (work, incoming) = mpsc::channel(DEPTH);
        let (outgoing, reports) = mpsc::channel(DEPTH);
        let (say, lines) = mpsc::channel(DEPTH);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("scripts".to_owned())
            .spawn(move || {
                let tasks = tokio::task::LocalSet::new();
                tasks.block_on(&runtime, serve(incoming, outgoing, say));
            })?;
        Ok(Self {
            work,
            reports,
            lines,
        })
    }

    /// Hands over a job; gives it back when too many are under way.
    pub(crate) fn run(&self, job: Job) -> Result<(), Job> {
        match self.work.try_reserve() {
            Ok(place) => {
                place.send(Work::Run(job));
                Ok(())
            }
            Err(_) => Err(job),
        }
    }

    /// Where others hand over work.
    pub(crate) fn work(&self) -> mpsc::Sender<Work> {
        self.work.clone()
    }

    /// The next line for the log.
    pub(crate) fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        self.lines.poll_recv(cx)
    }

    /// The next report.
    pub(crate) fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<Option<Report>> {
        self.reports.poll_recv(cx)
    }

    /// Tells the scripts that check to end and waits for those that notify, for `limit`
    /// at most. Whoever got [`Runner::work`] must have dropped it.
    pub(crate) async fn stop(self, limit: Duration) {
        let Self {
            work, mut reports, ..
        } = self;
        // If the thread is gone there is nothing to wait for.
        let _ = work.send(Work::LastWords(limit)).await;
        drop(work);
        while reports.recv().await.is_some() {}
    }
}

type Groups = Rc<RefCell<BTreeSet<i32>>>;

async fn serve(
    mut work: mpsc::Receiver<Work>,
    reports: mpsc::Sender<Report>,
    lines: mpsc::Sender<String>,
) {
    let (checks, readers) = (Groups::default(), Groups::default());
    let queues = Queues::new(lines.clone());
    let mut limit = LAST_WORDS;
    while let Some(order) = work.recv().await {
        match order {
            Work::Run(job) => {
                let (groups, reports) = (Rc::clone(&checks), reports.clone());
                tokio::task::spawn_local(async move { run(job, &groups, &reports).await });
            }
            Work::Notify(batch) => queues.push(batch),
            Work::LastWords(given) => limit = given,
            Work::Readers(scripts) => {
                terminate(&readers);
                for script in scripts {
                    let (groups, lines) = (Rc::clone(&readers), lines.clone());
                    tokio::task::spawn_local(async move { read(script, &groups, &lines).await });
                }
            }
        }
    }
    // The daemon ends: nothing of it stays behind, and only what it has still to tell is
    // waited for.
    terminate(&checks);
    queues.finish(limit).await;
    terminate(&readers);
}

fn terminate(groups: &Groups) {
    for group in groups.borrow().iter() {
        launch::terminate(*group);
    }
}

/// A program that reads a FIFO for as long as it likes.
async fn read(script: Command, groups: &Groups, lines: &mpsc::Sender<String>) {
    let program = script
        .argv
        .first()
        .map(|word| word.to_string_lossy().into_owned())
        .unwrap_or_default();
    let line = match launch::spawn(&script.argv, &script.user) {
        Ok(mut child) => {
            let group = launch::group(&child);
            groups.borrow_mut().extend(group);
            let _ = child.wait().await;
            if let Some(group) = group {
                groups.borrow_mut().remove(&group);
            }
            "vrrp notify fifo script terminated".to_owned()
        }
        Err(error) => {
            let reason = osys::error_text(&error);
            format!("vrrp notify fifo script {program} cannot be run: {reason}")
        }
    };
    // When the log is this far behind, one line more does not help.
    let _ = lines.try_send(line);
}

async fn run(job: Job, groups: &Groups, reports: &mpsc::Sender<Report>) {
    let ticket = job.ticket;
    let report = async |end: End| {
        // Nobody listens any more when the daemon ends.
        let _ = reports.send(Report { ticket, end }).await;
    };
    let mut child = match launch::spawn(&job.argv, &job.user) {
        Ok(child) => child,
        Err(error) => return report(End::NotStarted(error.to_string())).await,
    };
    let group = launch::group(&child);
    groups.borrow_mut().extend(group);
    let end = match timeout(job.timeout, child.wait()).await {
        Ok(Ok(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => End::Exited(code),
            (None, signal) => End::Signalled(signal.unwrap_or_default()),
        },
        Ok(Err(error)) => End::NotStarted(error.to_string()),
        Err(_) => {
            report(End::TimedOut).await;
            launch::end_group(group, &mut child).await;
            End::Gone
        }
    };
    if let Some(group) = group {
        groups.borrow_mut().remove(&group);
    }
    report(end).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    fn me() -> Credentials {
        Credentials {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
        }
    }

    fn ends(argv: &[&str], limit: Duration) -> Vec<End> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut runner = Runner::start().unwrap();
            let job = Job {
                ticket: 1,
                argv: argv.iter().map(OsString::from).collect(),
                user: me(),
                timeout: limit,
            };
            runner.run(job).unwrap();
            let mut ends = Vec::new();
            loop {
                let next = poll_fn(|cx| runner.poll_report(cx));
                let report = timeout(Duration::from_secs(20), next).await.unwrap();
                let end = report.unwrap().end;
                let more = end == End::TimedOut;
                ends.push(end);
                if !more {
                    return ends;
                }
            }
        })
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn statuses_signals_and_missing_programs_are_told_apart() {
        assert_eq!(ends(&["/bin/sh", "-c", "exit 3"], LONG), [End::Exited(3)]);
        assert_eq!(ends(&["/bin/true"], LONG), [End::Exited(0)]);
        assert_eq!(
            ends(&["/bin/sh", "-c", "kill -9 $$"], LONG),
            [End::Signalled(9)]
        );
        assert!(matches!(
            ends(&["/no/such/program"], LONG).as_slice(),
            [End::NotStarted(_)]
        ));
    }

    #[test]
    fn no_shell_reads_the_words() {
        assert_eq!(
            ends(&["/usr/bin/test", "$(id)", "=", "$(id)"], LONG),
            [End::Exited(0)]
        );
    }

    #[test]
    fn a_script_that_ignores_sigterm_is_gone_with_its_children() {
        let marker = tempfile::NamedTempFile::new().unwrap();
        let path = marker.path().to_str().unwrap();
        // The grandchild holds the file open for as long as it lives.
        let script = format!("trap '' TERM; sh -c 'trap \"\" TERM; sleep 60' 9>{path} & sleep 60");
        assert_eq!(
            ends(&["/bin/sh", "-c", &script], Duration::from_millis(200)),
            [End::TimedOut, End::Gone]
        );
        let holders = || {
            std::fs::read_dir("/proc")
                .unwrap()
                .flatten()
                .filter(|entry| {
                    std::fs::read_link(entry.path().join("fd/9"))
                        .is_ok_and(|target| target == marker.path())
                })
                .count()
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while holders() > 0 {
            assert!(
                std::time::Instant::now() < deadline,
                "a process was left behind"
            );
            std::thread::yield_now();
        }
    }
}
