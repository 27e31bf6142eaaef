//! Arguments of fetches and converters: `(a,b)` after a name (configuration manual, section 2.2,
//! "quoting and escaping", for the quotes in them).
//!
//! What a name takes is written as letters: `i` a number, `s` text, `t` a stick table, `b` a
//! backend, `f` a frontend, `S` a server, `u` a user list, `4` and `6` an address of that family, `m`
//! and `M` a network mask of IPv4 and IPv6, `r` a regular expression, `p` a field of a protocol
//! buffer; those after `?` may be left out.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::model::Arg;
use crate::text;

/// What is wrong with arguments.
pub(crate) struct Wrong {
    /// Which argument, from 1.
    pub(crate) position: usize,
    /// In the original's words.
    pub(crate) what: String,
}

/// Reads the arguments at the beginning of `rest`, which either begins with `(` or has none; gives
/// them and what follows.
///
/// # Errors
/// [`Wrong`].
pub(crate) fn read<'t>(letters: &str, rest: &'t str) -> Result<(Vec<Arg>, &'t str), Wrong> {
    let least = letters.find('?').unwrap_or(letters.len());
    let kinds: Vec<char> = letters.chars().filter(|letter| *letter != '?').collect();
    let Some(mut rest) = rest.strip_prefix('(') else {
        return missing(&kinds, least, 0).map(|args| (args, rest));
    };
    let mut args = Vec::new();
    if let Some(after) = rest.strip_prefix(')')
        && least == 0
    {
        return Ok((args, after));
    }
    for (index, kind) in kinds.iter().enumerate() {
        let Some((word, after)) = word(rest) else {
            return Err(Wrong {
                position: index + 1,
                what: String::from("expected ')'"),
            });
        };
        let end = after.starts_with(')') || after.is_empty();
        if word.is_empty() && needs_text(*kind) {
            if index < least {
                return Err(nothing(*kind, index));
            }
            args.push(Arg::Missing);
        } else {
            args.push(value(*kind, &word).ok_or_else(|| Wrong {
                position: index + 1,
                what: format!(
                    "failed to parse '{word}' as type '{}' at position {}",
                    name(*kind),
                    index + 1
                ),
            })?);
        }
        rest = after;
        if end {
            break;
        }
        if let (Some(after), true) = (rest.strip_prefix(','), index + 1 < kinds.len()) {
            rest = after;
        }
    }
    let Some(after) = rest.strip_prefix(')') else {
        let what = if rest.is_empty() {
            String::from("expected ')'")
        } else {
            format!("expected ')' before '{rest}'")
        };
        return Err(Wrong {
            position: args.len().max(1),
            what,
        });
    };
    if args.len() < least {
        let kind = kinds.get(args.len()).copied().unwrap_or('s');
        return Err(Wrong {
            position: args.len() + 1,
            what: format!(
                "missing arguments (got {}/{least}), type '{}' expected",
                args.len(),
                name(kind)
            ),
        });
    }
    Ok((args, after))
}

/// The arguments of a name that has none written.
fn missing(kinds: &[char], least: usize, index: usize) -> Result<Vec<Arg>, Wrong> {
    let Some(kind) = kinds.get(index).filter(|_| least > 0).copied() else {
        return Ok(Vec::new());
    };
    if needs_text(kind) {
        return Err(nothing(kind, index));
    }
    if least > 1 {
        let kind = kinds.get(1).copied().unwrap_or('s');
        return Err(Wrong {
            position: 2,
            what: format!(
                "missing arguments (got 1/{least}), type '{}' expected",
                name(kind)
            ),
        });
    }
    Ok(value(kind, "").into_iter().collect())
}

fn nothing(kind: char, index: usize) -> Wrong {
    Wrong {
        position: index + 1,
        what: format!(
            "expected type '{}' at position {}, but got nothing",
            name(kind),
            index + 1
        ),
    }
}

/// Whether the empty word is no value of that kind.
const fn needs_text(kind: char) -> bool {
    matches!(kind, 'i' | '4' | '6' | 'm' | 'M' | 'p')
}

const fn name(kind: char) -> &'static str {
    match kind {
        'i' => "integer",
        't' => "table",
        'b' => "backend",
        'f' => "frontend",
        'S' => "server",
        'u' => "user list",
        '4' => "IPv4 address",
        '6' => "IPv6 address",
        'm' => "IPv4 mask",
        'M' => "IPv6 mask",
        'r' => "regex",
        'p' => "Protocol buffers field number",
        _ => "string",
    }
}

