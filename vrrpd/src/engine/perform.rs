//! Carrying out what a virtual router wants.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::SystemTime;

use daemonkit::syslog::Level as SyslogLevel;
use netif::Kernel;
use vrrp_core::settings::Address;
use vrrp_core::{
    Action, Detail, Duration, Event, InstanceLine, Level, LogLine, Notification, State, Time,
};
use vrrp_proto::ipv4::Header;
use vrrp_proto::vrrp::{Advert, Path};
use vrrp_proto::{arp, ipv6, ndisc};

use super::slot::{Leaving, Slot};
use super::{Engine, slot};
use crate::limit::Verdict;
use crate::log::Voice;
use crate::notify::{Notice, Occasion, Party};
use crate::record::Recorder;
use crate::wire::Wire;

/// Whether a line may be kept back when it comes too often.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// A packet: anybody on the network can make it happen at any rate.
    Packet,
    /// This host.
    Host,
}

impl<K: Kernel, W: Wire> Engine<K, W> {
    /// Hands an event to a router and does what it wants, in order.
    pub(super) fn handle(&mut self, now: Time, index: usize, event: Event) {
        self.handle_from(now, index, event, Cause::Host);
    }

    /// The same for an event that anybody on the network can cause.
    pub(super) fn handle_limited(&mut self, now: Time, index: usize, event: Event) {
        self.handle_from(now, index, event, Cause::Packet);
    }

    fn handle_from(&mut self, now: Time, index: usize, event: Event, cause: Cause) {
        self.handle_alone(now, index, event, cause);
        if let Some(group) = self.slots.get(index).and_then(|slot| slot.group) {
            self.sync(now, group, cause);
        }
    }

    /// The same, and its sync group does not hear of it.
    pub(super) fn handle_alone(&mut self, now: Time, index: usize, event: Event, cause: Cause) {
        if let Some(slot) = self.slots.get_mut(index) {
            let name = &slot.settings().name;
            tracing::debug!(router = index, %name, state = ?slot.router.state(), event = kind(&event));
            self.soonest = None;
            if let Some(recorder) = &mut self.recorder {
                let did = record(recorder, slot, now, event);
                for action in did {
                    self.perform(now, index, action, cause);
                }
                self.warn_of_record();
                self.unguard(index);
                return;
            }
            slot.router.handle(now, event);
        }
        while let Some(action) = self
            .slots
            .get_mut(index)
            .and_then(|slot| slot.router.poll_action())
        {
            self.perform(now, index, action, cause);
        }
        self.unguard(index);
    }

    fn warn_of_record(&mut self) {
        let warning = self.recorder.as_mut().and_then(Recorder::take_warning);
        if let Some(warning) = warning {
            self.log.write(Voice::Vrrp, SyslogLevel::Warning, warning);
        }
    }

    fn perform(&mut self, now: Time, index: usize, action: Action, cause: Cause) {
        // An advert carries the password, which belongs in no trace.
        if !matches!(action, Action::SendAdvert(_)) {
            tracing::debug!(router = index, ?action);
        }
        match action {
            Action::SendAdvert(advert) => {
                tracing::debug!(router = index, advert = advert.priority);
                self.send_advert(now, index, &advert);
            }
            Action::SendGarp { address, interface } => {
                let (lane, interval) = self.lane(index, address, &interface);
                let announcement = (address, interface);
                if let Some((address, interface)) =
                    self.pacer.offer(now, &lane, interval, announcement)
                {
                    self.announce(now, address, &interface);
                }
            }
            Action::AddAddress { address, lifetime } => {
                self.set_address(now, index, &address, lifetime, Setting::New);
            }
            Action::RefreshAddress { address, lifetime } => {
                self.set_address(now, index, &address, Some(lifetime), Setting::Again);
            }
            Action::RemoveAddress(address) => self.remove_address(index, &address),
            Action::SetRoutes => self.set_routes(index),
            Action::RemoveRoutes => self.remove_routes(index),
            Action::Notify { what, priority } => self.notify(index, what, priority),
            Action::Log(line) => {
                self.guard_for(index, &line);
                let slot = self.slots.get(index);
                // Why it is at fault was said when the file was read; its interface is not down.
                let said = slot.is_some_and(|slot| slot.def.peerless) && is_start_fault(&line);
                if !said {
                    self.log_line(now, &line, cause);
                }
            }
        }
    }

