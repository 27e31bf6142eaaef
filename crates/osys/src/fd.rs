//! File descriptors that another program left open for this one.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::io::FdFlags;

/// How far descriptors are probed where `/proc` cannot be read.
const PROBE_LIMIT: RawFd = 1024;

/// The descriptors found open at the start and not yet adopted.
static INHERITED: OnceLock<Mutex<BTreeSet<RawFd>>> = OnceLock::new();

/// Remembers which descriptors above standard error are open now.
///
/// Call it first in `main`, before anything else is opened: only what is
/// open then may be taken over with [`adopt`]. Later calls change nothing.
pub fn remember_inherited() {
    INHERITED.get_or_init(|| Mutex::new(open_descriptors()));
}

/// Takes ownership of descriptor `fd`, which was open when the process began.
///
/// The close-on-exec flag is set on it.
///
/// # Errors
/// `EBADF` if it was not open at the start of the process (see
/// [`remember_inherited`]), has been adopted before, or is one of the three
/// standard streams.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    let bad = || io::Error::from_raw_os_error(libc::EBADF);
    let known = INHERITED.get().ok_or_else(bad)?;
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.contains(&fd) || !is_open(fd) {
        return Err(bad());
    }
    known.remove(&fd);
    // SAFETY: the descriptor was open before this program opened any of its
    // own, and each such number is handed out once, so nothing else owns it.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::io::fcntl_setfd(&owned, FdFlags::CLOEXEC)?;
    Ok(owned)
}

/// A duplicate of a descriptor that is known by number only (`fd@N`,
/// standard streams), with close-on-exec set. The original stays open.
///
/// # Errors
/// `EBADF` if `fd` is not open, `EMFILE` if no descriptor is left.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the borrow lasts for this one call, which only reads the number;
    // the kernel answers EBADF if it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(rustix::io::fcntl_dupfd_cloexec(borrowed, 3)?)
}

/// Sets or clears close-on-exec of a descriptor known by number only.
///
/// # Errors
/// `EBADF` if `fd` is not open.
pub fn set_flags(fd: RawFd, flags: FdFlags) -> io::Result<()> {
    let value = libc::c_int::from(flags.contains(FdFlags::CLOEXEC)) * libc::FD_CLOEXEC;
    // SAFETY: F_SETFD changes one flag of whatever the number names, or fails.
    crate::check(unsafe { libc::fcntl(fd, libc::F_SETFD, value) })?;
    Ok(())
}

/// Whether `fd` is open in this process.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD reads a flag of whatever the number names, or fails.
    fd >= 0 && unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1
}

fn open_descriptors() -> BTreeSet<RawFd> {
    let listed = std::fs::read_dir("/proc/self/fd").map(|entries| {
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect::<Vec<RawFd>>()
    });
    // The directory's own descriptor is in the list but closed by now.
    let candidates = listed.unwrap_or_else(|_| (0..PROBE_LIMIT).collect());
    candidates
        .into_iter()
        .filter(|fd| *fd > 2 && is_open(*fd))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::*;

    #[test]
    fn an_inherited_descriptor_is_adopted_once() {
        let file = std::fs::File::open("/dev/null").unwrap();
        // Leaked on purpose: it stands for a descriptor left by the parent.
        let number = rustix::io::dup(&file).unwrap().into_raw_fd();
        remember_inherited();
        let owned = adopt(number).unwrap();
        assert_eq!(owned.as_raw_fd(), number);
        let flags = rustix::io::fcntl_getfd(&owned).unwrap();
        assert!(flags.contains(FdFlags::CLOEXEC));
        assert_eq!(adopt(number).unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert_eq!(adopt(1).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn duplicates_leave_the_original_open() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let copy = duplicate(file.as_raw_fd()).unwrap();
        assert_ne!(copy.as_raw_fd(), file.as_raw_fd());
        drop(copy);
        assert!(is_open(file.as_raw_fd()));
        assert!(duplicate(-1).is_err());
        assert!(duplicate(999_999).is_err());
        set_flags(file.as_raw_fd(), FdFlags::empty()).unwrap();
        assert!(rustix::io::fcntl_getfd(&file).unwrap().is_empty());
        assert!(set_flags(999_999, FdFlags::CLOEXEC).is_err());
    }
}
