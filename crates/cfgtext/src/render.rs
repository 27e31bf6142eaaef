//! Diagnostics as text.
//!
//! Each daemon prints its original's one-line form by itself, since scripts read it. These are
//! the forms for people ([`rich`]) and for tools ([`json`]).

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use crate::{Diagnostic, Severity, Sources};

/// The diagnostic with the cited line and a mark under the words it is about.
#[must_use]
pub fn rich(sources: &Sources, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code);
    let cited = diagnostic.span.and_then(|span| Cited::new(sources, span));
    let mut group = match &cited {
        Some(cited) => Group::with_title(title).element(
            Snippet::source(cited.line.as_str())
                .path(cited.file)
                .line_start(cited.number)
                .annotation(AnnotationKind::Primary.span(cited.start..cited.end)),
        ),
        None => Group::with_title(title),
    };
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    Renderer::plain().render(&[group])
}

/// The diagnostic as one line of JSON: `code`, `severity`, `message`, `notes`, and `file`, `line`,
/// `column` (both from 1) where it has a place.
#[must_use]
pub fn json(sources: &Sources, diagnostic: &Diagnostic) -> String {
    let place = diagnostic.span.and_then(|span| sources.place(span));
    let record = Record {
        code: diagnostic.code,
        severity: diagnostic.severity.as_str(),
        message: &diagnostic.message,
        file: place.map(|(file, _)| file),
        line: place.map(|(_, position)| position.line),
        column: place.map(|(_, position)| position.column),
        notes: &diagnostic.notes,
    };
    // Strings and numbers alone cannot fail to serialise.
    serde_json::to_string(&record).unwrap_or_default()
}

/// One line, as text, with the marked range moved to where it is in that text.
struct Cited<'a> {
    file: &'a str,
    line: String,
    number: usize,
    start: usize,
    end: usize,
}

impl<'a> Cited<'a> {
    fn new(sources: &'a Sources, span: crate::Span) -> Option<Self> {
        let (file, position) = sources.place(span)?;
        let bytes = sources.get(span.source)?.line(position.line)?;
        let column = usize::try_from(position.column)
            .ok()?
            .saturating_sub(1)
            .min(bytes.len());
        let length = usize::try_from(span.end - span.start).ok()?;
        let (before, rest) = bytes.split_at_checked(column)?;
        let (marked, _) = rest.split_at_checked(length.min(rest.len()))?;
        // Replacement characters are wider than the bytes they stand for.
        let start = String::from_utf8_lossy(before).len();
        let end = start + String::from_utf8_lossy(marked).len();
        let line = String::from_utf8_lossy(bytes).into_owned();
        if !line.is_char_boundary(start) || !line.is_char_boundary(end) {
            return None;
        }
        Some(Self {
            file,
            line,
            number: usize::try_from(position.line).ok()?,
            start,
            end,
        })
    }
}

#[derive(Serialize)]
struct Record<'a> {
    code: &'a str,
    severity: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn sample(text: &[u8], start: usize, end: usize) -> (Sources, Diagnostic) {
        let mut sources = Sources::default();
        let id = sources.add("haproxy.cfg", text);
        let diagnostic = Diagnostic::error(
            "unknown-keyword",
            "unknown keyword 'bnd'",
            Span::new(id, start, end),
        )
        .with_note("did you mean 'bind' maybe ?");
        (sources, diagnostic)
    }

    #[test]
    fn rich_cites_the_line_and_marks_the_word() {
        let (sources, diagnostic) = sample(b"frontend f\n  bnd :80 # x\n", 13, 16);
        let text = rich(&sources, &diagnostic);
        assert!(
            text.contains("error[unknown-keyword]: unknown keyword 'bnd'"),
            "{text}"
        );
        assert!(text.contains("haproxy.cfg:2:3"), "{text}");
        assert!(text.contains("  bnd :80 # x"), "{text}");
        assert!(text.contains("^^^"), "{text}");
        assert!(text.contains("did you mean 'bind' maybe ?"), "{text}");
    }

    #[test]
    fn rich_survives_bytes_that_are_not_text() {
        let (sources, diagnostic) = sample(b"\xff\xfe bnd \xff\n", 3, 6);
        assert!(rich(&sources, &diagnostic).contains("bnd"));
        // a mark that cuts a character in two is dropped, the message stays
        let (sources, diagnostic) = sample("ä bnd\n".as_bytes(), 1, 2);
        assert!(rich(&sources, &diagnostic).contains("unknown keyword"));
        let (sources, diagnostic) = sample(b"x\n", 70, 90);
        assert!(rich(&sources, &diagnostic).contains("unknown keyword"));
    }

    #[test]
    fn json_is_one_line_with_the_place() {
        let (sources, diagnostic) = sample(b"frontend f\n  bnd :80\n", 13, 16);
        assert_eq!(
            json(&sources, &diagnostic),
            r#"{"code":"unknown-keyword","severity":"error","message":"unknown keyword 'bnd'","file":"haproxy.cfg","line":2,"column":3,"notes":["did you mean 'bind' maybe ?"]}"#
        );
        let whole = Diagnostic::warning("no-listener", "nothing to listen on", None);
        assert_eq!(
            json(&sources, &whole),
            r#"{"code":"no-listener","severity":"warning","message":"nothing to listen on"}"#
        );
    }
}
