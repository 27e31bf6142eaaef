//! Requests and replies of 100 bytes, in a closed loop: each connection asks again
//! as soon as it is answered.

use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::epoll::EventFlags;

use crate::Load;
use crate::poll::{self, Poller, Step};
use crate::report::Report;
use crate::wire::{self, MESSAGE};

/// How long a load waits for what it is owed after its time is up.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// A load with this many errors stops trying.
pub(crate) const HOPELESS: u64 = 1000;

/// One connection and the exchange it is in.
pub(crate) struct Exchange {
    socket: OwnedFd,
    request: [u8; MESSAGE],
    sent: usize,
    reply: [u8; MESSAGE],
    got: usize,
    wants_room: bool,
    /// From when its latency counts.
    pub(crate) started: Instant,
}

/// How far an exchange has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Waiting,
    Answered,
    /// Over, for this reason.
    Failed(String),
}

impl Exchange {
    /// Connects, sends if that goes at once, and registers under `token`.
    pub(crate) fn open(
        target: SocketAddrV4,
        serial: u64,
        started: Instant,
        poller: &Poller,
        token: usize,
    ) -> Result<Self, String> {
        let socket = poll::connect(target).map_err(poll::name)?;
        let mut exchange = Self {
            socket,
            request: wire::message(serial),
            sent: 0,
            reply: [0; MESSAGE],
            got: 0,
            wants_room: false,
            started,
        };
        // On loopback the connection is there by now, so that one wake-up is spared.
        exchange.write()?;
        let mut flags = EventFlags::IN;
        if exchange.sent < MESSAGE {
            exchange.wants_room = true;
            flags |= EventFlags::OUT;
        }
        poller
            .add(&exchange.socket, token, flags)
            .map_err(|error| error.to_string())?;
        Ok(exchange)
    }

    /// The next request on the same connection.
    pub(crate) fn again(&mut self, serial: u64, started: Instant) -> Result<(), String> {
        self.request = wire::message(serial);
        self.sent = 0;
        self.got = 0;
        self.started = started;
        self.write()?;
        if self.sent < MESSAGE {
            // 100 bytes always fit into an empty socket buffer.
            return Err("send blocked".to_owned());
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), String> {
        match poll::send(&self.socket, &self.request[self.sent..]) {
            Step::Moved(length) => {
                self.sent += length;
                Ok(())
            }
            Step::Blocked => Ok(()),
            Step::Failed(errno) => Err(poll::name(errno)),
        }
    }

    /// Something happened on the socket.
    pub(crate) fn turn(&mut self, poller: &Poller, token: usize) -> Turn {
        if self.sent < MESSAGE
            && let Err(reason) = self.write()
        {
            return Turn::Failed(reason);
        }
        if self.wants_room && self.sent == MESSAGE {
            self.wants_room = false;
            if let Err(error) = poller.modify(&self.socket, token, EventFlags::IN) {
                return Turn::Failed(error.to_string());
            }
        }
        match poll::receive(&self.socket, &mut self.reply[self.got..]) {
            Step::Blocked => Turn::Waiting,
            Step::Moved(0) => Turn::Failed("closed early".to_owned()),
            Step::Moved(length) => {
                self.got += length;
                if self.got < MESSAGE {
                    Turn::Waiting
                } else if self.reply == self.request {
                    Turn::Answered
                } else {
                    Turn::Failed("wrong bytes".to_owned())
                }
            }
            Step::Failed(errno) => Turn::Failed(poll::name(errno)),
        }
    }

    /// Whether the connection still stands although nobody says anything.
    pub(crate) fn stands(&self) -> bool {
        poll::receive(&self.socket, &mut [0; 1]) == Step::Blocked
    }
}

/// What a slot does after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Close,
    AskAgain,
}

/// Connect, ask, be answered, close; over and over.
pub(crate) fn connections(load: &Load) -> Result<Report> {
    closed_loop(load, After::Close)
}

/// Ask and be answered on connections that stay.
pub(crate) fn requests(load: &Load) -> Result<Report> {
    closed_loop(load, After::AskAgain)
}

fn closed_loop(load: &Load, after: After) -> Result<Report> {
    let mut poller = Poller::new()?;
    let mut report = Report::default();
    let mut samples = Vec::with_capacity(1 << 16);
    let mut failures = 0;
    let mut serial = 0;
    let begin = Instant::now();
    let end = begin + load.duration();
    let mut slots: Vec<Option<Exchange>> = (0..load.conns).map(|_| None).collect();
    // Slots that are to connect.
    let mut free: Vec<usize> = (0..load.conns).collect();
    let mut ready = Vec::new();
    let mut last = begin;
    let mut live = 0_usize;
    loop {
        let mut now = Instant::now();
        while now < end
            && failures < HOPELESS
            && let Some(token) = free.pop()
        {
            serial += 1;
            match Exchange::open(load.target, serial, now, &poller, token) {
                Ok(exchange) => {
                    slots[token] = Some(exchange);
                    live += 1;
                }
                Err(reason) => {
                    report.error(&reason);
                    failures += 1;
                    free.push(token);
                }
            }
            now = Instant::now();
        }
        if live == 0 || now > end + GRACE {
            break;
        }
        poller.wait(&mut ready, Some(Duration::from_millis(100)))?;
        for &token in &ready {
            let Some(exchange) = &mut slots[token] else {
                continue;
            };
            let failed = match exchange.turn(&poller, token) {
                Turn::Waiting => continue,
                Turn::Failed(reason) => Some(reason),
                Turn::Answered => {
                    let now = Instant::now();
                    report.done += 1;
                    samples.push(now.duration_since(exchange.started).as_nanos() as u64);
                    last = now;
                    if after == After::AskAgain && now < end {
                        serial += 1;
                        match exchange.again(serial, now) {
                            Ok(()) => continue,
                            Err(reason) => Some(reason),
                        }
                    } else {
                        None
                    }
                }
            };
            if let Some(reason) = failed {
                report.error(&reason);
                failures += 1;
            }
            slots[token] = None;
            live -= 1;
            free.push(token);
        }
    }
    report.errors_of("unanswered", live as u64);
    report.sent = report.done * MESSAGE as u64;
    report.received = report.sent;
    report.secs = last.duration_since(begin).as_secs_f64();
    report.samples("reply", samples);
    Ok(report)
}
