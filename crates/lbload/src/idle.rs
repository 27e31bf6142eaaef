//! Connections that are open and silent.

use std::io::{Read, stdin};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Load;
use crate::exchange::{Exchange, GRACE, HOPELESS, Turn};
use crate::poll::Poller;
use crate::report::Report;
use crate::wire::MESSAGE;

/// Connections that are being made at a time.
const AT_ONCE: usize = 128;

/// Opens the load's connections with one exchange on each, reports, holds them until
/// standard input ends, and reports which of them still stand.
pub(crate) fn hold(load: &Load) -> Result<()> {
    let mut poller = Poller::new()?;
    let mut report = Report::default();
    let begin = Instant::now();
    let give_up = begin + Duration::from_secs(30) + GRACE;
    let mut slots: Vec<Option<Exchange>> = Vec::with_capacity(load.conns);
    let mut ready = Vec::new();
    let mut going = 0_usize;
    let mut failures = 0;
    while (slots.len() < load.conns || going > 0) && Instant::now() < give_up {
        while slots.len() < load.conns && going < AT_ONCE && failures < HOPELESS {
            let token = slots.len();
            let now = Instant::now();
            match Exchange::open(load.target, token as u64, now, &poller, token) {
                Ok(exchange) => {
                    slots.push(Some(exchange));
                    going += 1;
                }
                Err(reason) => {
                    report.error(&reason);
                    failures += 1;
                    slots.push(None);
                }
            }
        }
        if failures >= HOPELESS {
            break;
        }
        poller.wait(&mut ready, Some(Duration::from_millis(100)))?;
        for &token in &ready {
            let Some(exchange) = &mut slots[token] else {
                continue;
            };
            match exchange.turn(&poller, token) {
                Turn::Waiting => continue,
                Turn::Answered => report.done += 1,
                Turn::Failed(reason) => {
                    report.error(&reason);
                    failures += 1;
                    slots[token] = None;
                }
            }
            going = going.saturating_sub(1);
        }
    }
    report.errors_of("unanswered", going as u64);
    report.secs = begin.elapsed().as_secs_f64();
    report.sent = report.done * MESSAGE as u64;
    report.received = report.sent;
    report.print()?;

    let mut ignored = Vec::new();
    let _closed_either_way = stdin().read_to_end(&mut ignored);
    let standing = slots.iter().flatten().filter(|slot| slot.stands()).count();
    let mut end = Report {
        done: standing as u64,
        ..Report::default()
    };
    end.errors_of("lost while idle", (slots.len() - standing) as u64);
    end.print()
}
