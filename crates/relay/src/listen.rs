//! Listening sockets: accept in batches, respect the limits, survive every error.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{Shutdown, SocketFlags, acceptfrom_with, listen, shutdown};

use crate::connect;
use crate::descriptors;
use crate::record::{Peer, Shortage};
use crate::shared::{Shared, worker_bit};
use crate::snapshot::{Frontend, Listener, Snapshot};

/// How long accepting rests when descriptors or memory have run out, in milliseconds.
const REST: u64 = 100;
/// A shortage that lasts is complained of this often, in milliseconds.
const COMPLAIN: u64 = 10_000;

/// One worker's socket of one bind line.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) fd: OwnedFd,
    pub(crate) frontend: usize,
    pub(crate) listener: usize,
    /// Other workers accept from the same socket: a wake-up may find nothing.
    local: Option<Peer>,
    state: DoorState,
    /// Clients may be waiting.
    pub(crate) ready: bool,
    /// Not before this time (a rate limit, or resources ran out).
    pub(crate) not_before: Option<u64>,
    /// When a shortage was last complained of.
    complained: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DoorState {
    Open,
    Paused,
}

/// A client that was let in.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) fd: OwnedFd,
    pub(crate) client: Peer,
    /// Address it reached.
    pub(crate) local: Peer,
}

/// Why no client came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nobody {
    /// Nobody waits.
    Empty,
    /// A limit is reached; they wait in the kernel's backlog.
    Full,
    /// One gave up before it was accepted; there may be more.
    GaveUp,
    /// Descriptors or memory have run out.
    Exhausted(Shortage),
}

impl Door {
    pub(crate) fn new(fd: OwnedFd, frontend: usize, listener: usize) -> Self {
        // Accepted sockets inherit it: one system call a connection less.
        let _unix = set_tcp_nodelay(&fd, true);
        let _flags = rustix::io::ioctl_fionbio(&fd, true);
        let local = match connect::local_peer(fd.as_fd()) {
            Peer::Inet(address) if address.ip().is_unspecified() => None,
            known => Some(known),
        };
        Self {
            fd,
            frontend,
            listener,
            local,
            state: DoorState::Open,
            ready: true,
            not_before: None,
            complained: None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == DoorState::Open
    }

    /// Lets one client in if the limits allow. The counts it needs (process, frontend, listener)
    /// are taken; whoever gets a [`Guest`] gives them back with [`leave`].
    pub(crate) fn admit(
        &self,
        worker: usize,
        frontend: &Frontend,
        listener: &Listener,
        shared: &Shared,
        blocking: bool,
    ) -> Result<Guest, Nobody> {
        if shared.descriptors.spare() < descriptors::PAIR {
            return Err(Nobody::Exhausted(Shortage::ProcessDescriptors));
        }
        if !enter(worker, frontend, listener, shared) {
            return Err(Nobody::Full);
        }
        let mut flags = SocketFlags::CLOEXEC;
        flags.set(SocketFlags::NONBLOCK, !blocking);
        let error = match acceptfrom_with(&self.fd, flags) {
            Ok((fd, address)) => {
                let local = self
                    .local
                    .unwrap_or_else(|| connect::local_peer(fd.as_fd()));
                let client = connect::peer(address.as_ref());
                shared.active.keep();
                frontend.state.sessions.keep();
                listener.state.sessions.keep();
                return Ok(Guest { fd, client, local });
            }
            Err(error) => error,
        };
        leave(frontend, listener, shared);
        Err(match error {
            // EINVAL: the socket was paused by another worker that shares it.
            Errno::AGAIN | Errno::INVAL => Nobody::Empty,
            Errno::MFILE => Nobody::Exhausted(Shortage::ProcessDescriptors),
            Errno::NFILE => Nobody::Exhausted(Shortage::SystemDescriptors),
            Errno::NOBUFS | Errno::NOMEM => Nobody::Exhausted(Shortage::Memory),
            // The client is gone, or its network broke: accept(2) asks to treat all of these as
            // if nobody had called.
            _ => Nobody::GaveUp,
        })
    }

    /// Rests for a while after [`Nobody::Exhausted`]. True if it is time to say so.
    pub(crate) fn rest(&mut self, now: u64) -> bool {
        self.not_before = Some(now + REST);
        let due = self.complained.is_none_or(|last| now >= last + COMPLAIN);
        if due {
            self.complained = Some(now);
        }
        due
    }

    /// Stops listening; the socket stays bound and clients are refused.
    pub(crate) fn pause(&mut self, epoll: &OwnedFd, shared: &Shared) {
        if self.state == DoorState::Paused {
            return;
        }
        self.state = DoorState::Paused;
        shared.listening.fetch_sub(1, Ordering::Relaxed);
        let _gone = epoll::delete(epoll, &self.fd);
        if self.local != Some(Peer::Unix) {
            // On Linux this takes a listening TCP socket out of the listening state and keeps its
            // port. A UNIX socket would never come back: its clients wait in the backlog instead.
            let _refused = shutdown(&self.fd, Shutdown::Read);
        }
    }

    /// Listens again.
    pub(crate) fn resume(&mut self, epoll: &OwnedFd, backlog: u32, token: u64, shared: &Shared) {
        if self.state == DoorState::Open {
            return;
        }
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX).max(1);
        if listen(&self.fd, backlog).is_err() {
            return;
        }
        self.state = DoorState::Open;
        shared.listening.fetch_add(1, Ordering::Relaxed);
        self.ready = true;
        let _ = register(epoll, self, token);
    }
}

