//! What changes a server: results of its checks, and operators. Each change goes to the data path
//! first and is then told in the log.

use std::fmt::Write as _;

use daemonkit::syslog::Level;
use healthcheck::fsm::{self, Change as HealthChange};
use healthcheck::{Outcome, Verdict};
use relay::{Change, Changed, KillCause, Operational, SessionFilter};

use super::clock;
use super::logging::Mark;
use super::plane::{Plane, ServerRef};

/// Why a server's state changes.
#[derive(Debug)]
enum Reason {
    /// A check's result.
    Check,
    /// `set server ... health`.
    Operator,
}

impl Plane {
    /// `Server be/name` or `Backup Server be/name`.
    fn title(&self, at: ServerRef) -> Option<String> {
        let (_, section) = self.section(at.backend)?;
        let server = section.servers.get(at.server)?;
        let backup = if server.backup { "Backup " } else { "" };
        Some(format!("{backup}Server {}/{}", section.name, server.name))
    }

    fn warn(&self, at: ServerRef, level: Level, text: &str) {
        if let Some((proxy, _)) = self.section(at.backend) {
            self.logs.warn(proxy, level, text);
        }
    }

    /// A check begins; false if the server is not to be checked now.
    pub(super) fn check_begins(&mut self, at: ServerRef) -> bool {
        // The process that takes over checks; this one only finishes its sessions.
        let stopping = self.stopping;
        let server = self.server_mut(at);
        let Some(server) = server.filter(|server| !stopping && server.is_checked()) else {
            return false;
        };
        if let Some(check) = &mut server.check {
            check.running = true;
        }
        true
    }

    /// Acts on the result of a check.
    pub(super) fn checked(&mut self, at: ServerRef, outcome: &Outcome) {
        let Some(server) = self.server_mut(at) else {
            return;
        };
        let watched = server.is_checked();
        let Some(check) = &mut server.check else {
            return;
        };
        check.running = false;
        if !watched {
            // Maintenance began while the check was under way: its result is of no use.
            return;
        }
        let before = check.status;
        check.note(outcome);
        let was_up = check.health.state() == fsm::State::Up;
        if was_up && outcome.verdict() == Verdict::Failed {
            check.failures += 1;
        }
        let change = check.health.record(outcome.verdict());
        if before != outcome.status || change != HealthChange::None {
            self.log_check(at, outcome);
        }
        match change {
            HealthChange::Down => self.goes_down(at, &Reason::Check),
            HealthChange::Up => self.goes_up(at, &Reason::Check),
            // An operator's `health stopping` lasts until a check passes.
            HealthChange::None | HealthChange::Counter => {
                let stopping = self.server(at).map(|(server, _)| server.operational);
                if stopping == Some(Operational::Stopping) && outcome.verdict() == Verdict::Passed {
                    self.goes_up(at, &Reason::Check);
                }
            }
        }
    }

    /// `option log-health-checks`.
    fn log_check(&self, at: ServerRef, outcome: &Outcome) {
        let Some((proxy, section)) = self.section(at.backend) else {
            return;
        };
        let Some((state, server)) = self.server(at) else {
            return;
        };
        let Some(check) = state
            .check
            .as_ref()
            .filter(|_| section.log.log_health_checks)
        else {
            return;
        };
        let (x, y) = check.health.progress();
        let text = format!(
            "Health check for {}server {}/{} {}{}, status: {x}/{y} {}.",
            if server.backup { "backup " } else { "" },
            section.name,
            server.name,
            match outcome.verdict() {
                Verdict::Passed => "succeeded",
                Verdict::Failed | Verdict::Neutral => "failed",
            },
            reason(outcome),
            match check.health.state() {
                fsm::State::Up => "UP",
                fsm::State::Down => "DOWN",
            },
        );
        self.logs.warn(proxy, Level::Notice, &text);
    }

    /// The words after the state in an up or down line: why.
    fn why(&self, at: ServerRef, reason_for: &Reason) -> String {
        match reason_for {
            Reason::Operator => String::from(", changed from CLI"),
            Reason::Check => {
                let quiet = self
                    .section(at.backend)
                    .is_some_and(|(_, s)| s.log.log_health_checks);
                let check = self
                    .server(at)
                    .and_then(|(server, _)| server.check.as_ref());
                match check.filter(|_| !quiet) {
                    Some(check) => reason(&Outcome {
                        status: check.status,
                        info: check.info.clone(),
                        duration: check.duration,
                    }),
                    None => String::new(),
                }
            }
        }
    }

    /// Changes a server in the data path; what is to be changed here was changed before.
    fn change(&mut self, at: ServerRef, change: Change) -> Option<Changed> {
        self.relay.change_server(at.backend, at.server, change)
    }

