//! `vrrp_track_process`: enough processes of a kind have to run.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keepalived_conf::{ParamMatch, TrackProcessDef};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use vrrp_core::Standing;
use vrrp_core::settings::TrackerKind;

use super::connector::{self, Event, Heard};
use super::procfs::{self, Detail, Process};
use super::{Report, Tie, Unheard};

/// How often `/proc` is read where the kernel tells nothing.
const POLL: Duration = Duration::from_secs(1);
/// Reading it takes this part of the time at most: one in so many.
const SHARE: u32 = 20;
/// Longest name the kernel keeps.
const NAME_MAX: usize = 15;

/// How much of a process a block looks at.
fn detail(def: &TrackProcessDef) -> Detail {
    let is_path = program(def).contains(&b'/');
    let has_params = def.command.len() > 1;
    if def.full_command || has_params || def.param_match.is_some() || is_path {
        Detail::Command
    } else {
        Detail::Name
    }
}

fn program(def: &TrackProcessDef) -> &[u8] {
    def.command.first().map_or(&[], |word| word.as_bytes())
}

fn matches(def: &TrackProcessDef, process: &Process) -> bool {
    let wanted = program(def);
    if detail(def) == Detail::Name {
        let wanted = wanted.get(..NAME_MAX).unwrap_or(wanted);
        return process.name == wanted;
    }
    let Some((program, arguments)) = process.command.split_first() else {
        return false;
    };
    if program != wanted {
        return false;
    }
    let params = def.command.iter().skip(1);
    let params: Vec<&[u8]> = params.map(|word| word.as_bytes()).collect();
    let Some((last, before)) = params.split_last() else {
        // Without arguments `param_match` says that there must be none.
        return def.param_match.is_none() || arguments.is_empty();
    };
    let begins_with = |wanted: &[&[u8]]| {
        arguments
            .get(..wanted.len())
            .is_some_and(|first| first == wanted)
    };
    match def.param_match {
        None => arguments == params,
        Some(ParamMatch::Partial) => begins_with(&params),
        Some(ParamMatch::Initial) => {
            begins_with(before)
                && arguments
                    .get(before.len())
                    .is_some_and(|argument| argument.starts_with(last))
        }
    }
}

/// The processes that one block counts.
#[derive(Debug)]
struct Census {
    def: TrackProcessDef,
    running: BTreeSet<u32>,
    /// What was told; `None` before the first look.
    told: Option<Standing>,
    /// What will be told, and when, unless it changes back.
    pending: Option<(Instant, Standing)>,
    /// How many there were at the last judgement.
    counted: usize,
}

impl Census {
    const fn new(def: TrackProcessDef) -> Self {
        Self {
            def,
            running: BTreeSet::new(),
            told: None,
            pending: None,
            counted: 0,
        }
    }

    fn standing(&self) -> Standing {
        let count = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        let most = self.def.quorum_max.unwrap_or(u32::MAX);
        if (self.def.quorum..=most).contains(&count) {
            Standing::Up
        } else {
            Standing::Down
        }
    }

    /// Judges anew; gives what is to be told now.
    fn settle(&mut self, now: Instant) -> Option<Standing> {
        let count = self.running.len();
        let grown = count >= self.counted;
        self.counted = count;
        let standing = self.standing();
        if self.told == Some(standing) {
            self.pending = None;
            return None;
        }
        if self.told.is_some() {
            let delay = if grown {
                self.def.fork_delay
            } else {
                self.def.terminate_delay
            };
            let due = match self.pending {
                Some((due, pending)) if pending == standing => due,
                _ => now + delay.to_std(),
            };
            if due > now {
                self.pending = Some((due, standing));
                return None;
            }
        }
        self.pending = None;
        self.told = Some(standing);
        Some(standing)
    }
}

