//! `startup_script` and `shutdown_script`: run once, and everything else waits for them.

use std::future::poll_fn;

use daemonkit::syslog::Level;
use keepalived_conf::Command;
use vrrp_core::Duration;

use super::runner::{End, Job, Runner};
use crate::driver::Signals;
use crate::log::{Log, Voice};

/// Runs the script of the end. The daemon's event loop is gone by then, with all that hung
/// in it.
pub(crate) fn shutdown(script: &(Command, Duration), log: &Log) {
    match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => {
            runtime.block_on(run("shutdown", script, log, None));
        }
        Err(error) => {
            let line = format!("shutdown script cannot be started: {error}");
            log.write(Voice::Parent, Level::Warning, &line);
        }
    }
}

/// Runs a script of start or end, which everything else waits for: but for so long. Whether
/// the daemon was told to stop meanwhile.
pub(crate) async fn run(
    what: &str,
    (command, limit): &(Command, Duration),
    log: &Log,
    mut signals: Option<&mut Signals>,
) -> bool {
    let say = |level, text: &str| log.write(Voice::Parent, level, text);
    let path = command.argv.first().map(|word| word.display().to_string());
    let path = path.unwrap_or_default();
    say(Level::Info, &format!("Running {what} script {path}"));
    let job = Job {
        ticket: 0,
        argv: command.argv.clone(),
        user: command.user.clone(),
        timeout: limit.to_std(),
    };
    let mut runner = Runner::start()
        .ok()
        .filter(|runner| runner.run(job).is_ok());
    let mut stopped = false;
    let mut next = async |runner: &mut Runner| {
        poll_fn(|cx| {
            if let Some(signals) = &mut signals {
                stopped |= signals.poll_stop(cx).is_ready();
            }
            runner.poll_report(cx)
        })
        .await
        .map(|report| report.end)
    };
    let mut end = None;
    if let Some(runner) = &mut runner {
        end = next(runner).await;
        if end == Some(End::TimedOut) {
            // It was told to end, and is killed if it does not.
            next(runner).await;
        }
    }
    let (level, result) = match end {
        Some(End::Exited(0)) => (Level::Info, "script succeeded".to_owned()),
        Some(End::Exited(status)) => (Level::Warning, format!("script failed, status {status}")),
        Some(End::TimedOut | End::Gone) => (Level::Warning, "timed out".to_owned()),
        Some(End::Signalled(signal)) => {
            (Level::Warning, format!("terminated due to signal {signal}"))
        }
        Some(End::NotStarted(reason)) => (Level::Warning, format!("cannot be started: {reason}")),
        None => (Level::Warning, "cannot be started".to_owned()),
    };
    say(level, &format!("{what} script {result}"));
    stopped
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shell(script: &str, seconds: u64) -> (Command, Duration) {
        let command = Command {
            argv: ["/bin/sh", "-c", script].map(Into::into).to_vec(),
            user: keepalived_conf::env::Credentials {
                uid: nix::unistd::geteuid().as_raw(),
                gid: nix::unistd::getegid().as_raw(),
            },
        };
        (command, Duration::from_secs(seconds))
    }

    #[test]
    fn a_stop_while_the_startup_script_runs_is_kept_until_its_end() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("mark");
        let script = format!("kill -TERM $PPID; echo done > {}", mark.display());
        let log = Log::in_memory();
        runtime.block_on(async {
            let mut signals = Signals::catch().unwrap();
            let script = shell(&script, 20);
            let told = run("startup", &script, &log, Some(&mut signals)).await;
            // The signal may be on its way still, but it is not lost.
            if !told {
                let stop = poll_fn(|cx| signals.poll_stop(cx));
                let limit = std::time::Duration::from_secs(20);
                tokio::time::timeout(limit, stop).await.unwrap();
            }
        });
        assert!(mark.exists(), "the script ran to its end");
        assert_eq!(
            log.take_lines(),
            [
                "Running startup script /bin/sh",
                "startup script script succeeded"
            ]
        );
    }

    #[test]
    fn a_script_of_the_start_that_takes_too_long_is_killed_before_it_goes_on() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let pid = directory.path().join("pid");
        let script = format!(
            "echo $$ > {}; trap '' TERM; while :; do sleep 60; done",
            pid.display()
        );
        let log = Log::in_memory();
        runtime.block_on(run("startup", &shell(&script, 1), &log, None));
        let pid = std::fs::read_to_string(pid).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "{pid}");
        assert_eq!(
            log.take_lines().last().map(String::as_str),
            Some("startup script timed out")
        );
    }
}
