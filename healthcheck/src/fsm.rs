//! The rise/fall counter of a server check.

use std::time::Duration;

use crate::Verdict;

/// How many results change the state, and how often to check meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thresholds {
    /// `rise`: successes in a row that bring a server up; at least 1.
    pub rise: u32,
    /// `fall`: failures in a row that take a server down once it is fully up; at least 1.
    pub fall: u32,
    /// `inter`: between checks of a server in a steady state.
    pub inter: Duration,
    /// `fastinter`: while the state is changing.
    pub fastinter: Duration,
    /// `downinter`: while the server is fully down.
    pub downinter: Duration,
}

impl Default for Thresholds {
    /// `rise 2 fall 3 inter 2s`.
    fn default() -> Self {
        let inter = Duration::from_secs(2);
        Self {
            rise: 2,
            fall: 3,
            inter,
            fastinter: inter,
            downinter: inter,
        }
    }
}

/// Up or down, as far as checks know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Takes connections.
    Up,
    /// Does not.
    Down,
}

/// What one result did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Nothing at all.
    None,
    /// The counter moved, the state did not.
    Counter,
    /// The server went up.
    Up,
    /// The server went down.
    Down,
}

/// The counter of one checked server (haproxy configuration manual 5.2, `rise` and `fall`).
///
/// One number from 0 to `rise + fall - 1`; from `rise` on the server is up. A fresh server
/// stands at exactly `rise`: it takes traffic before its first check, and its first failure takes
/// it down whatever `fall` says. The first success lifts it to the top.
///
/// ```text
///      0 ... rise-1 | rise ... rise+fall-1
///          DOWN     |          UP
///   success: +1; reaching rise jumps to the top     failure: -1; falling below rise jumps to 0
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Health {
    thresholds: Thresholds,
    counter: u32,
}

impl Health {
    /// A server that has not been checked: up, one failure from down.
    #[must_use]
    pub fn new(thresholds: Thresholds) -> Self {
        let thresholds = Thresholds {
            rise: thresholds.rise.max(1),
            fall: thresholds.fall.max(1),
            ..thresholds
        };
        Self {
            thresholds,
            counter: thresholds.rise,
        }
    }

    /// The limits it works with.
    #[must_use]
    pub const fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// The raw counter (`check_health`, `srv_check_health`).
    #[must_use]
    pub const fn counter(&self) -> u32 {
        self.counter
    }

    /// Up or down.
    #[must_use]
    pub const fn state(&self) -> State {
        if self.counter >= self.thresholds.rise {
            State::Up
        } else {
            State::Down
        }
    }

    /// Whether no more result of the same kind could move the counter.
    #[must_use]
    pub const fn is_steady(&self) -> bool {
        self.counter == 0 || self.counter == self.top()
    }

    /// Takes one result.
    pub fn record(&mut self, verdict: Verdict) -> Change {
        let before = *self;
        match (before.state(), verdict) {
            (State::Up | State::Down, Verdict::Neutral) => {}
            (State::Up, Verdict::Failed) => {
                self.counter = before.counter.saturating_sub(1);
                if self.state() == State::Down {
                    self.counter = 0;
                }
            }
            (State::Down, Verdict::Failed) => self.counter = before.counter.saturating_sub(1),
            (State::Up, Verdict::Passed) => {
                self.counter = if before.counter == self.thresholds.rise {
                    self.top()
                } else {
                    before.counter.saturating_add(1).min(self.top())
                };
            }
            (State::Down, Verdict::Passed) => {
                self.counter = before.counter.saturating_add(1);
                if self.state() == State::Up {
                    self.counter = self.top();
                }
            }
        }
        self.check_invariants();
        match (before.state(), self.state()) {
            (State::Up, State::Down) => Change::Down,
            (State::Down, State::Up) => Change::Up,
            (State::Up, State::Up) | (State::Down, State::Down) => {
                if before.counter == self.counter {
                    Change::None
                } else {
                    Change::Counter
                }
            }
        }
    }

    /// Puts the server fully up or fully down, as an operator's word does.
    pub const fn force(&mut self, state: State) {
        self.counter = match state {
            State::Up => self.top(),
            State::Down => 0,
        };
    }

    /// Puts an up server one failure from down: where maintenance and a start leave it.
    pub const fn restart(&mut self) {
        self.counter = self.thresholds.rise;
    }

    /// From the end of one check to the start of the next.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        if self.counter == self.top() {
            self.thresholds.inter
        } else if self.counter == 0 {
            self.thresholds.downinter
        } else {
            self.thresholds.fastinter
        }
    }

    /// The two numbers that log lines and the statistics show beside the state: how far the
    /// server is from the other state, and out of how many.
    #[must_use]
    pub const fn progress(&self) -> (u32, u32) {
        match self.state() {
            State::Up => (
                self.counter - self.thresholds.rise + 1,
                self.thresholds.fall,
            ),
            State::Down => (self.counter, self.thresholds.rise),
        }
    }

    const fn top(&self) -> u32 {
        self.thresholds.rise + self.thresholds.fall - 1
    }

    fn check_invariants(&self) {
        debug_assert!(self.counter <= self.top(), "counter above its top");
        debug_assert!(
            self.progress().0 <= self.progress().1,
            "progress beyond its goal"
        );
    }
}
