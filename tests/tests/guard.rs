//! What a router has its kernel drop: packets for the addresses of a master that does not
//! accept, and what virtual interfaces would tell switches. Each test runs with keepalived too.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::capture::Capture;
use e2e::ground::{Answer, CONF, Ground, LIMIT, VIP, answer, conf};
use e2e::host::Host;
use e2e::pair::Implementation::{self, Original, Ours};
use e2e::protocol::Program;
use e2e::wait;
use nix::libc::SIGHUP;

const VIP6: &str = "fd00:fe::100";
const LOCAL6: &str = "fe80::fe:100";
/// The hardware address of r1's interface.
const OWN: &str = "02:00:0a:00:fe:01";

/// An instance of IPv6 with an address of the network and one of the link.
fn conf6(globals: &str, inside: &str) -> String {
    format!(
        "global_defs {{
    router_id LAB
{globals}
}}
vrrp_instance V6 {{
    interface ens160
    virtual_router_id 61
    priority 150
    version 3
    virtual_ipaddress {{
        {LOCAL6}/64
        {VIP6}
    }}
{inside}
}}
"
    )
}

fn furnish_ipv6(ground: &Ground) -> Result<()> {
    for (name, last) in [("r1", 1), ("r2", 2)] {
        let host = ground.host(name)?;
        host.ip(&format!(
            "address add fd00:fe::{last}/64 dev ens160 nodad\n"
        ))?;
        let show = ["ip", "-6", "-o", "address", "show", "dev", "ens160"];
        wait::until_ok("the link-local address", LIMIT, || {
            let table = host.run(&show)?.success()?.stdout;
            let settled = table.contains("fe80:") && !table.contains("tentative");
            Ok(settled.then_some(()))
        })?;
    }
    Ok(())
}

/// The tables of a host without what says only whose they are and how they are numbered.
fn ruleset(host: &Host) -> Result<String> {
    let shown = host.run(&["nft", "list", "ruleset"])?.success()?.stdout;
    let mut lines = Vec::new();
    for line in shown.lines() {
        let line = line.split(" # ").next().unwrap_or_default().trim();
        if !line.is_empty() && line != "flags owner" {
            // The same comparison in other words, and what was counted on the way.
            let line = line.replace("ip protocol igmp", "meta l4proto igmp");
            lines.push(without_counts(&line));
        }
    }
    Ok(lines.join("\n"))
}

/// A rule with its counters set to zero.
fn without_counts(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    for index in 1..words.len() {
        if matches!(words[index - 1], "packets" | "bytes") {
            words[index] = "0";
        }
    }
    words.join(" ")
}

/// What a master of this file has in its tables, how the backup before it had them, and what
/// is left in the end.
fn rulesets(whose: Implementation, text: &str) -> Result<[String; 3]> {
    let mut ground = Ground::new()?;
    ground.start("r1", whose, text)?;
    let log = ground.host("r1")?.log().clone();
    let entered = |what: &str| {
        wait::until(what, LIMIT, || {
            (!log.containing(what).is_empty()).then_some(())
        })
    };
    entered("Entering BACKUP STATE")?;
    let host = ground.host("r1")?;
    let backup = ruleset(host)?;
    entered("Entering MASTER STATE")?;
    ground.wait("r1", &[VIP], true)?;
    let master = ruleset(host)?;
    ground.stop()?;
    Ok([backup, master, ruleset(ground.host("r1")?)?])
}

fn the_same(text: &str) -> Result<()> {
    let (ours, original) = (rulesets(Ours, text)?, rulesets(Original, text)?);
    ensure!(
        ours == original,
        "ours:\n{ours:#?}\nthe original's:\n{original:#?}"
    );
    let [_, master, over] = ours;
    ensure!(!master.is_empty() && over.is_empty(), "{master}\n{over}");
    Ok(())
}

