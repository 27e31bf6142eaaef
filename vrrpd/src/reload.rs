//! Whether a new configuration may take the running one's place.

use std::io::Write as _;
use std::path::Path;

use cfgtext::Severity;
use keepalived_conf::{Config, Loaded, Start};

use crate::log::{Log, Voice};

/// The configuration to go over to, or why the running one stays.
///
/// # Errors
/// The reasons, one line each; at least one.
pub(crate) fn verdict(loaded: &Loaded) -> Result<Config, Vec<String>> {
    let mut reasons: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| diagnostic.message.clone())
        .collect();
    if let Start::Refuse(code) = loaded.start
        && reasons.is_empty()
    {
        reasons.push(format!(
            "a daemon could not start with it (exit code {code})"
        ));
    }
    match &loaded.config {
        Some(config) if reasons.is_empty() => Ok(config.clone()),
        Some(_) => Err(reasons),
        None => {
            if reasons.is_empty() {
                reasons.push("there is nothing in it that could be run".to_owned());
            }
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
