//! Servers that go and come, by checks and by commands, and what the log says of it.

use haproxy_cfg::model::{CheckKind, ConnectionLog, ProxyKind};

use super::stage::{Plan, Upstream, proxy, quick_check, server, talk, wait_finished};

#[test]
fn a_server_that_goes_and_comes_is_logged_in_the_originals_words() {
    let (mut one, two) = (Upstream::new(), Upstream::new());
    let mut plan = Plan::new();
    let mut backend = proxy(ProxyKind::Backend, "be", 2);
    for (id, upstream) in [(1, &one), (2, &two)] {
        let mut server = server(&format!("m{id}"), id, upstream.address);
        server.check = Some(quick_check());
        backend.servers.push(server);
    }
    plan.add(backend, 0);
    let stage = plan.start();
    stage.wait_for("show servers state", " m1 127.0.0.1 2 0 1 1 ");
    one.stop();
    assert_eq!(
        stage.check_line(),
        "<129>Server be/m1 is DOWN, reason: Layer4 connection problem, info: \"Connection \
         refused\", check duration: Nms. 1 active and 0 backup servers left. 0 sessions active, \
         0 requeued, 0 remaining in queue."
    );
    let row = stage.row("be 4 1");
    assert!(row.contains(&("status".into(), "DOWN".into())), "{row:?}");
    assert!(row.contains(&("chkdown".into(), "1".into())), "{row:?}");
    one.restart();
    assert_eq!(
        stage.check_line(),
        "<133>Server be/m1 is UP, reason: Layer4 check passed, check duration: Nms. 2 active and \
         0 backup servers online. 0 sessions requeued, 0 total in queue."
    );
    drop(two);
}

#[test]
fn the_last_servers_leave_an_emergency() {
    let (mut main, mut spare) = (Upstream::new(), Upstream::new());
    let mut plan = Plan::new();
    let mut backend = proxy(ProxyKind::Listen, "li", 2);
    for (name, id, upstream) in [("main", 1, &main), ("spare", 2, &spare)] {
        let mut server = server(name, id, upstream.address);
        server.check = Some(quick_check());
        server.backup = name == "spare";
        backend.servers.push(server);
    }
    plan.add(backend, 1);
    let stage = plan.start();
    main.stop();
    assert_eq!(
        stage.check_line(),
        "<129>Server li/main is DOWN, reason: Layer4 connection problem, info: \"Connection \
         refused\", check duration: Nms. 0 active and 1 backup servers left. Running on backup. 0 \
         sessions active, 0 requeued, 0 remaining in queue."
    );
    spare.stop();
    assert_eq!(
        stage.check_line(),
        "<129>Backup Server li/spare is DOWN, reason: Layer4 connection problem, info: \
         \"Connection refused\", check duration: Nms. 0 active and 0 backup servers left. 0 \
         sessions active, 0 requeued, 0 remaining in queue."
    );
    assert_eq!(stage.line(), "<128>proxy li has no server available!");
    let row = stage.row("li 2 -1");
    assert!(row.contains(&("status".into(), "DOWN".into())), "{row:?}");
    // A client is told at once, and so is the log.
    let client = std::net::TcpStream::connect(stage.fronts[0]).unwrap();
    let line = stage.line();
    assert!(line.contains("] li li/<NOSRV> -1/-1/0 0 SC "), "{line}");
    drop(client);
}

#[test]
fn log_health_checks_tells_every_step_and_shortens_the_rest() {
    let mut one = Upstream::new();
    let mut plan = Plan::new();
    let mut backend = proxy(ProxyKind::Backend, "be", 2);
    let mut server = server("m1", 1, one.address);
    server.check = Some(quick_check());
    backend.log.log_health_checks = true;
    backend.servers.push(server);
    plan.add(backend, 0);
    one.stop();
    let stage = plan.start();
    assert_eq!(
        stage.check_line(),
        "<133>Health check for server be/m1 failed, reason: Layer4 connection problem, info: \
         \"Connection refused\", check duration: Nms, status: 0/2 DOWN."
    );
    assert_eq!(
        stage.line(),
        "<129>Server be/m1 is DOWN. 0 active and 0 backup servers left. 0 sessions active, 0 \
         requeued, 0 remaining in queue."
    );
    assert_eq!(stage.line(), "<128>backend be has no server available!");
    one.restart();
    for step in ["1/2 DOWN", "3/3 UP"] {
        assert_eq!(
            stage.check_line(),
            format!(
                "<133>Health check for server be/m1 succeeded, reason: Layer4 check passed, check \
                 duration: Nms, status: {step}."
            )
        );
    }
    assert_eq!(
        stage.line(),
        "<133>Server be/m1 is UP. 1 active and 0 backup servers online. 0 sessions requeued, 0 \
         total in queue."
    );
}

#[test]
fn hello_checks_send_a_hello() {
    let silent = Upstream::new();
    let mut plan = Plan::new();
    let mut backend = proxy(ProxyKind::Backend, "be", 2);
    backend.check_kind = CheckKind::SslHello;
    let mut server = server("m1", 1, silent.address);
    server.check = Some(quick_check());
    backend.servers.push(server);
    plan.add(backend, 0);
    let stage = plan.start();
    // It accepts and says nothing, which a plain check would not mind.
    assert_eq!(
        stage.check_line(),
        "<129>Server be/m1 is DOWN, reason: Layer6 timeout, check duration: Nms. 0 active and 0 \
         backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
    );
}

