//! Driving a session: events in, actions performed, bytes moved, timers armed.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::epoll::EventFlags;
use rustix::net::sockopt::socket_error;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};

use crate::connect;
use crate::connection::{After, Connection, later};
use crate::copy::{Hearing, Stop, Turn};
use crate::record::Cause;
use crate::session::{
    Actions, Direction, Event, Failure, Farewell, Flow, Leftover, Next, Phase, Side, Watch,
};
use crate::shared::Token;
use crate::wheel::Wheel;
use crate::worker::Worker;

impl Worker {
    /// What epoll said about one socket.
    pub(crate) fn socket_ready(&mut self, token: Token, side: Side, flags: EventFlags) {
        let Some(connection) = self.connection(token) else {
            return;
        };
        let futile = connection.note_readiness(side, flags);
        match connection.session.phase {
            Phase::Over => {}
            Phase::Fresh => {
                let event = if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
                    Event::Broken(Side::Client)
                } else {
                    Event::Begun
                };
                self.feed(token, event);
                self.arm(token);
                if flags.contains(EventFlags::RDHUP) {
                    self.client_early(token, flags);
                }
            }
            Phase::Relaying => {
                if let Some(hearing) = futile {
                    self.hear(token, side, hearing);
                }
                self.drive(token);
                if flags.contains(EventFlags::ERR) {
                    self.check_unread_error(token, side);
                }
            }
            Phase::Waiting | Phase::Connecting | Phase::Pausing => match side {
                Side::Client => self.client_early(token, flags),
                Side::Server => {
                    if let Some(event) = self.connect_ended(token, flags) {
                        self.feed(token, event);
                    }
                    self.arm(token);
                }
            },
        }
    }

    /// The client did something before its server connection stands. Its bytes stay in the kernel;
    /// only its leaving matters.
    fn client_early(&mut self, token: Token, flags: EventFlags) {
        if !flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        let Some(connection) = self.connection(token) else {
            return;
        };
        let mut probe = [0_u8; 1];
        let event = match recv(connection.client_fd(), &mut probe[..], RecvFlags::PEEK) {
            Ok((0, _)) => Event::ClientLeft(Leftover::Nothing),
            Ok(_) if flags.intersects(EventFlags::HUP | EventFlags::ERR) => {
                Event::Broken(Side::Client)
            }
            Ok(_) => Event::ClientLeft(Leftover::Bytes),
            Err(rustix::io::Errno::AGAIN) => return,
            Err(_) => {
                // Looking took the error from the socket: to a later read, the reset would be an
                // ordinary end of stream.
                self.feed(token, Event::Broken(Side::Client));
                return;
            }
        };
        // A server that has accepted meanwhile sees the client come and go.
        if let Some(event) = self.settle_attempt(token) {
            self.feed(token, event);
        }
        let relaying = self
            .connection(token)
            .is_some_and(|entry| entry.session.phase == Phase::Relaying);
        if !relaying {
            self.feed(token, event);
        }
        self.arm(token);
    }

    /// A reset is noticed by reading; while nothing is read from a side, it has to be asked for.
    fn check_unread_error(&mut self, token: Token, side: Side) {
        let Some(connection) = self.connection(token) else {
            return;
        };
        let flow = match side {
            Side::Client => connection.session.up,
            Side::Server => connection.session.down,
        };
        // Whatever arrived before the error is still to be read, and the end or the reset after it
        // tells itself then. Only a client that cannot be given any more is not waited for.
        let wanted = side == Side::Server || connection.session.down == Flow::Closed;
        if wanted && flow == Flow::Open {
            return;
        }
        let fd = match side {
            Side::Client => Some(connection.client_fd()),
            Side::Server => connection.server_fd(),
        };
        if fd.is_some_and(|fd| matches!(socket_error(fd), Ok(Err(_)))) {
            self.feed(token, Event::Broken(side));
            self.drive(token);
        }
    }

    /// Gives the session one event, performs what it asks for, and what follows from that.
    pub(crate) fn feed(&mut self, token: Token, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next {
            let Some(connection) = self.connection(token) else {
                return;
            };
            let policy = connection.policy();
            let actions = connection.session.handle(event, &policy);
            next = self.perform(token, actions);
            if event == Event::Connected {
                self.connected(token);
            }
        }
        self.land_if_waiting(token);
    }

    fn connected(&mut self, token: Token) {
        let (now, shared) = (self.now, std::sync::Arc::clone(&self.shared));
        let wants = |connection: &&mut Connection| {
            connection
                .frontend()
                .is_some_and(|frontend| frontend.log_asap)
        };
        if let Some(connection) = self.connection(token).filter(wants) {
            let counts = connection.counts(&shared);
            if let Some(record) = connection.record(now, counts) {
                shared.sink.connected(&record);
            }
        }
        self.drive(token);
    }

    fn perform(&mut self, token: Token, actions: Actions) -> Option<Event> {
        if actions == Actions::default() {
            return None;
        }
        let (worker, now) = (self.index, self.now);
        let connection = self.connection(token)?;
        match actions.discard {
            Some(Direction::Up) => connection.up.discard(),
            Some(Direction::Down) => connection.down.discard(),
            None => {}
        }
        if let Some(farewell) = actions.drop_server
            && let Some(fd) = connection.server.take()
        {
            if farewell == Farewell::Reset {
                connect::reset_on_close(fd.as_fd());
            }
            if actions.finish && connection.air.is_none() {
                self.farewells.push(fd);
            } else {
                self.close_server(token, fd);
            }
        }
        let connection = self.connection(token)?;
        if actions.shut_server {
            shut(connection.server_fd());
        }
        if actions.shut_client {
            shut(Some(connection.client_fd()));
        }
        if actions.failed {
            connection.count_failure(worker);
        }
        if actions.finish {
            self.finish(token);
            return None;
        }
        match actions.next {
            Some(Next::SameServer { pause }) => {
                connection.count_retry(worker);
                connection.stamps.expires = (pause > 0).then(|| later(now, pause)).flatten();
            }
            Some(Next::OtherServer { pause }) => return self.move_on(token, pause),
            Some(Next::GiveUp) | None => {}
        }
        if actions.choose {
            self.enter_backend(token);
            return self.choose(token);
        }
        if actions.connect {
            self.open(token)
        } else {
            None
        }
    }

    /// Leaves the server that failed, and chooses again now or after a pause.
    fn move_on(&mut self, token: Token, pause: u64) -> Option<Event> {
        let now = self.now;
        let connection = self.connection(token)?;
        if connection.place.slot {
            connection.place.left = connection.place.server;
            let sessions = connection
                .backend()
                .map_or(0, |backend| backend.state.sessions.current());
            self.leave_server(token, sessions);
        }
        if pause == 0 {
            return self.choose(token);
        }
        self.connection(token)?.stamps.expires = later(now, pause);
        None
    }

    /// Moves bytes in both directions until the sockets block or the budget is used up.
    pub(crate) fn drive(&mut self, token: Token) {
        if self
            .connection(token)
            .is_some_and(|entry| entry.air.is_some())
        {
            self.fly(token);
            return;
        }
        let mut again = false;
        // Activity only puts deadlines off, and a timer that fires early looks again: the wheel has
        // to know only of what may be due sooner.
        let mut sooner = false;
        loop {
            let now = self.now;
            let Some(slot) = usize::try_from(token.slot).ok() else {
                return;
            };
            let Some(connection) = self
                .connections
                .get_mut(slot)
                .filter(|entry| entry.generation == token.generation)
                .filter(|entry| entry.session.phase == Phase::Relaying)
            else {
                return;
            };
            let unsent = connection.unsent();
            let up = connection.turn(Direction::Up, &mut self.scratch);
            let down = connection.turn(Direction::Down, &mut self.scratch);
            sooner |= unsent != connection.unsent();
            let changed = connection.listening();
            connection.count_bytes(self.index, now, up, down);
            self.count_written(up, down);
            for (side, hearing) in changed.into_iter().flatten() {
                self.hear(token, side, hearing);
            }
            again |= up.stop == Stop::Budget || down.stop == Stop::Budget;
            let news = self.connection(token).map(|entry| entry.news(up, down));
            let Some(news) = news.filter(|news| news.iter().any(Option::is_some)) else {
                break;
            };
            for event in news.into_iter().flatten() {
                self.feed(token, event);
            }
            sooner = true;
        }
        if again {
            self.run_again(token);
        }
        if sooner {
            self.arm(token);
        }
    }

    /// Changes what the kernel tells of one side. Should it refuse to tell more, a direction would
    /// sleep for ever: its session ends. That it tells too much does no harm.
    fn hear(&mut self, token: Token, side: Side, hearing: Hearing) {
        let interest = match hearing {
            Hearing::All => Self::INTEREST,
            Hearing::Room => Self::INTEREST.difference(EventFlags::IN),
            Hearing::End => EventFlags::RDHUP.union(EventFlags::ET),
        };
        let changed = self.watch_again(token, side, interest);
        let Some(connection) = self.connection(token) else {
            return;
        };
        let before = connection.lane_from(side).hearing;
        if changed {
            connection.lane_from(side).hearing = hearing;
        } else if before != Hearing::All {
            self.feed(token, Event::Killed(Cause::Resource));
        }
    }

    pub(crate) fn run_again(&mut self, token: Token) {
        let Some(connection) = self.connection(token) else {
            return;
        };
        if !connection.runnable {
            connection.runnable = true;
            self.runnable.push_back(token);
        }
    }

    pub(crate) fn count_written(&self, up: Turn, down: Turn) {
        let Some(cells) = self.shared.cells.get(self.index) else {
            return;
        };
        let written = up.written + down.written;
        if written > 0 {
            cells.bytes_out.add(written);
        }
        let spliced = up.spliced + down.spliced;
        if spliced > 0 {
            cells.bytes_spliced.add(spliced);
        }
    }

    /// Sees to it that the wheel fires no later than the connection's deadline.
    pub(crate) fn arm(&mut self, token: Token) {
        let now = self.now;
        let Some(connection) = self.connection(token) else {
            return;
        };
        let soon = connection
            .air
            .as_ref()
            .and_then(|air| air.look_at(connection, now));
        let Some(deadline) = [connection.deadline(), soon].into_iter().flatten().min() else {
            self.wheel.clear(token.slot);
            return;
        };
        let tick = Wheel::deadline(now, deadline.saturating_sub(now).max(1));
        // An earlier tick is left alone: when it fires, the deadline of that moment is looked at.
        if self
            .wheel
            .armed(token.slot)
            .is_none_or(|armed| armed > tick)
        {
            self.wheel.set(token.slot, tick);
        }
    }

    /// The connection's timer fired: perhaps something is overdue.
    pub(crate) fn timer_fired(&mut self, token: Token) {
        let now = self.now;
        if self
            .connection(token)
            .is_some_and(|entry| entry.air.is_some())
        {
            self.look_at_flight(token);
            self.arm(token);
            return;
        }
        // Each event changes what is due, and no session has more than a few timeouts in it.
        for _ in 0..8 {
            let Some(connection) = self.connection(token) else {
                return;
            };
            let event = if connection.stamps.expires.is_some_and(|at| at.get() <= now) {
                self.wait_over(token)
            } else {
                connection.excuse_waiting_client(now);
                connection.overdue(now).map(|(side, watch)| match watch {
                    Watch::Silence | Watch::SilenceAfterFin => Event::Silent(side),
                    Watch::Stall => Event::Stalled(side),
                })
            };
            let Some(event) = event else { break };
            self.feed(token, event);
            self.drive(token);
        }
        self.arm(token);
    }

    fn wait_over(&mut self, token: Token) -> Option<Event> {
        let worker = self.index;
        let now = self.now;
        let connection = self.connection(token)?;
        connection.stamps.expires = None;
        match connection.session.phase {
            Phase::Waiting => {
                let position = {
                    let backend = connection.backend()?;
                    // Not in the queue any more: a slot is already on its way to us.
                    backend.state.pool().cancel(token.ticket(worker))?
                };
                connection.place.queued = false;
                connection.figures.position = position;
                connection.stamps.queued = After::millis(now - connection.stamps.accepted);
                Some(Event::QueueTimeout)
            }
            Phase::Connecting => Some(self.failure(token, Failure::TimedOut)),
            Phase::Pausing => Some(Event::PauseOver),
            Phase::Fresh | Phase::Relaying | Phase::Over => None,
        }
    }
}

