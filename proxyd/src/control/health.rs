//! The checks: one task per checked server.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use haproxy_cfg::model::{CheckKind, Proxy, Server, ServerAddr};
use healthcheck::probe::{self, Kind, Limits, Peer};
use healthcheck::schedule;
use tokio::time::{Instant, sleep_until};

use super::plane::{Plane, ServerRef, Shared};

/// One server to check, with all that its probe needs.
#[derive(Debug)]
struct Job {
    at: ServerRef,
    peer: Peer,
    kind: Kind,
    limits: Limits,
    inter: Duration,
}

/// Starts the checks of all servers. Call it inside the control thread's `LocalSet`.
pub(super) fn start(plane: &Shared) {
    let (jobs, cap, percent) = {
        let plane = plane.borrow();
        let global = &plane.config.global;
        (jobs(&plane), global.max_spread_checks, global.spread_checks)
    };
    let intervals: Vec<Duration> = jobs.iter().map(|job| job.inter).collect();
    let delays = schedule::first_delays(&intervals, cap);
    let begin = Instant::now();
    for (job, delay) in jobs.into_iter().zip(delays) {
        tokio::task::spawn_local(run(Rc::clone(plane), job, begin + delay, percent));
    }
}

fn jobs(plane: &Plane) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (backend, state) in plane.backends.iter().enumerate() {
        let Some((_, section)) = plane.section(backend) else {
            continue;
        };
        for (index, (server, state)) in section.servers.iter().zip(&state.servers).enumerate() {
            if state.check.is_none() {
                continue;
            }
            let at = ServerRef {
                backend,
                server: index,
            };
            jobs.extend(job(at, section, server));
        }
    }
    jobs
}

fn job(at: ServerRef, section: &Proxy, server: &Server) -> Option<Job> {
    let check = server.check.as_ref()?;
    let timeouts = &section.timeouts;
    Some(Job {
        at,
        peer: peer(server)?,
        kind: match section.check_kind {
            CheckKind::Connect => Kind::Connect,
            CheckKind::SslHello => Kind::SslHello,
        },
        limits: Limits::new(check.inter, timeouts.connect, timeouts.check),
        inter: check.inter,
    })
}

/// Where to check: `addr` and `port` of the check come before the server's own.
fn peer(server: &Server) -> Option<Peer> {
    let check = server.check.as_ref()?;
    let own = server.addr.fixed();
    let ip = check.addr.or(match &server.addr {
        ServerAddr::Inet { ip, .. } => Some(*ip),
        ServerAddr::Unix(_) | ServerAddr::Abns(_) => None,
    });
    let port = check.port.or(own.map(|own| own.port()));
    match (ip, port, &server.addr) {
        (Some(ip), Some(port), _) => Some(Peer::Inet(SocketAddr::new(ip, port))),
        (_, _, ServerAddr::Unix(path)) => Some(Peer::Unix(path.clone())),
        (_, _, ServerAddr::Abns(name)) => Some(Peer::Abstract(name.clone())),
        // The configuration is refused before it comes to this: a check needs a port.
        (_, _, ServerAddr::Inet { .. }) => None,
    }
}

async fn run(plane: Shared, job: Job, first: Instant, percent: u8) {
    let mut next = first;
    loop {
        sleep_until(next).await;
        if plane.borrow_mut().check_begins(job.at) {
            let outcome = probe::run(&job.peer, job.kind, job.limits).await;
            tracing::debug!(peer = ?job.peer, ?outcome, "checked");
            plane.borrow_mut().checked(job.at, &outcome);
        }
        let interval = {
            let plane = plane.borrow();
            let check = plane
                .server(job.at)
                .and_then(|(server, _)| server.check.as_ref());
            check.map_or(job.inter, |check| check.health.interval())
        };
        next = Instant::now() + schedule::spread(interval, percent, fastrand::u32(..));
    }
}
