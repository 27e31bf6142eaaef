//! What keepalived writes on signals, in its places and shapes: exporters read it.
//!
//! `keepalived.data` and `keepalived_parent.data` tell how everything stands,
//! `keepalived.stats` and `keepalived.json` what was counted. Passwords are masked.

mod address;
mod data;
mod global;
mod host;
mod json;
mod place;
mod routes;
mod stats;
mod trackers;

use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use daemonkit::syslog::Level;
use keepalived_conf::InstanceDef;
use netif::{Kernel, Link};
use vrrp_core::settings::{Address, Script, Sense, Tracker};
use vrrp_core::{Counters, PeerView, State, Time, VirtualRouter};

use self::place::What;
use crate::engine::Engine;
use crate::log::{Log, Voice};
use crate::wire::Wire;

/// What stands in the place of a password.
const MASKED: &str = "********";

/// A virtual router as a dump shows it.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    pub(crate) router: &'a VirtualRouter,
    pub(crate) def: &'a InstanceDef,
    /// What was counted since the statistics were cleared.
    pub(crate) counters: Counters,
    /// When it entered its state.
    pub(crate) transition: Option<SystemTime>,
    /// When its timer ends.
    pub(crate) timeout: Option<SystemTime>,
    /// The address its adverts come from.
    pub(crate) source: Option<IpAddr>,
    /// How many things keep it from taking part.
    pub(crate) faults: usize,
    /// How many unweighted scripts have no result yet.
    pub(crate) undecided: usize,
    /// The commands of its scripts.
    pub(crate) commands: Vec<String>,
    /// The interface its addresses are on, which is its virtual one where it has one.
    pub(crate) link: Option<&'a Link>,
    /// Its sync group.
    pub(crate) group: Option<&'a str>,
}

impl Item<'_> {
    /// What it tracks itself, and not for its group: scripts and others.
    fn own_tracked(&self) -> (&[Script], &[Tracker]) {
        let settings = self.router.settings();
        let (scripts, trackers) = (&settings.scripts, &settings.trackers);
        (
            scripts.get(..self.def.own_scripts).unwrap_or(scripts),
            trackers.get(..self.def.own_trackers).unwrap_or(trackers),
        )
    }

    /// What is below the interface of an address, if that is a virtual one.
    fn below(&self, address: &Address) -> Option<address::Below<'_>> {
        let own = self.def.vmac.as_ref();
        Some(address::Below {
            interface: self.def.below(&address.interface)?,
            own: own.is_none_or(|vmac| vmac.name != address.interface),
        })
    }

    /// The master it obeys.
    fn master(&self) -> Option<(IpAddr, &PeerView)> {
        if self.router.state() != State::Backup {
            return None;
        }
        self.router
            .peers()
            .filter(|(_, view)| view.fault.is_none() && view.claim.priority > 0)
            .max_by_key(|(_, view)| view.heard)
    }
}

/// SIGUSR1: how everything stands.
pub(crate) fn data<K: Kernel, W: Wire>(engine: &Engine<K, W>, now: Time, log: &Log) {
    let pid = std::process::id();
    log.write(
        Voice::Parent,
        Level::Info,
        &format!("Printing parent data for process({pid}) on signal"),
    );
    write_aside(engine, log, What::ParentData, global::text(engine.config()));
    log.info(&format!("Printing VRRP data for process({pid}) on signal"));
    write_aside(engine, log, What::Data, data_text(engine, now));
}

/// `-d`: the same, to the log.
pub(crate) fn to_log<K: Kernel, W: Wire>(engine: &Engine<K, W>, now: Time, log: &Log) {
    for line in data_text(engine, now).lines() {
        log.info(line);
    }
}

/// SIGUSR2: the counters.
pub(crate) fn stats<K: Kernel, W: Wire>(engine: &Engine<K, W>, now: Time, log: &Log) {
    let pid = std::process::id();
    log.info(&format!("Printing VRRP stats for process({pid}) on signal"));
    write_aside(engine, log, What::Stats, stats_text(engine, now));
}

