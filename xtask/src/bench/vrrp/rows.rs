//! What is measured, and of whom.

use std::collections::BTreeMap;

use e2e::duel::{Trouble, Wire};
use e2e::pair::Implementation::{self, Original, Ours};
use serde::{Deserialize, Serialize};

/// Whose daemons are the master and the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pairing {
    pub(super) name: &'static str,
    pub(super) routers: [Implementation; 2],
}

/// The pairing that all others are compared with.
pub(super) const REFERENCE: &str = "keepalived/keepalived";

/// All four, first the one it is about, last the [`REFERENCE`].
pub(super) const PAIRINGS: [Pairing; 4] = [
    Pairing {
        name: "vrrpd/vrrpd",
        routers: [Ours, Ours],
    },
    Pairing {
        name: "vrrpd/keepalived",
        routers: [Ours, Original],
    },
    Pairing {
        name: "keepalived/vrrpd",
        routers: [Original, Ours],
    },
    Pairing {
        name: REFERENCE,
        routers: [Original, Original],
    },
];

/// A move of the address and its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MoveRow {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) trouble: Trouble,
    /// `None` for the wire that was asked for.
    pub(super) wire: Option<Wire>,
}

const fn row(name: &'static str, about: &'static str, trouble: Trouble) -> MoveRow {
    MoveRow {
        name,
        about,
        trouble,
        wire: None,
    }
}

pub(super) const MOVES: [MoveRow; 12] = [
    row(
        "term",
        "the master is asked to stop (SIGTERM)",
        Trouble::Term,
    ),
    row(
        "kill-all",
        "all its processes are killed (SIGKILL)",
        Trouble::KillAll,
    ),
    row(
        "kill-child",
        "its working process is killed and started again at once, keepalived's by its parent, \
         vrrpd's by a supervisor",
        Trouble::KillChild,
    ),
    row(
        "kill-parent",
        "the process that was started is killed (SIGKILL)",
        Trouble::KillParent,
    ),
    row("hang", "its working process hangs (SIGSTOP)", Trouble::Hang),
    row(
        "silent",
        "its wire loses every frame, then carries them again",
        Trouble::Silent,
    ),
    row("carrier", "its wire loses the carrier", Trouble::Carrier),
    row(
        "weight",
        "its script of weight 2, run all 2 s, fails",
        Trouble::Weighted,
    ),
    row(
        "fault",
        "its script without weight, run all 2 s, fails",
        Trouble::Vital,
    ),
    row(
        "reload",
        "it reads its unchanged file again (SIGHUP)",
        Trouble::Reload,
    ),
    row(
        "lower",
        "it reads a file that puts it below the other (SIGHUP)",
        Trouble::Lowered,
    ),
    MoveRow {
        name: "v3-kill",
        about: "VRRPv3, an advert every 0.1 s: all its processes are killed (SIGKILL)",
        trouble: Trouble::KillAll,
        wire: Some(Wire::V3Fast),
    },
];

/// What a herd of instances costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HerdRow {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) instances: usize,
    pub(super) wire: Wire,
    /// Whether the CPU is measured, which takes a while.
    pub(super) cpu: bool,
}

const fn herd(
    name: &'static str,
    about: &'static str,
    instances: usize,
    wire: Wire,
    cpu: bool,
) -> HerdRow {
    HerdRow {
        name,
        about,
        instances,
        wire,
        cpu,
    }
}

pub(super) const HERDS: [HerdRow; 4] = [
    herd("one", "one instance", 1, Wire::Unicast, false),
    herd("hundred", "100 instances", 100, Wire::Multicast, false),
    herd(
        "multicast-250",
        "250 instances over multicast, an advert a second each",
        250,
        Wire::Multicast,
        true,
    ),
    herd(
        "unicast-250",
        "250 instances over unicast, an advert a second each",
        250,
        Wire::Unicast,
        true,
    ),
];

/// A figure of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Figure {
    pub(super) key: &'static str,
    pub(super) label: &'static str,
}

const fn figure(key: &'static str, label: &'static str) -> Figure {
    Figure { key, label }
}

/// The figures of a move in the order of the table, in seconds if nothing else is said.
pub(super) const MOVE_FIGURES: [Figure; 8] = [
    figure("gained", "backup has the address"),
    figure("lost", "master has it no more"),
    figure("none", "no owner"),
    figure("two", "two owners"),
    figure("back", "back after it is mended"),
    figure("none_after", "no owner meanwhile"),
    figure("two_after", "two owners meanwhile"),
    figure("announced", "announcements by the winner"),
];

