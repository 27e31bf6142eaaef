//! The hello of `option ssl-hello-chk` and what counts as an answer.

use std::borrow::Cow;

use crate::Status;

/// Bytes of the answer that decide: a record's type, version and length.
const DECISIVE: usize = 5;
/// Record type of a TLS alert (RFC 8446, 5.1).
const ALERT: u8 = 0x15;
/// Record type of a TLS handshake message (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;

/// The 126 bytes sent by `option ssl-hello-chk`: an SSLv3 ClientHello (RFC 6101, 5.6.1.2) whose
/// random part starts with `unix_time` in seconds and goes on with a fixed text.
#[must_use]
pub fn ssl_hello(unix_time: u32) -> [u8; 126] {
    let mut hello = [0; 126];
    let suites = (0x01_u8..=0x1b).chain(0x2f..=0x3a);
    let bytes = [HANDSHAKE, 3, 0, 0, 0x79] // record: SSL 3.0, 121 bytes
        .into_iter()
        .chain([1, 0, 0, 0x75, 3, 0]) // ClientHello of 117 bytes, SSL 3.0
        .chain(unix_time.to_be_bytes())
        .chain(*b"HAPROXYSSLCHK\nHAPROXYSSLCHK\n")
        .chain([0, 0, 0x4e]) // no session; 39 cipher suites follow
        .chain(suites.flat_map(|low| [0, low]))
        .chain([1, 0]); // one compression method: none
    for (place, byte) in hello.iter_mut().zip(bytes) {
        *place = byte;
    }
    hello
}

/// Whether more of the answer may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// The server may still send.
    Open,
    /// The server has closed.
    Ended,
}

/// Judges the answer read so far; `None` asks for more.
///
/// An alert passes as well as a handshake record: a modern server refuses SSLv3 with an alert,
/// and is alive. Fewer than five bytes decide only once the server has closed.
#[must_use]
pub fn judge(answer: &[u8], stream: Stream) -> Option<(Status, Cow<'static, str>)> {
    match (answer.first(), stream) {
        (None, Stream::Ended) => Some((
            Status::L6Response,
            Cow::Borrowed("TCPCHK got an empty response at step 2"),
        )),
        (Some(&(ALERT | HANDSHAKE)), Stream::Ended) => Some((Status::L6Ok, Cow::Borrowed(""))),
        (Some(_), Stream::Ended) => Some((Status::L6Response, Cow::Borrowed(""))),
        (Some(first), Stream::Open) if answer.len() >= DECISIVE => {
            let status = match *first {
                ALERT | HANDSHAKE => Status::L6Ok,
                _ => Status::L6Response,
            };
            Some((status, Cow::Borrowed("")))
        }
        (None | Some(_), Stream::Open) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured with strace from Debian's haproxy 2.6.12 at 0x6b032f4c.
    const CAPTURED: &[u8] = b"\x16\x03\x00\x00\x79\x01\x00\x00\x75\x03\x00\x6b\x03\x2f\x4c\
        \x48\x41\x50\x52\x4f\x58\x59\x53\x53\x4c\x43\x48\x4b\x0a\
        \x48\x41\x50\x52\x4f\x58\x59\x53\x53\x4c\x43\x48\x4b\x0a\x00\x00\x4e\
        \x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x00\x07\x00\x08\x00\x09\x00\x0a\
        \x00\x0b\x00\x0c\x00\x0d\x00\x0e\x00\x0f\x00\x10\x00\x11\x00\x12\x00\x13\x00\x14\
        \x00\x15\x00\x16\x00\x17\x00\x18\x00\x19\x00\x1a\x00\x1b\x00\x2f\x00\x30\x00\x31\
        \x00\x32\x00\x33\x00\x34\x00\x35\x00\x36\x00\x37\x00\x38\x00\x39\x00\x3a\x01\x00";

    #[test]
    fn the_hello_is_the_originals_byte_for_byte() {
        assert_eq!(ssl_hello(0x6b03_2f4c), CAPTURED);
    }

    fn check(answer: &[u8], stream: Stream, expected: Option<Status>) {
        let found = judge(answer, stream).map(|(status, _)| status);
        assert_eq!(found, expected, "{answer:?} {stream:?}");
    }

    #[test]
    fn answers_are_judged_as_the_original_judges_them() {
        check(b"", Stream::Open, None);
        check(b"\x16\x03\x00\x00", Stream::Open, None);
        check(b"HTTP", Stream::Open, None);
        check(
            b"\x16\x03\x03\x00\x31\x02",
            Stream::Open,
            Some(Status::L6Ok),
        );
        check(
            b"\x15\x03\x00\x00\x02\x02\x28",
            Stream::Open,
            Some(Status::L6Ok),
        );
        check(
            b"\x17\x03\x00\x00\x02",
            Stream::Open,
            Some(Status::L6Response),
        );
        check(b"HTTP/1.1 400 Bad", Stream::Open, Some(Status::L6Response));
        check(b"\x16\x03\x00", Stream::Ended, Some(Status::L6Ok));
        check(b"HT", Stream::Ended, Some(Status::L6Response));
        check(b"", Stream::Ended, Some(Status::L6Response));
    }

    #[test]
    fn an_empty_answer_is_named() {
        let (_, info) = judge(b"", Stream::Ended).unwrap();
        assert_eq!(info, "TCPCHK got an empty response at step 2");
        let (_, info) = judge(b"HTTP/1.1", Stream::Open).unwrap();
        assert_eq!(info, "");
    }
}
