//! Lines of `virtual_rules` and `static_rules`. Options are those of `ip rule`, but that `pref`
//! has to be written out.

use vrrp_core::settings::Family;

use crate::model::routes::{PROTOCOL_KEEPALIVED, RouteKind, RuleAction, RuleDef};
use crate::number::unsigned;
use crate::pass::{Fatal, Pass};
use crate::text::Line;

use super::iproute::{GROUPS, Network, Reading, Step, Stop, TABLES, c_number, whole};
use super::{Handled, instance::current, routes};

/// What the first rule without a preference gets; the next ones get less.
const FIRST_PREFERENCE: u32 = 16_384;

/// A line of `virtual_rules`.
pub(super) fn of_instance(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let rule = read(pass, line, false)?;
    if let Some(instance) = current(pass) {
        instance.rules.extend(rule);
    }
    Ok(())
}

/// A line of `static_rules`.
pub(super) fn fixed(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let rule = read(pass, line, true)?;
    pass.draft.static_rules.extend(rule);
    Ok(())
}

fn read(pass: &mut Pass<'_>, line: &Line, fixed: bool) -> Result<Option<RuleDef>, Fatal> {
    let mut reading = Rule {
        words: Reading { pass, line, at: 0 },
        fixed,
        family: None,
        networks: [None; 2],
        action: None,
        preference: None,
        draft: BLANK,
    };
    let step = reading.options().and_then(|()| reading.finish());
    whole(step)
}

const BLANK: RuleDef = RuleDef {
    family: Family::V4,
    inverted: false,
    from: None,
    to: None,
    action: RuleAction::Nop,
    preference: 0,
    tos: 0,
    mark: None,
    realms: None,
    input: None,
    output: None,
    suppress_prefix: None,
    suppress_group: None,
    tunnel: None,
    users: None,
    protocol: PROTOCOL_KEEPALIVED,
    transport: None,
    source_ports: None,
    destination_ports: None,
    tracked: true,
    track_group: None,
};

/// A line and what it gave so far.
struct Rule<'p, 'a, 'l> {
    words: Reading<'p, 'a, 'l>,
    fixed: bool,
    family: Option<Family>,
    /// `from` and `to`.
    networks: [Option<Network>; 2],
    action: Option<RuleAction>,
    preference: Option<u32>,
    draft: RuleDef,
}