    fn notify(&mut self, index: usize, what: Notification, priority: u8) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if let Notification::Entered(_) = what {
            slot.transition = Some(SystemTime::now());
        }
        let occasion = match (what, slot.leaving) {
            (Notification::Stop, Some(Leaving::Deleted)) => Some(Occasion::Deleted),
            // Its successor tells how it stands.
            (Notification::Stop, Some(Leaving::Replaced)) => None,
            (what, _) => Occasion::of(what),
        };
        let Some(occasion) = occasion else {
            return;
        };
        self.notices.push(Notice {
            party: Party::Instance(slot.name().to_owned()),
            orders: slot.def.notify.clone(),
            occasion,
            priority,
        });
    }

    fn send_advert(&mut self, now: Time, index: usize, advert: &Advert) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let source = slot.told.as_ref().and_then(|told| told.source);
        let (Some(endpoint), Some(source)) = (slot.endpoint, source) else {
            // No way out; the router is in FAULT or about to be.
            return;
        };
        // One identification for all peers of one advert.
        let id = slot.next_ip_id();
        let (destinations, ttl) = slot.destinations();
        let checksum = slot.router.checksum();
        let mut failure = None;
        for destination in destinations {
            let path = Path {
                source,
                destination,
                checksum,
            };
            let payload = advert.encode(&path);
            let mut packet = match (source, destination) {
                (IpAddr::V4(source), IpAddr::V4(destination)) => {
                    Header::advert(source, destination, ttl, id).encode(payload.len())
                }
                (IpAddr::V6(source), IpAddr::V6(destination)) => {
                    ipv6::advert_header(source, destination, ttl, payload.len())
                }
                // A peer of the other family cannot be reached from here.
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => continue,
            };
            packet.extend_from_slice(&payload);
            if let Err(error) = self.wire.send(endpoint, &packet, destination) {
                failure = Some((destination, error));
            }
        }
        if let Some((destination, error)) = failure {
            let name = self.slots.get(index).map_or("?", Slot::name);
            let line = format!("({name}) cannot send advert to {destination}: {error}");
            self.log_limited(now, &line);
        }
    }

    /// What an announcement shares its pace with: the interface's `garp_group`, or the
    /// interface alone.
    fn lane(&self, index: usize, address: IpAddr, interface: &str) -> (String, Duration) {
        let Some(slot) = self.slots.get(index) else {
            return (interface.to_owned(), Duration::ZERO);
        };
        let own = slot.settings().garp.interval;
        // A virtual interface counts as the one below it.
        let device = slot.def.below(interface).unwrap_or(interface);
        let mut groups = self.config.global.garp_groups.iter().enumerate();
        let group = groups.find(|(_, group)| group.interfaces.iter().any(|name| name == device));
        let (family, interval) = match (address, group) {
            (IpAddr::V4(_), Some((_, group))) => ("ARP", group.interval),
            (IpAddr::V6(_), Some((_, group))) => ("NA", group.gna_interval),
            (IpAddr::V4(_), None) => ("ARP", None),
            (IpAddr::V6(_), None) => ("NA", None),
        };
        let lane = match group {
            Some((place, _)) => format!("{family} of group {place}"),
            None => format!("{family} on {device}"),
        };
        (lane, interval.unwrap_or(own))
    }

    pub(super) fn announce(&mut self, now: Time, address: IpAddr, interface: &str) {
        let Some(link) = self.view.link_by_name(interface) else {
            return;
        };
        let (Some(mac), Some(ifindex)) = (link.ethernet(), NonZeroU32::new(link.index)) else {
            return;
        };
        if link.no_arp || link.loopback {
            return;
        }
        let frame = match address {
            IpAddr::V4(address) => arp::gratuitous(mac, address).to_vec(),
            IpAddr::V6(address) => ndisc::unsolicited(mac, address).to_vec(),
        };
        if let Err(error) = self.wire.send_frame(ifindex, &frame) {
            let line = format!("Cannot announce {address} on {interface}: {error}");
            self.log_limited(now, &line);
        }
    }

    fn set_address(
        &mut self,
        now: Time,
        index: usize,
        address: &Address,
        lifetime: Option<u32>,
        setting: Setting,
    ) {
        let Some(spec) = slot::spec(&self.view, address, lifetime) else {
            let name = self.slots.get(index).map_or("?", Slot::name);
            let line = format!(
                "({name}) cannot set {}: no interface {}",
                address.address, address.interface
            );
            self.log_limited(now, &line);
            return;
        };
        *self.setting.entry(spec.key).or_insert(0) += 1;
        match setting {
            Setting::New => self.kernel.add_address(&spec),
            Setting::Again => self.kernel.refresh_address(&spec),
        }
    }

    fn remove_address(&mut self, index: usize, address: &Address) {
        if self.is_held_by_another(index, address) {
            return;
        }
        self.pacer.forget(address.address, &address.interface);
        if self.stopping && self.switches.keep_addresses {
            return;
        }
        let Some(spec) = slot::spec(&self.view, address, None) else {
            return;
        };
        self.faults.remove(&spec.key);
        self.kernel.remove_address(&spec);
    }

    /// Whether another router that is MASTER has the address too: a reload moved it there, and
    /// whichever of the two is told first, it stays.
    fn is_held_by_another(&self, index: usize, address: &Address) -> bool {
        let length = |of: &Address| of.peer.map_or(of.prefix, |(_, length)| length);
        let same = |other: &Address| {
            other.address == address.address
                && other.interface == address.interface
                && length(other) == length(address)
        };
        let others = self.slots.iter().enumerate();
        let mut masters =
            others.filter(|(at, slot)| *at != index && slot.router.state() == State::Master);
        masters.any(|(_, slot)| slot::addresses(slot.settings()).any(same))
    }

    fn log_line(&mut self, now: Time, line: &LogLine, cause: Cause) {
        if line.detail() == Detail::Detailed && !self.log.is_detailed() {
            return;
        }
        let text = line.to_string();
        // Changes of state are always told.
        let limited = cause == Cause::Packet
            && !matches!(
                line,
                LogLine::Instance {
                    what: InstanceLine::Entering(_),
                    ..
                }
            );
        if limited && !self.may_log(now, &text) {
            return;
        }
        let level = match line.level() {
            Level::Error => SyslogLevel::Err,
            Level::Warning => SyslogLevel::Warning,
            Level::Notice => SyslogLevel::Notice,
            Level::Info => SyslogLevel::Info,
        };
        self.log.write(Voice::Vrrp, level, &text);
    }

    /// Logs a line that comes as often as the outer world likes.
    pub(super) fn log_limited(&mut self, now: Time, text: &str) {
        if self.may_log(now, text) {
            self.log.info(text);
        }
    }

    fn may_log(&mut self, now: Time, text: &str) -> bool {
        match self.limiter.admit(now, text) {
            Verdict::KeepBack => false,
            Verdict::Pass { suppressed: 0 } => true,
            Verdict::Pass { suppressed } => {
                self.log.info(&format!(
                    "{suppressed} messages like the next one suppressed"
                ));
                true
            }
        }
    }
}

