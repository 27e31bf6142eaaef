//! A virtual router with a hardware address of its own, as switches and neighbours see it: which
//! address each kind of frame comes from, ours and the original's.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::capture::{Capture, Frame};
use e2e::duel::{ADDRESSES, Duel, Setup, Wire};
use e2e::pair::Implementation::{self, Original, Ours};
use e2e::{pair, wait};

/// Adverts, announcements and what names a group.
const FILTER: &str = "ip proto 112 or ip6 proto 112 or arp or icmp6 or igmp";

/// What a frame is, if the virtual router sent it.
fn kind(frame: &Frame) -> Option<&'static str> {
    match frame {
        frame if frame.is_advert() => Some("advert"),
        frame if frame.gratuitous.is_some() => Some("announcement"),
        _ => None,
    }
}

/// Kinds of frames and where they came from while a router became master and stopped.
fn sources(wire: Wire, whose: Implementation) -> Result<BTreeSet<String>> {
    let mut duel = Duel::prepare(Setup {
        script_interval: 0,
        ..Setup::new(wire, [whose; 2])
    })?;
    let capture = Capture::start_of(&duel.lab, &["r1"], FILTER)?;
    let start = duel.start_router(0)?;
    duel.settle()?;
    duel.wait_announced(0, start)?;
    wait::holds_for(Duration::from_secs(2), || Ok(()))?;
    duel.stop_router(0)?;
    // Not even the first advert may miss its source.
    let missed = duel.host(0)?.log().containing("cannot send");
    ensure!(missed.is_empty(), "{missed:?}");
    let mut seen = BTreeSet::new();
    for frame in capture.finish()? {
        ensure!(frame.complaints.is_empty(), "tshark: {frame:?}");
        if let Some(kind) = kind(&frame) {
            seen.insert(format!("{kind} {}", frame.source));
        }
    }
    Ok(seen)
}

fn come_from(wire: Wire, expected: &[(&str, &str)]) -> Result<()> {
    let expected: BTreeSet<String> = expected.iter().map(|(k, m)| format!("{k} {m}")).collect();
    for whose in [Ours, Original] {
        let seen = sources(wire, whose)?;
        ensure!(seen == expected, "{whose:?}: {seen:?}, not {expected:?}");
    }
    Ok(())
}

fn virtual_mac(wire: Wire) -> Result<&'static str> {
    wire.virtual_mac().context("no hardware address")
}

#[test]
fn all_comes_from_the_virtual_address() -> Result<()> {
    let mac = virtual_mac(Wire::Vmac)?;
    come_from(Wire::Vmac, &[("advert", mac), ("announcement", mac)])
}

#[test]
fn adverts_come_from_the_interface_below_if_the_file_says_so() -> Result<()> {
    let mac = virtual_mac(Wire::VmacBase)?;
    let base = pair::mac(ADDRESSES[0]);
    come_from(Wire::VmacBase, &[("advert", &base), ("announcement", mac)])
}

#[test]
fn adverts_of_ipv6_come_from_the_virtual_address() -> Result<()> {
    come_from(Wire::VmacIpv6, &[("advert", virtual_mac(Wire::VmacIpv6)?)])
}
