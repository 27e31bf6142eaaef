//! Source files, spans, diagnostics and their renderers
#![warn(missing_docs)]
