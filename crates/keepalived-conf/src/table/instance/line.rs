//! The lines of one instance that are no blocks.

use std::net::IpAddr;

use vrrp_core::settings::{Initial, OldChecksum};

use crate::draft::{AuthType, Family, InstanceDraft};
use crate::number::{boolean, seconds, signed, unsigned};
use crate::pass::Pass;
use crate::text::Line;

use super::super::{Handled, addresses};
use super::{MAX_INTERFACE, current, name};

pub(super) fn set(pass: &mut Pass<'_>, change: impl FnOnce(&mut InstanceDraft)) {
    if let Some(instance) = current(pass) {
        change(instance);
    }
}

pub(super) fn state(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let before = current(pass).and_then(|instance| instance.state);
    match text.as_str() {
        "MASTER" => set(pass, |instance| instance.state = Some(Initial::Master)),
        "BACKUP" => {
            if before == Some(Initial::Master) {
                let name = name(pass);
                pass.complain(format!(
                    "({name}) state previously set as MASTER - ignoring BACKUP"
                ));
            } else {
                set(pass, |instance| instance.state = Some(Initial::Backup));
            }
        }
        _ => {
            let name = name(pass);
            pass.complain(format!(
                "({name}) unknown state '{text}', defaulting to BACKUP"
            ));
            set(pass, |instance| instance.state = Some(Initial::Backup));
        }
    }
    Ok(())
}

pub(super) fn interface(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let name = name(pass);
    if text.len() >= MAX_INTERFACE {
        pass.complain(format!("Interface name '{text}' too long - ignoring"));
        return Ok(());
    }
    let found = pass.env.interface(&text);
    match found {
        None if pass.draft.global.dynamic_interfaces => {
            pass.log(format!(
                "Configuration specifies interface {text} which doesn't currently exist - will use if created"
            ));
        }
        None => {
            pass.complain(format!(
                "WARNING - interface {text} for vrrp_instance {name} doesn't exist"
            ));
            pass.draft.missing_interface = true;
        }
        Some(interface) if interface.loopback => {
            pass.complain(format!(
                "({name}) cannot use a loopback interface ({text}) for vrrp - ignoring"
            ));
            return Ok(());
        }
        Some(_) => {}
    }
    set(pass, |instance| {
        instance.interface = Some(text);
        instance.interface_present = found.is_some();
    });
    Ok(())
}

pub(super) fn vrf(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let name = name(pass);
    if text.len() >= MAX_INTERFACE {
        pass.complain(format!(
            "({name}) VRF interface name '{text}' too long - ignoring"
        ));
    } else if current(pass).is_some_and(|instance| instance.interface.is_some()) {
        pass.complain(format!(
            "({name}) Cannot specify VRF interface and interface - ignoring"
        ));
    } else if pass.env.interface(&text).is_none() {
        pass.complain(format!(
            "({name}) WARNING - VRF interface {text} doesn't exist"
        ));
        pass.draft.missing_interface |= !pass.draft.global.dynamic_interfaces;
    } else {
        set(pass, |instance| instance.vrf = true);
    }
    Ok(())
}

pub(super) fn virtual_router_id(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 1, 255)) {
        Some(vrid) => set(pass, |instance| instance.vrid = u8::try_from(vrid).ok()),
        None => {
            let name = name(pass);
            pass.complain(format!(
                "({name}): VRID '{text}' not valid - must be between 1 & 255"
            ));
        }
    }
    Ok(())
}

pub(super) fn priority(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 1, 255)) {
        Some(priority) => set(pass, |instance| {
            instance.priority = u8::try_from(priority).ok()
        }),
        None => {
            let name = name(pass);
            pass.complain(format!(
                "({name}) Priority not valid! must be between 1 & 255. Using default 100"
            ));
            set(pass, |instance| instance.priority = Some(100));
        }
    }
    Ok(())
}

pub(super) fn advert_int(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.loose_decimals(seconds(&text, 10_000, 255_000_000)) {
        Some(micros) => set(pass, |instance| instance.advert_interval = Some(micros)),
        None => {
            let name = name(pass);
            pass.complain(format!(
                "({name}) Advert interval ({text}) not valid! Must be > 0 - ignoring"
            ));
        }
    }
    Ok(())
}

