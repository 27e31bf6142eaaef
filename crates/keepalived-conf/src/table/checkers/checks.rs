//! What is in the checkers of a real server.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::super::{Action, Block, Handled, Row, no_close, nothing};
use crate::number::signed;

use super::*;

macro_rules! row {
    ($name:literal, $take:expr) => {
        Row::accepted($name, "", $take, REASON)
    };
}

/// The words of a check that is tried again, and those given.
macro_rules! tried {
    ($($own:expr),* $(,)?) => {
        &[
            row!("alpha", |pass, line| switch(pass, line, "Invalid alpha parameter {}")),
            row!("retry", |pass, line| {
                count(pass, line, 0, u32::MAX, "Invalid retry connection value '{}'").map(drop)
            }),
            row!("delay_before_retry", |pass, line| {
                time(pass, line, 0, MAX_64, "Invalid delay_before_retry connection value '{}'")
            }),
            row!("warmup", |pass, line| {
                time(pass, line, 0, MAX_64, "Invalid warmup connection value '{}'")
            }),
            row!("delay_loop", |pass, line| {
                time(pass, line, 1, MAX_64, "delay_loop '{}' is invalid - ignoring")
            }),
            row!("log_all_failures", |pass, line| {
                switch(pass, line, "Invalid log_all_failures parameter {}")
            }),
            $($own),*
        ]
    };
}

/// The same of one that connects.
macro_rules! connecting {
    ($($own:expr),* $(,)?) => {
        tried![
            row!("connect_ip", |pass, line| {
                host(pass, line, "Invalid connect_ip address {} - ignoring")
            }),
            row!("connect_port", |pass, line| {
                let complaint = "Invalid checker connect_port '{}'";
                count(pass, line, 1, u32::from(u16::MAX), complaint).map(drop)
            }),
            row!("bindto", |pass, line| {
                host(pass, line, "Invalid bindto address {} - ignoring")
            }),
            row!("bind_if", bind_if),
            row!("bind_port", |pass, line| {
                let complaint = "Invalid checker bind_port '{}'";
                count(pass, line, 1, u32::from(u16::MAX), complaint).map(drop)
            }),
            row!("fwmark", |pass, line| {
                count(pass, line, 0, u32::MAX, "Invalid fwmark connection value '{}'").map(drop)
            }),
            row!("connect_timeout", |pass, line| {
                time(pass, line, 1, MAX_32, "connect_timeout {} invalid - ignoring")
            }),
            $($own),*
        ]
    };
}

pub(in crate::table) const TCP: &[Row] = connecting![];

pub(in crate::table) const HTTP: &[Row] = connecting![
    row!("nb_get_retry", |pass, line| {
        let _ = pass.word(line, 1)?;
        pass.complain("nb_get_retry is deprecated - please use 'retry'");
        count(pass, line, 0, u32::MAX, "Invalid nb_get_retry value '{}'").map(drop)
    }),
    row!("http_protocol", |pass, line| {
        let Some(word) = line.words.get(1) else {
            pass.complain("Missing http_protocol version");
            return Ok(());
        };
        let text = word.text();
        if !["1.0", "1.1", "1.0C", "1.0c", "1.1C", "1.1c"].contains(&text.as_ref()) {
            pass.complain(format!("Invalid http_protocol version {text}"));
        }
        Ok(())
    }),
    row!("fast_recovery", |pass, line| switch(
        pass,
        line,
        "Invalid fast_recovery parameter {}"
    )),
    row!("enable_sni", |pass, line| switch(
        pass,
        line,
        "Invalid enable_sni parameter {}"
    )),
    row!("virtualhost", |pass, line| named(
        pass,
        line,
        "HTTP_GET virtualhost name missing"
    )),
    row!("url", nothing).with_action(Action::Enter {
        open: url,
        inside: Block::Url,
        close: url_end,
    }),
];

