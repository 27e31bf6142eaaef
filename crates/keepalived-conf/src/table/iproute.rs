//! What lines of routes and of rules have in common: words with values, numbers as C takes them,
//! names of iproute2's tables.

use std::net::IpAddr;
use std::path::Path;

use vrrp_core::settings::Family;

use crate::model::routes::Prefix;
use crate::number::{Faulty, unsigned};
use crate::pass::{Fatal, Pass};
use crate::text::Line;

use super::addresses;

/// No line of iproute2's tables is beyond that.
const MAX_TABLE: usize = 1 << 16;

/// Why a line is not read further.
pub(super) enum Stop {
    /// keepalived gives up.
    Fatal(Fatal),
    /// The line is complained of and dropped.
    Dropped,
}

impl From<Fatal> for Stop {
    fn from(fatal: Fatal) -> Self {
        Self::Fatal(fatal)
    }
}

/// One step of reading a line.
pub(super) type Step<T> = Result<T, Stop>;

/// What a line was read for, if it can be used.
pub(super) fn whole<T>(step: Step<T>) -> Result<Option<T>, Fatal> {
    match step {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Dropped) => Ok(None),
        Err(Stop::Fatal(fatal)) => Err(fatal),
    }
}

/// A network, or all of them.
#[derive(Clone, Copy)]
pub(super) enum Network {
    Of(Prefix),
    Any,
}

impl Network {
    /// `default` is IPv4 wherever a family is known already.
    pub(super) const fn family(self) -> Option<Family> {
        match self {
            Self::Of(prefix) => Some(Family::of(prefix.address)),
            Self::Any => None,
        }
    }

    /// Whether it may stand beside what was read before.
    pub(super) fn fits(self, family: Option<Family>) -> bool {
        family.is_none_or(|family| family == self.family().unwrap_or(Family::V4))
    }

    pub(super) const fn prefix(self, family: Family) -> Prefix {
        match (self, family) {
            (Self::Of(prefix), _) => prefix,
            (Self::Any, Family::V4) => Prefix {
                address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
                length: 0,
            },
            (Self::Any, Family::V6) => Prefix {
                address: IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
                length: 0,
            },
        }
    }
}

/// A line and how far it is read.
pub(super) struct Reading<'p, 'a, 'l> {
    pub(super) pass: &'p mut Pass<'a>,
    pub(super) line: &'l Line,
    pub(super) at: usize,
}

