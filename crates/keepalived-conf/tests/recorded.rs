//! What keepalived 2.2.7 said of many small files, and what its config test ended with: recorded
//! by running it. In each file of data/recorded, cases are separated by `---`; a case is a
//! configuration, `=== EXIT` and the lines.

use std::path::Path;

use keepalived_conf::env::FakeFile;
use keepalived_conf::{FakeEnvironment, Options, load};

/// What is said only here, of words that are read and do nothing.
const OWN: &str = "has no effect here";

fn host() -> FakeEnvironment {
    FakeEnvironment::new()
        .with_interface("eth0")
        .with_interface("eth1")
        .with_interface("ens160")
        .with_file("/inc/d1/a.conf", FakeFile::readable("! hi\n"))
        .with_file("/inc/d2/other.txt", FakeFile::readable(""))
        .with_file("/etc/passwd", FakeFile::readable(""))
}

fn compare(recorded: &str) {
    let mut different = String::new();
    for case in recorded.split("---\n") {
        let (text, verdict) = case.split_once("\n=== ").unwrap_or((case, "none"));
        let (exit, lines) = verdict.split_once('\n').unwrap_or((verdict, ""));
        let text = format!("{text}\n");
        let host = host().with_file("/x.conf", FakeFile::readable(text.as_str()));
        let loaded = load(Path::new("x.conf"), &Options::default(), &host);
        let ours: Vec<&str> = loaded
            .test_lines()
            .filter(|line| !line.contains(OWN))
            .collect();
        let recorded: Vec<&str> = lines.lines().collect();
        if (loaded.test_exit.to_string().as_str(), &ours) != (exit, &recorded) {
            different += &format!(
                "{text}recorded {exit} {recorded:#?}\nours {} {ours:#?}\n\n",
                loaded.test_exit
            );
        }
    }
    assert!(different.is_empty(), "{different}");
}

#[test]
fn numbers() {
    compare(include_str!("data/recorded/numbers.txt"));
}

#[test]
fn includes() {
    compare(include_str!("data/recorded/includes.txt"));
}

/// What is said of virtual servers, which are read and not acted upon.
#[test]
fn virtual_servers() {
    compare(include_str!("data/recorded/lvs.txt"));
}

/// What is read and does nothing here is judged all the same.
#[test]
fn others() {
    compare(include_str!("data/recorded/others.txt"));
}
