//! What the daemon calls itself.

use std::os::unix::ffi::OsStrExt as _;

/// The name in `-v` and in the first and last log lines. Scripts read the version of
/// keepalived from it, so it begins with the one whose behaviour this is.
pub(crate) const NAME: &str = concat!("Keepalived v2.2.7 (vrrpd ", env!("CARGO_PKG_VERSION"), ")");

/// The answer to `-v`.
pub(crate) fn text() -> String {
    format!(
        "{NAME}\n\nLicence: MIT OR Apache-2.0\n\n{}\n\nVRRP only: no health checker, no BFD, no SNMP, no DBus\n",
        running_on()
    )
}

/// The kernel it runs on.
pub(crate) fn running_on() -> String {
    match nix::sys::utsname::uname() {
        Ok(name) => format!(
            "Running on {} {} {}",
            name.sysname().to_string_lossy(),
            name.release().to_string_lossy(),
            name.version().to_string_lossy()
        ),
        Err(error) => format!("Running on an unknown kernel: {error}"),
    }
}

/// The words of the command line, each in quotes.
pub(crate) fn command_line() -> String {
    let words: Vec<String> = std::env::args_os()
        .map(|word| format!("'{}'", String::from_utf8_lossy(word.as_bytes())))
        .collect();
    words.join(" ")
}
