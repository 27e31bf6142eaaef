//! `log` lines (configuration manual, section 4.2, "log").

use crate::address::{self, Address, Host, Port};
use crate::line::{Line, Prefix};
use crate::model::{Facility, LogDest, LogFormat, LogLevel, LogSample, LogTarget};
use crate::reader::Reader;

/// Reads a `log` line into `targets`. `inherited` are the global targets for `log global`; the
/// global section itself has none to inherit.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    line: &Line,
    targets: &mut Vec<LogTarget>,
    inherited: Option<&[LogTarget]>,
) {
    if line.prefix == Prefix::No {
        if line.arg(1).is_empty() {
            targets.clear();
        } else {
            reader.fatal_at(line, "log : 'no log' does not expect arguments");
        }
        return;
    }
    if line.arg(1) == "global" && line.arg(2).is_empty() {
        match inherited {
            Some(inherited) => targets.extend(inherited.iter().cloned()),
            None => reader.fatal_at(
                line,
                "log : 'global' is not supported for a global syslog server",
            ),
        }
        return;
    }
    match target(reader, line, inherited.is_none()) {
        Ok(target) => targets.push(target),
        Err(error) => reader.fatal_at(line, format!("log : {error}")),
    }
}

fn target(reader: &Reader<'_>, line: &Line, global: bool) -> Result<LogTarget, String> {
    if line.arg(1).is_empty() || line.arg(2).is_empty() {
        return Err(String::from(if global {
            "expects <address> and <facility>  as arguments"
        } else {
            "expects <address> and <facility> or global as arguments"
        }));
    }
    let mut at = 2;
    let mut max_len = 1024;
    let mut format = LogFormat::Auto;
    let mut sample = None;
    if line.arg(at) == "len" {
        let length = line.arg(at + 1);
        max_len = u32::try_from(crate::number::atoi(length))
            .ok()
            .filter(|value| (80..=65535).contains(value))
            .ok_or_else(|| {
                format!("invalid log length '{length}', must be between 80 and 65535")
            })?;
        at += 2;
    }
    if line.arg(at) == "format" {
        let name = line.arg(at + 1);
        format = format_of(name).ok_or_else(|| format!("unknown log format '{name}'"))?;
        at += 2;
    }
    if line.arg(at) == "sample" {
        sample = Some(sample_of(line.arg(at + 1))?);
        at += 2;
    }
    let name = line.arg(at);
    let facility =
        Facility::from_name(name).ok_or_else(|| format!("unknown log facility '{name}'"))?;
    let level = |name: &str, kind: &str| {
        LogLevel::from_name(name)
            .ok_or_else(|| format!("unknown optional {kind}log level '{name}'"))
    };
    let mut max_level = LogLevel::DEBUG;
    let mut min_level = LogLevel::EMERG;
    if !line.arg(at + 1).is_empty() {
        max_level = level(line.arg(at + 1), "")?;
        if !line.arg(at + 2).is_empty() {
            min_level = level(line.arg(at + 2), "minimum ")?;
        }
    }
    if !line.arg(at + 3).is_empty() {
        return Err(format!(
            "cannot handle unexpected argument '{}'",
            line.arg(at + 3)
        ));
    }
    Ok(LogTarget {
        dest: dest_of(reader, line.arg(1))?,
        format,
        max_len,
        facility,
        max_level,
        min_level,
        sample,
        place: line.place.clone(),
    })
}

fn format_of(name: &str) -> Option<LogFormat> {
    Some(match name {
        "local" => LogFormat::Local,
        "rfc3164" => LogFormat::Rfc3164,
        "rfc5424" => LogFormat::Rfc5424,
        "priority" => LogFormat::Priority,
        "short" => LogFormat::Short,
        "timed" => LogFormat::Timed,
        "iso" => LogFormat::Iso,
        "raw" => LogFormat::Raw,
        _ => return None,
    })
}

fn sample_of(text: &str) -> Result<LogSample, String> {
    let Some((ranges, written)) = text.rsplit_once(':') else {
        return Err(String::from("Missing sample size"));
    };
    let size = crate::number::count(written);
    let mut read = Vec::new();
    for range in ranges.split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let (low, high) = (crate::number::count(low), crate::number::count(high));
        if low == 0 || low > high {
            return Err(format!("wrong sample range '{range}'"));
        }
        read.push((low, high));
    }
    if size == 0 {
        return Err(format!(
            "wrong sample size '{written}' for sample range '{ranges}'"
        ));
    }
    let highest = read.iter().map(|(_, high)| *high).max().unwrap_or(0);
    if size < highest {
        return Err(format!(
            "sample size {size} should be greater or equal to {highest} the maximum of the high ranges limits"
        ));
    }
    Ok(LogSample { ranges: read, size })
}

fn dest_of(reader: &Reader<'_>, text: &str) -> Result<LogDest, String> {
    match text {
        "stdout" => return Ok(LogDest::Fd(1)),
        "stderr" => return Ok(LogDest::Fd(2)),
        _ => {}
    }
    if text.starts_with("ring@") || text.starts_with("tcp") {
        return Err(format!(
            "'{text}' is not supported: logs go to datagram sockets and descriptors only"
        ));
    }
    let lookup = |name: &[u8]| reader.variable(name);
    match address::parse(text, address::LOG, reader.environment, &lookup)? {
        Address::Unix(path) => Ok(LogDest::Unix(path)),
        Address::Fd(fd) => Ok(LogDest::Fd(fd)),
        Address::Inet {
            host: Host::Ip(ip),
            port: Port::Range(port, _),
        } => Ok(LogDest::Udp(std::net::SocketAddr::new(
            ip,
            if port == 0 { 514 } else { port },
        ))),
        Address::Abns(_) | Address::Inet { .. } => Err(format!(
            "'{text}' is not supported: logs go to datagram sockets and descriptors only"
        )),
    }
}
