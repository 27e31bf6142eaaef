//! A program running inside a host, as the test sees it.

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::clock::Moment;
use crate::protocol::{Ending, Program, Reply, Request, Stream};
use crate::wait;

/// A line a program wrote.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where to.
    pub stream: Stream,
    /// When it was read from the program.
    pub at: Moment,
    /// Without its end.
    pub text: String,
}

#[derive(Debug, Default)]
struct Progress {
    pid: Option<i32>,
    lines: Vec<Line>,
    ending: Option<Ending>,
    failure: Option<String>,
}

/// A program that was started; dropped, it is killed with its process group.
#[derive(Debug)]
pub struct Task {
    what: String,
    agent: PathBuf,
    connection: UnixStream,
    progress: Arc<Mutex<Progress>>,
}

/// What a program that ran to its end left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub ending: Ending,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The output of a program that exited with 0; an error that shows it otherwise.
    pub fn success(self) -> Result<Self> {
        if self.ending != Ending::Code(0) {
            bail!("{:?}: {}{}", self.ending, self.stderr, self.stdout);
        }
        Ok(self)
    }
}

impl Task {
    pub(crate) fn start(agent: &Path, program: &Program) -> Result<Self> {
        let what = program.argv.join(" ");
        let connection = request(agent, &Request::Spawn(program.clone()))?;
        let reader = BufReader::new(connection.try_clone()?);
        let progress = Arc::new(Mutex::new(Progress::default()));
        let shared = Arc::clone(&progress);
        std::thread::spawn(move || follow(reader, &shared));
        let task = Self {
            what,
            agent: agent.into(),
            connection,
            progress,
        };
        wait::until(
            &format!("the start of {}", task.what),
            Duration::from_secs(20),
            || {
                let progress = task.lock();
                (progress.pid.is_some() || progress.failure.is_some()).then_some(())
            },
        )?;
        if let Some(failure) = task.lock().failure.clone() {
            bail!("cannot start {}: {failure}", task.what);
        }
        Ok(task)
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Process id as the host counts.
    pub fn pid(&self) -> i32 {
        self.lock().pid.unwrap_or(0)
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lock().lines.clone()
    }

    /// Reads the lines from the one numbered `from` on.
    pub fn lines_from(&self, from: usize) -> Vec<Line> {
        self.lock()
            .lines
            .get(from..)
            .map(<[Line]>::to_vec)
            .unwrap_or_default()
    }

    /// What was written to one stream so far.
    pub fn text(&self, stream: Stream) -> String {
        self.lock()
            .lines
            .iter()
            .filter(|l| l.stream == stream)
            .map(|l| format!("{}\n", l.text))
            .collect()
    }

    /// How it ended; `None` while it runs.
    pub fn ending(&self) -> Option<Ending> {
        self.lock().ending
    }

    /// Waits for a line that contains `text`.
    pub fn wait_line(&self, text: &str, limit: Duration) -> Result<Line> {
        wait::until_ok(&format!("{:?} from {}", text, self.what), limit, || {
            let progress = self.lock();
            if let Some(line) = progress.lines.iter().find(|line| line.text.contains(text)) {
                return Ok(Some(line.clone()));
            }
            match progress.ending {
                Some(ending) => bail!("{} ended with {ending:?}: {:?}", self.what, progress.lines),
                None => Ok(None),
            }
        })
    }

    /// Waits for the end.
    pub fn wait(&self, limit: Duration) -> Result<Output> {
        let ending = wait::until_ok(&format!("the end of {}", self.what), limit, || {
            let progress = self.lock();
            match (&progress.failure, progress.ending) {
                (Some(failure), _) => bail!("{failure}"),
                (None, ending) => Ok(ending),
            }
        })
        .with_context(|| format!("it wrote: {:?}", self.lines()))?;
        Ok(Output {
            ending,
            stdout: self.text(Stream::Out),
            stderr: self.text(Stream::Err),
        })
    }

    /// Sends a signal to the program itself.
    pub fn signal(&self, signal: i32) -> Result<()> {
        send_signal(&self.agent, vec![self.pid()], signal)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let _gone_already = self.connection.shutdown(Shutdown::Both);
    }
}

fn follow(reader: BufReader<UnixStream>, progress: &Mutex<Progress>) {
    let mut over = false;
    for line in reader.lines() {
        let Ok(line) = line else { break };
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        match serde_json::from_str(&line) {
            Ok(Reply::Started { pid }) => progress.pid = Some(pid),
            Ok(Reply::Line { stream, at, text }) => progress.lines.push(Line { stream, at, text }),
            Ok(Reply::Ended(ending)) => {
                progress.ending = Some(ending);
                over = true;
            }
            Ok(Reply::Failed(failure)) => {
                progress.failure = Some(failure);
                over = true;
            }
            Ok(Reply::Processes(_) | Reply::Done) => {}
            Err(error) => progress.failure = Some(format!("unreadable answer {line}: {error}")),
        }
    }
    if !over {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress
            .failure
            .get_or_insert_with(|| "the host went away".to_owned());
    }
}

pub(crate) fn request(agent: &Path, request: &Request) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(agent)
        .with_context(|| format!("cannot reach the agent at {}", agent.display()))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    Ok(stream)
}

pub(crate) fn ask(agent: &Path, question: &Request) -> Result<Reply> {
    let stream = request(agent, question)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    match serde_json::from_str(&line).with_context(|| format!("unreadable answer {line:?}"))? {
        Reply::Failed(failure) => bail!("{failure}"),
        reply => Ok(reply),
    }
}

pub(crate) fn send_signal(agent: &Path, pids: Vec<i32>, signal: i32) -> Result<()> {
    ask(agent, &Request::Signal { pids, signal }).map(drop)
}