pub(in crate::table) const URL: &[Row] = &[
    row!("path", |pass, line| {
        pass.word(line, 1)?;
        if let Some(real) = current_real(pass) {
            real.path = true;
        }
        Ok(())
    }),
    row!("digest", digest),
    row!("status_code", status),
    row!("virtualhost", |pass, line| named(
        pass,
        line,
        "Missing HTTP_GET virtualhost name"
    )),
    row!("regex", nothing),
    row!("regex_no_match", nothing),
    row!("regex_options", nothing),
    row!("regex_stack", nothing),
    row!("regex_min_offset", nothing),
    row!("regex_max_offset", nothing),
];

pub(in crate::table) const SMTP: &[Row] = connecting![
    row!("helo_name", |pass, line| named(
        pass,
        line,
        "SMTP_CHECK helo name missing"
    )),
    row!("host", nothing).with_action(Action::Enter {
        open: nothing,
        inside: Block::TcpCheck,
        close: no_close,
    }),
];

pub(in crate::table) const DNS: &[Row] = connecting![
    row!("type", |pass, line| {
        const TYPES: [&str; 9] = [
            "A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY",
        ];
        let text = pass.text(line, 1)?;
        if !TYPES.iter().any(|name| text.eq_ignore_ascii_case(name)) {
            pass.complain(format!("Unknown DNS check type {text} - ignoring"));
        }
        Ok(())
    }),
    row!("name", |pass, line| pass.word(line, 1).map(drop)),
];

pub(in crate::table) const MISC: &[Row] = tried![
    row!("misc_path", |pass, line| {
        if let (Some(word), Some(real)) = (line.words.get(1), current_real(pass)) {
            real.script = Some(PathBuf::from(OsStr::from_bytes(&word.bytes)));
        }
        Ok(())
    }),
    row!("misc_timeout", |pass, line| {
        count(pass, line, 0, 4_294, "Invalid misc_timeout value '{}'").map(drop)
    }),
    row!("misc_dynamic", nothing),
    row!("user", user),
];

pub(in crate::table) const UDP: &[Row] = connecting![
    row!("payload", |pass, line| {
        named(pass, line, "UDP_CHECK payload requires a payload")?;
        hex(pass, line, "Invalid hex string for UDP_CHECK payload")
    }),
    row!("require_reply", |pass, line| hex(
        pass,
        line,
        "Invalid hex string for UDP_CHECK reply"
    )),
    row!("min_reply_length", |pass, line| {
        let complaint = "UDP_CHECK min length {} not valid - must be between 0 & 65535";
        count(pass, line, 0, u32::from(u16::MAX), complaint).map(drop)
    }),
    row!("max_reply_length", |pass, line| {
        let complaint = "UDP_CHECK max length {} not valid - must be between 0 & 65535";
        count(pass, line, 0, u32::from(u16::MAX), complaint).map(drop)
    }),
];

pub(in crate::table) const BFD: &[Row] = &[
    row!("alpha", |pass, line| switch(
        pass,
        line,
        "Invalid alpha parameter {}"
    )),
    row!("name", |pass, line| pass.word(line, 1).map(drop)),
];

pub(in crate::table) const FILE: &[Row] = &[
    row!("weight", file_weight),
    row!("track_file", |pass, line| {
        let text = pass.text(line, 1)?;
        if !pass.draft.lvs.files.contains(&text) {
            pass.complain(format!("track_file {text} not found"));
        }
        Ok(())
    }),
];

/// The first line of a checker.
pub(super) fn open(pass: &mut Pass<'_>, _: &Line) -> Handled {
    if let Some(real) = current_real(pass) {
        real.urls = 0;
        real.script = None;
        real.user_unknown = false;
    }
    Ok(())
}

/// The end of `HTTP_GET`; 2.2.7 ends with a fault of memory where there is no `url`.
pub(super) fn http_end(pass: &mut Pass<'_>) {
    if current_real(pass).is_some_and(|real| real.urls == 0) {
        pass.complain("HTTP/SSL_GET checker has no urls specified - ignoring");
    }
}

/// The end of `MISC_CHECK`.
pub(super) fn misc_end(pass: &mut Pass<'_>) {
    let removed = current_real(pass).is_some_and(|real| real.user_unknown);
    let script = current_real(pass).and_then(|real| real.script.take());
    match script {
        None => pass.complain("No script path has been specified for MISC_CHECKER - skipping"),
        Some(_) if removed => {}
        Some(path) if end::is_runnable(pass, path.as_os_str().as_bytes()) => {
            pass.draft.lvs.scripts = true;
        }
        Some(_) => {}
    }
}

