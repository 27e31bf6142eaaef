//! Packets that nobody's router made, few and many: no backup takes over for them, no
//! master misses an advert, and neither the log nor the wire fills up.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::capture::Capture;
use e2e::clock::Moment;
use e2e::duel::{ADDRESSES, Duel, LISTENER, Setup, Wire};
use e2e::forgery::{Advert, corrupt};
use e2e::node::FloodSpec;
use e2e::pair::Implementation::{self, Original, Ours};
use e2e::pair::PATIENCE;
use nix::libc::SIGTERM;

/// Long enough that a backup that hears nothing takes over.
const LENGTH: Duration = Duration::from_secs(6);

/// Where multicast adverts go.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// The host the packets come from.
const ATTACKER: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 10);

/// The password of the duel's files.
const PASSWORD: [u8; 8] = *b"lab-pass";

/// What the master did while it was attacked.
#[derive(Debug)]
struct Seen {
    /// The longest time between two of its adverts, with the ends of the attack.
    silence: Duration,
    /// How many adverts it sent.
    adverts: usize,
    /// How many packets it was sent, all in all.
    packets: u64,
    /// How many lines it logged.
    lines: usize,
    /// How often it announced the address.
    announcements: usize,
    /// Whether the address moved.
    moved: bool,
}

fn duel(wire: Wire, routers: [Implementation; 2]) -> Result<Duel> {
    let duel = Duel::start(Setup {
        script_interval: 0,
        ..Setup::new(wire, routers)
    })?;
    // The second burst of announcements of a new master is not the attack's doing.
    let since = duel.settle()?;
    let burst = since + Duration::from_secs(4);
    duel.wait_announced(0, burst)?;
    Ok(duel)
}

/// Attacks both routers and watches the first.
fn attack(duel: &Duel, packets: Vec<(Ipv4Addr, Vec<u8>)>, per_second: u32) -> Result<Seen> {
    let [master, _] = ADDRESSES;
    let capture = Capture::start_of(
        &duel.lab,
        &["r1"],
        &format!("ip proto 112 and src host {master}"),
    )?;
    let spec = FloodSpec {
        packets,
        ttl: 255,
        per_second,
        duration: LENGTH,
    };
    let flood = duel.lab.host(LISTENER)?.spawn_job("flood", &spec)?;
    flood.wait_line("flooding", PATIENCE)?;
    let start = Moment::now();
    let output = flood.wait(PATIENCE)?.success()?;
    let end = Moment::now();
    let sent = output.stdout.lines();
    let packets = sent.filter_map(|line| line.parse::<u64>().ok()).sum();
    // The one that was due at the end.
    e2e::wait::holds_for(duel.setup().wire.interval() * 2, || Ok(()))?;
    let moved = duel.owners.changes().iter().any(|c| c.at >= start);
    let lines = duel.host(0)?.log().messages();
    let lines = lines.iter().filter(|m| m.at >= start && m.at <= end);
    let frames = capture.finish()?;
    let times: Vec<f64> = frames
        .iter()
        .filter(|frame| frame.is_advert())
        .map(|frame| frame.time)
        .collect();
    let longest = times
        .windows(2)
        .map(|two| two[1] - two[0])
        .max_by(f64::total_cmp);
    let silence = match longest {
        Some(longest) => Duration::from_secs_f64(longest),
        None => end.since(start),
    };
    Ok(Seen {
        silence,
        adverts: times.len(),
        packets,
        lines: lines.count(),
        announcements: duel.announcements(0, start)?.len(),
        moved,
    })
}

/// Packets to both routers that no right router sends.
fn bad(wire: Wire) -> Vec<(Ipv4Addr, Vec<u8>)> {
    let good = Advert {
        password: PASSWORD,
        ..Advert::default()
    };
    let targets = match wire {
        Wire::Unicast => ADDRESSES.to_vec(),
        _ => vec![GROUP],
    };
    let wrong = [
        corrupt(good.bytes()),
        Advert {
            password: *b"guessing",
            ..good
        }
        .bytes(),
        Advert { vrid: 61, ..good }.bytes(),
        Advert {
            interval: 9,
            ..good
        }
        .bytes(),
        Advert {
            address: Ipv4Addr::new(10, 0, 254, 99),
            ..good
        }
        .bytes(),
        Advert { count: 9, ..good }.bytes(),
        good.bytes().into_iter().take(7).collect(),
        vec![0xff; 900],
    ];
    wrong
        .iter()
        .flat_map(|payload| targets.iter().map(|target| (*target, payload.clone())))
        .collect()
}

