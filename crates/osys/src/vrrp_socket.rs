//! Raw sockets for protocol 112, IPv4 and IPv6: one kind that receives, one that
//! sends.
//!
//! Both need `CAP_NET_RAW`. All calls here have safe wrappers in socket2 and nix;
//! this module only fixes the order and the options that VRRP needs.

use std::collections::BTreeSet;
use std::io::{self, IoSlice, IoSliceMut, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};

use crate::vrrp_filter;

/// `IPPROTO_VRRP` (RFC 3768, 5.2.4).
const PROTOCOL: i32 = 112;
/// `TC_PRIO_CONTROL` of linux/pkt_sched.h: before all other traffic of the host.
const PRIORITY_CONTROL: i32 = 7;
/// `MSG_DONTROUTE | MSG_DONTWAIT` and `MSG_DONTWAIT` of send(2).
const LINK_ONLY: i32 = libc::MSG_DONTROUTE | libc::MSG_DONTWAIT;
const ROUTED: i32 = libc::MSG_DONTWAIT;

/// What a receiving socket listens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listen {
    /// Adverts to a multicast group, joined on the interface.
    Group(IpAddr),
    /// Adverts to one address of this host.
    Address(IpAddr),
}

impl Listen {
    /// The group or the address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        match self {
            Self::Group(address) | Self::Address(address) => address,
        }
    }
}

/// What [`Receiver::receive`] read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A whole IPv4 packet of so many bytes, header included.
    Packet(usize),
    /// An IPv6 packet; the kernel keeps its header.
    Message {
        /// Bytes of payload.
        length: usize,
        /// Who sent it.
        source: Ipv6Addr,
        /// Whom it was sent to.
        destination: Ipv6Addr,
        /// Its hop limit on arrival.
        hop_limit: u8,
    },
}

/// Receives packets of protocol 112.
#[derive(Debug)]
pub struct Receiver {
    socket: Socket,
    v6: bool,
}

impl Receiver {
    /// Opens a non-blocking socket that hears only what `listen` names and, where
    /// an interface index is given, only what came in there.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` for an unknown index,
    /// `EADDRNOTAVAIL` for an address this host does not have.
    pub fn open(listen: Listen, ifindex: Option<NonZeroU32>) -> io::Result<Self> {
        let socket = match listen.address() {
            IpAddr::V4(address) => Self::open_v4(listen, address, ifindex)?,
            IpAddr::V6(address) => Self::open_v6(listen, address, ifindex)?,
        };
        let v6 = listen.address().is_ipv6();
        Ok(Self { socket, v6 })
    }

    fn open_v4(
        listen: Listen,
        address: Ipv4Addr,
        ifindex: Option<NonZeroU32>,
    ) -> io::Result<Socket> {
        let socket = raw(Domain::IPV4, PROTOCOL)?;
        if let Some(index) = ifindex {
            socket.bind_device_by_index_v4(Some(index))?;
        }
        // Without this the socket would hear groups that other sockets joined.
        socket.set_multicast_all_v4(false)?;
        socket.bind(&SocketAddrV4::new(address, 0).into())?;
        if let Listen::Group(_) = listen {
            let interface = ifindex.map_or(
                InterfaceIndexOrAddress::Address(Ipv4Addr::UNSPECIFIED),
                |index| InterfaceIndexOrAddress::Index(index.get()),
            );
            socket.join_multicast_v4_n(&address, &interface)?;
        }
        Ok(socket)
    }

    fn open_v6(
        listen: Listen,
        address: Ipv6Addr,
        ifindex: Option<NonZeroU32>,
    ) -> io::Result<Socket> {
        let socket = raw(Domain::IPV6, PROTOCOL)?;
        let index = ifindex.map_or(0, NonZeroU32::get);
        socket.bind_device_by_index_v6(ifindex)?;
        socket.set_multicast_all_v6(false)?;
        socket.set_recv_hoplimit_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        socket.bind(&SocketAddrV6::new(address, 0, 0, scope_of(address, index)).into())?;
        if let Listen::Group(_) = listen {
            socket.join_multicast_v6(&address, index)?;
        }
        Ok(socket)
    }

