//! `_getsocks`: hands the listening sockets to the process that takes over (`-x`), on sockets
//! with `expose-fd listeners`. The form is the original's, seen on the wire: the number of
//! sockets as a native integer; then messages that carry up to [`BATCH`] descriptors and, for
//! each, the names of a network namespace and an interface with a length byte before either, and
//! an integer of flags. Each message is acknowledged by an integer.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::UnixStream;

/// Descriptors in one message; the kernel's own limit.
const BATCH: usize = 253;

/// A listening socket of a frontend, held beside the data path's own descriptor of it.
#[derive(Debug)]
pub(in super::super) struct Exposed {
    /// Index of its proxy in the configuration.
    pub(in super::super) proxy: usize,
    /// The interface it is bound to, if to one.
    pub(in super::super) interface: Option<String>,
    pub(in super::super) fd: OwnedFd,
}

impl Exposed {
    /// What is said of a socket beside its descriptor.
    fn describe(&self, out: &mut Vec<u8>) {
        let interface = self.interface.as_deref().unwrap_or_default().as_bytes();
        // The kernel's interface names have at most 15 bytes.
        let length = u8::try_from(interface.len()).unwrap_or(0);
        let name = interface.get(..usize::from(length)).unwrap_or_default();
        out.push(0);
        out.push(length);
        out.extend_from_slice(name);
        out.extend_from_slice(&0_i32.to_ne_bytes());
    }
}

/// Sends all of them.
///
/// # Errors
/// The other process broke off; it has no use for half of them.
pub(super) async fn send(stream: &mut UnixStream, sockets: &[Rc<Exposed>]) -> io::Result<()> {
    let count = i32::try_from(sockets.len()).unwrap_or(i32::MAX);
    tokio::io::AsyncWriteExt::write_all(stream, &count.to_ne_bytes()).await?;
    for batch in sockets.chunks(BATCH) {
        let fds: Vec<BorrowedFd<'_>> = batch.iter().map(|socket| socket.fd.as_fd()).collect();
        let mut text = Vec::new();
        for socket in batch {
            socket.describe(&mut text);
        }
        let message = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            // The space was measured for a whole batch.
            control.push(SendAncillaryMessage::ScmRights(&fds));
            let parts = [IoSlice::new(&text)];
            Ok(sendmsg(
                &*stream,
                &parts,
                &mut control,
                SendFlags::NOSIGNAL,
            )?)
        };
        stream.async_io(Interest::WRITABLE, message).await?;
        let mut acknowledged = [0; 4];
        stream.read_exact(&mut acknowledged).await?;
    }
    Ok(())
}
