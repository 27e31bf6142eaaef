//! `global_defs`. keepalived.conf(5), "Global definitions".

use std::net::IpAddr;
use std::path::PathBuf;

use vrrp_core::settings::Lease;
use vrrp_core::time::Duration;

use crate::draft::ScriptUser;
use crate::number::{boolean, seconds, signed, unsigned};
use crate::pass::Pass;
use crate::reader::IncludeCheck;
use crate::security;
use crate::text::Line;

use super::{Action, Handled, Row, checkers, nothing};

mod process;

const MAIL: &str = "no mail is sent; use the log";
const FIFO: &str = "no notify FIFO is written";
const SNMP: &str = "there is no SNMP agent";
const DBUS: &str = "there is no D-Bus service";
const FIREWALL: &str = "no firewall rules are set; `no_accept` and VMACs are not there";
const BUFFERS: &str = "socket buffers are sized by the daemon itself";
const ONE_PROCESS: &str = "the process that it is about does not exist";
const RELOAD: &str = "a reload comes from SIGHUP alone";

/// The keywords.
pub(super) const ROWS: &[Row] = &[
    Row::full(
        "router_id",
        "TEXT",
        router_id,
        "the machine in dumps; the host's name unless given",
    ),
    Row::full(
        "vrrp_address_lease",
        "SECONDS|off|on",
        address_lease,
        "our own: virtual addresses are set with this kernel lifetime and refreshed while the daemon lives, so that one that was killed or hangs loses them by itself; on (the default) takes it from the advertisement interval, 3 s at advert_int 1; off sets them for good",
    ),
    Row::full(
        "script_user",
        "USER [GROUP]",
        script_user,
        "whom scripts run as; keepalived_script unless given, else the daemon's user",
    ),
    Row::full(
        "enable_script_security",
        "",
        script_security,
        "scripts that run as root are not run if anybody else can change them",
    ),
    Row::full(
        "dynamic_interfaces",
        "[allow_if_changes]",
        dynamic_interfaces,
        "interfaces may be missing at start",
    ),
    Row::full(
        "default_interface",
        "NAME",
        default_interface,
        "interface of addresses without one, eth0 unless given",
    ),
    Row::full(
        "vrrp_version",
        "2|3",
        version,
        "protocol version of instances, 2 unless given",
    ),
    Row::full(
        "vrrp_strict",
        "[BOOL]",
        strict,
        "hold the configuration against the RFC",
    ),
    Row::full(
        "vrrp_check_unicast_src",
        "[BOOL]",
        check_unicast_src,
        "take unicast adverts from peers alone",
    ),
    Row::full(
        "vrrp_skip_check_adv_addr",
        "[BOOL]",
        skip_check,
        "do not check the addresses of the same master twice",
    ),
    Row::full(
        "vrrp_lower_prio_no_advert",
        "[BOOL]",
        lower_no_advert,
        "do not answer adverts of lower priority",
    ),
    Row::full(
        "vrrp_higher_prio_send_advert",
        "[BOOL]",
        higher_send_advert,
        "answer an advert of higher priority before yielding",
    ),
    Row::full(
        "vrrp_down_timer_adverts",
        "1..100",
        down_timer_adverts,
        "missed adverts before a master counts as down, 3 unless given",
    ),
    Row::full(
        "vrrp_mcast_group4",
        "ADDRESS",
        group4,
        "multicast group for IPv4, 224.0.0.18 unless given",
    ),
    Row::full(
        "vrrp_mcast_group6",
        "ADDRESS",
        group6,
        "multicast group for IPv6, ff02::12 unless given",
    ),
    Row::full(
        "vrrp_garp_master_delay",
        "SECONDS",
        garp_delay,
        "second burst of gratuitous ARP, 5 s unless given, 0 for none",
    ),
    Row::full(
        "vrrp_garp_master_repeat",
        "COUNT",
        garp_repeat,
        "gratuitous ARPs of one burst, 5 unless given",
    ),
    Row::full(
        "vrrp_garp_master_refresh",
        "SECONDS",
        garp_refresh,
        "period of gratuitous ARP while master, 0 for none",
    ),
    Row::full(
        "vrrp_garp_master_refresh_repeat",
        "COUNT",
        garp_refresh_repeat,
        "gratuitous ARPs of one refresh, 1 unless given",
    ),
    Row::full(
        "vrrp_garp_lower_prio_delay",
        "SECONDS",
        garp_lower_delay,
        "second burst after an advert of lower priority",
    ),
    Row::full(
        "vrrp_garp_lower_prio_repeat",
        "COUNT",
        garp_lower_repeat,
        "gratuitous ARPs after an advert of lower priority",
    ),
    Row::full(
        "vrrp_garp_interval",
        "SECONDS",
        garp_interval,
        "least time between two gratuitous ARPs",
    ),
    Row::full(
        "vrrp_gna_interval",
        "SECONDS",
        gna_interval,
        "least time between two neighbour advertisements",
    ),
    Row::full(
        "vrrp_min_garp",
        "[BOOL]",
        min_garp,
        "one gratuitous ARP and no second burst",
    ),
    Row::refused(
        "vrrp_garp_extra_if",
        "[all] SECONDS",
        garp_extra_if,
        "addresses on other interfaces are announced with the rest",
    ),
    Row::refused(
        "vrrp_vmac_garp_intvl",
        "[all] SECONDS",
        vmac_garp_interval,
        "there are no VMAC interfaces",
    ),
    Row::full(
        "vrrp_startup_delay",
        "SECONDS",
        startup_delay,
        "instances start this long after the daemon",
    ),
    Row::full(
        "log_unknown_vrids",
        "",
        log_unknown_vrids,
        "log adverts of virtual routers that are not ours",
    ),
    Row::full(
        "vrrp_priority",
        "-20..19",
        process::nice,
        "nice value of the daemon",
    ),
    Row::full(
        "vrrp_rt_priority",
        "1..99",
        process::realtime,
        "real-time priority of the daemon (SCHED_RR)",
    ),
    Row::full(
        "vrrp_rlimit_rttime",
        "MICROSECONDS",
        process::realtime_limit,
        "CPU time without a pause before the kernel stops a real-time process",
    ),
    Row::full(
        "vrrp_rlimit_rtime",
        "MICROSECONDS",
        process::realtime_limit,
        "old name of vrrp_rlimit_rttime",
    ),
    Row::full(
        "vrrp_no_swap",
        "",
        process::no_swap,
        "keep the daemon in memory",
    ),
    Row::full(
        "vrrp_cpu_affinity",
        "CPU...",
        process::affinity,
        "CPUs that the daemon may run on",
    ),
    Row::full(
        "process_names",
        "",
        process::all_names,
        "processes are named keepalived and keepalived_vrrp",
    ),
    Row::full("process_name", "NAME", process::name, "name of the process"),
    Row::full(
        "vrrp_process_name",
        "NAME",
        process::vrrp_name,
        "name of the part that speaks VRRP",
    ),
    Row::full(
        "umask",
        "NUMBER|BITS",
        process::umask,
        "mode bits that new files do not get",
    ),
    Row::full(
        "include_check",
        "[[+|-]readable|match|wildcard_match|brace_match ...]",
        include_check,
        "which missing files are errors",
    ),
    Row::full(
        "random_seed",
        "NUMBER",
        random_seed,
        "makes ${_RANDOM} repeatable in keepalived; the value is checked",
    ),
    Row::accepted(
        "reload_check_config",
        "[FILE]",
        reload_check_config,
        "a reload is always checked first, and a fault in it leaves the running configuration alone",
    ),
    Row::accepted(
        "max_auto_priority",
        "[-1..99]",
        process::max_auto_priority,
        "timers are never late enough here to need it; see vrrp_rt_priority",
    ),
    Row::accepted(
        "min_auto_priority_delay",
        "MICROSECONDS",
        process::min_auto_delay,
        "goes with max_auto_priority",
    ),
    Row::accepted(
        "tmp_config_directory",
        "DIRECTORY",
        one_word,
        "nothing is written while the configuration is read",
    ),
    Row::accepted("vrrp_netlink_cmd_rcv_bufs", "BYTES", rcv_bufs, BUFFERS),
    Row::accepted(
        "vrrp_netlink_cmd_rcv_bufs_force",
        "BOOL",
        rcv_force,
        BUFFERS,
    ),
    Row::accepted("vrrp_netlink_monitor_rcv_bufs", "BYTES", rcv_bufs, BUFFERS),
    Row::accepted(
        "vrrp_netlink_monitor_rcv_bufs_force",
        "BOOL",
        rcv_force,
        BUFFERS,
    ),
    Row::accepted("process_monitor_rcv_bufs", "BYTES", rcv_bufs, BUFFERS),
    Row::accepted("process_monitor_rcv_bufs_force", "BOOL", rcv_force, BUFFERS),
    Row::accepted(
        "vrrp_rx_bufs_policy",
        "MTU|ADVERT|NUMBER",
        rx_bufs_policy,
        BUFFERS,
    ),
    Row::accepted(
        "vrrp_rx_bufs_multiplier",
        "NUMBER",
        rx_bufs_multiplier,
        BUFFERS,
    ),
    Row::refused("notification_email", "{ ADDRESS... }", nothing, MAIL).with_action(Action::List {
        entry: nothing,
        close: close_mail,
    }),
    Row::refused("notification_email_from", "ADDRESS", mail_from, MAIL),
    Row::refused("smtp_server", "ADDRESS [PORT]", smtp_server, MAIL),
    Row::refused("smtp_helo_name", "NAME", nothing, MAIL),
    Row::refused("smtp_connect_timeout", "SECONDS", smtp_timeout, MAIL),
    Row::refused("smtp_alert", "[BOOL]", smtp_alert, MAIL),
    Row::refused("smtp_alert_vrrp", "[BOOL]", smtp_alert, MAIL),
    Row::refused("smtp_alert_checker", "[BOOL]", smtp_alert, MAIL),
    Row::accepted("no_email_faults", "", nothing, MAIL),
    Row::refused(
        "startup_script",
        "COMMAND [USER [GROUP]]",
        nothing,
        "no script is run at start",
    ),
    Row::refused(
        "startup_script_timeout",
        "SECONDS",
        script_timeout,
        "no script is run at start",
    ),
    Row::refused(
        "shutdown_script",
        "COMMAND [USER [GROUP]]",
        nothing,
        "no script is run at the end",
    ),
    Row::refused(
        "shutdown_script_timeout",
        "SECONDS",
        script_timeout,
        "no script is run at the end",
    ),
    Row::refused("notify_fifo", "NAME [USER [GROUP]]", fifo, FIFO),
    Row::refused(
        "notify_fifo_script",
        "COMMAND [USER [GROUP]]",
        fifo_script,
        FIFO,
    ),
    Row::refused("vrrp_notify_fifo", "NAME [USER [GROUP]]", fifo, FIFO),
    Row::refused(
        "vrrp_notify_fifo_script",
        "COMMAND [USER [GROUP]]",
        fifo_script,
        FIFO,
    ),
    Row::refused("vrrp_notify_priority_changes", "[BOOL]", global_bool, FIFO),
    Row::refused("fifo_write_vrrp_states_on_reload", "", nothing, FIFO),
    Row::refused("vrrp_iptables", "[CHAIN [CHAIN]]", iptables, FIREWALL),
    Row::refused("nftables", "[TABLE]", nothing, FIREWALL),
    Row::refused("nftables_priority", "PRIORITY", nftables_priority, FIREWALL),
    Row::refused("nftables_counters", "", nothing, FIREWALL),
    Row::refused("nftables_ifindex", "", nothing, FIREWALL),
    Row::refused(
        "disable_local_igmp",
        "",
        nothing,
        "the kernel's IGMP setting is left alone",
    ),
    Row::refused(
        "vmac_prefix",
        "TEXT",
        one_word,
        "there are no VMAC interfaces",
    ),
    Row::refused(
        "vmac_addr_prefix",
        "TEXT",
        one_word,
        "there are no VMAC interfaces",
    ),
    Row::refused("snmp_socket", "SOCKET", snmp_socket, SNMP),
    Row::refused("enable_snmp_vrrp", "", nothing, SNMP),
    Row::refused("enable_snmp_keepalived", "", nothing, SNMP),
    Row::refused("enable_snmp_checker", "", nothing, SNMP),
    Row::refused("enable_snmp_rfc", "", nothing, SNMP),
    Row::refused("enable_snmp_rfcv2", "", nothing, SNMP),
    Row::refused("enable_snmp_rfcv3", "", nothing, SNMP),
    Row::refused("enable_traps", "", nothing, SNMP),
    Row::refused("enable_dbus", "", nothing, DBUS),
    Row::refused("dbus_service_name", "NAME", dbus_name, DBUS),
    Row::refused("reload_time_file", "FILE", reload_time_file, RELOAD),
    Row::refused("reload_repeat", "", nothing, RELOAD),
    Row::refused(
        "reload_file",
        "[FILE]",
        nothing,
        "no hand-shake file is written",
    ),
    Row::refused(
        "config_save_dir",
        "DIRECTORY",
        one_word,
        "no copy of the configuration is saved",
    ),
    Row::refused(
        "data_use_instance",
        "[BOOL]",
        data_use_instance,
        "no data files are written",
    ),
    Row::accepted("checker_process_name", "NAME", one_word, ONE_PROCESS),
    Row::accepted("lvs_process_name", "NAME", one_word, ONE_PROCESS),
    Row::accepted("bfd_process_name", "NAME", one_word, ONE_PROCESS),
    Row::accepted("checker_priority", "-20..19", process::nice, ONE_PROCESS),
    Row::accepted("checker_no_swap", "", nothing, ONE_PROCESS),
    Row::accepted(
        "checker_rt_priority",
        "1..99",
        process::realtime,
        ONE_PROCESS,
    ),
    Row::accepted(
        "checker_cpu_affinity",
        "CPU...",
        process::affinity,
        ONE_PROCESS,
    ),
    Row::accepted(
        "checker_rlimit_rttime",
        "MICROSECONDS",
        process::realtime_limit,
        ONE_PROCESS,
    ),
    Row::accepted(
        "checker_rlimit_rtime",
        "MICROSECONDS",
        process::realtime_limit,
        ONE_PROCESS,
    ),
    Row::accepted("bfd_priority", "-20..19", process::nice, ONE_PROCESS),
    Row::accepted("bfd_no_swap", "", nothing, ONE_PROCESS),
    Row::accepted("bfd_rt_priority", "1..99", process::realtime, ONE_PROCESS),
    Row::accepted("bfd_cpu_affinity", "CPU...", process::affinity, ONE_PROCESS),
    Row::accepted(
        "bfd_rlimit_rttime",
        "MICROSECONDS",
        process::realtime_limit,
        ONE_PROCESS,
    ),
    Row::accepted(
        "bfd_rlimit_rtime",
        "MICROSECONDS",
        process::realtime_limit,
        ONE_PROCESS,
    ),
    Row::refused(
        "checker_log_all_failures",
        "[BOOL]",
        log_all_failures,
        checkers::REASON,
    ),
    Row::refused(
        "lvs_timeouts",
        "[tcp N] [tcpfin N] [udp N]",
        lvs_timeouts,
        checkers::REASON,
    ),
    Row::refused("lvs_flush", "", nothing, checkers::REASON),
    Row::refused("lvs_flush_on_stop", "[VS]", flush_on_stop, checkers::REASON),
    Row::refused("lvs_flush_onstop", "[VS]", flush_on_stop, checkers::REASON),
    Row::refused(
        "lvs_sync_daemon",
        "INTERFACE ...",
        sync_daemon,
        checkers::REASON,
    ),
    Row::refused(
        "lvs_notify_fifo",
        "NAME [USER [GROUP]]",
        fifo,
        checkers::REASON,
    ),
    Row::refused(
        "lvs_notify_fifo_script",
        "COMMAND [USER [GROUP]]",
        fifo_script,
        checkers::REASON,
    ),
    Row::refused(
        "lvs_netlink_cmd_rcv_bufs",
        "BYTES",
        rcv_bufs,
        checkers::REASON,
    ),
    Row::refused(
        "lvs_netlink_cmd_rcv_bufs_force",
        "BOOL",
        global_bool,
        checkers::REASON,
    ),
    Row::refused(
        "lvs_netlink_monitor_rcv_bufs",
        "BYTES",
        rcv_bufs,
        checkers::REASON,
    ),
    Row::refused(
        "lvs_netlink_monitor_rcv_bufs_force",
        "BOOL",
        global_bool,
        checkers::REASON,
    ),
    Row::refused("nftables_ipvs", "[TABLE]", nothing, checkers::REASON),
    Row::refused(
        "nftables_ipvs_priority",
        "PRIORITY",
        ipvs_priority,
        checkers::REASON,
    ),
    Row::refused(
        "nftables_ipvs_start_fwmark",
        "NUMBER",
        ipvs_fwmark,
        checkers::REASON,
    ),
    Row::refused("rs_init_notifies", "[BOOL]", global_bool, checkers::REASON),
    Row::refused("no_checker_emails", "[BOOL]", global_bool, checkers::REASON),
];

