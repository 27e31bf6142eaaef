//! Hosts and the wires between them.
//!
//! ```text
//! test ── keeper ── switch (bridge br0) ┬ p-lb1 ══ ens160  host lb1
//!   └ pipe: its end is the lab's end    ├ p-lb2 ══ ens160  host lb2
//!                                       └ ...
//! ```
//! The switch is the first process of a process namespace in which all hosts are
//! nested: when it ends, the kernel ends everything. It ends when the test's end
//! of its standard input is closed, by `Drop` or by the test's own death. The
//! keeper, outside, then removes the directory.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::binaries;
use crate::host::{self, Host, HostSpec, INTERFACE};
use crate::protocol::{NamespaceSpec, Program};
use crate::syslog::Syslog;
use crate::wait;

/// How long the parts of a lab may take to come up or go down on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The user id of `haproxy` where there are several: one that Debian gives to no package.
const HAPROXY_UID: u32 = 64_099;

/// How a wire is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Frames are lost, both ends keep their carrier: a switch in between failed.
    Silent,
    /// The host's interface loses its carrier: the cable is out.
    Carrier,
}

/// Hosts on one network.
#[derive(Debug)]
pub struct Lab {
    hosts: Vec<Host>,
    switch: Host,
    keeper: Child,
    dir: PathBuf,
    many_users: bool,
}

impl Lab {
    /// Makes the hosts and connects them to one switch.
    pub fn start(specs: &[HostSpec]) -> Result<Self> {
        let mut lab = Self::with_switch()?;
        lab.many_users = lab.has_many_users()?;
        let uid = if lab.many_users { HAPROXY_UID } else { 0 };
        let mut wires = String::from(
            "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set br0 up\n",
        );
        for spec in specs {
            let (host, holder) = lab.add_host(spec, uid)?;
            let mac = crate::pair::mac(spec.address);
            let name = &spec.name;
            wires += &format!(
                "link add p-{name} type veth peer name {INTERFACE} address {mac} netns {holder}\n\
                 link set p-{name} master br0\nlink set p-{name} up\n"
            );
            lab.hosts.push(host);
        }
        lab.switch.ip(&wires)?;
        for host in &lab.hosts {
            let HostSpec {
                address, prefix, ..
            } = host.spec;
            host.ip(&format!(
                "link set lo up\naddress add {address}/{prefix} dev {INTERFACE}\nlink set {INTERFACE} up\n"
            ))?;
        }
        Ok(lab)
    }

    fn with_switch() -> Result<Self> {
        let root = nix::unistd::geteuid().is_root();
        match Self::keeper(!root) {
            // Root of a container may lack the right, and still have user namespaces.
            Err(_) if root => Self::keeper(true),
            other => other,
        }
    }

