//! `balance roundrobin`: smooth weighted turns whose weights may change at any moment.
//!
//! Time is counted in turns. A server of weight w in a ring of total weight W wants a turn every
//! W / w turns; the remainder of that division is carried along, so nobody drifts. Servers that
//! have had their first turn of the round wait at their next place ([`Lane::Placed`]); the others
//! wait as newcomers, heaviest first, and fill the turns nobody placed claims. A server whose next
//! place lies beyond the round's window waits for the next round.
//!
//! Scales and rounding are part of the contract: they decide the very order of connections, which
//! `tests/golden.rs` compares with the original's.

use std::collections::BTreeSet;

use crate::server::{MAX_EFFECTIVE, MAX_WEIGHT, WEIGHT_SCALE};

/// Order within a lane: key first, then arrival, then the server.
type Slot = (u64, u64, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Lane {
    /// Not in the ring.
    #[default]
    Out,
    /// Has not had a turn in this round.
    Newcomer(u64, u64),
    /// Waits for its place in this round.
    Placed(u64, u64),
    /// Waits for the next round.
    Later(u64, u64),
}

#[derive(Debug, Clone, Copy, Default)]
struct Seat {
    lane: Lane,
    /// Effective weight the ring's totals contain; 0 when out.
    weight: u64,
    /// Its last and its next turn; 0 = never placed.
    last: u64,
    next: u64,
    /// Remainder carried from one division to the next, below `weight`.
    carry: u64,
}

/// The turns of one group of servers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ring {
    seats: Vec<Seat>,
    newcomers: BTreeSet<Slot>,
    placed: BTreeSet<Slot>,
    later: BTreeSet<Slot>,
    arrivals: u64,
    /// The turn about to be given.
    turn: u64,
    /// Total weight at the start of this round, and as it is now.
    round_weight: u64,
    weight: u64,
}

impl Ring {
    /// A ring with room for `servers`, nobody in it.
    pub(crate) fn new(servers: usize) -> Self {
        Self {
            seats: vec![Seat::default(); servers],
            ..Self::default()
        }
    }

    pub(crate) const fn total_weight(&self) -> u64 {
        self.weight
    }

    /// Puts a server in before the first turn.
    pub(crate) fn seed(&mut self, server: usize, weight: u32) {
        let weight = u64::from(weight);
        self.weight += weight;
        self.round_weight = self.weight;
        self.turn = self.weight;
        if let Some(seat) = self.seats.get_mut(server) {
            seat.weight = weight;
        }
        self.enter_newcomers(server);
    }

    /// Sets a server's effective weight; 0 takes it out.
    pub(crate) fn set_weight(&mut self, server: usize, weight: u32) {
        let weight = u64::from(weight);
        let Some(seat) = self.seats.get(server).copied() else {
            return;
        };
        if seat.weight == weight {
            return;
        }
        self.weight = self.weight - seat.weight + weight;
        if weight == 0 {
            self.leave(server);
            self.edit(server, |seat| seat.weight = 0);
            return;
        }
        self.edit(server, |seat| seat.weight = weight);
        if seat.weight == 0 {
            // Back in service: its first turn comes one share of what is left of this round and
            // of the whole next one later, so that it neither starves nor floods.
            let next = self.turn
                + (self.weight + self.round_weight
                    - self.turn.min(self.round_weight + self.weight))
                    / weight;
            self.edit(server, |seat| seat.next = next);
            self.enter(server);
            return;
        }
        self.leave(server);
        match seat.lane {
            Lane::Newcomer(..) => self.enter_newcomers(server),
            Lane::Out | Lane::Placed(..) | Lane::Later(..) => {
                let step = self.weight / weight;
                let mut next = (seat.last + step).min(seat.next);
                if next < self.turn + 2 {
                    next = self.turn + step;
                }
                self.edit(server, |seat| {
                    seat.next = next;
                    seat.carry = 0;
                });
                self.enter(server);
            }
        }
    }

    /// Gives the next turn to a server that has room, rather not to `avoid`.
    pub(crate) fn pick(
        &mut self,
        has_room: impl Fn(usize) -> bool,
        avoid: Option<usize>,
    ) -> Option<usize> {
        let mut new_round = false;
        let mut avoided = None;
        let mut passed: Vec<usize> = Vec::new();
        let chosen = loop {
            if self.round_weight == 0 {
                self.round_weight = self.weight;
                self.turn = self.weight;
            }
            let Some(server) = self.candidate() else {
                if new_round {
                    break avoided;
                }
                new_round = true;
                self.start_round();
                continue;
            };
            self.advance(server);
            self.leave(server);
            self.turn += 1;
            if has_room(server) {
                if Some(server) != avoid || avoided.is_some() {
                    break Some(server);
                }
                avoided = Some(server);
            }
            passed.push(server);
        };
        if let Some(server) = chosen {
            self.enter(server);
        }
        for server in passed.into_iter().rev() {
            if Some(server) == chosen {
                continue;
            }
            // Those passed over wait as if they had been served; once the round has changed their
            // place means nothing any more.
            if new_round {
                self.enter_newcomers(server);
            } else {
                self.enter(server);
            }
        }
        self.check_invariants();
        chosen
    }

