//! One host of the lab.

use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::protocol::{Ending, ProcessInfo, Program, Reply, Request};
use crate::syslog::Syslog;
use crate::task::{self, Output, Task};
use crate::wait;

/// How long a command that only looks or sets something may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// The name every host's interface has, as in the owner's files.
pub const INTERFACE: &str = "ens160";

/// What a host is to be.
#[derive(Debug, Clone)]
pub struct HostSpec {
    /// Its host name, at most ten characters.
    pub name: String,
    /// The address of its interface.
    pub address: Ipv4Addr,
    /// That address's prefix length.
    pub prefix: u8,
    /// Programs that appear in `/run/lab/bin`: (path outside, name inside).
    pub binaries: Vec<(PathBuf, String)>,
    /// Symbolic links in `/run/lab/bin`: (name, target).
    pub links: Vec<(String, String)>,
}

impl HostSpec {
    /// A host with nothing but its address on a /16, as the owner's network has.
    pub fn new(name: &str, address: Ipv4Addr) -> Self {
        Self {
            name: name.to_owned(),
            address,
            prefix: 16,
            binaries: Vec::new(),
            links: Vec::new(),
        }
    }
}

/// A host: its own network, files, processes, name.
#[derive(Debug)]
pub struct Host {
    /// What it was made from.
    pub spec: HostSpec,
    dir: PathBuf,
    log: Syslog,
    /// The process that holds the namespaces; the host ends with it.
    #[expect(dead_code, reason = "held for its Drop")]
    holder: Option<Task>,
}

impl Host {
    pub(crate) fn new(spec: HostSpec, dir: PathBuf, log: Syslog, holder: Option<Task>) -> Self {
        Self {
            spec,
            dir,
            log,
            holder,
        }
    }

    /// Its host name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// What the host's daemons logged.
    pub fn log(&self) -> &Syslog {
        &self.log
    }

    fn agent(&self) -> PathBuf {
        self.dir.join("ctl.sock")
    }

    /// Starts a program; it is killed when the value is dropped.
    pub fn spawn(&self, argv: &[&str]) -> Result<Task> {
        self.spawn_program(&Program {
            argv: argv.iter().map(|s| (*s).to_owned()).collect(),
            ..Program::default()
        })
    }

    /// Starts a program with an environment or an input of its own.
    pub fn spawn_program(&self, program: &Program) -> Result<Task> {
        Task::start(&self.agent(), program).with_context(|| format!("on {}", self.name()))
    }

    /// Starts one of the jobs of `e2e-node` with its specification.
    pub fn spawn_job<T: serde::Serialize>(&self, job: &str, spec: &T) -> Result<Task> {
        self.spawn(&["/run/lab/bin/e2e-node", job, &serde_json::to_string(spec)?])
    }

    /// Runs a program to its end.
    pub fn run(&self, argv: &[&str]) -> Result<Output> {
        self.spawn(argv)?
            .wait(COMMAND_LIMIT)
            .with_context(|| format!("on {}", self.name()))
    }

    /// Runs a program with this input to its end.
    pub fn run_with_input(&self, argv: &[&str], input: &str) -> Result<Output> {
        let argv = argv.iter().map(|s| (*s).to_owned()).collect();
        let program = Program {
            argv,
            stdin: Some(input.to_owned()),
            ..Program::default()
        };
        self.spawn_program(&program)?
            .wait(COMMAND_LIMIT)
            .with_context(|| format!("on {}", self.name()))
    }

    /// All processes of the host.
    pub fn processes(&self) -> Result<Vec<ProcessInfo>> {
        match task::ask(&self.agent(), &Request::Processes)? {
            Reply::Processes(list) => Ok(list),
            other => bail!("unexpected answer {other:?}"),
        }
    }

    /// The processes that go by one of these names.
    pub fn processes_named(&self, names: &[&str]) -> Result<Vec<ProcessInfo>> {
        let mut list = self.processes()?;
        list.retain(|p| p.state != 'Z' && names.contains(&p.comm.as_str()));
        Ok(list)
    }

    /// Sends a signal to one process of the host.
    pub fn signal(&self, pid: i32, signal: i32) -> Result<()> {
        task::send_signal(&self.agent(), vec![pid], signal)
    }

    /// Sends a signal to all processes that go by one of these names.
    ///
    /// # Errors
    /// If there is none.
    pub fn signal_named(&self, names: &[&str], signal: i32) -> Result<()> {
        let list = self.processes_named(names)?;
        if list.is_empty() {
            bail!("no {names:?} runs on {}", self.name());
        }
        // Children first: a parent that sees its child die would start another.
        let mut pids: Vec<i32> = list.iter().map(|process| process.pid).collect();
        pids.sort_unstable_by_key(|pid| std::cmp::Reverse(*pid));
        task::send_signal(&self.agent(), pids, signal)
    }