pub(super) fn version(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let read = pass.number(signed(&text, 2, 3));
    match read.and_then(|version| u32::try_from(version).ok()) {
        Some(version) => {
            let known = current(pass).and_then(|instance| match instance.native_ipv6 {
                true => Some(3),
                false => instance.version,
            });
            match known {
                Some(known) if known != version => {
                    let name = name(pass);
                    pass.complain(format!(
                        "({name}) vrrp_version {version} conflicts with configured or deduced version {known}; ignoring."
                    ));
                }
                _ => set(pass, |instance| instance.version = Some(version)),
            }
        }
        None => {
            let name = name(pass);
            pass.complain(format!("({name}): Version must be either 2 or 3"));
        }
    }
    Ok(())
}

/// Takes an address that decides or must fit the instance's family; `false` if it does not fit.
pub(super) fn fits_family(pass: &mut Pass<'_>, address: IpAddr) -> bool {
    let family = Family::of(address);
    let Some(instance) = current(pass) else {
        return false;
    };
    *instance.family.get_or_insert(family) == family
}

pub(super) fn source_address(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let keyword = line
        .words
        .first()
        .is_some_and(|word| word.is(b"unicast_src_ip"));
    if keyword {
        set(pass, |instance| instance.unicast = true);
    }
    let text = pass.text(line, 1)?;
    let name = name(pass);
    match addresses::host(&text).parse::<IpAddr>() {
        Err(_) => pass.complain(format!(
            "Configuration error: VRRP instance[{name}] malformed src address[{text}]. Skipping..."
        )),
        Ok(address) if !fits_family(pass, address) => pass.complain(format!(
            "Configuration error: VRRP instance[{name}] and src address[{text}] MUST be of the same family !!! Skipping..."
        )),
        Ok(address) => set(pass, |instance| instance.source = Some(address)),
    }
    Ok(())
}

pub(super) fn group(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let name = name(pass);
    match addresses::host(&text).parse::<IpAddr>() {
        Err(_) => pass.complain(format!(
            "({name}) malformed mcast dest address {text}. Skipping..."
        )),
        Ok(address) if !fits_family(pass, address) => pass.complain(format!(
            "({name}) mcast dest address {text} MUST match VRRP instance family. Skipping..."
        )),
        Ok(address) if !address.is_multicast() => {
            pass.complain(format!(
                "({name}) mcast_dst_ip {text} not multicast. Skipping..."
            ));
        }
        Ok(address) => set(pass, |instance| instance.group = Some(address)),
    }
    Ok(())
}

pub(super) fn unicast_ttl(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 0, 255)) {
        Some(ttl) => set(pass, |instance| {
            instance.unicast_ttl = u8::try_from(ttl).ok()
        }),
        None => {
            let name = name(pass);
            pass.complain(format!(
                "({name}): TTL '{text}' not valid - must be between 0 & 255"
            ));
        }
    }
    Ok(())
}

pub(super) fn check_unicast_src(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| {
        instance.check_source = Some(true);
        instance.unicast = true;
    });
    Ok(())
}

pub(super) fn unicast_fault_no_peer(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.fault_without_peer = true);
    Ok(())
}

pub(super) fn nopreempt(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.nopreempt = true);
    Ok(())
}

pub(super) fn preempt(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.nopreempt = false);
    Ok(())
}

pub(super) fn preempt_delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let read = seconds(&text, 0, 1_000_000_000);
    // What is no number at all is complained of once, and then the delay is none.
    let unreadable = matches!(&read, Err(faulty) if faulty.message.starts_with("invalid"));
    let delay = pass.loose_decimals(read);
    if delay.is_none() && !unreadable {
        let name = name(pass);
        pass.complain(format!(
            "({name}) Preempt_delay not valid! must be between 0-1000"
        ));
    }
    set(pass, |instance| instance.preempt_delay = delay);
    Ok(())
}

pub(super) fn down_timer_adverts(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 1, 100)) {
        Some(count) => set(pass, |instance| {
            instance.down_timer_adverts = u8::try_from(count).ok()
        }),
        None => {
            let name = name(pass);
            pass.complain(format!(
                "({name}): Invalid down_timer_adverts [1:100] '{text}'"
            ));
        }
    }
    Ok(())
}

/// A switch of an instance: alone it is on, and a word that is no boolean changes nothing.
pub(super) fn switch(pass: &mut Pass<'_>, line: &Line, keyword: &str) -> Option<bool> {
    let Some(word) = line.words.get(1) else {
        return Some(true);
    };
    pass.focus = Some(word.span);
    let value = boolean(&word.bytes);
    if value.is_none() {
        let name = name(pass);
        pass.complain(format!(
            "({name}) invalid {keyword} {} specified",
            word.text()
        ));
    }
    value
}

pub(super) fn lower_no_advert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(pass, line, "lower_prio_no_advert") {
        set(pass, |instance| instance.lower_no_advert = Some(value));
    }
    Ok(())
}

