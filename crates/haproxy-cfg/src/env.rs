//! What a configuration depends on outside its own text: files, users, names, variables.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

/// The world as the configuration sees it. Tests put a fake in its place.
pub trait Environment {
    /// The content of a file; at most [`LARGEST_FILE`] bytes are read.
    ///
    /// # Errors
    /// As the operating system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Whether the path is a folder.
    ///
    /// # Errors
    /// If there is nothing of that name or it cannot be seen.
    fn is_dir(&self, path: &Path) -> io::Result<bool>;
    /// The names in a folder, in any order.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;
    /// Whether an inherited descriptor can be listened on; if not, the reason in the system's
    /// words.
    ///
    /// # Errors
    /// "Bad file descriptor" or "Socket operation on non-socket".
    fn descriptor(&self, number: i32) -> Result<(), &'static str>;
    /// All environment variables at start.
    fn variables(&self) -> Vec<(OsString, OsString)>;
    /// The number of a user.
    fn user_id(&self, name: &str) -> Option<u32>;
    /// The number of a group.
    fn group_id(&self, name: &str) -> Option<u32>;
    /// The addresses of a host name in the order the system's resolver gives them.
    fn resolve(&self, host: &str) -> Vec<IpAddr>;
    /// This machine's host name.
    fn hostname(&self) -> String;
    /// How many CPUs the process may use, at least 1.
    fn cpus(&self) -> u32;
}

/// A configuration file is not read beyond this many bytes (64 MiB).
pub const LARGEST_FILE: u64 = 64 << 20;

/// What the system says about an error, in its own words.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

/// The real machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host;

impl Environment for Host {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = File::open(path)?.take(LARGEST_FILE);
        // As in the original, a file that cannot be read any further ends there.
        if file.read_to_end(&mut bytes).is_err() {
            return Ok(bytes);
        }
        Ok(bytes)
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        std::fs::metadata(path).map(|metadata| metadata.is_dir())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect()
    }

    fn descriptor(&self, number: i32) -> Result<(), &'static str> {
        match std::fs::read_link(format!("/proc/self/fd/{number}")) {
            Ok(target)
                if target
                    .as_os_str()
                    .as_encoded_bytes()
                    .starts_with(b"socket:") =>
            {
                Ok(())
            }
            Ok(_) => Err("Socket operation on non-socket"),
            Err(_) => Err("Bad file descriptor"),
        }
    }

    fn variables(&self) -> Vec<(OsString, OsString)> {
        std::env::vars_os().collect()
    }

    fn user_id(&self, name: &str) -> Option<u32> {
        nix::unistd::User::from_name(name)
            .ok()
            .flatten()
            .map(|user| user.uid.as_raw())
    }

    fn group_id(&self, name: &str) -> Option<u32> {
        nix::unistd::Group::from_name(name)
            .ok()
            .flatten()
            .map(|group| group.gid.as_raw())
    }

    fn resolve(&self, host: &str) -> Vec<IpAddr> {
        (host, 0_u16)
            .to_socket_addrs()
            .map(|found| found.map(|addr| addr.ip()).collect())
            .unwrap_or_default()
    }

    fn hostname(&self) -> String {
        nix::unistd::gethostname().map_or_else(
            |_| String::from("localhost"),
            |name| OsStr::to_string_lossy(&name).into_owned(),
        )
    }

    fn cpus(&self) -> u32 {
        std::thread::available_parallelism()
            .ok()
            .and_then(|count| u32::try_from(count.get()).ok())
            .unwrap_or(1)
    }
}
