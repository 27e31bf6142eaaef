//! What the configuration asks of the operating system for the process itself.

use keepalived_conf::GlobalDefs;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;

use crate::cli::Options;
use crate::log::Log;

/// Applies priority, affinity, memory locking, file mask and core dumps. What cannot
/// be had is logged; the routers run without it.
pub(crate) fn apply(global: &GlobalDefs, options: &Options, log: &Log) {
    let mask = options
        .umask
        .as_deref()
        .and_then(parse_mask)
        .or(global.umask);
    // keepalived's own default, 0177: its files are root's alone.
    umask(Mode::from_bits_truncate(mask.unwrap_or(0o177)));
    let say = |what: &str, result: Result<(), String>| {
        if let Err(error) = result {
            log.info(&format!("Unable to set {what}: {error}"));
        }
    };
    if let Some(name) = global
        .vrrp_process_name
        .as_ref()
        .or(global.process_name.as_ref())
        && let Ok(name) = std::ffi::CString::new(name.as_bytes())
    {
        say(
            "process name",
            osys::process::set_thread_name(&name).map_err(|error| error.to_string()),
        );
    }
    if let Some(nice) = global.nice {
        say(
            "child process priority",
            rustix::process::setpriority_process(None, nice).map_err(|error| error.to_string()),
        );
    }
    if !global.cpu_affinity.is_empty() {
        say("CPU affinity", set_affinity(&global.cpu_affinity));
    }
    if global.no_swap {
        say(
            "memory lock",
            osys::process::lock_memory().map_err(|error| error.to_string()),
        );
    }
    if let Some(limit) = global.realtime_limit {
        let result = getrlimit(Resource::RLIMIT_RTTIME)
            .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_RTTIME, limit.min(hard), hard));
        say("real-time limit", result.map_err(|error| error.to_string()));
    }
    if let Some(priority) = global.realtime_priority {
        let result = u8::try_from(priority)
            .map_err(|error| error.to_string())
            .and_then(|priority| {
                osys::sched::set_round_robin(priority).map_err(|error| error.to_string())
            });
        say("real-time priority", result);
    }
    if options.core_dump || options.core_dump_pattern.is_some() {
        let result = getrlimit(Resource::RLIMIT_CORE)
            .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_CORE, hard, hard));
        say("core dump limit", result.map_err(|error| error.to_string()));
    }
    if let Some(pattern) = &options.core_dump_pattern {
        let pattern = pattern.as_deref().unwrap_or("core");
        say(
            "core pattern",
            std::fs::write("/proc/sys/kernel/core_pattern", pattern)
                .map_err(|error| error.to_string()),
        );
    }
}

fn set_affinity(cpus: &[u32]) -> Result<(), String> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        let cpu = usize::try_from(*cpu).map_err(|error| error.to_string())?;
        set.set(cpu).map_err(|error| error.to_string())?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).map_err(|error| error.to_string())
}

/// A file mask in C's notation: octal with a leading 0, hexadecimal with 0x, else
/// decimal.
pub(crate) fn parse_mask(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(rest) => (rest, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    u32::from_str_radix(digits, radix)
        .ok()
        .filter(|mask| *mask <= 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_written_as_in_c() {
        assert_eq!(parse_mask("022"), Some(0o22));
        assert_eq!(parse_mask("18"), Some(0o22));
        assert_eq!(parse_mask("0x12"), Some(0o22));
        for wrong in ["zz", "01000", "-1", "", "089"] {
            assert_eq!(parse_mask(wrong), None, "{wrong:?}");
        }
    }
}
