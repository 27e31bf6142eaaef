//! `show stat`: which rows are asked for, and the form in which they leave.

use haproxy_cfg::model::{Proxy, StatsLevel};

use super::fields::{FIELDS, SEPARATOR};
use super::frontend::named;
use super::output::{Value, csv_cell, json, put, typed};
use super::rows::{Kind, Report, Row, Selection};
use super::{Context, Reply};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Query<'a> {
    proxy: Option<&'a str>,
    /// Bits 1 frontend, 2 backend, 4 server, 8 listener.
    kinds: Option<u32>,
    sid: Option<u32>,
    selection: Selection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Typed,
    Json,
}

pub(super) fn show(context: &mut Context<'_>, words: &[&str]) -> Reply {
    let mut query = Query::default();
    let mut form = Form::Csv;
    let filter = words
        .get(2..5)
        .filter(|words| words.iter().all(|word| !word.is_empty()));
    let numbers = filter.and_then(|filter| Some((filter.first()?, filter.get(1)?, filter.get(2)?)));
    if let Some((proxy, kinds, sid)) = numbers {
        query.proxy = (*proxy != "-1").then_some(*proxy);
        query.kinds = number(kinds);
        query.sid = number(sid);
    }
    for word in words.get(2..).unwrap_or_default() {
        match *word {
            "up" => query.selection.up = true,
            "no-maint" => query.selection.no_maint = true,
            "typed" => form = Form::Typed,
            "json" => form = Form::Json,
            "desc" => return Reply::error("'show stat desc' is not supported."),
            _ => {}
        }
    }
    let plane = context.plane.borrow();
    let known = |proxy: &Proxy, name: &str| {
        proxy.name == name || named(proxy, name) || name.parse() == Ok(proxy.id)
    };
    let wanted = query.proxy;
    if let Some(name) = wanted
        && name.parse::<i64>().is_err()
        && !plane.config.proxies.iter().any(|proxy| known(proxy, name))
    {
        return Reply::error("No such proxy.");
    }
    let mut rows = Vec::new();
    for (index, proxy) in plane.config.proxies.iter().enumerate() {
        if proxy.disabled || wanted.is_some_and(|name| !known(proxy, name)) {
            continue;
        }
        let report = Report {
            plane: &plane,
            index,
            proxy,
            selection: query.selection,
            show_addresses: context.session.level >= StatsLevel::Operator,
        };
        report.rows(&mut rows);
    }
    rows.retain(|row| {
        let kind = query
            .kinds
            .is_none_or(|kinds| kinds & (1 << row.kind.number()) != 0);
        kind && query.sid.is_none_or(|sid| sid == row.sid)
    });
    Reply::Data(render(&rows, form))
}

/// A number of the filter; negative ones stand for everything.
fn number(word: &str) -> Option<u32> {
    match word.parse::<i64>() {
        Ok(number) => u32::try_from(number).ok(),
        // As the original reads a word where it expects a number.
        Err(_) => Some(0),
    }
}

fn render(rows: &[Row], form: Form) -> String {
    let mut out = String::new();
    match form {
        Form::Csv => {
            out.push_str("# ");
            for field in FIELDS {
                put(&mut out, format_args!("{},", field.name));
            }
            out.push('\n');
            for row in rows {
                for field in FIELDS {
                    if field.name == SEPARATOR {
                        out.push_str("-,");
                    } else {
                        csv_cell(&mut out, row.cells.get(field.name));
                    }
                }
                out.push('\n');
            }
        }
        Form::Typed => {
            for row in rows {
                let letter = row.kind.names().0;
                each(row, |position, name, tags, value| {
                    let (iid, sid) = (row.iid, row.sid);
                    put(
                        &mut out,
                        format_args!("{letter}.{iid}.{sid}.{position}.{name}.1"),
                    );
                    typed(&mut out, tags, value);
                });
            }
        }
        Form::Json => {
            out.push('[');
            for (index, row) in rows.iter().enumerate() {
                out.push_str(if index == 0 { "[" } else { ",[" });
                let (word, mut first) = (row.kind.names().1, true);
                each(row, |position, name, tags, value| {
                    let comma = if std::mem::take(&mut first) { "" } else { "," };
                    put(
                        &mut out,
                        format_args!(
                            "{comma}{{\"objType\":\"{word}\",\"proxyId\":{},\"id\":{},",
                            row.iid, row.sid
                        ),
                    );
                    json(&mut out, position, name, tags, value);
                });
                out.push(']');
            }
            out.push_str("]\n");
        }
    }
    out
}

/// Every field that has a value, with its number and tags.
fn each(row: &Row, mut visit: impl FnMut(usize, &str, &str, &Value)) {
    let fields = FIELDS.iter().filter(|field| field.name != SEPARATOR);
    for (position, field) in fields.enumerate() {
        let Some(value) = row.cells.get(field.name) else {
            continue;
        };
        let tags = match (row.kind, field.name) {
            (Kind::Server, "act" | "bck") => "SGP",
            (Kind::Backend, "rate" | "rate_max") => "MGP",
            _ => field.tags,
        };
        visit(position, field.name, tags, value);
    }
}
