//! The resolved configuration: nothing in it has still to be read.

use std::ffi::OsString;
use std::path::PathBuf;

use cfgtext::Span;
use vrrp_core::settings::{Instance, Lease, Sense};
use vrrp_core::time::Duration;

use crate::env::Credentials;

/// Everything that one configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `global_defs`.
    pub global: GlobalDefs,
    /// The `vrrp_script` blocks that an instance tracks, in order; all of them can be run.
    pub scripts: Vec<ScriptDef>,
    /// The `vrrp_instance` blocks, in order.
    pub instances: Vec<InstanceDef>,
}

/// One `vrrp_instance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceDef {
    /// What the virtual router is told. `settings.scripts` names entries of [`Config::scripts`].
    pub settings: Instance,
    /// Whether its interface was there when the file was read; it can only be missing under
    /// `dynamic_interfaces`.
    pub interface_present: bool,
    /// The name in its block's first line.
    pub span: Option<Span>,
}

/// One `vrrp_script` that some instance tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptDef {
    /// Its name.
    pub name: String,
    /// The program, its path resolved, and its arguments; never empty. No shell reads it.
    pub argv: Vec<OsString>,
    /// `interval`: from one start to the next, at least 1 s.
    pub interval: Duration,
    /// `timeout`: when a run counts as failed; the interval unless given.
    pub timeout: Duration,
    /// `rise`, at least 1: successes in a row before it counts as succeeding.
    pub rise: u32,
    /// `fall`, at least 1: failures in a row before it counts as failing.
    pub fall: u32,
    /// `weight`, -254..=254; an instance may override it.
    pub weight: i16,
    /// `weight N reverse`.
    pub sense: Sense,
    /// Whom to run it as: `user`, `script_user`, `keepalived_script`, or the daemon itself.
    pub user: Credentials,
    /// `init_fail`: it counts as failing before its first result.
    pub init_fail: bool,
}

/// `global_defs`, and the root keywords that act on the whole daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalDefs {
    /// `router_id`, by default the host name.
    pub router_id: String,
    /// `vrrp_address_lease`, our own keyword.
    pub lease: Lease,
    /// `enable_script_security`.
    pub script_security: bool,
    /// `dynamic_interfaces`: an interface may be missing at start.
    pub dynamic_interfaces: bool,
    /// `default_interface`, `eth0` unless given.
    pub default_interface: String,
    /// `vrrp_startup_delay`: how long instances wait after the start.
    pub startup_delay: Duration,
    /// `vrrp_priority`: nice value of the process, -20..=19.
    pub nice: Option<i32>,
    /// `vrrp_rt_priority`: real-time priority under `SCHED_RR`, 1..=99.
    pub realtime_priority: Option<u32>,
    /// `vrrp_rlimit_rttime`, in microseconds.
    pub realtime_limit: Option<u64>,
    /// `vrrp_no_swap`: keep the process in memory.
    pub no_swap: bool,
    /// `vrrp_cpu_affinity`: the CPUs it may run on; empty for all.
    pub cpu_affinity: Vec<u32>,
    /// `umask`, if given.
    pub umask: Option<u32>,
    /// `process_name` / `process_names`: name of the process.
    pub process_name: Option<String>,
    /// `vrrp_process_name` / `process_names`: name of the part that speaks VRRP.
    pub vrrp_process_name: Option<String>,
    /// `log_unknown_vrids`: log adverts of virtual routers that are not ours.
    pub log_unknown_vrids: bool,
    /// `instance`: part of the pid files' names.
    pub instance: Option<String>,
    /// `use_pid_dir`: pid files go to `/run/keepalived`.
    pub use_pid_dir: bool,
    /// `reload_check_config LOG_FILE`: where the complaints of a refused reload go.
    pub reload_check_log: Option<PathBuf>,
}

impl Default for GlobalDefs {
    fn default() -> Self {
        Self {
            router_id: String::new(),
            lease: Lease::Auto,
            script_security: false,
            dynamic_interfaces: false,
            default_interface: "eth0".to_owned(),
            startup_delay: Duration::ZERO,
            nice: None,
            realtime_priority: None,
            realtime_limit: None,
            no_swap: false,
            cpu_affinity: Vec::new(),
            umask: None,
            process_name: None,
            vrrp_process_name: None,
            log_unknown_vrids: false,
            instance: None,
            use_pid_dir: false,
            reload_check_log: None,
        }
    }
}
