//! `execve(2)` of this program, and the environment around it.

use std::ffi::{CStr, CString};
use std::io;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_reported_and_the_caller_lives_on() {
        let path = c"/nonexistent/program";
        let error = replace_image(path, &[path.to_owned()], &[]);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
