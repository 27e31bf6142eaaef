//! `tune.io-uring on`: connections that begin on a ring, beside the same without it and beside the
//! original. What clients and servers see and what the log says of it is the same.
//!
//! Where the system grants no ring, epoll serves instead; the test says so and holds all the same.
#![expect(clippy::print_stderr, reason = "a run without a ring says so")]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use e2e::{binaries, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::io::{FdFlags, fcntl_setfd};
use socket2::SockRef;

const PATIENCE: Duration = Duration::from_secs(30);
const REFUSED: &str = "tune.io-uring is without effect";

/// Whose daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Driver {
    Original,
    Epoll,
    Ring,
}

/// Who listens where, and what comes to the log.
struct Stage {
    folder: tempfile::TempDir,
    driver: Driver,
    log: UnixDatagram,
    /// The proxy's, by section.
    doors: Vec<(&'static str, TcpListener)>,
    /// Behind all sections but `refused`.
    server: TcpListener,
}

/// Sections: all differ in what ends a session.
const SECTIONS: [(&str, &str); 6] = [
    ("plain", ""),
    ("brief", "timeout client 150ms"),
    ("curt", "timeout server 150ms"),
    ("refused", "retries 0"),
    ("narrow", "timeout queue 150ms"),
    ("queued", ""),
];

impl Stage {
    fn new(driver: Driver) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = UnixDatagram::bind(folder.path().join("log"))?;
        log.set_read_timeout(Some(PATIENCE))?;
        let mut doors = Vec::new();
        for (name, _) in SECTIONS {
            let door = TcpListener::bind("127.0.0.1:0")?;
            fcntl_setfd(&door, FdFlags::empty())?;
            doors.push((name, door));
        }
        let stage = Self {
            folder,
            driver,
            log,
            doors,
            server: TcpListener::bind("127.0.0.1:0")?,
        };
        fs::write(stage.config(), stage.text()?)?;
        Ok(stage)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("t.cfg")
    }

    fn text(&self) -> Result<String> {
        let log = self.folder.path().join("log");
        let ring = match self.driver {
            Driver::Ring => "tune.io-uring on",
            Driver::Original | Driver::Epoll => "",
        };
        let mut text = format!(
            "global\n nbthread 1\n stats socket unix@{} level admin\n log {} format raw local0\n \
             {ring}\ndefaults\n mode tcp\n log global\n option tcplog\n timeout connect 10s\n \
             timeout client 30s\n timeout server 30s\n",
            self.folder.path().join("admin").display(),
            log.display()
        );
        let server = self.server.local_addr()?;
        // A port that nobody else is given meanwhile, and nobody listens on.
        let nobody = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        nobody.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>()?.into())?;
        let closed = nobody.local_addr()?.as_socket().context("no address")?;
        std::mem::forget(nobody);
        for ((name, lines), (_, door)) in SECTIONS.iter().zip(&self.doors) {
            let (target, options) = match *name {
                "refused" => (closed, ""),
                "narrow" | "queued" => (server, "maxconn 1"),
                _ => (server, ""),
            };
            text += &format!(
                "listen {name}\n bind fd@{}\n {lines}\n server s {target} {options}\n",
                door.as_raw_fd()
            );
        }
        Ok(text)
    }

    fn spawn(&self, arguments: &[&str]) -> Result<Daemon> {
        let program = match self.driver {
            Driver::Original => binaries::original("haproxy")?,
            Driver::Epoll | Driver::Ring => binaries::ours("proxyd")?,
        };
        let console = fs::File::create(self.folder.path().join("console"))?;
        let child = Command::new(program)
            .args(["-db", "-f"])
            .arg(self.config())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(console)
            .spawn()?;
        Ok(Daemon(child))
    }

    /// A daemon that serves.
    fn start(&self) -> Result<Daemon> {
        let daemon = self.spawn(&[])?;
        self.serves(&daemon)?;
        Ok(daemon)
    }

    /// Makes sure that this daemon serves, alone, and as it should.
    fn serves(&self, daemon: &Daemon) -> Result<()> {
        let (client, server) = acquainted(self, "plain")?;
        finish(client, server)?;
        self.line()?;
        let said = fs::read_to_string(self.folder.path().join("console"))?;
        match (self.driver, daemon.rings()?) {
            (Driver::Ring, 1) | (Driver::Original | Driver::Epoll, 0) => {}
            (Driver::Ring, 0) if said.contains(REFUSED) => eprintln!("NO IO_URING HERE: {said}"),
            (driver, rings) => bail!("{driver:?} has {rings} rings: {said}"),
        }
        Ok(())
    }

    /// One that takes over from `old`, which has heard of it.
    fn succeed(&self, old: &Daemon) -> Result<Daemon> {
        let new = self.spawn(&["-sf", &old.0.id().to_string()])?;
        let mut buffer = [0; 2048];
        loop {
            let length = self.log.recv(&mut buffer).context("nobody stops")?;
            let line = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
            ensure!(normal(&line).is_none(), "{line}");
            if line.contains("Proxy plain stopped") {
                return Ok(new);
            }
        }
    }

    fn connect(&self, section: &str) -> Result<TcpStream> {
        let door = self.doors.iter().find(|(name, _)| *name == section);
        let (_, door) = door.with_context(|| format!("no section {section}"))?;
        patient(TcpStream::connect(door.local_addr()?)?)
    }

    fn accept(&self) -> Result<TcpStream> {
        patient(self.server.accept()?.0)
    }

    /// A client and its server.
    fn pair(&self, section: &str) -> Result<(TcpStream, TcpStream)> {
        Ok((self.connect(section)?, self.accept()?))
    }

    /// Waits until a client of section `queued` waits for its place.
    fn until_queued(&self) -> Result<()> {
        wait::until_ok("a client in the queue", PATIENCE, || {
            let mut stream = UnixStream::connect(self.folder.path().join("admin"))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"show stat queued 2 -1\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            let backend = answer
                .lines()
                .find(|line| line.starts_with("queued,BACKEND,1,"));
            Ok(backend.map(drop))
        })
    }

    /// The next line of the log, without addresses and times.
    fn line(&self) -> Result<String> {
        let mut buffer = [0; 2048];
        loop {
            let length = self.log.recv(&mut buffer).context("no line comes")?;
            let line = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
            // What is not said of a session: the stop of a section.
            if let Some(line) = normal(&line) {
                return Ok(line);
            }
        }
    }
}

