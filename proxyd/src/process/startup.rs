//! From the command line to a serving process, or to a master.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use daemonkit::notify;
use daemonkit::pidfile::PidFile;
use haproxy_cfg::argv::Args;
use haproxy_cfg::model::Config;
use haproxy_cfg::report::{RELEASE_DATE, VERSION};
use haproxy_cfg::{Environment as _, Host};
use rustix::fs::{Mode, OFlags};

use super::binding::{self, Complaint};
use super::daemonize::{Split, Up, leave_session, split};
use super::fetch::{self, Failure};
use super::limits::{self, Descriptors, Plan, Supervision};
use super::master::{Master, Next};
use super::messages::{self, Messages};
use super::reexec::State;
use super::serve::{self, Ground, Parent, Service};
use super::sockets::{Inherited, Sockets};
use super::takeover::OldProcesses;
use super::{base_name, host, version};
use crate::control::{Console, Identity, LogTargets};

/// How often binding is tried while old processes let go of their addresses,
/// and how long to wait in between.
const BIND_ATTEMPTS: u32 = 200;
const BIND_PAUSE: Duration = Duration::from_millis(10);

/// The data path has no use for more worker threads (the original's limit).
const MOST_WORKERS: usize = 64;

/// Everything that could go wrong before a fork has gone well.
pub(crate) struct Prepared {
    pub(crate) config: Arc<Config>,
    pub(crate) sockets: Sockets,
    pub(crate) log: LogTargets,
    pub(crate) identity: Identity,
    pub(crate) old: OldProcesses,
    pub(crate) ground: Ground,
    pidfile: Option<PidFile>,
    supervision: Supervision,
}

/// `Action::Run`.
pub(crate) fn run(args: Args, arguments: &[OsString]) -> ExitCode {
    let previous = State::from_environment();
    let mut messages = Messages::new(&args.program);
    messages.set_quiet(args.quiet && !shows_all(&args));
    let mut inherited = previous
        .as_ref()
        .map(|state| Inherited::adopt(&state.sockets))
        .unwrap_or_default();
    let started_in = current_directory();
    if args.systemd {
        notify::reloading();
    }
    let supervised = previous.is_some();
    let prepared = prepare(&args, supervised, &mut inherited, &mut messages);
    let next = Next {
        arguments: arguments.to_vec(),
        directory: started_in,
        systemd: args.systemd,
    };
    match (prepared, previous) {
        (Ok(prepared), previous) => launch(prepared, previous, inherited, next, messages),
        (Err(Refused), None) => ExitCode::FAILURE,
        (Err(Refused), Some(state)) => match Master::waiting(state, inherited, next, messages) {
            Ok(master) => master.supervise(),
            Err(_) => ExitCode::FAILURE,
        },
    }
}

/// The start is off; the reason has been printed.
#[derive(Debug)]
pub(crate) struct Refused;

/// `-C`.
///
/// # Errors
/// In the original's words.
pub(crate) fn change_directory(args: &Args) -> Result<(), String> {
    let Some(directory) = &args.directory else {
        return Ok(());
    };
    std::env::set_current_dir(directory).map_err(|error| {
        format!(
            "Could not change to directory {} : {}",
            directory.display(),
            osys::error_text(&error)
        )
    })
}

/// Flags under which messages appear in spite of `-q` and `quiet`.
fn shows_all(args: &Args) -> bool {
    args.verbose || args.debug
}

