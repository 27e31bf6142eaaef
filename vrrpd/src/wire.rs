//! Adverts and gratuitous ARP on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::task::{Context, Poll};

use osys::packet::FrameSender;
use osys::vrrp_socket::{Arrival, Listen, Receiver, Sender};
use tokio::io::unix::AsyncFd;
use vrrp_proto::Datagram;

/// Packets taken from one socket in one turn. It is more than the receive buffer
/// holds (4 MiB as the kernel counts, at least 768 bytes a packet), so that after a
/// pause all that waits is read before any timer fires, and it is bounded, so that a
/// flood cannot keep timers from firing.
const PACKETS_A_TURN: usize = 8192;
/// Errors of one socket in one turn after which it is left alone until the next
/// turn: the kernel tells each once, so that more of them mean a dead socket.
const ERRORS_A_TURN: usize = 8;
/// Longest IPv4 packet.
const LONGEST: usize = 65_535;
/// Receive buffer asked for: some 5,000 adverts as the kernel accounts them, a tenth of
/// a second of a flood of 50,000 packets a second.
const RECEIVE_BUFFER: usize = 1 << 21;

/// Where adverts of one or several virtual routers come in and go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    /// The interface, unless the instance names none.
    pub(crate) ifindex: Option<NonZeroU32>,
    /// Group or unicast source address.
    pub(crate) listen: Listen,
}

impl Endpoint {
    /// Endpoints of one interface and family send through one socket.
    const fn sender(&self) -> (Option<NonZeroU32>, bool) {
        (self.ifindex, self.listen.address().is_ipv6())
    }
}

/// The virtual routers that an endpoint has packets for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Audience {
    /// These ids.
    Only(BTreeSet<u8>),
    /// Whatever comes in, so that it can be told.
    Everything,
}

/// The network as the engine sees it.
pub(crate) trait Wire {
    /// Opens what is needed for the endpoint; nothing happens if it is open.
    fn attach(&mut self, endpoint: Endpoint) -> io::Result<()>;

    /// Closes all endpoints but these, which hear only the virtual routers named.
    fn keep_only(&mut self, endpoints: &BTreeMap<Endpoint, Audience>);

    /// Sends one IP packet, header included.
    fn send(&mut self, endpoint: Endpoint, packet: &[u8], to: IpAddr) -> io::Result<()>;

    /// Sends one Ethernet frame.
    fn send_frame(&mut self, ifindex: NonZeroU32, frame: &[u8]) -> io::Result<()>;

    /// Takes what has come in, a bounded number of packets a socket.
    fn poll_packets(&mut self, cx: &mut Context<'_>) -> Poll<Vec<(Endpoint, Datagram)>>;
}

/// [`Wire`] over raw and packet sockets.
#[derive(Debug)]
pub(crate) struct RawWire {
    receivers: BTreeMap<Endpoint, AsyncFd<Receiver>>,
    /// What each of them was told to hear.
    audiences: BTreeMap<Endpoint, Audience>,
    /// By interface and whether they are IPv6's.
    senders: BTreeMap<(Option<NonZeroU32>, bool), Sender>,
    frames: Option<FrameSender>,
    buffer: Vec<u8>,
}

impl RawWire {
    pub(crate) fn new() -> Self {
        Self {
            receivers: BTreeMap::new(),
            audiences: BTreeMap::new(),
            senders: BTreeMap::new(),
            frames: None,
            buffer: vec![0; LONGEST],
        }
    }
}

#[expect(
    deprecated,
    reason = "tokio's new name is unsafe because a type could change its descriptor; a Receiver never does"
)]
fn registered<S: Packets>(receiver: S) -> io::Result<AsyncFd<S>> {
    AsyncFd::with_interest(receiver, tokio::io::Interest::READABLE)
}

impl Wire for RawWire {
    fn attach(&mut self, endpoint: Endpoint) -> io::Result<()> {
        if let std::collections::btree_map::Entry::Vacant(entry) =
            self.senders.entry(endpoint.sender())
        {
            let sender = match endpoint.listen.address() {
                IpAddr::V4(_) => Sender::open(endpoint.ifindex)?,
                IpAddr::V6(_) => Sender::open_v6(endpoint.ifindex)?,
            };
            entry.insert(sender);
        }
        if let std::collections::btree_map::Entry::Vacant(entry) = self.receivers.entry(endpoint) {
            let receiver = Receiver::open(endpoint.listen, endpoint.ifindex)?;
            // Best effort: a smaller buffer only loses adverts sooner in a flood.
            let _ = receiver.set_buffer(RECEIVE_BUFFER);
            entry.insert(registered(receiver)?);
        }
        Ok(())
    }