fn value(kind: char, word: &str) -> Option<Arg> {
    let named = || (!word.is_empty()).then(|| word.to_owned());
    Some(match kind {
        'i' => Arg::Int(integer(word)?),
        't' => Arg::Table(named()),
        'b' => Arg::Backend(named()),
        'f' => Arg::Frontend(named()),
        'u' => Arg::UserList(word.to_owned()),
        'S' => match word.rsplit_once('/') {
            Some((backend, server)) => Arg::Server {
                backend: Some(backend.to_owned()),
                server: server.to_owned(),
            },
            None => Arg::Server {
                backend: None,
                server: word.to_owned(),
            },
        },
        '4' => Arg::Ipv4(word.parse().ok()?),
        '6' => Arg::Ipv6(word.parse().ok()?),
        'm' => Arg::Mask4(mask4(word)?),
        'M' => Arg::Mask6(mask6(word)?),
        'r' => Arg::Regex(word.to_owned()),
        _ => Arg::Text(text::decode(word)),
    })
}

/// A whole number, as far as it fits.
fn integer(word: &str) -> Option<i64> {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| crate::number::atol(word))
}

/// An IPv4 mask by the number of its bits or in dotted form.
pub(crate) fn mask4(word: &str) -> Option<Ipv4Addr> {
    if word.contains('.') {
        return word.parse().ok();
    }
    let bits = bits(word).filter(|bits| *bits <= 32)?;
    Some(Ipv4Addr::from_bits(
        u32::MAX.checked_shl(32 - bits).unwrap_or(0),
    ))
}

/// An IPv6 mask by the number of its bits or as an address.
pub(crate) fn mask6(word: &str) -> Option<Ipv6Addr> {
    if word.contains(':') {
        return word.parse().ok();
    }
    let bits = bits(word).filter(|bits| *bits <= 128)?;
    Some(Ipv6Addr::from_bits(
        u128::MAX.checked_shl(128 - bits).unwrap_or(0),
    ))
}

fn bits(word: &str) -> Option<u32> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

/// One argument without its quotes and backslashes, and what follows it: a comma, a bracket or
/// nothing. `None` if a quote is not closed.
fn word(rest: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut quote = None;
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, ',' | ')') => return Some((word, rest.get(at..).unwrap_or_default())),
            (None | Some('"'), '\\') => match characters.clone().next() {
                Some((_, next)) if escapes(next, quote.is_some()) => {
                    characters.next();
                    word.push(match next {
                        'r' => '\r',
                        'n' => '\n',
                        't' => '\t',
                        other => other,
                    });
                }
                _ => word.push('\\'),
            },
            _ => word.push(character),
        }
    }
    quote.is_none().then_some((word, ""))
}

/// Whether a backslash before this character is more than itself.
const fn escapes(next: char, quoted: bool) -> bool {
    if quoted {
        return matches!(next, '"' | '\\');
    }
    matches!(next, 'r' | 'n' | 't' | '\\' | '\'' | '"' | ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(letters: &str, rest: &str) -> String {
        match read(letters, rest) {
            Err(wrong) => format!("{}: {}", wrong.position, wrong.what),
            Ok(found) => panic!("{found:?}"),
        }
    }

    #[test]
    fn wrong_arguments_are_told_in_the_originals_words() {
        assert_eq!(error("", "(1)"), "1: expected ')' before '1)'");
        assert_eq!(
            error("ii", "(0)"),
            "2: missing arguments (got 1/2), type 'integer' expected"
        );
        assert_eq!(
            error("ii", ""),
            "1: expected type 'integer' at position 1, but got nothing"
        );
        assert_eq!(
            error("ii", "(a,b)"),
            "1: failed to parse 'a' as type 'integer' at position 1"
        );
        assert_eq!(error("ii", "(0,5,6)"), "2: expected ')' before ',6)'");
        assert_eq!(error("ii", "(0,5"), "2: expected ')'");
        assert_eq!(error("s", "('a)"), "1: expected ')'");
        assert_eq!(
            error("m?M", "(33)"),
            "1: failed to parse '33' as type 'IPv4 mask' at position 1"
        );
        assert_eq!(
            error("rs?s", "()"),
            "2: missing arguments (got 1/2), type 'string' expected"
        );
    }

    #[test]
    fn quotes_hold_commas_and_brackets() {
        let read = |rest| match read("s", rest) {
            Ok((args, _)) => args,
            Err(wrong) => panic!("{}", wrong.what),
        };
        assert_eq!(read("('a,b)')"), vec![Arg::Text(b"a,b)".to_vec())]);
        assert_eq!(read("(\"a,b\")"), vec![Arg::Text(b"a,b".to_vec())]);
        assert_eq!(read("( a )"), vec![Arg::Text(b" a ".to_vec())]);
        assert_eq!(read(""), vec![Arg::Text(Vec::new())]);
    }

    #[test]
    fn proxies_may_be_left_to_the_place() {
        for (letters, rest, expected) in [
            ("b", "", Arg::Backend(None)),
            ("b", "()", Arg::Backend(None)),
            ("t", "", Arg::Table(None)),
        ] {
            let Ok((args, _)) = read(letters, rest) else {
                panic!("{letters} {rest}");
            };
            assert_eq!(args, vec![expected]);
        }
        let Ok((args, rest)) = read("i?t", "(1),lower") else {
            panic!("an optional table");
        };
        assert_eq!((args, rest), (vec![Arg::Int(1)], ",lower"));
    }
}
