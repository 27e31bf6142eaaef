//! Numbers, times and booleans, and what is said of those that are none.

use std::fmt;

/// A number that was read, with a fault that was found in it. keepalived uses some numbers in
/// spite of their fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Faulty<T> {
    /// The complaint; of several each is a line.
    pub(crate) message: String,
    /// The number, where one can be made out.
    pub(crate) value: Option<T>,
}

impl<T> Faulty<T> {
    fn without(message: String) -> Self {
        Self {
            message,
            value: None,
        }
    }
}

fn trimmed(word: &str) -> &str {
    word.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}'])
}

/// A whole number without sign, within `min..=max`.
pub(crate) fn unsigned(word: &str, min: u32, max: u32) -> Result<u32, Faulty<u32>> {
    let text = trimmed(word);
    if text.starts_with('-') {
        return Err(Faulty::without(format!("negative number '{word}'")));
    }
    let digits = text.strip_prefix('+').unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || (digits.is_empty() && !text.is_empty())
    {
        return Err(Faulty::without(format!("invalid number '{word}'")));
    }
    // Nothing at all counts as 0.
    let value = if digits.is_empty() {
        Ok(0)
    } else {
        digits.parse::<u32>()
    };
    let Ok(value) = value else {
        return Err(Faulty::without(format!(
            "number '{word}' outside unsigned integer range"
        )));
    };
    within(word, value, min, max)
}

/// A whole number within `min..=max`.
pub(crate) fn signed(word: &str, min: i32, max: i32) -> Result<i32, Faulty<i32>> {
    let text = trimmed(word);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || (digits.is_empty() && !text.is_empty())
    {
        return Err(Faulty::without(format!("invalid number '{word}'")));
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let value = if digits.is_empty() {
        Ok(0)
    } else {
        unsigned.parse::<i32>()
    };
    let Ok(value) = value else {
        return Err(Faulty::without(format!(
            "number '{word}' outside integer range"
        )));
    };
    within(word, value, min, max)
}

fn within<T: PartialOrd + Copy + fmt::Display>(
    word: &str,
    value: T,
    min: T,
    max: T,
) -> Result<T, Faulty<T>> {
    if value < min || value > max {
        return Err(Faulty {
            message: format!("number '{word}' outside range [{min}, {max}]"),
            value: Some(value),
        });
    }
    Ok(value)
}

/// A time in seconds with up to six decimals, as microseconds within `min..=max`.
pub(crate) fn seconds(word: &str, min: u64, max: u64) -> Result<u64, Faulty<u64>> {
    const DECIMALS: usize = 6;
    let text = trimmed(word);
    if text.starts_with('-') {
        return Err(Faulty::without(format!("negative number '{word}'")));
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || text == "." {
        return Err(Faulty::without(format!("invalid number '{word}'")));
    }
    let overflow = || Faulty::without(format!("number '{word}' outside unsigned decimal range"));
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| overflow())?
    };
    let micros = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(DECIMALS)
        .fold(0_u64, |sum, byte| sum * 10 + u64::from(byte - b'0'));
    let rounds_up = fraction
        .as_bytes()
        .get(DECIMALS)
        .is_some_and(|it| *it >= b'5');
    let value = u128::from(whole) * 1_000_000 + u128::from(micros) + u128::from(rounds_up);
    let mut message = String::new();
    if fraction.len() > DECIMALS {
        message = format!("number '{word}' has too many decimal places");
    }
    if value < u128::from(min) || value > u128::from(max) {
        let show = |micros: u64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let (least, most) = (show(min), show(max));
        let outside = format!("number '{word}' outside range [{least}, {most}]");
        if !message.is_empty() {
            message.push('\n');
        }
        return Err(Faulty {
            message: message + &outside,
            value: u64::try_from(value).ok(),
        });
    }
    let value = u64::try_from(value).map_err(|_| overflow())?;
    if !message.is_empty() {
        return Err(Faulty {
            message,
            value: Some(value),
        });
    }
    Ok(value)
}

/// `on off true false yes no`.
pub(crate) fn boolean(word: &[u8]) -> Option<bool> {
    match word {
        b"on" | b"true" | b"yes" => Some(true),
        b"off" | b"false" | b"no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint<T: fmt::Debug>(result: Result<T, Faulty<T>>) -> String {
        result.unwrap_err().message
    }

    #[test]
    fn whole_numbers_as_the_original_takes_them() {
        assert_eq!(unsigned("+5", 1, 255), Ok(5));
        assert_eq!(unsigned(" 010", 1, 255), Ok(10));
        assert_eq!(
            complaint(unsigned("", 1, 255)),
            "number '' outside range [1, 255]"
        );
        assert_eq!(complaint(unsigned("-0", 1, 255)), "negative number '-0'");
        assert_eq!(complaint(unsigned("0x10", 1, 255)), "invalid number '0x10'");
        assert_eq!(
            complaint(unsigned("99999999999", 1, 255)),
            "number '99999999999' outside unsigned integer range"
        );
        assert_eq!(signed("-253", -253, 253), Ok(-253));
        assert_eq!(signed("300", -253, 253).unwrap_err().value, Some(300));
    }

    #[test]
    fn times_as_the_original_takes_them() {
        assert_eq!(seconds("0.5", 10_000, 255_000_000), Ok(500_000));
        assert_eq!(seconds(".5", 10_000, 255_000_000), Ok(500_000));
        assert_eq!(seconds("1.", 10_000, 255_000_000), Ok(1_000_000));
        let fine = seconds("1.1234567", 10_000, 255_000_000).unwrap_err();
        assert_eq!(fine.value, Some(1_123_457));
        assert_eq!(
            complaint(seconds("0.0099994", 10_000, 255_000_000)),
            "number '0.0099994' has too many decimal places
number '0.0099994' outside range [0.010000, 255.000000]"
        );
        let rounded = seconds("0.0099995", 10_000, 255_000_000).unwrap_err();
        assert_eq!(rounded.value, Some(10_000));
        assert_eq!(
            rounded.message,
            "number '0.0099995' has too many decimal places"
        );
        assert_eq!(
            complaint(seconds("0", 10_000, 255_000_000)),
            "number '0' outside range [0.010000, 255.000000]"
        );
        assert_eq!(complaint(seconds("1e3", 0, 9)), "invalid number '1e3'");
        assert_eq!(
            complaint(seconds("9999999999999999999999", 0, 9)),
            "number '9999999999999999999999' outside unsigned decimal range"
        );
    }
}
