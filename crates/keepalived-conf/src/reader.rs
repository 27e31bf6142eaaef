//! From files to lines: includes, conditions, definitions, sequences. keepalived.conf(5),
//! "DESCRIPTION" and "ADVANCED CONFIGURATION".

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cfgtext::{SourceId, Sources, Span};

use crate::Options;
use crate::env::{Environment, FileKind};
use crate::glob;
use crate::text::{Place, bare, split_braces};

mod expand;

/// keepalived reads lines through a buffer of 1024 bytes and takes what is left of a longer line
/// as the next one.
const MAX_LINE: usize = 1023;
/// Files in each other beyond this depth are not opened.
const MAX_DEPTH: usize = 64;
/// Files of one configuration, counted as often as they are included.
const MAX_FILES: usize = 4096;
/// Bytes of one file and of all of them.
const MAX_BYTES: usize = 64 << 20;
/// Lines that definitions and sequences may add.
const MAX_GENERATED: usize = 1 << 18;

/// How a complaint counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// An error in the configuration.
    Error,
    /// A file is missing that `include_check` insists on.
    Include,
    /// It is said and has no consequence.
    Shown,
    /// Our own word, about a bound that the original does not have.
    Own,
}

/// Something to say about the lines themselves.
#[derive(Clone, Debug)]
pub(crate) struct Complaint {
    pub(crate) place: Option<Place>,
    pub(crate) text: String,
    pub(crate) weight: Weight,
    /// Whether every process that reads the lines says it again.
    pub(crate) repeats: bool,
}

/// What the reader gives, in order.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Text { place: Place, text: Vec<u8> },
    Complaint(Complaint),
}

/// Which missing files are errors (`include_check`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IncludeCheck {
    pub(crate) readable: bool,
    pub(crate) matching: bool,
    pub(crate) wildcard: bool,
    pub(crate) brace: bool,
}

impl IncludeCheck {
    pub(crate) const ALL: Self = Self {
        readable: true,
        matching: true,
        wildcard: true,
        brace: true,
    };
}

struct OpenFile {
    source: SourceId,
    name: Rc<str>,
    directory: PathBuf,
    bytes: Rc<[u8]>,
    at: usize,
    number: u32,
    /// Line ends seen.
    ends: u32,
    top: bool,
}

/// The files of one `include` line.
struct Frame {
    base: PathBuf,
    upcoming: VecDeque<OsString>,
    file: Option<OpenFile>,
    check: IncludeCheck,
    outer_check: IncludeCheck,
}

/// What is still to be read before the file goes on.
enum Pending {
    Text { place: Place, text: Vec<u8> },
    Define { name: Vec<u8>, value: Vec<u8> },
}

/// A `$NAME=` whose lines are still coming.
struct Collecting {
    name: Vec<u8>,
    value: Vec<u8>,
}

