//! The lease of what has no lifetime in the kernel: routes, rules, links, and the host's settings
//! beside them.
//!
//! A process of its own knows what to remove. It hears from the daemon what is set, and with
//! each address whose lease the daemon's loop prolongs that the loop is alive.
//!
//! - Routes and rules go when the loop was silent for that long, or the daemon is gone without a
//!   goodbye. A daemon that was only stopped learns of it like of any other removal.
//! - Links stay as long as the daemon lives, and after its end until the lease of the addresses
//!   on them is over. The settings they needed are put back with them, unless a daemon that was
//!   started anew has links of its own in their place by then.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols};

use crate::wording;

/// What is told, with the length of what follows before it.
const ENTRUSTED: u8 = b'+';
const RELEASED: u8 = b'-';
const ALIVE: u8 = b'.';
const GOODBYE: u8 = b'!';
/// The longest message: no request is anywhere near that long.
const LONGEST: u32 = 64 * 1024;
/// How long a message of the daemon may take to come whole: it is in memory.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it takes to see that a daemon started anew has replaced a link.
const STEP: Duration = Duration::from_millis(20);
/// Bytes of the longest answer: all about a link.
const ANSWER: usize = 64 * 1024;
/// Pause before a warden that could not be started is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// What makes a program ready to be started, which calls [`watch`] with its standard input.
pub type Program = Box<dyn Fn() -> Command + Send>;

/// Something that must not outlive the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ward {
    /// The netlink message that removes a route or a rule.
    Routing(Vec<u8>),
    /// The index of a link: the name may be another one's by then.
    Link(u32),
    /// A setting of the host as it was.
    Setting { path: PathBuf, value: String },
}

impl Ward {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Routing(request) => [b"r", request.as_slice()].concat(),
            Self::Link(index) => [b"l", index.to_ne_bytes().as_slice()].concat(),
            Self::Setting { path, value } => {
                let path = path.as_os_str().as_encoded_bytes();
                [b"s", path, &[0], value.as_bytes()].concat()
            }
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'r', request @ ..] => Some(Self::Routing(request.to_vec())),
            [b'l', index @ ..] => Some(Self::Link(u32::from_ne_bytes(index.try_into().ok()?))),
            [b's', rest @ ..] => {
                let (path, value) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
                Some(Self::Setting {
                    path: path.into(),
                    value: value.to_owned(),
                })
            }
            _ => None,
        }
    }
}

/// The daemon's side. It never waits for the warden, and goes without one if it has to.
#[derive(Default)]
pub(crate) struct Warden {
    program: Option<Program>,
    /// What is to be open as long as anything is set.
    hold: Option<OwnedFd>,
    running: Option<Running>,
    /// What is set, in order.
    wards: Vec<Ward>,
    /// The lifetime that the loop gave an address last, in seconds, and when.
    lease: Option<(u32, Instant)>,
    /// When to try again to start one.
    retry: Option<Instant>,
    /// Why there is none, until it is asked for.
    complaint: Option<String>,
    /// Whether that has been told.
    told: bool,
}

impl Warden {
    pub(crate) fn new(program: Option<Program>) -> Self {
        Self {
            program,
            ..Self::default()
        }
    }

    /// Has the next one that is started keep that open until all is removed.
    pub(crate) fn hold(&mut self, hold: impl FnOnce() -> Option<OwnedFd>) {
        if self.running.is_none() && self.hold.is_none() {
            self.hold = hold();
        }
    }

    /// It is set, or is about to be.
    pub(crate) fn entrust(&mut self, ward: Ward) {
        self.wards.retain(|old| *old != ward);
        self.wards.push(ward.clone());
        if self.running.is_some() {
            // It is the loop that asks for it. Without its word, what is set in the moment a
            // lease has run out would go at once.
            self.vouch();
            self.tell(ENTRUSTED, &ward.encode());
        }
        self.start();
    }

