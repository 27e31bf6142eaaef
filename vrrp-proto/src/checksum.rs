//! The internet checksum (RFC 1071).

/// The ones' complement of the ones' complement sum of `parts`, read as one
/// string of 16-bit words. An odd byte at the very end is padded with zero;
/// every part but the last must therefore have an even length.
///
/// Summing a message that already carries its checksum gives 0.
#[must_use]
pub fn internet(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for part in parts {
        let mut words = part.chunks_exact(2);
        for word in &mut words {
            if let [high, low] = *word {
                sum += u64::from(u16::from_be_bytes([high, low]));
            }
        }
        if let [last] = *words.remainder() {
            sum += u64::from(u16::from_be_bytes([last, 0]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // The loop above leaves at most 16 bits.
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::internet;

    #[test]
    fn the_example_of_rfc_1071_section_3() {
        // The RFC's sum is ddf2; the checksum is its complement.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet(&[&bytes]), !0xddf2);
        assert_eq!(internet(&[&bytes[..4], &bytes[4..]]), !0xddf2);
    }

    #[test]
    fn an_odd_last_byte_is_padded() {
        assert_eq!(
            internet(&[&[0x12, 0x34, 0x56]]),
            internet(&[&[0x12, 0x34, 0x56, 0x00]])
        );
        assert_eq!(internet(&[]), 0xffff);
    }
}
