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
pub mod sched;
pub mod sockopt;
pub mod time;
pub mod vrrp_socket;

/// Turns libc's `-1` into the `errno` it left behind.
pub(crate) fn check(ret: libc::c_int) -> std::io::Result<libc::c_int> {
    if ret < 0 {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(ret)
    }
}
