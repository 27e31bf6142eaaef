//! Log lines to syslog daemons, UDP collectors and standard streams.
//!
//! Use in three steps: open every destination once through [`Sinks`] while the
//! paths can still be reached (before `chroot(2)`), build a [`Logger`] over
//! [`Target`]s when the process has its final identity, then [`Logger::log`].
//!
//! Nothing here ever waits: a full queue drops the line and counts it
//! ([`Logger::dropped`]), a socket whose reader went away is connected again
//! at the next line if its path can be reached.

mod format;
mod level;
mod sink;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

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
        if level > self.settings.max_level || !self.sampled() {
            return Ok(());
        }
        let level = level.max(self.settings.min_level);
        let line = format::line(&self.settings, level, header, now, message);
        self.sink.send(&line)
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
    dropped: AtomicU64,
    failed_once: AtomicBool,
}

impl Logger {
    /// A logger that sends each line to every target in turn.
    pub fn new(targets: Vec<Arc<Target>>, header: Header) -> Self {
        Self {
            targets,
            header,
            dropped: AtomicU64::new(0),
            failed_once: AtomicBool::new(false),
        }
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
            let Err(error) = target.send(level, &self.header, now, message) else {
                continue;
            };
            self.dropped.fetch_add(1, Ordering::Relaxed);
            if let SendError::Failed(errno) = error
                && !self.failed_once.swap(true, Ordering::Relaxed)
            {
                first = Some(Failure {
                    logger: index + 1,
                    errno,
                });
            }
        }
        first
    }

    /// Lines lost so far, one per target that did not get it.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
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
