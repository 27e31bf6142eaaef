//! The algorithms behind one door.

mod least;
mod map;
mod ring;

use crate::server::Server;
use least::Least;
use map::Map;
use ring::Ring;

/// `balance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// `roundrobin`: smooth, weights can change at run time.
    #[default]
    RoundRobin,
    /// `static-rr`: a fixed map, only weights 0 % and 100 % at run time.
    StaticRoundRobin,
    /// `leastconn`: fewest connections per unit of weight, ties in turn.
    LeastConnections,
    /// `first`: the lowest id that has a free slot.
    First,
    /// `source`: hash of the client address over the map (`hash-type map-based`).
    Source,
}

impl Algorithm {
    /// Whether weights may take any value at run time.
    #[must_use]
    pub const fn is_dynamic(self) -> bool {
        match self {
            Self::RoundRobin | Self::LeastConnections | Self::First => true,
            Self::StaticRoundRobin | Self::Source => false,
        }
    }

    /// Whether any server is as good as any other, so that a failed connection may move on at once.
    #[must_use]
    pub const fn takes_turns(self) -> bool {
        match self {
            Self::RoundRobin | Self::StaticRoundRobin | Self::LeastConnections | Self::First => {
                true
            }
            Self::Source => false,
        }
    }
}

/// Which servers take connections now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Those that are no backups.
    Active,
    /// The first usable backup alone.
    OneBackup(usize),
    /// All backups (`option allbackups`).
    Backups,
    /// None is usable.
    Nobody,
}

/// An algorithm with its state.
#[derive(Debug, Clone)]
pub(crate) enum Balancer {
    RoundRobin { active: Ring, backups: Ring },
    Mapped { map: Map, stale: bool, hashed: bool },
    Least { active: Least, backups: Least },
    First { order: Vec<usize> },
}

impl Balancer {
    pub(crate) fn new(algorithm: Algorithm, servers: &[Server]) -> Self {
        let count = servers.len();
        let seats = || {
            servers
                .iter()
                .enumerate()
                .filter(|(_, server)| server.usable())
        };
        match algorithm {
            Algorithm::RoundRobin => {
                let (mut active, mut backups) = (Ring::new(count), Ring::new(count));
                for (index, server) in seats() {
                    let ring = if server.backup {
                        &mut backups
                    } else {
                        &mut active
                    };
                    ring.seed(index, server.effective);
                }
                Self::RoundRobin { active, backups }
            }
            Algorithm::StaticRoundRobin | Algorithm::Source => Self::Mapped {
                map: Map::new(servers.iter().map(|server| server.weight)),
                stale: true,
                hashed: algorithm == Algorithm::Source,
            },
            Algorithm::LeastConnections => {
                let (mut active, mut backups) = (Least::new(count), Least::new(count));
                for (index, server) in seats() {
                    let least = if server.backup {
                        &mut backups
                    } else {
                        &mut active
                    };
                    least.set(index, server.effective, 0);
                }
                Self::Least { active, backups }
            }
            Algorithm::First => {
                let mut order: Vec<usize> = (0..count).collect();
                order.sort_by_key(|index| servers.get(*index).map_or(u32::MAX, |server| server.id));
                Self::First { order }
            }
        }
    }

    /// `server`'s weight or usability may have changed.
    pub(crate) fn state_changed(&mut self, index: usize, server: &Server) {
        let weight = if server.usable() { server.effective } else { 0 };
        match self {
            Self::RoundRobin { active, backups } => {
                let ring = if server.backup { backups } else { active };
                ring.set_weight(index, weight);
            }
            Self::Mapped { stale, .. } => *stale = true,
            Self::Least { active, backups } => {
                let least = if server.backup { backups } else { active };
                least.set(index, weight, server.served.saturating_add(server.queued));
            }
            Self::First { .. } => {}
        }
    }

    /// `server` took or gave back a connection, or its queue changed.
    pub(crate) fn load_changed(&mut self, index: usize, server: &Server) {
        if let Self::Least { .. } = self {
            self.state_changed(index, server);
        }
    }

    /// Whether a connection that finds somebody waiting for any server has to wait as well.
    pub(crate) const fn respects_backend_queue(&self) -> bool {
        match self {
            Self::RoundRobin { .. } | Self::First { .. } => true,
            Self::Mapped { hashed, .. } => !*hashed,
            Self::Least { .. } => false,
        }
    }

    pub(crate) fn pick(
        &mut self,
        group: Group,
        servers: &[Server],
        has_room: impl Fn(usize) -> bool,
        avoid: Option<usize>,
        source: Option<u32>,
    ) -> Option<usize> {
        match (self, group) {
            (_, Group::Nobody) => None,
            (Self::Mapped { map, stale, hashed }, _) => {
                if *stale {
                    *stale = false;
                    map.rebuild(
                        &members(group, servers),
                        matches!(group, Group::OneBackup(_)),
                    );
                }
                match source {
                    Some(hash) if *hashed => map.hashed(hash),
                    Some(_) | None => map.next(has_room, avoid),
                }
            }
            (_, Group::OneBackup(server)) => Some(server),
            (Self::RoundRobin { active, .. }, Group::Active) => active.pick(has_room, avoid),
            (Self::RoundRobin { backups, .. }, Group::Backups) => backups.pick(has_room, avoid),
            (Self::Least { active, .. }, Group::Active) => active.pick(has_room, avoid),
            (Self::Least { backups, .. }, Group::Backups) => backups.pick(has_room, avoid),
            (Self::First { order }, Group::Active | Group::Backups) => {
                let of_group = |index: &usize| {
                    servers.get(*index).is_some_and(|server| {
                        server.usable() && server.backup == (group == Group::Backups)
                    })
                };
                let mut free = order
                    .iter()
                    .copied()
                    .filter(|i| of_group(i) && has_room(*i));
                let first = free.next()?;
                if Some(first) == avoid {
                    free.next().or(Some(first))
                } else {
                    Some(first)
                }
            }
        }
    }

    /// Sum of the effective weights of the group in use.
    pub(crate) fn total_weight(&self, group: Group, servers: &[Server]) -> u64 {
        if let (Self::RoundRobin { active, .. }, Group::Active) = (self, group) {
            return active.total_weight();
        }
        members(group, servers)
            .iter()
            .filter_map(|(index, _)| servers.get(*index))
            .map(|server| u64::from(server.effective))
            .sum()
    }
}

/// `(server, configured weight)` of a group, in the order of the configuration.
fn members(group: Group, servers: &[Server]) -> Vec<(usize, u32)> {
    let usable = servers
        .iter()
        .enumerate()
        .filter(|(_, server)| server.usable());
    match group {
        Group::Nobody => Vec::new(),
        Group::OneBackup(index) => usable
            .filter(|(i, _)| *i == index)
            .map(|(i, server)| (i, server.weight))
            .collect(),
        Group::Active => usable
            .filter(|(_, server)| !server.backup)
            .map(|(i, server)| (i, server.weight))
            .collect(),
        Group::Backups => usable
            .filter(|(_, server)| server.backup)
            .map(|(i, server)| (i, server.weight))
            .collect(),
    }
}
