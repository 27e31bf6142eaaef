//! Sequences recorded from Debian's HAProxy 2.6.12: which server each of a row of connections
//! reached, with weights and states changed in between through the stats socket.
//!
//! `golden.txt` has one action a line: `pool ALGORITHM WEIGHT[b].. [allbackups]` begins a scenario
//! (`b` marks a backup; servers are called a, b, c ...), `pick` lists the servers reached (`-` for
//! `<NOSRV>`), `weight` and `state` are the runtime commands of that name.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers report what they did not expect"
)]

use lb_core::{
    Admin, Algorithm, Change, Picked, Pool, PoolSettings, Request, ServerSettings, Time,
};

fn index(name: &str) -> usize {
    usize::from(name.as_bytes()[0] - b'a')
}

fn pool(words: &[&str]) -> Pool {
    let algorithm = match words[0] {
        "roundrobin" => Algorithm::RoundRobin,
        "static-rr" => Algorithm::StaticRoundRobin,
        "leastconn" => Algorithm::LeastConnections,
        "first" => Algorithm::First,
        other => panic!("unknown algorithm {other}"),
    };
    let weights = words[1..].iter().filter(|word| **word != "allbackups");
    let servers = weights.zip(1..).map(|(word, id)| {
        let backup = word.ends_with('b');
        let weight = word.trim_end_matches('b').parse().unwrap();
        ServerSettings {
            id,
            weight,
            backup,
            ..ServerSettings::default()
        }
    });
    let settings = PoolSettings {
        algorithm,
        all_backups: words.contains(&"allbackups"),
        redispatch: false,
        fullconn: 0,
        servers: servers.collect(),
    };
    Pool::new(&settings, Time::ZERO)
}

fn pick(pool: &mut Pool) -> char {
    match pool.pick(
        Time::ZERO,
        &Request {
            backend_sessions: 1,
            ..Request::default()
        },
    ) {
        Picked::Server(server) => {
            assert_eq!(pool.release(Time::ZERO, server, 0), None, "nobody waits");
            char::from(b'a' + u8::try_from(server).unwrap())
        }
        Picked::NoServer => '-',
        Picked::Wait(waiting) => panic!("nothing has a limit, yet wait for {waiting:?}"),
    }
}

#[test]
fn spreads_as_the_original() {
    let mut current = None;
    let mut scenario = "";
    let mut checked = 0;
    for (number, line) in (1..).zip(include_str!("golden.txt").lines()) {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "pool" {
            scenario = line;
            current = Some(pool(&words[1..]));
            continue;
        }
        let pool = current.as_mut().unwrap();
        let change = match words[0] {
            "pick" => {
                let got: String = words[1].chars().map(|_| pick(pool)).collect();
                assert_eq!(got, words[1], "line {number}, scenario: {scenario}");
                checked += got.len();
                continue;
            }
            "weight" => Change::Weight(words[2].parse().unwrap()),
            "state" => Change::Admin(match words[2] {
                "maint" => Admin::Maintenance,
                "drain" => Admin::Drain,
                _ => Admin::Ready,
            }),
            other => panic!("line {number}: {other}"),
        };
        assert_eq!(
            pool.change(Time::ZERO, index(words[1]), change, 0),
            [],
            "nobody waits"
        );
    }
    assert!(checked > 10_000, "only {checked} connections compared");
}
