use super::*;
use crate::bench::scenario::{ALL, OPEN};

fn run(proxy: &str, round: usize, cpu: f64, fault: Option<&str>) -> Run {
    Run {
        scenario: "cps",
        proxy: proxy.to_owned(),
        round,
        values: BTreeMap::from([("cpu", cpu), ("rate", 100.0)]),
        log_lines: 0,
        fault: fault.map(str::to_owned),
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn ratios_are_those_of_the_rounds_and_faults_are_left_out_and_counted() {
    let runs = [
        run("proxyd", 0, 8.0, None),
        run("haproxy", 0, 10.0, None),
        run("haproxy", 1, 40.0, None),
        run("proxyd", 1, 20.0, None),
        run("proxyd", 2, 900.0, Some("3 reset")),
        run("haproxy", 2, 10.0, None),
    ];
    let rows = rows(&ALL[0], &names(&["proxyd", "haproxy"]), &runs);
    let cpu = rows.iter().find(|row| row.metric == "cpu").unwrap();
    assert_eq!((cpu.rounds, cpu.excluded), (2, 1));
    // The median of 0.8 and 0.5, not the ratio of the medians.
    assert_eq!(cpu.ratio.unwrap().median, 0.65);
    assert_eq!(cpu.ours.unwrap().median, 14.0);
    assert_eq!(cpu.theirs.unwrap().median, 10.0);
    assert_eq!(cpu.verdict, Some(Verdict::Aim));
    let rate = rows.iter().find(|row| row.metric == "rate").unwrap();
    assert_eq!(rate.verdict, Some(Verdict::Missed));
    let p99 = rows.iter().find(|row| row.metric == "p99").unwrap();
    assert_eq!((p99.ratio, p99.verdict, p99.rounds), (None, None, 0));
}

#[test]
fn every_figure_has_its_goal() {
    let goal_of = |name: &str, key: &str, peer: &str| {
        let scenario = ALL.iter().chain([&OPEN]).find(|s| s.name == name).unwrap();
        let metric = scenario.load.metrics().iter().find(|m| m.key == key);
        goal(scenario, metric.unwrap(), peer)
    };
    assert_eq!(goal_of("cps", "cpu", "haproxy"), Some((0.98, 0.88)));
    assert_eq!(goal_of("cps", "cpu", "nginx"), Some((1.0, 0.95)));
    assert_eq!(goal_of("cps", "cpu", "haproxy-splice"), None);
    for bulk in ["bulk-up-1", "bulk-down-16", "bulk-both-16"] {
        assert_eq!(goal_of(bulk, "cpu", "haproxy"), Some((0.22, 0.15)));
        assert_eq!(
            goal_of(bulk, "cpu", "haproxy-splice-1m"),
            Some((1.05, 0.95))
        );
    }
    assert_eq!(goal_of("bulk-both-16-2", "cpu", "haproxy"), None);
    assert_eq!(goal_of("cps-2", "cpu", "haproxy"), None);
    assert_eq!(goal_of("big-rr", "cpu", "proxyd"), Some((1.05, 1.0)));
    assert_eq!(goal_of("big-rr", "rate", "proxyd"), Some((0.95, 1.0)));
    assert_eq!(goal_of("open-cost", "rate", "anything"), None);
    assert_eq!(goal_of("open-cost", "cpu", "anything"), Some((1.05, 1.0)));
}

#[test]
fn a_verdict_looks_the_right_way() {
    for (ratio, better, expected) in [
        (0.98, Better::Lower, Verdict::Must),
        (0.88, Better::Lower, Verdict::Aim),
        (0.981, Better::Lower, Verdict::Missed),
        (1.2, Better::Higher, Verdict::Aim),
        (0.5, Better::Higher, Verdict::Missed),
    ] {
        let (must, aim) = match better {
            Better::Lower => (0.98, 0.88),
            Better::Higher => (1.03, 1.1),
        };
        assert_eq!(verdict(ratio, better, must, aim), expected, "{ratio}");
    }
}

#[test]
fn a_load_becomes_figures() {
    let text = r#"{"done":2000,"sent":3000000000,"received":1000000000,"secs":2.0,
        "errors":{},"latency":{"reply":{"count":1,"p50":5,"p90":6,"p99":7,"p999":8,"max":9}}}"#;
    let loaded: Loaded = serde_json::from_str(text).unwrap();
    assert_eq!(loaded.fault(), None);
    let values = loaded.values(Load::Connections, 160_000_000);
    assert_eq!(values["cpu"], 8.0);
    assert_eq!(values["rate"], 1000.0);
    assert_eq!(values["p99"], 7.0);
    let bulk = loaded.values(
        Load::Bulk {
            streams: 1,
            way: "up",
        },
        400_000_000,
    );
    assert_eq!((bulk["cpu"], bulk["rate"]), (0.1, 2.0));
}

#[test]
fn errors_and_silence_are_faults() {
    assert_eq!(Loaded::default().fault().unwrap(), "nothing was answered");
    let loaded = Loaded {
        done: 5,
        errors: BTreeMap::from([("reset".to_owned(), 2), ("refused".to_owned(), 1)]),
        ..Loaded::default()
    };
    assert_eq!(loaded.fault().unwrap(), "1 refused, 2 reset");
}
