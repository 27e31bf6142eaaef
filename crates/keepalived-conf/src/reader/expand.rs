//! Definitions and sequences. keepalived.conf(5), "Parameter substitution", "Sequence blocks",
//! "List blocks".

use crate::text::Place;

use super::{Collecting, MAX_GENERATED, MAX_LINE, Pending, Reader, Weight};

/// Replacements in one line; a definition that leads back to itself ends here.
const MAX_REPLACEMENTS: usize = 2048;

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The name at the front of the bytes, if a name may begin so.
fn name(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.iter().take_while(|byte| is_name(**byte)).count();
    let name = bytes.get(..length)?;
    (!name.is_empty() && !name.first()?.is_ascii_digit()).then_some(name)
}

/// One `$NAME` or `${NAME}` in a line.
struct Reference {
    name: Vec<u8>,
    /// What follows the name within the braces.
    arguments: Vec<u8>,
    start: usize,
    end: usize,
}

/// The first reference at or after `from`.
fn reference(text: &[u8], from: usize) -> Option<Reference> {
    let mut at = from;
    loop {
        at += text.get(at..)?.iter().position(|byte| *byte == b'$')?;
        let rest = text.get(at + 1..)?;
        if let Some(inner) = rest.strip_prefix(b"{") {
            if let (Some(name), Some(close)) =
                (name(inner), inner.iter().position(|byte| *byte == b'}'))
            {
                let arguments = inner.get(name.len()..close).unwrap_or_default();
                let fits =
                    arguments.is_empty() || arguments.first().is_some_and(u8::is_ascii_whitespace);
                if fits {
                    return Some(Reference {
                        name: name.to_vec(),
                        arguments: arguments.trim_ascii().to_vec(),
                        start: at,
                        end: at + 2 + close + 1,
                    });
                }
            }
        } else if let Some(name) = name(rest)
            && rest.get(name.len()).is_none_or(u8::is_ascii_whitespace)
        {
            return Some(Reference {
                name: name.to_vec(),
                arguments: Vec::new(),
                start: at,
                end: at + 1 + name.len(),
            });
        }
        at += 1;
    }
}

