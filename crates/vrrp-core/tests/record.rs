//! What a router did is written down, and does the same again.
#![cfg(feature = "record")]
#![expect(clippy::unwrap_used, reason = "a helper that breaks fails its test")]

mod common;

use common::{HIGHER_PEER, PEER, datagram, ip, millis, reference, script};
use vrrp_core::record::{Entry, FORM, Masks, Replay, Unusable, deeds};
use vrrp_core::settings::Sense;
use vrrp_core::{Action, Event, Health, State, Time, VirtualRouter};
use vrrp_proto::vrrp::{Advert, Auth, Interval, Version};

/// A router that writes down what it is told.
struct Recorded {
    router: VirtualRouter,
    masks: Masks,
    now: Time,
    lines: Vec<String>,
}

impl Recorded {
    fn write(&mut self, entry: &Entry) {
        self.lines.push(serde_json::to_string(entry).unwrap());
    }

    fn tell(&mut self, event: Event) {
        let masked = self.masks.event(&event);
        self.router.handle(self.now, event);
        let actions: Vec<Action> = std::iter::from_fn(|| self.router.poll_action()).collect();
        let entry = Entry::Told {
            router: 7,
            at: self.now,
            event: masked,
            did: deeds(&actions),
        };
        self.write(&entry);
    }
}

fn advert(from: &str, priority: u8, password: &[u8]) -> Event {
    Event::Packet(datagram(
        from,
        &Advert {
            version: Version::V2,
            vrid: 60,
            priority,
            interval: Interval::Seconds(1),
            auth: Auth::pass(password),
            addresses: vec![ip(common::VIP)],
        },
    ))
}

/// A life with everything in it.
fn life() -> Recorded {
    let mut settings = reference(100);
    settings.scripts = vec![script("chk", 10, Sense::Normal)];
    let mut it = Recorded {
        router: VirtualRouter::new(settings.clone()),
        masks: Masks::default(),
        now: Time(5_000_000_000),
        lines: Vec::new(),
    };
    it.write(&Entry::Record { form: FORM });
    let settings_entry = Entry::Router {
        router: 7,
        settings: it.masks.settings(&settings),
    };
    it.write(&settings_entry);
    it.tell(Event::LinkUp);
    it.tell(Event::Start);
    it.tell(Event::Script {
        index: 0,
        health: Health::Up,
    });
    it.tell(advert(PEER, 120, b"k8s-lb@lab"));
    it.tell(advert(PEER, 120, b"forged"));
    let mut broken = advert(PEER, 120, b"k8s-lb@lab");
    if let Event::Packet(packet) = &mut broken {
        packet.payload[2] ^= 1;
    }
    it.tell(broken);
    for _ in 0..40 {
        it.now = it.router.poll_timeout().unwrap_or(it.now + millis(100));
        it.tell(Event::Timer);
    }
    assert_eq!(it.router.state(), State::Master);
    it.tell(advert(PEER, 90, b"k8s-lb@lab"));
    it.tell(advert(HIGHER_PEER, 200, b"k8s-lb@lab"));
    settings.auth = Auth::pass(b"another");
    it.tell(Event::Reload(Box::new(settings)));
    it.tell(advert(PEER, 90, b"k8s-lb@lab"));
    it.tell(advert(PEER, 90, b"another"));
    it.tell(Event::Stop);
    it
}

fn replay(lines: &[String]) -> Result<(Replay, usize), Unusable> {
    let mut replay = Replay::default();
    let mut differences = 0;
    for line in lines {
        let entry = serde_json::from_str(line).unwrap();
        differences += usize::from(replay.take(entry)?.is_some());
    }
    Ok((replay, differences))
}

#[test]
fn a_record_is_replayed_without_difference() {
    let it = life();
    let (replay, differences) = replay(&it.lines).unwrap();
    assert_eq!(differences, 0);
    assert_eq!(replay.told(), u64::try_from(it.lines.len()).unwrap() - 2);
    let (_, router) = replay.routers().next().unwrap();
    assert_eq!(router.counters(), it.router.counters());
    assert_eq!(router.counters().auth_failures, 2);
    assert_eq!(router.counters().checksum_errors, 1);
}

#[test]
fn no_password_gets_into_a_record() {
    let it = life();
    let hex = |text: &[u8]| {
        let bytes: Vec<String> = text.iter().map(u8::to_string).collect();
        bytes.join(",")
    };
    for secret in [b"k8s-lb@l".as_slice(), b"forged", b"another"] {
        for line in &it.lines {
            assert!(!line.contains(&hex(secret)), "{line}");
            assert!(
                !line.contains(std::str::from_utf8(secret).unwrap()),
                "{line}"
            );
        }
    }
}

#[test]
fn a_router_that_does_something_else_is_found() {
    let mut lines = life().lines;
    let at = lines
        .iter()
        .position(|line| line.contains("Entering(Master)"))
        .unwrap();
    lines[at] = lines[at].replace("Entering(Master)", "Entering(Backup)");
    let (_, differences) = replay(&lines).unwrap();
    assert_eq!(differences, 1);
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let lines = life().lines;
    let stranger = vec![lines[0].clone(), lines[3].clone()];
    assert_eq!(replay(&stranger).unwrap_err(), Unusable::Stranger(7));
    let form = vec![lines[0].replace('1', "9")];
    assert_eq!(replay(&form).unwrap_err(), Unusable::Form(9));
}
