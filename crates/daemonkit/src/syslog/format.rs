//! The bytes of one line.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Facility, Level, Settings};

/// Longest line unless configured otherwise, in bytes.
pub const DEFAULT_MAX_LEN: usize = 1024;

/// Shape of the header; the comments show it for facility 16, level 6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// No `format` given: [`Format::Local`], or [`Format::Rfc3164`] when a
    /// host name is to be sent.
    #[default]
    Auto,
    /// `<134>Nov  2 15:27:42 tag[pid]: message`.
    Local,
    /// `<134>Nov  2 15:27:42 host tag[pid]: message`.
    Rfc3164,
    /// `<134>1 2026-11-02T16:18:02.455581+00:00 host tag pid - - message`.
    Rfc5424,
    /// The message alone.
    Raw,
    /// `<6>message`: level only, as systemd reads standard error.
    Short,
    /// `<6>2026-11-02T16:18:02.455581+00:00 message`.
    Timed,
    /// `2026-11-02T16:18:02.455581+00:00 message`.
    Iso,
    /// `<134>message`.
    Priority,
    /// As [`Format::Local`] and without line feed at the end: what
    /// `syslog(3)` sends.
    Libc,
}

/// Who speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Program name; any bytes.
    pub tag: Vec<u8>,
    /// Process id.
    pub pid: u32,
    /// Host name to send, if one is to be sent.
    pub hostname: Option<Vec<u8>>,
}

/// Appends one whole line to `out`: header and message cut to the configured
/// length, then a line feed.
pub(super) fn line(
    out: &mut Vec<u8>,
    settings: &Settings,
    level: Level,
    header: &Header,
    now: SystemTime,
    message: &[u8],
) {
    let start = out.len();
    out.reserve(96 + message.len());
    let format = match (settings.format, &header.hostname) {
        (Format::Auto, Some(_)) => Format::Rfc3164,
        (Format::Auto, None) => Format::Local,
        (format, _) => format,
    };
    match format {
        Format::Auto | Format::Local | Format::Libc => {
            priority(out, settings.facility, level);
            bsd_time(out, now);
            tag_and_pid(out, header);
        }
        Format::Rfc3164 => {
            priority(out, settings.facility, level);
            bsd_time(out, now);
            out.extend_from_slice(header.hostname.as_deref().unwrap_or(b"localhost"));
            out.push(b' ');
            tag_and_pid(out, header);
        }
        Format::Rfc5424 => {
            priority(out, settings.facility, level);
            out.extend_from_slice(b"1 ");
            iso_time(out, now);
            out.push(b' ');
            out.extend_from_slice(header.hostname.as_deref().unwrap_or(b"-"));
            out.push(b' ');
            let tag: &[u8] = if header.tag.is_empty() {
                b"-"
            } else {
                &header.tag
            };
            out.extend_from_slice(tag);
            put(out, format_args!(" {} - - ", header.pid));
        }
        Format::Raw => {}
        Format::Short => put(out, format_args!("<{}>", level.number())),
        Format::Timed => {
            put(out, format_args!("<{}>", level.number()));
            iso_time(out, now);
            out.push(b' ');
        }
        Format::Iso => {
            iso_time(out, now);
            out.push(b' ');
        }
        Format::Priority => priority(out, settings.facility, level),
    }
    out.extend_from_slice(message);
    out.truncate(start.saturating_add(settings.max_len));
    if format != Format::Libc {
        out.push(b'\n');
    }
}

fn priority(out: &mut Vec<u8>, facility: Facility, level: Level) {
    let value = u16::from(facility.number()) * 8 + u16::from(level.number());
    out.push(b'<');
    number(out, value);
    out.push(b'>');
}

fn tag_and_pid(out: &mut Vec<u8>, header: &Header) {
    out.extend_from_slice(&header.tag);
    out.push(b'[');
    number(out, header.pid);
    out.extend_from_slice(b"]: ");
}

/// `Mmm dd hh:mm:ss ` in local time, the day padded by a blank (RFC 3164, 4.1.2).
fn bsd_time(out: &mut Vec<u8>, now: SystemTime) {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (seconds, _) = since_epoch(now);
    let local = osys::time::local(seconds);
    let month = MONTHS
        .get(usize::from(local.month).saturating_sub(1))
        .unwrap_or(&"Jan");
    out.extend_from_slice(month.as_bytes());
    out.push(b' ');
    two(out, local.day, b' ');
    out.push(b' ');
    two(out, local.hour, b'0');
    out.push(b':');
    two(out, local.minute, b'0');
    out.push(b':');
    two(out, local.second, b'0');
    out.push(b' ');
}

/// Two digits, `filler` in the place of a leading zero.
fn two(out: &mut Vec<u8>, value: u8, filler: u8) {
    if value < 10 {
        out.push(filler);
    }
    number(out, value);
}

/// A number as `Display` has it, without the way through the formatter: every
/// line of a busy log passes here.
fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// `2026-11-02T16:18:02.455581+00:00` in local time with its offset (RFC 3339).
fn iso_time(out: &mut Vec<u8>, now: SystemTime) {
    let (seconds, micros) = since_epoch(now);
    let local = osys::time::local(seconds);
    let sign = if local.utc_offset < 0 { '-' } else { '+' };
    let minutes = local.utc_offset.unsigned_abs() / 60;
    put(
        out,
        format_args!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{micros:06}{sign}{:02}:{:02}",
            local.year,
            local.month,
            local.day,
            local.hour,
            local.minute,
            local.second,
            minutes / 60,
            minutes % 60,
        ),
    );
}

/// Whole seconds and the microseconds beyond them; a clock before 1970 gives 0.
fn since_epoch(now: SystemTime) -> (i64, u32) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    (seconds, since.subsec_micros())
}

fn put(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // Writing into a vector cannot fail.
    let _ = out.write_fmt(arguments);
}
