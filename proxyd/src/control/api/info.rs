//! `show info`: figures of the process.

use std::time::{Duration, Instant, UNIX_EPOCH};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::super::plane::{FrontStatus, Plane};
use super::output::{Value, json, put, typed};
use super::{Context, Reply};

/// Processor time used, when it was last looked at; `Idle_pct` is about the time since then.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Usage {
    seen: Option<(Instant, Duration)>,
    idle: u32,
}

impl Usage {
    /// The shortest time over which a share of the processor means anything.
    const PERIOD: Duration = Duration::from_millis(500);

    /// Percentage of the threads' time that was spent waiting.
    fn idle(&mut self, started: Instant, threads: u32) -> u32 {
        let now = Instant::now();
        let used = processor_time();
        let (since, before) = self.seen.unwrap_or((started, Duration::ZERO));
        let span = now.saturating_duration_since(since);
        if span >= Self::PERIOD || self.seen.is_none() {
            let available = (span * threads.max(1)).as_millis().max(1);
            let busy = used.saturating_sub(before).as_millis() * 100 / available;
            self.idle = 100 - u32::try_from(busy.min(100)).unwrap_or(100);
            self.seen = Some((now, used));
        }
        self.idle
    }
}

fn processor_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return Duration::ZERO;
    };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// Resident memory in bytes; inside a chroot without `/proc` the highest there has been.
fn memory(pid: u32) -> u64 {
    let pid = Pid::from_u32(pid);
    if let Ok(mut system) = System::new() {
        let what = ProcessRefreshKind::nothing().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        if let Some(process) = system.process(pid) {
            return process.memory();
        }
    }
    let peak = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
    u64::try_from(peak).unwrap_or_default().saturating_mul(1024)
}

pub(super) fn show(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let options = words.get(2..).unwrap_or_default();
    if options.contains(&"desc") {
        return Reply::error("'show info desc' is not supported.");
    }
    let fields = fields(&mut context.plane.borrow_mut());
    let mut out = String::new();
    if options.contains(&"json") {
        let mut first = true;
        out.push('[');
        for field in &fields {
            out.push_str(if std::mem::take(&mut first) {
                "{"
            } else {
                ",{"
            });
            json(
                &mut out,
                field.position,
                field.name,
                field.tags,
                &field.value,
            );
        }
        out.push_str("]\n");
    } else if options.contains(&"typed") {
        for field in &fields {
            put(
                &mut out,
                format_args!("{}.{}.1", field.position, field.name),
            );
            typed(&mut out, field.tags, &field.value);
        }
    } else {
        for field in &fields {
            put(&mut out, format_args!("{}: {}\n", field.name, field.value));
        }
    }
    Reply::Data(out)
}

/// One figure.
struct Field {
    /// Its number in typed output, which counts fields that are not shown here.
    position: usize,
    name: &'static str,
    tags: &'static str,
    value: Value,
}

/// Collects fields and numbers them.
#[derive(Default)]
struct Fields {
    list: Vec<Field>,
    next: usize,
}

impl Fields {
    fn add(&mut self, name: &'static str, tags: &'static str, value: impl Into<Value>) {
        self.list.push(Field {
            position: self.next,
            name,
            tags,
            value: value.into(),
        });
        self.next += 1;
    }

    /// A field that only exists with features this program does not have.
    fn skip(&mut self) {
        self.next += 1;
    }
}

fn fields(plane: &mut Plane) -> Vec<Field> {
    let mut fields = Fields::default();
    product(&mut fields, plane);
    limits(&mut fields, plane);
    connections(&mut fields, plane);
    features(&mut fields);
    activity(&mut fields, plane);
    traffic(&mut fields, plane);
    fields.list
}

fn product(fields: &mut Fields, plane: &Plane) {
    let uptime = plane.started.elapsed().as_secs();
    let identity = &plane.identity;
    fields.add("Name", "POS", "HAProxy");
    fields.add("Version", "POS", identity.version.as_str());
    fields.add("Release_date", "POS", identity.release_date.as_str());
    fields.add("Nbthread", "CGS", threads(plane));
    fields.add("Nbproc", "CGS", 1_u32);
    fields.add("Process_num", "KGP", 1_u32);
    fields.add("Pid", "SGP", identity.pid);
    fields.add("Uptime", "MDP", uptime_text(uptime));
    fields.add("Uptime_sec", "MDP", narrow(uptime));
}

fn limits(fields: &mut Fields, plane: &Plane) {
    let megabytes = narrow(memory(plane.identity.pid) >> 20);
    fields.add("Memmax_MB", "CLP", 0_u32);
    fields.add("PoolAlloc_MB", "MGP", megabytes);
    fields.add("PoolUsed_MB", "MGP", megabytes);
    fields.add("PoolFailed", "MCP", 0_u32);
    fields.add("Ulimit-n", "CLP", plane.identity.ulimit_n);
    fields.add("Maxsock", "CLP", plane.identity.maxsock);
    fields.add("Maxconn", "CLP", plane.maxconn);
    fields.add("Hard_maxconn", "CLP", plane.identity.maxconn);
}

fn connections(fields: &mut Fields, plane: &Plane) {
    let figures = plane.relay.figures();
    let global = &plane.config.global;
    let accepted = figures.accepted + plane.cli_total;
    fields.add("CurrConns", "MGP", figures.connections);
    fields.add("CumConns", "MCP", narrow(accepted));
    fields.add("CumReq", "MCP", narrow(figures.sessions + plane.cli_total));
    fields.add("MaxSslConns", "MMP", 0_u32);
    fields.add("CurrSslConns", "MGP", 0_u32);
    fields.add("CumSslConns", "MCP", 0_u32);
    let pipes = global.maxpipes.unwrap_or(figures.pipes_max);
    fields.add("Maxpipes", "CLP", pipes);
    fields.add("PipesUsed", "MGP", figures.pipes_used);
    fields.add("PipesFree", "MGP", figures.pipes_free);
    fields.add("ConnRate", "MRP", figures.connection_rate);
    fields.add("ConnRateLimit", "CLP", global.maxconnrate);
    fields.add("MaxConnRate", "MMP", figures.connection_rate_max);
    fields.add("SessRate", "MRP", figures.session_rate);
    fields.add("SessRateLimit", "CLP", global.maxsessrate);
    fields.add("MaxSessRate", "MRP", figures.session_rate_max);
}