/// `127.0.0.1:50440 [23/Nov/2026:06:48:01.155] plain plain/s 1/0/3 12 -- 1/1/0/0/0 0/0`: from the
/// frontend on, and of a time only whether there was one.
fn normal(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, _, frontend, server, times, rest @ ..] = words.as_slice() else {
        return None;
    };
    let times: Vec<&str> = times
        .split('/')
        .map(|time| if time == "-1" { time } else { "N" })
        .collect();
    (words.len() == 9 && times.len() == 3).then(|| {
        let times = times.join("/");
        format!("{frontend} {server} {times} {}", rest.join(" "))
    })
}

/// Ends the daemon however the test ends.
struct Daemon(Child);

impl Daemon {
    fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(self.0.id().try_into()?))
    }

    fn rings(&self) -> Result<usize> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.0.id()))?.flatten();
        let names = files.filter_map(|file| fs::read_link(file.path()).ok());
        Ok(names
            .filter(|name| name.ends_with("anon_inode:[io_uring]"))
            .count())
    }

    fn end(&mut self) -> Result<ExitStatus> {
        wait::until_ok("the daemon's end", PATIENCE, || Ok(self.0.try_wait()?))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn patient(stream: TcpStream) -> Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends and has it arrive.
fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    from.write_all(bytes)?;
    let mut got = vec![0; bytes.len()];
    to.read_exact(&mut got)?;
    ensure!(got == bytes, "wrong bytes");
    Ok(())
}

/// Reads to the end; whether that was a FIN.
fn drain(stream: &mut TcpStream) -> Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => Ok((bytes, true)),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok((bytes, false)),
        Err(error) => Err(error.into()),
    }
}

/// The client ends, and its server after it.
fn finish(client: TcpStream, mut server: TcpStream) -> Result<()> {
    drop(client);
    ensure!(drain(&mut server)? == (vec![], true));
    Ok(())
}

fn reset(stream: TcpStream) -> Result<()> {
    Ok(SockRef::from(&stream).set_linger(Some(Duration::ZERO))?)
}

/// A question and an answer, so that the session stands and rests.
fn acquainted(stage: &Stage, section: &str) -> Result<(TcpStream, TcpStream)> {
    let (mut client, mut server) = stage.pair(section)?;
    pass(&mut client, &mut server, b"question")?;
    pass(&mut server, &mut client, b"an answer")?;
    Ok((client, server))
}

