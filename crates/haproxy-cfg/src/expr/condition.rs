//! Conditions: `if` and `unless` with ACLs (configuration manual, section 7.2).

use super::references::{self, Context};
use super::{acl, references::Reference};
use crate::draft::Draft;
use crate::line::Line;
use crate::model::{Acl, Condition, Stage, Term};
use crate::reader::Reader;

/// ACLs that exist without being written (configuration manual, section 7.4).
const PREDEFINED: &[(&str, &[&str])] = &[
    ("FALSE", &["always_false"]),
    ("HTTP", &["req.proto_http"]),
    ("HTTP_1.0", &["req.ver", "1.0"]),
    ("HTTP_1.1", &["req.ver", "1.1"]),
    ("HTTP_2.0", &["req.ver", "2.0"]),
    ("HTTP_CONTENT", &["req.hdr_val(content-length)", "gt", "0"]),
    ("HTTP_URL_ABS", &["url_reg", "^[^/:]*://"]),
    ("HTTP_URL_SLASH", &["url_beg", "/"]),
    ("HTTP_URL_STAR", &["url", "*"]),
    ("LOCALHOST", &["src", "127.0.0.1/8", "::1"]),
    ("METH_CONNECT", &["method", "CONNECT"]),
    ("METH_DELETE", &["method", "DELETE"]),
    ("METH_GET", &["method", "GET", "HEAD"]),
    ("METH_HEAD", &["method", "HEAD"]),
    ("METH_OPTIONS", &["method", "OPTIONS"]),
    ("METH_POST", &["method", "POST"]),
    ("METH_PUT", &["method", "PUT"]),
    ("METH_TRACE", &["method", "TRACE"]),
    ("RDP_COOKIE", &["req.rdp_cookie_cnt", "gt", "0"]),
    ("REQ_CONTENT", &["req.len", "gt", "0"]),
    ("TRUE", &["always_true"]),
    ("WAIT_END", &["wait_end"]),
];

/// The ACLs of a section, and what has to be looked at once all sections are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Acls {
    pub(crate) all: Vec<Acl>,
    /// How many of them come from a `defaults` section.
    inherited: usize,
    /// Names in arguments, to be found when all is read.
    pub(crate) references: Vec<Reference>,
}

impl Acls {
    /// What a section with these `defaults` begins with.
    pub(crate) fn inherit(&self) -> Self {
        Self {
            all: self.all.clone(),
            inherited: self.all.len(),
            references: self.references.clone(),
        }
    }

    fn add(&mut self, name: &str, test: crate::model::Test) -> usize {
        self.references
            .extend(references::of(&test.expr, &Context::Acl, &test.place));
        // What `defaults` define is not extended but hidden.
        let own = self.all.iter_mut().enumerate().skip(self.inherited);
        let found = own
            .filter(|_| !name.is_empty())
            .find(|(_, acl)| acl.name == name);
        if let Some((index, acl)) = found {
            acl.tests.push(test);
            return index;
        }
        self.all.push(Acl {
            name: name.to_owned(),
            tests: vec![test],
        });
        self.all.len() - 1
    }

    fn find(&self, name: &str) -> Option<usize> {
        // Those of `defaults` are known to the rules there alone.
        let mut own = self.all.iter().skip(self.inherited);
        own.position(|acl| acl.name == name)
            .map(|index| index + self.inherited)
    }
}

/// An `acl` line.
pub(crate) fn acl_line(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let name = line.arg(1).to_owned();
    let permitted = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    let wrong = name.chars().find(|c| !permitted(*c));
    if name.is_empty() || wrong.is_some() {
        let wrong = wrong.map(|c| crate::text::first_byte(&c.to_string()));
        reader.fatal_at(
            line,
            format!(
                "character '{}' is not permitted in acl name '{name}'.",
                wrong.unwrap_or_default()
            ),
        );
        return;
    }
    if name.eq_ignore_ascii_case("or") {
        reader.fatal_at(
            line,
            format!(
                "acl name '{name}' will never match. 'or' is used to express a logical disjunction within a condition."
            ),
        );
        return;
    }
    let test = if line.arg(2).is_empty() {
        Err(String::from("missing fetch method in ACL expression ''"))
    } else {
        acl::test(reader, line, 2)
    };
    match test {
        Ok(test) => {
            draft.settings.acls.add(&name, test);
        }
        Err(wrong) => reader.fatal_at(
            line,
            format!("error detected while parsing ACL '{name}' : {wrong}."),
        ),
    }
}

