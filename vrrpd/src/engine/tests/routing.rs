//! Virtual routes and rules, and what is static.

use std::path::Path as FilePath;

use keepalived_conf::env::FakeFile;
use keepalived_conf::{FakeEnvironment, Options};
use netif::Routing;

use super::*;

/// The reference host's configuration with routes.
fn routed(blocks: &str, inside: &str) -> Config {
    let text = format!(
        "{blocks}
vrrp_instance V1 {{
    interface ens160
    virtual_router_id 60
    priority 101
    virtual_ipaddress {{
        10.0.254.253/16
    }}
    {inside}
}}
"
    );
    let host = FakeEnvironment::new()
        .with_interface("ens160")
        .with_file("/k.conf", FakeFile::readable(text.into_bytes()));
    let loaded = keepalived_conf::load(FilePath::new("/k.conf"), &Options::default(), &host);
    loaded.config.unwrap()
}

const ROUTES: &str = "
    virtual_routes {
        192.0.2.0/24 via 10.0.0.5 dev ens160
        198.51.100.0/24 via 10.0.0.6 dev ens160 no_track
    }
    virtual_rules {
        from 203.0.113.0/24 table 9 preference 100
    }";

fn master(blocks: &str, inside: &str) -> Host {
    let mut host = Host::new(routed(blocks, inside));
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
    host
}

/// Destinations of routes and preferences of rules that are set.
fn set(host: &Host) -> Vec<String> {
    let name = |what: &Routing| match what {
        Routing::Route(route) => route.destination.0.to_string(),
        Routing::Rule(rule) => rule.preference.to_string(),
    };
    host.kernel.routings().iter().map(name).collect()
}

#[test]
fn routes_and_rules_are_there_while_it_is_master() {
    let mut host = Host::new(routed("", ROUTES));
    assert_eq!(set(&host), [""; 0]);
    host.pass(4000);
    assert_eq!(set(&host), ["192.0.2.0", "198.51.100.0", "100"]);
    let asked = host.kernel.routing_requests().len();
    host.kernel.set_link(link(false));
    host.settle();
    assert_eq!(host.state(), State::Fault);
    assert_eq!(set(&host), [""; 0]);
    let removals: Vec<bool> = host.kernel.routing_requests()[asked..]
        .iter()
        .map(|(what, set)| !set && matches!(what, Routing::Rule(_)))
        .collect();
    assert_eq!(removals, [true, false, false], "the rule goes first");
}

#[test]
fn a_removed_route_moves_the_address_unless_it_is_not_tracked() {
    let mut host = master("", ROUTES);
    let of = |host: &Host, place: usize| host.kernel.routings()[place].clone();
    let untracked = of(&host, 1);
    host.kernel.remove_foreign_routing(&untracked);
    host.settle();
    assert_eq!(host.state(), State::Master);
    let tracked = of(&host, 0);
    host.kernel.remove_foreign_routing(&tracked);
    host.settle();
    assert_eq!(host.state(), State::Backup);
    assert!(!host.holds_vip());
    host.pass(2000);
    assert_eq!(host.state(), State::Master, "nobody else wanted it");
    assert_eq!(set(&host).len(), 3);
    let rule = of(&host, 2);
    host.kernel.remove_foreign_routing(&rule);
    host.settle();
    assert_eq!(host.state(), State::Backup);
}

#[test]
fn a_reload_changes_only_what_changed() {
    let mut host = master("", ROUTES);
    let asked = host.kernel.routing_requests().len();
    host.engine.reload(host.now, routed("", ROUTES));
    host.settle();
    assert_eq!(host.kernel.routing_requests().len(), asked);
    let other = ROUTES.replace("192.0.2.0", "192.0.3.0");
    host.engine.reload(host.now, routed("", &other));
    host.settle();
    assert_eq!(host.state(), State::Master);
    let removals = host.kernel.routing_requests()[asked..]
        .iter()
        .filter(|(_, set)| !set)
        .count();
    assert_eq!(removals, 1);
    let mut now = set(&host);
    now.sort();
    assert_eq!(now, ["100", "192.0.3.0", "198.51.100.0"]);
    host.engine.reload(host.now, routed("", ""));
    host.settle();
    assert_eq!(host.state(), State::Master);
    assert_eq!(set(&host), [""; 0]);
}

#[test]
fn a_link_that_comes_back_brings_its_routes() {
    let tracked = "dont_track_primary".to_owned() + ROUTES;
    let mut host = master("", &tracked);
    let asked = host.kernel.routing_requests().len();
    host.kernel.set_link(link(false));
    host.settle();
    assert_eq!(host.state(), State::Master);
    host.kernel.set_link(link(true));
    host.settle();
    let requests = host.kernel.routing_requests();
    let again = requests.iter().skip(asked).filter(|(_, set)| *set);
    assert_eq!(again.count(), 2);
}

