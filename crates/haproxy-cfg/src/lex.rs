//! Lines into words (configuration manual, sections 2.2 and 2.3).
//!
//! Works on bytes: the text between quotes may be anything. `$` is special only inside double
//! quotes, where `${NAME[*]}` also splits the value into words.

/// The most words that a line may have.
pub(crate) const MOST_WORDS: usize = 64;

/// Why a line has no words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LexError {
    /// What is wrong, in the original's words.
    pub(crate) what: &'static str,
    /// Offset of the byte that it is about.
    pub(crate) at: usize,
    /// For "too many words": the offset of the last word that fits among the words read, and
    /// that word.
    pub(crate) overflow: Option<(usize, Vec<u8>)>,
}

impl LexError {
    fn new(what: &'static str, at: usize) -> Self {
        Self {
            what,
            at,
            overflow: None,
        }
    }
}

/// Looks an environment variable up.
pub(crate) type Lookup<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// The words of one line, without its line end. An empty result is a blank or comment line.
///
/// # Errors
/// The first thing wrong with the line.
pub(crate) fn words(line: &[u8], lookup: Lookup<'_>) -> Result<Vec<Vec<u8>>, LexError> {
    let mut lexer = Lexer {
        line,
        at: 0,
        words: Vec::new(),
        word: Vec::new(),
        offset: 0,
        started: false,
        lookup,
    };
    lexer.run()?;
    Ok(lexer.words)
}

