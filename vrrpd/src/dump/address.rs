//! A virtual address on one line.

use std::fmt::Write as _;
use std::net::IpAddr;

use vrrp_core::settings::Address;

/// Of a virtual interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct Below<'a> {
    /// The interface below.
    pub(super) interface: &'a str,
    /// Whether it is there for addresses alone.
    pub(super) own: bool,
}

/// `10.0.0.100/24 brd 10.0.0.255 dev eth0 scope global label eth0:vip set`; `below`
/// says what the virtual interface it is on is made of.
pub(super) fn text(address: &Address, below: Option<Below<'_>>, set: bool) -> String {
    let mut out = address.address.to_string();
    // Writing to a string cannot fail.
    match address.peer {
        Some((peer, prefix)) => {
            let _ = write!(out, " peer {peer}{}", suffix(peer, prefix));
        }
        None => out.push_str(&suffix(address.address, address.prefix)),
    }
    if let Some(broadcast) = address.broadcast {
        let _ = write!(out, " brd {broadcast}");
    }
    let _ = write!(out, " dev {}", address.interface);
    if let Some(below) = below {
        let own = if below.own { " use_vmac" } else { "" };
        let _ = write!(out, "@{}{own}", below.interface);
    }
    let _ = write!(out, " scope {}", scope(address));
    if let Some(label) = &address.label {
        let _ = write!(out, " label {label}");
    }
    let flags = &address.flags;
    for (on, word) in [
        (flags.home, " home"),
        (flags.no_dad, " -nodad"),
        (flags.manage_temporary, " mngtmpaddr"),
        (flags.no_prefix_route, " noprefixroute"),
        (flags.autojoin, " autojoin"),
    ] {
        if on {
            out.push_str(word);
        }
    }
    if address.address.is_ipv6() {
        // A lone /128 is never a source address unless asked for.
        let alone = address.prefix == 128 && address.peer.is_none();
        match address.preferred_lifetime.or(alone.then_some(0)) {
            None => out.push_str(" preferred_lft forever"),
            Some(0) => out.push_str(" deprecated"),
            Some(seconds) => {
                let _ = write!(out, " preferred_lft {seconds}");
            }
        }
    }
    if flags.no_track {
        out.push_str(" no_track");
    }
    if set {
        out.push_str(" set");
    }
    out
}

/// A prefix that covers one address alone is not shown.
fn suffix(address: IpAddr, prefix: u8) -> String {
    let whole = if address.is_ipv4() { 32 } else { 128 };
    if prefix == whole {
        String::new()
    } else {
        format!("/{prefix}")
    }
}

fn scope(address: &Address) -> String {
    match address.scope {
        0 => "global".to_owned(),
        200 => "site".to_owned(),
        253 => "link".to_owned(),
        254 => "host".to_owned(),
        255 => "nowhere".to_owned(),
        other => other.to_string(),
    }
}
