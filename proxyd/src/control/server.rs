//! What the control plane knows of one server beyond the data path's pool.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use haproxy_cfg::model;
use healthcheck::fsm::{Health, State, Thresholds};
use healthcheck::{Outcome, Status, Verdict};

/// The operator's will, and what the configuration says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct AdminFlags {
    /// Put into maintenance by a command or by `disabled`.
    pub(super) forced_maintenance: bool,
    /// `disabled` in the configuration: stays set for the state dump.
    pub(super) config_maintenance: bool,
    /// Put into drain by a command.
    pub(super) forced_drain: bool,
}

impl AdminFlags {
    /// The number of the `srv_admin_state` column of `show servers state`.
    pub(super) const fn bits(self) -> u8 {
        (self.forced_maintenance as u8)
            | ((self.config_maintenance as u8) << 2)
            | ((self.forced_drain as u8) << 3)
    }

    /// What the pool is told.
    pub(super) const fn admin(self) -> relay::Admin {
        if self.forced_maintenance {
            relay::Admin::Maintenance
        } else if self.forced_drain {
            relay::Admin::Drain
        } else {
            relay::Admin::Ready
        }
    }
}

/// The checks of one server.
#[derive(Debug)]
pub(super) struct CheckState {
    pub(super) health: Health,
    /// The last result.
    pub(super) status: Status,
    pub(super) info: Cow<'static, str>,
    pub(super) duration: Duration,
    /// Whether a result has come since the checks were last started.
    pub(super) verdict: Verdict,
    /// Off by `disable health`.
    pub(super) enabled: bool,
    /// Off for as long as the server is in maintenance.
    pub(super) paused: bool,
    /// A check is under way.
    pub(super) running: bool,
    /// Failed checks while the server was up.
    pub(super) failures: u64,
}

/// One server as the control plane sees it.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) admin: AdminFlags,
    pub(super) check: Option<CheckState>,
    /// Operational state: by checks, or by an operator's `health` command.
    pub(super) operational: relay::Operational,
    /// Seconds of [`super::clock`].
    pub(super) last_change: u64,
    /// Seconds spent down before the present spell.
    downtime: u64,
    /// Transitions from up to down.
    pub(super) downs: u64,
    /// When it last came up: slow start begins here.
    up_since: Option<Instant>,
    /// What `show servers state` gives as health of a server without checks.
    idle_health: u32,
}

impl ServerState {
    pub(super) fn new(server: &model::Server, checked: bool, now: u64) -> Self {
        let check = server.check.as_ref().filter(|_| checked).map(|check| {
            let mut health = Health::new(Thresholds {
                rise: check.rise,
                fall: check.fall,
                inter: check.inter,
                fastinter: check.fast(),
                downinter: check.down(),
            });
            if server.disabled {
                health.force(State::Down);
            }
            CheckState {
                health,
                status: Status::Initializing,
                info: Cow::Borrowed(""),
                duration: Duration::ZERO,
                verdict: Verdict::Neutral,
                enabled: true,
                paused: server.disabled,
                running: false,
                failures: 0,
            }
        });
        Self {
            admin: AdminFlags {
                forced_maintenance: server.disabled,
                config_maintenance: server.disabled,
                forced_drain: false,
            },
            check,
            operational: relay::Operational::Up,
            last_change: now,
            downtime: 0,
            downs: 0,
            up_since: None,
            idle_health: if server.disabled { 0 } else { 2 },
        }
    }

    /// Neither in maintenance nor down.
    pub(super) fn is_running(&self) -> bool {
        !self.admin.forced_maintenance && self.operational != relay::Operational::Down
    }

    /// Whether checks may run now.
    pub(super) fn is_checked(&self) -> bool {
        let enabled = self.check.as_ref().is_some_and(|check| check.enabled);
        enabled && !self.admin.forced_maintenance
    }

    /// Whole seconds since the last change of state.
    pub(super) fn since_change(&self, now: u64) -> u64 {
        now.saturating_sub(self.last_change)
    }

    /// Whole seconds spent down, the present spell included.
    pub(super) fn downtime(&self, now: u64) -> u64 {
        if self.is_running() {
            return self.downtime;
        }
        self.downtime + self.since_change(now)
    }

    /// Notes a change of state at `now`, before the state itself is changed.
    pub(super) fn changed(&mut self, now: u64) {
        self.downtime = self.downtime(now);
        self.last_change = now;
    }

    /// How many connections of the original's HTTP pool it would need: the one of its checks.
    pub(super) fn needed_connections(&self) -> u32 {
        let check = self.check.as_ref();
        u32::from(check.is_some_and(|check| check.status > Status::Initializing))
    }

    /// The `srv_check_health` column of `show servers state`.
    pub(super) fn health_number(&self) -> u32 {
        self.check
            .as_ref()
            .map_or(self.idle_health, |check| check.health.counter())
    }

    /// Enters maintenance: checks pause, and count from nothing afterwards.
    pub(super) fn enter_maintenance(&mut self) {
        self.idle_health = 0;
        if let Some(check) = &mut self.check {
            check.health.force(State::Down);
            check.paused = true;
        }
    }

    /// It takes connections again, slowly at first if `slowstart` says so.
    pub(super) fn came_up(&mut self) {
        self.operational = relay::Operational::Up;
        self.up_since = Some(Instant::now());
    }

    /// How far slow start has come, in percent; `None` if it is over or never began.
    pub(super) fn throttle(&self, slowstart: Option<Duration>) -> Option<u32> {
        let slowstart = slowstart?.as_millis().max(1);
        let elapsed = self.up_since?.elapsed().as_millis();
        let percent = u32::try_from(elapsed * 100 / slowstart).ok()?;
        (self.is_running() && percent < 100).then_some(percent)
    }

    /// Leaves maintenance: up until a check says otherwise. The time in maintenance is not added
    /// up as downtime.
    pub(super) fn leave_maintenance(&mut self, now: u64) {
        self.last_change = now;
        self.came_up();
        if let Some(check) = self.check.as_mut().filter(|check| check.enabled) {
            check.paused = false;
            check.health.restart();
        }
    }
}

impl CheckState {
    /// Takes a result in, all but its effect on the counter.
    pub(super) fn note(&mut self, outcome: &Outcome) {
        self.status = outcome.status;
        self.info = outcome.info.clone();
        self.duration = outcome.duration;
        self.verdict = outcome.verdict();
        self.running = false;
    }
}
