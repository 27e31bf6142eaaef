//! The lines of routes and rules, which are only looked over.

use crate::pass::Pass;
use crate::text::Line;

use super::{Handled, addresses};

/// A line of `static_ipaddress`.
pub(super) fn static_address(pass: &mut Pass<'_>, line: &Line) -> Handled {
    addresses::fixed(pass, line)
}

/// A line of `virtual_routes` or `static_routes`, looked over for what keepalived warns of most.
pub(super) fn route(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const VALUES: [&[u8]; 2] = [b"src", b"to"];
    const KINDS: [&[u8]; 5] = [b"blackhole", b"unreachable", b"prohibit", b"throw", b"nat"];
    let mut words = line.words.iter();
    let mut destination = None;
    let mut device = false;
    while let Some(word) = words.next() {
        if KINDS.contains(&word.bytes.as_slice()) {
            continue;
        }
        if word.is(b"dev") || word.is(b"oif") {
            device = true;
            if let Some(value) = words.next() {
                let text = value.text();
                if pass.env.interface(&text).is_none() && !pass.draft.global.dynamic_interfaces {
                    pass.complain(format!(
                        "WARNING - interface {text} for VROUTE nexthop doesn't exist"
                    ));
                    pass.draft.missing_interface = true;
                }
            }
        } else if word.is(b"gw") {
            pass.complain("\"gw\" for routes is deprecated. Please use \"via\"");
            words.next();
        } else if word.is(b"or") {
            pass.complain("\"or\" for routes is deprecated. Please use \"nexthop\"");
            words.next();
        } else if VALUES.contains(&word.bytes.as_slice()) {
            let value = words.next();
            if word.is(b"to") {
                destination = value;
            }
        } else if destination.is_none() {
            destination = Some(word);
        } else {
            words.next();
        }
    }
    let Some(destination) = destination else {
        pass.complain("Route must have a destination");
        return Ok(());
    };
    if !device {
        pass.complain(format!(
            "Warning - cannot track route {} with no interface specified, not tracking",
            destination.text()
        ));
    }
    Ok(())
}

/// A line of `virtual_rules` or `static_rules`, looked over in the same way.
pub(super) fn rule(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const FIRST: u32 = 16384;
    let preferred = line.words.iter().any(|word| {
        ["preference", "order", "priority", "pref"]
            .iter()
            .any(|name| word.is(name.as_bytes()))
    });
    for pair in line.words.windows(2) {
        if let [keyword, value] = pair
            && (keyword.is(b"from") || keyword.is(b"to"))
            && !value.is(b"all")
        {
            let text = value.text();
            let address = text.split('/').next().unwrap_or_default();
            if address.parse::<std::net::IpAddr>().is_err() {
                pass.complain(format!("VRRP parsed invalid IP {text}. skipping IP..."));
                pass.complain(format!("Invalid rule {} address {text}", keyword.text()));
                return Ok(());
            }
        }
    }
    if !preferred {
        let preference = FIRST.saturating_sub(pass.draft.rule_preference);
        pass.draft.rule_preference += 1;
        pass.complain(format!(
            "Rule has no preference specified - setting to {preference}. This is probably not what you want."
        ));
    }
    Ok(())
}