/// Tells a router an event, and the record what came of it.
fn record(recorder: &mut Recorder, slot: &mut Slot, now: Time, event: Event) -> Vec<Action> {
    let router = &mut slot.router;
    let number = *slot
        .recorded
        .get_or_insert_with(|| recorder.router(router.settings()));
    let gone = slot.leaving.is_some() && matches!(event, Event::Stop);
    let masked = recorder.mask(&event);
    router.handle(now, event);
    let did: Vec<Action> = std::iter::from_fn(|| router.poll_action()).collect();
    recorder.told(number, now, masked, &did);
    if gone {
        recorder.gone(number);
    }
    did
}

const fn is_start_fault(line: &LogLine) -> bool {
    matches!(
        line,
        LogLine::Instance {
            what: InstanceLine::StartFault(_),
            ..
        }
    )
}

/// What a trace calls an event: settings and packets carry the password.
const fn kind(event: &Event) -> &'static str {
    match event {
        Event::Start => "start",
        Event::Packet(_) => "packet",
        Event::Timer => "timer",
        Event::LinkUp => "link up",
        Event::LinkDown => "link down",
        Event::Source(_) => "source",
        Event::Script { .. } => "script",
        Event::Tracker { .. } => "tracker",
        Event::Group(_) => "group",
        Event::AddressRemoved(_) => "address removed",
        Event::RouteRemoved => "route removed",
        Event::Reload(_) => "reload",
        Event::Stop => "stop",
    }
}

/// Whether an address is new or held already.
#[derive(Clone, Copy)]
enum Setting {
    New,
    Again,
}
