//! `vrrp_script`: when each runs, and what its results mean. No process is started
//! here; that is [`runner`].

pub(crate) mod launch;
pub(crate) mod once;
pub(crate) mod runner;

use healthcheck::script::{InitFail, ScriptHealth, ScriptResult, ScriptState};
use keepalived_conf::ScriptDef;
use vrrp_core::{Health, Time};

use self::runner::{End, Job, Report};

/// One script in use.
#[derive(Debug)]
pub(crate) struct Tracked {
    def: ScriptDef,
    /// Tells the runs of this script from those of one that had its name before.
    ticket: u64,
    health: ScriptHealth,
    last_status: i32,
    /// Whether a run of it has ended.
    heard: bool,
    run: Run,
    next: Time,
}

/// How far its run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    None,
    UnderWay,
    /// It took too long, was told to end, and has not ended yet.
    Ending,
}

/// What a look at the clock gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is not time yet.
    Nothing,
    /// It is time, and the last run goes on still.
    Skip(String),
    /// Run it.
    Run(Job),
}

/// What a report gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Lines for the log.
    pub(crate) lines: Vec<String>,
    /// The new judgement, if it changed.
    pub(crate) health: Option<Health>,
}

impl Tracked {
    /// A script that runs for the first time at `now`.
    pub(crate) fn new(def: ScriptDef, ticket: u64, now: Time) -> Self {
        let init_fail = if def.init_fail {
            InitFail::Yes
        } else {
            InitFail::No
        };
        Self {
            health: ScriptHealth::new(def.rise, def.fall, init_fail),
            def,
            ticket,
            last_status: 0,
            heard: false,
            run: Run::None,
            next: now,
        }
    }

    pub(crate) const fn def(&self) -> &ScriptDef {
        &self.def
    }

    pub(crate) const fn ticket(&self) -> u64 {
        self.ticket
    }

    /// When it is to be looked at next.
    pub(crate) const fn next(&self) -> Time {
        self.next
    }

    /// What is known; `None` before the first result.
    pub(crate) const fn judgement(&self) -> Option<Health> {
        match self.health.state() {
            ScriptState::Unknown => None,
            ScriptState::Failed => Some(Health::Down),
            ScriptState::Good => Some(Health::Up),
        }
    }

    /// Whether a run of it has given a result; before that, `init_fail` may be the judgement.
    pub(crate) const fn has_result(&self) -> bool {
        self.heard
    }

    /// Whether a run of it is under way.
    pub(crate) fn is_running(&self) -> bool {
        self.run != Run::None
    }

    /// The line of a reload that keeps the script and its judgement.
    pub(crate) fn kept_line(&self) -> Option<String> {
        let word = match self.judgement()? {
            Health::Up => "successful",
            Health::Down => "unsuccessful",
        };
        Some(format!(
            "VRRP_Script({}) considered {word} on reload",
            self.def.name
        ))
    }

    /// Looks at the clock.
    pub(crate) fn due(&mut self, now: Time) -> Due {
        if now < self.next {
            return Due::Nothing;
        }
        // After a pause the missed runs are not made up for.
        while self.next <= now {
            let behind = now.since(self.next).as_nanos() / self.def.interval.as_nanos().max(1);
            self.next = self.next + self.def.interval.times(behind + 1);
        }
        let state = match self.run {
            Run::None => None,
            Run::UnderWay => Some("already running"),
            Run::Ending => Some("being timed out"),
        };
        if let Some(state) = state {
            return Due::Skip(format!(
                "Track script {} is {state}, expect idle - skipping run",
                self.def.name
            ));
        }
        self.run = Run::UnderWay;
        Due::Run(Job {
            ticket: self.ticket,
            argv: self.def.argv.clone(),
            user: self.def.user.clone(),
            timeout: self.def.timeout.to_std(),
        })
    }

    /// The job could not be handed over.
    pub(crate) const fn not_started(&mut self) {
        self.run = Run::None;
    }

    /// Takes a report on a run of this script.
    pub(crate) fn report(&mut self, report: &Report) -> Judged {
        let (failure, status) = match &report.end {
            End::Gone => {
                self.run = Run::None;
                return Judged::default();
            }
            End::TimedOut => ("timed_out".to_owned(), None),
            End::Exited(0) => (String::new(), Some(0)),
            End::Exited(status) => (
                format!("failed (exited with status {status})"),
                Some(*status),
            ),
            End::Signalled(signal) => (format!("failed (due to signal {signal})"), None),
            End::NotStarted(reason) => (format!("failed (cannot be run: {reason})"), None),
        };
        // A script that timed out still has to go away.
        self.run = match report.end {
            End::TimedOut => Run::Ending,
            _ => Run::None,
        };
        self.heard = true;
        let mut judged = Judged::default();
        let name = &self.def.name;
        if let Some(status) = status
            && status != self.last_status
        {
            self.last_status = status;
            judged
                .lines
                .push(format!("Script `{name}` now returning {status}"));
        }
        let result = if failure.is_empty() {
            ScriptResult::Success
        } else {
            ScriptResult::Failure
        };
        match self.health.record(result) {
            None | Some(ScriptState::Unknown) => {}
            Some(ScriptState::Good) => {
                judged.lines.push(format!("VRRP_Script({name}) succeeded"));
                judged.health = Some(Health::Up);
            }
            Some(ScriptState::Failed) => {
                judged.lines.push(format!("VRRP_Script({name}) {failure}"));
                judged.health = Some(Health::Down);
            }
        }
        judged
    }
}

#[cfg(test)]
mod tests;
