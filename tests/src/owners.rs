//! Who held the virtual address when: a time line out of the kernels' own
//! reports (`ip monitor address`) in each host.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::clock::Moment;
use crate::host::Host;
use crate::task::Task;
use crate::wait;

/// How long the watchers may take to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// An address of the documentation range, set on the loopback interface only to
/// see that the watcher sees.
const PROBE: &str = "192.0.2.1/32";

/// Watches some hosts for one address.
#[derive(Debug)]
pub struct Owners {
    address: IpAddr,
    watchers: Vec<(String, Task)>,
}

/// A host got or lost the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Moment,
    /// Which host.
    pub host: String,
    /// Whether it has it now.
    pub holds: bool,
}

/// A time during which the number of owners did not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// From when.
    pub start: Moment,
    /// Until when; the last one until now.
    pub end: Moment,
    /// Who held the address, in the order in which the hosts are watched.
    pub owners: Vec<String>,
}

impl Span {
    /// How long it was.
    pub fn length(&self) -> Duration {
        self.end.since(self.start)
    }
}

impl Owners {
    /// Starts watching; nobody may hold the address yet.
    pub fn watch(hosts: &[&Host], address: impl Into<IpAddr>) -> Result<Self> {
        let mut watchers = Vec::new();
        for host in hosts {
            let task = host.spawn(&["ip", "-o", "monitor", "address"])?;
            wait::until_ok("the address watcher", PATIENCE, || {
                host.ip(&format!(
                    "address replace {PROBE} dev lo\naddress delete {PROBE} dev lo\n"
                ))?;
                Ok(task
                    .lines()
                    .iter()
                    .any(|l| l.text.contains(PROBE))
                    .then_some(()))
            })
            .with_context(|| format!("on {}", host.name()))?;
            watchers.push((host.name().to_owned(), task));
        }
        Ok(Self {
            address: address.into(),
            watchers,
        })
    }

    /// All changes so far, in the order of time.
    pub fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (host, task) in &self.watchers {
            let mut held = false;
            for line in task.lines() {
                let Some(holds) = self.tells(&line.text) else {
                    continue;
                };
                // A refreshed lease is reported like a new address.
                if holds != held {
                    held = holds;
                    changes.push(Change {
                        at: line.at,
                        host: host.clone(),
                        holds,
                    });
                }
            }
        }
        changes.sort_by_key(|change| change.at);
        changes
    }

    /// What a line such as `2: ens160    inet 10.0.254.253/16 scope global ...`,
    /// with `Deleted ` before it when the address is gone, tells about our address.
    fn tells(&self, line: &str) -> Option<bool> {
        let mut words = line
            .split_whitespace()
            .skip_while(|word| *word != "inet" && *word != "inet6");
        let address = words.nth(1)?.split('/').next()?;
        (address.parse() == Ok(self.address)).then(|| !line.starts_with("Deleted"))
    }

    /// The time line from `since` until now.
    pub fn spans(&self, since: Moment) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        let mut owners: Vec<String> = Vec::new();
        let mut start = since;
        for change in self.changes() {
            if change.at > start {
                spans.push(Span {
                    start,
                    end: change.at,
                    owners: owners.clone(),
                });
                start = change.at;
            }
            owners.retain(|owner| *owner != change.host);
            if change.holds {
                owners.push(change.host);
            }
        }
        spans.push(Span {
            start,
            end: Moment::now(),
            owners,
        });
        spans
    }

    /// Who holds the address now.
    pub fn now(&self) -> Vec<String> {
        self.spans(Moment::default())
            .pop()
            .map(|span| span.owners)
            .unwrap_or_default()
    }

    /// Waits until `host` alone holds the address, and tells since when.
    pub fn wait_sole(&self, host: &str, limit: Duration) -> Result<Moment> {
        wait::until(&format!("{host} to be the sole owner"), limit, || {
            let span = self.spans(Moment::default()).pop()?;
            (span.owners == [host]).then_some(span.start)
        })
        .with_context(|| self.story(Moment::default()))
    }

    /// Waits until `host` holds the address, alone or not, and tells since when.
    pub fn wait_holds(&self, host: &str, limit: Duration) -> Result<Moment> {
        wait::until(&format!("{host} to hold the address"), limit, || {
            let last = self.changes().into_iter().rfind(|c| c.host == host)?;
            last.holds.then_some(last.at)
        })
        .with_context(|| self.story(Moment::default()))
    }

    /// Waits until `host` has got the address at `since` or later, and tells when.
    pub fn wait_holds_since(&self, host: &str, since: Moment, limit: Duration) -> Result<Moment> {
        wait::until(&format!("{host} to get the address"), limit, || {
            let mut changes = self.changes().into_iter();
            let got = changes.find(|c| c.host == host && c.holds && c.at >= since)?;
            Some(got.at)
        })
        .with_context(|| self.story(Moment::default()))
    }

    /// Waits until `host` does not hold the address, and tells since when.
    pub fn wait_lost(&self, host: &str, limit: Duration) -> Result<Moment> {
        wait::until(&format!("{host} to lose the address"), limit, || {
            let last = self.changes().into_iter().rfind(|c| c.host == host)?;
            (!last.holds).then_some(last.at)
        })
        .with_context(|| self.story(Moment::default()))
    }

    /// The longest time since `since` in which more than one host held the address.
    pub fn longest_overlap(&self, since: Moment) -> Duration {
        longest(
            self.spans(since)
                .into_iter()
                .filter(|span| span.owners.len() > 1),
        )
    }

    /// The longest time since `since` in which nobody held the address.
    pub fn longest_gap(&self, since: Moment) -> Duration {
        longest(
            self.spans(since)
                .into_iter()
                .filter(|span| span.owners.is_empty()),
        )
    }

    /// The time line in words, for a failure's message.
    pub fn story(&self, since: Moment) -> String {
        let mut text = String::from("owners of the address:\n");
        for span in self.spans(since) {
            let owners = if span.owners.is_empty() {
                "nobody".to_owned()
            } else {
                span.owners.join(" and ")
            };
            let _infallible = writeln!(
                text,
                "  {} for {:.3} s: {owners}",
                span.start,
                span.length().as_secs_f64()
            );
        }
        text
    }
}

fn longest(spans: impl Iterator<Item = Span>) -> Duration {
    spans.map(|span| span.length()).max().unwrap_or_default()
}