/// Reads a condition whose `if` or `unless` is word `at`.
///
/// # Errors
/// In the original's words.
pub(crate) fn parse(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    mut at: usize,
) -> Result<Condition, String> {
    let unless = line.arg(at) == "unless";
    at += 1;
    let mut any: Vec<Vec<Term>> = Vec::new();
    let mut fresh = true;
    let mut negated = false;
    while !line.arg(at).is_empty() {
        let written = line.arg(at).to_owned();
        at += 1;
        let word = written.trim_start_matches('!');
        negated ^= (written.len() - word.len()) % 2 == 1;
        if word.is_empty() {
            continue;
        }
        if word.eq_ignore_ascii_case("or") || word == "||" {
            fresh = true;
            negated = false;
            continue;
        }
        let index = if word == "{" {
            let end = (at..line.words.len())
                .find(|index| line.arg(*index) == "}")
                .ok_or("missing closing '}' in condition")?;
            let own = Line {
                words: line.words.get(at..end).unwrap_or_default().to_owned(),
                prefix: line.prefix,
                place: line.place.clone(),
            };
            at = end + 1;
            if own.words.is_empty() {
                return Err(String::from("missing fetch method in ACL expression ''"));
            }
            let test = acl::test(reader, &own, 0)?;
            draft.settings.acls.add("", test)
        } else if let Some(index) = draft.settings.acls.find(word) {
            index
        } else if let Some((name, words)) = PREDEFINED.iter().find(|(name, _)| *name == word) {
            let own = Line {
                words: words.iter().map(|word| (*word).to_owned()).collect(),
                prefix: line.prefix,
                place: line.place.clone(),
            };
            let test = acl::test(reader, &own, 0)?;
            draft.settings.acls.add(name, test)
        } else {
            return Err(format!("no such ACL : '{word}'"));
        };
        let term = Term {
            negated,
            acl: index,
        };
        negated = false;
        match any.last_mut().filter(|_| !fresh) {
            Some(terms) => terms.push(term),
            None => any.push(vec![term]),
        }
        fresh = false;
    }
    Ok(Condition { unless, any })
}

/// Warns of ACLs in a condition that can never match where it is evaluated; `rule` is the kind of
/// rule, if messages name it.
pub(crate) fn warn_misplaced(
    reader: &mut Reader<'_>,
    draft: &Draft,
    line: &Line,
    condition: &Condition,
    stage: Stage,
    rule: Option<&str>,
) {
    let within = rule.map_or(String::new(), |rule| format!(" in '{rule}'"));
    for term in condition.any.iter().flatten() {
        let Some(acl) = draft.settings.acls.all.get(term.acl) else {
            continue;
        };
        let mut wrong = acl.tests.iter().filter(|test| !test.expr.fits(stage));
        let Some(first) = wrong.next() else {
            continue;
        };
        let place = stage.words();
        let text = if acl.name.is_empty() {
            format!(
                "anonymous acl will never match{within} because it uses keyword '{}' which is incompatible with '{place}'",
                first.expr.fetch.name
            )
        } else if wrong.count() + 1 == acl.tests.len() {
            format!(
                "acl '{}' will never match{within} because it only involves keywords that are incompatible with '{place}'",
                acl.name
            )
        } else {
            format!(
                "acl '{}' involves keyword '{}' which is incompatible with '{place}'",
                acl.name, first.expr.fetch.name
            )
        };
        reader.warn_at(line, text);
        return;
    }
}
