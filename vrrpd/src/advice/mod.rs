//! Warnings that know the peer: what the adverts of the others say, held against our own
//! configuration, tells beforehand what will go wrong.
//!
//! keepalived drops what does not fit with a line a second, and says nothing of priorities
//! that can never change places. Here each thing is said once, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vrrp_core::settings::{Auth, Instance, Preempt, Sense, Tracker, TrackerKind, Transport};
use vrrp_core::{PeerView, Time, VirtualRouter};
use vrrp_proto::vrrp::{DecodeError, Interval};

/// Things said of one virtual router at most: forged senders must not fill the log.
const MOST: usize = 32;
/// The address owner's priority.
const OWNER: i64 = 255;

/// What was said of one virtual router already.
#[derive(Debug, Default)]
pub(crate) struct Adviser {
    told: BTreeSet<(IpAddr, Topic)>,
    /// Faults of the last look, with the time of the advert: one bad packet is none.
    suspects: BTreeMap<IpAddr, (Topic, Time)>,
    /// The highest priority heard of each sender: lower ones may be those of a failed check.
    highest: BTreeMap<IpAddr, u8>,
}

/// What a warning is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Version,
    Interval,
    Authentication,
    Password,
    Addresses,
    Checksum,
    TimeToLive,
    Stranger,
    EqualPriority,
    TwoOwners,
    NoPreempt,
    /// A script or tracker of ours that cannot move the address away.
    Gives(String),
    /// One that could not move it here.
    Takes(String),
}

impl Adviser {
    /// Looks at the senders heard, about once a second, and gives what has not been said yet. `source` is the
    /// address that our own adverts come from.
    pub(crate) fn look(&mut self, router: &VirtualRouter, source: Option<IpAddr>) -> Vec<String> {
        let own = router.settings();
        let mut lines = Vec::new();
        let before = std::mem::take(&mut self.suspects);
        self.keep_highest(router);
        for (peer, view) in router.peers() {
            let warnings = match view.fault {
                Some(fault) => {
                    let (topic, text) = fault_warning(own, view, fault);
                    let again = before
                        .get(&peer)
                        .is_some_and(|(last, heard)| *last == topic && *heard < view.heard);
                    self.suspects.insert(peer, (topic.clone(), view.heard));
                    again.then_some((topic, text)).into_iter().collect()
                }
                None => {
                    let highest = self.highest.get(&peer).copied().unwrap_or_default();
                    let rivals = Rivals::of(own, peer, &self.highest);
                    priority_warnings(own, source, (peer, highest), &rivals)
                }
            };
            for (topic, text) in warnings {
                if self.told.len() >= MOST {
                    return lines;
                }
                if self.told.insert((peer, topic)) {
                    lines.push(format!("({}) {text} (peer {peer})", own.name));
                }
            }
        }
        lines
    }

    /// Of senders that the router remembers and agrees with.
    fn keep_highest(&mut self, router: &VirtualRouter) {
        let before = std::mem::take(&mut self.highest);
        let agreeing = router.peers().filter(|(_, view)| view.fault.is_none());
        self.highest = agreeing
            .map(|(peer, view)| {
                let highest = before.get(&peer).copied().unwrap_or_default();
                (peer, highest.max(view.claim.priority))
            })
            .collect();
    }
}