#[test]
fn what_a_killed_daemon_left_goes_at_the_start() {
    let host = Host::new(routed("", ROUTES));
    let first: Vec<bool> = host
        .kernel
        .routing_requests()
        .iter()
        .map(|(_, set)| *set)
        .collect();
    assert_eq!(first, [false; 3]);
}

#[test]
fn a_route_that_cannot_be_set_is_said_and_the_rest_goes_on() {
    let mut host = Host::new(routed("", ROUTES));
    host.kernel.refuse_routing(101);
    host.lines();
    host.pass(4000);
    assert_eq!(set(&host), ["198.51.100.0", "100"]);
    let lines = host.lines();
    let told = "(V1) Cannot set route 192.0.2.0/24 via 10.0.0.5 dev ens160: Network is unreachable (os error 101)";
    assert!(lines.contains(&told.to_owned()), "{lines:?}");
}

const STATIC: &str = "
static_ipaddress {
    10.5.0.1/24 dev ens160
    10.0.254.252/16 dev ens160
}
static_routes {
    192.0.2.0/24 via 10.0.0.5 dev ens160
}
static_rules {
    from 203.0.113.0/24 table 9 preference 100
}";

#[test]
fn what_is_static_is_there_from_start_to_end() {
    let mut host = Host::without_address(routed(STATIC, ""));
    host.kernel.add_foreign_address(&own_address());
    host.begin();
    assert_eq!(host.state(), State::Backup);
    assert_eq!(set(&host), ["192.0.2.0", "100"]);
    let fixed = AddressKey {
        ifindex: 2,
        addr: [10, 5, 0, 1].into(),
        prefix: 24,
    };
    let holds = |host: &Host| {
        let mut all = host.kernel.addresses().into_iter();
        all.any(|address| address.key == fixed)
    };
    assert!(holds(&host));
    // What others remove is set again.
    host.kernel.remove_foreign_address(fixed);
    let route = host.kernel.routings()[0].clone();
    host.kernel.remove_foreign_routing(&route);
    host.settle();
    assert!(holds(&host));
    assert_eq!(set(&host), ["100", "192.0.2.0"]);
    let lines = host.lines();
    for told in [
        "Restoring deleted static address 10.5.0.1/24 dev ens160",
        "Restoring deleted static route 192.0.2.0/24 via 10.0.0.5 dev ens160",
    ] {
        assert!(lines.contains(&told.to_owned()), "{lines:?}");
    }
    host.engine.stop(host.now);
    host.settle();
    assert!(!holds(&host));
    assert_eq!(set(&host), [""; 0]);
    let own = own_address().key;
    let left = host.kernel.addresses();
    assert!(
        left.iter().any(|address| address.key == own),
        "it was there before"
    );
}

#[test]
fn a_static_route_that_is_refused_is_told_once_and_tried_again() {
    let only = "static_routes {\n 192.0.2.0/24 via 10.0.0.5 dev ens160\n}";
    let mut host = Host::without_address(routed(only, ""));
    let told = |host: &Host| {
        let lines = host.lines();
        let refusals = lines
            .iter()
            .filter(|line| line.contains("Cannot set route"));
        refusals.count()
    };
    let asked = |host: &Host| host.kernel.routing_requests().len();
    host.kernel.refuse_routing(101);
    host.begin();
    assert_eq!((told(&host), asked(&host)), (1, 1));
    host.kernel.refuse_routing(101);
    host.kernel.add_foreign_address(&own_address());
    host.settle();
    assert_eq!((told(&host), asked(&host)), (0, 2));
    host.kernel.remove_foreign_address(own_address().key);
    host.settle();
    assert_eq!(set(&host), ["192.0.2.0"]);
    assert_eq!(asked(&host), 3);
}

#[test]
fn a_refused_static_route_is_not_tried_without_end_before_the_start() {
    let only = "
global_defs {
    vrrp_startup_delay 30
}
static_routes {
    192.0.2.0/24 via 10.0.0.5 dev ens160
}";
    let mut host = Host::without_address(routed(only, ""));
    for _ in 0..8 {
        host.kernel.refuse_routing(101);
    }
    host.begin();
    host.pass(1000);
    assert_eq!(host.kernel.routing_requests().len(), 1);
}

#[test]
fn a_reload_takes_and_gives_what_is_static() {
    let mut host = Host::new(routed(STATIC, ""));
    let other = STATIC
        .replace("192.0.2.0", "192.0.3.0")
        .replace("10.5.0.1", "10.6.0.1");
    host.engine.reload(host.now, routed(&other, ""));
    host.settle();
    assert_eq!(set(&host), ["100", "192.0.3.0"]);
    let all = host.kernel.addresses();
    let has = |last: [u8; 4]| {
        all.iter()
            .any(|address| address.key.addr == IpAddr::from(last))
    };
    assert!(has([10, 6, 0, 1]) && !has([10, 5, 0, 1]));
}
