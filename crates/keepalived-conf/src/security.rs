//! Who runs a script, and whether it may be run. keepalived.conf(5), "SCRIPTS".

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::draft::ScriptUser;
use crate::env::{Credentials, Environment, FileKind};
use crate::pass::Pass;
use crate::text::Line;

/// Scripts run as this user if it exists and nobody else was named.
pub(crate) const DEFAULT_USER: &str = "keepalived_script";

/// The user and group that stand at `position` and after it.
pub(crate) fn credentials(
    pass: &mut Pass<'_>,
    line: &Line,
    position: usize,
) -> Option<Credentials> {
    let user = line.words.get(position)?;
    let name = user.text();
    let Some(mut credentials) = pass.env.user(&name) else {
        pass.log(format!("Script user '{name}' does not exist"));
        return None;
    };
    if let Some(group) = line.words.get(position + 1) {
        let name = group.text();
        let Some(gid) = pass.env.group(&name) else {
            pass.log(format!("Script group '{name}' does not exist"));
            return None;
        };
        credentials.gid = gid;
    }
    Some(credentials)
}

/// Whom a script without a user of its own runs as: `script_user`, `keepalived_script`, or the
/// daemon's own user, which script security rules out for root.
pub(crate) fn default_user(pass: &mut Pass<'_>) -> Option<Credentials> {
    match &pass.draft.script_user {
        ScriptUser::Known(user) => return Some(user.clone()),
        ScriptUser::Unknown => return None,
        ScriptUser::Unset => {}
    }
    if let Some(user) = pass.env.user(DEFAULT_USER) {
        pass.draft.script_user = ScriptUser::Known(user.clone());
        return Some(user);
    }
    pass.log(format!("Script user '{DEFAULT_USER}' does not exist"));
    if pass.draft.global.script_security {
        pass.complain(format!(
            "Unable to set default user {DEFAULT_USER} for script"
        ));
        return None;
    }
    let me = pass.env.me();
    pass.draft.script_user = ScriptUser::Known(me.clone());
    Some(me)
}

/// What is to be said of a script's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It can be run; the path is resolved.
    Fine(PathBuf),
    /// It can be run, by a path that the search found.
    Searched(PathBuf),
    /// It is not there, or nobody may look at it.
    NotFound,
    /// It is there and not a program for that user.
    NotExecutable(PathBuf),
    /// It is a shell's redirection, which only a shell could run.
    Redirection,
    /// It is a directory or a device.
    NoFile,
    /// Somebody other than root can change what root would run.
    Insecure(PathBuf),
}

/// Looks at the program of a script that runs as `user`.
pub(crate) fn judge(env: &dyn Environment, program: &OsStr, user: &Credentials) -> Judgement {
    if program.as_bytes().starts_with(b"</") {
        return Judgement::Redirection;
    }
    let searched = !program.as_bytes().contains(&b'/');
    let path = if searched {
        match search(env, program, user) {
            Some(path) => path,
            None => return Judgement::NotFound,
        }
    } else {
        PathBuf::from(program)
    };
    let Ok(real) = env.canonical(&path) else {
        return Judgement::NotFound;
    };
    let Ok(stat) = env.stat(&real) else {
        return Judgement::NotFound;
    };
    if stat.kind != FileKind::Regular {
        return Judgement::NoFile;
    }
    if !env.can_execute(&real, user) {
        return Judgement::NotExecutable(path);
    }
    let runs_as_root = user.uid == 0 || stat.mode & 0o4000 != 0 && stat.uid == 0;
    if runs_as_root && !(only_root_writes(env, &path) && only_root_writes(env, &real)) {
        return Judgement::Insecure(path);
    }
    if searched {
        Judgement::Searched(path)
    } else {
        Judgement::Fine(path)
    }
}

/// Looks for a program in `PATH`, as `execvp` would.
fn search(env: &dyn Environment, program: &OsStr, user: &Credentials) -> Option<PathBuf> {
    let path = env
        .path_variable()
        .unwrap_or_else(|| OsString::from("/usr/local/bin:/bin:/usr/bin"));
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| {
            env.stat(candidate)
                .is_ok_and(|stat| stat.kind == FileKind::Regular)
                && env.can_execute(candidate, user)
        })
}

/// Whether root alone can change the file and every directory on the way to it. A directory with
/// the sticky bit does not let others replace what is root's.
fn only_root_writes(env: &dyn Environment, path: &Path) -> bool {
    path.ancestors()
        .filter(|part| !part.as_os_str().is_empty())
        .all(|part| {
            let Ok(stat) = env.stat(part) else {
                return false;
            };
            let sticky = stat.kind == FileKind::Directory && stat.mode & 0o1000 != 0;
            let group_writes = stat.mode & 0o020 != 0 && stat.gid != 0;
            let others_write = stat.mode & 0o002 != 0;
            stat.uid == 0 && (sticky || !(group_writes || others_write))
        })
}
