//! A client or a server that plays its script on a non-blocking socket and checks every byte.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{
    set_socket_keepalive, set_socket_linger, set_tcp_keepidle, set_tcp_keepintvl,
};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use crate::pattern;
use crate::plan::{How, Moment, Script};

/// How a peer's reading came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Fin,
    Reset,
}

/// Rounds of one turn, so that no peer holds up the others of its thread.
const ROUNDS: u32 = 32;

#[derive(Debug)]
pub struct Peer {
    /// `None` once closed.
    pub fd: Option<OwnedFd>,
    script: Script,
    /// The stream it sends, and the one it expects.
    streams: (u64, u64),
    random: fastrand::Rng,
    born: Instant,
    turn: usize,
    turn_sent: u64,
    turn_stalled: bool,
    piece_left: usize,
    ending_stalled: bool,
    sender_rests: Option<Instant>,
    reader_rests: Option<Instant>,
    pub readable: bool,
    pub writable: bool,
    pub sent: u64,
    pub received: u64,
    pub fin_sent: bool,
    pub end: Option<End>,
    /// A write failed with this.
    pub write_error: Option<Errno>,
    /// It ended in a way of its own, as its script said.
    pub aborted: Option<How>,
    /// The other side's FIN had been read before this one sent its own.
    pub heard_first: bool,
    /// Bytes received after this side's FIN: the other half of a half-closed connection.
    pub received_after_fin: u64,
}

/// What a peer needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Its socket or the other side.
    Event,
    /// Another turn now.
    Turn,
    /// A turn at this time.
    Time(Instant),
    /// Nothing: it is done and its socket is closed.
    Nothing,
}

impl Peer {
    pub fn new(fd: OwnedFd, script: Script, streams: (u64, u64), now: Instant) -> Self {
        let late = script.reader.late;
        Self {
            fd: Some(fd),
            streams,
            random: fastrand::Rng::with_seed(streams.0),
            born: now,
            turn: 0,
            turn_sent: 0,
            turn_stalled: false,
            piece_left: 0,
            ending_stalled: false,
            sender_rests: None,
            reader_rests: (late > 0).then(|| now + Duration::from_micros(late)),
            readable: true,
            writable: true,
            sent: 0,
            received: 0,
            fin_sent: false,
            end: None,
            write_error: None,
            aborted: None,
            heard_first: false,
            received_after_fin: 0,
            script,
        }
    }

