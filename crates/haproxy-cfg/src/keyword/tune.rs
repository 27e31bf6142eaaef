//! Global keywords that tune what does not exist here, or TLS: read as far as the original's
//! errors need it.

use super::timeout;
use crate::line::Line;
use crate::number::{self, DelayError, Unit};
use crate::reader::Reader;

/// A number that must not be negative.
pub(crate) fn positive(reader: &mut Reader<'_>, line: &Line) {
    let keyword = line.arg(0).to_owned();
    if line.arg(1).is_empty() {
        reader.fatal_at(line, format!("'{keyword}' expects an integer argument."));
    } else if number::atol(line.arg(1)) < 0 {
        reader.fatal_at(
            line,
            format!("'{keyword}' expects a positive numeric value."),
        );
    }
}

/// Numbers with a range and a text of their own.
pub(crate) fn checked(reader: &mut Reader<'_>, line: &Line) {
    let keyword = line.arg(0).to_owned();
    let missing = line.arg(1).is_empty();
    let value = number::atol(line.arg(1));
    let (range, text) = match keyword.as_str() {
        "maxcomprate" => (i64::MIN..=i64::MAX, "expects an integer argument in kb/s."),
        "maxcompcpuusage" => (0..=100, "expects an integer argument between 0 and 100."),
        "tune.http.maxhdr" => (1..=32767, "expects a numeric value between 1 and 32767"),
        "tune.comp.maxlevel" => (1..=9, "expects a numeric value between 1 and 9"),
        "tune.maxrewrite" if missing => (0..=0, "expects an integer argument."),
        "tune.maxrewrite" => (0..=i64::MAX, "expects a positive integer argument."),
        _ => (0..=i64::MAX, "expects a positive numeric value"),
    };
    if missing || !range.contains(&value) {
        reader.fatal_at(line, format!("'{keyword}' {text}"));
    }
}

/// `tune.idletimer`
pub(crate) fn idle_timer(reader: &mut Reader<'_>, line: &Line) {
    let word = line.arg(1).to_owned();
    match timeout::read(reader, &word, Unit::Milli) {
        Err(DelayError::Unexpected(wrong)) if !word.is_empty() => reader.fatal_near(
            line,
            format!("unexpected character '{wrong}' in argument to <tune.idletimer>."),
        ),
        Ok(0..=65535) => {}
        Ok(_) | Err(_) => reader.fatal_at(
            line,
            "'tune.idletimer' expects a timer value between 0 and 65535 ms.",
        ),
    }
}

/// `tune.ssl.lifetime`
pub(crate) fn lifetime(reader: &mut Reader<'_>, line: &Line) {
    let word = line.arg(1).to_owned();
    if word.is_empty() {
        reader.fatal_at(
            line,
            "'tune.ssl.lifetime' expects ssl sessions <lifetime> in seconds as argument.",
        );
        return;
    }
    match timeout::read(reader, &word, Unit::Second) {
        Ok(_) => {}
        Err(DelayError::Overflow) => {
            reader.fatal_at(line, timeout::overflow(&word, "tune.ssl.lifetime"))
        }
        Err(DelayError::Unexpected(wrong)) => reader.fatal_at(
            line,
            format!("unexpected character '{wrong}' in argument to <tune.ssl.lifetime>."),
        ),
    }
}

/// `ca-base` and `crt-base`
pub(crate) fn tls_folder(reader: &mut Reader<'_>, line: &Line) {
    let keyword = line.arg(0).to_owned();
    if line.arg(1).is_empty() {
        reader.fatal_at(
            line,
            format!("global statement '{keyword}' expects a directory path as an argument."),
        );
        return;
    }
    let name = if keyword == "ca-base" {
        "ca-base"
    } else {
        "crt-base"
    };
    if reader.numbers.insert(name, 1).is_some() {
        reader.fatal_at(line, format!("'{keyword}' already specified."));
    }
}

/// `ssl-default-*-ciphers` and its kin`
pub(crate) fn tls_ciphers(reader: &mut Reader<'_>, line: &Line) {
    if line.arg(1).is_empty() {
        reader.fatal_at(
            line,
            format!(
                "global statement '{}' expects a cipher suite as an argument.",
                line.arg(0)
            ),
        );
    }
}

