//! `cargo xtask compat`: how far our reading of configurations agrees with the originals', over
//! a folder of files whose verdicts were recorded.

mod host;
mod keepalived;
mod recorded;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Whose language.
#[derive(Debug, Subcommand)]
pub(crate) enum Compat {
    /// keepalived.conf, against the verdicts of `keepalived -t`
    Keepalived(Options),
}

/// What to compare, and how to tell.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Folder with the recorded verdicts in index.tsv, and the files beside it or in a folder
    /// `keepalived`
    #[arg(long)]
    corpus: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Runs one comparison; fails if a difference is not listed.
pub(crate) fn compat(task: &Compat) -> Result<ExitCode> {
    match task {
        Compat::Keepalived(options) => keepalived::compare(&options.corpus, options.json),
    }
}
