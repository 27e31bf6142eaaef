//! Conditions of `.if`, `.elif` and `-cc` (configuration manual, section 2.4).

use crate::report;

/// Deepest nesting of parentheses.
const DEEPEST: usize = 64;

/// Features of the original that hold here, as `feature()` asks for them.
const FEATURES: &[&str] = &[
    "ACCEPT4",
    "EPOLL",
    "GETADDRINFO",
    "LINUX_SPLICE",
    "LINUX_TPROXY",
    "NETFILTER",
    "SYSTEMD",
    "TFO",
    "THREAD",
    "TPROXY",
];

/// Why a condition cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConditionError {
    /// What is wrong.
    pub(crate) what: String,
    /// Offset of the byte that it is about.
    pub(crate) at: usize,
}

type Lookup<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// Whether the condition holds. An empty one does not.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn evaluate(text: &str, lookup: Lookup<'_>) -> Result<bool, ConditionError> {
    let mut parser = Parser {
        text,
        at: 0,
        lookup,
    };
    parser.blanks();
    if parser.rest().is_empty() {
        return Ok(false);
    }
    let value = parser.either(0)?;
    parser.blanks();
    if let Some(wrong) = parser.rest().chars().next() {
        return Err(ConditionError {
            what: format!(
                "unexpected character '{wrong}' at the end of conditional expression '{text}'"
            ),
            at: parser.at,
        });
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    lookup: Lookup<'a>,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn unparsable(&self, at: usize) -> ConditionError {
        let rest = self.text.get(at..).unwrap_or_default();
        ConditionError {
            what: format!("unparsable conditional expression '{rest}'"),
            at,
        }
    }

    fn either(&mut self, depth: usize) -> Result<bool, ConditionError> {
        let mut value = self.both(depth)?;
        while self.take("||") {
            let other = self.both(depth)?;
            value = value || other;
        }
        Ok(value)
    }

    fn both(&mut self, depth: usize) -> Result<bool, ConditionError> {
        let mut value = self.term(depth)?;
        loop {
            self.blanks();
            let start = self.at;
            if !self.take("&&") {
                return Ok(value);
            }
            self.blanks();
            if self.rest().is_empty() {
                return Err(self.unparsable(start));
            }
            let other = self.term(depth)?;
            value = value && other;
        }
    }

    fn term(&mut self, depth: usize) -> Result<bool, ConditionError> {
        self.blanks();
        let start = self.at;
        if depth > DEEPEST {
            return Err(self.unparsable(start));
        }
        let negated = self.take("!");
        self.blanks();
        if self.rest().is_empty() {
            return Err(self.unparsable(start));
        }
        let inner = self.at;
        let value = if self.take("(") {
            let value = self.either(depth + 1)?;
            if !self.take(")") {
                let rest = self.text.get(inner..).unwrap_or_default();
                return Err(ConditionError {
                    what: format!("expected ')' after conditional expression '{rest}'"),
                    at: inner,
                });
            }
            value
        } else {
            self.operand()?
        };
        Ok(value != negated)
    }

    fn operand(&mut self) -> Result<bool, ConditionError> {
        let start = self.at;
        let rest = self.rest();
        let signed = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        let digits = signed.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            let length = rest.len() - signed.len() + digits;
            let value = crate::number::atol(rest.get(..length).unwrap_or_default());
            self.at += length;
            return Ok(value != 0);
        }
        let name = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            .count();
        let name = rest.get(..name).unwrap_or_default().to_owned();
        let Some(arity) = arity(&name) else {
            return Err(self.unparsable(start));
        };
        self.at += name.len();
        let arguments = self.arguments(&name, arity)?;
        let argument = |index: usize| arguments.get(index).map_or("", String::as_str);
        Ok(match name.as_str() {
            "defined" => {
                let name = crate::text::decode(argument(0));
                (self.lookup)(&name).is_some()
            }
            "feature" => FEATURES.contains(&argument(0)),
            "streq" => argument(0) == argument(1),
            "strneq" => argument(0) != argument(1),
            "version_atleast" => at_least(report::VERSION, argument(0)),
            "version_before" => !at_least(report::VERSION, argument(0)),
            // No TLS library takes part here.
            _ => false,
        })
    }

    fn arguments(&mut self, name: &str, arity: usize) -> Result<Vec<String>, ConditionError> {
        if !self.rest().starts_with('(') {
            return Ok(Vec::new());
        }
        self.at += 1;
        let rest = self.rest();
        let end = rest.find(')');
        let inside = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let mut found: Vec<String> = Vec::new();
        let mut offset = 0;
        for part in inside.split(',') {
            if found.len() == arity {
                let at = self.at + offset - 1;
                let rest = self.text.get(at..).unwrap_or_default();
                return Err(ConditionError {
                    what: format!(
                        "expected ')' before '{rest}' in argument {arity} of predicate '{name}' used in conditional expression"
                    ),
                    at: self.at + inside.find(',').unwrap_or(0),
                });
            }
            offset += part.len() + 1;
            found.push(part.to_owned());
        }
        let too_few = |found: usize, at: usize| ConditionError {
            what: format!(
                "missing arguments (got {found}/{arity}), type 'string' expected in argument {found} of predicate '{name}' used in conditional expression"
            ),
            at,
        };
        if found.len() < arity && arity > 1 {
            return Err(too_few(found.len(), self.at + inside.len()));
        }
        let Some(end) = end else {
            return Err(ConditionError {
                what: format!(
                    "expected ')' in argument {} of predicate '{name}' used in conditional expression",
                    found.len().saturating_sub(1)
                ),
                at: self.text.len(),
            });
        };
        self.at += end + 1;
        Ok(found)
    }
}

