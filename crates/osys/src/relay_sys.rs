//! What the data path needs beyond rustix.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the tokio runtime of the calling thread.
///
/// # Errors
/// If the runtime's poller refuses it, for instance because it is a regular file.
///
/// # Panics
/// Outside a tokio runtime with IO enabled.
pub fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is valid and open as long as it lives, and the `AsyncFd` owns it: nobody
    // can close or replace the descriptor while it is registered.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn wakes_when_readable() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let (mut far, near) = UnixStream::pair().expect("a pair");
            near.set_nonblocking(true).expect("non-blocking");
            let watched = watch(near.into(), Interest::READABLE).expect("registered");
            far.write_all(b"x").expect("written");
            watched.readable().await.expect("readable").clear_ready();
        });
    }
}
