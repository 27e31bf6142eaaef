//! `global_defs`, as both data files begin.

use std::fmt::Display;

use keepalived_conf::{Config, FifoDef, GlobalDefs, InstanceDefaults};
use vrrp_core::Duration;

use super::{command, line, word};

pub(super) fn text(config: &Config) -> String {
    let (global, defaults) = (&config.global, &config.defaults);
    let mut out = String::new();
    line!(out, "------< Global definitions >------");
    line!(out, " Network namespace = (default)");
    line!(out, " Network namespace ipvs = (main namespace)");
    if let Some(name) = &global.process_name {
        line!(out, " Parent process name = {name}");
    }
    if let Some(name) = &global.vrrp_process_name {
        line!(out, " VRRP process name = {name}");
    }
    line!(out, " Router ID = {}", global.router_id);
    let mails = if global.smtp_alert { "on" } else { "unset" };
    line!(out, " Default smtp_alert = {mails}");
    line!(out, " Default smtp_alert_vrrp = unset");
    line!(out, " Default smtp_alert_checker = unset");
    line!(out, " Checkers log all failures = false");
    // A reload always reads and checks the whole of the new configuration first.
    line!(out, " Test config before reload");
    line!(out, " Dynamic interfaces = {}", global.dynamic_interfaces);
    if global.dynamic_interfaces {
        line!(out, " Allow interface changes = false");
    }
    line!(out, " Default interface = {}", global.default_interface);
    let igmp = if global.disable_local_igmp {
        "yes"
    } else {
        "no"
    };
    line!(out, " Disable local IGMP = {igmp}");
    line!(out, " LVS flush = false");
    line!(out, " LVS flush on stop = disabled");
    told(&mut out, global);
    announced(&mut out, defaults);
    filtered(&mut out, config);
    line!(
        out,
        " VRRP check unicast_src = {}",
        defaults.check_unicast_source
    );
    line!(
        out,
        " VRRP skip check advert addresses = {}",
        defaults.skip_check_addresses
    );
    line!(out, " VRRP strict mode = {}", defaults.strict);
    scheduled(&mut out, global);
    closing(&mut out, global, defaults);
    out
}

/// Whom it tells of changes.
fn told(out: &mut String, global: &GlobalDefs) {
    fifo(out, "Global", global.fifo.as_ref());
    fifo(out, "VRRP", global.vrrp_fifo.as_ref());
    line!(
        out,
        " FIFO write vrrp states on reload = {}",
        global.states_on_reload
    );
    line!(
        out,
        " VRRP notify priority changes = {}",
        global.notify_priority_changes
    );
}

fn fifo(out: &mut String, which: &str, fifo: Option<&FifoDef>) {
    let Some(fifo) = fifo else {
        return;
    };
    let path = fifo.path.display();
    let (uid, gid) = fifo
        .owner
        .as_ref()
        .map_or((0, 0), |owner| (owner.uid, owner.gid));
    line!(out, " {which} notify fifo = {path}, uid:gid {uid}:{gid}");
    if let Some(script) = &fifo.script {
        let words = command(&script.argv);
        let user = &script.user;
        line!(
            out,
            " {which} notify fifo script = {words} '{path}', uid:gid {}:{}",
            user.uid,
            user.gid
        );
    }
}

/// What instances inherit about adverts and announcements.
fn announced(out: &mut String, defaults: &InstanceDefaults) {
    let [v4, v6] = defaults.groups;
    let group = |given: Option<std::net::IpAddr>, usual: &str| {
        given.map_or_else(|| usual.to_owned(), |group| group.to_string())
    };
    line!(out, " VRRP IPv4 mcast group = {}", group(v4, "224.0.0.18"));
    line!(out, " VRRP IPv6 mcast group = {}", group(v6, "ff02::12"));
    let garp = &defaults.garp;
    let rows: [(&str, &dyn Display); 12] = [
        ("Gratuitous ARP delay", &garp.delay.as_secs()),
        ("Gratuitous ARP repeat", &garp.repeat),
        ("Gratuitous ARP refresh timer", &garp.refresh.as_secs()),
        ("Gratuitous ARP refresh repeat", &garp.refresh_repeat),
        (
            "Gratuitous ARP lower priority delay",
            &garp.lower_delay.as_secs(),
        ),
        ("Gratuitous ARP lower priority repeat", &garp.lower_repeat),
        ("Num adverts before down", &defaults.down_timer_adverts),
        ("Gratuitous ARP for each secondary VMAC", &"0s"),
        (
            "Send advert after receive lower priority advert",
            &!defaults.lower_no_advert,
        ),
        (
            "Send advert after receive higher priority advert",
            &defaults.higher_send_advert,
        ),
        ("Gratuitous ARP interval", &seconds(defaults.garp_interval)),
        ("Gratuitous NA interval", &seconds(defaults.gna_interval)),
    ];
    for (name, value) in rows {
        line!(out, " {name} = {value}");
    }
    line!(out, " VRRP default protocol version = {}", defaults.version);
}

