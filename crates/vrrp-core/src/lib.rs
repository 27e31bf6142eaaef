//! The virtual router as a value: state and event in, state and actions out
#![warn(missing_docs)]
