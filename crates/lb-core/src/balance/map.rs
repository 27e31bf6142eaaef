//! `balance static-rr` and map-based hashes: a table with one entry per unit of weight.

/// The table, rebuilt whenever the set of usable servers changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    table: Vec<usize>,
    next: usize,
    /// Divides every weight; found once, over the configured weights of all servers.
    divisor: u32,
}

impl Map {
    /// An empty map for servers of these configured weights.
    pub(crate) fn new(weights: impl Iterator<Item = u32>) -> Self {
        Self {
            divisor: weights.fold(0, gcd).max(1),
            ..Self::default()
        }
    }

    /// Rebuilds from `(server, weight)` in the order of the configuration; weights above 0. With
    /// `one_only` the first of them gets everything.
    pub(crate) fn rebuild(&mut self, members: &[(usize, u32)], one_only: bool) {
        self.table.clear();
        if one_only {
            self.table.extend(members.first().map(|member| member.0));
            return;
        }
        let divisor = self.divisor.max(1);
        let weights: Vec<i64> = members
            .iter()
            .map(|member| i64::from(member.1.div_ceil(divisor)))
            .collect();
        let total: i64 = weights.iter().sum();
        let mut score = vec![0_i64; members.len()];
        for _ in 0..total {
            // Everybody earns its weight; who is a full round ahead is preferred, and among equals
            // the first of the configuration, which is why 3/2/1 gives a a b a b c.
            let mut best: Option<(usize, i64)> = None;
            for (index, (earned, weight)) in score.iter_mut().zip(&weights).enumerate() {
                *earned += weight;
                let rank = (*earned + total) / total;
                if best.is_none_or(|(_, highest)| rank > highest) {
                    best = Some((index, rank));
                }
            }
            let Some((index, _)) = best else { break };
            if let Some(earned) = score.get_mut(index) {
                *earned -= total;
            }
            self.table.extend(members.get(index).map(|member| member.0));
        }
    }

    /// The next in turn that has room, rather not `avoid`.
    pub(crate) fn next(
        &mut self,
        has_room: impl Fn(usize) -> bool,
        avoid: Option<usize>,
    ) -> Option<usize> {
        if self.next >= self.table.len() {
            self.next = 0;
        }
        let mut avoided = None;
        for step in 0..self.table.len() {
            let index = (self.next + step) % self.table.len();
            let server = self.table.get(index).copied()?;
            if !has_room(server) {
                continue;
            }
            if Some(server) != avoid {
                self.next = index + 1;
                return Some(server);
            }
            avoided = Some((server, index));
        }
        let (server, index) = avoided?;
        self.next = index + 1;
        Some(server)
    }

    /// The server a hash falls on, full or not.
    pub(crate) fn hashed(&self, hash: u32) -> Option<usize> {
        let size = u32::try_from(self.table.len())
            .ok()
            .filter(|size| *size > 0)?;
        self.table.get(usize::try_from(hash % size).ok()?).copied()
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(members: &[(usize, u32)]) -> String {
        let mut map = Map::new(members.iter().map(|member| member.1));
        map.rebuild(members, false);
        map.table
            .iter()
            .map(|server| char::from(b'a' + u8::try_from(*server).unwrap()))
            .collect()
    }

    #[test]
    fn spreads_as_recorded() {
        assert_eq!(table(&[(0, 3), (1, 2), (2, 1)]), "aababc");
        assert_eq!(table(&[(0, 30), (1, 20), (2, 10)]), "aababc");
        assert_eq!(table(&[(0, 1), (1, 1)]), "ab");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn a_hash_ignores_room() {
        let mut map = Map::default();
        map.rebuild(&[(0, 1), (1, 1), (2, 1)], false);
        // 127.0.0.10 on three servers goes to the third.
        assert_eq!(map.hashed(0x7f00_000a), Some(2));
        map.rebuild(&[], false);
        assert_eq!(map.hashed(1), None);
    }
}