/// A keyword whose parameter must be there and is not looked at.
fn one_word(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.word(line, 1).map(|_| ())
}

fn router_id(pass: &mut Pass<'_>, line: &Line) -> Handled {
    match line.words.get(1) {
        None => pass.complain("routerid name missing - ignoring"),
        Some(word) => pass.draft.global.router_id = word.text().into_owned(),
    }
    Ok(())
}

fn address_lease(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const MAX_LEASE: u32 = 86_400;
    let text = pass.text(line, 1)?;
    if let Some(on) = boolean(text.as_bytes()) {
        pass.draft.global.lease = if on { Lease::Auto } else { Lease::Off };
    } else if let Some(seconds) = pass.number(unsigned(&text, 1, MAX_LEASE)) {
        pass.draft.global.lease = Lease::Seconds(seconds);
    } else {
        pass.complain(format!(
            "vrrp_address_lease '{text}' must be on, off or 1 to {MAX_LEASE} seconds - ignoring"
        ));
    }
    Ok(())
}

fn script_user(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if line.words.len() < 2 {
        pass.complain("No script username specified");
        return Ok(());
    }
    pass.draft.script_user = match security::credentials(pass, line, 1) {
        Some(user) => ScriptUser::Known(user),
        None => {
            pass.complain("Error setting global script uid/gid");
            ScriptUser::Unknown
        }
    };
    Ok(())
}

