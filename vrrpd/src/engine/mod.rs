//! The virtual routers of this host between clock, kernel, network and scripts.
//!
//! Everything here is synchronous and told the time, so the whole daemon but its
//! sockets runs in tests. Whoever drives it, in each turn, hands over what came in
//! (packets, kernel events, script reports), then calls [`Engine::tick`], and
//! sleeps until [`Engine::deadline`].

mod firewall;
mod groups;
mod items;
mod pacer;
mod perform;
mod reload;
mod routing;
mod slot;
mod statics;
mod trackers;
mod vmac;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use keepalived_conf::Config;
use netif::{Change, Event as KernelEvent, Kernel, Link, Operation, Origin, View};
use vrrp_core::settings::TrackerKind;
use vrrp_core::{Duration, Event, Standing, Time};
use vrrp_proto::Datagram;
use vrrp_proto::vrrp::DecodeError;

use self::firewall::Firewall;
use self::groups::Group;
use self::pacer::Pacer;
use self::slot::{Ground, Slot};
use self::statics::Statics;
use self::vmac::Vmacs;
use crate::limit::Limiter;
use crate::log::{Log, Voice};
use crate::notify::Notice;
use crate::record::Recorder;
use crate::script::runner::{Job, Report};
use crate::script::{Due, Tracked};
use crate::wire::{Audience, Endpoint, Wire};

/// Pause before sockets that could not be opened are tried again.
const SOCKET_RETRY: Duration = Duration::from_secs(1);

/// From one look at what the peers say to the next.
const ADVICE_PAUSE: Duration = Duration::from_secs(1);

/// Switches of the command line that reach this deep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    /// `-V`: addresses stay at the stop.
    pub(crate) keep_addresses: bool,
    /// `-a`: every address change is logged.
    pub(crate) monitor_addresses: bool,
}

/// All virtual routers of the daemon.
#[derive(Debug)]
pub(crate) struct Engine<K, W> {
    kernel: K,
    wire: W,
    log: Rc<Log>,
    switches: Switches,
    view: View,
    config: Config,
    slots: Vec<Slot>,
    groups: Vec<Group>,
    /// Whether groups are heard after each event: not while their members start, stop
    /// or get other settings one by one.
    syncing: bool,
    scripts: Vec<Tracked>,
    /// Scripts of tickets below this have been given.
    next_ticket: u64,
    jobs: Vec<Job>,
    notices: Vec<Notice>,
    recorder: Option<Recorder>,
    /// What trackers of files and processes said last.
    standings: BTreeMap<(TrackerKind, String), Standing>,
    limiter: Limiter,
    pacer: Pacer,
    vmacs: Vmacs,
    statics: Statics,
    firewall: Firewall,
    /// When the first router wants to be called; `None` when that has to be looked up:
    /// there are many routers, and most turns concern none of them.
    soonest: Option<Option<Time>>,
    /// Routers stay unborn until then (`vrrp_startup_delay`).
    start_at: Time,
    started: bool,
    stopping: bool,
    /// What the kernel refused last, so that it is told once.
    faults: BTreeMap<netif::AddressKey, netif::Error>,
    /// Requests under way that set an address. Until the last is answered, a removal
    /// that is reported is older than what was asked for, and made good by it.
    setting: BTreeMap<netif::AddressKey, u32>,
}

impl<K: Kernel, W: Wire> Engine<K, W> {
    /// An engine that starts its routers `startup_delay` after `now`, as soon as the
    /// kernel's state is known.
    pub(crate) fn new(
        kernel: K,
        wire: W,
        log: Rc<Log>,
        switches: Switches,
        mut config: Config,
        now: Time,
    ) -> Self {
        vmac::move_addresses(&mut config);
        let mut engine = Self {
            kernel,
            wire,
            log,
            switches,
            view: View::default(),
            slots: config.instances.iter().cloned().map(Slot::new).collect(),
            groups: Vec::new(),
            syncing: true,
            scripts: Vec::new(),
            next_ticket: 0,
            jobs: Vec::new(),
            notices: Vec::new(),
            recorder: None,
            standings: BTreeMap::new(),
            limiter: Limiter::default(),
            pacer: Pacer::default(),
            vmacs: Vmacs::default(),
            statics: Statics::default(),
            firewall: Firewall::default(),
            soonest: None,
            start_at: now + config.global.startup_delay,
            started: false,
            stopping: false,
            faults: BTreeMap::new(),
            setting: BTreeMap::new(),
            config,
        };
        engine.tell_of_tables();
        engine.regroup();
        for def in engine.config.scripts.clone() {
            let tracked = engine.new_script(def, now);
            engine.scripts.push(tracked);
        }
        engine
    }

