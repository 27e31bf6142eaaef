//! What the keywords of the data path do, seen from outside: bytes, figures of `show info`, and the
//! descriptors of the process.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::pipe::fcntl_getpipe_size;

use support::{Daemon, Scene, listener_to_inherit, wait_for};

/// Bytes of one transfer.
const BULK: usize = 4 << 20;
/// Nothing here takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The lines of a configuration that a test is about.
#[derive(Default)]
struct Lines {
    global: &'static str,
    defaults: &'static str,
    frontend: &'static str,
    backend: &'static str,
}

/// A running daemon in front of a server that sends and takes bulk.
struct Proxy {
    scene: Scene,
    daemon: Daemon,
    address: SocketAddr,
    /// Pipes that are no business of the data path.
    pipes_before: BTreeSet<String>,
    _listener: OwnedFd,
}

impl Proxy {
    fn start(lines: &Lines) -> Self {
        Self::start_with(lines, |scene| scene.start(&["-db", "-f", "t.cfg"]))
    }

    fn start_with(lines: &Lines, start: impl FnOnce(&Scene) -> Daemon) -> Self {
        let scene = Scene::new();
        let server = bulk_server();
        let (listener, number, address) = listener_to_inherit();
        let Lines {
            global,
            defaults,
            frontend,
            backend,
        } = lines;
        let text = format!(
            "global\n stats socket unix@admin.sock level admin\n {global}\n\
             defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n {defaults}\n\
             frontend f\n bind fd@{number}\n default_backend b\n {frontend}\n\
             backend b\n server s {server}\n {backend}\n"
        );
        std::fs::write(scene.path("t.cfg"), text).unwrap();
        let daemon = start(&scene);
        let mut proxy = Self {
            scene,
            daemon,
            address,
            pipes_before: BTreeSet::new(),
            _listener: listener,
        };
        wait_for("the admin socket", || proxy.ask("show info"));
        proxy.pipes_before = proxy.pipe_names();
        proxy
    }

    /// The answer of the admin socket.
    fn ask(&self, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.scene.path("admin.sock")).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        writeln!(stream, "{command}").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// A figure of `show info`.
    fn figure(&self, name: &str) -> u64 {
        let answer = self.ask("show info").unwrap();
        let line = answer
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap().parse().unwrap()
    }

    fn spliced(&self) -> u64 {
        self.figure("TotalSplicdedBytesOut")
    }

    /// Names of the pipes of the process, with one of their descriptors.
    fn pipes(&self) -> BTreeMap<String, String> {
        let folder = format!("/proc/{}/fd", self.daemon.pid());
        let mut pipes = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let name = std::fs::read_link(entry.path()).unwrap_or_default();
            let name = name.display().to_string();
            if name.starts_with("pipe:") && !self.pipes_before.contains(&name) {
                pipes.insert(name, entry.path().display().to_string());
            }
        }
        pipes
    }

    fn pipe_names(&self) -> BTreeSet<String> {
        self.pipes().into_keys().collect()
    }

    /// Sends bulk; how many bytes were spliced meanwhile.
    fn upload(&self) -> u64 {
        let before = self.spliced();
        upload(self.address);
        self.spliced() - before
    }

    /// Fetches bulk; how many bytes were spliced meanwhile.
    fn download(&self) -> u64 {
        let before = self.spliced();
        download(self.address);
        self.spliced() - before
    }
}

/// Bytes in which a shift shows.
fn pattern() -> Vec<u8> {
    let byte = |at: usize| u8::try_from((at ^ (at >> 8) ^ (at >> 16)) & 0xff).unwrap();
    (0..BULK).map(byte).collect()
}

