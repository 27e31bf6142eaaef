//! `acl` lines and anonymous ACLs (configuration manual, section 7.1).

use super::pattern::{self, Form};
use super::{fetches, in_name, parse};
use crate::line::Line;
use crate::model::{Method, Pattern, Test};
use crate::reader::Reader;

/// Keywords that are a fetch with a method of their own.
const KEYWORDS: &[(&str, &str, &str)] = &[
    ("cook", "req.cook", "str"),
    ("hdr", "req.hdr", "str"),
    ("method", "method", "str"),
    ("payload", "req.payload", "bin"),
    ("payload_lv", "req.payload_lv", "bin"),
    ("req.ssl_ver", "req.ssl_ver", "dotted"),
    ("req_rdp_cookie", "req.rdp_cookie", "str"),
    ("req_rdp_cookie_cnt", "req.rdp_cookie_cnt", "int"),
    ("req_ssl_sni", "req.ssl_sni", "str"),
    ("req_ssl_ver", "req.ssl_ver", "dotted"),
    ("req_ver", "req.ver", "str"),
    ("resp_ver", "res.ver", "str"),
    ("scook", "res.cook", "str"),
    ("shdr", "res.hdr", "str"),
    ("http_auth_group", "http_auth_group", "str"),
];

/// Fetches that exist with every method of texts at the end of their names.
const SUFFIXED: &[(&str, &str)] = &[
    ("base", "base"),
    ("cook", "req.cook"),
    ("hdr", "req.hdr"),
    ("path", "path"),
    ("scook", "res.cook"),
    ("shdr", "res.hdr"),
    ("url", "url"),
    ("urlp", "urlp"),
];

/// The fetch and the method that an ACL keyword stands for.
fn keyword(name: &str) -> Option<(&'static str, &'static str)> {
    if let Some((_, fetch, method)) = KEYWORDS.iter().find(|(known, ..)| *known == name) {
        return Some((fetch, method));
    }
    if let Some((_, fetch)) = SUFFIXED.iter().find(|(known, _)| *known == name) {
        return Some((fetch, "str"));
    }
    match name {
        "ssl_fc_sni_end" => return Some(("ssl_fc_sni", "end")),
        "ssl_fc_sni_reg" => return Some(("ssl_fc_sni", "reg")),
        _ => {}
    }
    let (base, suffix) = name.rsplit_once('_')?;
    let (_, fetch) = SUFFIXED.iter().find(|(known, _)| *known == base)?;
    ["beg", "dir", "dom", "end", "len", "reg", "sub"]
        .into_iter()
        .find(|known| *known == suffix)
        .map(|method| (*fetch, method))
}

const NO_PATTERN: &str = "\n  no pattern to match against were provided, so this ACL will never match.\n  If this is what you intended, please add '--' to get rid of this warning.\n  If you intended to match only for existence, please use '-m found'.\n  If you wanted to force an int to match as a bool, please use '-m bool'.\n";

