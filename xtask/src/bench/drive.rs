//! Running the plan.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::config::{BACKEND, BACKEND_TWO, LISTEN, LOG, Settings};
use super::peers::{Kind, Peer};
use super::plan::{self, Contestant, Limits};
use super::process::{Pin, Proxy, Talker};
use super::results::{Loaded, Run};
use super::scenario::{Load, Scenario, Shape};
use super::table::number;
use super::world::DIR;
use crate::run::{complain, say};

/// The proxies' core; load, backend and log sink have the next one.
const PROXY_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// Between the end of a load and the reading of the proxy's CPU: what it still has to close.
const SETTLE: Duration = Duration::from_millis(50);
/// Between two runs.
const PAUSE: Duration = Duration::from_millis(100);
/// How long idle connections are watched.
const HOLD: Duration = Duration::from_secs(2);

/// What is to be done.
pub(crate) struct Plan {
    pub(crate) peers: Vec<Peer>,
    pub(crate) scenarios: Vec<&'static Scenario>,
    pub(crate) rounds: usize,
    pub(crate) secs: f64,
    pub(crate) limits: Limits,
    pub(crate) lbload: PathBuf,
}

#[derive(Deserialize)]
struct Lines {
    lines: u64,
}

struct Field<'a> {
    plan: &'a Plan,
    /// The proxies that run all the time.
    residents: BTreeMap<(usize, Shape), Proxy>,
    sink: Talker,
    _backends: [Talker; 2],
}

/// What a run came to, but for who and when.
type Values = BTreeMap<&'static str, f64>;

