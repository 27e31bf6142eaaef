//! Regular expressions of the configuration: checked here, compiled where they are used.
//!
//! They are those of the `regex` crate, which takes linear time on whatever a client sends; what only
//! PCRE has (looking around, references back) is refused.

use regex_syntax::ast::ErrorKind;

/// Checks a regular expression.
///
/// # Errors
/// In the words of the original and of its library, as far as they have an error for it.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let (what, at) = match regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(text)
    {
        Ok(_) => return Ok(()),
        Err(regex_syntax::Error::Parse(error)) => {
            let span = error.span();
            let (start, end, all) = (span.start.offset, span.end.offset, text.len());
            match error.kind() {
                ErrorKind::ClassUnclosed => {
                    ("missing terminating ] for character class".to_owned(), all)
                }
                ErrorKind::GroupUnclosed => ("missing closing parenthesis".to_owned(), all),
                ErrorKind::GroupUnopened => ("unmatched closing parenthesis".to_owned(), start),
                ErrorKind::RepetitionMissing => (
                    "quantifier does not follow a repeatable item".to_owned(),
                    start,
                ),
                ErrorKind::RepetitionCountInvalid => (
                    "numbers out of order in {} quantifier".to_owned(),
                    end.saturating_sub(1),
                ),
                ErrorKind::EscapeUnexpectedEof => ("\\ at end of pattern".to_owned(), all),
                ErrorKind::ClassRangeInvalid => {
                    ("range out of order in character class".to_owned(), end)
                }
                ErrorKind::UnsupportedLookAround => {
                    ("looking ahead or behind is not supported".to_owned(), start)
                }
                ErrorKind::UnsupportedBackreference => {
                    ("a reference back is not supported".to_owned(), start)
                }
                other => (other.to_string(), start),
            }
        }
        Err(regex_syntax::Error::Translate(error)) => {
            (error.kind().to_string(), error.span().start.offset)
        }
        Err(error) => (error.to_string(), 0),
    };
    Err(format!(
        "regex '{text}' is invalid (error={what}, erroffset={at})"
    ))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn errors_are_those_of_the_originals_library() {
        for (text, expected) in [
            (
                "[",
                "missing terminating ] for character class, erroffset=1",
            ),
            ("(foo", "missing closing parenthesis, erroffset=4"),
            (
                "*foo",
                "quantifier does not follow a repeatable item, erroffset=0",
            ),
            ("foo)", "unmatched closing parenthesis, erroffset=3"),
            (
                "a{2,1}",
                "numbers out of order in {} quantifier, erroffset=5",
            ),
            ("\\", "\\ at end of pattern, erroffset=1"),
            (
                "^foo(?=bar)",
                "looking ahead or behind is not supported, erroffset=4",
            ),
            ("(a)\\1", "a reference back is not supported, erroffset=3"),
        ] {
            assert_eq!(
                check(text),
                Err(format!("regex '{text}' is invalid (error={expected})")),
            );
        }
        assert_eq!(check("^(www|ftp)\\.example\\.com$"), Ok(()));
    }
}
