//! `cargo xtask bench vrrp`: vrrpd beside Debian's keepalived.

mod herd;
mod moves;
mod rows;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use e2e::binaries;
use e2e::duel::Wire;
use serde::{Deserialize, Serialize};

use super::table::insert;
use super::write;
use crate::needs::{self, Install, LAB, Need, ORIGINALS};
use crate::run::{cargo, command, run, say};
use rows::{HerdRow, MoveRow, PAIRINGS, Pairing, Row, Sample};

#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; in each every pairing does every row once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Rows, or `moves` or `herds`; see --list
    #[arg(long = "only", value_name = "ROW")]
    only: Vec<String>,
    /// How the routers of the moves speak
    #[arg(long, value_enum, default_value_t = WireName::Unicast)]
    wire: WireName,
    /// Rows of moves that are played side by side; they mostly wait
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    beside: u8,
    /// Seconds the CPU of a herd is measured
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=600))]
    cpu_secs: u16,
    /// Take this vrrpd instead of building one
    #[arg(long, value_name = "PATH")]
    vrrpd: Option<PathBuf>,
    /// Where the figures go
    #[arg(long, value_name = "FILE", default_value = "target/bench/vrrp.json")]
    json: PathBuf,
    /// Keep the figures that --json has of other rows, and print all
    #[arg(long)]
    add: bool,
    /// Also write the table here, between its marks if the file has them
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Show the rows, and end
    #[arg(long)]
    list: bool,
    /// Install nothing, only say what is missing
    #[arg(long)]
    no_install: bool,
}

/// How the routers of a move speak, if the row does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WireName {
    Unicast,
    Multicast,
    V3,
    UnicastV3,
    Ipv6,
    Vmac,
    VmacBase,
    VmacIpv6,
}

impl WireName {
    const fn wire(self) -> Wire {
        match self {
            Self::Unicast => Wire::Unicast,
            Self::Multicast => Wire::Multicast,
            Self::V3 => Wire::V3,
            Self::UnicastV3 => Wire::UnicastV3,
            Self::Ipv6 => Wire::Ipv6,
            Self::Vmac => Wire::Vmac,
            Self::VmacBase => Wire::VmacBase,
            Self::VmacIpv6 => Wire::VmacIpv6,
        }
    }
}

/// What the JSON file holds.
#[derive(Serialize, Deserialize)]
struct Report {
    head: String,
    samples: Vec<Sample>,
}

