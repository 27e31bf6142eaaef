//! Making and leaving namespaces.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{getgid, getuid, sethostname, setsid};

use crate::protocol::NamespaceSpec;

/// Devices a host sees. They are bound from the machine's, since a user
/// namespace may not make its own.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Exit code of [`keep`] and [`enter`] when the namespaces could not be made.
const NOT_ALLOWED: u8 = 71;

/// The lab's outermost process. It is in a session of its own, so that Ctrl-C
/// at a terminal ends the test but not the one who cleans up; its standard
/// input is the test's end of a pipe, and the switch's end of life.
pub(super) fn keep(spec: &NamespaceSpec) -> Result<ExitCode> {
    let _already_leader = setsid();
    let code = child("namespace", spec, Stdio::inherit()).and_then(|mut command| {
        let mut child = command.spawn().context("cannot start the switch")?;
        Ok(child.wait()?.code())
    });
    // The spec's directory is the switch's; the lab's is its parent.
    if let Some(lab) = Path::new(&spec.dir).parent() {
        let _gone_already = fs::remove_dir_all(lab);
    }
    let code = code?.and_then(|c| u8::try_from(c).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Makes the namespaces and starts the agent as the first process of the new
/// process namespace.
pub(super) fn enter(spec: &NamespaceSpec) -> Result<ExitCode> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("prctl(PR_SET_PDEATHSIG)")?;
    if let Err(error) = unshare_all(spec.user_namespace) {
        let _unwritable = writeln!(std::io::stderr(), "e2e-node: {error:#}");
        return Ok(ExitCode::from(NOT_ALLOWED));
    }
    let mut child = child("agent", spec, Stdio::inherit())?
        .spawn()
        .context("cannot start the agent")?;
    let status = child.wait()?;
    Ok(ExitCode::from(
        status
            .code()
            .and_then(|c| u8::try_from(c).ok())
            .unwrap_or(1),
    ))
}

fn child(job: &str, spec: &NamespaceSpec, stdin: Stdio) -> Result<Command> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(job)
        .arg(serde_json::to_string(spec)?)
        .stdin(stdin);
    Ok(command)
}

fn unshare_all(user_namespace: bool) -> Result<()> {
    if user_namespace {
        let (uid, gid) = (getuid(), getgid());
        unshare(CloneFlags::CLONE_NEWUSER).context("user namespaces are not allowed here")?;
        // Without setgroups denied an unprivileged process may not write gid_map.
        fs::write("/proc/self/setgroups", "deny").context("/proc/self/setgroups")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context("/proc/self/uid_map")?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("/proc/self/gid_map")?;
    }
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWPID,
    )
    .context("cannot make namespaces")
}

/// Gives the host its name and its own view of the file system. Runs as the
/// first process of the new process namespace, before anything else.
pub(super) fn furnish(spec: &NamespaceSpec) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("prctl(PR_SET_PDEATHSIG)")?;
    sethostname(&spec.name).context("sethostname")?;
    let none = None::<&Path>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("cannot make the mounts private")?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), plain, none).context("cannot mount /proc")?;
    if !spec.private_files {
        return Ok(());
    }
    let dir = PathBuf::from(&spec.dir);
    for (outside, name) in &spec.binaries {
        bind_file(Path::new(outside), &dir.join("run/lab/bin").join(name))?;
    }
    for device in DEVICES {
        bind_file(
            &Path::new("/dev").join(device),
            &dir.join("dev").join(device),
        )?;
    }
    // The directory may lie below one of the places that are about to be covered.
    std::env::set_current_dir(&dir).with_context(|| format!("cannot enter {}", dir.display()))?;
    for (inside, place) in [
        ("dev", "/dev"),
        ("etc", "/etc"),
        ("run", "/run"),
        ("var-lib", "/var/lib"),
        ("tmp", "/tmp"),
    ] {
        mount(
            Some(inside),
            place,
            none,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            none,
        )
        .with_context(|| format!("cannot put the host's own files in the place of {place}"))?;
    }
    std::env::set_current_dir("/")?;
    Ok(())
}

fn bind_file(source: &Path, target: &Path) -> Result<()> {
    let none = None::<&Path>;
    fs::write(target, b"").with_context(|| format!("cannot make {}", target.display()))?;
    mount(Some(source), target, none, MsFlags::MS_BIND, none)
        .with_context(|| format!("cannot bind {} to {}", source.display(), target.display()))
}
