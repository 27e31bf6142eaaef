//! Limits, queues, states and fairness of a pool.

use lb_core::{
    Admin, Algorithm, Change, Dispatch, Operational, Picked, Pool, PoolSettings, Position, Request,
    ServerSettings, Ticket, Time, Waiting,
};
use proptest::prelude::*;

const NOW: Time = Time::from_millis(1_000_000);

fn pool(algorithm: Algorithm, servers: Vec<ServerSettings>) -> Pool {
    let settings = PoolSettings {
        algorithm,
        all_backups: false,
        redispatch: true,
        fullconn: 0,
        servers,
    };
    Pool::new(&settings, NOW)
}

fn servers(weights: &[u16], maxconn: u32) -> Vec<ServerSettings> {
    let numbered = weights.iter().zip(1..);
    numbered
        .map(|(weight, id)| ServerSettings {
            id,
            weight: *weight,
            maxconn,
            ..Default::default()
        })
        .collect()
}

const fn place(server: u32, backend: u32) -> Position {
    Position { server, backend }
}

fn request() -> Request {
    Request {
        backend_sessions: 1000,
        ..Request::default()
    }
}

#[test]
fn full_servers_queue_at_the_backend_and_slots_are_inherited_in_order() {
    let mut pool = pool(Algorithm::RoundRobin, servers(&[1, 1], 1));
    assert_eq!(pool.pick(NOW, &request()), Picked::Server(0));
    assert_eq!(pool.pick(NOW, &request()), Picked::Server(1));
    assert_eq!(pool.pick(NOW, &request()), Picked::Wait(Waiting::Backend));
    for ticket in [7, 8, 9] {
        pool.enqueue(Ticket(ticket), Waiting::Backend);
    }
    assert_eq!(pool.queued(), 3);
    assert_eq!(
        pool.cancel(Ticket(8)),
        Some(place(0, 1)),
        "nobody was served before it"
    );
    assert_eq!(pool.cancel(Ticket(8)), None, "it has left");
    let next = Some(Dispatch::Assigned {
        position: place(0, 1),
        ticket: Ticket(7),
        server: 1,
    });
    assert_eq!(pool.release(NOW, 1, 1000), next);
    let next = Some(Dispatch::Assigned {
        position: place(0, 2),
        ticket: Ticket(9),
        server: 0,
    });
    assert_eq!(pool.release(NOW, 0, 1000), next);
    assert_eq!(pool.release(NOW, 0, 1000), None);
    assert_eq!(pool.queued_max(), 3);
    assert_eq!(pool.server(0).unwrap().served, 0);
    assert_eq!(pool.server(1).unwrap().served, 1);
}

#[test]
fn nobody_overtakes_the_backend_queue() {
    let mut pool = pool(Algorithm::RoundRobin, servers(&[1], 1));
    assert_eq!(pool.pick(NOW, &request()), Picked::Server(0));
    pool.enqueue(Ticket(1), Waiting::Backend);
    assert!(
        pool.change(NOW, 0, Change::Weight(1), 0).is_empty(),
        "no slot is free"
    );
    assert_eq!(pool.pick(NOW, &request()), Picked::Wait(Waiting::Backend));
    let dispatched = pool.change(NOW, 0, Change::Maxconn(0), 1000);
    assert_eq!(
        dispatched,
        [Dispatch::Assigned {
            position: place(0, 1),
            ticket: Ticket(1),
            server: 0
        }]
    );
    assert_eq!(pool.pick(NOW, &request()), Picked::Server(0));
}

#[test]
fn a_hash_waits_at_its_server_and_moves_when_it_goes_down() {
    let mut pool = pool(Algorithm::Source, servers(&[1, 1, 1], 1));
    let request = Request {
        source: Some(0x7f00_000a),
        ..request()
    };
    assert_eq!(pool.pick(NOW, &request), Picked::Server(2));
    assert_eq!(pool.pick(NOW, &request), Picked::Wait(Waiting::Server(2)));
    pool.enqueue(Ticket(5), Waiting::Server(2));
    assert_eq!(pool.server(2).unwrap().queued, 1);
    let dispatched = pool.change(NOW, 2, Change::Operational(Operational::Down), 1000);
    assert_eq!(
        dispatched,
        [Dispatch::Requeue {
            position: place(1, 0),
            ticket: Ticket(5)
        }]
    );
    assert_eq!(pool.server(2).unwrap().queued, 0);
    assert_eq!(
        pool.pick(NOW, &request),
        Picked::Server(0),
        "two are left: address modulo 2"
    );
}

#[test]
fn the_avoided_server_is_taken_only_if_alone() {
    for algorithm in [
        Algorithm::RoundRobin,
        Algorithm::StaticRoundRobin,
        Algorithm::LeastConnections,
        Algorithm::First,
    ] {
        let mut two = pool(algorithm, servers(&[1, 1], 0));
        let request = Request {
            avoid: Some(0),
            ..request()
        };
        for _ in 0..3 {
            assert_eq!(two.pick(NOW, &request), Picked::Server(1), "{algorithm:?}");
        }
        let mut one = pool(algorithm, servers(&[1], 0));
        assert_eq!(one.pick(NOW, &request), Picked::Server(0), "{algorithm:?}");
    }
}

