//! The only unsafe code: thin, safe wrappers around single system calls.
//!
//! Each function makes one system call (or one libc call that stands for it),
//! has a safe signature, says at its `unsafe` block why the call is sound, and
//! is called by a test. What nix, rustix or socket2 already offer with a safe
//! signature is not repeated here.
#![warn(missing_docs)]
#![expect(
    unsafe_code,
    reason = "this crate exists to hold the workspace's unsafe system calls"
)]

pub mod exec;
pub mod fd;
pub mod packet;
pub mod process;
pub mod relay_sys;
pub mod ring;
pub mod sched;
pub mod sockopt;
pub mod time;
mod vrrp_filter;
pub mod vrrp_socket;

/// The system's own words for an error (`strerror(3)`), without the number that
/// Rust appends.
pub fn error_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Turns libc's `-1` into the `errno` it left behind.
pub(crate) fn check(ret: libc::c_int) -> std::io::Result<libc::c_int> {
    if ret < 0 {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(ret)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn errors_have_the_systems_words() {
        let error = std::io::Error::from_raw_os_error(libc::EBADF);
        assert_eq!(super::error_text(&error), "Bad file descriptor");
        let own = std::io::Error::other("no number");
        assert_eq!(super::error_text(&own), "no number");
    }
}
