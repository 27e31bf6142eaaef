//! What trackers of files and processes say, passed on to the routers that name them.

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
