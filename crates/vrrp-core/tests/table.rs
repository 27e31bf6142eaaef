//! Every pair of state and event, once: the state it leads to, what is done,
//! and whether a timer is armed afterwards.

#![expect(clippy::unwrap_used, reason = "a helper that breaks fails its test")]

mod common;

use common::{Bench, PEER, VIP, effects, ip, millis, plain, reference, script};
use vrrp_core::settings::{Configured, Sense, Tracker, TrackerKind};
use vrrp_core::{Event, GroupEvent, Health, Standing, State};

/// One of each kind of event, and of each kind of packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Start,
    LowerAdvert,
    EqualAdvert,
    HigherAdvert,
    PriorityZero,
    BadPacket,
    EarlyTimer,
    DueTimer,
    LinkUp,
    LinkDown,
    SourcePresent,
    SourceGone,
    WeightedUp,
    WeightedDown,
    UnweightedUp,
    UnweightedDown,
    UnknownScript,
    TrackedUp,
    TrackedDown,
    UnknownTracker,
    GroupFault,
    GroupFaultOver,
    GroupMaster,
    GroupBackup,
    OurAddressRemoved,
    OtherAddressRemoved,
    ARouteRemoved,
    SameSettings,
    OtherPriority,
    OtherVrid,
    Stop,
}

use Kind::*;

const KINDS: [Kind; 31] = [
    Start,
    LowerAdvert,
    EqualAdvert,
    HigherAdvert,
    PriorityZero,
    BadPacket,
    EarlyTimer,
    DueTimer,
    LinkUp,
    LinkDown,
    SourcePresent,
    SourceGone,
    WeightedUp,
    WeightedDown,
    UnweightedUp,
    UnweightedDown,
    UnknownScript,
    TrackedUp,
    TrackedDown,
    UnknownTracker,
    GroupFault,
    GroupFaultOver,
    GroupMaster,
    GroupBackup,
    OurAddressRemoved,
    OtherAddressRemoved,
    ARouteRemoved,
    SameSettings,
    OtherPriority,
    OtherVrid,
    Stop,
];

/// The kinds an event can be of. A new event does not compile until it has a
/// place here, and the count below fails until it has a row in the table.
const fn kinds_of(event: &Event) -> &'static [Kind] {
    match event {
        Event::Start => &[Start],
        Event::Packet(_) => &[
            LowerAdvert,
            EqualAdvert,
            HigherAdvert,
            PriorityZero,
            BadPacket,
        ],
        Event::Timer => &[EarlyTimer, DueTimer],
        Event::LinkUp => &[LinkUp],
        Event::LinkDown => &[LinkDown],
        Event::Source(_) => &[SourcePresent, SourceGone],
        Event::Script { .. } => &[
            WeightedUp,
            WeightedDown,
            UnweightedUp,
            UnweightedDown,
            UnknownScript,
        ],
        Event::Tracker { .. } => &[TrackedUp, TrackedDown, UnknownTracker],
        Event::Group(_) => &[GroupFault, GroupFaultOver, GroupMaster, GroupBackup],
        Event::AddressRemoved(_) => &[OurAddressRemoved, OtherAddressRemoved],
        Event::RouteRemoved => &[ARouteRemoved],
        Event::Reload(_) => &[SameSettings, OtherPriority, OtherVrid],
        Event::Stop => &[Stop],
    }
}

/// A router in `state`, with a weighted script (0) that has no result and an
/// unweighted one (1) that has the result the state needs.
fn router_in(state: State) -> Bench {
    let mut settings = plain(reference(100));
    settings.scripts = vec![
        script("weighted", 10, Sense::Normal),
        script("unweighted", 0, Sense::Normal),
    ];
    settings.trackers = vec![Tracker {
        kind: TrackerKind::Interface,
        name: "eth1".to_owned(),
        weight: 0,
        sense: Sense::Normal,
    }];
    settings.routes = Configured::Yes;
    let mut bench = Bench::new(settings);
    match state {
        // Running, and waiting for the script.
        State::Init => {
            bench.event(Event::Start);
        }
        State::Backup => {
            bench.event(Event::Start);
            bench.judged(1, Health::Up);
        }
        State::Master => {
            bench.event(Event::Start);
            bench.judged(1, Health::Up);
            bench.run(millis(3_610));
            // Past the second burst, between two adverts.
            bench.run(millis(5_500));
        }
        State::Fault => {
            bench.event(Event::Start);
            bench.judged(1, Health::Down);
        }
    }
    assert_eq!(bench.router.state(), state);
    bench
}

