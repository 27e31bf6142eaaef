//! Addresses that a reload moves from one router to another.

use super::*;

const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 201);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 202);

/// Two routers, each with these addresses, which stay for good.
fn pair(lists: [&[Ipv4Addr]; 2]) -> Config {
    let mut config = config(instance());
    config.scripts.clear();
    let def = config.instances.remove(0);
    for (vrid, list) in [1, 2].into_iter().zip(lists) {
        let mut def = def.clone();
        let settings = &mut def.settings;
        settings.name = format!("V{vrid}");
        settings.vrid = NonZeroU8::new(vrid).unwrap();
        settings.scripts.clear();
        settings.lease = Lease::Off;
        settings.addresses = list
            .iter()
            .map(|address| Address::new((*address).into(), 16, "ens160"))
            .collect();
        config.instances.push(def);
    }
    config
}

fn held(host: &Host) -> Vec<IpAddr> {
    let all = host.kernel.addresses().into_iter();
    let mut all: Vec<IpAddr> = all.map(|address| address.key.addr).collect();
    all.sort();
    all.retain(|address| *address != IpAddr::V4(OURS));
    all
}

#[test]
fn an_address_that_moves_between_masters_stays_whoever_is_told_first() {
    let apart: [&[Ipv4Addr]; 2] = [&[FIRST, VIP], &[SECOND]];
    let moved: [&[Ipv4Addr]; 2] = [&[FIRST], &[SECOND, VIP]];
    let swapped: [&[Ipv4Addr]; 2] = [&[SECOND], &[FIRST, VIP]];
    for (before, after) in [(apart, moved), (moved, apart), (apart, swapped)] {
        let mut host = Host::new(pair(before));
        host.pass(4000);
        assert_eq!(held(&host), [FIRST, SECOND, VIP].map(IpAddr::V4));
        host.engine.reload(host.now, pair(after));
        host.settle();
        assert_eq!(held(&host), [FIRST, SECOND, VIP].map(IpAddr::V4));
        for slot in &host.engine.slots {
            assert_eq!(slot.router.state(), State::Master);
        }
        // It goes with the one that has it now.
        host.engine.stop(host.now);
        host.settle();
        assert!(held(&host).is_empty());
    }
}

#[test]
fn an_address_that_nobody_has_any_more_goes() {
    let mut host = Host::new(pair([&[FIRST, VIP], &[SECOND]]));
    host.pass(4000);
    host.engine.reload(host.now, pair([&[FIRST], &[SECOND]]));
    host.settle();
    assert_eq!(held(&host), [FIRST, SECOND].map(IpAddr::V4));
}