fn script_security(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.global.script_security = true;
    Ok(())
}

fn dynamic_interfaces(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.draft.global.dynamic_interfaces = true;
    if let Some(word) = line.words.get(1)
        && !word.is(b"allow_if_changes")
    {
        pass.complain(format!(
            "Unknown dynamic_interfaces option '{}'",
            word.text()
        ));
    }
    Ok(())
}

fn default_interface(pass: &mut Pass<'_>, line: &Line) -> Handled {
    match line.words.get(1) {
        None => pass.complain("default_interface requires interface name"),
        Some(word) => pass.draft.global.default_interface = word.text().into_owned(),
    }
    Ok(())
}

fn version(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(signed(&text, 2, 3)) {
        Some(version) => pass.draft.vrrp.version = u32::try_from(version).unwrap_or(2),
        None => pass.complain("VRRP Error: Version must be either 2 or 3"),
    }
    Ok(())
}

/// A switch that may stand alone; the complaint of a word that is no boolean.
fn switch(pass: &mut Pass<'_>, line: &Line, complaint: &str) -> Option<bool> {
    let Some(word) = line.words.get(1) else {
        return Some(true);
    };
    let value = boolean(&word.bytes);
    if value.is_none() {
        pass.complain(complaint);
    }
    value
}

fn strict(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.vrrp.strict = true;
    Ok(())
}

