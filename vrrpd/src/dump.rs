//! SIGUSR1 and SIGUSR2: the state and the statistics as text files, in the places
//! and under the labels that keepalived's exporters read.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use netif::Kernel;
use vrrp_core::settings::{Auth, Instance, Preempt, Transport};
use vrrp_core::{Health, VirtualRouter};

use crate::engine::Engine;
use crate::log::Log;
use crate::wire::Wire;

const DATA: &str = "/tmp/keepalived.data";
const STATS: &str = "/tmp/keepalived.stats";

/// Writes the state of everything.
pub(crate) fn data<K: Kernel, W: Wire>(engine: &Engine<K, W>, log: &Log) {
    log.info(&format!(
        "Printing VRRP data for process({}) on signal",
        std::process::id()
    ));
    let text = data_text(engine).unwrap_or_default();
    write_aside(DATA, text);
}

/// `-d`: the state of everything, to the log.
pub(crate) fn to_log<K: Kernel, W: Wire>(engine: &Engine<K, W>, log: &Log) {
    for line in data_text(engine).unwrap_or_default().lines() {
        log.info(line);
    }
}

/// Writes the counters.
pub(crate) fn stats<K: Kernel, W: Wire>(engine: &Engine<K, W>, log: &Log) {
    log.info(&format!(
        "Printing VRRP stats for process({}) on signal",
        std::process::id()
    ));
    let mut text = String::new();
    for router in engine.routers() {
        // Writing to a string cannot fail.
        let _ = stats_of(&mut text, router);
    }
    write_aside(STATS, text);
}

/// Writes on a helper thread: a slow disk must not hold adverts up.
fn write_aside(path: &'static str, text: String) {
    tokio::task::spawn_blocking(move || {
        // The directory is everybody's: an old file goes first, and what somebody
        // puts in its place in the meantime is not followed.
        let _ = std::fs::remove_file(Path::new(path));
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        if let Ok(mut file) = file {
            let _ = file.write_all(text.as_bytes());
        }
    });
}

fn data_text<K: Kernel, W: Wire>(engine: &Engine<K, W>) -> Result<String, std::fmt::Error> {
    let mut out = String::from("------< VRRP Topology >------\n");
    for router in engine.routers() {
        router_data(&mut out, router)?;
    }
    out.push_str("------< VRRP Scripts >------\n");
    for script in engine.scripts() {
        let def = script.def();
        let command: Vec<String> = def
            .argv
            .iter()
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        writeln!(out, " VRRP Script = {}", def.name)?;
        writeln!(out, "   Command = {}", command.join(" "))?;
        writeln!(out, "   Interval = {} sec", def.interval.as_secs())?;
        writeln!(out, "   Timeout = {} sec", def.timeout.as_secs())?;
        writeln!(out, "   Weight = {}", def.weight)?;
        writeln!(out, "   Rise = {}", def.rise)?;
        writeln!(out, "   Fall = {}", def.fall)?;
        let status = match script.judgement() {
            None => "INIT",
            Some(Health::Up) => "GOOD",
            Some(Health::Down) => "BAD",
        };
        writeln!(out, "   Status = {status}")?;
        writeln!(out, "   Script uid:gid = {}:{}", def.user.uid, def.user.gid)?;
    }
    Ok(out)
}

fn router_data(out: &mut String, router: &VirtualRouter) -> std::fmt::Result {
    let settings = router.settings();
    writeln!(out, " VRRP Instance = {}", settings.name)?;
    writeln!(out, "   VRRP Version = {}", settings.version.number())?;
    writeln!(out, "   State = {}", router.state())?;
    writeln!(out, "   Interface = {}", settings.interface)?;
    writeln!(
        out,
        "   Gratuitous ARP delay = {}",
        settings.garp.delay.as_secs()
    )?;
    writeln!(out, "   Gratuitous ARP repeat = {}", settings.garp.repeat)?;
    writeln!(
        out,
        "   Gratuitous ARP refresh = {}",
        settings.garp.refresh.as_secs()
    )?;
    writeln!(
        out,
        "   Down timer adverts = {}",
        settings.down_timer_adverts
    )?;
    writeln!(out, "   Virtual Router ID = {}", settings.vrid)?;
    writeln!(out, "   Priority = {}", settings.priority)?;
    writeln!(
        out,
        "   Effective priority = {}",
        router.effective_priority()
    )?;
    writeln!(
        out,
        "   Advert interval = {} sec",
        settings.advert_interval.as_secs()
    )?;
    let preempt = match settings.preempt {
        Preempt::No => "disabled",
        Preempt::Yes | Preempt::After(_) => "enabled",
    };
    writeln!(out, "   Preempt = {preempt}")?;
    // The password is nobody's business, not even in a file of mode 0600.
    if let Auth::Pass(_) = settings.auth {
        writeln!(out, "   Authentication type = SIMPLE_PASSWORD")?;
    }
    addresses(out, settings)?;
    if let Transport::Unicast { ttl, peers, .. } = &settings.transport {
        writeln!(out, "   Unicast TTL = {ttl}")?;
        writeln!(out, "   Unicast Peer :")?;
        for peer in peers {
            writeln!(
                out,
                "     {} min_ttl {} max_ttl {}",
                peer.address, peer.min_ttl, peer.max_ttl
            )?;
        }
    }
    if !settings.scripts.is_empty() {
        writeln!(out, "   Tracked scripts :")?;
        for script in &settings.scripts {
            writeln!(out, "     {} weight {}", script.name, script.weight)?;
        }
    }
    Ok(())
}

fn addresses(out: &mut String, settings: &Instance) -> std::fmt::Result {
    writeln!(out, "   Virtual IP ({}):", settings.addresses.len())?;
    for address in &settings.addresses {
        writeln!(
            out,
            "     {}/{} dev {}",
            address.address, address.prefix, address.interface
        )?;
    }
    Ok(())
}

fn stats_of(out: &mut String, router: &VirtualRouter) -> std::fmt::Result {
    let counters = router.counters();
    writeln!(out, "VRRP Instance: {}", router.settings().name)?;
    writeln!(out, "  Advertisements:")?;
    writeln!(out, "    Received: {}", counters.advert_received)?;
    writeln!(out, "    Sent: {}", counters.advert_sent)?;
    writeln!(out, "  Became master: {}", counters.become_master)?;
    writeln!(out, "  Released master: {}", counters.release_master)?;
    writeln!(out, "  Packet Errors:")?;
    writeln!(out, "    Length: {}", counters.packet_length_errors)?;
    writeln!(out, "    TTL: {}", counters.ttl_errors)?;
    writeln!(out, "    Invalid Type: {}", counters.invalid_type)?;
    writeln!(
        out,
        "    Advertisement Interval: {}",
        counters.interval_errors
    )?;
    writeln!(out, "    Address List: {}", counters.address_list_errors)?;
    writeln!(out, "  Authentication Errors:")?;
    writeln!(out, "    Invalid Type: {}", counters.invalid_auth_type)?;
    writeln!(out, "    Type Mismatch: {}", counters.auth_type_mismatch)?;
    writeln!(out, "    Failure: {}", counters.auth_failures)?;
    writeln!(out, "  Priority Zero:")?;
    writeln!(out, "    Received: {}", counters.priority_zero_received)?;
    writeln!(out, "    Sent: {}", counters.priority_zero_sent)
}
