//! `encap` of a route: lightweight tunnels. They are read for keepalived's complaints alone; a
//! route with one is not set.

use std::net::IpAddr;

use crate::number::unsigned;

use super::iproute::{Reading, Step, c_number};

/// Reads what follows `encap`, and leaves the reading at its last word. No fault here ends the
/// line, but what was not understood is read on as options of the route.
pub(super) fn read(words: &mut Reading<'_, '_, '_>) -> Step<()> {
    let Some(kind) = words.peek() else {
        words.pass.complain("Missing encap type");
        return Ok(());
    };
    words.at += 1;
    match kind.as_str() {
        "ip" => tunnel(words, false),
        "ip6" => tunnel(words, true),
        "mpls" => {
            one(words, "missing address for MPLS encapsulation", |text| {
                (!is_label_stack(text))
                    .then(|| format!("invalid mpls address {text} for encapsulation"))
            });
        }
        "ila" => {
            one(words, "missing locator for ILA encapsulation", |text| {
                (!is_locator(text)).then(|| format!("invalid locator {text} for ila encapsulation"))
            });
        }
        _ => {
            words.pass.complain(format!("Unknown encap type - {kind}"));
            words.at += 1;
        }
    }
    Ok(())
}

/// The one word that the simple kinds have.
fn one(words: &mut Reading<'_, '_, '_>, missing: &str, fault: impl FnOnce(&str) -> Option<String>) {
    let Some(text) = words.peek() else {
        words.pass.complain(missing);
        return;
    };
    words.at += 1;
    if let Some(fault) = fault(&text) {
        words.pass.complain(fault);
    }
}

/// Up to 16 labels of 20 bits with slashes between them.
fn is_label_stack(text: &str) -> bool {
    text.split('/').count() <= 16
        && text
            .split('/')
            .all(|label| c_number(label).is_some_and(|label| label < 1 << 20))
}

/// Four groups of 16 bits.
fn is_locator(text: &str) -> bool {
    text.split(':').count() == 4
        && text
            .split(':')
            .all(|group| u16::from_str_radix(group, 16).is_ok())
}

/// Options of `encap ip` and `encap ip6`, to the first word that is none of them.
fn tunnel(words: &mut Reading<'_, '_, '_>, six: bool) {
    let kind = if six { "ip6" } else { "ip" };
    let mut useful = false;
    let mut sound = true;
    while sound {
        let Some(option) = words.peek() else { break };
        let known = match option.as_str() {
            "id" | "dst" | "src" | "flags" => true,
            "tos" | "dsfield" | "ttl" => !six,
            "tc" | "hoplimit" => six,
            _ => false,
        };
        let value = words.line.words.get(words.at + 2);
        let Some(value) = value.map(|word| word.text().into_owned()).filter(|_| known) else {
            break;
        };
        match fault(words, kind, six, &option, &value) {
            None => {
                words.at += 2;
                useful |= matches!(option.as_str(), "id" | "dst");
            }
            Some(fault) => {
                words.pass.complain(fault);
                sound = false;
            }
        }
    }
    if sound && !useful {
        words
            .pass
            .complain(format!("address or id missing for {kind} encapsulation"));
    }
}

/// What is wrong with one option.
fn fault(
    words: &mut Reading<'_, '_, '_>,
    kind: &str,
    six: bool,
    option: &str,
    value: &str,
) -> Option<String> {
    let mut number = |max: u32, complaint: String| {
        let read = unsigned(value, 0, max);
        words.pass.number(read).is_none().then_some(complaint)
    };
    match option {
        "id" if six => number(
            u32::MAX,
            format!("id {value} value invalid for IPv6 encapsulation"),
        ),
        "id" => number(u32::MAX, format!("encap id {value} value is invalid")),
        "flags" => number(
            u16::MAX.into(),
            format!("flags {value} is not valid for {kind} encapsulation"),
        ),
        "ttl" => number(
            255,
            format!("ttl {value} is not valid for ip encapsulation"),
        ),
        "hoplimit" => number(
            255,
            format!("Invalid hoplimit {value} specified for ip6 encapsulation"),
        ),
        "tos" | "dsfield" => c_number(value)
            .is_none_or(|tos| tos > 255)
            .then(|| format!("dsfield {value} not valid for ip encapsulation")),
        "tc" => c_number(value)
            .is_none_or(|class| class > 255)
            .then(|| format!("tc value {option} is invalid for ip6 encapsulation")),
        _ => match words.address(value) {
            None => Some(format!("Invalid encap {kind} {option} {value}")),
            Some(IpAddr::V6(_)) if !six => Some(format!(
                "IPv6 address {value} not valid for ip encapsulation"
            )),
            Some(IpAddr::V4(_)) if six => Some(format!(
                "IPv4 address {value} not valid for ip6 encapsulation"
            )),
            Some(_) => None,
        },
    }
}
