//! Our vrrpd and Debian's keepalived as one pair, in both roles, over unicast
//! with PASS and over multicast, through every fault. tshark judges our packets.

use std::net::Ipv4Addr;
use std::time::Duration;

use e2e::capture::Capture;
use e2e::pair::{Implementation, Pair, Sides, VIP, over_multicast, owners_files};
use e2e::scenario::{self, Fault};

use Implementation::{Original, Ours};

#[test]
fn ours_is_master_over_unicast() -> anyhow::Result<()> {
    check(owners_files([Ours; 2], [Ours, Original]), "10.0.254.251")
}

#[test]
fn ours_is_backup_over_unicast() -> anyhow::Result<()> {
    check(owners_files([Ours; 2], [Original, Ours]), "10.0.254.252")
}

#[test]
fn ours_is_master_over_multicast() -> anyhow::Result<()> {
    check(
        over_multicast(owners_files([Ours; 2], [Ours, Original])),
        "224.0.0.18",
    )
}

#[test]
fn ours_is_backup_over_multicast() -> anyhow::Result<()> {
    check(
        over_multicast(owners_files([Ours; 2], [Original, Ours])),
        "224.0.0.18",
    )
}

/// Plays all faults; `destination` is where our adverts go.
fn check(sides: Sides, destination: &str) -> anyhow::Result<()> {
    let ours = if sides[0].router == Ours {
        Ipv4Addr::new(10, 0, 254, 252)
    } else {
        Ipv4Addr::new(10, 0, 254, 251)
    };
    let mut pair = Pair::start(sides)?;
    let capture = Capture::start(&pair.lab, &["lb1", "lb2"])?;
    let client = pair.vip_client()?;
    for fault in Fault::all_for(&pair)? {
        let there = scenario::strike(&mut pair, &client, fault)?;
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
    let mac = e2e::pair::mac(ours);
    let (mut adverts, mut garps) = (0, 0);
    for frame in frames.iter().filter(|frame| frame.source == mac) {
        assert!(frame.complaints.is_empty(), "tshark: {frame:?}");
        if frame.is_advert() {
            adverts += 1;
            assert_eq!(
                (frame.destination.as_str(), frame.ttl, frame.tos.as_str()),
                (destination, Some(255), "0xc0"),
                "{frame:?}"
            );
        } else if frame.gratuitous == Some(VIP) {
            garps += 1;
        }
    }
    assert!(
        adverts >= 5,
        "only {adverts} adverts of ours in {} frames",
        frames.len()
    );
    assert!(
        garps >= 5,
        "only {garps} gratuitous ARPs of ours in {} frames",
        frames.len()
    );
    Ok(())
}
