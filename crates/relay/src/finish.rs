//! The end of a session: counting, giving back, reporting, closing.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use osys::ring::Ring;
use rustix::io::ioctl_fionread;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};

use crate::connect;
use crate::connection::{After, Connection, Counts};
use crate::copy::Turn;
use crate::listen;
use crate::record::{Cause, Stage};
use crate::session::Flow;
use crate::shared::{Shared, Token};
use crate::worker::Worker;

impl Worker {
    /// Takes a session that is over out of the worker's books; [`Worker::part`] closes its sockets.
    pub(crate) fn finish(&mut self, token: Token) {
        let (worker, now) = (self.index, self.now);
        let shared = Arc::clone(&self.shared);
        self.leave_queue(token);
        let Some(connection) = self.connection(token) else {
            return;
        };
        connection.count_unread(worker, shared.settings.buffer);
        let backend_active = connection
            .backend()
            .map_or(0, |backend| backend.state.sessions.down());
        let server_active = self.leave_server(token, backend_active);
        let Some(slot) = usize::try_from(token.slot).ok() else {
            return;
        };
        let Some(connection) = self.connections.try_remove(slot) else {
            return;
        };
        self.wheel.clear(token.slot);
        connection.count_end(worker, now);
        let counts = Counts {
            backend: backend_active,
            server: server_active,
            ..connection.counts(&shared)
        };
        if let Some(record) = connection.record(now, counts) {
            shared.sink.ended(&record);
        }
        if let Some((frontend, listener)) = connection.frontend().zip(connection.listener()) {
            listen::leave(frontend, listener, &shared);
        }
        self.parting.push(connection);
    }

    fn leave_queue(&mut self, token: Token) {
        let (worker, now) = (self.index, self.now);
        let Some(connection) = self.connection(token) else {
            return;
        };
        if !connection.place.queued {
            return;
        }
        connection.place.queued = false;
        let Some(backend) = connection.backend() else {
            return;
        };
        // Without a place it has just been given a slot, whose notice will find it gone.
        let position = backend.state.pool().cancel(token.ticket(worker));
        connection.figures.position = position.unwrap_or_default();
        if connection.session.termination.cause != Cause::ClientTimeout {
            connection.stamps.queued = After::millis(now - connection.stamps.accepted);
        }
    }
}

impl Connection {
    /// Current sessions, this one included.
    pub(crate) fn counts(&self, shared: &Shared) -> Counts {
        let backend = self.backend();
        let server = backend
            .zip(self.place.server.get())
            .and_then(|(backend, server)| {
                // Only asked for by `option logasap`; the end of a session knows it already.
                self.place.attached.then(|| backend.state.server(server))?
            });
        Counts {
            active: shared.active.current(),
            frontend: self
                .frontend()
                .map_or(0, |frontend| frontend.state.sessions.current()),
            backend: backend.map_or(0, |backend| backend.state.sessions.current()),
            server: server.map_or(0, |server| server.sessions),
        }
    }

    /// Activity and byte counters of one turn.
    pub(crate) fn count_bytes(&mut self, worker: usize, now: u64, up: Turn, down: Turn) {
        if up.read > 0 || down.written > 0 {
            self.stamps.client = now;
        }
        if down.read > 0 || up.written > 0 {
            self.stamps.server = now;
        }
        self.add_bytes(worker, up.read, down.read);
    }

    fn add_bytes(&mut self, worker: usize, bytes_in: u64, bytes_out: u64) {
        if bytes_in == 0 && bytes_out == 0 {
            return;
        }
        self.figures.bytes_in += bytes_in;
        self.figures.bytes_out += bytes_out;
        if let Some(cells) = self.frontend().and_then(|f| f.state.cells.get(worker)) {
            cells.bytes_in.add(bytes_in);
            cells.bytes_out.add(bytes_out);
        }
        if let Some(cells) = self.listener().and_then(|l| l.state.cells.get(worker)) {
            cells.bytes_in.add(bytes_in);
            cells.bytes_out.add(bytes_out);
        }
        if let Some(cells) = self
            .backend()
            .and_then(|b| b.state.figures.cells.get(worker))
        {
            cells.bytes_in.add(bytes_in);
            cells.bytes_out.add(bytes_out);
        }
        if let Some(cells) = self.server().and_then(|s| s.state.cells.get(worker)) {
            cells.bytes_in.add(bytes_in);
            cells.bytes_out.add(bytes_out);
        }
    }

