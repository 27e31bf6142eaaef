//! Virtual interfaces.

use keepalived_conf::{AddressVmacDef, VmacDef};
use vrrp_proto::vrrp::GROUP_V4;

use super::*;

const MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 60];

fn virtual_mac(xmit_base: bool) -> Config {
    let mut settings = instance();
    settings.scripts.clear();
    settings.transport = Transport::Multicast {
        group: GROUP_V4.into(),
        source: None,
    };
    let mut config = config(settings);
    config.scripts.clear();
    config.instances[0].vmac = Some(VmacDef {
        name: "vrrp.60".to_owned(),
        mac: MAC,
        xmit_base,
    });
    config
}

fn link_index(host: &Host, name: &str) -> Option<u32> {
    let links = host.kernel.links();
    links
        .iter()
        .find(|link| link.name == name)
        .map(|link| link.index)
}

fn wire_index(host: &Host) -> Option<u32> {
    let endpoint = host.engine.slots[0].endpoint?;
    endpoint.ifindex.map(NonZeroU32::get)
}

#[test]
fn promote_secondaries_is_set_from_start_to_end_and_by_reloads() {
    let with = |promote: bool| {
        let mut config = reference();
        config.instances[0].promote_secondaries = promote;
        config
    };
    let mut host = Host::new(with(true));
    let here: BTreeSet<String> = ["ens160".to_owned()].into();
    assert_eq!(host.kernel.promoted(), here);
    host.engine.reload(host.now, with(false));
    assert_eq!(host.kernel.promoted(), BTreeSet::new());
    host.engine.reload(host.now, with(true));
    assert_eq!(host.kernel.promoted(), here);
    host.engine.stop(host.now);
    assert_eq!(host.kernel.promoted(), BTreeSet::new());
}

#[test]
fn adverts_addresses_and_announcements_use_the_virtual_interface() {
    let mut host = Host::new(virtual_mac(false));
    let index = link_index(&host, "vrrp.60").unwrap();
    assert_eq!(wire_index(&host), Some(index));
    host.lines();
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
    let addresses = host.kernel.addresses();
    let vip = addresses.iter().find(|it| it.key.addr == IpAddr::V4(VIP));
    assert_eq!(vip.map(|vip| vip.key.ifindex), Some(index));
    let (ifindex, frame) = host.engine.wire.frames.last().unwrap();
    assert_eq!((*ifindex, frame.get(6..12)), (index, Some(MAC.as_slice())));
    // Adverts still come from the address of the interface below.
    let (packet, _) = host.sent().first().cloned().unwrap();
    assert_eq!(packet.get(12..16), Some(OURS.octets().as_slice()));
    host.engine.stop(host.now);
    host.settle();
    assert_eq!(link_index(&host, "vrrp.60"), None);
    let line = "(haproxy-vip) Success removing VMAC interface vrrp.60".to_owned();
    assert!(host.lines().contains(&line));
}

#[test]
fn the_router_starts_when_its_interface_is_there() {
    let mut host = Host::new(virtual_mac(false));
    host.pass(100);
    let lines = host.lines();
    assert_eq!(host.state(), State::Backup);
    assert!(lines.contains(&"(haproxy-vip): Success creating VMAC interface vrrp.60".to_owned()));
    assert!(
        lines.iter().all(|line| !line.contains("FAULT")),
        "{lines:?}"
    );
}

#[test]
fn with_xmit_base_adverts_leave_below() {
    let mut host = Host::new(virtual_mac(true));
    assert_eq!(wire_index(&host), Some(2));
    host.pass(4000);
    let index = link_index(&host, "vrrp.60").unwrap();
    let frames = &host.engine.wire.frames;
    assert_eq!(frames.last().map(|(ifindex, _)| *ifindex), Some(index));
}

