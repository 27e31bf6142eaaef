//! What the configuration asks of the operating system for the process itself.

use keepalived_conf::GlobalDefs;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::unistd::Pid;
use vrrp_core::Duration;

use crate::cli::Options;
use crate::log::Log;

/// keepalived's own default: its files are root's alone.
const DEFAULT_UMASK: u32 = 0o177;
/// The words of [`Settings::for_helpers`].
const REALTIME: &str = "realtime=";
const LOCKED: &str = "locked";

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `-u`: it wins over the configuration.
    given_umask: Option<u32>,
    /// `-m`, `-M`.
    core_dump: bool,
    core_pattern: Option<String>,
    umask: Option<u32>,
    name: Option<String>,
    nice: Option<i32>,
    cpu_affinity: Vec<u32>,
    no_swap: bool,
    realtime_limit: Option<u64>,
    realtime_priority: Option<u32>,
}

impl Settings {
    /// What the command line asks for.
    pub(crate) fn new(options: &Options) -> Self {
        let pattern = options.core_dump_pattern.clone();
        Self {
            given_umask: options.umask.as_deref().and_then(parse_mask),
            core_dump: options.core_dump || pattern.is_some(),
            core_pattern: pattern.map(|given| given.unwrap_or_else(|| "core".to_owned())),
            ..Self::default()
        }
    }

    /// The same command line with this configuration.
    pub(crate) fn with(&self, global: &GlobalDefs) -> Self {
        let name = global.vrrp_process_name.as_ref();
        Self {
            given_umask: self.given_umask,
            core_dump: self.core_dump,
            core_pattern: self.core_pattern.clone(),
            umask: Some(self.given_umask.or(global.umask).unwrap_or(DEFAULT_UMASK)),
            name: name.or(global.process_name.as_ref()).cloned(),
            nice: global.nice,
            cpu_affinity: global.cpu_affinity.clone(),
            no_swap: global.no_swap,
            realtime_limit: global.realtime_limit,
            realtime_priority: global.realtime_priority,
        }
    }

    /// Gives the calling thread the scheduling class that [`Settings::apply`] gave the
    /// main one; whether that could be had has been said there.
    pub(crate) fn schedule_thread(&self) {
        if self.realtime_priority.is_some() {
            let _ = set_realtime(self.realtime_priority);
        }
    }

    /// What a process that must be as punctual as the daemon is told for
    /// [`become_helper`]: its parent's scheduling class and locks are not handed down.
    pub(crate) fn for_helpers(&self) -> Vec<String> {
        let realtime = self.realtime_priority.map(|it| format!("{REALTIME}{it}"));
        let locked = self.no_swap.then(|| LOCKED.to_owned());
        realtime.into_iter().chain(locked).collect()
    }

    /// How long instances are held back now: `vrrp_startup_delay`, or what is left of
    /// `vrrp_delay_after_boot`.
    pub(crate) fn startup_delay(global: &GlobalDefs) -> Duration {
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let up = Duration::from_secs(u64::try_from(up.tv_sec).unwrap_or_default());
        delay_after(up, global)
    }

    /// Carries out what differs from `before`. What cannot be had is logged; the
    /// routers run without it.
    pub(crate) fn apply(&self, before: &Self, log: &Log) {
        let say = |what: &str, result: Result<(), String>| {
            if let Err(error) = result {
                log.info(&format!("Unable to set {what}: {error}"));
            }
        };
        if let Some(mask) = self.umask {
            umask(Mode::from_bits_truncate(mask));
        }
        if self.name != before.name
            && let Some(name) = &self.name
            && let Ok(name) = std::ffi::CString::new(name.as_bytes())
        {
            say("process name", text(osys::process::set_thread_name(&name)));
        }
        if self.nice != before.nice {
            let nice = self.nice.unwrap_or(0);
            let result = rustix::process::setpriority_process(None, nice);
            say("process priority", text(result));
        }
        if self.cpu_affinity != before.cpu_affinity {
            say("CPU affinity", set_affinity(&self.cpu_affinity));
        }
        if self.no_swap != before.no_swap {
            let result = if self.no_swap {
                osys::process::lock_memory()
            } else {
                osys::process::unlock_memory()
            };
            say("memory lock", text(result));
        }
        if self.realtime_limit != before.realtime_limit {
            let result = getrlimit(Resource::RLIMIT_RTTIME).and_then(|(_, hard)| {
                let soft = self.realtime_limit.unwrap_or(hard).min(hard);
                setrlimit(Resource::RLIMIT_RTTIME, soft, hard)
            });
            say("real-time limit", text(result));
        }
        if self.realtime_priority != before.realtime_priority {
            say("real-time priority", set_realtime(self.realtime_priority));
        }
        if self.core_dump && !before.core_dump {
            let result = getrlimit(Resource::RLIMIT_CORE)
                .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_CORE, hard, hard));
            say("core dump limit", text(result));
        }
        if self.core_pattern != before.core_pattern
            && let Some(pattern) = &self.core_pattern
        {
            let result = std::fs::write("/proc/sys/kernel/core_pattern", pattern);
            say("core pattern", text(result));
        }
    }
}