fn check_unicast_src(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.vrrp.check_unicast_source = true;
    Ok(())
}

fn skip_check(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.vrrp.skip_check_addresses = true;
    Ok(())
}

fn lower_no_advert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(
        pass,
        line,
        "Invalid value for vrrp_lower_prio_no_advert specified",
    ) {
        pass.draft.vrrp.lower_no_advert = value;
    }
    Ok(())
}

fn higher_send_advert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(
        pass,
        line,
        "Invalid value for vrrp_higher_prio_send_advert specified",
    ) {
        pass.draft.vrrp.higher_send_advert = Some(value);
    }
    Ok(())
}

fn down_timer_adverts(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 1, 100)) {
        Some(count) => pass.draft.vrrp.down_timer_adverts = u8::try_from(count).unwrap_or(3),
        None => pass.complain(format!("Invalid vrrp_down_timer_adverts [1:100] '{text}'")),
    }
    Ok(())
}

fn group4(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match text.parse::<IpAddr>() {
        Err(_) => pass.complain(format!("Can't parse vrrp_mcast_group4 [{text}]. Skipping")),
        Ok(IpAddr::V6(_)) => {
            pass.complain(format!("vrrp_mcast_group4 [{text}] is not IPv4. Skipping"))
        }
        Ok(group) if !group.is_multicast() => {
            pass.complain(format!(
                "vrrp_mcast_group4 [{text}] is not multicast. Skipping"
            ));
        }
        Ok(group) => pass.draft.vrrp.group4 = Some(group),
    }
    Ok(())
}

