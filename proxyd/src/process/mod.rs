//! The process around the load balancer: from the command line to a running
//! worker, in the original's order (limits, sockets, pid file, fork, chroot,
//! group and user, session), and the master that supervises workers.
//!
//! No thread exists before the last fork: [`serve`] makes the first ones.

mod binding;
mod daemonize;
mod fetch;
mod host;
mod limits;
mod master;
mod messages;
mod privileges;
mod reexec;
mod serve;
mod sockets;
mod startup;
mod takeover;
mod unix_socket;
mod version;

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::process::ExitCode;

use haproxy_cfg::argv::{self, Action, Args, ArgvError};
use haproxy_cfg::{Console, Host};

use messages::Messages;

/// Runs the program; the value is its exit code.
pub(crate) fn main() -> ExitCode {
    // First of all: what the parent left open must not be mixed up with what
    // is opened here.
    osys::fd::remember_inherited();
    osys::time::load_zone();
    daemonkit::trace::to_stderr_if_asked("PROXYD_TRACE");
    // A crash must be told from outside by its signal; nothing depends on it.
    let _ = osys::process::default_fault_action();
    let arguments: Vec<_> = std::env::args_os().collect();
    name_process(arguments.first().map_or(OsStr::new(""), |name| name));
    let program = arguments.first().cloned().unwrap_or_default();
    match argv::parse(arguments.clone()) {
        Ok(args) => run(args, &arguments),
        Err(error) => refuse(&error, &program),
    }
}

fn run(args: Args, arguments: &[std::ffi::OsString]) -> ExitCode {
    match &args.action {
        Action::Version => {
            version::print();
            ExitCode::SUCCESS
        }
        Action::BuildOptions => {
            version::print_build();
            ExitCode::SUCCESS
        }
        Action::Condition(_) => config_command(&args),
        Action::Check | Action::Run if !names_a_file(&args) => {
            refuse(&ArgvError::Usage, &args.program)
        }
        Action::Check => config_command(&args),
        Action::Run => startup::run(args, arguments),
    }
}

/// `-c` and `-cc`.
fn config_command(args: &Args) -> ExitCode {
    let mut messages = Messages::new(&args.program);
    if let Err(text) = startup::change_directory(args) {
        messages.alert(&text);
        return ExitCode::FAILURE;
    }
    let mut console = Console::new(std::process::id(), messages::executable());
    let output = if args.action == Action::Check {
        haproxy_cfg::check(args, &Host, &mut console)
    } else {
        haproxy_cfg::condition(args, &Host, &mut console)
    };
    messages::put(&output.stdout, &output.stderr);
    ExitCode::from(output.code)
}

/// Whether there is anything to read: folders may be empty, which the
/// original answers as it does a command line without `-f`.
fn names_a_file(args: &Args) -> bool {
    let from = args.directory.as_deref().unwrap_or(Path::new(""));
    args.configs.iter().any(|path| {
        let Ok(mut entries) = std::fs::read_dir(from.join(path)) else {
            return true;
        };
        entries.any(|entry| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                let name = name.as_bytes();
                !name.starts_with(b".") && name.ends_with(b".cfg")
            })
        })
    })
}

/// What the original answers to a command line it cannot use.
fn refuse(error: &ArgvError, program: &OsStr) -> ExitCode {
    let mut messages = Messages::new(program);
    match error {
        ArgvError::Usage => version::print_usage(program),
        ArgvError::Alert(text) => messages.alert(text),
        ArgvError::VersionAlert(text) => {
            version::print();
            messages.alert(text.trim_end());
        }
    }
    ExitCode::FAILURE
}

/// Makes the process known by the name it was called by: `killall -0 haproxy`
/// and `pgrep -x` look at it. Threads started later inherit it.
fn name_process(program: &OsStr) {
    if let Ok(name) = CString::new(base_name(program).to_vec())
        && !name.is_empty()
    {
        // Only a name: a kernel that refuses it does not stop the start.
        let _ = osys::process::set_thread_name(&name);
    }
}

/// The last component of the name the program was called by.
fn base_name(program: &OsStr) -> Vec<u8> {
    Path::new(program)
        .file_name()
        .unwrap_or_else(|| OsStr::from_bytes(b"proxyd"))
        .to_owned()
        .into_vec()
}

#[cfg(test)]
mod tests;