    fn goes_down(&mut self, at: ServerRef, why: &Reason) {
        let now = clock::seconds();
        let Some(title) = self.title(at) else { return };
        let Some(server) = self.server_mut(at) else {
            return;
        };
        let was = server.is_running();
        server.changed(now);
        server.operational = Operational::Down;
        if was {
            server.downs += 1;
        }
        let quiet = server.admin.forced_drain;
        let Some(changed) = self.change(at, Change::Operational(Operational::Down)) else {
            return;
        };
        let why = self.why(at, why);
        let level = if quiet { Level::Notice } else { Level::Alert };
        self.warn(
            at,
            level,
            &format!("{title} is DOWN{why}.{}", left(&changed)),
        );
        self.remind_of_drain(at, &title);
        self.backend_may_have_changed(at.backend, &changed, now);
    }

    fn goes_up(&mut self, at: ServerRef, why: &Reason) {
        let now = clock::seconds();
        let Some(title) = self.title(at) else { return };
        let Some(server) = self.server_mut(at) else {
            return;
        };
        server.changed(now);
        server.came_up();
        let Some(changed) = self.change(at, Change::Operational(Operational::Up)) else {
            return;
        };
        let why = self.why(at, why);
        self.warn(
            at,
            Level::Notice,
            &format!("{title} is UP{why}.{}", online(&changed)),
        );
        if self
            .server(at)
            .is_some_and(|(_, server)| server.slowstart.is_some())
        {
            // The original says it once more when slow start takes over.
            let text = format!("{title} is UP.{}", online(&changed));
            self.warn(at, Level::Notice, &text);
        }
        self.remind_of_drain(at, &title);
        self.backend_may_have_changed(at.backend, &changed, now);
        let clears = self
            .server(at)
            .is_some_and(|(_, server)| server.shutdown_backup_on_up && !server.backup);
        if clears {
            self.relay
                .kill(SessionFilter::Backups(at.backend), KillCause::ServerUp);
        }
    }

    /// A state that checks changed has no effect while the operator keeps the server drained.
    fn remind_of_drain(&self, at: ServerRef, title: &str) {
        let drained = self
            .server(at)
            .is_some_and(|(server, _)| server.admin.forced_drain);
        if drained {
            let text = format!("{title} remains in forced drain mode.");
            self.warn(at, Level::Notice, &text);
        }
    }

    /// Logs and counts that the last server of a backend went, or the first one came.
    fn backend_may_have_changed(&mut self, backend: usize, changed: &Changed, now: u64) {
        let down = changed.active + changed.backups == 0;
        let Some(state) = self.backends.get_mut(backend) else {
            return;
        };
        if state.down == down {
            return;
        }
        state.downtime = state.downtime(now);
        if down {
            state.downs += 1;
        }
        state.down = down;
        state.last_change = now;
        if !down {
            return;
        }
        let Some((proxy, section)) = self.section(backend) else {
            return;
        };
        let (word, name) = (section.kind.word(), &section.name);
        self.logs.console(
            Mark::Alert,
            &format!("{word} '{name}' has no server available!"),
        );
        self.logs.log(
            proxy,
            Level::Emerg,
            &format!("{word} {name} has no server available!"),
        );
    }

    /// `set server <b>/<s> health`.
    pub(super) fn force_health(&mut self, at: ServerRef, to: Operational) {
        let Some(server) = self.server_mut(at) else {
            return;
        };
        if let Some(check) = &mut server.check {
            check.health.force(match to {
                Operational::Down => fsm::State::Down,
                Operational::Up | Operational::Stopping => fsm::State::Up,
            });
        }
        let from = server.operational;
        if from == to || server.admin.forced_maintenance {
            return;
        }
        match to {
            Operational::Down => self.goes_down(at, &Reason::Operator),
            Operational::Up => self.goes_up(at, &Reason::Operator),
            Operational::Stopping => self.stops(at),
        }
    }

    fn stops(&mut self, at: ServerRef) {
        let now = clock::seconds();
        let Some(title) = self.title(at) else { return };
        let Some(server) = self.server_mut(at) else {
            return;
        };
        server.changed(now);
        server.operational = Operational::Stopping;
        let Some(changed) = self.change(at, Change::Operational(Operational::Stopping)) else {
            return;
        };
        let text = format!("{title} is stopping, changed from CLI.{}", online(&changed));
        self.warn(at, Level::Notice, &text);
        self.backend_may_have_changed(at.backend, &changed, now);
    }

    /// `set server <b>/<s> state maint`, `disable server`.
    pub(super) fn set_maintenance(&mut self, at: ServerRef) {
        let now = clock::seconds();
        let Some(title) = self.title(at) else { return };
        let Some(server) = self.server_mut(at) else {
            return;
        };
        if server.admin.forced_maintenance {
            return;
        }
        let was_down = server.operational == Operational::Down;
        let was_drained = server.admin.forced_drain || server.operational == Operational::Stopping;
        if !was_down {
            server.changed(now);
            server.downs += 1;
        }
        server.enter_maintenance();
        server.admin.forced_maintenance = true;
        server.admin.forced_drain = false;
        let Some(changed) = self.change(at, Change::Admin(relay::Admin::Maintenance)) else {
            return;
        };
        if was_down {
            let text = format!("{title} was DOWN and now enters maintenance.");
            self.warn(at, Level::Notice, &text);
        } else {
            let level = if was_drained {
                Level::Notice
            } else {
                Level::Alert
            };
            let text = format!("{title} is going DOWN for maintenance.{}", left(&changed));
            self.warn(at, level, &text);
        }
        self.backend_may_have_changed(at.backend, &changed, now);
    }

