//! Lines of `virtual_ipaddress` and `unicast_peer`.

use std::net::{IpAddr, Ipv4Addr};

use vrrp_core::settings::{Address, Peer};

use crate::draft::{AddressDraft, Family};
use crate::number::{signed, unsigned};
use crate::pass::Pass;
use crate::text::Line;

use super::Handled;
use super::instance::{current, name};
use super::iproute::track_group;

/// A line of `virtual_ipaddress`.
pub(super) fn advertised(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let Some(draft) = read(pass, line, false)? else {
        return Ok(());
    };
    let family = Family::of(draft.address.address);
    let first = line
        .words
        .first()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    let Some(instance) = current(pass) else {
        return Ok(());
    };
    if *instance.family.get_or_insert(family) == family {
        instance.addresses.push(draft);
    } else {
        let name = name(pass);
        pass.complain(format!(
            "({name}): address family must match VRRP instance [{first}] - ignoring"
        ));
    }
    Ok(())
}

/// A line of `virtual_ipaddress_excluded`; families may be mixed there.
pub(super) fn excluded(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let draft = read(pass, line, false)?;
    if let Some(instance) = current(pass) {
        instance.excluded.extend(draft);
    }
    Ok(())
}

/// A line of `static_ipaddress`.
pub(super) fn fixed(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let draft = read(pass, line, true)?;
    let Some(draft) = draft else { return Ok(()) };
    let default = &pass.draft.global.default_interface;
    if draft.device.is_none() && pass.env.interface(default).is_none() {
        let text = pass.text(line, 0)?;
        pass.draft.missing_interface = true;
        pass.draft.homeless_address = true;
        pass.complain(format!(
            "Static address {text} requires either an interface or default interface must exist"
        ));
        return Ok(());
    }
    pass.draft.static_addresses.push(draft);
    Ok(())
}

/// `ADDRESS[/PREFIX]`; the prefix of a host unless it is given.
pub(super) fn address_and_prefix(pass: &mut Pass<'_>, text: &str) -> Option<(IpAddr, u8, bool)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        pass.complain(format!("VRRP parsed invalid IP {text}. skipping IP..."));
        return None;
    };
    let host: u8 = if address.is_ipv4() { 32 } else { 128 };
    let length = match prefix {
        None => host,
        Some(prefix) => match pass.number(unsigned(prefix, 0, host.into())) {
            Some(length) => u8::try_from(length).unwrap_or(host),
            None => {
                pass.complain(format!(
                    "Invalid address prefix len {prefix} for address {text} - using {host}"
                ));
                host
            }
        },
    };
    Some((address, length, prefix.is_some()))
}

/// `brd`: nothing, all host bits set, or an address.
enum Broadcast {
    None,
    HostBitsSet,
    HostBitsClear,
    Address(Ipv4Addr),
}

fn read(
    pass: &mut Pass<'_>,
    line: &Line,
    fixed: bool,
) -> Result<Option<AddressDraft>, crate::pass::Fatal> {
    let text = pass.text(line, 0)?;
    let Some((address, prefix, prefix_given)) = address_and_prefix(pass, &text) else {
        return Ok(None);
    };
    let mut draft = AddressDraft {
        address: Address::new(address, prefix, ""),
        device: None,
        use_vmac: false,
        track_group: None,
    };
    if address.is_ipv6() && prefix == 128 {
        draft.address.preferred_lifetime = Some(0);
    }
    let mut broadcast = Broadcast::None;
    let mut words = line.rest(1).iter();
    while let Some(word) = words.next() {
        pass.focus = Some(word.span);
        let keyword = word.text();
        let flags = &mut draft.address.flags;
        match keyword.as_ref() {
            "home" => flags.home = true,
            "-nodad" => flags.no_dad = true,
            "mngtmpaddr" => flags.manage_temporary = true,
            "noprefixroute" => flags.no_prefix_route = true,
            "autojoin" => flags.autojoin = true,
            "no_track" => flags.no_track = true,
            "use_vmac" if !fixed => draft.use_vmac = true,
            "track_group" if fixed => {
                let Some(value) = words.next() else {
                    pass.complain(format!("No track_group parameter specified for {text}"));
                    return Ok(Some(draft));
                };
                let earlier = draft.track_group.as_ref();
                draft.track_group = track_group(pass, &value.text(), earlier);
            }
            "peer" if draft.address.peer.is_some() => {
                let other = words
                    .clone()
                    .next()
                    .map(|word| word.text().into_owned())
                    .unwrap_or_default();
                pass.complain(format!(
                    "Peer {other} - another peer has already been specified"
                ));
            }
            option @ ("dev" | "scope" | "label" | "peer" | "brd" | "broadcast"
            | "preferred_lft") => {
                let Some(value) = words.next() else {
                    pass.complain(format!("No {option} parameter specified for {text}"));
                    return Ok(Some(draft));
                };
                pass.focus = Some(value.span);
                let value = value.text();
                if option == "brd" || option == "broadcast" {
                    let Some(read) = read_broadcast(pass, &text, option, &value, address) else {
                        return Ok(None);
                    };
                    broadcast = read;
                } else if !take_option(pass, &mut draft, &text, option, &value, prefix_given) {
                    return Ok(None);
                }
            }
            _ => pass.complain(format!(
                "Unknown configuration entry '{keyword}' for ip address - ignoring"
            )),
        }
    }
    apply_broadcast(pass, &mut draft, &broadcast);
    Ok(Some(draft))
}

