//! Reads files line by line: directives, sections, keywords, and what to say about them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cfgtext::{Sources, Span};

use crate::argv::Args;
use crate::directive::Block;
use crate::draft::{Draft, Kind};
use crate::env::Environment;
use crate::keyword::{self, Handler, Status};
use crate::line::{Line, Prefix};
use crate::model::{Global, Place, ProxyKind};
use crate::report::{Level, Message};
use crate::section::section_word;
use crate::{lex, suggest, text};

/// Parsing stops when this many lines had fatal errors.
const MOST_ERRORS: u32 = 50;

/// The section that lines belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    None,
    Global,
    /// The newest of the defaults.
    Defaults,
    /// The newest of the proxies.
    Proxy,
    /// A section that cannot be used here; its lines are skipped.
    Skipped,
    /// A section whose first line was not understood.
    Lost,
}

/// How a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was read to its end, perhaps with errors.
    Read,
    /// Nothing after the error counts.
    Aborted,
}

/// All that is known while reading.
pub(crate) struct Reader<'e> {
    pub(crate) environment: &'e dyn Environment,
    pub(crate) args: &'e Args,
    pub(crate) sources: Sources,
    pub(crate) messages: Vec<Message>,
    /// Whether an error makes the configuration unusable.
    pub(crate) fatal: bool,
    /// Whether there were warnings.
    pub(crate) warned: bool,
    /// Fatal errors in the current file.
    errors: u32,
    aborted: bool,
    /// Not even the closing summary is printed.
    pub(crate) abandoned: bool,
    /// Reading stopped, yet what is said at the end of a file still is.
    stopped: bool,
    /// A server's name could not be looked up, which has a summary of its own.
    pub(crate) address_failed: bool,
    /// `zero-warning` was written.
    pub(crate) zero_warning: bool,
    line_fatal: bool,
    /// Global `quiet` hides all that comes after it.
    pub(crate) muted: bool,
    pub(crate) variables: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) initial_variables: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Numbers of the global section by keyword.
    pub(crate) numbers: BTreeMap<&'static str, i64>,
    pub(crate) global: Global,
    pub(crate) defaults: Vec<Draft>,
    pub(crate) proxies: Vec<Draft>,
    pub(crate) section: Section,
    span: Option<Span>,
}

impl<'e> Reader<'e> {
    pub(crate) fn new(args: &'e Args, environment: &'e dyn Environment) -> Self {
        use std::os::unix::ffi::OsStringExt;
        let variables: BTreeMap<_, _> = environment
            .variables()
            .into_iter()
            .map(|(name, value)| (name.into_vec(), value.into_vec()))
            .collect();
        Self {
            environment,
            args,
            sources: Sources::default(),
            messages: Vec::new(),
            fatal: false,
            warned: false,
            errors: 0,
            aborted: false,
            abandoned: false,
            stopped: false,
            address_failed: false,
            zero_warning: false,
            line_fatal: false,
            muted: false,
            initial_variables: variables.clone(),
            variables,
            numbers: BTreeMap::new(),
            global: Global::default(),
            defaults: Vec::new(),
            proxies: Vec::new(),
            section: Section::None,
            span: None,
        }
    }

    pub(crate) fn say(&mut self, level: Level, text: String) {
        self.say_plain(level, format!("config : {text}"));
    }

    /// A message without the word "config" before it.
    pub(crate) fn say_plain(&mut self, level: Level, text: String) {
        if level == Level::Warning {
            self.warned = true;
        }
        if level == Level::Diag && !self.args.diagnostics {
            return;
        }
        if self.muted && !self.args.verbose {
            return;
        }
        let span = self.span;
        self.messages.push(Message { level, text, span });
    }

    /// An alert that makes the configuration unusable.
    pub(crate) fn fatal(&mut self, text: impl Into<String>) {
        self.fatal = true;
        self.line_fatal = true;
        self.say(Level::Alert, text.into());
    }

    /// The same about a line: `parsing [FILE:LINE] : `.
    pub(crate) fn fatal_at(&mut self, line: &Line, text: impl std::fmt::Display) {
        self.fatal(format!("parsing [{}] : {text}", line.at()));
    }

    /// The same in the original's other form: `parsing [FILE:LINE]: `.
    pub(crate) fn fatal_near(&mut self, line: &Line, text: impl std::fmt::Display) {
        self.fatal(format!("parsing [{}]: {text}", line.at()));
    }

