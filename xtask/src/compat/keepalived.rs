//! Our loader beside the recorded verdicts of `keepalived -t`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use keepalived_conf::{Options, load};
use serde_json::{Value, json};

use crate::run::say;

use super::host::{Host, PLACE};
use super::recorded::{Verdict, entries, file};

/// One run whose verdict is not the recorded one.
struct Difference {
    id: String,
    supplied: bool,
    recorded: Verdict,
    ours: Verdict,
    /// Why it is meant, if it is: see docs/compat/keepalived.md.
    meant: Option<&'static str>,
}

/// What all runs gave.
#[derive(Default)]
struct Tally {
    files: usize,
    runs: usize,
    exits: usize,
    complaints: usize,
    differences: Vec<Difference>,
}

/// Compares every file; fails if a difference is not meant.
pub(super) fn compare(corpus: &Path, as_json: bool) -> Result<ExitCode> {
    let mut tally = Tally::default();
    for entry in entries(corpus, "vrrp")? {
        let path = file(corpus, "keepalived", &entry.id)?;
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        tally.files += 1;
        let scripts = entry.supplied.iter().map(PathBuf::from);
        let scripts: Vec<PathBuf> = scripts.filter(|path| path.is_absolute()).collect();
        let runs = [(Some(entry.bare), Vec::new()), (entry.full, scripts)];
        for (supplied, (recorded, scripts)) in [false, true].into_iter().zip(runs) {
            let Some(recorded) = recorded else { continue };
            let ours = verdict(&text, scripts);
            tally.runs += 1;
            tally.exits += usize::from(ours.exit == recorded.exit);
            tally.complaints += usize::from(ours.complaint == recorded.complaint);
            if ours != recorded {
                tally.differences.push(Difference {
                    meant: meant(&text, &recorded, &ours),
                    id: entry.id.clone(),
                    supplied,
                    recorded,
                    ours,
                });
            }
        }
    }
    say(&if as_json {
        tally.json().to_string()
    } else {
        tally.text()
    });
    Ok(if tally.unlisted() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Our verdict on a file, on a host that has these scripts.
fn verdict(text: &[u8], scripts: Vec<PathBuf>) -> Verdict {
    let host = Host::new(text.to_vec(), scripts);
    let loaded = load(Path::new(PLACE), &Options::default(), &host);
    let first = loaded.test_lines().next().unwrap_or_default();
    Verdict {
        exit: loaded.test_exit,
        complaint: first.replace(PLACE, "FILE").trim().to_owned(),
    }
}

/// The reason of a difference that is meant.
fn meant(text: &[u8], recorded: &Verdict, ours: &Verdict) -> Option<&'static str> {
    const CHECKERS: &str = "blocks of the health checkers are skipped whole";
    const USERS: &str = "2.2.7 ends with 143 when it looks at scripts of other users than root";
    if recorded.exit == 143 {
        return Some(USERS);
    }
    // The complaints of the daemon's other processes have to be the same.
    let checkers = match cited(&recorded.complaint) {
        Some(line) => in_checkers(text, line),
        None => recorded.complaint.starts_with("Virtual server "),
    };
    (checkers && ours.exit <= recorded.exit).then_some(CHECKERS)
}

/// The line that a complaint cites: `(FILE: Line N)` or `(Line N)`.
fn cited(complaint: &str) -> Option<usize> {
    let (_, rest) = complaint.split_once("Line ")?;
    rest.split_once(')')?.0.parse().ok()
}

/// Whether a line, counted from 1, is in a block of the health checkers.
fn in_checkers(text: &[u8], line: usize) -> bool {
    const BLOCKS: [&str; 3] = ["virtual_server", "virtual_server_group", "SSL"];
    let text = String::from_utf8_lossy(text);
    let mut depth = 0_usize;
    let mut inside = false;
    for (number, words) in text.lines().enumerate() {
        let words = words.split(['#', '!']).next().unwrap_or_default();
        let first = words.split_whitespace().next().unwrap_or_default();
        if depth == 0 && !first.is_empty() && !first.starts_with('{') {
            inside = BLOCKS.contains(&first);
        }
        if number + 1 == line {
            return inside;
        }
        for brace in words.chars() {
            match brace {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    false
}

impl Tally {
    fn unlisted(&self) -> usize {
        let unlisted = |difference: &&Difference| difference.meant.is_none();
        self.differences.iter().filter(unlisted).count()
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        for difference in &self.differences {
            let setting = if difference.supplied {
                "with its scripts"
            } else {
                "as it is"
            };
            lines.push(format!("{}, {setting}", difference.id));
            for (who, verdict) in [
                ("keepalived", &difference.recorded),
                ("vrrpd     ", &difference.ours),
            ] {
                lines.push(format!("  {who}  {}  {}", verdict.exit, verdict.complaint));
            }
            if let Some(why) = difference.meant {
                lines.push(format!("  meant: {why}"));
            }
        }
        lines.push(format!(
            "{} files, {} runs: the exit code agrees in {}, the first complaint in {}; {} differ, {} of them for no listed reason",
            self.files,
            self.runs,
            self.exits,
            self.complaints,
            self.differences.len(),
            self.unlisted(),
        ));
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let verdict = |verdict: &Verdict| json!({ "exit": verdict.exit, "first_complaint": verdict.complaint });
        let differences: Vec<Value> = self
            .differences
            .iter()
            .map(|difference| {
                json!({
                    "id": difference.id,
                    "supplied": difference.supplied,
                    "keepalived": verdict(&difference.recorded),
                    "vrrpd": verdict(&difference.ours),
                    "meant": difference.meant,
                })
            })
            .collect();
        json!({
            "files": self.files,
            "runs": self.runs,
            "exit_agrees": self.exits,
            "first_complaint_agrees": self.complaints,
            "unlisted": self.unlisted(),
            "differences": differences,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "vrrp_instance V {\n interface eth0\n}\nvirtual_server 1.2.3.4 80 {\n bogus\n real_server 1.1.1.1 80 {\n }\n}\nfoo\n";

    #[test]
    fn only_faults_of_virtual_servers_may_differ() {
        assert_eq!(cited("(FILE: Line 13) Unknown"), Some(13));
        assert_eq!(cited("(Line 7) x"), Some(7));
        assert_eq!(cited("There are 1 missing"), None);
        let blocks: Vec<bool> = (1..=9)
            .map(|line| in_checkers(FILE.as_bytes(), line))
            .collect();
        let (t, f) = (true, false);
        assert_eq!(blocks, [f, f, f, t, t, t, t, t, f]);
    }

    #[test]
    fn a_file_is_judged_on_the_host_that_it_was_recorded_on() {
        let text = b"vrrp_instance V {\n interface ens9\n virtual_router_id 1\n\
            virtual_ipaddress {\n10.0.0.1/24\n}\n bogus\n}\n";
        let found = verdict(text, Vec::new());
        assert_eq!(found.exit, 5);
        assert_eq!(found.complaint, "(FILE: Line 7) Unknown keyword 'bogus'");
        let script = b"vrrp_script c {\n script /nowhere/c.sh\n}\nvrrp_instance V {\n\
            interface ens9\n virtual_router_id 1\n virtual_ipaddress {\n10.0.0.1/24\n}\n\
            track_script {\nc\n}\n}\n";
        assert_eq!(verdict(script, Vec::new()).exit, 5);
        assert_eq!(verdict(script, vec!["/nowhere/c.sh".into()]).exit, 6);
    }
}
