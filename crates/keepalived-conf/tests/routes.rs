//! Every option of addresses, routes and rules, with good and with bad values: what
//! `keepalived -t` of 2.2.7 printed and exited with, line by line.
//!
//! The record names a block behind `#`, then each line of it that was tried, behind the exit
//! code, and below it the complaints. `@` stands for file and line.

use std::path::Path;

use keepalived_conf::env::FakeFile;
use keepalived_conf::model::routes::{Prefix, RouteKind, RuleAction};
use keepalived_conf::{Config, FakeEnvironment, Loaded, Options, load};
use vrrp_core::settings::Configured;

const RECORD: &str = include_str!("recorded/addresses-routes-rules.txt");
const PLACE: &str = "/etc/keepalived/keepalived.conf";

fn read(text: &str) -> Loaded {
    let host = FakeEnvironment::new()
        .with_interface("eth0")
        .with_interface("eth1")
        .with_interface("lo")
        .with_file(PLACE, FakeFile::readable(text.to_owned().into_bytes()));
    load(Path::new(PLACE), &Options::default(), &host)
}

/// A configuration with one line in one block.
fn around(block: &str, line: &str) -> String {
    let instance = |inside: &str| {
        format!(
            "vrrp_instance V {{\ninterface eth0\nvirtual_router_id 60\nvirtual_ipaddress {{\n10.0.254.253/16\n{inside}"
        )
    };
    match block {
        "virtual_ipaddress" => instance(&format!("{line}\n}}\n}}\n")),
        _ if block.starts_with("virtual_") => {
            instance(&format!("}}\n{block} {{\n{line}\n}}\n}}\n"))
        }
        _ => format!(
            "track_group foo {{\ngroup {{\nV\n}}\n}}\n{block} {{\n{line}\n}}\n{}",
            instance("}\n}\n")
        ),
    }
}

fn without_place(text: &str) -> String {
    match text.split_once(") ") {
        Some((place, rest)) if place.starts_with(&format!("({PLACE}: Line ")) => format!("@{rest}"),
        _ => text.to_owned(),
    }
}

#[test]
fn every_recorded_line_is_answered_as_keepalived_did() {
    let mut wrong = Vec::new();
    let mut block = "";
    let mut tried = 0;
    let mut lines = RECORD.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("# ") {
            block = name;
            continue;
        }
        let (exit, line) = line.split_once(' ').unwrap();
        let mut expected = Vec::new();
        while let Some(complaint) = lines.next_if(|line| line.starts_with("    ")) {
            expected.push(complaint.trim_start().to_owned());
        }
        let loaded = read(&around(block, line));
        let found: Vec<String> = loaded.test_lines().map(without_place).collect();
        tried += 1;
        if found != expected || loaded.test_exit.to_string() != exit {
            wrong.push(format!(
                "{block} {{ {line} }}: {} {found:?}, but keepalived: {exit} {expected:?}",
                loaded.test_exit
            ));
        }
    }
    assert!(tried > 1_000, "{tried}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn config(block: &str, line: &str) -> Config {
    read(&around(block, line)).config.unwrap_or_default()
}

#[test]
fn a_route_is_resolved_whole() {
    let config = config(
        "virtual_routes",
        "2001:db8::/32 via fe80::1 dev eth0 table 0x64 metric 7 mtu lock 1400 rtt 1.5s pref low \
         features ecn expires 60 no_track append",
    );
    let [route] = config.instances[0].routes.as_slice() else {
        panic!("{config:?}");
    };
    assert_eq!(
        route.destination,
        Prefix {
            address: "2001:db8::".parse().unwrap(),
            length: 32
        }
    );
    assert_eq!(route.kind, RouteKind::Unicast);
    assert_eq!(route.gateway, "fe80::1".parse().ok());
    assert_eq!(route.device.as_deref(), Some("eth0"));
    assert_eq!((route.table, route.metric), (Some(100), Some(7)));
    assert_eq!(
        (route.metrics.mtu, route.metrics.locked),
        (Some(1400), 1 << 2)
    );
    assert_eq!(route.metrics.rtt, Some(1_500));
    assert_eq!(route.metrics.features, Some(1));
    assert_eq!(route.expires, Some(60));
    assert!(route.append && !route.tracked);
}

#[test]
fn the_family_of_default_follows_what_else_is_said() {
    let six = config("virtual_routes", "default via fe80::1 dev eth0");
    assert!(six.instances[0].routes[0].destination.address.is_ipv6());
    let four = config("static_routes", "default via 10.0.0.1 dev eth0");
    assert!(four.static_routes[0].destination.address.is_ipv4());
    assert!(four.static_routes[0].tracked);
}

#[test]
fn hops_keep_their_order_and_a_faulty_one_ends_them() {
    let config = config(
        "virtual_routes",
        "10.1.0.0/16 nexthop via 10.0.0.1 dev eth0 weight 5 nexthop via 10.0.0.2 onlink nexthop via x",
    );
    let hops = &config.instances[0].routes[0].hops;
    assert_eq!(hops.len(), 2);
    assert_eq!(hops[0].weight, Some(5));
    assert_eq!(hops[1].gateway, "10.0.0.2".parse().ok());
    assert!(hops[1].onlink && !config.instances[0].routes[0].tracked);
}

#[test]
fn a_rule_is_resolved_whole() {
    let config = config(
        "virtual_rules",
        "not from 10.1.0.0/16 fwmark 0x5/0xff iif eth0 ipproto udp sport 10-20 uidrange 1-2 \
         table 100 preference 50",
    );
    let [rule] = config.instances[0].rules.as_slice() else {
        panic!("{config:?}");
    };
    assert!(rule.inverted && rule.tracked);
    assert_eq!(rule.from.map(|from| from.length), Some(16));
    assert_eq!(rule.mark, Some((5, Some(255))));
    assert_eq!(rule.input.as_deref(), Some("eth0"));
    assert_eq!(rule.transport, Some(17));
    assert_eq!(rule.source_ports, Some((10, 20)));
    assert_eq!(rule.users, Some((1, 2)));
    assert_eq!((rule.action, rule.preference), (RuleAction::Table(100), 50));
}

#[test]
fn static_addresses_are_on_the_default_interface_unless_told() {
    let config = config("static_ipaddress", "10.0.9.9/24 track_group foo");
    let [address] = config.static_addresses.as_slice() else {
        panic!("{config:?}");
    };
    assert_eq!(address.address.interface, "eth0");
    assert_eq!(address.track_group.as_deref(), Some("foo"));
}

#[test]
fn routers_and_track_groups_know_what_they_have() {
    let config = config("virtual_routes", "10.1.0.0/16 dev eth0");
    let router = &config.instances[0].settings;
    assert_eq!(
        (router.routes, router.rules),
        (Configured::Yes, Configured::No)
    );
    let text = around("static_ipaddress", "10.0.9.9/24 track_group G").replacen(
        "static_ipaddress",
        "track_group G {\n group {\n V W\n X\n }\n}\nstatic_ipaddress",
        1,
    );
    let config = read(&text).config.unwrap();
    let group = config.track_groups.last().unwrap();
    assert_eq!(group.name, "G");
    assert_eq!(group.members, ["V", "W", "X"]);
}
