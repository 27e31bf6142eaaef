use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::num::{NonZeroU8, NonZeroU32};
use std::task::{Context, Poll, Waker};

use keepalived_conf::env::Credentials;
use keepalived_conf::{InstanceDef, ScriptDef};
use netif::{AddressKey, AddressSpec, Fake, FakeHandle};
use osys::vrrp_socket::Listen;
use vrrp_core::State;
use vrrp_core::settings::{
    Address, Auth, Instance, Lease, Peer, Script, Sense, SourceCheck, Transport, Version,
};
use vrrp_proto::ipv4::Header;
use vrrp_proto::vrrp::{Advert, Checksum, Interval, Path};

use super::*;
use crate::script::runner::End;

mod attacks;
mod firewall;
mod groups;
mod moves;
mod routing;
mod tracking;
mod vmac;

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 252);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 251);
const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 254, 253);

/// Sockets in memory.
#[derive(Debug, Default)]
struct FakeWire {
    open: BTreeSet<Endpoint>,
    audiences: BTreeMap<Endpoint, Audience>,
    refuse: Option<i32>,
    sent: Vec<(Vec<u8>, IpAddr)>,
    frames: Vec<(u32, Vec<u8>)>,
}

impl Wire for FakeWire {
    fn attach(&mut self, endpoint: Endpoint) -> io::Result<()> {
        if let Some(errno) = self.refuse {
            return Err(io::Error::from_raw_os_error(errno));
        }
        self.open.insert(endpoint);
        Ok(())
    }

    fn keep_only(&mut self, endpoints: &BTreeMap<Endpoint, Audience>) {
        self.open
            .retain(|endpoint| endpoints.contains_key(endpoint));
        self.audiences.clone_from(endpoints);
    }

    fn send(&mut self, endpoint: Endpoint, packet: &[u8], to: IpAddr) -> io::Result<()> {
        assert!(self.open.contains(&endpoint), "sent on a closed endpoint");
        self.sent.push((packet.to_vec(), to));
        Ok(())
    }

    fn send_frame(&mut self, ifindex: NonZeroU32, frame: &[u8]) -> io::Result<()> {
        self.frames.push((ifindex.get(), frame.to_vec()));
        Ok(())
    }

    fn poll_packets(&mut self, _cx: &mut Context<'_>) -> Poll<Vec<(Endpoint, Datagram)>> {
        Poll::Pending
    }
}

/// An engine with its fakes and its clock.
struct Host {
    engine: Engine<Fake, FakeWire>,
    kernel: FakeHandle,
    log: Rc<Log>,
    now: Time,
}

impl Host {
    fn new(config: Config) -> Self {
        let host = Self::without_address(config);
        host.kernel.add_foreign_address(&own_address());
        let mut host = host;
        host.settle();
        host
    }

    /// The host has its interface and no address yet.
    fn without_address(config: Config) -> Self {
        let (fake, kernel) = Fake::new(vec![link(true)]);
        let log = Rc::new(Log::in_memory());
        let now = Time(0);
        let engine = Engine::new(
            fake,
            FakeWire::default(),
            Rc::clone(&log),
            Switches::default(),
            config,
            now,
        );
        Self {
            engine,
            kernel,
            log,
            now,
        }
    }

    /// Starts with the host as it is by now: one snapshot, not a sequence of changes.
    fn begin(&mut self) {
        self.kernel.resynchronise();
        let mut cx = Context::from_waker(Waker::noop());
        let mut last = None;
        while let Poll::Ready(Some(event)) = self.engine.kernel_mut().poll_event(&mut cx) {
            last = Some(event);
        }
        self.engine.kernel_events(self.now, &[last.unwrap()]);
        self.settle();
    }

