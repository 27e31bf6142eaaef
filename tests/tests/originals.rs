//! The harness itself, shown with the originals: what is known of haproxy and
//! keepalived must be seen through it, also that keepalived leaves two owners
//! when it is killed.

use std::time::Duration;

use e2e::capture::Capture;
use e2e::clock::Moment;
use e2e::pair::{Implementation::Original, PATIENCE, Pair, VIP, owners_files};
use e2e::scenario::{self, Fault};
use e2e::traffic::{lost, tally};
use e2e::wait;

#[test]
fn the_owners_pair_of_originals_fails_over() -> anyhow::Result<()> {
    let mut pair = Pair::start(owners_files([Original; 2], [Original; 2]))?;
    let client = pair.vip_client()?;
    let attempts = client.wait_attempts(Moment::now(), 12, PATIENCE)?;
    assert_eq!(lost(&attempts), 0, "{:?}", tally(&attempts));
    assert_eq!(
        tally(&attempts).len(),
        3,
        "all three backends answer: {:?}",
        tally(&attempts)
    );
    let capture = Capture::start(&pair.lab, &["lb1", "lb2"])?;
    for fault in Fault::all_for(&pair)? {
        let there = scenario::strike(&mut pair, &client, fault)?;
        if fault == Fault::RouterKilled {
            wait::holds_for(Duration::from_secs(5), || {
                anyhow::ensure!(
                    pair.owners.now().len() == 2,
                    "keepalived's address should be left behind"
                );
                Ok(())
            })?;
        }
        let back = scenario::mend(&mut pair, &client, fault)?;
        assert!(
            there.took() < Duration::from_secs(15),
            "{fault:?} took {:?}",
            there.took()
        );
        assert!(
            back.took() < Duration::from_secs(15),
            "back from {fault:?} took {:?}",
            back.took()
        );
    }
    let frames = capture.finish()?;
    let (adverts, others): (Vec<_>, Vec<_>) = frames.iter().partition(|frame| frame.is_advert());
    assert!(
        adverts.len() > 30 && others.iter().any(|frame| frame.gratuitous == Some(VIP)),
        "{frames:?}"
    );
    for frame in &frames {
        assert!(frame.complaints.is_empty(), "tshark: {frame:?}");
    }
    Ok(())
}
