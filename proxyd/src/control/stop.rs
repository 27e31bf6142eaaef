//! The control thread's main loop: signals in, stopping out.

use std::time::Duration;

use daemonkit::syslog::Level;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::Command;
use super::api::Sockets;
use super::logging::Mark;
use super::plane::{FrontStatus, Plane, Shared};

/// Serves until everything has stopped, or until the daemon is dropped.
pub(super) async fn serve(
    plane: &Shared,
    sockets: Sockets,
    mut commands: mpsc::UnboundedReceiver<Command>,
    done: watch::Sender<bool>,
) {
    loop {
        match commands.recv().await {
            None => return,
            Some(Command::DumpStates) => plane.borrow().dump_states(),
            Some(Command::Pause) => plane.borrow_mut().pause_all(),
            Some(Command::Resume) => plane.borrow_mut().resume_all(),
            Some(Command::SoftStop) => break,
        }
    }
    let (grace, limit) = {
        let global = &plane.borrow().config.global;
        (global.grace, global.hard_stop_after)
    };
    if let Some(grace) = grace {
        sleep(grace).await;
    }
    plane.borrow_mut().stop_all();
    // New clients of the admin sockets are refused; those connected finish their commands.
    drop(sockets);
    let relay = plane.borrow().relay.clone();
    relay.shutdown(relay::Shutdown::Soft);
    let patience = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(patience);
    loop {
        tokio::select! {
            () = relay.drained() => break,
            () = &mut patience => {
                plane.borrow().hard_stop();
                relay.shutdown(relay::Shutdown::Hard);
                // Killed sessions end within moments; a worker that is stuck must not keep the
                // process.
                let _ = tokio::time::timeout(HARD_STOP, relay.drained()).await;
                break;
            }
            command = commands.recv() => match command {
                None => return,
                Some(Command::DumpStates) => plane.borrow().dump_states(),
                // There is no listener left to act on.
                Some(Command::Pause | Command::Resume | Command::SoftStop) => {}
            },
        }
    }
    // Nobody waits any more if this fails.
    let _ = done.send(true);
    while commands.recv().await.is_some() {}
}

/// How long killed sessions may take to go.
const HARD_STOP: Duration = Duration::from_secs(2);

impl Plane {
    /// Enabled proxies in the order the original walks them: those that accept, then the others.
    fn by_stop_order(&self) -> impl Iterator<Item = usize> {
        let enabled = |front: bool| {
            let proxies = self.config.proxies.iter().enumerate();
            proxies.filter(move |(_, proxy)| !proxy.disabled && proxy.kind.has_frontend() == front)
        };
        enabled(true).chain(enabled(false)).map(|(index, _)| index)
    }

    /// The sides of a proxy that the data path knows.
    fn sides(&self, proxy: usize) -> (Option<&relay::Frontend>, Option<&relay::Backend>) {
        let place = self.places.get(proxy);
        let frontend = place.and_then(|place| self.snapshot.frontends.get(place.frontend?));
        let backend = place.and_then(|place| self.snapshot.backends.get(place.backend?));
        (frontend.map(AsRef::as_ref), backend.map(AsRef::as_ref))
    }

    /// Cumulated connections of a proxy: as a frontend, as a backend.
    fn totals(&self, proxy: usize) -> (u64, u64) {
        let (frontend, backend) = self.sides(proxy);
        (
            frontend.map_or(0, |frontend| frontend.state.totals().connections),
            backend.map_or(0, |backend| backend.state.totals().sessions),
        )
    }

    fn log_stopped(&self, proxy: usize) {
        let Some(section) = self.config.proxies.get(proxy) else {
            return;
        };
        let (fe, be) = self.totals(proxy);
        let text = format!(
            "Proxy {} stopped (cumulated conns: FE: {fe}, BE: {be}).",
            section.name
        );
        self.logs.warn(proxy, Level::Warning, &text);
    }

    fn stop_all(&mut self) {
        self.stopping = true;
        let order: Vec<usize> = self.by_stop_order().collect();
        let mut sockets_stopped = false;
        for proxy in order {
            let frontend = self
                .config
                .proxies
                .get(proxy)
                .is_some_and(|p| p.kind.has_frontend());
            if !frontend && !std::mem::replace(&mut sockets_stopped, true) {
                self.say_sockets_stopped();
            }
            let status = self.fronts.get_mut(proxy);
            let stopped = status.as_deref() == Some(&FrontStatus::Stopped);
            if let Some(status) = status {
                *status = FrontStatus::Stopped;
            }
            self.close_exposed(proxy);
            // A frontend that was shut down before has said so then.
            if !stopped {
                self.log_stopped(proxy);
            }
        }
        if !sockets_stopped {
            self.say_sockets_stopped();
        }
    }

    /// The admin sockets are a frontend called GLOBAL in the original, which has no log.
    fn say_sockets_stopped(&self) {
        let total = self.cli_total;
        let text = format!("Proxy GLOBAL stopped (cumulated conns: FE: {total}, BE: {total}).");
        self.logs.console(Mark::Warning, &text);
    }

