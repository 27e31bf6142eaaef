//! The socket that hears of changes, and the translation of netlink messages.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll};

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags as WireFlags, AddressHeaderFlags, AddressMessage,
};
use netlink_packet_route::link::{
    InfoData, InfoVrf, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, SocketAddr, TokioSocket};

use crate::kernel::{Event, Origin};
use crate::model::{Address, AddressKey, Link, Scope};
use crate::refresh::Refresher;

/// `RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR` of rtnetlink(7).
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// `RTNLGRP_IPV4_ROUTE`, `_RULE`, `RTNLGRP_IPV6_ROUTE`, `_RULE` of rtnetlink(7).
const ROUTING_GROUPS: [u32; 4] = [7, 8, 11, 19];
/// `RTM_NEWROUTE` and `RTM_NEWRULE`: nobody asks what comes, and on a router much does.
const UNASKED: [u16; 2] = [24, 32];
/// Room for a burst of changes, so that a full re-read is the rare case.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Datagrams read before one request is carried out.
const TAKE_LIMIT: usize = 64;
/// More datagrams than fit into the receive buffer.
const DISCARD_LIMIT: usize = 20_000;
/// `ENOBUFS`, errno(3).
const ENOBUFS: i32 = 105;
/// Lifetime that means for ever, `INFINITY_LIFE_TIME` of the kernel.
pub(crate) const FOREVER: u32 = u32::MAX;

/// One thing heard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A change, and the netlink port on whose request it happened (0: nobody's).
    Change(Event, u32),
    /// A route is gone.
    RouteGone(Box<RouteMessage>),
    /// A rule is gone.
    RuleGone(Box<RuleMessage>),
    /// The kernel dropped messages because the socket buffer was full.
    Lost,
}

/// The multicast socket.
pub(crate) struct Watch {
    socket: TokioSocket,
}

