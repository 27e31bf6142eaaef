//! One process's reading of the configuration. keepalived's processes each read all of it and
//! act on their own keywords; what they say is said as often as they read.

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use cfgtext::{Diagnostic, Severity, Span};

use crate::draft::Draft;
use crate::env::Environment;
use crate::number::Faulty;
use crate::reader::{Complaint, Entry, Reader, Weight};
use crate::report::{Audience, Message, Process};
use crate::table::{Action, Block, Handled, Row, Status};
use crate::text::{CLOSE, Line, OPEN, Place, Word, bare, split_words};

/// Messages beyond this number are counted, not kept.
const MAX_MESSAGES: usize = 200_000;
/// Diagnostics beyond this number are not kept.
const MAX_DIAGNOSTICS: usize = 1_000;

/// keepalived gives up at once: a keyword lacks its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fatal;

/// What is said, and how bad it is, over all readings.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) messages: Vec<Message>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) faulty: bool,
    pub(crate) include_missing: bool,
    pub(crate) insecure: bool,
    /// keepalived would not have come so far: a config test does not print it.
    pub(crate) aside: bool,
    seen: BTreeSet<(Option<Span>, String)>,
    dropped: usize,
    /// Errors among the diagnostics that were too many to keep.
    unlisted_errors: usize,
    /// Whether a notify script runs as root.
    pub(crate) root_notify: bool,
    /// Whether others than root can change such a script.
    pub(crate) insecure_notify: bool,
    /// Whether a block of the health checkers was met; one warning is enough.
    checkers_seen: bool,
}

impl Findings {
    fn say(&mut self, process: Process, audience: Audience, text: impl Into<String>) {
        let audience = match audience {
            Audience::Test if self.aside => Audience::Log,
            audience => audience,
        };
        if self.messages.len() < MAX_MESSAGES {
            self.messages.push(Message {
                process,
                audience,
                text: text.into(),
            });
        } else {
            self.dropped += 1;
        }
    }

    /// Tells of messages that were too many to keep.
    pub(crate) fn finish(&mut self) {
        if self.dropped > 0 {
            let text = format!("{} more messages are not shown", self.dropped);
            self.messages.push(Message {
                process: Process::Parent,
                audience: Audience::Own,
                text,
            });
        }
        if self.unlisted_errors > 0 {
            // The number makes them other errors than those of another file.
            let text = format!("errors were found {} more times", self.unlisted_errors);
            self.diagnostics
                .push(Diagnostic::error("config", text, None));
        }
    }

    fn diagnose(
        &mut self,
        code: &'static str,
        severity: Severity,
        text: &str,
        span: Option<Span>,
        note: Option<&str>,
    ) {
        if self.diagnostics.len() >= MAX_DIAGNOSTICS {
            self.unlisted_errors += usize::from(severity == Severity::Error);
            return;
        }
        if self.seen.insert((span, text.to_owned())) {
            let diagnostic = match severity {
                Severity::Error => Diagnostic::error(code, text, span),
                Severity::Warning => Diagnostic::warning(code, text, span),
                Severity::Note => Diagnostic::note(code, text, span),
            };
            self.diagnostics.push(match note {
                Some(note) => diagnostic.with_note(note),
                None => diagnostic,
            });
        }
    }
}

/// How many blocks are being skipped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Skip {
    No,
    /// The brace that opens the block may still come.
    Armed,
    Inside(usize),
}

enum Feed<'a> {
    /// From the files.
    Live(Box<Reader<'a>>),
    /// What the first reader saw.
    Replay(usize),
}

/// One reading.
pub(crate) struct Pass<'a> {
    pub(crate) process: Process,
    pub(crate) env: &'a dyn Environment,
    pub(crate) draft: &'a mut Draft,
    pub(crate) findings: &'a mut Findings,
    feed: Feed<'a>,
    record: &'a mut Vec<Entry>,
    /// Where the line stands that is being looked at; `None` after the last one.
    place: Option<Place>,
    /// The word that a complaint is about.
    pub(crate) focus: Option<Span>,
    skip: Skip,
    /// Open braces, as they stand in the text.
    depth: i64,
}

impl<'a> Pass<'a> {
    pub(crate) fn first(
        reader: Reader<'a>,
        env: &'a dyn Environment,
        draft: &'a mut Draft,
        findings: &'a mut Findings,
        record: &'a mut Vec<Entry>,
    ) -> Self {
        Self::new(
            Process::Parent,
            Feed::Live(Box::new(reader)),
            env,
            draft,
            findings,
            record,
        )
    }

