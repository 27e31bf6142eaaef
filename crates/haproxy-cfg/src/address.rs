//! Addresses (configuration manual, section 11 of the 2.6 release: "address formats").

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::env::Environment;
use crate::text;

/// What kind of address a keyword takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepts {
    /// The port may be a range.
    pub(crate) range: bool,
    /// The port may be an offset (`+80`) or missing altogether.
    pub(crate) offset: bool,
    /// There must be a port.
    pub(crate) port_needed: bool,
    /// Inherited descriptors (`fd@`).
    pub(crate) fd: bool,
    /// Datagrams rather than streams.
    pub(crate) datagram: bool,
    /// Names are looked up at once; otherwise they are kept.
    pub(crate) lookup: bool,
}

/// An address of a `bind` line.
pub(crate) const LISTEN: Accepts = Accepts {
    range: true,
    offset: false,
    port_needed: true,
    fd: true,
    datagram: false,
    lookup: true,
};

/// An address of a `server` line.
pub(crate) const SERVER: Accepts = Accepts {
    range: false,
    offset: true,
    port_needed: false,
    fd: false,
    datagram: false,
    lookup: false,
};

/// Another address that a server's checks use.
pub(crate) const CHECK: Accepts = Accepts {
    offset: false,
    lookup: true,
    ..SERVER
};

/// An address of a `log` line.
pub(crate) const LOG: Accepts = Accepts {
    range: false,
    offset: false,
    port_needed: false,
    fd: true,
    datagram: true,
    lookup: true,
};

/// An address that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// An IP address.
    Inet {
        /// The address.
        host: Host,
        /// Its port or ports.
        port: Port,
    },
    /// A UNIX socket.
    Unix(PathBuf),
    /// A name in the abstract namespace.
    Abns(Vec<u8>),
    /// An inherited descriptor.
    Fd(i32),
}

/// The host of an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name, still to be looked up.
    Name(String),
}

/// The port of an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// First and last, both included; 0 if none was written.
    Range(u16, u16),
    /// Relative to the port of the other side.
    Offset(i32),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Any,
    V4,
    V6,
}