pub(super) fn higher_send_advert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(pass, line, "higher_prio_send_advert") {
        set(pass, |instance| instance.higher_send_advert = Some(value));
    }
    Ok(())
}

pub(super) fn skip_check(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(pass, line, "skip_check_adv_addr") {
        set(pass, |instance| instance.skip_check_addresses = Some(value));
    }
    Ok(())
}

pub(super) fn strict(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(pass, line, "strict_mode") {
        set(pass, |instance| instance.strict = Some(value));
    }
    Ok(())
}

pub(super) fn dont_track_primary(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.track_link = false);
    Ok(())
}

pub(super) fn accept(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.accept = Some(true));
    Ok(())
}

pub(super) fn no_accept(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.accept = Some(false));
    Ok(())
}

pub(super) fn native_ipv6(pass: &mut Pass<'_>, _: &Line) -> Handled {
    let name = name(pass);
    let mut clash = false;
    set(pass, |instance| {
        clash = instance.family == Some(Family::V4);
        if !clash {
            instance.family = Some(Family::V6);
            instance.native_ipv6 = true;
        }
    });
    if clash {
        pass.complain(format!(
            "({name}) Cannot specify native_ipv6 with IPv4 addresses"
        ));
    }
    Ok(())
}

pub(super) fn debug(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if pass.number(unsigned(&text, 0, 4)).is_none() {
        let name = name(pass);
        pass.complain(format!(
            "({name}) Debug value '{text}' not valid; must be between 0-4"
        ));
    }
    Ok(())
}

pub(super) fn rx_buffer(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = name(pass);
    let Some(word) = line.words.get(1) else {
        pass.complain(format!("({name}) invalid kernel_rx_buf_size specified"));
        return Ok(());
    };
    match pass.number(unsigned(&word.text(), 0, u32::MAX)) {
        Some(size) => set(pass, |instance| instance.receive_buffer = Some(size)),
        None => pass.complain(format!("({name}) invalid kernel_rx_buf_size specified")),
    }
    Ok(())
}

pub(super) fn notify_priority_changes(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let Some(word) = line.words.get(1) else {
        set(pass, |instance| {
            instance.notify.priority_changes = Some(true)
        });
        return Ok(());
    };
    match boolean(&word.bytes) {
        Some(value) => set(pass, |instance| {
            instance.notify.priority_changes = Some(value);
        }),
        None => {
            let name = name(pass);
            let value = word.text();
            pass.complain(format!(
                "({name}) Invalid value '{value}' for notify_priority_changes specified"
            ));
        }
    }
    Ok(())
}

pub(super) fn smtp_alert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let value = match line.words.get(1) {
        None => Some(true),
        Some(word) => boolean(&word.bytes),
    };
    match value {
        Some(value) => set(pass, |instance| instance.smtp_alert = Some(value)),
        None => {
            let text = pass.text(line, 1)?;
            pass.complain(format!("Invalid vrrp_instance smtp_alert parameter {text}"));
        }
    }
    Ok(())
}

pub(super) fn use_vmac(pass: &mut Pass<'_>, line: &Line) -> Handled {
    for word in line.rest(1) {
        pass.focus = Some(word.span);
        let text = word.text();
        if text.contains(':') {
            vmac_address(pass, &text);
        } else {
            vmac_interface(pass, &text);
        }
    }
    set(pass, |instance| instance.use_vmac = true);
    Ok(())
}

fn vmac_address(pass: &mut Pass<'_>, text: &str) {
    let octets: Option<Vec<u8>> = text
        .split(':')
        .map(|part| u8::from_str_radix(part, 16).ok())
        .collect();
    // The virtual router id stands in for a sixth octet that is missing.
    let vrid = current(pass).and_then(|instance| instance.vrid);
    let mac: Option<[u8; 6]> = match octets.as_deref() {
        Some([a, b, c, d, e]) => Some([*a, *b, *c, *d, *e, vrid.unwrap_or_default()]),
        Some([a, b, c, d, e, f, ..]) => Some([*a, *b, *c, *d, *e, *f]),
        Some(_) | None => None,
    };
    match mac {
        None => pass.complain(format!("VMAC invalid MAC address {text}")),
        Some([first, ..]) if first & 1 == 1 => {
            pass.complain(format!("VMAC MAC address is multicast {text} - ignoring"));
        }
        Some([0, 0, 0x5e, 0, 1 | 2, _]) => pass.complain(format!(
            "VMAC MAC address not allowed to be RFC5798 address ({text}) - ignoring"
        )),
        Some(_) => set(pass, |instance| instance.vmac_mac = mac),
    }
}