/// What happens to one session, or to two.
type Scene = fn(&Stage) -> Result<()>;

const SCENES: [(&str, usize, Scene); 13] = [
    ("the client ends", 1, |stage| {
        let (client, server) = acquainted(stage, "plain")?;
        finish(client, server)
    }),
    ("the server ends", 1, |stage| {
        let (client, server) = acquainted(stage, "plain")?;
        finish(server, client)
    }),
    ("the client has said all, and hears on", 1, |stage| {
        let (mut client, mut server) = acquainted(stage, "plain")?;
        client.write_all(b"and")?;
        client.shutdown(Shutdown::Write)?;
        ensure!(drain(&mut server)? == (b"and".to_vec(), true));
        pass(&mut server, &mut client, b"so it is")?;
        finish(server, client)
    }),
    ("the server has said all, and hears on", 1, |stage| {
        let (mut client, mut server) = acquainted(stage, "plain")?;
        server.write_all(b"that is all")?;
        server.shutdown(Shutdown::Write)?;
        ensure!(drain(&mut client)? == (b"that is all".to_vec(), true));
        // Longer than a session may be half open on the ring.
        std::thread::sleep(Duration::from_millis(60));
        pass(&mut client, &mut server, b"but hear")?;
        finish(client, server)
    }),
    ("a conversation with pauses", 1, |stage| {
        let (mut client, mut server) = stage.pair("plain")?;
        for length in [1, 100, 3000, 20_000, 100_000, 5] {
            pass(&mut client, &mut server, &vec![1; length])?;
            pass(&mut server, &mut client, &vec![2; length])?;
        }
        // Longer than a session may be silent on the ring.
        std::thread::sleep(Duration::from_millis(1200));
        pass(&mut client, &mut server, b"still there")?;
        finish(client, server)
    }),
    ("bulk both ways", 1, |stage| {
        let (mut client, mut server) = stage.pair("plain")?;
        let bulk: Vec<u8> = (0..4_u32 << 20).map(|at| (at ^ (at >> 9)) as u8).collect();
        std::thread::scope(|scope| {
            let up = scope.spawn(|| (&client).write_all(&bulk));
            let down = scope.spawn(|| (&server).write_all(&bulk));
            for mut end in [&server, &client] {
                let mut got = vec![0; bulk.len()];
                end.read_exact(&mut got)?;
                ensure!(got == bulk, "wrong bytes");
            }
            for sender in [up, down] {
                sender.join().map_err(|_| anyhow!("a sender failed"))??;
            }
            Ok(())
        })?;
        pass(&mut client, &mut server, b"done")?;
        pass(&mut server, &mut client, b"done")?;
        finish(client, server)
    }),
    ("the client resets", 1, |stage| {
        let (client, mut server) = acquainted(stage, "plain")?;
        reset(client)?;
        ensure!(drain(&mut server)? == (vec![], false));
        Ok(())
    }),
    ("the server resets", 1, |stage| {
        let (mut client, server) = acquainted(stage, "plain")?;
        reset(server)?;
        ensure!(drain(&mut client)? == (vec![], true));
        Ok(())
    }),
    ("the client is silent", 1, |stage| {
        let (client, mut server) = acquainted(stage, "brief")?;
        ensure!(drain(&mut server)? == (vec![], true));
        drop(server);
        drop(client);
        Ok(())
    }),
    ("the server is silent", 1, |stage| {
        let (mut client, mut server) = acquainted(stage, "curt")?;
        ensure!(drain(&mut client)? == (vec![], true));
        drop(client);
        ensure!(drain(&mut server)? == (vec![], true));
        Ok(())
    }),
    ("nobody listens there", 1, |stage| {
        let mut client = stage.connect("refused")?;
        ensure!(drain(&mut client)? == (vec![], true));
        Ok(())
    }),
    ("no place is free", 2, |stage| {
        let (client, server) = acquainted(stage, "narrow")?;
        let mut second = stage.connect("narrow")?;
        ensure!(drain(&mut second)? == (vec![], true));
        finish(client, server)
    }),
    ("a place becomes free", 2, |stage| {
        let (client, server) = acquainted(stage, "queued")?;
        let mut second = stage.connect("queued")?;
        stage.until_queued()?;
        finish(client, server)?;
        let mut server = stage.accept()?;
        pass(&mut second, &mut server, b"my turn")?;
        finish(second, server)
    }),
];