/// Reads one address.
///
/// # Errors
/// The original's text; some of them end in a newline of their own, as there.
pub(crate) fn parse(
    written: &str,
    accepts: Accepts,
    environment: &dyn Environment,
    lookup: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<Address, String> {
    let expanded = expand(written, lookup);
    if expanded.is_empty() {
        return Err(format!(
            "'{written}' resolves to an empty address (environment variable missing?)\n"
        ));
    }
    let mut datagram = accepts.datagram;
    let mut rest = expanded.as_str();
    if let Some(found) = rest.strip_prefix("stream+") {
        rest = found;
        datagram = false;
    } else if let Some(found) = rest.strip_prefix("dgram+") {
        rest = found;
        datagram = true;
    }
    let mut family = Family::Any;
    let unix = |path: &str| -> Result<Address, String> {
        let path = text::decode(path);
        // Room is left for the temporary name under which a socket is made.
        fits(written, &path, 97)?;
        Ok(Address::Unix(PathBuf::from(OsStr::from_bytes(&path))))
    };
    if let Some((prefix, after)) = rest.split_once('@') {
        match prefix {
            "unix" => return unix(after),
            "uxst" | "uxdg" => {
                if !accepts.datagram {
                    check_kind(written, accepts, prefix == "uxdg")?;
                }
                return unix(after);
            }
            "abns" => {
                let name = text::decode(after);
                fits(written, &name, 107)?;
                return Ok(Address::Abns(name));
            }
            "fd" | "sockpair" => return descriptor(written, after, accepts, environment),
            "ip" => rest = after,
            "ipv4" => (family, rest) = (Family::V4, after),
            "ipv6" => (family, rest) = (Family::V6, after),
            "tcp" => (datagram, rest) = (false, after),
            "tcp4" => (datagram, family, rest) = (false, Family::V4, after),
            "tcp6" => (datagram, family, rest) = (false, Family::V6, after),
            "udp" => (datagram, rest) = (true, after),
            "udp4" => (datagram, family, rest) = (true, Family::V4, after),
            "udp6" => (datagram, family, rest) = (true, Family::V6, after),
            "quic4" | "quic6" => {
                let number = if prefix == "quic4" { 2 } else { 10 };
                return Err(format!(
                    "unsupported stream protocol for datagram family {number} address '{written}'; QUIC is not compiled in if this is what you were looking for."
                ));
            }
            _ => {}
        }
    }
    if rest.starts_with('/') {
        return unix(rest);
    }
    // Log targets take streams too (they go through a ring), all others only their own kind.
    if !accepts.datagram {
        check_kind(written, accepts, datagram)?;
    }
    inet(written, rest, family, accepts, environment)
}

/// The name of a UNIX socket must fit into its address.
fn fits(written: &str, name: &[u8], most: usize) -> Result<(), String> {
    if name.len() > most {
        return Err(format!("socket path '{written}' too long (max {most})\n"));
    }
    Ok(())
}

fn check_kind(written: &str, accepts: Accepts, datagram: bool) -> Result<(), String> {
    if datagram == accepts.datagram {
        return Ok(());
    }
    let kind = if datagram { "dgram" } else { "stream" };
    Err(format!(
        "{kind}-type address not acceptable in '{written}'\n"
    ))
}

fn descriptor(
    written: &str,
    number: &str,
    accepts: Accepts,
    environment: &dyn Environment,
) -> Result<Address, String> {
    if !accepts.fd {
        return Err(format!(
            "a file descriptor is not acceptable here in '{written}'\n"
        ));
    }
    let valid = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse() {
        Ok(number) if valid => {
            // Log targets look at theirs only when they write.
            let usable = if accepts.datagram {
                Ok(())
            } else {
                environment.descriptor(number)
            };
            usable
                .map_err(|reason| format!("cannot use file descriptor '{number}' : {reason}."))?;
            Ok(Address::Fd(number))
        }
        _ => Err(format!(
            "file descriptor '{number}' is not a valid integer in '{written}'\n"
        )),
    }
}

fn inet(
    written: &str,
    address: &str,
    family: Family,
    accepts: Accepts,
    environment: &dyn Environment,
) -> Result<Address, String> {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    let port = port_of(written, port.unwrap_or_default(), accepts)?;
    let host = host
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(host);
    let host = host_of(host, family, accepts, environment)
        .ok_or_else(|| format!("invalid address: '{host}' in '{written}'\n"))?;
    Ok(Address::Inet { host, port })
}

fn port_of(written: &str, port: &str, accepts: Accepts) -> Result<Port, String> {
    if port.is_empty() {
        if accepts.port_needed {
            return Err(format!("missing port specification in '{written}'"));
        }
        return Ok(if accepts.offset {
            Port::Offset(0)
        } else {
            Port::Range(0, 0)
        });
    }
    let number = |digits: &str| i32::try_from(crate::number::atol(digits)).unwrap_or(i32::MAX);
    let invalid = || format!("invalid port '{port}'");
    if port.bytes().all(|byte| byte.is_ascii_digit()) {
        let value = number(port);
        return match u16::try_from(value) {
            Ok(value) if value > 0 || !accepts.port_needed => Ok(Port::Range(value, value)),
            _ => Err(invalid()),
        };
    }
    let signed = port.strip_prefix(['-', '+']);
    if let Some(digits) = signed
        && digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        if !accepts.offset {
            return Err(format!("port offset not permitted here in '{written}'"));
        }
        return Ok(Port::Offset(
            i32::try_from(crate::number::atol(port)).unwrap_or(0),
        ));
    }
    if let Some((low, high)) = port.split_once('-')
        && !low.is_empty()
        && !high.is_empty()
        && low.bytes().chain(high.bytes()).all(|b| b.is_ascii_digit())
    {
        if !accepts.range {
            return Err(format!("port range not permitted here in '{written}'"));
        }
        let bounds = (u16::try_from(number(low)), u16::try_from(number(high)));
        return match bounds {
            (Ok(low), Ok(high)) if low > 0 && low <= high => Ok(Port::Range(low, high)),
            _ => Err(format!("invalid port range '{port}'")),
        };
    }
    let digits = port.bytes().take_while(u8::is_ascii_digit).count();
    let wrong = text::first_byte(port.get(digits..).unwrap_or_default());
    Err(format!(
        "invalid character '{wrong}' in port number '{port}' in '{written}'\n"
    ))
}

fn host_of(
    host: &str,
    family: Family,
    accepts: Accepts,
    environment: &dyn Environment,
) -> Option<Host> {
    if host.is_empty() || host == "*" {
        return Some(Host::Ip(match family {
            Family::Any | Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }));
    }
    let fits = |ip: &IpAddr| match family {
        Family::Any => true,
        Family::V4 => ip.is_ipv4(),
        Family::V6 => ip.is_ipv6(),
    };
    if let Ok(ip) = host.parse::<IpAddr>() {
        return fits(&ip).then_some(Host::Ip(ip));
    }
    // "::" before the port's colon is the IPv6 wildcard.
    if host == ":" {
        return None;
    }
    if !accepts.lookup {
        return Some(Host::Name(host.to_owned()));
    }
    environment
        .resolve(host)
        .into_iter()
        .find(fits)
        .map(Host::Ip)
}

/// `$NAME` and `${NAME}` outside quotes, which only addresses know.
fn expand(written: &str, lookup: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> String {
    let mut out = String::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (brace, after) = match after.strip_prefix('{') {
            Some(after) => (true, after),
            None => (false, after),
        };
        let length = after
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            .count();
        let (name, after) = after.split_at(length);
        if let Some(value) = lookup(name.as_bytes()) {
            out.push_str(&text::encode(&value));
        }
        rest = match after.strip_prefix('}') {
            Some(after) if brace => after,
            _ => after,
        };
    }
    out.push_str(rest);
    out
}
