//! What is said about a configuration, in keepalived's words and order.

use cfgtext::{Diagnostic, Sources};

use crate::model::Config;

/// Which of keepalived's processes says it. Each of them reads the configuration by itself,
/// which is why some messages come several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// The first reader (`Keepalived`).
    Parent,
    /// The health checkers of LVS (`Keepalived_healthcheckers`).
    Checker,
    /// The virtual routers (`Keepalived_vrrp`).
    Vrrp,
    /// `Keepalived_bfd`.
    Bfd,
}

/// Where a message is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Printed by a config test, logged by a daemon.
    Test,
    /// Only logged by a daemon.
    Log,
    /// A word of our own, about something that keepalived does and this program does not. A
    /// config test prints it apart from keepalived's lines, a daemon logs it as a warning.
    Own,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub process: Process,
    /// Who sees it.
    pub audience: Audience,
    /// What is said, with keepalived's own prefix.
    pub text: String,
}

/// Everything that reading a configuration gives.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration; `None` if there is nothing that could be run at all.
    pub config: Option<Config>,
    /// What keepalived would say, in its order.
    pub messages: Vec<Message>,
    /// The same findings and those of our own, once each, with their places.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that were read, for the places.
    pub sources: Sources,
    /// What `keepalived -t` exits with: 0 fine, 2 given up, 4 cannot run, 5 faults but can run,
    /// 6 insecure scripts.
    pub test_exit: u8,
    /// What a daemon that starts with it has to do.
    pub start: Start,
}

/// What a daemon does with the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// Run it.
    Run,
    /// End with this exit code: 2 for a configuration that keepalived gives up on, 6 if there
    /// is no file.
    Refuse(u8),
}

impl Loaded {
    /// The lines that a config test prints on its standard error.
    pub fn test_lines(&self) -> impl Iterator<Item = &str> {
        self.messages
            .iter()
            .filter(|message| message.audience == Audience::Test)
            .map(|message| message.text.as_str())
    }

    /// The lines that keepalived would not print: what has no effect here.
    pub fn own_lines(&self) -> impl Iterator<Item = &str> {
        self.messages
            .iter()
            .filter(|message| message.audience == Audience::Own)
            .map(|message| message.text.as_str())
    }

    /// The lines of one process for the log of a daemon.
    pub fn log_lines(&self, process: Process) -> impl Iterator<Item = &str> {
        self.messages
            .iter()
            .filter(move |message| message.process == process)
            .map(|message| message.text.as_str())
    }
}
