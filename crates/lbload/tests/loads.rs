//! Each load against the backend itself: what it counts, and what it calls an error.
#![expect(
    clippy::unwrap_used,
    reason = "a test helper that cannot go on fails its test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;

fn lbload(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lbload"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A backend of this test's own.
struct Backend {
    child: Child,
    address: String,
}

impl Backend {
    fn start(threads: &str) -> Self {
        let mut child = lbload(&["backend", "--listen", "127.0.0.1:0", "--threads", threads])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let address = said["listening"].as_str().unwrap().to_owned();
        Self { child, address }
    }

    fn load(&self, arguments: &[&str]) -> Value {
        load(&self.address, arguments)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Starts one that reads standard input; with it, what it says line by line.
fn talking(arguments: &[&str]) -> (Child, impl FnMut() -> Value + use<>) {
    let mut child = lbload(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let next = move || serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    (child, next)
}

fn load(target: &str, arguments: &[&str]) -> Value {
    let output = lbload(arguments)
        .args(["--target", target])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn clean(report: &Value) -> u64 {
    assert_eq!(report["errors"], serde_json::json!({}), "{report}");
    let done = report["done"].as_u64().unwrap();
    assert!(done > 0, "{report}");
    done
}

#[test]
fn connections_and_requests_are_answered_and_timed() {
    let backend = Backend::start("2");
    for load in ["cps", "rr"] {
        let report = backend.load(&[load, "--conns", "8", "--secs", "0.2", "--threads", "2"]);
        let done = clean(&report);
        assert_eq!(report["sent"].as_u64(), Some(done * 100));
        assert_eq!(report["latency"]["reply"]["count"].as_u64(), Some(done));
        assert!(report["latency"]["reply"]["p50"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_fixed_rate_asks_as_often_as_planned() {
    let backend = Backend::start("1");
    for fresh in [&["--fresh"][..], &[]] {
        let mut arguments = vec!["rr", "--conns", "20", "--secs", "0.5", "--rate", "400"];
        arguments.extend(fresh);
        assert_eq!(clean(&backend.load(&arguments)), 200);
    }
}

#[test]
fn a_stalled_server_is_charged_for_all_who_had_to_wait() {
    // Answers the first request of the only connection late, the others at once.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut message = [0; 100];
        let mut seen = 0;
        while stream.read_exact(&mut message).is_ok() {
            seen += 1;
            // The first is the uncounted one.
            if seen == 2 {
                thread::sleep(std::time::Duration::from_millis(200));
            }
            stream.write_all(&message).unwrap();
        }
    });
    let arguments = ["rr", "--conns", "1", "--secs", "0.2", "--rate", "100"];
    let report = load(&target, &arguments);
    assert_eq!(clean(&report), 20);
    // Planned over 200 ms, all held up by the first: half of them waited 50 ms or more.
    let p50 = report["latency"]["reply"]["p50"].as_f64().unwrap();
    assert!(p50 > 50_000.0, "{report}");
    server.join().unwrap();
}

#[test]
fn streams_end_whole_in_each_direction() {
    let backend = Backend::start("1");
    for (way, up, down) in [
        ("up", true, false),
        ("down", false, true),
        ("both", true, true),
    ] {
        let report = backend.load(&["bulk", "--conns", "3", "--secs", "0.2", "--dir", way]);
        assert_eq!(clean(&report), 3, "{way}");
        let moved = |key: &str| report[key].as_u64().unwrap() > 1_000_000;
        assert_eq!((moved("sent"), moved("received")), (up, down), "{report}");
    }
}

#[test]
fn lonely_connections_are_timed_in_three_steps() {
    let backend = Backend::start("1");
    let report = backend.load(&["lat", "--count", "5", "--gap-us", "10"]);
    assert_eq!(clean(&report), 5);
    for what in ["connect", "first_reply", "second_reply"] {
        assert_eq!(report["latency"][what]["count"], 5, "{report}");
    }
}

#[test]
fn idle_connections_stand_until_they_are_let_go() {
    let backend = Backend::start("1");
    let (mut child, mut next) = talking(&["idle", "--conns", "300", "--target", &backend.address]);
    assert_eq!(clean(&next()), 300);
    drop(child.stdin.take());
    assert_eq!(clean(&next()), 300);
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_goes_wrong_is_named() {
    // A port that was free a moment ago refuses.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = gone.local_addr().unwrap().to_string();
    drop(gone);
    let report = load(&nobody, &["cps", "--conns", "1", "--secs", "0.1"]);
    assert!(report["errors"]["refused"].as_u64().unwrap() > 0);
    assert_eq!(report["done"], 0);

    let liar = serving(|stream| {
        let mut message = [0; 100];
        if stream.read_exact(&mut message).is_ok() {
            message[50] ^= 1;
            let _gone = stream.write_all(&message);
        }
    });
    let report = load(&liar, &["cps", "--conns", "1", "--secs", "0.1"]);
    assert!(
        report["errors"]["wrong bytes"].as_u64().unwrap() > 0,
        "{report}"
    );

    let quitter = serving(|stream| {
        let _first = stream.read(&mut [0; 100]);
    });
    let report = load(&quitter, &["rr", "--conns", "1", "--secs", "0.1"]);
    assert!(
        report["errors"]["closed early"].as_u64().unwrap() > 0,
        "{report}"
    );

    // Swallows a stream without saying how much it got.
    let cutter = serving(|stream| {
        let _all = std::io::copy(stream, &mut std::io::sink());
    });
    let report = load(
        &cutter,
        &["bulk", "--conns", "1", "--secs", "0.1", "--dir", "up"],
    );
    assert_eq!(report["errors"]["cut short"], 1, "{report}");
    assert_eq!(report["done"], 0);
}

/// A server of one thread that does this with each connection, until the test ends.
fn serving(work: impl Fn(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            work(&mut stream.unwrap());
        }
    });
    address
}

#[test]
fn the_log_sink_counts_what_comes_by_udp_and_by_unix_socket() {
    let path = std::env::temp_dir().join(format!("lbload-log-{}", std::process::id()));
    let _left_over = std::fs::remove_file(&path);
    let path = path.to_str().unwrap();
    let (mut child, mut next) = talking(&["logsink", "--udp", "127.0.0.1:0", "--unix", path]);
    let port = next()["udp_port"].as_u64().unwrap();
    let address: SocketAddrV4 = format!("127.0.0.1:{port}").parse().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let unix = UnixDatagram::unbound().unwrap();
    for _ in 0..10 {
        udp.send_to(b"<134>line", address).unwrap();
        unix.send_to(b"<134>line", path).unwrap();
    }
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"\n").unwrap();
    assert_eq!(next()["lines"], 20);
    drop(input);
    assert_eq!(next()["bytes"], 180);
    assert!(child.wait().unwrap().success());
    std::fs::remove_file(path).unwrap();
}
