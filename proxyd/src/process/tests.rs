use haproxy_cfg::model::{Config, StatsSocket};
use haproxy_cfg::{Host, argv};

use super::*;

/// The configuration that a file with this text gives.
pub(crate) fn parse(text: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.cfg");
    std::fs::write(&path, text).unwrap();
    let words = ["haproxy".into(), "-f".into(), path.into_os_string()];
    let args = argv::parse(words.to_vec()).unwrap();
    let loaded = haproxy_cfg::load(&args, &Host);
    loaded
        .config
        .unwrap_or_else(|| panic!("{:?}", loaded.messages))
}

const TIMEOUTS: &str = " mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n";

/// A configuration of one `listen` with this many addresses.
pub(crate) fn config_with_binds(count: u16) -> Config {
    let binds: String = (0..count)
        .map(|number| format!(" bind 127.0.0.1:{}\n", 17_201 + number))
        .collect();
    parse(&format!(
        "defaults\n{TIMEOUTS}listen l1\n{binds} server s 127.0.0.1:1\n"
    ))
}

/// This many admin sockets.
pub(crate) fn stats_sockets(count: u16) -> Vec<StatsSocket> {
    let sockets: String = (0..count)
        .map(|number| format!(" stats socket /tmp/s{number}.sock\n"))
        .collect();
    parse(&format!(
        "global\n{sockets}defaults\n{TIMEOUTS}listen l1\n bind 127.0.0.1:17201\n"
    ))
    .global
    .stats_sockets
}

#[test]
fn names_are_the_last_component() {
    for (program, name) in [
        ("/usr/sbin/haproxy", "haproxy"),
        ("./proxyd", "proxyd"),
        ("haproxy", "haproxy"),
        ("", "proxyd"),
        ("/", "proxyd"),
    ] {
        assert_eq!(base_name(OsStr::new(program)), name.as_bytes(), "{program}");
    }
}
