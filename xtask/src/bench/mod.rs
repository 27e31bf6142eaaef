//! `cargo xtask bench relay`: proxyd beside the others, on this machine;
//! `cargo xtask bench vrrp`: vrrpd beside keepalived.

mod config;
mod drive;
mod peers;
mod plan;
mod process;
mod results;
mod scenario;
mod stats;
mod table;
mod vrrp;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::needs::{self, Install, Need};
use crate::run::{cargo, run, say};
use peers::{Kind, OURS, Peer, Programs};
use plan::Limits;
use results::{Row, Run, Verdict};

/// Beside the programs of a peer given by path.
const NEEDS: [Need; 4] = [
    Need {
        program: "ip",
        package: "iproute2",
        why: "brings the bench's own loopback interface up",
    },
    Need {
        program: "haproxy",
        package: "haproxy",
        why: "proxyd is compared with it",
    },
    Need {
        program: "nginx",
        package: "nginx",
        why: "proxyd is compared with it",
    },
    Need {
        program: "/usr/lib/nginx/modules/ngx_stream_module.so",
        package: "libnginx-mod-stream",
        why: "nginx's relaying of TCP",
    },
];

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Compare proxyd's data path with HAProxy's, nginx's and any other's
    Relay(Options),
    /// Compare vrrpd with Debian's keepalived: how fast the address moves, what it costs
    Vrrp(vrrp::Options),
}

#[derive(Args)]
pub(crate) struct Options {
    /// Whom to compare with: one of --list; or
    /// NAME=PATH:proxyd, NAME=PATH:proxyd-ring, NAME=PATH:haproxy, or NAME=COMMAND with {listen_port},
    /// {backend_port}, {config} (haproxy's) and {config:FILE} (FILE with its places filled in)
    #[arg(long = "peer", value_name = "NAME|NAME=COMMAND")]
    peers: Vec<String>,
    /// Rounds; in each every proxy runs every scenario once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Scenarios or groups of them; see --list
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Seconds a load lasts
    #[arg(long, default_value_t = 0.5)]
    secs: f64,
    /// Where the figures go
    #[arg(long, value_name = "FILE", default_value = "target/bench/relay.json")]
    json: PathBuf,
    /// Also write the table here, between its marks if the file has them
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Take this proxyd instead of building one
    #[arg(long, value_name = "PATH")]
    proxyd: Option<PathBuf>,
    /// Take this haproxy
    #[arg(long, value_name = "PATH")]
    haproxy: Option<PathBuf>,
    /// Take this nginx
    #[arg(long, value_name = "PATH")]
    nginx: Option<PathBuf>,
    /// Show scenarios and peers, and end
    #[arg(long)]
    list: bool,
    /// Install nothing, only say what is missing
    #[arg(long)]
    no_install: bool,
}

/// Exit code 0 if everything could be measured, whoever is ahead.
pub(crate) fn bench(task: &Bench) -> Result<ExitCode> {
    match task {
        Bench::Relay(options) => relay(options),
        Bench::Vrrp(options) => vrrp::vrrp(options),
    }
}

fn relay(options: &Options) -> Result<ExitCode> {
    if options.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        (0.05..=60.0).contains(&options.secs),
        "--secs is from 0.05 to 60"
    );
    let scenarios = scenario::chosen(&options.scenarios)
        .map_err(|name| anyhow!("no scenario or group is called {name}; see --list"))?;
    let release = release_dir()?;
    let programs = options.programs(&release)?;
    let peers = options.contenders(&programs)?;
    if world::inside() {
        return inside(options, scenarios, peers, release);
    }
    provide(&peers, options)?;
    build(options)?;
    world::enter()
}

/// Where cargo puts release builds: beside this task's own debug build.
fn release_dir() -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    let target = me.parent().and_then(Path::parent);
    Ok(target.context("no target directory")?.join("release"))
}

impl Options {
    fn programs(&self, release: &Path) -> Result<Programs> {
        let given = |path: &Option<PathBuf>, usual: PathBuf| match path {
            Some(path) => {
                fs::canonicalize(path).with_context(|| format!("no program {}", path.display()))
            }
            None => Ok(usual),
        };
        Ok(Programs {
            proxyd: given(&self.proxyd, release.join("proxyd"))?,
            haproxy: given(&self.haproxy, "/usr/sbin/haproxy".into())?,
            nginx: given(&self.nginx, "/usr/sbin/nginx".into())?,
        })
    }

    /// Ours, and whom it is compared with.
    fn contenders(&self, programs: &Programs) -> Result<Vec<Peer>> {
        let named: Vec<&str> = if self.peers.is_empty() {
            peers::USUAL.to_vec()
        } else {
            self.peers.iter().map(String::as_str).collect()
        };
        let mut all = vec![Peer::ours(programs)];
        for text in named {
            let peer = Peer::parse(text, programs)?;
            ensure!(
                all.iter().all(|other| other.name != peer.name),
                "two peers are called {}",
                peer.name
            );
            all.push(peer);
        }
        Ok(all)
    }
}