fn group6(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match text.parse::<IpAddr>() {
        Err(_) => pass.complain(format!("Can't parse vrrp_mcast_group6 [{text}]. Skipping")),
        Ok(IpAddr::V4(_)) => {
            pass.complain(format!("vrrp_mcast_group6 [{text}] is not IPv6. Skipping"))
        }
        Ok(group) if !group.is_multicast() => {
            pass.complain(format!(
                "vrrp_mcast_group6 [{text}] is not multicast. Skipping"
            ));
        }
        Ok(group) => pass.draft.vrrp.group6 = Some(group),
    }
    Ok(())
}

fn garp_delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => pass.draft.vrrp.garp.delay = Some(value),
        None => pass.complain(format!(
            "vrrp_garp_master_delay '{text}' invalid - ignoring"
        )),
    }
    Ok(())
}

fn garp_repeat(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => {
            if value == 0 {
                pass.complain("vrrp_garp_master_repeat must be greater than 0, setting to 1");
            }
            pass.draft.vrrp.garp.repeat = Some(value.max(1));
        }
        None => pass.complain(format!(
            "vrrp_garp_master_repeat '{text}' invalid - ignoring"
        )),
    }
    Ok(())
}

fn garp_refresh(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => pass.draft.vrrp.garp.refresh = Some(value),
        None => {
            pass.complain(format!(
                "Invalid vrrp_garp_master_refresh '{text}' - ignoring"
            ));
            pass.draft.vrrp.garp.refresh = Some(0);
        }
    }
    Ok(())
}

