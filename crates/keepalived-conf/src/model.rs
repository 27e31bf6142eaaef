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
    /// The `track_file` blocks that an instance tracks, in order.
    pub track_files: Vec<TrackFileDef>,
    /// The `vrrp_track_process` blocks that an instance tracks, in order.
    pub track_processes: Vec<TrackProcessDef>,
    /// The `vrrp_sync_group` blocks that have members, in order.
    pub sync_groups: Vec<SyncGroupDef>,
    /// The `vrrp_instance` blocks, in order.
    pub instances: Vec<InstanceDef>,
}

/// A program, its words, and whom to run it as. No shell reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments; never empty.
    pub argv: Vec<OsString>,
    /// Whom to run it as.
    pub user: Credentials,
}

/// Whom a block tells of its changes: the `notify` keywords.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyDef {
    /// `notify_master`
    pub master: Option<Command>,
    /// `notify_backup`
    pub backup: Option<Command>,
    /// `notify_fault`
    pub fault: Option<Command>,
    /// `notify_stop`
    pub stop: Option<Command>,
    /// `notify_master_rx_lower_pri`
    pub lower_priority: Option<Command>,
    /// `notify_deleted`, which may stand without a command; without the keyword a deletion
    /// is told as a fault.
    pub deleted: Option<Option<Command>>,
    /// `notify`
    pub any: Option<Command>,
    /// `notify_priority_changes`, or what `global_defs` says.
    pub priority_changes: bool,
}

/// `notify_fifo` or `vrrp_notify_fifo`, with its script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FifoDef {
    /// Where it is.
    pub path: PathBuf,
    /// Who may read it, if somebody is named.
    pub owner: Option<Credentials>,
    /// What reads it: started with the path as its last argument.
    pub script: Option<Command>,
}

/// One `track_file` (or `vrrp_track_file`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackFileDef {
    /// Its name.
    pub name: String,
    /// The file that holds a number.
    pub path: PathBuf,
    /// `init_file`: the number written at the start, and whether over a file that is there.
    pub initial: Option<(i32, bool)>,
}

/// One `vrrp_track_process`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackProcessDef {
    /// Its name.
    pub name: String,
    /// Name or path of the program, and the arguments it must have; never empty.
    pub command: Vec<OsString>,
    /// `param_match`
    pub param_match: Option<ParamMatch>,
    /// `quorum`, at least 1: so many have to run.
    pub quorum: u32,
    /// `quorum_max`: no more than so many may run.
    pub quorum_max: Option<u32>,
    /// `fork_delay` (or `delay`): how long it has to be more before it counts.
    pub fork_delay: Duration,
    /// `terminate_delay` (or `delay`): how long it has to be fewer before it counts.
    pub terminate_delay: Duration,
    /// `full_command`: the command line is compared, not the name of the process.
    pub full_command: bool,
}

/// `param_match` of a [`TrackProcessDef`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParamMatch {
    /// `initial`: more arguments may follow.
    Initial,
    /// `partial`: the last argument may be longer as well.
    Partial,
}

/// One `vrrp_sync_group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroupDef {
    /// Its name.
    pub name: String,
    /// Names of its instances, in order; none is in two groups.
    pub members: Vec<String>,
    /// Whom it tells.
    pub notify: NotifyDef,
}

/// One `vrrp_instance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceDef {
    /// What the virtual router is told. `settings.scripts` names entries of [`Config::scripts`].
    pub settings: Instance,
    /// Whether its interface was there when the file was read; it can only be missing under
    /// `dynamic_interfaces`.
    pub interface_present: bool,
    /// Whom it tells of its changes.
    pub notify: NotifyDef,
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
    /// `notify_fifo`
    pub fifo: Option<FifoDef>,
    /// `vrrp_notify_fifo`
    pub vrrp_fifo: Option<FifoDef>,
    /// `vrrp_notify_priority_changes`
    pub notify_priority_changes: bool,
    /// `fifo_write_vrrp_states_on_reload`
    pub states_on_reload: bool,
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
            fifo: None,
            vrrp_fifo: None,
            notify_priority_changes: false,
            states_on_reload: false,
            instance: None,
            use_pid_dir: false,
            reload_check_log: None,
        }
    }
}
