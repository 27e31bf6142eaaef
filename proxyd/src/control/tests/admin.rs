//! The admin socket: framing, levels, formats.

use std::io::{IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use haproxy_cfg::model::ProxyKind;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::stage::{Plan, Stage, Upstream, proxy, quick_check, server, wait_finished};

/// The header of haproxy 2.6.12, as Debian's binary prints it.
const HEADER: &str = include_str!("stat-header.csv");

/// A frontend, a backend with a server, a listen with a disabled server.
fn stage() -> (Stage, Upstream) {
    let upstream = Upstream::new();
    let mut plan = Plan::new();
    let mut front = proxy(ProxyKind::Frontend, "fe", 2);
    front.default_backend = Some(1);
    front.maxconn = Some(77);
    plan.add(front, 1);
    let mut backend = proxy(ProxyKind::Backend, "be", 3);
    backend.servers = vec![server("s1", 1, upstream.address)];
    plan.add(backend, 0);
    let mut listen = proxy(ProxyKind::Listen, "li", 9);
    listen.id_forced = true;
    listen.options.socket_stats = true;
    let mut off = server("y", 4, "127.0.0.1:9".parse().unwrap());
    off.disabled = true;
    off.check = Some(quick_check());
    listen.servers = vec![off];
    plan.add(listen, 1);
    plan.add(proxy(ProxyKind::Backend, "empty", 10), 0);
    (plan.start(), upstream)
}

/// A row whose `lastchg` and `downtime`, if it has them, are 0: a second may end at any time.
fn ageless(line: &str) -> String {
    let cells = line
        .split(',')
        .enumerate()
        .map(|(index, cell)| match index {
            23 | 24 if !cell.is_empty() => "0",
            _ => cell,
        });
    cells.collect::<Vec<_>>().join(",")
}

#[test]
fn show_stat_has_the_originals_header_and_rows() {
    let (stage, upstream) = stage();
    let csv = stage.command("show stat");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some(HEADER.trim_end()));
    let zeros = "0,".repeat(24);
    let blanks = ",".repeat(21);
    let addr = upstream.address;
    let sock = stage.fronts[1];
    let expected = [
        format!(
            "fe,FRONTEND,,,0,0,77,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,2,0,,,,0,0,0,0,,,,,,,,,,,0,0,0,,,0,\
             0,0,0,,,,,,,,,,,,,,,,,,,,,tcp,,0,0,0,,0,0,0,,,,,,,,,,,0,,,,,,,,,-,{zeros}"
        ),
        format!(
            "be,s1,0,0,0,0,,0,0,0,,0,,0,0,0,0,no check,1,1,0,,,0,,,1,3,1,,0,,2,0,,0,,,,,,,,,,,,,,0,\
             0,,,,,-1,,,0,0,0,0,,,,,,,,,,,,{addr},,tcp,,,,,,,,0,0,0,,,0,,0,0,0,0,0,0,0,0,0,1,,,,-,\
             0,0,0,{blanks}"
        ),
        format!(
            "be,BACKEND,0,0,0,0,8,0,0,0,0,0,,0,0,0,0,UP,1,1,0,,0,0,0,,1,3,0,,0,,1,0,,0,,,,,,,,,,,,,,\
             0,0,0,0,0,0,-1,,,0,0,0,0,,,,,,,,,,,,,,tcp,roundrobin,,,,,,,0,0,0,,,,,0,0,0,0,0,,,,,1,\
             0,0,0,-,{zeros}"
        ),
        format!(
            "li,FRONTEND,,,0,0,2000,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,9,0,,,,0,0,0,0,,,,,,,,,,,0,0,0,,,\
             0,0,0,0,,,,,,,,,,,,,,,,,,,,,tcp,,0,0,0,,0,0,0,,,,,,,,,,,0,,,,,,,,,-,{zeros}"
        ),
        format!(
            "li,sock-1,,,0,0,0,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,9,1,,,,3,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\
             ,,,,,,,,,,{sock},,tcp,,,,,,0,0,0,,,,,,,,,,,0,,,,,,,,,-,0,0,0,{blanks}"
        ),
        format!(
            "li,y,0,0,0,0,,0,0,0,,0,,0,0,0,0,MAINT,1,1,0,0,0,0,0,,1,9,4,,0,,2,0,,0,,,,,,,,,,,,,,0,0,\
             ,,,,-1,,,0,0,0,0,,,,,,,,,,,,127.0.0.1:9,,tcp,,,,,,,,0,0,0,,,0,,0,0,0,0,0,0,0,0,0,1,,,,\
             -,0,0,0,{blanks}"
        ),
    ];
    for line in expected {
        assert_eq!(lines.next().map(ageless), Some(line));
    }
    let last = "empty,BACKEND,0,0,0,0,1,0,0,0,0,0,,0,0,0,0,UP,0,0,0,,0,0,,,1,10,0,";
    assert!(
        csv.lines().map(ageless).any(|line| line.starts_with(last)),
        "{csv}"
    );
    assert!(csv.ends_with(",\n\n"));
}

