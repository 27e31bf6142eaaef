//! The admin sockets (management guide, 9.3): framing, commands, formats.

mod command;
mod counters;
mod fields;
mod framing;
mod frontend;
mod handover;
mod info;
mod output;
mod rows;
mod server;
mod session;
mod show;
mod stat;
mod state;

pub(super) use handover::Exposed;
pub(super) use info::Usage;

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use haproxy_cfg::model::{SeverityOutput, StatsLevel};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::input::BoundStats;
use super::plane::Shared;
use framing::{Frame, Framing};

/// How long to wait before accepting again after `accept(2)` failed: the usual cause, no free
/// descriptor, does not go away at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How much of what follows an endless line is read, so that the client sees the answer instead
/// of a reset.
const DISCARD: usize = 64 << 20;

/// The listening admin sockets; dropping it closes them.
#[derive(Debug)]
pub(super) struct Sockets(Vec<JoinHandle<()>>);

impl Drop for Sockets {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// A client of an admin socket.
#[derive(Debug, Clone)]
struct Session {
    level: StatsLevel,
    severity: SeverityOutput,
    interactive: bool,
    timeout: Duration,
    /// `expose-fd listeners`.
    exposes_listeners: bool,
}

/// What a command works on.
struct Context<'a> {
    plane: &'a Shared,
    session: &'a mut Session,
}

/// How severe a message is, as `set severity-output` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    Info,
}

/// What a command answers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    /// Done, and nothing to say.
    Silent,
    /// A sentence to the operator.
    Message(Severity, String),
    /// Figures; ends with a line feed unless empty.
    Data(String),
    /// The client is dismissed.
    Close,
}

impl Reply {
    fn error(text: impl Into<String>) -> Self {
        Self::Message(Severity::Error, text.into())
    }

    /// The bytes of the answer, closed by an empty line.
    fn render(&self, severity: SeverityOutput) -> String {
        match self {
            Self::Silent => String::from("\n"),
            Self::Message(level, text) => {
                let end = if text.ends_with('\n') { "\n" } else { "\n\n" };
                format!("{}{text}{end}", level.prefix(severity))
            }
            Self::Data(text) => format!("{text}\n"),
            Self::Close => String::new(),
        }
    }
}

impl Severity {
    /// The prefix as the client wants it.
    fn prefix(self, output: SeverityOutput) -> &'static str {
        match (output, self) {
            (SeverityOutput::None, _) => "",
            (SeverityOutput::Number, Self::Error) => "[3]: ",
            (SeverityOutput::Number, Self::Info) => "[6]: ",
            (SeverityOutput::String, Self::Error) => "[err]: ",
            (SeverityOutput::String, Self::Info) => "[info]: ",
        }
    }
}

/// Serves the sockets. Call it inside the control thread's `LocalSet`.
pub(super) fn start(plane: &Shared, sockets: Vec<BoundStats>) -> Sockets {
    let global = plane.borrow().config.global.clone();
    // All sockets together form one frontend of the original, whose `maxconn` this is. Further
    // clients wait in the kernel's queue.
    let room = usize::try_from(global.stats_maxconn).unwrap_or(usize::MAX);
    let room = Arc::new(Semaphore::new(room.clamp(1, Semaphore::MAX_PERMITS)));
    let mut tasks = Vec::new();
    for bound in sockets {
        let Some(socket) = global.stats_sockets.get(bound.socket) else {
            continue;
        };
        let session = Session {
            level: socket.level,
            severity: socket.severity_output,
            interactive: false,
            timeout: global.stats_timeout,
            exposes_listeners: socket.expose_fd_listeners,
        };
        let Ok(listener) = Listener::new(bound.fd) else {
            // A descriptor that cannot be watched serves nobody; the others do.
            continue;
        };
        let task = accept(Rc::clone(plane), listener, session, Arc::clone(&room));
        tasks.push(tokio::task::spawn_local(task));
    }
    Sockets(tasks)
}

