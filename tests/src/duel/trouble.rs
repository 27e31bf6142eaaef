//! What can befall a master, and what came of it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::libc::{SIGCONT, SIGKILL, SIGSTOP, SIGTERM};

use super::{Duel, HEALTHY, VITAL};
use crate::clock::Moment;
use crate::lab::Cut;
use crate::owners::Span;
use crate::pair::{Implementation, MOVE};
use crate::wait;

/// How long is watched what does not end by itself: two owners, or an unmoved address.
const WATCH: Duration = Duration::from_secs(6);

/// A priority below r2's, with the scripts' bonus too.
const LOWERED: u8 = 50;

/// What befalls r1 while it is master; all of it can be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// It is asked to stop (SIGTERM).
    Term,
    /// All its processes are killed at once (SIGKILL).
    KillAll,
    /// Its working process is killed, and a supervisor starts it again at once:
    /// keepalived's parent does that itself, ours is one process and started by the test.
    KillChild,
    /// The process that was started is killed.
    KillParent,
    /// Its working process hangs (SIGSTOP) and resumes.
    Hang,
    /// Its wire loses every frame, the carrier stays; healed, there were two masters.
    Silent,
    /// Its wire loses the carrier.
    Carrier,
    /// A script with a weight fails.
    Weighted,
    /// A script without a weight fails.
    Vital,
    /// It is told to read its unchanged file again (SIGHUP).
    Reload,
    /// It is told to read a file that puts it below the other (SIGHUP).
    Lowered,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Term,
        Self::KillAll,
        Self::KillChild,
        Self::KillParent,
        Self::Hang,
        Self::Silent,
        Self::Carrier,
        Self::Weighted,
        Self::Vital,
        Self::Reload,
        Self::Lowered,
    ];

    /// Whether the address has to move to r2 for it.
    pub fn moves(self, master: Implementation) -> bool {
        match self {
            // Whoever is started again at once may be back before r2 has missed it.
            Self::KillChild => master == Implementation::Original,
            Self::Reload => false,
            Self::Term
            | Self::KillAll
            | Self::KillParent
            | Self::Hang
            | Self::Silent
            | Self::Carrier
            | Self::Weighted
            | Self::Vital
            | Self::Lowered => true,
        }
    }

    /// Whether r1 cannot know that it should give the address up: keepalived then keeps it
    /// for good, ours until its lease ends.
    pub const fn beyond_reach(self) -> bool {
        matches!(self, Self::KillAll | Self::Hang | Self::Silent)
    }

    /// Makes it happen.
    pub fn strike(self, duel: &mut Duel) -> Result<()> {
        let master = duel.implementation(0)?;
        match (self, master) {
            (Self::Term, _) => duel.task(0)?.signal(SIGTERM),
            (Self::KillAll, _) => duel.signal_all(0, SIGKILL),
            (Self::KillChild, Implementation::Original) => signal_children(duel, SIGKILL),
            (Self::KillChild, Implementation::Ours) => {
                duel.task(0)?.signal(SIGKILL)?;
                duel.wait_gone(0)?;
                duel.start_router(0).map(drop)
            }
            (Self::KillParent, _) => duel.task(0)?.signal(SIGKILL),
            (Self::Hang, Implementation::Original) => signal_children(duel, SIGSTOP),
            (Self::Hang, Implementation::Ours) => duel.task(0)?.signal(SIGSTOP),
            (Self::Silent, _) => duel.lab.cut("r1", Cut::Silent),
            (Self::Carrier, _) => duel.lab.cut("r1", Cut::Carrier),
            (Self::Weighted, _) => remove(duel, HEALTHY),
            (Self::Vital, _) => remove(duel, VITAL),
            (Self::Reload, _) => duel.reload_unchanged(0).map(drop),
            (Self::Lowered, _) => {
                let text = duel.setup().conf_with(0, LOWERED, &[]);
                duel.reload(0, &text).map(drop)
            }
        }
    }

    /// Mends it.
    pub fn mend(self, duel: &mut Duel) -> Result<()> {
        let master = duel.implementation(0)?;
        match (self, master) {
            (Self::Term | Self::KillAll | Self::KillParent, _) => {
                duel.wait_gone(0)?;
                duel.start_router(0).map(drop)
            }
            (Self::KillChild | Self::Reload, _) => Ok(()),
            (Self::Hang, Implementation::Original) => signal_children(duel, SIGCONT),
            (Self::Hang, Implementation::Ours) => duel.task(0)?.signal(SIGCONT),
            (Self::Silent, _) => duel.lab.mend("r1", Cut::Silent),
            (Self::Carrier, _) => duel.lab.mend("r1", Cut::Carrier),
            (Self::Weighted, _) => duel.host(0)?.write(HEALTHY, ""),
            (Self::Vital, _) => duel.host(0)?.write(VITAL, ""),
            (Self::Lowered, _) => {
                let text = duel.setup().conf(0);
                duel.reload(0, &text).map(drop)
            }
        }
    }
}

