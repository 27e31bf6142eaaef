//! Lines of `virtual_routes` and `static_routes`. Options are those of `ip route`, but that
//! `gw` and `or` are old names, and that a missing `dev` leaves a route unwatched.

use vrrp_core::settings::Family;

use crate::model::routes::{
    HopDef, PROTOCOL_KEEPALIVED, RouteDef, RouteKind, RouteMetrics, RouterPreference,
};
use crate::number::unsigned;
use crate::pass::Pass;
use crate::text::Line;

use super::addresses::scope;
use super::iproute::{Network, PROTOCOLS, Reading, Step, Stop, TABLES, c_number, whole};
use super::{Handled, encap, instance::current};

/// A line of `virtual_routes`.
pub(super) fn of_instance(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let route = read(pass, line, false)?;
    if let Some(instance) = current(pass) {
        instance.routes.extend(route);
    }
    Ok(())
}

/// A line of `static_routes`.
pub(super) fn fixed(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let route = read(pass, line, true)?;
    pass.draft.static_routes.extend(route);
    Ok(())
}

fn read(
    pass: &mut Pass<'_>,
    line: &Line,
    fixed: bool,
) -> Result<Option<RouteDef>, crate::pass::Fatal> {
    let mut reading = Route {
        words: Reading { pass, line, at: 0 },
        fixed,
        family: None,
        destination: None,
        from: None,
        legacy_hop: None,
        untracked: false,
        encapsulated: false,
        draft: blank(),
    };
    let step = reading.options().and_then(|()| reading.finish());
    whole(step)
}

/// A line and what it gave so far.
struct Route<'p, 'a, 'l> {
    words: Reading<'p, 'a, 'l>,
    fixed: bool,
    family: Option<Family>,
    destination: Option<(Network, String)>,
    from: Option<Network>,
    /// The address behind `or`.
    legacy_hop: Option<HopDef>,
    untracked: bool,
    encapsulated: bool,
    draft: RouteDef,
}

const fn blank() -> RouteDef {
    RouteDef {
        kind: RouteKind::Unicast,
        destination: Network::Any.prefix(Family::V4),
        from: None,
        source: None,
        gateway: None,
        device: None,
        onlink: false,
        hops: Vec::new(),
        table: None,
        vrf: None,
        protocol: PROTOCOL_KEEPALIVED,
        scope: None,
        metric: None,
        tos: 0,
        realms: None,
        expires: None,
        preference: None,
        ttl_propagate: None,
        metrics: RouteMetrics {
            mtu: None,
            window: None,
            rtt: None,
            rttvar: None,
            ssthresh: None,
            cwnd: None,
            advmss: None,
            reordering: None,
            hoplimit: None,
            initcwnd: None,
            features: None,
            rto_min: None,
            initrwnd: None,
            quickack: None,
            fastopen_no_cookie: None,
            congestion: None,
            locked: 0,
        },
        append: false,
        tracked: true,
        track_group: None,
    }
}

/// The kinds by the names that `ip route` gives them.
pub(super) fn kind(word: &str) -> Option<RouteKind> {
    Some(match word {
        "unicast" | "1" => RouteKind::Unicast,
        "local" | "2" => RouteKind::Local,
        "broadcast" | "brd" | "3" => RouteKind::Broadcast,
        "anycast" | "4" => RouteKind::Anycast,
        "multicast" | "5" => RouteKind::Multicast,
        "blackhole" | "6" => RouteKind::Blackhole,
        "unreachable" | "7" => RouteKind::Unreachable,
        "prohibit" | "8" => RouteKind::Prohibit,
        "throw" | "9" => RouteKind::Throw,
        "nat" | "10" => RouteKind::Nat,
        "xresolve" | "11" => RouteKind::Resolve,
        _ => return None,
    })
}

