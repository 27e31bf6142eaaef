//! Numbers and delays as the original reads them.

use crate::text;

/// atol(3): blanks, a sign, digits; 0 if there are none, and what does not fit is clamped.
pub(crate) fn atol(text: &str) -> i64 {
    let text = text.trim_start_matches([' ', '\t', '\r', '\n', '\u{b}', '\u{c}']);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..).unwrap_or_default()),
        Some(b'+') => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    let value = digits
        .bytes()
        .take_while(u8::is_ascii_digit)
        .fold(0_i64, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(i64::from(digit - b'0'))
        });
    if negative { -value } else { value }
}

/// atoi(3) as on the original's machine: the lower 32 bits of [`atol`].
pub(crate) fn atoi(text: &str) -> i32 {
    let bytes = atol(text).to_le_bytes();
    let [a, b, c, d, ..] = bytes;
    i32::from_le_bytes([a, b, c, d])
}

/// A count where the original takes a negative number or a word for "none".
pub(crate) fn count(text: &str) -> u32 {
    u32::try_from(atoi(text)).unwrap_or(0)
}

/// The unit of a number without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Milliseconds.
    Milli,
    /// Seconds.
    Second,
}

/// Why a delay cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DelayError {
    /// The byte that is no digit and no unit, as text; empty at the end of the word.
    Unexpected(String),
    /// More than 2147483647 units.
    Overflow,
}

/// A delay in `unit`s, and the rest of the word after its unit, which only deserves a warning.
///
/// Units are `us ms s m h d` (configuration manual, section 2.5).
///
/// # Errors
/// [`DelayError`].
pub(crate) fn delay(word: &str, unit: Unit) -> Result<(u32, &str), DelayError> {
    const MOST: u128 = 0x7fff_ffff;
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = word.split_at(digits);
    if number.is_empty() {
        return Err(DelayError::Unexpected(text::first_byte(rest)));
    }
    let value = number.bytes().fold(0_u128, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u128::from(digit - b'0'))
    });
    let millis = match unit {
        Unit::Milli => 1,
        Unit::Second => 1000,
    };
    // (factor to microseconds, length of the unit's name)
    let (micros, length) = match rest.as_bytes() {
        [] => (1000 * millis, 0),
        [b'u', b's', ..] => (1, 2),
        [b'm', b's', ..] => (1000, 2),
        [b's', ..] => (1_000_000, 1),
        [b'm', ..] => (60_000_000, 1),
        [b'h', ..] => (3_600_000_000, 1),
        [b'd', ..] => (86_400_000_000, 1),
        _ => return Err(DelayError::Unexpected(text::first_byte(rest))),
    };
    let micros = value.saturating_mul(micros);
    let result = micros.div_ceil(1000 * millis);
    if result > MOST {
        return Err(DelayError::Overflow);
    }
    let rest = rest.get(length..).unwrap_or_default();
    Ok((u32::try_from(result).unwrap_or(u32::MAX), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_like_c() {
        for (text, expected) in [
            ("", 0),
            ("abc", 0),
            ("12x", 12),
            (" -7", -7),
            ("+3", 3),
            ("99999999999999999999", i64::MAX),
        ] {
            assert_eq!(atol(text), expected, "{text}");
        }
        assert_eq!(atoi("4294967297"), 1);
        assert_eq!(count("-1"), 0);
    }

    #[test]
    fn delays() {
        let unexpected = |byte: &str| Err(DelayError::Unexpected(byte.to_owned()));
        for (text, expected) in [
            ("5000", Ok((5000, ""))),
            ("5s", Ok((5000, ""))),
            ("1h30m", Ok((3_600_000, "30m"))),
            ("2000us", Ok((2, ""))),
            ("0", Ok((0, ""))),
            ("2147483647", Ok((i32::MAX as u32, ""))),
            ("2147483648", Err(DelayError::Overflow)),
            ("30d", Err(DelayError::Overflow)),
            ("300us", Ok((1, ""))),
            ("x", unexpected("x")),
            ("10x", unexpected("x")),
            ("-1", unexpected("-")),
            ("", unexpected("")),
        ] {
            assert_eq!(delay(text, Unit::Milli), expected, "{text}");
        }
    }
}