fn signal_children(duel: &Duel, signal: i32) -> Result<()> {
    for pid in duel.children(0)? {
        duel.host(0)?.signal(pid, signal)?;
    }
    Ok(())
}

fn remove(duel: &Duel, file: &str) -> Result<()> {
    fs::remove_file(duel.host(0)?.outside(file)).with_context(|| format!("cannot remove {file}"))
}

/// A trouble and its mending.
#[derive(Debug, Clone)]
pub struct Passage {
    /// When it struck.
    pub struck: Moment,
    /// When r2 had the address.
    pub gained: Option<Moment>,
    /// When r1 had it no more.
    pub lost: Option<Moment>,
    /// Who held the address from then until it was mended.
    pub there: Vec<Span>,
    /// When it was mended.
    pub mended: Moment,
    /// When r1 was the only owner again for good.
    pub back: Moment,
    /// Who held the address from the mending on.
    pub home: Vec<Span>,
}

impl Passage {
    /// Time without an owner from the strike on until it was mended.
    pub fn none(&self) -> Duration {
        total(&self.there, |owners| owners == 0)
    }

    /// Time with two owners from the strike on until it was mended.
    pub fn two(&self) -> Duration {
        total(&self.there, |owners| owners > 1)
    }

    /// Whether there still were two owners when it was mended.
    pub fn two_remained(&self) -> bool {
        self.there.last().is_some_and(|span| span.owners.len() > 1)
    }

    /// Time without an owner from the mending on.
    pub fn none_after(&self) -> Duration {
        total(&self.home, |owners| owners == 0)
    }

    /// Time with two owners from the mending on.
    pub fn two_after(&self) -> Duration {
        total(&self.home, |owners| owners > 1)
    }
}

fn total(spans: &[Span], counts: impl Fn(usize) -> bool) -> Duration {
    spans
        .iter()
        .filter(|span| counts(span.owners.len()))
        .map(Span::length)
        .sum()
}

impl Duel {
    /// Lets a trouble befall r1, watches, mends it, and waits until r1 alone holds the address.
    ///
    /// # Errors
    /// If the address does not move that has to, or does not come back.
    pub fn suffer(&mut self, trouble: Trouble) -> Result<Passage> {
        let master = self.implementation(0)?;
        let struck = Moment::now();
        trouble.strike(self).with_context(|| self.evidence())?;
        if trouble.moves(master) {
            // keepalived's second advert of priority 0 and the like come a little later.
            self.owners
                .wait_holds_since("r2", struck, MOVE)
                .with_context(|| format!("{trouble:?}\n{}", self.evidence()))?;
            // One owner again, or as many as there will be.
            let _two_for_good = wait::until("one owner", WATCH, || {
                (self.owners.now().len() == 1).then_some(())
            });
        } else {
            let quiet = wait::holds_for(WATCH.min(self.setup().wire.master_down() * 2), || Ok(()));
            quiet?;
        }
        let mended = Moment::now();
        let there = until(self.owners.spans(struck), mended);
        trouble.mend(self).with_context(|| self.evidence())?;
        let back = self
            .settle()
            .with_context(|| format!("after {trouble:?} was mended"))?;
        let change = |host: &str, holds: bool| {
            let mut changes = self.owners.changes().into_iter();
            let found = changes.find(|c| c.at >= struck && c.host == host && c.holds == holds);
            found.map(|c| c.at)
        };
        Ok(Passage {
            struck,
            gained: change("r2", true).filter(|at| *at <= mended),
            lost: change("r1", false).filter(|at| *at <= mended),
            there,
            mended,
            back,
            home: self.owners.spans(mended),
        })
    }
}

/// The time line up to `end`.
fn until(mut spans: Vec<Span>, end: Moment) -> Vec<Span> {
    spans.retain(|span| span.start < end);
    if let Some(last) = spans.last_mut() {
        last.end = last.end.min(end);
    }
    spans
}
