//! Packet sockets (packet(7)): whole Ethernet frames out of an interface.

use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// A socket that sends frames and receives none.
#[derive(Debug)]
pub struct FrameSender {
    socket: OwnedFd,
}

impl FrameSender {
    /// Opens a non-blocking packet socket of protocol 0: it is never handed a frame.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        Ok(Self { socket })
    }

    /// Sends one whole Ethernet frame, header included, out of the interface.
    ///
    /// # Errors
    /// `InvalidInput` for a frame without a whole Ethernet header, `ENXIO` for an
    /// unknown index, `ENETDOWN` when the interface is down, `WouldBlock` when its
    /// queue is full.
    pub fn send(&self, ifindex: NonZeroU32, frame: &[u8]) -> io::Result<()> {
        let (Some(destination), Some(ether_type)) = (frame.get(..6), frame.get(12..14)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut hardware = [0; 8];
        for (to, from) in hardware.iter_mut().zip(destination) {
            *to = *from;
        }
        let protocol = match ether_type {
            [high, low] => u16::from_ne_bytes([*high, *low]),
            _ => 0,
        };
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: protocol,
            sll_ifindex: i32::try_from(ifindex.get())
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: hardware,
        };
        let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: the descriptor is owned and open; the frame pointer and length
        // describe one live slice; the address pointer is to a live, initialised
        // sockaddr_ll and the length is its size; the kernel only reads all of them.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT,
                (&raw const address).cast(),
                length,
            )
        };
        match usize::try_from(sent) {
            Err(_) => Err(io::Error::last_os_error()),
            Ok(sent) if sent == frame.len() => Ok(()),
            Ok(_) => Err(io::Error::other("frame sent in part")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_goes_out_of_the_loopback_and_not_out_of_nowhere() {
        let sender = match FrameSender::open() {
            Ok(sender) => sender,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                return;
            }
        };
        // A local experimental ether type (IEEE 802, 0x88b5) nobody listens to.
        let mut frame = [0_u8; 60];
        frame[12] = 0x88;
        frame[13] = 0xb5;
        let loopback = NonZeroU32::new(1).unwrap();
        sender.send(loopback, &frame).unwrap();
        let nowhere = NonZeroU32::new(0x7fff_fff0).unwrap();
        assert_eq!(
            sender.send(nowhere, &frame).unwrap_err().raw_os_error(),
            Some(libc::ENXIO)
        );
        assert_eq!(
            sender.send(loopback, &frame[..13]).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