    pub(crate) const fn kernel_mut(&mut self) -> &mut K {
        &mut self.kernel
    }

    pub(crate) const fn wire_mut(&mut self) -> &mut W {
        &mut self.wire
    }

    /// Whether requests to the kernel are still under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.kernel.is_busy()
    }

    /// Whether the kernel has told its state: from then on the routers run, or wait
    /// for the end of their startup delay.
    pub(crate) fn knows_the_host(&self) -> bool {
        self.view.links().next().is_some()
    }

    /// Runs that are to be started.
    pub(crate) fn take_jobs(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.jobs)
    }

    /// Writes down from now on what the routers are told; none has been told anything yet.
    pub(crate) fn record(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// What scripts and FIFOs are to be told, in order.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// A job could not be handed to the runner.
    pub(crate) fn job_refused(&mut self, job: &Job) {
        if let Some(script) = self.script_of(job.ticket) {
            script.not_started();
        }
    }

    /// When [`Engine::tick`] is wanted next.
    pub(crate) fn deadline(&mut self) -> Option<Time> {
        if !self.started {
            return Some(self.vmacs.waits_until().unwrap_or(self.start_at));
        }
        let scripts = self.scripts.iter().map(Tracked::next).min();
        let first = [
            self.soonest(),
            scripts,
            self.pacer.next(),
            self.vmacs.next(),
            self.firewall.next(),
        ];
        first.into_iter().flatten().min()
    }

    /// When the first router, or its sockets, want something.
    fn soonest(&mut self) -> Option<Time> {
        let slots = &self.slots;
        *self.soonest.get_or_insert_with(|| {
            let routers = slots.iter().filter_map(|slot| {
                let timeout = slot.router.poll_timeout();
                timeout.into_iter().chain(slot.retry).min()
            });
            routers.min()
        })
    }

    /// Packets came in. They go before the clock: after a pause the routers learn
    /// first who is master now.
    pub(crate) fn packets(&mut self, now: Time, packets: Vec<(Endpoint, Datagram)>) {
        for (endpoint, datagram) in packets {
            let Some(index) = self.addressee(endpoint, &datagram) else {
                self.unknown(now, &datagram);
                continue;
            };
            self.handle_packet(now, index, datagram);
        }
    }

    /// The kernel reported something. All that is known is taken in before any of it
    /// is acted upon: an address that went and came back has not gone.
    pub(crate) fn kernel_events(&mut self, now: Time, events: &[KernelEvent]) {
        let mut changes = Vec::new();
        let mut links_done = Vec::new();
        let mut routings_gone = Vec::new();
        let mut guarded = false;
        for event in events {
            if let KernelEvent::Done {
                operation,
                key,
                result,
            } = event
            {
                self.request_done(*operation, *key, result);
            }
            changes.extend(self.view.apply(event));
            match event {
                KernelEvent::RoutingDone { what, set, result } => {
                    self.routing_done(what, *set, result);
                }
                KernelEvent::RoutingGone(what) => routings_gone.push(what),
                KernelEvent::Unleased(reason) => self.unleased(reason),
                KernelEvent::GuardDone { guard, result } => {
                    guarded |= self.guard_done(now, guard, result);
                }
                _ => {}
            }
            if let KernelEvent::LinkDone { link, made, result } = event {
                links_done.push((link, *made, result));
            }
        }
        for change in &changes {
            self.changed(now, change);
        }
        for what in routings_gone {
            self.routing_gone(now, what);
        }
        for (link, made, result) in links_done {
            self.vmac_done(now, link, made, result);
        }
        if guarded {
            self.vmacs_guarded(now);
        }
        if self.started {
            if !changes.is_empty() {
                self.survey(now);
            }
            return;
        }
        if !changes.is_empty() && self.knows_the_host() {
            self.survey_statics();
        }
        self.tick(now);
    }

    /// A script's run ended.
    pub(crate) fn report(&mut self, now: Time, report: &Report) {
        let Some(script) = self.script_of(report.ticket) else {
            return;
        };
        let judged = script.report(report);
        let name = script.def().name.clone();
        for line in judged.lines {
            self.log.info(&line);
        }
        let Some(health) = judged.health else {
            return;
        };
        for index in 0..self.slots.len() {
            self.tell_script(now, index, &name, health);
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Time) {
        if !self.started {
            if now < self.start_at || !self.knows_the_host() {
                return;
            }
            self.survey_vmacs(now);
            if self.vmacs.hold_the_start(now) {
                return;
            }
            self.start(now);
        }
        if self.firewall.next().is_some_and(|retry| retry <= now) {
            self.retry_guard();
        }
        if self.vmacs.next().is_some_and(|retry| retry <= now) {
            self.survey_vmacs(now);
        }
        if self.soonest().is_some_and(|soonest| soonest <= now) {
            self.tick_routers(now);
        }
        for (address, interface) in self.pacer.due(now) {
            self.announce(now, address, &interface);
        }
        self.run_scripts(now);
    }

    fn tick_routers(&mut self, now: Time) {
        let retry_due = |slot: &Slot| slot.retry.is_some_and(|retry| retry <= now);
        if self.slots.iter().any(retry_due) {
            self.survey(now);
        }
        for index in 0..self.slots.len() {
            let due = self
                .slots
                .get(index)
                .and_then(|slot| slot.router.poll_timeout())
                .is_some_and(|timeout| timeout <= now);
            if due {
                self.handle(now, index, Event::Timer);
            }
        }
    }

    /// The daemon ends: priority 0, addresses away. The kernel answers later.
    pub(crate) fn stop(&mut self, now: Time) {
        self.stopping = true;
        self.stop_slots(now);
        self.remove_statics();
        self.update_guard();
        self.remove_vmacs();
    }

    fn start(&mut self, now: Time) {
        self.started = true;
        self.remove_leftovers();
        self.survey_interfaces(now);
        let virtual_addresses = self.virtual_addresses();
        let all: Vec<usize> = (0..self.slots.len()).collect();
        for index in &all {
            self.prepare_slot(now, *index, &virtual_addresses);
        }
        self.start_slots(now, &all);
        self.close_unused();
        for script in 0..self.scripts.len() {
            let known = self
                .scripts
                .get(script)
                .and_then(|script| Some((script.def().name.clone(), script.judgement()?)));
            if let Some((name, health)) = known {
                for index in 0..self.slots.len() {
                    self.tell_script(now, index, &name, health);
                }
            }
        }
    }

    /// What the host has is told before a router starts.
    fn prepare_slot(&mut self, now: Time, index: usize, virtual_addresses: &BTreeSet<IpAddr>) {
        self.survey_slot(now, index, virtual_addresses);
        self.tell_all_trackers(now, index);
    }

    /// Virtual addresses left behind by a daemon that was killed.
    fn remove_leftovers(&mut self) {
        let leftovers: Vec<_> = self
            .slots
            .iter()
            .flat_map(|slot| slot::addresses(slot.settings()))
            .filter_map(|address| slot::spec(&self.view, address, None))
            .filter(|spec| self.view.holds(spec.key))
            .collect();
        self.remove_routes_left_behind();
        for spec in leftovers {
            self.kernel.remove_address(&spec);
        }
    }

    fn run_scripts(&mut self, now: Time) {
        if self.stopping {
            return;
        }
        for script in &mut self.scripts {
            match script.due(now) {
                Due::Nothing => {}
                Due::Skip(line) => self.log.info(&line),
                Due::Run(job) => self.jobs.push(job),
            }
        }
    }

    fn new_script(&mut self, def: keepalived_conf::ScriptDef, now: Time) -> Tracked {
        self.next_ticket += 1;
        Tracked::new(def, self.next_ticket, now)
    }

    fn script_of(&mut self, ticket: u64) -> Option<&mut Tracked> {
        self.scripts
            .iter_mut()
            .find(|script| script.ticket() == ticket)
    }

    fn tell_script(&mut self, now: Time, index: usize, name: &str, health: vrrp_core::Health) {
        let places: Vec<usize> = self
            .slots
            .get(index)
            .map(|slot| {
                let scripts = slot.settings().scripts.iter().enumerate();
                scripts
                    .filter(|(_, script)| script.name == name)
                    .map(|(place, _)| place)
                    .collect()
            })
            .unwrap_or_default();
        for place in places {
            let event = Event::Script {
                index: place,
                health,
            };
            self.handle(now, index, event);
        }
    }

    /// Which router a packet is for.
    fn addressee(&self, endpoint: Endpoint, datagram: &Datagram) -> Option<usize> {
        let vrid = datagram.vrid()?;
        let mut candidates = self.slots.iter().enumerate().filter(|(_, slot)| {
            slot.endpoint == Some(endpoint) && slot.settings().vrid.get() == vrid
        });
        let (first, _) = candidates.clone().next()?;
        candidates
            .find(|(_, slot)| slot.has_peer(datagram.source))
            .map_or(Some(first), |(index, _)| Some(index))
    }

    fn handle_packet(&mut self, now: Time, index: usize, datagram: Datagram) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        // A packet of our own that came back.
        if slot
            .told
            .as_ref()
            .is_some_and(|told| told.source == Some(datagram.source))
        {
            return;
        }
        self.handle_limited(now, index, Event::Packet(datagram));
        self.advise(now, index);
    }

    /// Says what the peers' adverts show to be wrong; looked at once a second at most,
    /// whatever comes in.
    fn advise(&mut self, now: Time, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if slot.advised.is_some_and(|last| now < last + ADVICE_PAUSE) {
            return;
        }
        slot.advised = Some(now);
        let source = slot.told.as_ref().and_then(|told| told.source);
        for line in slot.adviser.look(&slot.router, source) {
            self.log
                .write(Voice::Vrrp, daemonkit::syslog::Level::Warning, &line);
        }
    }

    /// A packet for none of our routers.
    fn unknown(&mut self, now: Time, datagram: &Datagram) {
        let Some(vrid) = datagram.vrid() else {
            let length = datagram.total_len();
            self.log_limited(now, &DecodeError::Truncated { length }.to_string());
            return;
        };
        if self.config.global.log_unknown_vrids {
            let source = datagram.source;
            self.log_limited(now, &format!("Unknown VRID {vrid} received from {source}"));
        }
    }

    fn changed(&mut self, now: Time, change: &Change) {
        match change {
            Change::LinkAppeared(link) => self.log_link(link, "added", None),
            Change::LinkGone(link) => self.log_link(link, "deleted", None),
            Change::LinkChanged { before, after } => {
                self.log_link(after, "", Some(before.is_usable()));
                if after.is_usable() && !before.is_usable() {
                    self.restore_routes(after.index);
                    self.restore_statics(after.index);
                }
            }
            Change::AddressAppeared(address) => self.log_address(address.key, Presence::New),
            Change::AddressGone { key, origin } => {
                self.log_address(*key, Presence::Gone);
                if *origin == Origin::Others {
                    self.address_gone(now, *key);
                }
            }
        }
    }

    fn address_gone(&mut self, now: Time, key: netif::AddressKey) {
        if self.setting.contains_key(&key) || self.view.holds(key) {
            return;
        }
        self.static_address_gone(now, key);
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index) else {
                continue;
            };
            let mine = slot::addresses(&slot.def.settings)
                .filter(|address| !address.flags.no_track)
                .any(|address| {
                    slot::spec(&self.view, address, None).is_some_and(|spec| spec.key == key)
                });
            if mine {
                self.handle(now, index, Event::AddressRemoved(key.addr));
            }
        }
    }

    fn request_done(
        &mut self,
        operation: Operation,
        key: netif::AddressKey,
        result: &Result<(), netif::Error>,
    ) {
        if operation != Operation::Remove
            && let Some(count) = self.setting.get_mut(&key)
        {
            *count -= 1;
            if *count == 0 {
                self.setting.remove(&key);
            }
        }
        let error = match result {
            Ok(()) => {
                self.faults.remove(&key);
                return;
            }
            Err(netif::Error::Superseded) => return,
            Err(error) => error,
        };
        // The same refusal at every refresh is one line.
        if self.faults.insert(key, error.clone()).as_ref() == Some(error) {
            return;
        }
        let verb = match operation {
            Operation::Add => "set",
            Operation::Refresh => "refresh",
            Operation::Remove => "remove",
        };
        let device = self
            .view
            .link(key.ifindex)
            .map_or("?", |link| link.name.as_str());
        self.log.write(
            Voice::Vrrp,
            daemonkit::syslog::Level::Err,
            &format!(
                "Netlink: cannot {verb} {}/{} on {device}: {error}",
                key.addr, key.prefix
            ),
        );
    }

    /// Holds what the host has against what the routers were told.
    fn survey(&mut self, now: Time) {
        if !self.started {
            return;
        }
        self.survey_vmacs(now);
        self.survey_statics();
        let virtual_addresses = self.virtual_addresses();
        for index in 0..self.slots.len() {
            self.survey_slot(now, index, &virtual_addresses);
        }
        self.update_guard();
        self.survey_interfaces(now);
        self.close_unused();
    }

    /// Addresses that come and go with the routers: no advert comes from one.
    fn virtual_addresses(&self) -> BTreeSet<IpAddr> {
        let all = self.slots.iter();
        all.flat_map(|slot| slot::addresses(slot.settings()))
            .map(|address| address.address)
            .collect()
    }

    /// Sockets that no router needs are closed, and the others hear what is for one.
    fn close_unused(&mut self) {
        let mut used: BTreeMap<Endpoint, Audience> = BTreeMap::new();
        for slot in &self.slots {
            let Some(endpoint) = slot.endpoint else {
                continue;
            };
            if self.config.global.log_unknown_vrids {
                used.insert(endpoint, Audience::Everything);
                continue;
            }
            let audience = used
                .entry(endpoint)
                .or_insert_with(|| Audience::Only(BTreeSet::new()));
            if let Audience::Only(vrids) = audience {
                vrids.insert(slot.settings().vrid.get());
            }
        }
        self.wire.keep_only(&used);
    }

    fn survey_slot(&mut self, now: Time, index: usize, virtual_addresses: &BTreeSet<IpAddr>) {
        self.soonest = None;
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let vmac_usable = vmac::macvlans(&slot.def).all(|vmac| {
            let link = self.view.link_by_name(&vmac.name);
            self.vmacs.is_made(&vmac.name) && link.is_some_and(Link::is_usable)
        });
        let link_usable = vmac_usable
            && (slot.settings().interface.is_empty()
                || slot.link(&self.view).is_some_and(Link::is_usable));
        let source = slot.source(&self.view, virtual_addresses);
        let wanted = slot.wanted_endpoint(&self.view, source);
        if wanted != slot.endpoint || slot.retry.is_some() {
            slot.retry = None;
            slot.endpoint = None;
            if let Some(endpoint) = wanted {
                match self.wire.attach(endpoint) {
                    Ok(()) => slot.endpoint = Some(endpoint),
                    Err(error) => {
                        slot.retry = Some(now + SOCKET_RETRY);
                        let line = format!("({}) cannot open sockets: {error}", slot.name());
                        self.log_limited(now, &line);
                    }
                }
            }
        }
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let ground = Ground {
            usable: link_usable && slot.retry.is_none() && !slot.def.peerless,
            source,
        };
        let before = slot.told.replace(ground.clone());
        let source_changed = before
            .as_ref()
            .is_none_or(|old| old.source != ground.source);
        let usable_changed = before.is_none_or(|old| old.usable != ground.usable);
        // A link that is back is told after the address that came with it, a link
        // that went before the address that went with it.
        if usable_changed && !ground.usable {
            self.handle(now, index, Event::LinkDown);
        }
        if source_changed {
            self.handle(now, index, Event::Source(ground.source));
        }
        if usable_changed && ground.usable {
            self.handle(now, index, Event::LinkUp);
        }
    }

    fn log_link(&self, link: &Link, what: &str, was_usable: Option<bool>) {
        let ours = self.slots.iter().any(|slot| slot.watches(&link.name));
        if !ours || !self.started {
            return;
        }
        match was_usable {
            None => self.log.info(&format!("Interface {} {what}", link.name)),
            Some(was) if was != link.is_usable() => {
                let word = if link.is_usable() { "up" } else { "down" };
                self.log
                    .info(&format!("Netlink reports {} {word}", link.name));
            }
            Some(_) => {}
        }
    }

    /// `-a` names every address, `-D` those that are not ours on our interfaces.
    fn log_address(&self, key: netif::AddressKey, presence: Presence) {
        let Some(link) = self.view.link(key.ifindex) else {
            return;
        };
        let (address, device) = (key.addr, &link.name);
        if self.switches.monitor_addresses {
            let what = match presence {
                Presence::New => "added to",
                Presence::Gone => "removed from",
            };
            self.log.info(&format!(
                "Netlink reflector reports IP {address} {what} {device}"
            ));
        }
        let ours = |slot: &Slot| {
            let mut addresses = slot::addresses(slot.settings());
            slot.settings().interface == *device
                && !addresses.any(|virtual_| virtual_.address == address)
        };
        if self.log.is_detailed() && self.slots.iter().any(ours) {
            self.log.info(&match presence {
                Presence::New => format!("Assigned address {address} for interface {device}"),
                Presence::Gone => format!("Deassigned address {address} from interface {device}"),
            });
        }
    }
}

/// Whether an address came or went.
#[derive(Debug, Clone, Copy)]
enum Presence {
    New,
    Gone,
}

#[cfg(test)]
mod tests;
