//! Keywords outside every block.

use vrrp_core::Duration;

use crate::pass::Pass;
use crate::report::Process;
use crate::text::Line;

use super::{
    Action, Block, Handled, Row, addresses, checkers, garp_group, instance, no_close,
    no_list_close, nothing, routes, rules, script, tracking, watched,
};

/// The keywords.
pub(super) const ROWS: &[Row] = &[
    Row::full(
        "global_defs",
        "{ ... }",
        nothing,
        "settings of the whole daemon",
    )
    .with_process(Process::Parent)
    .with_action(Action::Enter {
        open: nothing,
        inside: Block::Global,
        close: no_close,
    }),
    Row::full(
        "vrrp_script",
        "NAME { ... }",
        nothing,
        "a command whose exit code instances track",
    )
    .with_action(Action::Enter {
        open: script::open,
        inside: Block::Script,
        close: script::close,
    }),
    Row::full(
        "vrrp_instance",
        "NAME { ... }",
        nothing,
        "one virtual router",
    )
    .with_action(Action::Enter {
        open: instance::open,
        inside: Block::Instance,
        close: instance::close,
    }),
    Row::full(
        "vrrp_sync_group",
        "NAME { ... }",
        nothing,
        "instances that are MASTER together or not at all",
    )
    .with_action(Action::Enter {
        open: tracking::open_group,
        inside: Block::SyncGroup,
        close: no_close,
    }),
    Row::full(
        "vrrp_track_process",
        "NAME { ... }",
        nothing,
        "enough processes of a kind have to run",
    )
    .with_action(Action::Enter {
        open: watched::open_process,
        inside: Block::TrackProcess,
        close: watched::close_process,
    }),
    Row::full(
        "track_file",
        "NAME { ... }",
        nothing,
        "a number in a file that priorities follow",
    )
    .with_action(Action::Enter {
        open: watched::open_file,
        inside: Block::TrackFile,
        close: watched::close_file,
    }),
    Row::full(
        "vrrp_track_file",
        "NAME { ... }",
        nothing,
        "a number in a file that priorities follow",
    )
    .with_action(Action::Enter {
        open: watched::open_file,
        inside: Block::TrackFile,
        close: watched::close_file,
    }),
    Row::accepted(
        "track_group",
        "NAME { ... }",
        nothing,
        "what is static is set again at once, and nobody hands over for it",
    )
    .with_action(Action::Enter {
        open: tracking::open_track_group,
        inside: Block::TrackGroup,
        close: no_close,
    }),
    Row::full(
        "garp_group",
        "{ ... }",
        nothing,
        "interfaces that share the pace of their announcements",
    )
    .with_action(Action::Enter {
        open: garp_group::open,
        inside: Block::GarpGroup,
        close: garp_group::close,
    }),
    Row::full(
        "static_ipaddress",
        "{ ADDRESS[/PREFIX] [OPTIONS] ... }",
        nothing,
        "addresses of this host, set again when somebody removes them",
    )
    .with_action(Action::List {
        entry: addresses::fixed,
        close: no_list_close,
    }),
    Row::full(
        "static_routes",
        "{ ROUTE ... }",
        nothing,
        "routes of this host, likewise",
    )
    .with_action(Action::List {
        entry: routes::fixed,
        close: no_list_close,
    }),
    Row::full(
        "static_rules",
        "{ RULE ... }",
        nothing,
        "policy rules of this host, likewise",
    )
    .with_action(Action::List {
        entry: rules::fixed,
        close: no_list_close,
    }),
    Row::refused(
        "linkbeat_interfaces",
        "{ ... }",
        nothing,
        "link state comes from netlink alone",
    )
    .with_action(Action::List {
        entry: linkbeat,
        close: no_list_close,
    }),
    Row::refused(
        "interface_up_down_delays",
        "{ ... }",
        nothing,
        "link changes act at once",
    )
    .with_action(Action::List {
        entry: delays,
        close: no_list_close,
    }),
    Row::refused(
        "bfd_instance",
        "NAME { ... }",
        nothing,
        "there is no BFD; a tracker of it is not run",
    )
    .with_process(Process::Bfd)
    .with_action(Action::Skip),
    Row::refused(
        "virtual_server",
        "ADDRESS PORT { ... }",
        nothing,
        checkers::REASON,
    )
    .with_process(Process::Checker)
    .with_action(Action::Enter {
        open: checkers::server::open,
        inside: Block::VirtualServer,
        close: checkers::end::server_end,
    }),
    Row::refused(
        "virtual_server_group",
        "NAME { ... }",
        nothing,
        checkers::REASON,
    )
    .with_process(Process::Checker)
    .with_action(Action::NamedList {
        open: checkers::server::group,
        entry: checkers::server::member,
        close: checkers::server::group_end,
    }),
    Row::refused("SSL", "{ ... }", nothing, checkers::REASON)
        .with_process(Process::Checker)
        .with_action(Action::Enter {
            open: checkers::server::ssl,
            inside: Block::Ssl,
            close: no_close,
        }),
    Row::full(
        "instance",
        "NAME",
        name_instance,
        "its name is in those of pid files and in the log; a reload does not change it",
    )
    .with_process(Process::Parent),
    Row::full(
        "use_pid_dir",
        "",
        use_pid_dir,
        "pid files are in /run/keepalived",
    )
    .with_process(Process::Parent),
    Row::refused(
        "net_namespace",
        "NAME",
        net_namespace,
        "start the daemon in the namespace with `ip netns exec`",
    )
    .with_process(Process::Parent),
    Row::refused("net_namespace_ipvs", "NAME", nothing, checkers::REASON)
        .with_process(Process::Parent),
    Row::accepted(
        "namespace_with_ipsets",
        "",
        nothing,
        "for kernels before 3.13",
    )
    .with_process(Process::Parent),
    Row::refused(
        "linkbeat_use_polling",
        "",
        nothing,
        "link state comes from netlink alone",
    )
    .with_process(Process::Parent),
    Row::full(
        "child_wait_time",
        "SECONDS",
        child_wait_time,
        "how long notify scripts may still run when the daemon ends; 5 s unless given",
    )
    .with_process(Process::Parent),
];