/// Why its adverts are dropped, and what comes of it.
fn fault_warning(own: &Instance, view: &PeerView, fault: DecodeError) -> (Topic, String) {
    const TWO: &str = "each drops the adverts of the other, and both become master";
    let claim = &view.claim;
    match fault {
        DecodeError::Version { .. } => {
            let (ours, theirs) = (own.version.number(), claim.version);
            let text = format!("the peer speaks VRRP version {theirs} and we speak {ours}: {TWO}");
            (Topic::Version, text)
        }
        DecodeError::Interval { .. } | DecodeError::ZeroInterval => {
            let (ours, theirs) = (
                seconds(own.advert_interval.to_std().as_secs_f64()),
                seconds(interval(claim.interval)),
            );
            let text = format!("advert_int is {theirs} at the peer and {ours} here: {TWO}");
            (Topic::Interval, text)
        }
        DecodeError::AuthType { .. } | DecodeError::UnknownAuthType { .. } => {
            let ours = match own.auth {
                Auth::None => 0,
                Auth::Pass(_) => 1,
            };
            let theirs = claim.auth.unwrap_or_default();
            let text = format!(
                "the peer's authentication is {} and ours {}: {TWO}",
                authentication(theirs),
                authentication(ours)
            );
            (Topic::Authentication, text)
        }
        DecodeError::Password => {
            let text = format!("the peer has another auth_pass: {TWO}");
            (Topic::Password, text)
        }
        DecodeError::Count { .. } | DecodeError::Address { .. } => {
            let (ours, theirs) = (own.addresses.len(), claim.count);
            let text = if usize::from(theirs) == ours {
                format!(
                    "the peer announces other addresses than our {ours}: unless the lists of \
                     virtual_ipaddress are the same, {TWO}"
                )
            } else {
                format!(
                    "the peer announces {theirs} {} and we {ours}: unless the lists of \
                     virtual_ipaddress are the same, {TWO}",
                    addresses(usize::from(theirs))
                )
            };
            (Topic::Addresses, text)
        }
        DecodeError::Checksum { .. }
        | DecodeError::Truncated { .. }
        | DecodeError::TooShort { .. }
        | DecodeError::TooLong { .. }
        | DecodeError::Type { .. } => {
            let hint = if claim.version == 3 {
                "v3_checksum_as_v2 set on one side only, or a forger"
            } else {
                "a broken link, or a forger"
            };
            let text = format!("the peer's adverts are malformed ({hint}): they are not heard");
            (Topic::Checksum, text)
        }
        DecodeError::Ttl { .. } | DecodeError::TtlRange { .. } => {
            let text = format!("the peer's adverts come through a router: {fault}");
            (Topic::TimeToLive, text)
        }
        DecodeError::Source { .. } => {
            let text = "adverts of a host that is not in unicast_peer are not heard: if it is \
                        the other host, both become master"
                .to_owned();
            (Topic::Stranger, text)
        }
    }
}

/// Others beside the peer that is looked at, who may take what it or we give away.
struct Rivals {
    /// The highest that was heard of each.
    heard: Vec<i64>,
    /// Whether there are some that were never heard: a backup says nothing.
    unheard: bool,
}

impl Rivals {
    fn of(own: &Instance, peer: IpAddr, highest: &BTreeMap<IpAddr, u8>) -> Self {
        let unheard = match &own.transport {
            Transport::Unicast { peers, .. } => {
                let mut others = peers.iter().filter(|other| other.address != peer);
                others.any(|other| !highest.contains_key(&other.address))
            }
            Transport::Multicast { .. } => false,
        };
        let others = highest.iter().filter(|(address, _)| **address != peer);
        Self {
            heard: others.map(|(_, priority)| (*priority).into()).collect(),
            unheard,
        }
    }

    /// Whether one of them may take the address from a master at this priority.
    fn may_beat(&self, priority: i64) -> bool {
        self.unheard || self.heard.iter().any(|rival| *rival >= priority)
    }
}

