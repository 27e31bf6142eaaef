//! `keepalived.data`: what virtual routers track, and their sync groups.

use keepalived_conf::{Config, ParamMatch, TrackProcessDef};
use vrrp_core::settings::TrackerKind;
use vrrp_core::{Duration, Health, Standing, State};

use super::{Item, command, data, line, reverse, yes};
use crate::script::Tracked;

/// The `vrrp_sync_group` blocks; `states` are in their order.
pub(super) fn groups(
    out: &mut String,
    config: &Config,
    states: impl Iterator<Item = State>,
    items: &[Item<'_>],
) {
    if !config.sync_groups.is_empty() {
        line!(out, "------< VRRP Sync groups >------");
    }
    for (group, state) in config.sync_groups.iter().zip(states) {
        let members = || {
            let names = group.members.iter();
            names.filter_map(|name| items.iter().find(|item| item.def.settings.name == *name))
        };
        let count = |wanted| {
            let of = members().filter(|item| item.router.state() == wanted);
            of.count()
        };
        line!(out, " VRRP Sync Group = {}, {state}", group.name);
        line!(
            out,
            "   Num member fault {}, num member init {}",
            count(State::Fault),
            count(State::Init)
        );
        line!(out, "   VRRP member instances :");
        for name in &group.members {
            line!(out, "     {name}");
        }
        if group.weights {
            line!(out, "   sync group tracking weight set");
        }
        line!(
            out,
            "   Using smtp notification = {}",
            yes(group.smtp_alert)
        );
        // Only what it says itself is shown.
        if group.notify.priority_changes && !config.global.notify_priority_changes {
            line!(out, "   Notify priority changes = yes");
        }
        data::tracked(out, &group.trackers, &group.scripts, "process");
        data::scripts_told(out, &group.notify);
    }
}

pub(super) fn scripts<'a>(
    out: &mut String,
    scripts: impl Iterator<Item = &'a Tracked>,
    items: &[Item<'_>],
) {
    let mut scripts = scripts.peekable();
    if scripts.peek().is_some() {
        line!(out, "------< VRRP Scripts >------");
    }
    for script in scripts {
        let def = script.def();
        let (status, result) = match script.judgement() {
            None => ("BAD", def.rise - 1),
            Some(Health::Up) => ("GOOD", def.rise + def.fall - 1),
            Some(Health::Down) => ("BAD", 0),
        };
        // One that is not given is no limit but the interval, and shown as none.
        let timeout = if def.own_timeout {
            def.timeout
        } else {
            Duration::ZERO
        };
        line!(out, " VRRP Script = {}", def.name);
        line!(out, "   Command = {}", command(&def.argv));
        line!(out, "   Interval = {} sec", def.interval.as_secs());
        line!(out, "   Timeout = {} sec", timeout.as_secs());
        line!(out, "   Weight = {}{}", def.weight, reverse(def.sense));
        line!(out, "   Rise = {}", def.rise);
        line!(out, "   Fall = {}", def.fall);
        line!(out, "   Result = {result}");
        line!(out, "   Insecure = no");
        line!(
            out,
            "   Init state = {}",
            // Measured: of what it was before its first result nothing is shown later.
            if script.has_result() {
                "unknown"
            } else {
                "INIT"
            }
        );
        line!(out, "   Status = {status}");
        line!(out, "   Script uid:gid = {}:{}", def.user.uid, def.user.gid);
        line!(out, "   VRRP instances :");
        line!(out, "   Tracking instances :");
        for item in items {
            let settings = item.router.settings();
            let mut uses = settings.scripts.iter();
            if let Some(script) = uses.find(|script| script.name == def.name) {
                let (weight, sense) = (script.weight, reverse(script.sense));
                line!(out, "     {}, weight {weight}{sense}", settings.name);
            }
        }
        let running = if script.is_running() {
            "running"
        } else {
            "idle"
        };
        line!(out, "   State = {running}");
    }
}

/// How something that is tracked stands.
pub(super) type Stands<'a> = &'a dyn Fn(TrackerKind, &str) -> Option<Standing>;

/// The `track_file` blocks.
pub(super) fn files(out: &mut String, config: &Config, stands: Stands<'_>, items: &[Item<'_>]) {
    if !config.track_files.is_empty() {
        line!(out, "------< VRRP Track files >------");
    }
    for def in &config.track_files {
        let status = match stands(TrackerKind::File, &def.name) {
            Some(Standing::Number(number)) => number,
            Some(Standing::Up | Standing::Down) | None => 0,
        };
        line!(out, " Track file = {}", def.name);
        line!(out, "   File = {}", def.path.display());
        line!(out, "   Status = {status}");
        line!(out, "   Weight = {}{}", def.weight, reverse(def.sense));
        tracking(out, TrackerKind::File, &def.name, items);
    }
}

/// The `vrrp_track_process` blocks.
pub(super) fn processes(out: &mut String, config: &Config, stands: Stands<'_>, items: &[Item<'_>]) {
    if !config.track_processes.is_empty() {
        line!(out, "------< VRRP Track processes >------");
    }
    for def in &config.track_processes {
        let quorum = stands(TrackerKind::Process, &def.name) == Some(Standing::Up);
        line!(out, " VRRP Track process = {}", def.name);
        let mut words = def.command.iter().map(|word| word.to_string_lossy());
        line!(out, "   Process = {}", words.next().unwrap_or_default());
        let parameters: Vec<_> = words.collect();
        if !parameters.is_empty() {
            line!(out, "   Parameters = {}", parameters.join(" "));
        }
        match def.param_match {
            Some(ParamMatch::Initial) => line!(out, "   Param match = initial"),
            Some(ParamMatch::Partial) => line!(out, "   Param match = partial"),
            None if parameters.is_empty() => {}
            None => line!(out, "   Param match"),
        }
        line!(out, "   Min processes = {}", def.quorum);
        if let Some(most) = def.quorum_max {
            line!(out, "   Max processes = {most}");
        }
        line!(out, "   Have quorum = {quorum}");
        line!(out, "   Weight = {}{}", def.weight, reverse(def.sense));
        for (name, delay) in [("Terminate", def.terminate_delay), ("Fork", def.fork_delay)] {
            let seconds = delay.to_std().as_secs_f64();
            line!(out, "   {name} delay = {seconds:.6}s");
        }
        line!(out, "   Full command = {}", by_command(def));
        tracking(out, TrackerKind::Process, &def.name, items);
    }
}

/// Whether whole command lines are compared.
pub(super) const fn by_command(def: &TrackProcessDef) -> bool {
    def.full_command || def.command.len() > 1 || def.param_match.is_some()
}

fn tracking(out: &mut String, kind: TrackerKind, name: &str, items: &[Item<'_>]) {
    let mut titled = false;
    for item in items {
        let settings = item.router.settings();
        let mut uses = settings.trackers.iter();
        let Some(tracker) = uses.find(|tracker| tracker.kind == kind && tracker.name == name)
        else {
            continue;
        };
        if !titled {
            line!(out, "   Tracking instances :");
            titled = true;
        }
        let (weight, sense) = (tracker.weight, reverse(tracker.sense));
        line!(out, "     {}, weight {weight}{sense}", settings.name);
    }
}