#[test]
fn show_stat_filters_and_forms() {
    let (stage, _upstream) = stage();
    let count = |arguments: &str| {
        stage
            .command(&format!("show stat {arguments}"))
            .lines()
            .count()
    };
    // Header and closing line come on top.
    assert_eq!(count("-1 1 -1") - 2, 2);
    assert_eq!(count("be 4 1") - 2, 1);
    assert_eq!(count("3 -1 -1") - 2, 2);
    assert_eq!(count("li 4 7") - 2, 0);
    assert_eq!(count("no-maint") + 1, count(""));
    assert_eq!(stage.command("show stat nope 4 1"), "No such proxy.\n\n");
    let typed = stage.command("show stat be 4 1 typed");
    assert!(typed.starts_with(
        "S.3.1.0.pxname.1:KNS:str:be\nS.3.1.1.svname.1:KNS:str:s1\nS.3.1.2.qcur.1:MGP:u32:0\n"
    ));
    assert!(
        typed.contains("\nS.3.1.55.lastsess.1:MAP:s32:-1\n"),
        "{typed}"
    );
    assert!(
        typed.contains("\nS.3.1.103.ssl_sess.1:MCP:u64:0\n"),
        "{typed}"
    );
    let json = stage.command("show stat be 4 1 json");
    assert!(json.starts_with(
        "[[{\"objType\":\"Server\",\"proxyId\":3,\"id\":1,\"field\":{\"pos\":0,\"name\":\"pxname\"},"
    ));
    assert!(json.ends_with("}}]]\n\n"));
    assert!(
        stage
            .command("show stat up")
            .contains("be,BACKEND,0,0,0,0,8,0,0,0,0,0,,0,0,0,0,UP (1/1)")
    );
}

#[test]
fn show_servers_state_has_25_columns() {
    let (stage, upstream) = stage();
    let port = upstream.address.port();
    let answer = stage.command("show servers state");
    let mut lines = answer.lines();
    assert_eq!(lines.next(), Some("1"));
    let header = lines.next().unwrap();
    assert_eq!(header.split(' ').count(), 26, "{header}");
    // A second may end between the start and the answer.
    let mut lines = lines.map(|line| {
        let words = line.split(' ').enumerate();
        let words = words.map(|(index, word)| if index == 9 { "0" } else { word });
        words.collect::<Vec<_>>().join(" ")
    });
    assert!(header.starts_with("# be_id be_name srv_id srv_name srv_addr srv_op_state "));
    let row = format!("3 be 1 s1 127.0.0.1 2 0 1 1 0 1 0 2 0 0 0 0 - {port} - 0 0 - - 0");
    assert_eq!(lines.next(), Some(row));
    assert_eq!(
        lines.next(),
        Some("9 li 4 y 127.0.0.1 0 5 1 1 0 1 0 0 14 0 1 0 - 9 - 0 0 - - 0".into())
    );
    assert_eq!((lines.next(), lines.next()), (Some(String::new()), None));
    assert!(stage.command("show servers state li").lines().count() == 4);
    assert_eq!(
        stage.command("show servers state zz"),
        "Can't find backend.\n\n"
    );
}

