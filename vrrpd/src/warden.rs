//! The process that removes routes and rules which the daemon does not live to remove. It is the
//! daemon's own program, started again before there is anything to remove.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// The only argument it is started with. No keepalived option is like it.
const ARGUMENT: &str = "--warden-of-routes";

/// How the daemon starts it: out of reach of signals to the daemon's process group.
pub(crate) fn program() -> Command {
    let mut program = Command::new("/proc/self/exe");
    program.arg0("vrrpd-warden").arg(ARGUMENT).process_group(0);
    program
}

/// Whether this process was started as one.
pub(crate) fn is_meant(arguments: &[OsString]) -> bool {
    matches!(arguments, [only] if only == ARGUMENT)
}

/// Watches until the daemon says goodbye or is gone.
pub(crate) fn watch() -> ExitCode {
    let stream = std::io::stdin().as_fd().try_clone_to_owned();
    let outcome = stream.and_then(|stream| netif::watch(UnixStream::from(stream)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