fn arity(name: &str) -> Option<usize> {
    Some(match name {
        "streq" | "strneq" => 2,
        "defined"
        | "feature"
        | "version_atleast"
        | "version_before"
        | "openssl_version_atleast"
        | "openssl_version_before"
        | "ssllib_name_startswith" => 1,
        _ => return None,
    })
}

/// Whether a version such as `2.6.12-x` is at least the other; missing parts are 0.
fn at_least(version: &str, wanted: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|byte: char| !byte.is_ascii_digit())
            .take(3)
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    let (have, want) = (numbers(version), numbers(wanted));
    let part = |list: &[u64], index: usize| list.get(index).copied().unwrap_or(0);
    (0..3)
        .map(|index| (part(&have, index), part(&want, index)))
        .find(|(have, want)| have != want)
        .is_none_or(|(have, want)| have > want)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<bool, ConditionError> {
        evaluate(text, &|name| (name == b"HOME").then(|| b"/root".to_vec()))
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("", false),
            ("0", false),
            ("1", true),
            ("-1", true),
            ("defined(HOME)", true),
            ("!defined(HOME)", false),
            ("defined()", false),
            ("(1 && (0 || 1))", true),
            ("version_atleast(2.5)", true),
            ("version_atleast(2.6.12)", true),
            ("version_atleast(2.7)", false),
            ("version_before(2.6.13) && feature(EPOLL) || 0", true),
            ("feature(OPENSSL)", false),
            ("streq(a,a)", true),
            ("strneq(a,b)", true),
        ] {
            assert_eq!(check(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors() {
        for (text, what, at) in [
            ("foo", "unparsable conditional expression 'foo'", 0),
            (
                "1foo",
                "unexpected character 'f' at the end of conditional expression '1foo'",
                1,
            ),
            ("(1", "expected ')' after conditional expression '(1'", 0),
            ("1 && ", "unparsable conditional expression '&& '", 2),
            ("!", "unparsable conditional expression '!'", 0),
        ] {
            let error = check(text).unwrap_err();
            assert_eq!((error.what.as_str(), error.at), (what, at), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(check(&"(".repeat(100_000)).is_err());
        assert!(check(&"!".repeat(100_000)).is_err());
    }
}