#[test]
fn show_info_names_the_process() {
    let (stage, _upstream) = stage();
    let info = stage.command("show info");
    let pid = format!("\nPid: {}\n", std::process::id());
    for part in [
        "Name: HAProxy\nVersion: 2.6.12\nRelease_date: 2026/10/17\nNbthread: 1\nNbproc: 1\n",
        &pid,
        "\nUptime: 0d 0h00m",
        "\nUlimit-n: 4000\nMaxsock: 4000\nMaxconn: 2000\nHard_maxconn: 2000\n",
        "\nnode: testnode\nStopping: 0\n",
        "\nTainted: 0\n\n",
    ] {
        assert!(info.contains(part), "{part:?} not in {info}");
    }
    let typed = stage.command("show info typed");
    assert!(typed.starts_with("0.Name.1:POS:str:HAProxy\n1.Version.1:POS:str:2.6.12\n"));
    assert!(typed.contains("\n47.Tasks.1:MGP:u32:"), "{typed}");
    assert!(typed.contains("\n71.Tainted.1:SGP:str:0\n"), "{typed}");
    assert!(
        stage
            .command("show info json")
            .starts_with("[{\"field\":{\"pos\":0,\"name\":\"Name\"},")
    );
}

#[test]
fn framing_is_the_originals() {
    let (stage, _upstream) = stage();
    let check = |input: &[u8], expected: &str| assert_eq!(stage.raw(0, input), expected);
    check(b"show version\n", "2.6.12\n\n");
    check(b"show version;show version\n", "2.6.12\n\n2.6.12\n\n");
    check(b"show version\nshow version\n", "2.6.12\n\n2.6.12\n\n");
    check(b"show version", "");
    check(b"quit\n", "");
    check(b"quit;show version\n", "");
    check(b"prompt;show version\n", "\n> 2.6.12\n\n> ");
    check(
        b"prompt\nset server be/s1 state ready\nprompt\nshow version\n",
        "\n> \n> \n2.6.12\n\n",
    );
    check(
        b"user;show cli level;operator\n",
        "\nuser\n\nPermission denied\n\n",
    );
    check(
        b"set severity-output number;disable server be/nope\n",
        "\n[3]: No such server.\n\n",
    );
    check(
        b"set severity-output string;show version\n",
        "\n[info]: 2.6.12\n\n",
    );
    check(b"set timeout cli 3;show version\n", "\n2.6.12\n\n");
    check(b"set timeout cli x\n", "Invalid timeout value.\n\n");
}

#[test]
fn faults_are_named() {
    let (stage, _upstream) = stage();
    let rows = [
        ("disable server", "Require 'backend/server'."),
        ("disable server be", "Require 'backend/server'."),
        ("disable server nope/s1", "No such backend."),
        ("disable server be/nope", "No such server."),
        (
            "set server be/s1 state foo",
            "'set server <srv> state' expects 'ready', 'drain' and 'maint'.",
        ),
        (
            "set server be/s1",
            "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | \
             agent-send | check-addr | check-port | fqdn | health | ssl | state | weight",
        ),
        (
            "set server be/s1 addr 1.2.3.4",
            "'set server <srv> addr' is not supported.",
        ),
        (
            "set server be/s1 weight 300",
            "Absolute weight can only be between 0 and 256 inclusive.",
        ),
        ("get weight be/s1", "1 (initial 1)"),
        ("disable frontend", "A frontend name is expected."),
        ("disable frontend be", "No such frontend."),
        ("enable frontend fe", "All sockets are already enabled."),
        ("show env NO_SUCH_VARIABLE", "Variable not found"),
        ("show table", "Command 'show table' is not supported."),
        ("set maxconn global 100000", "Value out of range."),
        (
            "shutdown session x",
            "Session pointer expected (use 'show sess').",
        ),
    ];
    for (command, answer) in rows {
        assert_eq!(stage.command(command), format!("{answer}\n\n"), "{command}");
    }
    let unknown = stage.command("foo");
    assert!(
        unknown.starts_with(
            "Unknown command, but maybe one of the following ones is a better match:\n  "
        ),
        "{unknown}"
    );
    assert!(unknown.ends_with("  quit                                    : disconnect\n\n"));
    let empty = stage.command("");
    assert!(
        empty.starts_with("Unknown command. Please enter one of the following commands only:\n  ")
    );
    assert!(
        stage
            .command("help")
            .starts_with("The following commands are valid at this level:\n  ")
    );
}