fn file_weight(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let Some(word) = line.words.get(1) else {
        pass.complain("track file weight missing");
        return Ok(());
    };
    let text = word.text();
    if pass.number(signed(&text, -i32::MAX, i32::MAX)).is_none() {
        pass.complain(
            "weight for track file must be in [-2147483647..2147483647] inclusive. Ignoring...",
        );
        return Ok(());
    }
    if let Some(option) = line.words.get(2).filter(|word| !word.is(b"reverse")) {
        let option = option.text();
        pass.complain(format!(
            "unknown track file weight option {option} - ignoring"
        ));
    }
    Ok(())
}

/// Of the script of a `MISC_CHECK`.
fn user(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let script = current_real(pass).and_then(|real| real.script.clone());
    let script = script.unwrap_or_default().display().to_string();
    let Some(user) = line.words.get(1) else {
        pass.complain(format!(
            "No user specified for misc checker script '{script}'"
        ));
        return Ok(());
    };
    let group = line.words.get(2);
    let known = pass.env.user(&user.text()).is_some()
        && group.is_none_or(|group| pass.env.group(&group.text()).is_some());
    if !known {
        pass.complain(format!(
            "Failed to set uid/gid for misc checker script '{script}' - removing"
        ));
        if let Some(real) = current_real(pass) {
            real.user_unknown = true;
        }
    }
    Ok(())
}

fn url(pass: &mut Pass<'_>, _: &Line) -> Handled {
    if let Some(real) = current_real(pass) {
        real.path = false;
    }
    Ok(())
}

fn url_end(pass: &mut Pass<'_>) {
    match current_real(pass) {
        Some(real) if real.path => real.urls += 1,
        Some(_) => pass.complain("HTTP/SSL_GET checker url has no path - ignoring"),
        None => {}
    }
}

fn host(pass: &mut Pass<'_>, line: &Line, complaint: &str) -> Handled {
    let text = pass.text(line, 1)?;
    if text.parse::<IpAddr>().is_err() {
        pass.complain(complaint.replace("{}", &text));
    }
    Ok(())
}

fn bind_if(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    if text.len() >= super::super::instance::MAX_INTERFACE {
        pass.complain(format!("Interface name {text} is too long - ignoring"));
    }
    Ok(())
}

fn digest(pass: &mut Pass<'_>, line: &Line) -> Handled {
    const LENGTH: usize = 32;
    let text = pass.text(line, 1)?;
    if text.len() != LENGTH {
        let length = text.len();
        pass.complain(format!(
            "digest '{text}' character length should be {LENGTH} rather than {length}"
        ));
    } else if let Some(at) = text.bytes().position(|byte| !byte.is_ascii_hexdigit()) {
        let at = at / 2 * 2;
        let pair = text.get(at..at + 2).unwrap_or_default();
        pass.complain(format!(
            "Unable to interpret hex digit in '{pair}' at offset {at}/{}",
            at + 1
        ));
    }
    Ok(())
}

fn status(pass: &mut Pass<'_>, line: &Line) -> Handled {
    for word in line.rest(1) {
        let text = word.text();
        let code = |text: &str| {
            text.parse::<u16>()
                .ok()
                .filter(|code| (100..600).contains(code))
        };
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let fine = code(first)
            .zip(code(last))
            .is_some_and(|(first, last)| first <= last);
        if !fine {
            pass.focus = Some(word.span);
            pass.complain(format!("Invalid HTTP_GET status code '{text}'"));
        }
    }
    Ok(())
}

fn hex(pass: &mut Pass<'_>, line: &Line, complaint: &str) -> Handled {
    let words = line.rest(1).iter();
    let mut digits = words.flat_map(|word| word.bytes.iter());
    if !digits.all(u8::is_ascii_hexdigit) {
        pass.complain(complaint);
    }
    Ok(())
}
