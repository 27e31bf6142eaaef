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

/// A connection's place in each queue when it left it: the last two fields of a `tcplog` line.
/// Counted as the original does: 1 for who is served first, and one more for each that was served
/// from the same queue in the meantime; 0 where it never waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    /// In the server's queue.
    pub server: u32,
    /// In the backend's queue.
    pub backend: u32,
}

/// A waiting connection: its arrival number over all queues of the backend, and how many its own
/// queue had served when it came.
#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u64,
    served_before: u64,
    ticket: Ticket,
}

#[derive(Debug, Default, Clone)]
struct Queue {
    entries: VecDeque<Entry>,
    served: u64,
}

impl Queue {
    fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    fn place(&self, entry: &Entry) -> u32 {
        u32::try_from(self.served - entry.served_before + 1).unwrap_or(u32::MAX)
    }
}

/// All the queues of one backend. A freed slot of a server goes to the oldest of the two heads it
/// may serve, so every entry carries its arrival number.
#[derive(Debug, Default, Clone)]
pub(crate) struct Queues {
    next: u64,
    backend: Queue,
    servers: Vec<Queue>,
    place: BTreeMap<Ticket, Waiting>,
}

impl Queues {
    pub(crate) fn new(servers: usize) -> Self {
        Self {
            servers: vec![Queue::default(); servers],
            ..Self::default()
        }
    }

    pub(crate) fn backend_len(&self) -> u32 {
        self.backend.len()
    }

    pub(crate) fn server_len(&self, server: usize) -> u32 {
        self.servers.get(server).map_or(0, Queue::len)
    }

    fn queue(&mut self, waiting: Waiting) -> Option<&mut Queue> {
        match waiting {
            Waiting::Backend => Some(&mut self.backend),
            Waiting::Server(server) => self.servers.get_mut(server),
        }
    }

    pub(crate) fn push(&mut self, ticket: Ticket, waiting: Waiting) {
        let number = self.next;
        self.next += 1;
        let Some(queue) = self.queue(waiting) else {
            return;
        };
        queue.entries.push_back(Entry {
            number,
            served_before: queue.served,
            ticket,
        });
        self.place.insert(ticket, waiting);
    }

    /// Takes `ticket` out, wherever it waits.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<(Waiting, Position)> {
        let waiting = self.place.remove(&ticket)?;
        let queue = self.queue(waiting)?;
        let index = queue
            .entries
            .iter()
            .position(|entry| entry.ticket == ticket)?;
        let entry = queue.entries.remove(index)?;
        let place = queue.place(&entry);
        Some((waiting, position(waiting, place)))
    }

    /// The oldest connection `server` may serve; the backend's queue counts only if `shared`.
    pub(crate) fn pop_for(
        &mut self,
        server: usize,
        shared: bool,
    ) -> Option<(Ticket, Waiting, Position)> {
        let head = |queue: &Queue| queue.entries.front().map(|entry| entry.number);
        let own = self.servers.get(server).and_then(head);
        let common = if shared { head(&self.backend) } else { None };
        let waiting = match (own, common) {
            (None, None) => return None,
            (Some(_), None) => Waiting::Server(server),
            (None, Some(_)) => Waiting::Backend,
            (Some(own), Some(common)) if own < common => Waiting::Server(server),
            (Some(_), Some(_)) => Waiting::Backend,
        };
        let queue = self.queue(waiting)?;
        let entry = queue.entries.pop_front()?;
        let place = queue.place(&entry);
        queue.served += 1;
        self.place.remove(&entry.ticket);
        Some((entry.ticket, waiting, position(waiting, place)))
    }

    /// Everybody who waits in one queue, oldest first.
    pub(crate) fn drain(&mut self, waiting: Waiting) -> Vec<(Ticket, Position)> {
        let Some(queue) = self.queue(waiting) else {
            return Vec::new();
        };
        let entries = std::mem::take(&mut queue.entries);
        let left: Vec<_> = entries
            .iter()
            .map(|entry| (entry.ticket, position(waiting, queue.place(entry))))
            .collect();
        for (ticket, _) in &left {
            self.place.remove(ticket);
        }
        left
    }
}

fn position(waiting: Waiting, place: u32) -> Position {
    match waiting {
        Waiting::Backend => Position {
            server: 0,
            backend: place,
        },
        Waiting::Server(_) => Position {
            server: place,
            backend: 0,
        },
    }
}
