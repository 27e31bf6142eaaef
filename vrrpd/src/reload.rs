//! A new configuration on its way into the daemon. All of this runs on a helper
//! thread: a file of ten megabytes can be wrong in a hundred thousand places, and
//! adverts do not wait while they are counted.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cfgtext::Severity;
use keepalived_conf::{Config, Loaded, Options, Process, Start, SystemEnvironment};

/// Reasons for a refusal that are logged.
const REASONS: usize = 10;
/// Lines about one configuration that are logged for each process.
const LINES: usize = 100;

/// Where to find the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) options: Options,
}

/// A configuration that was read, ready to be taken or refused.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// What keepalived's parent process would log about it.
    pub(crate) parent: Vec<String>,
    /// What its VRRP process would.
    pub(crate) vrrp: Vec<String>,
    /// The configuration and what is wrong with it all the same, or why the running
    /// one stays.
    pub(crate) outcome: Result<(Config, Complaints), Vec<String>>,
}

impl Prepared {
    /// What is left of an attempt that ended without a verdict.
    pub(crate) fn failed(reason: String) -> Self {
        Self {
            parent: Vec::new(),
            vrrp: Vec::new(),
            outcome: Err(vec![
                reason,
                "the running configuration stays in force".to_owned(),
            ]),
        }
    }
}

/// Reads the configuration again and judges it.
pub(crate) fn prepare(source: &Source, accepted: &Complaints) -> Prepared {
    let loaded = keepalived_conf::load(&source.path, &source.options, &SystemEnvironment);
    let outcome = verdict(&loaded, accepted).map(|config| (config, complaints(&loaded)));
    if outcome.is_err() {
        write_check_log(&loaded);
    }
    let mut parent = log_lines(&loaded, Process::Parent);
    parent.insert(0, format!("Configuration file {}", source.path.display()));
    Prepared {
        parent,
        vrrp: log_lines(&loaded, Process::Vrrp),
        outcome: outcome.map_err(|mut reasons| {
            reasons.truncate(REASONS);
            reasons.push(format!(
                "{} refused, the running configuration stays in force",
                source.path.display()
            ));
            reasons
        }),
    }
}

/// What one process has to say about a configuration, within reason.
pub(crate) fn log_lines(loaded: &Loaded, process: Process) -> Vec<String> {
    let mut lines: Vec<String> = loaded
        .log_lines(process)
        .take(LINES)
        .map(str::to_owned)
        .collect();
    let more = loaded.log_lines(process).skip(LINES).count();
    if more > 0 {
        lines.push(format!(
            "{more} more messages about the configuration, see -t"
        ));
    }
    lines
}

/// Complaints about a configuration.
pub(crate) type Complaints = BTreeSet<String>;

/// What is wrong with a configuration, in its own words and without places.
pub(crate) fn complaints(loaded: &Loaded) -> Complaints {
    errors(loaded).map(str::to_owned).collect()
}

fn errors(loaded: &Loaded) -> impl Iterator<Item = &str> {
    loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| diagnostic.message.as_str())
}

/// The configuration to go over to, or why the running one stays.
///
/// Any error keeps the running configuration, except one that it was itself accepted
/// with: keepalived starts with many faults, and a file that has always had one can
/// still be changed elsewhere.
///
/// # Errors
/// The reasons, one line each; at least one.
pub(crate) fn verdict(loaded: &Loaded, accepted: &Complaints) -> Result<Config, Vec<String>> {
    let mut told = accepted.clone();
    let mut reasons: Vec<String> = errors(loaded)
        .filter(|message| told.insert((*message).to_owned()))
        .map(str::to_owned)
        .collect();
    if let Start::Refuse(code) = loaded.start {
        reasons.push(format!(
            "a daemon could not start with it (exit code {code})"
        ));
    }
    // An empty file is what an interrupted copy leaves behind; who wants to run
    // nothing stops the daemon.
    let config = loaded
        .config
        .as_ref()
        .filter(|config| !config.instances.is_empty());
    match config {
        Some(config) if reasons.is_empty() => Ok(config.clone()),
        Some(_) => Err(reasons),
        None => {
            reasons.push("there is no vrrp_instance in it that could be run".to_owned());
            Err(reasons)
        }
    }
}

/// `reload_check_config FILE`: all complaints about a refused configuration.
fn write_check_log(loaded: &Loaded) {
    let path: Option<&Path> = loaded
        .config
        .as_ref()
        .and_then(|config| config.global.reload_check_log.as_deref());
    // A pipe that nobody reads would keep every later reload waiting.
    let open = |path: &Path| {
        std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(path)
    };
    let Some(Ok(mut file)) = path.map(open) else {
        return;
    };
    for line in loaded.test_lines() {
        // The log has them too; a full disk is no reason to stop here.
        let _ = writeln!(file, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepalived_conf::{Environment, FakeEnvironment};

    const GOOD: &str = "vrrp_instance V {\n interface eth0\n virtual_router_id 60\n \
                        virtual_ipaddress {\n 10.0.0.9/24\n }\n}\n";

    fn read(text: &str) -> Loaded {
        let environment = FakeEnvironment::new()
            .with_file(
                "/etc/k.conf",
                keepalived_conf::env::FakeFile::readable(text),
            )
            .with_interface("eth0");
        let environment: &dyn Environment = &environment;
        keepalived_conf::load(
            &PathBuf::from("/etc/k.conf"),
            &Options::default(),
            environment,
        )
    }

    #[test]
    fn a_good_file_is_taken_and_a_faulty_one_is_not() {
        let none = Complaints::new();
        assert!(verdict(&read(GOOD), &none).is_ok());
        for (what, text) in [
            (
                "unknown keyword",
                GOOD.replace("virtual_router_id", "fooo 1\n virtual_router_id"),
            ),
            (
                "missing parameter",
                GOOD.replace("virtual_router_id 60", "virtual_router_id"),
            ),
            ("out of range", GOOD.replace("60", "256")),
            ("empty", String::new()),
            ("missing interface", GOOD.replace("eth0", "nosuch0")),
            (
                "missing brace",
                GOOD.trim_end().trim_end_matches('}').to_owned(),
            ),
        ] {
            let reasons = verdict(&read(&text), &none).map(drop).unwrap_err();
            assert!(!reasons.is_empty(), "{what}");
        }
    }

    #[test]
    fn a_hundred_thousand_faults_are_a_hundred_lines() {
        let loaded = read(&"fooo\n".repeat(100_000));
        assert!(log_lines(&loaded, Process::Vrrp).len() <= LINES + 1);
    }

    #[test]
    fn a_fault_the_running_file_has_always_had_is_no_reason() {
        let faulty = GOOD.replace("virtual_router_id", "fooo 1\n virtual_router_id");
        let loaded = read(&faulty);
        let accepted = complaints(&loaded);
        assert!(!accepted.is_empty());
        assert!(verdict(&loaded, &accepted).is_ok());
        let worse = faulty.replace("fooo", "baar");
        assert!(verdict(&read(&worse), &accepted).is_err());
    }
}
