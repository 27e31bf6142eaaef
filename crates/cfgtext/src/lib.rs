//! Source files, spans and diagnostics, shared by the two config languages.
//!
//! Config text may be any bytes: a comment in Big5, a password in Latin-1. [`SourceFile`] keeps
//! the bytes as they were read; only rendering turns them into (lossy) UTF-8. The text stays in
//! memory, so a diagnostic cites the line that was parsed even if the file was edited since.
//!
//! This crate knows no grammar and does no IO.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod diagnostic;
mod distance;
pub mod render;
mod source;

pub use diagnostic::{Diagnostic, Severity};
pub use distance::{closest, edit_distance};
pub use source::{Position, SourceFile, SourceId, Sources, Span};