impl Watch {
    /// One that does not hear of what is asked for through `refresher`.
    pub(crate) fn open(refresher: &Refresher) -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        // Best effort: the default size only makes re-reads more frequent.
        let _ = socket.socket_ref().set_rx_buf_sz(RECEIVE_BUFFER);
        socket.socket_mut().bind(&SocketAddr::new(0, GROUPS))?;
        // Best effort: what it hears without it is dropped later.
        let _ = refresher.silence(socket.socket_ref());
        Ok(Self { socket })
    }

    /// Hears of routes and rules too, from now on: not before somebody wants it, since a
    /// host may have a million of them.
    ///
    /// # Errors
    /// What the kernel answers.
    pub(crate) fn hear_routing(&self) -> io::Result<()> {
        let socket = self.socket.socket_ref();
        ROUTING_GROUPS
            .iter()
            .try_for_each(|group| socket.add_membership(*group))
    }

    /// Waits for the next datagram and translates it.
    ///
    /// # Errors
    /// When the socket is broken; lost messages are no error.
    pub(crate) async fn next(&mut self) -> io::Result<Vec<Heard>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Takes what waits in the socket, without waiting for more.
    pub(crate) async fn take_waiting(&mut self) -> Vec<Vec<Heard>> {
        poll_fn(|cx| {
            let mut taken = Vec::new();
            while taken.len() < TAKE_LIMIT
                && let Poll::Ready(Ok(heard)) = self.poll_next(cx)
            {
                taken.push(heard);
            }
            Poll::Ready(taken)
        })
        .await
    }

    /// Throws away what has been received and not been read. All of it: once the buffer has
    /// overflowed the kernel keeps further messages to itself, without a word, until it has
    /// been emptied. So nothing may come between, such as the runtime's fairness.
    pub(crate) async fn discard_waiting(&mut self) {
        let discard = poll_fn(|cx| {
            for _ in 0..DISCARD_LIMIT {
                if !matches!(self.poll_next(cx), Poll::Ready(Ok(_))) {
                    break;
                }
            }
            Poll::Ready(())
        });
        tokio::task::unconstrained(discard).await;
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<Heard>>> {
        match self.socket.poll_recv_from_full(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok((datagram, sender))) => Poll::Ready(Ok(
                // Anybody may send to a netlink socket; only the kernel has port 0.
                if sender.port_number() == 0 {
                    translate(&datagram)
                } else {
                    Vec::new()
                },
            )),
            Poll::Ready(Err(error)) if error.raw_os_error() == Some(ENOBUFS) => {
                Poll::Ready(Ok(vec![Heard::Lost]))
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                Poll::Ready(Ok(Vec::new()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }
}

/// Translates every message of one datagram. A message that cannot be read is
/// answered like a lost one: the state is read anew.
fn translate(mut datagram: &[u8]) -> Vec<Heard> {
    let mut heard = Vec::new();
    while datagram.len() >= 16 {
        if let Some(length) = unasked(datagram) {
            datagram = datagram.get(length..).unwrap_or_default();
            continue;
        }
        let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(datagram) else {
            heard.push(Heard::Lost);
            return heard;
        };
        let length = message.header.length as usize;
        let requester = message.header.port_number;
        match message.payload {
            NetlinkPayload::Overrun(_) => heard.push(Heard::Lost),
            NetlinkPayload::InnerMessage(inner) => {
                heard.extend(match inner {
                    RouteNetlinkMessage::DelRoute(route) => Some(Heard::RouteGone(Box::new(route))),
                    RouteNetlinkMessage::DelRule(rule) => Some(Heard::RuleGone(Box::new(rule))),
                    inner => event(inner).map(|event| Heard::Change(event, requester)),
                });
            }
            _ => {}
        }
        // Messages are padded to four bytes (netlink(7)).
        let step = length.next_multiple_of(4).max(16);
        datagram = datagram.get(step..).unwrap_or_default();
    }
    heard
}

/// How long the message is if nobody asks for it: nlmsghdr of netlink(7).
fn unasked(datagram: &[u8]) -> Option<usize> {
    let (length, rest) = datagram.split_first_chunk()?;
    let (kind, _) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
    let whole = (16..=datagram.len()).contains(&length);
    (whole && UNASKED.contains(&u16::from_ne_bytes(*kind))).then(|| length.next_multiple_of(4))
}

fn event(message: RouteNetlinkMessage) -> Option<Event> {
    match message {
        RouteNetlinkMessage::NewLink(message) => link(&message).map(Event::Link),
        // With a family this is a bridge reporting a port that left it.
        RouteNetlinkMessage::DelLink(message)
            if message.header.interface_family == AddressFamily::Unspec =>
        {
            Some(Event::LinkGone {
                index: message.header.index,
            })
        }
        RouteNetlinkMessage::NewAddress(message) => address(&message).map(Event::Address),
        RouteNetlinkMessage::DelAddress(message) => {
            address(&message).map(|address| Event::AddressGone {
                key: address.key,
                origin: Origin::Others,
            })
        }
        _ => None,
    }
}

/// A link out of its message; `None` for what is no link of this host.
pub(crate) fn link(message: &LinkMessage) -> Option<Link> {
    if message.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: Vec::new(),
        mtu: 0,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Running),
        no_arp: flags.contains(LinkFlags::Noarp),
        loopback: flags.contains(LinkFlags::Loopback),
        multicast: flags.contains(LinkFlags::Multicast),
        vrf_table: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(mac) => link.mac.clone_from(mac),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::LinkInfo(infos) => link.vrf_table = infos.iter().find_map(vrf_table),
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

fn vrf_table(info: &LinkInfo) -> Option<u32> {
    let LinkInfo::Data(InfoData::Vrf(attributes)) = info else {
        return None;
    };
    attributes.iter().find_map(|attribute| match attribute {
        InfoVrf::TableId(table) => Some(*table),
        _ => None,
    })
}

/// An address out of its message. `IFA_LOCAL` is the address itself; on IPv6, and
/// only there, it may be absent and `IFA_ADDRESS` takes its place.
pub(crate) fn address(message: &AddressMessage) -> Option<Address> {
    let mut local: Option<IpAddr> = None;
    let mut fallback: Option<IpAddr> = None;
    let mut label = None;
    let mut lifetime = None;
    // The header has the low eight flags, the attribute all of them.
    let mut flags = WireFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => fallback = Some(*address),
            AddressAttribute::Label(text) => label = Some(text.clone()),
            AddressAttribute::Flags(all) => flags = *all,
            AddressAttribute::CacheInfo(info) if info.ifa_valid != FOREVER => {
                lifetime = Some(info.ifa_valid);
            }
            _ => {}
        }
    }
    let has = |flag: AddressHeaderFlags| flags.bits() & u32::from(flag.bits()) != 0;
    Some(Address {
        key: AddressKey {
            ifindex: message.header.index,
            addr: local.or(fallback)?,
            prefix: message.header.prefix_len,
        },
        scope: Scope(message.header.scope.into()),
        label,
        secondary: has(AddressHeaderFlags::Secondary),
        tentative: has(AddressHeaderFlags::Tentative),
        dad_failed: has(AddressHeaderFlags::Dadfailed),
        lifetime,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // RTM_NEWADDR as the kernel sends it: index 7, 10.0.254.253/16, label v0,
    // valid for 3 s, requested by port 0x1234.
    fn new_address() -> Vec<u8> {
        vec![
            76, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0x34, 0x12, 0, 0, // nlmsghdr
            2, 16, 0, 0, 7, 0, 0, 0, // ifaddrmsg
            8, 0, 1, 0, 10, 0, 254, 253, // IFA_ADDRESS
            8, 0, 2, 0, 10, 0, 254, 253, // IFA_LOCAL
            7, 0, 3, 0, b'v', b'0', 0, 0, // IFA_LABEL
            8, 0, 8, 0, 0, 0, 0, 0, // IFA_FLAGS
            20, 0, 6, 0, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, // IFA_CACHEINFO
        ]
    }

    #[test]
    fn an_address_message_is_read_whole() {
        let bytes = new_address();
        let heard = translate(&bytes);
        let [Heard::Change(Event::Address(address), 0x1234)] = heard.as_slice() else {
            panic!("heard {heard:?}");
        };
        assert_eq!(
            (address.key.ifindex, address.key.prefix, address.lifetime),
            (7, 16, Some(3))
        );
        assert_eq!(address.key.addr, IpAddr::from([10, 0, 254, 253]));
        assert_eq!(address.label.as_deref(), Some("v0"));
    }

    #[test]
    fn what_cannot_be_read_counts_as_lost() {
        let mut bytes = new_address();
        // The length says more than there is.
        bytes[0] = 200;
        assert_eq!(translate(&bytes), [Heard::Lost]);
        assert_eq!(translate(&[0; 15]), []);
    }
}