const fn tracker(index: usize, standing: Standing) -> Event {
    Event::Tracker { index, standing }
}

fn make(kind: Kind, bench: &mut Bench) -> Event {
    let mut settings = bench.router.settings().clone();
    match kind {
        Start => Event::Start,
        LowerAdvert => Event::Packet(bench.packet(PEER, 99)),
        // From a lower address than ours.
        EqualAdvert => Event::Packet(bench.packet(PEER, 100)),
        HigherAdvert => Event::Packet(bench.packet(PEER, 101)),
        PriorityZero => Event::Packet(bench.packet(PEER, 0)),
        BadPacket => {
            let mut packet = bench.packet(PEER, 200);
            packet.payload[6] ^= 0x40;
            Event::Packet(packet)
        }
        EarlyTimer => Event::Timer,
        DueTimer => {
            if let Some(wait) = bench.wait() {
                bench.sleep(wait);
            }
            Event::Timer
        }
        LinkUp => Event::LinkUp,
        LinkDown => Event::LinkDown,
        SourcePresent => Event::Source(Some(ip(common::OURS))),
        SourceGone => Event::Source(None),
        WeightedUp => Event::Script {
            index: 0,
            health: Health::Up,
        },
        WeightedDown => Event::Script {
            index: 0,
            health: Health::Down,
        },
        UnweightedUp => Event::Script {
            index: 1,
            health: Health::Up,
        },
        UnweightedDown => Event::Script {
            index: 1,
            health: Health::Down,
        },
        UnknownScript => Event::Script {
            index: 7,
            health: Health::Down,
        },
        TrackedUp => tracker(0, Standing::Up),
        TrackedDown => tracker(0, Standing::Down),
        UnknownTracker => tracker(7, Standing::Down),
        GroupFault => Event::Group(GroupEvent::Fault),
        GroupFaultOver => Event::Group(GroupEvent::FaultOver),
        GroupMaster => Event::Group(GroupEvent::Master),
        GroupBackup => Event::Group(GroupEvent::Backup),
        OurAddressRemoved => Event::AddressRemoved(ip(VIP)),
        OtherAddressRemoved => Event::AddressRemoved(ip("192.0.2.1")),
        ARouteRemoved => Event::RouteRemoved,
        SameSettings => Event::Reload(Box::new(settings)),
        OtherPriority => {
            settings.priority = std::num::NonZeroU8::new(90).unwrap();
            Event::Reload(Box::new(settings))
        }
        OtherVrid => {
            settings.vrid = std::num::NonZeroU8::new(61).unwrap();
            Event::Reload(Box::new(settings))
        }
        Stop => Event::Stop,
    }
}

