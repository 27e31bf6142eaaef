//! The thread that plays all lanes at once, on an epoll instance of its own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use relay::Peer as Address;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use socket2::{Domain, Socket, Type};

use crate::field::{LaneSockets, Post, Record};
use crate::peer::{Need, Peer};
use crate::plan::{Mix, Plan, Script};
use crate::tally::Tally;
use crate::verdict::{Case, Rules, judge};

/// The longest a connection may take, far beyond all its stalls.
const PATIENCE: Duration = Duration::from_secs(60);
/// After this a peer asks the kernel whether the other end is still there. The kernel drops packets
/// on loopback too when too many are under way, and a RST that is lost is never repeated.
const DOUBT: Duration = Duration::from_secs(5);
/// Epoll data: the lane times four, and one of these.
const CLIENT: u64 = 0;
const SERVER: u64 = 1;
const LISTENER: u64 = 2;
const POST: u64 = u64::MAX;

/// Where the plans of a run come from.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    pub seed: u64,
    pub count: u64,
    /// Plays this connection only, `count` times.
    pub only: Option<u64>,
    pub mix: Mix,
    pub rules: Rules,
}

impl Source {
    /// The seed of the `index`th connection.
    fn seed(&self, index: u64) -> (u64, u64) {
        let number = self.only.unwrap_or(index);
        let mut random = fastrand::Rng::with_seed(self.seed ^ number.rotate_left(32));
        (number, random.u64(..))
    }
}

struct Lane {
    sockets: LaneSockets,
    run: Option<Run>,
    queued: bool,
}

/// A connection in progress.
struct Run {
    number: u64,
    plan: Plan,
    began: Instant,
    address: Address,
    client: Peer,
    server: Option<Peer>,
    client_done: bool,
    server_done: bool,
    record: Option<Record>,
}

pub struct Player {
    epoll: OwnedFd,
    post: Arc<Post>,
    lanes: Vec<Lane>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    queue: VecDeque<usize>,
    buffer: Vec<u8>,
    source: Source,
    next: u64,
    running: usize,
    tally: Tally,
}

