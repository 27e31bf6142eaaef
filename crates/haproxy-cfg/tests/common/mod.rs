//! A machine that is the same everywhere: one user, one name, a handful of files.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses its own part of this, with command lines that are right"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use haproxy_cfg::argv::{self, Args};
use haproxy_cfg::report::Output;
use haproxy_cfg::{Console, Environment, Loaded};

/// The environment variables of the machine.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    ("FOO", "bar"),
    ("LIST", " a b  c "),
    ("EMPTY", ""),
    ("HOME", "/root"),
];

/// The machine.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    pub(crate) names: BTreeMap<String, IpAddr>,
    pub(crate) looked_up: RefCell<Vec<String>>,
}

impl Machine {
    pub(crate) fn with(name: &str, content: &[u8]) -> Self {
        let mut machine = Self::default();
        let page = b"HTTP/1.0 503 Service Unavailable\r\n\r\n".to_vec();
        for status in [400, 403, 408, 500, 502, 503, 504] {
            let path = format!("/etc/haproxy/errors/{status}.http");
            machine.files.insert(path.into(), page.clone());
        }
        machine
            .names
            .insert("localhost".into(), Ipv4Addr::LOCALHOST.into());
        machine.files.insert(name.into(), content.to_vec());
        machine
    }
}

impl Environment for Machine {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files
            .get(path)
            .cloned()
            .ok_or_else(|| io::Error::from_raw_os_error(2))
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        if self.files.contains_key(path) {
            return Ok(false);
        }
        let inside = self.files.keys().any(|file| file.parent() == Some(path));
        if inside {
            Ok(true)
        } else {
            Err(io::Error::from_raw_os_error(2))
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        Ok(self
            .files
            .keys()
            .rev()
            .filter(|file| file.parent() == Some(path))
            .filter_map(|file| file.file_name().map(OsString::from))
            .collect())
    }

    fn descriptor(&self, _: i32) -> Result<(), &'static str> {
        Err("Bad file descriptor")
    }

    fn variables(&self) -> Vec<(OsString, OsString)> {
        VARIABLES
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn user_id(&self, name: &str) -> Option<u32> {
        match name {
            "root" => Some(0),
            "haproxy" => Some(106),
            _ => None,
        }
    }

    fn group_id(&self, name: &str) -> Option<u32> {
        self.user_id(name)
    }

    fn resolve(&self, host: &str) -> Vec<IpAddr> {
        self.looked_up.borrow_mut().push(host.to_owned());
        self.names.get(host).copied().into_iter().collect()
    }

    fn hostname(&self) -> String {
        "lb1".into()
    }

    fn cpus(&self) -> u32 {
        2
    }
}

/// A command line from words.
pub(crate) fn args(words: &[&str]) -> Args {
    let words = std::iter::once(&"haproxy").chain(words);
    argv::parse(words.map(OsString::from).collect()).unwrap()
}

/// `haproxy -c -f FILE` with this content.
pub(crate) fn check(content: &[u8]) -> Output {
    check_with(&["-c", "-f", "FILE"], content)
}

/// The same with other words on the command line.
pub(crate) fn check_with(words: &[&str], content: &[u8]) -> Output {
    let mut console = Console::new(1, Some("/usr/sbin/haproxy".into()));
    haproxy_cfg::check(&args(words), &Machine::with("FILE", content), &mut console)
}

/// The configuration and its messages.
pub(crate) fn load(content: &str) -> Loaded {
    let machine = Machine::with("FILE", content.as_bytes());
    haproxy_cfg::load(&args(&["-f", "FILE"]), &machine)
}

/// Messages without the notices about version and executable, and without process ids.
pub(crate) fn plain(bytes: &[u8]) -> String {
    let text: String = bytes
        .utf8_chunks()
        .map(|chunk| {
            let invalid: String = chunk
                .invalid()
                .iter()
                .map(|b| format!("\\x{b:02x}"))
                .collect();
            format!("{}{invalid}", chunk.valid())
        })
        .collect();
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        if line.contains(" : haproxy version is ") || line.contains(" : path to executable is ") {
            continue;
        }
        match (line.find("] "), line.find(") : ")) {
            (Some(end), Some(rest)) if line.starts_with('[') && end < rest => {
                out += &line[..=end];
                out += &line[rest + 1..];
            }
            _ => out += line,
        }
    }
    out
}