/// What a cell of the table holds: the next state, the effects, and whether a
/// timer runs in that state.
type Cell = (State, &'static str);

const KEEP: &str = "";
const TO_FAULT_FROM_MASTER: &str = "advert 0 x2, no routes, remove 10.0.254.253, notify FAULT 100";
const ANSWER: &str = "advert 100, garp 10.0.254.253 x5, notify MASTER_RX_LOWER_PRI 100";

/// Columns: INIT, BACKUP, MASTER, FAULT.
fn row(kind: Kind) -> [Cell; 4] {
    use State::{Backup, Fault, Init, Master};
    let nothing = [(Init, KEEP), (Backup, KEEP), (Master, KEEP), (Fault, KEEP)];
    let [init, backup, master, fault] = nothing;
    match kind {
        // INIT here is running already.
        Start | BadPacket | EarlyTimer | LinkUp | SourcePresent | UnknownScript | TrackedUp
        | UnknownTracker | GroupFaultOver | OtherAddressRemoved | WeightedDown | SameSettings => {
            nothing
        }
        OtherPriority => [init, backup, (Master, "advert 90"), fault],
        GroupMaster => [
            init,
            (
                Master,
                "advert 100, add 10.0.254.253, routes, garp 10.0.254.253 x5, notify MASTER 100",
            ),
            master,
            fault,
        ],
        GroupBackup => [
            init,
            backup,
            (
                Backup,
                "advert 0, no routes, remove 10.0.254.253, notify BACKUP 100",
            ),
            fault,
        ],
        LowerAdvert | EqualAdvert => [init, backup, (Master, ANSWER), fault],
        HigherAdvert => [
            init,
            backup,
            (
                Backup,
                "advert 100, no routes, remove 10.0.254.253, notify BACKUP 100",
            ),
            fault,
        ],
        PriorityZero => [init, backup, (Master, "advert 100"), fault],
        DueTimer => [
            init,
            (
                Master,
                "advert 100, add 10.0.254.253, routes, garp 10.0.254.253 x5, notify MASTER 100",
            ),
            (Master, "advert 100"),
            fault,
        ],
        LinkDown | SourceGone | TrackedDown | GroupFault => [
            (Fault, "notify FAULT 100"),
            (Fault, "notify FAULT 100"),
            (Fault, TO_FAULT_FROM_MASTER),
            fault,
        ],
        WeightedUp => [
            init,
            (Backup, "notify BACKUP_PRIORITY 110"),
            (Master, "notify MASTER_PRIORITY 110"),
            fault,
        ],
        UnweightedUp => [
            (Backup, "notify BACKUP 100, garp 10.0.254.252"),
            backup,
            master,
            (Backup, "notify BACKUP 100, garp 10.0.254.252"),
        ],
        UnweightedDown => [
            (Fault, "notify FAULT 100"),
            (Fault, "notify FAULT 100"),
            (Fault, TO_FAULT_FROM_MASTER),
            fault,
        ],
        OurAddressRemoved | ARouteRemoved => [
            init,
            backup,
            (
                Backup,
                "advert 0, no routes, remove 10.0.254.253, notify BACKUP 100",
            ),
            fault,
        ],
        OtherVrid => [
            (Init, "notify STOP 100, no routes, remove 10.0.254.253"),
            (
                Backup,
                "notify STOP 100, no routes, remove 10.0.254.253, notify BACKUP 100",
            ),
            (
                Backup,
                "advert 0, no routes, remove 10.0.254.253, notify STOP 100, no routes, remove 10.0.254.253, \
                 notify BACKUP 100",
            ),
            (
                Fault,
                "notify STOP 100, no routes, remove 10.0.254.253, notify FAULT 100",
            ),
        ],
        Stop => [
            (Init, "notify STOP 100"),
            (Init, "notify STOP 100"),
            (
                Init,
                "advert 0, no routes, remove 10.0.254.253, notify STOP 100",
            ),
            (Init, "notify STOP 100"),
        ],
    }
}

#[test]
fn every_state_and_event() {
    let mut pairs = 0;
    for kind in KINDS {
        for (state, (next, expected)) in State::ALL.into_iter().zip(row(kind)) {
            let mut bench = router_in(state);
            let event = make(kind, &mut bench);
            assert!(kinds_of(&event).contains(&kind));
            let actions = bench.event(event);
            assert_eq!(effects(&actions), expected, "{kind:?} in {state}");
            assert_eq!(bench.router.state(), next, "{kind:?} in {state}");
            let waits = matches!(next, State::Backup | State::Master);
            assert_eq!(bench.wait().is_some(), waits, "{kind:?} in {state}: timer");
            pairs += 1;
        }
    }
    assert_eq!(pairs, KINDS.len() * State::ALL.len());
}

/// A router that was not started, or was stopped, takes note of the world and
/// does nothing.
#[test]
fn nothing_happens_without_a_start() {
    for kind in KINDS.into_iter().filter(|kind| *kind != Start) {
        let mut settings = plain(reference(100));
        settings.scripts = vec![script("weighted", 10, Sense::Normal)];
        let mut bench = Bench::new(settings);
        let event = make(kind, &mut bench);
        let actions = bench.event(event);
        assert_eq!(effects(&actions), "", "{kind:?}");
        assert_eq!(
            (bench.router.state(), bench.wait()),
            (State::Init, None),
            "{kind:?}"
        );
    }
    let mut bench = Bench::master(plain(reference(100)));
    bench.event(Event::Stop);
    for kind in KINDS.into_iter().filter(|kind| *kind != Start) {
        let event = make(kind, &mut bench);
        assert_eq!(effects(&bench.event(event)), "", "{kind:?} after Stop");
        assert_eq!(
            (bench.router.state(), bench.wait()),
            (State::Init, None),
            "{kind:?}"
        );
    }
}

#[test]
fn a_stopped_router_starts_again() {
    let mut bench = Bench::master(plain(reference(100)));
    bench.event(Event::Stop);
    let actions = bench.event(Event::Start);
    assert_eq!(effects(&actions), "remove 10.0.254.253, notify BACKUP 100");
    assert_eq!(bench.router.state(), State::Backup);
}
