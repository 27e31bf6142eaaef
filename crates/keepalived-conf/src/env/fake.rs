//! A host made of tables.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::{Credentials, Environment, FileKind, FileStat, Interface, Table};

/// One file of a [`FakeEnvironment`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeFile {
    /// What is in it.
    pub content: Vec<u8>,
    /// What it looks like from outside.
    pub stat: FileStat,
}

impl FakeFile {
    /// A file of root's that everybody may read.
    #[must_use]
    pub fn readable(content: impl Into<Vec<u8>>) -> Self {
        Self::with_mode(content, 0o644)
    }

    /// A file of root's that everybody may run.
    #[must_use]
    pub fn executable() -> Self {
        Self::with_mode(b"#!/bin/sh\n".as_slice(), 0o755)
    }

    /// A file of root's with these permission bits.
    #[must_use]
    pub fn with_mode(content: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self {
            content: content.into(),
            stat: FileStat {
                kind: FileKind::Regular,
                mode,
                uid: 0,
                gid: 0,
            },
        }
    }
}

/// A host that has what a test puts into it, and nothing else. The process is root, its
/// directory is `/`.
#[derive(Clone, Debug, Default)]
pub struct FakeEnvironment {
    /// Files by absolute path; their directories exist and belong to root.
    pub files: BTreeMap<PathBuf, FakeFile>,
    /// Interfaces by name.
    pub interfaces: Table<Interface>,
    /// Users by name.
    pub users: Table<Credentials>,
    /// Groups by name.
    pub groups: Table<u32>,
    /// The host's name.
    pub hostname: String,
    /// `PATH`.
    pub path: Option<OsString>,
}

impl FakeEnvironment {
    /// An empty host with root as its only user.
    #[must_use]
    pub fn new() -> Self {
        let mut host = Self {
            hostname: "lb1".to_owned(),
            path: Some("/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ..Self::default()
        };
        host.users.insert("root".to_owned(), Credentials::ROOT);
        host.groups.insert("root".to_owned(), 0);
        host
    }

    /// The same with one more Ethernet interface.
    #[must_use]
    pub fn with_interface(mut self, name: &str) -> Self {
        let ethernet = Interface {
            loopback: false,
            multicast: true,
            private_macvlan: false,
        };
        self.interfaces.insert(name.to_owned(), ethernet);
        self
    }

    /// The same with one more file.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<PathBuf>, file: FakeFile) -> Self {
        self.files.insert(path.into(), file);
        self
    }

    fn file(&self, path: &Path) -> io::Result<&FakeFile> {
        let not_found = || io::Error::from_raw_os_error(nix::libc::ENOENT);
        self.files.get(path).ok_or_else(not_found)
    }
}

impl Environment for FakeEnvironment {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let file = self.file(path)?;
        Ok(file.content.iter().copied().take(limit).collect())
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        if self
            .files
            .keys()
            .any(|file| file != path && file.starts_with(path))
        {
            return Ok(FileStat {
                kind: FileKind::Directory,
                mode: 0o755,
                uid: 0,
                gid: 0,
            });
        }
        Ok(self.file(path)?.stat)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.stat(path)?;
        Ok(path.to_owned())
    }

    fn list(&self, directory: &Path) -> Option<Vec<OsString>> {
        let mut names: Vec<OsString> = self
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(directory).ok()?.iter().next())
            .map(OsString::from)
            .collect();
        names.dedup();
        let stat = self.stat(directory);
        let there = stat.is_ok_and(|stat| stat.kind == FileKind::Directory);
        there.then_some(names)
    }

    fn interface(&self, name: &str) -> Option<Interface> {
        self.interfaces.get(name).copied()
    }

    fn user(&self, name: &str) -> Option<Credentials> {
        self.users.get(name).cloned()
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }

    fn me(&self) -> Credentials {
        Credentials::ROOT
    }

    fn can_execute(&self, path: &Path, _: &Credentials) -> bool {
        self.file(path)
            .is_ok_and(|file| file.stat.mode & 0o111 != 0)
    }

    fn hostname(&self) -> String {
        self.hostname.clone()
    }

    fn path_variable(&self) -> Option<OsString> {
        self.path.clone()
    }

    fn current_directory(&self) -> PathBuf {
        PathBuf::from("/")
    }

    fn cpus(&self) -> u32 {
        2
    }

    fn random(&self) -> u32 {
        4
    }
}
