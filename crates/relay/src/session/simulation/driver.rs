//! The worker's part, over models of sockets: the same calls in the same order as in `drive.rs`,
//! `assign.rs` and `finish.rs`.

use std::collections::BTreeSet;

use super::coverage;
use super::invariants::Witness;
use super::peer::{Peer, Read};
use crate::record::Cause;
use crate::session::{
    Actions, Direction, Event, Failure, Farewell, Flow, Leftover, Next, Phase, Policy, Session,
    Side, Situation, Unsent, Watch,
};
use crate::snapshot::Redispatch;

/// Rounds of reading and writing in one turn.
const ROUNDS: u32 = 3;

/// How far an attempt to connect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    UnderWay,
    /// Decided, and not looked at yet.
    Stands,
    Refused,
}

/// Timeouts of one world, in milliseconds.
#[derive(Debug)]
struct Timeouts {
    plain: [u64; 2],
    fin: [u64; 2],
    queue: u64,
}

/// Why a turn of one direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Idle,
    Ended,
    SourceLost,
    DestinationLost,
}

#[derive(Debug)]
pub(super) struct Driver {
    random: fastrand::Rng,
    name: String,
    now: u64,
    session: Session,
    policy: Policy,
    timeouts: Timeouts,
    client: Peer,
    server: Option<Peer>,
    attempt: Option<Attempt>,
    queued: bool,
    /// Bytes held in each direction, up first.
    held: [u64; 2],
    /// Last activity of each side, the client first.
    stamps: [u64; 2],
    expires: Option<u64>,
    over: bool,
    witness: Witness,
    story: Vec<String>,
    pub(super) covered: BTreeSet<String>,
}

