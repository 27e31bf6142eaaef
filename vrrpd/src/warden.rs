//! The process that removes routes, rules and virtual interfaces which the daemon does not live
//! to remove. It is the daemon's own program, started again before there is anything to remove.

use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::sys::signal::{SigSet, Signal};

use crate::host;

/// Its first argument. No keepalived option is like it.
const ARGUMENT: &str = "--warden-of-routes";
/// As ps(1) and top(1) show it.
const NAME: &CStr = c"vrrpd-warden";
/// What ends or stops a whole service with all its processes is meant for the daemon, which
/// ends in order and then says so.
const DEAF_TO: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGPIPE,
    Signal::SIGALRM,
    Signal::SIGTERM,
];

/// How the daemon starts it: out of reach of signals to the daemon's process group, and as
/// punctual as the daemon.
pub(crate) fn program(host: host::Settings) -> netif::Program {
    Box::new(move || {
        let mut program = Command::new("/proc/self/exe");
        program.arg0("vrrpd-warden").arg(ARGUMENT);
        program.args(host.for_helpers()).process_group(0);
        program
    })
}

/// What is said to a process that is started as one.
pub(crate) fn is_meant(arguments: &[OsString]) -> Option<&[OsString]> {
    let (first, rest) = arguments.split_first()?;
    (first == ARGUMENT).then_some(rest)
}

/// Watches until the daemon says goodbye or is gone.
pub(crate) fn watch(arguments: &[OsString]) -> ExitCode {
    // Blocked for good: none of them ever arrives.
    let _ = SigSet::from_iter(DEAF_TO).thread_block();
    let _ = osys::process::set_thread_name(NAME);
    host::become_helper(arguments.iter().map(OsString::as_os_str).map(OsStr::to_str));
    let stream = std::io::stdin().as_fd().try_clone_to_owned();
    let outcome = stream.and_then(|stream| netif::watch(UnixStream::from(stream)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
