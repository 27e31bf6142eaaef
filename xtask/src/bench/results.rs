//! From single runs to the figures of a table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scenario::{Better, Load, Metric, Race, Scenario, Shape};
use super::stats::{self, Spread};

/// One run of one proxy in one scenario.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Run {
    pub(crate) scenario: &'static str,
    pub(crate) proxy: String,
    pub(crate) round: usize,
    pub(crate) values: BTreeMap<&'static str, f64>,
    /// Log lines that arrived meanwhile.
    pub(crate) log_lines: u64,
    /// Why the run does not count.
    pub(crate) fault: Option<String>,
}

/// What the load generator prints.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Loaded {
    pub(crate) done: u64,
    sent: u64,
    received: u64,
    secs: f64,
    pub(crate) errors: BTreeMap<String, u64>,
    latency: BTreeMap<String, Percentiles>,
}

#[derive(Debug, Default, Deserialize)]
struct Percentiles {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
}

impl Loaded {
    /// What was wrong, in words; `None` if nothing was.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.done == 0 && self.errors.is_empty() {
            return Some("nothing was answered".to_owned());
        }
        let faults: Vec<String> = self
            .errors
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        (!faults.is_empty()).then(|| faults.join(", "))
    }

    /// The figures of a load that took `cpu` nanoseconds of the proxy.
    pub(crate) fn values(&self, load: Load, cpu: u64) -> BTreeMap<&'static str, f64> {
        let cpu = cpu as f64 / 1e9;
        let done = self.done as f64;
        let mut values = BTreeMap::new();
        match load {
            Load::Bulk { .. } => {
                let gigabytes = (self.sent + self.received) as f64 / 1e9;
                values.insert("cpu", cpu / gigabytes);
                values.insert("rate", gigabytes / self.secs);
            }
            Load::Connections | Load::Requests | Load::Rate | Load::FreshRate => {
                values.insert("cpu", cpu * 1e5 / done);
                values.insert("rate", done / self.secs);
                if let Some(reply) = self.latency.get("reply") {
                    values.insert("p50", reply.p50);
                    values.insert("p90", reply.p90);
                    values.insert("p99", reply.p99);
                    values.insert("p999", reply.p999);
                }
            }
            Load::Isolated => {
                values.insert("cpu", cpu * 1e5 / done);
                for (key, name) in [
                    ("connect", "connect"),
                    ("first", "first_reply"),
                    ("second", "second_reply"),
                ] {
                    if let Some(timed) = self.latency.get(name) {
                        values.insert(key, timed.p50);
                    }
                }
                if let Some(first) = self.latency.get("first_reply") {
                    values.insert("first_p99", first.p99);
                }
            }
            // Its figures are not the load generator's.
            Load::Idle => {}
        }
        values
    }
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    pub(crate) metric: &'static str,
    pub(crate) label: &'static str,
    pub(crate) subject: String,
    pub(crate) peer: String,
    pub(crate) ours: Option<Spread>,
    pub(crate) theirs: Option<Spread>,
    pub(crate) ratio: Option<Spread>,
    /// Rounds in which both counted.
    pub(crate) rounds: usize,
    /// Runs of either that did not count.
    pub(crate) excluded: usize,
    pub(crate) must: Option<f64>,
    pub(crate) aim: Option<f64>,
    pub(crate) verdict: Option<Verdict>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As good as aimed for.
    Aim,
    /// As good as it must be.
    Must,
    /// Not as good as it must be.
    Missed,
}

impl Verdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Aim => "aim",
            Self::Must => "must",
            Self::Missed => "**missed**",
        }
    }
}

/// What the ratio must be and is aimed to be: (scenario's name or its beginning, metric,
/// peer, must, aim).
const GOALS: [(&str, &str, &str, f64, f64); 15] = [
    ("cps", "cpu", "haproxy", 0.98, 0.88),
    ("cps", "rate", "haproxy", 1.03, 1.10),
    ("rr", "cpu", "haproxy", 0.95, 0.90),
    ("rr", "rate", "haproxy", 1.03, 1.10),
    ("bulk-*", "cpu", "haproxy", 0.22, 0.15),
    ("bulk-*", "cpu", "haproxy-splice", 0.55, 0.42),
    ("bulk-*", "cpu", "haproxy-splice-1m", 1.05, 0.95),
    ("bulk-*", "cpu", "haproxy-splice-always", 0.55, 0.42),
    ("bulk-*", "cpu", "haproxy-splice-always-1m", 1.05, 0.95),
    ("idle", "memory", "haproxy", 0.35, 0.10),
    ("idle", "base", "haproxy", 0.7, 0.4),
    ("rate", "p99", "haproxy", 1.0, 0.9),
    ("fresh", "p99", "haproxy", 1.0, 0.9),
    ("cps", "cpu", "nginx", 1.0, 0.95),
    ("rr", "cpu", "nginx", 1.0, 0.93),
];