/// Takes bulk after a `u` and says whether it was right, sends bulk after a `d`, and anything else
/// back.
fn bulk_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) -> Option<()> {
    let mut kind = [0];
    stream.read_exact(&mut kind).ok()?;
    match &kind {
        b"u" => {
            let mut got = Vec::new();
            stream.read_to_end(&mut got).ok()?;
            let right = got == pattern();
            stream.write_all(if right { b"=" } else { b"!" }).ok()
        }
        b"d" => stream.write_all(&pattern()).ok(),
        // Reads nothing more until the client leaves.
        b"s" => {
            wait_for("the stalled client to leave", || {
                stream.set_nonblocking(true).ok();
                let gone = stream
                    .peek(&mut [0])
                    .is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock);
                gone.then_some(())
            });
            Some(())
        }
        _ => {
            stream.write_all(&kind).ok()?;
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() {
                stream.write_all(&byte).ok()?;
            }
            Some(())
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn upload(address: SocketAddr) {
    let mut stream = connect(address);
    stream.write_all(b"u").unwrap();
    stream.write_all(&pattern()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"=");
}

fn download(address: SocketAddr) {
    let mut stream = connect(address);
    stream.write_all(b"d").unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    assert!(got == pattern(), "{} bytes, or wrong ones", got.len());
}

/// What a direction is expected to do with bulk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spliced {
    /// Most bytes: what comes in small pieces, and what follows it at once, is copied.
    Most,
    /// Some, once bulk was seen.
    Some,
    /// No byte but those of a command or an answer.
    None,
}

impl Spliced {
    fn check(self, what: &str, mut transfer: impl FnMut() -> u64) {
        let bulk = BULK as u64;
        match self {
            Self::Most => {
                let moved = transfer();
                assert!(moved >= bulk / 2, "{what}: {moved} spliced");
            }
            // How much is read at once depends on who runs when.
            Self::Some => {
                wait_for(what, || (transfer() > 1000).then_some(()));
            }
            Self::None => {
                for _ in 0..3 {
                    let moved = transfer();
                    assert!(moved <= 2, "{what}: {moved} spliced");
                }
            }
        }
    }
}

#[test]
fn each_direction_is_spliced_as_its_options_say() {
    use Spliced::{Most, None, Some};
    let auto = "option splice-auto";
    let no_auto = "no option splice-auto";
    for (defaults, frontend, backend, up, down) in [
        ("", "", "", Some, Some),
        ("", auto, "", Some, Some),
        ("", no_auto, "", None, None),
        ("", "", no_auto, None, None),
        (no_auto, "", "", None, None),
        (no_auto, "", auto, Some, Some),
        (no_auto, "option splice-request", "", Most, None),
        (no_auto, "", "option splice-request", Most, None),
        (no_auto, "", "option splice-response", None, Most),
        ("option splice-request", no_auto, "", Most, None),
        (
            "option splice-request",
            "no option splice-request",
            "no option splice-request\n no option splice-auto",
            None,
            None,
        ),
        ("", "", "option splice-response", Some, Most),
    ] {
        let proxy = Proxy::start(&Lines {
            global: "nbthread 1",
            defaults,
            frontend,
            backend,
        });
        let what = format!("'{defaults}', '{frontend}', '{backend}'");
        up.check(&format!("up with {what}"), || proxy.upload());
        down.check(&format!("down with {what}"), || proxy.download());
    }
}

const BOTH: &str = "option splice-request\n option splice-response";

#[test]
fn nosplice_means_no_pipe_at_all() {
    for (global, flags) in [
        ("nosplice", ["-db", "-f", "t.cfg"].as_slice()),
        ("", ["-dS", "-db", "-f", "t.cfg"].as_slice()),
    ] {
        let lines = Lines {
            global,
            defaults: BOTH,
            ..Lines::default()
        };
        let proxy = Proxy::start_with(&lines, |scene| scene.start(flags));
        for _ in 0..3 {
            assert_eq!((proxy.upload(), proxy.download()), (0, 0));
            assert!(proxy.pipes().is_empty());
        }
    }
}

#[test]
fn maxpipes_bounds_the_process_and_serves_all_workers() {
    let proxy = Proxy::start(&Lines {
        global: "nbthread 2\n maxpipes 1",
        defaults: BOTH,
        ..Lines::default()
    });
    assert_eq!(proxy.figure("Maxpipes"), 1);
    let address = proxy.address;
    let clients: Vec<_> = (0..8)
        .map(|number| {
            thread::spawn(move || {
                if number % 2 == 0 {
                    upload(address);
                } else {
                    download(address);
                }
            })
        })
        .collect();
    while !clients.iter().all(thread::JoinHandle::is_finished) {
        assert!(proxy.pipes().len() <= 1, "{:?}", proxy.pipes());
        assert!(proxy.figure("PipesUsed") <= 1);
    }
    for client in clients {
        client.join().unwrap();
    }
    assert!(proxy.spliced() > 0, "the one pipe is used");
    // Whichever worker has the next client: the pipe is there for it.
    for _ in 0..8 {
        assert!(proxy.upload() > 0);
    }
    assert_eq!(proxy.pipes().len(), 1);
}

#[test]
fn pipes_have_the_size_that_is_configured() {
    for (global, size) in [
        ("tune.pipesize 65536", 65536),
        ("tune.pipesize 100000", 131_072),
        ("tune.pipesize 4096", 4096),
    ] {
        let proxy = Proxy::start(&Lines {
            global,
            defaults: BOTH,
            ..Lines::default()
        });
        assert!(proxy.upload() > 0, "{global}");
        let pipes = proxy.pipes();
        assert!(!pipes.is_empty());
        for path in pipes.values() {
            let flags = rustix::fs::OFlags::NONBLOCK.bits();
            let pipe = std::fs::OpenOptions::new()
                .read(true)
                .custom_flags(i32::try_from(flags).unwrap())
                .open(path)
                .unwrap();
            assert_eq!(fcntl_getpipe_size(&pipe), Ok(size), "{global}");
        }
    }
}

/// Bytes read from clients that no server has got.
fn held(proxy: &Proxy) -> u64 {
    let stat = proxy.ask("show stat").unwrap();
    let front = stat.lines().find(|line| line.starts_with("f,FRONTEND,"));
    let read: u64 = front.unwrap().split(',').nth(8).unwrap().parse().unwrap();
    read.saturating_sub(proxy.figure("TotalBytesOut"))
}

#[test]
fn a_stalled_direction_holds_no_more_than_the_buffer() {
    for (global, most) in [
        ("tune.bufsize 4096", 4096),
        ("tune.bufsize 20000", 20_000),
        ("", 256 << 10),
    ] {
        let proxy = Proxy::start(&Lines {
            global,
            defaults: "no option splice-auto",
            ..Lines::default()
        });
        let mut client = connect(proxy.address);
        client.write_all(b"s").unwrap();
        client
            .set_write_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        while client.write(&[7; 65536]).is_ok() {}
        let stuck = wait_for("all sockets to be full", || {
            let first = held(&proxy);
            (first > 0 && first == held(&proxy)).then_some(first)
        });
        assert!(stuck <= most, "'{global}': {stuck} bytes are held");
    }
}

#[test]
fn limits_of_a_turn_lose_nothing() {
    for global in [
        "tune.maxpollevents 1",
        "tune.maxaccept 1\n tune.maxpollevents 2",
        "tune.bufsize 1000\n tune.pipesize 4096",
        "tune.rcvbuf.client 30000\n tune.sndbuf.client 30000\n tune.rcvbuf.server 30000\n tune.sndbuf.server 30000",
        "busy-polling",
    ] {
        let proxy = Proxy::start(&Lines {
            global,
            ..Lines::default()
        });
        assert_eq!(
            proxy.figure("BusyPolling"),
            u64::from(global == "busy-polling")
        );
        let address = proxy.address;
        let clients: Vec<_> = (0..6)
            .map(|_| {
                thread::spawn(move || {
                    upload(address);
                    download(address);
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
    }
}

/// `Cpus_allowed_list` of the threads of a process, and of this one.
fn allowed(folder: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(folder).unwrap().flatten();
    tasks
        .filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("status")).ok()?;
            let lists = text.lines();
            let mut lists = lists.filter_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            Some(lists.next()?.trim().to_owned())
        })
        .collect()
}

#[test]
fn workers_run_where_the_map_says() {
    let all = allowed("/proc/self/task").swap_remove(0);
    let end = all.find(|c: char| !c.is_ascii_digit()).unwrap_or(all.len());
    let first = all[..end].to_owned();
    let lines = |map: &str| Lines {
        global: Box::leak(format!("nbthread 3\n {map}").into_boxed_str()),
        ..Lines::default()
    };
    for (map, pinned) in [
        (format!("cpu-map 1/all {first}"), 3),
        (format!("cpu-map 1/odd {first}"), 2),
        (format!("cpu-map 1/2 {first}"), 1),
        (format!("cpu-map 2/all {first}"), 0),
    ] {
        let proxy = Proxy::start(&lines(&map));
        let threads = allowed(&format!("/proc/{}/task", proxy.daemon.pid()));
        let count = threads.iter().filter(|list| **list == first).count();
        // On a machine with one CPU all threads are where they must be.
        if first != all {
            assert_eq!(count, pinned, "{map}: {threads:?}");
        }
        upload(proxy.address);
    }
}

/// Sends a byte and waits for it to come back.
fn echoes(client: &mut TcpStream) -> bool {
    let mut byte = [0];
    client.write_all(b"x").is_ok() && client.read_exact(&mut byte).is_ok()
}

#[test]
fn without_descriptors_clients_wait_and_nothing_else_suffers() {
    let log = UdpSocket::bind("127.0.0.1:0").unwrap();
    log.set_read_timeout(Some(PATIENCE)).unwrap();
    let target = log.local_addr().unwrap();
    let global = format!("maxconn 100\n nbthread 2\n no strict-limits\n log {target} local0");
    let lines = Lines {
        global: Box::leak(global.into_boxed_str()),
        defaults: "log global\n option tcplog",
        ..Lines::default()
    };
    let proxy = Proxy::start_with(&lines, |scene| {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 70 && exec \"$0\" -db -f t.cfg"]);
        command.arg(scene.link()).current_dir(scene.dir.path());
        scene.spawn(command)
    });
    assert_eq!(proxy.figure("Ulimit-n"), 70);
    let mut waiting: Vec<TcpStream> = (0..40).map(|_| connect(proxy.address)).collect();
    for client in &mut waiting {
        client.write_all(b"x").unwrap();
    }
    let maxsock = proxy.figure("Maxsock");
    let complaint = format!(
        "Proxy f reached process FD limit (maxsock={maxsock}). Please check 'ulimit-n' and restart."
    );
    wait_for("the complaint", || {
        let mut line = [0; 2048];
        let length = log.recv(&mut line).unwrap();
        let line = String::from_utf8_lossy(&line[..length])
            .trim_end()
            .to_owned();
        assert!(!line.contains(" f b/s "), "a client was dropped: {line}");
        // Facility local0, level emerg.
        (line.starts_with("<128>") && line.ends_with(&complaint)).then_some(())
    });
    // As some leave, others take their places; none is ever turned away.
    let mut rounds = 0;
    while !waiting.is_empty() {
        let served = wait_for("clients to be served", || {
            let ready: Vec<usize> = (0..waiting.len())
                .filter(|index| {
                    let client = &waiting[*index];
                    client.set_nonblocking(true).unwrap();
                    let ready = client.peek(&mut [0]).is_ok();
                    client.set_nonblocking(false).unwrap();
                    ready
                })
                .collect();
            (!ready.is_empty()).then_some(ready)
        });
        rounds += 1;
        assert!(proxy.figure("CurrConns") > 0, "the operator gets an answer");
        for index in served.into_iter().rev() {
            let mut client = waiting.swap_remove(index);
            let mut first = [0];
            client.read_exact(&mut first).unwrap();
            assert!(echoes(&mut client), "who is in goes on");
        }
    }
    assert!(rounds > 1, "the limit was never reached");
    for _ in 0..3 {
        upload(proxy.address);
    }
}

