//! The namespace in which everything runs.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{geteuid, getgid, getuid};

use super::config::RESERVED;
use crate::run::{command, complain, works};

/// Set in the environment of the process inside.
const INSIDE: &str = "XTASK_BENCH_INSIDE";

/// What loopback needs so that the proxies are measured and not the kernel's tables.
const SYSCTLS: [(&str, &str); 8] = [
    // bbr paces, which halves bulk on loopback.
    ("ipv4/tcp_congestion_control", "reno"),
    ("ipv4/ip_local_port_range", "2048 65000"),
    ("ipv4/ip_local_reserved_ports", RESERVED),
    // With a minute of TIME_WAIT and one address, connect() would run out of ports.
    ("ipv4/tcp_tw_reuse", "1"),
    ("ipv4/tcp_max_tw_buckets", "4000"),
    ("core/somaxconn", "4096"),
    ("ipv4/tcp_max_syn_backlog", "8192"),
    ("ipv4/tcp_syncookies", "0"),
];

/// Where sockets, pid files and configurations go: a file system that ends with the namespace.
pub(crate) const DIR: &str = "/run";

/// Whether this process is the one inside.
pub(crate) fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this command again, as the first process of namespaces of its own. Whatever ends
/// this process or that one, ends all that were started inside.
///
/// # Errors
/// If the machine does not allow the namespaces.
pub(crate) fn enter() -> Result<ExitCode> {
    if !geteuid().is_root() {
        let (uid, gid) = (getuid(), getgid());
        unshare(CloneFlags::CLONE_NEWUSER)
            .context("neither root nor allowed to make a user namespace")?;
        fs::write("/proc/self/setgroups", "deny").context("/proc/self/setgroups")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context("/proc/self/uid_map")?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("/proc/self/gid_map")?;
    }
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID)
        .context("cannot make namespaces")?;
    let mut inner = Command::new("/proc/self/exe");
    inner.args(std::env::args_os().skip(1)).env(INSIDE, "1");
    let status = inner.status().context("cannot start the bench inside")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Furnishes the namespace; gives back how many descriptors a process may hold.
///
/// # Errors
/// If something that every measurement needs cannot be had.
pub(crate) fn furnish() -> Result<usize> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("prctl(PR_SET_PDEATHSIG)")?;
    let none = None::<&Path>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("cannot make the mounts private")?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), plain, none).context("cannot mount /proc")?;
    mount(Some("tmpfs"), DIR, Some("tmpfs"), plain, none)
        .with_context(|| format!("cannot mount {DIR}"))?;
    ensure!(
        works(command("ip", &["link", "set", "lo", "up"])),
        "cannot bring the loopback interface up"
    );
    for (name, value) in SYSCTLS {
        if let Err(error) = fs::write(format!("/proc/sys/net/{name}"), value) {
            complain(&format!("net/{name} stays as it is: {error}"));
        }
    }
    descriptors()
}

fn descriptors() -> Result<usize> {
    /// Enough for 15,000 connections through a proxy.
    const PLENTY: u64 = 31_000;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Only some may raise the hard limit.
    if hard >= PLENTY || setrlimit(Resource::RLIMIT_NOFILE, PLENTY, PLENTY).is_err() {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // HAProxy sizes its tables by the limit; more than is used would be charged to it.
    let used = soft.min(PLENTY);
    setrlimit(Resource::RLIMIT_NOFILE, used, used)?;
    Ok(usize::try_from(used)?)
}