impl Reader<'_> {
    /// `$NAME=value`; whether the line was one.
    pub(super) fn define(&mut self, text: &[u8]) -> bool {
        let Some(rest) = text.strip_prefix(b"$") else {
            return false;
        };
        let Some(name) = name(rest) else { return false };
        let Some(value) = rest
            .get(name.len()..)
            .and_then(|rest| rest.strip_prefix(b"="))
        else {
            return false;
        };
        match value.strip_suffix(b"\\") {
            Some(first) => {
                self.collecting = Some(Collecting {
                    name: name.to_vec(),
                    value: first.trim_ascii().to_vec(),
                });
            }
            None => {
                self.definitions.insert(name.to_vec(), value.to_vec());
            }
        }
        true
    }

    /// A further line of a definition.
    pub(super) fn collect(&mut self, text: &[u8]) {
        let Some(collecting) = self.collecting.as_mut() else {
            return;
        };
        let more = text.strip_suffix(b"\\");
        collecting.value.push(b'\n');
        collecting
            .value
            .extend_from_slice(more.unwrap_or(text).trim_ascii());
        if more.is_none()
            && let Some(done) = self.collecting.take()
        {
            self.definitions.insert(done.name, done.value);
        }
    }

    /// The line with its references replaced, and whether there were any. `None` if it became
    /// several lines, which are then pending.
    pub(super) fn substitute(
        &mut self,
        place: &Place,
        mut text: Vec<u8>,
    ) -> Option<(Vec<u8>, bool)> {
        let mut changed = false;
        let mut from = 0;
        let mut replacements = 0;
        while let Some(found) = reference(&text, from) {
            let Some(value) = self.value_of(&found) else {
                // A name that nobody defined stays as it is.
                from = found.start + 1;
                continue;
            };
            replacements += 1;
            if replacements > MAX_REPLACEMENTS {
                let name = String::from_utf8_lossy(&found.name).into_owned();
                self.give_up(
                    place,
                    &format!("Definition ${name} leads back to itself - not replaced"),
                );
                break;
            }
            let before = text.get(..found.start).unwrap_or_default();
            let after = text.get(found.end..).unwrap_or_default();
            let replaced = [before, value.as_slice(), after].concat();
            // A definition of several lines that leads back to itself in its first one would
            // make that longer each time.
            let mut lines = replaced.split(|byte| *byte == b'\n');
            if lines.any(|line| line.len() > MAX_LINE) {
                let shown = String::from_utf8_lossy(&text).into_owned();
                let what = format!(
                    "Parameter substitution on line '{shown}' would exceed maximum line length"
                );
                self.complain(Some(place.clone()), what, Weight::Own, false);
                break;
            }
            if value.contains(&b'\n') {
                self.push_lines(place, &replaced);
                return None;
            }
            text = replaced;
            changed = true;
            from = found.start;
        }
        Some((text, changed))
    }

    fn value_of(&self, found: &Reference) -> Option<Vec<u8>> {
        if let Some(value) = self.definitions.get(&found.name) {
            return found.arguments.is_empty().then(|| value.clone());
        }
        let file = self.frames.last().and_then(|frame| frame.file.as_ref());
        match found.name.as_slice() {
            b"_PWD" => file.map(|file| file.directory.to_string_lossy().into_owned().into_bytes()),
            b"_INSTANCE" => Some(self.instance.clone().into_bytes()),
            b"_HASH" => Some(b"#".to_vec()),
            b"_BANG" => Some(b"!".to_vec()),
            b"_RANDOM" => {
                let text = String::from_utf8_lossy(&found.arguments).into_owned();
                let mut words = text.split_ascii_whitespace().map(str::parse::<u32>);
                let low = words.next().unwrap_or(Ok(0)).ok()?;
                let high = words.next().unwrap_or(Ok(32767)).ok()?;
                let range = high.checked_sub(low)?.checked_add(1)?;
                words
                    .next()
                    .is_none()
                    .then(|| (low + self.env.random() % range).to_string().into_bytes())
            }
            _ => None,
        }
    }

    /// Puts the lines of a text before everything else that is still to come.
    fn push_lines(&mut self, place: &Place, text: &[u8]) {
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        if !self.may_generate(place, lines.len()) {
            return;
        }
        for line in lines.into_iter().rev() {
            self.pending.push_front(Pending::Text {
                place: Place {
                    verbatim: false,
                    ..place.clone()
                },
                text: line.trim_ascii().to_vec(),
            });
        }
    }

    fn may_generate(&mut self, place: &Place, lines: usize) -> bool {
        self.generated = self.generated.saturating_add(lines);
        if self.generated > MAX_GENERATED {
            let text = format!(
                "Definitions and sequences give more than {MAX_GENERATED} lines - stopped here"
            );
            self.give_up(place, &text);
            return false;
        }
        true
    }

    /// `~SEQ`, `~SEQx` and `~LST`; whether the line was one, right or wrong.
    pub(super) fn sequence(&mut self, place: &Place, text: &[u8]) -> bool {
        let (kind, rest) = if let Some(rest) = text.strip_prefix(b"~SEQx(") {
            (Kind::Hexadecimal, rest)
        } else if let Some(rest) = text.strip_prefix(b"~SEQ(") {
            (Kind::Decimal, rest)
        } else if let Some(rest) = text.strip_prefix(b"~LST(") {
            (Kind::List, rest)
        } else {
            return false;
        };
        let shown = String::from_utf8_lossy(text).into_owned();
        let name = if kind == Kind::List { "~LST" } else { "~SEQ" };
        let Some(close) = rest.iter().position(|byte| *byte == b')') else {
            let what = format!("{name} parameter strings too long '{shown}'");
            self.refuse_sequence(place, Some(what), name, &shown);
            return true;
        };
        let (arguments, rest) = rest.split_at_checked(close).unwrap_or_default();
        let rest = rest.get(1..).unwrap_or_default().trim_ascii();
        let steps = match kind {
            Kind::List => list(arguments),
            Kind::Decimal | Kind::Hexadecimal => numbers(arguments, kind),
        };
        match steps {
            Err(fault) => {
                let what = match fault {
                    Fault::Definition => Some(format!("Invalid ~SEQ definition '{shown}'")),
                    Fault::Values => Some(format!("Invalid ~SEQ values '{shown}'")),
                    Fault::Negative => Some(format!(
                        "~SEQx is only valid for positive numbers '{shown}'"
                    )),
                    Fault::TooMany => {
                        Some(format!("~LST specification has too many values '{shown}'"))
                    }
                    Fault::Plain => None,
                };
                self.refuse_sequence(place, what, name, &shown);
            }
            Ok(steps) => {
                if self.may_generate(place, steps.len()) {
                    for step in steps.into_iter().rev() {
                        let place = Place {
                            verbatim: false,
                            ..place.clone()
                        };
                        let text = rest.to_vec();
                        self.pending.push_front(Pending::Text { place, text });
                        for (name, value) in step.into_iter().rev() {
                            self.pending.push_front(Pending::Define { name, value });
                        }
                    }
                }
            }
        }
        true
    }

    fn refuse_sequence(&mut self, place: &Place, what: Option<String>, name: &str, shown: &str) {
        let last = format!("Invalid {name} specification '{shown}'");
        for text in what.into_iter().chain([last]) {
            self.complain(Some(place.clone()), text, Weight::Error, true);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Decimal,
    Hexadecimal,
    List,
}

enum Fault {
    Definition,
    Values,
    Negative,
    TooMany,
    Plain,
}

/// The names to set for one turn.
type Step = Vec<(Vec<u8>, Vec<u8>)>;

/// `VAR[, START[, STEP]], END`
fn numbers(arguments: &[u8], kind: Kind) -> Result<Vec<Step>, Fault> {
    let mut words = arguments
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii);
    let name = words
        .next()
        .and_then(name)
        .ok_or(Fault::Definition)?
        .to_vec();
    let values: Vec<i64> = words
        .map(integer)
        .collect::<Option<_>>()
        .ok_or(Fault::Definition)?;
    let toward = |from: i64, to: i64| if to >= from { 1 } else { -1 };
    let (start, step, end) = match *values.as_slice() {
        [end] => {
            let start = if end > 0 { 1 } else { -1 };
            (start, toward(start, end), end)
        }
        [start, end] => (start, toward(start, end), end),
        [start, step, end] => (start, step, end),
        _ => return Err(Fault::Definition),
    };
    if step == 0 || (end - start).signum() * step.signum() < 0 {
        return Err(Fault::Values);
    }
    if kind == Kind::Hexadecimal && start.min(end) < 0 {
        return Err(Fault::Negative);
    }
    let mut steps = Vec::new();
    let mut value = start;
    while (step > 0 && value <= end) || (step < 0 && value >= end) {
        let shown = if kind == Kind::Hexadecimal {
            format!("{value:x}")
        } else {
            value.to_string()
        };
        steps.push(vec![(name.clone(), shown.into_bytes())]);
        if steps.len() > MAX_GENERATED {
            break;
        }
        value = value.saturating_add(step);
    }
    Ok(steps)
}