/// Reads a test from word `at` of a line to its end.
///
/// # Errors
/// In the original's words.
pub(crate) fn test(reader: &mut Reader<'_>, line: &Line, at: usize) -> Result<Test, String> {
    let first = line.arg(at).to_owned();
    let end = first.bytes().take_while(|byte| in_name(*byte)).count();
    let name = first.get(..end).unwrap_or_default();
    let alias = keyword(name);
    let mut next = at;
    let (expr, written) = match alias {
        Some((fetch, method)) => {
            let mut words = line.words.clone();
            if let Some(word) = words.get_mut(at) {
                *word = format!("{fetch}{}", first.get(end..).unwrap_or_default());
            }
            // Converters behind an ACL keyword stand in the same word.
            words.truncate(at + 1);
            let own = Line {
                words,
                prefix: line.prefix,
                place: line.place.clone(),
            };
            let expr = parse(reader, &own, &mut next).map_err(|wrong| {
                let wrong = ["fetch method", "invalid args in fetch method"]
                    .iter()
                    .find_map(|before| wrong.strip_prefix(&format!("{before} '{fetch}' : ")))
                    .unwrap_or(&wrong);
                // The original ends what it says of converters with a full stop of its own.
                let stop = if wrong.contains("converter") { "." } else { "" };
                format!("ACL keyword '{name}' : {wrong}{stop}")
            })?;
            let method = expr.converters.is_empty().then_some(method);
            (expr, method)
        }
        None => {
            let expr = parse(reader, line, &mut next)
                .map_err(|wrong| format!("{wrong} in ACL expression '{first}'"))?;
            // Converters in words of their own are patterns as well, as in the original.
            next = at + 1;
            (expr, None)
        }
    };
    let dotted = written == Some("dotted");
    let usual = match written {
        Some("dotted") => Some(Method::Int),
        Some(method) => pattern::method(method),
        None => pattern::usual(expr.kind),
    };
    if line.arg(next).is_empty() && !matches!(usual, None | Some(Method::Bool)) {
        reader.warn(format!("parsing acl keyword '{name}' :{NO_PATTERN}"));
    }
    let mut form = Form {
        method: usual.unwrap_or(Method::Found),
        dotted,
        ignore_case: false,
        no_lookup: false,
    };
    let fetch_name = expr.fetch.name;
    let (mut known, mut patterns) = (usual.is_some(), Vec::new());
    let undecided = || {
        format!(
            "matching method must be specified first (using '-m') when using a sample fetch of this type ('{fetch_name}')"
        )
    };
    let mut pairs = false;
    let mut from_file = false;
    loop {
        let flag = line.arg(next).to_owned();
        if !flag.starts_with('-') {
            break;
        }
        next += 1;
        match flag.as_str() {
            "--" => break,
            "-i" => form.ignore_case = true,
            "-n" => form.no_lookup = true,
            "-M" => pairs = true,
            "-u" => {
                let id = line.arg(next);
                let number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
                if !number {
                    return Err(String::from("the argument of -u must be an integer"));
                }
                next += 1;
            }
            "-f" => {
                if !known {
                    return Err(undecided());
                }
                let file = line.arg(next).to_owned();
                next += 1;
                from_file = true;
                let found = pattern::file(reader, form, &file, pairs)?;
                patterns.extend(found.into_iter().map(|(pattern, _)| pattern));
            }
            "-m" => {
                if from_file {
                    return Err(String::from(
                        "'-m' must only be specified before patterns and files in parsing ACL expression",
                    ));
                }
                let written = line.arg(next).to_owned();
                next += 1;
                let Some(method) = pattern::method(&written) else {
                    return Err(format!(
                        "unknown matching method '{written}' when parsing ACL expression"
                    ));
                };
                if !pattern::compares(expr.kind, method) {
                    return Err(format!(
                        "matching method '{written}' cannot be used with fetch keyword '{}'",
                        fetches::find(fetch_name).map_or(fetch_name, |fetch| fetch.name)
                    ));
                }
                form.method = method;
                form.dotted = false;
                known = true;
            }
            _ => {
                return Err(format!(
                    "'{flag}' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'"
                ));
            }
        }
    }
    if !known {
        return Err(undecided());
    }
    words(reader, line, next, form, &mut patterns)?;
    Ok(Test {
        expr,
        method: form.method,
        patterns,
        place: line.place.clone(),
    })
}

/// The patterns from word `at` on.
fn words(
    reader: &Reader<'_>,
    line: &Line,
    mut at: usize,
    form: Form,
    patterns: &mut Vec<Pattern>,
) -> Result<(), String> {
    let numbers = matches!(form.method, Method::Int | Method::Length);
    let mut operator = None;
    while !line.arg(at).is_empty() {
        let word = line.arg(at);
        at += 1;
        if numbers && matches!(word, "eq" | "ge" | "gt" | "le" | "lt") {
            operator = Some(word.to_owned());
            continue;
        }
        let pattern = match operator.as_deref() {
            None | Some("eq") => pattern::parse(reader, form, word).map_err(|wrong| {
                match operator {
                    // What is no range could have been another operator.
                    Some(_) if !word.contains(':') => neither(word),
                    _ => wrong,
                }
            })?,
            Some(operator) => {
                let first = word.split(':').next().unwrap_or_default();
                let number = pattern::number(form.dotted, first).ok_or_else(|| {
                    if word.contains(':') || word.starts_with('-') {
                        format!("'{word}' is not a valid number range")
                    } else {
                        neither(word)
                    }
                })?;
                match operator {
                    "ge" => Pattern::Range(Some(number), None),
                    "gt" => Pattern::Range(Some(number.saturating_add(1)), None),
                    "le" => Pattern::Range(None, Some(number)),
                    _ => Pattern::Range(None, Some(number.saturating_sub(1))),
                }
            }
        };
        patterns.push(pattern);
    }
    Ok(())
}

fn neither(word: &str) -> String {
    format!("'{word}' is neither a number nor a supported operator")
}
