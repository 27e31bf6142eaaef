//! A worker: one thread, one runtime, one epoll instance, its connections.
//!
//! The worker's own epoll instance is edge-triggered and hangs in the tokio runtime as a single
//! `AsyncFd`: tokio sees one descriptor, and a connection costs no task, waker or timer of its own.
//! Even the worker's own timer is an entry of that epoll instance, so that a wait is one await on
//! one descriptor.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use osys::relay_sys;
use osys::ring::{Ring, Seed};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock;
use crate::connection::{Connection, Settings};
use crate::copy::Scratch;
use crate::handle::{SessionFilter, Shutdown, Splice};
use crate::listen::{self, Door};
use crate::record::Cause;
use crate::session::{Event, Side};
use crate::shared::{Command, Shared, Token};
use crate::splice::{PipeLimits, PipePool};
use crate::uring;
use crate::wheel::Wheel;

/// Events taken from the kernel at once.
const BATCH: usize = 256;
/// After a round with this many events the next look at the sockets does not wait: under load there
/// is more by then, and the way through the runtime is saved.
const BUSY: usize = 4;
/// Look without waiting; a timer that does not repeat.
const NO_TIME: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};
/// Marks tokens of doors; the low bits are the door's index.
const DOOR: u64 = 1 << 31;
/// The mailbox's token.
const MAIL: u64 = 0xffff_ffff;
/// The token of the worker's timer.
const ALARM: u64 = 0xffff_fffe;

/// Everything one thread owns.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) epoll: OwnedFd,
    pub(crate) settings: Settings,
    pub(crate) doors: Vec<Option<Door>>,
    pub(crate) connections: Slab<Box<Connection>>,
    pub(crate) wheel: Wheel,
    /// Wakes the worker for the wheel.
    alarm: OwnedFd,
    /// When it will; later is never set, since waking early is harmless.
    alarm_at: Option<u64>,
    pub(crate) scratch: Scratch,
    /// Connections that used up their budget and go on in the next turn.
    pub(crate) runnable: VecDeque<Token>,
    pub(crate) generation: u32,
    /// The clock's reading of this turn.
    pub(crate) now: u64,
    /// Fresh sockets have just been put under watch: their events are there already.
    pub(crate) expecting: bool,
    pub(crate) stopping: bool,
    /// Where connections begin, if the system grants it.
    pub(crate) ring: Option<Ring>,
    /// The epoll instance has something to say; always so without a ring.
    pub(crate) told: bool,
    /// Sessions that are over. Their sockets are closed once their log lines are out: whoever has
    /// seen the end finds it in the log, even if the process is killed in that moment.
    #[expect(clippy::vec_box, reason = "they are the slab's boxes, handed on")]
    pub(crate) parting: Vec<Box<Connection>>,
    /// Server connections that such sessions have dropped.
    pub(crate) farewells: Vec<OwnedFd>,
    /// The runtime it waits in, and the one descriptor it waits for, until it runs.
    asleep: Option<(tokio::runtime::Runtime, AsyncFd<OwnedFd>)>,
}

/// A round that only looks at sockets accepted in the last one belongs to it, and keeps its time.
/// Only one: it may accept, too, and under a storm of clients the clock would never be read.
#[derive(Debug, Default)]
struct Pace {
    went_on: bool,
}

impl Pace {
    fn goes_on(&mut self, expecting: bool) -> bool {
        self.went_on = expecting && !self.went_on;
        self.went_on
    }
}

