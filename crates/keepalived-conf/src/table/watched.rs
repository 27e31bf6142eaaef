//! What instances can track besides scripts and interfaces: `track_file` and
//! `vrrp_track_process`. keepalived.conf(5), "TRACK_FILE", "VRRP track processes".

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use vrrp_core::settings::Sense;
use vrrp_core::time::Duration;

use crate::draft::{FileDraft, ProcessDraft};
use crate::model::{ParamMatch, TrackProcessDef};
use crate::number::{seconds, signed, unsigned};
use crate::pass::Pass;
use crate::report::Process;
use crate::text::Line;

use super::{Handled, Row, addresses, script};

/// One hour, in microseconds.
const LONGEST_DELAY: u64 = 3_600_000_000;

/// The keywords of `vrrp_track_process`.
pub(super) const PROCESS: &[Row] = &[
    Row::full(
        "process",
        "COMMAND ...",
        command,
        "name or path of the program, and the arguments it must have",
    ),
    Row::full(
        "param_match",
        "initial|partial",
        param_match,
        "more arguments may follow",
    ),
    Row::full(
        "weight",
        "-254..254 [reverse]",
        process_weight,
        "0: too few are a fault",
    ),
    Row::full(
        "quorum",
        "COUNT",
        quorum,
        "so many have to run, 1 unless given",
    ),
    Row::full("quorum_max", "COUNT", quorum_max, "no more may run"),
    Row::full(
        "delay",
        "SECONDS",
        delay,
        "fork_delay and terminate_delay in one",
    ),
    Row::full(
        "fork_delay",
        "SECONDS",
        delay,
        "how long there have to be enough before it counts",
    ),
    Row::full(
        "terminate_delay",
        "SECONDS",
        delay,
        "how long there have to be too few before it counts",
    ),
    Row::full(
        "full_command",
        "",
        full_command,
        "compare command lines, not names of processes",
    ),
];

/// The keywords of `track_file`.
pub(super) const FILE: &[Row] = &[
    Row::full("file", "NAME", file, "the file that holds a number"),
    Row::full(
        "weight",
        "-254..254 [reverse]",
        file_weight,
        "the number is multiplied with it, 1 unless given; 0: any other number than 0 is a fault",
    ),
    Row::full(
        "init_file",
        "[NUMBER] [overwrite]",
        init_file,
        "write the number at the start, also over a file that is there",
    ),
];

fn process<'p>(pass: &'p mut Pass<'_>) -> Option<&'p mut ProcessDraft> {
    pass.draft.track_processes.last_mut()
}

fn process_name(pass: &Pass<'_>) -> String {
    let process = pass.draft.track_processes.last();
    process
        .map(|process| process.def.name.clone())
        .unwrap_or_default()
}

pub(super) fn open_process(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = pass.text(line, 1)?;
    pass.draft.track_processes.push(ProcessDraft {
        def: TrackProcessDef {
            name,
            command: Vec::new(),
            param_match: None,
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
            full_command: false,
            weight: 0,
            sense: Sense::Normal,
        },
        weight: 0,
        sense: Sense::Normal,
    });
    Ok(())
}

/// The end of the block: without a process there is nothing to track.
pub(super) fn close_process(pass: &mut Pass<'_>) {
    let Some(last) = pass.draft.track_processes.pop() else {
        return;
    };
    let def = &last.def;
    if def.command.is_empty() {
        pass.complain(format!(
            "track process '{}' process name not specified",
            def.name
        ));
        return;
    }
    // Two blocks of one name: the first one counts.
    if pass
        .draft
        .track_processes
        .iter()
        .all(|other| other.def.name != def.name)
    {
        pass.draft.track_processes.push(last);
    }
}

fn command(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let name = process_name(pass);
    if process(pass).is_some_and(|process| !process.def.command.is_empty()) {
        pass.complain(format!(
            "Process already set for track process {name} - ignoring {text}"
        ));
        return Ok(());
    }
    let quoted = script::command_of(pass, line).unwrap_or_default();
    let rest = line
        .words
        .iter()
        .skip(2)
        .map(|word| OsString::from(std::ffi::OsStr::from_bytes(&word.bytes)));
    let command: Vec<OsString> = if line.words.len() > 2 && quoted.len() < 2 {
        std::iter::once(OsString::from(text)).chain(rest).collect()
    } else {
        quoted
    };
    if let Some(process) = process(pass) {
        process.def.command = command;
    }
    Ok(())
}

fn param_match(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let Some(word) = line.words.get(1) else {
        return Ok(());
    };
    let kind = match word.bytes.as_slice() {
        b"initial" => ParamMatch::Initial,
        b"partial" => ParamMatch::Partial,
        _ => {
            let text = word.text().into_owned();
            pass.complain(format!("Invalid param_match type {text} - ignoring"));
            return Ok(());
        }
    };
    if let Some(process) = process(pass) {
        process.def.param_match = Some(kind);
    }
    Ok(())
}

/// A weight and whether it is reversed; `None` if it is out of range. The two blocks complain
/// in the same words.
fn weight_of(
    pass: &mut Pass<'_>,
    line: &Line,
    text: &str,
    block: &str,
    name: &str,
) -> Option<(i16, Sense)> {
    let Some(weight) = pass.number(addresses::tracker_weight(text)) else {
        pass.complain(format!(
            "Weight ({text}) for {block} {name} must be between [-254..254] inclusive. Ignoring..."
        ));
        return None;
    };
    let mut sense = Sense::Normal;
    if let Some(option) = line.words.get(2) {
        if option.is(b"reverse") {
            sense = Sense::Reverse;
        } else {
            pass.complain(format!(
                "{block} {name} unknown weight option {}",
                option.text()
            ));
        }
    }
    Some((i16::try_from(weight).unwrap_or(0), sense))
}

