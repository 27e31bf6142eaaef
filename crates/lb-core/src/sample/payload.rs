//! Parts of what a side has sent: `payload`, `payload_lv`, `rdp_cookie`.

use super::{Answer, Bytes, Value};

/// `length` bytes from `offset`, all from there on if it is 0.
pub(super) fn payload(bytes: Bytes<'_>, offset: i64, length: i64) -> Answer {
    let (Ok(offset), Ok(length)) = (usize::try_from(offset), usize::try_from(length)) else {
        return Answer::NOTHING;
    };
    let Some(end) = offset.checked_add(length).filter(|end| *end <= bytes.room) else {
        return Answer::NOTHING;
    };
    if end > bytes.data.len() {
        return Answer::LATER;
    }
    let found = if length == 0 {
        bytes.data.get(offset..)
    } else {
        bytes.data.get(offset..end)
    };
    Answer {
        value: found.map(|found| Value::Binary(found.to_vec())),
        open: length == 0 && bytes.open,
    }
}

/// A block whose length stands in `size` bytes at `offset`; it begins right behind them, or at
/// `second`, which counts from there if it is relative.
pub(super) fn counted(
    bytes: Bytes<'_>,
    offset: i64,
    size: i64,
    second: Option<(i64, bool)>,
) -> Answer {
    let (Ok(offset), Ok(size)) = (usize::try_from(offset), usize::try_from(size)) else {
        return Answer::NOTHING;
    };
    let Some(after) = offset.checked_add(size).filter(|end| *end <= bytes.room) else {
        return Answer::NOTHING;
    };
    let Some(digits) = bytes.data.get(offset..after) else {
        return Answer::LATER;
    };
    let length = digits.iter().fold(0_usize, |sum, byte| {
        sum.wrapping_shl(8).wrapping_add(usize::from(*byte))
    });
    let start = match second {
        None => Some(after),
        Some((second, false)) => usize::try_from(second).ok(),
        Some((second, true)) => isize::try_from(second)
            .ok()
            .and_then(|second| after.checked_add_signed(second)),
    };
    let Some(start) = start else {
        return Answer::NOTHING;
    };
    let Some(end) = start
        .checked_add(length)
        .filter(|end| length > 0 && *end <= bytes.room)
    else {
        return Answer::NOTHING;
    };
    match bytes.data.get(start..end) {
        Some(block) => Answer::of(Value::Binary(block.to_vec())),
        None => Answer::LATER,
    }
}

/// The cookie of an RDP connection request (MS-RDPBCGR 2.2.1.1): the one of that name, or the first.
pub(super) fn rdp_cookie(bytes: Bytes<'_>, name: &[u8]) -> Answer {
    let data = bytes.data;
    // TPKT: version 3, a length; COTP: a length, a connection request.
    let Some(header) = data.get(..11) else {
        return Answer::LATER;
    };
    let [3, 0, high, low, rest, kind, _, _, _, _, _] = *header else {
        return Answer::NOTHING;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if kind != 0xe0 || length != usize::from(rest) + 5 || length < 12 {
        return Answer::NOTHING;
    }
    let Some(text) = data.get(11..length) else {
        return Answer::LATER;
    };
    let Some(text) = text
        .get(..7)
        .filter(|word| word.eq_ignore_ascii_case(b"Cookie:"))
        .and_then(|_| text.get(7..))
    else {
        return Answer::NOTHING;
    };
    let text = text.trim_ascii_start();
    let Some(equals) = text.iter().position(|byte| *byte == b'=') else {
        return Answer::NOTHING;
    };
    let (found, value) = text.split_at_checked(equals).unwrap_or((text, &[]));
    if !name.is_empty() && !found.eq_ignore_ascii_case(name) {
        return Answer::NOTHING;
    }
    let value = value.get(1..).unwrap_or_default();
    let Some(end) = value
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n' | b';'))
    else {
        return Answer::NOTHING;
    };
    Answer::of(Value::Text(value.get(..end).unwrap_or_default().to_vec()))
}
