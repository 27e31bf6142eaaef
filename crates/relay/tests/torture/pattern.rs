//! The bytes of every stream: a window into one table, so that a byte tells its place in its stream
//! and checking a read is a comparison of two slices.

use std::sync::OnceLock;

/// Bytes after which the table repeats. A prime, so that no buffer, page or segment size divides it:
/// bytes that are lost, doubled or swapped never fit by accident.
const PERIOD: usize = 1_048_573;
/// The longest piece that is sent at once.
pub(crate) const LONGEST: usize = 4 << 20;

/// `length` bytes of stream `stream` from `at`; at most [`LONGEST`].
pub(crate) fn bytes(stream: u64, at: u64, length: usize) -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut random = fastrand::Rng::with_seed(0x7ab1e);
        let mut period = vec![0; PERIOD];
        random.fill(&mut period);
        let mut table = period.clone();
        while table.len() < PERIOD + LONGEST {
            table.extend_from_slice(&period);
        }
        table
    });
    let shift = fastrand::Rng::with_seed(stream).u64(0..PERIOD as u64);
    let start = ((shift + at) % PERIOD as u64) as usize;
    &table[start..start + length]
}
