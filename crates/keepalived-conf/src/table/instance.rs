//! `vrrp_instance`. keepalived.conf(5), "VRRP instance(s)".

use std::net::IpAddr;

use vrrp_core::settings::Initial;

use crate::draft::{AuthType, Family, InstanceDraft};
use crate::number::{boolean, seconds, unsigned};
use crate::pass::Pass;
use crate::text::Line;

use super::{
    Action, Block, Handled, Row, addresses, checkers, no_close, no_list_close, nothing, notify,
    tracking,
};

mod garp;

pub(super) use garp::extra_interfaces;

const VMAC: &str =
    "virtual MAC interfaces are not made; adverts and addresses use the interface itself";
const MAIL: &str = "no mail is sent; use the log";

/// Names of interfaces are shorter than this.
pub(super) const MAX_INTERFACE: usize = 16;

/// The keywords.
pub(super) const ROWS: &[Row] = &[
    Row::full(
        "state",
        "MASTER|BACKUP",
        state,
        "the state to begin in, which decides only at priority 255",
    ),
    Row::full(
        "interface",
        "NAME",
        interface,
        "where adverts go out and addresses are set",
    ),
    Row::full(
        "virtual_router_id",
        "1..255",
        virtual_router_id,
        "which adverts are ours; it must be given",
    ),
    Row::full(
        "priority",
        "1..255",
        priority,
        "100 unless given, but 255 with state MASTER; 255 owns the address and no tracker moves it",
    ),
    Row::full(
        "advert_int",
        "SECONDS",
        advert_int,
        "time between adverts; whole seconds in version 2, hundredths in version 3",
    ),
    Row::full(
        "version",
        "2|3",
        version,
        "protocol version; only 2 can be run today",
    ),
    Row::full(
        "authentication",
        "{ ... }",
        nothing,
        "how adverts are told from strangers'",
    )
    .with_action(Action::Enter {
        open: nothing,
        inside: Block::Authentication,
        close: no_close,
    }),
    Row::full(
        "virtual_ipaddress",
        "{ ADDRESS[/PREFIX] [OPTIONS] ... }",
        nothing,
        "addresses that the master holds, and adverts name",
    )
    .with_action(Action::List {
        entry: addresses::advertised,
        close: no_list_close,
    }),
    Row::full(
        "virtual_ipaddress_excluded",
        "{ ADDRESS[/PREFIX] [OPTIONS] ... }",
        nothing,
        "addresses that the master holds without naming them",
    )
    .with_action(Action::List {
        entry: addresses::excluded,
        close: no_list_close,
    }),
    Row::full(
        "unicast_src_ip",
        "ADDRESS",
        source_address,
        "source of unicast adverts",
    ),
    Row::full(
        "mcast_src_ip",
        "ADDRESS",
        source_address,
        "source of multicast adverts",
    ),
    Row::full(
        "unicast_peer",
        "{ ADDRESS [min_ttl N] [max_ttl N] ... }",
        nothing,
        "who gets the adverts in the place of a multicast group",
    )
    .with_action(Action::List {
        entry: addresses::peer,
        close: addresses::close_peers,
    }),
    Row::full(
        "mcast_dst_ip",
        "ADDRESS",
        group,
        "multicast group of this instance",
    ),
    Row::full(
        "unicast_ttl",
        "0..255",
        unicast_ttl,
        "time to live of unicast adverts",
    ),
    Row::full(
        "check_unicast_src",
        "[BOOL]",
        check_unicast_src,
        "take adverts from peers alone",
    ),
    Row::full(
        "unicast_fault_no_peer",
        "",
        unicast_fault_no_peer,
        "without peers the instance is at fault, not multicast",
    ),
    Row::full(
        "track_script",
        "{ NAME [weight W] [reverse] ... }",
        nothing,
        "scripts whose results count",
    )
    .with_action(Action::List {
        entry: tracking::script,
        close: no_list_close,
    }),
    Row::full(
        "nopreempt",
        "",
        nopreempt,
        "a living master of lower priority stays",
    ),
    Row::full("preempt", "", preempt, "the contrary, which is the default"),
    Row::full(
        "preempt_delay",
        "SECONDS",
        preempt_delay,
        "a living master of lower priority stays this long after start",
    ),
    Row::full(
        "garp_master_delay",
        "SECONDS",
        garp::delay,
        "second burst of gratuitous ARP, 0 for none",
    ),
    Row::full(
        "garp_master_repeat",
        "COUNT",
        garp::repeat,
        "gratuitous ARPs of one burst",
    ),
    Row::full(
        "garp_master_refresh",
        "SECONDS",
        garp::refresh,
        "period of gratuitous ARP while master",
    ),
    Row::full(
        "garp_master_refresh_repeat",
        "COUNT",
        garp::refresh_repeat,
        "gratuitous ARPs of one refresh",
    ),
    Row::full(
        "garp_lower_prio_delay",
        "SECONDS",
        garp::lower_delay,
        "second burst after an advert of lower priority",
    ),
    Row::full(
        "garp_lower_prio_repeat",
        "COUNT",
        garp::lower_repeat,
        "gratuitous ARPs after an advert of lower priority",
    ),
    Row::full(
        "down_timer_adverts",
        "1..100",
        down_timer_adverts,
        "missed adverts before the master counts as down",
    ),
    Row::full(
        "lower_prio_no_advert",
        "[BOOL]",
        lower_no_advert,
        "do not answer adverts of lower priority",
    ),
    Row::full(
        "higher_prio_send_advert",
        "[BOOL]",
        higher_send_advert,
        "answer an advert of higher priority before yielding",
    ),
    Row::full(
        "skip_check_adv_addr",
        "[BOOL]",
        skip_check,
        "do not check the addresses of the same master twice",
    ),
    Row::full(
        "strict_mode",
        "[BOOL]",
        strict,
        "hold the configuration against the RFC",
    ),
    Row::full(
        "dont_track_primary",
        "",
        dont_track_primary,
        "a link that goes down is no fault",
    ),
    Row::accepted(
        "track_src_ip",
        "",
        nothing,
        "a source address that goes away is always a fault",
    ),
    Row::full(
        "accept",
        "",
        accept,
        "the master answers on its addresses, which is the default",
    ),
    Row::accepted(
        "native_ipv6",
        "",
        native_ipv6,
        "the addresses tell the family",
    ),
    Row::accepted(
        "debug",
        "0..4",
        debug,
        "it does nothing in keepalived either",
    ),
    Row::accepted(
        "kernel_rx_buf_size",
        "BYTES",
        rx_buffer,
        "socket buffers are sized by the daemon itself",
    ),
    Row::refused(
        "no_accept",
        "",
        no_accept,
        "no firewall rules are set; the master answers on its addresses",
    ),
    Row::refused(
        "track_interface",
        "{ NAME [weight W] [reverse] ... }",
        nothing,
        "only the instance's own interface is watched",
    )
    .with_action(Action::List {
        entry: tracking::interface,
        close: no_list_close,
    }),
    Row::refused(
        "track_process",
        "{ NAME [weight W] [reverse] ... }",
        nothing,
        "processes are not watched; use a vrrp_script",
    )
    .with_action(Action::List {
        entry: tracking::process,
        close: no_list_close,
    }),
    Row::refused(
        "track_file",
        "{ NAME [weight W] [reverse] ... }",
        nothing,
        "files are not watched; use a vrrp_script",
    )
    .with_action(Action::List {
        entry: tracking::file,
        close: no_list_close,
    }),
    Row::refused(
        "track_bfd",
        "{ NAME [weight W] [reverse] ... }",
        nothing,
        "there is no BFD",
    )
    .with_action(Action::List {
        entry: tracking::bfd,
        close: no_list_close,
    }),
    Row::refused(
        "virtual_routes",
        "{ ROUTE ... }",
        nothing,
        "routes are not set",
    )
    .with_action(Action::List {
        entry: tracking::route,
        close: no_list_close,
    }),
    Row::refused(
        "virtual_rules",
        "{ RULE ... }",
        nothing,
        "rules are not set",
    )
    .with_action(Action::List {
        entry: tracking::rule,
        close: no_list_close,
    }),
    Row::refused(
        "notify",
        "COMMAND [USER [GROUP]]",
        notify::any,
        notify::REASON,
    ),
    Row::refused(
        "notify_master",
        "COMMAND [USER [GROUP]]",
        notify::any,
        notify::REASON,
    ),
    Row::refused(
        "notify_backup",
        "COMMAND [USER [GROUP]]",
        notify::any,
        notify::REASON,
    ),
    Row::refused(
        "notify_fault",
        "COMMAND [USER [GROUP]]",
        notify::any,
        notify::REASON,
    ),
    Row::refused(
        "notify_stop",
        "COMMAND [USER [GROUP]]",
        notify::any,
        notify::REASON,
    ),
    Row::refused(
        "notify_deleted",
        "[COMMAND [USER [GROUP]]]",
        notify::deleted,
        notify::REASON,
    ),
    Row::refused(
        "notify_master_rx_lower_pri",
        "COMMAND [USER [GROUP]]",
        notify::any,
        notify::REASON,
    ),
    Row::refused(
        "notify_priority_changes",
        "BOOL",
        notify_priority_changes,
        "no notify FIFO is written",
    ),
    Row::refused("smtp_alert", "[BOOL]", smtp_alert, MAIL),
    Row::refused("use_vmac", "[NAME] [MAC]", use_vmac, VMAC),
    Row::refused("use_vmac_addr", "", nothing, VMAC),
    Row::refused("vmac_xmit_base", "", xmit_base, VMAC),
    Row::refused(
        "use_ipvlan",
        "[NAME] [ADDRESS] [bridge|private|vepa]",
        use_ipvlan,
        "IPVLAN interfaces are not made",
    ),
    Row::refused(
        "vrf",
        "NAME",
        vrf,
        "the instance's sockets are bound to its interface alone",
    ),
    Row::refused(
        "garp_extra_if",
        "[all] SECONDS",
        garp::extra_if,
        "addresses on other interfaces are announced with the rest",
    ),
    Row::refused(
        "vmac_garp_intvl",
        "[all] SECONDS",
        garp::vmac_interval,
        "there are no VMAC interfaces",
    ),
    Row::refused(
        "old_unicast_checksum",
        "[never]",
        old_checksum,
        "version 3 is not run",
    ),
    Row::refused(
        "promote_secondaries",
        "",
        nothing,
        "the kernel's setting is left alone",
    ),
    Row::refused(
        "linkbeat_use_polling",
        "",
        linkbeat,
        "link state comes from netlink alone",
    ),
    Row::refused(
        "lvs_sync_daemon_interface",
        "NAME",
        lvs_sync,
        checkers::REASON,
    ),
];

