//! Streams of bulk data, each ended by a half-close and checked to the last byte count.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;
use rustix::event::epoll::EventFlags;
use rustix::net::Shutdown;

use crate::Load;
use crate::exchange::GRACE;
use crate::poll::{self, Poller, Step};
use crate::report::Report;
use crate::wire::{self, BLOCK, Checker, Mode};

/// Which way the data goes, seen from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    Up,
    Down,
    Both,
}

impl Direction {
    const fn mode(self) -> Mode {
        match self {
            Self::Up => Mode::Sink,
            Self::Down => Mode::Source,
            Self::Both => Mode::Both,
        }
    }

    const fn sends(self) -> bool {
        matches!(self, Self::Up | Self::Both)
    }
}

struct Stream {
    socket: OwnedFd,
    /// Bytes sent, the first byte that names the mode among them.
    sent: u64,
    checker: Checker,
    writing: bool,
}

/// Keeps the load's streams busy, ends them and reads what is left.
pub(crate) fn streams(load: &Load, direction: Direction) -> Result<Report> {
    let mut poller = Poller::new()?;
    let mut report = Report::default();
    let block = wire::block();
    let mut buffer = vec![0; BLOCK];
    let begin = Instant::now();
    let end = begin + load.duration();
    let mut slots: Vec<Option<Stream>> = Vec::new();
    for token in 0..load.conns {
        let opened = poll::connect(load.target)
            .map_err(poll::name)
            .and_then(|socket| {
                poller
                    .add(&socket, token, EventFlags::IN | EventFlags::OUT)
                    .map_err(|error| error.to_string())?;
                Ok(Stream {
                    socket,
                    sent: 0,
                    checker: Checker::default(),
                    writing: true,
                })
            });
        match opened {
            Ok(stream) => slots.push(Some(stream)),
            Err(reason) => {
                report.error(&reason);
                slots.push(None);
            }
        }
    }
    let mut live = slots.iter().flatten().count();
    let mut ready = Vec::new();
    let mut ending = false;
    while live > 0 {
        poller.wait(&mut ready, Some(Duration::from_millis(20)))?;
        for &token in &ready {
            let Some(stream) = &mut slots[token] else {
                continue;
            };
            match stream.turn(direction, &block, &mut buffer, &poller, token) {
                Ok(Going::On) => continue,
                Ok(Going::Over) => match stream.checker.verdict(stream.sent) {
                    _ if stream.writing => report.error("closed early"),
                    Some(fault) => report.error(fault),
                    None => report.done += 1,
                },
                Err(reason) => report.error(&reason),
            }
            report.sent += stream.sent;
            report.received += stream.checker.received();
            slots[token] = None;
            live -= 1;
        }
        let now = Instant::now();
        if now > end + GRACE {
            break;
        }
        if now >= end && !ending {
            ending = true;
            for (token, slot) in slots.iter_mut().enumerate() {
                if let Some(stream) = slot
                    && let Err(error) = stream.end(&poller, token)
                {
                    report.error(&error.to_string());
                }
            }
        }
    }
    report.errors_of("never ended", live as u64);
    for stream in slots.iter().flatten() {
        report.sent += stream.sent;
        report.received += stream.checker.received();
    }
    report.secs = begin.elapsed().as_secs_f64();
    Ok(report)
}

enum Going {
    On,
    Over,
}

impl Stream {
    fn turn(
        &mut self,
        direction: Direction,
        block: &[u8],
        buffer: &mut [u8],
        poller: &Poller,
        token: usize,
    ) -> Result<Going, String> {
        if self.writing && (self.sent == 0 || direction.sends()) {
            let first = [direction.mode().byte()];
            let bytes = match self.sent.checked_sub(1) {
                None => &first[..],
                Some(position) => &block[(position % BLOCK as u64) as usize..],
            };
            match poll::send(&self.socket, bytes) {
                Step::Moved(length) => self.sent += length as u64,
                Step::Blocked => {}
                Step::Failed(errno) => return Err(poll::name(errno)),
            }
            if self.sent == 1 && !direction.sends() {
                // Nothing more to send: writable would be true for ever.
                self.listen_only(poller, token)?;
            }
        }
        match poll::receive(&self.socket, buffer) {
            Step::Moved(0) => Ok(Going::Over),
            Step::Moved(length) => {
                self.checker.take(&buffer[..length]);
                Ok(Going::On)
            }
            Step::Blocked => Ok(Going::On),
            Step::Failed(errno) => Err(poll::name(errno)),
        }
    }

    fn listen_only(&self, poller: &Poller, token: usize) -> Result<(), String> {
        poller
            .modify(&self.socket, token, EventFlags::IN)
            .map_err(|error| error.to_string())
    }

    fn end(&mut self, poller: &Poller, token: usize) -> std::io::Result<()> {
        self.writing = false;
        poller.modify(&self.socket, token, EventFlags::IN)?;
        Ok(rustix::net::shutdown(&self.socket, Shutdown::Write)?)
    }
}
