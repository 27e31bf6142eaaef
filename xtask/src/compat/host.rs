//! The host that verdicts were recorded on, as the loader sees it: the file at its usual place,
//! the interfaces that it names, what was supplied, and else what this machine has.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use keepalived_conf::env::{Credentials, FileKind, FileStat, Interface};
use keepalived_conf::{Environment, SystemEnvironment};

/// Where the configuration seems to be.
pub(super) const PLACE: &str = "/etc/keepalived/keepalived.conf";
/// Nothing else is in its folder.
const FOLDER: &str = "/etc/keepalived";
/// The user whom keepalived prefers for scripts; the recording host had none.
const SCRIPT_USER: &str = "keepalived_script";
/// Longest name of an interface.
const MAX_INTERFACE: usize = 15;

/// A host made for one file.
pub(super) struct Host {
    text: Vec<u8>,
    names: BTreeSet<String>,
    scripts: BTreeSet<PathBuf>,
}

impl Host {
    /// For a file with this text, where these scripts exist.
    pub(super) fn new(text: Vec<u8>, scripts: impl IntoIterator<Item = PathBuf>) -> Self {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
        let names = String::from_utf8_lossy(&text)
            .split(|c| !is_name(c))
            .filter(|name| (1..=MAX_INTERFACE).contains(&name.len()))
            .map(str::to_owned)
            .collect();
        Self {
            text,
            names,
            scripts: scripts.into_iter().collect(),
        }
    }

    /// What is laid over this machine at a path; `None` where it shows through.
    fn overlay(&self, path: &Path) -> Option<io::Result<FileStat>> {
        let stat = |kind, mode| {
            Some(Ok(FileStat {
                kind,
                mode,
                uid: 0,
                gid: 0,
            }))
        };
        if path == Path::new(PLACE) {
            return stat(FileKind::Regular, 0o644);
        }
        if self.scripts.contains(path) {
            return stat(FileKind::Regular, 0o755);
        }
        let leads_to_script = self.scripts.iter().any(|script| script.starts_with(path));
        if leads_to_script || path == Path::new(FOLDER) {
            return stat(FileKind::Directory, 0o755);
        }
        path.starts_with(FOLDER)
            .then(|| Err(io::Error::from(io::ErrorKind::NotFound)))
    }
}

impl Environment for Host {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        if path == Path::new(PLACE) {
            return Ok(self.text.iter().copied().take(limit).collect());
        }
        match self.overlay(path) {
            Some(Err(error)) => Err(error),
            _ => SystemEnvironment.read(path, limit),
        }
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        self.overlay(path)
            .unwrap_or_else(|| SystemEnvironment.stat(path))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        match self.overlay(path) {
            Some(stat) => stat.map(|_| path.to_owned()),
            None => SystemEnvironment.canonical(path),
        }
    }

    fn list(&self, directory: &Path) -> Option<Vec<OsString>> {
        if directory == Path::new(FOLDER) {
            return Some(vec!["keepalived.conf".into()]);
        }
        SystemEnvironment.list(directory)
    }

    fn interface(&self, name: &str) -> Option<Interface> {
        let loopback = name == "lo";
        (loopback || self.names.contains(name)).then_some(Interface {
            loopback,
            multicast: !loopback,
            private_macvlan: false,
        })
    }

    fn user(&self, name: &str) -> Option<Credentials> {
        SystemEnvironment.user(name).filter(|_| name != SCRIPT_USER)
    }

    fn group(&self, name: &str) -> Option<u32> {
        SystemEnvironment.group(name)
    }

    fn me(&self) -> Credentials {
        Credentials::ROOT
    }

    fn can_execute(&self, path: &Path, credentials: &Credentials) -> bool {
        match self.overlay(path) {
            Some(stat) => stat.is_ok_and(|stat| stat.mode & 0o111 != 0),
            None => SystemEnvironment.can_execute(path, credentials),
        }
    }

    fn hostname(&self) -> String {
        SystemEnvironment.hostname()
    }

    fn path_variable(&self) -> Option<OsString> {
        Some("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into())
    }

    fn current_directory(&self) -> PathBuf {
        PathBuf::from("/")
    }

    fn cpus(&self) -> u32 {
        SystemEnvironment.cpus()
    }

    fn random(&self) -> u32 {
        SystemEnvironment.random()
    }
}
