//! Which scripts can be run, and whether that is safe.

use std::collections::BTreeMap;
use std::ffi::OsString;

use vrrp_core::time::Duration;

use crate::env::Credentials;
use crate::pass::Pass;
use crate::security::{Judgement, judge};

/// Looks at every script's program. Gives the command lines of those that can be run; what
/// cannot is taken out of the instances that track it.
pub(super) fn check(pass: &mut Pass<'_>) -> BTreeMap<String, Vec<OsString>> {
    let mut ready = BTreeMap::new();
    let mut exposed = pass.findings.root_notify;
    let mut insecure = pass.findings.insecure_notify;
    let secure = pass.draft.global.script_security;
    let scripts: Vec<(String, Vec<OsString>, Credentials)> = pass
        .draft
        .scripts
        .iter()
        .map(|script| {
            let user = script.user.clone().unwrap_or_else(|| pass.env.me());
            (script.name.clone(), script.argv.clone(), user)
        })
        .collect();
    for (name, mut argv, user) in scripts {
        let Some(program) = argv.first_mut() else {
            continue;
        };
        let judgement = judge(pass.env, program, &user);
        exposed |=
            user.uid == 0 && !matches!(judgement, Judgement::NotFound | Judgement::Redirection);
        match judgement {
            Judgement::Fine(_) => {}
            Judgement::Redirection => {
                let word = program.display().to_string();
                pass.own(
                    None,
                    &format!("vrrp_script {name} will always fail"),
                    &format!("`{word}` needs a shell, and none is used; try bash -c '...'"),
                );
            }
            Judgement::Searched(path) => {
                let (word, found) = (program.display().to_string(), path.display().to_string());
                pass.log(format!(
                    "WARNING - script `{word}` resolved by path search to `{found}`. Please specify full path."
                ));
                *program = path.into_os_string();
            }
            Judgement::NotFound => {
                if !program.as_encoded_bytes().contains(&b'/') {
                    let word = program.display().to_string();
                    pass.log(format!("Cannot find script {word} in path - disabling"));
                }
                pass.complain(format!(
                    "Disabling track script {name} since not found/accessible"
                ));
                forget(pass, &name);
                continue;
            }
            Judgement::NotExecutable(path) => {
                pass.log(format!(
                    "WARNING - script '{}' is not executable for uid:gid {}:{} - disabling.",
                    path.display(),
                    user.uid,
                    user.gid
                ));
                forget(pass, &name);
                continue;
            }
            Judgement::NoFile => {
                pass.complain(format!("Disabling track script {name} due to insecure"));
                forget(pass, &name);
                continue;
            }
            Judgement::Insecure(path) => {
                if secure {
                    pass.complain(format!("Disabling track script {name} due to insecure"));
                    forget(pass, &name);
                    continue;
                }
                insecure = true;
                *program = path.into_os_string();
            }
        }
        ready.insert(name, argv);
    }
    if exposed && !secure {
        let more = if insecure {
            " There are insecure scripts."
        } else {
            ""
        };
        pass.findings.insecure = true;
        pass.say_security(&format!(
            "SECURITY VIOLATION - scripts are being executed but script_security not enabled.{more}"
        ));
    }
    ready
}

/// How long a start or end script may take if nothing is said.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes over the scripts of start and end that can be run.
pub(super) fn at_start_and_end(pass: &mut Pass<'_>) {
    let secure = pass.draft.global.script_security;
    let mut exposed = false;
    let mut ready = [None, None];
    let scripts = std::mem::take(&mut pass.draft.start_scripts);
    let timeouts = pass.draft.start_timeouts;
    for ((slot, command), seconds) in ready.iter_mut().zip(scripts).zip(timeouts) {
        let Some(mut command) = command else {
            continue;
        };
        let Some(program) = command.argv.first_mut() else {
            continue;
        };
        let shown = program.display().to_string();
        match judge(pass.env, program, &command.user) {
            Judgement::Fine(_) | Judgement::Redirection => {}
            Judgement::Searched(path) => *program = path.into_os_string(),
            Judgement::NotFound => {
                pass.log(format!(
                    "Script {shown} cannot be accessed - No such file or directory"
                ));
                continue;
            }
            Judgement::NotExecutable(path) => {
                let (path, user) = (path.display(), command.user);
                pass.log(format!(
                    "WARNING - script '{path}' is not executable for uid:gid {}:{} - disabling.",
                    user.uid, user.gid
                ));
                continue;
            }
            Judgement::Insecure(_) | Judgement::NoFile if secure => {
                pass.log(format!("Disabling script {shown} due to insecure"));
                continue;
            }
            Judgement::Insecure(_) | Judgement::NoFile => {}
        }
        exposed = true;
        let limit = seconds.map_or(START_TIMEOUT, |seconds| Duration::from_secs(seconds.into()));
        *slot = Some((command, limit));
    }
    if exposed && !secure {
        pass.findings.insecure = true;
        pass.say_security(
            "SECURITY VIOLATION - start/shutdown scripts are being executed but script_security not enabled.",
        );
    }
    let [startup, shutdown] = ready;
    pass.draft.global.startup_script = startup;
    pass.draft.global.shutdown_script = shutdown;
}

/// Takes a script out of every instance.
fn forget(pass: &mut Pass<'_>, name: &str) {
    for instance in &mut pass.draft.instances {
        instance.scripts.retain(|entry| entry.name != name);
    }
}