fn provide(peers: &[Peer], options: &Options) -> Result<()> {
    let debian = |path: &Path| path.starts_with("/usr/sbin");
    let nginx = peers
        .iter()
        .any(|peer| matches!(&peer.kind, Kind::Nginx { program } if debian(program)));
    let haproxy = peers
        .iter()
        .any(|peer| matches!(&peer.kind, Kind::Haproxy { program, .. } if debian(program)));
    let needed: Vec<&Need> = NEEDS
        .iter()
        .filter(|need| match need.package {
            "haproxy" => haproxy,
            "nginx" | "libnginx-mod-stream" => nginx,
            _ => true,
        })
        .collect();
    let install = if options.no_install {
        Install::Never
    } else {
        Install::Allowed
    };
    needs::provide(&needed, install)
}

fn build(options: &Options) -> Result<()> {
    let mut words = vec!["build", "--release", "--locked", "-p", "lbload"];
    if options.proxyd.is_none() {
        words.extend(["-p", OURS]);
    }
    run(&mut cargo(&words))
}

fn list() {
    say("scenarios (group: what):");
    for scenario in scenario::every() {
        say(&format!(
            "  {:<15} {:<12} {}",
            scenario.name, scenario.group, scenario.about
        ));
    }
    say(&format!(
        "peers: {}, {}, or NAME=COMMAND",
        peers::USUAL.join(", "),
        peers::RING
    ));
}

/// What the JSON file holds.
#[derive(Serialize)]
struct Report<'a> {
    machine: &'a str,
    versions: &'a [String],
    rounds: usize,
    secs: f64,
    idle_connections: usize,
    rows: &'a [Row],
    runs: &'a [Run],
}

fn inside(
    options: &Options,
    scenarios: Vec<&'static scenario::Scenario>,
    peers: Vec<Peer>,
    release: PathBuf,
) -> Result<ExitCode> {
    let descriptors = world::furnish()?;
    let limits = Limits::of(descriptors);
    ensure!(
        limits.idle >= 100,
        "a process may hold {descriptors} descriptors only: too few"
    );
    let rounds = usize::from(options.rounds);
    let time = plan::estimate(&scenarios, &peers, limits, rounds, options.secs);
    let versions = versions(&peers);
    let machine = machine(descriptors)?;
    say(&format!("{machine}\n{}", versions.join("\n")));
    say(&format!(
        "{} scenarios, {rounds} rounds, {} idle connections: about {} s",
        scenarios.len(),
        limits.idle,
        time.as_secs()
    ));
    let plan = drive::Plan {
        peers,
        scenarios,
        rounds,
        secs: options.secs,
        limits,
        lbload: release.join("lbload"),
    };
    let runs = drive::run(&plan)?;
    let rows: Vec<Row> = plan
        .scenarios
        .iter()
        .flat_map(|scenario| {
            let names: Vec<String> = plan::contestants(scenario, &plan.peers, limits)
                .into_iter()
                .map(|side| side.label)
                .collect();
            results::rows(scenario, &names, &runs)
        })
        .collect();
    let about = table::About {
        machine: &machine,
        versions: &versions,
        rounds,
        secs: options.secs,
        connections: limits.idle,
    };
    let table = table::markdown(&about, &rows, &runs);
    say(&format!("\n{table}"));
    let report = Report {
        machine: &machine,
        versions: &versions,
        rounds,
        secs: options.secs,
        idle_connections: limits.idle,
        rows: &rows,
        runs: &runs,
    };
    write(&options.json, &serde_json::to_string_pretty(&report)?)?;
    if let Some(path) = &options.markdown {
        let document = fs::read_to_string(path).unwrap_or_default();
        write(path, &table::insert(&document, &table, table::MARKS))?;
    }
    say(&summary(&rows, &runs));
    say(&format!("figures: {}", options.json.display()));
    Ok(ExitCode::SUCCESS)
}

/// How many figures are where they should be.
fn summary(rows: &[Row], runs: &[Run]) -> String {
    let count = |wanted| {
        rows.iter()
            .filter(|row| row.verdict == Some(wanted))
            .count()
    };
    let faults = runs.iter().filter(|run| run.fault.is_some()).count();
    format!(
        "{} figures as good as aimed for, {} as good as they must be, {} not; {faults} of {} runs do not count",
        count(Verdict::Aim),
        count(Verdict::Must),
        count(Verdict::Missed),
        runs.len()
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn machine(descriptors: usize) -> Result<String> {
    Ok(format!(
        "{}, {descriptors} descriptors a process",
        hardware()?
    ))
}

/// Cores and kernel.
fn hardware() -> Result<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown CPU", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism()?.get();
    ensure!(
        cores >= 2,
        "one core is not enough: proxy and load need one each"
    );
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!("{cores} cores ({model}), Linux {}", kernel.trim()))
}

/// What each program calls itself.
fn versions(peers: &[Peer]) -> Vec<String> {
    let mut found = Vec::new();
    for peer in peers {
        let program = match &peer.kind {
            Kind::Haproxy { program, .. } | Kind::Ring { program } | Kind::Nginx { program } => {
                program
            }
            Kind::Command(_) => continue,
        };
        let Ok(output) = Command::new(program).arg("-v").output() else {
            continue;
        };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let first = text.lines().next().unwrap_or("").trim();
        let version = format!("{}: {first}", peer.name);
        if !peer.splices() {
            found.push(version);
        }
    }
    found
}