    fn hard_stop(&self) {
        let text = "soft-stop running for too long, performing a hard-stop.";
        self.logs.warn_global(Level::Warning, text);
        for proxy in self.by_stop_order() {
            let Some(section) = self.config.proxies.get(proxy) else {
                continue;
            };
            let (front, _) = self.active(proxy);
            if front == 0 {
                continue;
            }
            let text = format!(
                "Proxy {} hard-stopped ({front} remaining conns will be closed).",
                section.name
            );
            self.logs.warn(proxy, Level::Warning, &text);
        }
    }

    /// Current sessions of a proxy: as a frontend, as a backend.
    fn active(&self, proxy: usize) -> (u32, u32) {
        let (frontend, backend) = self.sides(proxy);
        (
            frontend.map_or(0, |frontend| frontend.state.sessions.current()),
            backend.map_or(0, |backend| backend.state.sessions.current()),
        )
    }

    fn fronts_with(&self, status: FrontStatus) -> Vec<usize> {
        let fronts = self.fronts.iter().enumerate();
        fronts
            .filter(|(proxy, found)| {
                let listens = self
                    .places
                    .get(*proxy)
                    .is_some_and(|place| place.frontend.is_some());
                listens && **found == status
            })
            .map(|(proxy, _)| proxy)
            .collect()
    }

    fn pause_all(&mut self) {
        for proxy in self.fronts_with(FrontStatus::Open) {
            self.pause(proxy);
        }
    }

    fn resume_all(&mut self) {
        for proxy in self.fronts_with(FrontStatus::Paused) {
            self.resume(proxy);
        }
    }

    /// Stops accepting on one frontend, for now.
    pub(super) fn pause(&mut self, proxy: usize) {
        self.switch(proxy, FrontStatus::Paused, "Paused");
    }

    /// Accepts again on one frontend.
    pub(super) fn resume(&mut self, proxy: usize) {
        self.switch(proxy, FrontStatus::Open, "Resumed");
    }

    fn switch(&mut self, proxy: usize, to: FrontStatus, word: &str) {
        let Some(frontend) = self.places.get(proxy).and_then(|place| place.frontend) else {
            return;
        };
        let Some(section) = self.config.proxies.get(proxy) else {
            return;
        };
        let text = format!("{word} {} {}.", section.kind.word(), section.name);
        if let Some(status) = self.fronts.get_mut(proxy) {
            *status = to;
        }
        match to {
            FrontStatus::Open => self.relay.resume(frontend),
            FrontStatus::Paused => self.relay.pause(frontend),
            FrontStatus::Stopped => self.relay.stop(frontend),
        }
        self.logs.warn(proxy, Level::Warning, &text);
    }

    /// Closes one frontend's sockets for good.
    pub(super) fn stop_front(&mut self, proxy: usize) {
        let Some(frontend) = self.places.get(proxy).and_then(|place| place.frontend) else {
            return;
        };
        if let Some(status) = self.fronts.get_mut(proxy) {
            *status = FrontStatus::Stopped;
        }
        self.relay.stop(frontend);
        self.close_exposed(proxy);
        self.log_stopped(proxy);
    }

    /// Logs the state of every server of every proxy (SIGHUP).
    fn dump_states(&self) {
        self.logs
            .console(Mark::Warning, "SIGHUP received, dumping servers states.");
        for (proxy, section) in self.config.proxies.iter().enumerate() {
            let begin = format!(
                "SIGHUP received, dumping servers states for proxy {}.",
                section.name
            );
            self.logs.log(proxy, Level::Notice, &begin);
            for line in self.state_lines(proxy) {
                self.logs.warn(proxy, Level::Notice, &line);
            }
        }
    }

    fn state_lines(&self, proxy: usize) -> Vec<String> {
        let Some(section) = self.config.proxies.get(proxy) else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        let backend = self.places.get(proxy).and_then(|place| place.backend);
        let snapshot = backend.and_then(|index| self.snapshot.backends.get(index));
        let states = backend.and_then(|index| self.backends.get(index));
        let (mut pending, mut unassigned, mut usable) = (0, 0, (0, 0));
        if let (Some(backend), Some(states)) = (snapshot, states) {
            unassigned = backend.state.queued().0;
            pending = unassigned;
            usable = backend.state.usable();
            let views = backend.state.servers();
            for ((server, view), state) in backend.servers.iter().zip(views).zip(&states.servers) {
                pending += view.queued;
                lines.push(format!(
                    "SIGHUP: Server {}/{} is {}. Conn: {} act, {} pend, {} tot.",
                    section.name,
                    server.name,
                    if state.is_running() { "UP" } else { "DOWN" },
                    view.sessions,
                    view.queued,
                    server.state.totals().sessions,
                ));
            }
        }
        let what = if section.servers.is_empty() {
            String::from("has no servers.")
        } else {
            match usable {
                (0, 0) => String::from("has no server available !"),
                (0, _) => String::from("is running on backup servers !"),
                (active, backups) => {
                    format!("has {active} active servers and {backups} backup servers available.")
                }
            }
        };
        let (front, back) = self.active(proxy);
        let (fe, be) = self.totals(proxy);
        lines.push(format!(
            "SIGHUP: Proxy {} {what} Conn: act(FE+BE): {front}+{back}, {pending} pend \
             ({unassigned} unass), tot(FE+BE): {fe}+{be}.",
            section.name
        ));
        lines
    }
}