impl Player {
    pub fn new(post: Arc<Post>, sockets: Vec<LaneSockets>, source: Source) -> Self {
        let epoll = epoll::create(CreateFlags::CLOEXEC).unwrap();
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &post.wake, EventData::new_u64(POST), edge).unwrap();
        for (index, lane) in (0_u64..).zip(&sockets) {
            let data = EventData::new_u64(index * 4 + LISTENER);
            epoll::add(&epoll, &lane.server, data, edge).unwrap();
        }
        Self {
            epoll,
            post,
            lanes: sockets
                .into_iter()
                .map(|sockets| Lane {
                    sockets,
                    run: None,
                    queued: false,
                })
                .collect(),
            timers: BinaryHeap::new(),
            queue: VecDeque::new(),
            buffer: vec![0; 256 * 1024],
            source,
            next: 0,
            running: 0,
            tally: Tally::default(),
        }
    }

    pub fn play(mut self) -> Tally {
        for lane in 0..self.lanes.len() {
            self.start(lane);
        }
        let mut checked = Instant::now();
        while self.running > 0 {
            self.wait();
            let now = Instant::now();
            while let Some(Reverse((at, lane))) = self.timers.peek().copied() {
                if at > now {
                    break;
                }
                self.timers.pop();
                self.enqueue(lane);
            }
            for _ in 0..self.queue.len() {
                let Some(lane) = self.queue.pop_front() else {
                    break;
                };
                self.lanes[lane].queued = false;
                self.advance(lane);
            }
            if checked.elapsed() > Duration::from_secs(1) {
                checked = Instant::now();
                self.look_for_the_stuck();
            }
        }
        self.tally
    }

    fn enqueue(&mut self, lane: usize) {
        if !std::mem::replace(&mut self.lanes[lane].queued, true) {
            self.queue.push_back(lane);
        }
    }

    fn wait(&mut self) {
        let timeout = if self.queue.is_empty() {
            let timer = self.timers.peek().map(|Reverse((at, _))| *at);
            let left = timer.map(|at| at.saturating_duration_since(Instant::now()));
            left.unwrap_or(Duration::from_secs(1))
                .min(Duration::from_secs(1))
        } else {
            Duration::ZERO
        };
        let timeout = Timespec::try_from(timeout).unwrap();
        let mut events = Vec::with_capacity(512);
        let space = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, space, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("epoll: {error}"),
        }
        for event in events {
            let (flags, data) = (event.flags, event.data.u64());
            if data == POST {
                for (lane, record) in self.post.take() {
                    let Some(run) = self.lanes[lane].run.as_mut() else {
                        panic!("a second record: {record:?}");
                    };
                    assert!(run.record.is_none(), "a second record: {record:?}");
                    run.record = Some(record);
                    self.enqueue(lane);
                }
                continue;
            }
            let lane = (data / 4) as usize;
            if data % 4 == LISTENER {
                self.accept(lane);
            }
            if let Some(run) = self.lanes[lane].run.as_mut() {
                let peer = match data % 4 {
                    CLIENT => Some(&mut run.client),
                    SERVER => run.server.as_mut(),
                    _ => None,
                };
                if let Some(peer) = peer {
                    peer.readable |= !flags.intersection(EventFlags::IN | ENDS).is_empty();
                    peer.writable |= !flags.intersection(EventFlags::OUT | ENDS).is_empty();
                }
            }
            self.enqueue(lane);
        }
    }

    /// Begins the next connection, if any is left.
    fn start(&mut self, lane: usize) {
        if self.next >= self.source.count {
            return;
        }
        let (number, seed) = self.source.seed(self.next);
        self.next += 1;
        self.running += 1;
        let plan = Plan::draw(seed, self.source.mix);
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
        prepare(&socket, &plan.client);
        let relay = self.lanes[lane].sockets.relay;
        match socket.connect(&relay.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => panic!("{error} at connection {number}"),
        }
        let address = Address::Inet(socket.local_addr().unwrap().as_socket().unwrap());
        let now = Instant::now();
        let streams = (seed, seed ^ 1);
        let mut client = Peer::new(socket.into(), plan.client.clone(), streams, now);
        // The first event tells that the connection stands.
        (client.readable, client.writable) = (false, false);
        self.watch(client.fd.as_ref().unwrap(), lane, CLIENT);
        self.lanes[lane].run = Some(Run {
            number,
            plan,
            began: now,
            address,
            client,
            server: None,
            client_done: false,
            server_done: false,
            record: None,
        });
        // At once, so that a client that leaves at once does it before the relay has seen it.
        self.advance(lane);
    }

    fn watch(&self, fd: &OwnedFd, lane: usize, who: u64) {
        let data = EventData::new_u64(lane as u64 * 4 + who);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, fd.as_fd(), data, flags).unwrap();
    }

    fn advance(&mut self, lane: usize) {
        let Some(run) = self.lanes[lane].run.as_mut() else {
            return;
        };
        let now = Instant::now();
        let mut needs = [Need::Nothing; 2];
        if !run.client_done {
            match run.client.play(now, &mut self.buffer) {
                Ok(need) => needs[0] = need,
                Err(text) => self.source.fail(run, &format!("client: {text}")),
            }
            run.client_done = needs[0] == Need::Nothing;
        }
        if let Some(server) = run.server.as_mut().filter(|_| !run.server_done) {
            match server.play(now, &mut self.buffer) {
                Ok(need) => needs[1] = need,
                Err(text) => self.source.fail(run, &format!("server: {text}")),
            }
            run.server_done = needs[1] == Need::Nothing;
        }
        for need in needs {
            match need {
                Need::Turn => self.enqueue(lane),
                Need::Time(at) => self.timers.push(Reverse((at, lane))),
                Need::Event | Need::Nothing => {}
            }
        }
        self.conclude(lane);
    }

    /// The server's side of the lane takes the connection that is there.
    fn accept(&mut self, lane: usize) {
        loop {
            let place = &mut self.lanes[lane];
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let fd = match accept_with(&place.sockets.server, flags) {
                Ok(fd) => fd,
                Err(Errno::AGAIN) => return,
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(error) => panic!("accept: {error}"),
            };
            let Some(run) = place.run.as_mut() else {
                panic!("a connection from nowhere");
            };
            if run.server.is_some() {
                self.source.fail(run, "a second server connection");
            }
            let socket = Socket::from(fd);
            prepare(&socket, &run.plan.server);
            let streams = (run.plan.seed ^ 1, run.plan.seed);
            let peer = Peer::new(
                socket.into(),
                run.plan.server.clone(),
                streams,
                Instant::now(),
            );
            run.server = Some(peer);
            let fd = self.lanes[lane]
                .run
                .as_ref()
                .and_then(|run| run.server.as_ref()?.fd.as_ref());
            self.watch(fd.unwrap(), lane, SERVER);
        }
    }

    /// Judges the connection once all is said, and begins the next.
    fn conclude(&mut self, lane: usize) {
        if self.lanes[lane]
            .run
            .as_ref()
            .is_some_and(|run| run.server.is_none())
        {
            self.accept(lane);
        }
        let place = &mut self.lanes[lane];
        let Some(run) = place.run.as_ref() else {
            return;
        };
        let Some(record) = run.record.as_ref().filter(|_| run.client_done) else {
            return;
        };
        let over = match &run.server {
            Some(_) => run.server_done,
            // Nobody to wait for if the relay gave up before it had a server connection.
            None => !record.connected,
        };
        if !over {
            return;
        }
        let case = Case {
            client: &run.client,
            server: run.server.as_ref(),
            record,
            address: run.address,
        };
        if let Err(text) = judge(&case, self.source.rules) {
            self.source.fail(run, &text);
        }
        self.tally.add(&run.plan, &case);
        let took = (run.began.elapsed(), run.number);
        self.tally.slowest = self.tally.slowest.max(took);
        place.run = None;
        self.running -= 1;
        self.start(lane);
    }

    fn look_for_the_stuck(&self) {
        for run in self.lanes.iter().filter_map(|lane| lane.run.as_ref()) {
            if run.began.elapsed() > PATIENCE {
                self.source.fail(run, "it does not come to an end");
            }
            if run.began.elapsed() > DOUBT {
                run.client.probe();
                run.server.iter().for_each(Peer::probe);
            }
        }
    }
}

impl Source {
    fn fail(&self, run: &Run, text: &str) -> ! {
        let name = std::thread::current()
            .name()
            .unwrap_or("torture")
            .to_owned();
        panic!(
            "{text}\n\
             repeat: RELAY_SEED={} RELAY_ONLY={} cargo test -p relay --test torture {name}\n\
             {:#?}\nclient {:#?}\nserver {:#?}\n{:#?}",
            self.seed, run.number, run.plan, run.client, run.server, run.record
        );
    }
}

const ENDS: EventFlags = EventFlags::RDHUP
    .union(EventFlags::HUP)
    .union(EventFlags::ERR);

/// What a script wants of its socket.
fn prepare(socket: &Socket, script: &Script) {
    socket.set_tcp_nodelay(true).unwrap();
    if let Some(size) = script.receive_buffer {
        socket.set_recv_buffer_size(size).unwrap();
    }
    if let Some(size) = script.send_buffer {
        socket.set_send_buffer_size(size).unwrap();
    }
}
