//! The harness itself, shown with the originals: what is known of haproxy and
//! keepalived must be seen through it.

use e2e::clock::Moment;
use e2e::pair::{Implementation::Original, MOVE, PATIENCE, Pair, owners_files};
use e2e::traffic::{lost, tally};

#[test]
fn the_owners_pair_of_originals_stands_and_fails_over() -> anyhow::Result<()> {
    let mut pair = Pair::start(owners_files([Original; 2], [Original; 2]))?;
    let client = pair.vip_client()?;
    let since = Moment::now();
    let attempts = client.wait_attempts(since, 12, PATIENCE)?;
    println!("{:?}", tally(&attempts));
    println!("{:?}", pair.lb(0)?.processes()?);
    pair.kill_balancer(0, 9)?;
    pair.owners.wait_sole("lb2", MOVE)?;
    pair.start_balancer(0)?;
    pair.settle()?;
    let t = Moment::now();
    pair.stop_router(0)?;
    pair.owners.wait_sole("lb2", MOVE)?;
    pair.wait_garp(1, t, PATIENCE)?;
    pair.start_router(0)?;
    pair.settle()?;
    println!("lost {} of {}", lost(&client.attempts()), client.attempts().len());
    println!("{}", pair.evidence());
    Ok(())
}
