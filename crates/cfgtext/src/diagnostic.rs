//! What a parser has to say.

use crate::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Odd, but the config can be used.
    Warning,
    /// The config, or the part that the diagnostic points at, cannot be used.
    Error,
}

impl Severity {
    /// The lower-case word for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable name for tools, such as `unknown-keyword`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The text; where scripts may depend on it, the original's own wording.
    pub message: String,
    /// The words it is about; `None` for findings on the config as a whole.
    pub span: Option<Span>,
    /// Further lines: a suggestion, a reason, what to do.
    pub notes: Vec<String>,
}

impl Diagnostic {
    /// An error at `span`.
    #[must_use]
    pub fn error(
        code: &'static str,
        message: impl Into<String>,
        span: impl Into<Option<Span>>,
    ) -> Self {
        Self::new(Severity::Error, code, message.into(), span.into())
    }

    /// A warning at `span`.
    #[must_use]
    pub fn warning(
        code: &'static str,
        message: impl Into<String>,
        span: impl Into<Option<Span>>,
    ) -> Self {
        Self::new(Severity::Warning, code, message.into(), span.into())
    }

    /// A note at `span`.
    #[must_use]
    pub fn note(
        code: &'static str,
        message: impl Into<String>,
        span: impl Into<Option<Span>>,
    ) -> Self {
        Self::new(Severity::Note, code, message.into(), span.into())
    }

    /// The same with one more line of explanation.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    fn new(severity: Severity, code: &'static str, message: String, span: Option<Span>) -> Self {
        Self {
            code,
            severity,
            message,
            span,
            notes: Vec::new(),
        }
    }
}
