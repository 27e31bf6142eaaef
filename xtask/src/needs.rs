//! What a task needs beside Rust, and how it gets it.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::geteuid;

use crate::run::{command, run, say, works};

/// Where Debian's maintainer scripts ask whether they may start a daemon.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// A program and the Debian package that brings it.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    pub(crate) why: &'static str,
}

/// Hosts and wires; the owner's check script.
pub(crate) const LAB: [Need; 2] = [
    Need {
        program: "ip",
        package: "iproute2",
        why: "makes the hosts' interfaces and wires",
    },
    Need {
        program: "killall",
        package: "psmisc",
        why: "the owner's keepalived.conf checks haproxy with it",
    },
];

/// The originals our daemons are compared with, and the judge of their packets.
pub(crate) const ORIGINALS: [Need; 4] = [
    Need {
        program: "haproxy",
        package: "haproxy",
        why: "proxyd is compared with it",
    },
    Need {
        program: "keepalived",
        package: "keepalived",
        why: "vrrpd is compared with it and talks to it",
    },
    Need {
        program: "tshark",
        package: "tshark",
        why: "judges vrrpd's packets",
    },
    Need {
        program: "dumpcap",
        package: "wireshark-common",
        why: "records the wire for tshark",
    },
];

/// What a user may do about missing programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Install {
    /// Install them where that is allowed.
    Allowed,
    /// Only say what is missing.
    Never,
}

/// Sees to it that all of `needs` are there.
///
/// # Errors
/// If something is missing that may not or cannot be installed; the message names it
/// and the command that installs it.
pub(crate) fn provide(needs: &[&Need], install: Install) -> Result<()> {
    say("needed beside Rust (Debian package: what for):");
    for need in needs {
        let state = if there(need.program) {
            "there"
        } else {
            "MISSING"
        };
        say(&format!(
            "  {:<10} {:<17} {:<8} {}",
            need.program, need.package, state, need.why
        ));
    }
    let mut missing: Vec<&str> = needs
        .iter()
        .filter(|n| !there(n.program))
        .map(|n| n.package)
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "sudo apt-get update && sudo apt-get install --yes --no-install-recommends {}",
        missing.join(" ")
    );
    if install == Install::Never {
        bail!("missing: {}; install with:\n  {by_hand}", missing.join(" "));
    }
    if !there("apt-get") {
        bail!(
            "missing: {}; this is no Debian, so install them by its own means",
            missing.join(" ")
        );
    }
    if !geteuid().is_root() {
        bail!(
            "missing: {}; only root can install them, with:\n  {by_hand}",
            missing.join(" ")
        );
    }
    install_packages(&missing)?;
    let still: Vec<&str> = needs
        .iter()
        .map(|n| n.program)
        .filter(|p| !there(p))
        .collect();
    if !still.is_empty() {
        bail!("still missing after the installation: {}", still.join(" "));
    }
    Ok(())
}

fn install_packages(packages: &[&str]) -> Result<()> {
    let _no_daemons = NoDaemons::declare(Path::new(POLICY))?;
    let wait = "DPkg::Lock::Timeout=300";
    run(command("apt-get", &["-o", wait, "update"]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    let mut arguments = vec!["-o", wait, "install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    run(command("apt-get", &arguments).env("DEBIAN_FRONTEND", "noninteractive"))?;
    // Installed for comparison only: they must not come up at the next boot either.
    for unit in ["haproxy", "keepalived", "nginx"] {
        if packages.contains(&unit) && Path::new("/run/systemd/system").exists() {
            run(&mut command("systemctl", &["disable", unit]))?;
        }
    }
    Ok(())
}

/// Debian's way to say that installing a package must not start its daemon
/// (policy-rc.d); in force while this value lives. Ctrl-C waits that long too:
/// the policy must not outlive the installation, nor a package be half installed.
struct NoDaemons {
    policy: Option<PathBuf>,
    held_back: SigSet,
}

impl NoDaemons {
    fn declare(policy: &Path) -> Result<Self> {
        let mut held_back = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            held_back.add(signal);
        }
        held_back.thread_block()?;
        let mut declared = Self {
            policy: None,
            held_back,
        };
        match fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(policy)
        {
            Ok(mut file) => {
                declared.policy = Some(policy.to_owned());
                // 101: action forbidden by policy.
                file.write_all(b"#!/bin/sh\nexit 101\n")
                    .with_context(|| format!("cannot write {}", policy.display()))?;
                Ok(declared)
            }
            // Somebody has a policy already: it is theirs to keep.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(declared),
            Err(error) => Err(error).with_context(|| format!("cannot write {}", policy.display())),
        }
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if let Some(policy) = &self.policy {
            let _gone_already = fs::remove_file(policy);
        }
        let _unblocked = self.held_back.thread_unblock();
    }
}

/// Whether a program is where a daemon's own path has it.
pub(crate) fn there(program: &str) -> bool {
    let own = std::env::var("PATH").unwrap_or_default();
    own.split(':')
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"])
        .any(|dir| !dir.is_empty() && Path::new(dir).join(program).is_file())
}

/// Whether cargo has this subcommand.
pub(crate) fn cargo_has(subcommand: &str) -> bool {
    works(crate::run::cargo(&[subcommand, "--version"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_lives_as_long_as_the_installation() {
        let dir = std::env::temp_dir().join(format!("policy-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let policy = dir.join("policy-rc.d");
        let declared = NoDaemons::declare(&policy).unwrap();
        assert!(fs::read_to_string(&policy).unwrap().contains("exit 101"));
        drop(declared);
        assert!(!policy.exists());
        // Somebody else's stays.
        fs::write(&policy, "theirs").unwrap();
        drop(NoDaemons::declare(&policy).unwrap());
        assert_eq!(fs::read_to_string(&policy).unwrap(), "theirs");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let need = Need {
            program: "no-such-program",
            package: "no-such-package",
            why: "to be missing",
        };
        let error = provide(&[&need], Install::Never).unwrap_err().to_string();
        assert!(error.contains("missing: no-such-package"), "{error}");
        assert!(error.contains("apt-get install"), "{error}");
        assert!(provide(&[&LAB[0]], Install::Never).is_ok());
    }
}
