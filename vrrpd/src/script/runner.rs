//! The thread that runs scripts.
//!
//! Starting a program waits for the disk it lies on, so it must not happen on the
//! thread that sends adverts. Each script is the leader of a process group of its
//! own, gets no shell, and reads and writes nothing.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use keepalived_conf::env::Credentials;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// From SIGTERM to SIGKILL, as keepalived waits.
const GRACE: Duration = Duration::from_secs(2);
/// Jobs and reports under way: each script has at most one run, which makes at most
/// two reports, and there are far fewer scripts than this.
const DEPTH: usize = 4096;

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
    jobs: mpsc::Sender<Job>,
    reports: mpsc::Receiver<Report>,
}

impl Runner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When threads cannot be made.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, incoming) = mpsc::channel(DEPTH);
        let (outgoing, reports) = mpsc::channel(DEPTH);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("scripts".to_owned())
            .spawn(move || {
                let tasks = tokio::task::LocalSet::new();
                tasks.block_on(&runtime, work(incoming, outgoing));
            })?;
        Ok(Self { jobs, reports })
    }

    /// Hands over a job; gives it back when too many are under way.
    pub(crate) fn run(&self, job: Job) -> Result<(), Job> {
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(job) | mpsc::error::TrySendError::Closed(job) => job,
        })
    }

    /// The next report.
    pub(crate) fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<Option<Report>> {
        self.reports.poll_recv(cx)
    }

    /// Tells all scripts to end and waits until that has been done.
    pub(crate) async fn stop(self) {
        let Self { jobs, mut reports } = self;
        drop(jobs);
        while reports.recv().await.is_some() {}
    }
}

type Groups = Rc<RefCell<BTreeSet<i32>>>;

async fn work(mut jobs: mpsc::Receiver<Job>, reports: mpsc::Sender<Report>) {
    let groups = Groups::default();
    while let Some(job) = jobs.recv().await {
        let (groups, reports) = (Rc::clone(&groups), reports.clone());
        tokio::task::spawn_local(async move { run(job, &groups, &reports).await });
    }
    // The daemon ends: nothing of it stays behind, and it does not wait.
    for group in groups.borrow().iter() {
        let _ = killpg(Pid::from_raw(*group), Signal::SIGTERM);
    }
}

async fn run(job: Job, groups: &Groups, reports: &mpsc::Sender<Report>) {
    let ticket = job.ticket;
    let report = async |end: End| {
        // Nobody listens any more when the daemon ends.
        let _ = reports.send(Report { ticket, end }).await;
    };
    let mut child = match spawn(&job) {
        Ok(child) => child,
        Err(error) => return report(End::NotStarted(error.to_string())).await,
    };
    let group = child.id().and_then(|pid| i32::try_from(pid).ok());
    groups.borrow_mut().extend(group);
    let end = match timeout(job.timeout, child.wait()).await {
        Ok(Ok(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => End::Exited(code),
            (None, signal) => End::Signalled(signal.unwrap_or_default()),
        },
        Ok(Err(error)) => End::NotStarted(error.to_string()),
        Err(_) => {
            report(End::TimedOut).await;
            end_group(group, &mut child).await;
            End::Gone
        }
    };
    if let Some(group) = group {
        groups.borrow_mut().remove(&group);
    }
    report(end).await;
}

/// SIGTERM to the whole group, and SIGKILL after the grace period; whatever the
/// leader started and left behind goes with it.
async fn end_group(group: Option<i32>, child: &mut Child) {
    let Some(group) = group.map(Pid::from_raw) else {
        return;
    };
    let _ = killpg(group, Signal::SIGTERM);
    let ended = timeout(GRACE, child.wait()).await;
    let _ = killpg(group, Signal::SIGKILL);
    if ended.is_err() {
        let _ = child.wait().await;
    }
}

fn spawn(job: &Job) -> io::Result<Child> {
    let Some((program, arguments)) = job.argv.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let me = (nix::unistd::geteuid(), nix::unistd::getegid());
    if (job.user.uid, job.user.gid) != (me.0.as_raw(), me.1.as_raw()) {
        // The standard library drops the supplementary groups along with this.
        command.gid(job.user.gid).uid(job.user.uid);
    }
    command.spawn()
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