/// Takes on what [`Settings::for_helpers`] said, as far as it can be had.
pub(crate) fn become_helper<'a>(settings: impl Iterator<Item = Option<&'a str>>) {
    for setting in settings.flatten() {
        if setting == LOCKED {
            let _refused = osys::process::lock_memory();
        } else if let Some(priority) = setting.strip_prefix(REALTIME) {
            let _refused = set_realtime(priority.parse().ok());
        }
    }
}

/// Seconds of processor time: of the process and of what it started.
struct Usage {
    user: [f64; 2],
    system: [f64; 2],
}

impl Usage {
    fn now() -> Option<Self> {
        let of = |who| getrusage(who).ok();
        let both = [of(UsageWho::RUSAGE_SELF)?, of(UsageWho::RUSAGE_CHILDREN)?];
        let seconds = |time: TimeVal| Duration::from_micros(micros(time)).to_std().as_secs_f64();
        Some(Self {
            user: both.map(|usage| seconds(usage.user_time())),
            system: both.map(|usage| seconds(usage.system_time())),
        })
    }
}

fn micros(time: TimeVal) -> u64 {
    u64::try_from(time.num_microseconds()).unwrap_or_default()
}

/// The last line of keepalived's VRRP process; with `-D` it says what it has used.
pub(crate) fn last_line(log: &Log) -> String {
    let usage = log.is_detailed().then(Usage::now).flatten();
    let Some(Usage { user, system }) = usage else {
        return "Stopped".to_owned();
    };
    let ([user, below_user], [system, below_system]) = (user, system);
    if below_user + below_system > 0.0 {
        format!(
            "Stopped - used (self/children) {user:.6}/{below_user:.6} user time, \
             {system:.6}/{below_system:.6} system time"
        )
    } else {
        format!("Stopped - used {user:.6} user time, {system:.6} system time")
    }
}

/// What its parent process says with `-D` at the end.
pub(crate) fn usage_line(log: &Log) -> Option<String> {
    let Usage { user, system } = log.is_detailed().then(Usage::now).flatten()?;
    let ([user, below_user], [system, below_system]) = (user, system);
    Some(format!(
        "CPU usage (self/children) user: {user:.6}/{below_user:.6} \
         system: {system:.6}/{below_system:.6}"
    ))
}

fn text<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

fn set_realtime(priority: Option<u32>) -> Result<(), String> {
    let Some(priority) = priority else {
        return text(osys::sched::set_ordinary());
    };
    let priority = u8::try_from(priority).map_err(|error| error.to_string())?;
    text(osys::sched::set_round_robin(priority))
}

fn set_affinity(cpus: &[u32]) -> Result<(), String> {
    let mut set = CpuSet::new();
    // None named: all of them again.
    let all = if cpus.is_empty() { CpuSet::count() } else { 0 };
    let named = cpus.iter().map(|cpu| usize::try_from(*cpu));
    for cpu in (0..all).map(Ok).chain(named) {
        let cpu = cpu.map_err(|error| error.to_string())?;
        set.set(cpu).map_err(|error| error.to_string())?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).map_err(|error| error.to_string())
}

fn delay_after(up: Duration, global: &GlobalDefs) -> Duration {
    let wanted = global.delay_after_boot.to_std();
    let left = Duration::from(wanted.saturating_sub(up.to_std()));
    global.startup_delay.max(left)
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
    fn a_configuration_keeps_what_the_command_line_asked_for() {
        let options = Options {
            umask: Some("022".to_owned()),
            ..Options::default()
        };
        let mut global = GlobalDefs {
            umask: Some(0o77),
            ..GlobalDefs::default()
        };
        let first = Settings::new(&options).with(&global);
        assert_eq!(first.umask, Some(0o22));
        global.nice = Some(-5);
        let second = first.with(&global);
        assert_eq!((second.umask, second.nice), (Some(0o22), Some(-5)));
        let plain = Settings::new(&Options::default()).with(&GlobalDefs::default());
        assert_eq!(plain.umask, Some(0o177));
    }

    #[test]
    fn instances_wait_for_the_longer_of_two_delays() {
        let up = Duration::from_secs(60);
        let mut global = GlobalDefs::default();
        assert_eq!(delay_after(up, &global), Duration::ZERO);
        global.delay_after_boot = Duration::from_secs(90);
        assert_eq!(delay_after(up, &global), Duration::from_secs(30));
        global.startup_delay = Duration::from_secs(40);
        assert_eq!(delay_after(up, &global), Duration::from_secs(40));
    }

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