fn prepare(
    args: &Args,
    supervised: bool,
    inherited: &mut Inherited,
    messages: &mut Messages,
) -> Result<Prepared, Refused> {
    change_directory(args).map_err(|text| {
        messages.alert(&text);
        Refused
    })?;
    for what in unavailable(args) {
        messages.warning(what);
    }
    if let Some(path) = args.fetch_from.as_ref().filter(|_| !supervised) {
        fetch_sockets(path, inherited, messages)?;
    }
    let loaded = haproxy_cfg::load(args, &Host);
    messages.all(&loaded.messages);
    let mut config = loaded.config.ok_or(Refused)?;
    override_config(&mut config, args);
    let supervision = if supervised {
        // Workers of the earlier image still need their master, whatever the
        // configuration says now.
        Supervision::Master
    } else {
        supervision(args, &config)
    };
    let workers = worker_count(&config);
    let plan = limits::plan(
        &config,
        workers,
        supervision,
        args.maxconn,
        Descriptors::of_process(),
    );
    if shows_all(args) {
        show_start(&plan);
    }
    if binding::listener_count(&config) == 0 {
        let text = "No enabled listener found (check for 'bind' directives) ! Exiting.";
        messages.main_alert(text);
        return Err(Refused);
    }
    apply_limits(args, &config, &plan, messages)?;
    let old = if supervised {
        // A master asks its old workers itself, once the new one is up.
        OldProcesses::default()
    } else {
        OldProcesses::named_by(args)
    };
    let options = binding::Options {
        workers,
        maxconn: plan.maxconn,
        reuseport: !args.no_reuseport && !config.global.noreuseport,
    };
    let sockets = bind(&config, options, &old, inherited, messages)?;
    // As in the original, `quiet` in the file does not hide why a start fails; `-q` does.
    messages.set_quiet(loaded.muted && !shows_all(args));
    let background =
        (args.daemon || config.global.daemon) && !args.foreground && !args.debug && !args.systemd;
    let reach = limits::too_low(&plan).map_or(Ok(()), |text| {
        messages.main_alert(&text);
        // Without `strict-limits` it runs on, with fewer connections.
        if config.global.strict_limits {
            Err(Refused)
        } else {
            Ok(())
        }
    });
    let pidfile = reach.and_then(|()| {
        let wanted = background || supervision == Supervision::Master;
        open_pidfile(args, &config, wanted, messages)
    });
    let pidfile = match pidfile {
        Ok(pidfile) => pidfile,
        Err(refused) => {
            sockets.return_to(inherited);
            return Err(refused);
        }
    };
    // In the background there is nobody to read it, and standard error must
    // not be held open.
    let console = if messages.is_quiet() || background {
        Console::Quiet
    } else {
        Console::Show
    };
    Ok(Prepared {
        log: LogTargets::open(&config),
        identity: Identity {
            tag: base_name(&args.program),
            // Filled in by the process that will serve.
            pid: 0,
            workers,
            maxconn: plan.maxconn,
            ulimit_n: narrow(plan.nofile.min(Descriptors::of_process().soft)),
            maxsock: narrow(plan.maxsock),
            hostname: Host.hostname(),
            version: VERSION.to_owned(),
            release_date: RELEASE_DATE.to_owned(),
            console,
        },
        config: Arc::new(config),
        sockets,
        old,
        ground: if background {
            Ground::Background
        } else {
            Ground::Foreground
        },
        pidfile,
        supervision,
    })
}

fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Options of the command line that stand above the configuration, or below it.
fn override_config(config: &mut Config, args: &Args) {
    config.global.nosplice |= args.no_splice;
    if let Some(name) = &args.localpeer {
        config.global.localpeer = Some(name.to_string_lossy().into_owned());
    }
    if let Some(limit) = args.proxy_maxconn.filter(|count| *count > 0) {
        for proxy in &mut config.proxies {
            if proxy.kind.has_frontend() {
                proxy.maxconn.get_or_insert(limit);
            }
        }
    }
}

/// What the command line asks for and this program does not do.
fn unavailable(args: &Args) -> Vec<&'static str> {
    let mut found = Vec::new();
    if !args.master_sockets.is_empty() {
        found.push(
            "-S: the master has no command socket in this version, the option has no effect.",
        );
    }
    found
}

/// `-x`: takes over what the old process offers. Where it answers and offers
/// nothing, addresses are bound beside it, which `SO_REUSEPORT` allows.
fn fetch_sockets(
    address: &OsString,
    inherited: &mut Inherited,
    messages: &mut Messages,
) -> Result<(), Refused> {
    match fetch::sockets(address) {
        Ok(fetched) => *inherited = fetched,
        Err(failure @ Failure::NotOffered) => messages.warning(&failure.to_string()),
        Err(failure) => {
            messages.warning(&failure.to_string());
            messages.alert("Failed to get the sockets from the old process!");
            return Err(Refused);
        }
    }
    Ok(())
}

fn supervision(args: &Args, config: &Config) -> Supervision {
    let wanted = args.master_worker || config.global.master_worker;
    if wanted && !args.foreground && !args.debug {
        Supervision::Master
    } else {
        Supervision::None
    }
}

fn worker_count(config: &Config) -> usize {
    config
        .global
        .nbthread
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| *count > 0)
        .unwrap_or_else(host::usable_cpus)
        .min(MOST_WORKERS)
}

/// What `-V` and `-d` show of a start.
fn show_start(plan: &Plan) {
    let mut out = String::new();
    if plan.computed {
        out.push_str(&format!(
            "Note: setting global.maxconn to {}.\n",
            plan.maxconn
        ));
    }
    out.push_str(&version::pollers());
    out.push_str("\nUsing epoll() as the polling mechanism.\n");
    messages::put(out.as_bytes(), &[]);
}

fn apply_limits(
    args: &Args,
    config: &Config,
    plan: &Plan,
    messages: &mut Messages,
) -> Result<(), Refused> {
    let strict = config.global.strict_limits;
    if let Err(error) = limits::raise(plan, strict) {
        complain(strict, &error.to_string(), messages)?;
    }
    if let Some(megabytes) = args.memory.filter(|count| *count > 0)
        && let Err(text) = limits::limit_memory(megabytes)
    {
        complain(strict, &text, messages)?;
    }
    Ok(())
}

/// A limit that cannot be had stops the start only under `strict-limits`.
fn complain(strict: bool, text: &str, messages: &mut Messages) -> Result<(), Refused> {
    if strict {
        messages.main_alert(text);
        return Err(Refused);
    }
    messages.main_warning(text);
    Ok(())
}