    /// Bytes a client sent before there was a server to take them count as read: the original reads
    /// them into its buffer, and `option dontlognull` looks at them.
    fn count_unread(&mut self, worker: usize, buffer: usize) {
        if self.stamps.connected != After::NEVER {
            return;
        }
        let unread = ioctl_fionread(&self.client).unwrap_or(0);
        self.add_bytes(worker, unread.min(buffer as u64), 0);
    }

    pub(crate) fn count_retry(&self, worker: usize) {
        for cells in self.both_cells(worker) {
            cells.retries.add(1);
        }
    }

    pub(crate) fn count_failure(&self, worker: usize) {
        for cells in self.both_cells(worker) {
            cells.failed_connections.add(1);
        }
    }

    /// The cells of the backend and of the server, as far as there are any.
    fn both_cells(
        &self,
        worker: usize,
    ) -> impl Iterator<Item = &crate::counters::BackendCells> + '_ {
        let backend = self
            .backend()
            .and_then(|b| b.state.figures.cells.get(worker));
        let server = self.server().and_then(|s| s.state.cells.get(worker));
        [backend, server].into_iter().flatten()
    }

    fn count_end(&self, worker: usize, now: u64) {
        let termination = self.session.termination;
        if termination.stage == Stage::Request
            && let Some(cells) = self.frontend().and_then(|f| f.state.cells.get(worker))
        {
            cells.failed_requests.add(1);
        }
        let client = matches!(
            (termination.cause, termination.stage),
            (Cause::ClientAbort, Stage::Data | Stage::Request) | (Cause::ClientTimeout, _)
        );
        let server = matches!(
            (termination.cause, termination.stage),
            (Cause::ServerAbort | Cause::ServerTimeout, Stage::Data)
        );
        if client || server {
            if let Some(cells) = self.frontend().and_then(|f| f.state.cells.get(worker)) {
                if client {
                    cells.client_aborts.add(1)
                } else {
                    cells.server_aborts.add(1)
                }
            }
            if let Some(cells) = self.listener().and_then(|l| l.state.cells.get(worker)) {
                if client {
                    cells.client_aborts.add(1)
                } else {
                    cells.server_aborts.add(1)
                }
            }
            for cells in self.both_cells(worker) {
                if client {
                    cells.client_aborts.add(1)
                } else {
                    cells.server_aborts.add(1)
                }
                if termination.cause == Cause::ServerAbort {
                    cells.failed_responses.add(1);
                }
            }
        }
        let (Some(queued), Some(connected)) =
            (self.stamps.queued.get(), self.stamps.connected.get())
        else {
            return;
        };
        let short = |millis: u64| u32::try_from(millis).unwrap_or(u32::MAX);
        let total = now.saturating_sub(self.stamps.accepted);
        let sample = [
            short(queued),
            short(connected.saturating_sub(queued)),
            short(total),
        ];
        if let Some(backend) = self.backend() {
            backend.state.figures.averages.add(sample);
        }
        if let Some(server) = self.server() {
            server.state.averages.add(sample);
        }
    }

    /// Closes both sockets, by the ring if they are in it.
    pub(crate) fn close(mut self: Box<Self>, ring: Option<&mut Ring>) {
        let client_resets = self
            .frontend()
            .is_some_and(|frontend| frontend.socket.nolinger);
        let server_resets = self
            .backend()
            .is_some_and(|backend| backend.socket.nolinger);
        let server = self.server.take();
        let abrupt =
            self.session.up != Flow::Closed || self.session.termination.cause != Cause::Normal;
        if abrupt {
            // The kernel answers unread bytes with a reset: a FIN goes out before it, and what the
            // client has sent is swallowed, or the reset would destroy what it is still to read.
            let _gone = shutdown(&self.client, Shutdown::Write);
            swallow(self.client.as_fd());
            if let Some(server) = &server {
                let _gone = shutdown(server, Shutdown::Write);
            }
        }
        if client_resets {
            connect::reset_on_close(self.client.as_fd());
        }
        if let Some(server) = &server
            && server_resets
        {
            connect::reset_on_close(server.as_fd());
        }
        if let Some((air, ring)) = self.air.as_deref().zip(ring) {
            air.cancel(ring);
            if let Some(server) = server {
                ring.close(server);
            }
            ring.close(self.client);
        }
    }
}

/// Reads and forgets what has arrived, up to a bound no sender can move.
fn swallow(fd: BorrowedFd<'_>) {
    let mut scratch = [0_u8; 16 * 1024];
    for _ in 0..64 {
        match recv(fd, &mut scratch[..], RecvFlags::TRUNC | RecvFlags::DONTWAIT) {
            Ok((got, _)) if got == scratch.len() => {}
            Ok(_) | Err(_) => return,
        }
    }
}
