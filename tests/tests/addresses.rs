//! What a master's addresses, their routes and its virtual interfaces look like in the kernel, with
//! every word of the address list: as the original sets them. Ours without leases, whose
//! lifetimes are all that differs.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::ground::{Ground, LIMIT};
use e2e::host::Host;
use e2e::pair::Implementation::{self, Original, Ours};
use e2e::wait;

/// Lines of `ip` without what numbers them and how long they still live.
fn lines(host: &Host, argv: &[&str]) -> Result<BTreeSet<String>> {
    let shown = host.run(argv)?.success()?.stdout;
    // The original copies the link-local address of the interface below to the virtual one, to
    // send from it; ours sends from it without.
    let is_copy = |line: &&str| line.contains("vrrp.") && line.contains("fe80::aff:fe00:");
    let plain = |line: &str| {
        let line = line.split_once(": ").map_or(line, |(number, rest)| {
            if number.parse::<u32>().is_ok() {
                rest
            } else {
                line
            }
        });
        let words = line.split_whitespace().map(|word| match word {
            "0sec" => word,
            word if word.ends_with("sec") => "some",
            word => word,
        });
        words.collect::<Vec<&str>>().join(" ")
    };
    let own = shown.lines().filter(|line| !is_copy(line));
    Ok(own.map(plain).collect())
}

/// Name, hardware address and mode of each virtual interface.
fn links(host: &Host) -> Result<BTreeSet<String>> {
    let shown = host
        .run(&["ip", "-d", "-o", "link", "show", "type", "macvlan"])?
        .success()?
        .stdout;
    let mut links = BTreeSet::new();
    for line in shown.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |key: &str| {
            let at = words.iter().position(|word| *word == key)?;
            words.get(at + 1).copied()
        };
        let name = words.get(1).context("no name")?;
        let state = after("state").unwrap_or_default();
        let mac = after("link/ether").unwrap_or_default();
        let mode = after("mode").unwrap_or_default();
        links.insert(format!("{name} {state} {mac} {mode}"));
    }
    Ok(links)
}

/// What a host shows while this instance is master.
fn shape(whose: Implementation, instance: &str, last: &str) -> Result<[BTreeSet<String>; 3]> {
    let mut ground = Ground::new()?;
    let lease = match whose {
        Ours => "    vrrp_address_lease off\n",
        Original => "",
    };
    let host = ground.host("r1")?;
    host.ip("address add fd00:fe::1/64 dev ens160 nodad\n")?;
    wait::until_ok("the link-local address", LIMIT, || {
        let table = host.run(&["ip", "-6", "-o", "address"])?.success()?.stdout;
        Ok((table.contains("fe80:") && !table.contains("tentative")).then_some(()))
    })?;
    let text = format!("global_defs {{\n    router_id LAB\n{lease}}}\n{instance}");
    ground.start("r1", whose, &text)?;
    ground.wait("r1", &[last], true)?;
    let host = ground.host("r1")?;
    let shape = [
        lines(host, &["ip", "-o", "address"])?,
        lines(host, &["ip", "route", "show", "table", "all"])?,
        links(host)?,
    ];
    ground.stop()?;
    ground.wait("r1", &[last, "vrrp."], false)?;
    Ok(shape)
}

/// Checks that both set the same; `last` is the text of what comes last.
fn the_same(instance: &str, last: &str) -> Result<[BTreeSet<String>; 3]> {
    let (ours, original) = (
        shape(Ours, instance, last)?,
        shape(Original, instance, last)?,
    );
    for (ours, original) in ours.iter().zip(&original) {
        let only_ours: Vec<&String> = ours.difference(original).collect();
        let only_original: Vec<&String> = original.difference(ours).collect();
        ensure!(
            only_ours.is_empty() && only_original.is_empty(),
            "only ours: {only_ours:#?}\nonly the original's: {only_original:#?}"
        );
    }
    Ok(ours)
}

fn instance(version: u8, inside: &str, addresses: &[&str], excluded: &[&str]) -> String {
    let list = |name: &str, addresses: &[&str]| {
        if addresses.is_empty() {
            String::new()
        } else {
            format!(
                "    {name} {{\n        {}\n    }}\n",
                addresses.join("\n        ")
            )
        }
    };
    format!(
        "vrrp_instance V {{
    interface ens160
    virtual_router_id 51
    priority 150
    version {version}
{inside}
{}{}}}
",
        list("virtual_ipaddress", addresses),
        list("virtual_ipaddress_excluded", excluded)
    )
}

#[test]
fn addresses_with_all_words() -> Result<()> {
    let addresses = [
        "10.0.254.100/16",
        "10.1.1.1",
        "10.2.2.2/24 brd + label ens160:b",
        "10.3.3.3/24 brd 10.3.3.200 scope site",
        "10.4.4.4/24 brd - scope link",
        "10.5.5.5 peer 10.6.6.6",
        "10.8.8.8/24 noprefixroute",
        "10.9.9.9/24 preferred_lft 0",
        "10.10.1.1/24 dev lo",
    ];
    let excluded = ["fd00:fe::77/64", "10.11.1.1/24"];
    the_same(&instance(2, "", &addresses, &excluded), "10.11.1.1/24").map(drop)
}

#[test]
fn addresses_of_ipv6_with_all_words() -> Result<()> {
    let addresses = [
        "fe80::fe:1/64",
        "fd00:1::1/64",
        "fd00:2::1",
        "fd00:3::1/64 home",
        "fd00:4::1/64 mngtmpaddr",
        "fd00:6::1/64 -nodad",
        "fd00:7::1/64 preferred_lft 100",
        "fd00:8::1/64 noprefixroute",
        "fd00:9::1/128 preferred_lft 50",
    ];
    let excluded = ["10.11.1.1/24", "fd00:a::1/64"];
    the_same(&instance(3, "", &addresses, &excluded), "fd00:a::1/64").map(drop)
}

#[test]
fn virtual_interfaces() -> Result<()> {
    let addresses = ["10.0.254.100/16", "10.1.1.1 dev ens160"];
    for (words, name) in [
        ("    use_vmac", "vrrp.51@ens160: "),
        ("    use_vmac lab0", "lab0@ens160: "),
        ("    use_vmac\n    vmac_xmit_base", "vrrp.51@ens160: "),
    ] {
        let text = instance(2, words, &addresses, &["10.11.1.1/24"]);
        let [_, _, links] = the_same(&text, "10.11.1.1/24").context(words)?;
        let there = links.iter().any(|link| link.starts_with(name));
        ensure!(there, "{links:?}");
    }
    Ok(())
}

#[test]
fn virtual_interfaces_of_ipv6() -> Result<()> {
    let addresses = ["fe80::fe:1/64", "fd00:1::1/64"];
    let text = instance(3, "    use_vmac", &addresses, &["10.11.1.1/24"]);
    the_same(&text, "fd00:1::1/64").map(drop)
}
