//! The load generator, the backend and the log sink of `cargo xtask bench relay`.
//!
//! Each load talks to one address, for a given time or count, checks what comes
//! back and prints one line of JSON ([`report::Report`]). Every thread has an
//! epoll loop of its own; nothing is shared between threads while a load runs.
#![forbid(unsafe_code)]

mod backend;
mod bulk;
mod exchange;
mod idle;
mod lat;
mod logsink;
mod paced;
mod poll;
mod report;
mod wire;

use std::io::{Write, stderr};
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::report::Report;

#[derive(Parser)]
#[command(name = "lbload", about = "Load generator, backend and log sink")]
struct Cli {
    /// Run on these cores only, for example 1 or 0,1
    #[arg(long, value_delimiter = ',', global = true)]
    cores: Vec<usize>,
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Serve: the first byte of a connection says what (E echo, K sink, S source, B both)
    Backend {
        #[arg(long)]
        listen: SocketAddrV4,
        #[arg(long, default_value_t = 1)]
        threads: usize,
    },
    /// Connect, 100 bytes out, 100 bytes back, close; over and over
    Cps(Load),
    /// 100 bytes out, 100 bytes back, on connections that stay
    Rr {
        #[command(flatten)]
        load: Load,
        /// Requests a second in all; without it each connection asks as fast as it is answered
        #[arg(long)]
        rate: Option<u32>,
        /// With --rate: a new connection for each request
        #[arg(long, requires = "rate")]
        fresh: bool,
    },
    /// Streams of 1 MiB writes
    Bulk {
        #[command(flatten)]
        load: Load,
        #[arg(long, value_enum)]
        dir: bulk::Direction,
    },
    /// Open connections, one exchange on each, then hold them until standard input ends
    Idle(Load),
    /// One connection at a time: connect, first reply, second reply
    Lat {
        #[arg(long)]
        target: SocketAddrV4,
        #[arg(long, default_value_t = 120)]
        count: usize,
        /// Pause between connections, in microseconds
        #[arg(long, default_value_t = 1500)]
        gap_us: u64,
    },
    /// Swallow and count log lines; each line of standard input asks for the count so far
    Logsink {
        #[arg(long)]
        udp: Option<SocketAddrV4>,
        #[arg(long)]
        unix: Option<PathBuf>,
    },
}

/// What most loads have in common.
#[derive(Args, Clone)]
struct Load {
    /// Whom to talk to
    #[arg(long)]
    target: SocketAddrV4,
    /// Connections at a time, in all
    #[arg(long, default_value_t = 32)]
    conns: usize,
    /// For how long
    #[arg(long, default_value_t = 0.5)]
    secs: f64,
    /// Threads that share the connections
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

impl Load {
    fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.secs.clamp(0.01, 3600.0))
    }

    /// The load of thread `index`.
    fn share(&self, index: usize) -> Self {
        let threads = self.threads.max(1);
        let conns = self.conns / threads + usize::from(index < self.conns % threads);
        Self {
            conns,
            ..self.clone()
        }
    }

    /// Runs `work` on every thread and adds the reports up.
    fn spread(&self, work: impl Fn(&Self) -> Result<Report> + Sync) -> Result<Report> {
        std::thread::scope(|scope| {
            let shares = (0..self.threads.max(1)).map(|index| self.share(index));
            let running: Vec<_> = shares
                .filter(|share| share.conns > 0)
                .map(|share| {
                    scope.spawn({
                        let work = &work;
                        move || work(&share)
                    })
                })
                .collect();
            let mut sum = Report::default();
            for thread in running {
                let report = thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a load thread panicked"))??;
                sum.add(report);
            }
            Ok(sum)
        })
    }
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(stderr(), "lbload: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    pin(&cli.cores)?;
    let report = match cli.job {
        Job::Backend { listen, threads } => return backend::serve(listen, threads),
        Job::Logsink { udp, unix } => return logsink::swallow(udp, unix.as_deref()),
        Job::Cps(load) => load.spread(exchange::connections)?,
        Job::Rr {
            load, rate: None, ..
        } => load.spread(exchange::requests)?,
        Job::Rr {
            load,
            rate: Some(rate),
            fresh,
        } => {
            let threads = u32::try_from(load.threads.max(1)).unwrap_or(1);
            let lives = if fresh {
                paced::Lives::One
            } else {
                paced::Lives::All
            };
            load.spread(|share| paced::requests(share, (rate / threads).max(1), lives))?
        }
        Job::Bulk { load, dir } => load.spread(|share| bulk::streams(share, dir))?,
        Job::Idle(load) => return idle::hold(&load),
        Job::Lat {
            target,
            count,
            gap_us,
        } => lat::isolated(target, count, Duration::from_micros(gap_us))?,
    };
    report.print()
}

fn pin(cores: &[usize]) -> Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = rustix::thread::CpuSet::new();
    for &core in cores {
        anyhow::ensure!(core < rustix::thread::CpuSet::MAX_CPU, "no core {core}");
        set.set(core);
    }
    rustix::thread::sched_setaffinity(None, &set).context("cannot pin to these cores")
}

/// Backend and log sink serve whoever started them, and nobody after that.
fn die_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context("prctl(PR_SET_PDEATHSIG)")
}
