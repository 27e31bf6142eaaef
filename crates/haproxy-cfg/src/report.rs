//! Messages in the original's form.
//!
//! On stderr a message is `[LEVEL]` padded to eleven columns, the process id in parentheses, and
//! the text; the first warning or alert of a process is preceded by two notices that name the version and
//! the executable (management guide, section 13).

use std::fmt::Write as _;

use cfgtext::Span;

use crate::text;

/// The version that is shown where tools expect haproxy's: the release whose behaviour is
/// followed, then our own.
pub const VERSION: &str = concat!("2.6.12-proxyd", env!("CARGO_PKG_VERSION"));

/// The release date that `-v` and `show info` give.
pub const RELEASE_DATE: &str = "2026/11/22";

/// The address that `-v` gives: the manual of the release whose behaviour is followed.
pub const PROJECT_URL: &str = "https://docs.haproxy.org/2.6/";

/// How bad a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only shown with `-dD`.
    Diag,
    /// For information.
    Notice,
    /// Odd, but the config can be used (unless `-dW` or `zero-warning`).
    Warning,
    /// Usually fatal.
    Alert,
}

impl Level {
    /// The word in the brackets.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Diag => "DIAG",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
            Self::Alert => "ALERT",
        }
    }
}

/// One message of reading a configuration, without prefix and final newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How bad it is.
    pub level: Level,
    /// The text as the original words it, `config : ` included where it has that. Bytes that
    /// are not UTF-8 are kept; use [`Message::bytes`] to print it.
    pub text: String,
    /// The line that it is about, if one is known.
    pub span: Option<Span>,
}

impl Message {
    /// The text as bytes, exactly as the config had them.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        text::decode(&self.text)
    }
}

/// Puts the prefix before messages and remembers whether the two notices have been printed.
#[derive(Debug, Clone)]
pub struct Console {
    pid: u32,
    executable: Option<String>,
    introduced: bool,
}

impl Console {
    /// A console for the process `pid` that was started from `executable` (a path; `None` if it
    /// is not known).
    #[must_use]
    pub const fn new(pid: u32, executable: Option<String>) -> Self {
        Self {
            pid,
            executable,
            introduced: false,
        }
    }

    /// The message as it goes to stderr, final newline included.
    #[must_use]
    pub fn render(&mut self, level: Level, message: &str) -> Vec<u8> {
        let mut out = String::new();
        if level >= Level::Warning && !self.introduced {
            self.introduced = true;
            self.line(
                &mut out,
                Level::Notice,
                &format!("haproxy version is {VERSION}"),
            );
            if let Some(executable) = self.executable.clone() {
                let text = format!("path to executable is {executable}");
                self.line(&mut out, Level::Notice, &text);
            }
        }
        self.line(&mut out, level, message);
        text::decode(&out)
    }

    fn line(&self, out: &mut String, level: Level, message: &str) {
        let bracketed = format!("[{}]", level.word());
        // Writing to a String cannot fail.
        let _ = write!(out, "{bracketed:<10} ({}) : ", self.pid);
        // Where the original prints the end of a word as a character, its message ends there,
        // line end included.
        match message.split_once('\0') {
            Some((printed, _)) => out.push_str(printed),
            None => {
                out.push_str(message);
                out.push('\n');
            }
        }
    }
}

/// What a command prints and returns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// For standard output.
    pub stdout: Vec<u8>,
    /// For standard error.
    pub stderr: Vec<u8>,
    /// The exit code.
    pub code: u8,
}