struct Lexer<'a> {
    line: &'a [u8],
    at: usize,
    words: Vec<Vec<u8>>,
    word: Vec<u8>,
    /// Bytes of finished words, each with its end mark: where the original's line buffer is.
    offset: usize,
    /// Whether a word has begun; quotes alone begin one.
    started: bool,
    lookup: Lookup<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Weak(usize),
    Strong(usize),
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.line.get(self.at + ahead).copied()
    }

    fn push(&mut self, byte: u8) {
        self.started = true;
        self.word.push(byte);
    }

    fn finish_word(&mut self) -> Result<(), LexError> {
        let word = std::mem::take(&mut self.word);
        let length = word.len();
        self.started = false;
        if self.words.len() + 1 >= MOST_WORDS {
            let mut error = LexError::new("too many words", self.at);
            error.overflow = Some((self.offset, word));
            return Err(error);
        }
        self.words.push(word);
        self.offset += length + 1;
        Ok(())
    }

    fn run(&mut self) -> Result<(), LexError> {
        while self.peek(0).is_some_and(is_space) {
            self.at += 1;
        }
        // The original keeps the blanks before the first word in its buffer.
        let mut quote = Quote::None;
        while let Some(byte) = self.peek(0) {
            match (byte, quote) {
                (b'"', Quote::None) => {
                    quote = Quote::Weak(self.at);
                    self.started = true;
                    self.at += 1;
                }
                (b'"', Quote::Weak(_)) | (b'\'', Quote::Strong(_)) => {
                    quote = Quote::None;
                    self.at += 1;
                }
                (b'\'', Quote::None) => {
                    quote = Quote::Strong(self.at);
                    self.started = true;
                    self.at += 1;
                }
                (b'\\', Quote::None | Quote::Weak(_)) => {
                    self.escape(matches!(quote, Quote::Weak(_)))?;
                }
                (b'$', Quote::Weak(_)) => self.variable()?,
                (b'#', Quote::None) => break,
                (byte, Quote::None) if is_space(byte) => {
                    self.finish_word()?;
                    while self.peek(0).is_some_and(is_space) {
                        self.at += 1;
                    }
                }
                (byte, _) => {
                    self.push(byte);
                    self.at += 1;
                }
            }
        }
        if let Quote::Weak(at) | Quote::Strong(at) = quote {
            return Err(LexError::new("unmatched quote", at));
        }
        if self.started {
            self.words.push(std::mem::take(&mut self.word));
        }
        for word in &mut self.words {
            // A word is a C string in the original: `\x00` ends it.
            if let Some(end) = word.iter().position(|byte| *byte == 0) {
                word.truncate(end);
            }
        }
        Ok(())
    }

    fn escape(&mut self, weak: bool) -> Result<(), LexError> {
        let (byte, taken) = match self.peek(1) {
            Some(byte @ (b'\\' | b' ' | b'#' | b'"' | b'\'')) => (byte, 2),
            Some(b'$') if weak => (b'$', 2),
            Some(b'n') => (b'\n', 2),
            Some(b't') => (b'\t', 2),
            Some(b'r') => (b'\r', 2),
            Some(b'x') => {
                let high = self.peek(2).and_then(hex);
                let low = self.peek(3).and_then(hex);
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(LexError::new(
                        "truncated or invalid hexadecimal sequence",
                        self.at,
                    ));
                };
                (high * 16 + low, 4)
            }
            _ => (b'\\', 1),
        };
        self.push(byte);
        self.at += taken;
        Ok(())
    }

    /// `$NAME`, `${NAME}`, `${NAME-default}`, `${NAME[*]}`; the position is at the dollar sign.
    fn variable(&mut self) -> Result<(), LexError> {
        self.at += 1;
        let brace = (self.peek(0) == Some(b'{')).then_some(self.at);
        if brace.is_some() {
            self.at += 1;
        }
        let first = self.peek(0);
        if !first.is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.')) {
            return Err(LexError::new(
                "forbidden first char in environment variable name",
                self.at,
            ));
        }
        let start = self.at;
        self.at += 1;
        while self
            .peek(0)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            self.at += 1;
        }
        let name = self.line.get(start..self.at).unwrap_or_default();
        // Names with a dot are the reader's own; any other is no name at all.
        if first == Some(b'.') && !matches!(name, b".FILE" | b".LINE" | b".SECTION") {
            return Err(LexError::new(
                "forbidden first char in environment variable name",
                start,
            ));
        }
        let mut value = (self.lookup)(name);
        let mut split = false;
        if let Some(brace) = brace {
            if self.peek(0) == Some(b'[') {
                if self.line.get(self.at..self.at + 3) != Some(b"[*]") {
                    return Err(LexError::new(
                        "truncated or invalid word expansion sequence",
                        self.at,
                    ));
                }
                split = true;
                self.at += 3;
            }
            let unmatched = LexError::new("unmatched brace in environment variable name", brace);
            if self.peek(0) == Some(b'-') {
                let rest = self.line.get(self.at + 1..).unwrap_or_default();
                let Some(end) = rest.iter().position(|byte| *byte == b'}') else {
                    return Err(unmatched);
                };
                value = value.or_else(|| rest.get(..end).map(<[u8]>::to_vec));
                self.at += 1 + end;
            }
            if self.peek(0) != Some(b'}') {
                return Err(unmatched);
            }
            self.at += 1;
        }
        self.insert(&value.unwrap_or_default(), split)
    }

    fn insert(&mut self, value: &[u8], split: bool) -> Result<(), LexError> {
        let mut bytes = value.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            if split && is_space(byte) {
                while bytes.peek().copied().is_some_and(is_space) {
                    bytes.next();
                }
                self.finish_word()?;
                self.started = true;
            } else {
                self.push(byte);
            }
        }
        Ok(())
    }
}

