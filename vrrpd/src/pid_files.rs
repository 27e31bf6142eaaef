//! The two pid files, by which others find the daemon, and by which a second one learns
//! of the first.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use daemonkit::pidfile;
use keepalived_conf::GlobalDefs;

use crate::cli::Options;

/// Where keepalived keeps them.
const USUAL: &str = "/run";
/// Where it keeps those of daemons that may be several.
const OWN: &str = "/run/keepalived";

/// Where they are.
#[derive(Debug)]
pub(crate) struct PidFiles {
    parent: PathBuf,
    vrrp: PathBuf,
    /// Directories that are there for pid files alone, the innermost first.
    directories: Vec<PathBuf>,
}

impl PidFiles {
    /// Where the command line says; else `/run`, and `/run/keepalived` for a daemon that
    /// may be one of several: `use_pid_dir`, `instance`, `-s`.
    pub(crate) fn new(options: &Options, global: &GlobalDefs) -> Self {
        let instance = global
            .instance
            .as_ref()
            .map(|name| format!("_{name}"))
            .unwrap_or_default();
        let mut directories = Vec::new();
        if let Some(namespace) = &options.namespace {
            directories.push(Path::new(OWN).join(namespace));
        }
        if !directories.is_empty() || global.use_pid_dir || global.instance.is_some() {
            directories.push(PathBuf::from(OWN));
        }
        let usual = PathBuf::from(USUAL);
        let directory = directories.first().unwrap_or(&usual);
        let choose = |given: &Option<PathBuf>, name: &str| match given {
            Some(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
            None => directory.join(format!("{name}{instance}.pid")),
        };
        Self {
            parent: choose(&options.pid, "keepalived"),
            vrrp: choose(&options.vrrp_pid, "vrrp"),
            directories,
        }
    }

    /// Whether either belongs to a daemon that runs. The one of the VRRP process
    /// counts as well: with another `-p` alone two daemons would send adverts.
    pub(crate) fn name_a_daemon(&self) -> bool {
        is_running(&self.parent) || is_running(&self.vrrp)
    }

    /// Writes both.
    ///
    /// # Errors
    /// When one cannot be written; names it.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        for path in [&self.parent, &self.vrrp] {
            if let Some(directory) = path.parent() {
                // If it cannot be made, opening the file says so.
                let _ = std::fs::create_dir_all(directory);
            }
            pidfile::write(path, std::process::id())
                .with_context(|| format!("cannot write pidfile {}", path.display()))?;
        }
        Ok(())
    }

    /// Removes both, and directories that nobody else uses.
    pub(crate) fn remove(&self) {
        for path in [&self.vrrp, &self.parent] {
            pidfile::remove(path, std::process::id());
        }
        for directory in &self.directories {
            // It stays if another daemon has its files in there.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// Whether the pid file names a daemon of our kind. One that names another program is
/// left over from before a reboot: its number has been given away since.
fn is_running(path: &Path) -> bool {
    let Some(pid) = pidfile::running(path) else {
        return false;
    };
    if pid == nix::unistd::getpid() {
        return false;
    }
    let name = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/comm"));
    match (name(&pid.to_string()), name("self")) {
        (Ok(other), Ok(own)) => other == own || other.trim_end().starts_with("keepalived"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_of_another_program_stops_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let mut other = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .unwrap();
        pidfile::write(&path, other.id()).unwrap();
        // Until it has become another program, it is still a copy of this one.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while is_running(&path) {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        other.kill().unwrap();
        other.wait().unwrap();
        pidfile::write(&path, std::process::id()).unwrap();
        assert!(!is_running(&path), "our own number is nobody else's");
    }

    #[test]
    fn a_daemon_that_shares_either_pid_file_is_running_already() {
        let directory = tempfile::tempdir().unwrap();
        // A process of our own name, which the kernel takes from the path.
        let own = std::fs::read_to_string("/proc/self/comm").unwrap();
        let program = directory.path().join(own.trim_end());
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut other = std::process::Command::new(program)
            .arg("60")
            .spawn()
            .unwrap();
        let files = PidFiles {
            parent: directory.path().join("parent"),
            vrrp: directory.path().join("vrrp"),
            directories: Vec::new(),
        };
        assert!(!files.name_a_daemon());
        for path in [&files.parent, &files.vrrp] {
            pidfile::write(path, other.id()).unwrap();
            assert!(files.name_a_daemon(), "{}", path.display());
            pidfile::remove(path, other.id());
        }
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn pid_files_follow_options_and_configuration() {
        let mut global = GlobalDefs::default();
        let plain = PidFiles::new(&Options::default(), &global);
        assert_eq!(plain.parent, Path::new("/run/keepalived.pid"));
        assert_eq!(plain.vrrp, Path::new("/run/vrrp.pid"));
        assert!(plain.directories.is_empty());
        global.use_pid_dir = true;
        let own = PidFiles::new(&Options::default(), &global);
        assert_eq!(own.vrrp, Path::new("/run/keepalived/vrrp.pid"));
        let options = Options {
            pid: Some("/x/p".into()),
            ..Options::default()
        };
        assert_eq!(PidFiles::new(&options, &global).parent, Path::new("/x/p"));
        global.instance = Some("lb1".to_owned());
        let options = Options {
            namespace: Some("blue".to_owned()),
            ..Options::default()
        };
        let both = PidFiles::new(&options, &global);
        assert_eq!(
            both.parent,
            Path::new("/run/keepalived/blue/keepalived_lb1.pid")
        );
    }

    #[test]
    fn directories_go_with_the_last_pid_file() {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("keepalived");
        let inner = top.join("blue");
        let files = |name: &str| PidFiles {
            parent: inner.join(name),
            vrrp: inner.join(format!("{name}v")),
            directories: vec![inner.clone(), top.clone()],
        };
        let (first, second) = (files("a"), files("b"));
        first.write().unwrap();
        second.write().unwrap();
        first.remove();
        assert!(second.parent.exists() && !first.parent.exists());
        second.remove();
        assert!(!top.exists());
    }
}