fn vmac_interface(pass: &mut Pass<'_>, text: &str) {
    let name = name(pass);
    if current(pass).is_some_and(|instance| instance.vmac_name.is_some()) {
        pass.complain("VMAC interface name already specified");
        return;
    }
    if text.len() >= MAX_INTERFACE || text.contains(|c: char| c == '/' || c.is_whitespace()) {
        pass.complain(format!(
            "VMAC interface name '{text}' too long or invalid characters - ignoring"
        ));
        return;
    }
    let mut others = pass.draft.instances.iter();
    let owner = others.find(|other| other.vmac_name.as_deref() == Some(text));
    if let Some(owner) = owner.map(|owner| owner.name.clone()) {
        pass.complain(format!(
            "({name}) VRRP instance {owner} is already using {text} - ignoring name"
        ));
        return;
    }
    // One that is left from before, or that this very daemon made, is made anew.
    let present = pass.env.interface(text);
    if present.is_some_and(|present| !present.private_macvlan) {
        pass.complain(format!(
            "({name}) interface {text} already exists and is not a private macvlan; ignoring vmac if_name"
        ));
        return;
    }
    let chosen = text.to_owned();
    set(pass, |instance| instance.vmac_name = Some(chosen));
}

pub(super) fn vmac_addresses(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.vmac_addresses = true);
    Ok(())
}

pub(super) fn use_ipvlan(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let addressed = line.rest(1).iter().any(|word| {
        word.text()
            .split('/')
            .next()
            .is_some_and(|text| text.parse::<IpAddr>().is_ok())
    });
    set(pass, |instance| instance.ipvlan = Some(addressed));
    Ok(())
}

pub(super) fn xmit_base(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.xmit_base = true);
    Ok(())
}

pub(super) fn old_checksum(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(word) = line.words.get(1)
        && !word.is(b"never")
    {
        let name = name(pass);
        pass.complain(format!(
            "({name}) Unknown old_unicast_chksum mode {} - ignoring",
            word.text()
        ));
    }
    let mode = match line.words.get(1) {
        Some(word) if word.is(b"never") => OldChecksum::Never,
        Some(_) | None => OldChecksum::Always,
    };
    set(pass, |instance| {
        instance.unicast = true;
        instance.old_checksum = Some(mode);
    });
    Ok(())
}

pub(super) fn checksum_as_v2(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(pass, line, "v3_checksum_as_v2") {
        set(pass, |instance| instance.checksum_as_v2 = Some(value));
    }
    Ok(())
}

pub(super) fn promote_secondaries(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.promote_secondaries = true);
    Ok(())
}

pub(super) fn linkbeat(pass: &mut Pass<'_>, _: &Line) -> Handled {
    let name = name(pass);
    pass.complain(format!(
        "({name}) 'linkbeat_use_polling' in vrrp instance deprecated - use linkbeat_interfaces block"
    ));
    Ok(())
}

pub(super) fn lvs_sync(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = name(pass);
    pass.complain(format!(
        "({name}) Specifying lvs_sync_daemon_interface against a vrrp is deprecated."
    ));
    // As keepalived indents: less for names shorter than two.
    let width = 6 + name.len().abs_diff(2);
    pass.complain(format!("{:width$}Please use global lvs_sync_daemon", ""));
    let text = pass.text(line, 1)?;
    match current(pass).and_then(|instance| instance.lvs_sync.clone()) {
        Some(before) => pass.complain(format!(
            "({name}) lvs_sync_daemon_interface has already been specified as {before} - ignoring"
        )),
        None => set(pass, |instance| instance.lvs_sync = Some(text)),
    }
    Ok(())
}

pub(super) fn auth_type(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let kind = match text.as_str() {
        "PASS" => Some(AuthType::Pass),
        "AH" => Some(AuthType::Ah),
        _ => None,
    };
    if kind.is_none() {
        let name = name(pass);
        pass.complain(format!("({name}) unknown authentication type '{text}'"));
        return Ok(());
    }
    set(pass, |instance| instance.auth_type = kind);
    Ok(())
}

pub(super) fn auth_pass(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const LENGTH: usize = 8;
    let word = pass.word(line, 1)?;
    if word.bytes.len() > LENGTH {
        pass.mend(format!("Truncating auth_pass to {LENGTH} characters"));
    }
    let bytes: Vec<u8> = word.bytes.iter().copied().take(LENGTH).collect();
    set(pass, |instance| instance.auth_pass = bytes);
    Ok(())
}
