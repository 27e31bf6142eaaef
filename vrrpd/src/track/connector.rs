//! The kernel's process events (`linux/cn_proc.h`): told in milliseconds, without a look
//! at `/proc` for every process there is.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{CONNECTOR, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
    sockopt,
};

/// Group and index of the process connector: `CN_IDX_PROC`, `CN_VAL_PROC`.
const GROUP: u32 = 1;
const LISTEN: u32 = 1;
/// Room for some thousand events; a host that forks faster is looked at anew.
const BUFFER: usize = 1 << 20;

const HEADER: usize = 16;
const MESSAGE: usize = 20;
/// What, CPU, time.
const PREFIX: usize = 16;

/// What became of a process. Threads are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// `child` is a copy of `parent`.
    Forked { parent: u32, child: u32 },
    /// It is another program, or has another name.
    Changed(u32),
    /// It ended.
    Gone(u32),
}

/// What a read gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Events(Vec<Event>),
    /// Events were lost: everything has to be looked at.
    Lost,
    /// Nothing waits.
    Nothing,
}

/// Subscribes to the events.
///
/// # Errors
/// `ECONNREFUSED` outside the initial network namespace, `EPERM` without privilege.
pub(super) fn open() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        flags,
        Some(CONNECTOR),
    )?;
    // Beyond net.core.rmem_max only with privilege; less is no fault.
    if sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(&socket, BUFFER);
    }
    bind(&socket, &SocketAddrNetlink::new(0, GROUP))?;
    send(&socket, &listen_request(), SendFlags::empty())?;
    Ok(socket)
}

fn listen_request() -> Vec<u8> {
    let length = HEADER + MESSAGE + 4;
    let mut request = Vec::with_capacity(length);
    let word = |request: &mut Vec<u8>, value: u32| request.extend(value.to_ne_bytes());
    word(&mut request, u32::try_from(length).unwrap_or_default());
    // NLMSG_DONE, no flags.
    request.extend(3_u16.to_ne_bytes());
    request.extend(0_u16.to_ne_bytes());
    // Sequence, port; then index, value, sequence, acknowledgement.
    for value in [0, 0, GROUP, LISTEN, 0, 0] {
        word(&mut request, value);
    }
    // Length of what follows, flags.
    request.extend(4_u16.to_ne_bytes());
    request.extend(0_u16.to_ne_bytes());
    word(&mut request, LISTEN);
    request
}

/// Reads what waits.
pub(super) fn read(socket: &OwnedFd) -> Heard {
    let mut buffer = [0_u8; 8192];
    match recv(socket, &mut buffer, RecvFlags::DONTWAIT) {
        Ok((_, length)) => {
            let bytes = buffer.get(..length).unwrap_or_default();
            Heard::Events(decode(bytes))
        }
        Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
        Err(_) => Heard::Lost,
    }
}

/// The events in one datagram; what is not understood is passed over.
fn decode(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(length) = word(bytes, 0) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(message) = bytes.get(..length).filter(|_| length >= HEADER) else {
            break;
        };
        events.extend(event(message.get(HEADER + MESSAGE..).unwrap_or_default()));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    events
}

fn event(bytes: &[u8]) -> Option<Event> {
    const FORK: u32 = 0x1;
    const EXEC: u32 = 0x2;
    const NAME: u32 = 0x200;
    const EXIT: u32 = 0x8000_0000;
    let what = word(bytes, 0)?;
    let data = bytes.get(PREFIX..)?;
    // Thread id, then process id: they are equal in a process's first thread.
    let process = || Some((word(data, 0)?, word(data, 4)?));
    match what {
        FORK => {
            let parent = word(data, 4)?;
            let (thread, child) = (word(data, 8)?, word(data, 12)?);
            (thread == child).then_some(Event::Forked { parent, child })
        }
        EXEC => process().map(|(_, process)| Event::Changed(process)),
        NAME => {
            let (thread, process) = process()?;
            (thread == process).then_some(Event::Changed(process))
        }
        EXIT => {
            let (thread, process) = process()?;
            (thread == process).then_some(Event::Gone(process))
        }
        _ => None,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(words: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let length = HEADER + MESSAGE + words.len() * 4;
        bytes.extend(u32::try_from(length).unwrap().to_ne_bytes());
        bytes.extend([0; HEADER + MESSAGE - 4]);
        for word in words {
            bytes.extend(word.to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn events_of_processes_are_told_and_those_of_threads_are_not() {
        for (words, expected) in [
            (
                [1, 0, 0, 0, 9, 8, 77, 77],
                Some(Event::Forked {
                    parent: 8,
                    child: 77,
                }),
            ),
            ([1, 0, 0, 0, 8, 8, 78, 77], None),
            ([2, 0, 0, 0, 78, 77, 0, 0], Some(Event::Changed(77))),
            ([0x200, 0, 0, 0, 77, 77, 0, 0], Some(Event::Changed(77))),
            ([0x200, 0, 0, 0, 78, 77, 0, 0], None),
            ([0x8000_0000, 0, 0, 0, 77, 77, 0, 0], Some(Event::Gone(77))),
            ([0x8000_0000, 0, 0, 0, 78, 77, 0, 0], None),
            ([0, 0, 0, 0, 0, 0, 0, 0], None),
            ([4, 0, 0, 0, 77, 77, 0, 0], None),
        ] {
            let events = decode(&datagram(&words));
            assert_eq!(events.first().copied(), expected, "{words:?}");
        }
    }

    #[test]
    fn several_messages_and_torn_ones_are_read_as_far_as_they_go() {
        let one = datagram(&[2, 0, 0, 0, 5, 5]);
        let two = [one.clone(), datagram(&[2, 0, 0, 0, 6, 6])].concat();
        assert_eq!(decode(&two), [Event::Changed(5), Event::Changed(6)]);
        for length in 0..one.len() {
            assert!(decode(&one[..length]).is_empty(), "{length}");
        }
        let mut endless = one;
        endless[..4].copy_from_slice(&0_u32.to_ne_bytes());
        assert!(decode(&endless).is_empty());
    }

    #[test]
    fn the_request_is_what_the_kernel_expects() {
        let request = listen_request();
        assert_eq!(request.len(), 40);
        assert_eq!(word(&request, 0), Some(40));
        assert_eq!(word(&request, 36), Some(LISTEN));
    }
}