fn garp_refresh_repeat(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => {
            if value == 0 {
                pass.complain(
                    "vrrp_garp_master_refresh_repeat must be greater than 0, setting to 1",
                );
            }
            pass.draft.vrrp.garp.refresh_repeat = Some(value.max(1));
        }
        None => pass.complain(format!(
            "vrrp_garp_master_refresh_repeat '{text}' invalid - ignoring"
        )),
    }
    Ok(())
}

fn garp_lower_delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => pass.draft.vrrp.garp.lower_delay = Some(value),
        None => pass.complain(format!(
            "vrrp_garp_lower_prio_delay '{text}' invalid - ignoring"
        )),
    }
    Ok(())
}

fn garp_lower_repeat(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, u32::MAX)) {
        Some(value) => pass.draft.vrrp.garp.lower_repeat = Some(value),
        None => pass.complain(format!("Invalid vrrp_garp_lower_prio_repeat '{text}'")),
    }
    Ok(())
}

/// The most that 32 bits of microseconds hold.
const MAX_MICROS: u64 = 4_294_967_295;

fn interval(
    pass: &mut Pass<'_>,
    line: &Line,
    keyword: &str,
) -> Result<Option<u64>, crate::pass::Fatal> {
    let text = pass.text(line, 1)?;
    let read = pass.loose_decimals(seconds(&text, 1, MAX_MICROS));
    match read {
        None => pass.complain(format!("{keyword} '{text}' is invalid")),
        Some(micros) if micros >= 1_000_000 => {
            pass.log(format!("The {keyword} is very large - {text} seconds"));
        }
        Some(_) => {}
    }
    Ok(read)
}

fn garp_interval(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(micros) = interval(pass, line, "vrrp_garp_interval")? {
        pass.draft.vrrp.garp_interval = micros;
    }
    Ok(())
}

fn gna_interval(pass: &mut Pass<'_>, line: &Line) -> Handled {
    interval(pass, line, "vrrp_gna_interval").map(|_| ())
}

fn min_garp(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(true) = switch(pass, line, "Invalid value for vrrp_min_garp specified") {
        pass.draft.vrrp.garp.repeat = Some(1);
        pass.draft.vrrp.garp.delay = Some(0);
    }
    Ok(())
}

fn garp_extra_if(pass: &mut Pass<'_>, line: &Line) -> Handled {
    super::instance::extra_interfaces(pass, line, "", 1)
}

