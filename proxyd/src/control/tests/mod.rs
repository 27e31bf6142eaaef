//! The control plane as a whole, over a data path that runs.

mod admin;
mod checks;
mod lines;
mod stage;