impl Worker {
    /// Builds the worker on its own thread.
    ///
    /// # Errors
    /// The system refuses a descriptor.
    pub(crate) fn new(
        index: usize,
        shared: Arc<Shared>,
        doors: Vec<Door>,
        seed: std::io::Result<Seed>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mailbox = shared
            .mailboxes
            .get(index)
            .ok_or(std::io::ErrorKind::NotFound)?;
        let mail = EventData::new_u64(MAIL);
        epoll::add(
            &epoll,
            mailbox.wake_fd(),
            mail,
            EventFlags::IN | EventFlags::ET,
        )?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let alarm = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // Edge-triggered: each expiry is told once, and nobody has to read it.
        let data = EventData::new_u64(ALARM);
        epoll::add(&epoll, &alarm, data, EventFlags::IN | EventFlags::ET)?;
        let doors: Vec<Option<Door>> = doors.into_iter().map(Some).collect();
        for (number, door) in (0_u64..).zip(&doors) {
            if let Some(door) = door {
                listen::register(&epoll, door, DOOR | number)?;
            }
        }
        let settings = &shared.settings;
        let pipes = (settings.splice == Splice::Auto).then(|| {
            let limits = PipeLimits {
                size: settings.pipe_size,
                pipes: settings.pipes(),
                workers: settings.workers,
            };
            let descriptors = Arc::clone(&shared.descriptors);
            PipePool::new(limits, Arc::clone(&shared.pipes), descriptors)
        });
        let scratch = Scratch::new(settings.buffer.max(16), pipes);
        let watched = {
            let _entered = runtime.enter();
            relay_sys::watch(epoll.try_clone()?, Interest::READABLE)?
        };
        let now = clock::millis();
        Ok(Self {
            ring: uring::set_up(&shared, &epoll, seed),
            told: true,
            parting: Vec::new(),
            farewells: Vec::new(),
            asleep: Some((runtime, watched)),
            index,
            settings: Rc::new(shared.snapshot.load_full()),
            shared,
            epoll,
            doors,
            connections: Slab::new(),
            wheel: Wheel::new(now),
            alarm,
            alarm_at: None,
            scratch,
            runnable: VecDeque::new(),
            generation: 0,
            now,
            expecting: false,
            stopping: false,
        })
    }

    /// Runs until it has been told to stop and nothing is left to do.
    pub(crate) fn run(mut self) -> std::io::Result<()> {
        let Some((runtime, watched)) = self.asleep.take() else {
            return Ok(());
        };
        if self.ring.is_some() {
            return self.run_ring();
        }
        let mut pace = Pace::default();
        runtime.block_on(async {
            while !self.is_over() {
                if !pace.goes_on(std::mem::take(&mut self.expecting)) {
                    self.now = clock::millis();
                }
                let seen = self.turn();
                let busy = !self.runnable.is_empty() || self.expecting || self.doors_ready();
                // An old process gives the processor to the new one.
                let busy = busy || (self.shared.settings.busy_polling && !self.stopping);
                if seen >= BUSY.min(self.batch()) || busy || self.is_over() {
                    continue;
                }
                self.set_alarm()?;
                watched.readable().await?.clear_ready();
            }
            Ok(())
        })
    }

    /// Events to take from the kernel at once.
    pub(crate) fn batch(&self) -> usize {
        self.shared.settings.max_events.clamp(1, BATCH)
    }

    /// Sees to it that the worker wakes up for the next timer.
    pub(crate) fn set_alarm(&mut self) -> std::io::Result<()> {
        let Some(until) = self.next_wake() else {
            return Ok(());
        };
        if self.alarm_at.is_some_and(|at| at <= until) {
            return Ok(());
        }
        // Never zero, which would disarm it.
        let wait = until.saturating_sub(clock::millis()).max(1);
        let value = Timespec {
            tv_sec: i64::try_from(wait / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(wait % 1000 * 1_000_000).unwrap_or(0),
        };
        let once = Itimerspec {
            it_interval: NO_TIME,
            it_value: value,
        };
        timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &once)?;
        self.alarm_at = Some(until);
        Ok(())
    }

    /// One round: events, clients, connections with work left, timers. The number of events; there
    /// may be more.
    pub(crate) fn turn(&mut self) -> usize {
        let landed = self.reap();
        let seen = if self.told { self.look() } else { 0 };
        // Whoever is let in now may need their descriptors.
        self.part();
        self.admit_guests();
        for _ in 0..self.runnable.len() {
            let Some(token) = self.runnable.pop_front() else {
                break;
            };
            if let Some(connection) = self.connection(token) {
                connection.runnable = false;
                self.drive(token);
            }
        }
        self.fire_timers();
        self.part();
        seen + landed
    }

    /// Sends what the log has kept, and closes the sockets of those it tells of.
    fn part(&mut self) {
        self.shared.sink.turn_over();
        self.farewells.clear();
        for connection in self.parting.drain(..) {
            connection.close(self.ring.as_mut());
        }
    }

