//! What the master hands to its next image across `execve(2)`.
//!
//! A reload starts the program anew in the same process: the new image reads
//! the configuration with the code that is installed now, while workers go on
//! and listening sockets stay open.

use std::ffi::{CString, OsStr, OsString};
use std::fmt::Write as _;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt as _;

use nix::unistd::Pid;
use rustix::io::FdFlags;

use super::sockets::Key;

/// The environment variable that carries the state.
const VARIABLE: &str = "PROXYD_MASTER_STATE";

/// A worker process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) pid: Pid,
    /// Whether it was asked to finish because a newer one serves.
    pub(crate) leaving: bool,
}

/// All that a master knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) workers: Vec<Worker>,
    pub(crate) sockets: Vec<(RawFd, Key)>,
    /// `master-worker no-exit-on-failure`
    pub(crate) no_exit_on_failure: bool,
}

impl State {
    /// The state that an earlier image of this very process left.
    pub(crate) fn from_environment() -> Option<Self> {
        Self::decode(&std::env::var(VARIABLE).ok()?)
    }

    fn encode(&self) -> String {
        // Writing to a String cannot fail.
        let mut out = format!("master={}", std::process::id());
        if self.no_exit_on_failure {
            out.push_str(" no-exit-on-failure=1");
        }
        for worker in &self.workers {
            let _ = write!(out, " worker={}:{}", worker.pid, u8::from(worker.leaving));
        }
        for (fd, key) in &self.sockets {
            let _ = write!(out, " socket={fd}:");
            for byte in &key.0 {
                let _ = write!(out, "{byte:02x}");
            }
        }
        out
    }

    /// `None` if the text is damaged or was meant for another process, such
    /// as the parent that this one inherited its environment from.
    fn decode(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let master = words.next()?.strip_prefix("master=")?;
        if master.parse::<u32>().ok()? != std::process::id() {
            return None;
        }
        let mut state = Self::default();
        for word in words {
            let (name, value) = word.split_once('=')?;
            match name {
                "no-exit-on-failure" => state.no_exit_on_failure = value == "1",
                "worker" => {
                    let (pid, leaving) = value.split_once(':')?;
                    state.workers.push(Worker {
                        pid: Pid::from_raw(pid.parse().ok().filter(|pid| *pid > 0)?),
                        leaving: leaving == "1",
                    });
                }
                "socket" => {
                    let (fd, key) = value.split_once(':')?;
                    state.sockets.push((fd.parse().ok()?, Key(unhex(key)?)));
                }
                // A newer image may know more than this one.
                _ => {}
            }
        }
        Some(state)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Starts the program anew in this process; returns only if that failed.
pub(crate) fn start_again(state: &State, arguments: &[OsString]) -> io::Error {
    let Some(path) = osys::exec::started_as() else {
        return io::ErrorKind::NotFound.into();
    };
    let mut environment: Vec<OsString> = std::env::vars_os()
        .filter(|(name, _)| name != VARIABLE)
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        })
        .collect();
    environment.push(OsString::from(format!("{VARIABLE}={}", state.encode())));
    let pids: Vec<_> = state.workers.iter().map(|worker| worker.pid).collect();
    let arguments = next_arguments(arguments, &pids);
    let (Ok(path), Some(arguments), Some(environment)) = (
        CString::new(path.as_bytes()),
        c_strings(&arguments),
        c_strings(&environment),
    ) else {
        return io::ErrorKind::InvalidInput.into();
    };
    keep_open(&state.sockets, FdFlags::empty());
    let error = osys::exec::replace_image(&path, &arguments, &environment);
    keep_open(&state.sockets, FdFlags::CLOEXEC);
    error
}

/// The command line of the next image: as before, with the workers to replace
/// in front, where `ps` shows them.
fn next_arguments(arguments: &[OsString], workers: &[Pid]) -> Vec<OsString> {
    let mut words = arguments.iter();
    let mut next: Vec<OsString> = words.next().cloned().into_iter().collect();
    if !workers.is_empty() {
        next.push("-sf".into());
        next.extend(workers.iter().map(|pid| OsString::from(pid.to_string())));
    }
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        match word.as_bytes() {
            // Processes named at the first start are gone by now.
            [b'-', b's', b'f' | b't', ..] => {
                while words.next_if(|word| !is_flag(word)).is_some() {}
            }
            [b'-', b'x', ..] => {
                words.next();
            }
            [b'-', b'-', ..] => {
                next.push(word.clone());
                next.extend(words.by_ref().cloned());
            }
            // These are followed by a value, which may look like a flag.
            [
                b'-',
                b'f' | b'p' | b'n' | b'N' | b'm' | b'L' | b'C' | b'S',
                ..,
            ] => {
                next.push(word.clone());
                next.extend(words.next().cloned());
            }
            _ => next.push(word.clone()),
        }
    }
    next
}

fn is_flag(word: &OsStr) -> bool {
    word.as_bytes().starts_with(b"-")
}

fn c_strings(words: &[OsString]) -> Option<Vec<CString>> {
    words
        .iter()
        .map(|word| CString::new(word.as_bytes()).ok())
        .collect()
}

fn keep_open(sockets: &[(RawFd, Key)], flags: FdFlags) {
    for (number, _) in sockets {
        let _ = osys::fd::set_flags(*number, flags);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_survives_the_journey() {
        let state = State {
            workers: vec![
                Worker {
                    pid: Pid::from_raw(11),
                    leaving: true,
                },
                Worker {
                    pid: Pid::from_raw(12),
                    leaving: false,
                },
            ],
            sockets: vec![
                (7, Key(b"unix /tmp/a b=\xff".to_vec())),
                (8, Key(Vec::new())),
            ],
            no_exit_on_failure: true,
        };
        assert_eq!(State::decode(&state.encode()), Some(state));
    }

    #[test]
    fn damaged_or_foreign_state_is_not_used() {
        let own = std::process::id();
        for text in [
            String::new(),
            "master=x".to_owned(),
            format!("master={}", own + 1),
            format!("master={own} worker=12"),
            format!("master={own} worker=-1:0"),
            format!("master={own} socket=7:zz"),
            format!("master={own} socket=:"),
            format!("master={own} nonsense"),
        ] {
            assert_eq!(State::decode(&text), None, "{text:?}");
        }
        let state = State::decode(&format!("master={own} later=thing")).unwrap();
        assert_eq!(state, State::default());
    }

    fn check(before: &[&str], workers: &[i32], after: &[&str]) {
        let before: Vec<_> = before.iter().map(OsString::from).collect();
        let workers: Vec<_> = workers.iter().map(|pid| Pid::from_raw(*pid)).collect();
        assert_eq!(next_arguments(&before, &workers), after);
    }

    #[test]
    fn the_next_command_line_names_the_workers_to_replace() {
        check(
            &["haproxy", "-Ws", "-f", "a.cfg", "-p", "x.pid"],
            &[11140],
            &[
                "haproxy", "-sf", "11140", "-Ws", "-f", "a.cfg", "-p", "x.pid",
            ],
        );
        check(
            &[
                "p", "-sf", "1", "2", "-W", "-x", "/s", "-f", "-sf", "--", "-st",
            ],
            &[3, 4],
            &["p", "-sf", "3", "4", "-W", "-f", "-sf", "--", "-st"],
        );
        check(&["p", "-W", "-st", "9"], &[], &["p", "-W"]);
    }
}
