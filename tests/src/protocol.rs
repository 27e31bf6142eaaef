//! What the test and the agent inside a host say to each other: one JSON
//! object a line, over a unix socket in the lab's directory, one connection a
//! request.

use serde::{Deserialize, Serialize};

use crate::clock::Moment;

/// A question to an agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// Start a program; the connection lives as long as the program, and the
    /// program as long as the connection.
    Spawn(Program),
    /// Send a signal to some processes of the host, with nothing in between:
    /// keepalived's parent and child notice each other's death at once.
    Signal {
        /// Process ids as the host counts.
        pids: Vec<i32>,
        /// Signal number.
        signal: i32,
    },
    /// List the host's processes.
    Processes,
}

/// A program to be started inside a host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Program {
    /// Path and arguments; a bare name is looked up in the host's `PATH`.
    pub argv: Vec<String>,
    /// What is added to the environment.
    pub env: Vec<(String, String)>,
    /// What is written to its standard input, which is then closed.
    pub stdin: Option<String>,
}

/// A process of a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Process id as the host counts.
    pub pid: i32,
    /// Its name as `killall` and `pgrep` see it.
    pub comm: String,
    /// State letter of `/proc/PID/stat`: R, S, D, T, Z.
    pub state: char,
    /// Real user id.
    pub uid: u32,
}

/// Which of the two output streams a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It exited with this code.
    Code(i32),
    /// It was ended by this signal.
    Signal(i32),
}

/// An agent's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    /// The program runs under this process id.
    Started {
        /// Process id as the host counts.
        pid: i32,
    },
    /// The program wrote a line.
    Line {
        /// Where to.
        stream: Stream,
        /// When the agent read it.
        at: Moment,
        /// The line without its end.
        text: String,
    },
    /// The program ended; the last message.
    Ended(Ending),
    /// The host's processes.
    Processes(Vec<ProcessInfo>),
    /// The signals were sent.
    Done,
    /// The request could not be met.
    Failed(String),
}

/// What makes a set of namespaces.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamespaceSpec {
    /// Host name.
    pub name: String,
    /// The host's own directory; the agent's socket is `ctl.sock` in it.
    pub dir: String,
    /// Whether a user namespace is needed to be allowed the rest.
    pub user_namespace: bool,
    /// Whether the host gets its own `/dev`, `/etc`, `/run`, `/tmp` and `/var/lib`
    /// out of its directory. The switch has none of these.
    pub private_files: bool,
    /// Programs that appear in the host under `/run/lab/bin`: (path outside, name inside).
    pub binaries: Vec<(String, String)>,
    /// Whether the end of standard input is the end of the host.
    pub ends_with_stdin: bool,
}
