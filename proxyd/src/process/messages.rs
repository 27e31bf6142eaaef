//! Messages to the operator on standard error, in the original's form.

use std::ffi::OsStr;
use std::io::Write as _;

use haproxy_cfg::report::VERSION;
use haproxy_cfg::{Level, Message};

/// Prints messages and remembers whether the introduction was printed.
///
/// The first warning or alert of a process is preceded by two notices, the
/// version and the path of the program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Messages {
    /// The name the program was called by, path included.
    program: String,
    quiet: bool,
    introduced: bool,
}

impl Messages {
    pub(crate) fn new(program: &OsStr) -> Self {
        Self {
            program: program.to_string_lossy().into_owned(),
            ..Self::default()
        }
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

    /// A warning about the start of the process itself.
    pub(crate) fn main_warning(&mut self, text: &str) {
        let text = self.in_main(text);
        self.warning(&text);
    }

    /// An alert about the start of the process itself.
    pub(crate) fn main_alert(&mut self, text: &str) {
        let text = self.in_main(text);
        self.alert(&text);
    }

    /// The original tells where such messages come from by the name it was
    /// called by.
    fn in_main(&self, text: &str) -> String {
        format!("[{}.main()] {text}", self.program)
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

/// Writes to both standard streams, the verdict on standard output after the
/// messages that led to it. A reader that went away is no reason to stop: the
/// exit code still tells.
pub(crate) fn put(stdout: &[u8], stderr: &[u8]) {
    let _ = std::io::stderr().lock().write_all(stderr);
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(stdout);
    let _ = out.flush();
}