/// The keywords of `authentication`.
pub(super) const AUTHENTICATION: &[Row] = &[
    Row::full(
        "auth_type",
        "PASS|AH",
        auth_type,
        "PASS is a password in the clear; AH cannot be run",
    ),
    Row::full(
        "auth_pass",
        "PASSWORD",
        auth_pass,
        "its first eight bytes count",
    ),
];

pub(super) fn open(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let [_, word] = line.words.as_slice() else {
        pass.complain("vrrp_instance must have a name");
        pass.skip_block();
        return Ok(());
    };
    pass.focus = Some(word.span);
    let name = word.text().into_owned();
    if pass
        .draft
        .instances
        .iter()
        .any(|instance| instance.name == name)
    {
        pass.complain(format!("vrrp instance {name} already defined"));
        pass.skip_block();
        return Ok(());
    }
    pass.draft
        .instances
        .push(InstanceDraft::new(name, word.span));
    Ok(())
}

/// The end of the block.
pub(super) fn close(pass: &mut Pass<'_>) {
    let Some(instance) = current(pass) else {
        return;
    };
    let pointless = instance.unicast_ttl.is_some() && instance.peers.is_empty();
    if pointless {
        instance.unicast_ttl = None;
        let name = name(pass);
        pass.complain(format!(
            "({name}): Cannot use unicast_ttl without unicast peers - resetting"
        ));
    }
}

