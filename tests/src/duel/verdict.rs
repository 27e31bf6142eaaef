//! What must hold of every passage, whoever is slow.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Duel, Passage, Trouble, Wire};
use crate::pair::Implementation;

/// How long two routers may both hold the address while one takes it over from the other:
/// an advert's way, and a loaded machine.
const HANDOVER: Duration = Duration::from_millis(1500);

/// The most a loaded machine delays what depends on a timer.
const LATE: Duration = Duration::from_secs(4);

/// Checks a passage against what any pair, or ours, promises.
///
/// # Errors
/// Which promise was broken, with the logs.
pub(super) fn check(duel: &Duel, trouble: Trouble, passage: &Passage) -> Result<()> {
    let master = duel.implementation(0)?;
    let wire = duel.setup().wire;
    let found = broken(wire, master, trouble, passage);
    ensure!(
        found.is_empty(),
        "{trouble:?}: {}\n{passage:?}\n{}",
        found.join("; "),
        duel.evidence()
    );
    if trouble == Trouble::Silent && master == Implementation::Ours {
        // Whoever heard the loser during the split has to hear the winner again.
        duel.wait_announced(0, passage.mended)?;
    }
    Ok(())
}

fn broken(
    wire: Wire,
    master: Implementation,
    trouble: Trouble,
    passage: &Passage,
) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut must = |holds: bool, what| {
        if !holds {
            found.push(what);
        }
    };
    // An address without an owner: until r2 has missed three adverts, and for a
    // script its detection before that, but then the address is still at r1.
    let gap = wire.master_down() + LATE;
    must(passage.none() <= gap, "nobody had the address for too long");
    must(
        passage.none_after() <= gap,
        "nobody had the address for too long after it was mended",
    );
    must(
        passage.two_after() <= HANDOVER,
        "two owners for too long after it was mended",
    );
    match trouble {
        Trouble::Reload => must(
            passage.there.len() == 1 && passage.home.len() == 1,
            "the address moved for a reload",
        ),
        Trouble::Weighted | Trouble::Lowered => must(
            passage.none() <= HANDOVER,
            "the address was without an owner although both routers lived",
        ),
        Trouble::Term
        | Trouble::KillAll
        | Trouble::KillChild
        | Trouble::KillParent
        | Trouble::Hang
        | Trouble::Silent
        | Trouble::Carrier
        | Trouble::Vital => {}
    }
    match master {
        // It keeps the address for good where it cannot know better.
        Implementation::Original if trouble.beyond_reach() => {}
        Implementation::Ours
            if matches!(
                trouble,
                Trouble::KillAll | Trouble::KillChild | Trouble::KillParent | Trouble::Hang
            ) =>
        {
            must(
                passage.two() <= lease(wire) + HANDOVER,
                "the lease did not end",
            );
            must(!passage.two_remained(), "two owners for good");
        }
        Implementation::Ours | Implementation::Original => {
            if trouble != Trouble::Silent {
                must(passage.two() <= HANDOVER, "two owners for too long");
            }
        }
    }
    found
}

/// How much longer than r2's patience a dead router's address may stay: the kernel counts
/// whole seconds and looks only now and then, and the silence may begin right after an advert.
const fn lease(wire: Wire) -> Duration {
    match wire {
        Wire::Unicast | Wire::Multicast | Wire::Vmac | Wire::VmacBase => Duration::from_secs(2),
        // A master that speaks every 500 ms is missed sooner than the kernel can count.
        Wire::V3 | Wire::V3Fast | Wire::UnicastV3 | Wire::Ipv6 | Wire::VmacIpv6 => {
            Duration::from_secs(4)
        }
    }
}
