//! The results as a Markdown table.

use std::fmt::Write as _;

use e2e::duel::Trouble;

use super::herd;
use super::rows::{MoveRow, PAIRINGS, Pairing, REFERENCE, Row, Sample};
use crate::bench::stats;
use crate::bench::table::number;

/// Between these lines of a document the table lives.
pub(super) const MARKS: [&str; 2] = ["<!-- bench vrrp: begin -->", "<!-- bench vrrp: end -->"];

/// Median and worst of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Summary {
    median: f64,
    worst: f64,
    count: usize,
}

fn summary(row: &str, pairing: &str, key: &str, samples: &[Sample]) -> Option<Summary> {
    let values: Vec<f64> = samples
        .iter()
        .filter(|s| s.row == row && s.pairing == pairing && s.fault.is_none())
        .filter_map(|s| s.values.get(key).copied())
        .collect();
    Some(Summary {
        median: stats::spread(&values)?.median,
        worst: values.iter().copied().max_by(f64::total_cmp)?,
        count: values.len(),
    })
}

/// All tables.
pub(super) fn markdown(head: &str, rows: &[Row], samples: &[Sample]) -> String {
    let mut text = format!("{head}\n");
    for row in rows {
        let _infallible = writeln!(text, "\n**{}**: {}\n", row.name(), row.about());
        match row {
            Row::Move(inner) if inner.trouble != Trouble::Reload => {
                moved(&mut text, inner, samples)
            }
            Row::Move(_) => figures(&mut text, row, &PAIRINGS.each_ref(), samples),
            Row::Herd(_) => {
                let own: Vec<&Pairing> = PAIRINGS.iter().filter(|p| herd::compares(p)).collect();
                figures(&mut text, row, &own, samples);
            }
        }
    }
    left_out(&mut text, samples);
    text
}

/// A table of a move: a line for each pairing. The figures are the median and the worst.
fn moved(text: &mut String, row: &MoveRow, samples: &[Sample]) {
    text.push_str(
        "| master/backup | backup has it | ratio | master has it no more | no owner | two owners \
         | back | no owner | two owners | announced by the winner |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for pairing in &PAIRINGS {
        let of = |key| summary(row.name, pairing.name, key, samples);
        let runs = samples
            .iter()
            .filter(|s| s.row == row.name && s.pairing == pairing.name && s.fault.is_none());
        let count = runs.clone().count();
        if count == 0 {
            continue;
        }
        let remained = runs.filter(|s| s.two_remained).count();
        let lost = match of("lost") {
            Some(lost) if lost.count == count => both(Some(lost)),
            Some(lost) => format!("{} in {} of {count}", both(Some(lost)), lost.count),
            None => "never".to_owned(),
        };
        let two = if remained > 0 {
            format!("until mended ({remained} of {count})")
        } else {
            both(of("two"))
        };
        let announced = of("announced").map_or_else(|| "-".to_owned(), |a| number(a.median));
        let reference = summary(row.name, REFERENCE, "gained", samples);
        let ratio = ratio(of("gained"), reference);
        let _infallible = writeln!(
            text,
            "| {} | {} | {ratio} | {lost} | {} | {two} | {} | {} | {} | {announced} |",
            pairing.name,
            both(of("gained")),
            both(of("none")),
            both(of("back")),
            both(of("none_after")),
            both(of("two_after")),
        );
    }
}

/// A line for each figure, a column for each pairing.
fn figures(text: &mut String, row: &Row, pairings: &[&Pairing], samples: &[Sample]) {
    let herds = matches!(row, Row::Herd(_));
    text.push_str("| figure |");
    for pairing in pairings {
        let name = if herds {
            herd::program(pairing.routers[0])
        } else {
            pairing.name
        };
        let _infallible = write!(text, " {name} |");
    }
    text.push_str(" ratio |\n| --- |");
    for _ in pairings {
        text.push_str(" --- |");
    }
    text.push_str(" --- |\n");
    for figure in row.figures() {
        let of = |pairing: &str| summary(row.name(), pairing, figure.key, samples);
        let found: Vec<Option<Summary>> = pairings.iter().map(|p| of(p.name)).collect();
        if found.iter().all(Option::is_none) {
            continue;
        }
        let _infallible = write!(text, "| {} |", figure.label);
        for summary in &found {
            let _infallible = write!(text, " {} |", both(*summary));
        }
        let first = found.first().copied().flatten();
        let _infallible = writeln!(text, " {} |", ratio(first, of(REFERENCE)));
    }
}