/// A listening socket of either family.
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(fd);
        socket.set_nonblocking(true)?;
        if socket.local_addr()?.is_unix() {
            let listener: std::os::unix::net::UnixListener = OwnedFd::from(socket).into();
            return UnixListener::from_std(listener).map(Self::Unix);
        }
        TcpListener::from_std(socket.into()).map(Self::Tcp)
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// A client's connection of either family.
trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// The connection as one that can carry descriptors.
    fn carrier(&mut self) -> Option<&mut UnixStream>;
}

impl Stream for UnixStream {
    fn carrier(&mut self) -> Option<&mut UnixStream> {
        Some(self)
    }
}

impl Stream for TcpStream {
    fn carrier(&mut self) -> Option<&mut UnixStream> {
        None
    }
}

async fn accept(plane: Shared, listener: Listener, session: Session, room: Arc<Semaphore>) {
    loop {
        let Ok(mut stream) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // One client waits here for its turn, the others in the kernel's queue.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let plane = Rc::clone(&plane);
        let mut session = session.clone();
        tokio::task::spawn_local(async move {
            {
                let mut plane = plane.borrow_mut();
                plane.cli_total += 1;
                plane.cli_open += 1;
            }
            // A client that breaks off has nobody to be told.
            let _ = serve(&plane, stream.as_mut(), &mut session).await;
            plane.borrow_mut().cli_open -= 1;
            drop(place);
        });
    }
}

/// Serves one client until it leaves, idles for too long, or has its answers.
async fn serve(plane: &Shared, stream: &mut dyn Stream, session: &mut Session) -> io::Result<()> {
    let mut framing = Framing::default();
    let mut buffer = vec![0; framing::LONGEST_LINE];
    loop {
        let length = timeout(session.timeout, stream.read(&mut buffer)).await??;
        if length == 0 {
            return Ok(());
        }
        framing.push(buffer.get(..length).unwrap_or_default());
        while let Some(frames) = framing.next_line() {
            for frame in frames {
                let words = match frame {
                    Frame::Command(words) => words,
                    Frame::TooLong => return refuse_endless(stream, session).await,
                };
                if words == ["_getsocks"] && session.exposes_listeners {
                    return hand_over(plane, stream, session).await;
                }
                let mut context = Context { plane, session };
                let reply = command::execute(&mut context, &words);
                if reply == Reply::Close {
                    return Ok(());
                }
                let mut text = reply.render(session.severity);
                if session.interactive {
                    text.push_str("> ");
                }
                write(stream, session, text.as_bytes()).await?;
            }
        }
        if !session.interactive && framing.is_drained() {
            return Ok(());
        }
    }
}

/// Gives the listening sockets to the process at the other end.
async fn hand_over(plane: &Shared, stream: &mut dyn Stream, session: &Session) -> io::Result<()> {
    let exposed = plane.borrow().exposed.clone();
    let Some(carrier) = stream.carrier() else {
        let text = Reply::error("Sockets can only be handed over through a UNIX socket.");
        return write(stream, session, text.render(session.severity).as_bytes()).await;
    };
    timeout(session.timeout, handover::send(carrier, &exposed)).await?
}

async fn write(stream: &mut dyn Stream, session: &Session, bytes: &[u8]) -> io::Result<()> {
    timeout(session.timeout, stream.write_all(bytes)).await?
}

/// Answers a line without an end, and lets the client finish sending so that it reads the answer.
async fn refuse_endless(stream: &mut dyn Stream, session: &Session) -> io::Result<()> {
    let text = format!(
        "Command too long (more than {} bytes), closing.",
        framing::LONGEST_LINE
    );
    let text = Reply::error(text).render(session.severity);
    write(stream, session, text.as_bytes()).await?;
    let mut scratch = vec![0; 64 << 10];
    let mut left = DISCARD;
    let discard = async {
        while left > 0 {
            let length = stream.read(&mut scratch).await?;
            if length == 0 {
                break;
            }
            left = left.saturating_sub(length);
        }
        stream.shutdown().await
    };
    timeout(session.timeout, discard).await?
}
