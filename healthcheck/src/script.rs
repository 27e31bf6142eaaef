//! The counter of keepalived's `vrrp_script`: the first result decides alone, later ones have to
//! repeat `rise` or `fall` times.

/// The state of one script under `rise` and `fall` (keepalived.conf(5), `vrrp_script`).
///
/// Until the first result the script's weight does not count. That first result is taken at
/// once, whatever `rise` and `fall` say; with `init_fail` the script counts as failed from the
/// start, and then has to succeed `rise` times like any other failed script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptHealth {
    rise: u32,
    fall: u32,
    counter: u32,
    state: ScriptState,
}

/// What is known about a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScriptState {
    /// No result yet.
    Unknown,
    /// It counts as failed.
    Failed,
    /// It counts as succeeding.
    Good,
}

/// One run of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScriptResult {
    /// Exit status 0.
    Success,
    /// Any other end.
    Failure,
}

/// Whether a script counts as failed before its first result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum InitFail {
    /// It does not: nothing is known.
    #[default]
    No,
    /// `init_fail`: it does.
    Yes,
}

impl ScriptHealth {
    /// A script that has not run. Zero counts as 1, as keepalived reads it.
    #[must_use]
    pub const fn new(rise: u32, fall: u32, init_fail: InitFail) -> Self {
        Self {
            rise: if rise == 0 { 1 } else { rise },
            fall: if fall == 0 { 1 } else { fall },
            counter: 0,
            state: match init_fail {
                InitFail::Yes => ScriptState::Failed,
                InitFail::No => ScriptState::Unknown,
            },
        }
    }

    /// What is known now.
    #[must_use]
    pub const fn state(&self) -> ScriptState {
        self.state
    }

    /// Takes one result; gives the new state if it changed.
    pub const fn record(&mut self, result: ScriptResult) -> Option<ScriptState> {
        match (self.state, result) {
            (ScriptState::Unknown, ScriptResult::Success) => self.become_(ScriptState::Good),
            (ScriptState::Unknown, ScriptResult::Failure) => self.become_(ScriptState::Failed),
            (ScriptState::Good, ScriptResult::Success)
            | (ScriptState::Failed, ScriptResult::Failure) => {
                self.counter = 0;
                None
            }
            (ScriptState::Good, ScriptResult::Failure) => {
                self.counter += 1;
                if self.counter >= self.fall {
                    self.become_(ScriptState::Failed)
                } else {
                    None
                }
            }
            (ScriptState::Failed, ScriptResult::Success) => {
                self.counter += 1;
                if self.counter >= self.rise {
                    self.become_(ScriptState::Good)
                } else {
                    None
                }
            }
        }
    }

    const fn become_(&mut self, state: ScriptState) -> Option<ScriptState> {
        self.state = state;
        self.counter = 0;
        Some(state)
    }
}
