//! Who writes which line where.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use daemonkit::syslog::{
    Batch, Destination, Facility, Failure, Format, Header, Level, Logger, Sample, Settings, Sink,
    Sinks, Target,
};
use haproxy_cfg::model::{Config, ConnectionLog, LogDest, LogFormat, LogTarget, Proxy, ProxyLog};
use relay::{Frontend, SessionRecord, SessionSink, SessionStart, Shortage};

use super::input::{Console, Identity};
use super::logfmt;

/// Where log lines go, opened while their paths can still be reached.
///
/// Make it before `chroot(2)`; the identity (pid, tag) comes in at [`super::Daemon::start`].
#[derive(Debug)]
pub(crate) struct LogTargets {
    /// Of the `global` section.
    global: Vec<Arc<Target>>,
    /// One list per proxy of the configuration.
    proxies: Vec<Vec<Arc<Target>>>,
}

impl LogTargets {
    /// Opens every target of the configuration. Cannot fail: a target that is absent now is
    /// tried again whenever a line is due.
    pub(crate) fn open(config: &Config) -> Self {
        let mut sinks = Sinks::default();
        let mut open = |target: &LogTarget| Arc::new(Target::new(settings(target), &mut sinks));
        let global = config.global.log.iter().map(&mut open).collect();
        let proxies = config
            .proxies
            .iter()
            .map(|proxy| proxy.log.targets.iter().map(&mut open).collect())
            .collect();
        Self { global, proxies }
    }
}

fn settings(target: &LogTarget) -> Settings {
    Settings {
        destination: match &target.dest {
            LogDest::Unix(path) => Destination::Unix(path.clone()),
            LogDest::Udp(address) => Destination::Udp(*address),
            LogDest::Fd(number) => Destination::Fd(*number),
        },
        format: match target.format {
            LogFormat::Auto => Format::Auto,
            LogFormat::Local => Format::Local,
            LogFormat::Rfc3164 => Format::Rfc3164,
            LogFormat::Rfc5424 => Format::Rfc5424,
            LogFormat::Priority => Format::Priority,
            LogFormat::Short => Format::Short,
            LogFormat::Timed => Format::Timed,
            LogFormat::Iso => Format::Iso,
            LogFormat::Raw => Format::Raw,
        },
        max_len: usize::try_from(target.max_len).unwrap_or(usize::MAX),
        facility: Facility::from_number(target.facility.0).unwrap_or(Facility::USER),
        max_level: Level::from_number(target.max_level.0),
        min_level: Level::from_number(target.min_level.0),
        sample: target.sample.as_ref().map(|sample| Sample {
            ranges: sample.ranges.clone(),
            size: sample.size,
        }),
    }
}

/// The log of a running process.
#[derive(Debug)]
pub(super) struct Logs {
    global: Logger,
    proxies: Vec<ProxyLogger>,
    /// Index into `proxies` by proxy id, for those that accept sessions.
    by_id: BTreeMap<u32, usize>,
    console: Option<Arc<Sink>>,
    /// The console has heard that a target cannot be reached; it hears so once.
    complained: AtomicBool,
    pid: u32,
    maxsock: u32,
}

#[derive(Debug)]
struct ProxyLogger {
    logger: Logger,
    format: ConnectionLog,
    dontlognull: bool,
    dontlog_normal: bool,
    log_asap: bool,
    separate_errors: bool,
}

impl ProxyLogger {
    fn new(log: &ProxyLog, targets: Vec<Arc<Target>>, header: Header) -> Self {
        Self {
            logger: Logger::new(targets, header),
            format: log.format,
            dontlognull: log.dontlognull,
            dontlog_normal: log.dontlog_normal,
            log_asap: log.logasap,
            separate_errors: log.log_separate_errors,
        }
    }
}

/// How a message is marked on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// `[ALERT]`
    Alert,
    /// `[WARNING]`
    Warning,
}

impl Logs {
    /// Ties the open targets to the process's final identity.
    pub(super) fn new(config: &Config, targets: LogTargets, identity: &Identity) -> Self {
        let mut by_id = BTreeMap::new();
        let mut lists = targets.proxies.into_iter();
        let proxies = config.proxies.iter().enumerate().map(|(index, proxy)| {
            if proxy.kind.has_frontend() {
                by_id.insert(proxy.id, index);
            }
            let list = lists.next().unwrap_or_default();
            ProxyLogger::new(&proxy.log, list, header(config, Some(proxy), identity))
        });
        let proxies = proxies.collect();
        let console = match identity.console {
            // Opened only now: once detached, descriptor 2 is /dev/null.
            Console::Show => Some(Sinks::default().open(&Destination::Fd(2))),
            Console::Quiet => None,
        };
        Self {
            global: Logger::new(targets.global, header(config, None, identity)),
            proxies,
            by_id,
            console,
            complained: AtomicBool::new(false),
            pid: identity.pid,
            maxsock: identity.maxsock,
        }
    }

    /// Writes `text` to the log of the proxy with index `proxy`.
    pub(super) fn log(&self, proxy: usize, level: Level, text: &str) {
        if let Some(log) = self.proxies.get(proxy) {
            self.send(&log.logger, level, text);
        }
    }

    /// Writes `text` to the log of the `global` section and, as a warning, to standard error.
    pub(super) fn warn_global(&self, level: Level, text: &str) {
        self.console(Mark::Warning, text);
        self.send(&self.global, level, text);
    }