impl Driver {
    pub(super) fn new(mut random: fastrand::Rng, name: String) -> Self {
        let redispatch = match random.u32(0..3) {
            0 => Redispatch::Off,
            1 => Redispatch::Every(random.u32(1..3)),
            _ => Redispatch::BeforeLast(random.u32(1..3)),
        };
        let policy = Policy {
            retries: random.u32(0..4),
            redispatch,
            timeout_connect: Some(random.u64(50..300)),
            abort_on_close: random.bool(),
        };
        let mut pair = || [random.u64(20..400), random.u64(20..400)];
        let timeouts = Timeouts {
            plain: pair(),
            fin: pair(),
            queue: pair()[0],
        };
        Self {
            random,
            name,
            now: 0,
            session: Session::new(),
            policy,
            timeouts,
            client: Peer::default(),
            server: None,
            attempt: None,
            queued: false,
            held: [0; 2],
            stamps: [0; 2],
            expires: None,
            over: false,
            witness: Witness::default(),
            story: Vec::new(),
            covered: BTreeSet::new(),
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn story(&self) -> String {
        format!("{}\n{}", self.name, self.story.join("\n"))
    }

    /// Something happens out there, and the worker may or may not look at once.
    pub(super) fn step(&mut self) {
        let bytes = self.random.u64(1..120);
        match self.random.u32(0..100) {
            0..18 => self.client.send(bytes),
            18..30 => self.client.take(bytes),
            30..33 => self.client.finish(),
            33 => self.client.close(),
            34..37 => self.client.abort(),
            37..75 => self.server_acts(bytes),
            75..78 if self.queued => self.dispatched(),
            78 if self.random.u32(0..4) == 0 => self.feed(Event::Killed(Cause::Killed)),
            79 if self.is_attached() && self.random.u32(0..4) == 0 => {
                self.feed(Event::Killed(Cause::ServerDown));
            }
            _ => self.pass_time(),
        }
        for side in [Side::Client, Side::Server] {
            if self.random.bool() {
                self.look(side);
            }
        }
    }

    fn server_acts(&mut self, bytes: u64) {
        match self.attempt {
            Some(Attempt::UnderWay) => {
                let decided = match self.random.u32(0..8) {
                    0 => Attempt::Refused,
                    1..6 => Attempt::Stands,
                    _ => Attempt::UnderWay,
                };
                self.attempt = Some(decided);
            }
            Some(Attempt::Refused) => {}
            None | Some(Attempt::Stands) => {
                let choice = self.random.u32(0..40);
                let Some(server) = &mut self.server else {
                    return;
                };
                match choice {
                    0..20 => server.send(bytes),
                    20..34 => server.take(bytes),
                    34..37 => server.finish(),
                    37 => server.close(),
                    38 => server.abort(),
                    _ => {}
                }
            }
        }
    }

    /// Time goes on, to the next deadline at most.
    fn pass_time(&mut self) {
        let then = self.now + self.random.u64(0..60);
        match self.deadline() {
            Some(deadline) if deadline <= then => {
                self.now = self.now.max(deadline);
                self.timer_fired();
            }
            _ => self.now = then,
        }
    }

    /// Nothing happens any more but time: the session comes to its end.
    pub(super) fn settle(&mut self) {
        // A client whose bytes wait is excused again and again while attempts take their time.
        for _ in 0..1000 {
            for side in [Side::Client, Side::Server] {
                self.look(side);
            }
            if self.over {
                if let Err(text) = self.witness.at_the_end(&self.session, &self.client) {
                    panic!("{text}\n{}", self.story());
                }
                return;
            }
            let deadline = self.deadline();
            let Some(deadline) = deadline else {
                panic!(
                    "nothing would ever end this session: {:?}\n{}",
                    self.session,
                    self.story()
                );
            };
            self.now = self.now.max(deadline);
            self.timer_fired();
        }
        panic!("no end in sight: {:?}\n{}", self.session, self.story());
    }

    fn is_attached(&self) -> bool {
        matches!(
            self.session.phase,
            Phase::Connecting | Phase::Pausing | Phase::Relaying
        )
    }

    /// The worker looks at a socket (`socket_ready`).
    fn look(&mut self, side: Side) {
        if self.over {
            return;
        }
        let peer = match side {
            Side::Client => Some(&self.client),
            Side::Server => self.server.as_ref(),
        };
        let (ending, error) = peer.map_or((false, false), |peer| (peer.fin, peer.reset));
        match (self.session.phase, side) {
            (Phase::Over, _) => {}
            (Phase::Fresh, Side::Server) => {}
            (Phase::Fresh, Side::Client) => {
                self.feed(if error {
                    Event::Broken(Side::Client)
                } else {
                    Event::Begun
                });
                if ending {
                    self.client_early();
                }
            }
            (Phase::Relaying, _) => {
                self.drive();
                if error {
                    self.check_unread_error(side);
                }
            }
            (Phase::Waiting | Phase::Connecting | Phase::Pausing, Side::Client) => {
                self.client_early();
            }
            (Phase::Waiting | Phase::Connecting | Phase::Pausing, Side::Server) => {
                if let Some(event) = self.attempt_ended() {
                    self.feed(event);
                }
            }
        }
    }

    fn client_early(&mut self) {
        let client = &self.client;
        if self.over || !(client.fin || client.reset) {
            return;
        }
        let event = match (client.inbox > 0, client.fin) {
            (true, _) if client.reset => Event::Broken(Side::Client),
            (true, _) => Event::ClientLeft(Leftover::Bytes),
            (false, true) => Event::ClientLeft(Leftover::Nothing),
            (false, false) => return self.feed(Event::Broken(Side::Client)),
        };
        if self.session.phase == Phase::Connecting
            && let Some(event) = self.attempt_ended()
        {
            self.feed(event);
        }
        if self.session.phase != Phase::Relaying && !self.over {
            self.feed(event);
        }
    }

    /// What an attempt has come to, if it is decided.
    fn attempt_ended(&mut self) -> Option<Event> {
        match self.attempt? {
            Attempt::UnderWay => None,
            Attempt::Stands => {
                self.attempt = None;
                self.expires = None;
                self.stamps[1] = self.now;
                Some(Event::Connected)
            }
            Attempt::Refused => Some(self.failure(Failure::Refused)),
        }
    }

    fn failure(&mut self, failure: Failure) -> Event {
        self.attempt = None;
        self.server = None;
        self.expires = None;
        let situation = Situation {
            active: self.random.u32(0..3),
            server_up: self.random.bool(),
            takes_turns: self.random.bool(),
        };
        Event::Failed(failure, situation)
    }

    fn check_unread_error(&mut self, side: Side) {
        let flow = match side {
            Side::Client => self.session.up,
            Side::Server => self.session.down,
        };
        if self.over || (side == Side::Server && (flow == Flow::Open || self.server.is_none())) {
            return;
        }
        self.feed(Event::Broken(side));
        self.drive();
    }

    fn feed(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next {
            if self.over {
                return;
            }
            let before = self.session;
            self.covered.insert(coverage::row(&before, event));
            let actions = self.session.handle(event, &self.policy);
            self.story.push(format!(
                "{:6} {event:?}: {before:?} -> {:?}, held {:?}",
                self.now, self.session, self.held
            ));
            let held = self.unsent();
            let checked = self
                .witness
                .after(&before, event, &self.session, actions, held);
            if let Err(text) = checked {
                panic!("{text}\n{}", self.story());
            }
            next = self.perform(actions);
            if event == Event::Connected {
                self.drive();
            }
        }
    }

    fn perform(&mut self, actions: Actions) -> Option<Event> {
        match actions.discard {
            Some(Direction::Up) => self.held[0] = 0,
            Some(Direction::Down) => self.held[1] = 0,
            None => {}
        }
        if let Some(farewell) = actions.drop_server
            && let Some(server) = self.server.take()
        {
            self.witness.server_told(server, farewell);
        }
        if actions.shut_server
            && let Some(server) = &mut self.server
        {
            server.heard_fin = true;
        }
        if actions.shut_client {
            self.client.heard_fin = true;
        }
        if actions.finish {
            self.over = true;
            if let Some(server) = self.server.take() {
                self.witness.server_told(server, Farewell::Close);
            }
            return None;
        }
        match actions.next {
            Some(Next::SameServer { pause }) => {
                self.expires = (pause > 0).then(|| self.now + pause);
            }
            Some(Next::OtherServer { pause: 0 }) => return self.choose(),
            Some(Next::OtherServer { pause }) => self.expires = Some(self.now + pause),
            Some(Next::GiveUp) | None => {}
        }
        if actions.choose {
            return self.choose();
        }
        if actions.connect {
            return self.open();
        }
        None
    }

    fn choose(&mut self) -> Option<Event> {
        match self.random.u32(0..10) {
            0..6 => Some(Event::Assigned),
            6..9 => {
                self.queued = true;
                self.expires = Some(self.now + self.timeouts.queue);
                None
            }
            _ => Some(Event::NoServer),
        }
    }

    fn dispatched(&mut self) {
        self.queued = false;
        self.expires = None;
        let event = match self.random.u32(0..4) {
            0 => self.choose(),
            _ => Some(Event::Assigned),
        };
        if let Some(event) = event {
            self.feed(event);
        }
    }

    fn open(&mut self) -> Option<Event> {
        match self.random.u32(0..20) {
            0 => return Some(self.failure(Failure::Resource)),
            1 => return Some(self.failure(Failure::Refused)),
            _ => {}
        }
        self.server = Some(Peer::default());
        self.expires = self.policy.timeout_connect.map(|wait| self.now + wait);
        // A UNIX socket stands at once.
        let at_once = self.random.u32(0..10) == 0;
        self.attempt = Some(if at_once {
            Attempt::Stands
        } else {
            Attempt::UnderWay
        });
        if at_once { self.attempt_ended() } else { None }
    }

    fn unsent(&self) -> Unsent {
        Unsent {
            up: self.held[0] > 0,
            down: self.held[1] > 0,
        }
    }

    fn drive(&mut self) {
        while !self.over && self.session.phase == Phase::Relaying {
            let up = self.turn(Direction::Up);
            let down = self.turn(Direction::Down);
            let news = self.news(up, down);
            if news == [None, None] {
                return;
            }
            for event in news.into_iter().flatten() {
                self.feed(event);
            }
        }
    }

    fn turn(&mut self, direction: Direction) -> Stop {
        let (flow, lane) = match direction {
            Direction::Up => (self.session.up, 0),
            Direction::Down => (self.session.down, 1),
        };
        if flow == Flow::Closed || (direction == Direction::Up && self.server.is_none()) {
            return Stop::Idle;
        }
        for round in 0.. {
            if self.held[lane] > 0 {
                let to = match direction {
                    Direction::Up => self.server.as_mut(),
                    Direction::Down => Some(&mut self.client),
                };
                let Some(to) = to else { return Stop::Idle };
                let Some(written) = to.write(self.held[lane]) else {
                    return Stop::DestinationLost;
                };
                self.held[lane] -= written;
                if written > 0 {
                    self.stamps[1 - lane] = self.now;
                }
                if self.held[lane] > 0 {
                    return Stop::Idle;
                }
            }
            if flow != Flow::Open || round == ROUNDS {
                return Stop::Idle;
            }
            let from = match direction {
                Direction::Up => Some(&mut self.client),
                Direction::Down => self.server.as_mut(),
            };
            let Some(from) = from else { return Stop::Idle };
            match from.read(self.random.u64(1..80)) {
                Read::Bytes(bytes) => {
                    self.held[lane] = bytes;
                    self.stamps[lane] = self.now;
                    self.witness.read[lane] += bytes;
                }
                Read::Ended => return Stop::Ended,
                Read::Lost => return Stop::SourceLost,
                Read::Nothing => return Stop::Idle,
            }
        }
        Stop::Idle
    }

    fn news(&self, up: Stop, down: Stop) -> [Option<Event>; 2] {
        let news = [
            match up {
                Stop::Ended => Some(Event::Ended(Side::Client)),
                Stop::SourceLost => Some(Event::Broken(Side::Client)),
                Stop::DestinationLost => Some(Event::ServerDeaf),
                Stop::Idle => None,
            },
            match down {
                Stop::Ended => Some(Event::Ended(Side::Server)),
                Stop::SourceLost => Some(Event::Broken(Side::Server)),
                Stop::DestinationLost => Some(Event::Broken(Side::Client)),
                Stop::Idle => None,
            },
        ];
        if news != [None, None] {
            return news;
        }
        if self.session.up == Flow::Draining && self.held[0] == 0 {
            return [Some(Event::Flushed(Direction::Up)), None];
        }
        if self.session.down == Flow::Draining && self.held[1] == 0 {
            return [Some(Event::Flushed(Direction::Down)), None];
        }
        [None, None]
    }

    fn due(&self, side: usize, watch: Watch) -> u64 {
        let wait = match watch {
            Watch::SilenceAfterFin => self.timeouts.fin[side],
            Watch::Silence | Watch::Stall => self.timeouts.plain[side],
        };
        self.stamps[side] + wait
    }

    fn deadline(&self) -> Option<u64> {
        let watches = self.session.watches(self.unsent());
        let client = watches.client.map(|watch| self.due(0, watch));
        let server = watches.server.map(|watch| self.due(1, watch));
        [client, server, self.expires].into_iter().flatten().min()
    }

    fn timer_fired(&mut self) {
        for _ in 0..8 {
            if self.over {
                return;
            }
            let event = if self.expires.is_some_and(|at| at <= self.now) {
                self.wait_over()
            } else {
                let waits = matches!(
                    self.session.phase,
                    Phase::Waiting | Phase::Connecting | Phase::Pausing
                );
                if waits && self.client.inbox > 0 {
                    self.stamps[0] = self.now;
                }
                self.overdue()
            };
            let Some(event) = event else { return };
            self.feed(event);
            self.drive();
        }
    }

    fn overdue(&self) -> Option<Event> {
        let watches = self.session.watches(self.unsent());
        [
            (Side::Client, watches.client),
            (Side::Server, watches.server),
        ]
        .into_iter()
        .zip(0..)
        .filter_map(|((side, watch), index)| Some((side, watch?, index)))
        .find(|(_, watch, index)| self.due(*index, *watch) <= self.now)
        .map(|(side, watch, _)| match watch {
            Watch::Silence | Watch::SilenceAfterFin => Event::Silent(side),
            Watch::Stall => Event::Stalled(side),
        })
    }

    fn wait_over(&mut self) -> Option<Event> {
        self.expires = None;
        match self.session.phase {
            Phase::Waiting => {
                self.queued = false;
                Some(Event::QueueTimeout)
            }
            Phase::Connecting => Some(self.failure(Failure::TimedOut)),
            Phase::Pausing => Some(Event::PauseOver),
            Phase::Fresh | Phase::Relaying | Phase::Over => None,
        }
    }
}
