//! One end of a session as the worker sees it: a socket's buffers, and somebody behind it.

/// Bytes a socket's send buffer takes.
const ROOM: u64 = 100;
/// Bytes that fit into its receive buffer.
const INBOX: u64 = 300;

/// What reading from a socket gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Bytes(u64),
    Ended,
    Lost,
    Nothing,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    /// Arrived and not yet read.
    pub(super) inbox: u64,
    /// Its FIN has arrived, behind the inbox.
    pub(super) fin: bool,
    /// Its RST has arrived: the error waits in the socket.
    pub(super) reset: bool,
    /// The error has been told once, to a read or a write: from now on reading gives the end of
    /// stream.
    error_taken: bool,
    /// Written and not yet taken by the peer.
    outbox: u64,
    /// The peer has closed: what is written comes back as a RST.
    pub(super) closed: bool,
    /// All it has sent and taken.
    pub(super) sent: u64,
    pub(super) taken: u64,
    /// The relay has sent its FIN.
    pub(super) heard_fin: bool,
}

impl Peer {
    /// The peer sends.
    pub(super) fn send(&mut self, bytes: u64) {
        if self.fin || self.closed {
            return;
        }
        let bytes = bytes.min(INBOX.saturating_sub(self.inbox));
        self.inbox += bytes;
        self.sent += bytes;
    }

    /// The peer sends its FIN.
    pub(super) fn finish(&mut self) {
        if !self.closed {
            self.fin = true;
        }
    }

    /// The peer closes: a FIN, and a RST for whatever comes later.
    pub(super) fn close(&mut self) {
        self.finish();
        self.closed = true;
    }

    /// The peer resets.
    pub(super) fn abort(&mut self) {
        self.closed = true;
        self.reset = true;
    }

    /// The peer takes some of what was written.
    pub(super) fn take(&mut self, bytes: u64) {
        let bytes = bytes.min(self.outbox);
        self.outbox -= bytes;
        self.taken += bytes;
    }

    /// The relay reads.
    pub(super) fn read(&mut self, most: u64) -> Read {
        if self.inbox > 0 {
            let bytes = self.inbox.min(most);
            self.inbox -= bytes;
            return Read::Bytes(bytes);
        }
        if self.fin || self.error_taken {
            return Read::Ended;
        }
        if self.reset {
            self.error_taken = true;
            return Read::Lost;
        }
        Read::Nothing
    }

    /// The relay writes: how much was taken, or `None` if the connection is lost.
    pub(super) fn write(&mut self, bytes: u64) -> Option<u64> {
        assert!(!self.heard_fin, "bytes after the FIN");
        if self.reset {
            self.error_taken = true;
            return None;
        }
        let bytes = bytes.min(ROOM - self.outbox);
        self.outbox += bytes;
        if self.closed && bytes > 0 {
            self.reset = true;
        }
        Some(bytes)
    }

    /// All that was written to it, taken or not.
    pub(super) const fn reached(&self) -> u64 {
        self.taken + self.outbox
    }
}
