//! The first message of a TLS connection (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), as far as
//! its bytes have arrived.

use super::{Answer, Bytes, Value};

/// Reads big-endian numbers and blocks; everything is checked.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        let digits = self.take(bytes)?;
        Some(
            digits
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    }

    /// A block with its length in front.
    fn block(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let length = self.number(bytes)?;
        self.take(length)
    }
}

/// What the beginning of a stream turned out to be.
enum Hello<'a> {
    /// A whole handshake message: its type and its body.
    Whole(u8, &'a [u8]),
    /// The beginning of one.
    Partial,
    /// Something else.
    Other,
}

/// The handshake message at the beginning of a stream of records; `kinds` are the types looked for.
/// The message has to fit its first record, as in the original.
fn message<'a>(bytes: &Bytes<'a>, kinds: &[u8]) -> Hello<'a> {
    let data = bytes.data;
    // Each byte is looked at as soon as it is there, so that what is no TLS is told at once.
    match data.first() {
        None => return Hello::Partial,
        Some(0x16) => {}
        Some(_) => return Hello::Other,
    }
    if data.get(1).is_some_and(|major| *major < 3) {
        return Hello::Other;
    }
    let Some(&[_, _, _, high, low]) = data.first_chunk() else {
        return Hello::Partial;
    };
    let record = usize::from(u16::from_be_bytes([high, low]));
    if record < 4 || record > bytes.room {
        return Hello::Other;
    }
    let Some(header) = data.get(5..9) else {
        if data.get(5).is_some_and(|kind| !kinds.contains(kind)) {
            return Hello::Other;
        }
        return Hello::Partial;
    };
    let [kind, a, b, c] = *header else {
        return Hello::Partial;
    };
    if !kinds.contains(&kind) {
        return Hello::Other;
    }
    let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    if length + 4 > record {
        return Hello::Other;
    }
    match data.get(9..9 + length) {
        Some(body) => Hello::Whole(kind, body),
        None => Hello::Partial,
    }
}

/// `req.ssl_hello_type` and `res.ssl_hello_type`: the type of the hello in whole.
pub(super) fn kind(bytes: Bytes<'_>, request: bool) -> Answer {
    let kinds: &[u8] = if request { &[0, 1] } else { &[2] };
    match message(&bytes, kinds) {
        Hello::Whole(kind, _) => Answer::of(Value::Int(i64::from(kind))),
        Hello::Partial => Answer::LATER,
        Hello::Other => Answer::NOTHING,
    }
}

/// The extensions of a ClientHello, or why there are none.
fn extensions<'a>(bytes: &Bytes<'a>) -> Result<Reader<'a>, Answer> {
    let body = match message(bytes, &[1]) {
        Hello::Whole(_, body) => body,
        Hello::Partial => return Err(Answer::LATER),
        Hello::Other => return Err(Answer::NOTHING),
    };
    let mut body = Reader(body);
    let read = |body: &mut Reader<'a>| {
        let version = body.number(2)?;
        body.take(32)?;
        body.block(1)?;
        body.block(2)?;
        body.block(1)?;
        (version >= 0x301).then_some(())?;
        body.block(2)
    };
    read(&mut body).map(Reader).ok_or(Answer::NOTHING)
}

/// The extension of that number.
fn extension<'a>(bytes: &Bytes<'a>, wanted: usize) -> Result<&'a [u8], Answer> {
    let mut extensions = extensions(bytes)?;
    while let Some(number) = extensions.number(2) {
        let Some(content) = extensions.block(2) else {
            break;
        };
        if number == wanted {
            return Ok(content);
        }
    }
    Err(Answer::NOTHING)
}

/// `req.ssl_sni` (RFC 6066 section 3).
pub(super) fn server_name(bytes: Bytes<'_>) -> Answer {
    let content = match extension(&bytes, 0) {
        Ok(content) => content,
        Err(answer) => return answer,
    };
    let name = |content| {
        let mut list = Reader(Reader(content).block(2)?);
        while let Some(kind) = list.number(1) {
            let name = list.block(2)?;
            if kind == 0 {
                return Some(name.to_vec());
            }
        }
        None
    };
    name(content).map_or(Answer::NOTHING, |name| Answer::of(Value::Text(name)))
}

/// `req.ssl_alpn` (RFC 7301 section 3.1): the names, with commas between.
pub(super) fn protocols(bytes: Bytes<'_>) -> Answer {
    let content = match extension(&bytes, 16) {
        Ok(content) => content,
        Err(answer) => return answer,
    };
    let names = |content| {
        let mut list = Reader(Reader(content).block(2)?);
        let mut names = Vec::new();
        while !list.0.is_empty() {
            if !names.is_empty() {
                names.push(b',');
            }
            names.extend_from_slice(list.block(1)?);
        }
        Some(names)
    };
    names(content).map_or(Answer::NOTHING, |names| Answer::of(Value::Text(names)))
}

/// `req.ssl_ec_ext`: whether elliptic curves are named (RFC 8422 section 5.1.1).
pub(super) fn names_curves(bytes: Bytes<'_>) -> Answer {
    match extension(&bytes, 10) {
        Ok(_) => Answer::of(Value::Bool(true)),
        Err(answer) => answer,
    }
}

/// `req.ssl_st_ext`: 0 without a session ticket extension, 1 with one, 2 with a ticket in it.
pub(super) fn ticket(bytes: Bytes<'_>) -> Answer {
    match extension(&bytes, 35) {
        Ok([]) => Answer::of(Value::Int(1)),
        Ok(_) => Answer::of(Value::Int(2)),
        Err(Answer::NOTHING) => match extensions(&bytes) {
            Ok(_) => Answer::of(Value::Int(0)),
            Err(answer) => answer,
        },
        Err(answer) => answer,
    }
}

/// `req.ssl_ver`: the version that the hello speaks of, its major part in the upper 16 bits.
pub(super) fn version(bytes: Bytes<'_>) -> Answer {
    let data = bytes.data;
    let Some(header) = data.get(..5) else {
        return Answer::LATER;
    };
    let [kind, major, minor, high, low] = *header else {
        return Answer::LATER;
    };
    let of =
        |major: u8, minor: u8| Answer::of(Value::Int(i64::from(major) << 16 | i64::from(minor)));
    if (0x14..=0x17).contains(&kind) {
        // An SSLv3 record.
        if major < 3 {
            return Answer::NOTHING;
        }
        let record = usize::from(u16::from_be_bytes([high, low]));
        if kind != 0x16 {
            return of(major, minor);
        }
        let Some(hello) = data.get(5..) else {
            return Answer::LATER;
        };
        if hello.len() < record.min(6) {
            return Answer::LATER;
        }
        return match hello {
            [1, _, _, _, major, minor, ..] => of(*major, *minor),
            _ => of(major, minor),
        };
    }
    // An SSLv2 hello: its length with the top bit set, type 1, a version.
    if kind & 0x80 == 0 || minor != 1 {
        return Answer::NOTHING;
    }
    of(high, low)
}
