//! The rise/fall state machine and the probes
#![warn(missing_docs)]