    /// Reads one packet; a longer one is cut to the buffer.
    ///
    /// # Errors
    /// `WouldBlock` when none waits; `ENETDOWN` once after the interface went down.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        if self.v6 {
            self.receive_v6(buffer)
        } else {
            (&self.socket).read(buffer).map(Arrival::Packet)
        }
    }

    fn receive_v6(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int);
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrIn6>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let (mut destination, mut hop_limit) = (Ipv6Addr::UNSPECIFIED, 0);
        for part in message.cmsgs()? {
            match part {
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    destination = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                }
                ControlMessageOwned::Ipv6HopLimit(limit) => {
                    hop_limit = u8::try_from(limit).unwrap_or(0);
                }
                _ => {}
            }
        }
        Ok(Arrival::Message {
            length: message.bytes,
            source: message
                .address
                .map_or(Ipv6Addr::UNSPECIFIED, |address| address.ip()),
            destination,
            hop_limit,
        })
    }

    /// Asks for a receive buffer of that many bytes. Without `CAP_NET_ADMIN` the
    /// kernel gives no more than `net.core.rmem_max`.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_buffer(&self, bytes: usize) -> io::Result<()> {
        match setsockopt(&self.socket, sockopt::RcvBufForce, &bytes) {
            Ok(()) => Ok(()),
            Err(_) => self.socket.set_recv_buffer_size(bytes),
        }
    }

    /// From now on the kernel hands in only packets of these virtual routers, and
    /// drops all others, and those too short to name one, before they are queued.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn hear_only(&self, vrids: &BTreeSet<u8>) -> io::Result<()> {
        self.socket
            .attach_filter(&vrrp_filter::keep(self.v6, vrids))
    }

    /// Takes every packet of the protocol again.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn hear_all(&self) -> io::Result<()> {
        self.socket.attach_filter(&vrrp_filter::ALL)
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Receiver {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.socket.as_raw_fd()
    }
}

/// Sends whole IP packets whose header the caller wrote (`IP_HDRINCL`).
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    /// For IPv6, 0 if it has none.
    ifindex: u32,
}

impl Sender {
    /// Opens a non-blocking socket that receives nothing, for IPv4. With an
    /// interface index all it sends leaves there.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` for an unknown index.
    pub fn open(ifindex: Option<NonZeroU32>) -> io::Result<Self> {
        // The kernel gives every raw socket a copy of each packet of its protocol;
        // no packet is of this one, and the header says what is sent (raw(7)).
        let socket = raw(Domain::IPV4, libc::IPPROTO_RAW)?;
        socket.set_header_included_v4(true)?;
        if let Some(index) = ifindex {
            socket.bind_device_by_index_v4(Some(index))?;
            setsockopt_multicast_interface(&socket, index)?;
        }
        // Our own adverts do not come back.
        socket.set_multicast_loop_v4(false)?;
        // Above 6 it takes CAP_NET_ADMIN, without which adverts queue with the rest.
        let _ = setsockopt(&socket, sockopt::Priority, &PRIORITY_CONTROL);
        Ok(Self { socket, ifindex: 0 })
    }

    /// The same for IPv6.
    ///
    /// # Errors
    /// As [`Sender::open`].
    pub fn open_v6(ifindex: Option<NonZeroU32>) -> io::Result<Self> {
        // The header is the caller's on a socket of this protocol (ipv6(7)).
        let socket = raw(Domain::IPV6, libc::IPPROTO_RAW)?;
        if let Some(index) = ifindex {
            socket.bind_device_by_index_v6(Some(index))?;
            socket.set_multicast_if_v6(index.get())?;
        }
        socket.set_multicast_loop_v6(false)?;
        // A virtual interface has none of the addresses that adverts come from, and at first none
        // at all.
        socket.set_freebind_v6(true)?;
        let _ = setsockopt(&socket, sockopt::Priority, &PRIORITY_CONTROL);
        let ifindex = ifindex.map_or(0, NonZeroU32::get);
        Ok(Self { socket, ifindex })
    }

