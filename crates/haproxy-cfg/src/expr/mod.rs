//! Sample expressions: a fetch and the converters applied to what it gives (configuration manual,
//! section 7.3).

pub(crate) mod acl;
mod args;
mod check;
pub(crate) mod condition;
mod converters;
pub(crate) mod fetches;
pub(crate) mod format;
mod pattern;
pub(crate) mod references;
pub(crate) mod regex;
mod variable;

use crate::keyword::Status;
use crate::line::Line;
use crate::model::{Call, Expr, ValueKind};
use crate::reader::Reader;

pub(crate) use converters::CONVERTERS;
pub(crate) use fetches::FETCHES;
pub(crate) use variable::parse as variable;

/// Whether a byte may stand in the name of a fetch or a converter.
const fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | b'+')
}

/// The name at the beginning, and what follows.
fn name(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(|byte| in_name(*byte)).count();
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Reads an expression from word `at` of the line on, and moves `at` behind it. Words after the first
/// belong to it as long as they begin with the name of a converter.
///
/// # Errors
/// In the original's words, without the citation of the expression.
pub(crate) fn parse(reader: &mut Reader<'_>, line: &Line, at: &mut usize) -> Result<Expr, String> {
    let first = line.arg(*at).to_owned();
    let (called, rest) = name(&first);
    if called.is_empty() {
        return Err(String::from("missing fetch method"));
    }
    let Some(fetch) = fetches::find(called) else {
        return Err(format!("unknown fetch method '{called}'"));
    };
    let (args, mut rest) = args::read(fetch.args, rest)
        .map_err(|wrong| format!("fetch method '{called}' : {}", wrong.what))?;
    let mut args = args;
    check::fetch(reader, fetch.name, &mut args)
        .map_err(|wrong| format!("invalid args in fetch method '{called}' : {wrong}"))?;
    let mut expr = Expr {
        text: first.clone(),
        fetch: Call {
            name: fetch.name,
            args,
        },
        converters: Vec::new(),
        kind: fetch.kind,
        places: fetch.places,
    };
    // The word that `rest` is the end of.
    let mut word;
    loop {
        if !rest.is_empty() && !rest.starts_with(',') {
            let last = expr.converters.last();
            return Err(match last {
                None => format!("missing comma after fetch keyword '{called}'"),
                Some(last) => format!("missing comma after conv keyword '{}'", last.name),
            });
        }
        rest = rest.trim_start_matches(',');
        if rest.is_empty() {
            *at += 1;
            word = line.arg(*at).to_owned();
            let (candidate, _) = name(&word);
            if converters::find(candidate).is_none() {
                return Ok(expr);
            }
            expr.text.push(' ');
            expr.text.push_str(&word);
            rest = &word;
        }
        rest = converter(reader, &mut expr, rest)?;
    }
}

/// Reads one converter at the beginning of `rest`; gives what follows.
fn converter<'t>(
    reader: &mut Reader<'_>,
    expr: &mut Expr,
    rest: &'t str,
) -> Result<&'t str, String> {
    let (called, rest) = name(rest);
    let Some(converter) = converters::find(called) else {
        return Err(format!("unknown converter '{called}'"));
    };
    if !castable(expr.kind, converter.input) {
        return Err(format!("converter '{called}' cannot be applied"));
    }
    let (mut args, rest) = args::read(converter.args, rest).map_err(|wrong| {
        format!(
            "invalid arg {} in converter '{called}' : {}",
            wrong.position, wrong.what
        )
    })?;
    check::converter(reader, converter.name, &mut args)
        .map_err(|wrong| format!("invalid args in converter '{called}' : {wrong}"))?;
    expr.kind = converter.output;
    expr.converters.push(Call {
        name: converter.name,
        args,
    });
    Ok(rest)
}

/// Reads an expression that fills one text, as in `%[...]`.
///
/// # Errors
/// In the original's words.
pub(crate) fn parse_text(reader: &mut Reader<'_>, line: &Line, text: &str) -> Result<Expr, String> {
    let own = Line {
        words: text.split(' ').map(str::to_owned).collect(),
        prefix: line.prefix,
        place: line.place.clone(),
    };
    let mut at = 0;
    parse(reader, &own, &mut at)
}

/// Whether a value of one kind can be made one of another.
pub(crate) const fn castable(from: ValueKind, to: ValueKind) -> bool {
    use ValueKind::{Addr, Any, Binary, Bool, Int, Ipv4, Ipv6, Method, Text};
    match (from, to) {
        (Any, _)
        | (_, Any)
        | (Int | Text, _)
        | (Bool, Bool | Int | Text | Binary)
        | (Addr | Ipv4, Int)
        | (Addr | Ipv4 | Ipv6, Addr | Ipv4 | Ipv6 | Text | Binary)
        | (Binary, Binary | Text)
        | (Method, Method | Text | Binary) => true,
        (Bool, Addr | Ipv4 | Ipv6 | Method)
        | (Addr | Ipv4 | Ipv6, Bool | Method)
        | (Ipv6, Int)
        | (Binary, Bool | Int | Addr | Ipv4 | Ipv6 | Method)
        | (Method, Bool | Int | Addr | Ipv4 | Ipv6) => false,
    }
}

/// Why an expression has no value here; `None` if it has.
pub(crate) fn refusal(expr: &Expr) -> Option<String> {
    let fetch = fetches::find(expr.fetch.name).map(|fetch| (fetch.name, fetch.status));
    let converters = expr.converters.iter().filter_map(|call| {
        converters::find(call.name).map(|converter| (converter.name, converter.status))
    });
    fetch
        .into_iter()
        .chain(converters)
        .find_map(|(name, status)| match status {
            Status::Refused(reason) => Some(format!("'{name}' is not supported: {reason}")),
            Status::Full | Status::Accepted(_) => None,
        })
}