fn startup_delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.loose_decimals(seconds(&text, 1_000, MAX_MICROS)) {
        None => pass.complain(format!("vrrp_startup_delay '{text}' is invalid")),
        Some(micros) => {
            pass.draft.global.startup_delay = Duration::from_micros(micros);
            if micros >= 60_000_000 {
                pass.log(format!(
                    "The vrrp_startup_delay is very large - {text} seconds"
                ));
            }
        }
    }
    Ok(())
}

fn log_unknown_vrids(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.global.log_unknown_vrids = true;
    Ok(())
}

fn reload_check_config(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.draft.global.reload_check_log = line
        .words
        .get(1)
        .map(|word| PathBuf::from(word.text().as_ref()));
    Ok(())
}

fn random_seed(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if pass.number(unsigned(&text, 0, u32::MAX)).is_none() {
        pass.complain(format!("random_seed {text} invalid"));
    }
    Ok(())
}

fn include_check(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let words: Vec<String> = line
        .rest(1)
        .iter()
        .map(|word| word.text().into_owned())
        .collect();
    let Some(reader) = pass.reader() else {
        return Ok(());
    };
    if words.is_empty() {
        reader.check = IncludeCheck::ALL;
        return Ok(());
    }
    let relative = words
        .first()
        .is_some_and(|word| word.starts_with(['+', '-']));
    let mut check = if relative {
        reader.check
    } else {
        IncludeCheck::default()
    };
    let mut on = true;
    let mut unknown = Vec::new();
    for word in &words {
        let name = match word.strip_prefix('-') {
            Some(name) => {
                on = false;
                name
            }
            None => match word.strip_prefix('+') {
                Some(name) => {
                    on = true;
                    name
                }
                None => word,
            },
        };
        match name {
            "readable" => check.readable = on,
            "match" => check.matching = on,
            "wildcard_match" => check.wildcard = on,
            "brace_match" => check.brace = on,
            _ => unknown.push(name.to_owned()),
        }
    }
    check.readable |= check.matching || check.wildcard || check.brace;
    reader.check = check;
    for name in unknown {
        pass.complain(format!("Unknown include_check type '{name}' - ignoring"));
    }
    Ok(())
}

fn rcv_bufs(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let keyword = line
        .words
        .first()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    let what = keyword.trim_end_matches("_rcv_bufs");
    match line.words.get(1) {
        None => pass.complain(format!("{what}_rcv_bufs size missing")),
        Some(word) => {
            let text = word.text();
            if pass.number(unsigned(&text, 0, u32::MAX)).is_none() {
                pass.complain(format!("{what}_rcv_bufs size ({text}) invalid"));
            }
        }
    }
    Ok(())
}

fn rcv_force(pass: &mut Pass<'_>, line: &Line) -> Handled {
    global_bool(pass, line)
}

fn global_bool(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let keyword = line
        .words
        .first()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    let value = line
        .words
        .get(1)
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    switch(
        pass,
        line,
        &format!("Invalid value '{value}' for global {keyword} specified"),
    );
    Ok(())
}

fn smtp_alert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    global_bool(pass, line)
}

fn close_mail(pass: &mut Pass<'_>, count: usize) {
    if count == 0 {
        pass.complain("Warning - empty notification_email block");
    }
}

fn mail_from(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if line.words.len() < 2 {
        pass.complain("emailfrom missing - ignoring");
    }
    Ok(())
}

fn smtp_server(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let port = match line.words.get(2) {
        Some(_) => pass.text(line, 2)?,
        None => "25".to_owned(),
    };
    // Nothing is looked up: a name may well become known later, a number never.
    if text.parse::<IpAddr>().is_err() && !text.contains('.') {
        pass.complain(format!("Invalid smtp server {text} {port}"));
    }
    Ok(())
}

fn smtp_timeout(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const MAX_TIMEOUT: u32 = 4294;
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, MAX_TIMEOUT)) {
        None => pass.complain(format!(
            "smtp_connect_timeout '{text}' must be in [0, {MAX_TIMEOUT}] - ignoring"
        )),
        Some(0) => pass.complain("smtp_conect_timeout must be greater than 0, setting to 1"),
        Some(_) => {}
    }
    Ok(())
}

fn script_timeout(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let keyword = line
        .words
        .first()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    let what = keyword.trim_end_matches("_script_timeout").to_owned();
    let Some(word) = line.words.get(1) else {
        pass.complain(format!("{what}_script_timeout requires value"));
        return Ok(());
    };
    let text = word.text();
    if pass.number(unsigned(&text, 1, 1000)).is_none() {
        pass.complain(format!(
            "{what}_script_timeout '{text}' must be in [1, 1000] - ignoring"
        ));
    }
    Ok(())
}