/// Binds everything. Where old processes are in the way they are asked to
/// pause, and to go on if that did not help.
fn bind(
    config: &Config,
    options: binding::Options,
    old: &OldProcesses,
    inherited: &mut Inherited,
    messages: &mut Messages,
) -> Result<Sockets, Refused> {
    let mut sockets = Sockets::default();
    let failed = |complaints: &[Complaint]| {
        complaints
            .iter()
            .any(|complaint| matches!(complaint, Complaint::Alert(_)))
    };
    let mut complaints = binding::bind_all(config, options, inherited, &mut sockets);
    let mut attempts = 1;
    while failed(&complaints) && !old.is_empty() && attempts < BIND_ATTEMPTS {
        if attempts == 1 {
            old.pause();
        }
        pause();
        complaints = binding::bind_all(config, options, inherited, &mut sockets);
        attempts += 1;
    }
    for complaint in &complaints {
        match complaint {
            Complaint::Warning(text) => messages.warning(text),
            Complaint::Alert(text) => messages.alert(text),
        }
    }
    if !failed(&complaints) {
        return Ok(sockets);
    }
    messages.main_alert("Some protocols failed to start their listeners! Exiting.");
    old.resume();
    sockets.return_to(inherited);
    Err(Refused)
}

/// There is no event to wait for: another process has to react to a signal.
fn pause() {
    std::thread::sleep(BIND_PAUSE);
}

fn open_pidfile(
    args: &Args,
    config: &Config,
    wanted: bool,
    messages: &mut Messages,
) -> Result<Option<PidFile>, Refused> {
    let path: Option<&PathBuf> = args.pidfile.as_ref().or(config.global.pidfile.as_ref());
    let Some(path) = path.filter(|_| wanted) else {
        return Ok(None);
    };
    PidFile::create(path).map(Some).map_err(|_| {
        let text = format!("Cannot create pidfile {}", path.display());
        messages.main_alert(&text);
        Refused
    })
}

fn current_directory() -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(".", flags, Mode::empty()).ok()
}

/// Goes into the background if it shall, then serves or supervises.
fn launch(
    mut prepared: Prepared,
    previous: Option<State>,
    inherited: Inherited,
    next: Next,
    mut messages: Messages,
) -> ExitCode {
    let mut up = None;
    // A master that starts anew has been in the background since its first start.
    if prepared.ground == Ground::Background && previous.is_none() {
        match split() {
            Err(_) => {
                messages.main_alert("Cannot fork.");
                return ExitCode::FAILURE;
            }
            Ok(Split::Parent(child)) => {
                write_pid(&mut prepared, child.pid.as_raw().unsigned_abs());
                // As the original's, the exit code tells that every address is
                // bound; what fails beyond that the child has said itself.
                child.wait_until_up();
                return ExitCode::SUCCESS;
            }
            Ok(Split::Child(child)) => {
                // The parent writes the file.
                prepared.pidfile = None;
                leave_session();
                up = Some(child);
            }
        }
    }
    match prepared.supervision {
        Supervision::Master => {
            write_pid(&mut prepared, std::process::id());
            Master::start(prepared, previous, inherited, next, messages, up)
        }
        Supervision::None => {
            // Above all the directory: an open one leads out of any jail.
            drop((next, inherited));
            let service = service(prepared, Parent::None, up);
            finish(serve::run(service, &mut messages), &mut messages)
        }
    }
}

fn write_pid(prepared: &mut Prepared, pid: u32) {
    if let Some(mut file) = prepared.pidfile.take() {
        // A full disk does not stop a load balancer.
        let _ = file.add(pid);
    }
}

/// The part of a prepared start that a serving process needs.
pub(crate) fn service(prepared: Prepared, parent: Parent, up: Option<Up>) -> Service {
    let mut identity = prepared.identity;
    identity.pid = std::process::id();
    Service {
        config: prepared.config,
        bound: prepared.sockets.into_bound(identity.workers),
        log: prepared.log,
        identity,
        old: prepared.old,
        ground: prepared.ground,
        parent,
        up,
    }
}

/// The exit code of a process that has served.
pub(crate) fn finish(served: Result<(), String>, messages: &mut Messages) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            messages.main_alert(&text);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tests::parse;

    #[test]
    fn the_command_line_stands_above_and_below_the_configuration() {
        let mut config = parse(
            "listen a\n mode tcp\n bind 127.0.0.1:17201\n maxconn 5\n\
             listen b\n mode tcp\n bind 127.0.0.1:17202\n\
             backend c\n mode tcp\n",
        );
        let args = Args {
            no_splice: true,
            proxy_maxconn: Some(7),
            localpeer: Some("lb1".into()),
            ..Args::default()
        };
        override_config(&mut config, &args);
        assert!(config.global.nosplice);
        assert_eq!(config.global.localpeer.as_deref(), Some("lb1"));
        let limits: Vec<_> = config.proxies.iter().map(|proxy| proxy.maxconn).collect();
        assert_eq!(limits, [Some(5), Some(7), None]);
    }
}
