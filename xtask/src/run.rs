//! Running commands in sight of the user.

use std::ffi::OsStr;
use std::io::{Write, stderr, stdout};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Tells the user something.
pub(crate) fn say(text: &str) {
    // A closed pipe is no reason to stop: the exit code still tells.
    let _unheard = writeln!(stdout(), "{text}");
    let _unheard = stdout().flush();
}

/// Tells the user that something went wrong.
pub(crate) fn complain(text: &str) {
    let _unheard = writeln!(stderr(), "xtask: {text}");
}

/// A command of this workspace's root.
pub(crate) fn command<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(e2e::binaries::workspace())
        .stdin(Stdio::null());
    command
}

/// cargo, with these arguments: the one that runs this task.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = command(&cargo, arguments);
    // These belong to the run of this task, not to what it starts: with them
    // set, cargo would build everything anew under another fingerprint.
    let inherited = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    });
    for name in inherited {
        command.env_remove(name);
    }
    command
}

/// Prints a command and runs it.
///
/// # Errors
/// If it cannot be run or does not end with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    say(&format!("$ {}", line(command)));
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", line(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(command));
    }
    Ok(())
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or("").to_owned();
    let set = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_string_lossy();
        let quote = if value.contains(' ') { "'" } else { "" };
        Some(format!("{}={quote}{value}{quote}", name.to_string_lossy()))
    });
    let words = command
        .get_args()
        .map(|word| word.to_string_lossy().into_owned());
    set.chain([program])
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a command can be run and ends with 0; it is not shown.
pub(crate) fn works(mut command: Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