    /// Plays on as far as it goes. An error is a wrong byte.
    pub fn play(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Need, String> {
        for rests in [&mut self.sender_rests, &mut self.reader_rests] {
            *rests = rests.filter(|until| *until > now);
        }
        for _ in 0..ROUNDS {
            if self.abort_is_due(now) {
                self.abort();
            }
            if self.fd.is_none() {
                return Ok(Need::Nothing);
            }
            let read = self.read(now, buffer)?;
            let wrote = self.write(now);
            if self.end.is_some() && (self.fin_sent || self.write_error.is_some()) {
                if self.abort_is_due(now) {
                    self.abort();
                }
                self.fd = None;
                return Ok(Need::Nothing);
            }
            if !read && !wrote {
                return Ok(self.waits_until());
            }
        }
        Ok(Need::Turn)
    }

    /// Has the kernel ask the other end for a sign of life every second.
    pub fn probe(&self) {
        let Some(fd) = &self.fd else { return };
        let second = Duration::from_secs(1);
        // Refused only by a socket that knows of its end already.
        let _over = set_tcp_keepidle(fd, second);
        let _over = set_tcp_keepintvl(fd, second);
        let _over = set_socket_keepalive(fd, true);
    }

    fn waits_until(&self) -> Need {
        let abort = match self.script.abort.map(|abort| abort.when) {
            Some(Moment::After(micros)) => Some(self.born + Duration::from_micros(micros)),
            _ => None,
        };
        [self.sender_rests, self.reader_rests, abort]
            .into_iter()
            .flatten()
            .min()
            .map_or(Need::Event, Need::Time)
    }

    fn abort_is_due(&self, now: Instant) -> bool {
        self.script.abort.is_some_and(|abort| match abort.when {
            Moment::Sent(count) => self.sent >= count,
            Moment::Received(count) => self.received >= count,
            Moment::After(micros) => now >= self.born + Duration::from_micros(micros),
            Moment::AfterFin => self.fin_sent,
        })
    }

    fn abort(&mut self) {
        let Some((fd, abort)) = self.fd.take().zip(self.script.abort) else {
            return;
        };
        if abort.how == How::Reset {
            set_socket_linger(&fd, Some(Duration::ZERO)).unwrap();
        }
        self.aborted = Some(abort.how);
    }

    /// Whether something was read.
    fn read(&mut self, now: Instant, buffer: &mut [u8]) -> Result<bool, String> {
        let Some(fd) = self
            .fd
            .as_ref()
            .filter(|_| self.readable && self.end.is_none() && self.reader_rests.is_none())
        else {
            return Ok(false);
        };
        let mut chunk = self.script.reader.chunk.min(buffer.len());
        if let Some(Moment::Received(count)) = self.script.abort.map(|abort| abort.when) {
            chunk = chunk.min((count - self.received) as usize);
        }
        let room = &mut buffer[..chunk];
        let got = match recv(fd, &mut *room, RecvFlags::empty()) {
            Ok((0, _)) => {
                self.end = Some(End::Fin);
                self.heard_first = !self.fin_sent;
                return Ok(true);
            }
            Ok((got, _)) => got,
            Err(Errno::AGAIN) => {
                self.readable = false;
                return Ok(false);
            }
            Err(Errno::CONNRESET) => {
                self.end = Some(End::Reset);
                return Ok(true);
            }
            Err(error) => return Err(format!("reading failed: {error}")),
        };
        let expected = pattern::bytes(self.streams.1, self.received, got);
        if room[..got] != *expected {
            let wrong = room.iter().zip(expected).position(|(a, b)| a != b);
            return Err(format!(
                "a wrong byte at {} of {:x}",
                self.received + wrong.unwrap_or(0) as u64,
                self.streams.1
            ));
        }
        self.received += got as u64;
        if self.fin_sent {
            self.received_after_fin += got as u64;
        }
        let reader = &self.script.reader;
        if reader.stalls > 0 && self.random.u8(..) < reader.stalls {
            let stall = self.random.u64(0..=reader.longest);
            self.reader_rests = Some(now + Duration::from_micros(stall));
        }
        Ok(true)
    }

    /// Whether something was written or the script went on.
    fn write(&mut self, now: Instant) -> bool {
        if self.sender_rests.is_some() || self.fin_sent || self.write_error.is_some() {
            return false;
        }
        let Some(turn) = self.script.turns.get(self.turn) else {
            return self.end_writing(now);
        };
        if !self.writable || (self.received < turn.after && self.end.is_none()) {
            return false;
        }
        if turn.stall > 0 && !self.turn_stalled {
            self.turn_stalled = true;
            self.sender_rests = Some(now + Duration::from_micros(turn.stall));
            return false;
        }
        if self.piece_left == 0 {
            let most = turn.piece.max(1);
            self.piece_left = self.random.usize(1..=most).max(most / 2);
        }
        let mut length = (turn.length - self.turn_sent).min(self.piece_left as u64);
        if let Some(Moment::Sent(count)) = self.script.abort.map(|abort| abort.when) {
            length = length.min(count - self.sent);
        }
        let bytes = pattern::bytes(self.streams.0, self.sent, length as usize);
        let Some(fd) = &self.fd else { return false };
        match send(fd, bytes, SendFlags::NOSIGNAL) {
            Ok(sent) => {
                self.sent += sent as u64;
                self.turn_sent += sent as u64;
                self.piece_left = self.piece_left.saturating_sub(sent);
                if self.turn_sent == turn.length {
                    self.turn += 1;
                    self.turn_sent = 0;
                    self.turn_stalled = false;
                    self.piece_left = 0;
                } else if self.piece_left == 0
                    && turn.stalls > 0
                    && self.random.u8(..) < turn.stalls
                {
                    let stall = self.random.u64(0..1000);
                    self.sender_rests = Some(now + Duration::from_micros(stall));
                }
            }
            Err(Errno::AGAIN) => {
                self.writable = false;
                return false;
            }
            Err(error) => {
                self.write_error = Some(error);
                // The error was the news of a reset; reading will not repeat it.
                if error == Errno::CONNRESET {
                    self.end.get_or_insert(End::Reset);
                }
            }
        }
        true
    }

    fn end_writing(&mut self, now: Instant) -> bool {
        let (after, stall) = self.script.ending;
        if self.received < after && self.end.is_none() {
            return false;
        }
        if stall > 0 && !self.ending_stalled {
            self.ending_stalled = true;
            self.sender_rests = Some(now + Duration::from_micros(stall));
            return false;
        }
        let Some(fd) = &self.fd else { return false };
        match shutdown(fd, Shutdown::Write) {
            Ok(()) => self.fin_sent = true,
            Err(error) => {
                // Only after a reset. It may come long after the other side's FIN: when the kernel
                // has too many closed connections to remember, it resets the late ones.
                self.write_error = Some(error);
                self.end.get_or_insert(End::Reset);
            }
        }
        true
    }
}
