//! The lease of what has no lifetime in the kernel: routes and rules.
//!
//! A process of its own knows what to remove. It hears from the daemon what is set, and with
//! each address whose lease the daemon's loop prolongs that the loop is alive. When it has heard
//! nothing for that long, or the daemon is gone without a goodbye, it removes what is set. A
//! daemon that was only stopped learns of it like of any other removal.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netlink_sys::{Socket, SocketAddr, protocols};

/// What is told, with its length before it.
const SET: u8 = b'+';
const REMOVED: u8 = b'-';
const ALIVE: u8 = b'.';
const GOODBYE: u8 = b'!';
/// The longest message: no request is anywhere near that long.
const LONGEST: u32 = 64 * 1024;
/// How long a message of the daemon may take to come whole: it is in memory.
const PATIENCE: Duration = Duration::from_secs(1);

/// What makes a program ready to be started, which calls [`watch`] with its standard input.
pub type Program = fn() -> Command;

/// The daemon's side. It never waits for the warden, and goes without one if it has to.
#[derive(Debug, Default)]
pub(crate) struct Warden {
    program: Option<Program>,
    running: Option<Running>,
    /// What removes each thing that is set, in order.
    set: Vec<Vec<u8>>,
    /// The lifetime that the loop gave an address last, in seconds.
    lease: Option<u32>,
}

impl Warden {
    pub(crate) fn new(program: Option<Program>) -> Self {
        Self {
            program,
            ..Self::default()
        }
    }

    /// It is set, and `removal` is the netlink message that removes it.
    pub(crate) fn set(&mut self, removal: Vec<u8>) {
        self.tell(SET, &removal);
        self.set.retain(|old| *old != removal);
        self.set.push(removal);
        if self.running.is_none() {
            self.start();
        }
    }

    /// It is not set any more.
    pub(crate) fn removed(&mut self, removal: &[u8]) {
        self.set.retain(|old| old != removal);
        self.tell(REMOVED, removal);
    }

    /// The daemon's loop vouches for what is set for that many seconds.
    pub(crate) fn alive(&mut self, seconds: u32) {
        self.lease = Some(seconds);
        self.tell(ALIVE, &seconds.to_ne_bytes());
        if self.running.is_none() && !self.set.is_empty() {
            self.start();
        }
    }

    fn start(&mut self) {
        self.running = self
            .program
            .and_then(|program| Running::start(program()).ok());
        if let Some(seconds) = self.lease {
            self.tell(ALIVE, &seconds.to_ne_bytes());
        }
        for removal in self.set.clone() {
            self.tell(SET, &removal);
        }
    }

    fn tell(&mut self, kind: u8, content: &[u8]) {
        if let Some(running) = &mut self.running
            && running.tell(kind, content).is_err()
        {
            self.running = None;
        }
    }
}

#[derive(Debug)]
struct Running {
    stream: UnixStream,
    child: Option<Child>,
}

impl Running {
    fn start(mut program: Command) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = program
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            stream: ours,
            child: Some(child),
        })
    }

    fn tell(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        let head = [length.to_ne_bytes().as_slice(), &[kind]].concat();
        self.stream.write_all(&[head.as_slice(), content].concat())
    }
}

impl Drop for Running {
    /// An orderly end, at which what is still set stays; or one of a warden that does not
    /// listen, and must not act on old news.
    fn drop(&mut self) {
        let deaf = self.tell(GOODBYE, &[]).is_err();
        let Some(mut child) = self.child.take() else {
            return;
        };
        if deaf {
            let _gone = child.kill();
        }
        // Nobody waits for it but a thread of its own.
        let _unreaped = std::thread::Builder::new().spawn(move || child.wait());
    }
}

/// Watches over the daemon at the other end of `stream` until it says goodbye or is gone.
///
/// # Errors
/// If there is no netlink socket to be had, or the daemon says what nobody understands: what
/// is set by then has been removed.
pub fn watch(mut stream: UnixStream) -> io::Result<()> {
    let mut kernel = Socket::new(protocols::NETLINK_ROUTE)?;
    kernel.bind_auto()?;
    kernel.connect(&SocketAddr::new(0, 0))?;
    kernel.set_non_blocking(true)?;
    let mut ward = Ward {
        kernel,
        set: Vec::new(),
        until: None,
    };
    let outcome = ward.watch(&mut stream);
    if !matches!(outcome, Ok(End::Goodbye)) {
        ward.remove_all();
    }
    outcome.map(drop)
}

enum End {
    Goodbye,
    Gone,
}

struct Ward {
    kernel: Socket,
    /// What removes each thing that is set, in order.
    set: Vec<Vec<u8>>,
    /// Until when the daemon vouched for it; `None` if it never did, for then there is no lease.
    until: Option<Instant>,
}

impl Ward {
    fn watch(&mut self, stream: &mut UnixStream) -> io::Result<End> {
        loop {
            let left = self
                .until
                .filter(|_| !self.set.is_empty())
                .map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                self.remove_all();
                continue;
            }
            stream.set_read_timeout(left)?;
            let mut length = [0; 4];
            match stream.read(&mut length[..1]) {
                Ok(0) => return Ok(End::Gone),
                Ok(_) => {}
                Err(error) if is_silence(&error) => continue,
                Err(error) => return Err(error),
            }
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.read_exact(&mut length[1..])?;
            let mut kind = [0];
            stream.read_exact(&mut kind)?;
            let length = u32::from_ne_bytes(length);
            if length > LONGEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut content = vec![0; usize::try_from(length).unwrap_or_default()];
            stream.read_exact(&mut content)?;
            match (kind, <[u8; 4]>::try_from(content.as_slice())) {
                ([SET], _) => {
                    self.set.retain(|old| *old != content);
                    self.set.push(content);
                }
                ([REMOVED], _) => self.set.retain(|old| *old != content),
                ([ALIVE], Ok(seconds)) => {
                    let seconds = Duration::from_secs(u32::from_ne_bytes(seconds).into());
                    let until = Instant::now() + seconds;
                    self.until = Some(self.until.map_or(until, |before| before.max(until)));
                }
                ([GOODBYE], _) => return Ok(End::Goodbye),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// The last that was set goes first: rules before the routes they lead to.
    fn remove_all(&mut self) {
        for request in std::mem::take(&mut self.set).into_iter().rev() {
            // Whatever is gone already needs no removing.
            let _refused = self.kernel.send(&request, 0);
        }
    }
}

fn is_silence(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}