/// A number of at most 32 bits, decimal or 0x.
fn integer(word: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    let value = if negative { -value } else { value };
    i32::try_from(value).ok().map(i64::from)
}

/// `VAR, VALUE...` or `{VAR, VAR}, {VALUE, VALUE}...`
fn list(arguments: &[u8]) -> Result<Vec<Step>, Fault> {
    let mut groups: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut inside = false;
    for part in arguments.split_inclusive(|byte| matches!(byte, b',' | b'{' | b'}')) {
        let (word, sign) = match part.split_last() {
            Some((sign @ (b',' | b'{' | b'}'), word)) => (word.trim_ascii(), *sign),
            _ => (part.trim_ascii(), 0),
        };
        if !word.is_empty() {
            match groups.last_mut() {
                Some(group) if inside => group.push(word.to_vec()),
                _ => groups.push(vec![word.to_vec()]),
            }
        }
        match sign {
            b'{' => {
                groups.push(Vec::new());
                inside = true;
            }
            b'}' => inside = false,
            _ => {}
        }
    }
    let mut groups = groups.into_iter();
    let names = groups.next().unwrap_or_default();
    let valid = |word: &Vec<u8>| name(word).is_some_and(|name| name.len() == word.len());
    if names.is_empty() || !names.iter().all(valid) || groups.len() == 0 {
        return Err(Fault::Plain);
    }
    groups
        .map(|values| {
            if values.len() > names.len() {
                return Err(Fault::TooMany);
            }
            if values.len() < names.len() {
                return Err(Fault::Plain);
            }
            Ok(names.iter().cloned().zip(values).collect())
        })
        .collect()
}
