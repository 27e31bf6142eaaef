//! One coarse timer per connection, in a hierarchical wheel.
//!
//! A connection's deadline moves with every byte, so activity only writes a stamp; the wheel keeps
//! the deadline of the last look. When it fires, the connection computes its real deadline and goes
//! back in if that lies ahead. Entries are linked through an array indexed by the connection's
//! slot: arming, moving and removing are O(1) and allocate nothing.

const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 6;
const NIL: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Node {
    next: u32,
    prev: u32,
    /// List the node is in, `NIL` if none.
    list: u32,
    tick: u64,
}

const FREE: Node = Node {
    next: NIL,
    prev: NIL,
    list: NIL,
    tick: 0,
};

/// Timers in milliseconds of the relay's clock.
#[derive(Debug)]
pub(crate) struct Wheel {
    now: u64,
    heads: Box<[u32]>,
    occupied: [u64; LEVELS],
    nodes: Vec<Node>,
}

impl Wheel {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            now,
            heads: vec![NIL; SLOTS * LEVELS].into_boxed_slice(),
            occupied: [0; LEVELS],
            nodes: Vec::new(),
        }
    }

    /// Rounds a deadline `wait` milliseconds away, so that thousands of idle connections share a
    /// few wake-ups: 1 ms below a second, then about a hundredth of the wait.
    pub(crate) const fn deadline(from: u64, wait: u64) -> u64 {
        let grain = match wait {
            0..1_000 => 1,
            1_000..10_000 => 8,
            10_000..60_000 => 128,
            _ => 512,
        };
        from.saturating_add(wait).next_multiple_of(grain)
    }

    /// Arms the timer of `slot` for `tick`; a tick that has passed fires at the next look.
    pub(crate) fn set(&mut self, slot: u32, tick: u64) {
        let Ok(index) = usize::try_from(slot) else {
            return;
        };
        if self.nodes.len() <= index {
            self.nodes.resize(index + 1, FREE);
        }
        let tick = tick.max(self.now + 1);
        if self
            .nodes
            .get(index)
            .is_some_and(|node| node.list != NIL && node.tick == tick)
        {
            return;
        }
        self.clear(slot);
        self.place(slot, tick);
    }

    /// The tick `slot` is armed for.
    pub(crate) fn armed(&self, slot: u32) -> Option<u64> {
        let node = self.nodes.get(usize::try_from(slot).ok()?)?;
        (node.list != NIL).then_some(node.tick)
    }

    /// Disarms the timer of `slot`.
    pub(crate) fn clear(&mut self, slot: u32) {
        let Some(node) = self.node(slot).copied() else {
            return;
        };
        if node.list == NIL {
            return;
        }
        if node.prev == NIL {
            self.set_head(node.list, node.next);
        } else if let Some(prev) = self.node(node.prev) {
            prev.next = node.next;
        }
        if let Some(next) = self.node(node.next) {
            next.prev = node.prev;
        }
        if let Some(node) = self.node(slot) {
            *node = FREE;
        }
    }

    /// The tick at which [`Wheel::advance`] has something to do, if any timer is armed.
    pub(crate) fn next(&self) -> Option<u64> {
        let mut soonest = None;
        for (level, occupied) in (0_u32..).zip(self.occupied) {
            if occupied == 0 {
                continue;
            }
            // Entries of a level share all higher bits with the present, so the lowest slot is
            // the next one.
            let slot = u64::from(occupied.trailing_zeros());
            let shift = BITS * level;
            let base = (self.now >> shift >> BITS) << BITS;
            let at = (base | slot) << shift;
            soonest = Some(soonest.map_or(at, |best: u64| best.min(at)));
        }
        soonest
    }

    /// Moves to `now` and collects the slots whose timers fire.
    pub(crate) fn advance(&mut self, now: u64, fired: &mut Vec<u32>) {
        while let Some(at) = self.next().filter(|at| *at <= now) {
            self.now = self.now.max(at);
            for level in (0..LEVELS).rev() {
                let shift = BITS * u32::try_from(level).unwrap_or(0);
                if level > 0 && !at.is_multiple_of(1 << shift) {
                    continue;
                }
                let slot = usize::try_from((at >> shift) & (SLOTS as u64 - 1)).unwrap_or(0);
                self.spill(level * SLOTS + slot, at, fired);
            }
        }
        self.now = self.now.max(now);
    }

    /// Empties a list: what is due fires, the rest moves to a finer level.
    fn spill(&mut self, list: usize, at: u64, fired: &mut Vec<u32>) {
        let Some(head) = self.heads.get(list).copied() else {
            return;
        };
        self.set_head(u32::try_from(list).unwrap_or(NIL), NIL);
        let mut slot = head;
        while let Some(node) = self.node(slot).copied() {
            if let Some(node) = self.node(slot) {
                *node = FREE;
            }
            if node.tick <= at {
                fired.push(slot);
            } else {
                self.place(slot, node.tick);
            }
            slot = node.next;
        }
    }

    fn place(&mut self, slot: u32, tick: u64) {
        let horizon = (1_u64 << (BITS * 6)) - 1;
        // Beyond the wheel's horizon it fires early, and its owner arms it again.
        let filed = tick.min(self.now | horizon);
        let differing = (filed ^ self.now) | 1;
        let level = ((63 - differing.leading_zeros()) / BITS).min(5);
        let position = (filed >> (BITS * level)) & (SLOTS as u64 - 1);
        let list = level * (1 << BITS) + u32::try_from(position).unwrap_or(0);
        let head = usize::try_from(list)
            .ok()
            .and_then(|list| self.heads.get(list).copied());
        let head = head.unwrap_or(NIL);
        if let Some(node) = self.node(slot) {
            *node = Node {
                next: head,
                prev: NIL,
                list,
                tick: filed,
            };
        }
        if let Some(next) = self.node(head) {
            next.prev = slot;
        }
        self.set_head(list, slot);
    }

    fn node(&mut self, slot: u32) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(slot).ok()?)
    }

    fn set_head(&mut self, list: u32, slot: u32) {
        let Ok(index) = usize::try_from(list) else {
            return;
        };
        let Some(head) = self.heads.get_mut(index) else {
            return;
        };
        *head = slot;
        if let Some(occupied) = self.occupied.get_mut(index / SLOTS) {
            let bit = 1_u64 << (index % SLOTS);
            if slot == NIL {
                *occupied &= !bit
            } else {
                *occupied |= bit
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fire(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        let mut fired = Vec::new();
        wheel.advance(now, &mut fired);
        fired.sort_unstable();
        fired
    }

    #[test]
    fn fires_at_the_very_tick() {
        for start in [0, 63, 64, 4095, 3_600_000, 3_600_123] {
            for wait in [
                1,
                2,
                63,
                64,
                65,
                1000,
                4096,
                50_000,
                86_400_000,
                2_147_483_647,
            ] {
                let mut wheel = Wheel::new(start);
                wheel.set(3, start + wait);
                assert_eq!(
                    fire(&mut wheel, start + wait - 1),
                    [],
                    "start {start} wait {wait}"
                );
                assert!(wheel.next().is_some_and(|next| next <= start + wait));
                assert_eq!(
                    fire(&mut wheel, start + wait),
                    [3],
                    "start {start} wait {wait}"
                );
                assert_eq!(wheel.next(), None);
            }
        }
    }

    #[test]
    fn moves_and_removes() {
        let mut wheel = Wheel::new(100);
        for slot in 0..10 {
            wheel.set(slot, 200);
        }
        wheel.clear(0);
        wheel.clear(9);
        wheel.clear(5);
        wheel.set(4, 150);
        wheel.set(3, 5_000);
        assert_eq!(wheel.armed(5), None);
        assert_eq!(wheel.armed(3), Some(5_000));
        assert_eq!(fire(&mut wheel, 150), [4]);
        assert_eq!(fire(&mut wheel, 1_000), [1, 2, 6, 7, 8]);
        wheel.set(1, 7);
        assert_eq!(
            fire(&mut wheel, 1_001),
            [1],
            "a tick that has passed fires next"
        );
        assert_eq!(fire(&mut wheel, 100_000), [3]);
    }

    #[test]
    fn agrees_with_a_sorted_list() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut wheel = Wheel::new(1_000);
        let mut model: Vec<Option<u64>> = vec![None; 64];
        let mut now = 1_000;
        for _ in 0..20_000 {
            let slot = usize::try_from(draw(64)).unwrap();
            let exponent = draw(20);
            match draw(4) {
                0 => {
                    wheel.clear(u32::try_from(slot).unwrap());
                    model[slot] = None;
                }
                1 => {
                    now += draw(1 << exponent);
                    let mut due: Vec<u32> = Vec::new();
                    for (slot, tick) in (0..).zip(&mut model) {
                        if tick.is_some_and(|tick| tick <= now) {
                            *tick = None;
                            due.push(slot);
                        }
                    }
                    assert_eq!(fire(&mut wheel, now), due, "at {now}");
                }
                _ => {
                    let tick = now + 1 + draw(1 << exponent);
                    wheel.set(u32::try_from(slot).unwrap(), tick);
                    model[slot] = Some(tick);
                }
            }
        }
    }

    #[test]
    fn deadlines_are_rounded_up_and_only_a_little() {
        for (wait, slack) in [(300, 0), (5_000, 7), (50_000, 127), (3_600_000, 511)] {
            for from in 3_600_000..3_600_600 {
                let deadline = Wheel::deadline(from, wait);
                assert!((from + wait..=from + wait + slack).contains(&deadline));
            }
        }
    }
}
