//! Hundreds of clients that stop reading in the middle of a download: the servers are stopped, the
//! daemon's memory stays within its bound, and all of it arrives once they go on.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{binaries, wait};
use rustix::io::{FdFlags, fcntl_setfd};
use socket2::SockRef;

const PATIENCE: Duration = Duration::from_secs(60);
const CLIENTS: usize = 500;

/// Proportional set size the daemon may reach, in KiB: 64 MiB of bytes held in memory, 16 KiB more
/// for each direction, and itself. Pipes are the kernel's and bounded by their number.
const BOUND: u64 = (64 + 16 + 48) << 10;

/// A server's end and a client's, and what has passed.
struct Download {
    server: TcpStream,
    client: TcpStream,
    sent: u64,
    received: u64,
    ended: bool,
}

impl Download {
    /// Whether the kernel took anything.
    fn send(&mut self, bytes: &[u8]) -> Result<bool> {
        match self.server.write(bytes) {
            Ok(sent) => {
                self.sent += sent as u64;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether there was anything.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool> {
        match self.client.read(buffer) {
            Ok(0) => self.ended = true,
            Ok(got) => self.received += got as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }
}

/// Ends the daemon however the test ends.
struct Daemon(Child);

impl Daemon {
    fn pss(&self) -> Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0.id()))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context("no Pss")?.parse()?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn start(
    folder: &Path,
    listener: &TcpListener,
    server: &TcpListener,
    global: &str,
) -> Result<Daemon> {
    let config = format!(
        "global\n {global}\ndefaults\n mode tcp\n timeout connect 10s\n timeout client 5m\n \
         timeout server 5m\nlisten l\n bind fd@{}\n server a {}\n",
        listener.as_raw_fd(),
        server.local_addr()?
    );
    fs::write(folder.join("t.cfg"), config)?;
    fcntl_setfd(listener, FdFlags::empty())?;
    let child = Command::new(binaries::ours("proxyd")?)
        .args(["-db", "-f", "t.cfg"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .spawn()?;
    fcntl_setfd(listener, FdFlags::CLOEXEC)?;
    Ok(Daemon(child))
}

/// Sends until nobody takes anything any more.
fn press(downloads: &mut [Download]) -> Result<()> {
    let piece = vec![0x5a; 256 << 10];
    let mut quiet = 0;
    while quiet < 60 {
        let mut moved = false;
        for download in &mut *downloads {
            moved |= download.send(&piece)?;
            ensure!(download.sent < 64 << 20, "nothing holds a server back");
        }
        quiet = if moved { 0 } else { quiet + 1 };
        if !moved {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

fn stalled(global: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (listener, server) = (
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    );
    let daemon = start(folder.path(), &listener, &server, global)?;
    let mut downloads = Vec::new();
    for _ in 0..CLIENTS {
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = server.accept()?;
        SockRef::from(&client).set_recv_buffer_size(16 << 10)?;
        SockRef::from(&server).set_send_buffer_size(256 << 10)?;
        client.set_nonblocking(true)?;
        server.set_nonblocking(true)?;
        downloads.push(Download {
            server,
            client,
            sent: 0,
            received: 0,
            ended: false,
        });
    }
    press(&mut downloads)?;
    let stalled = daemon.pss()?;
    ensure!(
        stalled < BOUND,
        "{stalled} KiB while {CLIENTS} readers stall"
    );

    for download in &downloads {
        SockRef::from(&download.client).set_recv_buffer_size(1 << 20)?;
        download.server.shutdown(Shutdown::Write)?;
    }
    let mut buffer = vec![0; 256 << 10];
    wait::until_ok("everything to arrive", PATIENCE, || {
        let mut moved = true;
        while moved {
            moved = false;
            for download in downloads.iter_mut().filter(|download| !download.ended) {
                moved |= download.receive(&mut buffer)?;
            }
        }
        Ok(downloads
            .iter()
            .all(|download| download.ended)
            .then_some(()))
    })?;
    for download in &downloads {
        ensure!(
            download.received == download.sent,
            "{} of {} bytes arrived",
            download.received,
            download.sent
        );
    }
    let after = daemon.pss()?;
    ensure!(after < BOUND, "{after} KiB afterwards");
    Ok(())
}

#[test]
fn stalled_readers_do_not_grow_the_daemon() -> Result<()> {
    for global in [
        "tune.rcvbuf.server 524288\n tune.sndbuf.client 16384\n nbthread 1",
        "tune.rcvbuf.server 524288\n tune.sndbuf.client 16384\n nbthread 1\n nosplice",
    ] {
        stalled(global)?;
    }
    Ok(())
}