/// `ssl-default-*-options`
pub(crate) fn tls_options(reader: &mut Reader<'_>, line: &Line) {
    let keyword = line.arg(0).to_owned();
    if line.arg(1).is_empty() {
        reader.fatal_at(
            line,
            format!("global statement '{keyword}' expects an option as an argument."),
        );
        return;
    }
    let mut at = 1;
    while !line.arg(at).is_empty() {
        match line.arg(at) {
            "ssl-min-ver" | "ssl-max-ver" => {
                let (word, version) = (line.arg(at), line.arg(at + 1));
                if version.is_empty() {
                    reader.fatal_at(line, format!("'{word}' : missing the ssl/tls version on global statement '{keyword}'."));
                    return;
                }
                if !matches!(
                    version,
                    "SSLv3" | "TLSv1.0" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3"
                ) {
                    reader.fatal_at(
                        line,
                        format!(
                            "'{version}' : unknown ssl/tls version on global statement '{keyword}'."
                        ),
                    );
                    return;
                }
                at += 1;
            }
            "no-sslv3" | "no-tlsv10" | "no-tlsv11" | "no-tlsv12" | "no-tlsv13" | "force-sslv3"
            | "force-tlsv10" | "force-tlsv11" | "force-tlsv12" | "force-tlsv13"
            | "no-tls-tickets" => {}
            "prefer-client-ciphers" if keyword == "ssl-default-bind-options" => {}
            other => {
                reader.fatal_at(
                    line,
                    format!("unknown option '{other}' on global statement '{keyword}'."),
                );
                return;
            }
        }
        at += 1;
    }
}

/// `ssl-server-verify`
pub(crate) fn tls_verify(reader: &mut Reader<'_>, line: &Line) {
    match line.arg(1) {
        "" => reader.fatal_at(line, "'ssl-server-verify' expects an integer argument."),
        "none" | "required" => {}
        _ => reader.fatal_at(
            line,
            "'ssl-server-verify' expects 'none' or 'required' as argument.",
        ),
    }
}

/// `ssl-dh-param-file`
pub(crate) fn dh_param_file(reader: &mut Reader<'_>, line: &Line) {
    let file = line.arg(1).to_owned();
    if file.is_empty() {
        reader.fatal_at(
            line,
            "'ssl-dh-param-file' expects a file path as an argument.",
        );
    } else if !reader.readable(&file) {
        reader.fatal_at(
            line,
            format!("'ssl-dh-param-file': unable to load DH parameters from file <{file}>."),
        );
    }
}

/// `tune.ssl.default-dh-param`
pub(crate) fn dh_param_size(reader: &mut Reader<'_>, line: &Line) {
    if line.arg(1).is_empty() {
        reader.fatal_at(
            line,
            "'tune.ssl.default-dh-param' expects an integer argument.",
        );
    } else if number::atoi(line.arg(1)) < 1024 {
        reader.fatal_at(line, "'tune.ssl.default-dh-param' expects a value >= 1024.");
    }
}

/// `tune.bufsize`
pub(crate) fn bufsize(reader: &mut Reader<'_>, line: &Line) {
    if line.arg(1).is_empty() {
        reader.fatal_at(line, "'tune.bufsize' expects an integer argument.");
        return;
    }
    // An int in the original, rounded up to a multiple of two pointers, as the manual says.
    #[expect(clippy::cast_possible_truncation, reason = "as the original reads it")]
    let value = (number::atol(line.arg(1)) as i32).wrapping_add(15) & -16;
    if value <= 0 {
        reader.fatal_at(line, "'tune.bufsize' expects a positive integer argument.");
        return;
    }
    reader.numbers.insert("tune.bufsize", i64::from(value));
}

/// `tune.io-uring`, which is ours: whether connections begin on an io_uring.
pub(crate) fn io_uring(reader: &mut Reader<'_>, line: &Line) {
    switch(reader, line);
    reader.global.tune.io_uring = line.arg(1) == "on";
}

/// `on` or `off`.
pub(crate) fn switch(reader: &mut Reader<'_>, line: &Line) {
    let (keyword, word) = (line.arg(0).to_owned(), line.arg(1).to_owned());
    if !matches!(word.as_str(), "on" | "off") {
        reader.fatal_at(
            line,
            format!("'{keyword}' expects either 'on' or 'off' but got '{word}'."),
        );
    }
}
