//! `cargo xtask demo`: unattended, readable, honest, and without a trace.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use e2e::{binaries, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

/// How long the lab's keeper may take to clean up after somebody's sudden death.
const CLEANED: Duration = Duration::from_secs(20);

/// A demo whose lab lives in `tmp`.
fn demo(xtask: &Path, tmp: &Path) -> Command {
    let mut command = Command::new(xtask);
    command
        .args(["demo", "--no-install"])
        .env("TMPDIR", tmp)
        .env(binaries::READY, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn it_shows_a_pair_that_behaves_and_leaves_nothing_behind() -> anyhow::Result<()> {
    let tmp = tempfile::tempdir()?;
    let before = network()?;
    let output = demo(&binaries::ours("xtask")?, tmp.path()).output()?;
    check_output(&output);
    assert_eq!(network()?, before, "the machine's own network was touched");
    nothing_left(tmp.path())
}

#[test]
fn it_needs_no_root() -> anyhow::Result<()> {
    // The build folder may be closed to others: nobody gets copies.
    let place = tempfile::tempdir()?;
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755))?;
    for name in ["xtask", "e2e-node", "proxyd", "vrrpd"] {
        fs::copy(binaries::ours(name)?, place.path().join(name))?;
    }
    let tmp = place.path().join("tmp");
    fs::create_dir(&tmp)?;
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777))?;
    let as_nobody = |command: &mut Command| {
        if geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
    };
    let mut probe = Command::new("unshare");
    probe
        .args(["--user", "--map-root-user", "true"])
        .current_dir("/");
    as_nobody(&mut probe);
    let allowed = probe.output()?.status.success();

    let mut command = demo(&place.path().join("xtask"), &tmp);
    as_nobody(&mut command);
    let output = command.output()?;
    if allowed {
        check_output(&output);
    } else {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && text.contains("user namespaces"),
            "{text}"
        );
    }
    nothing_left(&tmp)
}

#[test]
fn it_fails_when_the_pair_does_not_behave() -> anyhow::Result<()> {
    // keepalived, killed, leaves its address behind: two owners for good.
    let tmp = tempfile::tempdir()?;
    let output = demo(&binaries::ours("xtask")?, tmp.path())
        .args(["--daemons", "originals"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("two owners: lb1 and lb2"), "{text}");
    nothing_left(tmp.path())
}

#[test]
fn killed_or_interrupted_it_leaves_nothing_behind() -> anyhow::Result<()> {
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let tmp = tempfile::tempdir()?;
        let mut child = demo(&binaries::ours("xtask")?, tmp.path()).spawn()?;
        let out = child.stdout.take().expect("piped");
        let shown = BufReader::new(out)
            .lines()
            .map_while(Result::ok)
            .find(|line| line.contains("both daemons run"));
        assert!(
            shown.is_some(),
            "the demo did not come up: {:?}",
            child.wait_with_output()?
        );
        kill(Pid::from_raw(i32::try_from(child.id())?), signal)?;
        assert!(!child.wait()?.success());
        nothing_left(tmp.path())?;
    }
    Ok(())
}

fn check_output(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{errors}");
    for part in [
        "lb1 holds",
        "lb2 holds the address",
        "k8s-master-1",
        "k8s-master-2",
        "k8s-master-3",
        " ms; requests lost: ",
        "The pair behaved.",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

/// No file in the lab's folder, no process that knows it.
fn nothing_left(tmp: &Path) -> anyhow::Result<()> {
    wait::until("the lab's folder to be empty", CLEANED, || {
        fs::read_dir(tmp).ok()?.next().is_none().then_some(())
    })?;
    let name = tmp.to_string_lossy().into_owned();
    wait::until("the lab's processes to end", CLEANED, || {
        let known = fs::read_dir("/proc").ok()?.filter_map(|entry| {
            let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
            String::from_utf8_lossy(&line).contains(&name).then_some(())
        });
        (known.count() == 0).then_some(())
    })
}

fn network() -> anyhow::Result<String> {
    let output = Command::new("ip").args(["-o", "address"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