    /// It is not set any more.
    pub(crate) fn release(&mut self, ward: &Ward) {
        self.wards.retain(|old| old != ward);
        self.tell(RELEASED, &ward.encode());
    }

    /// The daemon's loop vouches for what is set for that many seconds.
    pub(crate) fn alive(&mut self, seconds: u32) {
        self.lease = Some((seconds, Instant::now()));
        self.vouch();
        self.start();
    }

    /// Why what was entrusted would outlive the daemon, told once.
    pub(crate) fn take_complaint(&mut self) -> Option<String> {
        self.complaint.take()
    }

    fn vouch(&mut self) {
        if let Some((seconds, since)) = self.lease {
            let age = u32::try_from(since.elapsed().as_secs()).unwrap_or(u32::MAX);
            if age < seconds {
                self.tell(ALIVE, &(seconds - age).to_ne_bytes());
            }
        }
    }

    /// Starts one if there is something to watch over and none does.
    fn start(&mut self) {
        let now = Instant::now();
        let idle = self.running.is_some() || self.wards.is_empty();
        let pause = self.retry.is_some_and(|retry| now < retry);
        let Some(program) = self.program.as_ref().filter(|_| !idle && !pause) else {
            return;
        };
        let mut program = program();
        program.stdout(match self.hold.as_ref().map(OwnedFd::try_clone) {
            Some(Ok(hold)) => Stdio::from(hold),
            Some(Err(_)) | None => Stdio::null(),
        });
        match Running::start(program) {
            Ok(running) => self.running = Some(running),
            Err(error) => return self.failed(&error),
        }
        self.vouch();
        for ward in self.wards.clone() {
            self.tell(ENTRUSTED, &ward.encode());
        }
        if self.running.is_some() {
            self.retry = None;
            self.told = false;
        }
    }

    fn tell(&mut self, kind: u8, content: &[u8]) {
        if let Some(running) = &mut self.running
            && let Err(error) = running.tell(kind, content)
        {
            self.running = None;
            self.failed(&error);
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.retry = Some(Instant::now() + PAUSE);
        if !self.told {
            self.told = true;
            self.complaint = Some(error.to_string());
        }
    }
}

#[derive(Debug)]
struct Running {
    stream: UnixStream,
    child: Option<Child>,
    /// It did not take what it was told, perhaps half of it.
    deaf: bool,
}

impl Running {
    fn start(mut program: Command) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = program
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            stream: ours,
            child: Some(child),
            deaf: false,
        })
    }

    fn tell(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        let head = [length.to_ne_bytes().as_slice(), &[kind]].concat();
        let told = self.stream.write_all(&[head.as_slice(), content].concat());
        self.deaf |= told.is_err();
        told
    }
}

impl Drop for Running {
    /// An orderly end, at which what is still set stays; or one of a warden that does not
    /// listen, and must not act on old news.
    fn drop(&mut self) {
        let deaf = self.deaf || self.tell(GOODBYE, &[]).is_err();
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
    let mut watch = Watch::open()?;
    let outcome = watch.watch(&mut stream);
    if !matches!(outcome, Ok(End::Goodbye)) {
        watch.remove_routings();
        watch.remove_links();
    }
    outcome.map(drop)
}

enum End {
    Goodbye,
    Gone,
}

struct Watch {
    kernel: Socket,
    /// What is set, in order.
    wards: Vec<Ward>,
    /// Until when the daemon vouched for it; `None` if it never did, for then there is no lease.
    until: Option<Instant>,
}

impl Watch {
    fn open() -> io::Result<Self> {
        let mut kernel = Socket::new(protocols::NETLINK_ROUTE)?;
        kernel.bind_auto()?;
        kernel.connect(&SocketAddr::new(0, 0))?;
        kernel.set_non_blocking(true)?;
        Ok(Self {
            kernel,
            wards: Vec::new(),
            until: None,
        })
    }