/// TLS and compression, which this program does not have.
fn features(fields: &mut Fields) {
    for (name, tags) in [
        ("SslRate", "MRP"),
        ("SslRateLimit", "CLP"),
        ("MaxSslRate", "MMP"),
        ("SslFrontendKeyRate", "MGP"),
        ("SslFrontendMaxKeyRate", "MMP"),
        ("SslFrontendSessionReuse_pct", "MGP"),
        ("SslBackendKeyRate", "MRP"),
        ("SslBackendMaxKeyRate", "MMP"),
        ("SslCacheLookups", "MCP"),
        ("SslCacheMisses", "MCP"),
        ("CompressBpsIn", "MRP"),
        ("CompressBpsOut", "MRP"),
        ("CompressBpsRateLim", "CLP"),
    ] {
        fields.add(name, tags, 0_u32);
    }
    // Memory of the compression library.
    fields.skip();
    fields.skip();
}

fn activity(fields: &mut Fields, plane: &mut Plane) {
    let threads = threads(plane);
    let idle = plane.usage.idle(plane.started, threads);
    let figures = plane.relay.figures();
    let listeners = listeners(plane);
    let checks = plane.backends.iter().flat_map(|backend| &backend.servers);
    let checks = checks.filter(|server| server.check.is_some()).count();
    let checks = u32::try_from(checks).unwrap_or(u32::MAX);
    let sessions = figures.connections.saturating_add(plane.cli_open);
    fields.add("Tasks", "MGP", sessions.saturating_add(checks));
    fields.add("Run_queue", "MGP", 0_u32);
    fields.add("Idle_pct", "MaP", idle);
    let global = &plane.config.global;
    let node = global.node.as_deref().unwrap_or(&plane.identity.hostname);
    fields.add("node", "COS", node);
    match &global.description {
        Some(description) => fields.add("description", "COS", description.as_str()),
        None => fields.skip(),
    }
    fields.add("Stopping", "MGP", u32::from(plane.stopping));
    fields.add("Jobs", "MGP", listeners.saturating_add(sessions));
    fields.add("Unstoppable Jobs", "MGP", 0_u32);
    fields.add("Listeners", "MGP", listeners);
    fields.add("ActivePeers", "MGP", 0_u32);
    fields.add("ConnectedPeers", "MGP", 0_u32);
    fields.add("DroppedLogs", "MGP", narrow(plane.logs.dropped()));
    fields.add("BusyPolling", "MGP", u32::from(global.busy_polling));
    fields.add("FailedResolutions", "MGP", 0_u32);
}

/// Addresses that are listened on, admin sockets included.
fn listeners(plane: &Plane) -> u32 {
    let fronts = plane
        .config
        .proxies
        .iter()
        .zip(&plane.fronts)
        .zip(&plane.places);
    let open = fronts
        .filter(|((_, status), place)| place.frontend.is_some() && **status == FrontStatus::Open);
    let binds: usize = open.map(|((proxy, _), _)| proxy.binds.len()).sum();
    let sockets = plane.config.global.stats_sockets.len();
    u32::try_from(binds + sockets).unwrap_or(u32::MAX)
}

fn traffic(fields: &mut Fields, plane: &Plane) {
    let figures = plane.relay.figures();
    let memory = memory(plane.identity.pid);
    let start = plane
        .start_time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    fields.add("TotalBytesOut", "MGP", figures.bytes_out);
    fields.add("TotalSplicdedBytesOut", "MGP", figures.bytes_spliced);
    fields.add("BytesOutRate", "MRP", u64::from(figures.bytes_out_rate));
    fields.add("DebugCommandsIssued", "MGP", 0_u32);
    fields.add("CumRecvLogs", "MCP", 0_u32);
    fields.add("Build info", "POS", plane.identity.version.as_str());
    fields.add("Memmax_bytes", "CLP", 0_u32);
    fields.add("PoolAlloc_bytes", "MGP", memory);
    fields.add("PoolUsed_bytes", "MGP", memory);
    fields.add("Start_time_sec", "MDP", narrow(start.as_secs()));
    fields.add("Tainted", "SGP", "0");
}

fn threads(plane: &Plane) -> u32 {
    u32::try_from(plane.identity.workers).unwrap_or(u32::MAX)
}

/// Counters of 32 bits wrap, as they do in the original.
fn narrow(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// `0d 0h00m36s`
fn uptime_text(seconds: u64) -> String {
    format!(
        "{}d {}h{:02}m{:02}s",
        seconds / 86_400,
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_has_the_originals_shape() {
        assert_eq!(uptime_text(36), "0d 0h00m36s");
        assert_eq!(
            uptime_text(2 * 86_400 + 3 * 3_600 + 4 * 60 + 5),
            "2d 3h04m05s"
        );
    }

    #[test]
    fn idle_is_a_percentage() {
        let mut usage = Usage::default();
        assert!(usage.idle(Instant::now(), 2) <= 100);
    }

    #[test]
    fn memory_is_more_than_nothing() {
        assert!(memory(std::process::id()) > 0);
        assert!(memory(u32::MAX) > 0);
    }
}
