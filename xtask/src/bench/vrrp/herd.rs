//! What many instances cost: start, memory, CPU, stop.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::clock::Moment;
use e2e::duel::{ADDRESSES, Duel, Setup, Wire};
use e2e::host::Host;
use e2e::pair::{Implementation, KEEPALIVED_CONF, PATIENCE};
use e2e::wait;
use nix::libc::SIGTERM;

use super::rows::{HerdRow, Pairing, Sample};

/// What every instance says when it is there.
const READY: &str = "Entering BACKUP STATE (init)";

/// From the last master to the measurement: the second burst of announcements comes after 5 s.
const SETTLE: Duration = Duration::from_secs(7);

/// What all herds share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) vrrpd: &'a Path,
    /// How long the CPU is measured.
    pub(super) watch: Duration,
}

/// Runs one pairing once.
pub(super) fn run(terms: Terms<'_>, row: &HerdRow, pairing: &Pairing, round: usize) -> Sample {
    let mut sample = Sample::new(row.name, pairing, round);
    if let Err(error) = measure(terms, row, pairing, &mut sample) {
        sample.fault = Some(format!("{error:#}"));
    }
    sample
}

fn measure(terms: Terms<'_>, row: &HerdRow, pairing: &Pairing, sample: &mut Sample) -> Result<()> {
    let mut duel = Duel::prepare(Setup {
        vrrpd: Some(terms.vrrpd.to_owned()),
        script_interval: 0,
        ..Setup::new(row.wire, pairing.routers)
    })?;
    for index in [0, 1] {
        let text = conf(row, index);
        duel.host(index)?.write(KEEPALIVED_CONF, text)?;
        let start = duel.start_router(index)?;
        let log = duel.host(index)?.log();
        let ready = wait::until("all instances", PATIENCE, || {
            let told = log.containing(READY);
            (told.len() >= row.instances)
                .then(|| told.last().map(|m| m.at))
                .flatten()
        })
        .with_context(|| duel.evidence())?;
        if index == 0 {
            sample.tell("start", ready.since(start).as_secs_f64());
        }
    }
    let master = duel.host(0)?;
    wait::until_ok("all addresses", PATIENCE, || {
        Ok((addresses(master)? >= row.instances).then_some(()))
    })?;
    if row.cpu {
        wait::holds_for(SETTLE, || Ok(()))?;
        let before = [cpu(&duel, 0)?, cpu(&duel, 1)?];
        let start = Moment::now();
        wait::holds_for(terms.watch, || Ok(()))?;
        let seconds = Moment::now().since(start).as_secs_f64();
        for (index, key) in ["cpu_master", "cpu_backup"].into_iter().enumerate() {
            let used = cpu(&duel, index)?.saturating_sub(before[index]);
            sample.tell(key, used as f64 / 1e6 / seconds);
        }
    }
    let (rss, pss) = memory(&duel)?;
    sample.tell("rss", rss / 1024.0);
    sample.tell("pss", pss / 1024.0);
    // Nobody else shall take over meanwhile.
    duel.stop_router(1)?;
    let start = Moment::now();
    duel.task(0)?.signal(SIGTERM)?;
    wait::until_ok("the last address to go", PATIENCE, || {
        Ok((addresses(duel.host(0)?)? == 0).then_some(()))
    })?;
    sample.tell("gone", Moment::now().since(start).as_secs_f64());
    duel.task(0)?.wait(PATIENCE)?;
    sample.tell("stop", Moment::now().since(start).as_secs_f64());
    Ok(())
}

/// One address each, in a part of the network where nobody lives.
fn conf(row: &HerdRow, index: usize) -> String {
    let [first, second] = ADDRESSES;
    let (own, peer) = if index == 0 {
        (first, second)
    } else {
        (second, first)
    };
    let mut text = String::from("global_defs {\n  router_id herd\n}\n");
    for number in 1..=row.instances {
        let unicast = match row.wire {
            Wire::Unicast => {
                format!("  unicast_src_ip {own}\n  unicast_peer {{\n    {peer}\n  }}\n")
            }
            _ => String::new(),
        };
        let _infallible = write!(
            text,
            "vrrp_instance V{number} {{\n  state BACKUP\n  interface ens160\n  \
             virtual_router_id {number}\n  priority {}\n  advert_int 1\n{unicast}  \
             virtual_ipaddress {{\n    10.0.100.{number}/16\n  }}\n}}\n",
            101 - index
        );
    }
    text
}

/// How many of the herd's addresses a host holds.
fn addresses(host: &Host) -> Result<usize> {
    let show = ["ip", "-o", "-4", "address", "show", "dev", "ens160"];
    let table = host.run(&show)?.success()?.stdout;
    Ok(table.matches(" inet 10.0.100.").count())
}

/// Nanoseconds of CPU that all threads of a router have used.
fn cpu(duel: &Duel, index: usize) -> Result<u64> {
    let mut pids = duel.children(index)?;
    pids.push(duel.task(index)?.pid());
    let files: Vec<String> = pids
        .iter()
        .map(|pid| format!("/proc/{pid}/task/*/schedstat"))
        .collect();
    let command = format!("cat {}", files.join(" "));
    let output = duel.host(index)?.run(&["sh", "-c", &command])?;
    let text = output.success()?.stdout;
    let used = text.lines().filter_map(|line| line.split(' ').next());
    Ok(used.filter_map(|word| word.parse::<u64>().ok()).sum())
}

/// Resident and proportional memory of all processes of the master, in KiB.
fn memory(duel: &Duel) -> Result<(f64, f64)> {
    let mut pids = duel.children(0)?;
    pids.push(duel.task(0)?.pid());
    let files: Vec<String> = pids
        .iter()
        .map(|pid| format!("/proc/{pid}/smaps_rollup"))
        .collect();
    let mut argv = vec!["cat"];
    argv.extend(files.iter().map(String::as_str));
    let text = duel.host(0)?.run(&argv)?.success()?.stdout;
    let sum = |key: &str| -> f64 {
        text.lines()
            .filter_map(|line| line.strip_prefix(key)?.split_whitespace().next())
            .filter_map(|word| word.parse::<f64>().ok())
            .sum()
    };
    Ok((sum("Rss:"), sum("Pss:")))
}

/// The pairings that are compared: each daemon with itself.
pub(super) fn compares(pairing: &Pairing) -> bool {
    let [first, second] = pairing.routers;
    first == second
}

/// Whose the pairing's master is, in words.
pub(super) const fn program(master: Implementation) -> &'static str {
    match master {
        Implementation::Ours => "vrrpd",
        Implementation::Original => "keepalived",
    }
}
