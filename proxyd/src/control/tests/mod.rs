//! The control plane against a data path that runs.
