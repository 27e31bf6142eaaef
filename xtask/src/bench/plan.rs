//! Who runs when: pure.

use std::time::Duration;

use super::peers::{OURS, Peer};
use super::scenario::{Load, Race, Scenario, Shape};

/// Open connections beside a load when they are few.
const FEW: usize = 100;

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contestant {
    pub(crate) label: String,
    /// Index among the peers; 0 is ours.
    pub(crate) peer: usize,
    pub(crate) shape: Shape,
    /// Idle connections held open beside the load.
    pub(crate) open: usize,
}

/// What the descriptors of a process allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) maxconn: usize,
    /// Connections of the idle scenario.
    pub(crate) idle: usize,
    /// Open connections of `open-cost`, the many.
    pub(crate) many: usize,
}

impl Limits {
    /// For processes that may hold so many descriptors: two a connection, and some for
    /// listeners, checks, pipes and logs.
    pub(crate) fn of(descriptors: usize) -> Self {
        let maxconn = descriptors.saturating_sub(400) / 2;
        Self {
            maxconn,
            idle: 10_000.min(maxconn.saturating_sub(100)),
            many: 15_000.min(maxconn.saturating_sub(200)),
        }
    }

    /// `maxconn` of a configuration: a big one has more listeners and checks.
    pub(crate) const fn maxconn(self, shape: Shape) -> usize {
        match shape {
            Shape::One | Shape::Two => self.maxconn,
            Shape::Big => self.maxconn.saturating_sub(700),
        }
    }
}

/// The sides of a scenario, the one that is judged first.
pub(crate) fn contestants(scenario: &Scenario, peers: &[Peer], limits: Limits) -> Vec<Contestant> {
    let side = |label: String, peer, shape, open| Contestant {
        label,
        peer,
        shape,
        open,
    };
    match scenario.race {
        Race::Every | Race::NoSplice => peers
            .iter()
            .enumerate()
            .filter(|(_, peer)| scenario.race == Race::Every || !peer.splices())
            .map(|(index, peer)| side(peer.name.clone(), index, scenario.shape, 0))
            .collect(),
        Race::BigConfig => vec![
            side(format!("{OURS}, big"), 0, Shape::Big, 0),
            side(format!("{OURS}, small"), 0, Shape::One, 0),
        ],
        Race::OpenConnections => [limits.many, FEW]
            .map(|open| side(format!("{OURS}, {open} open"), 0, scenario.shape, open))
            .to_vec(),
    }
}

/// The order in a round: every other round backwards, so that a slow drift of the machine
/// favours nobody.
pub(crate) fn order(contestants: &[Contestant], round: usize) -> Vec<&Contestant> {
    if round.is_multiple_of(2) {
        contestants.iter().collect()
    } else {
        contestants.iter().rev().collect()
    }
}

/// The proxies that run all the time: (peer, shape), each once.
pub(crate) fn residents(
    scenarios: &[&Scenario],
    peers: &[Peer],
    limits: Limits,
) -> Vec<(usize, Shape)> {
    let mut found: Vec<_> = scenarios
        .iter()
        // Memory at start is that of a process that has just started.
        .filter(|scenario| scenario.load != Load::Idle)
        .flat_map(|scenario| contestants(scenario, peers, limits))
        .map(|contestant| (contestant.peer, contestant.shape))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// How long everything takes; a guess.
pub(crate) fn estimate(
    scenarios: &[&Scenario],
    peers: &[Peer],
    limits: Limits,
    rounds: usize,
    secs: f64,
) -> Duration {
    let round: Duration = scenarios
        .iter()
        .flat_map(|scenario| {
            contestants(scenario, peers, limits)
                .into_iter()
                .map(|one| scenario.load.takes(secs) + Duration::from_micros(200) * one.open as u32)
        })
        .sum();
    round * rounds as u32
        + Duration::from_millis(700) * residents(scenarios, peers, limits).len() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::peers::{Programs, USUAL};
    use crate::bench::scenario;

    fn peers() -> Vec<Peer> {
        let programs = Programs {
            proxyd: "/p".into(),
            haproxy: "/h".into(),
            nginx: "/n".into(),
        };
        let others = USUAL.map(|name| Peer::parse(name, &programs).unwrap());
        [Peer::ours(&programs)].into_iter().chain(others).collect()
    }

    fn labels(name: &str) -> Vec<String> {
        let found = scenario::chosen(&[name.to_owned()]).unwrap();
        contestants(found[0], &peers(), Limits::of(20_000))
            .into_iter()
            .map(|one| one.label)
            .collect()
    }

    #[test]
    fn splicing_takes_part_where_it_matters() {
        assert_eq!(labels("cps"), ["proxyd", "haproxy", "nginx"]);
        assert_eq!(labels("bulk-up-1").len(), 7);
        assert_eq!(labels("big-rr"), ["proxyd, big", "proxyd, small"]);
        assert_eq!(
            labels("open-cost"),
            ["proxyd, 9600 open", "proxyd, 100 open"]
        );
    }

    #[test]
    fn every_other_round_goes_backwards() {
        let found = scenario::chosen(&["cps".to_owned()]).unwrap();
        let all = contestants(found[0], &peers(), Limits::of(20_000));
        let names = |round| {
            order(&all, round)
                .iter()
                .map(|one| one.peer)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(0), [0, 1, 6]);
        assert_eq!(names(1), [6, 1, 0]);
        assert_eq!(names(2), names(0));
    }

    #[test]
    fn descriptors_bound_the_connections() {
        let here = Limits::of(20_000);
        assert_eq!((here.maxconn, here.idle, here.many), (9800, 9700, 9600));
        let plenty = Limits::of(31_000);
        assert_eq!((plenty.idle, plenty.many), (10_000, 15_000));
        assert_eq!(here.maxconn(Shape::Big), 9100);
        assert_eq!(Limits::of(100).idle, 0);
    }

    #[test]
    fn residents_are_there_once_and_the_set_fits_its_time() {
        let all = scenario::chosen(&[]).unwrap();
        let residents = residents(&all, &peers(), Limits::of(20_000));
        assert_eq!(residents.len(), 15);
        let only_idle = scenario::chosen(&["idle".to_owned()]).unwrap();
        assert!(super::residents(&only_idle, &peers(), Limits::of(20_000)).is_empty());
        let minutes = estimate(&all, &peers(), Limits::of(20_000), 8, 0.5).as_secs() / 60;
        assert!((5..=12).contains(&minutes), "{minutes} min");
    }
}
