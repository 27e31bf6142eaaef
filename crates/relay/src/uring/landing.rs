//! From the ring to epoll, for good.

use std::os::fd::OwnedFd;

use osys::ring::Buffer;
use rustix::io::ioctl_fionbio;

use super::{Air, REST};
use crate::connection::Connection;
use crate::record::Cause;
use crate::session::{Direction, Event, Flow, Phase, Side};
use crate::shared::Token;
use crate::worker::Worker;

impl Worker {
    /// Its timer fired: whoever has been waiting for a while does so with epoll, and whatever is
    /// overdue is dealt with there.
    pub(crate) fn look_at_flight(&mut self, token: Token) {
        let now = self.now;
        let due = |entry: &mut Connection| {
            entry.dawdles()
                || entry.stamps.client.max(entry.stamps.server) + REST <= now
                || entry.stamps.expires.is_some_and(|at| at.get() <= now)
                || entry.overdue(now).is_some()
        };
        if self.connection(token).is_some_and(due) {
            self.begin_landing(token);
            if let Some(ring) = &mut self.ring {
                ring.shrink();
            }
        }
    }

    /// Sessions that wait for a slot or an attempt do so with epoll.
    pub(crate) fn land_if_waiting(&mut self, token: Token) {
        if self.ring.is_none() {
            return;
        }
        let waits = |entry: &mut Connection| {
            entry.air.is_some() && matches!(entry.session.phase, Phase::Waiting | Phase::Pausing)
        };
        if self.connection(token).is_some_and(waits) {
            self.begin_landing(token);
        }
    }

    /// Closes a server connection that the session drops before its own end.
    pub(crate) fn close_server(&mut self, token: Token, fd: OwnedFd) {
        if self
            .connection(token)
            .is_none_or(|entry| entry.air.is_none())
        {
            return;
        }
        self.begin_landing(token);
        if let Some(ring) = &mut self.ring {
            ring.close(fd);
        }
    }

    pub(super) fn begin_landing(&mut self, token: Token) {
        let Some(slot) = usize::try_from(token.slot).ok() else {
            return;
        };
        let air = self
            .connections
            .get_mut(slot)
            .filter(|entry| entry.generation == token.generation)
            .and_then(|entry| entry.air.as_deref_mut());
        let Some((air, ring)) = air.zip(self.ring.as_mut()) else {
            return;
        };
        if !air.landing {
            air.landing = true;
            air.cancel(ring);
        }
        self.try_to_land(token);
    }

    pub(super) fn try_to_land(&mut self, token: Token) {
        let Some(connection) = self.connection(token) else {
            return;
        };
        let ready = |air: &Air| air.landing && air.up.flight.or(air.down.flight).is_none();
        if !connection.air.as_deref().is_some_and(ready) {
            return;
        }
        connection.air = None;
        let relaying = connection.session.phase == Phase::Relaying;
        let mut sockets = vec![(connection.client_fd(), Side::Client)];
        sockets.extend(connection.server_fd().map(|fd| (fd, Side::Server)));
        for (fd, _) in &sockets {
            let _never = ioctl_fionbio(fd, true);
        }
        if !self.watch_landed(token) {
            self.feed(token, Event::Killed(Cause::Resource));
            return;
        }
        if relaying {
            self.run_again(token);
        }
        self.arm(token);
    }

    fn watch_landed(&self, token: Token) -> bool {
        let connection = usize::try_from(token.slot)
            .ok()
            .and_then(|slot| self.connections.get(slot));
        let Some(connection) = connection else {
            return true;
        };
        let client = self.watch(&connection.client, token, Side::Client);
        let server = connection
            .server
            .as_ref()
            .map_or(Ok(()), |fd| self.watch(fd, token, Side::Server));
        client.and(server).is_ok()
    }

    /// Puts the rest of a buffer where epoll sends it from.
    pub(super) fn keep(&mut self, token: Token, direction: Direction, buffer: Buffer, from: usize) {
        let slot = usize::try_from(token.slot).unwrap_or(usize::MAX);
        let connection = self
            .connections
            .get_mut(slot)
            .filter(|entry| entry.flow(direction) != Flow::Closed);
        if let Some((connection, ring)) = connection.zip(self.ring.as_ref())
            && let Some(rest) = ring.bytes(&buffer).ok().and_then(|bytes| bytes.get(from..))
        {
            let lane = match direction {
                Direction::Up => &mut connection.up,
                Direction::Down => &mut connection.down,
            };
            lane.keep(rest, &self.scratch);
        }
        self.give_back(buffer);
    }
}
