//! Text with values in it: `%[expression]`, `%%` and the variables of log formats (configuration
//! manual, section 8.2.4), as far as rules use them.

use super::fetches;
use super::references::{self, Context};
use crate::draft::Draft;
use crate::line::Line;
use crate::model::{Format, Part, Stage};
use crate::reader::Reader;
use crate::text;

/// Reads a format.
///
/// # Errors
/// In the original's words.
pub(crate) fn parse(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    written: &str,
    stage: Stage,
    context: &Context,
) -> Result<Format, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = written;
    while let Some(at) = rest.find('%') {
        literal.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('%') {
            literal.push('%');
            rest = after;
            continue;
        }
        if rest.is_empty() {
            return Err(String::from("truncated line after '%'"));
        }
        let mut flags = String::new();
        if let Some((inside, after)) = rest
            .strip_prefix('{')
            .and_then(|inside| inside.split_once('}'))
        {
            inside.clone_into(&mut flags);
            rest = after;
        }
        if !literal.is_empty() {
            parts.push(Part::Text(text::decode(&std::mem::take(&mut literal))));
        }
        let Some(inside) = rest.strip_prefix('[') else {
            return Err(unknown(rest));
        };
        let (expr, after) = expression(reader, line, inside)?;
        if !expr.fits(stage) {
            return Err(format!(
                "sample fetch <{inside}> may not be reliably used here because it needs '{}' which is not available here",
                fetches::source(expr.fetch.name, expr.places)
            ));
        }
        let found = references::of(&expr, context, &line.place);
        draft.settings.acls.references.extend(found);
        parts.push(Part::Expr {
            expr: Box::new(expr),
            quoted: flags.contains("+Q"),
            hexadecimal: flags.contains("+X"),
        });
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Text(text::decode(&literal)));
    }
    Ok(Format { parts })
}

fn unknown(rest: &str) -> String {
    let name: String = rest
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric())
        .collect();
    format!(
        "no such format variable '{name}'. If you wanted to emit the '%' character verbatim, you need to use '%%'"
    )
}

/// The expression up to its bracket, and what follows that.
fn expression<'t>(
    reader: &mut Reader<'_>,
    line: &Line,
    inside: &'t str,
) -> Result<(crate::model::Expr, &'t str), String> {
    // The bracket that closes it stands outside of arguments and quotes.
    let mut depth = 0_u32;
    let mut quote = None;
    let mut end = None;
    for (at, character) in inside.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') if depth > 0 => quote = Some(character),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ']') if depth == 0 => {
                end = Some(at);
                break;
            }
            (None, _) => {}
        }
    }
    let Some(end) = end else {
        return Err(format!("missing ']' after '{inside}'"));
    };
    let (body, after) = inside.split_at_checked(end).unwrap_or((inside, ""));
    let expr = super::parse_text(reader, line, body)
        .map_err(|wrong| format!("failed to parse sample expression <{inside}> : {wrong}"))?;
    Ok((expr, after.get(1..).unwrap_or_default()))
}
