//! A router on a bench: virtual time, adverts from made-up peers, and actions
//! as short lines of text.

#![allow(dead_code, reason = "each test binary uses its own part of the bench")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that breaks fails its test"
)]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::num::NonZeroU8;

use vrrp_core::settings::{Address, Instance, Lease, Peer, Script, Sense, SourceCheck, Transport};
use vrrp_core::{
    Action, Duration, Event, Health, LogLine, Notification, State, Time, VirtualRouter,
};
use vrrp_proto::Datagram;
use vrrp_proto::vrrp::{Advert, Auth, Checksum, Path};

pub(crate) const OURS: &str = "10.0.254.252";
pub(crate) const PEER: &str = "10.0.254.251";
pub(crate) const HIGHER_PEER: &str = "10.0.255.1";
pub(crate) const VIP: &str = "10.0.254.253";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The instance of the reference pair: unicast, PASS, one address.
pub(crate) fn reference(priority: u8) -> Instance {
    let mut instance = Instance::new("V", "eth0", NonZeroU8::new(60).unwrap());
    instance.priority = NonZeroU8::new(priority).unwrap();
    instance.auth = Auth::pass(b"k8s-lb@lab");
    instance.addresses = vec![Address::new(ip(VIP), 16, "eth0")];
    instance.transport = Transport::Unicast {
        source: Some(ip(OURS)),
        peers: vec![Peer::new(ip(PEER))],
        ttl: 255,
        source_check: SourceCheck::Off,
    };
    instance
}

pub(crate) fn script(name: &str, weight: i16, sense: Sense) -> Script {
    Script {
        name: name.to_owned(),
        weight,
        sense,
    }
}

pub(crate) struct Bench {
    pub(crate) router: VirtualRouter,
    pub(crate) now: Time,
}

impl Bench {
    /// A router that has not been started.
    pub(crate) fn new(settings: Instance) -> Self {
        Self {
            router: VirtualRouter::new(settings),
            now: Time(1_000_000_000_000),
        }
    }

    pub(crate) fn started(settings: Instance) -> Self {
        let mut bench = Self::new(settings);
        bench.event(Event::Start);
        bench
    }

    /// Started and left alone until it is master.
    pub(crate) fn master(settings: Instance) -> Self {
        let mut bench = Self::started(settings);
        let wait = bench
            .router
            .settings()
            .master_down(bench.router.effective_priority());
        bench.run(wait);
        assert_eq!(bench.router.state(), State::Master);
        bench
    }

    pub(crate) fn event(&mut self, event: Event) -> Vec<Action> {
        self.router.handle(self.now, event);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.router.poll_action()).collect()
    }

    /// Lets time pass and serves every timer exactly when it is due.
    pub(crate) fn run(&mut self, duration: Duration) -> Vec<(Time, Action)> {
        let end = self.now + duration;
        let mut seen = Vec::new();
        let mut steps = 0;
        while let Some(due) = self.router.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let now = self.now;
            seen.extend(
                self.event(Event::Timer)
                    .into_iter()
                    .map(|action| (now, action)),
            );
            steps += 1;
            assert!(steps < 100_000, "a timer that never gets served");
        }
        self.now = end;
        seen
    }

    /// Time passes and nobody serves a timer.
    pub(crate) fn sleep(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    /// An advert that fits the router's settings.
    pub(crate) fn advert(&mut self, from: &str, priority: u8) -> Vec<Action> {
        let packet = self.packet(from, priority);
        self.event(Event::Packet(packet))
    }

    pub(crate) fn packet(&self, from: &str, priority: u8) -> Datagram {
        let settings = self.router.settings();
        let advert = Advert {
            version: settings.version,
            vrid: settings.vrid.get(),
            priority,
            interval: settings.wire_interval(),
            auth: settings.auth,
            addresses: settings
                .addresses
                .iter()
                .map(|address| address.address)
                .collect(),
        };
        datagram(from, &advert)
    }

    /// How long until the armed timer.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.router.poll_timeout().map(|due| due.since(self.now))
    }

    pub(crate) fn judged(&mut self, index: usize, health: Health) -> Vec<Action> {
        self.event(Event::Script { index, health })
    }
}

pub(crate) fn datagram(from: &str, advert: &Advert) -> Datagram {
    Datagram {
        source: ip(from),
        destination: ip(OURS),
        ttl: 255,
        header_len: 20,
        payload: advert.encode(&Path {
            source: ip(from),
            destination: ip(OURS),
            checksum: Checksum::PseudoHeader,
        }),
    }
}

/// What was done, without log lines; announcements that repeat are counted.
pub(crate) fn effects(actions: &[Action]) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for action in actions {
        let line = match action {
            Action::SendAdvert(advert) => format!("advert {}", advert.priority),
            Action::SendGarp { address, .. } => format!("garp {address}"),
            Action::AddAddress { address, lifetime } => match lifetime {
                Some(seconds) => format!("add {} for {seconds}", address.address),
                None => format!("add {}", address.address),
            },
            Action::RefreshAddress { address, lifetime } => {
                format!("refresh {} for {lifetime}", address.address)
            }
            Action::RemoveAddress(address) => format!("remove {}", address.address),
            Action::SetRoutes => "routes".to_owned(),
            Action::RemoveRoutes => "no routes".to_owned(),
            Action::Notify { what, priority } => match what {
                Notification::Entered(state) => format!("notify {state} {priority}"),
                Notification::Stop => format!("notify STOP {priority}"),
                Notification::MasterReceivedLowerPriority => {
                    format!("notify MASTER_RX_LOWER_PRI {priority}")
                }
                Notification::PriorityChanged(state) => {
                    format!("notify {state}_PRIORITY {priority}")
                }
            },
            Action::Log(_) => continue,
        };
        match lines.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => lines.push((line, 1)),
        }
    }
    let mut text = String::new();
    for (line, count) in lines {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&line);
        if count > 1 {
            write!(text, " x{count}").unwrap();
        }
    }
    text
}

/// The log, line by line, without the lines about single announcements.
pub(crate) fn log(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Log(LogLine::GarpSent { .. }) => None,
            Action::Log(line) => Some(line.to_string()),
            _ => None,
        })
        .collect()
}

pub(crate) fn actions(timed: Vec<(Time, Action)>) -> Vec<Action> {
    timed.into_iter().map(|(_, action)| action).collect()
}

/// Settings without lease and without the periodic announcement: exactly what
/// keepalived does.
pub(crate) fn plain(mut instance: Instance) -> Instance {
    instance.lease = Lease::Off;
    instance.garp.reassert = Duration::ZERO;
    instance
}
