//! The VRRP daemon: keepalived's VRRP half over `vrrp-core`.
#![forbid(unsafe_code)]

mod advice;
mod check;
mod cli;
mod driver;
mod dump;
mod engine;
mod host;
mod lateness;
mod limit;
mod log;
mod notify;
mod pid_files;
mod record;
mod reload;
mod run;
mod script;
mod track;
mod version;
mod warden;
mod wire;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;

use crate::cli::Options;
use crate::driver::Command;

const DEFAULT_CONFIG: &str = "/etc/keepalived/keepalived.conf";
const USAGE_ERROR: u8 = 1;
/// `-t`: something is wrong, and the daemon would run all the same.
const TEST_ERROR: u8 = 5;

fn main() -> ExitCode {
    daemonkit::trace::to_stderr_if_asked("VRRPD_TRACE");
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(settings) = warden::is_meant(&arguments) {
        return warden::watch(settings);
    }
    let code = match cli::parse(arguments) {
        Ok(options) => dispatch(&options),
        Err(line) => {
            say(&line);
            USAGE_ERROR
        }
    };
    ExitCode::from(code)
}

fn dispatch(options: &Options) -> u8 {
    if let Some(text) = options.log_facility.as_deref()
        && run::facility(text).is_none()
    {
        say(&format!("Invalid log facility '{text}'"));
    }
    if let Some(text) = options.umask.as_deref()
        && host::parse_mask(text).is_none()
    {
        say(&format!("Invalid --umask option {text}"));
    }
    if options.help {
        let _ = std::io::stderr().write_all(cli::USAGE.as_bytes());
        return 0;
    }
    if options.version {
        let _ = std::io::stderr().write_all(version::text().as_bytes());
        return 0;
    }
    if let Some(function) = options.signum.as_deref() {
        return signal_number(function);
    }
    if let Some(refusal) = refusal(options) {
        say(refusal);
        return USAGE_ERROR;
    }
    if !options.unexpected.is_empty() {
        let words: Vec<_> = options
            .unexpected
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        let _ = writeln!(
            std::io::stdout(),
            "Unexpected argument(s): {} ",
            words.join(" ")
        );
    }
    if let Some(name) = options.namespace.as_deref()
        && let Err(error) = enter_namespace(name)
    {
        let reason = osys::error_text(&error);
        say(&format!("Failed to open /run/netns/{name}: {reason}"));
        say(&format!("Unable to set network namespace {name} - exiting"));
        return USAGE_ERROR;
    }
    let config = options
        .use_file
        .clone()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    match &options.config_test {
        Some(log) => {
            let code = check::run(&config, log.as_deref(), &run::config_options(options));
            // keepalived counts it as an error of the configuration.
            let facility = options.log_facility.as_deref();
            let wrong = facility.is_some_and(|text| run::facility(text).is_none());
            if code == 0 && wrong { TEST_ERROR } else { code }
        }
        None => run::daemon(options, config),
    }
}

fn say(line: &str) {
    // If standard error is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Options that ask for a whole program this is not.
fn refusal(options: &Options) -> Option<&'static str> {
    if options.check && !options.vrrp && options.config_test.is_none() {
        return Some(
            "vrrpd: option -C (--check) is not available: there is no health checker here",
        );
    }
    if options.log_file.is_some() {
        return Some(
            "vrrpd: option -g (--log-file) is not available: lines go to syslog, and with -l to \
             standard error",
        );
    }
    if options.genhash {
        return Some("vrrpd: option -T (--genhash) is not available: there is no genhash here");
    }
    None
}

/// `--signum`: the number to send for a function.
fn signal_number(function: &str) -> u8 {
    let signal = match function {
        "STOP" => Some(Signal::SIGTERM as i32),
        "RELOAD" => Some(Signal::SIGHUP as i32),
        "DATA" => Some(Signal::SIGUSR1 as i32),
        "STATS" => Some(Signal::SIGUSR2 as i32),
        "STATS_CLEAR" => driver::realtime(Command::ClearStats),
        "JSON" => driver::realtime(Command::Json),
        _ => None,
    };
    let Some(signal) = signal else {
        say(&format!("Unknown sigfunc {function}"));
        return USAGE_ERROR;
    };
    let _ = writeln!(std::io::stdout(), "{signal}");
    0
}

/// Goes where `ip netns add` has put that network namespace.
fn enter_namespace(name: &str) -> std::io::Result<()> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let file = std::fs::File::open(PathBuf::from("/run/netns").join(name))?;
    setns(file, CloneFlags::CLONE_NEWNET)?;
    Ok(())
}
