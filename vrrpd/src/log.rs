//! Log lines under keepalived's two idents, to syslog and to the console.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use daemonkit::syslog::{
    Backlog, DEFAULT_MAX_LEN, Destination, Facility, Format, Header, Level, Logger, Settings, Sink,
    Sinks, Target,
};

/// The idents of keepalived's two processes.
const PARENT: &str = "Keepalived";
const VRRP: &str = "Keepalived_vrrp";

/// Bytes of lines that may wait for the system log: several hundred instances that all
/// change at once.
const BACKLOG: usize = 256 * 1024;

/// Pauses before lines are sent again that the system log had no room for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Which of keepalived's processes would have said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// `Keepalived[PID]`
    Parent,
    /// `Keepalived_vrrp[PID]`
    Vrrp,
}

/// Where lines go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogSettings {
    /// `-l`
    pub(crate) console: bool,
    /// `-D`
    pub(crate) detail: bool,
    /// `None` after `-G`.
    pub(crate) syslog: Option<Facility>,
}

/// The daemon's log. Writing never waits: a line that the system log does not take waits
/// for [`Log::flush`], and beyond a limit it is dropped.
#[derive(Debug)]
pub(crate) struct Log {
    parent: Logger,
    vrrp: Logger,
    console: Option<Arc<Sink>>,
    detail: bool,
    mark: Option<String>,
    backlog: RefCell<Backlog>,
    pause: Cell<Duration>,
    /// Lines of threads that write files, and the end that they get.
    aside: (Sender<String>, Receiver<String>),
    #[cfg(test)]
    memory: RefCell<Vec<String>>,
}

impl Log {
    /// A log that a test can read.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self::open(LogSettings {
            console: false,
            detail: false,
            syslog: None,
        })
    }

    /// The lines since the last call.
    #[cfg(test)]
    pub(crate) fn take_lines(&self) -> Vec<String> {
        self.memory.take()
    }

    /// Opens the destinations.
    pub(crate) fn open(settings: LogSettings) -> Self {
        osys::time::load_zone();
        let mut sinks = Sinks::default();
        let mut logger = |tag: &str| {
            let target = settings.syslog.map(|facility| {
                let settings = Settings {
                    destination: Destination::Unix("/dev/log".into()),
                    format: Format::Libc,
                    max_len: DEFAULT_MAX_LEN,
                    facility,
                    max_level: Level::Debug,
                    min_level: Level::Emerg,
                    sample: None,
                };
                Arc::new(Target::new(settings, &mut sinks))
            });
            Logger::new(target.into_iter().collect(), header(tag))
        };
        let parent = logger(PARENT);
        let vrrp = logger(VRRP);
        let console = settings.console.then(|| sinks.open(&Destination::Fd(2)));
        Self {
            parent,
            vrrp,
            console,
            detail: settings.detail,
            mark: None,
            backlog: RefCell::new(Backlog::new(BACKLOG)),
            pause: Cell::new(SHORTEST_PAUSE),
            aside: channel(),
            #[cfg(test)]
            memory: RefCell::default(),
        }
    }

    /// Whether `-D` was given.
    pub(crate) const fn is_detailed(&self) -> bool {
        self.detail
    }

    /// From here on the idents end in this mark, as where several daemons run on one host.
    pub(crate) fn distinguish(&mut self, mark: String) {
        let ident = format!("{PARENT}_{mark}");
        let line = format!("Changing syslog ident to {ident}");
        self.write(Voice::Parent, Level::Info, &line);
        self.parent.set_header(header(&ident));
        self.vrrp.set_header(header(&format!("{VRRP}_{mark}")));
        self.mark = Some(mark);
    }

    /// What distinguishes this daemon's names from those of others on the host.
    pub(crate) fn mark(&self) -> Option<&str> {
        self.mark.as_deref()
    }

    /// One line.
    pub(crate) fn write(&self, voice: Voice, level: Level, text: &str) {
        let text = &*printable(text);
        #[cfg(test)]
        self.memory.borrow_mut().push(text.to_owned());
        let logger = match voice {
            Voice::Parent => &self.parent,
            Voice::Vrrp => &self.vrrp,
        };
        // A log that cannot be reached is no reason to stop routing.
        self.backlog
            .borrow_mut()
            .log(logger, level, text.as_bytes());
        if let Some(console) = &self.console {
            let line = format!("{}: {text}\n", console_time(SystemTime::now()));
            let _ = console.send(line.as_bytes());
        }
    }

    /// When to try again to send what waits for room in the system log; `None` if nothing
    /// does.
    pub(crate) fn retry_in(&self) -> Option<Duration> {
        (!self.backlog.borrow().is_empty()).then(|| self.pause.get())
    }

    /// For threads: warnings that the loop writes at its next turn.
    pub(crate) fn aside(&self) -> Sender<String> {
        self.aside.0.clone()
    }

    /// Writes what threads said, and tries again to send what waits. A log that takes
    /// nothing is asked ever more seldom.
    pub(crate) fn flush(&self) {
        while let Ok(line) = self.aside.1.try_recv() {
            self.write(Voice::Vrrp, Level::Warning, &line);
        }
        let mut backlog = self.backlog.borrow_mut();
        if backlog.is_empty() {
            return;
        }
        let before = backlog.waiting();
        backlog.flush(&self.vrrp);
        let stuck = backlog.waiting() >= before;
        self.pause.set(if stuck {
            (self.pause.get() * 2).min(LONGEST_PAUSE)
        } else {
            SHORTEST_PAUSE
        });
    }

    /// Sends all that waits, for which the system log has `limit`. Blocks: for the very end,
    /// when nothing is left that could be late.
    pub(crate) fn drain(&self, limit: Duration) {
        let end = Instant::now() + limit;
        self.flush();
        while let Some(pause) = self.retry_in()
            && Instant::now() < end
        {
            std::thread::sleep(pause);
            self.flush();
        }
    }

    /// One line of the routers.
    pub(crate) fn info(&self, text: &str) {
        self.write(Voice::Vrrp, Level::Info, text);
    }
}

fn header(ident: &str) -> Header {
    Header {
        tag: ident.as_bytes().to_vec(),
        pid: std::process::id(),
        hostname: None,
    }
}

/// The same text on one line and without what a terminal would obey.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_control() && c != '\t' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// asctime(3): `Sun Nov  2 18:05:04 2026`.
pub(crate) fn console_time(now: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or_default()
    });
    let time = osys::time::local(seconds);
    let month = usize::from(time.month.saturating_sub(1));
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} {}",
        DAYS.get(usize::from(time.weekday)).unwrap_or(&"???"),
        MONTHS.get(month).unwrap_or(&"???"),
        time.day,
        time.hour,
        time.minute,
        time.second,
        time.year
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_moves_no_cursor() {
        let log = Log::in_memory();
        log.info("a\nb\x1b[2J\tc\u{9b}é");
        assert_eq!(log.take_lines(), ["a\\nb\\u{1b}[2J\tc\\u{9b}é"]);
    }

    #[test]
    fn the_console_shows_asctime() {
        osys::time::load_zone();
        // Noon UTC on 2026-11-04 is the same day wherever a build may run within
        // eleven hours of it.
        let text = console_time(UNIX_EPOCH + Duration::from_secs(1_793_793_600));
        assert!(text.starts_with("Wed Nov  4 "), "{text}");
        assert!(text.ends_with(" 2026"), "{text}");
        assert_eq!(text.len(), "Sun Nov 22 18:05:04 2026".len());
    }
}