/// Reads the files line by line.
pub(crate) struct Reader<'a> {
    env: &'a dyn Environment,
    sources: Sources,
    config_id: String,
    instance: String,
    frames: Vec<Frame>,
    pending: VecDeque<Pending>,
    ready: VecDeque<Entry>,
    definitions: BTreeMap<Vec<u8>, Vec<u8>>,
    collecting: Option<Collecting>,
    /// `include_check` in force.
    pub(crate) check: IncludeCheck,
    /// Whether the file named on the command line could be read.
    pub(crate) main_read: bool,
    files_opened: usize,
    bytes_read: usize,
    generated: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(path: &Path, options: &Options, env: &'a dyn Environment) -> Self {
        let hostname = env.hostname();
        let short = hostname.split('.').next().unwrap_or_default().to_owned();
        let check = if options.all_files {
            IncludeCheck::ALL
        } else {
            IncludeCheck::default()
        };
        let config_id = options.config_id.clone().unwrap_or_else(|| short.clone());
        let mut reader = Self {
            env,
            sources: Sources::default(),
            instance: config_id.clone(),
            config_id,
            frames: Vec::new(),
            pending: VecDeque::new(),
            ready: VecDeque::new(),
            definitions: BTreeMap::new(),
            collecting: None,
            check,
            main_read: false,
            files_opened: 0,
            bytes_read: 0,
            generated: 0,
        };
        let base = env.current_directory();
        reader.include(&base, path.as_os_str().as_bytes(), check, None);
        reader
    }

    /// The files that were read, once there is no more to read.
    pub(crate) fn into_sources(self) -> Sources {
        self.sources
    }

    fn complain(&mut self, place: Option<Place>, text: String, weight: Weight, repeats: bool) {
        self.ready.push_back(Entry::Complaint(Complaint {
            place,
            text,
            weight,
            repeats,
        }));
    }

    /// Takes the files that match a pattern in.
    fn include(&mut self, base: &Path, pattern: &[u8], check: IncludeCheck, place: Option<Place>) {
        let shown = String::from_utf8_lossy(pattern).into_owned();
        let found = glob::find(self.env, base, pattern);
        let weigh = |bad: bool| if bad { Weight::Include } else { Weight::Shown };
        if found.names.is_empty() {
            if found.missing {
                let weight = weigh(if found.brace {
                    check.brace
                } else {
                    check.matching || check.wildcard
                });
                let text = format!("Config files missing '{shown}'.");
                self.complain(place, text, weight, false);
            } else if check.wildcard {
                let text = format!("No config files matched '{shown}'.");
                self.complain(place, text, Weight::Include, false);
            }
            return;
        }
        if found.missing {
            let weight = weigh(check.brace);
            let text = format!("Some config files missing: \"{shown}\".");
            self.complain(place, text, weight, false);
        }
        self.frames.push(Frame {
            base: base.to_owned(),
            upcoming: found.names.into(),
            file: None,
            check,
            outer_check: self.check,
        });
        self.open_next();
    }

    /// Opens the next file of the innermost include that can be opened.
    fn open_next(&mut self) {
        let top = self.frames.len() == 1;
        let depth = self.frames.len();
        let outer = self.include_place();
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        frame.file = None;
        let (base, check) = (frame.base.clone(), frame.check);
        while let Some(name) = self
            .frames
            .last_mut()
            .and_then(|frame| frame.upcoming.pop_front())
        {
            match self.open(&base, &name, top, depth) {
                Ok(file) => {
                    self.main_read |= top;
                    if let Some(frame) = self.frames.last_mut() {
                        frame.file = Some(file);
                    }
                    return;
                }
                Err((why, weight)) => {
                    let weight = if check.readable {
                        Weight::Include
                    } else {
                        weight
                    };
                    let text = format!("Configuration file '{}' {why} - skipping", name.display());
                    self.complain(outer.clone(), text, weight, false);
                }
            }
        }
        if let Some(frame) = self.frames.pop() {
            self.check = frame.outer_check;
        }
    }

    /// The line of the enclosing file that is being read.
    fn include_place(&self) -> Option<Place> {
        let outer = self.frames.len().checked_sub(2)?;
        let file = self.frames.get(outer)?.file.as_ref()?;
        Some(Place {
            file: Rc::clone(&file.name),
            number: file.number,
            ends: file.ends,
            top: file.top,
            span: Span::new(file.source, file.at, file.at),
            verbatim: false,
        })
    }

    fn open(
        &mut self,
        base: &Path,
        name: &OsStr,
        top: bool,
        depth: usize,
    ) -> Result<OpenFile, (String, Weight)> {
        let path = base.join(name);
        let problem =
            |error: std::io::Error| (format!("open problem ({})", reason(&error)), Weight::Error);
        let stat = self.env.stat(&path).map_err(problem)?;
        match stat.kind {
            FileKind::Directory => return Err(("is a directory".to_owned(), Weight::Shown)),
            FileKind::Regular if stat.mode & 0o111 == 0 => {}
            FileKind::Regular | FileKind::Other => {
                let why = "is not a regular non-executable file";
                return Err((why.to_owned(), Weight::Shown));
            }
        }
        if depth > MAX_DEPTH || self.files_opened >= MAX_FILES || self.bytes_read >= MAX_BYTES {
            return Err((
                "open problem (Too many open files)".to_owned(),
                Weight::Error,
            ));
        }
        let content = self
            .env
            .read(&path, MAX_BYTES - self.bytes_read)
            .map_err(problem)?;
        self.files_opened += 1;
        self.bytes_read += content.len();
        let shown = name.to_string_lossy().into_owned();
        let bytes: Rc<[u8]> = content.as_slice().into();
        Ok(OpenFile {
            source: self.sources.add(shown.as_str(), content),
            name: shown.as_str().into(),
            directory: path.parent().unwrap_or(Path::new("/")).to_owned(),
            bytes,
            at: 0,
            number: 0,
            ends: 0,
            top,
        })
    }

    /// The next line or complaint.
    pub(crate) fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Some(entry);
            }
            match self.pending.pop_front() {
                Some(Pending::Text { place, text }) => self.take(place, text),
                Some(Pending::Define { name, value }) => {
                    self.definitions.insert(name, value);
                }
                None => {
                    let frame = self.frames.last_mut()?;
                    match frame.file.as_mut().and_then(next_pieces) {
                        Some(pieces) => {
                            for (place, text) in pieces {
                                self.take_raw(place, &text);
                            }
                        }
                        None => self.open_next(),
                    }
                }
            }
        }
    }

    /// A line as it stands in the file.
    fn take_raw(&mut self, mut place: Place, raw: &[u8]) {
        let cut = bare(raw);
        place.verbatim = cut.verbatim;
        place.span = Span::new(
            place.span.source,
            usize::try_from(place.span.start).unwrap_or(usize::MAX) + cut.indent,
            usize::try_from(place.span.end).unwrap_or(usize::MAX),
        );
        if cut.open_quote {
            let text = format!(
                "Unterminated quote '{}'",
                String::from_utf8_lossy(&cut.text)
            );
            // The later readers find the open quote by themselves.
            self.complain(Some(place.clone()), text, Weight::Error, false);
        }
        self.take(place, cut.text);
    }

    /// A line without its comment.
    fn take(&mut self, mut place: Place, mut text: Vec<u8>) {
        if text.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        if self.collecting.is_some() {
            self.collect(&text);
            return;
        }
        if self.take_include(&place, &text) {
            return;
        }
        if text.starts_with(b"@") {
            let Some(rest) = self.condition(&text) else {
                return;
            };
            place.verbatim = false;
            text = rest;
            if self.take_include(&place, &text) {
                return;
            }
        }
        if self.define(&text) {
            return;
        }
        // The rest of such a line is substituted turn by turn.
        if self.sequence(&place, &text) {
            return;
        }
        let Some((substituted, changed)) = self.substitute(&place, text) else {
            return;
        };
        place.verbatim &= !changed;
        if self.sequence(&place, &substituted) {
            return;
        }
        self.emit(&place, &substituted);
    }

    /// Gives a line, its braces apart, to the blocks.
    fn emit(&mut self, place: &Place, text: &[u8]) {
        for (start, end) in split_braces(text) {
            let Some(part) = text.get(start..end) else {
                continue;
            };
            let indent = part
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            let part = part.trim_ascii();
            let mut place = place.clone();
            if place.verbatim {
                let at = usize::try_from(place.span.start).unwrap_or(usize::MAX) + start + indent;
                place.span = Span::new(place.span.source, at, at + part.len());
            }
            self.ready.push_back(Entry::Text {
                place,
                text: part.to_vec(),
            });
        }
    }

    /// `include` and its variants; whether the line was one.
    fn take_include(&mut self, place: &Place, text: &[u8]) -> bool {
        let Some(rest) = text.strip_prefix(b"include") else {
            return false;
        };
        let (variant, rest) = match rest.first().copied() {
            Some(letter @ (b'r' | b'm' | b'w' | b'b' | b'a')) => (Some(letter), rest.get(1..)),
            _ => (None, Some(rest)),
        };
        let rest = rest.unwrap_or_default();
        let pattern = rest.trim_ascii();
        if pattern.is_empty() || !rest.first().is_some_and(u8::is_ascii_whitespace) {
            return false;
        }
        let mut check = self.check;
        match variant {
            Some(b'r') => check.readable = true,
            Some(b'm') => check.matching = true,
            Some(b'w') => check.wildcard = true,
            Some(b'b') => check.brace = true,
            Some(_) => check = IncludeCheck::ALL,
            None => {}
        }
        check.readable |= check.matching || check.wildcard || check.brace;
        let file = self.frames.last().and_then(|frame| frame.file.as_ref());
        let base = file.map_or_else(
            || self.env.current_directory(),
            |file| file.directory.clone(),
        );
        self.include(&base, pattern, check, Some(place.clone()));
        true
    }

    /// `@id` and `@^id`: what is left of the line if it counts here.
    fn condition(&self, text: &[u8]) -> Option<Vec<u8>> {
        let rest = text.strip_prefix(b"@")?;
        let (wanted, rest) = match rest.strip_prefix(b"^") {
            Some(rest) => (false, rest),
            None => (true, rest),
        };
        let ends = |byte: &u8| byte.is_ascii_whitespace();
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        let (id, rest) = rest.split_at_checked(length)?;
        let same = id == self.config_id.as_bytes();
        let rest = rest.trim_ascii();
        (same == wanted && !rest.is_empty()).then(|| rest.to_vec())
    }

    /// What runs out, says so and stops here.
    fn give_up(&mut self, place: &Place, what: &str) {
        self.pending.clear();
        self.complain(Some(place.clone()), what.to_owned(), Weight::Own, false);
    }
}

