//! Starting a program and ending it with all that it started.
//!
//! Each program is the leader of a process group of its own, gets no shell, and reads
//! and writes nothing. It has the daemon's environment, directory and file mask.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use keepalived_conf::env::Credentials;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// From SIGTERM to SIGKILL, as keepalived waits.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// Starts the program in `argv` as `user`.
///
/// # Errors
/// As `execve(2)`, and when the user cannot be taken on.
pub(crate) fn spawn(argv: &[OsString], user: &Credentials) -> io::Result<Child> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    // As keepalived has it: when the daemon is killed nothing of it goes on.
    osys::process::end_with_starter(command.as_std_mut(), Signal::SIGTERM);
    let me = (nix::unistd::geteuid(), nix::unistd::getegid());
    if (user.uid, user.gid) != (me.0.as_raw(), me.1.as_raw()) {
        // The standard library drops the supplementary groups along with this.
        command.gid(user.gid).uid(user.uid);
    }
    command.spawn()
}

/// The process group that a program just started leads.
pub(crate) fn group(child: &Child) -> Option<i32> {
    child.id().and_then(|pid| i32::try_from(pid).ok())
}

/// SIGTERM to the whole group, and SIGKILL after the grace period; whatever the
/// leader started and left behind goes with it.
pub(crate) async fn end_group(group: Option<i32>, child: &mut Child) {
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

/// SIGTERM to a group that nobody waits for any more.
pub(crate) fn terminate(group: i32) {
    let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
}