/// The figures of an unchanged reload.
pub(super) const RELOAD_FIGURES: [Figure; 2] = [
    figure("changes", "moves of the address"),
    figure("silence", "longest time between two adverts, s"),
];

/// The figures of a herd.
pub(super) const HERD_FIGURES: [Figure; 7] = [
    figure("start", "from exec to the last BACKUP STATE (init), s"),
    figure("stop", "from SIGTERM to the end of the process, s"),
    figure("gone", "from SIGTERM to the last address gone, s"),
    figure("rss", "resident memory, MiB"),
    figure("pss", "proportional memory, MiB"),
    figure("cpu_master", "CPU of the master, ms/s"),
    figure("cpu_backup", "CPU of the backup, ms/s"),
];

/// Anything that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    Move(MoveRow),
    Herd(HerdRow),
}

impl Row {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Move(row) => row.name,
            Self::Herd(row) => row.name,
        }
    }

    pub(super) const fn about(&self) -> &'static str {
        match self {
            Self::Move(row) => row.about,
            Self::Herd(row) => row.about,
        }
    }

    pub(super) const fn figures(&self) -> &'static [Figure] {
        match self {
            Self::Move(MoveRow {
                trouble: Trouble::Reload,
                ..
            }) => &RELOAD_FIGURES,
            Self::Move(_) => &MOVE_FIGURES,
            Self::Herd(_) => &HERD_FIGURES,
        }
    }
}

/// All rows in the order of the table.
pub(super) fn every() -> Vec<Row> {
    let moves = MOVES.into_iter().map(Row::Move);
    moves.chain(HERDS.into_iter().map(Row::Herd)).collect()
}

/// The rows of these names or groups (`moves`, `herds`), all without a name.
///
/// # Errors
/// The first name that is none.
pub(super) fn chosen(names: &[String]) -> Result<Vec<Row>, String> {
    let mut rows = every();
    let named = |row: &Row, name: &str| match row {
        Row::Move(_) if name == "moves" => true,
        Row::Herd(_) if name == "herds" => true,
        row => row.name() == name,
    };
    for name in names {
        if !rows.iter().any(|row| named(row, name)) {
            return Err(name.clone());
        }
    }
    if !names.is_empty() {
        rows.retain(|row| names.iter().any(|name| named(row, name)));
    }
    Ok(rows)
}

/// One measurement: what one pairing did once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) row: String,
    pub(super) pairing: String,
    pub(super) round: usize,
    /// Figures by their keys.
    pub(super) values: BTreeMap<String, f64>,
    /// Whether two routers still held the address when it was mended: their time together
    /// then is only how long was watched.
    pub(super) two_remained: bool,
    /// Why it does not count.
    pub(super) fault: Option<String>,
}

impl Sample {
    /// A measurement that has not begun.
    pub(super) fn new(row: &str, pairing: &Pairing, round: usize) -> Self {
        Self {
            row: row.to_owned(),
            pairing: pairing.name.to_owned(),
            round,
            values: BTreeMap::new(),
            two_remained: false,
            fault: None,
        }
    }

    /// Takes a figure down.
    pub(super) fn tell(&mut self, key: &str, value: f64) {
        self.values.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_name_and_by_group() {
        let names = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|name| (*name).to_owned()).collect();
            chosen(&given).map(|rows| rows.iter().map(Row::name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).map(|rows| rows.len()), Ok(MOVES.len() + 4));
        assert_eq!(names(&["weight", "term"]), Ok(vec!["term", "weight"]));
        assert_eq!(names(&["moves"]).map(|rows| rows.len()), Ok(MOVES.len()));
        assert_eq!(names(&["herds"]).map(|rows| rows.len()), Ok(HERDS.len()));
        assert_eq!(names(&["wait"]), Err("wait".to_owned()));
    }

    #[test]
    fn every_trouble_has_a_row_and_every_row_a_name_of_its_own() {
        for trouble in Trouble::ALL {
            assert!(
                MOVES.iter().any(|row| row.trouble == trouble),
                "{trouble:?}"
            );
        }
        let mut names: Vec<&str> = every().iter().map(Row::name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
