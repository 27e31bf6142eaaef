//! The keepalived.conf language: lexer, keyword tables, model, resolved into vrrp-core settings.
//!
//! [`load`] reads a configuration the way keepalived's processes do, one after the other, and
//! gives the model together with everything that they would have said, in their words and
//! order. Every keyword is a row of a table; [`compat_markdown`] prints the tables.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod compat;
mod complete;
mod draft;
pub mod env;
mod glob;
pub mod model;
mod number;
mod pass;
mod reader;
mod report;
mod security;
mod table;
mod text;

use std::path::Path;

pub use compat::compat_markdown;
pub use env::{Environment, FakeEnvironment, SystemEnvironment};
pub use model::{
    AddressVmacDef, Command, Config, FifoDef, GarpGroupDef, GlobalDefs, InstanceDef,
    InstanceDefaults, NotifyDef, ParamMatch, ScriptDef, SyncGroupDef, TrackFileDef, TrackGroupDef,
    TrackProcessDef, VmacDef,
};
pub use report::{Audience, Loaded, Message, Process, Start};

use draft::Draft;
use pass::{Findings, Pass};
use reader::Reader;

/// How to read a configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-i`: lines that begin with `@NAME` count only for this name; by default the host's.
    pub config_id: Option<String>,
    /// `-e`: a file to include that is missing is an error.
    pub all_files: bool,
}

/// What a keyword without its parameter makes keepalived exit with.
const EXIT_CONFIG: u8 = 2;
/// A configuration that cannot be run at all.
const EXIT_UNUSABLE: u8 = 4;
const EXIT_FAULTY: u8 = 5;
/// Insecure scripts, and files that `include_check` misses.
const EXIT_SECURITY: u8 = 6;
/// No configuration file for a daemon.
const EXIT_NO_FILE: u8 = 6;

/// Reads the file and all that it includes, and resolves it.
///
/// Never fails: what is wrong is in the messages. [`Loaded::config`] is `None` if the
/// configuration cannot be run even in part.
#[must_use]
pub fn load(path: &Path, options: &Options, env: &dyn Environment) -> Loaded {
    let mut draft = Draft::default();
    let mut findings = Findings::default();
    let mut record = Vec::new();

    let reader = Reader::new(path, options, env);
    let mut parent = Pass::first(reader, env, &mut draft, &mut findings, &mut record);
    let mut outcome = parent.run();
    let reader = parent.into_reader();
    let main_read = reader.as_ref().is_some_and(|reader| reader.main_read);
    let sources = reader.map(Reader::into_sources).unwrap_or_default();
    complete::host_defaults(&mut draft.global, &env.hostname());

    let mut config = None;
    let mut start = Start::Refuse(EXIT_CONFIG);
    for process in [Process::Checker, Process::Vrrp, Process::Bfd] {
        if outcome.is_err() || findings.include_missing {
            break;
        }
        let mut pass = Pass::again(process, env, &mut draft, &mut findings, &mut record);
        outcome = pass.run();
        if process == Process::Checker && outcome.is_ok() {
            table::complete_lvs(&mut pass);
        }
        if process == Process::Vrrp && outcome.is_ok() {
            (config, start) = complete::complete(&mut pass);
        }
    }
    findings.finish();

    let test_exit = if outcome.is_err() {
        EXIT_CONFIG
    } else if findings.include_missing && !main_read {
        EXIT_UNUSABLE
    } else if findings.insecure || findings.include_missing {
        EXIT_SECURITY
    } else if draft.homeless_address {
        EXIT_UNUSABLE
    } else if findings.faulty {
        EXIT_FAULTY
    } else {
        0
    };
    if !main_read {
        start = Start::Refuse(EXIT_NO_FILE);
    } else if outcome.is_err() {
        start = Start::Refuse(EXIT_CONFIG);
    } else if findings.include_missing {
        start = Start::Refuse(EXIT_NO_FILE);
    }
    Loaded {
        config: config.filter(|_| main_read && outcome.is_ok()),
        messages: findings.messages,
        diagnostics: findings.diagnostics,
        sources,
        test_exit,
        start,
    }
}