/// Exit code 0 if everything could be measured, whoever is ahead.
pub(super) fn vrrp(options: &Options) -> Result<ExitCode> {
    if options.list {
        say("rows (--only moves and --only herds are groups):");
        for row in rows::every() {
            say(&format!("  {:<14} {}", row.name(), row.about()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = rows::chosen(&options.only)
        .map_err(|name| anyhow!("no row or group is called {name}; see --list"))?;
    let install = if options.no_install {
        Install::Never
    } else {
        Install::Allowed
    };
    let needs: Vec<&Need> = LAB
        .iter()
        .chain(&ORIGINALS)
        .filter(|need| !["killall", "haproxy"].contains(&need.program))
        .collect();
    needs::provide(&needs, install)?;
    let vrrpd = build(options)?;
    let head = head(&vrrpd)?;
    say(&head);

    let mut samples = if options.add {
        earlier(&options.json, &chosen)?
    } else {
        Vec::new()
    };
    let (moves, herds) = split(&chosen);
    for batch in moves.chunks(usize::from(options.beside)) {
        samples.extend(play_moves(options, &vrrpd, batch));
    }
    for round in 0..usize::from(options.rounds) {
        for row in &herds {
            samples.extend(play_herd(options, &vrrpd, row, round));
        }
    }

    let mut shown = rows::every();
    shown.retain(|row| samples.iter().any(|sample| sample.row == row.name()));
    let text = table::markdown(&head, &shown, &samples);
    say(&format!("\n{text}"));
    if let Some(path) = &options.markdown {
        let document = fs::read_to_string(path).unwrap_or_default();
        write(path, &insert(&document, &text, table::MARKS))?;
    }
    let faults = samples.iter().filter(|s| s.fault.is_some()).count();
    let report = Report { head, samples };
    write(&options.json, &serde_json::to_string_pretty(&report)?)?;
    say(&format!("figures: {}", options.json.display()));
    Ok(ExitCode::from(u8::from(faults > 0)))
}

/// Builds what is measured and what measures; gives the path of the vrrpd to measure.
fn build(options: &Options) -> Result<PathBuf> {
    run(&mut cargo(&["build", "--locked", "-p", "e2e", "--bins"]))?;
    binaries::declare_built();
    match &options.vrrpd {
        Some(path) => {
            fs::canonicalize(path).with_context(|| format!("no program {}", path.display()))
        }
        None => {
            run(&mut cargo(&[
                "build",
                "--release",
                "--locked",
                "-p",
                "vrrpd",
            ]))?;
            Ok(super::release_dir()?.join("vrrpd"))
        }
    }
}

/// What is measured where.
fn head(vrrpd: &Path) -> Result<String> {
    let mut text = super::hardware()?;
    let keepalived = binaries::original("keepalived")?;
    for (name, program) in [("vrrpd", vrrpd), ("keepalived", &keepalived)] {
        let output = command(&program.to_string_lossy(), &["--version"])
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        text += &format!("; {name}: {}", told.lines().next().unwrap_or("").trim());
    }
    Ok(text + ".")
}

fn split(rows: &[Row]) -> (Vec<MoveRow>, Vec<HerdRow>) {
    let (mut moves, mut herds) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Row::Move(row) => moves.push(*row),
            Row::Herd(row) => herds.push(*row),
        }
    }
    (moves, herds)
}

/// Some rows with all pairings, all at the same time and with the same phases.
fn play_moves(options: &Options, vrrpd: &Path, batch: &[MoveRow]) -> Vec<Sample> {
    let terms = moves::Terms {
        vrrpd,
        wire: options.wire.wire(),
        rounds: usize::from(options.rounds),
    };
    let jobs: Vec<(&MoveRow, &Pairing)> = batch
        .iter()
        .flat_map(|row| PAIRINGS.iter().map(move |pairing| (row, pairing)))
        .collect();
    let names: Vec<&str> = batch.iter().map(|row| row.name).collect();
    say(&format!("measuring {}", names.join(", ")));
    side_by_side(&jobs, |(row, pairing)| moves::run(terms, row, pairing))
}

/// A herd with both daemons at the same time.
fn play_herd(options: &Options, vrrpd: &Path, row: &HerdRow, round: usize) -> Vec<Sample> {
    let terms = herd::Terms {
        vrrpd,
        watch: Duration::from_secs(u64::from(options.cpu_secs)),
    };
    let pairings: Vec<&Pairing> = PAIRINGS.iter().filter(|p| herd::compares(p)).collect();
    say(&format!("measuring {}, round {}", row.name, round + 1));
    side_by_side(&pairings, |pairing| {
        vec![herd::run(terms, row, pairing, round)]
    })
}

fn side_by_side<T: Sync>(jobs: &[T], play: impl Fn(&T) -> Vec<Sample> + Sync) -> Vec<Sample> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = jobs.iter().map(|job| scope.spawn(|| play(job))).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_default())
            .collect()
    })
}

/// The samples of an earlier run, without the rows that are measured now.
fn earlier(path: &Path, anew: &[Row]) -> Result<Vec<Sample>> {
    let Ok(text) = fs::read_to_string(path) else {
        return Ok(Vec::new());
    };
    let report: Report = serde_json::from_str(&text)
        .with_context(|| format!("{} is not of this task", path.display()))?;
    let mut samples = report.samples;
    samples.retain(|sample| anew.iter().all(|row| row.name() != sample.row));
    Ok(samples)
}