impl Rule<'_, '_, '_> {
    fn options(&mut self) -> Step<()> {
        while let Some(word) = self.words.here() {
            self.option(&word)?;
            self.words.at += 1;
        }
        Ok(())
    }

    fn option(&mut self, word: &str) -> Step<()> {
        let w = &mut self.words;
        match word {
            "from" | "to" => self.network(word)?,
            "table" | "lookup" => self.table()?,
            "preference" | "order" | "priority" => {
                // The original names the keyword where it means the number, here and below.
                let preference = w.up_to(u32::MAX, |_| {
                    format!("Invalid rule preference {word} specified")
                })?;
                self.preference = Some(preference);
            }
            "tos" | "dsfield" => self.draft.tos = w.tos()?,
            "fwmark" => {
                let text = w.value()?;
                let complaint = format!("Invalid rule fwmark {text} specified");
                self.draft.mark = Some(w.found(mark(&text), complaint)?);
            }
            "realms" => {
                let text = w.value()?;
                if self.family == Some(Family::V6) {
                    return w.drop("realms is only valid for IPv4");
                }
                let realms = w.realms(&text);
                let realms = w.found(realms, format!("invalid realms {text} for rule"))?;
                self.family = Some(Family::V4);
                self.draft.realms = Some(realms);
            }
            "iif" | "dev" => self.draft.input = Some(w.interface("rule")?),
            "oif" => self.draft.output = Some(w.interface("rule")?),
            "suppress_prefixlength" | "sup_pl" => {
                let length = w.up_to(i32::MAX.unsigned_abs(), |_| {
                    format!("Invalid suppress_prefixlength {word} specified")
                })?;
                self.draft.suppress_prefix = Some(length);
            }
            "suppress_ifgroup" | "sup_group" => {
                let text = w.value()?;
                let group = w
                    .named(&text, &GROUPS)
                    .and_then(|group| u32::try_from(group).ok());
                let group = w.found(group, format!("suppress_group {text} is invalid"))?;
                self.draft.suppress_group = Some(group);
            }
            "tunnel-id" => self.draft.tunnel = Some(self.tunnel(word)?),
            "uidrange" => {
                let text = w.value()?;
                let complaint = format!("Invalid uidrange {word} specified");
                self.draft.users = Some(w.found(range(&text), complaint)?);
            }
            "l3mdev" => {
                if self.action.is_some() {
                    return w.drop("Cannot specify l3mdev with other action");
                }
                self.action = Some(RuleAction::VrfTable);
            }
            "protocol" | "ipproto" | "sport" | "dport" => self.narrow(word)?,
            "goto" => {
                let target = w.up_to(u32::MAX, |_| format!("Invalid target {word} specified"))?;
                self.act(RuleAction::Goto(target))?;
            }
            "nop" => self.act(RuleAction::Nop)?,
            "not" => self.draft.inverted = true,
            "no_track" => self.draft.tracked = false,
            "track_group" if self.fixed => {
                self.draft.track_group = w.track_group(self.draft.track_group.as_ref())?;
            }
            "inet" | "inet6" => self.named_family(word)?,
            _ => self.kind(word)?,
        }
        Ok(())
    }

    fn network(&mut self, word: &str) -> Step<()> {
        let w = &mut self.words;
        let text = w.value()?;
        let network = w.network(&text);
        let network = w.found(network, format!("Invalid rule {word} address {text}"))?;
        if !network.fits(self.family) {
            return w.drop("rule specification has mixed IPv4 and IPv6");
        }
        self.family = self.family.or(network.family());
        let [from, to] = &mut self.networks;
        *(if word == "from" { from } else { to }) = Some(network);
        Ok(())
    }

    fn table(&mut self) -> Step<()> {
        let w = &mut self.words;
        let text = w.value()?;
        // Numbers are cut to the size of the kernel's.
        let table = w
            .named(&text, &TABLES)
            .and_then(|table| u32::try_from(table & u64::from(u32::MAX)).ok());
        let table = w.found(table, format!("Routing table {text} not found for rule"))?;
        if table == 0 {
            return w.drop("Table 0 is not valid");
        }
        if self.action.is_some() {
            return w.drop(
                "Cannot specify more than one of table/nop/goto/blackhole/prohibit/unreachable for rule",
            );
        }
        self.action = Some(RuleAction::Table(table));
        Ok(())
    }

    fn act(&mut self, action: RuleAction) -> Step<()> {
        if self.action.is_some() {
            return self.words.drop(
                "Cannot specify more than one of table/nop/goto/blackhole/prohibit/unreachable/l3mdev for rule",
            );
        }
        self.action = Some(action);
        Ok(())
    }

    fn tunnel(&mut self, word: &str) -> Step<u64> {
        let text = self.words.value()?;
        let fault = if text.starts_with('-') {
            format!("negative number '{text}'")
        } else if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("invalid number '{text}'")
        } else if let Ok(id) = text.parse() {
            return Ok(id);
        } else {
            format!("number '{text}' outside unsigned 64 bit range")
        };
        self.words.pass.complain(fault);
        self.words.drop(format!("Invalid {word} {word} specified"))
    }

    /// Options whose faults leave the rule in force without them.
    fn narrow(&mut self, word: &str) -> Step<()> {
        let w = &mut self.words;
        let text = w.value()?;
        match word {
            "protocol" => match w.pass.number(unsigned(&text, 0, 255)) {
                Some(protocol) => self.draft.protocol = u8::try_from(protocol).unwrap_or(u8::MAX),
                None => w.pass.complain(format!("Invalid protocol {text}")),
            },
            "ipproto" => match transport(w.pass, &text) {
                Some(transport) => self.draft.transport = Some(transport),
                None => w.pass.complain(format!("Invalid ipproto {text}")),
            },
            _ => {
                let Some((low, high)) = range(&text) else {
                    w.pass.complain(format!("invalid {word} range {text}"));
                    return Ok(());
                };
                let port = |number: u32| u16::try_from(number & 0xffff).unwrap_or(u16::MAX);
                let ports = Some((port(low), port(high)));
                if word == "sport" {
                    self.draft.source_ports = ports;
                } else {
                    self.draft.destination_ports = ports;
                }
            }
        }
        Ok(())
    }

    /// `inet` and `inet6` take the word behind them along, whatever it is.
    fn named_family(&mut self, word: &str) -> Step<()> {
        let (family, complaint) = if word == "inet" {
            (Family::V4, "inet specified for IPv6 rule")
        } else {
            (Family::V6, "inet6 specified for IPv4 rule")
        };
        if *self.family.get_or_insert(family) != family {
            return self.words.drop(complaint);
        }
        self.words.at += 1;
        Ok(())
    }

    /// `[type] KIND`
    fn kind(&mut self, word: &str) -> Step<()> {
        let word = match word {
            "type" => self.words.value()?,
            _ => word.to_owned(),
        };
        let number = || c_number(&word).is_some_and(|number| number <= u8::MAX.into());
        let action = match routes::kind(&word) {
            Some(RouteKind::Blackhole) => RuleAction::Blackhole,
            Some(RouteKind::Unreachable) => RuleAction::Unreachable,
            Some(RouteKind::Prohibit) => RuleAction::Prohibit,
            None if word == "nop" => RuleAction::Nop,
            None if !number() => {
                return self.words.drop(format!("Unknown rule option {word}"));
            }
            _ => return self.words.drop(format!("Invalid rule action {word}")),
        };
        self.act(action)
    }

    fn finish(self) -> Step<RuleDef> {
        let Self {
            words,
            fixed,
            family,
            networks,
            action,
            preference,
            mut draft,
        } = self;
        let pass = words.pass;
        pass.focus = None;
        if let Some(complaint) = contradiction(&draft, action, preference) {
            pass.complain(complaint);
            return Err(Stop::Dropped);
        }
        draft.action = action.unwrap_or(RuleAction::Nop);
        draft.family = family.unwrap_or(Family::V4);
        let [from, to] = networks.map(|network| network.map(|known| known.prefix(draft.family)));
        (draft.from, draft.to) = (from, to);
        if draft.tracked && draft.protocol != PROTOCOL_KEEPALIVED {
            pass.complain(format!(
                "Rule cannot be tracked if protocol is not RTPROT_KEEPALIVED({PROTOCOL_KEEPALIVED}), resetting protocol"
            ));
            draft.protocol = PROTOCOL_KEEPALIVED;
        }
        if fixed && draft.track_group.is_some() && draft.input.is_none() {
            pass.complain("Static rule cannot have track_group if dev/iif not specified");
            draft.track_group = None;
        }
        draft.preference = match preference {
            Some(preference) => preference,
            None => {
                let given = pass.draft.rules_without_preference;
                pass.draft.rules_without_preference += 1;
                let preference = FIRST_PREFERENCE.saturating_sub(given);
                pass.complain(format!(
                    "Rule has no preference specified - setting to {preference}. This is probably not what you want."
                ));
                preference
            }
        };
        Ok(draft)
    }
}

