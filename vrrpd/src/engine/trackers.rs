//! What trackers say, passed on to the routers that name them. Trackers of interfaces
//! are the engine's own.

use std::collections::BTreeSet;

use netif::Kernel;
use vrrp_core::settings::TrackerKind;
use vrrp_core::{Event, Standing, Time};

use super::Engine;
use crate::wire::Wire;

impl<K: Kernel, W: Wire> Engine<K, W> {
    /// A tracker stands so from now on. It may be told before the routers start.
    pub(crate) fn tracker(&mut self, now: Time, kind: TrackerKind, name: &str, standing: Standing) {
        self.standings.insert((kind, name.to_owned()), standing);
        for index in 0..self.slots.len() {
            self.tell_tracker(now, index, kind, name, standing);
        }
    }

    /// How the tracked interfaces stand; one that is missing is down.
    pub(super) fn survey_interfaces(&mut self, now: Time) {
        for (name, standing) in self.changed_interfaces() {
            self.tracker(now, TrackerKind::Interface, &name, standing);
        }
    }

    /// The same while routers still have settings of before a reload: those that
    /// changed are told of all their trackers then.
    pub(super) fn note_interfaces(&mut self) {
        for (name, standing) in self.changed_interfaces() {
            let key = (TrackerKind::Interface, name);
            self.standings.insert(key, standing);
        }
    }

    fn changed_interfaces(&self) -> Vec<(String, Standing)> {
        let trackers = self.slots.iter().flat_map(|slot| &slot.settings().trackers);
        let tracked: BTreeSet<&str> = trackers
            .filter(|tracker| tracker.kind == TrackerKind::Interface)
            .map(|tracker| tracker.name.as_str())
            .collect();
        let stands = |name: &str| match self.view.link_by_name(name) {
            Some(link) if link.is_usable() => Standing::Up,
            Some(_) | None => Standing::Down,
        };
        tracked
            .into_iter()
            .map(|name| (name.to_owned(), stands(name)))
            .filter(|(name, standing)| {
                let known = self.standings.get(&(TrackerKind::Interface, name.clone()));
                known != Some(standing)
            })
            .collect()
    }

    /// What is known of all trackers, for a router that is new or has other settings.
    pub(super) fn tell_all_trackers(&mut self, now: Time, index: usize) {
        for ((kind, name), standing) in self.standings.clone() {
            self.tell_tracker(now, index, kind, &name, standing);
        }
    }

    fn tell_tracker(
        &mut self,
        now: Time,
        index: usize,
        kind: TrackerKind,
        name: &str,
        standing: Standing,
    ) {
        let places: Vec<usize> = self
            .slots
            .get(index)
            .map(|slot| {
                let trackers = slot.settings().trackers.iter().enumerate();
                trackers
                    .filter(|(_, tracker)| tracker.kind == kind && tracker.name == name)
                    .map(|(place, _)| place)
                    .collect()
            })
            .unwrap_or_default();
        for place in places {
            let event = Event::Tracker {
                index: place,
                standing,
            };
            self.handle(now, index, event);
        }
    }
}
