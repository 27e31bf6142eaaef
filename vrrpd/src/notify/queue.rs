//! The scripts of one party (an instance or a group) run one transition after the other.
//!
//! keepalived starts them all at once, and a slow `notify_master` may then end after the
//! `notify_backup` that followed it: the last word is the wrong one. Here the scripts of a
//! transition start when those of the one before have ended.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use keepalived_conf::Command;

use super::Party;
use crate::script::launch;

/// The `notify` script starts when the one for the state has ended, or so much later.
const HEAD_START: Duration = Duration::from_secs(1);
/// A script that lets the next transition's wait for so long is told to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Transitions of one party that wait at most; the oldest go first.
const DEPTH: usize = 64;

/// The scripts of one transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Whose transition.
    pub(crate) party: Party,
    /// `notify_master` and its like.
    pub(crate) first: Option<Command>,
    /// `notify`, with its four additional words.
    pub(crate) then: Option<Command>,
}

/// The queues of all parties, on the thread that runs scripts.
#[derive(Debug, Clone)]
pub(crate) struct Queues {
    shared: Rc<Shared>,
    patience: Duration,
}

#[derive(Debug)]
struct Shared {
    queues: RefCell<BTreeMap<Party, Rc<Queue>>>,
    /// Process groups of scripts that run.
    groups: RefCell<BTreeSet<i32>>,
    /// Told whenever a queue has run empty.
    emptied: Notify,
    lines: mpsc::Sender<String>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: RefCell<VecDeque<(Instant, Batch)>>,
    arrived: Notify,
}

impl Queues {
    /// Queues that say into `lines` what goes wrong.
    pub(crate) fn new(lines: mpsc::Sender<String>) -> Self {
        let shared = Shared {
            queues: RefCell::default(),
            groups: RefCell::default(),
            emptied: Notify::new(),
            lines,
        };
        Self {
            shared: Rc::new(shared),
            patience: PATIENCE,
        }
    }

    /// Another patience, for a test that has less of it.
    #[cfg(test)]
    fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Puts a transition at the end of its party's queue. Needs a local task set.
    pub(crate) fn push(&self, batch: Batch) {
        let party = batch.party.clone();
        let mut queues = self.shared.queues.borrow_mut();
        let fresh = !queues.contains_key(&party);
        let queue = Rc::clone(queues.entry(party.clone()).or_default());
        drop(queues);
        {
            let mut waiting = queue.waiting.borrow_mut();
            if waiting.len() >= DEPTH {
                waiting.pop_front();
                self.say(format!(
                    "({party}) notify scripts do not keep up, one transition is not told"
                ));
            }
            waiting.push_back((Instant::now(), batch));
        }
        queue.arrived.notify_one();
        if fresh {
            let all = self.clone();
            tokio::task::spawn_local(async move { all.work(party, queue).await });
        }
    }

    /// The daemon ends: of what waits only each party's last word is still said. Waits
    /// until all has run, for `limit` at most, and tells what runs still to end.
    pub(crate) async fn finish(&self, limit: Duration) {
        for queue in self.shared.queues.borrow().values() {
            let mut waiting = queue.waiting.borrow_mut();
            let stale = waiting.len().saturating_sub(1);
            waiting.drain(..stale);
        }
        if timeout(limit, self.drained()).await.is_err() {
            for group in self.shared.groups.borrow().iter() {
                launch::terminate(*group);
            }
        }
    }

