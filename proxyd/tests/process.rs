//! The daemon as a process: exit codes, signals, background, master and
//! worker. What the original says and returns in the same place was captured
//! from haproxy 2.6.12.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod support;

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};

use support::{
    GREETING, Scene, Stray, listener_to_inherit, normalised, read_greeting, status, thread_names,
    wait_for,
};

#[test]
fn a_listener_can_be_inherited_by_number() {
    let scene = Scene::new();
    let (fd, number, address) = listener_to_inherit();
    scene.configure("", &format!(" bind fd@{number}"));
    let _daemon = scene.start(&["-db", "-f", "t.cfg"]);
    // The kernel queues clients from the start: no waiting.
    let stream = TcpStream::connect(address).unwrap();
    assert_eq!(read_greeting(stream).as_deref(), Some(GREETING));
    drop(fd);
}

#[test]
fn a_descriptor_that_is_not_open_stops_the_start() {
    let scene = Scene::new();
    scene.configure("", " bind fd@987");
    let (code, _, stderr) = scene.output(&["-db", "-f", "t.cfg"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("cannot use file descriptor '987' : Bad file descriptor."),
        "{stderr}"
    );
}

#[test]
fn signals_end_the_process_as_they_end_the_original() {
    for (signal, code, killed_by) in [
        (Signal::SIGUSR1, Some(0), None),
        (Signal::SIGTERM, None, Some(Signal::SIGTERM as i32)),
        (Signal::SIGINT, None, Some(Signal::SIGINT as i32)),
    ] {
        let scene = Scene::new();
        scene.configure("", " bind unix@u.sock");
        let mut daemon = scene.start(&["-db", "-f", "t.cfg"]);
        scene.wait_until_serving("u.sock");
        daemon.signal(signal);
        let status = daemon.wait();
        assert_eq!((status.code(), status.signal()), (code, killed_by));
    }
}

#[test]
fn signals_of_no_concern_are_survived() {
    let scene = Scene::new();
    scene.configure("", " bind unix@u.sock");
    let mut daemon = scene.start(&["-db", "-f", "t.cfg"]);
    scene.wait_until_serving("u.sock");
    for signal in [
        Signal::SIGPIPE,
        Signal::SIGUSR2,
        Signal::SIGALRM,
        Signal::SIGQUIT,
        Signal::SIGHUP,
        Signal::SIGTTOU,
        Signal::SIGTTIN,
    ] {
        daemon.signal(signal);
    }
    scene.wait_until_serving("u.sock");
    daemon.signal(Signal::SIGUSR1);
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn a_soft_stop_lets_sessions_finish() {
    let scene = Scene::new();
    scene.configure("", " bind unix@u.sock");
    let mut daemon = scene.start(&["-db", "-f", "t.cfg"]);
    scene.wait_until_serving("u.sock");
    let client = std::os::unix::net::UnixStream::connect(scene.path("u.sock")).unwrap();
    assert_eq!(read_greeting(&client).as_deref(), Some(GREETING));
    daemon.signal(Signal::SIGUSR1);
    wait_for("listener closed", || {
        let refused = std::os::unix::net::UnixStream::connect(scene.path("u.sock"));
        refused.is_err().then_some(())
    });
    assert!(status(daemon.pid(), "State").is_some_and(|state| !state.starts_with('Z')));
    drop(client);
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn in_the_background_the_pid_file_names_the_process() {
    let scene = Scene::new();
    scene.configure(" daemon", " bind unix@u.sock");
    let config = scene.path("t.cfg");
    let config = config.to_str().unwrap();
    let (code, stdout, stderr) = scene.output(&["-f", config, "-p", "pid"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""));
    let daemon = Stray(scene.pid("pid"));
    // It is up when the command returns.
    assert_eq!(scene.fetch("u.sock").as_deref(), Some(GREETING));
    assert_eq!(status(daemon.0, "Name").as_deref(), Some("haproxy"));
    for number in 0..3 {
        let path = std::fs::read_link(format!("/proc/{}/fd/{number}", daemon.0)).unwrap();
        assert_eq!(path.to_str(), Some("/dev/null"));
    }
    kill(daemon.0, Signal::SIGUSR1).unwrap();
    wait_for("end in the background", || daemon.is_gone().then_some(()));
    assert!(scene.path("pid").exists(), "the original leaves it, too");
}

#[test]
fn without_background_no_pid_file_is_written() {
    let scene = Scene::new();
    scene.configure(" daemon", " bind unix@u.sock");
    let _daemon = scene.start(&["-db", "-f", "t.cfg", "-p", "pid"]);
    scene.wait_until_serving("u.sock");
    assert!(!scene.path("pid").exists());
}

#[test]
fn every_thread_has_the_name_of_the_link() {
    let scene = Scene::new();
    scene.configure(" nbthread 3", " bind unix@u.sock");
    let daemon = scene.start(&["-W", "-f", "t.cfg"]);
    scene.wait_until_serving("u.sock");
    let worker = daemon.workers()[0];
    assert_eq!(thread_names(daemon.pid()), ["haproxy"]);
    // The first worker thread serves while the others are still being made.
    let names = wait_for("all threads", || {
        let names = thread_names(worker);
        (names.len() > 3).then_some(names)
    });
    assert!(names.iter().all(|name| name == "haproxy"), "{names:?}");
}

/// A start that cannot succeed, in each mode.
fn check_refused(global: &str, listen: &str, modes: &[&str], expected: &str) {
    for mode in modes {
        let scene = Scene::new();
        scene.configure(global, listen);
        let (code, stdout, stderr) = scene.output(&[mode, "-f", "t.cfg"]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{mode}: {stderr}");
        let stderr = normalised(&stderr, scene.dir.path());
        let messages: Vec<_> = stderr
            .lines()
            .filter(|line| !line.starts_with("[NOTICE]"))
            .collect();
        assert_eq!(messages.join("\n"), expected, "{mode}");
        assert!(stderr.contains("[NOTICE]   (PID) : haproxy version is "));
    }
}

#[test]
fn a_port_in_use_is_named_and_the_exit_code_is_1() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    check_refused(
        "",
        &format!(" bind {address}"),
        &["-db", "-D", "-W", "-Ws"],
        &format!(
            "[ALERT]    (PID) : Binding [t.cfg:9] for proxy l1: cannot bind socket (Address already in use) \
             for [{address}]\n\
             [ALERT]    (PID) : [haproxy.main()] Some protocols failed to start their listeners! Exiting."
        ),
    );
}

#[test]
fn an_admin_socket_that_cannot_be_made_is_named() {
    check_refused(
        " stats socket /nonexistent/a.sock",
        " bind unix@u.sock",
        &["-db", "-D", "-W"],
        "[ALERT]    (PID) : Binding [t.cfg:2] for frontend GLOBAL: cannot bind UNIX socket \
         (No such file or directory) [/nonexistent/a.sock]\n\
         [ALERT]    (PID) : [haproxy.main()] Some protocols failed to start their listeners! Exiting.",
    );
}

#[test]
fn a_missing_jail_is_named() {
    check_refused(
        " chroot /nonexistent",
        " bind unix@u.sock",
        &["-db"],
        "[ALERT]    (PID) : [haproxy.main()] Cannot chroot(/nonexistent).",
    );
}

#[test]
fn a_pid_file_that_cannot_be_made_is_named() {
    check_refused(
        " pidfile /nonexistent/pid",
        " bind unix@u.sock",
        &["-D", "-W"],
        "[ALERT]    (PID) : [haproxy.main()] Cannot create pidfile /nonexistent/pid",
    );
}

#[test]
fn a_limit_out_of_reach_is_named() {
    let scene = Scene::new();
    scene.configure(" maxconn 2000000000", " bind unix@u.sock");
    let (code, _, stderr) = scene.output(&["-db", "-f", "t.cfg"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("haproxy.main()] Cannot raise FD limit to 40000000"),
        "{stderr}"
    );
}

#[test]
fn quiet_in_the_file_does_not_hide_why_a_start_fails() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let scene = Scene::new();
    scene.configure(" quiet", &format!(" bind {address}"));
    let (code, _, stderr) = scene.output(&["-db", "-f", "t.cfg"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("Address already in use"), "{stderr}");
    assert!(
        stderr.contains("Some protocols failed to start their listeners! Exiting."),
        "{stderr}"
    );
}

#[test]
fn quiet_means_the_exit_code_alone() {
    let scene = Scene::new();
    scene.configure(" chroot /nonexistent", " bind unix@u.sock");
    let quiet = scene.output(&["-q", "-db", "-f", "t.cfg"]);
    assert_eq!(quiet, (Some(1), String::new(), String::new()));
    let (_, _, stderr) = scene.output(&["-q", "-V", "-db", "-f", "t.cfg"]);
    assert!(stderr.contains("Cannot chroot"), "{stderr}");
}

#[test]
fn without_a_listener_nothing_is_started() {
    let scene = Scene::new();
    std::fs::write(scene.path("t.cfg"), "backend b\n mode tcp\n").unwrap();
    let (code, _, stderr) = scene.output(&["-db", "-f", "t.cfg"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains(
            "haproxy.main()] No enabled listener found (check for 'bind' directives) ! Exiting."
        ),
        "{stderr}"
    );
}

#[test]
fn versions_and_usage_have_their_place_and_code() {
    let scene = Scene::new();
    let (code, stdout, _) = scene.output(&["-v"]);
    assert_eq!(code, Some(0));
    let first = stdout.lines().next().unwrap();
    assert!(first.starts_with("HAProxy version 2.6."), "{first}");
    assert!(first.contains(" - http"), "{first}");
    let (code, stdout, _) = scene.output(&["-vv"]);
    assert_eq!((code, stdout.lines().next()), (Some(0), Some(first)));
    for arguments in [&[] as &[&str], &["-Z"], &["stray"]] {
        let (code, stdout, stderr) = scene.output(arguments);
        assert_eq!(code, Some(1));
        assert_eq!(stdout.lines().next(), Some(first));
        assert!(stderr.starts_with("Usage : haproxy [-f "), "{stderr}");
    }
}

#[test]
fn a_directory_to_change_to_must_exist() {
    let scene = Scene::new();
    scene.configure("", " bind unix@u.sock");
    for mode in ["-db", "-c"] {
        let (code, _, stderr) = scene.output(&[mode, "-C", "/nonexistent", "-f", "t.cfg"]);
        assert_eq!(code, Some(1), "{mode}");
        assert!(
            stderr
                .contains("Could not change to directory /nonexistent : No such file or directory"),
            "{stderr}"
        );
    }
    let dir = scene.dir.path().to_str().unwrap().to_owned();
    let (code, ..) = scene.output(&["-c", "-C", &dir, "-f", "t.cfg"]);
    assert_eq!(code, Some(0));
}

#[test]
fn a_new_process_takes_over_from_the_old_one() {
    let scene = Scene::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    scene.configure("", &format!(" bind {address}\n bind unix@u.sock"));
    let mut old = scene.start(&["-db", "-f", "t.cfg"]);
    scene.wait_until_serving("u.sock");
    let old_pid = old.pid().to_string();
    let new = scene.start(&["-db", "-f", "t.cfg", "-sf", &old_pid]);
    assert_eq!(old.wait().code(), Some(0));
    let stream = TcpStream::connect(address).unwrap();
    assert_eq!(read_greeting(stream).as_deref(), Some(GREETING));
    assert_eq!(scene.fetch("u.sock").as_deref(), Some(GREETING));

    let new_pid = new.pid().to_string();
    let _newest = scene.start(&["-db", "-f", "t.cfg", "-st", &new_pid]);
    let mut new = new;
    assert_eq!(new.wait().signal(), Some(Signal::SIGTERM as i32));
}

#[test]
fn a_take_over_that_fails_leaves_the_old_process_serving() {
    let scene = Scene::new();
    scene.configure("", " bind unix@u.sock");
    let old = scene.start(&["-db", "-f", "t.cfg"]);
    scene.wait_until_serving("u.sock");
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    scene.configure("", &format!(" bind {}", busy.local_addr().unwrap()));
    let old_pid = old.pid().to_string();
    let (code, ..) = scene.output(&["-db", "-f", "t.cfg", "-sf", &old_pid]);
    assert_eq!(code, Some(1));
    scene.wait_until_serving("u.sock");
}

#[test]
fn a_master_ends_with_the_code_of_the_signal() {
    for (signal, code) in [
        (Signal::SIGTERM, 0),
        (Signal::SIGINT, 130),
        (Signal::SIGUSR1, 0),
    ] {
        let scene = Scene::new();
        scene.configure("", " bind unix@u.sock");
        let mut daemon = scene.start(&["-W", "-f", "t.cfg"]);
        scene.wait_until_serving("u.sock");
        daemon.signal(signal);
        assert_eq!(daemon.wait().code(), Some(code), "{signal}");
        let messages = daemon.messages();
        assert!(messages.contains("Exiting Master process..."), "{messages}");
        let last = format!("All workers exited. Exiting... ({code})");
        assert!(messages.contains(&last), "{messages}");
    }
}

#[test]
fn a_master_ends_with_the_code_of_a_worker_that_died() {
    for (signal, code, text) in [
        (Signal::SIGKILL, 137, "Killed"),
        (Signal::SIGSEGV, 139, "Segmentation fault"),
    ] {
        let scene = Scene::new();
        scene.configure("", " bind unix@u.sock");
        let mut daemon = scene.start(&["-W", "-f", "t.cfg"]);
        scene.wait_until_serving("u.sock");
        let worker = daemon.workers()[0];
        kill(worker, signal).unwrap();
        assert_eq!(daemon.wait().code(), Some(code));
        let messages = daemon.messages();
        for expected in [
            format!("Current worker ({worker}) exited with code {code} ({text})"),
            "exit-on-failure: killing every processes with SIGTERM".to_owned(),
            format!("All workers exited. Exiting... ({code})"),
        ] {
            assert!(messages.contains(&expected), "{messages}");
        }
    }
}

#[test]
fn workers_do_not_outlive_their_master() {
    let scene = Scene::new();
    scene.configure("", " bind unix@u.sock");
    let mut daemon = scene.start(&["-W", "-f", "t.cfg"]);
    scene.wait_until_serving("u.sock");
    let worker = Stray(daemon.workers()[0]);
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    wait_for("end of the worker", || worker.is_gone().then_some(()));
}

#[test]
fn a_reload_loses_no_connection() {
    let scene = Scene::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let listen = format!(" bind {address}\n bind unix@u.sock");
    scene.configure(" nbthread 2", &listen);
    let daemon = scene.start(&["-W", "-f", "t.cfg"]);
    scene.wait_until_serving("u.sock");

    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicU32::new(0));
    let client = std::thread::spawn({
        let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
        move || {
            let mut lost = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let greeting = TcpStream::connect(address).map(read_greeting);
                match greeting {
                    Ok(Some(greeting)) if greeting == GREETING => {
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                    other => lost.push(format!("{other:?}")),
                }
            }
            lost
        }
    });
    for threads in [3, 1, 2] {
        let before = daemon.workers();
        scene.configure(&format!(" nbthread {threads}"), &listen);
        daemon.signal(Signal::SIGUSR2);
        wait_for("a new worker alone", || {
            let now = daemon.workers();
            (now.len() == 1 && now != before).then_some(())
        });
        // The new worker is really used.
        let count = served.load(Ordering::Relaxed);
        wait_for("progress", || {
            (served.load(Ordering::Relaxed) > count + 20).then_some(())
        });
    }
    stop.store(true, Ordering::Relaxed);
    assert_eq!(client.join().unwrap(), Vec::<String>::new());
}

#[test]
fn a_reload_that_fails_leaves_the_worker_serving() {
    let scene = Scene::new();
    scene.configure("", " bind unix@u.sock");
    let mut daemon = scene.start(&["-W", "-f", "t.cfg"]);
    scene.wait_until_serving("u.sock");
    let worker = daemon.workers();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let bad = [
        (" bogus", " bind unix@u.sock".to_owned()),
        (" chroot /nonexistent", " bind unix@u.sock".to_owned()),
        (
            "",
            format!(" bind unix@u.sock\n bind {}", busy.local_addr().unwrap()),
        ),
    ];
    for (number, (global, listen)) in bad.iter().enumerate() {
        scene.configure(global, listen);
        daemon.signal(Signal::SIGUSR2);
        wait_for("the failure", || {
            let count = daemon.messages().matches("Loading failure!").count();
            (count > number).then_some(())
        });
        assert_eq!(daemon.workers(), worker, "{global} {listen}");
        assert_eq!(scene.fetch("u.sock").as_deref(), Some(GREETING));
    }
    scene.configure("", " bind unix@u.sock");
    daemon.signal(Signal::SIGHUP);
    wait_for("a new worker alone", || {
        let now = daemon.workers();
        (now.len() == 1 && now != worker).then_some(())
    });
    assert_eq!(scene.fetch("u.sock").as_deref(), Some(GREETING));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn an_address_that_is_configured_no_more_is_closed() {
    let scene = Scene::new();
    scene.configure("", " bind unix@u.sock\n bind unix@v.sock");
    let daemon = scene.start(&["-W", "-f", "t.cfg"]);
    scene.wait_until_serving("v.sock");
    scene.configure("", " bind unix@u.sock");
    daemon.signal(Signal::SIGUSR2);
    wait_for("refusal", || {
        let refused = std::os::unix::net::UnixStream::connect(scene.path("v.sock"));
        refused.is_err().then_some(())
    });
    assert_eq!(scene.fetch("u.sock").as_deref(), Some(GREETING));
}

#[test]
fn the_service_manager_is_told() {
    let scene = Scene::new();
    scene.configure("", " bind unix@u.sock");
    let manager = UnixDatagram::bind(scene.path("notify")).unwrap();
    manager
        .set_read_timeout(Some(std::time::Duration::from_secs(20)))
        .unwrap();
    let mut child = scene
        .command(&["-Ws", "-q", "-f", "t.cfg"])
        .env("NOTIFY_SOCKET", scene.path("notify"))
        .spawn()
        .unwrap();
    let next = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let ready = format!("READY=1\nMAINPID={}\n", child.id());
    assert!(next().starts_with("RELOADING=1\n"));
    assert_eq!(next(), ready);
    assert_eq!(scene.fetch("u.sock").as_deref(), Some(GREETING));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGUSR2).unwrap();
    // Once before and once after the program starts anew.
    assert!(next().starts_with("RELOADING=1\n"));
    assert!(next().starts_with("RELOADING=1\n"));
    assert_eq!(next(), ready);
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(next(), "STOPPING=1\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
