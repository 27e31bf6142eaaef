//! From the command line to the running loop, and from its end to the exit code.

use std::cell::RefCell;
use std::io::Write as _;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::Context as _;
use daemonkit::syslog::{Facility, Level};
use keepalived_conf::{GlobalDefs, Loaded, Options as ConfigOptions, Process, Start};
use netif::RtNetlink;
use osys::process::Fork;
use tokio::runtime::Runtime;

use crate::cli::Options;
use crate::driver::{AtEnd, Clock, Driver, Signals};
use crate::engine::{Engine, Switches};
use crate::lateness::{Companion, Lateness};
use crate::log::{Log, LogSettings, Voice};
use crate::notify::Notifier;
use crate::pid_files::PidFiles;
use crate::record::Recorder;
use crate::reload::{self, Source};
use crate::script::once;
use crate::script::runner::Runner;
use crate::track::{Report, Trackers, Watched};
use crate::wire::RawWire;
use crate::{host, version};

const FATAL: u8 = 1;
/// How long helper threads may still write when everything else has ended.
const SHUTDOWN_LIMIT: std::time::Duration = std::time::Duration::from_secs(1);

/// How long the end of the daemon waits for the system log to take its last lines.
const LOG_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);

/// Runs the daemon; the result is its exit code.
pub(crate) fn daemon(options: &Options, config: PathBuf) -> u8 {
    // A relative name would mean another file after the daemon has gone to `/`.
    let config = std::path::absolute(&config).unwrap_or(config);
    let source = Source {
        path: config,
        options: config_options(options),
    };
    let loaded = keepalived_conf::load(
        &source.path,
        &source.options,
        &keepalived_conf::SystemEnvironment,
    );
    let global = loaded
        .config
        .as_ref()
        .map(|config| config.global.clone())
        .unwrap_or_default();
    let mark = mark(options, &global);
    let pid_files = PidFiles::new(options, &global);
    let refused = match loaded.start {
        Start::Run => None,
        Start::Refuse(code) => Some(code),
    };
    if refused.is_none() && !options.dont_fork {
        match go_to_background() {
            Ok(Side::Launcher) => return 0,
            Ok(Side::Daemon) => {}
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "vrrpd: cannot fork: {error}");
                return FATAL;
            }
        }
    }
    let mut log = Log::open(log_settings(options));
    let parent = |text: &str| log.write(Voice::Parent, Level::Info, text);
    parent(&format!("Starting {}", version::NAME));
    parent(&version::running_on());
    parent(&format!("Command line: {}", version::command_line()));
    for line in unsupported(options) {
        log.write(Voice::Parent, Level::Warning, line);
    }
    if refused.is_none() {
        parent(&format!("Configuration file {}", source.path.display()));
    }
    if pid_files.name_a_daemon() {
        parent("daemon is already running");
        return 0;
    }
    for line in reload::log_lines(&loaded, Process::Parent) {
        parent(&line);
    }
    if let Some(mark) = mark {
        log.distinguish(mark);
    }
    let log = Rc::new(log);
    let parent = |text: &str| log.write(Voice::Parent, Level::Info, text);
    for line in reload::log_lines(&loaded, Process::Vrrp) {
        log.info(&line);
    }
    let code = match refused {
        Some(code) => code,
        None => serve(options, source, loaded, &global, &pid_files, &log),
    };
    if let Some(line) = host::usage_line(&log) {
        parent(&line);
    }
    parent(&format!("Stopped {}", version::NAME));
    log.drain(LOG_LIMIT);
    code
}

