//! The keyword tables as documentation.

use std::fmt::Write;

use crate::table::{Block, Row, Status};

/// The text of `docs/compat/keepalived.md`.
#[must_use]
pub fn compat_markdown() -> String {
    let mut text = String::from(include_str!("compat/head.md"));
    for block in Block::ALL {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n### {}\n\n| Keyword | Status | Effect |\n|---|---|---|\n",
            block.title()
        );
        let mut rows: Vec<&Row> = block.rows().iter().collect();
        rows.sort_by_key(|row| row.name);
        for row in rows {
            let (status, effect) = match row.status {
                Status::Full => ("full", row.summary.to_owned()),
                Status::Accepted(why) => ("accepted", format!("nothing to do: {why}")),
                Status::Refused(why) => (
                    "refused",
                    format!("a warning says that it has no effect: {why}"),
                ),
            };
            let usage = format!("{} {}", row.name, row.arguments)
                .trim_end()
                .replace('|', "\\|");
            let _ = writeln!(
                text,
                "| `{usage}` | {status} | {} |",
                effect.replace('|', "\\|")
            );
        }
    }
    text.push_str(include_str!("compat/tail.md"));
    text
}
