//! Listening sockets in the file system.
//!
//! A socket is bound under a name of its own and renamed into place, so that a
//! process that is still serving the old one loses no client in between.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use haproxy_cfg::model::UnixRights;
use nix::unistd::{Gid, Uid, chown};
use osys::error_text;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};

/// What went wrong, in the original's words.
pub(crate) type Problem = String;

/// Binds `path` with these rights. It does not listen yet.
///
/// # Errors
/// The step that failed; what was at `path` before is there again then.
pub(crate) fn bind_path(path: &Path, rights: &UnixRights) -> Result<OwnedFd, Problem> {
    let temporary = with_suffix(path, "tmp");
    let backup = with_suffix(path, "bak");
    // Left over from a process of the same number that was killed.
    for leftover in [&temporary, &backup] {
        remove(leftover).map_err(|error| {
            explain(
                "error when trying to unlink previous UNIX socket",
                &error,
                path,
            )
        })?;
    }
    preserve(path, &backup).map_err(|error| {
        explain(
            "error when trying to preserve previous UNIX socket",
            &error,
            path,
        )
    })?;
    let socket = place(path, &temporary, rights);
    if socket.is_err() {
        let _ = std::fs::remove_file(&temporary);
        let _ = std::fs::rename(&backup, path);
    }
    let _ = std::fs::remove_file(&backup);
    socket
}

fn place(path: &Path, temporary: &Path, rights: &UnixRights) -> Result<OwnedFd, Problem> {
    let socket =
        new_socket().map_err(|error| explain("cannot create UNIX socket", &error, path))?;
    SocketAddrUnix::new(temporary)
        .and_then(|address| bind(&socket, &address))
        .map_err(|error| explain("cannot bind UNIX socket", &error.into(), path))?;
    apply(temporary, rights)
        .map_err(|error| explain("cannot change UNIX socket ownership", &error, path))?;
    std::fs::rename(temporary, path).map_err(|error| {
        explain(
            "cannot switch final and temporary UNIX sockets",
            &error,
            path,
        )
    })?;
    Ok(socket)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A second name for what is at `path`, if there is anything.
fn preserve(path: &Path, backup: &Path) -> io::Result<()> {
    match std::fs::hard_link(path, backup) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A file system without hard links: there will be nothing to go back to.
        Err(_) if exists(path) => Ok(()),
        other => other,
    }
}

/// Gives a socket that is kept from an earlier start the rights it shall have
/// now.
///
/// # Errors
/// In the original's words.
pub(crate) fn update_rights(path: &Path, rights: &UnixRights) -> Result<(), Problem> {
    apply(path, rights)
        .map_err(|error| explain("cannot change UNIX socket ownership", &error, path))
}

/// Whether there is a socket at `path`.
pub(crate) fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// Binds a name of the abstract namespace. It does not listen yet.
///
/// # Errors
/// In the original's words, which never show the name.
pub(crate) fn bind_abstract(name: &[u8]) -> Result<OwnedFd, Problem> {
    let nameless = Path::new("");
    let socket =
        new_socket().map_err(|error| explain("cannot create UNIX socket", &error, nameless))?;
    match abstract_address(name).and_then(|address| bind(&socket, &address)) {
        Ok(()) => Ok(socket),
        Err(Errno::ADDRINUSE) => Err("cannot bind UNIX socket (already in use) []".to_owned()),
        Err(error) => Err(explain("cannot bind UNIX socket", &error.into(), nameless)),
    }
}

/// The abstract address the original makes of a name: filled up with zeros, to
/// which programs that connect to it must stick as well.
///
/// # Errors
/// The name is longer than an address.
pub(crate) fn abstract_address(name: &[u8]) -> Result<SocketAddrUnix, Errno> {
    let mut whole = name.to_vec();
    whole.resize(whole.len().max(ABSTRACT_NAME), 0);
    SocketAddrUnix::new_abstract_name(&whole)
}

/// Bytes of an abstract name, the zero at its head not counted (`unix(7)`).
const ABSTRACT_NAME: usize = 107;

fn new_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

fn apply(path: &Path, rights: &UnixRights) -> io::Result<()> {
    if rights.uid.is_some() || rights.gid.is_some() {
        let owner = rights.uid.map(Uid::from_raw);
        let group = rights.gid.map(Gid::from_raw);
        chown(path, owner, group)?;
    }
    if let Some(mode) = rights.mode {
        rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

fn explain(what: &str, error: &io::Error, path: &Path) -> Problem {
    format!("{what} ({}) [{}]", error_text(error), path.display())
}

/// `<path>.<pid>.<suffix>`
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.{suffix}", std::process::id()));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_socket_replaces_the_old_one_and_has_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let rights = UnixRights {
            mode: Some(0o660),
            ..UnixRights::default()
        };
        let first = bind_path(&path, &rights).unwrap();
        let second = bind_path(&path, &rights).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        assert!(exists(&path));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        drop((first, second));
    }

    #[test]
    fn problems_have_the_originals_words() {
        let path = Path::new("/nonexistent/x.sock");
        let problem = bind_path(path, &UnixRights::default()).unwrap_err();
        assert_eq!(
            problem,
            "cannot bind UNIX socket (No such file or directory) [/nonexistent/x.sock]"
        );
        assert!(!exists(path));
    }

    #[test]
    fn a_directory_in_the_way_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        std::fs::create_dir(&path).unwrap();
        let problem = bind_path(&path, &UnixRights::default()).unwrap_err();
        assert_eq!(
            problem,
            format!(
                "error when trying to preserve previous UNIX socket (Operation not permitted) [{}]",
                path.display()
            )
        );
        assert!(path.is_dir());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn abstract_names_are_bound_once() {
        let name = format!("proxyd-test-{}", std::process::id());
        let first = bind_abstract(name.as_bytes()).unwrap();
        let problem = bind_abstract(name.as_bytes()).unwrap_err();
        assert_eq!(problem, "cannot bind UNIX socket (already in use) []");
        drop(first);
    }
}
