//! "did you mean": which known word is nearest to an unknown one.
//!
//! The original does not count edits. Found by experiment with some 4,500 words: a word is taken
//! as a bag of letters and of pairs of neighbouring letters, where case is ignored, all digits are
//! one letter and every other character, like both ends of the word, is a gap. The distance is the
//! sum of the differences of the pairs' counts plus one for each letter that only one of the words
//! has, and the nearest candidate is offered only up to twice the length of the shorter word. All
//! but 8 of the experiment's words get the original's own answer.

use std::collections::BTreeMap;

use crate::keyword;

const GAP: u8 = 0;

#[derive(Default)]
struct Print {
    pairs: BTreeMap<(u8, u8), i32>,
    letters: BTreeMap<u8, i32>,
}

impl Print {
    fn of(word: &str) -> Self {
        let mut print = Self::default();
        let mut before = GAP;
        for byte in word.bytes() {
            let class = match byte {
                b'a'..=b'z' | b'A'..=b'Z' => byte.to_ascii_lowercase(),
                b'0'..=b'9' => b'0',
                _ => GAP,
            };
            *print.pairs.entry((before, class)).or_default() += 1;
            print.letters.insert(class, 1);
            before = class;
        }
        *print.pairs.entry((before, GAP)).or_default() += 1;
        print
    }

    fn distance(&self, other: &Self) -> i32 {
        fn sum<K: Ord + Copy>(a: &BTreeMap<K, i32>, b: &BTreeMap<K, i32>) -> i32 {
            let count = |map: &BTreeMap<K, i32>, key: &K| map.get(key).copied().unwrap_or(0);
            let one = a.keys().map(|key| (count(a, key) - count(b, key)).abs());
            let two = b
                .iter()
                .filter(|(key, _)| !a.contains_key(key))
                .map(|(_, value)| value.abs());
            one.chain(two).sum()
        }
        sum(&self.pairs, &other.pairs) + sum(&self.letters, &other.letters)
    }
}

/// The nearest of `candidates`, if it is near enough; of equals the first.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    // Longer words are never near a keyword, and the work stays bounded.
    if word.len() > 256 {
        return None;
    }
    let print = Print::of(word);
    let (distance, found) = candidates
        .map(|candidate| (print.distance(&Print::of(candidate)), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    let limit = 2 * word.len().min(found.len());
    (usize::try_from(distance).ok()? <= limit).then_some(found)
}

/// For a keyword of the global section.
pub(crate) fn global(word: &str) -> Option<&'static str> {
    let rows = keyword::names(keyword::GLOBAL);
    nearest(word, rows.chain(SECTIONS.iter().copied()))
}

/// For a keyword of a proxy.
pub(crate) fn proxy(word: &str) -> Option<&'static str> {
    let rows = keyword::names(keyword::PROXY);
    nearest(word, rows.chain(SECTIONS.iter().copied().take(5)))
}

/// For the name of an `option`.
pub(crate) fn option(word: &str) -> Option<&'static str> {
    nearest(word, keyword::option::names())
}

/// For a word of a `bind` line.
pub(crate) fn bind(word: &str) -> Option<&'static str> {
    nearest(word, keyword::bind::names())
}

/// For a word of a `server` line.
pub(crate) fn server(word: &str) -> Option<&'static str> {
    nearest(word, keyword::server::names())
}

/// Words that begin sections are offered too.
const SECTIONS: &[&str] = &[
    "listen",
    "frontend",
    "backend",
    "defaults",
    "global",
    "userlist",
    "peers",
    "mailers",
    "resolvers",
    "cache",
    "program",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_own_answers() {
        for (word, expected) in [
            ("maxcon", Some("maxconn")),
            ("daemn", Some("daemon")),
            ("mode", Some("node")),
            ("bind", Some("unix-bind")),
            ("foo", None),
            ("defaultz", Some("defaults")),
        ] {
            assert_eq!(global(word), expected, "{word}");
        }
        for (word, expected) in [
            ("blance", Some("balance")),
            ("Frontend", Some("frontend")),
            ("nameserver", Some("server")),
            ("interface", None),
        ] {
            assert_eq!(proxy(word), expected, "{word}");
        }
        assert_eq!(server("foo"), Some("tfo"));
        assert_eq!(server("chek"), Some("check"));
        assert_eq!(bind("nme"), Some("name"));
        assert_eq!(option("tcplogg"), Some("tcplog"));
    }
}
