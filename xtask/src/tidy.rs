//! House rules that a machine can check; they run with the other tests.

use std::fs;
use std::path::{Path, PathBuf};

/// No source file is longer: split it by topic before that.
const LONGEST: usize = 800;

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 3] = ["target", ".git", "corpus"];

fn sources(dir: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !FOREIGN.contains(&name.as_str()) {
                sources(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

fn every(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&e2e::binaries::workspace(), endings, &mut found);
    assert!(!found.is_empty());
    found
}

#[test]
fn no_source_file_is_too_long() {
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count();
    let long: Vec<_> = every(&[".rs"])
        .into_iter()
        .filter(|path| lines(path) > LONGEST)
        .collect();
    assert!(long.is_empty(), "longer than {LONGEST} lines: {long:?}");
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!("),
        concat!("#[ig", "nore]"),
    ];
    let mut left = Vec::new();
    for path in every(&[".rs", ".toml"]) {
        let text = fs::read_to_string(&path).unwrap();
        left.extend(
            marks
                .iter()
                .filter(|mark| text.contains(*mark))
                .map(|mark| (path.clone(), *mark)),
        );
    }
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn unsafe_code_has_one_home() {
    let outside =
        |path: &PathBuf| !path.starts_with(e2e::binaries::workspace().join("crates/osys"));
    let opens = concat!("unsafe", " {");
    let strays: Vec<_> = every(&[".rs"])
        .into_iter()
        .filter(|path| outside(path) && fs::read_to_string(path).unwrap().contains(opens))
        .collect();
    assert!(
        strays.is_empty(),
        "unsafe code belongs into crates/osys: {strays:?}"
    );
}