/// The operating system's text without the number that Rust adds.
fn reason(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    }
}

/// The next line of a file in the pieces that the original's buffer would make of it.
fn next_pieces(file: &mut OpenFile) -> Option<Vec<(Place, Vec<u8>)>> {
    let rest = file.bytes.get(file.at..).filter(|rest| !rest.is_empty())?;
    let end = rest.iter().position(|byte| *byte == b'\n');
    let line = rest.get(..end.unwrap_or(rest.len()))?;
    // The line end counts as one of the bytes.
    let full = line.len() + usize::from(end.is_some());
    let count = full.div_ceil(MAX_LINE).max(1);
    let first = file.number + 1;
    let mut pieces = Vec::with_capacity(count);
    for index in 0..count {
        let start = (index * MAX_LINE).min(line.len());
        let stop = (start + MAX_LINE).min(line.len());
        let piece = line.get(start..stop).unwrap_or_default();
        // A byte 0 ends the string that the original goes on with.
        let visible = piece.split(|byte| *byte == 0).next().unwrap_or_default();
        let offset = u32::try_from(index).unwrap_or(u32::MAX);
        // The copy that the later readers have of a line as long as the buffer comes to them in
        // two parts, of which the first does not count.
        let indent = visible
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        let shift = u32::from(visible.len() - indent >= MAX_LINE);
        if index + 1 == count && end.is_some() && visible.len() == piece.len() {
            file.ends = file.ends.saturating_add(1);
        }
        let place = Place {
            file: Rc::clone(&file.name),
            number: first.saturating_add(offset).saturating_sub(shift),
            ends: file.ends,
            top: file.top,
            span: Span::new(
                file.source,
                file.at + start,
                file.at + start + visible.len(),
            ),
            verbatim: true,
        };
        pieces.push((place, visible.to_vec()));
    }
    file.number = file
        .number
        .saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    file.at += full;
    Some(pieces)
}