/// One option with a value; `false` if the address cannot be used.
fn take_option(
    pass: &mut Pass<'_>,
    draft: &mut AddressDraft,
    text: &str,
    option: &str,
    value: &str,
    prefix_given: bool,
) -> bool {
    const MAX_LABEL: usize = 15;
    let is_ipv6 = draft.address.address.is_ipv6();
    match option {
        "dev" => {
            if draft.device.is_some() {
                pass.complain(format!(
                    "Cannot specify ipaddress device more than once for {text}"
                ));
            } else {
                if pass.env.interface(value).is_none() && !pass.draft.global.dynamic_interfaces {
                    pass.complain(format!(
                        "WARNING - interface {value} for ip address {text} doesn't exist"
                    ));
                    pass.draft.missing_interface = true;
                }
                draft.device = Some(value.to_owned());
            }
        }
        "scope" if is_ipv6 => {
            pass.complain(format!(
                "Cannot specify scope for IPv6 addresses ({text}) - ignoring scope"
            ));
        }
        "scope" => match scope(value) {
            Some(scope) => draft.address.scope = scope,
            None => pass.complain(format!(
                "Invalid scope '{value}' specified for {text} - ignoring"
            )),
        },
        "label" if value.len() > MAX_LABEL => {
            pass.complain(format!(
                "Address label {value} is longer than maximum length {MAX_LABEL} - removing address"
            ));
            return false;
        }
        "label" if is_ipv6 => {
            pass.complain(format!(
                "Cannot specify label for IPv6 addresses ({text}) - ignoring label"
            ));
        }
        "label" => draft.address.label = Some(value.to_owned()),
        // With a peer that is wrong the address is set without one.
        "peer" => take_peer(pass, draft, value, prefix_given),
        _ => match value {
            "forever" => draft.address.preferred_lifetime = None,
            _ => match pass.number(unsigned(value, 0, u32::MAX)) {
                Some(seconds) => draft.address.preferred_lifetime = Some(seconds),
                None => pass.complain(format!("preferred_lft {value} is invalid")),
            },
        },
    }
    true
}

fn take_peer(pass: &mut Pass<'_>, draft: &mut AddressDraft, value: &str, prefix_given: bool) {
    // An address with a prefix of its own may name its peer without one, and the other way round.
    let Ok(peer) = value.parse::<IpAddr>() else {
        pass.complain(format!("VRRP parsed invalid IP {value}. skipping IP..."));
        pass.complain(format!("Invalid peer address {value}"));
        return;
    };
    if Family::of(peer) != Family::of(draft.address.address) {
        pass.complain(format!(
            "Peer address {value} does not match address family"
        ));
        return;
    }
    if prefix_given {
        pass.complain("Cannot specify address prefix when specifying peer address - ignoring");
    }
    let host = if peer.is_ipv4() { 32 } else { 128 };
    draft.address.peer = Some((peer, host));
    draft.address.prefix = host;
}

/// Names and numbers of /etc/iproute2/rt_scopes that the kernel knows.
pub(super) fn scope(value: &str) -> Option<u8> {
    match value {
        "global" => Some(0),
        "site" => Some(200),
        "link" => Some(253),
        "host" => Some(254),
        "nowhere" => Some(255),
        _ => match value.strip_prefix("0x") {
            Some(digits) => u8::from_str_radix(digits, 16).ok(),
            None => value.parse().ok(),
        },
    }
}