/// The instance whose block is being read, and its name.
pub(super) fn current<'p>(pass: &'p mut Pass<'_>) -> Option<&'p mut InstanceDraft> {
    pass.draft.instances.last_mut()
}

pub(super) fn name(pass: &Pass<'_>) -> String {
    pass.draft
        .instances
        .last()
        .map(|instance| instance.name.clone())
        .unwrap_or_default()
}

fn set(pass: &mut Pass<'_>, change: impl FnOnce(&mut InstanceDraft)) {
    if let Some(instance) = current(pass) {
        change(instance);
    }
}

fn state(pass: &mut Pass<'_>, line: &Line) -> Handled {
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

fn interface(pass: &mut Pass<'_>, line: &Line) -> Handled {
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

fn vrf(pass: &mut Pass<'_>, line: &Line) -> Handled {
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

fn virtual_router_id(pass: &mut Pass<'_>, line: &Line) -> Handled {
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

fn priority(pass: &mut Pass<'_>, line: &Line) -> Handled {
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

fn advert_int(pass: &mut Pass<'_>, line: &Line) -> Handled {
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

fn version(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 2, 3)) {
        Some(version) => set(pass, |instance| instance.version = Some(version)),
        None => {
            let name = name(pass);
            pass.complain(format!("({name}): Version must be either 2 or 3"));
        }
    }
    Ok(())
}

/// Takes an address that decides or must fit the instance's family; `false` if it does not fit.
fn fits_family(pass: &mut Pass<'_>, address: IpAddr) -> bool {
    let family = Family::of(address);
    let Some(instance) = current(pass) else {
        return false;
    };
    *instance.family.get_or_insert(family) == family
}

fn source_address(pass: &mut Pass<'_>, line: &Line) -> Handled {
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

fn group(pass: &mut Pass<'_>, line: &Line) -> Handled {
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

fn unicast_ttl(pass: &mut Pass<'_>, line: &Line) -> Handled {
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

fn check_unicast_src(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| {
        instance.check_source = Some(true);
        instance.unicast = true;
    });
    Ok(())
}

fn unicast_fault_no_peer(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.fault_without_peer = true);
    Ok(())
}

fn nopreempt(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.nopreempt = true);
    Ok(())
}

fn preempt(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.nopreempt = false);
    Ok(())
}

fn preempt_delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
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

fn down_timer_adverts(pass: &mut Pass<'_>, line: &Line) -> Handled {
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
fn switch(pass: &mut Pass<'_>, line: &Line, keyword: &str) -> Option<bool> {
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

fn lower_no_advert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(pass, line, "lower_prio_no_advert") {
        set(pass, |instance| instance.lower_no_advert = Some(value));
    }
    Ok(())
}

fn higher_send_advert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(pass, line, "higher_prio_send_advert") {
        set(pass, |instance| instance.higher_send_advert = Some(value));
    }
    Ok(())
}

fn skip_check(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(pass, line, "skip_check_adv_addr") {
        set(pass, |instance| instance.skip_check_addresses = Some(value));
    }
    Ok(())
}

fn strict(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(value) = switch(pass, line, "strict_mode") {
        set(pass, |instance| instance.strict = Some(value));
    }
    Ok(())
}

fn dont_track_primary(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.track_link = false);
    Ok(())
}

fn accept(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.accept = Some(true));
    Ok(())
}

fn no_accept(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.accept = Some(false));
    Ok(())
}

