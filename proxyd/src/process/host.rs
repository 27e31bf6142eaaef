//! Facts about the machine.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// CPUs this process may run on, at least 1. A share of their time that a control group sets does
/// not count, as in the original.
pub(crate) fn usable_cpus() -> usize {
    rustix::thread::sched_getaffinity(None).map_or_else(
        |_| std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        |set| usize::try_from(set.count()).unwrap_or(1).max(1),
    )
}

/// System, release, version and machine, as `uname -a` words them.
pub(crate) fn kernel() -> String {
    let name = rustix::system::uname();
    [
        name.sysname(),
        name.release(),
        name.version(),
        name.machine(),
    ]
    .map(|part| part.to_string_lossy().into_owned())
    .join(" ")
}

/// Memory this process may use, in bytes: the machine's, or the control
/// group's limit where that is lower. `None` where neither can be read.
pub(crate) fn memory() -> Option<u64> {
    let wanted = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(wanted).ok()?;
    let group = system.cgroup_limits().map(|limits| limits.total_memory);
    Some(group.unwrap_or_else(|| system.total_memory()))
}