#[test]
fn backups_step_in_one_at_a_time_unless_told_otherwise() {
    let mut settings = servers(&[1, 1, 1], 0);
    settings[1].backup = true;
    settings[2].backup = true;
    let mut one = pool(Algorithm::RoundRobin, settings.clone());
    assert_eq!((one.active(), one.backups()), (1, 2));
    one.change(NOW, 0, Change::Operational(Operational::Down), 0);
    assert_eq!(
        [(); 3].map(|()| one.pick(NOW, &request())),
        [Picked::Server(1); 3]
    );
    one.change(NOW, 1, Change::Admin(Admin::Drain), 0);
    assert_eq!(one.pick(NOW, &request()), Picked::Server(2));
    one.change(NOW, 2, Change::Weight(0), 0);
    assert_eq!(one.pick(NOW, &request()), Picked::NoServer);
    let mut all = Pool::new(
        &PoolSettings {
            algorithm: Algorithm::RoundRobin,
            all_backups: true,
            redispatch: false,
            fullconn: 0,
            servers: settings,
        },
        NOW,
    );
    all.change(NOW, 0, Change::Operational(Operational::Stopping), 0);
    let picks = [(); 4].map(|()| all.pick(NOW, &request()));
    assert_eq!(picks, [1, 2, 1, 2].map(Picked::Server));
}

#[test]
fn a_recovered_server_takes_over_the_queue() {
    let mut pool = pool(Algorithm::RoundRobin, servers(&[1, 1], 1));
    pool.change(NOW, 1, Change::Operational(Operational::Down), 0);
    assert_eq!(pool.pick(NOW, &request()), Picked::Server(0));
    pool.enqueue(Ticket(1), Waiting::Backend);
    pool.enqueue(Ticket(2), Waiting::Backend);
    let up = pool.change(NOW, 1, Change::Operational(Operational::Up), 1000);
    assert_eq!(
        up,
        [Dispatch::Assigned {
            position: place(0, 1),
            ticket: Ticket(1),
            server: 1
        }]
    );
}

#[test]
fn minconn_follows_the_load() {
    let mut settings = servers(&[1], 10);
    settings[0].minconn = 2;
    let mut pool = Pool::new(
        &PoolSettings {
            algorithm: Algorithm::RoundRobin,
            all_backups: false,
            redispatch: false,
            fullconn: 100,
            servers: settings,
        },
        NOW,
    );
    let at = |sessions| Request {
        backend_sessions: sessions,
        ..Request::default()
    };
    assert_eq!(pool.pick(NOW, &at(1)), Picked::Server(0));
    assert_eq!(pool.pick(NOW, &at(2)), Picked::Server(0));
    assert_eq!(pool.pick(NOW, &at(3)), Picked::Wait(Waiting::Backend));
    assert_eq!(
        pool.pick(NOW, &at(30)),
        Picked::Server(0),
        "30 of 100 sessions: 3 of 10"
    );
    assert_eq!(pool.pick(NOW, &at(30)), Picked::Wait(Waiting::Backend));
    assert_eq!(pool.pick(NOW, &at(100)), Picked::Server(0));
}

#[test]
fn slow_start_raises_the_weight_in_steps() {
    let mut settings = servers(&[100, 100], 0);
    settings[1].slowstart = 20_000;
    let mut pool = pool(Algorithm::RoundRobin, settings);
    pool.change(NOW, 1, Change::Operational(Operational::Down), 0);
    pool.change(NOW, 1, Change::Operational(Operational::Up), 0);
    assert_eq!(
        pool.server(1).unwrap().effective_weight,
        100,
        "a sixteenth at first"
    );
    let share = |pool: &mut Pool, at: u64| {
        let now = NOW.plus(at);
        let mut second = 0;
        for _ in 0..400 {
            second += usize::from(pool.pick(now, &request()) == Picked::Server(1));
        }
        second
    };
    let early = share(&mut pool, 1_000);
    let middle = share(&mut pool, 10_000);
    let late = share(&mut pool, 20_000);
    assert!(
        early < 40 && (100..200).contains(&middle),
        "early {early}, middle {middle}"
    );
    assert!((190..=210).contains(&late), "late {late}");
    assert_eq!(pool.server(1).unwrap().effective_weight, 1600);
}

#[test]
fn sessions_are_counted_apart_from_slots() {
    let mut pool = pool(Algorithm::RoundRobin, servers(&[1], 0));
    assert_eq!(pool.pick(NOW, &request()), Picked::Server(0));
    assert_eq!((pool.attach(0), pool.attach(0), pool.detach(0)), (1, 2, 1));
    let view = pool.server(0).unwrap();
    assert_eq!((view.served, view.sessions, view.sessions_max), (1, 1, 2));
    pool.clear_peaks();
    assert_eq!(pool.server(0).unwrap().sessions_max, 1);
    assert_eq!(pool.server(9), None);
}

#[derive(Debug, Clone)]
enum Step {
    Pick,
    Release(usize),
    Cancel(usize),
    Change(usize, Change),
}

