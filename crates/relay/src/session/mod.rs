//! The life of one connection as a value: `(phase, event) -> (phase, actions)`.
//!
//! ```text
//!   Fresh
//!     | Begun
//!     v       Assigned            Connected
//!   Waiting ------------> Connecting ------------> Relaying
//!      ^                   |    ^                     |
//!      | OtherServer       |    | SameServer          | both directions closed,
//!      |            Failed v    | PauseOver           | or one side broke
//!      +----------------- Pausing                     v
//!      any phase: client gone, time over, killed --> Over
//! ```
//!
//! It owns no socket, buffer or clock. The driver performs the [`Actions`], tells what the sockets
//! said, and asks [`Session::watches`] whose silence has to be timed. Every outcome, and the two
//! characters logged for it, follows HAProxy 2.6 as observed on the wire.

mod retry;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use retry::{Failure, Next, Policy, Situation};
pub(crate) use types::{
    Actions, Direction, Event, Farewell, Flow, Leftover, Phase, Side, Unsent, Watch, Watches,
};

use crate::record::{Cause, Stage, Termination};

/// The state of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) phase: Phase,
    pub(crate) up: Flow,
    pub(crate) down: Flow,
    pub(crate) termination: Termination,
    /// Attempts made after the first one failed.
    pub(crate) retries: u32,
    /// The client was silent for too long before there was a server.
    client_silent: bool,
    /// The pause under way ends with a new choice of server.
    moves_on: bool,
}

