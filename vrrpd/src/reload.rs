//! Whether a new configuration may take the running one's place.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use cfgtext::Severity;
use keepalived_conf::{Config, Loaded, Start};

use crate::log::{Log, Voice};

/// Complaints about a configuration.
pub(crate) type Complaints = BTreeSet<String>;

/// What is wrong with a configuration, in its own words and without places.
pub(crate) fn complaints(loaded: &Loaded) -> Complaints {
    loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| diagnostic.message.clone())
        .collect()
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
    let mut reasons: Vec<String> = complaints(loaded).difference(accepted).cloned().collect();
    if let Start::Refuse(code) = loaded.start {
        reasons.push(format!(
            "a daemon could not start with it (exit code {code})"
        ));
    }
    match &loaded.config {
        Some(config) if reasons.is_empty() => Ok(config.clone()),
        Some(_) => Err(reasons),
        None => {
            reasons.push("there is nothing in it that could be run".to_owned());
            Err(reasons)
        }
    }
}

/// Says that the running configuration stays, and why; also to the file that
/// `reload_check_config` names.
pub(crate) fn report_refusal(log: &Log, loaded: &Loaded, path: &Path, reasons: &[String]) {
    let level = daemonkit::syslog::Level::Err;
    for reason in reasons {
        log.write(Voice::Vrrp, level, &format!("Reload: {reason}"));
    }
    log.write(
        Voice::Vrrp,
        level,
        &format!(
            "Reload of {} refused, the running configuration stays in force",
            path.display()
        ),
    );
    let check_log = loaded
        .config
        .as_ref()
        .and_then(|config| config.global.reload_check_log.as_ref());
    if let Some(check_log) = check_log
        && let Ok(mut file) = std::fs::File::create(check_log)
    {
        for line in loaded.test_lines() {
            // The log has them too; a full disk is no reason to stop here.
            let _ = writeln!(file, "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use keepalived_conf::{Environment, FakeEnvironment, Options};

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
