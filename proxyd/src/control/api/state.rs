//! `show servers state` and `show servers conn`.

use std::fmt::Write as _;

use haproxy_cfg::model::{Proxy, Server, ServerAddr, ServerPort};
use healthcheck::Verdict;
use relay::Operational;

use super::super::clock;
use super::super::plane::Plane;
use super::super::server::ServerState;
use super::frontend::named;
use super::{Context, Reply};

/// The 25 columns of version 1 of the state file.
const STATE_HEADER: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state \
    srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status \
    srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id \
    srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr \
    srv_agent_addr srv_agent_port\n";

/// One server with all that a line tells of it.
struct Line<'a> {
    section: &'a Proxy,
    server: &'a Server,
    state: &'a ServerState,
    weight: u16,
}

pub(super) fn show(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let now = clock::seconds();
    report(context, words, STATE_HEADER, |out, line| {
        state_line(out, line, now)
    })
}

pub(super) fn connections(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let workers = context.plane.borrow().identity.workers;
    let header = format!(
        "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb \
         safe_nb idle_lim idle_cur idle_per_thr[{workers}]\n"
    );
    report(context, words, &header, |out, line| {
        connection_line(out, line, workers)
    })
}

fn report(
    context: &Context<'_>,
    words: &[&str],
    header: &str,
    write: impl Fn(&mut String, &Line<'_>) -> std::fmt::Result,
) -> Reply {
    let plane = context.plane.borrow();
    let wanted = words.get(3).copied().filter(|name| !name.is_empty());
    let mut out = String::from(header);
    let mut found = wanted.is_none();
    for (index, state) in plane.backends.iter().enumerate() {
        let Some(section) = plane.config.proxies.get(state.proxy) else {
            continue;
        };
        if wanted.is_some_and(|name| !named(section, name)) {
            continue;
        }
        found = true;
        for line in lines(&plane, index, section) {
            // Writing into a String cannot fail.
            let _ = write(&mut out, &line);
        }
    }
    if !found {
        return Reply::error("Can't find backend.");
    }
    Reply::Data(out)
}

fn lines<'a>(
    plane: &'a Plane,
    backend: usize,
    section: &'a Proxy,
) -> impl Iterator<Item = Line<'a>> {
    let states = plane.backends.get(backend).map(|backend| &backend.servers);
    let snapshot = plane.snapshot.backends.get(backend);
    let views = snapshot
        .map(|backend| backend.state.servers())
        .unwrap_or_default();
    let states = states.into_iter().flatten();
    let servers = section.servers.iter().zip(states).zip(views);
    servers.map(move |((server, state), view)| Line {
        section,
        server,
        state,
        weight: view.weight,
    })
}

fn state_line(out: &mut String, line: &Line<'_>, now: u64) -> std::fmt::Result {
    let Line {
        section,
        server,
        state,
        ..
    } = line;
    let (address, port) = address(server);
    let check = state.check.as_ref();
    let result = check.map_or(0, |check| match check.verdict {
        Verdict::Neutral => 0,
        Verdict::Failed => 2,
        Verdict::Passed => 3,
    });
    let check_addr = server.check.and_then(|check| check.addr);
    let check_addr = check_addr.map_or_else(|| String::from("-"), |addr| addr.to_string());
    writeln!(
        out,
        "{} {} {} {} {address} {} {} {} {} {} {} {result} {} {} 0 {} {} {} {port} - 0 {} \
         {check_addr} - 0",
        section.id,
        section.name,
        server.id,
        server.name,
        operational(state),
        state.admin.bits(),
        line.weight,
        server.weight,
        state.since_change(now),
        check.map_or(1, |check| check.status.number()),
        state.health_number(),
        check_state(state),
        u8::from(section.id_forced),
        u8::from(server.id_forced),
        server.fqdn.as_deref().unwrap_or("-"),
        server.check.and_then(|check| check.port).unwrap_or(0),
    )
}

/// `srv_op_state`: 0 stopped, 2 running, 3 stopping.
fn operational(state: &ServerState) -> u8 {
    if state.admin.forced_maintenance {
        return 0;
    }
    match state.operational {
        Operational::Down => 0,
        Operational::Up => 2,
        Operational::Stopping => 3,
    }
}

/// `srv_check_state`: 1 running, 2 configured, 4 enabled, 8 paused by maintenance.
fn check_state(state: &ServerState) -> u8 {
    state.check.as_ref().map_or(0, |check| {
        let (enabled, paused) = (u8::from(check.enabled) << 2, u8::from(check.paused) << 3);
        u8::from(check.running) | 2 | enabled | paused
    })
}

/// Address and port as two words.
fn address(server: &Server) -> (String, u16) {
    match &server.addr {
        ServerAddr::Inet { ip, port } => {
            let port = match port {
                ServerPort::Fixed(port) => *port,
                ServerPort::Offset(_) => 0,
            };
            (ip.to_string(), port)
        }
        ServerAddr::Unix(path) => (path.display().to_string(), 0),
        ServerAddr::Abns(name) => (String::from_utf8_lossy(name).into_owned(), 0),
    }
}

/// The columns are about connections kept for later use, of which there are none.
fn connection_line(out: &mut String, line: &Line<'_>, workers: usize) -> std::fmt::Result {
    let (address, port) = address(line.server);
    let (section, server) = (line.section, line.server);
    let needed = line.state.needed_connections();
    write!(
        out,
        "{}/{} {}/{} {address} {port} - 5000 0 {needed} {needed} 0 0 -1 0",
        section.name, server.name, section.id, server.id,
    )?;
    for _ in 0..workers {
        out.push_str(" 0");
    }
    out.push('\n');
    Ok(())
}
