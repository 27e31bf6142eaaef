//! `notify_fifo`, `vrrp_notify_fifo`: a line for every event, in order, without a program
//! for each.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use keepalived_conf::env::Credentials;
use nix::sys::stat::Mode;
use rustix::fs::OFlags;

/// A FIFO open for writing. It is read as well, so that a line written while nobody else
/// reads waits in it.
#[derive(Debug)]
pub(crate) struct Fifo {
    path: PathBuf,
    owner: Option<Credentials>,
    file: File,
    /// It was not there before, and goes with the daemon.
    made: bool,
    /// Lines were lost since the last that went in.
    full: bool,
}

impl Fifo {
    /// Makes it, unless it is there, for `owner` if one is named, and opens it.
    ///
    /// # Errors
    /// When it cannot be made, or something else has its name.
    pub(crate) fn open(path: &Path, owner: Option<Credentials>) -> io::Result<Self> {
        let made = match nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) => true,
            Err(nix::errno::Errno::EEXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)?;
        if !file.metadata()?.file_type().is_fifo() {
            return Err(io::Error::other("it exists and is no FIFO"));
        }
        if let Some(owner) = owner.as_ref().filter(|_| made) {
            std::os::unix::fs::fchown(&file, Some(owner.uid), Some(owner.gid))?;
        }
        Ok(Self {
            path: path.to_owned(),
            owner,
            file,
            made,
            full: false,
        })
    }

    /// Whether it was made from this.
    pub(crate) fn is(&self, path: &Path, owner: Option<&Credentials>) -> bool {
        self.path == path && self.owner.as_ref() == owner
    }

    /// Writes one line, its line feed included, without ever waiting. A line that finds
    /// no room is lost; the first of a row gives a line for the log.
    pub(crate) fn write(&mut self, line: &str) -> Option<String> {
        match self.file.write_all(line.as_bytes()) {
            Ok(()) => {
                self.full = false;
                None
            }
            Err(error) => {
                let first = !std::mem::replace(&mut self.full, true);
                first.then(|| {
                    let path = self.path.display();
                    let reason = osys::error_text(&error);
                    format!("Cannot write to fifo {path}, events are lost: {reason}")
                })
            }
        }
    }

    /// Closes it, and removes it if it was made here.
    pub(crate) fn remove(self) {
        if self.made {
            // It may be gone already, and then nothing is left to do.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    fn open(path: &Path) -> io::Result<Fifo> {
        let me = Credentials {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
        };
        Fifo::open(path, Some(me))
    }

    #[test]
    fn lines_wait_for_their_reader_and_the_fifo_goes_with_the_daemon() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let mut fifo = open(&path).unwrap();
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        assert_eq!(meta.uid(), nix::unistd::geteuid().as_raw());
        assert_eq!(fifo.write("one\n"), None);
        assert_eq!(fifo.write("two\n"), None);
        let mut reader = std::fs::OpenOptions::new().read(true).open(&path).unwrap();
        let mut bytes = [0; 64];
        let length = reader.read(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"one\ntwo\n");
        fifo.remove();
        assert!(!path.exists());
    }

    #[test]
    fn without_a_reader_it_fills_up_and_nothing_waits() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let mut fifo = open(&path).unwrap();
        let told: Vec<String> = (0..20_000)
            .filter_map(|_| fifo.write("INSTANCE \"V\" MASTER 100\n"))
            .collect();
        assert_eq!(
            told,
            [format!(
                "Cannot write to fifo {}, events are lost: Resource temporarily unavailable",
                path.display()
            )]
        );
    }

    #[test]
    fn one_that_was_there_stays_and_something_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        open(&path).unwrap().remove();
        assert!(path.exists());
        let file = directory.path().join("file");
        std::fs::write(&file, "kept").unwrap();
        let error = open(&file).unwrap_err();
        assert_eq!(error.to_string(), "it exists and is no FIFO");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    }
}
