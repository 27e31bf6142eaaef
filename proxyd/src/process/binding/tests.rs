use std::net::TcpListener;
use std::os::fd::{AsRawFd, IntoRawFd};

use super::*;
use crate::process::tests::parse;

const OPTIONS: Options = Options {
    workers: 2,
    maxconn: 100,
    reuseport: true,
};

/// Binds what a `listen` section with these lines says, after `global` lines.
fn bind(global: &str, lines: &str) -> (Sockets, Vec<Complaint>) {
    let config = parse(&format!(
        "global\n{global}defaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
         listen l1\n{lines} server s 127.0.0.1:1\n"
    ));
    let mut sockets = Sockets::default();
    let complaints = bind_all(&config, OPTIONS, &mut Inherited::default(), &mut sockets);
    (sockets, complaints)
}

/// The complaints without the name of the temporary file.
fn alerts(complaints: &[Complaint]) -> Vec<String> {
    complaints
        .iter()
        .map(|complaint| match complaint {
            Complaint::Alert(text) => text,
            Complaint::Warning(text) => panic!("{text}"),
        })
        .map(|text| {
            let (before, after) = text.split_once('[').unwrap();
            let line = after.split_once("t.cfg:").unwrap().1;
            format!("{before}[t.cfg:{line}")
        })
        .collect()
}

#[test]
fn each_worker_gets_a_socket_where_an_address_can_be_shared() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("u.sock");
    let admin = dir.path().join("admin.sock");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let (sockets, complaints) = bind(
        &format!(" stats socket {} mode 600\n", admin.display()),
        &format!(" bind 127.0.0.1:{port}\n bind unix@{}\n", path.display()),
    );
    assert_eq!(complaints, []);
    let counts: Vec<_> = sockets
        .list
        .iter()
        .map(|one| (one.owner.clone(), one.sockets.len()))
        .collect();
    assert_eq!(
        counts,
        [
            (Owner::Proxy { proxy: 0, bind: 0 }, 2),
            (Owner::Stats(0), 1),
            (Owner::Proxy { proxy: 0, bind: 1 }, 1),
        ]
    );
    let bound = sockets.into_bound(2);
    assert_eq!(bound.listeners[0].local.unwrap().port(), port);
    assert_eq!(bound.listeners[1].local, None);
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
    assert!(std::os::unix::net::UnixStream::connect(&admin).is_ok());
}

/// Wording and order (IPv6, IPv4, UNIX; admin sockets first) were taken from
/// haproxy 2.6.12 with the same mistakes.
#[test]
fn complaints_have_the_originals_words_and_order() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let (_, complaints) = bind(
        " stats socket /nonexistent/g.sock\n",
        &format!(
            " bind unix@/nonexistent/u.sock\n bind 127.0.0.1:{port}\n bind [2001:db8::1]:17200\n"
        ),
    );
    assert_eq!(
        alerts(&complaints),
        [
            "Binding [t.cfg:11] for proxy l1: cannot bind socket (Cannot assign requested address) \
             for [2001:db8::1:17200]"
                .to_owned(),
            format!(
                "Binding [t.cfg:10] for proxy l1: cannot bind socket (Address already in use) \
                 for [127.0.0.1:{port}]"
            ),
            "Binding [t.cfg:2] for frontend GLOBAL: cannot bind UNIX socket \
             (No such file or directory) [/nonexistent/g.sock]"
                .to_owned(),
            "Binding [t.cfg:9] for proxy l1: cannot bind UNIX socket \
             (No such file or directory) [/nonexistent/u.sock]"
                .to_owned(),
        ]
    );
}

#[test]
fn a_missing_interface_is_only_a_warning() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let (sockets, complaints) = bind("", &format!(" bind 127.0.0.1:{port} interface nosuch0\n"));
    assert_eq!(sockets.list.len(), 1);
    let [Complaint::Warning(first), ..] = complaints.as_slice() else {
        panic!("{complaints:?}");
    };
    assert!(
        first.contains("cannot bind receiver to device 'nosuch0' ("),
        "{first}"
    );
}

#[test]
fn a_second_attempt_binds_only_what_is_missing() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let [taken, other] = [&busy, &free].map(|one| one.local_addr().unwrap().port());
    drop(free);
    let config = parse(&format!(
        "listen l1\n mode tcp\n bind 127.0.0.1:{taken}\n bind 127.0.0.1:{other}\n server s 127.0.0.1:1\n"
    ));
    let mut sockets = Sockets::default();
    let mut inherited = Inherited::default();
    let first = bind_all(&config, OPTIONS, &mut inherited, &mut sockets);
    assert_eq!(first.len(), 1);
    let kept = sockets.list[0].sockets[0].fd.as_raw_fd();
    drop(busy);
    let second = bind_all(&config, OPTIONS, &mut inherited, &mut sockets);
    assert_eq!(second, []);
    assert_eq!(sockets.list.len(), 2);
    assert_eq!(sockets.list[0].sockets[0].fd.as_raw_fd(), kept);
}

#[test]
fn inherited_sockets_are_used_again_and_never_bound_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = parse(&format!(
        "listen l1\n mode tcp\n bind 127.0.0.1:{port}\n server s 127.0.0.1:1\n"
    ));
    // Leaked on purpose: it stands for what the earlier image left open.
    let number = listener.into_raw_fd();
    osys::fd::remember_inherited();
    let Ok(_) = osys::fd::duplicate(number) else {
        panic!("not open");
    };
    let key = Key::of_bind(&config.proxies[0].binds[0]);
    let mut inherited = Inherited::adopt(&[(number, key)]);
    if inherited.list().count() == 0 {
        // Another test of this process was first to look at what is open.
        return;
    }
    let options = Options {
        workers: 1,
        ..OPTIONS
    };
    let mut sockets = Sockets::default();
    let complaints = bind_all(&config, options, &mut inherited, &mut sockets);
    assert_eq!(complaints, []);
    assert_eq!(sockets.list[0].sockets[0].fd.as_raw_fd(), number);
    assert!(sockets.list[0].sockets[0].inherited);
}