    fn watch(&mut self, stream: &mut UnixStream) -> io::Result<End> {
        loop {
            let leased = |ward: &Ward| matches!(ward, Ward::Routing(_));
            let left = self
                .until
                .filter(|_| self.wards.iter().any(leased))
                .map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                self.remove_routings();
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
            if kind == [GOODBYE] {
                return Ok(End::Goodbye);
            }
            self.heard(kind, &content)
                .ok_or(io::ErrorKind::InvalidData)?;
        }
    }

    /// `None` if nobody understands it.
    fn heard(&mut self, kind: [u8; 1], content: &[u8]) -> Option<()> {
        match kind {
            [ENTRUSTED] => {
                let ward = Ward::decode(content)?;
                self.wards.retain(|old| *old != ward);
                self.wards.push(ward);
            }
            [RELEASED] => {
                let ward = Ward::decode(content)?;
                self.wards.retain(|old| *old != ward);
            }
            [ALIVE] => {
                let seconds = u32::from_ne_bytes(content.try_into().ok()?);
                let until = Instant::now() + Duration::from_secs(seconds.into());
                self.until = Some(self.until.map_or(until, |before| before.max(until)));
            }
            _ => return None,
        }
        Some(())
    }

    /// The last that was set goes first: rules before the routes they lead to.
    fn remove_routings(&mut self) {
        let is_one = |ward: &mut Ward| matches!(ward, Ward::Routing(_));
        let all: Vec<Ward> = self.wards.extract_if(.., is_one).collect();
        for ward in all.into_iter().rev() {
            if let Ward::Routing(request) = ward {
                // Whatever is gone already needs no removing.
                let _refused = self.carry_out(&request);
            }
        }
    }

    /// When the addresses on them are gone; at once if there were none.
    fn remove_links(&mut self) {
        let wards = std::mem::take(&mut self.wards);
        let links = wards.iter().filter_map(|ward| match ward {
            Ward::Link(index) => Some(*index),
            Ward::Routing(_) | Ward::Setting { .. } => None,
        });
        let links: Vec<u32> = links.collect();
        let leased = |until: Instant| Instant::now() < until;
        while self.until.is_some_and(leased) && links.iter().any(|link| self.is_there(*link)) {
            std::thread::sleep(STEP);
        }
        let mut ours = false;
        for link in links {
            ours |= self.carry_out(&wording::link_removal(link));
        }
        for ward in &wards {
            // One whose interface is gone went with it.
            if let Ward::Setting { path, value } = ward
                && ours
            {
                let _gone = std::fs::write(path, value);
            }
        }
    }

    fn is_there(&self, link: u32) -> bool {
        let answer = self.ask(&wording::link_request(link));
        matches!(answer, Some(NetlinkPayload::InnerMessage(_)))
    }

    /// Whether the kernel did it.
    fn carry_out(&self, request: &[u8]) -> bool {
        let answer = self.ask(request);
        matches!(answer, Some(NetlinkPayload::Error(error)) if error.code.is_none())
    }

