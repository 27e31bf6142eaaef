//! Messages to the operator on standard error, in the original's form.

use std::io::Write as _;

use haproxy_cfg::report::VERSION;
use haproxy_cfg::{Level, Message};

/// Prints messages and remembers whether the introduction was printed.
///
/// The first warning or alert of a process is preceded by two notices, the
/// version and the path of the program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Messages {
    quiet: bool,
    introduced: bool,
}

impl Messages {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// From now on nothing is printed (`-q`, `quiet`).
    pub(crate) fn set_quiet(&mut self, quiet: bool) {
        self.quiet = quiet;
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) fn notice(&mut self, text: &str) {
        self.print(Level::Notice, text.as_bytes());
    }

    pub(crate) fn warning(&mut self, text: &str) {
        self.print(Level::Warning, text.as_bytes());
    }

    pub(crate) fn alert(&mut self, text: &str) {
        self.print(Level::Alert, text.as_bytes());
    }

    /// Prints what reading the configuration gave.
    pub(crate) fn all(&mut self, messages: &[Message]) {
        for message in messages {
            self.print(message.level, &message.bytes());
        }
    }

    fn print(&mut self, level: Level, text: &[u8]) {
        if self.quiet {
            return;
        }
        let mut out = Vec::new();
        if level >= Level::Warning && !self.introduced {
            self.introduced = true;
            line(
                &mut out,
                Level::Notice,
                format!("haproxy version is {VERSION}").as_bytes(),
            );
            if let Some(path) = executable() {
                let text = format!("path to executable is {path}");
                line(&mut out, Level::Notice, text.as_bytes());
            }
        }
        line(&mut out, level, text);
        put(&[], &out);
    }
}

fn line(out: &mut Vec<u8>, level: Level, text: &[u8]) {
    let bracketed = format!("[{}]", level.word());
    let prefix = format!("{bracketed:<10} ({}) : ", std::process::id());
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// The path the program was started by, symbolic links not followed.
pub(crate) fn executable() -> Option<String> {
    let path = osys::exec::started_as()?;
    Some(path.to_string_lossy().into_owned())
}

/// Writes to both standard streams. A reader that went away is no reason to
/// stop: the exit code still tells.
pub(crate) fn put(stdout: &[u8], stderr: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(stdout);
    let _ = out.flush();
    let _ = std::io::stderr().lock().write_all(stderr);
}
