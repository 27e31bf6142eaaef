//! Requests at a fixed rate. Latency counts from the moment a request was planned
//! for, so that a proxy that stalls is charged for all who had to wait, not for the
//! one who was on the line.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::Load;
use crate::exchange::{Exchange, GRACE, HOPELESS, Turn};
use crate::poll::Poller;
use crate::report::Report;
use crate::wire::MESSAGE;

/// How long a connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lives {
    /// For all of the load.
    All,
    /// For one request; its latency is that of the first reply, connect included.
    One,
}

/// Asks `rate` times a second, with at most the load's connections at a time.
pub(crate) fn requests(load: &Load, rate: u32, lives: Lives) -> Result<Report> {
    Paced::new(load, rate, lives)?.run()
}

struct Paced<'a> {
    load: &'a Load,
    lives: Lives,
    poller: Poller,
    slots: Vec<Option<Exchange>>,
    /// Slots with nothing to do: without a connection, or with one that waits.
    idle: VecDeque<usize>,
    /// Planned moments of requests for which no slot was free.
    overdue: VecDeque<Instant>,
    interval: Duration,
    serial: u64,
    failures: u64,
    report: Report,
    samples: Vec<u64>,
    last: Instant,
}

impl<'a> Paced<'a> {
    fn new(load: &'a Load, rate: u32, lives: Lives) -> Result<Self> {
        Ok(Self {
            load,
            lives,
            poller: Poller::new()?,
            slots: (0..load.conns).map(|_| None).collect(),
            idle: VecDeque::new(),
            overdue: VecDeque::new(),
            interval: Duration::from_secs(1) / rate,
            serial: 0,
            failures: 0,
            report: Report::default(),
            samples: Vec::new(),
            last: Instant::now(),
        })
    }

    fn run(mut self) -> Result<Report> {
        if self.lives == Lives::All {
            self.warm_up()?;
        }
        self.idle = (0..self.slots.len()).collect();
        let total = (self.load.duration().as_secs_f64() / self.interval.as_secs_f64())
            .round()
            .max(1.0) as u32;
        let clock = self.slots.len();
        let begin = Instant::now();
        let timer = ticks(self.interval)?;
        self.poller.add(&timer, clock, EventFlags::IN)?;
        let mut planned = 0;
        let mut ready = Vec::new();
        let give_up = begin + self.load.duration() + GRACE;
        loop {
            self.poller
                .wait(&mut ready, Some(Duration::from_millis(100)))?;
            for &token in &ready {
                if token == clock {
                    clear(&timer)?;
                } else {
                    self.advance(token);
                }
            }
            let now = Instant::now();
            while planned < total && begin + self.interval * planned <= now {
                self.overdue.push_back(begin + self.interval * planned);
                planned += 1;
            }
            self.dispatch();
            let answered = self.report.done + self.failures;
            if answered >= u64::from(total) || now > give_up || self.failures >= HOPELESS {
                break;
            }
        }
        let missing = u64::from(total).saturating_sub(self.report.done + self.failures);
        self.report.errors_of("unanswered", missing);
        self.report.sent = self.report.done * MESSAGE as u64;
        self.report.received = self.report.sent;
        self.report.secs = self.last.duration_since(begin).as_secs_f64();
        self.report.samples("reply", self.samples);
        Ok(self.report)
    }

    /// Connects every slot and asks once, uncounted.
    fn warm_up(&mut self) -> Result<()> {
        let target = self.load.target;
        for token in 0..self.slots.len() {
            self.serial += 1;
            let opened = Exchange::open(target, self.serial, Instant::now(), &self.poller, token);
            match opened {
                Ok(exchange) => self.slots[token] = Some(exchange),
                Err(reason) => bail!("cannot connect to {target}: {reason}"),
            }
        }
        let mut waiting = self.slots.len();
        let give_up = Instant::now() + GRACE;
        let mut ready = Vec::new();
        while waiting > 0 {
            if Instant::now() > give_up {
                bail!("{waiting} connections to {target} got no first reply");
            }
            self.poller
                .wait(&mut ready, Some(Duration::from_millis(100)))?;
            for &token in &ready {
                let Some(exchange) = &mut self.slots[token] else {
                    continue;
                };
                match exchange.turn(&self.poller, token) {
                    Turn::Waiting => {}
                    Turn::Answered => waiting -= 1,
                    Turn::Failed(reason) => bail!("no first reply from {target}: {reason}"),
                }
            }
        }
        Ok(())
    }

    fn advance(&mut self, token: usize) {
        let Some(exchange) = &mut self.slots[token] else {
            return;
        };
        match exchange.turn(&self.poller, token) {
            Turn::Waiting => return,
            Turn::Answered => {
                self.last = Instant::now();
                let took = self.last.duration_since(exchange.started);
                self.report.done += 1;
                self.samples.push(took.as_nanos() as u64);
                if self.lives == Lives::One {
                    self.slots[token] = None;
                }
            }
            Turn::Failed(reason) => {
                self.fail(&reason);
                self.slots[token] = None;
            }
        }
        self.idle.push_back(token);
    }

    fn fail(&mut self, reason: &str) {
        self.report.error(reason);
        self.failures += 1;
    }

    /// Starts what is due, on the slots that are free.
    fn dispatch(&mut self) {
        while !self.overdue.is_empty()
            && let Some(token) = self.idle.pop_front()
            && let Some(planned) = self.overdue.pop_front()
        {
            self.serial += 1;
            let begun = match &mut self.slots[token] {
                Some(exchange) => exchange.again(self.serial, planned),
                empty => {
                    Exchange::open(self.load.target, self.serial, planned, &self.poller, token)
                        .map(|exchange| *empty = Some(exchange))
                }
            };
            if let Err(reason) = begun {
                self.fail(&reason);
                self.slots[token] = None;
                self.idle.push_back(token);
            }
        }
    }
}

/// A timer that ticks at once and then after each `interval`.
fn ticks(interval: Duration) -> Result<OwnedFd> {
    let timer = timerfd_create(
        TimerfdClockId::Monotonic,
        TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
    )
    .context("timerfd_create")?;
    let spec = |duration: Duration| Timespec {
        tv_sec: duration.as_secs() as i64,
        tv_nsec: i64::from(duration.subsec_nanos()),
    };
    timerfd_settime(
        &timer,
        TimerfdTimerFlags::empty(),
        &Itimerspec {
            it_interval: spec(interval),
            it_value: spec(Duration::from_nanos(1)),
        },
    )
    .context("timerfd_settime")?;
    Ok(timer)
}

fn clear(timer: &OwnedFd) -> Result<()> {
    match rustix::io::read(timer, &mut [0; 8][..]) {
        Ok(_) | Err(Errno::AGAIN) => Ok(()),
        Err(error) => Err(error).context("reading a timer"),
    }
}
