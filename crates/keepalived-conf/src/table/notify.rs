//! Notify scripts.

use crate::draft::NotifyDraft;
use crate::model::Command;
use crate::pass::{Fatal, Pass};
use crate::security::{self, Judgement};
use crate::text::Line;

use super::{Handled, instance, script};

/// The name of the keyword as a constant, to remember that it was there.
fn keyword(line: &Line) -> &'static str {
    const KEYWORDS: [&str; 7] = [
        "notify",
        "notify_master",
        "notify_backup",
        "notify_fault",
        "notify_stop",
        "notify_deleted",
        "notify_master_rx_lower_pri",
    ];
    let is = |name: &&&str| {
        line.words
            .first()
            .is_some_and(|word| word.is(name.as_bytes()))
    };
    KEYWORDS.iter().find(is).copied().unwrap_or("notify")
}

/// The command and the user of a notify keyword; `None` if it cannot be run.
pub(super) fn command(pass: &mut Pass<'_>, line: &Line) -> Result<Option<Command>, Fatal> {
    pass.word(line, 1)?;
    let Some(argv) = script::command_of(pass, line) else {
        pass.complain("Unable to parse notify script");
        return Ok(None);
    };
    let shown = argv
        .first()
        .map(|word| word.to_string_lossy().into_owned())
        .unwrap_or_default();
    let user = if line.words.len() > 2 {
        let user = security::credentials(pass, line, 2);
        if user.is_none() {
            pass.log(format!(
                "Invalid user/group for notify script {shown} - ignoring"
            ));
        }
        user
    } else {
        let user = security::default_user(pass);
        if user.is_none() {
            pass.log(format!(
                "Failed to set default user for notify script {shown} - ignoring"
            ));
        }
        user
    };
    let (Some(user), Some(program)) = (user, argv.first()) else {
        return Ok(None);
    };
    match security::judge(pass.env, program, &user) {
        Judgement::NotFound => pass.log(format!(
            "Script {shown} cannot be accessed - No such file or directory"
        )),
        judgement if user.uid == 0 => {
            pass.findings.root_notify = true;
            pass.findings.insecure_notify |= matches!(judgement, Judgement::Insecure(_));
        }
        _ => {}
    }
    Ok(Some(Command { argv, user }))
}

/// Takes the command of a keyword into the draft of its block.
fn store(draft: &mut NotifyDraft, keyword: &'static str, command: Option<Command>) {
    draft.seen.push(keyword);
    let def = &mut draft.def;
    match keyword {
        "notify_master" => def.master = command,
        "notify_backup" => def.backup = command,
        "notify_fault" => def.fault = command,
        "notify_stop" => def.stop = command,
        "notify_deleted" => def.deleted = Some(command),
        "notify_master_rx_lower_pri" => def.lower_priority = command,
        _ => def.any = command,
    }
}

/// A keyword of an instance.
pub(super) fn any(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let keyword = keyword(line);
    let twice =
        instance::current(pass).is_some_and(|instance| instance.notify.seen.contains(&keyword));
    if twice {
        let text = pass.text(line, 1)?;
        let name = instance::name(pass);
        let what = if keyword == "notify_deleted" {
            ""
        } else {
            " script"
        };
        pass.complain(format!(
            "({name}) {keyword}{what} already specified - ignoring {text}"
        ));
        return Ok(());
    }
    let command = command(pass, line)?;
    if let Some(instance) = instance::current(pass) {
        store(&mut instance.notify, keyword, command);
    }
    Ok(())
}

/// `notify_deleted` may stand without a command.
pub(super) fn deleted(pass: &mut Pass<'_>, line: &Line) -> Handled {
    if line.words.len() > 1 {
        return any(pass, line);
    }
    let Some(instance) = instance::current(pass) else {
        return Ok(());
    };
    let twice = instance.notify.seen.contains(&"notify_deleted");
    instance.notify.seen.push("notify_deleted");
    instance.notify.def.deleted.get_or_insert_default();
    if twice {
        let name = instance::name(pass);
        pass.complain(format!(
            "({name}) notify_deleted already specified - ignoring "
        ));
    }
    Ok(())
}

/// A keyword of a group.
pub(super) fn of_group(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let keyword = keyword(line);
    let Some(group) = pass.draft.groups.last() else {
        return Ok(());
    };
    if group.notify.seen.contains(&keyword) {
        let name = group.name.clone();
        let text = pass.text(line, 1)?;
        pass.complain(format!(
            "vrrp group {name}: {keyword} script already specified - ignoring {text}"
        ));
        return Ok(());
    }
    let command = command(pass, line)?;
    if let Some(group) = pass.draft.groups.last_mut() {
        store(&mut group.notify, keyword, command);
    }
    Ok(())
}
