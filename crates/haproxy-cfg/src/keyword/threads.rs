//! How many threads there are, and on which CPUs they run.

use crate::line::Line;
use crate::model::CpuMap;
use crate::number;
use crate::reader::Reader;

/// Threads and thread groups are numbered from 1 to this.
const THREADS: usize = 64;
/// CPUs are numbered from 0 to one less than this.
const CPUS: usize = 1024;

/// Why a set of threads or groups cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// No number where one is due.
    Word,
    /// A number out of range.
    Range,
}

/// A strict integer from 1 to `most`.
fn bounded(reader: &mut Reader<'_>, line: &Line, most: u32) -> Option<u32> {
    let keyword = line.arg(0).to_owned();
    let word = line.arg(1).to_owned();
    let digits = word.strip_prefix('-').unwrap_or(&word);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        reader.fatal_at(
            line,
            format!("'{keyword}' passed a missing or unparsable integer value in '{word}'"),
        );
        return None;
    }
    let value = number::atol(&word);
    match u32::try_from(value) {
        Ok(value) if (1..=most).contains(&value) => Some(value),
        _ => {
            reader.fatal_at(
                line,
                format!("'{keyword}' value must be between 1 and {most} (was {value})"),
            );
            None
        }
    }
}

/// `nbthread`
pub(crate) fn nbthread(reader: &mut Reader<'_>, line: &Line) {
    if let Some(count) = bounded(reader, line, 64) {
        reader.global.nbthread = Some(count);
    }
}

/// `thread-groups`
pub(crate) fn thread_groups(reader: &mut Reader<'_>, line: &Line) {
    bounded(reader, line, 1);
}

/// `cpu-map`
pub(crate) fn cpu_map(reader: &mut Reader<'_>, line: &Line) {
    if line.arg(1).is_empty() || line.arg(2).is_empty() {
        reader.fatal_at(line, "cpu-map expects a process number  ('all', 'odd', 'even', a number from 1 to 64 or a range),  followed by a list of CPU ranges with numbers from 0 to 63.");
        return;
    }
    let place = line.arg(1);
    let (spread, place) = match place.strip_prefix("auto:") {
        Some(place) => (true, place),
        None => (false, place),
    };
    let (groups, threads) = match place.split_once('/') {
        Some((groups, threads)) => (groups, Some(threads)),
        None => (place, None),
    };
    let read = |text: &str| members(text).map_err(|wrong| (text.to_owned(), wrong));
    let sets = read(groups).and_then(|groups| Ok((groups, threads.map(read).transpose()?)));
    let (groups, threads) = match sets {
        Ok(sets) => sets,
        Err((text, wrong)) => {
            let more = match wrong {
                Wrong::Word => "",
                Wrong::Range => " It supports numbers from 1 to 64.\n",
            };
            let text = format!("cpu-map : '{text}' is not a valid number/range.{more}");
            reader.fatal_at(line, text);
            return;
        }
    };
    let words = line
        .words
        .iter()
        .skip(2)
        .take_while(|word| !word.is_empty());
    let cpus = match cpus(words.map(String::as_str)) {
        Ok(cpus) => cpus,
        Err(text) => {
            reader.fatal_at(line, format!("cpu-map : {text}"));
            return;
        }
    };
    let fits = |set: &[usize]| set.len() == cpus.len();
    if spread && !fits(&groups) && !threads.as_deref().is_some_and(fits) {
        reader.fatal_at(line, "cpu-map : PROC/THREAD range and CPU sets must have the same size to be automatically bound");
        return;
    }
    // There is one group; what is said of others is for nobody.
    let Some(place) = groups.iter().position(|group| *group == 1) else {
        return;
    };
    enter(&mut reader.global.cpu_map, place, threads, &cpus, spread);
}