fn step() -> impl Strategy<Value = Step> {
    let change = prop_oneof![
        Just(Change::Operational(Operational::Up)),
        Just(Change::Operational(Operational::Down)),
        Just(Change::Admin(Admin::Ready)),
        Just(Change::Admin(Admin::Drain)),
        Just(Change::Admin(Admin::Maintenance)),
        (0_u16..=256).prop_map(Change::Weight),
        (0_u32..4).prop_map(Change::Maxconn),
    ];
    prop_oneof![
        6 => Just(Step::Pick),
        4 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Cancel),
        2 => (0_usize..5, change).prop_map(|(server, change)| Step::Change(server, change)),
    ]
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop_oneof![
        Just(Algorithm::RoundRobin),
        Just(Algorithm::StaticRoundRobin),
        Just(Algorithm::LeastConnections),
        Just(Algorithm::First),
        Just(Algorithm::Source),
    ]
}

proptest! {
    /// Over any number of whole rounds, round robin gives every server exactly its weight.
    #[test]
    fn round_robin_is_fair(weights in proptest::collection::vec(1_u16..=40, 1..8)) {
        let total: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
        for algorithm in [Algorithm::RoundRobin, Algorithm::StaticRoundRobin] {
            let mut pool = pool(algorithm, servers(&weights, 0));
            let mut got = vec![0_usize; weights.len()];
            for turn in 1..=total * 4 {
                let Picked::Server(server) = pool.pick(NOW, &request()) else {
                    panic!("nothing has a limit");
                };
                got[server] += 1;
                for (count, weight) in got.iter().zip(&weights) {
                    let due = turn * usize::from(*weight) / total;
                    prop_assert!(
                        count.abs_diff(due) <= weights.len().max(usize::from(*weight)),
                        "{algorithm:?} turn {turn}: {got:?} of {weights:?}",
                    );
                }
            }
        }
    }

    /// Whatever happens: no slot is lost or doubled, no limit is broken by a new connection, and
    /// nobody waits while a usable server without limit stands by.
    #[test]
    fn slots_and_tickets_are_conserved(
        algorithm in algorithm(),
        maxconn in 0_u32..4,
        backups in proptest::collection::vec(any::<bool>(), 5),
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut settings = servers(&[1, 2, 3, 10, 256], maxconn);
        for (server, backup) in settings.iter_mut().zip(backups) {
            server.backup = backup;
        }
        let mut pool = pool(algorithm, settings);
        let mut held: Vec<usize> = Vec::new();
        let mut waiting: Vec<Ticket> = Vec::new();
        let mut next = 0;
        for step in steps {
            let mut dispatched = Vec::new();
            match step {
                Step::Pick => {
                    let all = u32::try_from(held.len() + waiting.len() + 1).unwrap();
                    let request = Request { backend_sessions: all, source: Some(next), avoid: None };
                    match pool.pick(NOW, &request) {
                        Picked::Server(server) => {
                            let view = pool.server(server).unwrap();
                            prop_assert!(view.usable, "picked a server out of service");
                            prop_assert!(view.maxconn == 0 || view.served <= view.maxconn);
                            held.push(server);
                        }
                        Picked::Wait(queue) => {
                            next += 1;
                            pool.enqueue(Ticket(u64::from(next)), queue);
                            waiting.push(Ticket(u64::from(next)));
                        }
                        Picked::NoServer => {
                            prop_assert_eq!((pool.active(), pool.backups()), (0, 0));
                        }
                    }
                }
                Step::Release(which) if !held.is_empty() => {
                    let server = held.swap_remove(which % held.len());
                    let left = u32::try_from(held.len() + waiting.len()).unwrap();
                    dispatched.extend(pool.release(NOW, server, left));
                }
                Step::Cancel(which) if !waiting.is_empty() => {
                    let ticket = waiting.swap_remove(which % waiting.len());
                    prop_assert!(
                        pool.cancel(ticket).is_some(), "a waiting ticket is in a queue");
                }
                Step::Release(_) | Step::Cancel(_) => {}
                Step::Change(server, change) => {
                    let left = u32::try_from(held.len() + waiting.len()).unwrap();
                    dispatched = pool.change(NOW, server, change, left);
                }
            }
            for dispatch in dispatched {
                let ticket = match dispatch {
                    Dispatch::Assigned { ticket, server, .. } => {
                        held.push(server);
                        ticket
                    }
                    Dispatch::Requeue { ticket, .. } => ticket,
                };
                let place = waiting.iter().position(|other| *other == ticket);
                prop_assert!(place.is_some(), "a ticket came back twice");
                waiting.swap_remove(place.unwrap());
            }
            for (index, view) in pool.views().iter().enumerate() {
                let mine = held.iter().filter(|server| **server == index).count();
                prop_assert_eq!(usize::try_from(view.served).unwrap(), mine);
            }
            let queued: u32 = pool.views().iter().map(|view| view.queued).sum::<u32>() + pool.queued();
            prop_assert_eq!(usize::try_from(queued).unwrap(), waiting.len());
        }
        prop_assert_eq!(pool.drain_queues().len(), waiting.len());
    }
}