    /// Hands over what the kernel reports.
    fn settle(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(event)) = self.engine.kernel_mut().poll_event(&mut cx) {
            self.engine.kernel_events(self.now, &[event]);
        }
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, millis: u64) {
        let end = Time(self.now.0 + millis * 1_000_000);
        while let Some(deadline) = self.engine.deadline().filter(|time| *time <= end) {
            self.now = deadline.max(self.now);
            self.engine.tick(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn state(&self) -> State {
        self.engine.slots[0].router.state()
    }

    fn holds_vip(&self) -> bool {
        let mut addresses = self.kernel.addresses().into_iter();
        addresses.any(|address| address.key.addr == IpAddr::V4(VIP))
    }

    fn receive(&mut self, priority: u8) {
        let endpoint = self.engine.slots[0].endpoint.unwrap();
        let datagram = datagram(PEER, priority);
        self.engine.packets(self.now, vec![(endpoint, datagram)]);
        self.settle();
    }

    fn sent(&mut self) -> Vec<(Vec<u8>, IpAddr)> {
        std::mem::take(&mut self.engine.wire.sent)
    }

    fn lines(&self) -> Vec<String> {
        self.log.take_lines()
    }
}

fn link(running: bool) -> Link {
    Link {
        index: 2,
        name: "ens160".to_owned(),
        mac: vec![0xb2, 0xdf, 0x76, 0xaf, 0x63, 0xcb],
        mtu: 1500,
        up: true,
        running,
        no_arp: false,
        loopback: false,
        multicast: true,
        vrf_table: None,
    }
}

fn own_address() -> AddressSpec {
    AddressSpec::new(AddressKey {
        ifindex: 2,
        addr: OURS.into(),
        prefix: 16,
    })
}

fn vip_key() -> AddressKey {
    AddressKey {
        ifindex: 2,
        addr: VIP.into(),
        prefix: 16,
    }
}

fn datagram(source: Ipv4Addr, priority: u8) -> Datagram {
    let advert = Advert {
        version: Version::V2,
        vrid: 60,
        priority,
        interval: Interval::Seconds(1),
        auth: Auth::pass(b"k8s-lb@lab"),
        addresses: vec![VIP.into()],
    };
    let payload = advert.encode(&Path {
        source: source.into(),
        destination: OURS.into(),
        checksum: Checksum::PseudoHeader,
    });
    let mut packet = Header::advert(source, OURS, 255, 1).encode(payload.len());
    packet.extend_from_slice(&payload);
    Datagram::from_ipv4(&packet).unwrap()
}

/// The reference pair's first host.
fn instance() -> Instance {
    let mut settings = Instance::new("haproxy-vip", "ens160", NonZeroU8::new(60).unwrap());
    settings.priority = NonZeroU8::new(101).unwrap();
    settings.auth = Auth::pass(b"k8s-lb@lab");
    settings.transport = Transport::Unicast {
        source: Some(OURS.into()),
        peers: vec![Peer::new(PEER.into())],
        ttl: 255,
        source_check: SourceCheck::Off,
    };
    settings.addresses = vec![Address::new(VIP.into(), 16, "ens160")];
    settings.scripts = vec![Script {
        name: "chk_haproxy".to_owned(),
        weight: 2,
        sense: Sense::Normal,
    }];
    settings
}

fn script() -> ScriptDef {
    ScriptDef {
        name: "chk_haproxy".to_owned(),
        argv: vec!["/usr/bin/killall".into(), "-0".into(), "haproxy".into()],
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(2),
        own_timeout: true,
        rise: 1,
        fall: 1,
        weight: 2,
        sense: Sense::Normal,
        user: Credentials::ROOT,
        init_fail: false,
    }
}

fn config(settings: Instance) -> Config {
    Config {
        scripts: vec![script()],
        instances: vec![InstanceDef::new(settings)],
        ..Config::default()
    }
}

fn reference() -> Config {
    config(instance())
}

#[test]
fn the_first_advert_is_the_captured_packet() {
    let mut host = Host::new(reference());
    let job = host.engine.take_jobs().pop().unwrap();
    let report = Report {
        ticket: job.ticket,
        end: End::Exited(0),
    };
    host.engine.report(host.now, &report);
    assert_eq!(host.state(), State::Backup);
    assert_eq!(host.sent(), []);
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
    let (packet, to) = host.sent().first().cloned().unwrap();
    assert_eq!(to, PEER);
    // keepalived's own packet; the two checksum bytes of the IP header are the
    // kernel's to fill in.
    let captured = "45c0002800010000ff70a8ac0a00fefc0a00fefb\
                    213c67010101e28e0a00fefd6b38732d6c62406c";
    let mut hex: String = packet.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.replace_range(20..24, "a8ac");
    assert_eq!(hex, captured);
    assert!(host.holds_vip());
    let lines = host.lines();
    assert!(lines.contains(&"(haproxy-vip) Entering MASTER STATE".to_owned()));
    assert!(lines.contains(&"VRRP_Script(chk_haproxy) succeeded".to_owned()));
}

#[test]
fn a_master_announces_with_whole_frames_and_leases_what_it_holds() {
    let mut host = Host::new(reference());
    host.pass(4000);
    let frames = &host.engine.wire.frames;
    assert!(
        frames
            .iter()
            .all(|(ifindex, frame)| (*ifindex, frame.len()) == (2, 42))
    );
    let of_vip = frames
        .iter()
        .filter(|(_, frame)| frame.get(28..32) == Some(VIP.octets().as_slice()));
    assert_eq!(of_vip.count(), 5);
    let set: Vec<_> = host.kernel.requests();
    let leased = set.iter().filter(|(_, spec)| spec.key == vip_key());
    assert!(leased.clone().all(|(operation, spec)| {
        *operation == Operation::Remove || spec.lifetime.is_some_and(|seconds| seconds >= 2)
    }));
    let before = leased.count();
    host.pass(10_000);
    let after = host.kernel.requests().len();
    assert!(after >= before + 9, "{before} {after}");
}

#[test]
fn leftovers_go_and_the_hosts_own_addresses_stay() {
    let mut host = Host::without_address(reference());
    host.kernel.add_foreign_address(&own_address());
    host.kernel
        .add_foreign_address(&AddressSpec::new(vip_key()));
    host.begin();
    assert!(!host.holds_vip());
    assert_eq!(host.kernel.addresses().len(), 1);
}

#[test]
fn a_router_without_peers_that_must_have_some_stays_at_fault() {
    let mut config = reference();
    config.instances[0].peerless = true;
    let mut host = Host::new(config);
    host.pass(10_000);
    assert_eq!(host.state(), State::Fault);
    assert_eq!(host.sent().len(), 0);
    let lines = host.lines();
    assert!(
        !lines.iter().any(|line| line.contains("ens160 down")),
        "{lines:?}"
    );
}

#[test]
fn a_missing_source_address_is_a_fault_that_heals() {
    let mut host = Host::without_address(reference());
    host.settle();
    assert_eq!(host.state(), State::Fault);
    assert_eq!(host.engine.wire.open.len(), 0);
    host.kernel.add_foreign_address(&own_address());
    host.settle();
    assert_eq!(host.state(), State::Backup);
    host.pass(4000);
    assert_eq!(host.state(), State::Master);
}

#[test]
fn a_missing_interface_is_a_fault_that_heals() {
    let mut host = Host::new(reference());
    host.kernel.drop_link(2);
    host.settle();
    assert_eq!(host.state(), State::Fault);
    assert_eq!(host.engine.wire.open.len(), 0);
    let mut other = link(true);
    other.index = 7;
    host.kernel.set_link(other);
    let mut address = own_address();
    address.key.ifindex = 7;
    host.kernel.add_foreign_address(&address);
    host.settle();
    assert_eq!(host.state(), State::Backup);
    let endpoint = host.engine.slots[0].endpoint.unwrap();
    assert_eq!(endpoint.ifindex.map(NonZeroU32::get), Some(7));
    assert_eq!(endpoint.listen, Listen::Address(OURS.into()));
}

#[test]
fn a_lost_carrier_is_told_in_keepaliveds_words() {
    let mut host = Host::new(reference());
    host.pass(4000);
    host.lines();
    host.kernel.set_link(link(false));
    host.settle();
    assert_eq!(host.state(), State::Fault);
    assert!(!host.holds_vip());
    let lines = host.lines();
    assert_eq!(
        lines,
        [
            "Netlink reports ens160 down",
            "(haproxy-vip) Entering FAULT STATE"
        ]
    );
    host.kernel.set_link(link(true));
    host.settle();
    assert_eq!(host.state(), State::Backup);
}

#[test]
fn sockets_that_cannot_be_opened_are_tried_again() {
    let mut host = Host::without_address(reference());
    host.engine.wire.refuse = Some(1);
    host.kernel.add_foreign_address(&own_address());
    host.settle();
    assert_eq!(host.state(), State::Fault);
    assert!(
        host.lines()
            .iter()
            .any(|line| line.contains("cannot open sockets"))
    );
    host.engine.wire.refuse = None;
    host.pass(1100);
    assert_eq!(host.state(), State::Backup);
}

#[test]
fn a_better_advert_takes_the_address_away_and_our_own_does_not() {
    let mut host = Host::new(reference());
    host.pass(4000);
    let endpoint = host.engine.slots[0].endpoint.unwrap();
    let echo = datagram(OURS, 200);
    host.engine.packets(host.now, vec![(endpoint, echo)]);
    assert_eq!(host.state(), State::Master);
    host.receive(200);
    assert_eq!(host.state(), State::Backup);
    assert!(!host.holds_vip());
}

#[test]
fn a_flood_of_bad_packets_is_a_few_lines_and_changes_nothing() {
    let mut host = Host::new(reference());
    host.pass(3000);
    host.lines();
    let endpoint = host.engine.slots[0].endpoint.unwrap();
    let mut bad = datagram(PEER, 255);
    if let Some(byte) = bad.payload.last_mut() {
        *byte ^= 0xff;
    }
    let flood = vec![(endpoint, bad); 5000];
    host.engine.packets(host.now, flood);
    assert!(host.lines().len() <= 10);
    // Master_Down of priority 101 is 3.605 s: the flood has not moved it.
    host.pass(700);
    assert_eq!(host.state(), State::Master);
}

#[test]
fn sockets_hear_what_is_for_a_router_and_with_log_unknown_vrids_everything() {
    let mut host = Host::new(reference());
    let endpoint = host.engine.slots[0].endpoint.unwrap();
    let heard = |host: &Host| host.engine.wire.audiences.get(&endpoint).cloned();
    assert_eq!(heard(&host), Some(Audience::Only([60].into())));
    let mut curious = reference();
    curious.global.log_unknown_vrids = true;
    host.engine.reload(host.now, curious);
    assert_eq!(heard(&host), Some(Audience::Everything));
    let mut other = instance();
    other.vrid = NonZeroU8::new(61).unwrap();
    host.engine.reload(host.now, config(other));
    assert_eq!(heard(&host), Some(Audience::Only([61].into())));
}

#[test]
fn stopping_says_priority_zero_and_leaves_no_address() {
    let mut host = Host::new(reference());
    host.pass(4000);
    host.sent();
    host.engine.stop(host.now);
    host.settle();
    let sent = host.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0.get(22), Some(&0));
    assert!(!host.holds_vip());
    assert!(!host.engine.is_busy());
    assert_eq!(
        host.engine.deadline().map(|_| ()),
        host.engine.scripts.first().map(|_| ())
    );
}

#[test]
fn an_address_somebody_removed_is_missed_unless_it_is_on_its_way_back() {
    let mut host = Host::new(reference());
    host.pass(4000);
    host.kernel.remove_foreign_address(vip_key());
    // A refresh asked for before the removal is heard of makes it good.
    host.pass(1000);
    assert_eq!(host.state(), State::Master);
    assert!(host.holds_vip());
    host.kernel.remove_foreign_address(vip_key());
    host.settle();
    assert_eq!(host.state(), State::Backup);
    host.pass(1000);
    assert_eq!(host.state(), State::Master);
    assert!(host.holds_vip());
}

#[test]
fn what_the_kernel_refuses_is_told_once() {
    let mut host = Host::new(reference());
    for _ in 0..20 {
        host.kernel.refuse(Operation::Add, 1);
        host.kernel.refuse(Operation::Refresh, 1);
    }
    host.pass(8000);
    let lines = host.lines();
    let refusals = lines
        .iter()
        .filter(|line| line.starts_with("Netlink: cannot"));
    assert_eq!(refusals.count(), 1, "{lines:?}");
}

#[test]
fn an_unchanged_reload_touches_nothing() {
    let mut host = Host::new(reference());
    host.pass(4000);
    let requests = host.kernel.requests().len();
    host.sent();
    host.engine.reload(host.now, reference());
    host.settle();
    assert_eq!(host.state(), State::Master);
    assert_eq!(host.kernel.requests().len(), requests);
    assert_eq!(host.sent(), []);
}

#[test]
fn a_reload_that_adds_an_address_keeps_the_state_and_the_old_address() {
    let mut host = Host::new(reference());
    host.pass(4000);
    let mut more = instance();
    let second = Ipv4Addr::new(10, 0, 254, 200);
    more.addresses
        .push(Address::new(second.into(), 16, "ens160"));
    host.engine.reload(host.now, config(more));
    host.settle();
    assert_eq!(host.state(), State::Master);
    assert_eq!(host.kernel.addresses().len(), 3);
    // And taking it away again leaves the first.
    host.engine.reload(host.now, reference());
    host.settle();
    assert!(host.holds_vip());
    assert_eq!(host.kernel.addresses().len(), 2);
}

#[test]
fn a_reload_to_another_router_id_leaves_in_order_and_starts_anew() {
    let mut host = Host::new(reference());
    host.pass(4000);
    host.sent();
    let mut other = instance();
    other.vrid = NonZeroU8::new(61).unwrap();
    host.engine.reload(host.now, config(other));
    host.settle();
    let sent = host.sent();
    // Priority 0 under the old id.
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0.get(21..23), Some([60, 0].as_slice()));
    assert!(!host.holds_vip());
    assert_eq!(host.state(), State::Backup);
}

