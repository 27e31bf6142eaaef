//! The machine that this process runs on.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use super::{Credentials, Environment, FileKind, FileStat, Interface, link};

/// Asks the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        // What was a file a moment ago may be a pipe now, whose other end nobody opens.
        let file = File::options()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        file.take(limit).read_to_end(&mut content)?;
        Ok(content)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        let metadata = std::fs::metadata(path)?;
        let kind = if metadata.is_file() {
            FileKind::Regular
        } else if metadata.is_dir() {
            FileKind::Directory
        } else {
            FileKind::Other
        };
        Ok(FileStat {
            kind,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
        })
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::canonicalize(path)
    }

    fn list(&self, directory: &Path) -> Option<Vec<OsString>> {
        let mut names: Vec<OsString> = std::fs::read_dir(directory)
            .ok()?
            .filter_map(Result::ok)
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        Some(names)
    }

    fn interface(&self, name: &str) -> Option<Interface> {
        // The kernel keeps 15 bytes of a name, and would complain of more.
        if name.is_empty() || name.len() > 15 || name.contains('\0') {
            return None;
        }
        // Who cannot be asked has not said that it is there.
        link::find(name).ok().flatten()
    }

    fn user(&self, name: &str) -> Option<Credentials> {
        let user = User::from_name(name).ok()??;
        Some(Credentials {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        })
    }

    fn group(&self, name: &str) -> Option<u32> {
        Some(Group::from_name(name).ok()??.gid.as_raw())
    }

    fn me(&self) -> Credentials {
        Credentials {
            uid: Uid::effective().as_raw(),
            gid: Gid::effective().as_raw(),
        }
    }

    fn can_execute(&self, path: &Path, credentials: &Credentials) -> bool {
        let Ok(stat) = self.stat(path) else {
            return false;
        };
        let mask = if credentials.uid == 0 {
            0o111
        } else if credentials.uid == stat.uid {
            0o100
        } else if credentials.gid == stat.gid {
            0o010
        } else {
            0o001
        };
        stat.mode & mask != 0
    }

    fn hostname(&self) -> String {
        nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    fn path_variable(&self) -> Option<OsString> {
        std::env::var_os("PATH")
    }

    fn current_directory(&self) -> PathBuf {
        std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
    }

    fn cpus(&self) -> u32 {
        let online = nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN);
        let count = online
            .ok()
            .flatten()
            .and_then(|count| u32::try_from(count).ok());
        count.unwrap_or(1)
    }

    fn random(&self) -> u32 {
        // The low bits of the clock are as much as ${_RANDOM} promises.
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos() / 7)
    }
}
