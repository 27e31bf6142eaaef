//! `index.tsv`: one line a file, the first line names the columns.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// What the original said to a file in one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Its exit code.
    pub(super) exit: u8,
    /// Its first complaint, the file called `FILE`; empty for none.
    pub(super) complaint: String,
}

/// One file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The file's name without its ending.
    pub(super) id: String,
    /// As it was found: nothing that it refers to is there.
    pub(super) bare: Verdict,
    /// With all of `supplied` there.
    pub(super) full: Option<Verdict>,
    /// What the second run had: names and paths.
    pub(super) supplied: Vec<String>,
}

/// The entries whose class begins so. The index is in the folder, or in the one above.
pub(super) fn entries(corpus: &Path, class: &str) -> Result<Vec<Entry>> {
    let index = [corpus.join("index.tsv"), corpus.join("../index.tsv")]
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| format!("no index.tsv in {} or above it", corpus.display()))?;
    let text = fs::read_to_string(&index).with_context(|| index.display().to_string())?;
    let entries = parse(&text, class).with_context(|| index.display().to_string())?;
    if entries.is_empty() {
        bail!("{}: no file of class {class}", index.display());
    }
    Ok(entries)
}

fn parse(text: &str, class: &str) -> Result<Vec<Entry>> {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let mut entries = Vec::new();
    for (number, line) in lines.enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        let field = |name: &str| {
            let column = columns.iter().position(|column| *column == name)?;
            fields.get(column).copied()
        };
        if !field("class").unwrap_or_default().starts_with(class) {
            continue;
        }
        let verdict = |exit: &str, complaint: &str| -> Option<Verdict> {
            Some(Verdict {
                exit: field(exit)?.parse().ok()?,
                complaint: field(complaint).unwrap_or_default().to_owned(),
            })
        };
        let (Some(id), Some(bare)) = (field("id"), verdict("exit", "first_complaint")) else {
            bail!("line {}: no id or no exit code", number + 2);
        };
        let supplied = field("supplied").unwrap_or_default();
        entries.push(Entry {
            id: id.to_owned(),
            bare,
            full: verdict("exit_supplied", "first_complaint_supplied"),
            supplied: supplied.split_whitespace().map(str::to_owned).collect(),
        });
    }
    Ok(entries)
}

/// Where the file of an entry is.
pub(super) fn file(corpus: &Path, folder: &str, id: &str) -> Result<PathBuf> {
    let name = format!("{id}.conf");
    [corpus.join(folder).join(&name), corpus.join(&name)]
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not in {}", corpus.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_go_by_their_names() {
        let text = "id\tclass\texit\tfirst_complaint\texit_supplied\tfirst_complaint_supplied\tsupplied\n\
            k1\tvrrp\t5\t(FILE: Line 3) no\t0\t\t/a/b.sh /c\n\
            h1\ttcp\t1\tALERT\t\t\t\n\
            k2\tvrrp+lvs\t0\t\t\t\t\n";
        let entries = parse(text, "vrrp").unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].bare.exit, 5);
        assert_eq!(entries[0].bare.complaint, "(FILE: Line 3) no");
        assert_eq!(entries[0].supplied, ["/a/b.sh", "/c"]);
        assert_eq!(entries[0].full.as_ref().unwrap().exit, 0);
        assert_eq!(entries[1].full, None);
        assert!(parse("id\tclass\texit\nk1\tvrrp\tx\n", "vrrp").is_err());
    }
}
