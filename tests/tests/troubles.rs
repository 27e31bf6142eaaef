//! Everything that can befall a master, over every kind of wire, with our daemon and
//! Debian's keepalived in both places: the address moves when it has to and only then,
//! is never without an owner for longer than it must, and never has two for longer than
//! the promise of whoever is the master.

use anyhow::{Context, Result, anyhow};
use e2e::duel::{Duel, Setup, Trouble, Wire};
use e2e::pair::Implementation::{self, Original, Ours};

/// The troubles that are played one after the other on one pair of hosts; the groups run
/// side by side, since all they do is wait.
const GROUPS: [&[Trouble]; 4] = [
    &[Trouble::Weighted, Trouble::Term],
    &[Trouble::Lowered, Trouble::Silent],
    &[Trouble::Reload, Trouble::KillAll, Trouble::Hang],
    &[
        Trouble::Vital,
        Trouble::KillChild,
        Trouble::KillParent,
        Trouble::Carrier,
    ],
];

/// With so short a patience only what is sure to move the address tells anything on a loaded
/// machine.
const FAST: [&[Trouble]; 1] = [&[Trouble::KillAll, Trouble::Term]];

/// Plays all groups and tells what was seen, a line for each trouble.
fn play(wire: Wire, routers: [Implementation; 2]) -> Result<String> {
    let groups: &[&[Trouble]] = if wire == Wire::V3Fast { &FAST } else { &GROUPS };
    let outcomes: Vec<Result<String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = groups
            .iter()
            .map(|group| scope.spawn(move || play_group(wire, routers, group)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a panic"))))
            .collect()
    });
    let (told, failed): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    let failed: Vec<String> = failed
        .into_iter()
        .filter_map(Result::err)
        .map(|error| format!("{error:#}"))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(told.into_iter().flatten().collect())
}

fn play_group(wire: Wire, routers: [Implementation; 2], group: &[Trouble]) -> Result<String> {
    let mut told = String::new();
    let mut duel = Duel::start(Setup {
        script_interval: 1,
        vital: true,
        ..Setup::new(wire, routers)
    })?;
    // Where there is but one user, keepalived cannot run its scripts and takes them for
    // successful: it never hears of what they would have told.
    let deaf = !duel.lab.many_users() && routers.contains(&Original);
    for trouble in group {
        if deaf && matches!(trouble, Trouble::Weighted | Trouble::Vital) {
            continue;
        }
        let passage = duel
            .endure(*trouble)
            .with_context(|| format!("{wire:?}, {routers:?}, {trouble:?}"))?;
        let after = |at: Option<e2e::clock::Moment>| at.map(|at| at.since(passage.struck));
        told += &format!(
            "{trouble:?}: r2 after {:?}, r1 lost after {:?}, none {:?}, two {:?}, back after {:?}\n",
            after(passage.gained),
            after(passage.lost),
            passage.none(),
            passage.two(),
            passage.back.since(passage.mended)
        );
    }
    Ok(told)
}

macro_rules! pairings {
    ($($module:ident: $wire:ident;)*) => { $(
        mod $module {
            use super::*;

            #[test]
            fn both_ours() -> Result<()> {
                println!("{}", play(Wire::$wire, [Ours; 2])?);
                Ok(())
            }

            #[test]
            fn ours_before_keepalived() -> Result<()> {
                println!("{}", play(Wire::$wire, [Ours, Original])?);
                Ok(())
            }

            #[test]
            fn keepalived_before_ours() -> Result<()> {
                println!("{}", play(Wire::$wire, [Original, Ours])?);
                Ok(())
            }

            #[test]
            fn both_keepalived() -> Result<()> {
                println!("{}", play(Wire::$wire, [Original; 2])?);
                Ok(())
            }
        }
    )* };
}

pairings! {
    unicast: Unicast;
    multicast: Multicast;
    version_3: V3;
    version_3_fast: V3Fast;
    version_3_unicast: UnicastV3;
    ipv6: Ipv6;
    virtual_mac: Vmac;
    virtual_mac_below: VmacBase;
    virtual_mac_ipv6: VmacIpv6;
}
