//! From bytes to commands: lines, `;`, words and escapes.

/// The longest line, its end included: the original's buffer.
pub(super) const LONGEST_LINE: usize = 16384;
/// Words of one command; further ones are not looked at.
const MOST_WORDS: usize = 64;

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// One command, split into words; none at all for an empty one.
    Command(Vec<String>),
    /// A line that is too long: nothing that follows can be understood.
    TooLong,
}

/// Collects what a client sends and cuts it into commands.
#[derive(Debug, Default)]
pub(super) struct Framing {
    buffer: Vec<u8>,
    /// A command announced a payload (`<<` as its last word): it ends with an empty line.
    pending: Option<Vec<String>>,
    broken: bool,
}

impl Framing {
    /// Takes bytes in.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether everything that came in has been given out.
    pub(super) fn is_drained(&self) -> bool {
        self.buffer.is_empty() && self.pending.is_none()
    }

    /// The commands of the next complete line; `None` if there is none yet.
    pub(super) fn next_line(&mut self) -> Option<Vec<Frame>> {
        loop {
            let end = self.buffer.iter().position(|byte| *byte == b'\n');
            let Some(end) = end.filter(|end| *end < LONGEST_LINE) else {
                if self.buffer.len() >= LONGEST_LINE {
                    self.buffer = Vec::new();
                    self.broken = true;
                    return Some(vec![Frame::TooLong]);
                }
                return None;
            };
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(words) = self.pending.take() {
                if line.is_empty() {
                    return Some(vec![Frame::Command(words)]);
                }
                self.pending = Some(words);
                continue;
            }
            let mut commands = split(line);
            if let Some(last) = commands.last_mut()
                && last.last().is_some_and(|word| word == "<<")
            {
                last.pop();
                self.pending = commands.pop();
                if commands.is_empty() {
                    continue;
                }
            }
            return Some(commands.into_iter().map(Frame::Command).collect());
        }
    }
}

/// Splits a line into commands at `;` and commands into words at blanks. A backslash takes the
/// meaning from the character that follows.
fn split(line: &[u8]) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b';' => {
                words.extend(word.take());
                commands.push(text(&mut words));
            }
            b' ' | b'\t' => words.extend(word.take()),
            b'\\' => {
                let literal = bytes.next().unwrap_or(b'\\');
                word.get_or_insert_default().push(literal);
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word.take());
    // A line that ends with `;` has no further command.
    if !words.is_empty() || commands.is_empty() {
        commands.push(text(&mut words));
    }
    commands
}

fn text(words: &mut Vec<Vec<u8>>) -> Vec<String> {
    let words = words.drain(..).take(MOST_WORDS);
    words
        .map(|word| String::from_utf8_lossy(&word).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All commands of `input`, one string each, words joined by `|`.
    fn check(input: &[u8], expected: &[&str]) {
        let mut framing = Framing::default();
        framing.push(input);
        let mut found = Vec::new();
        while let Some(frames) = framing.next_line() {
            for frame in frames {
                found.push(match frame {
                    Frame::Command(words) => words.join("|"),
                    Frame::TooLong => String::from("<too long>"),
                });
            }
        }
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(input));
    }

    #[test]
    fn commands_end_at_newlines_and_semicolons() {
        check(b"show stat\n", &["show|stat"]);
        check(b"show stat;show info\n", &["show|stat", "show|info"]);
        check(b"show stat\r\nshow info\n", &["show|stat", "show|info"]);
        check(b"show stat;\n", &["show|stat"]);
        check(b"show stat; ;quit\n", &["show|stat", "", "quit"]);
        check(b"\n", &[""]);
        check(b";a\n", &["", "a"]);
    }

    #[test]
    fn an_unfinished_line_waits() {
        check(b"show stat", &[]);
        check(b"", &[]);
    }

    #[test]
    fn backslashes_quote() {
        check(b"show env A\\ B\n", &["show|env|A B"]);
        check(b"a\\;b\n", &["a;b"]);
        check(b"a\\\\b\\\n", &["a\\b\\"]);
    }

    #[test]
    fn blanks_around_words_are_nothing() {
        check(b"  show \t stat  \n", &["show|stat"]);
    }

    #[test]
    fn a_payload_belongs_to_its_command() {
        check(
            b"set ssl cert f <<\n-----BEGIN\nshow stat\n\nshow info\n",
            &["set|ssl|cert|f", "show|info"],
        );
    }

    #[test]
    fn a_line_that_is_too_long_ends_everything() {
        let mut long = vec![b'a'; LONGEST_LINE];
        long.extend_from_slice(b"\nshow stat\n");
        check(&long, &["<too long>"]);
        let mut fits = vec![b'a'; LONGEST_LINE - 1];
        fits.push(b'\n');
        let word = "a".repeat(LONGEST_LINE - 1);
        check(&fits, &[word.as_str()]);
    }

    #[test]
    fn words_beyond_the_limit_are_dropped() {
        let line = format!("{}\n", "w ".repeat(100));
        let mut framing = Framing::default();
        framing.push(line.as_bytes());
        let frames = framing.next_line().unwrap();
        let Some(Frame::Command(words)) = frames.first() else {
            panic!("no command in {frames:?}");
        };
        assert_eq!(words.len(), MOST_WORDS);
    }
}