/// Median and, if it differs, the worst.
fn both(summary: Option<Summary>) -> String {
    summary.map_or_else(
        || "-".to_owned(),
        |found| {
            let (median, worst) = (number(found.median), number(found.worst));
            if median == worst {
                median
            } else {
                format!("{median} ({worst})")
            }
        },
    )
}

fn ratio(ours: Option<Summary>, reference: Option<Summary>) -> String {
    match (ours, reference) {
        (Some(ours), Some(reference)) if reference.median > 0.0 => {
            format!("{:.2}", ours.median / reference.median)
        }
        _ => "-".to_owned(),
    }
}

fn left_out(text: &mut String, samples: &[Sample]) {
    let faulty: Vec<&Sample> = samples.iter().filter(|s| s.fault.is_some()).collect();
    if faulty.is_empty() {
        return;
    }
    text.push_str("\nRuns that do not count:\n\n");
    for sample in faulty {
        let fault = sample.fault.as_deref().unwrap_or_default();
        let _infallible = writeln!(
            text,
            "- {}, {}, round {}: {}",
            sample.row,
            sample.pairing,
            sample.round + 1,
            fault.lines().next().unwrap_or_default()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::vrrp::rows::{HERDS, MOVES};

    fn sample(row: &str, pairing: &str, values: &[(&str, f64)]) -> Sample {
        Sample {
            row: row.to_owned(),
            pairing: pairing.to_owned(),
            round: 0,
            values: values
                .iter()
                .map(|(key, v)| ((*key).to_owned(), *v))
                .collect(),
            two_remained: false,
            fault: None,
        }
    }

    #[test]
    fn a_move_tells_median_worst_and_ratio() {
        let samples = [
            sample("weight", "vrrpd/vrrpd", &[("gained", 1.5), ("lost", 1.0)]),
            sample("weight", "vrrpd/vrrpd", &[("gained", 1.7)]),
            sample("weight", "vrrpd/vrrpd", &[("gained", 1.0)]),
            sample("weight", REFERENCE, &[("gained", 3.0)]),
        ];
        let row = MOVES.iter().find(|row| row.name == "weight").unwrap();
        let text = markdown("head", &[Row::Move(*row)], &samples);
        assert!(
            text.contains("| vrrpd/vrrpd | 1.50 (1.70) | 0.50 | 1.00 in 1 of 3 |"),
            "{text}"
        );
        assert!(
            text.contains("| keepalived/keepalived | 3.00 | 1.00 | never |"),
            "{text}"
        );
        assert!(!text.contains("do not count"), "{text}");
    }

    #[test]
    fn two_owners_for_good_are_told_as_such() {
        let mut lasting = sample("hang", REFERENCE, &[("gained", 3.0), ("two", 6.0)]);
        lasting.two_remained = true;
        let row = MOVES.iter().find(|row| row.name == "hang").unwrap();
        let text = markdown("", &[Row::Move(*row)], &[lasting]);
        assert!(text.contains("| until mended (1 of 1) |"), "{text}");
    }

    #[test]
    fn a_herd_has_a_line_for_each_figure_it_has() {
        let samples = [
            sample("one", "vrrpd/vrrpd", &[("rss", 5.0)]),
            sample("one", REFERENCE, &[("rss", 10.0)]),
        ];
        let text = markdown("", &[Row::Herd(HERDS[0])], &samples);
        assert!(
            text.contains("| figure | vrrpd | keepalived | ratio |"),
            "{text}"
        );
        assert!(
            text.contains("| resident memory, MiB | 5.00 | 10.0 | 0.50 |"),
            "{text}"
        );
        assert!(!text.contains("CPU"), "{text}");
    }

    #[test]
    fn what_does_not_count_is_named_and_left_out() {
        let mut faulty = sample("term", REFERENCE, &[("gained", 99.0)]);
        faulty.fault = Some("no lab\nand more".to_owned());
        let text = markdown("", &[Row::Move(MOVES[0])], &[faulty]);
        assert!(text.contains("- term, keepalived/keepalived, round 1: no lab\n"));
        assert!(!text.contains("99"), "{text}");
    }
}