fn fifo(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if line.words.len() < 2 {
        let keyword = line
            .words
            .first()
            .map(|word| word.text().into_owned())
            .unwrap_or_default();
        pass.complain(format!("No {keyword} name specified"));
    }
    Ok(())
}

fn fifo_script(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if line.words.len() < 2 {
        let keyword = line
            .words
            .first()
            .map(|word| word.text().into_owned())
            .unwrap_or_default();
        pass.complain(format!("No {keyword} specified"));
    }
    Ok(())
}

fn nftables_priority(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if pass.number(signed(&text, i32::MIN, i32::MAX)).is_none() {
        pass.complain(format!("invalid nftables chain priority '{text}'"));
    }
    Ok(())
}

fn vmac_garp_interval(pass: &mut Pass<'_>, line: &Line) -> Handled {
    pass.complain(
        "Keyword \"vrrp_vmac_garp_intvl\" is deprecated - please use \"vrrp_garp_extra_if\"",
    );
    garp_extra_if(pass, line)
}

fn iptables(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.complain(
        "iptables not supported, using nftables instead. Please replace 'vrrp_iptables and 'vrrp_ipsets' with 'nftables' config option",
    );
    Ok(())
}

/// A complaint if the parameter is missing.
fn needed(pass: &mut Pass<'_>, line: &Line, complaint: &str) -> Handled {
    if line.words.len() < 2 {
        pass.complain(complaint);
    }
    Ok(())
}

fn dbus_name(pass: &mut Pass<'_>, line: &Line) -> Handled {
    needed(pass, line, "dbus_service_name missing - ignoring")
}

fn snmp_socket(pass: &mut Pass<'_>, line: &Line) -> Handled {
    needed(pass, line, "SNMP error : snmp socket name missing")
}

fn reload_time_file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    needed(pass, line, "reload_time_file invalid")
}

fn sync_daemon(pass: &mut Pass<'_>, line: &Line) -> Handled {
    needed(pass, line, "lvs_sync_daemon requires interface")
}

fn lvs_timeouts(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if line.words.len() < 3 {
        pass.complain("lvs_timeouts requires at least one option");
    }
    Ok(())
}

fn flush_on_stop(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(word) = line.words.get(1)
        && !word.is(b"VS")
    {
        pass.complain(format!("Unknown lvs_flush_on_stop type {}", word.text()));
    }
    Ok(())
}

fn data_use_instance(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let value = line
        .words
        .get(1)
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    switch(
        pass,
        line,
        &format!("Invalid value '{value}' for global date_use_instance specified"),
    );
    Ok(())
}

fn log_all_failures(pass: &mut Pass<'_>, line: &Line) -> Handled {
    switch(
        pass,
        line,
        "Invalid value for checker_log_all_failures specified",
    );
    Ok(())
}

fn ipvs_priority(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if pass.number(signed(&text, i32::MIN, i32::MAX)).is_none() {
        pass.complain(format!("invalid ipvs nftables chain priority '{text}'"));
    }
    Ok(())
}

fn ipvs_fwmark(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if pass.number(unsigned(&text, 1, u32::MAX)).is_none() {
        pass.complain(format!(
            "invalid ipvs nftables start_fwmark priority '{text}'"
        ));
    }
    Ok(())
}

fn rx_bufs_policy(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let Some(word) = line.words.get(1) else {
        pass.complain("vrrp_rx_bufs_policy missing");
        return Ok(());
    };
    if !word.is(b"MTU") && !word.is(b"ADVERT") {
        let text = word.text();
        if pass.number(unsigned(&text, 0, u32::MAX)).is_none() {
            pass.complain(format!("Invalid vrrp_rx_bufs_policy {text}"));
        }
    }
    Ok(())
}

fn rx_bufs_multiplier(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let Some(word) = line.words.get(1) else {
        pass.complain("Invalid vrrp_rx_bufs_multiplier");
        return Ok(());
    };
    let text = word.text();
    if pass.number(unsigned(&text, 1, u32::MAX)).is_none() {
        pass.complain(format!("Invalid vrrp_rx_bufs_multiplier {text}"));
    }
    Ok(())
}
