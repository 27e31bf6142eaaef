//! The kernel's answer to one question: what is the interface of that name? rtnetlink(7).
//!
//! Not from `/sys`: that shows the network namespace it was mounted in, and no kind of link.

use std::io;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::Interface;

/// `ENODEV`: there is no such link.
const GONE: i32 = 19;

/// The interface of that name; `None` if there is none.
///
/// # Errors
/// What the socket or the kernel answers.
pub(super) fn find(name: &str) -> io::Result<Option<Interface>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    // Port 0 is the kernel.
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&question(name), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer);
    match answer.map_err(io::Error::other)?.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
            Ok(is_named(&link, name).then(|| interface(&link)))
        }
        NetlinkPayload::Error(error) if error.raw_code() == -GONE => Ok(None),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn question(name: &str) -> Vec<u8> {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetLink(link));
    message.header.flags = NLM_F_REQUEST;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The kernel answers to alternative names as well, which are no names to bind to.
fn is_named(link: &LinkMessage, name: &str) -> bool {
    let mut attributes = link.attributes.iter();
    attributes.any(|attribute| matches!(attribute, LinkAttribute::IfName(known) if known == name))
}

fn interface(link: &LinkMessage) -> Interface {
    let flags = link.header.flags;
    let attributes = link.attributes.iter();
    let infos = attributes.filter_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    Interface {
        loopback: flags.contains(LinkFlags::Loopback),
        multicast: flags.contains(LinkFlags::Multicast),
        private_macvlan: infos.flatten().any(is_private_macvlan),
    }
}

fn is_private_macvlan(info: &LinkInfo) -> bool {
    let LinkInfo::Data(InfoData::MacVlan(attributes)) = info else {
        return false;
    };
    attributes.contains(&InfoMacVlan::Mode(MacVlanMode::Private))
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::InfoKind;

    use super::*;

    fn link(kind: InfoKind, data: InfoData) -> LinkMessage {
        let mut link = LinkMessage::default();
        link.header.flags = LinkFlags::Multicast;
        link.attributes = vec![
            LinkAttribute::IfName("vip".to_owned()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind), LinkInfo::Data(data)]),
        ];
        link
    }

    #[test]
    fn only_macvlans_in_private_mode_are_ours() {
        for (mode, expected) in [(MacVlanMode::Private, true), (MacVlanMode::Bridge, false)] {
            let data = InfoData::MacVlan(vec![InfoMacVlan::Mode(mode)]);
            let found = interface(&link(InfoKind::MacVlan, data));
            assert_eq!(found.private_macvlan, expected, "{mode:?}");
            assert!(found.multicast && !found.loopback);
        }
        let other = link(InfoKind::Veth, InfoData::Other(Vec::new()));
        assert!(!interface(&other).private_macvlan);
        assert!(is_named(&other, "vip") && !is_named(&other, "vi"));
    }

    #[test]
    fn the_kernel_knows_the_loopback_and_no_nonsense() {
        let loopback = find("lo").unwrap().unwrap();
        assert!(loopback.loopback && !loopback.private_macvlan);
        assert_eq!(find("no-such-if").unwrap(), None);
    }
}