/// The characters of isspace(3) in the C locale.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// The line as the original cites it under an error, with the column of the mark: leading blanks
/// cut, at most 80 bytes, anything unprintable replaced.
pub(crate) fn citation(line: &[u8], at: usize) -> (String, usize) {
    const WIDTH: usize = 80;
    let blanks = line.iter().take_while(|byte| is_space(**byte)).count();
    let text = line.get(blanks..).unwrap_or_default();
    let at = at.saturating_sub(blanks);
    let printable = |byte: u8| match byte {
        b'\t' => ' ',
        0x20..=0x7e => char::from(byte),
        _ => '?',
    };
    let until = |text: &[u8], width: usize| -> String {
        text.iter().take(width).copied().map(printable).collect()
    };
    if at < WIDTH {
        return (until(text, WIDTH), at);
    }
    let shifted = text.get(at - WIDTH / 2..).unwrap_or_default();
    let kept = until(shifted, WIDTH - 3);
    let kept = kept.get(3..).unwrap_or_default();
    (format!("...{kept}..."), WIDTH / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(line: &str) -> Result<Vec<String>, LexError> {
        let lookup = |name: &[u8]| match name {
            b"FOO" => Some(b"bar".to_vec()),
            b"EMPTY" => Some(Vec::new()),
            b"LIST" => Some(b" a b  c ".to_vec()),
            _ => None,
        };
        words(line.as_bytes(), &lookup).map(|words| {
            words
                .into_iter()
                .map(|word| String::from_utf8_lossy(&word).into_owned())
                .collect()
        })
    }

    #[test]
    fn words_quotes_escapes_and_comments() {
        for (line, expected) in [
            ("", &[][..]),
            ("  # only a comment", &[]),
            ("a b\tc\r", &["a", "b", "c"]),
            ("a#b", &["a"]),
            (r"a\#b \x41\ c", &["a#b", "A c"]),
            (r#""a b" 'c d'e '' "#, &["a b", "c de", ""]),
            (r#"a"b'c"d 'x"y' "#, &["ab'cd", "x\"y"]),
            (r"a\nb a\tb a\qb a\", &["a\nb", "a\tb", "a\\qb", "a\\"]),
            (r"'a\x41b\n'", &["a\\x41b\\n"]),
            (r#""\$FOO \\ \x41""#, &["$FOO \\ A"]),
            (r"\$FOO $FOO ${FOO}", &["\\$FOO", "$FOO", "${FOO}"]),
            (r"a\x00b c", &["a", "c"]),
        ] {
            assert_eq!(lex(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn variables_expand_inside_weak_quotes_only() {
        for (line, expected) in [
            (
                r#""$FOO-x" "${FOO}y" "$FOO.z""#,
                &["bar-x", "bary", "bar.z"][..],
            ),
            (
                r#""${FOO-no}" "${EMPTY-no}" "${NOPE-a b}""#,
                &["bar", "", "a b"],
            ),
            (r#""${NOPE-a}b}" "$NOPE""#, &["ab}", ""]),
            (r#"x"${LIST[*]}"y"#, &["x", "a", "b", "c", "y"]),
            (r#""${NOPE[*]-x y}" '$FOO'"#, &["x", "y", "$FOO"]),
            (r#""${NOPE-$FOO}""#, &["$FOO"]),
        ] {
            assert_eq!(lex(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn errors_name_the_first_wrong_byte() {
        for (line, what, at) in [
            (r#" zz a"b"#, "unmatched quote", 5),
            (r" zz a'b", "unmatched quote", 5),
            (
                r" user a\x4",
                "truncated or invalid hexadecimal sequence",
                7,
            ),
            (
                r#" node "$"!"#,
                "forbidden first char in environment variable name",
                8,
            ),
            (
                r#" node "${}"!"#,
                "forbidden first char in environment variable name",
                9,
            ),
            (
                r#" node "${.FOO}""#,
                "forbidden first char in environment variable name",
                9,
            ),
            (
                r#" node "${NOPE"#,
                "unmatched brace in environment variable name",
                8,
            ),
            (
                r#" user "${LIST[0]}""#,
                "truncated or invalid word expansion sequence",
                13,
            ),
        ] {
            let error = lex(line).unwrap_err();
            assert_eq!((error.what, error.at), (what, at), "{line}");
        }
    }

    #[test]
    fn sixty_four_words_are_the_limit() {
        let line = |count: usize| vec!["x"; count].join(" ");
        assert_eq!(lex(&line(64)).unwrap().len(), 64);
        let error = lex(&line(65)).unwrap_err();
        assert_eq!(error.overflow, Some((126, b"x".to_vec())));
        assert!(lex(&format!("{} # y", line(64))).is_err());
    }

    #[test]
    fn citations_are_at_most_eighty_bytes() {
        let line = [&b"\t \"a\x01\xff"[..], &[b'c'; 90]].concat();
        let (text, at) = citation(&line, 2);
        assert_eq!((text.len(), at), (80, 0));
        assert!(text.starts_with("\"a??ccc"));
        let (text, at) = citation(&[b'd'; 200], 100);
        assert_eq!((text.len(), at), (80, 40));
        assert!(text.starts_with("...d") && text.ends_with("d..."));
        let (text, _) = citation(&[b'd'; 85], 80);
        assert_eq!(text.len(), 48);
    }
}
