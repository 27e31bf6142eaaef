//! `balance leastconn`: fewest connections per unit of weight, ties in turn.

use std::collections::BTreeSet;

use crate::server::MAX_EFFECTIVE;

/// Usable servers ordered by load; equal loads in the order they reached it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Least {
    order: BTreeSet<(u64, u64, usize)>,
    place: Vec<Option<(u64, u64)>>,
    arrivals: u64,
}

impl Least {
    pub(crate) fn new(servers: usize) -> Self {
        Self {
            place: vec![None; servers],
            ..Self::default()
        }
    }

    /// Files `server` under its load; weight 0 takes it out. `busy` counts connections served and
    /// waiting.
    pub(crate) fn set(&mut self, server: usize, weight: u32, busy: u32) {
        let Some(place) = self.place.get_mut(server) else {
            return;
        };
        let key = (weight > 0).then(|| {
            if busy == 0 {
                0
            } else {
                (u64::from(busy) + 1) * u64::from(MAX_EFFECTIVE) / u64::from(weight)
            }
        });
        if let Some((old, arrival)) = *place {
            // Unchanged load keeps its place in the line of equals.
            if Some(old) == key {
                return;
            }
            self.order.remove(&(old, arrival, server));
            *place = None;
        }
        if let Some(key) = key {
            self.arrivals += 1;
            *place = Some((key, self.arrivals));
            self.order.insert((key, self.arrivals, server));
        }
    }

    /// The least loaded with room, rather not `avoid`.
    pub(crate) fn pick(
        &self,
        has_room: impl Fn(usize) -> bool,
        avoid: Option<usize>,
    ) -> Option<usize> {
        let mut avoided = None;
        for slot in &self.order {
            if !has_room(slot.2) {
                continue;
            }
            if Some(slot.2) != avoid {
                return Some(slot.2);
            }
            avoided = Some(slot.2);
        }
        avoided
    }
}
