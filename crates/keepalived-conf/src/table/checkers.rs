//! What belongs to keepalived's health checkers and the kernel's virtual servers: read, complained
//! of as keepalived does, and not acted upon.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::number::{boolean, seconds, unsigned};
use crate::pass::Pass;
use crate::text::Line;

use super::Handled;

pub(super) mod checks;
pub(crate) mod end;
pub(super) mod real;
pub(super) mod server;

/// Why none of it is done.
pub(super) const REASON: &str =
    "virtual servers of the kernel (IPVS) are not set; let proxyd balance the connections";

/// The most that 32 and 64 bits of microseconds hold.
const MAX_32: u64 = 4_294_967_295;
const MAX_64: u64 = 18_446_744_073_709_551_614;

/// Everything of it that later lines are judged by.
#[derive(Debug, Default)]
pub(crate) struct Lvs {
    servers: Vec<Virtual>,
    /// The groups, each with whether it has marks and whether an address of it has no port.
    groups: Vec<(String, Members)>,
    /// `SSL` has been read, and which of its words.
    ssl: (bool, Vec<String>),
    /// The `track_file` blocks.
    files: BTreeSet<String>,
    /// A script of a check would be run.
    scripts: bool,
}

impl Lvs {
    /// There is a `track_file` of that name.
    pub(super) fn knows_file(&mut self, name: &str) {
        self.files.insert(name.to_owned());
    }
}

/// What a group of virtual servers is made of.
#[derive(Debug, Clone, Copy, Default)]
struct Members {
    count: usize,
    marks: bool,
    without_port: bool,
}

/// What a virtual server is known by.
#[derive(Debug)]
enum Head {
    Address(IpAddr),
    Mark(u32),
    Group(String),
}

/// One `virtual_server`.
#[derive(Debug)]
struct Virtual {
    head: Head,
    port: u16,
    protocol: Option<&'static str>,
    scheduler: Option<String>,
    method: Option<String>,
    persistent: bool,
    one_packet: bool,
    quorum: u32,
    hysteresis: u32,
    weight: i64,
    sorry: bool,
    /// A server of the other family that was to stand in.
    odd_sorry: Option<IpAddr>,
    reals: Vec<Real>,
}

/// One `real_server`.
#[derive(Debug)]
struct Real {
    address: IpAddr,
    port: u16,
    weight: i64,
    method: Option<String>,
    /// What its checker that is being read has so far.
    urls: usize,
    path: bool,
    script: Option<PathBuf>,
    user_unknown: bool,
}

impl Virtual {
    /// `[10.0.0.1]:tcp:80`, as keepalived calls it.
    fn name(&self) -> String {
        let protocol = self.protocol.unwrap_or("none");
        match &self.head {
            Head::Address(address) => format!("[{address}]:{protocol}:{}", self.port),
            Head::Mark(mark) => format!("FWM {mark}"),
            Head::Group(name) => format!("[{name}]:{}", self.port),
        }
    }
}

fn current<'p>(pass: &'p mut Pass<'_>) -> Option<&'p mut Virtual> {
    pass.draft.lvs.servers.last_mut()
}

fn current_real<'p>(pass: &'p mut Pass<'_>) -> Option<&'p mut Real> {
    current(pass)?.reals.last_mut()
}