#[test]
fn the_tables_are_the_originals() -> Result<()> {
    the_same(&conf(150, "", "    no_accept"))
}

#[test]
fn the_tables_of_a_strict_one_are_the_originals() -> Result<()> {
    the_same(&conf(150, "global_defs {\n    vrrp_strict\n}", ""))
}

#[test]
fn the_tables_of_virtual_interfaces_are_the_originals() -> Result<()> {
    the_same(&conf(150, "", "    use_vmac"))
}

#[test]
fn the_tables_have_the_name_and_place_that_the_file_gives() -> Result<()> {
    let named = "global_defs {\n    nftables lab\n    nftables_priority -7\n}";
    let text = conf(150, named, "    use_vmac\n    no_accept");
    let [_, master, _] = rulesets(Ours, &text)?;
    ensure!(
        master.contains("table ip lab {") && master.contains("priority filter - 7"),
        "{master}"
    );
    the_same(&text)
}

#[test]
fn the_tables_count_if_the_file_says_so() -> Result<()> {
    let counting = "global_defs {\n    nftables_counters\n}";
    let text = conf(150, counting, "    use_vmac\n    no_accept");
    let [_, master, _] = rulesets(Ours, &text)?;
    ensure!(master.contains("counter packets 0"), "{master}");
    the_same(&text)
}

/// It accepts although it is strict, which version 3 allows; or it owns the addresses.
#[test]
fn who_accepts_has_no_tables() -> Result<()> {
    let strict = "global_defs {\n    vrrp_strict\n}";
    for text in [
        conf(150, strict, "    version 3\n    accept"),
        conf(255, "", "    no_accept"),
    ] {
        for whose in [Ours, Original] {
            let mut ground = Ground::new()?;
            ground.start("r1", whose, &text)?;
            ground.wait("r1", &[VIP], true)?;
            let shown = ruleset(ground.host("r1")?)?;
            ensure!(shown.is_empty(), "{whose:?}: {shown}\n{text}");
            ensure!(answer(ground.host("r2")?, VIP)? == Answer::Refusal);
        }
    }
    Ok(())
}

/// Connections get no answer; who asks for the neighbour does.
fn is_silent(client: &Host) -> Result<()> {
    for address in [VIP6.to_owned(), format!("{LOCAL6}%ens160")] {
        client.run(&["ip", "-6", "neighbour", "flush", "dev", "ens160"])?;
        ensure!(answer(client, &address)? == Answer::Nothing, "{address}");
        let plain = address.split('%').next().unwrap_or_default();
        let show = ["ip", "neighbour", "show", plain, "dev", "ens160"];
        let neighbour = client.run(&show)?.success()?.stdout;
        ensure!(neighbour.contains("lladdr"), "{neighbour}");
    }
    ensure!(answer(client, "fd00:fe::1")? == Answer::Refusal);
    Ok(())
}

fn no_accept_ipv6(whose: Implementation, globals: &str, inside: &str) -> Result<()> {
    let mut ground = Ground::new()?;
    furnish_ipv6(&ground)?;
    let text = conf6(globals, inside);
    ground.start("r1", whose, &text)?;
    ground.wait("r1", &[VIP6, LOCAL6], true)?;
    let host = ground.host("r1")?;
    is_silent(ground.host("r2")?).with_context(|| ruleset(host).unwrap_or_default())?;
    // What it asks for itself goes out.
    host.run(&["ip", "-6", "neighbour", "flush", "dev", "ens160"])?;
    ensure!(answer(host, "fd00:fe::2")? == Answer::Refusal);
    if whose == Original {
        // It goes on dropping after such a reload.
        return Ok(());
    }
    ground.host("r1")?.write(CONF, conf6("", ""))?;
    ground
        .routers
        .first()
        .context("no router")?
        .signal(SIGHUP)?;
    let client = ground.host("r2")?;
    wait::until_ok("an answer", LIMIT, || {
        Ok((answer(client, VIP6)? == Answer::Refusal).then_some(()))
    })?;
    ensure!(answer(client, &format!("{LOCAL6}%ens160"))? == Answer::Refusal);
    Ok(())
}