fn seconds(interval: Duration) -> String {
    format!("{:.6}", interval.to_std().as_secs_f64())
}

/// The packet filter, where something needs one.
fn filtered(out: &mut String, config: &Config) {
    let global = &config.global;
    let needed = |def: &keepalived_conf::InstanceDef| def.has_vmacs() || !def.accept;
    if global.nftables_table.is_none() && !config.instances.iter().any(needed) {
        return;
    }
    let table = global.nftables_table.as_deref().unwrap_or("keepalived");
    line!(out, " nftables table name = {table}");
    line!(
        out,
        " nftables base chain priority = {}",
        global.nftables_priority
    );
    let force = if global.nftables_ifindex {
        ""
    } else {
        "don't "
    };
    line!(
        out,
        " nftables {force}force use ifindex for link local IPv6"
    );
    let counters = if global.nftables_counters {
        "with"
    } else {
        "without"
    };
    line!(out, " nftables {counters} counters");
}

/// How the process runs.
fn scheduled(out: &mut String, global: &GlobalDefs) {
    line!(
        out,
        " Max auto priority = {}",
        global.max_auto_priority.unwrap_or_default()
    );
    line!(
        out,
        " Min auto priority delay = {} usecs",
        global.min_auto_priority_delay.as_nanos() / 1000
    );
    line!(
        out,
        " VRRP process priority = {}",
        global.nice.unwrap_or_default()
    );
    line!(out, " VRRP don't swap = {}", global.no_swap);
    line!(
        out,
        " VRRP realtime priority = {}",
        global.realtime_priority.unwrap_or_default()
    );
    if !global.cpu_affinity.is_empty() {
        let cpus: Vec<String> = global.cpu_affinity.iter().map(u32::to_string).collect();
        line!(out, " VRRP CPU Affinity = {}", cpus.join(" "));
    }
    line!(
        out,
        " VRRP realtime limit = {}",
        global.realtime_limit.unwrap_or(10_000)
    );
    // The processes that there are not, as keepalived shows them unconfigured.
    for process in ["Checker", "BFD"] {
        line!(out, " {process} process priority = 0");
        line!(out, " {process} don't swap = false");
        line!(out, " {process} realtime priority = 0");
        line!(out, " {process} realtime limit = 10000");
    }
}

fn closing(out: &mut String, global: &GlobalDefs, defaults: &InstanceDefaults) {
    for what in [
        "SNMP vrrp",
        "SNMP checker",
        "SNMP RFCv2",
        "SNMP RFCv3",
        "SNMP traps",
    ] {
        line!(out, " {what} disabled");
    }
    line!(out, " SNMP socket = default (unix:/var/agentx/master)");
    line!(out, " DBus disabled");
    line!(out, " DBus service name = ");
    line!(out, " Script security {}", word(global.script_security));
    if let Some(user) = &defaults.script_user {
        line!(out, " Default script uid:gid {}:{}", user.uid, user.gid);
    }
    for (what, script) in [
        ("Startup", &global.startup_script),
        ("Shutdown", &global.shutdown_script),
    ] {
        if let Some((script, limit)) = script {
            line!(
                out,
                " {what} script = {}, uid:gid {}:{}, timeout {}",
                command(&script.argv),
                script.user.uid,
                script.user.gid,
                limit.as_secs()
            );
        }
    }
    line!(out, " umask = 0{:o}", global.umask.unwrap_or(0o177));
    if !global.startup_delay.is_zero() {
        let seconds = global.startup_delay.to_std().as_secs_f64();
        line!(out, " vrrp_startup_delay = {seconds}");
    }
    if global.log_unknown_vrids {
        line!(out, " log_unknown_vrids");
    }
    if let Some(prefix) = &defaults.vmac_prefix {
        line!(out, " VMAC prefix = {prefix}");
    }
}

/// The `garp_group` blocks, and the pace of all interfaces if there is one.
pub(super) fn paces(out: &mut String, config: &Config) {
    let defaults = &config.defaults;
    if config.global.garp_groups.is_empty() {
        return;
    }
    line!(out, "------< Gratuitous ARP delays >------");
    for (group, number) in config.global.garp_groups.iter().zip(1..) {
        line!(out, "------< GARP delay group {number} >------");
        for (name, own, usual) in [
            ("GARP", group.interval, defaults.garp_interval),
            ("GNA", group.gna_interval, defaults.gna_interval),
        ] {
            let interval = own.unwrap_or(usual);
            if !interval.is_zero() {
                let seconds = interval.to_std().as_secs_f64();
                line!(out, " {name} interval = {seconds}");
            }
        }
        line!(out, " Interfaces");
        for interface in &group.interfaces {
            line!(out, "  {interface}");
        }
    }
}
