//! What the host has: files, interfaces, users. The parser asks through [`Environment`], so that
//! a test or a simulator can answer in the place of the machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

mod fake;
mod link;
mod system;

pub use fake::{FakeEnvironment, FakeFile};
pub use system::SystemEnvironment;

/// A user and the group that a script runs under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Credentials {
    /// The superuser.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

/// What kind of thing a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A file with content.
    Regular,
    /// A directory.
    Directory,
    /// A device, a pipe, a socket.
    Other,
}

/// What `stat` says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, the lower 12 of the mode.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What can be known of one network interface before anything is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// A loopback interface cannot carry a virtual router.
    pub loopback: bool,
    /// Whether it can send to a group.
    pub multicast: bool,
    /// Whether it is a macvlan in private mode: what `use_vmac` makes.
    pub private_macvlan: bool,
}

/// The host as the parser sees it.
pub trait Environment {
    /// The bytes of a file, at most `limit` of them.
    ///
    /// # Errors
    /// What the operating system answers to open or read.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// What is at the path, links followed.
    ///
    /// # Errors
    /// What the operating system answers.
    fn stat(&self, path: &Path) -> io::Result<FileStat>;

    /// Where a path leads once every link in it is followed.
    ///
    /// # Errors
    /// What the operating system answers.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;

    /// The names in a directory, sorted; `None` if it cannot be read.
    fn list(&self, directory: &Path) -> Option<Vec<OsString>>;

    /// The interface of that name, if it exists.
    fn interface(&self, name: &str) -> Option<Interface>;

    /// A user's id and primary group.
    fn user(&self, name: &str) -> Option<Credentials>;

    /// A group's id.
    fn group(&self, name: &str) -> Option<u32>;

    /// Who this process is.
    fn me(&self) -> Credentials;

    /// Whether that user may execute the file at the path.
    fn can_execute(&self, path: &Path, credentials: &Credentials) -> bool;

    /// The short host name.
    fn hostname(&self) -> String;

    /// `PATH`, if it is set.
    fn path_variable(&self) -> Option<OsString>;

    /// The working directory, for relative names.
    fn current_directory(&self) -> PathBuf;

    /// How many CPUs there are.
    fn cpus(&self) -> u32;

    /// A number for `${_RANDOM}`; not for anything secret.
    fn random(&self) -> u32;
}

/// Users, groups and interfaces by name, as the fake keeps them.
pub(crate) type Table<T> = BTreeMap<String, T>;
