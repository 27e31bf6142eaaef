//! `-t`: what `keepalived -t` says, and its exit code.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use keepalived_conf::{Options, SystemEnvironment};

/// Exit code when the log file cannot be opened.
const NO_LOG_FILE: u8 = 1;

/// Checks the file; the lines go to standard error, or are appended to `log`.
pub(crate) fn run(config: &Path, log: Option<&Path>, options: &Options) -> u8 {
    let mut stderr = std::io::stderr();
    let mut file = match log.map(open) {
        None => None,
        Some(Ok(file)) => Some(file),
        Some(Err((path, error))) => {
            let errno = error.raw_os_error().unwrap_or_default();
            let text = nix::errno::Errno::from_raw(errno).desc();
            let _ = writeln!(
                stderr,
                "Unable to open config-test log file {path} {errno} - {text}"
            );
            return NO_LOG_FILE;
        }
    };
    let loaded = keepalived_conf::load(config, options, &SystemEnvironment);
    let out: &mut dyn Write = match &mut file {
        Some(file) => file,
        None => &mut stderr,
    };
    // A reader that went away cannot be told; the exit code still can.
    let _ = write_lines(out, loaded.test_lines());
    // What keepalived would not say goes to standard output, so that standard error
    // stays what scripts know.
    let _ = write_lines(&mut std::io::stdout(), loaded.own_lines());
    loaded.test_exit
}

fn open(path: &Path) -> Result<std::fs::File, (String, std::io::Error)> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| (path.display().to_string(), error))
}

fn write_lines<'a>(
    out: &mut dyn Write,
    lines: impl Iterator<Item = &'a str>,
) -> std::io::Result<()> {
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}