    /// Returns when nothing runs and nothing waits.
    async fn drained(&self) {
        loop {
            let emptied = self.shared.emptied.notified();
            if self.shared.queues.borrow().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    async fn work(&self, party: Party, queue: Rc<Queue>) {
        loop {
            let next = queue.waiting.borrow_mut().pop_front();
            let Some((_, batch)) = next else {
                break;
            };
            self.run(&queue, batch).await;
        }
        self.shared.queues.borrow_mut().remove(&party);
        self.shared.emptied.notify_waiters();
    }

    async fn run(&self, queue: &Queue, batch: Batch) {
        let first = batch.first.as_ref();
        let mut first = first.and_then(|command| self.start(&batch.party, command));
        if let Some(running) = &mut first
            && batch.then.is_some()
        {
            let _ = timeout(HEAD_START, running.child.wait()).await;
        }
        let then = batch.then.as_ref();
        let mut then = then.and_then(|command| self.start(&batch.party, command));
        for running in [&mut first, &mut then].into_iter().flatten() {
            self.wait(queue, &batch.party, running).await;
        }
    }

    fn start(&self, party: &Party, command: &Command) -> Option<Running> {
        let program = command
            .argv
            .first()
            .map(|word| word.to_string_lossy().into_owned())
            .unwrap_or_default();
        match launch::spawn(&command.argv, &command.user) {
            Ok(child) => {
                let group = launch::group(&child);
                self.shared.groups.borrow_mut().extend(group);
                Some(Running {
                    program,
                    child,
                    group,
                })
            }
            Err(error) => {
                let reason = osys::error_text(&error);
                self.say(format!(
                    "({party}) notify script {program} cannot be run: {reason}"
                ));
                None
            }
        }
    }

    /// Waits for its end, and does not wait for ever when others wait for it.
    async fn wait(&self, queue: &Queue, party: &Party, running: &mut Running) {
        let overdue = tokio::select! {
            biased;
            _ = running.child.wait() => false,
            () = queue.overdue(self.patience) => true,
        };
        if overdue {
            self.say(format!(
                "({party}) notify script {} takes too long, the next one waits: told to end",
                running.program
            ));
            launch::end_group(running.group, &mut running.child).await;
        }
        if let Some(group) = running.group {
            self.shared.groups.borrow_mut().remove(&group);
        }
    }

    fn say(&self, line: String) {
        // When the log is this far behind, one line more does not help.
        let _ = self.shared.lines.try_send(line);
    }
}

impl Queue {
    /// Returns when a transition has waited for `patience`.
    async fn overdue(&self, patience: Duration) {
        loop {
            let since = self.waiting.borrow().front().map(|(since, _)| *since);
            match since {
                Some(since) => return sleep_until(since + patience).await,
                None => self.arrived.notified().await,
            }
        }
    }
}

/// A script under way.
#[derive(Debug)]
struct Running {
    program: String,
    child: Child,
    group: Option<i32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepalived_conf::env::Credentials;
    use std::path::Path;

    const LONG: Duration = Duration::from_secs(20);

    fn command(script: &str) -> Command {
        Command {
            argv: ["/bin/sh", "-c", script].map(Into::into).to_vec(),
            user: Credentials {
                uid: nix::unistd::geteuid().as_raw(),
                gid: nix::unistd::getegid().as_raw(),
            },
        }
    }

    fn batch(party: &Party, first: &str, then: Option<&str>) -> Batch {
        Batch {
            party: party.clone(),
            first: Some(command(first)),
            then: then.map(command),
        }
    }

    /// Runs the batches and gives the lines they wrote and the lines for the log.
    fn run(
        patience: Duration,
        batches: impl FnOnce(&Path) -> Vec<Batch>,
    ) -> (Vec<String>, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (sender, mut lines) = mpsc::channel(16);
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&runtime, async {
            let queues = Queues::new(sender).with_patience(patience);
            for batch in batches(&path) {
                queues.push(batch);
            }
            timeout(LONG, queues.drained()).await.unwrap();
        });
        let mut said = Vec::new();
        while let Ok(line) = lines.try_recv() {
            said.push(line);
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        (text.lines().map(str::to_owned).collect(), said)
    }

    #[test]
    fn a_slow_script_is_not_overtaken_by_the_next_transition() {
        let party = Party::Instance("V".to_owned());
        let (lines, said) = run(LONG, |path| {
            let out = path.display();
            vec![
                batch(
                    &party,
                    &format!("sleep 0.3; echo master >> {out}"),
                    Some(&format!("sleep 0.1; echo any-master >> {out}")),
                ),
                batch(
                    &party,
                    &format!("echo backup >> {out}"),
                    Some(&format!("echo any-backup >> {out}")),
                ),
            ]
        });
        assert_eq!(lines, ["master", "any-master", "backup", "any-backup"]);
        assert!(said.is_empty(), "{said:?}");
    }

    #[test]
    fn parties_do_not_wait_for_each_other() {
        let (slow, quick) = (
            Party::Instance("S".to_owned()),
            Party::Group("Q".to_owned()),
        );
        let (lines, _) = run(LONG, |path| {
            let out = path.display();
            // The slow one ends only when the quick one has written.
            let wait =
                format!("until grep -q quick {out}; do sleep 0.02; done; echo slow >> {out}");
            vec![
                batch(&slow, &wait, None),
                batch(&quick, &format!("echo quick >> {out}"), None),
            ]
        });
        assert_eq!(lines, ["quick", "slow"]);
    }

    #[test]
    fn a_script_for_the_state_that_stays_does_not_keep_the_general_one() {
        let party = Party::Instance("V".to_owned());
        let (lines, _) = run(LONG, |path| {
            let out = path.display();
            let wait = format!("until grep -q any {out}; do sleep 0.02; done; echo state >> {out}");
            vec![batch(&party, &wait, Some(&format!("echo any >> {out}")))]
        });
        assert_eq!(lines, ["any", "state"]);
    }

    #[test]
    fn a_script_that_hangs_is_ended_for_the_next() {
        let party = Party::Instance("V".to_owned());
        let (lines, said) = run(Duration::from_millis(200), |path| {
            let out = path.display();
            vec![
                batch(&party, "sleep 60 & sleep 60", None),
                batch(&party, &format!("echo next >> {out}"), None),
            ]
        });
        assert_eq!(lines, ["next"]);
        assert_eq!(
            said,
            ["(V) notify script /bin/sh takes too long, the next one waits: told to end"]
        );
    }

    #[test]
    fn what_cannot_be_run_is_said_and_does_not_stop_the_rest() {
        let party = Party::Group("G".to_owned());
        let (lines, said) = run(LONG, |path| {
            let mut broken = batch(&party, "", Some(&format!("echo any >> {}", path.display())));
            broken.first.as_mut().unwrap().argv = vec!["/no/such/program".into()];
            vec![broken]
        });
        assert_eq!(lines, ["any"]);
        assert_eq!(
            said,
            ["(G) notify script /no/such/program cannot be run: No such file or directory"]
        );
    }

    #[test]
    fn too_many_transitions_push_the_oldest_out() {
        let party = Party::Instance("V".to_owned());
        let (lines, said) = run(LONG, |path| {
            let numbers = 0..DEPTH + 2;
            let script = |number| format!("echo {number} >> {}", path.display());
            numbers
                .map(|number| batch(&party, &script(number), None))
                .collect()
        });
        assert_eq!(lines.first().unwrap(), "2");
        assert_eq!(lines.len(), DEPTH);
        assert_eq!(said.len(), 2);
    }

    #[test]
    fn at_the_end_only_the_last_word_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (sender, _lines) = mpsc::channel(16);
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&runtime, async {
            let queues = Queues::new(sender);
            let party = Party::Instance("V".to_owned());
            for word in ["fault", "backup", "stop"] {
                let script = format!("echo {word} >> {}", path.display());
                queues.push(batch(&party, &script, None));
            }
            queues.finish(LONG).await;
        });
        assert_eq!(std::fs::read_to_string(path).unwrap(), "stop\n");
    }

    #[test]
    fn the_end_of_the_daemon_does_not_wait_for_ever() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (sender, _lines) = mpsc::channel(16);
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&runtime, async {
            let queues = Queues::new(sender);
            queues.push(batch(&Party::Instance("V".to_owned()), "sleep 60", None));
            let begin = Instant::now();
            queues.finish(Duration::from_millis(300)).await;
            assert!(begin.elapsed() < LONG);
            // Told to end, it ends, and its queue with it.
            timeout(LONG, queues.finish(LONG)).await.unwrap();
            assert!(queues.shared.groups.borrow().is_empty());
        });
    }
}
