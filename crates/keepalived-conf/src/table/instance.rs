//! `vrrp_instance`. keepalived.conf(5), "VRRP instance(s)".

use crate::draft::InstanceDraft;
use crate::pass::Pass;
use crate::text::Line;

use super::{
    Action, Block, Handled, Row, addresses, checkers, no_close, no_list_close, nothing, notify,
    routes, rules, tracking,
};

mod garp;
mod line;

pub(super) use garp::{LONGEST_DELAY, extra_interfaces};

const MAIL: &str = "no mail is sent; use the log";

/// Names of interfaces are shorter than this.
pub(super) const MAX_INTERFACE: usize = 16;

/// The keywords.
pub(super) const ROWS: &[Row] = &[
    Row::full(
        "state",
        "MASTER|BACKUP",
        line::state,
        "the state to begin in, which decides only at priority 255",
    ),
    Row::full(
        "interface",
        "NAME",
        line::interface,
        "where adverts go out and addresses are set",
    ),
    Row::full(
        "virtual_router_id",
        "1..255",
        line::virtual_router_id,
        "which adverts are ours; it must be given",
    ),
    Row::full(
        "priority",
        "1..255",
        line::priority,
        "100 unless given, but 255 with state MASTER; 255 owns the address and no tracker moves it",
    ),
    Row::full(
        "advert_int",
        "SECONDS",
        line::advert_int,
        "time between adverts; whole seconds in version 2, hundredths in version 3",
    ),
    Row::full(
        "version",
        "2|3",
        line::version,
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
        line::source_address,
        "source of unicast adverts",
    ),
    Row::full(
        "mcast_src_ip",
        "ADDRESS",
        line::source_address,
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
        line::group,
        "multicast group of this instance",
    ),
    Row::full(
        "unicast_ttl",
        "0..255",
        line::unicast_ttl,
        "time to live of unicast adverts",
    ),
    Row::full(
        "check_unicast_src",
        "[BOOL]",
        line::check_unicast_src,
        "take adverts from peers alone",
    ),
    Row::full(
        "unicast_fault_no_peer",
        "",
        line::unicast_fault_no_peer,
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
        line::nopreempt,
        "a living master of lower priority stays",
    ),
    Row::full(
        "preempt",
        "",
        line::preempt,
        "the contrary, which is the default",
    ),
    Row::full(
        "preempt_delay",
        "SECONDS",
        line::preempt_delay,
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
        line::down_timer_adverts,
        "missed adverts before the master counts as down",
    ),
    Row::full(
        "lower_prio_no_advert",
        "[BOOL]",
        line::lower_no_advert,
        "do not answer adverts of lower priority",
    ),
    Row::full(
        "higher_prio_send_advert",
        "[BOOL]",
        line::higher_send_advert,
        "answer an advert of higher priority before yielding",
    ),
    Row::full(
        "skip_check_adv_addr",
        "[BOOL]",
        line::skip_check,
        "do not check the addresses of the same master twice",
    ),
    Row::full(
        "strict_mode",
        "[BOOL]",
        line::strict,
        "hold the configuration against the RFC",
    ),
    Row::full(
        "dont_track_primary",
        "",
        line::dont_track_primary,
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
        line::accept,
        "the master answers on its addresses, which is the default",
    ),
    Row::accepted(
        "native_ipv6",
        "",
        line::native_ipv6,
        "the addresses tell the family",
    ),
    Row::accepted(
        "debug",
        "0..4",
        line::debug,
        "it does nothing in keepalived either",
    ),
    Row::accepted(
        "kernel_rx_buf_size",
        "BYTES",
        line::rx_buffer,
        "socket buffers are sized by the daemon itself",
    ),
    Row::full(
        "no_accept",
        "",
        line::no_accept,
        "a master drops what comes for its addresses, but neighbour discovery",
    ),
    Row::full(
        "track_interface",
        "{ NAME [weight W] [reverse] ... }",
        nothing,
        "0: down is a fault; above: added while up; below: subtracted while down",
    )
    .with_action(Action::List {
        entry: tracking::interface,
        close: no_list_close,
    }),
    Row::full(
        "track_process",
        "{ NAME [weight W] [reverse] ... }",
        nothing,
        "vrrp_track_process blocks, with weights of their own",
    )
    .with_action(Action::List {
        entry: tracking::process,
        close: no_list_close,
    }),
    Row::full(
        "track_file",
        "{ NAME [weight W] [reverse] ... }",
        nothing,
        "track_file blocks, with weights of their own",
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
    Row::full(
        "virtual_routes",
        "{ ROUTE ... }",
        nothing,
        "routes that are set while it is MASTER",
    )
    .with_action(Action::List {
        entry: routes::of_instance,
        close: no_list_close,
    }),
    Row::full(
        "virtual_rules",
        "{ RULE ... }",
        nothing,
        "policy rules that are set while it is MASTER",
    )
    .with_action(Action::List {
        entry: rules::of_instance,
        close: no_list_close,
    }),
    Row::full(
        "notify",
        "COMMAND [USER [GROUP]]",
        notify::any,
        "a command with INSTANCE, name, state and priority as its last arguments",
    ),
    Row::full(
        "notify_master",
        "COMMAND [USER [GROUP]]",
        notify::any,
        "a command run when it becomes MASTER",
    ),
    Row::full(
        "notify_backup",
        "COMMAND [USER [GROUP]]",
        notify::any,
        "a command run when it becomes BACKUP",
    ),
    Row::full(
        "notify_fault",
        "COMMAND [USER [GROUP]]",
        notify::any,
        "a command run when it goes to FAULT",
    ),
    Row::full(
        "notify_stop",
        "COMMAND [USER [GROUP]]",
        notify::any,
        "a command run when the daemon stops",
    ),
    Row::full(
        "notify_deleted",
        "[COMMAND [USER [GROUP]]]",
        notify::deleted,
        "a reload that removes the instance is told as DELETED, not as a fault",
    ),
    Row::full(
        "notify_master_rx_lower_pri",
        "COMMAND [USER [GROUP]]",
        notify::any,
        "a command run when a master hears a lower advert",
    ),
    Row::full(
        "notify_priority_changes",
        "BOOL",
        line::notify_priority_changes,
        "changes of the priority are told as well",
    ),
    Row::refused("smtp_alert", "[BOOL]", line::smtp_alert, MAIL),
    Row::full(
        "use_vmac",
        "[NAME] [MAC]",
        line::use_vmac,
        "an interface with the virtual router's own hardware address",
    ),
    Row::full(
        "use_vmac_addr",
        "",
        line::vmac_addresses,
        "addresses on other interfaces, or of the other family, are on virtual interfaces there",
    ),
    Row::full(
        "vmac_xmit_base",
        "",
        line::xmit_base,
        "adverts leave by the interface below",
    ),
    Row::refused(
        "use_ipvlan",
        "[NAME] [ADDRESS] [bridge|private|vepa]",
        line::use_ipvlan,
        "IPVLAN interfaces are not made",
    ),
    Row::refused(
        "vrf",
        "NAME",
        line::vrf,
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
        "all addresses are announced again every 5 s",
    ),
    Row::full(
        "old_unicast_checksum",
        "[never]",
        line::old_checksum,
        "checksums of version 3 over unicast as keepalived made them up to 1.3.6: send them, or refuse them",
    ),
    Row::full(
        "v3_checksum_as_v2",
        "[BOOL]",
        line::checksum_as_v2,
        "checksums of version 3 over IPv4 without pseudo-header (RFC 9568)",
    ),
    Row::full(
        "promote_secondaries",
        "",
        line::promote_secondaries,
        "set on the interface from start to end; after that it is as it was",
    ),
    Row::refused(
        "linkbeat_use_polling",
        "",
        line::linkbeat,
        "link state comes from netlink alone",
    ),
    Row::refused(
        "lvs_sync_daemon_interface",
        "NAME",
        line::lvs_sync,
        checkers::REASON,
    ),
];

/// The keywords of `authentication`.
pub(super) const AUTHENTICATION: &[Row] = &[
    Row::full(
        "auth_type",
        "PASS|AH",
        line::auth_type,
        "PASS is a password in the clear; AH cannot be run",
    ),
    Row::full(
        "auth_pass",
        "PASSWORD",
        line::auth_pass,
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
    if instance.use_vmac && !instance.peers.is_empty() && !instance.xmit_base {
        instance.xmit_base = true;
        let name = instance.name.clone();
        pass.complain(format!(
            "({name}) unicast with use_vmac requires vmac_xmit_base - setting"
        ));
    }
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
