//! Any sequence of events: the router's own invariants are checked after each
//! one (in debug builds), and a few more from the outside.

mod common;

use common::{Bench, HIGHER_PEER, OURS, PEER, VIP, ip, millis, reference, script};
use proptest::collection::vec;
use proptest::prelude::*;
use vrrp_core::settings::{
    Auth, Configured, Initial, Instance, Lease, Preempt, Sense, Sync, Tracker, TrackerKind, Version,
};
use vrrp_core::{Action, Duration, Event, GroupEvent, Health, Standing, State};

#[derive(Clone, Debug)]
enum Op {
    Start,
    Stop,
    Advert(bool, u8),
    Bytes(Vec<u8>),
    Run(u64),
    Sleep(u64),
    Timer,
    Link(bool),
    Source(bool),
    Script(usize, bool),
    Tracker(usize, Standing),
    Group(GroupEvent),
    AddressRemoved,
    RouteRemoved,
    Reload(Box<Instance>),
}

fn settings() -> impl Strategy<Value = Instance> {
    (
        (1..=255_u8, any::<bool>(), 0..3_u8, 0..3_u8),
        (1..4_u64, 1..5_u8, 0..4_u8, -20..20_i16, any::<bool>()),
    )
        .prop_map(
            |((priority, master, preempt, lease), (interval, adverts, garps, weight, reverse))| {
                let mut settings = reference(priority);
                settings.initial = if master {
                    Initial::Master
                } else {
                    Initial::Backup
                };
                settings.preempt = match preempt {
                    0 => Preempt::Yes,
                    1 => Preempt::No,
                    _ => Preempt::After(Duration::from_secs(3)),
                };
                settings.lease = match lease {
                    0 => Lease::Auto,
                    1 => Lease::Off,
                    _ => Lease::Seconds(2),
                };
                settings.advert_interval = Duration::from_secs(interval);
                settings.down_timer_adverts = adverts;
                settings.garp.lower_repeat = garps;
                settings.garp.interval = millis(u64::from(garps) * 7);
                settings.garp.refresh = Duration::from_secs(u64::from(garps));
                let sense = if reverse {
                    Sense::Reverse
                } else {
                    Sense::Normal
                };
                settings.scripts = vec![
                    script("a", weight, sense),
                    script("b", 0, sense),
                    script("c", 9, sense),
                ];
                settings.scripts.truncate(usize::from(garps));
                let tracker = |kind, weight| Tracker {
                    kind,
                    name: "t".to_owned(),
                    weight,
                    sense,
                };
                settings.trackers = vec![
                    tracker(TrackerKind::File, weight),
                    tracker(TrackerKind::Process, 0),
                    tracker(TrackerKind::Interface, weight),
                ];
                settings.trackers.truncate(usize::from(preempt));
                if master {
                    settings.routes = Configured::Yes;
                }
                if lease == 0 {
                    settings.sync = Sync::Member;
                }
                if reverse {
                    settings.version = Version::V3;
                    settings.auth = Auth::None;
                }
                settings
            },
        )
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Up),
        Just(Standing::Down),
        any::<i32>().prop_map(Standing::Number),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => Just(Op::Start),
        1 => Just(Op::Stop),
        6 => (any::<bool>(), any::<u8>()).prop_map(|(high, priority)| Op::Advert(high, priority)),
        1 => vec(any::<u8>(), 0..40).prop_map(Op::Bytes),
        6 => (0..8_000_u64).prop_map(Op::Run),
        2 => (0..20_000_u64).prop_map(Op::Sleep),
        3 => Just(Op::Timer),
        2 => any::<bool>().prop_map(Op::Link),
        2 => any::<bool>().prop_map(Op::Source),
        3 => (0..4_usize, any::<bool>()).prop_map(|(index, up)| Op::Script(index, up)),
        2 => (0..4_usize, standing()).prop_map(|(index, standing)| Op::Tracker(index, standing)),
        1 => prop_oneof![
            Just(GroupEvent::Fault),
            Just(GroupEvent::FaultOver),
            Just(GroupEvent::Master),
            Just(GroupEvent::Backup),
        ]
        .prop_map(Op::Group),
        1 => Just(Op::AddressRemoved),
        1 => Just(Op::RouteRemoved),
        1 => settings().prop_map(|settings| Op::Reload(Box::new(settings))),
    ]
}

/// Follows the actions as a kernel would.
#[derive(Default)]
struct Kernel {
    holds_address: bool,
    holds_routes: bool,
}

impl Kernel {
    fn perform(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::AddAddress { .. } | Action::RefreshAddress { .. } => {
                    self.holds_address = true;
                }
                Action::RemoveAddress(_) => self.holds_address = false,
                Action::SetRoutes => {
                    assert!(self.holds_address, "routes need addresses");
                    self.holds_routes = true;
                }
                Action::RemoveRoutes => self.holds_routes = false,
                Action::SendAdvert(_)
                | Action::SendGarp { .. }
                | Action::Notify { .. }
                | Action::Log(_) => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_breaks_an_invariant(first in settings(), ops in vec(op(), 1..60)) {
        let mut bench = Bench::new(first);
        let mut kernel = Kernel::default();
        let started = bench.event(Event::Start);
        kernel.perform(&started);
        for op in ops {
            let actions = match op {
                Op::Start => bench.event(Event::Start),
                Op::Stop => bench.event(Event::Stop),
                Op::Advert(high, priority) => {
                    let packet = bench.packet(if high { HIGHER_PEER } else { PEER }, priority);
                    bench.event(Event::Packet(packet))
                }
                Op::Bytes(payload) => {
                    let mut packet = bench.packet(PEER, 1);
                    packet.payload = payload;
                    bench.event(Event::Packet(packet))
                }
                Op::Run(time) => common::actions(bench.run(millis(time))),
                Op::Sleep(time) => {
                    bench.sleep(millis(time));
                    Vec::new()
                }
                Op::Timer => bench.event(Event::Timer),
                Op::Link(true) => bench.event(Event::LinkUp),
                Op::Link(false) => bench.event(Event::LinkDown),
                Op::Source(present) => bench.event(Event::Source(present.then(|| ip(OURS)))),
                Op::Script(index, up) => {
                    bench.judged(index, if up { Health::Up } else { Health::Down })
                }
                Op::Tracker(index, standing) => bench.event(Event::Tracker { index, standing }),
                Op::Group(event) => bench.event(Event::Group(event)),
                Op::RouteRemoved => bench.event(Event::RouteRemoved),
                Op::AddressRemoved => bench.event(Event::AddressRemoved(ip(VIP))),
                Op::Reload(settings) => bench.event(Event::Reload(settings)),
            };
            kernel.perform(&actions);
            prop_assert_eq!(kernel.holds_address, bench.router.state() == State::Master);
            let routes = bench.router.settings().routes == Configured::Yes;
            if !routes {
                // The driver's part of a reload.
                kernel.holds_routes = false;
            } else if bench.router.state() != State::Master {
                prop_assert!(!kernel.holds_routes);
            }
            prop_assert_ne!(bench.router.effective_priority(), 0);
            prop_assert!(bench.router.poll_action().is_none());
        }
    }
}
