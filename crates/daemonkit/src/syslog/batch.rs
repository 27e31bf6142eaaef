//! Lines of one thread that go out together, in one system call per destination.

use std::ops::Range;
use std::sync::Arc;

use super::{Failure, Sink, Tally, Target};

/// So many lines are worth a system call of their own.
const MANY: usize = 64;

/// Lines that wait for [`Batch::flush`], in the order they were added.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    target: Arc<Target>,
    /// The target's place in its logger.
    position: usize,
    tally: Arc<Tally>,
    bytes: Range<usize>,
}

impl Batch {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether the lines should not wait for more.
    pub fn is_full(&self) -> bool {
        self.lines.len() >= MANY
    }

    pub(super) fn add(
        &mut self,
        target: &Arc<Target>,
        position: usize,
        tally: &Arc<Tally>,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) {
        let start = self.bytes.len();
        if write(&mut self.bytes) {
            self.lines.push(Line {
                target: Arc::clone(target),
                position,
                tally: Arc::clone(tally),
                bytes: start..self.bytes.len(),
            });
        }
    }

    /// Sends what waits, without ever waiting itself. Each destination gets its
    /// lines in the order they were added.
    ///
    /// The first failure of a logger's life that is not a full queue is
    /// returned, for one message to the operator; later ones only count.
    pub fn flush(&mut self) -> Option<Failure> {
        let mut first = None;
        while let Some(line) = self.lines.first() {
            let sink = Arc::clone(&line.target.sink);
            let (group, rest): (Vec<Line>, Vec<Line>) = std::mem::take(&mut self.lines)
                .into_iter()
                .partition(|line| Arc::ptr_eq(&line.target.sink, &sink));
            self.lines = rest;
            let failure = send_group(&sink, &group, &self.bytes);
            first = first.or(failure);
        }
        self.bytes.clear();
        first
    }
}

fn send_group(sink: &Sink, group: &[Line], bytes: &[u8]) -> Option<Failure> {
    let text = |line: &Line| bytes.get(line.bytes.clone()).unwrap_or_default();
    let texts: Vec<&[u8]> = group.iter().map(text).collect();
    let mut first = None;
    let mut done = 0;
    let mut together = true;
    while let Some(waiting) = texts.get(done..).filter(|waiting| !waiting.is_empty()) {
        if together && waiting.len() > 1 {
            done += sink.send_together(waiting);
        }
        // What the system did not take with the others is sent alone, which tells why.
        let Some((line, text)) = group.get(done).zip(texts.get(done)) else {
            break;
        };
        done += 1;
        if let Err(error) = sink.send(text) {
            let failure = line.tally.lost(line.position, error);
            first = first.or(failure);
            // A full queue is not asked twice for each line.
            together = false;
        }
    }
    first
}
