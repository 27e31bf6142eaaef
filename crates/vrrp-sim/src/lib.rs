//! Several virtual routers on a simulated network and clock, with faults and invariants
#![warn(missing_docs)]
