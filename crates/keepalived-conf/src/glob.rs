//! File name patterns as `include` takes them: `* ? [...]` and csh braces. glob(7).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::env::{Environment, FileKind};

/// Alternatives beyond this number are not looked at.
const MAX_ALTERNATIVES: usize = 256;
/// Files beyond this number are not matched by one pattern.
const MAX_MATCHES: usize = 4096;

/// What one pattern gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Matches {
    /// The names as the pattern spells them, sorted within each alternative; a directory ends in
    /// a slash.
    pub(crate) names: Vec<OsString>,
    /// Whether something is missing that the pattern spells out: a file, or the directory that a
    /// wildcard is looked for in. What a wildcard does not match is not missing.
    pub(crate) missing: bool,
    /// Whether the pattern has alternatives in braces.
    pub(crate) brace: bool,
}

/// Looks for a pattern; relative names start from `base`.
pub(crate) fn find(env: &dyn Environment, base: &Path, pattern: &[u8]) -> Matches {
    let mut matches = Matches {
        brace: first_brace(pattern).is_some(),
        ..Matches::default()
    };
    let alternatives = expand_braces(pattern).into_iter();
    for alternative in alternatives.filter(|alternative| !alternative.is_empty()) {
        let mut found = Vec::new();
        matches.missing |= !walk(env, base, &alternative, &mut found);
        found.sort();
        matches
            .names
            .extend(found.into_iter().map(OsString::from_vec));
    }
    matches.names.truncate(MAX_MATCHES);
    matches
}

/// `a{b,c}d` gives `abd` and `acd`; braces nest.
fn expand_braces(pattern: &[u8]) -> Vec<Vec<u8>> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_vec()];
    while let Some(next) = open.pop() {
        if done.len() + open.len() >= MAX_ALTERNATIVES {
            break;
        }
        match first_brace(&next) {
            None => done.push(next),
            Some((before, parts, after)) => {
                let whole = |part: &Vec<u8>| [before, part.as_slice(), after].concat();
                open.extend(parts.iter().rev().map(whole));
            }
        }
    }
    done
}

type Brace<'a> = (&'a [u8], Vec<Vec<u8>>, &'a [u8]);

fn first_brace(pattern: &[u8]) -> Option<Brace<'_>> {
    let start = pattern.iter().position(|byte| *byte == b'{')?;
    let mut depth = 0_u32;
    let mut parts = vec![Vec::new()];
    for (at, byte) in pattern.iter().copied().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((pattern.get(..start)?, parts, pattern.get(at + 1..)?));
        }
        if depth == 1 && byte == b',' {
            parts.push(Vec::new());
        } else if at > start {
            parts.last_mut()?.push(byte);
        }
    }
    None
}

/// Follows the pattern one path component at a time. The answer is whether all is there that it
/// spells out.
fn walk(env: &dyn Environment, base: &Path, pattern: &[u8], found: &mut Vec<Vec<u8>>) -> bool {
    let mut complete = true;
    let mut prefixes: Vec<Vec<u8>> = vec![Vec::new()];
    let mut components = pattern.split(|byte| *byte == b'/').peekable();
    while let Some(component) = components.next() {
        let last = components.peek().is_none();
        let mut next = Vec::new();
        for prefix in prefixes {
            if component.iter().any(|byte| b"*?[".contains(byte)) {
                let directory = base.join(Path::new(OsStr::from_bytes(&prefix)));
                let names = env.list(&directory);
                complete &= names.is_some();
                for name in names.unwrap_or_default() {
                    let name = name.as_bytes();
                    let hidden = name.starts_with(b".") && !component.starts_with(b".");
                    if !hidden && matches(component, name) && next.len() < MAX_MATCHES {
                        next.push([prefix.as_slice(), name].concat());
                    }
                }
            } else {
                next.push([prefix.as_slice(), component].concat());
            }
        }
        if !last {
            next.iter_mut().for_each(|name| name.push(b'/'));
        }
        prefixes = next;
    }
    for mut name in prefixes {
        let path = base.join(Path::new(OsStr::from_bytes(&name)));
        let Ok(stat) = env.stat(&path) else {
            complete = false;
            continue;
        };
        if stat.kind == FileKind::Directory && !name.ends_with(b"/") {
            name.push(b'/');
        }
        found.push(name);
    }
    complete
}

/// Whether a name fits one component of a pattern.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // The place to come back to: after the last star, and how much it has taken.
    let mut back: Option<(usize, usize)> = None;
    let (mut at, mut taken) = (0, 0);
    while taken < name.len() {
        let byte = name.get(taken).copied().unwrap_or_default();
        let step = match pattern.get(at).copied() {
            Some(b'*') => {
                back = Some((at + 1, taken));
                at += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => class(pattern.get(at..).unwrap_or_default(), byte),
            Some(literal) if literal == byte => Some(1),
            _ => None,
        };
        match (step, back) {
            (Some(width), _) => {
                at += width;
                taken += 1;
            }
            (None, Some((star, start))) => {
                at = star;
                taken = start + 1;
                back = Some((star, start + 1));
            }
            (None, None) => return false,
        }
    }
    pattern
        .get(at..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

/// The width of a bracket expression if the byte is in it.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let end = pattern.iter().skip(2).position(|byte| *byte == b']')? + 2;
    let inner = pattern.get(1..end)?;
    let (negated, inner) = match inner.first() {
        Some(b'!' | b'^') => (true, inner.get(1..)?),
        _ => (false, inner),
    };
    let mut inside = false;
    let mut at = 0;
    while let Some(low) = inner.get(at).copied() {
        match (inner.get(at + 1), inner.get(at + 2)) {
            (Some(b'-'), Some(high)) => {
                inside |= (low..=*high).contains(&byte);
                at += 3;
            }
            _ => {
                inside |= low == byte;
                at += 1;
            }
        }
    }
    (inside != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{FakeEnvironment, FakeFile};

    fn found(pattern: &str) -> Vec<String> {
        let mut host = FakeEnvironment::new();
        for name in ["/c/a.conf", "/c/b.conf", "/c/.h.conf", "/c/sub/c.conf"] {
            host = host.with_file(name, FakeFile::readable(""));
        }
        find(&host, Path::new("/c"), pattern.as_bytes())
            .names
            .into_iter()
            .map(|name| name.into_string().unwrap())
            .collect()
    }

    #[test]
    fn patterns_find_what_a_shell_would() {
        assert_eq!(found("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(found("[!a].conf"), ["b.conf"]);
        assert_eq!(found("[a-b].c?nf"), ["a.conf", "b.conf"]);
        assert_eq!(found("{b,a}.conf"), ["b.conf", "a.conf"]);
        assert_eq!(found("/c/s*/*"), ["/c/sub/c.conf"]);
        assert_eq!(found("sub"), ["sub/"]);
        assert_eq!(
            found("../c/a.conf"),
            Vec::<String>::new(),
            "the fake knows no .."
        );
        assert_eq!(found("x*"), Vec::<String>::new());
    }

    #[test]
    fn endless_braces_end() {
        let pattern = "{a,b}".repeat(40);
        assert!(expand_braces(pattern.as_bytes()).len() <= MAX_ALTERNATIVES);
        assert!(!matches(&b"*a".repeat(30), &b"a".repeat(20)));
    }
}
