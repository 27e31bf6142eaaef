//! Reading fixed-width fields without indexing.

/// The first `N` bytes and the rest, or nothing if there are fewer.
pub(crate) fn take<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes
        .split_first_chunk::<N>()
        .map(|(head, rest)| (*head, rest))
}