impl Route<'_, '_, '_> {
    fn options(&mut self) -> Step<()> {
        while let Some(word) = self.words.here() {
            if !self.option(&word)? {
                break;
            }
            self.words.at += 1;
        }
        if let Some(word) = self.words.here() {
            self.words
                .pass
                .complain(format!("Route has trailing nonsense - {word}"));
        }
        Ok(())
    }

    /// Takes one option; `false` where the line ends early.
    fn option(&mut self, word: &str) -> Step<bool> {
        let w = &mut self.words;
        match word {
            "src" => {
                let text = w.value()?;
                let address = w.address(&text);
                let address = w.found(address, format!("invalid route src address {text}"))?;
                self.same_family(Family::of(address))?;
                self.draft.source = Some(address);
            }
            "as" => {
                if w.value()? == "to" {
                    w.at += 1;
                }
                w.pass.complain("\"as to\" for MPLS only - ignoring");
            }
            "via" | "gw" => self.gateway(word)?,
            "from" => self.from()?,
            "tos" | "dsfield" => self.draft.tos = w.tos()?,
            "table" => {
                let text = w.value()?;
                // Numbers are cut to the size of the kernel's.
                let table = w
                    .named(&text, &TABLES)
                    .and_then(|table| u32::try_from(table & u64::from(u32::MAX)).ok());
                let complaint = format!("Routing table {text} not found for route");
                self.draft.table = Some(w.found(table, complaint)?);
            }
            "protocol" => {
                let text = w.value()?;
                let protocol = w
                    .named(&text, &PROTOCOLS)
                    .and_then(|protocol| u8::try_from(protocol).ok());
                let complaint = format!("Protocol {text} not found or invalid for route");
                self.draft.protocol = w.found(protocol, complaint)?;
            }
            "scope" => {
                let text = w.value()?;
                let complaint = format!("Scope {text} not found or invalid for route");
                self.draft.scope = Some(w.found(scope(&text), complaint)?);
            }
            "metric" | "priority" | "preference" => {
                let metric = w.up_to(u32::MAX, |text| {
                    format!("Invalid metric {text} specified for route")
                })?;
                self.draft.metric = Some(metric);
            }
            "dev" | "oif" => self.draft.device = Some(w.interface("VROUTE nexthop")?),
            "onlink" => self.draft.onlink = true,
            "append" => self.draft.append = true,
            "no_track" => self.untracked = true,
            "track_group" if self.fixed => {
                self.draft.track_group = w.track_group(self.draft.track_group.as_ref())?;
            }
            "encap" => {
                encap::read(w)?;
                self.encapsulated = true;
            }
            "expires" => {
                self.of_family_6("expires is only valid for IPv6")?;
                let seconds = self.words.up_to(u32::MAX, |text| {
                    format!("Invalid expires time {text} specified for route")
                })?;
                self.draft.expires = Some(seconds);
            }
            "pref" => {
                self.of_family_6("pref is only valid for IPv6")?;
                self.preference()?;
            }
            "realms" => {
                let text = w.value()?;
                let realms = w.realms(&text);
                let realms = w.found(realms, format!("Invalid realms {text} for route"))?;
                if self.family == Some(Family::V6) {
                    return self.words.drop("realms are only valid for IPv4");
                }
                self.family = Some(Family::V4);
                self.draft.realms = Some(realms);
            }
            "ttl-propagate" => {
                let text = w.value()?;
                match text.as_str() {
                    "enabled" => self.draft.ttl_propagate = Some(true),
                    "disabled" => self.draft.ttl_propagate = Some(false),
                    _ => w
                        .pass
                        .complain(format!("ttl-propagate value {text} not recognised")),
                }
            }
            "vrf" => self.vrf()?,
            "or" => self.legacy_hop()?,
            "nexthop" if self.legacy_hop.is_some() => {
                w.pass.complain("Cannot specify nexthops with \"or\" route");
                return Ok(false);
            }
            "nexthop" => {
                if let Err(stop @ Stop::Fatal(_)) = self.hops() {
                    return Err(stop);
                }
                self.words.at = usize::MAX - 1;
                return Ok(false);
            }
            "inet" | "inet6" => self.named_family(word)?,
            _ => {
                if !self.metric(word)? {
                    self.target(word)?;
                }
            }
        }
        Ok(true)
    }

    /// Holds an address against those before it.
    fn same_family(&mut self, family: Family) -> Step<()> {
        if *self.family.get_or_insert(family) == family {
            return Ok(());
        }
        self.words
            .drop("Cannot mix IPv4 and IPv6 addresses for route")
    }

    fn of_family_6(&mut self, complaint: &str) -> Step<()> {
        if *self.family.get_or_insert(Family::V6) == Family::V6 {
            return Ok(());
        }
        self.words.drop(complaint)
    }

    /// `inet` and `inet6` take the word behind them along, whatever it is.
    fn named_family(&mut self, word: &str) -> Step<()> {
        let family = if word == "inet" {
            Family::V4
        } else {
            Family::V6
        };
        match self.family {
            Some(Family::V6) if word == "inet" => {
                return self.words.drop("inet specified for IPv6 route");
            }
            Some(Family::V4) if word == "inet6" => {
                return self.words.drop("inet6 specified for IPv4 route");
            }
            _ => {}
        }
        self.family = Some(family);
        self.words.at += 1;
        Ok(())
    }

    fn gateway(&mut self, word: &str) -> Step<()> {
        let w = &mut self.words;
        if word == "gw" {
            w.pass
                .complain("\"gw\" for routes is deprecated. Please use \"via\"");
        }
        let mut text = w.value()?;
        let mut named = None;
        if text == "inet" || text == "inet6" {
            named = Some(text);
            text = w.value()?;
        }
        let address = w.address(&text);
        let address = w.found(address, format!("invalid route via address {text}"))?;
        let family = Family::of(address);
        let contradicts = match named.as_deref() {
            Some("inet") => family == Family::V6,
            Some(_) => family == Family::V4,
            None => false,
        };
        if contradicts {
            return w.drop("Cannot mix IPv4 and IPv6 addresses for route");
        }
        self.same_family(family)?;
        self.draft.gateway = Some(address);
        Ok(())
    }

    fn from(&mut self) -> Step<()> {
        let w = &mut self.words;
        let text = w.value()?;
        let network = w.network(&text);
        let network = w.found(network, format!("invalid route from address {text}"))?;
        if network.family() != Some(Family::V6) {
            return w.drop(format!(
                "route from address only supported with IPv6 ({text})"
            ));
        }
        self.same_family(Family::V6)?;
        self.from = Some(network);
        Ok(())
    }

    fn preference(&mut self) -> Step<()> {
        let w = &mut self.words;
        let text = w.value()?;
        let preference = match text.as_str() {
            "low" => RouterPreference::Low,
            "medium" => RouterPreference::Medium,
            "high" => RouterPreference::High,
            _ => {
                let complaint = format!("Invalid pref value {text} specified for route");
                match w.number(unsigned(&text, 0, u8::MAX.into()), complaint)? {
                    1 => RouterPreference::High,
                    3 => RouterPreference::Low,
                    _ => RouterPreference::Medium,
                }
            }
        };
        self.draft.preference = Some(preference);
        Ok(())
    }

    fn vrf(&mut self) -> Step<()> {
        let w = &mut self.words;
        let name = w.value()?;
        let pass = &mut *w.pass;
        if pass.env.interface(&name).is_none() {
            return w.drop(format!("VRF {name} not found for route"));
        }
        let path = format!("/sys/class/net/{name}/uevent");
        // A network namespace without its own /sys cannot tell.
        let is_other = pass.env.read(path.as_ref(), 4096).is_ok_and(|event| {
            !event
                .split(|byte| *byte == b'\n')
                .any(|line| line == b"DEVTYPE=vrf")
        });
        if is_other {
            return w.drop(format!("Route specified VRF {name} is not a VRF"));
        }
        self.draft.vrf = Some(name);
        Ok(())
    }

    /// `or ADDRESS`: a second next hop of weight 1.
    fn legacy_hop(&mut self) -> Step<()> {
        let w = &mut self.words;
        w.pass
            .complain("\"or\" for routes is deprecated. Please use \"nexthop\"");
        if self.legacy_hop.is_some() {
            w.pass
                .complain("\"or\" route already specified - ignoring subsequent");
            w.at += 1;
            return Ok(());
        }
        let text = w.value()?;
        let address = w.address(&text);
        let address = w.found(address, format!("Invalid \"or\" address {text}"))?;
        self.legacy_hop = Some(HopDef {
            gateway: Some(address),
            ..HopDef::default()
        });
        Ok(())
    }

    /// `nexthop ... nexthop ...`, which ends the line. A fault ends the hops, not the route.
    fn hops(&mut self) -> Step<()> {
        while let Some(word) = self.words.here() {
            if word != "nexthop" {
                return self.words.drop(format!(
                    "Route has trailing nonsense after nexthops - {word}"
                ));
            }
            self.words.at += 1;
            let mut hop = HopDef::default();
            while let Some(word) = self.words.here() {
                if !self.hop_option(&mut hop, &word)? {
                    break;
                }
                self.words.at += 1;
            }
            self.draft.hops.push(hop);
        }
        Ok(())
    }

    fn hop_option(&mut self, hop: &mut HopDef, word: &str) -> Step<bool> {
        let w = &mut self.words;
        match word {
            "via" => {
                let mut text = w.value()?;
                if text == "inet" || text == "inet6" {
                    let family = if text == "inet" {
                        Family::V4
                    } else {
                        Family::V6
                    };
                    text = w.value()?;
                    if self.family.is_some_and(|known| known != family) {
                        return w.drop("IPv4/6 mismatch for nexthop");
                    }
                }
                let address = w.address(&text);
                let address = w.found(address, format!("invalid nexthop address {text}"))?;
                let family = Family::of(address);
                if *self.family.get_or_insert(family) != family {
                    return w.drop("Address family mismatch for next hop");
                }
                hop.gateway = Some(address);
            }
            "dev" | "oif" => hop.device = Some(w.interface("VROUTE nexthop")?),
            "weight" => {
                let weight = w.up_to(256, |text| {
                    format!("Invalid weight {text} specified for route")
                })?;
                if weight == 0 {
                    return w.drop("Invalid weight 0 specified for route");
                }
                hop.weight = u16::try_from(weight).ok();
            }
            "onlink" => hop.onlink = true,
            "encap" => {
                encap::read(w)?;
                self.encapsulated = true;
            }
            "realms" => {
                let text = w.value()?;
                if self.family == Some(Family::V6) {
                    return w.drop("realms are only supported for IPv4");
                }
                let realms = w.realms(&text);
                hop.realms = Some(w.found(realms, format!("Invalid realms {text} for route"))?);
            }
            "as" => return w.drop("'as [to]' (nat) not supported"),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A metric of the kernel; `false` if the word is none.
    fn metric(&mut self, word: &str) -> Step<bool> {
        const LOCKS: [&str; 9] = [
            "mtu",
            "advmss",
            "rtt",
            "rttvar",
            "reordering",
            "cwnd",
            "ssthresh",
            "rto_min",
            "congctl",
        ];
        // Numbers of RTAX_*.
        let number = match word {
            "mtu" => 2,
            "window" => 3,
            "rtt" => 4,
            "rttvar" => 5,
            "ssthresh" => 6,
            "cwnd" => 7,
            "advmss" => 8,
            "reordering" => 9,
            "hoplimit" => 10,
            "initcwnd" => 11,
            "features" => 12,
            "rto_min" => 13,
            "initrwnd" => 14,
            "quickack" => 15,
            "congctl" => 16,
            "fastopen_no_cookie" => 17,
            _ => return Ok(false),
        };
        if LOCKS.contains(&word) && self.words.peek().as_deref() == Some("lock") {
            self.words.at += 1;
            self.draft.metrics.locked |= 1 << number;
        }
        if word == "features" {
            self.features()?;
            return Ok(true);
        }
        if word == "congctl" {
            self.draft.metrics.congestion = Some(self.words.value()?);
            return Ok(true);
        }
        let value = match word {
            "rtt" | "rttvar" | "rto_min" => self.time(word)?,
            _ => {
                let what = match word {
                    "mtu" => "MTU".to_owned(),
                    "hoplimit" | "advmss" => word.to_owned(),
                    _ => format!("{word} value"),
                };
                let max = match word {
                    "hoplimit" => 255,
                    "quickack" | "fastopen_no_cookie" => 1,
                    _ => u32::MAX,
                };
                self.words.up_to(max, |text| {
                    let what = if word == "hoplimit" {
                        "hoplimit"
                    } else {
                        &what
                    };
                    format!("Invalid {what} {text} specified for route")
                })?
            }
        };
        let metrics = &mut self.draft.metrics;
        *match word {
            "mtu" => &mut metrics.mtu,
            "window" => &mut metrics.window,
            "rtt" => &mut metrics.rtt,
            "rttvar" => &mut metrics.rttvar,
            "ssthresh" => &mut metrics.ssthresh,
            "cwnd" => &mut metrics.cwnd,
            "advmss" => &mut metrics.advmss,
            "reordering" => &mut metrics.reordering,
            "hoplimit" => &mut metrics.hoplimit,
            "initcwnd" => &mut metrics.initcwnd,
            "rto_min" => &mut metrics.rto_min,
            "initrwnd" => &mut metrics.initrwnd,
            "quickack" => &mut metrics.quickack,
            _ => &mut metrics.fastopen_no_cookie,
        } = Some(value);
        Ok(true)
    }

    fn features(&mut self) -> Step<()> {
        let text = self.words.value()?;
        if text == "ecn" {
            self.draft.metrics.features = Some(1);
        } else {
            self.words
                .pass
                .complain(format!("feature {text} not supported"));
        }
        Ok(())
    }

    /// A time in milliseconds, or with `ms` or `s` behind it.
    fn time(&mut self, word: &str) -> Step<u32> {
        let text = self.words.value()?;
        let complaint = match word {
            "rto_min" => format!("Invalid rto_min value {text} specified for route"),
            _ => format!("Invalid {word} {text} for route"),
        };
        let limit: u32 = match word {
            "rtt" => 960_000,
            "rttvar" => 480_000,
            _ => 120_000,
        };
        let (digits, in_seconds) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(digits), _) => (digits, false),
            (None, Some(digits)) => (digits, true),
            (None, None) => (text.as_str(), false),
        };
        // keepalived once took numbers like 1e3, and now says no to everything that ends so.
        let odd = digits.is_empty()
            || digits
                .split_once(['e', 'E', 's'])
                .is_some_and(|(before, _)| before.ends_with(|c: char| c.is_ascii_digit()));
        if odd {
            return self.words.drop(complaint);
        }
        let decimals = if in_seconds { 3 } else { 0 };
        match decimal(digits, decimals, limit) {
            Ok(value) => Ok(value),
            Err((message, value)) => {
                self.words.pass.complain(message);
                self.words.found(value, complaint)
            }
        }
    }

    /// `[to] NETWORK`, or a kind and the network.
    fn target(&mut self, word: &str) -> Step<()> {
        let mut text = word.to_owned();
        if word == "to" {
            text = self.words.value()?;
        } else if let Some(kind) = kind(word) {
            self.draft.kind = kind;
            text = self.words.value()?;
        }
        let network = self.words.network(&text);
        let network = self
            .words
            .found(network, format!("unknown route keyword {text}"))?;
        if !network.fits(self.family) {
            return self.words.drop(format!(
                "Cannot mix IPv4 and IPv6 addresses for route ({text})"
            ));
        }
        self.family = self.family.or(network.family());
        self.destination = Some((network, text));
        Ok(())
    }

    fn finish(self) -> Step<RouteDef> {
        let Self {
            words,
            fixed,
            family,
            destination,
            from,
            legacy_hop,
            untracked,
            encapsulated,
            mut draft,
        } = self;
        let pass = words.pass;
        pass.focus = None;
        let Some((destination, text)) = destination else {
            pass.complain("Route must have a destination");
            return Err(Stop::Dropped);
        };
        let family = family.unwrap_or(Family::V4);
        draft.destination = destination.prefix(family);
        draft.from = from.map(|from| from.prefix(family));
        if let Some(hop) = legacy_hop {
            let first = HopDef {
                gateway: draft.gateway.take(),
                device: draft.device.clone(),
                onlink: draft.onlink,
                ..HopDef::default()
            };
            let second = HopDef {
                device: draft.device.clone(),
                ..hop
            };
            draft.hops = vec![first, second];
        }
        draft.tracked = !untracked;
        if draft.tracked && draft.protocol != PROTOCOL_KEEPALIVED {
            pass.complain(format!(
                "Route cannot be tracked if protocol is not RTPROT_KEEPALIVED({PROTOCOL_KEEPALIVED}), resetting protocol"
            ));
            draft.protocol = PROTOCOL_KEEPALIVED;
        }
        if draft.tracked && draft.device.is_none() {
            pass.complain(format!(
                "Warning - cannot track route {text} with no interface specified, not tracking"
            ));
            draft.tracked = false;
        }
        if fixed && draft.track_group.is_some() && draft.device.is_none() {
            pass.complain("Static route cannot have track group if no oif specified");
            draft.track_group = None;
        }
        if encapsulated {
            let span = words.line.words.first().map(|word| word.span);
            pass.own(
                span,
                &format!("route {text} has no effect here"),
                "encapsulation is not set, and without it the route would lead elsewhere",
            );
            return Err(Stop::Dropped);
        }
        Ok(draft)
    }
}

/// A number with so many decimals, as a whole number of its last one; `max` has the same unit.
/// The fault of a number that is used all the same comes with it.
fn decimal(text: &str, decimals: usize, max: u32) -> Result<u32, (String, Option<u32>)> {
    if text.starts_with('-') {
        return Err((format!("negative number '{text}'"), None));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || text == "." {
        return Err((format!("invalid number '{text}'"), None));
    }
    let mut number = whole.to_owned();
    number.extend(
        fraction
            .chars()
            .chain(std::iter::repeat('0'))
            .take(decimals),
    );
    let value = c_number(number.trim_start_matches('0')).or(Some(0));
    let value = value
        .and_then(|value| u32::try_from(value).ok())
        .unwrap_or(u32::MAX);
    if value > max {
        let (low, high) = if decimals == 0 {
            ("0.".to_owned(), format!("{max}."))
        } else {
            ("0.000".to_owned(), format!("{}.000", max / 1_000))
        };
        return Err((
            format!("number '{text}' outside range [{low}, {high}]"),
            None,
        ));
    }
    if fraction.len() > decimals {
        return Err((
            format!("number '{text}' has too many decimal places"),
            Some(value),
        ));
    }
    Ok(value)
}
