//! Giving up root: jail, groups, user.

use std::path::Path;

use haproxy_cfg::model::Global;
use nix::unistd::{Gid, Uid, chdir, chroot, getgroups, setgid, setgroups, setuid};

use super::messages::Messages;

/// Enters the jail and becomes the configured group and user, in this order.
///
/// # Errors
/// The original's words for the step that failed.
pub(crate) fn drop_root(global: &Global, messages: &mut Messages) -> Result<(), String> {
    if let Some(jail) = &global.chroot {
        enter(jail)?;
    }
    if let Some(group) = &global.group
        && group.id != 0
    {
        // Groups of root must not stay with a process that is not root.
        if has_groups() && setgroups(&[]).is_err() {
            messages.main_warning(
                "Failed to drop supplementary groups. Using 'gid'/'group' \
                 without 'uid'/'user' is generally useless.",
            );
        }
        setgid(Gid::from_raw(group.id)).map_err(|_| format!("Cannot set gid {}.", group.id))?;
    }
    if let Some(user) = &global.user
        && user.id != 0
    {
        if global.group.is_none() && Uid::effective().is_root() {
            // Without `group` the primary group stays; the others go.
            let _ = setgroups(&[]);
        }
        setuid(Uid::from_raw(user.id)).map_err(|_| format!("Cannot set uid {}.", user.id))?;
    }
    Ok(())
}

fn enter(jail: &Path) -> Result<(), String> {
    let entered = chroot(jail).and_then(|()| chdir("/"));
    entered.map_err(|_| format!("Cannot chroot({}).", jail.display()))
}

fn has_groups() -> bool {
    getgroups().is_ok_and(|groups| !groups.is_empty())
}

/// What holds for the rest of the process' life: no way back to privileges,
/// and core dumps only where they are wanted.
pub(crate) fn harden(global: &Global) {
    // Both are precautions; an old kernel without them runs on.
    if global.set_dumpable {
        let _ = osys::process::set_core_dump(osys::process::CoreDump::Enabled);
    }
    if !global.insecure_setuid_wanted {
        let _ = osys::process::set_no_new_privileges();
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_missing_jail_is_named() {
        let global = Global {
            chroot: Some(PathBuf::from("/nonexistent")),
            ..Global::default()
        };
        let error = drop_root(&global, &mut Messages::new(OsStr::new("haproxy"))).unwrap_err();
        assert_eq!(error, "Cannot chroot(/nonexistent).");
    }

    #[test]
    fn without_settings_nothing_changes() {
        let before = (Uid::current(), Gid::current());
        drop_root(
            &Global::default(),
            &mut Messages::new(OsStr::new("haproxy")),
        )
        .unwrap();
        assert_eq!((Uid::current(), Gid::current()), before);
    }
}
