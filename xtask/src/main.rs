//! The project's tasks. Each prints the commands it runs and says what it needs.

mod bench;
mod compat;
mod demo;
mod needs;
mod replay;
mod report;
mod run;
mod sim;
mod test;
#[cfg(test)]
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Compare speed and memory with other proxies
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Compare our reading of configurations with recorded verdicts of the originals
    #[command(subcommand)]
    Compat(compat::Compat),
    /// Set up the whole pair on this machine and show it working
    Demo(demo::Options),
    /// Tell fresh virtual routers what a daemon recorded
    Replay(replay::Options),
    /// Run the virtual router through simulated storms
    Sim(sim::Options),
    /// Pass every test
    Test(test::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Bench(task) => bench::bench(&task),
        Task::Compat(task) => compat::compat(&task),
        Task::Demo(options) => demo::demo(&options),
        Task::Replay(options) => replay::replay(&options),
        Task::Sim(options) => sim::sim(&options),
        Task::Test(options) => test::test(&options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            run::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
