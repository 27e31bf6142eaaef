//! The compatibility document, written from the keyword tables.

use std::fmt::Write as _;

use crate::expr;
use crate::keyword::{self, NO_DEFAULTS, Row, Status, bind, option, server};

/// The text of `docs/compat/haproxy.md`.
#[must_use]
pub fn compat_markdown() -> String {
    let mut out = String::from(
        "# HAProxy keywords\n\n\
         Written from the keyword tables of `crates/haproxy-cfg`; a test keeps it so.\n\n\
         *full*: it does what it does in HAProxy 2.6 (or, for what HAProxy itself no longer has, says what it says). \
         *accepted*: it is read and checked and has no effect here, for the reason given. \
         *refused*: a clear error that names the line and the reason.\n",
    );
    heading(&mut out, "Global section", "Keyword");
    for row in keyword::rows().filter(|row| row.sections & keyword::GLOBAL != 0) {
        line(&mut out, row.name, row.status, "");
    }
    heading(&mut out, "defaults, frontend, backend, listen", "Keyword");
    for row in keyword::rows().filter(|row| row.sections & keyword::PROXY != 0) {
        line(&mut out, row.name, row.status, place(row));
    }
    heading(&mut out, "option", "Option");
    for (name, status) in option::statuses() {
        line(&mut out, name, status, "");
    }
    heading(&mut out, "Words of bind and stats socket", "Word");
    for (name, status) in bind::statuses() {
        line(&mut out, name, status, "");
    }
    heading(
        &mut out,
        "Words of server, default-server and server-template",
        "Word",
    );
    for (name, status) in server::statuses() {
        line(&mut out, name, status, "");
    }
    heading(&mut out, "Sample fetches", "Fetch");
    for fetch in expr::FETCHES {
        line(&mut out, fetch.name, fetch.status, "");
    }
    heading(&mut out, "Converters", "Converter");
    for converter in expr::CONVERTERS {
        line(&mut out, converter.name, converter.status, "");
    }
    heading(&mut out, "Other sections", "Section");
    for section in keyword::OTHER_SECTIONS {
        line(&mut out, section.name, Status::Refused(section.reason), "");
    }
    out.push_str(DIFFERENCES);
    out
}

/// What `proxyd` does otherwise than the original, and why.
const DIFFERENCES: &str = "
## Differences on purpose

- The version is `2.6.12-proxyd` and our own number, so that tools that read it go on; `feature()` is true only for
  what exists here.
- Splicing starts by itself where a direction moves bulk (two full reads in a row), with or without
  `option splice-auto`. `no option splice-auto` in the frontend, the backend or the `defaults` they come from forbids
  that, unless the other side writes `option splice-auto`. `option splice-request` and `option splice-response` splice
  from the first byte on; what comes in small pieces is copied, which costs less. `nosplice` forbids all of it.
- Pipes have 1 MiB and reads take up to 256 KiB at once; `tune.pipesize` and `tune.bufsize` set other sizes. Without
  `maxpipes` there is a pipe for every four connections of `maxconn`, as in the original, but no more than 48 in all;
  `show info` gives this limit as Maxpipes, with or without `option splice-*`.
- `tune.io-uring on` is ours: short connections are served by an io_uring, which costs less CPU each, and handed over
  to epoll when they move bulk or wait. Where the system refuses one, a warning says so and epoll serves all. It takes
  Linux 6.1, nothing against it such as seccomp or `kernel.io_uring_disabled`, and `CAP_IPC_LOCK` or some 40 KiB of
  `RLIMIT_MEMLOCK` a worker, for all processes of the user together; rings are made before `user` and `chroot`. A client
  that leaves within 20 ms of its coming is noticed only once its server is connected.
- A `cpu-map` line for the whole process (`cpu-map 1 0`) or for its first thread (`cpu-map 1/1 0`) binds as the manual
  says; the original then binds nothing, or not that thread.
- The last descriptors (at most a quarter of the limit) are kept for connections to servers, checks and the admin
  sockets: clients wait in the kernel's queue instead of being let in and dropped.
- `show stat` counts the bytes of sessions that still run; the original adds them at the end of a session.
- A reload tells the old worker to go once the new one is up; if the new one dies first, the old one serves on.
- The descriptor limit is raised beyond what `show info` gives, up to the hard limit, so that pipes never cost
  connections.
- `/dev/log` is opened before `chroot`, so lines arrive without a copy of it in the jail.
- Commands of the admin socket that do not exist here are answered with a text that says so; every error ends with an
  empty line; a line of any length gets an answer.
- The master has no socket of its own (`-S`); a warning says so.
";

fn place(row: &Row) -> &'static str {
    if row.sections & NO_DEFAULTS != 0 {
        "not in defaults"
    } else {
        ""
    }
}

fn heading(out: &mut String, title: &str, column: &str) {
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "\n## {title}\n\n| {column} | Status | Note |\n|---|---|---|\n"
    );
}

fn line(out: &mut String, name: &str, status: Status, place: &str) {
    let (word, reason) = match status {
        Status::Full => ("full", ""),
        Status::Accepted(reason) => ("accepted", reason),
        Status::Refused(reason) => ("refused", reason.trim_end_matches('.')),
    };
    let between = if reason.is_empty() || place.is_empty() {
        ""
    } else {
        "; "
    };
    let _ = writeln!(out, "| `{name}` | {word} | {reason}{between}{place} |");
}
