//! How everything stands, for the dumps.

use std::time::SystemTime;

use keepalived_conf::{Config, NotifyDef};
use netif::{Kernel, Link, View};
use vrrp_core::settings::{Sense, Track, TrackerKind};
use vrrp_core::{Counters, Health, Notification, Standing, State, Time};

use super::groups::Group;
use super::slot::Slot;
use super::{Engine, Tracked};
use crate::dump::{self, Item};
use crate::notify::{Notice, Occasion, Party};
use crate::wire::Wire;

impl<K: Kernel, W: Wire> Engine<K, W> {
    /// The configuration in force.
    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    /// Links and addresses as last heard of.
    pub(crate) const fn view(&self) -> &View {
        &self.view
    }

    /// The scripts.
    pub(crate) fn scripts(&self) -> impl Iterator<Item = &Tracked> {
        self.scripts.iter()
    }

    /// How the sync groups stand, in the configuration's order.
    pub(crate) fn group_states(&self) -> impl Iterator<Item = State> {
        self.groups.iter().map(Group::state)
    }

    /// How a tracker stands, as far as it has been told.
    pub(crate) fn standing(&self, kind: TrackerKind, name: &str) -> Option<Standing> {
        self.standings.get(&(kind, name.to_owned())).copied()
    }

    /// Counters begin anew.
    pub(crate) fn clear_counters(&mut self) {
        for slot in &mut self.slots {
            slot.cleared = *slot.router.counters();
        }
    }

    /// Has the FIFOs told once more how everything stands: the groups first, as at a start.
    pub(crate) fn repeat_states(&mut self) {
        let groups = self.groups.iter().map(|group| {
            let party = Party::Group(group.name().to_owned());
            (party, group.state(), 0)
        });
        let slots = self.slots.iter().map(|slot| {
            let party = Party::Instance(slot.name().to_owned());
            let router = &slot.router;
            (party, router.state(), router.effective_priority())
        });
        for (party, state, priority) in groups.chain(slots) {
            let Some(occasion) = Occasion::of(Notification::Entered(state)) else {
                continue;
            };
            self.notices.push(Notice {
                party,
                // No script is run again for it.
                orders: NotifyDef::default(),
                occasion,
                priority,
            });
        }
    }

    /// The virtual routers, in the configuration's order; `now` is both clocks at once.
    pub(crate) fn items(&self, now: (Time, SystemTime)) -> impl Iterator<Item = Item<'_>> {
        self.slots.iter().map(move |slot| self.item(slot, now))
    }

    fn item<'a>(&'a self, slot: &'a Slot, (now, wall): (Time, SystemTime)) -> Item<'a> {
        let settings = slot.settings();
        let judged: Vec<(Sense, Option<Health>)> = settings
            .scripts
            .iter()
            .filter(|script| script.weight == 0)
            .map(|script| {
                // What `init_fail` judges beforehand is shown as no result yet.
                let mut all = self.scripts.iter();
                let heard = all.any(|it| it.def().name == script.name && it.has_result());
                let health = self.script_named(&script.name).filter(|_| heard);
                (script.sense, health)
            })
            .collect();
        let bad = |(sense, health): &(Sense, Option<Health>)| match sense {
            Sense::Normal => *health == Some(Health::Down),
            Sense::Reverse => *health == Some(Health::Up),
        };
        let link_down = settings.track_link == Track::Yes
            && !settings.interface.is_empty()
            && !slot.link(&self.view).is_some_and(Link::is_usable);
        let source = slot.told.as_ref().and_then(|told| told.source);
        let commands = settings.scripts.iter().filter_map(|script| {
            let mut all = self.scripts.iter();
            let tracked = all.find(|tracked| tracked.def().name == script.name)?;
            Some(dump::command(&tracked.def().argv))
        });
        Item {
            router: &slot.router,
            def: &slot.def,
            counters: since(slot.router.counters(), &slot.cleared),
            transition: slot.transition,
            timeout: slot
                .router
                .poll_timeout()
                .map(|timeout| wall + timeout.since(now).to_std()),
            source,
            faults: usize::from(link_down)
                + usize::from(source.is_none())
                + judged.iter().filter(|script| bad(script)).count(),
            undecided: judged.iter().filter(|(_, health)| health.is_none()).count(),
            commands: commands.collect(),
            link: match &slot.def.vmac {
                Some(vmac) => self.view.link_by_name(&vmac.name),
                None => slot.link(&self.view),
            },
            group: slot
                .group
                .and_then(|at| self.groups.get(at))
                .map(Group::name),
        }
    }

    fn script_named(&self, name: &str) -> Option<Health> {
        let mut all = self.scripts.iter();
        all.find(|tracked| tracked.def().name == name)?.judgement()
    }
}

/// What was counted between the two.
const fn since(now: &Counters, then: &Counters) -> Counters {
    Counters {
        advert_received: now.advert_received.saturating_sub(then.advert_received),
        advert_sent: now.advert_sent.saturating_sub(then.advert_sent),
        become_master: now.become_master.saturating_sub(then.become_master),
        release_master: now.release_master.saturating_sub(then.release_master),
        packet_length_errors: now
            .packet_length_errors
            .saturating_sub(then.packet_length_errors),
        checksum_errors: now.checksum_errors.saturating_sub(then.checksum_errors),
        version_errors: now.version_errors.saturating_sub(then.version_errors),
        interval_errors: now.interval_errors.saturating_sub(then.interval_errors),
        ttl_errors: now.ttl_errors.saturating_sub(then.ttl_errors),
        invalid_type: now.invalid_type.saturating_sub(then.invalid_type),
        address_list_errors: now
            .address_list_errors
            .saturating_sub(then.address_list_errors),
        invalid_auth_type: now.invalid_auth_type.saturating_sub(then.invalid_auth_type),
        auth_type_mismatch: now
            .auth_type_mismatch
            .saturating_sub(then.auth_type_mismatch),
        auth_failures: now.auth_failures.saturating_sub(then.auth_failures),
        source_errors: now.source_errors.saturating_sub(then.source_errors),
        priority_zero_received: now
            .priority_zero_received
            .saturating_sub(then.priority_zero_received),
        priority_zero_sent: now
            .priority_zero_sent
            .saturating_sub(then.priority_zero_sent),
    }
}
