//! Converters of text.

use std::cmp::Ordering;

use regex::bytes::Regex;

use super::Value;

pub(super) fn first_line(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    text.truncate(end.unwrap_or(text.len()));
    text
}

pub(super) fn trim_start(mut text: Vec<u8>, set: &[u8]) -> Vec<u8> {
    let skip = text.iter().take_while(|byte| set.contains(byte)).count();
    text.drain(..skip);
    text
}

pub(super) fn trim_end(mut text: Vec<u8>, set: &[u8]) -> Vec<u8> {
    while text.last().is_some_and(|byte| set.contains(byte)) {
        text.pop();
    }
    text
}

/// `field`: parts between single delimiters, which may be empty.
pub(super) fn field(text: &[u8], index: i64, delimiters: &[u8], count: i64) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut start = 0;
    for (at, byte) in text.iter().enumerate() {
        if delimiters.contains(byte) {
            fields.push((start, at));
            start = at + 1;
        }
    }
    fields.push((start, text.len()));
    pick(text, &fields, index, count)
}

/// `word`: parts between runs of delimiters.
pub(super) fn word(text: &[u8], index: i64, delimiters: &[u8], count: i64) -> Vec<u8> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, byte) in text.iter().enumerate() {
        match (delimiters.contains(byte), start) {
            (true, Some(from)) => {
                words.push((from, at));
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    words.extend(start.map(|from| (from, text.len())));
    pick(text, &words, index, count)
}

/// `count` parts (all if it is 0) from the one with that index on, which counts from 1, or from the
/// end backwards if it is negative.
fn pick(text: &[u8], parts: &[(usize, usize)], index: i64, count: i64) -> Vec<u8> {
    let at = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    let count = usize::try_from(count.max(0)).unwrap_or(0);
    let several = if count == 0 { usize::MAX } else { count };
    let range = if index > 0 {
        let first = at - 1;
        let last = first
            .saturating_add(several - 1)
            .min(parts.len().saturating_sub(1));
        (first, last)
    } else {
        let Some(last) = parts.len().checked_sub(at) else {
            return Vec::new();
        };
        (last.saturating_sub(several - 1), last)
    };
    match (parts.get(range.0), parts.get(range.1)) {
        (Some((start, _)), Some((_, end))) => text.get(*start..*end).unwrap_or_default().to_vec(),
        _ => Vec::new(),
    }
}

/// `bytes`
pub(super) fn part(bytes: Vec<u8>, offset: i64, length: Option<i64>) -> Value {
    let start = usize::try_from(offset.max(0)).unwrap_or(usize::MAX);
    let rest = bytes.get(start..).unwrap_or_default();
    let length = length.map_or(rest.len(), |length| {
        usize::try_from(length.max(0)).unwrap_or(usize::MAX)
    });
    Value::Binary(rest.get(..length).unwrap_or(rest).to_vec())
}

/// Two digits a byte, and `separator` between chunks of `size` bytes; `cut` leaves out a last chunk
/// that is shorter.
pub(super) fn hex(bytes: &[u8], separator: &[u8], size: usize, cut: bool) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'?');
    chunked(bytes, separator, size, cut, |chunk, out| {
        for byte in chunk {
            out.push(digit(byte >> 4));
            out.push(digit(byte & 0xf));
        }
    })
}

/// A number for each chunk of up to eight bytes.
pub(super) fn decimal(bytes: &[u8], separator: &[u8], size: usize, cut: bool) -> Vec<u8> {
    chunked(bytes, separator, size, cut, |chunk, out| {
        let number = chunk
            .iter()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        out.extend_from_slice(number.to_string().as_bytes());
    })
}

fn chunked(
    bytes: &[u8],
    separator: &[u8],
    size: usize,
    cut: bool,
    write: impl Fn(&[u8], &mut Vec<u8>),
) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, chunk) in bytes.chunks(size.max(1)).enumerate() {
        if cut && chunk.len() < size {
            break;
        }
        if index > 0 {
            out.extend_from_slice(separator);
        }
        write(chunk, &mut out);
    }
    out
}

/// `hex2i`; `None` if there is something else than digits.
pub(super) fn from_hex(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0_i64, |sum, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(sum.wrapping_shl(4) | i64::from(digit))
    })
}

/// `regsub`: `\1` to `\9` stand for groups, `\0` and `&` for nothing special but the whole match by
/// `\0`.
pub(super) fn substitute(regex: &Regex, text: &[u8], with: &[u8], all: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = 0;
    for found in regex.captures_iter(text) {
        let Some(whole) = found.get(0) else { break };
        out.extend_from_slice(text.get(rest..whole.start()).unwrap_or_default());
        let mut bytes = with.iter();
        while let Some(byte) = bytes.next() {
            if *byte != b'\\' {
                out.push(*byte);
                continue;
            }
            match bytes.next() {
                Some(digit @ b'0'..=b'9') => {
                    let group = found.get(usize::from(digit - b'0'));
                    out.extend_from_slice(group.map(|group| group.as_bytes()).unwrap_or_default());
                }
                Some(other) => out.push(*other),
                None => out.push(b'\\'),
            }
        }
        rest = whole.end();
        if !all {
            break;
        }
    }
    out.extend_from_slice(text.get(rest..).unwrap_or_default());
    out
}

/// `strcmp`: negative, zero or positive.
pub(super) fn compare(left: &[u8], right: &[u8]) -> i64 {
    let common = left.len().min(right.len());
    let differ = left.iter().zip(right).find(|(a, b)| a != b);
    match differ {
        Some((a, b)) => i64::from(*a) - i64::from(*b),
        None => match left.len().cmp(&right.len()) {
            Ordering::Equal => 0,
            Ordering::Less => -i64::from(right.get(common).copied().unwrap_or(1)),
            Ordering::Greater => i64::from(left.get(common).copied().unwrap_or(1)),
        },
    }
}

/// Whether both are the same, in a time that does not tell where they differ.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    let differences = left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b));
    left.len() == right.len() && differences == 0
}

/// `url_dec`
pub(super) fn url_decode(text: Vec<u8>) -> Vec<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match (byte, digit(text.get(at)), digit(text.get(at + 1))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high << 4 | low).unwrap_or(b'?'));
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(*byte),
        }
    }
    out
}

/// `url_enc`
pub(super) fn url_encode(text: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend(hex(&[byte], &[], usize::MAX, false));
        }
    }
    out
}

/// `host_only`: an authority without its port.
pub(super) fn host_only(mut text: Vec<u8>) -> Vec<u8> {
    let end = port_at(&text).map_or(text.len(), |at| at - 1);
    text.truncate(end);
    text
}

/// `port_only`: an authority's port; empty without one.
pub(super) fn port_only(text: Vec<u8>) -> Vec<u8> {
    port_at(&text)
        .and_then(|at| text.get(at..))
        .unwrap_or_default()
        .to_vec()
}

/// Where the port of an authority begins.
fn port_at(text: &[u8]) -> Option<usize> {
    let digits = text
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let at = text.len() - digits;
    let colon = at.checked_sub(1).and_then(|before| text.get(before));
    (colon == Some(&b':')).then_some(at)
}