    /// Sends one packet. The kernel fills in the checksum of an IPv4 header
    /// (raw(7)); a multicast packet never leaves the link (`MSG_DONTROUTE`). An
    /// IPv6 destination on the link goes out of the socket's interface.
    ///
    /// # Errors
    /// `WouldBlock` when the interface's queue is full; `ENETUNREACH`, `ENETDOWN`,
    /// `EPERM` (a firewall) and the others of send(2).
    pub fn send(&self, packet: &[u8], destination: IpAddr) -> io::Result<()> {
        let flags = if destination.is_multicast() {
            LINK_ONLY
        } else {
            ROUTED
        };
        let sent = match destination {
            IpAddr::V4(address) => {
                let to: SockAddr = SocketAddrV4::new(address, 0).into();
                self.socket.send_to_with_flags(packet, &to, flags)?
            }
            IpAddr::V6(address) => self.send_v6(packet, address, flags)?,
        };
        if sent == packet.len() {
            Ok(())
        } else {
            Err(io::Error::other("packet sent in part"))
        }
    }
}

impl Sender {
    /// Says the header's source to the kernel, which otherwise looks for an address of the
    /// interface before it looks at the packet, and sends nothing if there is none.
    fn send_v6(&self, packet: &[u8], address: Ipv6Addr, flags: i32) -> io::Result<usize> {
        let to = SockaddrIn6::from(SocketAddrV6::new(address, 0, 0, 0));
        let source = packet
            .get(8..24)
            .and_then(|it| <[u8; 16]>::try_from(it).ok());
        let info = source
            .filter(|_| self.ifindex != 0)
            .map(|source| libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: source },
                ipi6_ifindex: self.ifindex,
            });
        let control: Vec<ControlMessage<'_>> =
            info.iter().map(ControlMessage::Ipv6PacketInfo).collect();
        let flags = MsgFlags::from_bits_truncate(flags);
        let data = [IoSlice::new(packet)];
        Ok(sendmsg(
            self.socket.as_raw_fd(),
            &data,
            &control,
            flags,
            Some(&to),
        )?)
    }
}

/// Addresses of a link mean nothing without the link.
fn scope_of(address: Ipv6Addr, index: u32) -> u32 {
    if address.is_unicast_link_local() || address.is_multicast() {
        index
    } else {
        0
    }
}