#[test]
fn a_master_of_ipv6_drops_and_is_found_by_its_neighbours() -> Result<()> {
    no_accept_ipv6(Ours, "", "    no_accept")?;
    no_accept_ipv6(Ours, "    nftables_ifindex", "    no_accept")
}

#[test]
fn the_original_of_ipv6_drops_and_is_found_by_its_neighbours() -> Result<()> {
    no_accept_ipv6(Original, "", "    no_accept")
}

/// As the RFC has it, without a word in the instance.
#[test]
fn a_strict_master_drops() -> Result<()> {
    no_accept_ipv6(Ours, "    vrrp_strict", "")?;
    no_accept_ipv6(Original, "    vrrp_strict", "")
}

/// Which of a router's hardware addresses reports of group membership came from.
fn reporters(whose: Implementation) -> Result<BTreeSet<String>> {
    let mut ground = Ground::new()?;
    furnish_ipv6(&ground)?;
    // Reports of IPv6 have a hop-by-hop header; solicitations of routers have none.
    let filter = "igmp or (ip6 and (ip6[6] == 0 or (ip6[6] == 58 and ip6[40] == 133)))";
    let reports = Capture::start_of(&ground.lab, &["r1"], filter)?;
    let text = conf(150, "", "    use_vmac") + &conf6("", "    use_vmac");
    ground.start("r1", whose, &text)?;
    ground.wait("r1", &[VIP, VIP6], true)?;
    ground.stop()?;
    let frames = reports.finish()?.into_iter();
    Ok(frames
        .filter(|frame| frame.source == OWN || frame.source.starts_with("00:00:5e"))
        .map(|frame| {
            let family = if frame.protocols.contains("icmpv6") {
                "MLD"
            } else {
                "IGMP"
            };
            format!("{family} {}", frame.source)
        })
        .collect())
}

/// A switch would take the virtual hardware address for the backup's if that reported a group.
#[test]
fn only_the_interface_below_tells_switches_of_groups() -> Result<()> {
    let expected = BTreeSet::from([format!("IGMP {OWN}"), format!("MLD {OWN}")]);
    for whose in [Ours, Original] {
        let seen = reporters(whose)?;
        ensure!(seen == expected, "{whose:?}: {seen:?}");
    }
    Ok(())
}

/// The kernel refuses the tables while another process owns some of that name: the router says
/// so, is the master all the same, and has them once they can be had.
#[test]
fn tables_that_are_refused_are_asked_for_again() -> Result<()> {
    let mut ground = Ground::new()?;
    let host = ground.host("r1")?;
    let hold = "(echo 'add table ip keepalived { flags owner; }'; exec sleep 1000) | nft -i";
    let holder = host.spawn_program(&Program {
        argv: ["bash", "-c", hold].map(str::to_owned).to_vec(),
        ..Program::default()
    })?;
    wait::until_ok("the other's table", LIMIT, || {
        Ok((!ruleset(host)?.is_empty()).then_some(()))
    })?;
    ground.start("r1", Ours, &conf(150, "", "    no_accept"))?;
    ground.wait("r1", &[VIP], true)?;
    let host = ground.host("r1")?;
    wait::until("a word about it", LIMIT, || {
        (!host.log().containing("firewall").is_empty()).then_some(())
    })?;
    ensure!(!ruleset(host)?.contains(VIP), "{}", ruleset(host)?);
    drop(holder);
    wait::until_ok("the tables", LIMIT, || {
        Ok(ruleset(host)?.contains(VIP).then_some(()))
    })
    .with_context(|| format!("{:?}", host.log().messages()))?;
    ensure!(answer(ground.host("r2")?, VIP)? == Answer::Nothing);
    Ok(())
}