#[test]
fn a_reload_without_an_instance_removes_its_address_and_closes_its_sockets() {
    let mut host = Host::new(reference());
    host.pass(4000);
    host.engine.reload(host.now, Config::default());
    host.settle();
    assert!(!host.holds_vip());
    assert_eq!(host.engine.wire.open.len(), 0);
    assert_eq!(host.engine.deadline(), None);
}

#[test]
fn a_kept_script_keeps_its_judgement() {
    let mut host = Host::new(reference());
    let job = host.engine.take_jobs().pop().unwrap();
    let up = Report {
        ticket: job.ticket,
        end: End::Exited(0),
    };
    host.engine.report(host.now, &up);
    assert_eq!(host.engine.slots[0].router.effective_priority(), 103);
    let mut higher = instance();
    higher.priority = NonZeroU8::new(110).unwrap();
    host.engine.reload(host.now, config(higher));
    assert_eq!(host.engine.slots[0].router.effective_priority(), 112);
    assert!(
        host.lines()
            .contains(&"VRRP_Script(chk_haproxy) considered successful on reload".to_owned())
    );
}

#[test]
fn a_startup_delay_holds_everything_back() {
    let mut delayed = reference();
    delayed.global.startup_delay = Duration::from_secs(5);
    let mut host = Host::new(delayed);
    host.pass(4900);
    assert_eq!(host.state(), State::Init);
    host.pass(200);
    assert_eq!(host.state(), State::Backup);
}

#[test]
fn without_a_lease_addresses_are_set_for_good() {
    let mut settings = instance();
    settings.lease = Lease::Off;
    let mut host = Host::new(config(settings));
    host.pass(10_000);
    assert!(host.holds_vip());
    let all = host.kernel.requests();
    let sets: Vec<_> = all
        .iter()
        .filter(|(operation, _)| *operation != Operation::Remove)
        .collect();
    assert_eq!(sets.len(), 1);
    assert_eq!(sets[0].1.lifetime, None);
}
