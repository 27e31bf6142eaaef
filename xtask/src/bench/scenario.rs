//! What is measured, and in which unit.

use std::time::Duration;

/// What the load generator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    Connections,
    Requests,
    Rate,
    FreshRate,
    Bulk { streams: usize, way: &'static str },
    Idle,
    Isolated,
}

/// How a proxy is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// One worker on core 0, one server.
    One,
    /// Two workers on any core.
    Two,
    /// As `One`, with 1,000 servers and 100 frontends configured.
    Big,
}

/// Who is compared with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Race {
    /// proxyd with every peer.
    Every,
    /// proxyd with the peers that do not differ from another in this scenario: splicing
    /// does not matter for small messages.
    NoSplice,
    /// proxyd with a big configuration, with proxyd with a small one.
    BigConfig,
    /// proxyd with many open connections, with proxyd with 100.
    OpenConnections,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    pub(crate) about: &'static str,
    pub(crate) load: Load,
    pub(crate) shape: Shape,
    pub(crate) race: Race,
}

const fn scenario(
    name: &'static str,
    group: &'static str,
    about: &'static str,
    load: Load,
    shape: Shape,
    race: Race,
) -> Scenario {
    Scenario {
        name,
        group,
        about,
        load,
        shape,
        race,
    }
}

const fn bulk(streams: usize, way: &'static str) -> Load {
    Load::Bulk { streams, way }
}

/// All scenarios, in the order in which they run.
pub(crate) const ALL: [Scenario; 17] = {
    use Race::{BigConfig, Every, NoSplice};
    use Shape::{Big, One, Two};
    [
        scenario(
            "cps",
            "messages",
            "32 clients: connect, 100 B out, 100 B back, close",
            Load::Connections,
            One,
            NoSplice,
        ),
        scenario(
            "rr",
            "messages",
            "100 connections: 100 B out, 100 B back, closed loop",
            Load::Requests,
            One,
            NoSplice,
        ),
        scenario(
            "rate",
            "latency",
            "50 connections, 4000 requests/s, latency from the planned start",
            Load::Rate,
            One,
            NoSplice,
        ),
        scenario(
            "fresh",
            "latency",
            "1000 new connections/s, first reply, latency from the planned start",
            Load::FreshRate,
            One,
            NoSplice,
        ),
        scenario(
            "bulk-up-1",
            "bulk",
            "1 stream from the client",
            bulk(1, "up"),
            One,
            Every,
        ),
        scenario(
            "bulk-down-1",
            "bulk",
            "1 stream to the client",
            bulk(1, "down"),
            One,
            Every,
        ),
        scenario(
            "bulk-up-16",
            "bulk",
            "16 streams from the client",
            bulk(16, "up"),
            One,
            Every,
        ),
        scenario(
            "bulk-down-16",
            "bulk",
            "16 streams to the client",
            bulk(16, "down"),
            One,
            Every,
        ),
        scenario(
            "bulk-both-16",
            "bulk",
            "16 streams, both ways at once",
            bulk(16, "both"),
            One,
            Every,
        ),
        scenario(
            "lat",
            "latency",
            "120 connections one at a time: connect, first reply, second reply",
            Load::Isolated,
            One,
            NoSplice,
        ),
        scenario(
            "idle",
            "memory",
            "a fresh process: memory at start, per open connection, CPU of silence",
            Load::Idle,
            One,
            NoSplice,
        ),
        scenario(
            "cps-2",
            "two-workers",
            "cps with 2 workers, unpinned",
            Load::Connections,
            Two,
            NoSplice,
        ),
        scenario(
            "rr-2",
            "two-workers",
            "rr with 2 workers, unpinned",
            Load::Requests,
            Two,
            NoSplice,
        ),
        scenario(
            "bulk-both-16-2",
            "two-workers",
            "bulk-both-16 with 2 workers, unpinned",
            bulk(16, "both"),
            Two,
            Every,
        ),
        scenario(
            "big-cps",
            "big-config",
            "cps with 1,000 servers and 100 frontends, against proxyd itself",
            Load::Connections,
            Big,
            BigConfig,
        ),
        scenario(
            "big-rr",
            "big-config",
            "rr with 1,000 servers and 100 frontends, against proxyd itself",
            Load::Requests,
            Big,
            BigConfig,
        ),
        scenario(
            "big-bulk",
            "big-config",
            "bulk-both-16 with 1,000 servers and 100 frontends, against proxyd itself",
            bulk(16, "both"),
            Big,
            BigConfig,
        ),
    ]
};

/// Beside [`ALL`], since it needs its own preparation.
pub(crate) const OPEN: Scenario = scenario(
    "open-cost",
    "open-cost",
    "cps beside many open connections, against cps beside 100",
    Load::Connections,
    Shape::One,
    Race::OpenConnections,
);

/// Every scenario there is.
pub(crate) fn every() -> impl Iterator<Item = &'static Scenario> {
    ALL.iter().chain([&OPEN])
}

/// The scenarios of these names or groups; all without a name.
///
/// # Errors
/// The first name that is neither.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>, String> {
    let is = |s: &Scenario, name: &str| s.name == name || s.group == name;
    if let Some(stranger) = names.iter().find(|n| !every().any(|s| is(s, n))) {
        return Err(stranger.clone());
    }
    Ok(every()
        .filter(|s| names.is_empty() || names.iter().any(|n| is(s, n)))
        .collect())
}