    /// Takes what epoll has. The number of events.
    fn look(&mut self) -> usize {
        let mut events: [std::mem::MaybeUninit<epoll::Event>; BATCH] =
            [const { std::mem::MaybeUninit::uninit() }; BATCH];
        let events = events.get_mut(..self.batch()).unwrap_or_default();
        let ready = epoll::wait(&self.epoll, events, Some(&NO_TIME));
        let Ok((ready, _)) = ready else { return BATCH };
        self.told = self.ring.is_none() || ready.len() >= self.batch();
        for event in ready.iter() {
            let (flags, data) = (event.flags, event.data.u64());
            match data & 0xffff_ffff {
                MAIL => self.obey(),
                ALARM => self.alarm_at = None,
                door if door & DOOR != 0 => self.door_ready(door & !DOOR),
                place => {
                    let slot = u32::try_from(place >> 1).unwrap_or(u32::MAX);
                    let generation = u32::try_from(data >> 32).unwrap_or(0);
                    let side = if place & 1 == 0 {
                        Side::Client
                    } else {
                        Side::Server
                    };
                    self.socket_ready(Token { slot, generation }, side, flags);
                }
            }
        }
        ready.len()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stopping && self.connections.is_empty()
    }

    fn next_wake(&self) -> Option<u64> {
        let doors = self
            .doors
            .iter()
            .flatten()
            .filter(|door| door.ready && door.is_open());
        let rested = doors.filter_map(|door| door.not_before).min();
        [self.wheel.next(), rested].into_iter().flatten().min()
    }

    pub(crate) fn connection(&mut self, token: Token) -> Option<&mut Connection> {
        let slot = usize::try_from(token.slot).ok()?;
        let connection = self.connections.get_mut(slot)?;
        (connection.generation == token.generation).then_some(&mut **connection)
    }

    /// The token epoll gives back for one side of a connection.
    pub(crate) fn event_data(token: Token, side: Side) -> EventData {
        let side = match side {
            Side::Client => 0,
            Side::Server => 1,
        };
        EventData::new_u64(
            (u64::from(token.generation) << 32) | (u64::from(token.slot) << 1) | side,
        )
    }

    fn door_ready(&mut self, number: u64) {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(Some(door)) = self.doors.get_mut(index) {
            door.ready = true;
        }
    }

    /// Whether a door has clients that may be let in at once.
    pub(crate) fn doors_ready(&self) -> bool {
        self.doors
            .iter()
            .flatten()
            .any(|door| door.ready && door.is_open() && door.not_before.is_none())
    }

    fn fire_timers(&mut self) {
        let mut fired = Vec::new();
        self.wheel.advance(self.now, &mut fired);
        for slot in fired {
            let index = usize::try_from(slot).unwrap_or(usize::MAX);
            let Some(generation) = self.connections.get(index).map(|entry| entry.generation) else {
                continue;
            };
            self.timer_fired(Token { slot, generation });
        }
        let now = self.now;
        for door in self.doors.iter_mut().flatten() {
            door.not_before = door.not_before.filter(|until| *until > now);
        }
    }

    /// Orders from control and from other workers.
    fn obey(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(mailbox) = shared.mailboxes.get(self.index) else {
            return;
        };
        for command in mailbox.take() {
            match command {
                Command::Dispatched { backend, dispatch } => self.dispatched(backend, dispatch),
                Command::Publish => self.settings = Rc::new(shared.snapshot.load_full()),
                Command::Accept => {
                    for door in self.doors.iter_mut().flatten() {
                        door.ready = true;
                    }
                }
                Command::Pause(frontend) => {
                    for door in self.doors.iter_mut().flatten() {
                        if door.frontend == frontend {
                            door.pause(&self.epoll, &shared);
                        }
                    }
                }
                Command::Resume(frontend) => self.resume(frontend),
                Command::Stop(frontend) => {
                    self.drain_doors(|door| door.frontend == frontend);
                    self.close_doors(|door| door.frontend == frontend);
                }
                Command::Kill(filter, cause) => self.kill(filter, cause.cause()),
                Command::List(answer) => {
                    let now = self.now;
                    let list = self
                        .connections
                        .iter()
                        .map(|(_, entry)| entry.info(now))
                        .collect();
                    // Whoever asked may have given up waiting.
                    let _gone = answer.send(list);
                }
                Command::Shutdown(how) => {
                    self.stopping = true;
                    if how == Shutdown::Soft {
                        self.drain_doors(|_| true);
                    }
                    self.close_doors(|_| true);
                    if how == Shutdown::Hard {
                        self.kill(SessionFilter::All, Cause::Killed);
                    }
                }
            }
        }
    }