    fn keep_only(&mut self, endpoints: &BTreeMap<Endpoint, Audience>) {
        self.receivers
            .retain(|endpoint, _| endpoints.contains_key(endpoint));
        self.senders
            .retain(|key, _| endpoints.keys().any(|kept| kept.sender() == *key));
        self.audiences
            .retain(|endpoint, _| self.receivers.contains_key(endpoint));
        for (endpoint, receiver) in &self.receivers {
            let Some(audience) = endpoints.get(endpoint) else {
                continue;
            };
            if self.audiences.get(endpoint) != Some(audience) {
                // Best effort: what is not ours is dropped later all the same.
                let _ = match audience {
                    Audience::Only(vrids) => receiver.get_ref().hear_only(vrids),
                    Audience::Everything => receiver.get_ref().hear_all(),
                };
                self.audiences.insert(*endpoint, audience.clone());
            }
        }
    }

    fn send(&mut self, endpoint: Endpoint, packet: &[u8], to: IpAddr) -> io::Result<()> {
        match self.senders.get(&endpoint.sender()) {
            Some(sender) => sender.send(packet, to),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn send_frame(&mut self, ifindex: NonZeroU32, frame: &[u8]) -> io::Result<()> {
        let sender = match &self.frames {
            Some(sender) => sender,
            None => self.frames.insert(FrameSender::open()?),
        };
        sender.send(ifindex, frame)
    }

    fn poll_packets(&mut self, cx: &mut Context<'_>) -> Poll<Vec<(Endpoint, Datagram)>> {
        let mut packets = Vec::new();
        for (endpoint, socket) in &self.receivers {
            drain(
                socket,
                &mut self.buffer,
                PACKETS_A_TURN,
                cx,
                |arrival, bytes| {
                    if let Some(datagram) = datagram(arrival, bytes) {
                        packets.push((*endpoint, datagram));
                    }
                },
            );
        }
        if packets.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(packets)
        }
    }
}

/// What arrived, as the routers want it. The kernel has checked the header; what
/// still does not decode is nobody's advert.
fn datagram(arrival: Arrival, bytes: &[u8]) -> Option<Datagram> {
    match arrival {
        Arrival::Packet(length) => Datagram::from_ipv4(bytes.get(..length)?).ok(),
        Arrival::Message {
            length,
            source,
            destination,
            hop_limit,
        } => Some(Datagram {
            source: source.into(),
            destination: destination.into(),
            ttl: hop_limit,
            header_len: 0,
            payload: bytes.get(..length)?.to_vec(),
        }),
    }
}

/// What gives packets without ever waiting for one.
trait Packets: std::os::fd::AsRawFd {
    /// One packet into the buffer; `WouldBlock` when none waits.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Arrival>;
}

impl Packets for Receiver {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        Self::receive(self, buffer)
    }
}

/// Takes all that waits, at most `budget` packets, and has the task woken for more.
///
/// The socket is asked first and the runtime second: after a pause a timer can be due
/// before the runtime has looked whether the socket is readable. A socket that was
/// seen empty wakes the task when something comes in; one that may hold more wakes it
/// at once, so that the rest is read in the next turn, after the timers.
fn drain<S: Packets>(
    socket: &AsyncFd<S>,
    buffer: &mut [u8],
    budget: usize,
    cx: &mut Context<'_>,
    mut take: impl FnMut(Arrival, &[u8]),
) {
    let mut errors = 0;
    for _ in 0..budget {
        let mut received = socket.get_ref().receive(buffer);
        if is_empty(&received) {
            let Poll::Ready(Ok(mut ready)) = socket.poll_read_ready(cx) else {
                return;
            };
            // Readiness left from before is taken back only by a read that finds
            // nothing; the next look then asks to be woken.
            match ready.try_io(|socket| socket.get_ref().receive(buffer)) {
                Ok(result) => received = result,
                Err(_) => continue,
            }
        }
        match received {
            Ok(arrival) => take(arrival, buffer),
            // ENETDOWN and the like are told once; netlink tells the rest. A socket
            // that only fails is looked at again when the next timer is due.
            Err(_) => errors += 1,
        }
        if errors == ERRORS_A_TURN {
            return;
        }
    }
    cx.waker().wake_by_ref();
}

fn is_empty(received: &io::Result<Arrival>) -> bool {
    matches!(received, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
