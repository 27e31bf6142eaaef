//! Going into the background.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use osys::process::{Fork, fork};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

/// A start is given up after this many seconds without a word from the child.
const PATIENCE: i64 = 60;

/// The parent's side after a fork: it learns when the child is up.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: Pid,
    report: std::fs::File,
}

impl Child {
    /// Waits until the child says that it is up; `false` if it ended or took
    /// too long.
    pub(crate) fn wait_until_up(mut self) -> bool {
        let patience = Timespec {
            tv_sec: PATIENCE,
            tv_nsec: 0,
        };
        loop {
            let mut fds = [PollFd::from_borrowed_fd(self.report.as_fd(), PollFlags::IN)];
            match poll(&mut fds, Some(&patience)) {
                Ok(0) => return false,
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        let mut byte = [0];
        self.report.read(&mut byte).is_ok_and(|count| count == 1)
    }
}

/// The child's side: [`Up::tell`] releases the parent.
#[derive(Debug)]
pub(crate) struct Up {
    report: std::fs::File,
}

impl Up {
    pub(crate) fn tell(mut self) {
        // A parent that is gone need not know.
        let _ = self.report.write_all(b"\n");
    }
}

/// The two sides of [`split`].
#[derive(Debug)]
pub(crate) enum Split {
    Parent(Child),
    Child(Up),
}

/// Forks; the parent can wait until the child has come up.
///
/// # Errors
/// As `fork(2)` and `pipe(2)`.
pub(crate) fn split() -> io::Result<Split> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok(match fork()? {
        Fork::Parent(pid) => Split::Parent(Child {
            pid,
            report: read.into(),
        }),
        Fork::Child => Split::Child(Up {
            report: write.into(),
        }),
    })
}

/// Leaves the terminal's session.
pub(crate) fn leave_session() {
    // It fails only for the leader of a process group, which has none to leave.
    let _ = setsid();
}

/// Where standard streams of a background process lead. Opened while the path
/// can be reached: there need not be a `/dev/null` in the jail.
#[derive(Debug)]
pub(crate) struct Nowhere(Option<OwnedFd>);

impl Nowhere {
    pub(crate) fn open() -> Self {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        Self(rustix::fs::open("/dev/null", flags, Mode::empty()).ok())
    }

    /// Lets go of the standard streams: from now on they read nothing and
    /// write nowhere.
    pub(crate) fn replace_standard_streams(self) {
        let Some(null) = self.0 else {
            return;
        };
        let _ = dup2_stdin(&null);
        let _ = dup2_stdout(&null);
        let _ = dup2_stderr(&null);
    }
}