/// CPU of an idle process, in per cent of a core, that still rounds to 0.
const NO_CPU: f64 = 0.05;

fn goal(scenario: &Scenario, metric: &Metric, peer: &str) -> Option<(f64, f64)> {
    match scenario.race {
        // No figure may get worse by more than this against proxyd itself.
        Race::BigConfig => {
            return Some(match metric.better {
                Better::Lower => (1.05, 1.0),
                Better::Higher => (0.95, 1.0),
            });
        }
        Race::OpenConnections => return (metric.key == "cpu").then_some((1.05, 1.0)),
        Race::Every | Race::NoSplice => {}
    }
    // The figures are for one worker each.
    if scenario.shape == Shape::Two {
        return None;
    }
    GOALS
        .iter()
        .find(|(name, key, whom, ..)| {
            let named = match name.strip_suffix('*') {
                Some(beginning) => scenario.name.starts_with(beginning),
                None => scenario.name == *name,
            };
            named && *key == metric.key && *whom == peer
        })
        .map(|(.., must, aim)| (*must, *aim))
}

fn verdict(ratio: f64, better: Better, must: f64, aim: f64) -> Verdict {
    let reaches = |limit: f64| match better {
        Better::Lower => ratio <= limit,
        Better::Higher => ratio >= limit,
    };
    if reaches(aim) {
        Verdict::Aim
    } else if reaches(must) {
        Verdict::Must
    } else {
        Verdict::Missed
    }
}

/// The rows of a scenario: the first of `names` against each of the others.
pub(crate) fn rows(scenario: &Scenario, names: &[String], runs: &[Run]) -> Vec<Row> {
    let Some((subject, peers)) = names.split_first() else {
        return Vec::new();
    };
    let of = |name: &str, counts: bool| -> Vec<&Run> {
        runs.iter()
            .filter(|run| run.scenario == scenario.name && run.proxy == name)
            .filter(|run| run.fault.is_none() == counts)
            .collect()
    };
    let values = |name: &str, key: &str| -> Vec<(usize, f64)> {
        of(name, true)
            .iter()
            .filter_map(|run| Some((run.round, *run.values.get(key)?)))
            .collect()
    };
    let only = |pairs: &[(usize, f64)]| -> Vec<f64> { pairs.iter().map(|pair| pair.1).collect() };
    let mut rows = Vec::new();
    for metric in scenario.load.metrics() {
        let ours = values(subject, metric.key);
        for peer in peers {
            let theirs = values(peer, metric.key);
            let ratios = stats::ratios(&ours, &theirs);
            let ratio = stats::spread(&ratios);
            let own = stats::spread(&only(&ours));
            let goal = goal(scenario, metric, peer);
            let mut verdict = goal
                .zip(ratio)
                .map(|((must, aim), ratio)| verdict(ratio.median, metric.better, must, aim));
            if metric.key == "idle_cpu" {
                verdict = own.map(|own| {
                    if own.median < NO_CPU {
                        Verdict::Aim
                    } else {
                        Verdict::Missed
                    }
                });
            }
            rows.push(Row {
                scenario: scenario.name,
                metric: metric.key,
                label: metric.label,
                subject: subject.clone(),
                peer: peer.clone(),
                ours: own,
                theirs: stats::spread(&only(&theirs)),
                ratio,
                rounds: ratios.len(),
                excluded: of(subject, false).len() + of(peer, false).len(),
                must: goal.map(|goal| goal.0),
                aim: goal.map(|goal| goal.1),
                verdict,
            });
        }
    }
    rows
}

#[cfg(test)]
#[path = "results_tests.rs"]
mod tests;
