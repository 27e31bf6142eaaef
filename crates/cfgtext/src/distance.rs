//! How far apart two words are, for "did you mean".

/// Longest word that is compared; longer ones are never near a keyword.
const LONGEST: usize = 64;

/// The Levenshtein distance of two words in bytes: insertions, deletions and substitutions
/// cost 1 each.
///
/// ```
/// assert_eq!(cfgtext::edit_distance(b"balance", b"ballance"), 1);
/// ```
#[must_use]
pub fn edit_distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(b) {
            let substituted = diagonal + usize::from(from != to);
            diagonal = *cell;
            left = substituted.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

/// The candidate nearest to `word`, if it is near enough to be a slip: at most a third of the
/// word's bytes differ, and at least one is allowed to. Of equals the first wins.
#[must_use]
pub fn closest<'a>(word: &[u8], candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let limit = (word.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate.as_bytes()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("same", "same", 0),
        ] {
            assert_eq!(
                edit_distance(a.as_bytes(), b.as_bytes()),
                expected,
                "{a} {b}"
            );
        }
    }

    #[test]
    fn only_slips_are_suggested() {
        let keywords = ["priority", "interface", "state"];
        assert_eq!(closest(b"priorty", keywords), Some("priority"));
        assert_eq!(closest(b"stat", keywords), Some("state"));
        assert_eq!(closest(b"banana", keywords), None);
        assert_eq!(closest(b"", keywords), None);
        assert_eq!(closest(&[b'a'; 10_000], keywords), None);
    }
}
