//! Config bytes as `String`s without losing one.
//!
//! Config text may be any bytes, while keywords, numbers and messages are handled most simply as
//! text. A byte that is not part of valid UTF-8 is carried as a character of its own from the end
//! of the last private plane (U+10FF00 plus the byte), and those characters themselves are
//! carried the same way, so that [`decode`] is the exact inverse of [`encode`].

const BASE: u32 = 0x10_FF00;

/// Bytes as text.
#[must_use]
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if u32::from(character) < BASE {
                out.push(character);
            } else {
                let mut buffer = [0; 4];
                let encoded = character.encode_utf8(&mut buffer);
                out.extend(encoded.bytes().map(carrier));
            }
        }
        out.extend(chunk.invalid().iter().copied().map(carrier));
    }
    out
}

/// Text made by [`encode`] as the bytes it stands for.
#[must_use]
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for character in text.chars() {
        match u32::from(character).checked_sub(BASE) {
            Some(byte) => out.push(u8::try_from(byte).unwrap_or(b'?')),
            None => out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    out
}

/// The first byte of the text, as text.
#[must_use]
pub(crate) fn first_byte(text: &str) -> String {
    encode(decode(text).get(..1).unwrap_or_default())
}

fn carrier(byte: u8) -> char {
    char::from_u32(BASE + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_survive(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = encode(&bytes);
            prop_assert_eq!(decode(&text), bytes.as_slice());
        }

        #[test]
        fn reserved_characters_survive(text in "[\u{10FEFF}-\u{10FFFF}a-zé]*") {
            prop_assert_eq!(decode(&encode(text.as_bytes())), text.as_bytes());
        }
    }
}
