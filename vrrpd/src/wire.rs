//! Adverts and gratuitous ARP on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::task::{Context, Poll};

use osys::packet::FrameSender;
use osys::vrrp_socket::{Listen, Receiver, Sender};
use tokio::io::unix::AsyncFd;
use vrrp_proto::Datagram;

/// Packets taken from one socket in one turn. It is more than a default receive
/// buffer holds, so that after a pause all that waits is read before any timer
/// fires, and it is bounded, so that a flood cannot keep timers from firing.
const PACKETS_A_TURN: usize = 512;
/// Longest IPv4 packet.
const LONGEST: usize = 65_535;
/// Receive buffer asked for: some 1,300 adverts as the kernel accounts them.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Where adverts of one or several virtual routers come in and go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    /// The interface, unless the instance names none.
    pub(crate) ifindex: Option<NonZeroU32>,
    /// Group or unicast source address.
    pub(crate) listen: Listen,
}

/// The network as the engine sees it.
pub(crate) trait Wire {
    /// Opens what is needed for the endpoint; nothing happens if it is open.
    fn attach(&mut self, endpoint: Endpoint) -> io::Result<()>;

    /// Closes all endpoints but these.
    fn keep_only(&mut self, endpoints: &BTreeSet<Endpoint>);

    /// Sends one IP packet, header included.
    fn send(&mut self, endpoint: Endpoint, packet: &[u8], to: Ipv4Addr) -> io::Result<()>;

    /// Sends one Ethernet frame.
    fn send_frame(&mut self, ifindex: NonZeroU32, frame: &[u8]) -> io::Result<()>;

    /// Takes what has come in, a bounded number of packets a socket.
    fn poll_packets(&mut self, cx: &mut Context<'_>) -> Poll<Vec<(Endpoint, Datagram)>>;
}

/// [`Wire`] over raw and packet sockets.
#[derive(Debug)]
pub(crate) struct RawWire {
    receivers: BTreeMap<Endpoint, AsyncFd<Receiver>>,
    senders: BTreeMap<Option<NonZeroU32>, Sender>,
    frames: Option<FrameSender>,
    buffer: Vec<u8>,
}

impl RawWire {
    pub(crate) fn new() -> Self {
        Self {
            receivers: BTreeMap::new(),
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
fn registered(receiver: Receiver) -> io::Result<AsyncFd<Receiver>> {
    AsyncFd::with_interest(receiver, tokio::io::Interest::READABLE)
}

impl Wire for RawWire {
    fn attach(&mut self, endpoint: Endpoint) -> io::Result<()> {
        if let std::collections::btree_map::Entry::Vacant(entry) =
            self.senders.entry(endpoint.ifindex)
        {
            entry.insert(Sender::open(endpoint.ifindex)?);
        }
        if let std::collections::btree_map::Entry::Vacant(entry) = self.receivers.entry(endpoint) {
            let receiver = Receiver::open(endpoint.listen, endpoint.ifindex)?;
            // Best effort: a smaller buffer only loses adverts sooner in a flood.
            let _ = receiver.set_buffer(RECEIVE_BUFFER);
            entry.insert(registered(receiver)?);
        }
        Ok(())
    }

    fn keep_only(&mut self, endpoints: &BTreeSet<Endpoint>) {
        self.receivers
            .retain(|endpoint, _| endpoints.contains(endpoint));
        self.senders
            .retain(|index, _| endpoints.iter().any(|kept| kept.ifindex == *index));
    }

    fn send(&mut self, endpoint: Endpoint, packet: &[u8], to: Ipv4Addr) -> io::Result<()> {
        match self.senders.get(&endpoint.ifindex) {
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
            let mut budget = PACKETS_A_TURN;
            while budget > 0 {
                let Poll::Ready(Ok(mut ready)) = socket.poll_read_ready(cx) else {
                    break;
                };
                match ready.try_io(|socket| socket.get_ref().receive(&mut self.buffer)) {
                    // Would have to wait: the next look asks to be woken.
                    Err(_) => {}
                    Ok(Ok(length)) => {
                        budget -= 1;
                        let bytes = self.buffer.get(..length).unwrap_or_default();
                        // The kernel has checked the header; what still does not
                        // decode is nobody's advert.
                        if let Ok(datagram) = Datagram::from_ipv4(bytes) {
                            packets.push((*endpoint, datagram));
                        }
                    }
                    // ENETDOWN and the like are told once; netlink tells the rest.
                    Ok(Err(_)) => budget -= 1,
                }
            }
        }
        if packets.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(packets)
        }
    }
}
