//! One line: comments, words, braces. keepalived.conf(5), "Comments" and "Quoted strings".

use std::borrow::Cow;
use std::rc::Rc;

use cfgtext::Span;

/// Begins a block.
pub(crate) const OPEN: &[u8] = b"{";
/// Ends a block.
pub(crate) const CLOSE: &[u8] = b"}";

/// What keepalived takes for a gap between words.
const fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// One word, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) bytes: Vec<u8>,
    /// Where it stands; the whole line if a substitution made it.
    pub(crate) span: Span,
}

impl Word {
    /// The word for messages and names.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    pub(crate) fn is(&self, text: &[u8]) -> bool {
        self.bytes == text
    }
}

/// Where a line came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file's name as messages cite it.
    pub(crate) file: Rc<str>,
    /// Line number, from 1, as the later readers cite it.
    pub(crate) number: u32,
    /// The number that the first reader cites: it counts line ends alone, so that a last line
    /// without one has the number of the line before. 0 if there was none yet.
    pub(crate) ends: u32,
    /// Whether it is the file named on the command line.
    pub(crate) top: bool,
    /// The bytes of the line.
    pub(crate) span: Span,
    /// Whether the text is what stands at `span`, so that words have columns.
    pub(crate) verbatim: bool,
}

/// A line as the blocks see it: no comment, no condition, everything substituted, and either a
/// brace alone or no brace at all outside quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) place: Place,
    pub(crate) text: Vec<u8>,
    pub(crate) words: Vec<Word>,
}

impl Line {
    /// The words from `index` on.
    pub(crate) fn rest(&self, index: usize) -> &[Word] {
        self.words.get(index..).unwrap_or_default()
    }
}

/// A line without its comment and its outer gaps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bare {
    pub(crate) text: Vec<u8>,
    /// How many bytes were cut off at the front.
    pub(crate) indent: usize,
    /// Whether the bytes that are left are those of the source.
    pub(crate) verbatim: bool,
    /// Whether a double quote is left open.
    pub(crate) open_quote: bool,
    /// Whether the line ended in a backslash, which is still there.
    pub(crate) continued: bool,
}

/// Cuts a comment off. `#` and `!` begin one anywhere outside double quotes, even within a word;
/// a backslash before them keeps them. A backslash at the end survives the comment, since it
/// carries a definition on to the next line.
pub(crate) fn bare(line: &[u8]) -> Bare {
    let indent = line
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    let mut text = Vec::with_capacity(line.len());
    let mut verbatim = true;
    let mut quoted = false;
    let mut commented = false;
    let mut continued = false;
    let mut bytes = line.iter().copied().skip(indent).peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.peek().copied() {
                None => continued = true,
                Some(next @ (b'#' | b'!')) if !quoted => {
                    bytes.next();
                    if !commented {
                        verbatim = false;
                        text.push(next);
                    }
                }
                Some(next) => {
                    bytes.next();
                    if !commented {
                        text.extend([byte, next]);
                    }
                }
            },
            b'#' | b'!' if !quoted => commented = true,
            _ if commented => {}
            b'"' => {
                quoted = !quoted;
                text.push(byte);
            }
            _ => text.push(byte),
        }
    }
    while text.last().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        text.pop();
    }
    if continued {
        verbatim &= !commented && line.len() == indent + text.len() + 1;
        text.push(b'\\');
    }
    Bare {
        text,
        indent,
        verbatim,
        open_quote: quoted,
        continued,
    }
}

/// The parts of a line as ranges: each brace outside double quotes is one of its own.
pub(crate) fn split_braces(text: &[u8]) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    let mut quoted = false;
    let mut escaped = false;
    let mut start = 0;
    for (at, byte) in text.iter().copied().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'}' if !quoted => {
                parts.push((start, at));
                parts.push((at, at + 1));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push((start, text.len()));
    parts.retain(|(start, end)| {
        let part = text.get(*start..*end).unwrap_or_default();
        !part.iter().copied().all(is_gap)
    });
    parts
}

/// A word and its range in the text.
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Splits a line into words. Double quotes hold a word together and begin a new one even in the
/// middle of another; nothing is an escape here. The flag tells that a quote was never closed;
/// the words before it count.
pub(crate) fn split_words(text: &[u8]) -> (Vec<Piece>, bool) {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at).copied() {
        if is_gap(byte) {
            at += 1;
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let (start, length, next) = if byte == b'"' {
            let inner = rest.get(1..).unwrap_or_default();
            let Some(length) = inner.iter().position(|byte| *byte == b'"') else {
                return (words, true);
            };
            (at + 1, length, at + length + 2)
        } else {
            let ends = |byte: &u8| is_gap(*byte) || *byte == b'"';
            let length = rest.iter().position(ends).unwrap_or(rest.len());
            (at, length, at + length)
        };
        words.push(Piece {
            bytes: text.get(start..start + length).unwrap_or_default().to_vec(),
            start,
            end: start + length,
        });
        at = next;
    }
    (words, false)
}

/// What is wrong with a quoted and escaped string.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum QuoteFault {
    /// This quote was never closed.
    Open(char),
    /// The string ends in a backslash.
    EscapeAtEnd,
}

