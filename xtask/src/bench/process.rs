//! The processes of a bench: starting and stopping them, their CPU time and memory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a proxy may take to listen.
const START: Duration = Duration::from_secs(10);

/// On which cores a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pin {
    Core(usize),
    Free,
}

/// Starts a process on its cores. It inherits them: there is no moment on another.
pub(crate) fn start(command: &mut Command, pin: Pin) -> Result<Child> {
    let me = Pid::from_raw(0);
    let all = sched_getaffinity(me)?;
    if let Pin::Core(core) = pin {
        let mut one = CpuSet::new();
        one.set(core)?;
        sched_setaffinity(me, &one).with_context(|| format!("cannot pin to core {core}"))?;
    }
    let child = command.spawn();
    sched_setaffinity(me, &all)?;
    child.with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))
}

/// A running proxy.
pub(crate) struct Proxy {
    child: Child,
    log: String,
}

impl Proxy {
    /// Starts it and waits until it listens.
    pub(crate) fn start(words: &[String], port: u16, pin: Pin, dir: &str) -> Result<Self> {
        let (program, arguments) = words.split_first().context("no command")?;
        let log = format!("{dir}/{port}.out");
        let out = File::create(&log).with_context(|| format!("cannot write {log}"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        let mut proxy = Self {
            child: start(&mut command, pin)?,
            log,
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if !proxy.alive() || Instant::now() > deadline {
                bail!("`{}` does not listen: {}", words.join(" "), proxy.said());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(proxy)
    }

    pub(crate) fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether the system has granted it an io_uring.
    pub(crate) fn has_ring(&self) -> bool {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        files.into_iter().flatten().flatten().any(|file| {
            fs::read_link(file.path()).is_ok_and(|target| target.ends_with("anon_inode:[io_uring]"))
        })
    }

    /// The end of what it said on its terminal.
    pub(crate) fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of(&family(self.child.id()))
    }

    /// Proportional set size of all its processes, bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let mut sum = 0;
        for pid in family(self.child.id()) {
            let path = format!("/proc/{pid}/smaps_rollup");
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            sum += pss(&text).with_context(|| format!("no Pss in {path}"))?;
        }
        Ok(sum)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for pid in family(self.child.id()) {
            if let Ok(pid) = i32::try_from(pid) {
                let _gone_already = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let _reaped = self.child.wait();
    }
}

fn pss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find(|line| line.starts_with("Pss:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// A process and all that descend from it.
fn family(root: u32) -> Vec<u32> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if let Some(parent) = fs::read_to_string(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|stat| parent(&stat))
        {
            parents.insert(pid, parent);
        }
    }
    descendants(root, &parents)
}

fn parent(stat: &str) -> Option<u32> {
    // The name is in brackets and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn descendants(root: u32, parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(parents.iter().filter(|(_, p)| **p == pid).map(|(c, _)| *c));
        next += 1;
    }
    found
}

/// CPU time of every thread of a proxy, nanoseconds; softirq work done in its context
/// is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage(BTreeMap<(u32, u32), u64>);

impl Usage {
    fn of(pids: &[u32]) -> Self {
        let mut times = BTreeMap::new();
        for &pid in pids {
            let tasks = fs::read_dir(format!("/proc/{pid}/task"));
            for entry in tasks.into_iter().flatten().flatten() {
                let Some(tid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
                    continue;
                };
                let time = fs::read_to_string(entry.path().join("schedstat"))
                    .ok()
                    .and_then(|text| text.split_whitespace().next()?.parse().ok());
                if let Some(time) = time {
                    times.insert((pid, tid), time);
                }
            }
        }
        Self(times)
    }

    /// Nanoseconds spent since `before`.
    ///
    /// # Errors
    /// If a thread has ended meanwhile: it has taken its time along.
    pub(crate) fn since(&self, before: &Self) -> Result<u64> {
        let lost = before.0.keys().find(|task| !self.0.contains_key(task));
        ensure!(lost.is_none(), "a thread of the proxy ended during the run");
        Ok(self
            .0
            .iter()
            .map(|(task, time)| time.saturating_sub(before.0.get(task).copied().unwrap_or(0)))
            .sum())
    }
}

/// A program of ours that answers by lines.
pub(crate) struct Talker {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Talker {
    pub(crate) fn start(command: &mut Command, pin: Pin) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = start(command, pin)?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("no output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    /// The next line it prints.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let length = self.output.read_line(&mut line)?;
        ensure!(length > 0, "a program of the bench ended early");
        Ok(line)
    }

    /// Asks for a line.
    pub(crate) fn ask(&mut self) -> Result<String> {
        if let Some(input) = &mut self.input {
            input.write_all(b"\n")?;
        }
        self.line()
    }

    /// Ends its input and takes its last line.
    pub(crate) fn finish(mut self) -> Result<String> {
        self.input = None;
        let line = self.line()?;
        self.child.wait()?;
        Ok(line)
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_all_generations_and_nobody_else() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (6, 2)]);
        assert_eq!(descendants(2, &parents), [2, 3, 6, 4]);
        assert_eq!(parent("7 (a ) b) S 3 7 7"), Some(3));
    }

    #[test]
    fn time_is_counted_over_all_threads_and_a_lost_one_is_noticed() {
        let before = Usage(BTreeMap::from([((1, 1), 10), ((1, 2), 5)]));
        let after = Usage(BTreeMap::from([((1, 1), 13), ((1, 2), 5), ((1, 3), 4)]));
        assert_eq!(after.since(&before).unwrap(), 7);
        assert!(before.since(&after).is_err());
    }

    #[test]
    fn memory_and_time_of_this_process_can_be_read() {
        let me = std::process::id();
        assert!(!Usage::of(&[me]).0.is_empty());
        let text = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
        assert!(pss(&text).unwrap() > 0);
        assert_eq!(pss("Pss:  12 kB\nPss_Anon: 3 kB"), Some(12288));
    }
}