fn native_ipv6(pass: &mut Pass<'_>, _: &Line) -> Handled {
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

fn debug(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if pass.number(unsigned(&text, 0, 4)).is_none() {
        let name = name(pass);
        pass.complain(format!(
            "({name}) Debug value '{text}' not valid; must be between 0-4"
        ));
    }
    Ok(())
}

fn rx_buffer(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = name(pass);
    let Some(word) = line.words.get(1) else {
        pass.complain(format!("({name}) invalid kernel_rx_buf_size specified"));
        return Ok(());
    };
    if pass.number(unsigned(&word.text(), 0, u32::MAX)).is_none() {
        pass.complain(format!("({name}) invalid kernel_rx_buf_size specified"));
    }
    Ok(())
}

fn notify_priority_changes(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(word) = line.words.get(1)
        && boolean(&word.bytes).is_none()
    {
        let name = name(pass);
        let value = word.text();
        pass.complain(format!(
            "({name}) Invalid value '{value}' for notify_priority_changes specified"
        ));
    }
    Ok(())
}

fn smtp_alert(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(word) = line.words.get(1)
        && boolean(&word.bytes).is_none()
    {
        pass.complain(format!(
            "Invalid vrrp_instance smtp_alert parameter {}",
            word.text()
        ));
    }
    Ok(())
}

fn use_vmac(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = name(pass);
    for word in line.rest(1) {
        pass.focus = Some(word.span);
        let text = word.text();
        if pass.env.interface(&text).is_some() {
            pass.complain(format!(
                "({name}) interface {text} already exists and is not a private macvlan; ignoring vmac if_name"
            ));
        }
        let octets: Vec<Option<u8>> = text
            .split(':')
            .map(|part| u8::from_str_radix(part, 16).ok())
            .collect();
        match octets.as_slice() {
            [Some(first), ..] if octets.len() >= 5 && first & 1 == 1 => {
                pass.complain(format!("VMAC MAC address is multicast {text} - ignoring"));
            }
            [Some(0), Some(0), Some(0x5e), Some(0), Some(1 | 2), ..] => {
                pass.complain(format!(
                    "VMAC MAC address not allowed to be RFC5798 address ({text}) - ignoring"
                ));
            }
            _ => {}
        }
    }
    set(pass, |instance| instance.use_vmac = true);
    Ok(())
}

fn use_ipvlan(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let addressed = line.rest(1).iter().any(|word| {
        word.text()
            .split('/')
            .next()
            .is_some_and(|text| text.parse::<IpAddr>().is_ok())
    });
    set(pass, |instance| instance.ipvlan = Some(addressed));
    Ok(())
}

fn xmit_base(pass: &mut Pass<'_>, _: &Line) -> Handled {
    set(pass, |instance| instance.xmit_base = true);
    Ok(())
}

fn old_checksum(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if let Some(word) = line.words.get(1)
        && !word.is(b"never")
    {
        let name = name(pass);
        pass.complain(format!(
            "({name}) Unknown old_unicast_chksum mode {} - ignoring",
            word.text()
        ));
    }
    set(pass, |instance| instance.unicast = true);
    Ok(())
}

fn linkbeat(pass: &mut Pass<'_>, _: &Line) -> Handled {
    let name = name(pass);
    pass.complain(format!(
        "({name}) 'linkbeat_use_polling' in vrrp instance deprecated - use linkbeat_interfaces block"
    ));
    Ok(())
}

fn lvs_sync(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let name = name(pass);
    pass.complain(format!(
        "({name}) Specifying lvs_sync_daemon_interface against a vrrp is deprecated."
    ));
    // As keepalived indents: less for names shorter than two.
    let width = 6 + name.len().abs_diff(2);
    pass.complain(format!("{:width$}Please use global lvs_sync_daemon", ""));
    match current(pass).and_then(|instance| instance.lvs_sync.clone()) {
        Some(before) => pass.complain(format!(
            "({name}) lvs_sync_daemon_interface has already been specified as {before} - ignoring"
        )),
        None => set(pass, |instance| instance.lvs_sync = Some(text)),
    }
    Ok(())
}

fn auth_type(pass: &mut Pass<'_>, line: &Line) -> Handled {
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

fn auth_pass(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const LENGTH: usize = 8;
    let word = pass.word(line, 1)?;
    if word.bytes.len() > LENGTH {
        pass.complain(format!("Truncating auth_pass to {LENGTH} characters"));
    }
    let bytes: Vec<u8> = word.bytes.iter().copied().take(LENGTH).collect();
    set(pass, |instance| instance.auth_pass = bytes);
    Ok(())
}