fn name_instance(pass: &mut Pass<'_>, line: &Line) -> Handled {
    match line.words.get(1) {
        None => pass.complain("instance name missing - ignoring"),
        Some(word) if pass.draft.global.instance.is_some() => {
            pass.complain(format!(
                "Duplicate instance definition {} - ignoring",
                word.text()
            ));
        }
        Some(word) => pass.draft.global.instance = Some(word.text().into_owned()),
    }
    Ok(())
}

fn use_pid_dir(pass: &mut Pass<'_>, _: &Line) -> Handled {
    pass.draft.global.use_pid_dir = true;
    Ok(())
}

fn net_namespace(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if line.words.len() < 2 {
        pass.complain("net_namespace name missing - ignoring");
    }
    Ok(())
}

fn child_wait_time(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match crate::number::unsigned(&text, 0, u32::MAX) {
        Ok(seconds) => {
            pass.draft.global.child_wait_time = Duration::from_secs(u64::from(seconds));
        }
        Err(faulty) => {
            pass.complain(faulty.message);
            pass.complain(format!("Invalid child_wait_time {text}"));
        }
    }
    Ok(())
}

/// A line of `linkbeat_interfaces`.
fn linkbeat(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = pass.text(line, 0)?;
    let mut extra = line.rest(1).iter();
    let odd = extra.find(|word| ![&b"MII"[..], b"ETHTOOL"].contains(&word.bytes.as_slice()));
    if let Some(odd) = odd {
        let text = odd.text();
        pass.complain(format!("extra characters {text} in linkbeat interface"));
    }
    if pass.env.interface(&name).is_none() {
        pass.complain(format!(
            "unknown interface {name} specified for linkbeat interface"
        ));
    }
    Ok(())
}

/// A line of `interface_up_down_delays`.
fn delays(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = pass.text(line, 0)?;
    if pass.env.interface(&name).is_none() {
        pass.complain(format!(
            "unknown interface {name} specified for up/down delay"
        ));
        return Ok(());
    }
    for word in line.rest(1) {
        let _ = pass.loose_decimals(crate::number::seconds(&word.text(), 0, 255_000_000));
    }
    Ok(())
}
