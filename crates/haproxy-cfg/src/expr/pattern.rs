//! Patterns: what a value is compared with (configuration manual, 7.1.1 to 7.1.6), in words of a line
//! and in files.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::{args, regex};
use crate::model::{Mask, Method, Pattern, ValueKind};
use crate::reader::Reader;
use crate::text;

/// How words are read as patterns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) method: Method,
    /// Numbers may have a second part after a dot, as versions of TLS have.
    pub(crate) dotted: bool,
    /// `-i`
    pub(crate) ignore_case: bool,
    /// `-n`: host names are not looked up.
    pub(crate) no_lookup: bool,
}

/// Reads one pattern.
///
/// # Errors
/// In the original's words.
pub(crate) fn parse(reader: &Reader<'_>, form: Form, word: &str) -> Result<Pattern, String> {
    Ok(match form.method {
        Method::Found | Method::Bool => Pattern::Range(None, None),
        Method::Int | Method::Length => range(form, word)?,
        Method::Ip => network(reader, form, word)
            .ok_or_else(|| format!("'{word}' is not a valid IPv4 or IPv6 address"))?,
        Method::Binary => Pattern::Text {
            bytes: hex(word)?,
            ignore_case: false,
        },
        Method::Regex => {
            regex::check(word)?;
            Pattern::Regex {
                text: word.to_owned(),
                ignore_case: form.ignore_case,
            }
        }
        Method::Exact
        | Method::Begins
        | Method::Ends
        | Method::Contains
        | Method::Directory
        | Method::Domain => Pattern::Text {
            bytes: text::decode(word),
            ignore_case: form.ignore_case,
        },
    })
}

/// An even number of hexadecimal digits as bytes.
///
/// # Errors
/// In the original's words.
pub(crate) fn hex(word: &str) -> Result<Vec<u8>, String> {
    let bytes = text::decode(word);
    if bytes.len() % 2 == 1 {
        return Err(String::from("an even number of hex digit is expected"));
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
            .ok_or_else(|| {
                format!(
                    "an hex digit is expected (found '{}')",
                    text::encode(&[byte])
                )
            })
    };
    bytes
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Ok(digit(*high)? << 4 | digit(*low)?),
            _ => Ok(0),
        })
        .collect()
}

/// A number or `low:high`, either of which may be missing.
fn range(form: Form, word: &str) -> Result<Pattern, String> {
    let wrong = || {
        if word.contains(':') {
            format!("'{word}' is not a valid number range")
        } else if form.dotted {
            format!("'{word}' is not a dotted number")
        } else {
            format!("'{word}' is not a number")
        }
    };
    let one = |part: &str| number(form.dotted, part).ok_or_else(wrong);
    let Some((low, high)) = word.split_once(':') else {
        let number = one(word)?;
        return Ok(Pattern::Range(Some(number), Some(number)));
    };
    let bound = |part: &str| match part {
        "" => Ok(None),
        part => one(part).map(Some),
    };
    match (bound(low)?, bound(high)?) {
        (None, None) => Err(wrong()),
        (Some(low), Some(high)) if low > high => Err(wrong()),
        (low, high) => Ok(Pattern::Range(low, high)),
    }
}

/// A number; with `dotted`, `major.minor` as one number with the minor part in its lower 16 bits.
pub(super) fn number(dotted: bool, text: &str) -> Option<i64> {
    if !dotted {
        return text.parse().ok();
    }
    let part = |text: &str| text.parse::<u16>().ok().map(i64::from);
    match text.split_once('.') {
        Some((major, minor)) => Some(part(major)? << 16 | part(minor)?),
        None => Some(part(text)? << 16),
    }
}

