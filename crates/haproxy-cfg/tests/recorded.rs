//! What `haproxy -c` says, recorded from HAProxy 2.6.12, against what we say.
//!
//! Each file of `recorded/` has lines that go before and after every case (`@before`, `@after`),
//! then the cases: `== CASE` (`@@` is a line break), the exit code, stdout with `> ` and stderr
//! with `| ` before each line; pid, version and executable are left out. With
//! `HAPROXY_CFG_RECORD=1` the files are written anew from the installed haproxy.

#![expect(
    clippy::unwrap_used,
    reason = "a test's own files are there, or it fails"
)]

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{VARIABLES, check, plain};

struct Group {
    before: String,
    after: String,
    cases: Vec<(String, String)>,
}

fn read(path: &Path) -> Group {
    let text = std::fs::read_to_string(path).unwrap();
    let mut group = Group {
        before: String::new(),
        after: String::new(),
        cases: Vec::new(),
    };
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("@before ") {
            group.before += &format!("{line}\n");
        } else if let Some(line) = line.strip_prefix("@after ") {
            group.after += &format!("{line}\n");
        } else if let Some(case) = line.strip_prefix("== ") {
            group.cases.push((case.to_owned(), String::new()));
        } else if let Some((_, expected)) = group.cases.last_mut() {
            *expected += &format!("{line}\n");
        }
    }
    group
}

fn config(group: &Group, case: &str) -> String {
    format!(
        "{}{}\n{}",
        group.before,
        case.replace("@@", "\n"),
        group.after
    )
}

fn show(code: i32, stdout: &[u8], stderr: &[u8]) -> String {
    let mut out = format!("{code}\n");
    for (mark, bytes) in [('>', stdout), ('|', stderr)] {
        for line in plain(bytes).lines() {
            writeln!(out, "{mark} {line}").unwrap();
        }
    }
    out
}

fn record(path: &Path, group: &Group) {
    let mut text = String::new();
    for (mark, lines) in [("@before", &group.before), ("@after", &group.after)] {
        for line in lines.lines() {
            writeln!(text, "{mark} {line}").unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("FILE");
    for (case, _) in &group.cases {
        std::fs::write(&file, config(group, case)).unwrap();
        let output = Command::new("haproxy")
            .args(["-c", "-f", "FILE"])
            .current_dir(folder.path())
            .envs(VARIABLES.iter().copied())
            .output()
            .unwrap();
        let code = output.status.code().unwrap_or(-1);
        let shown = show(code, &output.stdout, &output.stderr);
        write!(text, "== {case}\n{shown}").unwrap();
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn every_recorded_case_is_answered_as_the_original_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut cases = 0;
    let mut wrong = String::new();
    for path in files {
        let group = read(&path);
        if std::env::var_os("HAPROXY_CFG_RECORD").is_some() {
            record(&path, &group);
            continue;
        }
        for (case, expected) in &group.cases {
            cases += 1;
            let output = check(config(&group, case).as_bytes());
            let shown = show(i32::from(output.code), &output.stdout, &output.stderr);
            if shown != *expected {
                let file = path.file_name().unwrap().display();
                writeln!(wrong, "{file}: {case}\nexpected {expected}got {shown}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(
        cases > 500 || std::env::var_os("HAPROXY_CFG_RECORD").is_some(),
        "only {cases} cases were found"
    );
}