/// What cannot be together.
fn contradiction(
    draft: &RuleDef,
    action: Option<RuleAction>,
    preference: Option<u32>,
) -> Option<String> {
    match (action, preference) {
        (None, _) => return Some("No action specified for rule - ignoring".to_owned()),
        (Some(RuleAction::Goto(target)), None) => {
            return Some(format!(
                "Invalid rule - goto target {target} specified without preference"
            ));
        }
        (Some(RuleAction::Goto(target)), Some(preference)) if preference >= target => {
            return Some(format!(
                "Invalid rule - preference {preference} >= goto target {target}"
            ));
        }
        _ => {}
    }
    let looks = matches!(action, Some(RuleAction::Table(_) | RuleAction::VrfTable));
    let narrows =
        draft.realms.is_some() || draft.suppress_prefix.is_some() || draft.suppress_group.is_some();
    (!looks && narrows)
        .then(|| "suppressor/realm specified for non table action - skipping".to_owned())
}

/// `MARK[/MASK]`; either may be empty.
fn mark(text: &str) -> Option<(u32, Option<u32>)> {
    let number = |text: &str| {
        if text.is_empty() {
            return Some(0);
        }
        let number = c_number(text).filter(|_| !text.starts_with('-'))?;
        u32::try_from(number).ok()
    };
    match text.split_once('/') {
        None => Some((number(text)?, None)),
        Some((mark, mask)) => Some((number(mark)?, Some(number(mask)?))),
    }
}

/// `FIRST-LAST`: two numbers; what follows the second is not looked at.
fn range(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-')?;
    let end = last
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(last.len());
    let number = |digits: &str| -> Option<u32> {
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // Greater ones are cut, as in C.
        let number = digits.parse::<u64>().unwrap_or(u64::MAX);
        u32::try_from(number & u64::from(u32::MAX)).ok()
    };
    Some((number(first)?, number(last.get(..end)?)?))
}

/// A protocol by number or by its name in /etc/protocols.
fn transport(pass: &Pass<'_>, text: &str) -> Option<u8> {
    const LIMIT: usize = 1 << 16;
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    match text {
        "icmp" | "ICMP" => return Some(1),
        "tcp" | "TCP" => return Some(6),
        "udp" | "UDP" => return Some(17),
        _ => {}
    }
    let known = pass.env.read("/etc/protocols".as_ref(), LIMIT).ok()?;
    String::from_utf8_lossy(&known).lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let name = words.next()?;
        let number = words.next()?;
        let named = name == text || words.any(|alias| alias == text);
        named.then(|| number.parse().ok()).flatten()
    })
}
