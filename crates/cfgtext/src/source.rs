//! Files read, and places in them.

use std::borrow::Cow;
use std::sync::Arc;

/// Names one file of a [`Sources`] collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A range of bytes in one source file, `start` included and `end` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file that the range lies in.
    pub source: SourceId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// A range of `source`; an `end` before `start` becomes an empty range at `start`.
    #[must_use]
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        let start = offset(start);
        Self {
            source,
            start,
            end: offset(end).max(start),
        }
    }

    /// The smallest range that covers both; `other` is ignored if it lies in another file.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.source != other.source {
            return self;
        }
        Self {
            source: self.source,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// A place as an editor shows it; both numbers count from 1, the column in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line number, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
}

/// One file as it was read, with an index of its lines.
#[derive(Debug, Clone)]
pub struct SourceFile {
    name: String,
    bytes: Arc<[u8]>,
    /// Offset of the first byte of each line; never empty.
    line_starts: Vec<u32>,
}

impl SourceFile {
    fn new(name: String, bytes: Arc<[u8]>) -> Self {
        let after_newline = bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(at, _)| offset(at + 1));
        let line_starts = std::iter::once(0).chain(after_newline).collect();
        Self {
            name,
            bytes,
            line_starts,
        }
    }

    /// The name as the user gave it, the way messages cite it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the byte at `at` stands; an offset past the end is taken as the end.
    #[must_use]
    pub fn position(&self, at: u32) -> Position {
        let at = at.min(offset(self.bytes.len()));
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = line
            .checked_sub(1)
            .and_then(|index| self.line_starts.get(index))
            .copied()
            .unwrap_or(0);
        Position {
            line: offset(line),
            column: at - start + 1,
        }
    }

    /// Line `number` (from 1) without its line end; `None` past the last line.
    #[must_use]
    pub fn line(&self, number: u32) -> Option<&[u8]> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let start = usize::try_from(*self.line_starts.get(index)?).ok()?;
        let rest = self.bytes.get(start..)?;
        let end = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(rest.len());
        let line = rest.get(..end)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// All files of one parse.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Takes a file in and gives its id.
    pub fn add(&mut self, name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> SourceId {
        let id = SourceId(offset(self.files.len()));
        self.files.push(SourceFile::new(name.into(), bytes.into()));
        id
    }

    /// The file of that id; `None` only if the id comes from another collection.
    #[must_use]
    pub fn get(&self, id: SourceId) -> Option<&SourceFile> {
        self.files.get(usize::try_from(id.0).ok()?)
    }

    /// The files in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter()
    }

    /// The bytes that a span covers; empty if it does not fit its file.
    #[must_use]
    pub fn bytes(&self, span: Span) -> &[u8] {
        let range = || {
            let file = self.get(span.source)?;
            let start = usize::try_from(span.start).ok()?;
            let end = usize::try_from(span.end).ok()?;
            file.bytes().get(start..end)
        };
        range().unwrap_or_default()
    }

    /// The text that a span covers, for people to read.
    #[must_use]
    pub fn text(&self, span: Span) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes(span))
    }

    /// File name and position of a span's first byte.
    #[must_use]
    pub fn place(&self, span: Span) -> Option<(&str, Position)> {
        let file = self.get(span.source)?;
        Some((file.name(), file.position(span.start)))
    }
}

/// Offsets are 32 bits wide: both languages refuse files far smaller than 4 GiB.
fn offset(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_lines_count_from_one() {
        let mut sources = Sources::default();
        let id = sources.add("x.cfg", b"ab\r\ncd\n\nlast".as_slice());
        let file = sources.get(id).unwrap();
        let at = |offset| {
            let Position { line, column } = file.position(offset);
            (line, column)
        };
        assert_eq!(
            [at(0), at(4), at(7), at(8)],
            [(1, 1), (2, 1), (3, 1), (4, 1)]
        );
        assert_eq!(at(9999), (4, 5));
        assert_eq!(file.line(1), Some(b"ab".as_slice()));
        assert_eq!(file.line(3), Some(b"".as_slice()));
        assert_eq!(file.line(4), Some(b"last".as_slice()));
        assert_eq!(file.line(5), None);
        assert_eq!(file.line(0), None);
    }

    #[test]
    fn spans_cover_bytes_that_are_not_text() {
        let mut sources = Sources::default();
        let id = sources.add("x.cfg", b"pw \xff\xfe end".as_slice());
        let span = Span::new(id, 3, 5);
        assert_eq!(sources.bytes(span), b"\xff\xfe");
        assert_eq!(sources.text(span), "\u{fffd}\u{fffd}");
        assert_eq!(sources.bytes(Span::new(id, 3, 900)), b"");
        let joined = Span::new(id, 0, 2).to(Span::new(id, 6, 9));
        assert_eq!((joined.start, joined.end), (0, 9));
    }
}
