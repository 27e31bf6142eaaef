//! What a demo measured, as a YAML file for whoever compares runs.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::scenario::Move;
use serde::Serialize;

/// One move of the address in the order of the acts; times in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    act: &'static str,
    moved_to: String,
    took_ms: u64,
    without_owner_ms: u64,
    two_owners_ms: u64,
    requests: usize,
    lost: usize,
}

impl Row {
    pub(crate) fn new(act: &'static str, to: &str, moved: &Move) -> Self {
        Self {
            act,
            moved_to: to.to_owned(),
            took_ms: milliseconds(moved.took()),
            without_owner_ms: milliseconds(moved.gap()),
            two_owners_ms: milliseconds(moved.overlap()),
            requests: moved.attempts.len(),
            lost: moved.lost(),
        }
    }
}

/// Writes the rows to `file`, over what was there.
pub(crate) fn write(file: &Path, rows: &[Row]) -> Result<()> {
    let text = serde_yaml::to_string(rows).context("cannot put the report into words")?;
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_list_of_moves() {
        let row = Row {
            act: "the balancer on lb1 is killed (SIGKILL)",
            moved_to: String::from("lb2"),
            took_ms: 4143,
            without_owner_ms: 0,
            two_owners_ms: 0,
            requests: 102,
            lost: 82,
        };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("report.yaml");
        write(&file, &[row]).unwrap();
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            "- act: the balancer on lb1 is killed (SIGKILL)\n  moved_to: lb2\n  took_ms: 4143\n  \
             without_owner_ms: 0\n  two_owners_ms: 0\n  requests: 102\n  lost: 82\n"
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = write(Path::new("/nonexistent/report.yaml"), &[]).unwrap_err();
        assert_eq!(error.to_string(), "cannot write /nonexistent/report.yaml");
    }
}
