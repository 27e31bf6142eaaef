//! Virtual interfaces for addresses: which there are, what they are called and what is on them,
//! as keepalived 2.2.7 makes them (found by running it).

use std::path::Path;

use keepalived_conf::env::FakeFile;
use keepalived_conf::{Config, FakeEnvironment, Options, load};

fn read(text: &str) -> (Config, Vec<String>) {
    let host = FakeEnvironment::new()
        .with_interface("eth0")
        .with_interface("eth1")
        .with_interface("eth2")
        .with_file("/x.conf", FakeFile::readable(text));
    let loaded = load(Path::new("x.conf"), &Options::default(), &host);
    let lines = loaded.test_lines().map(str::to_owned).collect();
    (loaded.config.unwrap_or_default(), lines)
}

/// `name@base` of each virtual interface with the MAC's last two bytes, and `address@interface` of
/// each address.
fn shown(config: &Config) -> (Vec<String>, Vec<String>) {
    let mut interfaces = Vec::new();
    let mut addresses = Vec::new();
    for def in &config.instances {
        let of = |name: &str, base: &str, mac: [u8; 6]| {
            let [.., kind, vrid] = mac;
            format!("{name}@{base} {kind:02x}:{vrid:02x}")
        };
        let settings = &def.settings;
        if let Some(vmac) = &def.vmac {
            interfaces.push(of(&vmac.name, &settings.interface, vmac.mac));
        }
        for vmac in &def.address_vmacs {
            assert_eq!(vmac.v6, vmac.mac[4] == 2);
            assert_eq!(def.below(&vmac.name), Some(vmac.base.as_str()));
            interfaces.push(of(&vmac.name, &vmac.base, vmac.mac));
        }
        for address in settings.addresses.iter().chain(&settings.excluded) {
            addresses.push(format!("{}@{}", address.address, address.interface));
        }
    }
    (interfaces, addresses)
}

#[test]
fn addresses_elsewhere_are_on_interfaces_of_their_own() {
    let text = "vrrp_instance V {
 interface eth0
 virtual_router_id 51
 use_vmac
 use_vmac_addr
 virtual_ipaddress {
  10.0.0.9/24
  10.1.0.9/24 dev eth1
  10.1.0.10/24 dev eth1
  10.2.0.9/24 dev eth2
 }
 virtual_ipaddress_excluded {
  2001:db8:5::1/64 dev eth1
  2001:db8:6::1/64
 }
}
vrrp_instance W {
 interface eth0
 virtual_router_id 52
 use_vmac_addr
 virtual_ipaddress {
  10.0.0.19/24
  10.1.0.19/24 dev eth1
 }
}
";
    let (config, lines) = read(text);
    assert!(lines.is_empty(), "{lines:?}");
    let (interfaces, addresses) = shown(&config);
    assert_eq!(
        interfaces,
        [
            "vrrp.51@eth0 01:33",
            "vrrp1.51@eth1 01:33",
            "vrrp2.51@eth2 01:33",
            "vrrp6.51@eth1 02:33",
            "vrrp3.51@eth0 02:33",
            "vrrp.52@eth1 01:34",
        ]
    );
    assert_eq!(
        addresses,
        [
            "10.0.0.9@eth0",
            "10.1.0.9@vrrp1.51",
            "10.1.0.10@vrrp1.51",
            "10.2.0.9@vrrp2.51",
            "2001:db8:5::1@vrrp6.51",
            "2001:db8:6::1@vrrp3.51",
            "10.0.0.19@eth0",
            "10.1.0.19@vrrp.52",
        ]
    );
}

#[test]
fn an_address_asks_for_one_itself() {
    let text = "global_defs {
 vmac_addr_prefix vip
}
vrrp_instance V {
 interface eth0
 virtual_router_id 51
 use_vmac foo
 virtual_ipaddress {
  10.0.0.9/24
  10.0.0.10/24 dev eth0 use_vmac
  10.1.0.9/24 dev eth1 use_vmac
  10.1.0.10/24 dev eth1
 }
 virtual_ipaddress_excluded {
  2001:db8:7::1/64
 }
}
vrrp_instance X {
 interface eth0
 virtual_router_id 53
 virtual_ipaddress {
  10.0.0.28/24 use_vmac
 }
}
";
    let (config, lines) = read(text);
    let twice = "(V) use_vmac specified for VIP/eVIP 10.0.0.10/24 and vrrp instance";
    assert_eq!(lines, [twice]);
    let (interfaces, addresses) = shown(&config);
    assert_eq!(
        interfaces,
        ["foo@eth0 01:33", "vip.51@eth1 01:33", "vip.53@eth0 01:35"]
    );
    assert_eq!(
        addresses,
        [
            "10.0.0.9@eth0",
            "10.0.0.10@eth0",
            "10.1.0.9@vip.51",
            "10.1.0.10@eth1",
            "2001:db8:7::1@eth0",
            "10.0.0.28@vip.53",
        ]
    );
}

#[test]
fn an_address_with_a_wrong_peer_is_set_without_one() {
    for peer in ["foo", "10.7.7.1/24", "fe80::1"] {
        let text = format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {{\n 10.5.5.7 peer {peer}\n }}\n}}\n"
        );
        let (config, lines) = read(&text);
        assert!(!lines.is_empty());
        let address = &config.instances[0].settings.addresses[0];
        assert_eq!((address.prefix, address.peer), (32, None), "{peer}");
    }
}