    /// Waits until none of these names runs any more.
    pub fn wait_gone(&self, names: &[&str], limit: Duration) -> Result<()> {
        wait::until_ok(
            &format!("the end of {names:?} on {}", self.name()),
            limit,
            || Ok(self.processes_named(names)?.is_empty().then_some(())),
        )
    }

    /// Where a file of the host's own `/dev`, `/etc`, `/run`, `/tmp` or `/var/lib` lies outside.
    pub fn outside(&self, path: &str) -> PathBuf {
        let relative = path.trim_start_matches('/');
        match relative.strip_prefix("var/lib") {
            Some(rest) => self.dir.join("var-lib").join(rest.trim_start_matches('/')),
            None => self.dir.join(relative),
        }
    }

    /// Writes a file of the host, making its folder.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let outside = self.outside(path);
        if let Some(folder) = outside.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&outside, content)
            .with_context(|| format!("cannot write {path} on {}", self.name()))
    }

    /// Reads a file of the host.
    pub fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.outside(path))
            .with_context(|| format!("cannot read {path} on {}", self.name()))
    }

    /// Connects to a unix socket of the host.
    pub fn connect(&self, path: &str) -> Result<UnixStream> {
        let stream = UnixStream::connect(self.outside(path))
            .with_context(|| format!("cannot connect to {path} on {}", self.name()))?;
        stream.set_read_timeout(Some(COMMAND_LIMIT))?;
        stream.set_write_timeout(Some(COMMAND_LIMIT))?;
        Ok(stream)
    }

    /// Sends a command to a haproxy admin socket and gives the whole answer.
    pub fn admin(&self, socket: &str, command: &str) -> Result<String> {
        let mut stream = self.connect(socket)?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .with_context(|| format!("the answer to {command:?}"))?;
        Ok(answer)
    }

    /// Runs `ip -batch` with these lines.
    pub fn ip(&self, batch: &str) -> Result<()> {
        let output = self.run_with_input(&["ip", "-batch", "-"], batch)?;
        if output.ending != Ending::Code(0) {
            bail!(
                "ip on {} said: {} to:\n{batch}",
                self.name(),
                output.stderr.trim()
            );
        }
        Ok(())
    }
}

/// Makes the folders and files a host is furnished with.
pub(crate) fn furnish(dir: &Path, spec: &HostSpec, haproxy_uid: u32, log: &Syslog) -> Result<()> {
    use std::os::unix::fs::{PermissionsExt, symlink};
    for folder in [
        "dev/shm",
        "etc/haproxy/errors",
        "etc/keepalived",
        "run/lab/bin",
        "run/haproxy",
        "run/lock",
        "tmp",
        "var-lib/haproxy/dev",
    ] {
        fs::create_dir_all(dir.join(folder))?;
    }
    for open in ["tmp", "dev/shm", "run/lock"] {
        fs::set_permissions(dir.join(open), fs::Permissions::from_mode(0o1777))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dir.join("dev").join(name))?;
    }
    log.listen(&dir.join("dev/log"))?;
    // Debian binds the socket into the chroot too, for a haproxy that opens it late.
    log.listen(&dir.join("var-lib/haproxy/dev/log"))?;
    for (name, target) in &spec.links {
        symlink(target, dir.join("run/lab/bin").join(name))?;
    }
    let id = haproxy_uid;
    let etc = dir.join("etc");
    fs::write(
        etc.join("passwd"),
        format!(
            "root:x:0:0:root:/root:/bin/sh\nhaproxy:x:{id}:{id}::/var/lib/haproxy:/usr/sbin/nologin\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
        ),
    )?;
    fs::write(
        etc.join("group"),
        format!("root:x:0:\nhaproxy:x:{id}:\nnogroup:x:65534:\n"),
    )?;
    fs::write(
        etc.join("nsswitch.conf"),
        "passwd: files\ngroup: files\nhosts: files\n",
    )?;
    fs::write(
        etc.join("hosts"),
        format!("127.0.0.1 localhost\n{} {}\n", spec.address, spec.name),
    )?;
    fs::write(etc.join("hostname"), format!("{}\n", spec.name))?;
    for status in [400, 403, 408, 500, 502, 503, 504] {
        let page = format!(
            "HTTP/1.0 {status} Stand-in\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n<html><body><h1>{status}</h1></body></html>\n"
        );
        fs::write(etc.join(format!("haproxy/errors/{status}.http")), page)?;
    }
    for shared in [
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "protocols",
        "services",
        "iproute2",
        "localtime",
    ] {
        copy(&Path::new("/etc").join(shared), &etc.join(shared))?;
    }
    Ok(())
}

/// Copies a file or a folder of files; what does not exist is left out.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if from.exists() {
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}
