//! `cargo xtask demo`: the whole pair on one machine, broken in one way after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use e2e::clock::Moment;
use e2e::pair::{self, Implementation, MOVE, PATIENCE, PORT, Pair, SERVERS, VIP};
use e2e::scenario::{self, Fault, Move};
use e2e::traffic::{self, Attempt, Client};

use crate::needs::{self, Install, LAB, ORIGINALS};
use crate::report::{self, Row};
use crate::run::{cargo, complain, run, say};

/// How many requests show that all backends take part.
const ROUND: usize = 30;

/// How long haproxy's health check may take to notice: `inter 2s`, `rise 2`, `fall 3`, and slack.
const CHECKED: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Options {
    /// Install nothing, only say what is missing
    #[arg(long)]
    no_install: bool,
    /// Whose daemons to show
    #[arg(long, value_enum, default_value_t = Daemons::Ours)]
    daemons: Daemons,
    /// Also write what each move took to this file, as YAML
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Daemons {
    /// proxyd and vrrpd
    Ours,
    /// Debian's haproxy and keepalived
    Originals,
}

/// Exit code 0 only if the pair behaved in every act.
pub(crate) fn demo(options: &Options) -> Result<ExitCode> {
    let install = if options.no_install {
        Install::Never
    } else {
        Install::Allowed
    };
    let mut wanted: Vec<_> = LAB.iter().collect();
    let whose = match options.daemons {
        Daemons::Ours => Implementation::Ours,
        Daemons::Originals => {
            wanted.extend(ORIGINALS.iter().take(2));
            Implementation::Original
        }
    };
    needs::provide(&wanted, install)?;
    if std::env::var_os(e2e::binaries::READY).is_none() {
        run(&mut cargo(&["build", "--workspace", "--bins", "--locked"]))?;
    }
    let mut moves = Vec::new();
    let shown = show(whose, &mut moves);
    // A pair that did not behave is worth a report, too.
    if let Some(file) = &options.report {
        report::write(file, &moves)?;
    }
    match shown {
        Ok(()) => {
            say("\nThe pair behaved.");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            complain(&format!("the pair did not behave: {error:#}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn show(whose: Implementation, moves: &mut Vec<Row>) -> Result<()> {
    say(&picture(whose));
    let begin = Moment::now();
    say("   0.000 s  the hosts are made and the daemons started");
    let mut pair = Pair::prepare(pair::owners_files([whose; 2], [whose; 2]))
        .context("cannot set up the lab")?;
    for index in [0, 1] {
        pair.start_balancer(index)?;
        pair.wait_serves(index)
            .context("a balancer does not serve")?;
    }
    for index in [0, 1] {
        pair.start_router(index)?;
    }
    let settled = pair.settle()?;
    say(&format!(
        "{:>8.3} s  both daemons run on both hosts; lb1 holds {VIP}",
        seconds(begin, settled)
    ));
    let client = pair.vip_client()?;
    let first = client.wait_attempts(settled, ROUND, PATIENCE)?;
    say(&format!(
        "            a client of {VIP}:{PORT} over TLS: {}",
        answers(&first)
    ));
    all_backends(&first)?;

    for fault in Fault::ALL {
        act(&mut pair, &client, fault, moves)?;
    }
    backend_act(&mut pair, &client)?;
    drop(client);
    drop(pair);
    Ok(())
}

fn act(pair: &mut Pair, client: &Client, fault: Fault, moves: &mut Vec<Row>) -> Result<()> {
    heading(fault.title());
    let there = scenario::strike(pair, client, fault)?;
    tell(&there, "lb2");
    moves.push(Row::new(fault.title(), "lb2", &there));
    if !matches!(fault, Fault::WireSilent) {
        ensure!(
            pair.owners.now() == ["lb2"],
            "two owners: {} (the other one was never told to let go)",
            pair.owners.now().join(" and ")
        );
    }
    heading(fault.mending());
    let back = scenario::mend(pair, client, fault)?;
    tell(&back, "lb1");
    moves.push(Row::new(fault.mending(), "lb1", &back));
    Ok(())
}

fn backend_act(pair: &mut Pair, client: &Client) -> Result<()> {
    let (_, name, _) = SERVERS[1];
    heading(&format!("{name} stops"));
    let start = Moment::now();
    pair.stop_server(1)?;
    let down = format!("Server apiserver/{name} is DOWN");
    let marked = pair.lb(0)?.log().wait_for(&down, start, CHECKED)?.at;
    event(start, marked, &format!("lb1 logs: {down}"));
    let before: Vec<Attempt> = client
        .since(start)
        .into_iter()
        .filter(|a| a.started < marked)
        .collect();
    say(&format!("            until then: {}", answers(&before)));
    let after = client.wait_attempts(marked, ROUND, PATIENCE)?;
    say(&format!("            from then on: {}", answers(&after)));
    ensure!(
        traffic::lost(&after) == 0,
        "requests are lost although {name} is marked down"
    );
    ensure!(
        !traffic::tally(&after).contains_key(name),
        "{name} answers although it is down"
    );

    heading(&format!("{name} is back"));
    let start = Moment::now();
    pair.start_server(1)?;
    let up = format!("Server apiserver/{name} is UP");
    let marked = pair.lb(0)?.log().wait_for(&up, start, CHECKED)?.at;
    event(start, marked, &format!("lb1 logs: {up}"));
    let after = client.wait_attempts(marked, ROUND, MOVE)?;
    say(&format!("            from then on: {}", answers(&after)));
    ensure!(
        traffic::lost(&client.since(start)) == 0,
        "requests are lost while {name} returns"
    );
    all_backends(&after)
}

fn all_backends(attempts: &[Attempt]) -> Result<()> {
    let tally = traffic::tally(attempts);
    for (_, name, _) in SERVERS {
        ensure!(
            tally.contains_key(name),
            "{name} never answered: {}",
            answers(attempts)
        );
    }
    Ok(())
}

fn heading(text: &str) {
    say(&format!("\n-- {text}"));
}

fn event(start: Moment, at: Moment, text: &str) {
    say(&format!("{:>8.3} s  {text}", seconds(start, at)));
}

/// The time line of one move.
fn tell(moved: &Move, to: &str) {
    let mut before: Option<&[String]> = None;
    for span in &moved.spans {
        if before != Some(span.owners.as_slice()) {
            let who = match span.owners.as_slice() {
                [] => "nobody holds the address".to_owned(),
                [one] => format!("{one} holds the address"),
                more => format!("{} hold the address", more.join(" and ")),
            };
            event(moved.start, span.start, &who);
        }
        before = Some(&span.owners);
    }
    say(&format!("            {}", answers(&moved.attempts)));
    say(&format!(
        "            the move to {to} took {} ms; requests lost: {}; without an owner {} ms, with two {} ms",
        moved.took().as_millis(),
        moved.lost(),
        moved.gap().as_millis(),
        moved.overlap().as_millis(),
    ));
}

fn answers(attempts: &[Attempt]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in attempts.iter().filter_map(Attempt::backend) {
        *counts.entry(name).or_insert(0) += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    let counts = if counts.is_empty() {
        "nobody".to_owned()
    } else {
        counts.join(", ")
    };
    format!(
        "answered by {counts}; lost {} of {}",
        traffic::lost(attempts),
        attempts.len()
    )
}

fn seconds(from: Moment, to: Moment) -> f64 {
    to.since(from).as_secs_f64()
}

fn picture(whose: Implementation) -> String {
    let daemons = match whose {
        Implementation::Ours => "proxyd and vrrpd",
        Implementation::Original => "haproxy and keepalived",
    };
    format!(
        "\n      client ──── {VIP}:{PORT} (virtual address)\n\
         \x20                 │\n\
         \x20        ┌────────┴────────┐\n\
         \x20   lb1 10.0.254.252   lb2 10.0.254.251      {daemons} with the owner's two files\n\
         \x20        └────────┬────────┘\n\
         \x20   k8s-master-1  k8s-master-2  k8s-master-3  TLS stand-ins on {PORT}\n"
    )
}