/// An address, perhaps with a prefix or a range that keepalived does not look at here.
fn address(text: &str) -> Option<IpAddr> {
    let end = text.find(['/', '-']).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// A time; `complaint` follows the one about the number.
fn time(pass: &mut Pass<'_>, line: &Line, least: u64, most: u64, complaint: &str) -> Handled {
    let text = pass.text(line, 1)?;
    let read = seconds(&text, least, most);
    let vague = read.as_ref().is_err_and(|faulty| {
        let invalid = faulty.message.starts_with("invalid");
        let partial = text.starts_with(|first: char| first.is_ascii_digit());
        invalid && (least == 0 || partial)
    });
    if pass.loose_decimals(read).is_none() && !vague {
        pass.complain(complaint.replace("{}", &text));
    }
    Ok(())
}

/// A count; `complaint` follows the one about the number.
fn count(
    pass: &mut Pass<'_>,
    line: &Line,
    least: u32,
    most: u32,
    complaint: &str,
) -> Result<Option<u32>, crate::pass::Fatal> {
    let text = pass.text(line, 1)?;
    let read = pass.number(unsigned(&text, least, most));
    if read.is_none() {
        pass.complain(complaint.replace("{}", &text));
    }
    Ok(read)
}

/// A switch that is on where nothing follows; `complaint` is about anything else.
fn switch(pass: &mut Pass<'_>, line: &Line, complaint: &str) -> Handled {
    if let Some(word) = line.words.get(1)
        && boolean(&word.bytes).is_none()
    {
        let text = word.text().into_owned();
        pass.complain(complaint.replace("{}", &text));
    }
    Ok(())
}

/// A name that has to be there; `complaint` if it is not.
fn named(pass: &mut Pass<'_>, line: &Line, complaint: &str) -> Handled {
    if line.words.len() < 2 {
        pass.complain(complaint);
    }
    Ok(())
}

/// A port, where one is given.
fn port(pass: &mut Pass<'_>, text: Option<&str>, least: u32) -> Option<u16> {
    let Some(text) = text else {
        return Some(0);
    };
    let read = pass.number(unsigned(text, least, u32::from(u16::MAX)))?;
    u16::try_from(read).ok()
}

/// `TUN [type T [port P] [csum|nocsum|remcsum]]`; `whose` it is is named in complaints.
fn method(
    pass: &mut Pass<'_>,
    line: &Line,
    whose: &str,
) -> Result<Option<String>, crate::pass::Fatal> {
    let text = pass.text(line, 1)?;
    if !["NAT", "DR", "TUN"].contains(&text.as_str()) {
        pass.complain(format!(
            "PARSER : unknown [{text}] routing method for {whose}."
        ));
        return Ok(None);
    }
    let words: Vec<String> = line
        .rest(2)
        .iter()
        .map(|word| word.text().into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if text == "TUN" {
        tunnel(pass, &words, whose);
    } else if let Some(option) = words.first() {
        pass.complain(format!("Invalid tunnel option {option} for {whose}."));
    }
    Ok(Some(text))
}

fn tunnel(pass: &mut Pass<'_>, words: &[&str], whose: &str) {
    let (mut kind, mut has_port, mut sums) = ("ipip", false, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "type" => {
                let given = words.next().copied().unwrap_or_default();
                if !["ipip", "gue", "gre"].contains(&given) {
                    pass.complain(format!("Unknown tunnel type {given} for {whose}."));
                    return;
                }
                kind = given;
            }
            "port" => {
                let given = words.next().copied().unwrap_or_default();
                if pass
                    .number(unsigned(given, 1, u32::from(u16::MAX)))
                    .is_none()
                {
                    pass.complain(format!("Invalid {kind} tunnel port {given} for {whose}."));
                    return;
                }
                has_port = true;
            }
            "csum" | "nocsum" | "remcsum" => sums = true,
            _ => {
                pass.complain(format!("Invalid tunnel option {word} for {whose}."));
                return;
            }
        }
    }
    if has_port != (kind == "gue") {
        pass.complain(format!(
            "{kind} tunnels require port, otherwise cannot have port."
        ));
    } else if sums && kind == "ipip" {
        pass.complain(format!("{kind} tunnels do not support checksum option."));
    }
}

/// The command of a check or of a change, if it is one that can be run.
fn script(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let word = pass.word(line, 1)?;
    let mut who = line.rest(2).iter();
    let known = who
        .next()
        .is_none_or(|user| pass.env.user(&user.text()).is_some())
        && who
            .next()
            .is_none_or(|group| pass.env.group(&group.text()).is_some());
    if known && end::is_runnable(pass, &word.bytes) {
        pass.draft.lvs.scripts = true;
    }
    Ok(())
}
