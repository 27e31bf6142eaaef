//! Whole seconds, in which the statistics count.

use rustix::time::{ClockId, clock_gettime};

/// Seconds of the system's monotonic clock. Ages are differences of such whole numbers, as in the
/// original.
pub(super) fn seconds() -> u64 {
    u64::try_from(clock_gettime(ClockId::Monotonic).tv_sec).unwrap_or_default()
}