impl Connection {
    /// A client whose bytes wait for the server connection is not the silent one.
    fn excuse_waiting_client(&mut self, now: u64) {
        let waits = matches!(
            self.session.phase,
            Phase::Waiting | Phase::Connecting | Phase::Pausing
        );
        if waits && rustix::io::ioctl_fionread(&self.client).is_ok_and(|unread| unread > 0) {
            self.stamps.client = now;
        }
    }

    /// Takes down what epoll said. If it was for nothing, since bytes wait already and the
    /// destination holds them up, what should be heard instead.
    fn note_readiness(&mut self, side: Side, flags: EventFlags) -> Option<Hearing> {
        let (from, to) = match side {
            Side::Client => (&mut self.up, &mut self.down),
            Side::Server => (&mut self.down, &mut self.up),
        };
        let ending = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let known = from.readable && from.is_blocked() && from.hearing == Hearing::All;
        from.ending |= ending;
        from.readable |= ending || flags.contains(EventFlags::IN);
        to.writable |= flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR);
        (known && flags.contains(EventFlags::IN)).then_some(Hearing::without_bytes(to.writable))
    }

    /// The direction whose bytes come from `side`.
    fn lane_from(&mut self, side: Side) -> &mut crate::copy::Lane {
        match side {
            Side::Client => &mut self.up,
            Side::Server => &mut self.down,
        }
    }

    /// The sides of which something else should be heard than is now.
    fn listening(&mut self) -> [Option<(Side, Hearing)>; 2] {
        [Side::Client, Side::Server].map(|side| {
            let takes = match side {
                Side::Client => self.down.writable,
                Side::Server => self.up.writable,
            };
            let lane = self.lane_from(side);
            let wanted = match (lane.is_blocked(), lane.hearing) {
                (false, _) => Hearing::All,
                // Sources of little are left alone until they disturb.
                (true, Hearing::All) if lane.readable && lane.is_bulk() => {
                    Hearing::without_bytes(takes)
                }
                (true, Hearing::End) if !takes => Hearing::Room,
                (true, now) => now,
            };
            (wanted != lane.hearing).then_some((side, wanted))
        })
    }

    fn turn(&mut self, direction: Direction, scratch: &mut crate::copy::Scratch) -> Turn {
        let idle = Turn {
            read: 0,
            written: 0,
            spliced: 0,
            stop: Stop::Idle,
        };
        let client = self.client.as_fd();
        let Some(server) = self.server.as_ref().map(AsFd::as_fd) else {
            // The server is gone; what it sent still goes to the client.
            return match direction {
                Direction::Up => idle,
                Direction::Down => self.down.turn(client, client, false, scratch),
            };
        };
        let (lane, flow, source, destination) = match direction {
            Direction::Up => (&mut self.up, self.session.up, client, server),
            Direction::Down => (&mut self.down, self.session.down, server, client),
        };
        if flow == Flow::Closed {
            return idle;
        }
        lane.turn(source, destination, flow == Flow::Open, scratch)
    }

    /// What a turn means for the session. Both directions are heard: a socket tells its error once,
    /// and to a second look the reset would be an ordinary end.
    fn news(&self, up: Turn, down: Turn) -> [Option<Event>; 2] {
        let news = [
            match up.stop {
                Stop::Ended => Some(Event::Ended(Side::Client)),
                Stop::SourceLost => Some(Event::Broken(Side::Client)),
                Stop::DestinationLost => Some(Event::ServerDeaf),
                Stop::Idle | Stop::Budget => None,
            },
            match down.stop {
                Stop::Ended => Some(Event::Ended(Side::Server)),
                Stop::SourceLost => Some(Event::Broken(Side::Server)),
                Stop::DestinationLost => Some(Event::Broken(Side::Client)),
                Stop::Idle | Stop::Budget => None,
            },
        ];
        if news.iter().any(Option::is_some) {
            return news;
        }
        if self.session.up == Flow::Draining && !self.up.has_unsent() {
            return [Some(Event::Flushed(Direction::Up)), None];
        }
        if self.session.down == Flow::Draining && !self.down.has_unsent() {
            return [Some(Event::Flushed(Direction::Down)), None];
        }
        [None, None]
    }
}

/// Sends a FIN.
fn shut(fd: Option<BorrowedFd<'_>>) {
    if let Some(fd) = fd {
        // A peer that is gone already needs none.
        let _gone = shutdown(fd, Shutdown::Write);
    }
}
