//! The owner's files on both hosts, our daemons: the pair stands, and the address
//! moves through every fault and back.

use e2e::capture::Capture;
use e2e::clock::Moment;
use e2e::fixtures;
use e2e::pair::{HAPROXY_CFG, Implementation::Ours, KEEPALIVED_CONF, PATIENCE, Pair, owners_files};
use e2e::scenario::{self, Fault};
use e2e::traffic::{Attempt, lost, tally};

#[test]
fn the_owners_pair_stands_and_the_address_moves() -> anyhow::Result<()> {
    let mut pair = Pair::start(owners_files([Ours; 2], [Ours; 2]))?;
    the_files_are_the_owners(&pair)?;
    let capture = Capture::start(&pair.lab, &["lb1", "lb2"])?;

    let client = pair.vip_client()?;
    let attempts = client.wait_attempts(Moment::now(), 30, PATIENCE)?;
    assert_eq!(lost(&attempts), 0, "{:?}", tally(&attempts));
    let names: Vec<&str> = attempts.iter().filter_map(Attempt::backend).collect();
    for turn in names.windows(3) {
        assert!(
            turn[0] != turn[1] && turn[1] != turn[2] && turn[0] != turn[2],
            "not in turn: {names:?}"
        );
    }

    for fault in Fault::ALL {
        let there = scenario::strike(&mut pair, &client, fault)?;
        let back = scenario::mend(&mut pair, &client, fault)?;
        for moved in [&there, &back] {
            println!(
                "{fault:?}: {:?}, lost {}, two owners {:?}, none {:?}",
                moved.took(),
                moved.lost(),
                moved.overlap(),
                moved.gap()
            );
        }
        if fault == Fault::BalancerKilled {
            // The script lowers the priority: the other host preempts, so that
            // nobody ever lacks an owner.
            assert!(there.gap().as_millis() < 1000, "{}", pair.evidence());
        }
    }

    let frames = capture.finish()?;
    let adverts = frames.iter().filter(|frame| frame.is_advert()).count();
    assert!(adverts > 30, "only {adverts} adverts were recorded");
    assert!(
        frames.iter().any(|frame| frame.priority == Some(0)),
        "nobody said goodbye with priority 0"
    );
    for frame in &frames {
        assert!(frame.complaints.is_empty(), "tshark: {frame:?}");
        if frame.is_advert() {
            assert_eq!(
                (frame.ttl, frame.tos.as_str()),
                (Some(255), "0xc0"),
                "{frame:?}"
            );
        }
    }
    Ok(())
}

fn the_files_are_the_owners(pair: &Pair) -> anyhow::Result<()> {
    for index in [0, 1] {
        assert_eq!(pair.lb(index)?.read(HAPROXY_CFG)?, fixtures::HAPROXY_CFG);
    }
    assert_eq!(
        pair.lb(0)?.read(KEEPALIVED_CONF)?,
        fixtures::KEEPALIVED_CONF
    );
    assert_eq!(fixtures::HAPROXY_CFG.len(), 3324);
    assert_eq!(fixtures::KEEPALIVED_CONF.len(), 2091);
    Ok(())
}