#[test]
fn it_goes_with_its_base_and_comes_back_with_it() {
    let mut host = Host::new(virtual_mac(false));
    host.pass(4000);
    let index = link_index(&host, "vrrp.60").unwrap();
    host.kernel.drop_link(index);
    host.kernel.drop_link(2);
    host.settle();
    assert_eq!(host.state(), State::Fault);
    assert_eq!(link_index(&host, "vrrp.60"), None);
    host.kernel.set_link(link(true));
    host.kernel.add_foreign_address(&own_address());
    host.settle();
    assert!(link_index(&host, "vrrp.60").is_some());
    assert_eq!(host.state(), State::Backup);
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
    assert!(host.holds_vip());
}

#[test]
fn a_reload_makes_it_and_removes_it() {
    let mut plain = virtual_mac(false);
    plain.instances[0].vmac = None;
    let mut host = Host::new(plain.clone());
    host.pass(4000);
    host.engine.reload(host.now, virtual_mac(false));
    host.settle();
    assert!(link_index(&host, "vrrp.60").is_some());
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
    assert_eq!(host.kernel.addresses().len(), 2);
    host.engine.reload(host.now, virtual_mac(false));
    host.settle();
    assert_eq!(host.state(), State::Master, "nothing changed");
    host.engine.reload(host.now, plain);
    host.settle();
    assert_eq!(link_index(&host, "vrrp.60"), None);
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
    assert!(host.holds_vip());
}

/// An address of the other family stays on the interface below, unless it has one of its own.
#[test]
fn addresses_have_interfaces_of_their_own() {
    let mut wanted = virtual_mac(false);
    let plain = Address::new("2001:db8::1".parse().unwrap(), 64, "ens160");
    let own = Address::new("2001:db8::2".parse().unwrap(), 64, "vrrp6.60");
    wanted.instances[0].settings.excluded = vec![plain, own];
    wanted.instances[0].address_vmacs = vec![AddressVmacDef {
        name: "vrrp6.60".to_owned(),
        base: "ens160".to_owned(),
        mac: [0, 0, 0x5e, 0, 2, 60],
        v6: true,
    }];
    let mut host = Host::new(wanted);
    let index = link_index(&host, "vrrp6.60").unwrap();
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
    let addresses = host.kernel.addresses();
    let link_of = |text: &str| {
        let address: IpAddr = text.parse().unwrap();
        let found = addresses.iter().find(|it| it.key.addr == address);
        found.map(|it| it.key.ifindex)
    };
    assert_eq!(link_of("2001:db8::1"), link_index(&host, "ens160"));
    assert_eq!(link_of("2001:db8::2"), Some(index));
    let guard = host.kernel.guards().pop().unwrap();
    let reports: Vec<(u32, bool)> = guard
        .virtual_links
        .iter()
        .map(|link| (link.index, link.v6))
        .collect();
    let first = link_index(&host, "vrrp.60").unwrap();
    assert_eq!(reports, [(first, false), (index, true)]);
    host.engine.stop(host.now);
    host.settle();
    assert_eq!(link_index(&host, "vrrp6.60"), None);
}

/// A group is joined once the kernel keeps the reports of it back, and not before.
#[test]
fn no_group_is_joined_before_its_reports_are_kept_back() {
    let mut host = Host::without_address(virtual_mac(false));
    host.kernel.add_foreign_address(&own_address());
    let mut cx = Context::from_waker(Waker::noop());
    let mut guarded = false;
    while let Poll::Ready(Some(event)) = host.engine.kernel_mut().poll_event(&mut cx) {
        let guards = host.kernel.guards();
        let asked = guards.last().is_some_and(|it| !it.virtual_links.is_empty());
        guarded |= asked && matches!(event, netif::Event::GuardDone { .. });
        host.engine.kernel_events(host.now, &[event]);
        let index = link_index(&host, "vrrp.60");
        let joined = index.is_some() && wire_index(&host) == index;
        assert!(guarded || !joined);
    }
    assert!(guarded);
    assert_eq!(wire_index(&host), link_index(&host, "vrrp.60"));
}
