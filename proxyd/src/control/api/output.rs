//! The forms in which figures leave: CSV, `Name: value`, typed lines, JSON.

use std::fmt::{self, Write as _};

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    U32(u32),
    U64(u64),
    S32(i32),
    Text(String),
}

impl Value {
    /// The name of its type.
    const fn kind(&self) -> &'static str {
        match self {
            Self::U32(_) => "u32",
            Self::U64(_) => "u64",
            Self::S32(_) => "s32",
            Self::Text(_) => "str",
        }
    }

    /// The value as JSON.
    fn write_json(&self, out: &mut String) {
        match self {
            Self::Text(text) => json_string(out, text),
            Self::U32(_) | Self::U64(_) | Self::S32(_) => put(out, format_args!("{self}")),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::U32(number) => number.fmt(f),
            Self::U64(number) => number.fmt(f),
            Self::S32(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::U32(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::U64(number)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Writes into a String, which cannot fail.
pub(super) fn put(out: &mut String, arguments: fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}

/// One cell of a CSV line with the comma that ends it; quoted only where it must be.
pub(super) fn csv_cell(out: &mut String, value: Option<&Value>) {
    if let Some(value) = value {
        let begin = out.len();
        put(out, format_args!("{value}"));
        let cell = out.get(begin..).unwrap_or_default();
        if cell.contains([',', '"', '\n', '\r']) {
            let quoted = format!("\"{}\"", cell.replace('"', "\"\""));
            out.truncate(begin);
            out.push_str(&quoted);
        }
    }
    out.push(',');
}

/// The part of a typed line after its key: `:MGP:u32:0`.
pub(super) fn typed(out: &mut String, tags: &str, value: &Value) {
    put(out, format_args!(":{tags}:{}:{value}\n", value.kind()));
}

/// The part of a JSON object that both reports share, its closing brace included.
pub(super) fn json(out: &mut String, position: usize, name: &str, tags: &str, value: &Value) {
    put(
        out,
        format_args!("\"field\":{{\"pos\":{position},\"name\":"),
    );
    json_string(out, name);
    let mut tags = tags.chars();
    let (origin, nature, scope) = (tags.next(), tags.next(), tags.next());
    put(
        out,
        format_args!(
            "}},\"processNum\":1,\"tags\":{{\"origin\":\"{}\",\"nature\":\"{}\",\"scope\":\"{}\"}},\
             \"value\":{{\"type\":\"{}\",\"value\":",
            self::origin(origin),
            self::nature(nature),
            self::scope(scope),
            value.kind(),
        ),
    );
    value.write_json(out);
    out.push_str("}}");
}

fn origin(code: Option<char>) -> &'static str {
    match code {
        Some('M') => "Metric",
        Some('S') => "Status",
        Some('K') => "Key",
        Some('C') => "Config",
        Some('P') => "Product",
        _ => "None",
    }
}

fn nature(code: Option<char>) -> &'static str {
    match code {
        Some('G') => "Gauge",
        Some('L') => "Limit",
        Some('m') => "Min",
        Some('M') => "Max",
        Some('R') => "Rate",
        Some('C') => "Counter",
        Some('D') => "Duration",
        Some('A') => "Age",
        Some('T') => "Time",
        Some('N') => "Name",
        Some('O') => "Output",
        Some('a') => "Avg",
        _ => "None",
    }
}

fn scope(code: Option<char>) -> &'static str {
    match code {
        Some('C') => "Cluster",
        Some('P') => "Process",
        Some('S') => "Service",
        _ => "System",
    }
}

fn json_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if u32::from(control) < 0x20 => {
                put(out, format_args!("\\u{:04x}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_only_where_they_must() {
        let mut out = String::new();
        csv_cell(&mut out, None);
        csv_cell(&mut out, Some(&Value::U32(7)));
        csv_cell(&mut out, Some(&Value::from("a b")));
        csv_cell(&mut out, Some(&Value::from("a,\"b\"")));
        assert_eq!(out, ",7,a b,\"a,\"\"b\"\"\",");
    }

    #[test]
    fn a_json_field_has_the_originals_shape() {
        let mut out = String::new();
        json(&mut out, 0, "pxname", "KNS", &Value::from("b\"e\u{1}"));
        assert_eq!(
            out,
            "\"field\":{\"pos\":0,\"name\":\"pxname\"},\"processNum\":1,\"tags\":{\"origin\":\"Key\",\
             \"nature\":\"Name\",\"scope\":\"Service\"},\"value\":{\"type\":\"str\",\
             \"value\":\"b\\\"e\\u0001\"}}"
        );
    }

    #[test]
    fn a_typed_value_names_its_type() {
        let mut out = String::new();
        typed(&mut out, "MAP", &Value::S32(-1));
        assert_eq!(out, ":MAP:s32:-1\n");
    }
}
