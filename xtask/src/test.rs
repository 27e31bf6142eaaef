//! `cargo xtask test`: everything that must hold.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::needs::{self, Install, LAB, ORIGINALS};
use crate::run::{cargo, run, say};

#[derive(Args)]
pub(crate) struct Options {
    /// Install nothing, only say what is missing
    #[arg(long)]
    no_install: bool,
}

pub(crate) fn test(options: &Options) -> Result<ExitCode> {
    let install = if options.no_install {
        Install::Never
    } else {
        Install::Allowed
    };
    let needs: Vec<_> = LAB.iter().chain(&ORIGINALS).collect();
    needs::provide(&needs, install)?;

    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    run(cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    if needs::cargo_has("deny") {
        run(&mut cargo(&[
            "deny", "check", "bans", "licenses", "sources",
        ]))?;
    } else {
        say("cargo-deny is not at hand: `cargo deny check bans licenses sources` is left out");
    }

    // The lab starts the programs themselves, so they are built before any test runs.
    run(&mut cargo(&["build", "--workspace", "--bins", "--locked"]))?;
    if needs::cargo_has("nextest") {
        run(&mut cargo(&["test", "--workspace", "--doc", "--locked"]))?;
        run(prepared(&mut cargo(&[
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
        ])))?;
    } else {
        // Most of the slow tests only wait for timers: more of them than cores.
        run(prepared(&mut cargo(&[
            "test",
            "--workspace",
            "--locked",
            "--no-fail-fast",
        ]))
        .env("RUST_TEST_THREADS", "4"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn prepared(command: &mut Command) -> &mut Command {
    command.env(e2e::binaries::READY, "1")
}