/// Watches until nobody listens any more.
pub(super) fn watch(defs: Vec<TrackProcessDef>, tie: &Tie) -> Result<(), Unheard> {
    let events = match connector::open() {
        Ok(socket) => Some(socket),
        Err(error) => {
            tie.line(format!(
                "Failed to set/clear process event listen - errno {} - {}",
                error.raw_os_error().unwrap_or_default(),
                osys::error_text(&error)
            ))?;
            tie.line("Tracked processes are looked for in /proc every second instead".to_owned())?;
            None
        }
    };
    let mut watch = Watch::new(defs);
    watch.scan();
    watch.tell(tie)?;
    tie.say(Report::Looked)?;
    loop {
        let now = Instant::now();
        let due = watch
            .due(events.is_none())
            .map(|due| due.saturating_duration_since(now));
        match wait(events.as_ref(), tie, due) {
            Woken::End => return Ok(()),
            Woken::Events => {
                if let Some(socket) = &events {
                    watch.read(socket);
                }
            }
            Woken::Time => {}
        }
        if events.is_none() && watch.next_scan <= Instant::now() {
            watch.scan();
        }
        watch.tell(tie)?;
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Woken {
    End,
    Events,
    Time,
}

fn wait(events: Option<&OwnedFd>, tie: &Tie, limit: Option<Duration>) -> Woken {
    let mut fds = vec![PollFd::new(&tie.leash, PollFlags::empty())];
    fds.extend(events.map(|events| PollFd::new(events, PollFlags::IN)));
    let limit = limit.map(|limit| Timespec {
        tv_sec: limit.as_secs().cast_signed(),
        tv_nsec: limit.subsec_nanos().into(),
    });
    // An interruption is a reason to look as good as any.
    let _ = poll(&mut fds, limit.as_ref());
    let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
    match (ready.next(), ready.next()) {
        (Some(true), _) => Woken::End,
        (_, Some(true)) => Woken::Events,
        _ => Woken::Time,
    }
}

#[derive(Debug)]
struct Watch {
    root: PathBuf,
    blocks: Vec<Census>,
    detail: Detail,
    next_scan: Instant,
}

impl Watch {
    fn new(defs: Vec<TrackProcessDef>) -> Self {
        let command = defs.iter().any(|def| detail(def) == Detail::Command);
        Self {
            root: Path::new("/proc").to_owned(),
            blocks: defs.into_iter().map(Census::new).collect(),
            detail: if command {
                Detail::Command
            } else {
                Detail::Name
            },
            next_scan: Instant::now(),
        }
    }

    /// Looks at every process there is.
    fn scan(&mut self) {
        let begin = Instant::now();
        let known: BTreeSet<u32> = self
            .blocks
            .iter()
            .flat_map(|block| block.running.iter().copied())
            .collect();
        let present: BTreeSet<u32> = procfs::all(&self.root).into_iter().collect();
        for gone in known.difference(&present) {
            self.forget(*gone);
        }
        for pid in present {
            self.look(pid);
        }
        let pause = (begin.elapsed() * SHARE).max(POLL);
        self.next_scan = begin + pause;
    }

    fn look(&mut self, pid: u32) {
        let Some(process) = procfs::process(&self.root, pid, self.detail) else {
            return self.forget(pid);
        };
        for block in &mut self.blocks {
            if matches(&block.def, &process) {
                block.running.insert(pid);
            } else {
                block.running.remove(&pid);
            }
        }
    }

    fn forget(&mut self, pid: u32) {
        for block in &mut self.blocks {
            block.running.remove(&pid);
        }
    }

    fn read(&mut self, socket: &OwnedFd) {
        loop {
            match connector::read(socket) {
                Heard::Nothing => return,
                Heard::Lost => self.scan(),
                Heard::Events(events) => {
                    for event in events {
                        self.take(event);
                    }
                }
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            // A copy is what its parent is, and most are of no interest.
            Event::Forked { parent, child } => {
                for block in &mut self.blocks {
                    if block.running.contains(&parent) {
                        block.running.insert(child);
                    }
                }
            }
            Event::Changed(pid) => self.look(pid),
            Event::Gone(pid) => self.forget(pid),
        }
    }

    fn due(&self, polling: bool) -> Option<Instant> {
        let pending = self.blocks.iter().filter_map(|block| block.pending);
        let scan = polling.then_some(self.next_scan);
        pending.map(|(due, _)| due).chain(scan).min()
    }

    fn tell(&mut self, tie: &Tie) -> Result<(), Unheard> {
        let now = Instant::now();
        for block in &mut self.blocks {
            let first = block.told.is_none();
            let Some(standing) = block.settle(now) else {
                continue;
            };
            let name = block.def.name.clone();
            if !first {
                let word = match standing {
                    Standing::Down => "lost",
                    Standing::Up | Standing::Number(_) => "gained",
                };
                tie.line(format!("Quorum {word} for tracked process {name}"))?;
            }
            tie.say(Report::Stands {
                kind: TrackerKind::Process,
                name,
                standing,
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn def(process: &str, params: &[&str]) -> TrackProcessDef {
        let words = std::iter::once(&process).chain(params);
        TrackProcessDef {
            name: "tp".to_owned(),
            command: words.map(OsString::from).collect(),
            param_match: None,
            quorum: 1,
            quorum_max: None,
            fork_delay: vrrp_core::Duration::ZERO,
            terminate_delay: vrrp_core::Duration::ZERO,
            full_command: false,
            weight: 0,
            sense: vrrp_core::settings::Sense::Normal,
        }
    }

    fn process(name: &str, command: &[&str]) -> Process {
        Process {
            name: name.as_bytes().to_vec(),
            command: command
                .iter()
                .map(|word| word.as_bytes().to_vec())
                .collect(),
        }
    }

    #[test]
    fn names_are_compared_whole_and_as_far_as_the_kernel_keeps_them() {
        assert!(matches(&def("ssh", &[]), &process("ssh", &[])));
        assert!(!matches(&def("ssh", &[]), &process("sshd", &[])));
        let long = def("a-very-long-program-name", &[]);
        assert!(matches(&long, &process("a-very-long-pro", &[])));
    }

    #[test]
    fn arguments_match_exactly_in_part_or_from_their_beginning() {
        let run = |arguments: &[&str]| {
            let mut command = vec!["/bin/p"];
            command.extend(arguments);
            process("p", &command)
        };
        let exact = def("/bin/p", &["-f", "conf"]);
        assert!(matches(&exact, &run(&["-f", "conf"])));
        assert!(!matches(&exact, &run(&["-f", "conf", "-x"])));
        assert!(!matches(&exact, &run(&["-f"])));
        let mut partial = exact.clone();
        partial.param_match = Some(ParamMatch::Partial);
        assert!(matches(&partial, &run(&["-f", "conf", "-x"])));
        assert!(!matches(&partial, &run(&["-f", "config"])));
        let mut initial = exact;
        initial.param_match = Some(ParamMatch::Initial);
        assert!(matches(&initial, &run(&["-f", "config"])));
        assert!(!matches(&initial, &run(&["-fx", "conf"])));

        let mut bare = def("/bin/p", &[]);
        assert!(matches(&bare, &run(&["-x"])));
        bare.param_match = Some(ParamMatch::Partial);
        assert!(matches(&bare, &run(&[])));
        assert!(!matches(&bare, &run(&["-x"])));
        let mut full = def("p", &[]);
        full.full_command = true;
        assert!(!matches(&full, &run(&[])), "the name is not looked at");
        assert!(!matches(&full, &process("p", &[])), "a kernel thread");
    }

    fn census(change: impl FnOnce(&mut TrackProcessDef)) -> Census {
        let mut def = def("p", &[]);
        change(&mut def);
        Census::new(def)
    }

    #[test]
    fn the_first_look_is_told_at_once_and_then_only_changes() {
        let now = Instant::now();
        let mut census = census(|def| def.fork_delay = vrrp_core::Duration::from_secs(9));
        census.running.insert(1);
        assert_eq!(census.settle(now), Some(Standing::Up));
        census.running.insert(2);
        assert_eq!(census.settle(now), None);
        census.running.clear();
        assert_eq!(census.settle(now), Some(Standing::Down));
    }

    #[test]
    fn delays_bridge_a_restart() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut census = census(|def| def.terminate_delay = vrrp_core::Duration::from_secs(2));
        census.running.insert(1);
        census.settle(now);
        census.running.remove(&1);
        assert_eq!(census.settle(now), None);
        assert_eq!(census.settle(now + second), None);
        census.running.insert(2);
        assert_eq!(census.settle(now + second), None);
        census.running.remove(&2);
        assert_eq!(
            census.settle(now + second * 2),
            None,
            "the delay is a new one"
        );
        assert_eq!(census.settle(now + second * 4), Some(Standing::Down));
    }

    #[test]
    fn too_many_are_as_bad_as_too_few() {
        let now = Instant::now();
        let mut census = census(|def| {
            def.quorum_max = Some(1);
            def.fork_delay = vrrp_core::Duration::from_secs(1);
        });
        census.running.insert(1);
        assert_eq!(census.settle(now), Some(Standing::Up));
        census.running.insert(2);
        assert_eq!(census.settle(now), None);
        let later = now + Duration::from_secs(1);
        assert_eq!(census.settle(later), Some(Standing::Down));
        census.running.remove(&2);
        assert_eq!(census.settle(later), Some(Standing::Up));
    }

    #[test]
    fn events_keep_the_count() {
        let mut watch = Watch::new(vec![def("p", &[])]);
        watch.root = tempfile::tempdir().unwrap().path().to_owned();
        watch.blocks[0].running.insert(7);
        watch.take(Event::Forked {
            parent: 7,
            child: 8,
        });
        watch.take(Event::Forked {
            parent: 6,
            child: 9,
        });
        assert_eq!(watch.blocks[0].running, BTreeSet::from([7, 8]));
        watch.take(Event::Gone(7));
        // It became something that is gone before it could be looked at.
        watch.take(Event::Changed(8));
        assert!(watch.blocks[0].running.is_empty());
    }
}