fn serve(
    options: &Options,
    source: Source,
    loaded: Loaded,
    global: &GlobalDefs,
    pid_files: &PidFiles,
    log: &Rc<Log>,
) -> u8 {
    let fatal = |error: anyhow::Error| {
        log.write(Voice::Parent, Level::Err, &format!("{error:#}"));
        FATAL
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime.context("cannot make the event loop") {
        Ok(runtime) => runtime,
        Err(error) => return fatal(error),
    };
    // Before the pid files, by which others find whom to signal: a signal that is not
    // caught would end the process and leave them behind.
    let signals = {
        let _inside = runtime.enter();
        Signals::catch().context("cannot catch signals")
    };
    let mut signals = match signals {
        Ok(signals) => signals,
        Err(error) => return fatal(error),
    };
    if let Err(error) = pid_files.write() {
        return fatal(error);
    }
    let mut stopped = false;
    if let Some(script) = &global.startup_script {
        stopped = runtime.block_on(once::run("startup", script, log, Some(&mut signals)));
    }
    let at_end = Rc::new(RefCell::new(global.shutdown_script.clone()));
    let code = if stopped {
        log.write(Voice::Parent, Level::Info, "Stopping");
        runtime.shutdown_timeout(SHUTDOWN_LIMIT);
        0
    } else {
        let tools = (runtime, signals);
        work(options, source, loaded, global, tools, log, &at_end).unwrap_or_else(fatal)
    };
    if let Some(script) = &*at_end.borrow() {
        once::shutdown(script, log);
    }
    pid_files.remove();
    code
}

fn work(
    options: &Options,
    source: Source,
    loaded: Loaded,
    global: &GlobalDefs,
    (runtime, signals): (Runtime, Signals),
    log: &Rc<Log>,
    at_end: &AtEnd,
) -> anyhow::Result<u8> {
    // Before the process takes its priorities on: scripts run with ordinary ones.
    let runner = Runner::start().context("cannot start the script thread")?;
    let host = host::Settings::new(options).with(global);
    host.apply(&host::Settings::default(), log);
    // An address is only as safe as the thread that renews its lease is punctual.
    let scheduling = host.clone();
    let companion = Companion::default();
    let lateness = Lateness::new(companion.clone());
    let kernel = RtNetlink::open_with(
        move || {
            companion.is_this_thread();
            scheduling.schedule_thread();
        },
        Some(crate::warden::program(host.clone())),
    )
    .context("cannot open netlink")?;
    let code = runtime.block_on(async {
        let clock = Clock::start();
        let switches = Switches {
            keep_addresses: options.dont_release_vrrp,
            monitor_addresses: options.address_monitoring,
        };
        let accepted = reload::complaints(&loaded);
        let mut config = loaded.config.unwrap_or_default();
        if config.instances.is_empty() {
            log.write(
                Voice::Parent,
                Level::Info,
                "Warning - keepalived has no configuration to run",
            );
        }
        let delay = host::Settings::startup_delay(&config.global);
        config.global.startup_delay = delay;
        if !delay.is_zero() {
            let seconds = delay.to_std().as_secs_f64();
            log.info(&format!("Delaying startup for {seconds} seconds"));
        }
        let mut notifier = Notifier::new(runner.work());
        for line in notifier.configure(&config.global) {
            log.info(&line);
        }
        let watched = Watched::of(&config);
        let mut trackers = Trackers::start(watched, true).context("cannot make threads")?;
        let mut engine = Engine::new(
            kernel,
            RawWire::new(),
            Rc::clone(log),
            switches,
            config,
            clock.now(),
        );
        if let Some(path) = &options.record {
            match Recorder::open(path) {
                Ok(recorder) => engine.record(recorder),
                Err(error) => log.write(
                    Voice::Vrrp,
                    Level::Warning,
                    &format!(
                        "Cannot record to {}: {}",
                        path.display(),
                        osys::error_text(&error)
                    ),
                ),
            }
        }
        // The routers start with what the trackers see now.
        for report in trackers.first_look().await {
            match report {
                Report::Stands {
                    kind,
                    name,
                    standing,
                } => engine.tracker(clock.now(), kind, &name, standing),
                Report::Line(line) => log.info(&line),
                Report::Looked => {}
            }
        }
        let driver = Driver {
            engine,
            notifier,
            runner,
            trackers,
            signals,
            log: Rc::clone(log),
            clock,
            source,
            loading: None,
            accepted,
            host,
            lateness,
            dump_at_start: options.dump_conf,
            reload_again: false,
            at_end: Rc::clone(at_end),
        };
        Ok(driver.run().await)
    });
    // A dump that hangs on its disk does not keep the daemon alive.
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    code
}

/// How the configuration is to be read.
pub(crate) fn config_options(options: &Options) -> ConfigOptions {
    ConfigOptions {
        config_id: options.config_id.clone(),
        all_files: options.all_config,
    }
}

/// What distinguishes this daemon's names from those of others on the host.
fn mark(options: &Options, global: &GlobalDefs) -> Option<String> {
    let words = [options.namespace.as_deref(), global.instance.as_deref()];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join("_"))
}

fn log_settings(options: &Options) -> LogSettings {
    let facility = options
        .log_facility
        .as_deref()
        .and_then(facility)
        .unwrap_or(Facility::DAEMON);
    LogSettings {
        console: options.log_console,
        detail: options.log_detail,
        syslog: (!options.no_syslog).then_some(facility),
    }
}

/// `-S`: a number means LOG_LOCAL0 to 7.
pub(crate) fn facility(text: &str) -> Option<Facility> {
    match text.parse::<u8>() {
        Ok(number @ 0..=7) => Facility::from_number(Facility::LOCAL0.number() + number),
        Ok(_) => None,
        Err(_) if text == "user" || text == "daemon" || text.starts_with("local") => {
            Facility::from_name(text)
        }
        Err(_) => None,
    }
}

/// Switches that are taken and change nothing, where somebody might rely on them.
fn unsupported(options: &Options) -> Vec<&'static str> {
    let mut lines = Vec::new();
    if options.snmp || options.snmp_agent_socket.is_some() {
        lines.push("WARNING - SNMP is not supported, options -x and -A have no effect");
    }
    if options.check {
        lines.push("There is no health checker, option -C has no effect beside -P");
    }
    if options.checkers_pid.is_some() {
        lines.push("There is no healthchecker process, option -c has no effect");
    }
    if options.bfd_pid.is_some() {
        lines.push("There is no BFD process, option -b has no effect");
    }
    lines
}

enum Side {
    Launcher,
    Daemon,
}

/// Leaves terminal, session and directory, as keepalived does without `-n`.
fn go_to_background() -> anyhow::Result<Side> {
    if let Fork::Parent(_) = osys::process::fork().context("fork")? {
        return Ok(Side::Launcher);
    }
    nix::unistd::setsid().context("setsid")?;
    // Without being session leader it can never get a terminal again.
    if let Fork::Parent(_) = osys::process::fork().context("fork")? {
        return Ok(Side::Launcher);
    }
    nix::unistd::chdir("/").context("chdir")?;
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .context("/dev/null")?;
    nix::unistd::dup2_stdin(&null).context("standard input")?;
    nix::unistd::dup2_stdout(&null).context("standard output")?;
    nix::unistd::dup2_stderr(&null).context("standard error")?;
    Ok(Side::Daemon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facilities_are_numbers_of_local_or_names() {
        assert_eq!(facility("3").map(Facility::number), Some(19));
        assert_eq!(facility("local7").map(Facility::number), Some(23));
        assert_eq!(facility("daemon").map(Facility::number), Some(3));
        for wrong in ["8", "9", "kern", "local8", "", "-1"] {
            assert_eq!(facility(wrong), None, "{wrong:?}");
        }
    }
}
