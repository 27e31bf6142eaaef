//! Running the daemon in a directory of its own, without root and without
//! fixed ports.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing here takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls `probe` until it gives something.
pub(crate) fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "timed out: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A directory with a configuration, and a server that answers with a line.
pub(crate) struct Scene {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) server: SocketAddr,
}

/// What the server behind the load balancer says.
pub(crate) const GREETING: &[u8] = b"hello\n";

impl Scene {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        // It lives as long as the test's process; each connection is answered
        // and kept until the client leaves.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || greet(stream));
            }
        });
        Self {
            dir: tempfile::tempdir().unwrap(),
            server,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes `t.cfg`: global lines, then a `listen` with these lines.
    pub(crate) fn configure(&self, global: &str, listen: &str) -> PathBuf {
        let text = format!(
            "global\n{global}\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
             listen l1\n{listen}\n server s {}\n",
            self.server
        );
        let path = self.path("t.cfg");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A link called `haproxy` to the daemon.
    pub(crate) fn link(&self) -> PathBuf {
        let link = self.path("haproxy");
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_proxyd"), &link).unwrap();
        }
        link
    }

    /// The daemon with these arguments, in this directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.link());
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null());
        command
    }

    /// Runs the daemon to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }

    /// Starts the daemon; its messages go to the file `stderr`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Daemon {
        self.spawn(self.command(arguments))
    }

    /// Starts the daemon by a command of the test's own.
    pub(crate) fn spawn(&self, mut command: Command) -> Daemon {
        let messages = std::fs::File::create(self.path("stderr")).unwrap();
        let child = command.stderr(messages).spawn().unwrap();
        Daemon {
            child,
            messages: self.path("stderr"),
        }
    }

    /// Fetches the greeting through a UNIX listener of this name.
    pub(crate) fn fetch(&self, name: &str) -> Option<Vec<u8>> {
        let stream = UnixStream::connect(self.path(name)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        read_greeting(stream)
    }

    /// Waits until the UNIX listener of this name serves.
    pub(crate) fn wait_until_serving(&self, name: &str) {
        wait_for("serving", || {
            (self.fetch(name).as_deref() == Some(GREETING)).then_some(())
        });
    }

    /// The process id in a pid file.
    pub(crate) fn pid(&self, name: &str) -> Pid {
        let path = self.path(name);
        wait_for("pid file", || {
            let text = std::fs::read_to_string(&path).ok()?;
            text.strip_suffix('\n')?.parse().ok().map(Pid::from_raw)
        })
    }
}

fn greet(mut stream: TcpStream) {
    let _ = stream.write_all(GREETING);
    let _ = stream.read(&mut [0; 64]);
}

pub(crate) fn read_greeting(mut stream: impl std::io::Read) -> Option<Vec<u8>> {
    let mut buffer = vec![0; GREETING.len()];
    stream.read_exact(&mut buffer).ok()?;
    Some(buffer)
}

/// A running daemon; it is killed when this goes.
pub(crate) struct Daemon {
    child: Child,
    messages: PathBuf,
}

impl Daemon {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// What it has said so far.
    pub(crate) fn messages(&self) -> String {
        std::fs::read_to_string(&self.messages).unwrap()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("end of the daemon", || self.child.try_wait().unwrap())
    }

    /// The worker processes of a master, oldest first.
    pub(crate) fn workers(&self) -> Vec<Pid> {
        children(self.pid())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let workers = self.workers();
        let _ = self.child.kill();
        let _ = self.child.wait();
        for worker in workers {
            let _ = kill(worker, Signal::SIGKILL);
        }
    }
}

/// A process that is no child of ours; it is killed when this goes.
pub(crate) struct Stray(pub(crate) Pid);

impl Stray {
    pub(crate) fn is_gone(&self) -> bool {
        // Where nobody waits for orphans they stay behind as zombies.
        status(self.0, "State").is_none_or(|state| state.starts_with('Z'))
    }
}

impl Drop for Stray {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .split_whitespace()
        .map(|pid| Pid::from_raw(pid.parse().unwrap()))
        .collect()
}

/// A line of `/proc/PID/status`.
pub(crate) fn status(pid: Pid, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
        .map(str::to_owned)
}

/// The names of all threads.
pub(crate) fn thread_names(pid: Pid) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .collect()
}

/// A listening TCP socket that a daemon started from here inherits.
pub(crate) fn listener_to_inherit() -> (OwnedFd, i32, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let fd = OwnedFd::from(listener);
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::empty()).unwrap();
    let number = fd.as_raw_fd();
    (fd, number, address)
}

/// Removes what differs from run to run: process ids and the directory.
pub(crate) fn normalised(text: &str, dir: &Path) -> String {
    let text = text.replace(&format!("{}/", dir.display()), "");
    let mut out = String::new();
    for line in text.lines() {
        let line = match (line.find(" ("), line.find(") : ")) {
            (Some(open), Some(close)) if line.starts_with('[') && open < close => {
                format!("{} (PID{}", &line[..open], &line[close..])
            }
            _ => line.to_owned(),
        };
        out.push_str(&line);
        out.push('\n');
    }
    out
}