    fn resume(&mut self, frontend: usize) {
        let settings = Rc::clone(&self.settings);
        for (number, door) in (0_u64..).zip(&mut self.doors) {
            let Some(door) = door.as_mut().filter(|door| door.frontend == frontend) else {
                continue;
            };
            if let Some((_, listener)) = listen::place(&settings, door) {
                door.resume(&self.epoll, listener.backlog, DOOR | number, &self.shared);
            }
        }
    }

    fn close_doors(&mut self, which: impl Fn(&Door) -> bool) {
        for door in &mut self.doors {
            if door.as_ref().is_some_and(&which) {
                if door.as_ref().is_some_and(Door::is_open) {
                    self.shared
                        .listening
                        .fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
                }
                *door = None;
            }
        }
    }

    fn kill(&mut self, filter: SessionFilter, cause: Cause) {
        let doomed: Vec<Token> = self
            .connections
            .iter()
            .filter(|(_, connection)| matches(filter, connection))
            .filter_map(|(slot, connection)| {
                let slot = u32::try_from(slot).ok()?;
                Some(Token {
                    slot,
                    generation: connection.generation,
                })
            })
            .collect();
        for token in doomed {
            self.feed(token, Event::Killed(cause));
        }
    }

    /// What a connection wants to know of its sockets: everything, once each time it happens.
    pub(crate) const INTEREST: EventFlags = EventFlags::IN
        .union(EventFlags::OUT)
        .union(EventFlags::RDHUP)
        .union(EventFlags::ET);

    /// Watches a socket of a connection, both ways and edge-triggered.
    pub(crate) fn watch(&self, fd: &OwnedFd, token: Token, side: Side) -> std::io::Result<()> {
        let data = Self::event_data(token, side);
        epoll::add(&self.epoll, fd.as_fd(), data, Self::INTEREST)?;
        Ok(())
    }

    /// Changes what is watched; the kernel tells at once what is there already. False if it could
    /// not be changed.
    pub(crate) fn watch_again(&self, token: Token, side: Side, interest: EventFlags) -> bool {
        let connection = usize::try_from(token.slot)
            .ok()
            .and_then(|slot| self.connections.get(slot))
            .filter(|connection| connection.generation == token.generation);
        let fd = connection.and_then(|connection| match side {
            Side::Client => Some(connection.client_fd()),
            Side::Server => connection.server_fd(),
        });
        // A socket that is gone needs no watching.
        fd.is_none_or(|fd| {
            epoll::modify(&self.epoll, fd, Self::event_data(token, side), interest).is_ok()
        })
    }
}

fn matches(filter: SessionFilter, connection: &Connection) -> bool {
    let place = &connection.place;
    match filter {
        SessionFilter::All => true,
        SessionFilter::Serial(serial) => connection.figures.serial == serial,
        SessionFilter::Server(backend, server) => {
            place.backend.get() == Some(backend)
                && place.server.get() == Some(server)
                && place.attached
        }
        SessionFilter::Backups(backend) => {
            place.backend.get() == Some(backend)
                && place.attached
                && connection
                    .backend()
                    .zip(place.server.get())
                    .and_then(|(backend, server)| backend.state.server(server))
                    .is_some_and(|server| server.backup)
        }
        SessionFilter::Frontend(frontend) => place.frontend.get() == Some(frontend),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rounds_in_a_row_keep_the_time_of_the_one_before() {
        let mut pace = Pace::default();
        let kept = [true, true, true, true, false, true].map(|expecting| pace.goes_on(expecting));
        assert_eq!(kept, [true, false, true, false, false, true]);
    }
}
