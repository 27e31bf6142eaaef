//! What loads and backend say to each other.
//!
//! The first byte of a connection chooses what the backend does. A message is 100
//! bytes: that byte, then a pattern that depends on the connection. A stream is
//! [`pattern`] bytes; the backend ends its side with a [`Trailer`].

/// Bytes of a request and of its reply.
pub(crate) const MESSAGE: usize = 100;

/// Bytes a bulk stream tries to write at once.
pub(crate) const BLOCK: usize = 1 << 20;

/// What the backend does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Sends back what comes.
    Echo,
    /// Takes what comes.
    Sink,
    /// Sends until the other side ends its direction.
    Source,
    /// Both at once.
    Both,
}

impl Mode {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Echo => b'E',
            Self::Sink => b'K',
            Self::Source => b'S',
            Self::Both => b'B',
        }
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'E' => Some(Self::Echo),
            b'K' => Some(Self::Sink),
            b'S' => Some(Self::Source),
            b'B' => Some(Self::Both),
            _ => None,
        }
    }

    pub(crate) const fn sends_stream(self) -> bool {
        matches!(self, Self::Source | Self::Both)
    }
}

/// The request number `serial`, which no neighbour shares.
pub(crate) fn message(serial: u64) -> [u8; MESSAGE] {
    let mut bytes = [b'.'; MESSAGE];
    let serial = serial.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = serial[index % 8] ^ (index as u8);
    }
    bytes[0] = Mode::Echo.byte();
    bytes
}

/// The byte of a stream at `position`.
pub(crate) const fn pattern(position: u64) -> u8 {
    ((position as u8) ^ ((position >> 8) as u8).wrapping_mul(31))
        .wrapping_add((position >> 16) as u8)
}

/// One block of a stream. Its length is a multiple of the pattern's period, so a
/// stream is this block again and again.
pub(crate) fn block() -> Vec<u8> {
    // The pattern uses the low 24 bits of the position; a block restarts it, which
    // makes the period of the stream that of the block.
    (0..BLOCK as u64).map(pattern).collect()
}

/// How a stream of the backend ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Trailer {
    /// Stream bytes the backend sent before this.
    pub(crate) sent: u64,
    /// Bytes it received, the first byte of the connection among them.
    pub(crate) received: u64,
}

impl Trailer {
    pub(crate) const SIZE: usize = 16;

    pub(crate) fn encode(self) -> [u8; Self::SIZE] {
        let both = (u128::from(self.received) << 64) | u128::from(self.sent);
        both.to_le_bytes()
    }

    pub(crate) fn decode(bytes: [u8; Self::SIZE]) -> Self {
        let both = u128::from_le_bytes(bytes);
        Self {
            sent: both as u64,
            received: (both >> 64) as u64,
        }
    }
}

/// Checks a stream as it comes: the first and last byte of every read against the
/// pattern (a lost, doubled or moved piece shifts all that follows), and the length
/// against the trailer.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    received: u64,
    wrong: u64,
    /// The last bytes seen, which are the trailer once the stream has ended; they
    /// are not checked against the pattern until more follow.
    tail: Vec<u8>,
}

impl Checker {
    /// Looks at the next bytes of the stream.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        // Everything but the last 16 bytes is certainly stream.
        let start = self.received;
        self.received += bytes.len() as u64;
        let certain = self.received.saturating_sub(Trailer::SIZE as u64);
        let whole = certain.saturating_sub(start).min(bytes.len() as u64) as usize;
        if let Some(last) = whole.checked_sub(1) {
            self.compare(start, bytes[0]);
            self.compare(start + last as u64, bytes[last]);
        }
        if let Some(tail) = bytes.len().checked_sub(Trailer::SIZE) {
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[tail..]);
        } else {
            self.tail.extend_from_slice(bytes);
            let surplus = self.tail.len().saturating_sub(Trailer::SIZE);
            self.tail.drain(..surplus);
        }
    }

    fn compare(&mut self, position: u64, byte: u8) {
        if byte != pattern(position % BLOCK as u64) {
            self.wrong += 1;
        }
    }

    /// Bytes of the stream so far, the trailer among them once it has come.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// What is wrong with a stream that has ended, if `sent` went the other way.
    pub(crate) fn verdict(&self, sent: u64) -> Option<&'static str> {
        let Ok(tail) = <[u8; Trailer::SIZE]>::try_from(self.tail.as_slice()) else {
            return Some("cut short");
        };
        let trailer = Trailer::decode(tail);
        if self.wrong > 0 {
            Some("wrong bytes")
        } else if trailer.sent != self.received - Trailer::SIZE as u64 {
            Some("wrong length down")
        } else if trailer.received != sent {
            Some("wrong length up")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(length: usize, received: u64) -> Vec<u8> {
        let mut bytes: Vec<u8> = block().into_iter().cycle().take(length).collect();
        let trailer = Trailer {
            sent: length as u64,
            received,
        };
        bytes.extend(trailer.encode());
        bytes
    }

    fn check(bytes: &[u8], piece: usize, sent: u64) -> Option<&'static str> {
        let mut checker = Checker::default();
        for piece in bytes.chunks(piece) {
            checker.take(piece);
        }
        checker.verdict(sent)
    }

    #[test]
    fn a_whole_stream_is_right_in_pieces_of_any_size() {
        for length in [0, 1, 15, 16, 17, 1000, BLOCK + 5] {
            let bytes = stream(length, 77);
            for piece in [1, 3, 16, 999, BLOCK, 2 * BLOCK] {
                assert_eq!(check(&bytes, piece, 77), None, "{length} in {piece}");
            }
        }
    }

    #[test]
    fn a_damaged_stream_is_named() {
        let whole = stream(100_000, 5);
        assert_eq!(check(&whole, 4096, 6), Some("wrong length up"));
        assert_eq!(check(&whole[..10], 4096, 5), Some("cut short"));
        let mut lost = whole.clone();
        lost.drain(50_000..50_001);
        assert!(check(&lost, 4096, 5).is_some());
        let mut doubled = whole.clone();
        doubled.splice(256..256, whole[..256].to_vec());
        assert!(check(&doubled, 4096, 5).is_some());
        let cut = &whole[..whole.len() - 100];
        assert!(check(cut, 4096, 5).is_some());
    }

    #[test]
    fn modes_and_trailers_survive_the_wire() {
        for mode in [Mode::Echo, Mode::Sink, Mode::Source, Mode::Both] {
            assert_eq!(Mode::from_byte(mode.byte()), Some(mode));
        }
        assert_eq!(Mode::from_byte(0), None);
        let trailer = Trailer {
            sent: u64::MAX,
            received: 3,
        };
        assert_eq!(Trailer::decode(trailer.encode()), trailer);
        assert_ne!(message(1), message(2));
        assert_eq!(Mode::from_byte(message(9)[0]), Some(Mode::Echo));
    }
}
