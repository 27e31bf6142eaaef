//! How values are compared with patterns (configuration manual, 7.1.1 to 7.1.6).

use std::net::IpAddr;

use super::Value;
use super::value::mapped;

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// It exists.
    Found,
    /// It is true.
    Bool,
    /// It is one of some numbers.
    Int,
    /// It is in one of some networks.
    Ip,
    /// It is one of some byte strings.
    Binary,
    /// Its length is one of some numbers.
    Length,
    /// It is one of some texts.
    Exact,
    /// It begins with one.
    Begins,
    /// It ends with one.
    Ends,
    /// It holds one.
    Contains,
    /// One of its parts between slashes is one.
    Directory,
    /// One of its parts between dots, slashes, colons or question marks is one.
    Domain,
    /// It matches one of some regular expressions.
    Regex,
}

/// What with.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// Numbers between two bounds, both included.
    Range(Option<i64>, Option<i64>),
    /// A network and its mask, both of one family.
    Net(IpAddr, IpAddr),
    /// Text or bytes.
    Text {
        /// The bytes.
        bytes: Box<[u8]>,
        /// Upper and lower case are the same.
        ignore_case: bool,
    },
    /// A regular expression.
    Regex(regex::bytes::Regex),
}

/// A method with all patterns of a test.
#[derive(Debug, Clone)]
pub struct Patterns {
    /// The method.
    pub method: Method,
    /// The patterns; one match is enough.
    pub list: Vec<Pattern>,
}

impl Patterns {
    /// Whether the value matches.
    #[must_use]
    pub fn matches(&self, value: &Value) -> bool {
        match self.method {
            Method::Found => true,
            Method::Bool => value.to_bool() == Some(true),
            _ => self.find(value).is_some(),
        }
    }

    /// The first pattern that the value matches.
    #[must_use]
    pub fn find(&self, value: &Value) -> Option<usize> {
        match self.method {
            Method::Found | Method::Bool => None,
            Method::Int => {
                let number = value.to_int()?;
                self.position(|pattern| in_range(pattern, number))
            }
            Method::Length => {
                let length = value.clone().into_text().len();
                let length = i64::try_from(length).unwrap_or(i64::MAX);
                self.position(|pattern| in_range(pattern, length))
            }
            Method::Ip => {
                let ip = value.to_ip()?;
                self.position(|pattern| in_network(pattern, ip))
            }
            Method::Binary => {
                let bytes = value.clone().into_bytes();
                self.text(&bytes, |value, pattern| value == pattern)
            }
            method => {
                let text = value.clone().into_text();
                if method == Method::Regex {
                    return self.position(|pattern| match pattern {
                        Pattern::Regex(regex) => regex.is_match(&text),
                        _ => false,
                    });
                }
                let compare: fn(&[u8], &[u8]) -> bool = match method {
                    Method::Begins => |text, pattern| text.starts_with(pattern),
                    Method::Ends => |text, pattern| text.ends_with(pattern),
                    Method::Contains => contains,
                    Method::Directory => |text, pattern| has_word(text, pattern, b"/"),
                    Method::Domain => |text, pattern| has_word(text, pattern, b"/?.:"),
                    _ => |text, pattern| text == pattern,
                };
                self.text(&text, compare)
            }
        }
    }

    fn position(&self, matches: impl Fn(&Pattern) -> bool) -> Option<usize> {
        self.list.iter().position(matches)
    }

    fn text(&self, text: &[u8], compare: fn(&[u8], &[u8]) -> bool) -> Option<usize> {
        let mut lower: Option<Vec<u8>> = None;
        self.list.iter().position(|pattern| match pattern {
            Pattern::Text {
                bytes,
                ignore_case: false,
            } => compare(text, bytes),
            Pattern::Text {
                bytes,
                ignore_case: true,
            } => {
                let lower = lower.get_or_insert_with(|| text.to_ascii_lowercase());
                compare(lower, &bytes.to_ascii_lowercase())
            }
            _ => false,
        })
    }
}

fn in_range(pattern: &Pattern, number: i64) -> bool {
    match pattern {
        Pattern::Range(low, high) => {
            low.is_none_or(|low| low <= number) && high.is_none_or(|high| number <= high)
        }
        _ => false,
    }
}

/// An address of the other family is compared where it stands for one of the pattern's.
fn in_network(pattern: &Pattern, ip: IpAddr) -> bool {
    let Pattern::Net(net, mask) = pattern else {
        return false;
    };
    match (net, mask, ip) {
        (IpAddr::V4(net), IpAddr::V4(mask), IpAddr::V4(ip)) => {
            (net.to_bits() ^ ip.to_bits()) & mask.to_bits() == 0
        }
        (IpAddr::V6(net), IpAddr::V6(mask), ip) => {
            let ip = match ip {
                IpAddr::V4(ip) => mapped(ip),
                IpAddr::V6(ip) => ip,
            };
            (net.to_bits() ^ ip.to_bits()) & mask.to_bits() == 0
        }
        (IpAddr::V4(net), IpAddr::V4(mask), IpAddr::V6(ip)) => {
            let [a, b, c, d, e, f, ..] = ip.segments();
            let low = ip.to_bits();
            let embedded = if (a, b, c, d, e) == (0, 0, 0, 0, 0) && (f == 0 || f == 0xffff) {
                low & 0xffff_ffff
            } else if a == 0x2002 {
                u128::from(b) << 16 | u128::from(c)
            } else {
                return false;
            };
            let embedded = u32::try_from(embedded).unwrap_or(0);
            (net.to_bits() ^ embedded) & mask.to_bits() == 0
        }
        _ => false,
    }
}

fn contains(text: &[u8], pattern: &[u8]) -> bool {
    pattern.is_empty() || text.windows(pattern.len()).any(|window| window == pattern)
}

/// Whether the pattern stands in the text between delimiters or its ends; delimiters around the
/// pattern itself do not count.
fn has_word(text: &[u8], pattern: &[u8], delimiters: &[u8]) -> bool {
    let is_delimiter = |byte: &u8| delimiters.contains(byte);
    let start = pattern.iter().take_while(|byte| is_delimiter(byte)).count();
    let pattern = pattern.get(start..).unwrap_or_default();
    let end = pattern
        .iter()
        .rev()
        .take_while(|byte| is_delimiter(byte))
        .count();
    let pattern = pattern
        .get(..pattern.len().saturating_sub(end))
        .unwrap_or_default();
    if pattern.is_empty() || pattern.len() > text.len() {
        return false;
    }
    (0..=text.len() - pattern.len()).any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let after = text.get(at + pattern.len());
        text.get(at..at + pattern.len()) == Some(pattern)
            && before.is_none_or(is_delimiter)
            && after.is_none_or(is_delimiter)
    })
}