/// What comes of the priorities.
fn priority_warnings(
    own: &Instance,
    source: Option<IpAddr>,
    (peer, theirs): (IpAddr, u8),
    rivals: &Rivals,
) -> Vec<(Topic, String)> {
    let theirs = i64::from(theirs);
    if theirs == 0 {
        // It says goodbye and nothing of its priority.
        return Vec::new();
    }
    let base = i64::from(own.priority.get());
    if base == OWNER {
        let text = "priority 255 here and at the peer: only one host can own the addresses";
        return match theirs {
            OWNER => vec![(Topic::TwoOwners, text.to_owned())],
            _ => Vec::new(),
        };
    }
    let mut warnings = Vec::new();
    if own.trackers.iter().any(is_any_number) {
        // What a file will add is not known, so neither is who will be higher.
        return warnings;
    }
    let tracked = tracked(own);
    let best_sum = base + tracked.iter().map(|item| item.well).sum::<i64>();
    let best = clamp(best_sum);
    if best == theirs {
        let text = format!(
            "priority {best} here and at the peer: the higher of the two addresses decides"
        );
        warnings.push((Topic::EqualPriority, text));
    }
    if own.preempt == Preempt::No && tracked.iter().any(Tracked::falls) {
        let text = "nopreempt: a check with a weight that fails on the master will not move \
                    the address for as long as the master sends adverts";
        warnings.push((Topic::NoPreempt, text.to_owned()));
        return warnings;
    }
    // With equal priorities the higher address wins.
    let beats = |priority: i64, other: i64, ours_first: bool| {
        let higher = source.is_some_and(|source| source > peer);
        priority > other || (priority == other && higher == ours_first)
    };
    for item in tracked.iter().filter(|item| item.falls()) {
        let drop = item.well - item.failed;
        if beats(best, theirs, true) {
            let fallen = clamp(best_sum - drop);
            if beats(fallen, theirs, true) && !rivals.may_beat(fallen) {
                let text = format!(
                    "{item} can lower {best} to {fallen} but the peer is at {theirs}: a failure \
                     here will not move the address"
                );
                warnings.push((Topic::Gives(item.to_string()), text));
            }
        } else if theirs != OWNER {
            // An owner's priority does not fall.
            let fallen = clamp(theirs - drop);
            if beats(fallen, best, false) && !rivals.may_beat(fallen) {
                let text = format!(
                    "the peer is at {theirs} and we are at {best} at best: if it has {item} as we \
                     have it, {fallen} is as low as that takes it, and a failure there will not \
                     move the address here"
                );
                warnings.push((Topic::Takes(item.to_string()), text));
            }
        }
    }
    warnings
}

/// Something with a weight.
struct Tracked<'a> {
    kind: &'static str,
    name: &'a str,
    /// What it adds when all is well.
    well: i64,
    /// What it adds when it is not.
    failed: i64,
}

impl Tracked<'_> {
    const fn falls(&self) -> bool {
        self.failed < self.well
    }
}

impl std::fmt::Display for Tracked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Everything that has a weight and two states; a file can hold any number.
fn tracked(own: &Instance) -> Vec<Tracked<'_>> {
    let item = |kind, name, weight: i16, sense| {
        let weight = i64::from(weight);
        let sign = match sense {
            Sense::Normal => 1,
            Sense::Reverse => -1,
        };
        Tracked {
            kind,
            name,
            well: sign * weight.max(0),
            failed: sign * weight.min(0),
        }
    };
    let scripts = own.scripts.iter();
    let scripts = scripts.map(|script| item("script", &script.name, script.weight, script.sense));
    let others = own.trackers.iter().filter_map(|tracker| {
        let kind = match tracker.kind {
            TrackerKind::Interface => "interface",
            TrackerKind::Process => "process",
            TrackerKind::File => return None,
        };
        Some(item(kind, &tracker.name, tracker.weight, tracker.sense))
    });
    scripts.chain(others).collect()
}

/// A file with a weight: it adds whatever number is in it.
fn is_any_number(tracker: &Tracker) -> bool {
    tracker.kind == TrackerKind::File && tracker.weight != 0
}

const fn clamp(priority: i64) -> i64 {
    if priority < 1 {
        1
    } else if priority > 254 {
        254
    } else {
        priority
    }
}

fn interval(interval: Interval) -> f64 {
    match interval {
        Interval::Seconds(seconds) => f64::from(seconds),
        Interval::Centiseconds(hundredths) => f64::from(hundredths) / 100.0,
    }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds} s")
}

fn authentication(kind: u8) -> String {
    match kind {
        0 => "none".to_owned(),
        1 => "PASS".to_owned(),
        2 => "AH".to_owned(),
        other => format!("of type {other}"),
    }
}

const fn addresses(count: usize) -> &'static str {
    if count == 1 { "address" } else { "addresses" }
}

#[cfg(test)]
mod healthy;
#[cfg(test)]
mod tests;