/// Watches a door for clients. Exclusive, so that workers sharing one socket do not all wake up.
pub(crate) fn register(epoll: &OwnedFd, door: &Door, token: u64) -> std::io::Result<()> {
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET | epoll::EventFlags::EXCLUSIVE;
    epoll::add(epoll, &door.fd, epoll::EventData::new_u64(token), flags)?;
    Ok(())
}

/// The frontend and listener of a door.
pub(crate) fn place<'a>(
    snapshot: &'a Snapshot,
    door: &Door,
) -> Option<(&'a Frontend, &'a Listener)> {
    let frontend = snapshot.frontends.get(door.frontend)?;
    let listener = frontend.listeners.get(door.listener)?;
    Some((frontend, listener))
}

/// Takes one place in process, frontend and listener, or notes that this worker waits for one.
fn enter(worker: usize, frontend: &Frontend, listener: &Listener, shared: &Shared) -> bool {
    if try_enter(frontend, listener, shared) {
        return true;
    }
    // Whoever leaves between the look and the note would not see it: look once more.
    frontend
        .state
        .starving
        .fetch_or(worker_bit(worker), Ordering::SeqCst);
    shared
        .starving
        .fetch_or(worker_bit(worker), Ordering::SeqCst);
    try_enter(frontend, listener, shared)
}

fn try_enter(frontend: &Frontend, listener: &Listener, shared: &Shared) -> bool {
    if !shared.active.try_up(shared.maxconn.load(Ordering::Relaxed)) {
        return false;
    }
    if frontend.state.sessions.try_up(frontend.maxconn) {
        if listener.state.sessions.try_up(listener.maxconn) {
            return true;
        }
        frontend.state.sessions.down();
    }
    shared.active.down();
    false
}

/// Gives the places back and wakes those who wait for one.
pub(crate) fn leave(frontend: &Frontend, listener: &Listener, shared: &Shared) {
    listener.state.sessions.down();
    frontend.state.sessions.down();
    shared.active.down();
    shared.wake_starving(&frontend.state.starving);
    shared.wake_starving(&shared.starving);
}

/// Milliseconds until a rate limit lets the next one in, if it is reached.
pub(crate) fn rate_wait(limit: u32, current: u32) -> Option<u64> {
    if limit == 0 || current < limit {
        return None;
    }
    // The window slides: one event leaves it every 1000 / limit milliseconds.
    Some((1000 / u64::from(limit)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limits_wait_for_the_window_to_slide() {
        assert_eq!(rate_wait(0, 1_000_000), None);
        assert_eq!(rate_wait(10, 9), None);
        assert_eq!(rate_wait(10, 10), Some(100));
        assert_eq!(rate_wait(100_000, 100_000), Some(1));
    }
}