fn process_weight(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = process_name(pass);
    let Some(word) = line.words.get(1) else {
        pass.complain(format!(
            "No weight specified for track process {name} - ignoring"
        ));
        return Ok(());
    };
    let text = word.text().into_owned();
    let weighing = weight_of(pass, line, &text, "vrrp_track_process", &name);
    if let (Some((weight, sense)), Some(process)) = (weighing, process(pass)) {
        process.weight = weight;
        process.sense = sense;
    }
    Ok(())
}

fn quorum(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    match pass.number(unsigned(&text, 1, 65_535)) {
        Some(count) => {
            let most = process(pass).and_then(|process| process.def.quorum_max);
            if most.is_some_and(|most| most != 0 && count > most) {
                pass.complain("Quorum is greater than quorum_max - ignoring");
            } else if let Some(process) = process(pass) {
                process.def.quorum = count;
            }
        }
        None => {
            let name = process_name(pass);
            pass.complain(format!(
                "Quorum ({text}) for vrrp_track_process {name} must be between [1..65535] inclusive. Ignoring..."
            ));
        }
    }
    Ok(())
}

fn quorum_max(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let Some(count) = pass.number(unsigned(&text, 0, 65_535)) else {
        let name = process_name(pass);
        pass.complain(format!(
            "Quorum_max ({text}) for vrrp_track_process {name} must be between [0..65535] inclusive. Ignoring..."
        ));
        return Ok(());
    };
    let quorum = process(pass).map_or(1, |process| process.def.quorum);
    if count != 0 && count < quorum {
        pass.complain("quorum_max is less than quorum - ignoring");
        return Ok(());
    }
    if let Some(process) = process(pass) {
        process.def.quorum_max = Some(count);
        if count == 0 {
            // None may run.
            process.def.quorum = 0;
        }
    }
    Ok(())
}

/// `delay`, `fork_delay` and `terminate_delay`.
fn delay(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let keyword = pass.text(line, 0)?;
    let Some(micros) = pass.loose_decimals(seconds(&text, 1, LONGEST_DELAY)) else {
        let name = process_name(pass);
        pass.complain(format!(
            "{keyword} ({text}) for vrrp_track_process {name} must be between [0.000001..3600] inclusive. Ignoring..."
        ));
        return Ok(());
    };
    let delay = Duration::from_micros(micros);
    if let Some(process) = process(pass) {
        if keyword != "terminate_delay" {
            process.def.fork_delay = delay;
        }
        if keyword != "fork_delay" {
            process.def.terminate_delay = delay;
        }
    }
    Ok(())
}

fn full_command(pass: &mut Pass<'_>, _: &Line) -> Handled {
    if let Some(process) = process(pass) {
        process.def.full_command = true;
    }
    Ok(())
}

fn current_file<'p>(pass: &'p mut Pass<'_>) -> Option<&'p mut FileDraft> {
    pass.draft.track_files.last_mut()
}

fn file_name(pass: &Pass<'_>) -> String {
    let file = pass.draft.track_files.last();
    file.map(|file| file.name.clone()).unwrap_or_default()
}

pub(super) fn open_file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = pass.text(line, 1)?;
    pass.draft.track_files.push(FileDraft {
        name,
        path: None,
        weight: 1,
        sense: Sense::Normal,
        initial: None,
    });
    Ok(())
}

/// The end of the block: without a file there is nothing to track.
pub(super) fn close_file(pass: &mut Pass<'_>) {
    let Some(last) = pass.draft.track_files.pop() else {
        return;
    };
    if last.path.is_none() {
        pass.complain(format!(
            "No file set for track_file {} - ignoring",
            last.name
        ));
        return;
    }
    let known = |other: &FileDraft| other.name == last.name;
    // The health checker reads it for itself.
    if pass.process == Process::Checker {
        pass.draft.lvs.knows_file(&last.name);
    }
    if pass.process == Process::Vrrp && !pass.draft.track_files.iter().any(known) {
        pass.draft.track_files.push(last);
    }
}

fn file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let Some(word) = line.words.get(1) else {
        pass.complain("track file file name missing");
        return Ok(());
    };
    let text = word.text().into_owned();
    let name = file_name(pass);
    if current_file(pass).is_some_and(|file| file.path.is_some()) {
        pass.complain(format!(
            "File already set for track file {name} - ignoring {text}"
        ));
    } else if let Some(file) = current_file(pass) {
        file.path = Some(PathBuf::from(std::ffi::OsStr::from_bytes(&word.bytes)));
    }
    Ok(())
}

fn file_weight(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = file_name(pass);
    let Some(word) = line.words.get(1) else {
        pass.complain(format!(
            "No weight specified for track file {name} - ignoring"
        ));
        return Ok(());
    };
    let text = word.text().into_owned();
    let weighing = weight_of(pass, line, &text, "track_file", &name);
    if let (Some((weight, sense)), Some(file)) = (weighing, current_file(pass)) {
        file.weight = weight;
        file.sense = sense;
    }
    Ok(())
}

fn init_file(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let name = file_name(pass);
    let (mut value, mut overwrite) = (0, false);
    for word in line.words.iter().skip(1) {
        let text = word.text().into_owned();
        if word.is(b"overwrite") {
            overwrite = true;
        } else if let Ok(number) = signed(&text, i32::MIN, i32::MAX) {
            if !(-254..=254).contains(&number) {
                pass.complain(format!(
                    "Track file {name} init value {number} is outside sensible range [-254, 254]"
                ));
            }
            value = number;
        } else {
            pass.complain(format!("Unknown track file init option {text}"));
        }
    }
    if let Some(file) = current_file(pass) {
        file.initial = Some((value, overwrite));
    }
    Ok(())
}
