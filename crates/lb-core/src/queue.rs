//! Connections waiting for a free slot.

use std::collections::{BTreeMap, VecDeque};

/// A waiting connection, named by its owner; the pool never looks inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// Any server of the backend.
    Backend,
    /// This very server (a hash chose it, or `retries` returned to it).
    Server(usize),
}

/// How many connections were ahead in each queue when one began to wait: the last two fields of
/// a `tcplog` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Ahead in the server's queue.
    pub server: u32,
    /// Ahead in the backend's queue.
    pub backend: u32,
}

/// All the queues of one backend. A freed slot of a server goes to the oldest of the two heads it
/// may serve, so every entry carries its arrival number.
#[derive(Debug, Default, Clone)]
pub(crate) struct Queues {
    next: u64,
    backend: VecDeque<(u64, Ticket)>,
    servers: Vec<VecDeque<(u64, Ticket)>>,
    place: BTreeMap<Ticket, Waiting>,
}

impl Queues {
    pub(crate) fn new(servers: usize) -> Self {
        Self {
            servers: vec![VecDeque::new(); servers],
            ..Self::default()
        }
    }

    pub(crate) fn backend_len(&self) -> u32 {
        u32::try_from(self.backend.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn server_len(&self, server: usize) -> u32 {
        let len = self.servers.get(server).map_or(0, VecDeque::len);
        u32::try_from(len).unwrap_or(u32::MAX)
    }

    pub(crate) fn push(&mut self, ticket: Ticket, waiting: Waiting) -> Position {
        let number = self.next;
        self.next += 1;
        let mut position = Position::default();
        match waiting {
            Waiting::Backend => {
                position.backend = self.backend_len();
                self.backend.push_back((number, ticket));
            }
            Waiting::Server(server) => {
                position.server = self.server_len(server);
                if let Some(queue) = self.servers.get_mut(server) {
                    queue.push_back((number, ticket));
                }
            }
        }
        self.place.insert(ticket, waiting);
        position
    }

    /// Takes `ticket` out, wherever it waits.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.place.remove(&ticket)?;
        match waiting {
            Waiting::Backend => self.backend.retain(|entry| entry.1 != ticket),
            Waiting::Server(server) => {
                if let Some(queue) = self.servers.get_mut(server) {
                    queue.retain(|entry| entry.1 != ticket);
                }
            }
        }
        Some(waiting)
    }

    /// The oldest connection `server` may serve; the backend's queue counts only if `shared`.
    pub(crate) fn pop_for(&mut self, server: usize, shared: bool) -> Option<(Ticket, Waiting)> {
        let own = self
            .servers
            .get(server)
            .and_then(|queue| queue.front().copied());
        let common = if shared {
            self.backend.front().copied()
        } else {
            None
        };
        let from_own = match (own, common) {
            (None, None) => return None,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(common)) => own.0 < common.0,
        };
        let (ticket, waiting) = if from_own {
            let entry = self.servers.get_mut(server)?.pop_front()?;
            (entry.1, Waiting::Server(server))
        } else {
            let entry = self.backend.pop_front()?;
            (entry.1, Waiting::Backend)
        };
        self.place.remove(&ticket);
        Some((ticket, waiting))
    }

    /// Everybody who waits for `server` alone, oldest first.
    pub(crate) fn drain_server(&mut self, server: usize) -> Vec<Ticket> {
        let Some(queue) = self.servers.get_mut(server) else {
            return Vec::new();
        };
        let tickets: Vec<Ticket> = queue.drain(..).map(|entry| entry.1).collect();
        for ticket in &tickets {
            self.place.remove(ticket);
        }
        tickets
    }

    /// Everybody in the backend's queue, oldest first.
    pub(crate) fn drain_backend(&mut self) -> Vec<Ticket> {
        let tickets: Vec<Ticket> = self.backend.drain(..).map(|entry| entry.1).collect();
        for ticket in &tickets {
            self.place.remove(ticket);
        }
        tickets
    }
}
