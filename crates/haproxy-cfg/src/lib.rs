//! The haproxy.cfg language: lexer, keyword tables, model, and the haproxy command line.
//!
//! [`argv::parse`] reads a command line the way haproxy does, [`load`] reads the files it names
//! into a [`model::Config`] together with every message in the original's words and order, and
//! [`check`] is `haproxy -c`: what goes to stdout, what to stderr, and the exit code.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod address;
pub mod argv;
mod compat;
mod condition;
mod directive;
mod draft;
pub mod env;
mod expr;
mod keyword;
mod lex;
mod line;
mod load;
pub mod model;
mod number;
mod reader;
pub mod report;
mod resolve;
mod section;
mod suggest;
mod text;

pub use compat::compat_markdown;
pub use env::{Environment, Host};
pub use load::{Loaded, check, condition, load};
pub use report::{Console, Level, Message};
