//! `keepalived.json`, in both versions of its shape.

use std::borrow::Cow;
use std::fmt::Write as _;

use keepalived_conf::{Config, TrackProcessDef};
use vrrp_core::settings::{AddressCheck, Auth, OnAdvert, Preempt, Track, TrackerKind};
use vrrp_core::{Standing, State};

use super::trackers::Stands;
use super::{Item, MASKED, address, command, routes, stamp, trackers};

pub(super) fn text(items: &[Item<'_>]) -> String {
    format!("{}\n", routers(items))
}

/// `json_version 2`: the routers have a name, and the `track_process` blocks are there.
pub(super) fn text_2(items: &[Item<'_>], config: &Config, stands: Stands<'_>) -> String {
    let processes = config.track_processes.iter();
    let processes: Vec<String> = processes.map(|def| process(def, stands)).collect();
    let mut out = Object::default();
    out.raw("vrrp", routers(items));
    out.raw("track_process", format_args!("[{}]", processes.join(",")));
    format!("{}\n", out.finish())
}

fn routers(items: &[Item<'_>]) -> String {
    let routers: Vec<String> = items
        .iter()
        .map(|item| format!("{{\"data\":{},\"stats\":{}}}", data(item), stats(item)))
        .collect();
    format!("[{}]", routers.join(","))
}

fn process(def: &TrackProcessDef, stands: Stands<'_>) -> String {
    let mut out = Object::default();
    out.text("name", &def.name);
    let mut words = def.command.iter().map(|word| word.to_string_lossy());
    out.text("process", &words.next().unwrap_or_default());
    out.list("parameters", words.map(Cow::into_owned));
    out.raw("min_processes", def.quorum);
    if let Some(most) = def.quorum_max {
        out.raw("max_processes", most);
    }
    let quorum = stands(TrackerKind::Process, &def.name) == Some(Standing::Up);
    out.raw("have_quorum", quorum);
    out.raw("weight", def.weight);
    out.raw("full_command", trackers::by_command(def));
    out.finish()
}

/// An object under construction; its members keep the order they are added in.
#[derive(Debug, Default)]
struct Object(String);

impl Object {
    fn raw(&mut self, key: &str, value: impl std::fmt::Display) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        // Writing to a string cannot fail.
        let _ = write!(self.0, "\"{key}\":{value}");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.raw(key, quoted(value));
    }

    fn list(&mut self, key: &str, values: impl Iterator<Item = String>) {
        let values: Vec<String> = values.map(|value| quoted(&value)).collect();
        if !values.is_empty() {
            self.raw(key, format_args!("[{}]", values.join(",")));
        }
    }

    fn finish(self) -> String {
        format!("{{{}}}", self.0)
    }
}

/// A string as json-c writes it, with its slashes escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// keepalived's numbers of states.
const fn state(state: State) -> u8 {
    match state {
        State::Init => 0,
        State::Backup => 1,
        State::Master => 2,
        State::Fault => 3,
    }
}

fn data(item: &Item<'_>) -> String {
    let router = item.router;
    let settings = router.settings();
    let garp = &settings.garp;
    let master = item.master().map(|(_, view)| view.claim);
    let mut out = Object::default();
    out.text("iname", &settings.name);
    out.raw(
        "dont_track_primary",
        u8::from(settings.track_link == Track::No),
    );
    out.raw(
        "skip_check_adv_addr",
        u8::from(settings.address_check == AddressCheck::SkipSameMaster),
    );
    out.raw("strict_mode", u8::from(item.def.strict));
    let vmac = item.def.vmac.as_ref().map(|vmac| vmac.name.as_str());
    out.text("vmac_ifname", vmac.unwrap_or_default());
    out.text("ifp_ifname", vmac.unwrap_or(&settings.interface));
    out.raw("master_priority", master.map_or(0, |claim| claim.priority));
    out.raw(
        "last_transition",
        item.transition.map_or_else(|| "0.000000".to_owned(), stamp),
    );
    out.raw("garp_delay", garp.delay.as_secs());
    out.raw("garp_refresh", garp.refresh.as_secs());
    out.raw("garp_rep", garp.repeat);
    out.raw("garp_refresh_rep", garp.refresh_repeat);
    out.raw("garp_lower_prio_delay", garp.lower_delay.as_secs());
    out.raw("garp_lower_prio_rep", garp.lower_repeat);
    out.raw(
        "lower_prio_no_advert",
        u8::from(settings.on_lower == OnAdvert::Silent),
    );
    out.raw(
        "higher_prio_send_advert",
        u8::from(settings.on_higher == OnAdvert::Advertise),
    );
    out.raw("vrid", settings.vrid);
    out.raw("base_priority", settings.priority);
    out.raw("effective_priority", router.effective_priority());
    out.raw("vipset", router.state() == State::Master);
    out.raw("promote_secondaries", item.def.promote_secondaries);
    let interval = settings.advert_interval.to_std().as_secs_f64();
    out.raw("adver_int", interval);
    out.raw(
        "master_adver_int",
        master.map_or(interval, |claim| super::data::interval(claim.interval)),
    );
    out.raw("accept", u8::from(item.def.accept));
    out.raw("nopreempt", settings.preempt == Preempt::No);
    let delay = match settings.preempt {
        Preempt::After(delay) => delay.to_std().as_secs_f64(),
        Preempt::Yes | Preempt::No => 0.0,
    };
    out.raw("preempt_delay", delay);
    out.raw("state", state(router.state()));
    out.raw("wantstate", state(router.state()));
    out.raw("version", settings.version.number());
    out.raw("smtp_alert", item.def.smtp_alert);
    let notify = &item.def.notify;
    out.raw("notify_deleted", notify.deleted.is_some());
    for (key, script) in [
        ("script_backup", &notify.backup),
        ("script_master", &notify.master),
        ("script_fault", &notify.fault),
        ("script_stop", &notify.stop),
        ("script_deleted", notify.deleted.as_ref().unwrap_or(&None)),
        ("script", &notify.any),
        ("script_master_rx_lower_pri", &notify.lower_priority),
    ] {
        if let Some(script) = script {
            out.text(key, &command(&script.argv));
        }
    }
    let set = router.state() == State::Master;
    let lines = |list: &[vrrp_core::settings::Address]| {
        let lines: Vec<String> = list
            .iter()
            .map(|address| address::text(address, item.below(address), set))
            .collect();
        lines.into_iter()
    };
    out.list("vips", lines(&settings.addresses));
    out.list("evips", lines(&settings.excluded));
    out.list("vroutes", item.def.routes.iter().map(routes::route));
    out.list("vrules", item.def.rules.iter().map(routes::rule));
    let (scripts, trackers) = item.own_tracked();
    let interfaces = trackers.iter();
    let interfaces = interfaces.filter(|tracker| tracker.kind == TrackerKind::Interface);
    out.list("track_ifp", interfaces.map(|tracker| tracker.name.clone()));
    out.list(
        "track_script",
        item.commands.iter().take(scripts.len()).cloned(),
    );
    match settings.auth {
        Auth::None => out.raw("auth_type", 0),
        Auth::Pass(_) => {
            out.raw("auth_type", 1);
            out.text("auth_data", MASKED);
        }
    }
    out.finish()
}

fn stats(item: &Item<'_>) -> String {
    let counters = &item.counters;
    let mut out = Object::default();
    for (key, count) in [
        ("advert_rcvd", counters.advert_received),
        ("advert_sent", counters.advert_sent),
        ("become_master", counters.become_master),
        ("release_master", counters.release_master),
        ("packet_len_err", counters.packet_length_errors),
        ("advert_interval_err", counters.interval_errors),
        ("ip_ttl_err", counters.ttl_errors),
        ("invalid_type_rcvd", counters.invalid_type),
        ("addr_list_err", counters.address_list_errors),
        ("invalid_authtype", counters.invalid_auth_type),
        ("authtype_mismatch", counters.auth_type_mismatch),
        ("auth_failure", counters.auth_failures),
        ("pri_zero_rcvd", counters.priority_zero_received),
        ("pri_zero_sent", counters.priority_zero_sent),
    ] {
        out.raw(key, count);
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_json_c_does() {
        assert_eq!(
            quoted("a/b \"c\" \\ é\n\u{1}"),
            "\"a\\/b \\\"c\\\" \\\\ é\\n\\u0001\""
        );
    }
}
