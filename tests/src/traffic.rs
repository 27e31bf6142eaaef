//! What the client saw.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

pub use crate::node::{Attempt, ClientSpec, Outcome, PokeSpec, Sighting, Then};

use crate::clock::Moment;
use crate::host::Host;
use crate::task::Task;
use crate::wait;

/// A client that goes on connecting.
#[derive(Debug)]
pub struct Client {
    task: Task,
}

impl Client {
    /// Starts it on a host.
    pub fn start(host: &Host, spec: &ClientSpec) -> Result<Self> {
        Ok(Self {
            task: host.spawn_job("client", spec)?,
        })
    }

    /// All attempts that are over.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.task
            .lines()
            .iter()
            .filter_map(|line| serde_json::from_str(&line.text).ok())
            .collect()
    }

    /// The attempts that started at or after `since`.
    pub fn since(&self, since: Moment) -> Vec<Attempt> {
        let mut attempts = self.attempts();
        attempts.retain(|attempt| attempt.started >= since);
        attempts
    }

    /// Waits until `count` attempts that started at or after `since` are over, and gives them.
    pub fn wait_attempts(
        &self,
        since: Moment,
        count: usize,
        limit: Duration,
    ) -> Result<Vec<Attempt>> {
        wait::until(&format!("{count} attempts of the client"), limit, || {
            let attempts = self.since(since);
            (attempts.len() >= count).then_some(attempts)
        })
    }

    /// Waits for the first attempt that started at or after `since` and was answered.
    pub fn wait_answer(&self, since: Moment, limit: Duration) -> Result<Attempt> {
        wait::until("an answer to the client", limit, || {
            self.since(since)
                .into_iter()
                .find(|attempt| attempt.backend().is_some())
        })
    }
}

impl Attempt {
    /// Who answered.
    pub fn backend(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Answered(name) => Some(name),
            Outcome::Lost(_) => None,
        }
    }

    /// How long it took.
    pub fn took(&self) -> Duration {
        self.ended.since(self.started)
    }
}

/// How often each backend answered; what was lost counts under its reason.
pub fn tally(attempts: &[Attempt]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for attempt in attempts {
        let key = match &attempt.outcome {
            Outcome::Answered(name) => name.clone(),
            Outcome::Lost(reason) => format!("lost: {reason}"),
        };
        *tally.entry(key).or_insert(0) += 1;
    }
    tally
}

/// How many attempts were lost.
pub fn lost(attempts: &[Attempt]) -> usize {
    attempts
        .iter()
        .filter(|attempt| attempt.backend().is_none())
        .count()
}

/// Listens for gratuitous ARP.
#[derive(Debug)]
pub struct ArpWatch {
    task: Task,
}

impl ArpWatch {
    /// Starts it on a host.
    pub fn start(host: &Host) -> Result<Self> {
        let task = host.spawn_job("arp", &())?;
        task.wait_line("listening", Duration::from_secs(20))?;
        Ok(Self { task })
    }

    /// What was seen since `since`.
    pub fn since(&self, since: Moment) -> Vec<Sighting> {
        let lines = self.task.lines();
        let seen = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Sighting>(&line.text).ok());
        seen.filter(|sighting| sighting.at >= since).collect()
    }
}
