//! `execve(2)` of this program, and the environment around it.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;

/// Replaces the process image, with exactly this argument vector and
/// environment; returns only if that failed.
///
/// Descriptors without close-on-exec, the blocked signal mask and ignored
/// signals survive into the new image (`execve(2)`).
pub fn replace_image(path: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    match nix::unistd::execve(path, argv, env) {
        Ok(never) => match never {},
        Err(errno) => io::Error::from(errno),
    }
}

/// The path this program was started by, as given to `execve(2)`: a symbolic
/// link is not followed. `None` if the kernel did not say.
pub fn started_as() -> Option<OsString> {
    // SAFETY: getauxval only reads the vector the kernel put on our stack.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    if address == 0 {
        return None;
    }
    // SAFETY: for AT_EXECFN a non-zero value is the address of a terminated
    // string that the kernel wrote above the stack; it lives as long as the
    // process (getauxval(3)).
    let path = unsafe { CStr::from_ptr(std::ptr::with_exposed_provenance(address as usize)) };
    Some(OsStr::from_bytes(path.to_bytes()).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_started_path_names_this_program() {
        let path = started_as().unwrap();
        let own = std::env::current_exe().unwrap();
        assert_eq!(std::path::Path::new(&path).file_name(), own.file_name());
    }

    #[test]
    fn a_missing_program_is_reported_and_the_caller_lives_on() {
        let path = c"/nonexistent/program";
        let error = replace_image(path, &[path.to_owned()], &[]);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