fn raw(domain: Domain, protocol: i32) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(protocol)))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// `IP_MULTICAST_IF` by index: socket2 knows it by address only.
fn setsockopt_multicast_interface(socket: &Socket, index: NonZeroU32) -> io::Result<()> {
    let request = libc::ip_mreqn {
        imr_multiaddr: libc::in_addr { s_addr: 0 },
        imr_address: libc::in_addr { s_addr: 0 },
        imr_ifindex: i32::try_from(index.get())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
    };
    let length = libc::socklen_t::try_from(size_of::<libc::ip_mreqn>())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the descriptor is open for the whole call; the pointer is to a live,
    // initialised ip_mreqn and the length is its size; the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MULTICAST_IF,
            (&raw const request).cast(),
            length,
        )
    };
    crate::check(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    const LOOPBACK_INDEX: NonZeroU32 = NonZeroU32::new(1).unwrap();

    /// Where the test may not open raw sockets the answer must be exactly that.
    fn permitted<T>(result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
                None
            }
        }
    }

    /// An IP header and a payload that starts with `mark`, a group of documentation
    /// bytes no router sends.
    fn packet(source: Ipv4Addr, destination: Ipv4Addr, mark: u8) -> Vec<u8> {
        let mut bytes = vec![
            0x45, 0xc0, 0, 28, 0, 1, 0, 0, 255, 112, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        bytes.splice(12..16, source.octets());
        bytes.splice(16..20, destination.octets());
        bytes.extend_from_slice(&[mark; 8]);
        bytes
    }

    fn receive_marked(receiver: &Receiver, mark: u8) -> Option<Vec<u8>> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut buffer = [0; 256];
        while Instant::now() < deadline {
            match receiver.receive(&mut buffer) {
                Ok(Arrival::Message { .. }) => {}
                Ok(Arrival::Packet(length)) => {
                    let got = buffer.get(..length).unwrap_or_default();
                    if got.ends_with(&[mark; 8]) {
                        return Some(got.to_vec());
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    std::thread::yield_now();
                }
            }
        }
        None
    }

    #[test]
    fn a_sent_packet_arrives_whole_with_the_checksum_the_kernel_made() {
        let address = Ipv4Addr::new(127, 0, 0, 77);
        let Some(receiver) = permitted(Receiver::open(
            Listen::Address(address.into()),
            Some(LOOPBACK_INDEX),
        )) else {
            return;
        };
        receiver.set_buffer(1 << 18).unwrap();
        let sender = Sender::open(Some(LOOPBACK_INDEX)).unwrap();
        let sent = packet(Ipv4Addr::LOCALHOST, address, 0xa7);
        sender.send(&sent, address.into()).unwrap();
        let got = receive_marked(&receiver, 0xa7).unwrap();
        assert_eq!(got.len(), sent.len());
        assert_eq!(got.get(..10), sent.get(..10));
        assert_ne!(got.get(10..12), Some([0, 0].as_slice()));
        // All sockets have theirs by now, and the sender's is no copy.
        let waiting = sender.socket.peek(&mut [std::mem::MaybeUninit::uninit()]);
        assert_eq!(
            waiting.unwrap_err().kind(),
            io::ErrorKind::WouldBlock,
            "a packet is queued where nobody reads"
        );
    }

    #[test]
    fn a_group_is_joined_on_the_interface_asked_for() {
        let group = Ipv4Addr::new(224, 0, 0, 18);
        let Some(_receiver) = permitted(Receiver::open(
            Listen::Group(group.into()),
            Some(LOOPBACK_INDEX),
        )) else {
            return;
        };
        // /proc/net/igmp names the group in host order under the interface's line.
        let groups = std::fs::read_to_string("/proc/net/igmp").unwrap();
        let loopback = groups
            .split("\n1\t")
            .nth(1)
            .and_then(|rest| rest.split("\n2\t").next())
            .unwrap();
        assert!(loopback.contains("120000E0"), "{groups}");
    }

    #[test]
    fn an_address_of_somebody_else_cannot_be_listened_on() {
        let result = Receiver::open(Listen::Address(Ipv4Addr::new(192, 0, 2, 9).into()), None);
        let error = result.err().map(|error| error.kind());
        assert!(
            matches!(
                error,
                Some(io::ErrorKind::AddrNotAvailable | io::ErrorKind::PermissionDenied)
            ),
            "{error:?}"
        );
    }

    #[test]
    fn an_ipv6_packet_arrives_with_what_its_header_said() {
        let address = Ipv6Addr::LOCALHOST;
        let listen = Listen::Address(address.into());
        let Some(receiver) = permitted(Receiver::open(listen, Some(LOOPBACK_INDEX))) else {
            return;
        };
        let sender = Sender::open_v6(Some(LOOPBACK_INDEX)).unwrap();
        let mark = [0xb8; 8];
        // The filter looks at the payload.
        receiver.hear_only(&[0xb8].into()).unwrap();
        let mut packet = vec![0x6c, 0, 0, 0, 0, 8, 112, 254];
        packet.extend(Ipv6Addr::LOCALHOST.octets());
        packet.extend(address.octets());
        packet.extend(mark);
        sender.send(&packet, address.into()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut buffer = [0; 256];
        while Instant::now() < deadline {
            let Ok(arrival) = receiver.receive(&mut buffer) else {
                std::thread::yield_now();
                continue;
            };
            if buffer.starts_with(&mark) {
                assert_eq!(
                    arrival,
                    Arrival::Message {
                        length: 8,
                        source: Ipv6Addr::LOCALHOST,
                        destination: address,
                        hop_limit: 254,
                    }
                );
                return;
            }
        }
        panic!("the packet did not arrive");
    }
}