    /// `set server <b>/<s> state drain`.
    pub(super) fn set_drain(&mut self, at: ServerRef) {
        let now = clock::seconds();
        let Some(title) = self.title(at) else { return };
        let Some(server) = self.server_mut(at) else {
            return;
        };
        if server.admin.forced_drain {
            return;
        }
        if server.admin.forced_maintenance {
            self.leave_maintenance(at, true);
            return;
        }
        server.changed(now);
        let running = server.is_running();
        server.admin.forced_drain = true;
        let Some(changed) = self.change(at, Change::Admin(relay::Admin::Drain)) else {
            return;
        };
        let counts = if running {
            online(&changed)
        } else {
            left(&changed)
        };
        self.warn(
            at,
            Level::Notice,
            &format!("{title} enters drain state.{counts}"),
        );
        self.backend_may_have_changed(at.backend, &changed, now);
    }

    /// `set server <b>/<s> state ready`, `enable server`.
    pub(super) fn set_ready(&mut self, at: ServerRef) {
        let now = clock::seconds();
        let Some(title) = self.title(at) else { return };
        let Some(server) = self.server_mut(at) else {
            return;
        };
        if server.admin.forced_maintenance {
            self.leave_maintenance(at, false);
            return;
        }
        if !server.admin.forced_drain {
            return;
        }
        server.changed(now);
        server.admin.forced_drain = false;
        let state = if server.is_running() { "UP" } else { "DOWN" };
        let Some(changed) = self.change(at, Change::Admin(relay::Admin::Ready)) else {
            return;
        };
        let text = format!("{title} is {state} (leaving forced drain).");
        self.warn(at, Level::Notice, &text);
        self.backend_may_have_changed(at.backend, &changed, now);
    }

    fn leave_maintenance(&mut self, at: ServerRef, into_drain: bool) {
        let now = clock::seconds();
        let Some(title) = self.title(at) else { return };
        let Some(server) = self.server_mut(at) else {
            return;
        };
        server.leave_maintenance(now);
        server.admin.forced_maintenance = false;
        server.admin.forced_drain = into_drain;
        let admin = server.admin.admin();
        // First up, then out of maintenance: the other order would show a down server to nobody's
        // benefit.
        let _ = self.change(at, Change::Operational(Operational::Up));
        let Some(changed) = self.change(at, Change::Admin(admin)) else {
            return;
        };
        let state = if into_drain { "DRAIN" } else { "READY" };
        let text = format!("{title} is UP/{state} (leaving forced maintenance).");
        self.warn(at, Level::Notice, &text);
        self.remind_of_drain(at, &title);
        self.backend_may_have_changed(at.backend, &changed, now);
    }

    /// `set server <b>/<s> weight` with a value in 0..=256.
    pub(super) fn set_weight(&mut self, at: ServerRef, weight: u16) {
        let now = clock::seconds();
        if let Some(changed) = self.change(at, Change::Weight(weight)) {
            self.backend_may_have_changed(at.backend, &changed, now);
        }
    }

    /// `set maxconn server`, 0 is unlimited.
    pub(super) fn set_server_maxconn(&mut self, at: ServerRef, maxconn: u32) {
        // Nothing is logged for it; the pool hands on whoever waited.
        let _ = self.change(at, Change::Maxconn(maxconn));
    }
}

/// `, reason: ..., info: "...", check duration: Nms`.
fn reason(outcome: &Outcome) -> String {
    let mut text = format!(", reason: {}", outcome.status.text());
    // Writing into a String cannot fail.
    if !outcome.info.is_empty() {
        let _ = write!(text, ", info: \"{}\"", outcome.info);
    }
    let _ = write!(text, ", check duration: {}ms", outcome.duration.as_millis());
    text
}

/// What remains after a server went.
fn left(changed: &Changed) -> String {
    let backup_only = changed.active == 0 && changed.backups > 0;
    format!(
        " {} active and {} backup servers left.{} {} sessions active, {} requeued, {} remaining in \
         queue.",
        changed.active,
        changed.backups,
        if backup_only {
            " Running on backup."
        } else {
            ""
        },
        changed.after.sessions,
        changed.requeued,
        changed.queue_left,
    )
}

/// What there is after a server came.
fn online(changed: &Changed) -> String {
    let backup_only = changed.active == 0 && changed.backups > 0;
    format!(
        " {} active and {} backup servers online.{} {} sessions requeued, {} total in queue.",
        changed.active,
        changed.backups,
        if backup_only {
            " Running on backup."
        } else {
            ""
        },
        changed.requeued,
        changed.queue_left,
    )
}