/// STATS_CLEAR: the counters, which begin anew.
pub(crate) fn clear_stats<K: Kernel, W: Wire>(engine: &mut Engine<K, W>, now: Time, log: &Log) {
    let pid = std::process::id();
    log.info(&format!(
        "Printing and clearing VRRP stats for process({pid}) on signal"
    ));
    write_aside(engine, log, What::Stats, stats_text(engine, now));
    engine.clear_counters();
}

/// JSON: state and counters.
pub(crate) fn json<K: Kernel, W: Wire>(engine: &Engine<K, W>, now: Time, log: &Log) {
    let pid = std::process::id();
    log.info(&format!(
        "Printing VRRP as json for process({pid}) on signal"
    ));
    let items: Vec<Item<'_>> = engine.items((now, SystemTime::now())).collect();
    let text = if engine.config().global.json_version == 2 {
        let stands = |kind, name: &str| engine.standing(kind, name);
        json::text_2(&items, engine.config(), &stands)
    } else {
        json::text(&items)
    };
    write_aside(engine, log, What::Json, text);
}

fn stats_text<K: Kernel, W: Wire>(engine: &Engine<K, W>, now: Time) -> String {
    let items: Vec<Item<'_>> = engine.items((now, SystemTime::now())).collect();
    stats::text(&items)
}

fn data_text<K: Kernel, W: Wire>(engine: &Engine<K, W>, now: Time) -> String {
    let items: Vec<Item<'_>> = engine.items((now, SystemTime::now())).collect();
    let config = engine.config();
    let stands = |kind, name: &str| engine.standing(kind, name);
    let mut out = global::text(config);
    global::paces(&mut out, config);
    routes::fixed(&mut out, config);
    data::topology(&mut out, &items);
    host::sockets(&mut out, &items);
    trackers::groups(&mut out, config, engine.group_states(), &items);
    trackers::scripts(&mut out, engine.scripts(), &items);
    trackers::files(&mut out, config, &stands, &items);
    trackers::processes(&mut out, config, &stands, &items);
    host::interfaces(&mut out, engine.view(), &items);
    out
}

fn write_aside<K: Kernel, W: Wire>(engine: &Engine<K, W>, log: &Log, what: What, text: String) {
    write_to(log, what.place(&engine.config().global, log.mark()), text);
}

/// Writes on a helper thread: a slow disk must not hold adverts up.
fn write_to(log: &Log, path: PathBuf, text: String) {
    let warnings = log.aside();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write_file(&path, &text) {
            // Nobody listens only when the daemon ends.
            let reason = osys::error_text(&error);
            let _ = warnings.send(format!("Cannot write {}: {reason}", path.display()));
        }
    });
}

fn write_file(path: &Path, text: &str) -> std::io::Result<()> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    // Whoever reads finds the old file or the new one whole, and on a full disk the old one.
    // The directory is everybody's: links are not followed.
    let mut beside = path.as_os_str().to_owned();
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    beside.push(format!(".{}.{number}", std::process::id()));
    let beside = Path::new(&beside);
    // One that a killed daemon of the same number left.
    let _ = std::fs::remove_file(beside);
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(beside);
    }
    written
}

/// Appends a line; writing to a string cannot fail.
macro_rules! line {
    ($out:expr, $($format:tt)*) => {{
        use std::fmt::Write as _;
        let _ = writeln!($out, $($format)*);
    }};
}
use line;

/// Seconds and microseconds since 1970.
fn stamp(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}.{:06}", since.as_secs(), since.subsec_micros())
}

/// The same, and in words: `1795393869.237169 (Mon Nov 23 00:31:09.237169 2026)`.
fn stamp_in_words(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let words = crate::log::console_time(time);
    let words = match words.rsplit_once(' ') {
        Some((moment, year)) => format!("{moment}.{:06} {year}", since.subsec_micros()),
        None => words,
    };
    format!("{} ({words})", stamp(time))
}

/// A command as keepalived shows it: every word in quotes.
pub(crate) fn command(argv: &[std::ffi::OsString]) -> String {
    let words: Vec<String> = argv
        .iter()
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    words.join(" ")
}

const fn reverse(sense: Sense) -> &'static str {
    match sense {
        Sense::Normal => "",
        Sense::Reverse => " reverse",
    }
}

const fn word(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

const fn yes(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

#[cfg(test)]
mod exporter;
#[cfg(test)]
mod tests;
