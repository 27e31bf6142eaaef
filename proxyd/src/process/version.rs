//! `-v`, `-vv` and the usage text.

use std::ffi::OsStr;
use std::fmt::Write as _;

use haproxy_cfg::report::{PROJECT_URL, RELEASE_DATE, VERSION};

use super::{base_name, host, messages};

/// `-v`. Tools read the version from the first line, so it has the shape that
/// they know.
pub(crate) fn print() {
    messages::put(banner().as_bytes(), &[]);
}

/// `-vv`.
pub(crate) fn print_build() {
    let mut out = banner();
    let threads = host::usable_cpus();
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "Build options :\n  \
         TARGET  = {os}-{arch}\n  \
         PROFILE = {profile}\n  \
         PACKAGE = proxyd {package}\n\
         \n\
         Feature list : +ACCEPT4 +EPOLL +GETADDRINFO +LINUX_SPLICE +LINUX_TPROXY +PRCTL +SYSTEMD +TFO +THREAD +TPROXY \
         -LUA -OPENSSL -PCRE -PCRE2 -PROMEX -QUIC -ZLIB\n\
         \n\
         Default settings :\n  \
         bufsize = 16384, maxrewrite = 1024, maxpollevents = 200\n\
         \n\
         Built with multi-threading support (MAX_THREADS=64, default={threads}).\n\
         Running on {threads} usable CPUs with {memory} of memory.\n\
         Built with transparent proxy support using: IP_TRANSPARENT IPV6_TRANSPARENT IP_FREEBIND\n\
         \n{pollers}\n\
         Available multiplexer protocols :\n\
         (protocols marked as <default> cannot be specified using 'proto' keyword)\n  \
         <default> : mode=TCP   side=FE|BE  mux=PASS  flags=\n       \
         none : mode=TCP   side=FE|BE  mux=PASS  flags=NO_UPG\n\
         \n",
        os = std::env::consts::OS,
        arch = std::env::consts::ARCH,
        package = env!("CARGO_PKG_VERSION"),
        pollers = pollers(),
        memory = memory(),
    );
    messages::put(out.as_bytes(), &[]);
}

fn memory() -> String {
    host::memory().map_or_else(
        || "an unknown amount".to_owned(),
        |bytes| format!("{} MB", bytes / (1024 * 1024)),
    )
}

/// How events are waited for; part of `-vv` and of the start under `-V`.
pub(crate) fn pollers() -> String {
    String::from(
        "Available polling systems :\n      \
         epoll : pref=300,  test result OK\n\
         Total: 1 (1 usable), will use epoll.\n",
    )
}

/// The version on standard output and all options on standard error, for a
/// command line that cannot be used.
pub(crate) fn print_usage(program: &OsStr) {
    let name = String::from_utf8_lossy(&base_name(program)).into_owned();
    print();
    let mut out = String::new();
    let _ = write!(
        out,
        "Usage : {name} [-f <cfgfile|cfgdir>]* [ -vdVD ] [ -n <maxconn> ] [ -N <maxpconn> ]\n        \
         [ -p <pidfile> ] [ -m <max megs> ] [ -C <dir> ] [-- <cfgfile>*]\n"
    );
    for (flag, meaning) in OPTIONS {
        let _ = writeln!(out, "        {flag} {meaning}");
    }
    out.push('\n');
    messages::put(&[], out.as_bytes());
}

const OPTIONS: &[(&str, &str)] = &[
    (
        "-f",
        "<file|dir> reads a configuration file, or all *.cfg of a directory ; repeatable",
    ),
    (
        "-v",
        "shows the version ; -vv shows how the program was built as well",
    ),
    ("-c", "checks the configuration and exits"),
    (
        "-cc",
        "<expr> evaluates a condition and exits with 0 (true), 1 (false) or 2 (error)",
    ),
    (
        "-C",
        "<dir> changes to this directory before files are read",
    ),
    ("-D", "goes into the background once all sockets are bound"),
    ("-W", "runs a master process that supervises a worker"),
    ("-Ws", "is -W and tells systemd when it is ready"),
    (
        "-d",
        "stays in the foreground and shows how the start goes ; -db only stays in the foreground",
    ),
    ("-V", "shows messages even with -q"),
    ("-q", "shows no message"),
    ("-n", "<number> limits the connections of the process"),
    (
        "-N",
        "<number> limits the connections of each proxy that sets no limit",
    ),
    (
        "-m",
        "<number> limits the memory of the process, in megabytes",
    ),
    (
        "-L",
        "<name> is the local peer name (default: the host name)",
    ),
    (
        "-p",
        "<file> gets the process id, in the background and under a master",
    ),
    ("-dR", "does without SO_REUSEPORT"),
    ("-dS", "does without splice"),
    ("-dW", "lets any warning stop the start"),
    ("-dD", "shows diagnostic messages"),
    (
        "-dr",
        "starts although the name of a server cannot be resolved",
    ),
    (
        "-sf",
        "<pid>* asks these processes to finish once the sockets are bound",
    ),
    ("-st", "<pid>* asks these processes to stop at once instead"),
    (
        "-x",
        "<socket> takes the listening sockets over from a running process",
    ),
];

fn banner() -> String {
    let mut out = format!(
        "HAProxy version {VERSION} {RELEASE_DATE} - {PROJECT_URL}\n\
         Status: proxyd {}, TCP mode compatible with the version above.\n",
        env!("CARGO_PKG_VERSION"),
    );
    let _ = writeln!(out, "Running on: {}", host::kernel());
    out
}