    /// An alert that changes nothing.
    pub(crate) fn alert_at(&mut self, line: &Line, text: impl std::fmt::Display) {
        self.say(Level::Alert, format!("parsing [{}] : {text}", line.at()));
    }

    /// An alert that changes nothing, in the original's own form.
    pub(crate) fn alert(&mut self, text: impl Into<String>) {
        self.say(Level::Alert, text.into());
    }

    /// A warning.
    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.say(Level::Warning, text.into());
    }

    /// A warning about a line.
    pub(crate) fn warn_at(&mut self, line: &Line, text: impl std::fmt::Display) {
        self.say(Level::Warning, format!("parsing [{}] : {text}", line.at()));
    }

    /// The same in the original's other form.
    pub(crate) fn warn_near(&mut self, line: &Line, text: impl std::fmt::Display) {
        self.say(Level::Warning, format!("parsing [{}]: {text}", line.at()));
    }

    /// Ends all parsing, but says what is wrong with the end of the file.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        self.abort();
    }

    /// Ends all parsing at once, as where the original's reader fails.
    pub(crate) fn abandon(&mut self) {
        self.abandoned = true;
        self.abort();
    }

    /// Ends all parsing with the errors said so far.
    pub(crate) fn abort(&mut self) {
        self.fatal = true;
        self.aborted = true;
    }

    /// The value of an environment variable, our own changes included.
    pub(crate) fn variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.variables.get(name).cloned()
    }

    /// Says that a line has more than `most` arguments; `words` names its keyword.
    pub(crate) fn too_many(&mut self, line: &Line, words: usize, most: usize) -> bool {
        let extra = line.arg(words + most);
        if extra.is_empty() {
            return false;
        }
        let extra = extra.to_owned();
        let keyword: Vec<&str> = line.words.iter().take(words).map(String::as_str).collect();
        let keyword = keyword.join(" ");
        self.fatal_at(
            line,
            format!("'{keyword}' cannot handle unexpected argument '{extra}'."),
        );
        true
    }

    /// Warns of a keyword that needs a frontend or a backend; true if it is misplaced.
    pub(crate) fn misplaced(
        &mut self,
        draft: &Draft,
        line: &Line,
        keyword: &str,
        frontend: bool,
        hint: &str,
    ) -> bool {
        let fits = if frontend {
            draft.has_frontend()
        } else {
            draft.has_backend()
        };
        if fits {
            return false;
        }
        let side = if frontend { "frontend" } else { "backend" };
        let hint = if hint.is_empty() {
            String::new()
        } else {
            format!(" {hint}")
        };
        self.warn_at(
            line,
            format!(
                "'{keyword}' ignored because {} '{}' has no {side} capability.{hint}",
                draft.word(),
                draft.name
            ),
        );
        true
    }

    /// Reads one file.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) -> Ending {
        let source = self.sources.add(name, bytes);
        let file: Arc<str> = Arc::from(name);
        self.errors = 0;
        self.section = Section::None;
        let mut blocks: Vec<Block> = Vec::new();
        let mut number = 0_u32;
        let mut at = 0_usize;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'\n');
            let raw = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let nul = raw.iter().position(|byte| *byte == 0);
            let text = raw.get(..nul.unwrap_or(raw.len())).unwrap_or_default();
            let start = at;
            at += end.map_or(rest.len(), |end| end + 1);
            number += 1;
            let place = Place {
                file: Arc::clone(&file),
                line: number,
            };
            let span = Span::new(source, start, start + raw.len());
            self.span = Some(span);
            if self.errors >= MOST_ERRORS {
                self.fatal(format!(
                    "parsing [{name}:{number}]: too many fatal errors ({}), stopping now.",
                    self.errors
                ));
                break;
            }
            self.line(text, &place, &mut blocks);
            if self.aborted && !(self.stopped && end.is_none()) {
                break;
            }
            if nul.is_some() || end.is_none() {
                let position = text.len() + 1;
                let what = if nul.is_some() && at < bytes.len() {
                    format!("Stray NUL character at position {position}.")
                } else {
                    format!(
                        "Missing LF on last line, file might have been truncated at position {position}."
                    )
                };
                self.fatal(format!("parsing [{name}:{number}]: {what}"));
                break;
            }
        }
        if !blocks.is_empty() && (!self.aborted || self.stopped) {
            self.fatal(format!(
                "parsing [{name}:{number}]: non-terminated '.if' block."
            ));
            self.abort();
        }
        self.span = None;
        if self.aborted {
            Ending::Aborted
        } else {
            Ending::Read
        }
    }

    fn count_error(&mut self) {
        if std::mem::take(&mut self.line_fatal) {
            self.errors += 1;
        }
    }

    fn line(&mut self, raw: &[u8], place: &Place, blocks: &mut Vec<Block>) {
        let at = format!("{}:{}", place.file, place.line);
        let number = place.line.to_string().into_bytes();
        let section = match self.section {
            Section::None | Section::Skipped | Section::Lost => String::new(),
            Section::Global => String::from("global"),
            Section::Defaults => String::from("defaults"),
            Section::Proxy => self
                .proxies
                .last()
                .map(|draft| section_word(draft.kind).to_owned())
                .unwrap_or_default(),
        };
        let lookup = |name: &[u8]| match name {
            b".FILE" => Some(text::decode(&place.file)),
            b".LINE" => Some(number.clone()),
            b".SECTION" => Some(section.clone().into_bytes()),
            _ => self.variables.get(name).cloned(),
        };
        let words = match lex::words(raw, &lookup) {
            Ok(words) => words,
            Err(error) => {
                let message = match error.overflow {
                    Some((offset, word)) => format!(
                        "parsing [{at}]: {}, truncating after word {}, position {}: <{}>.",
                        error.what,
                        lex::MOST_WORDS,
                        offset + 1,
                        text::encode(&word)
                    ),
                    None => {
                        let (cited, column) = lex::citation(raw, error.at);
                        format!(
                            "parsing [{at}]: {} at position {}:\n  {cited}\n  {:>width$}",
                            error.what,
                            error.at + 1,
                            "^",
                            width = column + 1
                        )
                    }
                };
                self.fatal(message);
                self.count_error();
                return;
            }
        };
        let mut words: Vec<String> = words.iter().map(|word| text::encode(word)).collect();
        if words.first().is_none_or(String::is_empty) {
            return;
        }
        let first = words.first().cloned().unwrap_or_default();
        if first.starts_with('.') {
            // Conditions are cited with the blank at their end.
            if raw.last().is_some_and(|byte| lex::is_space(*byte))
                && let Some(last) = words.last_mut()
                && first.ends_with("if")
            {
                last.push(' ');
            }
            let line = Line {
                words,
                prefix: Prefix::Plain,
                place: place.clone(),
            };
            self.directive(&line, blocks);
            self.count_error();
            return;
        }
        if blocks.iter().any(|block| !block.active()) {
            return;
        }
        let mut prefix = Prefix::Plain;
        if first == "no" || first == "default" {
            if first == "no" {
                prefix = Prefix::No;
                words.remove(0);
            } else {
                prefix = Prefix::Default;
                // The original moves the words down without cutting the last one off.
                if let Some(last) = words.last().cloned() {
                    words.remove(0);
                    words.push(last);
                }
            }
            let allowed = words.first().is_some_and(|word| {
                matches!(
                    word.as_str(),
                    "option"
                        | "log"
                        | "busy-polling"
                        | "set-dumpable"
                        | "strict-limits"
                        | "insecure-fork-wanted"
                        | "numa-cpu-mapping"
                )
            });
            if !allowed {
                self.fatal(format!(
                    "parsing [{at}]: negation/default currently supported only for options, log, busy-polling, set-dumpable, strict-limits, insecure-fork-wanted and numa-cpu-mapping."
                ));
                self.count_error();
            }
        }
        let line = Line {
            words,
            prefix,
            place: place.clone(),
        };
        self.statement(&line);
        self.count_error();
    }

    fn statement(&mut self, line: &Line) {
        let word = line.arg(0).to_owned();
        match word.as_str() {
            "global" => {
                self.section = Section::Global;
                self.too_many(line, 1, 0);
            }
            "defaults" => self.begin(line, Kind::Defaults),
            "frontend" => self.begin(line, Kind::Proxy(ProxyKind::Frontend)),
            "backend" => self.begin(line, Kind::Proxy(ProxyKind::Backend)),
            "listen" => self.begin(line, Kind::Proxy(ProxyKind::Listen)),
            other => {
                if let Some(section) = keyword::OTHER_SECTIONS
                    .iter()
                    .find(|section| section.name == other)
                {
                    self.section = Section::Skipped;
                    self.fatal_at(
                        line,
                        format!("section '{other}' is not supported: {}", section.reason),
                    );
                } else {
                    self.keyword(line, &word);
                }
            }
        }
    }

    fn keyword(&mut self, line: &Line, word: &str) {
        match self.section {
            Section::None => {
                self.fatal_near(line, format!("unknown keyword '{word}' out of section."))
            }
            Section::Skipped => {}
            Section::Lost => self.fatal_at(line, "'listen' or 'defaults' expected."),
            Section::Global => {
                let row = keyword::find(word, keyword::GLOBAL);
                let Some(row) = row else {
                    self.unknown(line, word, "global", suggest::global(word));
                    return;
                };
                if row.arity.is_some_and(|most| self.too_many(line, 1, most)) {
                    return;
                }
                if let Status::Refused(reason) = row.status {
                    self.refuse(line, word, reason);
                    return;
                }
                match row.handler {
                    Handler::Global(handler) => handler(self, line),
                    Handler::Number(once) => self.number(line, row.name, once),
                    Handler::Proxy(_) | Handler::Nothing => {}
                }
            }
            Section::Defaults => {
                if let Some(mut draft) = self.defaults.pop() {
                    self.proxy_keyword(&mut draft, line, word);
                    self.defaults.push(draft);
                }
            }
            Section::Proxy => {
                if let Some(mut draft) = self.proxies.pop() {
                    self.proxy_keyword(&mut draft, line, word);
                    self.proxies.push(draft);
                }
            }
        }
    }

    fn proxy_keyword(&mut self, draft: &mut Draft, line: &Line, word: &str) {
        let sections = keyword::section_bit(draft.kind);
        let Some(row) = keyword::find(word, sections) else {
            let name = section_word(draft.kind);
            self.unknown(line, word, name, suggest::proxy(word));
            return;
        };
        if draft.kind == Kind::Defaults && row.sections & keyword::NO_DEFAULTS != 0 {
            let tight = matches!(word, "id" | "description");
            let text = format!("'{word}' not allowed in 'defaults' section.");
            if tight {
                self.fatal_near(line, text);
            } else if keyword::is_server(word) {
                self.fatal(format!("[{}] : {text}", line.at()));
            } else {
                self.fatal_at(line, text);
            }
            return;
        }
        if row.arity.is_some_and(|most| self.too_many(line, 1, most)) {
            return;
        }
        if let Status::Refused(reason) = row.status {
            draft.broken = true;
            self.refuse(line, word, reason);
            return;
        }
        match row.handler {
            Handler::Proxy(handler) => handler(self, draft, line),
            Handler::Global(_) | Handler::Number(_) | Handler::Nothing => {}
        }
    }

    /// An integer of the global section.
    fn number(&mut self, line: &Line, name: &'static str, once: bool) {
        if once && self.numbers.get(name).is_some_and(|value| *value != 0) {
            self.alert_at(line, format!("'{name}' already specified. Continuing."));
            return;
        }
        if line.arg(1).is_empty() {
            self.fatal_at(line, format!("'{name}' expects an integer argument."));
            return;
        }
        self.numbers.insert(name, crate::number::atol(line.arg(1)));
    }

    /// The one alert about something that haproxy knows and this program does not do.
    pub(crate) fn refuse(&mut self, line: &Line, what: &str, reason: &str) {
        self.fatal_at(line, format!("'{what}' is not supported: {reason}"));
    }

    fn unknown(&mut self, line: &Line, word: &str, section: &str, near: Option<&str>) {
        let hint = near
            .map(|near| format!("; did you mean '{near}' maybe ?"))
            .unwrap_or_default();
        self.fatal_at(
            line,
            format!("unknown keyword '{word}' in '{section}' section{hint}"),
        );
    }

    /// Whether there is a stick table of that name outside of proxies.
    pub(crate) const fn has_table(&self, _: &str) -> bool {
        false
    }

    /// Whether there is a user list of that name.
    pub(crate) const fn has_userlist(&self, _: &str) -> bool {
        false
    }

    /// The bytes of a file named in the configuration.
    pub(crate) fn readable(&self, path: &str) -> bool {
        use std::os::unix::ffi::OsStrExt;
        let path = text::decode(path);
        let path = Path::new(std::ffi::OsStr::from_bytes(&path));
        self.environment.read(path).is_ok()
    }
}