    pub(crate) fn again(
        process: Process,
        env: &'a dyn Environment,
        draft: &'a mut Draft,
        findings: &'a mut Findings,
        record: &'a mut Vec<Entry>,
    ) -> Self {
        Self::new(process, Feed::Replay(0), env, draft, findings, record)
    }

    fn new(
        process: Process,
        feed: Feed<'a>,
        env: &'a dyn Environment,
        draft: &'a mut Draft,
        findings: &'a mut Findings,
        record: &'a mut Vec<Entry>,
    ) -> Self {
        Self {
            process,
            env,
            draft,
            findings,
            feed,
            record,
            place: None,
            focus: None,
            skip: Skip::No,
            depth: 0,
        }
    }

    /// Reads everything.
    pub(crate) fn run(&mut self) -> Handled {
        self.block(Block::Root, false, 0)?;
        self.place = None;
        self.focus = None;
        if self.depth > 0 {
            self.complain(format!(
                "There are {} missing '}}'s or extra '{{'s",
                self.depth
            ));
        }
        Ok(())
    }

    /// The settings of the live reader, where there is one.
    pub(crate) fn reader(&mut self) -> Option<&mut Reader<'a>> {
        match &mut self.feed {
            Feed::Live(reader) => Some(reader),
            Feed::Replay(_) => None,
        }
    }

    /// The reader itself, once everything is read.
    pub(crate) fn into_reader(self) -> Option<Reader<'a>> {
        match self.feed {
            Feed::Live(reader) => Some(*reader),
            Feed::Replay(_) => None,
        }
    }

    /// A fault in the configuration, in keepalived's words.
    pub(crate) fn complain(&mut self, text: impl Into<String>) {
        self.findings.faulty = true;
        self.report("config", Severity::Error, &text.into());
    }

    /// The same for what is mended in a way that the manual names.
    pub(crate) fn mend(&mut self, text: impl Into<String>) {
        self.findings.faulty = true;
        self.report("config", Severity::Warning, &text.into());
    }

    /// The complaint about a number, and then what is made of it.
    pub(crate) fn number<T>(&mut self, result: Result<T, Faulty<T>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(faulty) => {
                self.complain_of(&faulty);
                None
            }
        }
    }

    /// The same, but a number beyond its range is used all the same.
    pub(crate) fn loose_number<T>(&mut self, result: Result<T, Faulty<T>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(faulty) => {
                self.complain_of(&faulty);
                faulty.value
            }
        }
    }

    /// The same, but too many decimals are only complained of.
    pub(crate) fn loose_decimals(&mut self, result: Result<u64, Faulty<u64>>) -> Option<u64> {
        match result {
            Ok(value) => Some(value),
            Err(faulty) => {
                let usable = faulty.message.ends_with("decimal places");
                self.complain_of(&faulty);
                faulty.value.filter(|_| usable)
            }
        }
    }

    fn complain_of<T>(&mut self, faulty: &Faulty<T>) {
        for line in faulty.message.lines() {
            self.complain(line);
        }
    }

    /// The one line about script security, which is not a fault of the configuration.
    pub(crate) fn say_security(&mut self, text: &str) {
        self.focus = None;
        self.report("script-security", Severity::Warning, text);
    }

    fn report(&mut self, code: &'static str, severity: Severity, text: &str) {
        let shown = format!("{}{text}", self.prefix());
        self.findings.say(self.process, Audience::Test, shown);
        let span = self.focus.or(self.place.as_ref().map(|place| place.span));
        self.findings.diagnose(code, severity, text, span, None);
    }

    /// What keepalived only logs.
    pub(crate) fn log(&mut self, text: impl Into<String>) {
        let text = text.into();
        let span = self.focus.or(self.place.as_ref().map(|place| place.span));
        self.findings
            .diagnose("config", Severity::Warning, &text, span, None);
        self.findings.say(self.process, Audience::Log, text);
    }

    /// A word of our own: something that keepalived does and this program does not.
    pub(crate) fn own(&mut self, span: Option<Span>, text: &str, reason: &str) {
        let place = self
            .place
            .as_ref()
            .map(|place| (Rc::clone(&place.file), place.number));
        let shown = match place {
            Some((file, number)) => format!("({file}: Line {number}) {text} - {reason}"),
            None => format!("{text} - {reason}"),
        };
        self.findings.say(self.process, Audience::Own, shown);
        self.findings
            .diagnose("no-effect", Severity::Warning, text, span, Some(reason));
    }

    /// keepalived names the file unless it is the first reader of the first file.
    fn prefix(&self) -> String {
        match &self.place {
            None => String::new(),
            Some(place) if self.process == Process::Parent => match (place.top, place.ends) {
                (_, 0) => String::new(),
                (true, number) => format!("(Line {number}) "),
                (false, number) => format!("({}: Line {number}) ", place.file),
            },
            Some(place) => format!("({}: Line {}) ", place.file, place.number),
        }
    }

    /// The parameter at a position, 1 being the first after the keyword.
    pub(crate) fn word<'l>(&mut self, line: &'l Line, position: usize) -> Result<&'l Word, Fatal> {
        if let Some(word) = line.words.get(position) {
            self.focus = Some(word.span);
            return Ok(word);
        }
        let keyword = line.words.first().map(Word::text).unwrap_or_default();
        self.complain(format!(
            "*** Configuration line starting `{keyword}` is missing a parameter after keyword `{}` at word position {}",
            position
                .checked_sub(1)
                .and_then(|before| line.words.get(before))
                .map_or_else(|| "***MISSING ***".into(), Word::text),
            position + 1,
        ));
        Err(Fatal)
    }

    /// The same as text.
    pub(crate) fn text(&mut self, line: &Line, position: usize) -> Result<String, Fatal> {
        Ok(self.word(line, position)?.text().into_owned())
    }

    /// Passes over the block that begins here, to its end.
    pub(crate) fn skip_block(&mut self) {
        self.skip = Skip::Armed;
    }

    /// The next line that has words.
    pub(crate) fn next_line(&mut self) -> Option<Line> {
        let line = self.look_for_line();
        if line.is_none() {
            self.place = None;
            self.focus = None;
        }
        line
    }

    fn look_for_line(&mut self) -> Option<Line> {
        loop {
            let entry = match &mut self.feed {
                Feed::Live(reader) => {
                    let entry = reader.next()?;
                    self.record.push(entry.clone());
                    entry
                }
                Feed::Replay(at) => {
                    let entry = self.record.get(*at)?.clone();
                    *at += 1;
                    entry
                }
            };
            match entry {
                Entry::Complaint(complaint) => self.about_lines(complaint),
                Entry::Text { place, text } => {
                    if let Some(line) = self.words_of(place, text) {
                        return Some(line);
                    }
                }
            }
        }
    }

    fn about_lines(&mut self, complaint: Complaint) {
        let replay = matches!(self.feed, Feed::Replay(_));
        if replay && !complaint.repeats {
            return;
        }
        self.place = complaint.place;
        self.focus = None;
        match complaint.weight {
            Weight::Error => self.complain(complaint.text),
            Weight::Include => {
                self.findings.include_missing = true;
                self.report("include", Severity::Error, &complaint.text);
            }
            Weight::Shown => self.report("include", Severity::Warning, &complaint.text),
            Weight::Own => {
                let span = self.place.as_ref().map(|place| place.span);
                self.own(span, &complaint.text, "the rest is not read");
            }
        }
    }

    fn words_of(&mut self, place: Place, text: Vec<u8>) -> Option<Line> {
        self.place = Some(place.clone());
        self.focus = None;
        let replay = matches!(self.feed, Feed::Replay(_));
        let text = if replay {
            // The later readers look for comments once more.
            let cut = bare(&text);
            if cut.open_quote {
                self.complain(format!(
                    "Unterminated quote '{}'",
                    String::from_utf8_lossy(&cut.text)
                ));
            }
            cut.text
        } else {
            text
        };
        match text.as_slice() {
            OPEN => self.depth += 1,
            CLOSE if self.depth > 0 => self.depth -= 1,
            CLOSE => self.complain("Extra '}' found"),
            _ => {}
        }
        let (pieces, unmatched) = split_words(&text);
        if unmatched {
            self.complain(format!(
                "Unmatched quote: '{}'",
                String::from_utf8_lossy(&text)
            ));
        }
        let start = usize::try_from(place.span.start).unwrap_or(usize::MAX);
        let words: Vec<Word> = pieces
            .into_iter()
            .map(|piece| Word {
                bytes: piece.bytes,
                span: if place.verbatim {
                    Span::new(place.span.source, start + piece.start, start + piece.end)
                } else {
                    place.span
                },
            })
            .collect();
        (!words.is_empty()).then_some(Line { place, text, words })
    }

    /// Reads a block of keywords to its end.
    fn block(&mut self, block: Block, mut need_open: bool, level: usize) -> Handled {
        while let Some(line) = self.next_line() {
            let Some(first) = line.words.first() else {
                continue;
            };
            if self.skip == Skip::Armed {
                if first.is(OPEN) {
                    self.skip = Skip::Inside(1);
                    continue;
                }
                self.skip = Skip::No;
            }
            if let Skip::Inside(depth) = self.skip {
                let depth = match line.text.as_slice() {
                    OPEN => depth + 1,
                    CLOSE => depth - 1,
                    _ => depth,
                };
                self.skip = if depth == 0 {
                    Skip::No
                } else {
                    Skip::Inside(depth)
                };
                if depth == 0 && level > 0 {
                    return Ok(());
                }
                continue;
            }
            if need_open {
                need_open = false;
                if first.is(OPEN) {
                    continue;
                }
                self.complain("Missing '{' at beginning of configuration block");
            } else if first.is(OPEN) {
                self.complain("Unexpected '{' - ignoring");
                continue;
            }
            if first.is(CLOSE) && level > 0 {
                return Ok(());
            }
            let row = block
                .rows()
                .iter()
                .find(|row| first.is(row.name.as_bytes()));
            match row {
                Some(row) if level == 0 && !row.is_read_by(self.process) => self.skip = Skip::Armed,
                Some(row) => self.keyword(row, &line, level)?,
                None => self.unknown(block, first),
            }
        }
        Ok(())
    }

    fn unknown(&mut self, block: Block, word: &Word) {
        self.focus = Some(word.span);
        let text = format!("Unknown keyword '{}'", word.text());
        self.findings.faulty = true;
        let shown = format!("{}{text}", self.prefix());
        self.findings.say(self.process, Audience::Test, shown);
        let names = block.rows().iter().map(|row| row.name);
        if self.findings.diagnostics.len() >= MAX_DIAGNOSTICS {
            self.findings.unlisted_errors += 1;
            return;
        }
        let note =
            cfgtext::closest(&word.bytes, names).map(|close| format!("did you mean '{close}'?"));
        self.findings.diagnose(
            "unknown-keyword",
            Severity::Error,
            &text,
            Some(word.span),
            note.as_deref(),
        );
    }

    fn keyword(&mut self, row: &'static Row, line: &Line, level: usize) -> Handled {
        if let Status::Refused(reason) = row.status {
            let span = line.words.first().map(|word| word.span);
            // One line for all of them.
            let of_checkers = row.process == Process::Checker && level == 0;
            let said = of_checkers && self.findings.checkers_seen;
            self.findings.checkers_seen |= of_checkers;
            if !said {
                self.own(span, &format!("'{}' has no effect here", row.name), reason);
            }
        }
        match row.action {
            Action::Take(take) => take(self, line),
            Action::Skip => {
                self.skip = Skip::Armed;
                Ok(())
            }
            Action::Enter {
                open,
                inside,
                close,
            } => {
                open(self, line)?;
                let need_open = self.skip == Skip::No;
                self.block(inside, need_open, level + 1)?;
                self.focus = None;
                close(self);
                Ok(())
            }
            Action::NamedList { open, entry, close } => {
                open(self, line)?;
                self.entries(entry)?;
                self.focus = None;
                close(self);
                Ok(())
            }
            Action::List { entry, close } => {
                let count = self.list(line, entry)?;
                self.focus = None;
                close(self, count);
                Ok(())
            }
        }
    }

    /// Reads a block of lines to its end. Its opening brace is missed by nobody.
    fn list(&mut self, line: &Line, entry: crate::table::Handler) -> Result<usize, Fatal> {
        if let (Some(name), Some(extra)) = (line.words.first(), line.words.get(1)) {
            self.complain(format!(
                "Block {} has extra parameters {} ...",
                name.text(),
                extra.text()
            ));
        }
        self.entries(entry)
    }

    fn entries(&mut self, entry: crate::table::Handler) -> Result<usize, Fatal> {
        let mut first = true;
        let mut count = 0;
        while let Some(line) = self.next_line() {
            let Some(word) = line.words.first() else {
                continue;
            };
            let opens = first && word.is(OPEN);
            first = false;
            if opens {
                continue;
            }
            if word.is(CLOSE) {
                break;
            }
            count += 1;
            entry(self, &line)?;
        }
        Ok(count)
    }
}

impl fmt::Debug for Pass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}