impl Proxy {
    fn rings(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.daemon.pid());
        let files = std::fs::read_dir(folder).unwrap().flatten();
        let names = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        names
            .filter(|name| name.ends_with("anon_inode:[io_uring]"))
            .count()
    }

    /// Bulk both ways, and many short connections.
    fn exercise(&self) {
        self.upload();
        self.download();
        for _ in 0..50 {
            let mut client = connect(self.address);
            client.write_all(b"echo").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"echo");
        }
    }
}

const REFUSED: &str = "tune.io-uring is without effect, epoll is used: ";

#[test]
fn each_worker_has_a_ring_where_it_is_wanted_and_granted() {
    for (global, wanted) in [
        ("nbthread 2\n tune.io-uring on", 2),
        ("nbthread 1\n tune.io-uring on\n busy-polling", 1),
        ("nbthread 2\n tune.io-uring off", 0),
        ("nbthread 2", 0),
    ] {
        let proxy = Proxy::start(&Lines {
            global,
            ..Lines::default()
        });
        proxy.exercise();
        let messages = proxy.daemon.messages();
        let refused = messages.contains(REFUSED);
        assert!(!refused || wanted > 0, "{messages}");
        assert_eq!(proxy.rings(), if refused { 0 } else { wanted }, "{global}");
    }
}