/// Splits a command the way a shell would: both kinds of quotes, and the escapes of
/// keepalived.conf(5), "Quoted strings".
pub(crate) fn split_escaped(text: &[u8]) -> Result<Vec<Vec<u8>>, QuoteFault> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote: Option<u8> = None;
    let mut at = 0;
    while let Some(byte) = text.get(at).copied() {
        at += 1;
        if byte == b'\\' {
            let rest = text.get(at..).unwrap_or_default();
            let (escaped, used) = escape(rest).ok_or(QuoteFault::EscapeAtEnd)?;
            word.get_or_insert_default().push(escaped);
            at += used;
        } else if let Some(open) = quote {
            if byte == open {
                quote = None;
            } else {
                word.get_or_insert_default().push(byte);
            }
        } else if matches!(byte, b'"' | b'\'') {
            quote = Some(byte);
            word.get_or_insert_default();
        } else if is_gap(byte) {
            words.extend(word.take());
        } else {
            word.get_or_insert_default().push(byte);
        }
    }
    if let Some(open) = quote {
        return Err(QuoteFault::Open(char::from(open)));
    }
    words.extend(word);
    Ok(words)
}

/// The byte that stands after a backslash, and how many bytes name it.
fn escape(rest: &[u8]) -> Option<(u8, usize)> {
    let first = *rest.first()?;
    let simple = match first {
        b'a' => 0x07,
        b'b' => 0x08,
        b'E' => 0x1b,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'x' => {
            let digits = rest
                .iter()
                .skip(1)
                .take_while(|byte| byte.is_ascii_hexdigit());
            let (value, count) = digits.fold((0_u8, 0), |(value, count), byte| {
                (value.wrapping_mul(16).wrapping_add(digit(*byte)), count + 1)
            });
            return Some(if count == 0 {
                (b'x', 1)
            } else {
                (value, 1 + count)
            });
        }
        b'0'..=b'7' => {
            let digits = rest
                .iter()
                .take(3)
                .take_while(|byte| matches!(byte, b'0'..=b'7'));
            let (value, count) = digits.fold((0_u8, 0), |(value, count), byte| {
                (value.wrapping_mul(8).wrapping_add(digit(*byte)), count + 1)
            });
            return Some((value, count));
        }
        b'c' => {
            return Some(match rest.get(1) {
                Some(letter) => (letter & 0x1f, 2),
                None => (b'c', 1),
            });
        }
        other => other,
    };
    Some((simple, 1))
}

const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let (words, _) = split_words(text.as_bytes());
        words
            .into_iter()
            .map(|word| String::from_utf8(word.bytes).unwrap())
            .collect()
    }

    fn cut(text: &str) -> String {
        String::from_utf8(bare(text.as_bytes()).text).unwrap()
    }

    #[test]
    fn both_signs_begin_a_comment_unless_quoted_or_escaped() {
        assert_eq!(cut("  auth_pass k8s#lb!x"), "auth_pass k8s");
        assert_eq!(cut("auth_pass k8s!lb#x"), "auth_pass k8s");
        assert_eq!(cut("state \"a#b!c\"  # x"), "state \"a#b!c\"");
        assert_eq!(cut("state a\\#b"), "state a#b");
        assert_eq!(cut("six # c \\"), "six\\");
        assert!(bare(b"state \"a # b").open_quote);
        assert!(!bare(b"state \"a\\\"b\" # \"").open_quote);
    }

    #[test]
    fn double_quotes_alone_hold_words_together() {
        assert_eq!(words("state \"a b\tc\" d"), ["state", "a b\tc", "d"]);
        assert_eq!(
            words("state a\"b c\"d'e f'"),
            ["state", "a", "b c", "d'e", "f'"]
        );
        assert_eq!(words("state \"\""), ["state", ""]);
        assert_eq!(words("state x \"y"), ["state", "x"]);
        assert!(split_words(b"state \"y").1);
    }

    #[test]
    fn braces_are_words_of_their_own() {
        let parts = |text: &'static str| -> Vec<&'static str> {
            split_braces(text.as_bytes())
                .into_iter()
                .map(|(start, end)| text[start..end].trim())
                .collect()
        };
        assert_eq!(
            parts("virtual_ipaddress {10.0.0.1/16}"),
            ["virtual_ipaddress", "{", "10.0.0.1/16", "}"]
        );
        assert_eq!(parts("state \"{}\""), ["state \"{}\""]);
    }

    #[test]
    fn commands_are_split_like_a_shell_would() {
        let argv = |text: &str| -> Vec<String> {
            split_escaped(text.as_bytes())
                .unwrap()
                .into_iter()
                .map(|word| String::from_utf8(word).unwrap())
                .collect()
        };
        assert_eq!(
            argv("/bin/echo a 'b c' \"d e\""),
            ["/bin/echo", "a", "b c", "d e"]
        );
        assert_eq!(argv("/bin/echo a'b c'd ''"), ["/bin/echo", "ab cd", ""]);
        assert_eq!(argv(r"x \x41\102\e \cA\q"), ["x", "ABe", "\u{1}q"]);
        assert_eq!(split_escaped(b"a 'b"), Err(QuoteFault::Open('\'')));
        assert_eq!(split_escaped(b"a \\"), Err(QuoteFault::EscapeAtEnd));
    }
}
