//! Writing headers.

use std::net::{IpAddr, SocketAddr};

use super::{Addresses, SIGNATURE, kind};
use crate::hash::crc32c;

/// What a server shall be told (`send-proxy` and its kin).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Version 2 instead of 1.
    pub binary: bool,
    /// What version 2 tells beyond the addresses.
    pub options: Options,
}

/// `proxy-v2-options`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// `ssl`: whether the client speaks TLS, and which.
    pub ssl: bool,
    /// `cert-cn`: the common name of its certificate.
    pub cert_cn: bool,
    /// `cert-key`: the algorithm of the key of our certificate.
    pub cert_key: bool,
    /// `cert-sig`: the algorithm by which our certificate is signed.
    pub cert_sig: bool,
    /// `ssl-cipher`.
    pub ssl_cipher: bool,
    /// `authority`: the host name the client asked for.
    pub authority: bool,
    /// `crc32c`: a checksum.
    pub crc32c: bool,
    /// `unique-id`: always empty here.
    pub unique_id: bool,
}

/// What is known of the client's connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Content<'a> {
    /// Its two ends; `None` for a UNIX socket, or for a connection of our own (a health check).
    pub addresses: Option<Addresses>,
    /// The application protocol that was agreed on.
    pub alpn: Option<&'a [u8]>,
    /// The host name the client asked for.
    pub authority: Option<&'a [u8]>,
    /// Its TLS, if it speaks that.
    pub tls: Option<Tls<'a>>,
}

/// What is known of a client's TLS.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tls<'a> {
    /// `TLSv1.3`
    pub version: &'a str,
    /// It showed a certificate on this connection.
    pub certificate: bool,
    /// It showed one in this session.
    pub certificate_in_session: bool,
    /// The result of the verification; 0 is good.
    pub verify: u32,
    /// The common name in it.
    pub common_name: Option<&'a [u8]>,
    /// The cipher in use, by OpenSSL's name.
    pub cipher: Option<&'a str>,
    /// Signature algorithm of our certificate (`RSA-SHA256`).
    pub signature: Option<&'a str>,
    /// Key algorithm of our certificate (`RSA2048`).
    pub key: Option<&'a str>,
}

/// The header for one connection.
#[must_use]
pub fn encode(form: Form, content: &Content<'_>) -> Vec<u8> {
    if form.binary {
        binary(form.options, content)
    } else {
        text(content.addresses).into_bytes()
    }
}

fn text(addresses: Option<Addresses>) -> String {
    let Some(Addresses {
        source,
        destination,
    }) = addresses
    else {
        return String::from("PROXY UNKNOWN\r\n");
    };
    let family = match (source, destination) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) => "TCP4",
        (SocketAddr::V6(_), SocketAddr::V6(_)) => "TCP6",
        _ => return String::from("PROXY UNKNOWN\r\n"),
    };
    format!(
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    )
}

fn binary(options: Options, content: &Content<'_>) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    let ends = content
        .addresses
        .map(|addresses| (addresses.source, addresses.destination));
    let ends = ends.filter(|(source, destination)| source.is_ipv4() == destination.is_ipv4());
    let head: [u8; 4] = match ends {
        None => [0x20, 0x00, 0, 0],
        Some((SocketAddr::V4(_), _)) => [0x21, 0x11, 0, 0],
        Some((SocketAddr::V6(_), _)) => [0x21, 0x21, 0, 0],
    };
    bytes.extend(head);
    if let Some((source, destination)) = ends {
        for ip in [source.ip(), destination.ip()] {
            match ip {
                IpAddr::V4(ip) => bytes.extend(ip.octets()),
                IpAddr::V6(ip) => bytes.extend(ip.octets()),
            }
        }
        bytes.extend(source.port().to_be_bytes());
        bytes.extend(destination.port().to_be_bytes());
    }
    // The checksum comes first, and is known last.
    let sum = options.crc32c.then(|| {
        put(&mut bytes, kind::CRC32C, &[0; 4]);
        bytes.len() - 4
    });
    if let Some(alpn) = content.alpn {
        put(&mut bytes, kind::ALPN, alpn);
    }
    if let Some(authority) = content.authority.filter(|_| options.authority) {
        put(&mut bytes, kind::AUTHORITY, authority);
    }
    if options.unique_id {
        put(&mut bytes, kind::UNIQUE_ID, &[]);
    }
    if options.ssl {
        put(&mut bytes, kind::SSL, &ssl(options, content.tls));
    }
    let size = bytes.len() - SIGNATURE.len() - head.len();
    let size = u16::try_from(size).unwrap_or(u16::MAX).to_be_bytes();
    set(&mut bytes, SIGNATURE.len() + 2, &size);
    if let Some(at) = sum {
        let value = crc32c(&bytes).to_be_bytes();
        set(&mut bytes, at, &value);
    }
    bytes
}

/// Client, verification, then parts of their own.
fn ssl(options: Options, tls: Option<Tls<'_>>) -> Vec<u8> {
    let Some(tls) = tls else {
        return vec![0; 5];
    };
    let client =
        0x01 | (u8::from(tls.certificate) << 1) | (u8::from(tls.certificate_in_session) << 2);
    let mut bytes = vec![client];
    bytes.extend(tls.verify.to_be_bytes());
    put(&mut bytes, kind::SSL_VERSION, tls.version.as_bytes());
    let text = |wanted: bool, text: Option<&'_ str>| -> Option<Vec<u8>> {
        text.filter(|_| wanted).map(|text| text.as_bytes().to_vec())
    };
    let common_name = tls.common_name.filter(|_| options.cert_cn);
    for (kind, value) in [
        (kind::SSL_CN, common_name.map(<[u8]>::to_vec)),
        (kind::SSL_KEY_ALG, text(options.cert_key, tls.key)),
        (kind::SSL_SIG_ALG, text(options.cert_sig, tls.signature)),
        (kind::SSL_CIPHER, text(options.ssl_cipher, tls.cipher)),
    ] {
        if let Some(value) = value {
            put(&mut bytes, kind, &value);
        }
    }
    bytes
}

/// Appends one part; longer ones than the format allows are cut.
fn put(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let size = u16::try_from(value.len()).unwrap_or(u16::MAX);
    bytes.push(kind);
    bytes.extend(size.to_be_bytes());
    bytes.extend(value.iter().take(usize::from(size)));
}

fn set(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (place, byte) in bytes.iter_mut().skip(at).zip(value) {
        *place = *byte;
    }
}
