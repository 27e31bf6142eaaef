//! What `/proc` says of processes.

use std::path::Path;

/// A process that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// Its name, 15 bytes at most (`/proc/PID/comm`).
    pub(super) name: Vec<u8>,
    /// Its program and arguments, if they were asked for.
    pub(super) command: Vec<Vec<u8>>,
}

/// Whether program and arguments are wanted as well as the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Name,
    Command,
}

/// The process of this id; `None` if there is none, or it only waits for its parent.
pub(super) fn process(root: &Path, pid: u32, detail: Detail) -> Option<Process> {
    let directory = root.join(pid.to_string());
    let name = name(&std::fs::read(directory.join("stat")).ok()?)?;
    let command = match detail {
        Detail::Name => Vec::new(),
        Detail::Command => words(&std::fs::read(directory.join("cmdline")).ok()?),
    };
    Some(Process { name, command })
}

/// The ids of all processes.
pub(super) fn all(root: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The name in `PID (name) STATE ...`; it may hold blanks and brackets itself.
fn name(stat: &[u8]) -> Option<Vec<u8>> {
    let start = stat.iter().position(|byte| *byte == b'(')? + 1;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let state = stat.get(end + 2)?;
    let ended = matches!(state, b'Z' | b'X' | b'x');
    let name = stat.get(start..end)?.to_vec();
    (!ended).then_some(name)
}

fn words(cmdline: &[u8]) -> Vec<Vec<u8>> {
    let cmdline = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    if cmdline.is_empty() {
        return Vec::new();
    }
    cmdline
        .split(|byte| *byte == 0)
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_anything_and_the_dead_have_none() {
        assert_eq!(name(b"7 (a) b) S 1 7").unwrap(), b"a) b");
        assert_eq!(name(b"7 (a) Z 1 7"), None);
        assert_eq!(name(b"7 (a)"), None);
        assert_eq!(name(b""), None);
    }

    #[test]
    fn words_end_with_their_zero() {
        assert_eq!(words(b"a\0b c\0\0"), [&b"a"[..], b"b c", b""]);
        assert!(words(b"").is_empty());
        assert_eq!(words(b"title without zero"), [b"title without zero"]);
    }

    #[test]
    fn this_process_is_among_all() {
        let root = Path::new("/proc");
        let own = std::process::id();
        assert!(all(root).contains(&own));
        let process = process(root, own, Detail::Command).unwrap();
        let comm = std::fs::read("/proc/self/comm").unwrap();
        assert_eq!(process.name, comm.trim_ascii_end());
        let first = std::env::args().next().unwrap();
        assert_eq!(process.command[0], first.as_bytes());
    }
}