    /// Whose turn it is: the first placed server that is due, else a newcomer, else the first
    /// placed one ahead of its time.
    fn candidate(&mut self) -> Option<usize> {
        let placed = self.placed.first().map(|slot| slot.2);
        let due = placed.filter(|server| {
            self.seats
                .get(*server)
                .is_some_and(|seat| seat.next <= self.turn)
        });
        if due.is_some() {
            return due;
        }
        if let Some(server) = self.newcomers.first().map(|slot| slot.2) {
            self.edit(server, |seat| {
                seat.next = 0;
                seat.carry = 0;
            });
            return Some(server);
        }
        placed
    }

    /// Moves a server that got its turn to its next place.
    fn advance(&mut self, server: usize) {
        let (turn, total) = (self.turn, self.weight);
        self.edit(server, |seat| {
            if seat.next == 0 {
                seat.next = turn;
            }
            let weight = seat.weight.max(1);
            seat.last = seat.next;
            seat.next += total / weight;
            seat.carry += total % weight;
            if seat.carry >= weight {
                seat.carry -= weight;
                seat.next += 1;
            }
        });
    }

    fn start_round(&mut self) {
        std::mem::swap(&mut self.newcomers, &mut self.later);
        for slot in &self.newcomers {
            if let Some(seat) = self.seats.get_mut(slot.2) {
                seat.lane = Lane::Newcomer(slot.0, slot.1);
            }
        }
        for slot in &self.later {
            if let Some(seat) = self.seats.get_mut(slot.2) {
                seat.lane = Lane::Later(slot.0, slot.1);
            }
        }
        self.round_weight = self.weight;
        self.turn = self.weight;
    }

    /// Queues a server that is in no lane by its next place.
    fn enter(&mut self, server: usize) {
        let Some(seat) = self.seats.get(server).copied() else {
            return;
        };
        if seat.weight == 0 {
            return;
        }
        self.arrivals += 1;
        let arrival = self.arrivals;
        if seat.next >= 2 * self.round_weight || seat.next >= self.round_weight + self.weight {
            let key = heaviest_first(seat.weight);
            self.later.insert((key, arrival, server));
            let window = self.round_weight;
            self.edit(server, |seat| {
                seat.next = seat.next.saturating_sub(window);
                seat.lane = Lane::Later(key, arrival);
            });
            return;
        }
        // Among servers due at the same turn the heavier goes first.
        let key = u64::from(MAX_WEIGHT) * seat.next
            + (u64::from(MAX_EFFECTIVE) + seat.carry - seat.weight) / u64::from(WEIGHT_SCALE);
        self.placed.insert((key, arrival, server));
        self.edit(server, |seat| seat.lane = Lane::Placed(key, arrival));
    }

    fn enter_newcomers(&mut self, server: usize) {
        let Some(weight) = self.seats.get(server).map(|seat| seat.weight) else {
            return;
        };
        if weight == 0 {
            return;
        }
        self.arrivals += 1;
        let (key, arrival) = (heaviest_first(weight), self.arrivals);
        self.newcomers.insert((key, arrival, server));
        self.edit(server, |seat| seat.lane = Lane::Newcomer(key, arrival));
    }

    fn leave(&mut self, server: usize) {
        let Some(seat) = self.seats.get_mut(server) else {
            return;
        };
        match std::mem::take(&mut seat.lane) {
            Lane::Out => false,
            Lane::Newcomer(key, arrival) => self.newcomers.remove(&(key, arrival, server)),
            Lane::Placed(key, arrival) => self.placed.remove(&(key, arrival, server)),
            Lane::Later(key, arrival) => self.later.remove(&(key, arrival, server)),
        };
    }

    fn edit(&mut self, server: usize, change: impl FnOnce(&mut Seat)) {
        if let Some(seat) = self.seats.get_mut(server) {
            change(seat);
        }
    }

    /// Every server with weight waits in exactly one lane, and the totals agree.
    fn check_invariants(&self) {
        if cfg!(debug_assertions) {
            let seated = self.newcomers.len() + self.placed.len() + self.later.len();
            let weighty = self.seats.iter().filter(|seat| seat.weight > 0).count();
            debug_assert_eq!(seated, weighty, "a server with weight is lost or doubled");
            let sum: u64 = self.seats.iter().map(|seat| seat.weight).sum();
            debug_assert_eq!(sum, self.weight, "the ring's total weight drifted");
        }
    }
}

fn heaviest_first(weight: u64) -> u64 {
    u64::from(MAX_EFFECTIVE).saturating_sub(weight)
}