/// Writes a line into the map; the group is number `place` of those it names.
fn enter(
    map: &mut CpuMap,
    place: usize,
    threads: Option<Vec<usize>>,
    cpus: &[usize],
    spread: bool,
) {
    let one = |index: usize| {
        cpus.get(index)
            .map_or_else(|| cpus.to_vec(), |cpu| vec![*cpu])
    };
    let Some(threads) = threads else {
        map.group = if spread { one(place) } else { cpus.to_vec() };
        return;
    };
    let by_thread = spread && threads.len() == cpus.len();
    for (index, thread) in threads.into_iter().enumerate() {
        let cpus = match (spread, by_thread) {
            (true, true) => one(index),
            (true, false) => one(place),
            (false, _) => cpus.to_vec(),
        };
        map.threads.insert(thread - 1, cpus);
    }
}

/// The numbers, from 1, of `all | odd | even | number[-[number]]`, lowest first.
fn members(text: &str) -> Result<Vec<usize>, Wrong> {
    let wanted: fn(&usize) -> bool = match text {
        "all" => |_| true,
        "odd" => |number| number % 2 == 1,
        "even" => |number| number % 2 == 0,
        _ => return span(text),
    };
    Ok((1..=THREADS).filter(wanted).collect())
}

fn span(text: &str) -> Result<Vec<usize>, Wrong> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(from) || !all_digits(to) {
        return Err(Wrong::Word);
    }
    let number = |text: &str| usize::try_from(number::atol(text)).unwrap_or(usize::MAX);
    let (from, to) = match to {
        "" if text.ends_with('-') => (number(from), THREADS),
        to => (number(from), number(to)),
    };
    let (from, to) = (from.min(to), from.max(to));
    if from == 0 || to > THREADS {
        return Err(Wrong::Range);
    }
    Ok((from..=to).collect())
}

/// The CPUs that these words name, lowest first; what follows a number or a range is not read.
fn cpus<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<usize>, String> {
    let mut found = std::collections::BTreeSet::new();
    for word in words {
        if !word.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(format!("'{word}' is not a CPU range."));
        }
        let digits = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit());
            end.unwrap_or(text.len())
        };
        let number = |text: &str| usize::try_from(number::atol(text)).unwrap_or(usize::MAX);
        let (low, rest) = word.split_at(digits(word));
        let low = number(low);
        let high = match rest
            .strip_prefix('-')
            .map(|rest| rest.split_at(digits(rest)).0)
        {
            None => low,
            Some("") => CPUS - 1,
            Some(high) => number(high),
        };
        if low.max(high) >= CPUS {
            return Err(format!("supports CPU numbers from 0 to {}.", CPUS - 1));
        }
        found.extend(low.min(high)..=low.max(high));
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_threads() {
        assert_eq!(members("3"), Ok(vec![3]));
        assert_eq!(members("2-4"), Ok(vec![2, 3, 4]));
        assert_eq!(members("4-2"), Ok(vec![2, 3, 4]));
        assert_eq!(members("62-"), Ok(vec![62, 63, 64]));
        assert_eq!(members("all").map(|set| set.len()), Ok(64));
        assert_eq!(members("odd").map(|set| set.first().copied()), Ok(Some(1)));
        assert_eq!(members("even").map(|set| set.last().copied()), Ok(Some(64)));
        assert_eq!(members("0"), Err(Wrong::Range));
        assert_eq!(members("1-65"), Err(Wrong::Range));
        assert_eq!(members(""), Err(Wrong::Range));
        assert_eq!(members("1-2-3"), Err(Wrong::Word));
    }

    #[test]
    fn sets_of_cpus() {
        let read = |text: &str| cpus(text.split(' '));
        assert_eq!(read("3 2 1 0"), Ok(vec![0, 1, 2, 3]));
        assert_eq!(read("0-1 5"), Ok(vec![0, 1, 5]));
        assert_eq!(read("3-1"), Ok(vec![1, 2, 3]));
        assert_eq!(read("1020-").map(|set| set.len()), Ok(4));
        assert!(read("1024").is_err() && read("x").is_err() && read("-1").is_err());
    }
}
