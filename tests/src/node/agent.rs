//! The first process of a host: starts programs for the test, reports what they
//! write and how they end, and reaps whatever daemons leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::namespace::furnish;
use crate::clock::Moment;
use crate::protocol::{Ending, NamespaceSpec, ProcessInfo, Program, Reply, Request, Stream};

/// What programs find on their search path: first what the lab put there.
const PATH: &str = "/run/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long the output of an ended program is waited for: a daemon that it
/// left behind may hold the pipe open for good.
const DRAIN: Duration = Duration::from_millis(300);

/// The programs started for somebody: `None` while they run.
#[derive(Default)]
struct Children {
    endings: Mutex<BTreeMap<i32, Option<Ending>>>,
    changed: Condvar,
}

impl Children {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Option<Ending>>> {
        self.endings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves requests until the host ends.
pub(super) fn serve(spec: &NamespaceSpec) -> Result<ExitCode> {
    let socket = Path::new(&spec.dir).join("ctl.sock");
    let waiting = Path::new(&spec.dir).join("ctl.new");
    let listener = UnixListener::bind(&waiting)
        .with_context(|| format!("cannot listen on {}", waiting.display()))?;
    let ready = || fs::rename(&waiting, &socket).context("cannot show the agent's socket");
    if spec.private_files {
        // Afterwards the path may be covered; the host is entered by that socket,
        // but nobody is answered before it is furnished.
        ready()?;
        furnish(spec)?;
    } else {
        furnish(spec)?;
        ready()?;
    }
    if spec.ends_with_stdin {
        std::thread::spawn(|| {
            let mut rest = [0; 64];
            while matches!(std::io::stdin().read(&mut rest), Ok(1..)) {}
            std::process::exit(0);
        });
    }
    let children = Arc::new(Children::default());
    let reaper = Arc::clone(&children);
    std::thread::spawn(move || reap(&reaper));
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let children = Arc::clone(&children);
        std::thread::spawn(move || {
            let _peer_gone = answer(stream, &children);
        });
    }
    Ok(ExitCode::SUCCESS)
}

/// Collects every child, ours and orphans alike. It looks first and collects
/// under the lock, so that nobody signals a process id that was given anew.
fn reap(children: &Children) {
    loop {
        match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            Ok(status) => {
                let mut endings = children.lock();
                let Some(pid) = status.pid() else { continue };
                let ending = match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
                    Ok(WaitStatus::Exited(_, code)) => Ending::Code(code),
                    Ok(WaitStatus::Signaled(_, signal, _)) => Ending::Signal(signal as i32),
                    _ => continue,
                };
                if let Some(slot) = endings.get_mut(&pid.as_raw()) {
                    *slot = Some(ending);
                    children.changed.notify_all();
                }
            }
            Err(Errno::ECHILD) => {
                let endings = children.lock();
                let _woken = children
                    .changed
                    .wait_timeout(endings, Duration::from_millis(100));
            }
            Err(_) => {}
        }
    }
}

fn answer(stream: UnixStream, children: &Arc<Children>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let stream = Arc::new(Mutex::new(stream));
    let reply = match serde_json::from_str(&line)? {
        Request::Spawn(program) => match run(&program, reader, &stream, children) {
            Ok(ending) => Reply::Ended(ending),
            Err(error) => Reply::Failed(format!("{}: {error:#}", program.argv.join(" "))),
        },
        Request::Signal { pids, signal } => match send(&pids, signal) {
            Ok(()) => Reply::Done,
            Err(error) => Reply::Failed(format!("kill({pids:?}, {signal}): {error}")),
        },
        Request::Processes => Reply::Processes(processes()),
    };
    tell(&stream, &reply)
}

/// One may be gone because another is: only a lone one's fate matters.
fn send(pids: &[i32], signal: i32) -> nix::Result<()> {
    let signal = Signal::try_from(signal)?;
    let sent = pids.iter().map(|pid| kill(Pid::from_raw(*pid), signal));
    let outcomes: Vec<nix::Result<()>> = sent.collect();
    match outcomes.as_slice() {
        [only] => *only,
        _ => Ok(()),
    }
}

fn tell(stream: &Mutex<UnixStream>, reply: &Reply) -> Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .write_all(&line)?;
    Ok(())
}

fn run(
    program: &Program,
    mut peer: BufReader<UnixStream>,
    stream: &Arc<Mutex<UnixStream>>,
    children: &Arc<Children>,
) -> Result<Ending> {
    let (name, arguments) = program.argv.split_first().context("no program named")?;
    let mut command =
        Command::new(find(name).with_context(|| format!("no program {name} on {PATH}"))?);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/tmp")
        .env("LC_ALL", "C.UTF-8")
        .envs(program.env.iter().map(|(k, v)| (k, v)))
        .stdin(if program.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = {
        let mut endings = children.lock();
        let child = command.spawn()?;
        endings.insert(i32::try_from(child.id())?, None);
        child
    };
    let pid = i32::try_from(child.id())?;
    tell(stream, &Reply::Started { pid })?;
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), program.stdin.clone()) {
        std::thread::spawn(move || {
            let _reader_gone = pipe.write_all(text.as_bytes());
        });
    }
    let outputs = [
        child
            .stdout
            .take()
            .map(|pipe| forward(pipe, Stream::Out, stream)),
        child
            .stderr
            .take()
            .map(|pipe| forward(pipe, Stream::Err, stream)),
    ];
    let hangup = Arc::clone(children);
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _gone = peer.read_to_end(&mut rest);
        let endings = hangup.lock();
        if endings.get(&pid) == Some(&None) {
            let _gone = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    });
    let mut endings = children.lock();
    let ending = loop {
        if let Some(Some(ending)) = endings.get(&pid).copied() {
            endings.remove(&pid);
            break ending;
        }
        endings = children
            .changed
            .wait(endings)
            .unwrap_or_else(PoisonError::into_inner);
    };
    drop(endings);
    let deadline = std::time::Instant::now() + DRAIN;
    for output in outputs.into_iter().flatten() {
        while !output.is_finished() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(ending)
}

fn forward(
    pipe: impl Read + Send + 'static,
    stream: Stream,
    to: &Arc<Mutex<UnixStream>>,
) -> std::thread::JoinHandle<()> {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            let at = Moment::now();
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            // A deaf peer must not stop the program: keep reading.
            let _peer_gone = tell(&to, &Reply::Line { stream, at, text });
            line.clear();
        }
    })
}

fn find(name: &str) -> Option<std::path::PathBuf> {
    if name.contains('/') {
        return Path::new(name).exists().then(|| name.into());
    }
    PATH.split(':')
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists())
}

fn processes() -> Vec<ProcessInfo> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| process(&entry.ok()?.path()))
        .collect()
}

fn process(dir: &Path) -> Option<ProcessInfo> {
    let pid = dir.file_name()?.to_str()?.parse().ok()?;
    let status = fs::read_to_string(dir.join("status")).ok()?;
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    Some(ProcessInfo {
        pid,
        comm: field("Name:")?.to_owned(),
        state: field("State:")?.chars().next()?,
        uid: field("Uid:")?.split_whitespace().next()?.parse().ok()?,
    })
}
