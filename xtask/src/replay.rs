//! `cargo xtask replay`: what a daemon recorded (`vrrpd --record FILE`), told to
//! fresh virtual routers.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use vrrp_core::record::{Difference, Entry, Replay, Unusable};

use crate::run::say;

/// Differences shown; one is worth reading, the rest follow from it.
const SHOWN: usize = 5;

/// What to replay.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// What `vrrpd --record FILE` wrote
    file: PathBuf,
    /// Print every event and what it led to
    #[arg(long)]
    verbose: bool,
}

/// Replays a record; fails if a router does anything else than it did.
pub(crate) fn replay(options: &Options) -> Result<ExitCode> {
    let (replay, differences) = read(&options.file, options.verbose)?;
    for difference in differences.iter().take(SHOWN) {
        say(&told(difference));
    }
    let routers = replay.routers().map(|(number, router)| {
        let name = &router.settings().name;
        format!("router {number} ({name}) is {}", router.state())
    });
    for line in routers {
        say(&line);
    }
    say(&format!(
        "{} events replayed, {} differences",
        replay.told(),
        differences.len()
    ));
    Ok(if differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn read(path: &Path, verbose: bool) -> Result<(Replay, Vec<Difference>)> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut replay = Replay::default();
    let mut differences = Vec::new();
    let mut lines = BufReader::new(file).lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let place = || format!("{}, line {}", path.display(), number + 1);
        let line = line.with_context(place)?;
        let entry: Entry = match serde_json::from_str(&line) {
            Ok(entry) => entry,
            // A daemon that was killed leaves half a line.
            Err(_) if lines.peek().is_none() && number > 0 => break,
            Err(error) => return Err(error).with_context(place),
        };
        if verbose {
            show(&entry);
        }
        match replay.take(entry) {
            Ok(difference) => differences.extend(difference),
            Err(Unusable::Form(form)) => bail!("{}: form {form} is not known here", place()),
            Err(Unusable::Stranger(router)) => {
                bail!("{}: nothing is said before of router {router}", place())
            }
        }
    }
    Ok((replay, differences))
}

fn show(entry: &Entry) {
    match entry {
        Entry::Told {
            router,
            at,
            event,
            did,
        } => {
            say(&format!("{at} router {router}: {event:?}"));
            for deed in did {
                say(&format!("    {deed}"));
            }
        }
        Entry::Record { .. } | Entry::Router { .. } | Entry::Gone { .. } => {
            say(&format!("{entry:?}"));
        }
    }
}

fn told(difference: &Difference) -> String {
    let Difference {
        router,
        at,
        event,
        recorded,
        replayed,
    } = difference;
    format!(
        "{at} router {router}: {event}\n  recorded: {}\n  replayed: {}",
        recorded.join("\n            "),
        replayed.join("\n            ")
    )
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use vrrp_core::record::{FORM, Masks, deeds};
    use vrrp_core::settings::Instance;
    use vrrp_core::{Event, Time, VirtualRouter};

    use super::*;

    /// A router that was started, line by line.
    fn record() -> Vec<String> {
        let settings = Instance::new("V", "eth0", NonZeroU8::MIN);
        let mut router = VirtualRouter::new(settings.clone());
        router.handle(Time(1), Event::Start);
        let actions: Vec<_> = std::iter::from_fn(|| router.poll_action()).collect();
        let entries = [
            Entry::Record { form: FORM },
            Entry::Router {
                router: 1,
                settings: Masks::default().settings(&settings),
            },
            Entry::Told {
                router: 1,
                at: Time(1),
                event: Event::Start,
                did: deeds(&actions),
            },
        ];
        let line = |entry: &Entry| serde_json::to_string(entry).unwrap();
        entries.iter().map(line).collect()
    }

    fn replayed(text: &str) -> Result<(u64, usize)> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("record");
        std::fs::write(&file, text).unwrap();
        let (replay, differences) = read(&file, false)?;
        Ok((replay.told(), differences.len()))
    }

    #[test]
    fn a_record_is_read_to_its_end() {
        let whole = record().join("\n");
        assert_eq!(replayed(&whole).unwrap(), (1, 0));
        // The daemon was killed while it wrote.
        assert_eq!(
            replayed(&format!("{whole}\n{{\"told\":{{")).unwrap(),
            (1, 0)
        );
        let other = whole
            .replace("BACKUP", "MASTER")
            .replace("Backup", "Master");
        assert_eq!(replayed(&other).unwrap(), (1, 1));
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_place() {
        let mut lines = record();
        lines.insert(1, "nonsense".to_owned());
        let error = replayed(&lines.join("\n")).unwrap_err();
        assert!(error.to_string().ends_with("record, line 2"), "{error}");
        let error = replayed(&record()[2]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("nothing is said before of router 1")
        );
    }
}