fn read_broadcast(
    pass: &mut Pass<'_>,
    text: &str,
    option: &str,
    value: &str,
    address: IpAddr,
) -> Option<Broadcast> {
    if address.is_ipv6() {
        pass.complain(format!(
            "VRRP is trying to assign a broadcast {option} to the IPv6 address {text} !!?? WTF... skipping VIP..."
        ));
        return None;
    }
    match value {
        "+" => Some(Broadcast::HostBitsSet),
        "-" => Some(Broadcast::HostBitsClear),
        _ => match value.parse() {
            Ok(broadcast) => Some(Broadcast::Address(broadcast)),
            Err(_) => {
                pass.complain(format!(
                    "VRRP is trying to assign invalid broadcast {value}. skipping VIP..."
                ));
                None
            }
        },
    }
}

fn apply_broadcast(pass: &mut Pass<'_>, draft: &mut AddressDraft, broadcast: &Broadcast) {
    let IpAddr::V4(address) = draft.address.address else {
        return;
    };
    let prefix = draft.address.prefix;
    if draft.address.peer.is_some() {
        if !matches!(broadcast, Broadcast::None) {
            pass.complain(
                "Cannot specify broadcast and peer addresses - ignoring broadcast address",
            );
        }
        return;
    }
    if prefix > 30 && matches!(broadcast, Broadcast::HostBitsSet | Broadcast::HostBitsClear) {
        pass.complain(format!(
            "Address prefix length {prefix} too long for broadcast"
        ));
        return;
    }
    let host_bits = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    let bits = u32::from(address);
    draft.address.broadcast = match broadcast {
        Broadcast::None => None,
        Broadcast::HostBitsSet => Some(Ipv4Addr::from(bits | host_bits)),
        Broadcast::HostBitsClear => Some(Ipv4Addr::from(bits & !host_bits)),
        Broadcast::Address(broadcast) => Some(*broadcast),
    };
}

/// An address where a prefix may stand and says nothing.
pub(super) fn host(text: &str) -> &str {
    text.split('/').next().unwrap_or_default()
}

/// A line of `unicast_peer`.
pub(super) fn peer(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 0)?;
    let name = name(pass);
    let Ok(address) = host(&text).parse::<IpAddr>() else {
        pass.complain(format!(
            "Configuration error: VRRP instance[{name}] malformed unicast peer address[{text}]. Skipping..."
        ));
        return Ok(());
    };
    let family = Family::of(address);
    let Some(instance) = current(pass) else {
        return Ok(());
    };
    if *instance.family.get_or_insert(family) != family {
        pass.complain(format!(
            "Configuration error: VRRP instance[{name}] and unicast peer address[{text}] MUST be of the same family !!! Skipping..."
        ));
        return Ok(());
    }
    let mut peer = Peer::new(address);
    let mut limited = false;
    let mut words = line.rest(1).iter();
    while let Some(word) = words.next() {
        pass.focus = Some(word.span);
        let option = word.text();
        let Some(value) = words.next() else {
            pass.complain(format!("({name}) {option} is missing a value"));
            break;
        };
        pass.focus = Some(value.span);
        match option.as_ref() {
            "min_ttl" | "max_ttl" => {
                if let Some(limit) = pass.number(unsigned(&value.text(), 0, 255)) {
                    let limit = u8::try_from(limit).unwrap_or(u8::MAX);
                    limited = true;
                    if option == "min_ttl" {
                        peer.min_ttl = limit;
                    } else {
                        peer.max_ttl = limit;
                    }
                }
            }
            _ => pass.complain(format!("({name}) unknown unicast_peer option {option}")),
        }
    }
    if peer.min_ttl > peer.max_ttl {
        pass.complain(format!(
            "({name}) min_ttl {} > max_ttl {} - all packets will be discarded",
            peer.min_ttl, peer.max_ttl
        ));
    }
    if let Some(instance) = current(pass) {
        instance.peers.push(peer);
        if limited {
            instance.check_source = Some(true);
        }
    }
    Ok(())
}

/// The end of `unicast_peer`.
pub(super) fn close_peers(pass: &mut Pass<'_>, _: usize) {
    if let Some(instance) = current(pass) {
        instance.unicast = true;
    }
}

/// A signed number of a tracker's weight.
pub(super) fn tracker_weight(text: &str) -> Result<i32, crate::number::Faulty<i32>> {
    signed(text, -254, 254)
}