#[test]
fn levels_keep_out() {
    let (stage, upstream) = stage();
    for command in [
        "disable server be/s1",
        "clear counters all",
        "set server be/s1 state maint",
    ] {
        for socket in [1, 2] {
            let answer = stage.raw(socket, format!("{command}\n").as_bytes());
            assert_eq!(answer, "Permission denied\n\n", "{command} on {socket}");
        }
    }
    assert_eq!(stage.raw(2, b"show env\n"), "Permission denied\n\n");
    assert_eq!(stage.raw(2, b"clear counters\n"), "Permission denied\n\n");
    assert_eq!(stage.raw(1, b"clear counters\n"), "\n");
    // Addresses are for operators.
    let address = upstream.address.to_string();
    assert!(!stage.raw(2, b"show stat\n").contains(&address));
    assert!(stage.raw(1, b"show stat\n").contains(&address));
}

#[test]
fn a_command_of_a_megabyte_is_refused_and_harms_nobody() {
    let (stage, _upstream) = stage();
    let mut long = vec![b'a'; 1 << 20];
    long.push(b'\n');
    let answer = stage.raw(0, &long);
    assert_eq!(
        answer,
        "Command too long (more than 16384 bytes), closing.\n\n"
    );
    assert_eq!(stage.command("show version"), "2.6.12\n\n");
}

#[test]
fn frontends_can_be_paused_and_shut() {
    let (stage, _upstream) = stage();
    assert_eq!(stage.command("disable frontend fe"), "\n");
    assert_eq!(stage.line(), "<132>Paused frontend fe.");
    assert_eq!(
        stage.command("disable frontend fe"),
        "All sockets are already disabled.\n\n"
    );
    assert!(stage.command("show stat fe 1 -1").contains(",PAUSED,"));
    assert_eq!(stage.command("enable frontend fe"), "\n");
    assert_eq!(stage.line(), "<132>Resumed frontend fe.");
    assert_eq!(stage.command("shutdown frontend fe"), "\n");
    assert_eq!(
        stage.line(),
        "<132>Proxy fe stopped (cumulated conns: FE: 0, BE: 0)."
    );
    assert!(stage.command("show stat fe 1 -1").contains(",STOP,"));
    assert_eq!(
        stage.command("enable frontend fe"),
        "Frontend was previously shut down, cannot enable.\n\n"
    );
}

#[test]
fn idle_clients_make_room_for_others() {
    let mut plan = Plan::new();
    plan.config.global.stats_maxconn = 1;
    plan.config.global.stats_timeout = Duration::from_millis(200);
    plan.add(proxy(ProxyKind::Backend, "be", 2), 0);
    let stage = plan.start();
    let idle = stage.connect(0);
    // Whichever socket it comes to, the next one is served once the idle one is dismissed.
    for socket in 0..3 {
        assert_eq!(stage.raw(socket, b"show version\n"), "2.6.12\n\n");
    }
    drop(idle);
}

/// Asks for the listening sockets as the next process does.
fn getsocks(stage: &Stage, socket: usize) -> Vec<OwnedFd> {
    let mut stream = stage.connect(socket);
    stream.write_all(b"_getsocks\n").unwrap();
    let mut count = [0; 4];
    stream.read_exact(&mut count).unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut text = [0; 64];
    let mut parts = [IoSliceMut::new(&mut text)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let length = recvmsg(&stream, &mut parts, &mut control, flags)
        .unwrap()
        .bytes;
    // Two empty names and an integer for each.
    assert_eq!(
        length,
        usize::try_from(i32::from_ne_bytes(count)).unwrap() * 6
    );
    stream.write_all(&0_i32.to_ne_bytes()).unwrap();
    let messages = control.drain();
    let fds = messages.filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds.collect::<Vec<_>>()),
        _ => None,
    });
    fds.flatten().collect()
}

#[test]
fn listening_sockets_are_handed_over_where_allowed_and_let_go_at_the_end() {
    let mut plan = Plan::new();
    if let Some(socket) = plan.config.global.stats_sockets.first_mut() {
        socket.expose_fd_listeners = true;
    }
    plan.add(proxy(ProxyKind::Frontend, "fe", 2), 2);
    let stage = plan.start();
    let fds = getsocks(&stage, 0);
    let found = fds.iter().map(|fd| {
        let address = socket2::SockRef::from(fd).local_addr().unwrap();
        address.as_socket().unwrap()
    });
    assert_eq!(found.collect::<Vec<_>>(), stage.fronts);
    assert_eq!(stage.raw(1, b"_getsocks\n"), "Permission denied\n\n");
    drop(fds);
    stage.daemon.soft_stop();
    wait_finished(&stage.daemon);
    for address in &stage.fronts {
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