#[test]
fn the_log_of_the_ring_is_that_of_epoll_and_of_the_original() -> Result<()> {
    let mut logs = Vec::new();
    for driver in [Driver::Original, Driver::Epoll, Driver::Ring] {
        let stage = Stage::new(driver)?;
        let _daemon = stage.start()?;
        let mut log = Vec::new();
        for (name, lines, scene) in SCENES {
            let failed = || format!("{driver:?}: {name}");
            scene(&stage).with_context(failed)?;
            for _ in 0..lines {
                log.push(format!("{name}: {}", stage.line().with_context(failed)?));
            }
        }
        logs.push(log);
    }
    let states = |log: &[String]| log.iter().filter(|line| !line.contains(" -- ")).count();
    let [original, epoll, ring] = logs.as_slice() else {
        bail!("three logs");
    };
    assert_eq!(
        states(original),
        6,
        "the scenes are what they are called: {original:#?}"
    );
    assert_eq!(epoll, original);
    assert_eq!(ring, original);
    Ok(())
}

/// Sessions go on in a process that stops, and clients are served by the one that takes over.
#[test]
fn a_soft_stop_and_a_takeover_lose_nothing() -> Result<()> {
    for driver in [Driver::Epoll, Driver::Ring] {
        let stage = Stage::new(driver)?;
        let mut old = stage.start()?;
        let (mut client, mut server) = acquainted(&stage, "plain")?;
        let mut new = stage.succeed(&old)?;
        pass(&mut client, &mut server, b"still served")?;
        ensure!(old.0.try_wait()?.is_none(), "a session is left to it");
        finish(client, server)?;
        ensure!(stage.line()?.contains(" 9 -- "), "the old one logs it");
        ensure!(old.end()?.success());

        stage.serves(&new)?;
        let (mut client, mut server) = acquainted(&stage, "plain")?;
        kill(new.pid()?, Signal::SIGUSR1)?;
        pass(&mut client, &mut server, b"still served")?;
        finish(client, server)?;
        ensure!(stage.line()?.contains(" 9 -- "), "it logs its last one");
        ensure!(new.end()?.success());
    }
    Ok(())
}

/// One short connection after the other while processes follow each other.
#[test]
fn no_client_notices_who_serves_it() -> Result<()> {
    for driver in [Driver::Epoll, Driver::Ring] {
        let stage = Stage::new(driver)?;
        let mut current = stage.start()?;
        let over = AtomicBool::new(false);
        let served = std::thread::scope(|scope| {
            let clients = scope.spawn(|| -> Result<usize> {
                let mut served = 0;
                while !over.load(Ordering::Relaxed) {
                    let (client, server) = acquainted(&stage, "plain")?;
                    finish(client, server)?;
                    ensure!(stage.line()?.contains(" -- "));
                    served += 1;
                }
                Ok(served)
            });
            let mut takeovers = || {
                for _ in 0..3 {
                    let next = stage.spawn(&["-sf", &current.0.id().to_string()])?;
                    ensure!(current.end()?.success());
                    current = next;
                }
                Ok(())
            };
            let takeovers = takeovers();
            over.store(true, Ordering::Relaxed);
            let served = clients.join().map_err(|_| anyhow!("clients failed"))?;
            takeovers.and(served)
        })?;
        ensure!(served > 0, "{driver:?}: nobody was served");
        stage.serves(&current)?;
    }
    Ok(())
}

/// SIGTERM ends the process at once. Whoever has seen the end of a session finds it in the log.
#[test]
fn the_last_line_before_sigterm_is_there() -> Result<()> {
    for driver in [Driver::Epoll, Driver::Ring].into_iter().cycle().take(20) {
        for by_reset in [false, true] {
            let stage = Stage::new(driver)?;
            let mut daemon = stage.start()?;
            let (mut client, mut server) = acquainted(&stage, "plain")?;
            if by_reset {
                reset(client)?;
                ensure!(drain(&mut server)? == (vec![], false));
            } else {
                client.shutdown(Shutdown::Write)?;
                ensure!(drain(&mut server)? == (vec![], true));
                drop(server);
                ensure!(drain(&mut client)? == (vec![], true));
            }
            kill(daemon.pid()?, Signal::SIGTERM)?;
            ensure!(!daemon.end()?.success());
            stage.log.set_nonblocking(true)?;
            let line = stage.line().with_context(|| format!("{driver:?}"))?;
            ensure!(line.contains(if by_reset { " 9 CD " } else { " 9 -- " }));
        }
    }
    Ok(())
}
