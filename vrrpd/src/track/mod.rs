//! Trackers that watch the host for the routers: `track_file` and `vrrp_track_process`.
//!
//! Each kind has a thread of its own: reading a file waits for the disk it lies on, which
//! must hold up neither adverts nor the other kind. Interfaces are the engine's, scripts
//! are [`crate::script`]'s.

mod connector;
mod files;
mod processes;
mod procfs;

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};
use std::time::Duration;

use keepalived_conf::{Config, TrackFileDef, TrackProcessDef};
use rustix::pipe::PipeFlags;
use tokio::sync::mpsc;
use vrrp_core::Standing;
use vrrp_core::settings::{Sense, TrackerKind};

/// Reports under way. A thread that finds no room waits for it.
const DEPTH: usize = 256;
/// How long the start waits for the first look at everything.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// What is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    files: Vec<TrackFileDef>,
    processes: Vec<TrackProcessDef>,
}

impl Watched {
    /// What a configuration has watched.
    pub(crate) fn of(config: &Config) -> Self {
        // Other weights are no reason to begin to watch anew.
        let files = config.track_files.iter().cloned();
        let processes = config.track_processes.iter().cloned();
        Self {
            files: files
                .map(|def| TrackFileDef {
                    weight: 0,
                    sense: Sense::Normal,
                    ..def
                })
                .collect(),
            processes: processes
                .map(|def| TrackProcessDef {
                    weight: 0,
                    sense: Sense::Normal,
                    ..def
                })
                .collect(),
        }
    }
}

/// What a thread says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// A tracker stands otherwise than before, or is told for the first time.
    Stands {
        kind: TrackerKind,
        name: String,
        standing: Standing,
    },
    /// A line for the log.
    Line(String),
    /// Everything that this thread watches has been told once.
    Looked,
}

/// The loop's hold on the threads; dropping it ends them.
#[derive(Debug)]
pub(crate) struct Trackers {
    watched: Watched,
    reports: mpsc::Receiver<Report>,
    /// Closing them ends the threads.
    leashes: Vec<OwnedFd>,
}

/// A thread's ends of what ties it to the loop.
#[derive(Debug)]
struct Tie {
    reports: mpsc::Sender<Report>,
    /// Hangs up when the thread is to end.
    leash: OwnedFd,
}

impl Tie {
    /// Hands a report over; `Err` when nobody listens any more.
    fn say(&self, report: Report) -> Result<(), Unheard> {
        self.reports.blocking_send(report).map_err(|_| Unheard)
    }

    fn line(&self, text: String) -> Result<(), Unheard> {
        self.say(Report::Line(text))
    }
}

/// Nobody listens any more: the thread ends.
#[derive(Debug)]
struct Unheard;

impl Trackers {
    /// Starts to watch. Files named with an initial value get it (`init_file`); `fresh`
    /// is false in a reload, which overwrites nothing.
    ///
    /// # Errors
    /// When threads cannot be made.
    pub(crate) fn start(watched: Watched, fresh: bool) -> io::Result<Self> {
        let (sender, reports) = mpsc::channel(DEPTH);
        let mut leashes = Vec::new();
        let mut tie = || {
            let (leash, end) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
            leashes.push(end);
            let reports = sender.clone();
            io::Result::Ok(Tie { reports, leash })
        };
        if !watched.files.is_empty() {
            let (defs, tie) = (watched.files.clone(), tie()?);
            spawn("track-files", move || files::watch(defs, fresh, &tie))?;
        }
        if !watched.processes.is_empty() {
            let (defs, tie) = (watched.processes.clone(), tie()?);
            spawn("track-process", move || processes::watch(defs, &tie))?;
        }
        Ok(Self {
            watched,
            reports,
            leashes,
        })
    }

    /// What is watched.
    pub(crate) const fn watched(&self) -> &Watched {
        &self.watched
    }

    /// Waits for the first look at everything, a second at most, so that routers start
    /// with what is known.
    pub(crate) async fn first_look(&mut self) -> Vec<Report> {
        let mut outstanding = self.leashes.len();
        let mut known = Vec::new();
        let deadline = tokio::time::Instant::now() + FIRST_LOOK;
        while outstanding > 0 {
            match tokio::time::timeout_at(deadline, self.reports.recv()).await {
                Ok(Some(Report::Looked)) => outstanding -= 1,
                Ok(Some(report)) => known.push(report),
                Ok(None) | Err(_) => break,
            }
        }
        known
    }

    /// The next report; pending for ever when nothing is watched.
    pub(crate) fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<Report> {
        match self.reports.poll_recv(cx) {
            Poll::Ready(Some(report)) => Poll::Ready(report),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

fn spawn(
    name: &str,
    body: impl FnOnce() -> Result<(), Unheard> + Send + 'static,
) -> io::Result<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // The only way for it to fail is that nobody listens.
            let _ = body();
        })
        .map(drop)
}

#[cfg(test)]
mod tests;
