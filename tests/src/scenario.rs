//! The faults a pair must survive, and what it looked like while it did.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::libc::{SIGCONT, SIGKILL, SIGSTOP};

use crate::clock::Moment;
use crate::lab::Cut;
use crate::owners::Span;
use crate::pair::{Implementation, LBS, MOVE, PATIENCE, Pair};
use crate::traffic::{Attempt, Client, lost};

/// How many answers in a row show that service is back.
const PROOF: usize = 20;

/// What breaks on the master; all of it can be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its balancer is killed.
    BalancerKilled,
    /// Its router is asked to stop.
    RouterStopped,
    /// Its router is killed by SIGKILL.
    RouterKilled,
    /// Its router hangs (SIGSTOP) and resumes.
    RouterHung,
    /// Its wire loses every frame, the carrier stays.
    WireSilent,
    /// Its wire loses the carrier.
    WireOut,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::BalancerKilled,
        Self::RouterStopped,
        Self::RouterKilled,
        Self::RouterHung,
        Self::WireSilent,
        Self::WireOut,
    ];

    /// What happens, in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::BalancerKilled => "the balancer on lb1 is killed (SIGKILL)",
            Self::RouterStopped => "the VRRP daemon on lb1 is stopped (SIGTERM)",
            Self::RouterKilled => "the VRRP daemon on lb1 is killed (SIGKILL)",
            Self::RouterHung => "the VRRP daemon on lb1 hangs (SIGSTOP)",
            Self::WireSilent => "lb1's wire loses every frame, its carrier stays",
            Self::WireOut => "lb1's cable is pulled",
        }
    }

    /// How it is mended, in words.
    pub fn mending(self) -> &'static str {
        match self {
            Self::BalancerKilled => "the balancer on lb1 is started again",
            Self::RouterStopped | Self::RouterKilled => "the VRRP daemon on lb1 is started again",
            Self::RouterHung => "the VRRP daemon on lb1 resumes (SIGCONT)",
            Self::WireSilent => "lb1's wire carries frames again",
            Self::WireOut => "lb1's cable is back",
        }
    }

    /// Those of [`Fault::ALL`] that mean something to this pair: where there is but
    /// one user, keepalived cannot run its script and takes it for successful
    /// (`Couldn't setgroups`), so that it never hears of a dead balancer.
    pub fn all_for(pair: &Pair) -> Result<Vec<Self>> {
        let deaf = !pair.lab.many_users() && pair.implementation(0)? == Implementation::Original;
        Ok(Self::ALL
            .into_iter()
            .filter(|fault| !deaf || *fault != Self::BalancerKilled)
            .collect())
    }

    /// Makes it happen on lb1.
    pub fn strike(self, pair: &mut Pair) -> Result<()> {
        match self {
            Self::BalancerKilled => pair.kill_balancer(0, SIGKILL),
            Self::RouterStopped => pair.stop_router(0),
            Self::RouterKilled => pair.kill_router(0),
            Self::RouterHung => pair.signal_router(0, SIGSTOP),
            Self::WireSilent => pair.lab.cut("lb1", Cut::Silent),
            Self::WireOut => pair.lab.cut("lb1", Cut::Carrier),
        }
    }

    /// Mends it.
    pub fn mend(self, pair: &mut Pair) -> Result<()> {
        match self {
            Self::BalancerKilled => pair.start_balancer(0),
            Self::RouterStopped | Self::RouterKilled => pair.start_router(0),
            Self::RouterHung => pair.signal_router(0, SIGCONT),
            Self::WireSilent => pair.lab.mend("lb1", Cut::Silent),
            Self::WireOut => pair.lab.mend("lb1", Cut::Carrier),
        }
    }

    /// Whether the struck host may keep the address all the same: nobody can tell
    /// a host behind a dead wire to give it up.
    fn may_keep(self, router: Implementation) -> bool {
        match self {
            Self::WireSilent => true,
            Self::RouterKilled | Self::RouterHung => router == Implementation::Original,
            Self::BalancerKilled | Self::RouterStopped | Self::WireOut => false,
        }
    }

    /// How long two hosts may hold the address at once. The lease is 3 s at an
    /// advert interval of 1 s; the rest is for a loaded machine.
    fn longest_overlap(self, router: Implementation) -> Option<Duration> {
        match self {
            _ if self.may_keep(router) => None,
            Self::RouterKilled | Self::RouterHung => Some(Duration::from_millis(3500)),
            // The new master is there before the old one has heard of it.
            _ => Some(Duration::from_millis(1500)),
        }
    }
}