/// One figure of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metric {
    /// Name in the JSON file.
    pub(crate) key: &'static str,
    /// Name and unit in the table.
    pub(crate) label: &'static str,
    pub(crate) better: Better,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

const fn lower(key: &'static str, label: &'static str) -> Metric {
    let better = Better::Lower;
    Metric { key, label, better }
}

const fn higher(key: &'static str, label: &'static str) -> Metric {
    let better = Better::Higher;
    Metric { key, label, better }
}

impl Load {
    /// The figures of this load, the central one first.
    pub(crate) const fn metrics(self) -> &'static [Metric] {
        const CONNECTIONS: [Metric; 4] = [
            lower("cpu", "CPU s / 100k connections"),
            higher("rate", "connections/s"),
            lower("p50", "p50 us"),
            lower("p99", "p99 us"),
        ];
        const REQUESTS: [Metric; 4] = [
            lower("cpu", "CPU s / 100k requests"),
            higher("rate", "requests/s"),
            lower("p50", "p50 us"),
            lower("p99", "p99 us"),
        ];
        const RATE: [Metric; 5] = [
            lower("cpu", "CPU s / 100k requests"),
            lower("p50", "p50 us"),
            lower("p90", "p90 us"),
            lower("p99", "p99 us"),
            lower("p999", "p99.9 us"),
        ];
        const FRESH: [Metric; 5] = [
            lower("cpu", "CPU s / 100k connections"),
            lower("p50", "first reply p50 us"),
            lower("p90", "first reply p90 us"),
            lower("p99", "first reply p99 us"),
            lower("p999", "first reply p99.9 us"),
        ];
        const BULK: [Metric; 2] = [lower("cpu", "CPU s / GB"), higher("rate", "GB/s")];
        const IDLE: [Metric; 3] = [
            lower("memory", "bytes / idle connection"),
            lower("base", "MB at start"),
            lower("idle_cpu", "CPU % while idle"),
        ];
        const ISOLATED: [Metric; 5] = [
            lower("cpu", "CPU s / 100k connections"),
            lower("connect", "connect p50 us"),
            lower("first", "first reply p50 us"),
            lower("first_p99", "first reply p99 us"),
            lower("second", "second reply p50 us"),
        ];
        match self {
            Self::Connections => &CONNECTIONS,
            Self::Requests => &REQUESTS,
            Self::Rate => &RATE,
            Self::FreshRate => &FRESH,
            Self::Bulk { .. } => &BULK,
            Self::Idle => &IDLE,
            Self::Isolated => &ISOLATED,
        }
    }

    /// The load generator's arguments, but for the target.
    pub(crate) fn arguments(self, secs: f64, shape: Shape, idle: usize) -> Vec<String> {
        let two = shape == Shape::Two;
        let mut words: Vec<String> = Vec::new();
        let mut push = |text: &str| words.extend(text.split(' ').map(str::to_owned));
        match self {
            Self::Connections => push(&format!("cps --conns {}", if two { 64 } else { 32 })),
            Self::Requests => push("rr --conns 100"),
            Self::Rate => push("rr --conns 50 --rate 4000"),
            Self::FreshRate => push("rr --conns 50 --rate 1000 --fresh"),
            Self::Bulk { streams, way } => push(&format!("bulk --conns {streams} --dir {way}")),
            Self::Idle => push(&format!("idle --conns {idle}")),
            Self::Isolated => push("lat --count 120 --gap-us 1500"),
        }
        if !matches!(self, Self::Isolated | Self::Idle) {
            push(&format!("--secs {}", self.secs(secs)));
        }
        if two {
            push("--threads 2");
        } else {
            push("--cores 1");
        }
        words
    }

    /// How long the load lasts: percentiles need more samples than averages.
    fn secs(self, secs: f64) -> f64 {
        match self {
            // A percentile near the end needs thousands of samples.
            Self::Rate => secs * 4.0,
            Self::FreshRate => secs * 6.0,
            _ => secs,
        }
    }

    /// How long one run takes, all in all; a guess.
    pub(crate) fn takes(self, secs: f64) -> Duration {
        let load = match self {
            Self::Idle => 4.5,
            Self::Isolated => 0.3,
            _ => self.secs(secs),
        };
        Duration::from_secs_f64(load + 0.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_found_by_name_and_by_group() {
        let names = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            chosen(&words).map(|found| found.iter().map(|s| s.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["cps"]).unwrap(), ["cps"]);
        assert_eq!(names(&["bulk"]).unwrap().len(), 5);
        assert_eq!(names(&["rr", "cps", "cps"]).unwrap(), ["cps", "rr"]);
        assert_eq!(names(&[]).unwrap().len(), ALL.len() + 1);
        assert_eq!(names(&["cps", "nonsense"]).unwrap_err(), "nonsense");
    }

    #[test]
    fn two_workers_meet_two_threads_of_load() {
        let one = Load::Connections.arguments(0.5, Shape::One, 9).join(" ");
        assert_eq!(one, "cps --conns 32 --secs 0.5 --cores 1");
        let two = Load::Connections.arguments(0.5, Shape::Two, 9).join(" ");
        assert_eq!(two, "cps --conns 64 --secs 0.5 --threads 2");
        let idle = Load::Idle.arguments(0.5, Shape::One, 9).join(" ");
        assert_eq!(idle, "idle --conns 9 --cores 1");
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = every().map(|s| s.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len() + 1);
    }
}