impl Session {
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Fresh,
            up: Flow::Open,
            down: Flow::Open,
            termination: Termination {
                cause: Cause::Normal,
                stage: Stage::Normal,
            },
            retries: 0,
            client_silent: false,
            moves_on: false,
        }
    }

    /// Takes one event. `policy` is what the backend's configuration says.
    pub(crate) fn handle(&mut self, event: Event, policy: &Policy) -> Actions {
        let actions = match self.phase {
            Phase::Fresh => self.fresh(event),
            Phase::Waiting => self.waiting(event, policy),
            Phase::Connecting => self.connecting(event, policy),
            Phase::Pausing => self.pausing(event, policy),
            Phase::Relaying => self.relaying(event),
            Phase::Over => Actions::NONE,
        };
        if actions.finish {
            self.phase = Phase::Over;
        }
        self.check_invariants();
        actions
    }

    fn fresh(&mut self, event: Event) -> Actions {
        match event {
            Event::Begun => {
                self.phase = Phase::Waiting;
                Actions {
                    choose: true,
                    ..Actions::NONE
                }
            }
            // Gone before anything was asked for it: a port scan, a health check that resets.
            Event::Broken(Side::Client) => self.finish(Cause::ClientAbort, Stage::Request),
            Event::Silent(Side::Client) => self.finish(Cause::ClientTimeout, Stage::Request),
            Event::Killed(cause) => self.finish(cause, Stage::Request),
            Event::Assigned
            | Event::NoServer
            | Event::QueueTimeout
            | Event::Connected
            | Event::Failed(..)
            | Event::PauseOver
            | Event::ClientLeft(_)
            | Event::Ended(_)
            | Event::Broken(Side::Server)
            | Event::ServerDeaf
            | Event::Flushed(_)
            | Event::Silent(Side::Server)
            | Event::Stalled(_) => Actions::NONE,
        }
    }

    fn waiting(&mut self, event: Event, policy: &Policy) -> Actions {
        match event {
            Event::Assigned => {
                self.phase = Phase::Connecting;
                Actions::CONNECT
            }
            Event::NoServer => {
                let finish = self.finish(Cause::ServerAbort, Stage::Connect);
                Actions {
                    failed: true,
                    ..finish
                }
            }
            Event::QueueTimeout => {
                let finish = self.finish(Cause::ServerTimeout, Stage::Queue);
                Actions {
                    failed: true,
                    ..finish
                }
            }
            Event::Silent(Side::Client) => self.finish(Cause::ClientTimeout, Stage::Queue),
            Event::ClientLeft(leftover) => self.client_left(leftover, policy, Stage::Queue),
            Event::Broken(Side::Client) => self.finish(Cause::ClientAbort, Stage::Data),
            Event::Killed(cause) => self.finish(cause, Stage::Queue),
            Event::Begun
            | Event::Connected
            | Event::Failed(..)
            | Event::PauseOver
            | Event::Ended(_)
            | Event::Broken(Side::Server)
            | Event::ServerDeaf
            | Event::Flushed(_)
            | Event::Silent(Side::Server)
            | Event::Stalled(_) => Actions::NONE,
        }
    }

    fn connecting(&mut self, event: Event, policy: &Policy) -> Actions {
        match event {
            Event::Connected => {
                self.phase = Phase::Relaying;
                if self.client_silent {
                    // It was given up while the connection was being opened: the server is told
                    // at once that nothing will come.
                    self.up = Flow::Draining;
                }
                Actions::NONE
            }
            Event::Failed(failure, situation) => self.failed(failure, situation, policy),
            Event::Silent(Side::Client) => self.client_silent(),
            Event::ClientLeft(leftover) => self.client_left(leftover, policy, Stage::Connect),
            Event::Broken(Side::Client) => self.finish(Cause::ClientAbort, Stage::Data),
            Event::Killed(cause) => self.finish(cause, Stage::Connect),
            Event::Begun
            | Event::Assigned
            | Event::NoServer
            | Event::QueueTimeout
            | Event::PauseOver
            | Event::Ended(_)
            | Event::Broken(Side::Server)
            | Event::ServerDeaf
            | Event::Flushed(_)
            | Event::Silent(Side::Server)
            | Event::Stalled(_) => Actions::NONE,
        }
    }

    fn pausing(&mut self, event: Event, policy: &Policy) -> Actions {
        match event {
            Event::PauseOver if self.moves_on => {
                self.phase = Phase::Waiting;
                Actions {
                    next: Some(Next::OtherServer { pause: 0 }),
                    ..Actions::NONE
                }
            }
            Event::PauseOver => {
                self.phase = Phase::Connecting;
                Actions::CONNECT
            }
            Event::Silent(Side::Client) => self.finish(Cause::ClientTimeout, Stage::Connect),
            Event::ClientLeft(leftover) => self.client_left(leftover, policy, Stage::Connect),
            Event::Broken(Side::Client) => self.finish(Cause::ClientAbort, Stage::Data),
            Event::Killed(cause) => self.finish(cause, Stage::Connect),
            Event::Begun
            | Event::Assigned
            | Event::NoServer
            | Event::QueueTimeout
            | Event::Connected
            | Event::Failed(..)
            | Event::Ended(_)
            | Event::Broken(Side::Server)
            | Event::ServerDeaf
            | Event::Flushed(_)
            | Event::Silent(Side::Server)
            | Event::Stalled(_) => Actions::NONE,
        }
    }

    fn relaying(&mut self, event: Event) -> Actions {
        match event {
            Event::Ended(Side::Client) => self.source_ended(Direction::Up),
            Event::Ended(Side::Server) => self.source_ended(Direction::Down),
            Event::Flushed(direction) => self.flushed(direction),
            Event::Silent(Side::Client) => {
                self.blame(Cause::ClientTimeout, Stage::Data);
                self.source_ended(Direction::Up)
            }
            Event::Silent(Side::Server) => {
                self.blame(Cause::ServerTimeout, Stage::Data);
                self.source_ended(Direction::Down)
            }
            Event::Stalled(Side::Client) => {
                // What it did not take is lost to it; it gets the end of what it took.
                self.blame(Cause::ClientTimeout, Stage::Data);
                self.down = Flow::Closed;
                if self.up == Flow::Open {
                    self.up = Flow::Draining;
                }
                Actions {
                    discard: Some(Direction::Down),
                    shut_client: true,
                    finish: self.up == Flow::Closed,
                    ..Actions::NONE
                }
            }
            Event::Stalled(Side::Server) => {
                self.blame(Cause::ServerTimeout, Stage::Data);
                self.server_lost(Farewell::Reset)
            }
            Event::Broken(Side::Client) => {
                self.blame(Cause::ClientAbort, Stage::Data);
                let farewell = if self.down == Flow::Open {
                    Farewell::Reset
                } else {
                    Farewell::Close
                };
                Actions {
                    drop_server: Some(farewell),
                    ..Actions::FINISH
                }
            }
            Event::Broken(Side::Server) => {
                self.blame(Cause::ServerAbort, Stage::Data);
                self.server_lost(Farewell::Close)
            }
            Event::ServerDeaf => {
                self.blame(Cause::ServerAbort, Stage::Data);
                self.up = Flow::Closed;
                Actions {
                    discard: Some(Direction::Up),
                    finish: self.down == Flow::Closed,
                    ..Actions::NONE
                }
            }
            Event::Killed(cause) => self.finish(cause, Stage::Normal),
            Event::Begun
            | Event::ClientLeft(_)
            | Event::Assigned
            | Event::NoServer
            | Event::QueueTimeout
            | Event::Connected
            | Event::Failed(..)
            | Event::PauseOver => Actions::NONE,
        }
    }

    /// Nothing more comes from a direction's source; the driver reports when all is written.
    fn source_ended(&mut self, direction: Direction) -> Actions {
        let flow = self.flow(direction);
        if *flow == Flow::Open {
            *flow = Flow::Draining;
        }
        Actions::NONE
    }

    fn flushed(&mut self, direction: Direction) -> Actions {
        let flow = self.flow(direction);
        if *flow != Flow::Draining {
            return Actions::NONE;
        }
        *flow = Flow::Closed;
        if self.up == Flow::Closed && self.down == Flow::Closed {
            // Both sides have ended: closing says the rest, a FIN of its own would be one system
            // call too many.
            return Actions::FINISH;
        }
        match direction {
            Direction::Up => Actions {
                shut_server: true,
                ..Actions::NONE
            },
            Direction::Down => Actions {
                shut_client: true,
                ..Actions::NONE
            },
        }
    }

    /// The server connection is of no use any more; the client still gets what was read from it.
    fn server_lost(&mut self, farewell: Farewell) -> Actions {
        self.up = Flow::Closed;
        if self.down == Flow::Open {
            self.down = Flow::Draining;
        }
        Actions {
            discard: Some(Direction::Up),
            drop_server: Some(farewell),
            finish: self.down == Flow::Closed,
            ..Actions::NONE
        }
    }

    /// The client's FIN came before the server connection stood. It cancels the attempt if there is
    /// nothing to deliver, or if `option abortonclose` says so.
    fn client_left(&mut self, leftover: Leftover, policy: &Policy, stage: Stage) -> Actions {
        if leftover == Leftover::Bytes && !policy.abort_on_close {
            return Actions::NONE;
        }
        self.finish(Cause::ClientAbort, stage)
    }

    /// The client's timeout does not cancel a connection under way, but it is what gets logged.
    fn client_silent(&mut self) -> Actions {
        self.client_silent = true;
        self.blame(Cause::ClientTimeout, Stage::Connect);
        Actions::NONE
    }

    fn failed(&mut self, failure: Failure, situation: Situation, policy: &Policy) -> Actions {
        let next = retry::next(failure, self.retries, situation, policy);
        match next {
            // Nobody waits for the outcome any more.
            Next::SameServer { pause: 1.. } | Next::OtherServer { pause: 1.. }
                if self.client_silent =>
            {
                Actions::FINISH
            }
            Next::GiveUp => {
                self.blame(failure.cause(), Stage::Connect);
                Actions {
                    failed: true,
                    ..Actions::FINISH
                }
            }
            Next::SameServer { pause } => {
                self.retries += 1;
                if pause == 0 {
                    return Actions {
                        next: Some(next),
                        ..Actions::CONNECT
                    };
                }
                self.phase = Phase::Pausing;
                self.moves_on = false;
                Actions {
                    next: Some(next),
                    ..Actions::NONE
                }
            }
            Next::OtherServer { pause } => {
                self.retries += 1;
                self.phase = if pause == 0 {
                    Phase::Waiting
                } else {
                    Phase::Pausing
                };
                self.moves_on = true;
                Actions {
                    next: Some(next),
                    ..Actions::NONE
                }
            }
        }
    }

    /// The first to be blamed stays in the log.
    fn blame(&mut self, cause: Cause, stage: Stage) {
        if self.termination.cause == Cause::Normal {
            self.termination = Termination { cause, stage };
        }
    }

    fn finish(&mut self, cause: Cause, stage: Stage) -> Actions {
        self.blame(cause, stage);
        Actions::FINISH
    }

    fn flow(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// Whose inactivity counts now. A side whose bytes are not wanted yet (the other side is slow)
    /// is not silent, and a side that has ended cannot be.
    pub(crate) fn watches(&self, unsent: Unsent) -> Watches {
        match self.phase {
            Phase::Over => Watches::default(),
            Phase::Fresh | Phase::Waiting | Phase::Connecting | Phase::Pausing => Watches {
                client: (!self.client_silent).then_some(Watch::Silence),
                server: None,
            },
            Phase::Relaying => Watches {
                client: watch(self.up, self.down, unsent.up, unsent.down),
                server: watch(self.down, self.up, unsent.down, unsent.up),
            },
        }
    }

    fn check_invariants(&self) {
        debug_assert!(
            self.phase != Phase::Relaying || self.up != Flow::Closed || self.down != Flow::Closed,
            "a session with both directions closed is over",
        );
        debug_assert!(
            (self.termination.stage == Stage::Normal) || self.termination.cause != Cause::Normal,
            "a stage without a culprit",
        );
    }
}

/// `from`: the direction this side feeds; `to`: the one that feeds it.
fn watch(from: Flow, to: Flow, from_unsent: bool, to_unsent: bool) -> Option<Watch> {
    if to_unsent {
        return Some(Watch::Stall);
    }
    if from != Flow::Open || from_unsent {
        return None;
    }
    Some(if to == Flow::Closed {
        Watch::SilenceAfterFin
    } else {
        Watch::Silence
    })
}