fn network(reader: &Reader<'_>, form: Form, word: &str) -> Option<Pattern> {
    let (host, mask) = match word.split_once('/') {
        Some((host, mask)) => (host, Some(mask)),
        None => (word, None),
    };
    if let Ok(ip) = host.parse::<Ipv6Addr>() {
        let mask = mask.map_or(Some(u128::MAX), |mask| args::mask6(mask).map(u128::from))?;
        return Some(Pattern::Net(IpAddr::V6(ip), Mask::V6(mask)));
    }
    let mask = mask.map_or(Some(u32::MAX), |mask| args::mask4(mask).map(u32::from))?;
    if let Some(ip) = short_address(host) {
        return Some(Pattern::Net(IpAddr::V4(ip), Mask::V4(mask)));
    }
    if form.no_lookup || host.is_empty() {
        return None;
    }
    // To a resolver, a number is an address of its own.
    if let Ok(bits) = host.parse::<u32>() {
        return Some(Pattern::Net(
            Ipv4Addr::from_bits(bits).into(),
            Mask::V4(mask),
        ));
    }
    let mut found = reader.environment.resolve(host).into_iter();
    found
        .find(IpAddr::is_ipv4)
        .map(|ip| Pattern::Net(ip, Mask::V4(mask)))
}

/// An IPv4 address of which zeros before the last part may be left out.
fn short_address(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u8> = host
        .split('.')
        .map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        })
        .collect::<Option<_>>()?;
    match *parts.as_slice() {
        [a, d] => Some(Ipv4Addr::new(a, 0, 0, d)),
        [a, b, d] => Some(Ipv4Addr::new(a, b, 0, d)),
        [a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

/// The lines of a file of patterns: with `pairs`, the first word of a line and what follows it.
///
/// # Errors
/// In the original's words, with the line in question.
pub(crate) fn file(
    reader: &Reader<'_>,
    form: Form,
    name: &str,
    pairs: bool,
) -> Result<Vec<(Pattern, Vec<u8>)>, String> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = text::decode(name);
    let bytes = reader
        .environment
        .read(Path::new(std::ffi::OsStr::from_bytes(&path)))
        .map_err(|_| format!("failed to open pattern file <{name}>"))?;
    let mut found = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = trim_end(line);
        // A sharp counts in the first column alone.
        if line.first() == Some(&b'#') {
            continue;
        }
        let line = line.trim_ascii_start();
        if line.is_empty() {
            continue;
        }
        let (key, value) = if pairs {
            let end = line
                .iter()
                .position(|byte| matches!(byte, b' ' | b'\t'))
                .unwrap_or(line.len());
            let (key, value) = line.split_at_checked(end).unwrap_or((line, &[]));
            (key, value.trim_ascii_start())
        } else {
            (line, &[][..])
        };
        let pattern = parse(reader, form, &text::encode(key))
            .map_err(|wrong| format!("{wrong} at line {} of file '{name}'", index + 1))?;
        found.push((pattern, value.to_owned()));
    }
    Ok(found)
}

fn trim_end(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b'\r' | b'\n'] = line {
        line = rest;
    }
    line
}

/// How the keys of a kind are compared when nothing is written.
pub(crate) const fn usual(kind: ValueKind) -> Option<Method> {
    match kind {
        ValueKind::Bool => Some(Method::Bool),
        ValueKind::Int => Some(Method::Int),
        ValueKind::Addr | ValueKind::Ipv4 | ValueKind::Ipv6 => Some(Method::Ip),
        ValueKind::Text => Some(Method::Exact),
        ValueKind::Any | ValueKind::Binary | ValueKind::Method => None,
    }
}

/// The method of that name.
pub(crate) fn method(name: &str) -> Option<Method> {
    Some(match name {
        "found" => Method::Found,
        "bool" => Method::Bool,
        "int" => Method::Int,
        "ip" => Method::Ip,
        "bin" => Method::Binary,
        "len" => Method::Length,
        "str" => Method::Exact,
        "beg" => Method::Begins,
        "end" => Method::Ends,
        "sub" => Method::Contains,
        "dir" => Method::Directory,
        "dom" => Method::Domain,
        "reg" => Method::Regex,
        _ => return None,
    })
}

/// Whether a value of this kind can be compared that way.
pub(crate) const fn compares(kind: ValueKind, method: Method) -> bool {
    match method {
        Method::Found
        | Method::Length
        | Method::Exact
        | Method::Begins
        | Method::Ends
        | Method::Contains
        | Method::Directory
        | Method::Domain
        | Method::Regex
        | Method::Binary => true,
        Method::Bool | Method::Int => super::castable(kind, ValueKind::Int),
        Method::Ip => super::castable(kind, ValueKind::Addr),
    }
}
