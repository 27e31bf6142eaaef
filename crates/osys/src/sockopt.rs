//! Socket options that neither socket2 nor rustix can set.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `TCP_DEFER_ACCEPT`: wake the listener only once data has come, or after
/// about this many seconds.
///
/// # Errors
/// As `setsockopt(2)`.
pub fn set_tcp_defer_accept(socket: impl AsFd, seconds: i32) -> io::Result<()> {
    set_tcp_int(socket, libc::TCP_DEFER_ACCEPT, seconds)
}

/// `TCP_FASTOPEN` on a listener: how many connections may wait with data in
/// their SYN (RFC 7413).
///
/// # Errors
/// As `setsockopt(2)`.
pub fn set_tcp_fastopen(socket: impl AsFd, queue: i32) -> io::Result<()> {
    set_tcp_int(socket, libc::TCP_FASTOPEN, queue)
}

fn set_tcp_int(socket: impl AsFd, option: libc::c_int, value: i32) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the option value is an i32 that outlives the call; its size is
    // given beside it and the kernel only reads it.
    crate::check(unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            length,
        )
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn options_reach_the_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_tcp_defer_accept(&listener, 3).unwrap();
        set_tcp_fastopen(&listener, 16).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let error = set_tcp_defer_accept(&file, 3).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
    }
}
