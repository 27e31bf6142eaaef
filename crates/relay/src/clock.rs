//! One monotonic clock for the whole data path, in milliseconds.

use std::sync::OnceLock;
use std::time::Instant;

static EPOCH: OnceLock<Instant> = OnceLock::new();

/// Milliseconds since the first reading in this process. It starts at an hour so that "long ago"
/// stays representable.
pub(crate) fn millis() -> u64 {
    let epoch = *EPOCH.get_or_init(Instant::now);
    u64::try_from(epoch.elapsed().as_millis())
        .unwrap_or(u64::MAX)
        .saturating_add(3_600_000)
}

/// The same clock in whole seconds.
pub(crate) fn seconds() -> u64 {
    millis() / 1000
}