/// One move of the address, there or back.
#[derive(Debug, Clone)]
pub struct Move {
    /// When the fault struck or was mended.
    pub start: Moment,
    /// When the new owner had the address.
    pub arrived: Moment,
    /// When the client was answered again, every time.
    pub served: Moment,
    /// Who held the address from the start on.
    pub spans: Vec<Span>,
    /// The client's attempts from the start until service was back.
    pub attempts: Vec<Attempt>,
}

impl Move {
    /// How long the address took.
    pub fn took(&self) -> Duration {
        self.arrived.since(self.start)
    }

    /// How many of the client's attempts were lost.
    pub fn lost(&self) -> usize {
        lost(&self.attempts)
    }

    /// The longest time with two owners.
    pub fn overlap(&self) -> Duration {
        let shared = self.spans.iter().filter(|span| span.owners.len() > 1);
        shared.map(Span::length).max().unwrap_or_default()
    }

    /// The longest time without an owner.
    pub fn gap(&self) -> Duration {
        let empty = self.spans.iter().filter(|span| span.owners.is_empty());
        empty.map(Span::length).max().unwrap_or_default()
    }
}

/// Strikes, waits until lb2 serves, and checks that it does.
pub fn strike(pair: &mut Pair, client: &Client, fault: Fault) -> Result<Move> {
    let router = pair.implementation(0)?;
    let start = Moment::now();
    fault.strike(pair).with_context(|| pair.evidence())?;
    let keeps = fault.may_keep(router);
    let arrived = if keeps {
        pair.owners.wait_holds("lb2", MOVE)
    } else {
        pair.owners.wait_sole("lb2", MOVE)
    };
    let arrived = arrived.with_context(|| pair.evidence())?;
    pair.wait_garp(1, start, PATIENCE)?;
    let there = observe(
        pair,
        client,
        start,
        first_arrival(pair, 1, start).unwrap_or(arrived),
    )?;
    if let Some(limit) = fault.longest_overlap(router) {
        ensure!(
            there.overlap() <= limit,
            "two owners for {:?}\n{}",
            there.overlap(),
            pair.evidence()
        );
    }
    Ok(there)
}

/// Mends, waits until lb1 serves alone, and checks that it does.
pub fn mend(pair: &mut Pair, client: &Client, fault: Fault) -> Result<Move> {
    let winner = pair.implementation(0)?;
    let start = Moment::now();
    fault.mend(pair).with_context(|| pair.evidence())?;
    let arrived = pair.settle()?;
    if fault == Fault::WireSilent && winner == Implementation::Original {
        // After a split the winner's neighbours still know the loser. keepalived says
        // again who it is only now and then; without that its clients are lost for
        // as long as they remember, which may be most of a minute.
        pair.lab
            .host("client")?
            .ip("neighbour flush dev ens160\n")?;
    } else {
        pair.wait_garp(0, start, PATIENCE)?;
    }
    let back = observe(
        pair,
        client,
        start,
        first_arrival(pair, 0, start).unwrap_or(arrived),
    )?;
    ensure!(
        pair.owners.now() == [LBS[0]],
        "lb1 did not keep the address\n{}",
        pair.evidence()
    );
    Ok(back)
}

fn first_arrival(pair: &Pair, index: usize, since: Moment) -> Option<Moment> {
    let name = LBS.get(index)?;
    pair.owners
        .changes()
        .into_iter()
        .find(|c| c.at >= since && c.holds && c.host == *name)
        .map(|c| c.at)
}

fn observe(pair: &Pair, client: &Client, start: Moment, arrived: Moment) -> Result<Move> {
    let attempts = crate::wait::until("the client to be served again", PATIENCE, || {
        let attempts = client.since(start);
        let tail = attempts.rchunks(PROOF).next()?;
        let over = tail.len() == PROOF && tail.first()?.started >= arrived;
        (over && lost(tail) == 0).then_some(attempts)
    })
    .with_context(|| pair.evidence())?;
    let served = attempts
        .iter()
        .rfind(|a| a.backend().is_none())
        .map_or(arrived, |a| a.ended.max(arrived));
    Ok(Move {
        start,
        arrived,
        served,
        spans: pair.owners.spans(start),
        attempts,
    })
}
