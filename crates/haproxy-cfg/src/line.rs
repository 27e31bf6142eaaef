//! One line as the keyword handlers see it.

use crate::model::Place;

/// `no` or `default` before a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Prefix {
    /// Neither.
    #[default]
    Plain,
    /// `no`
    No,
    /// `default`
    Default,
}

/// The words of a line and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The words without the prefix.
    pub(crate) words: Vec<String>,
    /// The prefix.
    pub(crate) prefix: Prefix,
    /// File and line number.
    pub(crate) place: Place,
}

impl Line {
    /// Word `index`; empty past the end.
    pub(crate) fn arg(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    /// The words from `index` up to the first empty one, joined by spaces.
    pub(crate) fn joined(&self, index: usize) -> String {
        let words: Vec<&str> = self
            .words
            .iter()
            .skip(index)
            .map(String::as_str)
            .take_while(|word| !word.is_empty())
            .collect();
        words.join(" ")
    }

    /// `FILE:LINE`
    pub(crate) fn at(&self) -> String {
        format!("{}:{}", self.place.file, self.place.line)
    }
}
