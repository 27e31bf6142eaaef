//! `global_defs`, as both data files begin.

use keepalived_conf::{Config, GlobalDefs};

use super::line;

pub(super) fn text(config: &Config) -> String {
    let global = &config.global;
    let mut out = String::new();
    line!(out, "------< Global definitions >------");
    line!(out, " Network namespace = (default)");
    line!(out, " Router ID = {}", global.router_id);
    line!(out, " Dynamic interfaces = {}", global.dynamic_interfaces);
    line!(out, " Default interface = {}", global.default_interface);
    process(&mut out, global);
    line!(
        out,
        " Script security {}",
        super::word(global.script_security)
    );
    if !global.startup_delay.is_zero() {
        let seconds = global.startup_delay.to_std().as_secs_f64();
        line!(out, " vrrp_startup_delay = {seconds}");
    }
    out
}

fn process(out: &mut String, global: &GlobalDefs) {
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
    line!(
        out,
        " VRRP realtime limit = {}",
        global.realtime_limit.unwrap_or(10_000)
    );
    if let Some(mask) = global.umask {
        line!(out, " umask = 0{mask:o}");
    } else {
        line!(out, " umask = 0177");
    }
}