    fn ask(&self, request: &[u8]) -> Option<NetlinkPayload<RouteNetlinkMessage>> {
        self.kernel.send(request, 0).ok()?;
        let mut answer = Vec::with_capacity(ANSWER);
        // The kernel has carried it out or refused it by the time it is sent.
        self.kernel.recv(&mut answer, 0).ok()?;
        let answer = NetlinkMessage::deserialize(&answer).ok()?;
        Some(answer.payload)
    }
}

fn is_silence(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A watch over what is told in `script`, whose end is the daemon's without a goodbye.
    fn watch(script: &[(u8, Vec<u8>)]) -> (io::Result<End>, Watch) {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        for (kind, content) in script {
            let length = u32::try_from(content.len()).unwrap().to_ne_bytes();
            let message = [length.as_slice(), &[*kind], content].concat();
            ours.write_all(&message).unwrap();
        }
        drop(ours);
        let mut watch = Watch::open().unwrap();
        let end = watch.watch(&mut theirs);
        (end, watch)
    }

    fn setting(value: &str) -> Ward {
        Ward::Setting {
            path: "/proc/sys/net/ipv4/conf/eth0.7/arp_ignore".into(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn it_knows_what_is_set_until_it_is_released() {
        let routing = Ward::Routing(vec![1, 2, 3, 0, 255]);
        let all = [routing.clone(), Ward::Link(0x0102_0304), setting("0")];
        let mut script: Vec<_> = all.iter().map(|ward| (ENTRUSTED, ward.encode())).collect();
        let (end, heard) = watch(&script);
        assert!(matches!(end, Ok(End::Gone)));
        assert_eq!(heard.wards, all);
        script.push((RELEASED, Ward::Link(0x0102_0304).encode()));
        // What is set once more is the newest.
        script.push((ENTRUSTED, routing.encode()));
        script.push((GOODBYE, Vec::new()));
        let (end, heard) = watch(&script);
        assert!(matches!(end, Ok(End::Goodbye)));
        assert_eq!(heard.wards, [setting("0"), routing]);
    }

    #[test]
    fn routes_go_when_the_loop_was_silent_and_links_stay() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let mut watch = Watch::open().unwrap();
        watch.wards = vec![Ward::Routing(vec![0; 16]), Ward::Link(0x7fff_fff0)];
        watch.until = Some(Instant::now());
        ours.write_all(&[0, 0, 0, 0, GOODBYE]).unwrap();
        assert!(matches!(watch.watch(&mut theirs), Ok(End::Goodbye)));
        assert_eq!(watch.wards, [Ward::Link(0x7fff_fff0)]);
    }

    #[test]
    fn what_nobody_understands_ends_it() {
        for script in [
            (b'?', vec![]),
            (ALIVE, vec![1]),
            (ENTRUSTED, vec![]),
            (ENTRUSTED, b"l123".to_vec()[..3].to_vec()),
            (ENTRUSTED, b"s/no/value".to_vec()),
        ] {
            let (end, _) = watch(&[script]);
            assert!(end.is_err());
        }
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.write_all(&[255, 255, 255, 255, ENTRUSTED]).unwrap();
        let (_, mut heard) = watch(&[]);
        assert!(heard.watch(&mut theirs).is_err());
    }

    #[test]
    fn one_that_cannot_be_started_is_told_once_and_tried_after_a_pause() {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let mut warden = Warden::new(Some(Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Command::new("/nowhere/to/be/found")
        })));
        warden.alive(3);
        assert_eq!(calls.load(Ordering::Relaxed), 0, "nothing to watch over");
        warden.entrust(Ward::Link(7));
        assert!(
            warden
                .take_complaint()
                .is_some_and(|why| why.contains("No such file"))
        );
        for _ in 0..10 {
            warden.alive(3);
            warden.entrust(setting("0"));
        }
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert_eq!(warden.take_complaint(), None);
        warden.retry = Some(Instant::now());
        warden.alive(3);
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert_eq!(warden.take_complaint(), None);
    }

    /// It sleeps and does not listen: it is ended, and another is told everything.
    #[test]
    fn one_that_does_not_listen_is_replaced() {
        let mut warden = Warden::new(Some(Box::new(|| {
            let mut sleep = Command::new("sleep");
            sleep.arg("600");
            sleep
        })));
        warden.entrust(Ward::Routing(vec![7; 60_000]));
        let first = warden.running.as_ref().and_then(|it| it.child.as_ref());
        let first = first.map(Child::id).unwrap();
        while warden.running.is_some() {
            warden.alive(3);
        }
        assert!(warden.take_complaint().is_some());
        warden.retry = Some(Instant::now());
        warden.alive(3);
        let second = warden.running.as_ref().and_then(|it| it.child.as_ref());
        let second = second.map(Child::id).unwrap();
        assert_ne!(first, second);
        if let Some(running) = &mut warden.running {
            running.deaf = true;
        }
    }
}
