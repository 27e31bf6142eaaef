//! Files that tell other programs our process ids.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::sys::signal::kill;
use nix::unistd::Pid;

/// A pid file that is open for writing; the path need not be reachable any
/// more when the ids are known (after `chroot`).
#[derive(Debug)]
pub struct PidFile {
    file: std::fs::File,
}

impl PidFile {
    /// Creates or empties the file, mode 0644.
    ///
    /// # Errors
    /// As `open(2)`.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(path)?;
        Ok(Self { file })
    }

    /// Appends one id and a line feed.
    ///
    /// # Errors
    /// As `write(2)`.
    pub fn add(&mut self, pid: u32) -> io::Result<()> {
        self.file.write_all(format!("{pid}\n").as_bytes())
    }

    /// The open file, for keeping it across an `execve`.
    pub fn into_fd(self) -> OwnedFd {
        self.file.into()
    }
}

/// Writes a pid file of one id: the id and a line feed.
///
/// # Errors
/// As `open(2)` and `write(2)`.
pub fn write(path: &Path, pid: u32) -> io::Result<()> {
    PidFile::create(path)?.add(pid)
}

/// The first id in a pid file, whether or not such a process exists.
pub fn read(path: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(path).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    (pid > 0).then(|| Pid::from_raw(pid))
}

/// The id in a pid file if a process of that id exists, be it ours or not.
pub fn running(path: &Path) -> Option<Pid> {
    let pid = read(path)?;
    match kill(pid, None) {
        Ok(()) | Err(nix::errno::Errno::EPERM) => Some(pid),
        Err(_) => None,
    }
}

/// Removes a pid file if it still holds `pid`; somebody else's file stays.
pub fn remove(path: &Path, pid: u32) {
    if read(path).is_some_and(|found| u32::try_from(found.as_raw()) == Ok(pid)) {
        // The daemon is on its way out: nothing could be done about a failure.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_read_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let own = std::process::id();
        assert_eq!(read(&path), None);
        write(&path, own).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{own}\n"));
        assert!(running(&path).is_some());

        remove(&path, own + 1);
        assert!(path.exists());
        remove(&path, own);
        assert!(!path.exists());
    }

    #[test]
    fn nonsense_and_dead_processes_are_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        for text in ["", "abc\n", "0\n", "-1\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path), None, "{text:?}");
        }
        // Beyond the kernel's PID_MAX_LIMIT, so it cannot exist.
        std::fs::write(&path, "4194305\n").unwrap();
        assert_eq!(running(&path), None);
    }
}
