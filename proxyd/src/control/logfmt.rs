//! The lines of connections, byte for byte as the original writes them.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use relay::{Peer, SessionRecord, SessionStart};

/// The `option tcplog` line (configuration manual, 8.2.2) into `out`, which is emptied first.
///
/// Under `option logasap` times and sizes carry a `+`, even where the connection failed and the
/// line is final.
pub(super) fn tcplog(out: &mut String, record: &SessionRecord<'_>) {
    out.clear();
    let plus = if record.frontend.log_asap { "+" } else { "" };
    client(out, record.client, record.listener.id);
    out.push_str(" [");
    date(out, record.accepted);
    out.push_str("] ");
    out.push_str(&record.frontend.name);
    out.push(' ');
    let backend = record
        .backend
        .map_or(&record.frontend.name, |backend| &backend.name);
    out.push_str(backend);
    out.push('/');
    out.push_str(record.server.map_or("<NOSRV>", |server| &server.name));
    out.push(' ');
    millis(out, record.queue_time);
    out.push('/');
    millis(out, record.connect_time);
    out.push('/');
    out.push_str(plus);
    number(out, record.total_time);
    out.push(' ');
    out.push_str(plus);
    number(out, record.bytes_out);
    // Writing into a String cannot fail.
    let _ = write!(out, " {} ", record.termination);
    for count in [
        record.active,
        record.frontend_active,
        record.backend_active,
        record.server_active,
    ] {
        number(out, count);
        out.push('/');
    }
    if record.redispatched {
        out.push('+');
    }
    number(out, record.retries);
    out.push(' ');
    number(out, record.server_queue);
    out.push('/');
    number(out, record.backend_queue);
}

/// A number as [`std::fmt::Display`] has it, without the way through the formatter: there are two dozen
/// in each line.
fn number(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// A number of `width` digits, zeros in front.
fn padded(out: &mut String, number: u32, width: usize) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    out.extend(std::iter::repeat_n('0', width.saturating_sub(digits.len())));
    out.push_str(digits);
}

/// The `Connect from` line of frontends without a log format.
pub(super) fn connect_from(out: &mut String, start: &SessionStart<'_>) {
    out.clear();
    let name = &start.frontend.name;
    // Writing into a String cannot fail.
    let _ = match (start.client, start.local) {
        (Peer::Inet(from), Peer::Inet(to)) => write!(
            out,
            "Connect from {}:{} to {}:{} ({name}/TCP)",
            from.ip(),
            from.port(),
            to.ip(),
            to.port(),
        ),
        (Peer::Unix, Peer::Inet(_) | Peer::Unix) | (Peer::Inet(_), Peer::Unix) => {
            write!(out, "Connect to unix:{} ({name}/TCP)", start.listener.id)
        }
    };
}

fn client(out: &mut String, client: Peer, listener: u32) {
    match client {
        Peer::Inet(SocketAddr::V4(address)) => {
            let [a, b, c, d] = address.ip().octets();
            number(out, a);
            for octet in [b, c, d] {
                out.push('.');
                number(out, octet);
            }
            out.push(':');
            number(out, address.port());
        }
        // Without brackets around the address: that is the original's form.
        Peer::Inet(SocketAddr::V6(address)) => {
            // Writing into a String cannot fail.
            let _ = write!(out, "{}:{}", address.ip(), address.port());
        }
        Peer::Unix => {
            out.push_str("unix:");
            number(out, listener);
        }
    }
}

/// The name of a month, 1..=12.
fn month(number: u8) -> &'static str {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    MONTHS
        .get(usize::from(number).saturating_sub(1))
        .unwrap_or(&"Jan")
}

/// `22/Nov/2026:15:27:41.885` in local time.
pub(super) fn date(out: &mut String, moment: SystemTime) {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let local = osys::time::local(i64::try_from(since.as_secs()).unwrap_or_default());
    padded(out, local.day.into(), 2);
    out.push('/');
    out.push_str(month(local.month));
    out.push('/');
    padded(out, u32::try_from(local.year).unwrap_or_default(), 4);
    for part in [local.hour, local.minute, local.second] {
        out.push(':');
        padded(out, part.into(), 2);
    }
    out.push('.');
    padded(out, since.subsec_millis(), 3);
}

/// A time that may never have been reached: `-1` then.
fn millis(out: &mut String, millis: Option<u32>) {
    match millis {
        Some(millis) => number(out, millis),
        None => out.push_str("-1"),
    }
}