    fn keeper(user_namespace: bool) -> Result<Self> {
        let node = binaries::ours("e2e-node")?;
        let dir = tempfile::Builder::new()
            .prefix("lab-")
            .tempdir()
            .context("cannot make the lab's directory")?;
        let switch = dir.path().join("switch");
        fs::create_dir_all(&switch)?;
        let spec = NamespaceSpec {
            name: "switch".to_owned(),
            dir: utf8(&switch)?,
            user_namespace,
            private_files: false,
            binaries: Vec::new(),
            ends_with_stdin: true,
        };
        let mut keeper = Command::new(node)
            .arg("keeper")
            .arg(serde_json::to_string(&spec)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the lab's keeper")?;
        // From here on it is the keeper's to remove.
        let dir = dir.keep();
        let socket = switch.join("ctl.sock");
        wait::until_ok("the lab's switch", PATIENCE, || {
            if let Some(status) = keeper.try_wait()? {
                let mut text = String::new();
                if let Some(stderr) = keeper.stderr.as_mut() {
                    stderr.read_to_string(&mut text)?;
                }
                bail!("the lab cannot be made ({status}): {}", text.trim());
            }
            Ok(socket.exists().then_some(()))
        })?;
        let host = HostSpec::new("switch", std::net::Ipv4Addr::UNSPECIFIED);
        let switch = Host::new(host, switch, Syslog::default(), None);
        Ok(Self {
            hosts: Vec::new(),
            switch,
            keeper,
            dir,
            many_users: false,
        })
    }

    /// Whether the lab's user namespace knows more users than one.
    fn has_many_users(&self) -> Result<bool> {
        let map = self
            .switch
            .run(&["cat", "/proc/self/uid_map"])?
            .success()?
            .stdout;
        Ok(map
            .split_whitespace()
            .nth(2)
            .and_then(|n| n.parse::<u64>().ok())
            .is_some_and(|n| n > 1))
    }

    fn add_host(&self, spec: &HostSpec, uid: u32) -> Result<(Host, i32)> {
        let dir = self.dir.join(&spec.name);
        let log = Syslog::default();
        host::furnish(&dir, spec, uid, &log)
            .with_context(|| format!("cannot furnish {}", spec.name))?;
        let node = binaries::ours("e2e-node")?;
        let mut programs = vec![(utf8(&node)?, "e2e-node".to_owned())];
        for (path, name) in &spec.binaries {
            programs.push((utf8(path)?, name.clone()));
        }
        let namespace = NamespaceSpec {
            name: spec.name.clone(),
            dir: utf8(&dir)?,
            user_namespace: false,
            private_files: true,
            binaries: programs,
            ends_with_stdin: false,
        };
        let argv = vec![
            utf8(&node)?,
            "namespace".to_owned(),
            serde_json::to_string(&namespace)?,
        ];
        let holder = self.switch.spawn_program(&Program {
            argv,
            ..Program::default()
        })?;
        let pid = holder.pid();
        let host = Host::new(spec.clone(), dir, log, None);
        wait::until_ok(&format!("host {}", spec.name), PATIENCE, || {
            if let Some(ending) = holder.ending() {
                bail!("{} ended with {ending:?}: {:?}", spec.name, holder.lines());
            }
            Ok(host.processes().ok())
        })?;
        let Host { spec, .. } = &host;
        let host = Host::new(
            spec.clone(),
            self.dir.join(&spec.name),
            host.log().clone(),
            Some(holder),
        );
        Ok((host, pid))
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Result<&Host> {
        self.hosts
            .iter()
            .find(|h| h.name() == name)
            .with_context(|| format!("no host {name}"))
    }

    /// The switch all wires end in, a host without files of its own.
    pub fn switch(&self) -> &Host {
        &self.switch
    }

    /// Whether the lab's hosts have more users than root; without root's help a
    /// user namespace has but one.
    pub fn many_users(&self) -> bool {
        self.many_users
    }

    /// Where the lab keeps its files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Cuts a host's wire.
    pub fn cut(&self, host: &str, how: Cut) -> Result<()> {
        match how {
            Cut::Silent => self.switch.ip(&format!("link set p-{host} nomaster\n")),
            Cut::Carrier => self.switch.ip(&format!("link set p-{host} down\n")),
        }
    }

    /// Mends what [`Lab::cut`] did.
    pub fn mend(&self, host: &str, how: Cut) -> Result<()> {
        match how {
            Cut::Silent => self.switch.ip(&format!("link set p-{host} master br0\n")),
            Cut::Carrier => self.switch.ip(&format!("link set p-{host} up\n")),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let keeper = &mut self.keeper;
        let ended = wait::until("the end of the lab", PATIENCE, || {
            keeper.try_wait().ok().flatten()
        });
        if ended.is_err() {
            // Its children die with it, one after the other.
            let _gone = self.keeper.kill();
            let _reaped = self.keeper.wait();
        }
        let _removed_already = fs::remove_dir_all(&self.dir);
    }
}

fn utf8(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .with_context(|| format!("{} is not UTF-8", path.display()))
}
