//! What holds for the whole daemon.

use std::path::PathBuf;

use vrrp_core::settings::Lease;
use vrrp_core::time::Duration;

use super::{Command, FifoDef};

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
    /// `vrrp_delay_after_boot`: how long after the boot of the host instances may start at the
    /// earliest.
    pub delay_after_boot: Duration,
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
    /// `vrrp_gna_interval`: least time between two neighbour advertisements of one interface.
    pub gna_interval: Duration,
    /// The `garp_group` blocks, in order; an interface is in at most one of them.
    pub garp_groups: Vec<GarpGroupDef>,
    /// `max_auto_priority`: real-time priority that the daemon may raise itself to when timers
    /// run late, 1..=99; `None` for never.
    pub max_auto_priority: Option<u32>,
    /// `min_auto_priority_delay`: how late a timer has to run for that.
    pub min_auto_priority_delay: Duration,
    /// `startup_script`, with the most time it may take.
    pub startup_script: Option<(Command, Duration)>,
    /// `shutdown_script`, with the most time it may take.
    pub shutdown_script: Option<(Command, Duration)>,
    /// `smtp_alert` or `smtp_alert_vrrp`; no mail is sent, but dumps show it.
    pub smtp_alert: bool,
    /// `json_version`, 1 or 2; 1 unless given.
    pub json_version: u8,
    /// `state_dump_file`: where the data dump goes.
    pub state_dump_file: Option<PathBuf>,
    /// `stats_dump_file`
    pub stats_dump_file: Option<PathBuf>,
    /// `json_dump_file`
    pub json_dump_file: Option<PathBuf>,
    /// `data_use_instance`: the names of data files bear instance and network namespace.
    pub data_use_instance: bool,
    /// `child_wait_time`: how long notify scripts may still run when the daemon ends.
    pub child_wait_time: Duration,
    /// `nftables TABLE`: name of the table for `no_accept`; `keepalived` unless given.
    pub nftables_table: Option<String>,
    /// `nftables_priority`: priority of its chains, -1 unless given.
    pub nftables_priority: i32,
    /// `nftables_counters`
    pub nftables_counters: bool,
    /// `nftables_ifindex`: interfaces are matched by index, not by name.
    pub nftables_ifindex: bool,
    /// `disable_local_igmp`: the kernel reports no groups of VMAC interfaces.
    pub disable_local_igmp: bool,
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
            delay_after_boot: Duration::ZERO,
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
            gna_interval: Duration::ZERO,
            garp_groups: Vec::new(),
            max_auto_priority: None,
            min_auto_priority_delay: Duration::from_secs(1),
            startup_script: None,
            shutdown_script: None,
            smtp_alert: false,
            json_version: 1,
            state_dump_file: None,
            stats_dump_file: None,
            json_dump_file: None,
            data_use_instance: false,
            child_wait_time: Duration::from_secs(5),
            nftables_table: None,
            nftables_priority: -1,
            nftables_counters: false,
            nftables_ifindex: false,
            disable_local_igmp: false,
            reload_check_log: None,
        }
    }
}

/// One `garp_group`: interfaces that share the pace of their announcements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GarpGroupDef {
    /// Its interfaces; never empty.
    pub interfaces: Vec<String>,
    /// `garp_interval`, in the place of `vrrp_garp_interval`.
    pub interval: Option<Duration>,
    /// `gna_interval`, in the place of `vrrp_gna_interval`.
    pub gna_interval: Option<Duration>,
}
