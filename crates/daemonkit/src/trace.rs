//! A look inside a running daemon, for whoever searches a fault.
//!
//! Operators read the syslog lines, which are the originals' own. What the code sees on the
//! way there (events, actions, check results) goes through `tracing`, and nowhere unless an
//! environment variable asks for it.

use std::io;

use tracing_subscriber::EnvFilter;

/// Sends traces to standard error if the environment variable `variable` holds a filter, such
/// as `debug` or `vrrpd=trace`; without it, nothing is set up and a trace costs one comparison.
///
/// Call it before the first thread exists. Writing waits for the reader of standard error, so
/// this is no setting for production; a daemon in the background has no standard error at all.
pub fn to_stderr_if_asked(variable: &str) {
    let Ok(filter) = EnvFilter::try_from_env(variable) else {
        return;
    };
    // It fails only if it was set up before, and then traces flow already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .try_init();
}