#[test]
fn commands_move_a_server_through_its_states() {
    let (one, two) = (Upstream::new(), Upstream::new());
    let mut plan = Plan::new();
    let mut backend = proxy(ProxyKind::Backend, "be", 2);
    backend.servers = vec![server("s1", 1, one.address), server("s2", 2, two.address)];
    plan.add(backend, 0);
    let stage = plan.start();
    let left = "1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in \
        queue.";
    let online = "1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.";
    let steps: [(&str, &[String]); 9] = [
        (
            "set server be/s1 state drain",
            &[format!("<133>Server be/s1 enters drain state. {online}")],
        ),
        ("set server be/s1 state drain", &[]),
        (
            "set server be/s1 state maint",
            &[format!(
                "<133>Server be/s1 is going DOWN for maintenance. {left}"
            )],
        ),
        (
            "set server be/s1 state ready",
            &["<133>Server be/s1 is UP/READY (leaving forced maintenance).".into()],
        ),
        (
            "disable server be/s1",
            &[format!(
                "<129>Server be/s1 is going DOWN for maintenance. {left}"
            )],
        ),
        ("disable server be/s1", &[]),
        (
            "set server be/#1 state drain",
            &[
                "<133>Server be/s1 is UP/DRAIN (leaving forced maintenance).".into(),
                "<133>Server be/s1 remains in forced drain mode.".into(),
            ],
        ),
        (
            "enable server be/s1",
            &["<133>Server be/s1 is UP (leaving forced drain).".into()],
        ),
        (
            "disable server be/s2",
            &[format!(
                "<129>Server be/s2 is going DOWN for maintenance. {left}"
            )],
        ),
    ];
    for (command, lines) in steps {
        assert_eq!(stage.command(command), "\n", "{command}");
        for line in lines {
            assert_eq!(stage.line(), *line, "{command}");
        }
    }
    let state = stage.command("show servers state be");
    assert!(state.contains("\n2 be 2 s2 127.0.0.1 0 1 1 1 "), "{state}");
    assert_eq!(stage.command("set server be/s1 state maint"), "\n");
    assert!(stage.line().contains("0 active and 0 backup servers left."));
    assert_eq!(stage.line(), "<128>backend be has no server available!");
}

#[test]
fn sessions_are_logged_and_counted() {
    let one = Upstream::new();
    let mut plan = Plan::new();
    let mut front = proxy(ProxyKind::Frontend, "fe", 2);
    front.default_backend = Some(2);
    plan.add(front, 1);
    let mut bare = proxy(ProxyKind::Frontend, "bare", 3);
    bare.default_backend = Some(2);
    bare.log.format = ConnectionLog::ConnectFrom;
    plan.add(bare, 1);
    let mut backend = proxy(ProxyKind::Backend, "be", 4);
    backend.servers = vec![server("s1", 1, one.address)];
    plan.add(backend, 0);
    let stage = plan.start();

    let echo = one.echo_once();
    talk(stage.fronts[0], b"hello");
    let line = stage.line();
    assert!(line.starts_with("<134>127.0.0.1:"), "{line}");
    assert!(line.contains("] fe be/s1 "), "{line}");
    assert!(line.ends_with(" 5 -- 1/1/0/0/0 0/0"), "{line}");
    echo.join().unwrap();

    let echo = one.echo_once();
    talk(stage.fronts[1], b"hello");
    let line = stage.line();
    let to = format!(" to {} (bare/TCP)", stage.fronts[1]);
    assert!(
        line.starts_with("<134>Connect from 127.0.0.1:") && line.ends_with(&to),
        "{line}"
    );
    echo.join().unwrap();

    stage.wait_for("show stat be 2 -1", "be,BACKEND,0,0,0,1,400,2,10,10,");
}

#[test]
fn a_soft_stop_says_goodbye_and_finishes() {
    let one = Upstream::new();
    let mut plan = Plan::new();
    let mut listen = proxy(ProxyKind::Listen, "li", 2);
    listen.servers = vec![server("s1", 1, one.address)];
    plan.add(proxy(ProxyKind::Backend, "be", 3), 0);
    plan.add(listen, 1);
    let stage = plan.start();
    stage.daemon.dump_states();
    for line in [
        "<133>SIGHUP received, dumping servers states for proxy be.",
        "<133>SIGHUP: Proxy be has no servers. Conn: act(FE+BE): 0+0, 0 pend (0 unass), \
         tot(FE+BE): 0+0.",
        "<133>SIGHUP received, dumping servers states for proxy li.",
        "<133>SIGHUP: Server li/s1 is UP. Conn: 0 act, 0 pend, 0 tot.",
        "<133>SIGHUP: Proxy li has 1 active servers and 0 backup servers available. Conn: \
         act(FE+BE): 0+0, 0 pend (0 unass), tot(FE+BE): 0+0.",
    ] {
        assert_eq!(stage.line(), line);
    }
    stage.daemon.pause_listeners();
    assert_eq!(stage.line(), "<132>Paused proxy li.");
    stage.daemon.resume_listeners();
    assert_eq!(stage.line(), "<132>Resumed proxy li.");
    stage.daemon.soft_stop();
    for line in [
        "<132>Proxy li stopped (cumulated conns: FE: 0, BE: 0).",
        "<132>Proxy be stopped (cumulated conns: FE: 0, BE: 0).",
    ] {
        assert_eq!(stage.line(), line);
    }
    wait_finished(&stage.daemon);
}