/// Runs all rounds; a run that went wrong is in the result with its fault.
///
/// # Errors
/// If the bench's own programs fail, or proxyd does not start.
pub(crate) fn run(plan: &Plan) -> Result<Vec<Run>> {
    let mut field = Field::prepare(plan)?;
    let mut runs = Vec::new();
    let begin = Instant::now();
    // Fresh processes first, while no other process shares its pages with them.
    let (fresh, steady): (Vec<&'static Scenario>, Vec<_>) = plan
        .scenarios
        .iter()
        .partition(|scenario| scenario.load == Load::Idle);
    for scenarios in [fresh, steady] {
        if scenarios.iter().any(|scenario| scenario.load != Load::Idle) {
            field.employ_all()?;
        }
        for round in 0..plan.rounds {
            for scenario in &scenarios {
                field.round(scenario, round, begin, &mut runs)?;
            }
        }
    }
    Ok(runs)
}

/// One side's central figure, for the progress line.
fn told(scenario: &Scenario, run: &Run) -> String {
    let central = scenario.load.metrics().first();
    match (&run.fault, central.and_then(|m| run.values.get(m.key))) {
        (None, Some(value)) => format!("{} {}", run.proxy, number(*value)),
        (fault, _) => format!(
            "{} FAULT: {}",
            run.proxy,
            fault.as_deref().unwrap_or("no figure")
        ),
    }
}

const fn port(peer: usize, slot: u16) -> u16 {
    LISTEN + peer as u16 * 4 + slot
}

const fn slot(shape: Shape) -> u16 {
    match shape {
        Shape::One => 0,
        Shape::Two => 1,
        Shape::Big => 2,
    }
}

/// The port of a process that lives for one run.
const PASSING: u16 = 3;

impl<'a> Field<'a> {
    fn prepare(plan: &'a Plan) -> Result<Self> {
        let lbload = |arguments: &str, pin| -> Result<Talker> {
            let mut command = Command::new(&plan.lbload);
            command.args(arguments.split(' '));
            let mut talker = Talker::start(&mut command, pin)?;
            talker
                .line()
                .with_context(|| format!("lbload {arguments}"))?;
            Ok(talker)
        };
        let load = Pin::Core(LOAD_CORE);
        let sink = lbload(&format!("logsink --udp 127.0.0.1:{LOG}"), load)?;
        let backends = [
            lbload(&format!("backend --listen 127.0.0.1:{BACKEND}"), load)?,
            lbload(
                &format!("backend --threads 2 --listen 127.0.0.1:{BACKEND_TWO}"),
                Pin::Free,
            )?,
        ];
        Ok(Self {
            plan,
            residents: BTreeMap::new(),
            sink,
            _backends: backends,
        })
    }

    /// Starts the proxies that run all the time, and warms them up.
    fn employ_all(&mut self) -> Result<()> {
        let plan = self.plan;
        for key in plan::residents(&plan.scenarios, &plan.peers, plan.limits) {
            self.employ(key)?;
        }
        // Checks have seen the servers, and pages have been touched, before anything counts.
        sleep(Duration::from_millis(300));
        for key in self.residents.keys() {
            if let Err(error) = self.warm_up(*key) {
                complain(&format!("{}: {error:#}", plan.peers[key.0].name));
            }
        }
        Ok(())
    }

    /// One scenario, every side once.
    fn round(
        &mut self,
        scenario: &'static Scenario,
        round: usize,
        begin: Instant,
        runs: &mut Vec<Run>,
    ) -> Result<()> {
        let sides = plan::contestants(scenario, &self.plan.peers, self.plan.limits);
        let mut progress = Vec::new();
        for side in plan::order(&sides, round) {
            let run = self.measure(scenario, side, round)?;
            progress.push(told(scenario, &run));
            runs.push(run);
            sleep(PAUSE);
        }
        say(&format!(
            "[{:>4} s] {}/{} {:<14} {}",
            begin.elapsed().as_secs(),
            round + 1,
            self.plan.rounds,
            scenario.name,
            progress.join(" | ")
        ));
        Ok(())
    }

    fn start(&self, peer: usize, shape: Shape, port: u16) -> Result<Proxy> {
        let settings = Settings {
            port,
            shape,
            maxconn: self.plan.limits.maxconn(shape),
            dir: DIR.to_owned(),
        };
        let pin = match shape {
            Shape::One | Shape::Big => Pin::Core(PROXY_CORE),
            Shape::Two => Pin::Free,
        };
        let peer = &self.plan.peers[peer];
        let words = peer.command(&settings)?;
        let proxy =
            Proxy::start(&words, port, pin, DIR).with_context(|| format!("peer {}", peer.name))?;
        ensure!(
            !peer.needs_ring() || proxy.has_ring(),
            "peer {} got no io_uring: {}",
            peer.name,
            proxy.said()
        );
        Ok(proxy)
    }

    fn employ(&mut self, (peer, shape): (usize, Shape)) -> Result<()> {
        let proxy = self.start(peer, shape, port(peer, slot(shape)))?;
        self.residents.insert((peer, shape), proxy);
        Ok(())
    }

    fn warm_up(&self, (peer, shape): (usize, Shape)) -> Result<()> {
        let port = port(peer, slot(shape));
        let bulk = Load::Bulk {
            streams: 16,
            way: "both",
        };
        for load in [Load::Connections, Load::Requests, bulk] {
            let loaded = self.load(load.arguments(0.1, shape, 0), port)?;
            if let Some(fault) = loaded.fault() {
                bail!("warm-up: {fault}");
            }
        }
        Ok(())
    }

    /// Runs the load generator to its end.
    fn load(&self, arguments: Vec<String>, port: u16) -> Result<Loaded> {
        let output = self.lbload(arguments, port).output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn lbload(&self, arguments: Vec<String>, port: u16) -> Command {
        let mut command = Command::new(&self.plan.lbload);
        command
            .args(arguments)
            .arg("--target")
            .arg(format!("127.0.0.1:{port}"));
        command
    }

    fn measure(
        &mut self,
        scenario: &'static Scenario,
        side: &Contestant,
        round: usize,
    ) -> Result<Run> {
        let before = self.lines()?;
        let outcome = if scenario.load == Load::Idle {
            self.idle(side)
        } else {
            self.active(scenario, side)
        };
        let log_lines = self.lines()?.saturating_sub(before);
        // Full features or no comparison; what a peer of unknown kind logs is its affair.
        let must_log = !matches!(self.plan.peers[side.peer].kind, Kind::Command(_));
        let (values, fault) = match outcome {
            Ok(_) if log_lines == 0 && must_log && scenario.load == Load::Connections => {
                (BTreeMap::new(), Some("not one log line arrived".to_owned()))
            }
            Ok(values) => (values, None),
            Err(error) => (BTreeMap::new(), Some(format!("{error:#}"))),
        };
        Ok(Run {
            scenario: scenario.name,
            proxy: side.label.clone(),
            round,
            values,
            log_lines,
            fault,
        })
    }

    fn lines(&mut self) -> Result<u64> {
        let lines: Lines = serde_json::from_str(&self.sink.ask()?)?;
        Ok(lines.lines)
    }

    fn active(&mut self, scenario: &Scenario, side: &Contestant) -> Result<Values> {
        let key = (side.peer, side.shape);
        let alive = self.residents.get_mut(&key).is_some_and(Proxy::alive);
        if !alive {
            // It died in the run before, which does not count; this one may.
            self.residents.remove(&key);
            self.employ(key)?;
        }
        let port = port(side.peer, slot(side.shape));
        let held = if side.open > 0 {
            Some(self.open(side.open, port)?)
        } else {
            None
        };
        let arguments = scenario.load.arguments(self.plan.secs, side.shape, 0);
        let proxy = self.residents.get(&key).context("no proxy")?;
        let before = proxy.usage();
        let loaded = self.load(arguments, port)?;
        sleep(SETTLE);
        let after = proxy.usage();
        if let Some(held) = held {
            close(held)?;
        }
        let proxy = self.residents.get_mut(&key).context("no proxy")?;
        if !proxy.alive() {
            bail!("the proxy died: {}", proxy.said());
        }
        if let Some(fault) = loaded.fault() {
            bail!("{fault}");
        }
        Ok(loaded.values(scenario.load, after.since(&before)?))
    }

    /// Opens connections and holds them.
    fn open(&self, count: usize, port: u16) -> Result<Talker> {
        let arguments = Load::Idle.arguments(0.0, Shape::One, count);
        let mut held = Talker::start(&mut self.lbload(arguments, port), Pin::Core(LOAD_CORE))?;
        let loaded: Loaded = serde_json::from_str(&held.line()?)?;
        if let Some(fault) = loaded.fault() {
            bail!("opening {count} connections: {fault}");
        }
        sleep(SETTLE);
        Ok(held)
    }

    /// A fresh process: its memory, that of its idle connections, and what they cost.
    fn idle(&self, side: &Contestant) -> Result<Values> {
        let port = port(side.peer, PASSING);
        let mut proxy = self.start(side.peer, side.shape, port)?;
        sleep(Duration::from_millis(300));
        let base = proxy.memory()?;
        let count = self.plan.limits.idle;
        let held = self.open(count, port)?;
        sleep(Duration::from_millis(200));
        let full = proxy.memory()?;
        let before = proxy.usage();
        let watched = Instant::now();
        sleep(HOLD);
        let busy = proxy.usage().since(&before)? as f64;
        let watched = watched.elapsed().as_nanos() as f64;
        close(held)?;
        if !proxy.alive() {
            bail!("the proxy died: {}", proxy.said());
        }
        Ok(BTreeMap::from([
            ("base", base as f64 / 1e6),
            ("memory", full.saturating_sub(base) as f64 / count as f64),
            ("idle_cpu", busy / watched * 100.0),
        ]))
    }
}

/// Lets held connections go; all must still have been there.
fn close(held: Talker) -> Result<()> {
    let loaded: Loaded = serde_json::from_str(&held.finish()?)?;
    match loaded.fault() {
        Some(fault) => bail!("held connections: {fault}"),
        None => Ok(()),
    }
}