/// A flood of bad packets: nothing moves, no advert is missed, the log stays short.
fn withstands(wire: Wire, per_second: u32) -> Result<Seen> {
    let duel = duel(wire, [Ours; 2])?;
    let seen = attack(&duel, bad(wire), per_second)?;
    // A machine that runs other tests beside this one sends fewer, and hears as late.
    let enough = u64::from(per_second) * LENGTH.as_secs() / 8;
    ensure!(seen.packets >= enough, "too few packets: {seen:?}");
    ensure!(!seen.moved, "{seen:?}\n{}", duel.evidence());
    // A missed advert leaves two seconds.
    ensure!(
        seen.silence < Duration::from_millis(1900),
        "{seen:?}\n{}",
        duel.evidence()
    );
    ensure!(seen.lines < 400, "{seen:?}");
    Ok(seen)
}

#[test]
fn a_flood_of_bad_packets_over_unicast_moves_nothing() -> Result<()> {
    println!("{:?}", withstands(Wire::Unicast, 50_000)?);
    Ok(())
}

#[test]
fn a_flood_of_bad_packets_over_multicast_moves_nothing() -> Result<()> {
    println!("{:?}", withstands(Wire::Multicast, 50_000)?);
    Ok(())
}

#[test]
fn some_forged_packets_a_second_do_not_silence_a_master_over_unicast() -> Result<()> {
    println!("{:?}", withstands(Wire::Unicast, 4)?);
    Ok(())
}

#[test]
fn some_forged_packets_a_second_do_not_silence_a_master_over_multicast() -> Result<()> {
    println!("{:?}", withstands(Wire::Multicast, 4)?);
    Ok(())
}

/// What the tests above would look like if a dropped packet touched the timer.
#[test]
fn two_forged_packets_a_second_silence_keepalived() -> Result<()> {
    let duel = duel(Wire::Unicast, [Original; 2])?;
    let [master, _] = ADDRESSES;
    let packets = bad(Wire::Unicast);
    let guess = packets.into_iter().find(|(target, _)| *target == master);
    let seen = attack(&duel, guess.into_iter().collect(), 2)?;
    ensure!(
        seen.silence > Duration::from_secs(2) && seen.moved,
        "{seen:?}\n{}",
        duel.evidence()
    );
    Ok(())
}

/// Adverts that are right in all respects but their priority, by somebody who is on the
/// wire: a master answers them, but not each with a burst.
#[test]
fn a_flood_of_lower_priorities_is_answered_at_a_bounded_rate() -> Result<()> {
    let duel = duel(Wire::V3, [Ours; 2])?;
    let lower = Advert {
        priority: 1,
        interval: 50,
        ..Advert::default()
    };
    let payload = lower.bytes_v3(ATTACKER, GROUP);
    let seen = attack(&duel, vec![(GROUP, payload)], 5000)?;
    println!("{seen:?}");
    ensure!(seen.packets > 10_000, "{seen:?}");
    let seconds = usize::try_from(LENGTH.as_secs())?;
    ensure!(!seen.moved, "{seen:?}\n{}", duel.evidence());
    ensure!(
        seen.silence < Duration::from_millis(950),
        "{seen:?}\n{}",
        duel.evidence()
    );
    ensure!(seen.adverts <= seconds * 50, "{seen:?}");
    ensure!(seen.announcements <= seconds * 100, "{seen:?}");
    ensure!(seen.lines <= seconds * 50, "{seen:?}");
    Ok(())
}

/// An advert of version 3 that says its sender speaks all 0 hundredths of a second: a
/// backup that believed it would take over at once.
#[test]
fn a_forged_interval_of_zero_makes_nobody_take_over() -> Result<()> {
    let duel = duel(Wire::V3, [Ours; 2])?;
    let zero = Advert {
        interval: 0,
        ..Advert::default()
    };
    let payload = zero.bytes_v3(ATTACKER, GROUP);
    let seen = attack(&duel, vec![(GROUP, payload)], 2)?;
    ensure!(seen.packets > 8, "{seen:?}");
    ensure!(!seen.moved, "{seen:?}\n{}", duel.evidence());
    ensure!(
        seen.silence < Duration::from_millis(950),
        "{seen:?}\n{}",
        duel.evidence()
    );
    Ok(())
}

/// The end of a flood is the end of its effects: the pair does what it always does.
#[test]
fn the_address_moves_during_a_flood_as_it_does_without() -> Result<()> {
    let duel = duel(Wire::Unicast, [Ours; 2])?;
    let spec = FloodSpec {
        packets: bad(Wire::Unicast),
        ttl: 255,
        per_second: 20_000,
        duration: LENGTH * 3,
    };
    let flood = duel.lab.host(LISTENER)?.spawn_job("flood", &spec)?;
    flood.wait_line("flooding", PATIENCE)?;
    duel.task(0)?.signal(SIGTERM)?;
    duel.owners
        .wait_sole("r2", PATIENCE)
        .with_context(|| duel.evidence())?;
    ensure!(flood.ending().is_none(), "the flood was over too soon");
    Ok(())
}
