//! Names of proxies, servers and tables in arguments: they may be declared further down, so that
//! they are looked for once everything is read.

use crate::draft::Draft;
use crate::model::{Arg, Expr, Place};
use crate::reader::Reader;

/// What kind of line an expression stands in, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Context {
    /// An ACL, and what the original treats as one.
    Acl,
    /// Anything else, in the original's words: "tracking rule".
    Rule(&'static str),
}

/// An argument that names something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    arg: Arg,
    /// Which argument, from 1.
    position: usize,
    /// What it is an argument of, in the original's words.
    of: String,
    place: Place,
}

/// The references in an expression.
pub(crate) fn of(expr: &Expr, context: &Context, place: &Place) -> Vec<Reference> {
    let fetch = expr.fetch.name;
    let owner = |converter: Option<&str>| match (context, converter) {
        (Context::Acl, None) => format!("ACL keyword '{fetch}'"),
        (Context::Acl, Some(name)) => {
            format!("conversion keyword '{name}' for ACL keyword '{fetch}'")
        }
        (Context::Rule(rule), None) => {
            format!("sample fetch keyword '{fetch}' in {rule}")
        }
        (Context::Rule(rule), Some(name)) => {
            format!("conversion keyword '{name}' for sample fetch keyword '{fetch}' in {rule}")
        }
    };
    let calls = std::iter::once((None, &expr.fetch))
        .chain(expr.converters.iter().map(|call| (Some(call.name), call)));
    let mut found = Vec::new();
    for (converter, call) in calls {
        for (index, arg) in call.args.iter().enumerate() {
            let looked_for = matches!(
                arg,
                Arg::Frontend(_)
                    | Arg::Backend(_)
                    | Arg::Server { .. }
                    | Arg::Table(_)
                    | Arg::UserList(_)
                    | Arg::Regex(_)
            );
            // A counter that is tracked in a table knows the table itself.
            let optional = *arg == Arg::Table(None) && index > 0;
            if looked_for && !optional {
                found.push(Reference {
                    arg: arg.clone(),
                    position: index + 1,
                    of: owner(converter),
                    place: place.clone(),
                });
            }
        }
    }
    found
}

/// Looks for all that the sections refer to; says what does not exist.
pub(crate) fn resolve(reader: &mut Reader<'_>, drafts: &[Draft], draft: &Draft) {
    let wrong: Vec<String> = draft
        .settings
        .acls
        .references
        .iter()
        .filter_map(|reference| {
            let what = missing(reader, drafts, draft, reference)?;
            let place = &reference.place;
            Some(format!("parsing [{}:{}]: {what}", place.file, place.line))
        })
        .collect();
    match wrong.as_slice() {
        [] => {}
        [one] => reader.fatal(one.clone()),
        many => {
            let lines: Vec<String> = many.iter().map(|line| format!("\n\t{line}")).collect();
            reader.fatal(format!(
                "multiple argument resolution errors:{}",
                lines.concat()
            ));
        }
    }
}

/// What is wrong with a reference of `draft`.
fn missing(
    reader: &Reader<'_>,
    drafts: &[Draft],
    draft: &Draft,
    reference: &Reference,
) -> Option<String> {
    let Reference {
        position, of, arg, ..
    } = reference;
    let at = format!(
        "referenced in arg {position} of {of} in proxy '{}'.",
        draft.name
    );
    let has = |name: &str, fits: fn(&Draft) -> bool| {
        drafts.iter().any(|other| other.name == name && fits(other))
    };
    match arg {
        Arg::Frontend(None) if !draft.has_frontend() => Some(capability(draft, &at, "frontend")),
        Arg::Backend(None) if !draft.has_backend() => Some(capability(draft, &at, "backend")),
        Arg::Frontend(Some(name)) if !has(name, Draft::has_frontend) => {
            Some(format!("unable to find frontend '{name}' {at}"))
        }
        Arg::Backend(Some(name)) if !has(name, Draft::has_backend) => {
            Some(format!("unable to find backend '{name}' {at}"))
        }
        Arg::Server { backend, server } => {
            if backend.is_none() && server.is_empty() {
                return Some(format!(
                    "missing server name in arg {position} of {of} in proxy '{}'.",
                    draft.name
                ));
            }
            let name = backend.as_ref().unwrap_or(&draft.name);
            let owner = drafts
                .iter()
                .find(|other| other.name == *name && (backend.is_none() || other.has_backend()));
            let Some(owner) = owner else {
                return Some(format!("unable to find proxy '{name}' {at}"));
            };
            let exists = owner
                .servers
                .iter()
                .any(|known| known.server.name == *server);
            (!exists).then(|| format!("unable to find server '{server}' in proxy '{name}', {at}"))
        }
        Arg::Table(name) => {
            let name = name.as_ref().unwrap_or(&draft.name);
            let exists = reader.has_table(name) || has(name, Draft::has_table);
            (!exists).then(|| format!("unable to find table '{name}' {at}"))
        }
        Arg::UserList(name) => {
            let exists = reader.has_userlist(name);
            (!exists).then(|| format!("unable to find userlist '{name}' {at}"))
        }
        Arg::Regex(text) => {
            let wrong = super::regex::check(text).err()?;
            Some(format!(
                "error in regex '{text}' in arg {position} of {of} in proxy '{}' : {wrong}.",
                draft.name
            ))
        }
        _ => None,
    }
}

fn capability(draft: &Draft, at: &str, side: &str) -> String {
    format!("proxy '{}', {at}, has not {side} capability.", draft.name).replace(".,", ",")
}
