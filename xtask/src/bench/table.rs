//! The table in Markdown.

use std::fmt::Write as _;

use super::results::{Row, Run};
use super::scenario::{self, Scenario};
use super::stats::Spread;

/// Between these lines of a document the table lives.
pub(crate) const MARKS: [&str; 2] = ["<!-- bench relay: begin -->", "<!-- bench relay: end -->"];

/// What was measured where.
pub(crate) struct About<'a> {
    pub(crate) machine: &'a str,
    pub(crate) versions: &'a [String],
    pub(crate) rounds: usize,
    pub(crate) secs: f64,
    pub(crate) connections: usize,
}

/// The whole report: head, a table per scenario, and what was left out.
pub(crate) fn markdown(about: &About<'_>, rows: &[Row], runs: &[Run]) -> String {
    let mut text = format!(
        "{}; {}. {} rounds of {} s; {} idle connections. Ratio: median of the rounds' ratios, \
         proxyd / peer, with its quartiles.\n",
        about.machine,
        about.versions.join("; "),
        about.rounds,
        about.secs,
        about.connections,
    );
    for scenario in scenario::every() {
        let own: Vec<&Row> = rows
            .iter()
            .filter(|row| row.scenario == scenario.name)
            .collect();
        if !own.is_empty() {
            section(&mut text, scenario, &own);
        }
    }
    left_out(&mut text, runs);
    text
}

fn section(text: &mut String, scenario: &Scenario, rows: &[&Row]) {
    let _infallible = write!(
        text,
        "\n**{}**: {}\n\n\
         | figure | peer | {} | peer's | ratio | must | aim | verdict | rounds |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        scenario.name,
        scenario.about,
        rows.first().map_or("", |row| row.subject.as_str()),
    );
    for row in rows {
        let limit = |limit: Option<f64>| limit.map_or_else(String::new, |l| format!("{l:.2}"));
        let middle = |spread: Option<Spread>| {
            spread.map_or_else(|| "-".to_owned(), |spread| number(spread.median))
        };
        let ratio = row.ratio.map_or_else(
            || "-".to_owned(),
            |r| format!("{:.2} ({:.2}-{:.2})", r.median, r.low, r.high),
        );
        let rounds = match row.excluded {
            0 => row.rounds.to_string(),
            excluded => format!("{}, {excluded} runs excluded", row.rounds),
        };
        let _infallible = writeln!(
            text,
            "| {} | {} | {} | {} | {ratio} | {} | {} | {} | {rounds} |",
            row.label,
            row.peer,
            middle(row.ours),
            middle(row.theirs),
            limit(row.must),
            limit(row.aim),
            row.verdict.map_or("", |verdict| verdict.word()),
        );
    }
}

fn left_out(text: &mut String, runs: &[Run]) {
    let faulty: Vec<&Run> = runs.iter().filter(|run| run.fault.is_some()).collect();
    if faulty.is_empty() {
        return;
    }
    text.push_str("\nRuns that do not count:\n\n");
    for run in faulty {
        let fault = run.fault.as_deref().unwrap_or_default().trim();
        let _infallible = writeln!(
            text,
            "- {}, {}, round {}: {fault}",
            run.scenario,
            run.proxy,
            run.round + 1
        );
    }
}

/// Three figures that matter.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 || size == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

/// `document` with `table` between its marks; a document without marks is replaced.
pub(crate) fn insert(document: &str, table: &str, [begin, end]: [&str; 2]) -> String {
    let parts = document.split_once(begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(end)?;
        Some((before, after))
    });
    match parts {
        Some((before, after)) => format!("{before}{begin}\n{table}{end}{after}"),
        None => table.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Verdict;
    use std::collections::BTreeMap;

    const ABOUT: About<'static> = About {
        machine: "2 cores",
        versions: &[],
        rounds: 8,
        secs: 0.5,
        connections: 9000,
    };

    fn flat(value: f64) -> Option<Spread> {
        Some(Spread {
            low: value - 0.01,
            median: value,
            high: value + 0.01,
        })
    }

    fn row() -> Row {
        Row {
            scenario: "cps",
            metric: "cpu",
            label: "CPU s / 100k connections",
            subject: "proxyd".to_owned(),
            peer: "haproxy".to_owned(),
            ours: flat(7.5),
            theirs: flat(8.333),
            ratio: flat(0.9),
            rounds: 7,
            excluded: 1,
            must: Some(0.98),
            aim: Some(0.88),
            verdict: Some(Verdict::Must),
        }
    }

    #[test]
    fn a_row_has_all_its_columns() {
        let text = markdown(&ABOUT, &[row()], &[]);
        let line = "| CPU s / 100k connections | haproxy | 7.50 | 8.33 | 0.90 (0.89-0.91) | 0.98 \
                    | 0.88 | must | 7, 1 runs excluded |";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("**rr**") && !text.contains("do not count"));
    }

    #[test]
    fn what_does_not_count_is_named() {
        let run = Run {
            scenario: "rr",
            proxy: "nginx".to_owned(),
            round: 2,
            values: BTreeMap::new(),
            log_lines: 0,
            fault: Some("4 reset".to_owned()),
        };
        let text = markdown(&ABOUT, &[], &[run]);
        assert!(text.contains("- rr, nginx, round 3: 4 reset"), "{text}");
    }

    #[test]
    fn a_figure_without_data_is_a_dash_and_no_verdict() {
        let empty = Row {
            ours: None,
            theirs: None,
            ratio: None,
            verdict: None,
            excluded: 0,
            rounds: 0,
            ..row()
        };
        let text = markdown(&ABOUT, &[empty], &[]);
        assert!(
            text.contains("| - | - | - | 0.98 | 0.88 |  | 0 |"),
            "{text}"
        );
    }

    #[test]
    fn the_table_replaces_what_stood_between_the_marks() {
        let [begin, end] = MARKS;
        let document = format!("a\n{begin}\nold\n{end}\nb\n");
        let once = insert(&document, "new\n", MARKS);
        assert_eq!(once, format!("a\n{begin}\nnew\n{end}\nb\n"));
        assert_eq!(insert(&once, "new\n", MARKS), once);
        assert_eq!(insert("no marks", "new\n", MARKS), "new\n");
    }

    #[test]
    fn numbers_have_three_figures() {
        let texts = [12345.6, 45.67, 1.234, 0.1234, 0.0].map(number);
        assert_eq!(texts, ["12346", "45.7", "1.23", "0.123", "0"]);
    }
}
