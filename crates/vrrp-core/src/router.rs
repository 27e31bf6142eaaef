//! The state machine.

use std::collections::VecDeque;

use crate::action::Action;
use crate::counters::Counters;
use crate::event::Event;
use crate::settings::Instance;
use crate::state::State;
use crate::time::Time;

/// One virtual router.
#[derive(Clone, Debug)]
pub struct VirtualRouter {
    settings: Instance,
    state: State,
    counters: Counters,
    actions: VecDeque<Action>,
}

impl VirtualRouter {
    /// A router in [`State::Init`]. It does nothing before [`Event::Start`].
    #[must_use]
    pub fn new(settings: Instance) -> Self {
        Self {
            settings,
            state: State::Init,
            counters: Counters::default(),
            actions: VecDeque::new(),
        }
    }

    /// Something happened at `now`. Time that runs backwards counts as
    /// standing still.
    pub fn handle(&mut self, now: Time, event: Event) {
        let _ = (now, event);
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Event::Timer`] is wanted next; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// The present state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Priority after script weights, 1..=255.
    #[must_use]
    pub const fn effective_priority(&self) -> u8 {
        self.settings.priority.get()
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> &Instance {
        &self.settings
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }
}
