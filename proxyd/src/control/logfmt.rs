//! The lines of connections, byte for byte as the original writes them.

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use relay::{Peer, SessionRecord, SessionStart};

/// The `option tcplog` line (configuration manual, 8.2.2) into `out`, which is emptied first.
///
/// Under `option logasap` times and sizes carry a `+`, even where the connection failed and the
/// line is final.
pub(super) fn tcplog(out: &mut String, record: &SessionRecord<'_>) {
    out.clear();
    // Writing into a String cannot fail.
    let _ = write_tcplog(out, record);
}

fn write_tcplog(out: &mut String, record: &SessionRecord<'_>) -> fmt::Result {
    let plus = if record.frontend.log_asap { "+" } else { "" };
    client(out, record.client, record.listener.id)?;
    out.write_str(" [")?;
    date(out, record.accepted)?;
    let backend = record
        .backend
        .map_or(&record.frontend.name, |backend| &backend.name);
    let server = record.server.map_or("<NOSRV>", |server| &server.name);
    write!(
        out,
        "] {} {backend}/{server} {}/{}/{plus}{} {plus}{} {} {}/{}/{}/{}/{}{} {}/{}",
        record.frontend.name,
        Millis(record.queue_time),
        Millis(record.connect_time),
        record.total_time,
        record.bytes_out,
        record.termination,
        record.active,
        record.frontend_active,
        record.backend_active,
        record.server_active,
        if record.redispatched { "+" } else { "" },
        record.retries,
        record.server_queue,
        record.backend_queue,
    )
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

fn client(out: &mut String, client: Peer, listener: u32) -> fmt::Result {
    match client {
        // Without brackets around IPv6 addresses: that is the original's form.
        Peer::Inet(address) => write!(out, "{}:{}", address.ip(), address.port()),
        Peer::Unix => write!(out, "unix:{listener}"),
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
pub(super) fn date(out: &mut String, moment: SystemTime) -> fmt::Result {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let local = osys::time::local(i64::try_from(since.as_secs()).unwrap_or_default());
    let month = month(local.month);
    write!(
        out,
        "{:02}/{month}/{:04}:{:02}:{:02}:{:02}.{:03}",
        local.day,
        local.year,
        local.hour,
        local.minute,
        local.second,
        since.subsec_millis(),
    )
}

/// A time that may never have been reached: `-1` then.
struct Millis(Option<u32>);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(millis) => millis.fmt(f),
            None => f.write_str("-1"),
        }
    }
}