/// What rings lock in memory counts for the user who makes them. Root is free of the limit and makes
/// them before it is root no more.
#[test]
fn a_limit_on_locked_memory_is_for_ordinary_users() {
    let capable = std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:\t").map(str::to_owned))
        .and_then(|hex| u64::from_str_radix(&hex, 16).ok())
        .is_some_and(|set| set & (1 << 14) != 0);
    let start = |scene: &Scene| {
        let mut command = Command::new("prlimit");
        command
            .args(["--memlock=0:0", "--"])
            .arg(scene.link())
            .args(["-db", "-f", "t.cfg"])
            .current_dir(scene.dir.path())
            .env_remove("NOTIFY_SOCKET");
        scene.spawn(command)
    };
    let global = if nix::unistd::geteuid().is_root() {
        "nbthread 1\n tune.io-uring on\n user nobody"
    } else {
        "nbthread 1\n tune.io-uring on"
    };
    let lines = Lines {
        global,
        ..Lines::default()
    };
    let proxy = Proxy::start_with(&lines, start);
    proxy.exercise();
    let messages = proxy.daemon.messages();
    // A kernel may refuse rings for reasons of its own as well.
    let limited = messages.contains(&format!("{REFUSED}Cannot allocate memory"));
    assert!(!(capable && limited), "{messages}");
    assert!(capable || messages.contains(REFUSED), "{messages}");
    let refused = messages.contains(REFUSED);
    assert_eq!(proxy.rings(), usize::from(!refused), "{messages}");
}
