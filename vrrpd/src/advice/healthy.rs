//! Pairs that are set up well: nothing may be said of them, whoever is master, with all checks
//! well or, on the master, one failed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use keepalived_conf::env::FakeFile;
use keepalived_conf::{FakeEnvironment, Options};
use vrrp_core::settings::Transport;
use vrrp_core::{Event, Time, VirtualRouter};
use vrrp_proto::Datagram;
use vrrp_proto::vrrp::{Advert, Interval, Path as Way, Version};

use super::*;

const HOSTS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const HOSTS_V6: [&str; 3] = ["fe80::1", "fe80::2", "fe80::3"];

fn instances(text: &str) -> Vec<Instance> {
    let environment = FakeEnvironment::new()
        .with_file("/etc/k.conf", FakeFile::readable(text))
        .with_file("/bin/true", FakeFile::executable())
        .with_interface("eth0")
        .with_interface("eth1");
    let path = Path::new("/etc/k.conf");
    let loaded = keepalived_conf::load(path, &Options::default(), &environment);
    let config = loaded.config.expect("a configuration");
    let instances = config.instances.into_iter();
    instances.map(|def| def.settings).collect()
}

/// The advert of a router at its best less `drop`.
fn advert(own: &Instance, source: IpAddr, to: IpAddr, drop: i64) -> Datagram {
    let best = match own.priority.get() {
        255 => 255,
        base => {
            let sum = i64::from(base) + tracked(own).iter().map(|item| item.well).sum::<i64>();
            clamp(sum - drop)
        }
    };
    let destination = match &own.transport {
        Transport::Multicast { group, .. } => *group,
        Transport::Unicast { .. } => to,
    };
    let hundredths = own.advert_interval.as_nanos() / 10_000_000;
    let advert = Advert {
        version: own.version,
        vrid: own.vrid.get(),
        priority: u8::try_from(best).unwrap(),
        interval: match own.version {
            Version::V2 => Interval::Seconds(u8::try_from(hundredths / 100).unwrap()),
            Version::V3 => Interval::Centiseconds(u16::try_from(hundredths).unwrap()),
        },
        auth: own.auth,
        addresses: own.addresses.iter().map(|it| it.address).collect(),
    };
    let payload = advert.encode(&Way {
        source,
        destination,
        checksum: own.checksum,
    });
    Datagram {
        source,
        destination,
        ttl: 255,
        header_len: if source.is_ipv4() { 20 } else { 0 },
        payload,
    }
}

/// What hosts with these configurations say of each other.
fn said(texts: &[&str]) -> BTreeSet<String> {
    let hosts: Vec<Vec<Instance>> = texts.iter().map(|text| instances(text)).collect();
    assert!(hosts.iter().all(|host| !host.is_empty()), "{texts:?}");
    let mut lines = BTreeSet::new();
    for (at, host) in hosts.iter().enumerate() {
        for own in host {
            let names = if own.addresses[0].address.is_ipv4() {
                HOSTS
            } else {
                HOSTS_V6
            };
            let address = |at: usize| names[at].parse::<IpAddr>().unwrap();
            let source = Some(address(at));
            let mut router = VirtualRouter::new(own.clone());
            router.handle(Time(0), Event::Source(source));
            router.handle(Time(0), Event::Start);
            let mut adviser = Adviser::default();
            let mut second = 0;
            for (other_at, other) in hosts.iter().enumerate() {
                let same = |it: &&Instance| it.vrid == own.vrid && it.family == own.family;
                let Some(peer) = other.iter().find(same).filter(|_| other_at != at) else {
                    continue;
                };
                let mut drops = vec![0];
                let all = tracked(peer);
                drops.extend(
                    all.iter()
                        .filter(|it| it.falls())
                        .map(|it| it.well - it.failed),
                );
                for drop in drops {
                    for _ in 0..3 {
                        second += 1;
                        let datagram = advert(peer, address(other_at), address(at), drop);
                        router.handle(Time(second * 1_000_000_000), Event::Packet(datagram));
                        lines.extend(adviser.look(&router, source));
                    }
                }
            }
        }
    }
    lines
}

fn instance(name: &str, vrid: u8, priority: u8, inside: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n \
         priority {priority}\n {inside}\n}}\n"
    )
}

const SCRIPT: &str = "vrrp_script chk {\n script /bin/true\n interval 2\n weight 2\n}\n";
const ADDRESS: &str = "virtual_ipaddress {\n 10.0.0.9/24\n }\n";

fn unicast(own: usize) -> String {
    let peers: Vec<&str> = HOSTS
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != own)
        .map(|(_, host)| *host)
        .collect();
    format!(
        "unicast_src_ip {}\n unicast_peer {{\n {}\n }}\n",
        HOSTS[own],
        peers.join("\n ")
    )
}

