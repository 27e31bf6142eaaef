//! Lines that a full queue did not take, kept until it does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use super::{Level, Logger, SendError, Target};

/// A bounded queue before the destinations of one thread's loggers.
///
/// `/dev/log` takes a few lines at once and the rest only when its reader has got on: a burst
/// (a host that starts, a link that many instances share) is more than it takes. What does not
/// fit waits here in order, with the time of when it was said; nothing ever blocks. Beyond the
/// limit new lines are lost, counted, and told of when there is room again.
#[derive(Debug)]
pub struct Backlog {
    waiting: VecDeque<(Arc<Target>, Vec<u8>)>,
    bytes: usize,
    limit: usize,
    lost: u64,
}

impl Backlog {
    /// An empty queue that holds `limit` bytes of lines at most.
    pub const fn new(limit: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            limit,
            lost: 0,
        }
    }

    /// Whether nothing waits and no loss is untold.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lost == 0
    }

    /// How many lines wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Lines lost that nobody has been told of yet.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Sends `message` (no header, no line feed) to all targets of `logger`, after what waits.
    pub fn log(&mut self, logger: &Logger, level: Level, message: &[u8]) {
        self.send_waiting();
        let now = SystemTime::now();
        for target in logger.targets() {
            let mut line = Vec::new();
            if !target.write(&mut line, level, logger.header(), now, message) {
                continue;
            }
            if self.waiting.is_empty() && target.sink.send(&line) != Err(SendError::Full) {
                // Sent, or nobody is there: the next line tries again.
                continue;
            }
            if self.bytes + line.len() > self.limit {
                self.lost += 1;
                continue;
            }
            self.bytes += line.len();
            self.waiting.push_back((Arc::clone(target), line));
        }
    }

    /// Tries once more to send what waits, and through `logger` how many lines were lost.
    pub fn flush(&mut self, logger: &Logger) {
        self.send_waiting();
        if !self.waiting.is_empty() || self.lost == 0 {
            return;
        }
        let lost = std::mem::take(&mut self.lost);
        let text = format!("{lost} log messages lost: the log did not take them in time");
        self.log(logger, Level::Warning, text.as_bytes());
    }

    /// Sends from the front until a destination is full; the order of lines is one for all.
    fn send_waiting(&mut self) {
        while let Some((target, line)) = self.waiting.pop_front() {
            if target.sink.send(&line) == Err(SendError::Full) {
                self.waiting.push_front((target, line));
                return;
            }
            self.bytes -= line.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::syslog::{Destination, Facility, Format, Header, Settings, Sinks};

    struct Bench {
        _directory: tempfile::TempDir,
        reader: UnixDatagram,
        logger: Logger,
    }

    fn bench() -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let reader = UnixDatagram::bind(&path).unwrap();
        reader.set_nonblocking(true).unwrap();
        let settings = Settings {
            destination: Destination::Unix(path),
            format: Format::Raw,
            max_len: 1024,
            facility: Facility::DAEMON,
            max_level: Level::Debug,
            min_level: Level::Emerg,
            sample: None,
        };
        let target = Arc::new(Target::new(settings, &mut Sinks::default()));
        Bench {
            _directory: directory,
            reader,
            logger: Logger::new(vec![target], Header::default()),
        }
    }

    fn received(reader: &UnixDatagram) -> Vec<String> {
        let mut lines = Vec::new();
        let mut buffer = [0; 2048];
        while let Ok(length) = reader.recv(&mut buffer) {
            lines.push(String::from_utf8_lossy(&buffer[..length]).trim().to_owned());
        }
        lines
    }

    #[test]
    fn a_burst_arrives_whole_and_in_order() {
        let bench = bench();
        let mut backlog = Backlog::new(1 << 20);
        let expected: Vec<String> = (0..5000).map(|number| format!("line {number}")).collect();
        for line in &expected {
            backlog.log(&bench.logger, Level::Info, line.as_bytes());
        }
        assert!(!backlog.is_empty(), "more than the queue takes");
        let mut got = Vec::new();
        while !backlog.is_empty() {
            got.extend(received(&bench.reader));
            backlog.flush(&bench.logger);
        }
        got.extend(received(&bench.reader));
        assert_eq!(got, expected);
    }

    #[test]
    fn a_later_line_does_not_overtake() {
        let bench = bench();
        let mut backlog = Backlog::new(1 << 20);
        let mut number = 0;
        while backlog.is_empty() {
            backlog.log(&bench.logger, Level::Info, format!("{number}").as_bytes());
            number += 1;
        }
        let mut got = received(&bench.reader);
        backlog.log(&bench.logger, Level::Info, b"last");
        got.extend(received(&bench.reader));
        assert_eq!(got.last().unwrap(), "last");
        assert_eq!(got.len(), number + 1);
    }

    #[test]
    fn what_is_too_much_is_counted_and_told() {
        let bench = bench();
        let mut backlog = Backlog::new(100);
        for _ in 0..20_000 {
            backlog.log(&bench.logger, Level::Info, b"0123456789");
        }
        let lost = backlog.lost();
        assert!(lost > 0);
        let mut got = received(&bench.reader);
        while !backlog.is_empty() {
            backlog.flush(&bench.logger);
            got.extend(received(&bench.reader));
        }
        let told = format!("{lost} log messages lost: the log did not take them in time");
        assert_eq!(got.last(), Some(&told));
        assert_eq!(got.len() as u64 - 1 + lost, 20_000);
    }

    #[test]
    fn without_a_reader_nothing_waits() {
        let bench = bench();
        drop(bench.reader);
        let mut backlog = Backlog::new(1 << 20);
        backlog.log(&bench.logger, Level::Info, b"nobody");
        assert!(backlog.is_empty());
    }
}