    /// Writes `text` to standard error, as far as somebody reads it.
    pub(super) fn console(&self, mark: Mark, text: &str) {
        let Some(console) = &self.console else {
            return;
        };
        let mark = match mark {
            Mark::Alert => "[ALERT]   ",
            Mark::Warning => "[WARNING] ",
        };
        // A console that is gone or full loses a line; there is nobody left to tell.
        let _ = console.send(format!("{mark} ({}) : {text}\n", self.pid).as_bytes());
    }

    /// Writes `text` to the log and, as a warning, to standard error.
    pub(super) fn warn(&self, proxy: usize, level: Level, text: &str) {
        self.console(Mark::Warning, text);
        self.log(proxy, level, text);
    }

    /// Lines lost so far.
    pub(super) fn dropped(&self) -> u64 {
        let proxies = self.proxies.iter().map(|log| log.logger.dropped());
        self.global.dropped() + proxies.sum::<u64>()
    }

    fn send(&self, logger: &Logger, level: Level, text: &str) {
        self.complain(logger.log(level, text.as_bytes()));
    }

    fn complain(&self, failure: Option<Failure>) {
        if let Some(failure) = failure
            && !self.complained.swap(true, Ordering::Relaxed)
        {
            self.console(Mark::Alert, &failure.to_string());
        }
    }

    /// Lets `write` make the line of a session, which goes out at the end of the worker's turn:
    /// handing lines to the system one by one is the dearest single thing about a short session.
    fn keep(&self, logger: &Logger, level: Level, write: impl FnOnce(&mut String)) {
        let full = with_kept(|kept| {
            kept.line.clear();
            write(&mut kept.line);
            logger.collect(level, kept.line.as_bytes(), &mut kept.batch);
            kept.batch.is_full()
        });
        if full {
            self.flush();
        }
    }

    fn flush(&self) {
        let failure = with_kept(|kept| {
            if kept.batch.is_empty() {
                None
            } else {
                kept.batch.flush()
            }
        });
        self.complain(failure);
    }

    fn of(&self, id: u32) -> Option<&ProxyLogger> {
        self.proxies.get(*self.by_id.get(&id)?)
    }

    fn session(&self, log: &ProxyLogger, record: &SessionRecord<'_>) {
        let error = record.is_error();
        if log.dontlog_normal && !error {
            return;
        }
        let level = if error && log.separate_errors {
            Level::Err
        } else {
            Level::Info
        };
        self.keep(&log.logger, level, |line| logfmt::tcplog(line, record));
    }
}

fn header(config: &Config, proxy: Option<&Proxy>, identity: &Identity) -> Header {
    let own = proxy.and_then(|proxy| proxy.log.log_tag.as_ref());
    let tag = own.or(config.global.log_tag.as_ref());
    let hostname = config.global.log_send_hostname.as_ref();
    Header {
        tag: tag.unwrap_or(&identity.tag).clone(),
        pid: identity.pid,
        hostname: hostname.map(|name| name.clone().into_bytes()),
    }
}

/// What a worker's thread keeps until its turn is over.
#[derive(Default)]
struct Kept {
    /// Reused for every line.
    line: String,
    batch: Batch,
}

fn with_kept<T>(use_it: impl FnOnce(&mut Kept) -> T) -> T {
    thread_local! {
        static KEPT: RefCell<Kept> = RefCell::default();
    }
    KEPT.with_borrow_mut(use_it)
}

impl SessionSink for Logs {
    fn exhausted(&self, frontend: &Frontend, shortage: Shortage) {
        let Some(log) = self.of(frontend.id) else {
            return;
        };
        let (what, remedy) = match shortage {
            Shortage::ProcessDescriptors => {
                ("process FD limit", "Please check 'ulimit-n' and restart.")
            }
            Shortage::SystemDescriptors => ("system FD limit", "Please check system tunables."),
            Shortage::Memory => ("system memory limit", "Please check system tunables."),
        };
        let text = format!(
            "Proxy {} reached {what} (maxsock={}). {remedy}",
            frontend.name, self.maxsock
        );
        self.send(&log.logger, Level::Emerg, &text);
    }

    fn accepted(&self, start: &SessionStart<'_>) {
        let Some(log) = self.of(start.frontend.id) else {
            return;
        };
        if log.logger.is_empty() || log.format != ConnectionLog::ConnectFrom {
            return;
        }
        self.keep(&log.logger, Level::Info, |line| {
            logfmt::connect_from(line, start);
        });
    }

    fn turn_over(&self) {
        self.flush();
    }

    fn connected(&self, record: &SessionRecord<'_>) {
        if let Some(log) = self.of(record.frontend.id)
            && log.format == ConnectionLog::TcpLog
            && !log.logger.is_empty()
        {
            self.session(log, record);
        }
    }

    fn ended(&self, record: &SessionRecord<'_>) {
        let Some(log) = self.of(record.frontend.id) else {
            return;
        };
        // With `logasap` the line went out when the connection stood, if it ever did.
        let logged = log.log_asap && record.connect_time.is_some();
        let null = log.dontlognull && record.is_null();
        if log.format == ConnectionLog::TcpLog && !log.logger.is_empty() && !logged && !null {
            self.session(log, record);
        }
    }
}