fn pair(before: &str, priorities: [u8; 2], inside: &str) -> [String; 2] {
    priorities.map(|priority| format!("{before}{}", instance("V", 51, priority, inside)))
}

#[test]
fn of_pairs_that_are_set_up_well_nothing_is_said() {
    let script = format!("track_script {{\n chk\n }}\n {ADDRESS}");
    let fault = SCRIPT.replace("weight 2", "weight 0");
    let heavy = SCRIPT.replace("weight 2", "weight -60");
    let pass = format!("authentication {{\n auth_type PASS\n auth_pass k8s-lb\n }}\n {script}");
    let nopreempt = format!("state BACKUP\n nopreempt\n {ADDRESS}");
    let interface = format!("track_interface {{\n eth1 weight 20\n }}\n {ADDRESS}");
    let file = "vrrp_track_file load {\n file /var/run/load\n weight 1\n}\n";
    let tracked_file = format!("track_file {{\n load\n }}\n {ADDRESS}");
    let process = "vrrp_track_process p {\n process haproxy\n weight 20\n}\n";
    let tracked_process = format!("track_process {{\n p\n }}\n {ADDRESS}");
    let six = "virtual_ipaddress {\n fe80::9/64\n 2001:db8::9/64\n }\n";
    let fast = |interval: &str| format!("version 3\n advert_int {interval}\n {ADDRESS}");
    for (before, priorities, inside) in [
        (SCRIPT, [101, 100], &*script),
        (SCRIPT, [101, 100], &*pass),
        (&*fault, [150, 100], &*script),
        (&*heavy, [150, 100], &*script),
        // An owner's priority does not fall.
        (SCRIPT, [255, 100], &*script),
        ("", [150, 100], &*fast("0.1")),
        ("", [150, 100], &*fast("0.05")),
        ("", [150, 100], &*fast("2.5")),
        (
            "",
            [150, 100],
            "advert_int 5\n virtual_ipaddress {\n 10.0.0.9\n 10.0.0.8\n }\n",
        ),
        ("", [100, 99], &*nopreempt),
        ("", [110, 100], &*interface),
        (file, [110, 100], &*tracked_file),
        (process, [110, 100], &*tracked_process),
        ("", [110, 100], six),
    ] {
        let [first, second] = pair(before, priorities, inside);
        assert_eq!(said(&[&first, &second]), BTreeSet::new(), "{first}");
    }
}

#[test]
fn of_two_that_serve_an_address_each_nothing_is_said() {
    let hosts = [[101, 100], [100, 101]].map(|[first, second]| {
        let other = ADDRESS.replace("10.0.0.9", "10.0.0.10");
        let track = "track_script {\n chk\n }\n";
        let first = instance("V1", 51, first, &format!("{track}{ADDRESS}"));
        let second = instance("V2", 52, second, &format!("{track}{other}"));
        format!("{SCRIPT}{first}{second}")
    });
    assert_eq!(said(&[&hosts[0], &hosts[1]]), BTreeSet::new());
}

#[test]
fn of_groups_whose_weights_count_for_all_nothing_is_said() {
    let hosts = [101, 100].map(|priority| {
        let six = "virtual_ipaddress {\n fe80::9/64\n }\n";
        let group = "vrrp_sync_group G {\n group {\n V4\n V6\n }\n track_script {\n chk\n }\n}\n";
        let four = instance("V4", 51, priority, ADDRESS);
        let six = instance("V6", 51, priority, six);
        format!("{SCRIPT}{group}{four}{six}")
    });
    assert_eq!(said(&[&hosts[0], &hosts[1]]), BTreeSet::new());
}

/// A failure on the first moves the address to the second: that the third stays beneath is
/// as it should be.
#[test]
fn of_three_whose_last_is_far_behind_nothing_is_said() {
    let heavy = SCRIPT.replace("weight 2", "weight -40");
    let hosts: Vec<String> = [150, 120, 90]
        .iter()
        .enumerate()
        .map(|(at, priority)| {
            let inside = format!("{}track_script {{\n chk\n }}\n {ADDRESS}", unicast(at));
            format!("{heavy}{}", instance("V", 51, *priority, &inside))
        })
        .collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    assert_eq!(said(&hosts), BTreeSet::new());
}

/// That the others can fail: a pair of each kind that is not set up well.
#[test]
fn of_others_something_is_said() {
    let script = format!("track_script {{\n chk\n }}\n {ADDRESS}");
    let [first, second] = pair(SCRIPT, [105, 100], &script);
    assert_eq!(said(&[&first, &second]).len(), 2);
    let [first, second] = pair("", [100, 100], ADDRESS);
    assert_eq!(said(&[&first, &second]).len(), 2);
    let [first, _] = pair("", [150, 100], &format!("advert_int 1\n {ADDRESS}"));
    let [_, second] = pair("", [150, 100], &format!("advert_int 2\n {ADDRESS}"));
    assert_eq!(said(&[&first, &second]).len(), 2);
}
