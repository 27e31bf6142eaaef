//! Log lines to syslog daemons, UDP collectors and standard streams.
//!
//! Use in three steps: open every destination once through [`Sinks`] while the
//! paths can still be reached (before `chroot(2)`), build a [`Logger`] over
//! [`Target`]s when the process has its final identity, then [`Logger::log`].
//!
//! Nothing here ever waits: a full queue drops the line and counts it
//! ([`Logger::dropped`]), or a [`Backlog`] keeps it for later; a socket whose reader went away is connected again
//! at the next line if its path can be reached.

mod backlog;
mod batch;
mod format;
mod level;
mod sink;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

pub use backlog::Backlog;
pub use batch::Batch;
pub use format::{DEFAULT_MAX_LEN, Format, Header};
pub use level::{Facility, Level};
pub use sink::{Destination, SendError, Sink, Sinks};

/// Where lines go and how they look, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Socket, address or descriptor.
    pub destination: Destination,
    /// Shape of the header.
    pub format: Format,
    /// Longest line in bytes, header included, line feed excluded
    /// ([`DEFAULT_MAX_LEN`]).
    pub max_len: usize,
    /// Syslog facility.
    pub facility: Facility,
    /// Least severe level that is sent.
    pub max_level: Level,
    /// Lines more severe than this are sent as if they had this level.
    pub min_level: Level,
    /// Which part of the lines is sent; `None` sends all.
    pub sample: Option<Sample>,
}

/// `sample <ranges>:<size>`: of each `size` lines those at the given positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Inclusive ranges of positions, each 1..=`size`.
    pub ranges: Vec<(u32, u32)>,
    /// Length of the cycle, at least 1.
    pub size: u32,
}

/// One destination in use.
#[derive(Debug)]
pub struct Target {
    settings: Settings,
    sink: Arc<Sink>,
    position: AtomicU64,
}

impl Target {
    /// A target over the sink of its destination, which is opened now unless
    /// another target opened it before.
    pub fn new(settings: Settings, sinks: &mut Sinks) -> Self {
        let sink = sinks.open(&settings.destination);
        Self {
            settings,
            sink,
            position: AtomicU64::new(0),
        }
    }

    /// What it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sends one line, unless its level or the sampling keeps it back.
    ///
    /// # Errors
    /// The line was lost: the reader is absent or its queue is full.
    pub fn send(
        &self,
        level: Level,
        header: &Header,
        now: SystemTime,
        message: &[u8],
    ) -> Result<(), SendError> {
        let mut line = Vec::new();
        if self.write(&mut line, level, header, now, message) {
            self.sink.send(&line)
        } else {
            Ok(())
        }
    }

    /// Appends the line to `out`; false if its level or the sampling keeps it back.
    fn write(
        &self,
        out: &mut Vec<u8>,
        level: Level,
        header: &Header,
        now: SystemTime,
        message: &[u8],
    ) -> bool {
        if level > self.settings.max_level || !self.sampled() {
            return false;
        }
        let level = level.max(self.settings.min_level);
        format::line(out, &self.settings, level, header, now, message);
        true
    }

    fn sampled(&self) -> bool {
        let Some(sample) = &self.settings.sample else {
            return true;
        };
        let count = self.position.fetch_add(1, Ordering::Relaxed);
        let position = count % u64::from(sample.size.max(1)) + 1;
        sample
            .ranges
            .iter()
            .any(|(low, high)| (u64::from(*low)..=u64::from(*high)).contains(&position))
    }
}

/// Several targets under one identity.
#[derive(Debug)]
pub struct Logger {
    targets: Vec<Arc<Target>>,
    header: Header,
    tally: Arc<Tally>,
}

/// What a logger lost.
#[derive(Debug, Default)]
struct Tally {
    dropped: AtomicU64,
    failed_once: AtomicBool,
}

impl Tally {
    /// Counts a lost line. The first failure that is not a full queue is
    /// returned; `position` is the target's, from 0.
    fn lost(&self, position: usize, error: SendError) -> Option<Failure> {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        match error {
            SendError::Failed(errno) if !self.failed_once.swap(true, Ordering::Relaxed) => {
                Some(Failure {
                    logger: position + 1,
                    errno,
                })
            }
            SendError::Failed(_) | SendError::Full => None,
        }
    }
}

impl Logger {
    /// A logger that sends each line to every target in turn.
    pub fn new(targets: Vec<Arc<Target>>, header: Header) -> Self {
        Self {
            targets,
            header,
            tally: Arc::default(),
        }
    }

    /// The identity of the lines from here on.
    pub fn set_header(&mut self, header: Header) {
        self.header = header;
    }

    /// Sends `message` (no header, no line feed) to all targets.
    ///
    /// The first failure of this logger's life that is not a full queue is
    /// returned, for one message to the operator; later ones only count.
    pub fn log(&self, level: Level, message: &[u8]) -> Option<Failure> {
        if self.targets.is_empty() {
            return None;
        }
        let now = SystemTime::now();
        let mut first = None;
        for (index, target) in self.targets.iter().enumerate() {
            if let Err(error) = target.send(level, &self.header, now, message) {
                let failure = self.tally.lost(index, error);
                first = first.or(failure);
            }
        }
        first
    }

    /// As [`Logger::log`], but the lines wait in `batch` for [`Batch::flush`].
    pub fn collect(&self, level: Level, message: &[u8], batch: &mut Batch) {
        if self.targets.is_empty() {
            return;
        }
        let now = SystemTime::now();
        for (position, target) in self.targets.iter().enumerate() {
            batch.add(target, position, &self.tally, |bytes| {
                target.write(bytes, level, &self.header, now, message)
            });
        }
    }

    /// Lines lost so far, one per target that did not get it.
    pub fn dropped(&self) -> u64 {
        self.tally.dropped.load(Ordering::Relaxed)
    }

    /// Whether there is nobody to write to.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The targets, in order.
    pub fn targets(&self) -> &[Arc<Target>] {
        &self.targets
    }

    /// The identity lines carry.
    pub fn header(&self) -> &Header {
        &self.header
    }
}

/// A target that could not be written to; its text is the original's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sendmsg()/writev() failed in logger #{logger}: {} (errno={errno})", osys::error_text(&std::io::Error::from_raw_os_error(*.errno)))]
pub struct Failure {
    /// Position among the logger's targets, from 1.
    pub logger: usize,
    /// The system's error number.
    pub errno: i32,
}

#[cfg(test)]
mod tests;