impl Reading<'_, '_, '_> {
    /// The word here, if the line goes on.
    pub(super) fn here(&mut self) -> Option<String> {
        let word = self.line.words.get(self.at)?;
        self.pass.focus = Some(word.span);
        Some(word.text().into_owned())
    }

    /// The word after this one.
    pub(super) fn peek(&self) -> Option<String> {
        let word = self.line.words.get(self.at + 1)?;
        Some(word.text().into_owned())
    }

    /// The next word, which has to be there.
    pub(super) fn value(&mut self) -> Step<String> {
        self.at += 1;
        Ok(self.pass.text(self.line, self.at)?)
    }

    /// Complains; the line cannot be used.
    pub(super) fn drop<T>(&mut self, text: impl Into<String>) -> Step<T> {
        self.pass.complain(text);
        Err(Stop::Dropped)
    }

    /// What was found, or the complaint.
    pub(super) fn found<T>(&mut self, value: Option<T>, complaint: impl Into<String>) -> Step<T> {
        match value {
            Some(value) => Ok(value),
            None => self.drop(complaint),
        }
    }

    /// A number that was read, or its fault and the complaint.
    pub(super) fn number<T>(
        &mut self,
        read: Result<T, Faulty<T>>,
        complaint: impl Into<String>,
    ) -> Step<T> {
        let value = self.pass.number(read);
        self.found(value, complaint)
    }

    /// The next word as a number up to `max`.
    pub(super) fn up_to(&mut self, max: u32, complaint: impl FnOnce(&str) -> String) -> Step<u32> {
        let text = self.value()?;
        self.number(unsigned(&text, 0, max), complaint(&text))
    }

    /// A network, `default`, `any` or `all`; the fault is told.
    pub(super) fn network(&mut self, text: &str) -> Option<Network> {
        if matches!(text, "default" | "any" | "all") {
            return Some(Network::Any);
        }
        let (address, length, _) = addresses::address_and_prefix(self.pass, text)?;
        Some(Network::Of(Prefix { address, length }))
    }

    /// An address without a prefix; the fault is told.
    pub(super) fn address(&mut self, text: &str) -> Option<IpAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            self.pass
                .complain(format!("VRRP parsed invalid IP {text}. skipping IP..."));
        }
        address
    }

    /// The next word as an interface that is there, or may come. `of` is what needs it.
    pub(super) fn interface(&mut self, of: &str) -> Step<String> {
        let name = self.value()?;
        if self.pass.env.interface(&name).is_none() && !self.pass.draft.global.dynamic_interfaces {
            self.pass.draft.missing_interface = true;
            return self.drop(format!("WARNING - interface {name} for {of} doesn't exist"));
        }
        Ok(name)
    }

    /// The next word as the name of a `track_group` that is there.
    pub(super) fn track_group(&mut self, earlier: Option<&String>) -> Step<Option<String>> {
        let name = self.value()?;
        Ok(track_group(self.pass, &name, earlier))
    }

    /// A number of a table that iproute2 keeps: by its name there, or as C reads it.
    pub(super) fn named(&self, text: &str, names: &Names) -> Option<u64> {
        let by_name = names
            .built_in
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, number)| *number);
        by_name
            .or_else(|| listed(self.pass, names.file, text))
            .or_else(|| c_number(text))
    }

    /// The next word as `tos`.
    pub(super) fn tos(&mut self) -> Step<u8> {
        let text = self.value()?;
        let tos = self.named(&text, &DSFIELD);
        let tos = tos.and_then(|tos| u8::try_from(tos).ok());
        self.found(tos, format!("TOS value {text} is invalid"))
    }

    /// `TO` or `FROM/TO`, each up to 255: FROM in the upper half.
    pub(super) fn realms(&self, text: &str) -> Option<u32> {
        let one = |text: &str| {
            self.named(text, &REALMS)
                .filter(|realm| !text.is_empty() && *realm <= 255)
                .and_then(|realm| u32::try_from(realm).ok())
        };
        match text.split_once('/') {
            None => one(text),
            Some((from, to)) => Some(one(from)? << 16 | one(to)?),
        }
    }
}

/// The `track_group` of that name; the fault is told.
pub(super) fn track_group(
    pass: &mut Pass<'_>,
    name: &str,
    earlier: Option<&String>,
) -> Option<String> {
    if let Some(earlier) = earlier {
        pass.complain(format!("track_group {name} is a duplicate"));
        return Some(earlier.clone());
    }
    if pass
        .draft
        .track_groups
        .iter()
        .any(|group| group.name == name)
    {
        return Some(name.to_owned());
    }
    pass.complain(format!("track_group {name} not found"));
    None
}

/// A file of iproute2 that gives numbers names, and the names that need no file.
pub(super) struct Names {
    file: &'static str,
    built_in: &'static [(&'static str, u64)],
}

pub(super) const TABLES: Names = Names {
    file: "/etc/iproute2/rt_tables",
    built_in: &[("default", 253), ("main", 254), ("local", 255)],
};
pub(super) const PROTOCOLS: Names = Names {
    file: "/etc/iproute2/rt_protos",
    built_in: &[
        ("redirect", 1),
        ("kernel", 2),
        ("boot", 3),
        ("static", 4),
        ("keepalived", 18),
    ],
};
pub(super) const GROUPS: Names = Names {
    file: "/etc/iproute2/group",
    built_in: &[("default", 0)],
};
const DSFIELD: Names = Names {
    file: "/etc/iproute2/rt_dsfield",
    built_in: &[],
};
const REALMS: Names = Names {
    file: "/etc/iproute2/rt_realms",
    built_in: &[],
};

/// The number of a name in a file of `NUMBER NAME` lines.
fn listed(pass: &Pass<'_>, file: &str, name: &str) -> Option<u64> {
    let text = pass.env.read(Path::new(file), MAX_TABLE).ok()?;
    String::from_utf8_lossy(&text).lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let number = words.next()?;
        (words.next()? == name).then(|| c_number(number)).flatten()
    })
}

/// A whole number as `strtoul` reads it: decimal, `0x` or with a leading 0 octal; a minus counts
/// down from the greatest number.
pub(super) fn c_number(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let number = match hex {
        Some(hex) => u64::from_str_radix(hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8),
        None => digits.parse(),
    }
    .ok()?;
    Some(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}
