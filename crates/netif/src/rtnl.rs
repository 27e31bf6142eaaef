//! The kernel over rtnetlink, on a thread of its own.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{AsyncSocket as _, SocketAddr};
use rtnetlink::{Handle, IpVersion};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::guard::{Firewall, Guard};
use crate::kernel::{Error, Event, Kernel, Operation, Origin};
use crate::macvlan::Workshop;
use crate::model::{AddressKey, AddressSpec, Macvlan, Snapshot};
use crate::queue::{Change, Queue, Request, Task};
use crate::refresh::Refresher;
use crate::routing::Routing;
use crate::warden::{Program, Ward, Warden};
use crate::watch::{self, Heard, Watch};
use crate::wording;

/// Events that may wait for the daemon's loop. When it does not read, the thread
/// waits, the kernel's buffer overflows, and the state is read anew: no event
/// piles up without bound.
const EVENTS: usize = 512;
/// Pause before a broken socket is opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);
/// How long the end waits for the thread's.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// `EADDRNOTAVAIL` and `ENODEV`: the address to be removed is gone already.
const ALREADY_GONE: [i32; 2] = [99, 19];
/// `ESRCH`, `ENOENT` and `ENODEV`: the route or rule to be removed is gone already.
const ROUTING_GONE: [i32; 3] = [3, 2, 19];
/// `EEXIST`: the route or rule to be set is there already.
const ALREADY_THERE: i32 = 17;

/// [`Kernel`] over rtnetlink, for the network namespace it was opened in.
#[derive(Debug)]
pub struct RtNetlink {
    queue: Arc<Queue>,
    events: mpsc::Receiver<Event>,
    /// Hangs up when the thread has ended.
    ended: std::sync::mpsc::Receiver<()>,
}

impl RtNetlink {
    /// Opens the sockets and starts the thread; its first event will be the
    /// snapshot.
    ///
    /// # Errors
    /// When sockets, the runtime or the thread cannot be created.
    pub fn open() -> io::Result<Self> {
        Self::open_with(|| (), None)
    }

    /// As [`RtNetlink::open`]; the thread begins with `prepare`, for instance to take
    /// on the scheduling class of the loop it serves. `warden` is the program that calls
    /// [`crate::watch`] with its standard input; without one, what is leased by
    /// [`Kernel::lease_routing`] outlives a daemon that is killed.
    ///
    /// # Errors
    /// As [`RtNetlink::open`].
    pub fn open_with(
        prepare: impl FnOnce() + Send + 'static,
        warden: Option<Program>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (sender, events) = mpsc::channel(EVENTS);
        let (ready, opened) = std::sync::mpsc::sync_channel(1);
        let worker_queue = Arc::clone(&queue);
        let (ending, ended) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("netlink".to_owned())
            .spawn(move || {
                prepare();
                run(&worker_queue, warden, sender, &ready);
                drop(ending);
            })?;
        match opened.recv() {
            Ok(Ok(())) => Ok(Self {
                queue,
                events,
                ended,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other("the netlink thread ended at its start")),
        }
    }
}

impl Kernel for RtNetlink {
    fn add_address(&mut self, spec: &AddressSpec) {
        self.queue.push(Request::add(spec));
    }

    fn refresh_address(&mut self, spec: &AddressSpec) {
        self.queue.push(Request::refresh(spec, Instant::now()));
    }

    fn remove_address(&mut self, spec: &AddressSpec) {
        self.queue.push(Request::Remove(spec.clone()));
    }

    fn make_macvlan(&mut self, link: &Macvlan) {
        self.queue.push_link(Task::Make {
            link: link.clone(),
            leased: false,
        });
    }

    fn lease_macvlan(&mut self, link: &Macvlan) {
        self.queue.push_link(Task::Make {
            link: link.clone(),
            leased: true,
        });
    }

    fn remove_macvlan(&mut self, link: &Macvlan) {
        self.queue.push_link(Task::Unmake(link.clone()));
    }

    fn promote_secondaries(&mut self, interfaces: &BTreeSet<String>) {
        self.queue.push_link(Task::Promote(interfaces.clone()));
    }

    fn set_routing(&mut self, what: &Routing) {
        self.queue.push_routing(what, true, false);
    }

    fn lease_routing(&mut self, what: &Routing) {
        self.queue.push_routing(what, true, true);
    }

    fn remove_routing(&mut self, what: &Routing) {
        self.queue.push_routing(what, false, false);
    }

    fn guard(&mut self, guard: &Guard) {
        self.queue.push_guard(guard);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.events.poll_recv(cx)
    }

    fn is_busy(&self) -> bool {
        self.queue.is_busy()
    }
}

impl Drop for RtNetlink {
    /// The thread has the warden told that this is an orderly end.
    fn drop(&mut self) {
        self.queue.close();
        self.events.close();
        let _late = self.ended.recv_timeout(LAST_WORDS);
    }
}

fn run(
    queue: &Queue,
    program: Option<Program>,
    events: mpsc::Sender<Event>,
    ready: &std::sync::mpsc::SyncSender<io::Result<()>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        match Worker::open(events, program) {
            Ok(worker) => {
                let _ = ready.send(Ok(()));
                worker.work(queue).await;
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    });
}

/// The socket requests go out on.
struct Requests {
    handle: Handle,
    connection: JoinHandle<()>,
    port: u32,
}

impl Requests {
    fn open() -> io::Result<Self> {
        Self::open_with(false)
    }

    /// One whose dumps have only what the request describes (`NETLINK_GET_STRICT_CHK`, Linux
    /// 4.20).
    fn filtering() -> io::Result<Self> {
        Self::open_with(true)
    }

    fn open_with(filtering: bool) -> io::Result<Self> {
        let (mut connection, handle, _unsolicited) = rtnetlink::new_connection()?;
        if filtering {
            let socket = connection.socket_mut().socket_ref();
            socket.set_netlink_get_strict_chk(true)?;
        }
        // Bound now, so that changes can be told to be ours by their port.
        let mut address = SocketAddr::new(0, 0);
        connection.socket_mut().socket_mut().bind_auto()?;
        connection
            .socket_mut()
            .socket_ref()
            .get_address(&mut address)?;
        Ok(Self {
            handle,
            connection: tokio::spawn(connection),
            port: address.port_number(),
        })
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

struct Worker {
    watch: Watch,
    refresher: Refresher,
    requests: Requests,
    events: mpsc::Sender<Event>,
    workshop: Workshop,
    firewall: Firewall,
    warden: Warden,
    /// IPv6 removals of ours whose report is still to come: the kernel does not
    /// name the requester there.
    own_removals: Vec<AddressKey>,
    /// Addresses of ours that were told to be there: that their lifetime was begun anew
    /// is no news, and with many of them it would wake the loop all the time.
    told: BTreeSet<AddressKey>,
    /// Routes and rules of ours that are set.
    routings: Vec<Routing>,
    /// Whether the watch hears of routes and rules.
    hears_routing: bool,
}

/// The daemon's loop is gone.
struct Abandoned;

impl Worker {
    fn open(events: mpsc::Sender<Event>, program: Option<Program>) -> io::Result<Self> {
        let refresher = Refresher::open()?;
        Ok(Self {
            // First the watch, then the dump: nothing falls between them.
            watch: Watch::open(&refresher)?,
            refresher,
            requests: Requests::open()?,
            events,
            workshop: Workshop::default(),
            firewall: Firewall::default(),
            warden: Warden::new(program),
            own_removals: Vec::new(),
            told: BTreeSet::new(),
            routings: Vec::new(),
            hears_routing: false,
        })
    }

    async fn work(mut self, queue: &Queue) {
        if self.report_snapshot().await.is_err() {
            return;
        }
        loop {
            let step = tokio::select! {
                // Requests first: a flood of changes must not delay a removal.
                biased;
                request = queue.next() => match request {
                    Some(Task::Address(request)) => self.perform(queue, request).await,
                    Some(Task::Routing(change)) => self.change_routing(queue, change).await,
                    Some(Task::Guard(guard)) => self.set_guard(queue, guard).await,
                    Some(Task::Make { link, leased }) => {
                        self.change_link(queue, link, Some(leased)).await
                    }
                    Some(Task::Unmake(link)) => self.change_link(queue, link, None).await,
                    Some(Task::Promote(interfaces)) => {
                        self.workshop.promote(&interfaces);
                        queue.finished();
                        Ok(())
                    }
                    None => return,
                },
                heard = self.watch.next() => self.hear(heard).await,
            };
            if step.is_err() {
                return;
            }
        }
    }

    async fn send(&self, event: Event) -> Result<(), Abandoned> {
        self.events.send(event).await.map_err(|_| Abandoned)
    }

    /// Answers a request. It is under way until then: who waits for the end of all must hear it.
    async fn answer(&self, queue: &Queue, event: Event) -> Result<(), Abandoned> {
        let sent = self.send(event).await;
        queue.finished();
        sent
    }

    async fn complain(&mut self) -> Result<(), Abandoned> {
        match self.warden.take_complaint() {
            Some(reason) => self.send(Event::Unleased(reason)).await,
            None => Ok(()),
        }
    }

    async fn perform(&mut self, queue: &Queue, request: Request) -> Result<(), Abandoned> {
        for (operation, key) in queue.take_superseded() {
            let result = Err(Error::Superseded);
            self.send(Event::Done {
                operation,
                key,
                result,
            })
            .await?;
        }
        // What was reported before the request is told before its answer.
        for heard in self.watch.take_waiting().await {
            self.hear(Ok(heard)).await?;
        }
        let (operation, key) = (request.operation(), request.key());
        if let Request::Set { spec, .. } = &request
            && let Some(seconds) = spec.lifetime
            && !request.is_late(Instant::now())
        {
            self.warden.alive(seconds);
            self.complain().await?;
        }
        let result = self.carry_out(request).await;
        let done = Event::Done {
            operation,
            key,
            result,
        };
        self.answer(queue, done).await
    }

    async fn change_link(
        &mut self,
        queue: &Queue,
        link: Macvlan,
        make: Option<bool>,
    ) -> Result<(), Abandoned> {
        let handle = self.requests.handle.link();
        let warden = &mut self.warden;
        // Groups are left with the daemon's sockets; what keeps that back must be there still.
        warden.hold(|| self.firewall.share());
        let result = match make {
            Some(leased) => {
                let warden = leased.then_some(warden);
                self.workshop.make(handle, &link, warden).await
            }
            None => self.workshop.remove(handle, &link, warden).await,
        };
        self.complain().await?;
        let made = make.is_some();
        // The link itself is told before its making.
        for heard in self.watch.take_waiting().await {
            self.hear(Ok(heard)).await?;
        }
        self.answer(queue, Event::LinkDone { link, made, result })
            .await
    }

    async fn set_guard(&mut self, queue: &Queue, guard: Guard) -> Result<(), Abandoned> {
        let result = self.firewall.set(&guard);
        self.answer(queue, Event::GuardDone { guard, result }).await
    }

    async fn change_routing(&mut self, queue: &Queue, change: Change) -> Result<(), Abandoned> {
        for Change { what, set, .. } in queue.take_overtaken() {
            let result = Err(Error::Superseded);
            self.send(Event::RoutingDone { what, set, result }).await?;
        }
        // What others removed before is told before it is set anew.
        for heard in self.watch.take_waiting().await {
            self.hear(Ok(heard)).await?;
        }
        let Change { what, set, leased } = change;
        let result = if set {
            if leased {
                self.warden.hold(|| self.firewall.share());
                self.warden.entrust(Ward::Routing(what.removal_bytes()));
                self.complain().await?;
            }
            self.set_routing(&what).await
        } else {
            // From here on nobody wants to hear that it is gone.
            self.routings.retain(|own| *own != what);
            let result = self.request(wording::removal(&what), &ROUTING_GONE).await;
            self.warden.release(&Ward::Routing(what.removal_bytes()));
            result
        };
        self.answer(queue, Event::RoutingDone { what, set, result })
            .await
    }

    async fn set_routing(&mut self, what: &Routing) -> Result<(), Error> {
        if !self.hears_routing {
            // Without it nobody says when one is removed, which is no reason not to set it.
            self.hears_routing = self.watch.hear_routing().is_ok();
        }
        let message = wording::setting(what);
        self.request(message, &[ALREADY_THERE]).await?;
        if !self.routings.contains(what) {
            self.routings.push(what.clone());
        }
        Ok(())
    }

    /// Makes a request; the answers `fine` count as done.
    async fn request(
        &mut self,
        message: NetlinkMessage<RouteNetlinkMessage>,
        fine: &[i32],
    ) -> Result<(), Error> {
        let mut outcome = Ok(());
        match self.requests.handle.request(message) {
            Ok(mut answers) => {
                while let Some(answer) = answers.next().await {
                    if let NetlinkPayload::Error(error) = answer.payload {
                        outcome = error.code.map_or(Ok(()), |code| Err(-code.get()));
                    }
                }
            }
            Err(error) => return Err(Error::Connection(error.to_string())),
        }
        self.reconnect()?;
        match outcome {
            Err(errno) if !fine.contains(&errno) => Err(Error::Kernel(errno)),
            _ => Ok(()),
        }
    }

    async fn carry_out(&mut self, request: Request) -> Result<(), Error> {
        let late = request.is_late(Instant::now());
        if let Request::Set {
            instead_of: Some(old),
            ..
        } = &request
        {
            // One that cannot be removed is no reason to go without the new one,
            // whose own answer tells what the kernel objects to.
            let _ = self.execute(Request::Remove(old.clone())).await;
        }
        if late {
            return Err(Error::Late);
        }
        self.execute(request).await
    }

    async fn execute(&mut self, request: Request) -> Result<(), Error> {
        if let Request::Set { spec, .. } = &request
            && request.operation() == Operation::Refresh
        {
            return self.refresher.refresh(spec);
        }
        let handle = self.requests.handle.address();
        let removal = match &request {
            Request::Remove(spec) => Some(spec.key),
            Request::Set { .. } => None,
        };
        let outcome = match request {
            Request::Set { spec, .. } => {
                let mut add = handle
                    .add(spec.key.ifindex, spec.key.addr, spec.key.prefix)
                    .replace();
                *add.message_mut() = wording::address(&spec);
                add.execute().await
            }
            Request::Remove(spec) => {
                // The kernel compares prefix and peer only where IFA_ADDRESS says them.
                let bare = AddressSpec {
                    peer: spec.peer,
                    ..AddressSpec::new(spec.key)
                };
                handle.del(wording::address(&bare)).execute().await
            }
        };
        self.reconnect()?;
        let result = match outcome {
            Ok(()) => Ok(()),
            Err(rtnetlink::Error::NetlinkError(message)) => Err(Error::Kernel(-message.raw_code())),
            Err(error) => Err(Error::Connection(error.to_string())),
        };
        match (removal, result) {
            (Some(key), Ok(())) => {
                if key.addr.is_ipv6() {
                    self.own_removals.push(key);
                }
                Ok(())
            }
            (Some(_), Err(Error::Kernel(errno))) if ALREADY_GONE.contains(&errno) => Ok(()),
            (_, result) => result,
        }
    }

    /// A connection that died ends the answer without an error.
    fn reconnect(&mut self) -> Result<(), Error> {
        if !self.requests.connection.is_finished() {
            return Ok(());
        }
        match Requests::open() {
            Ok(requests) => self.requests = requests,
            Err(error) => return Err(Error::Connection(error.to_string())),
        }
        Err(Error::Connection("closed by the kernel".to_owned()))
    }

    async fn hear(&mut self, heard: io::Result<Vec<Heard>>) -> Result<(), Abandoned> {
        let Ok(heard) = heard else {
            tokio::time::sleep(REOPEN_PAUSE).await;
            if let Ok(watch) = Watch::open(&self.refresher) {
                self.hears_routing = !self.routings.is_empty() && watch.hear_routing().is_ok();
                self.watch = watch;
            }
            return self.report_snapshot().await;
        };
        // What waits in the socket is older than the snapshot to come, and told
        // after it would turn the state back.
        if heard.contains(&Heard::Lost) {
            self.watch.discard_waiting().await;
            return self.report_snapshot().await;
        }
        for item in heard {
            let (event, requester) = match item {
                Heard::Change(event, requester) => (event, requester),
                Heard::RouteGone(gone) => {
                    let is_it = |own: &Routing| matches!(own, Routing::Route(route) if wording::is_route(route, &gone));
                    self.tell_gone(is_it).await?;
                    continue;
                }
                Heard::RuleGone(gone) => {
                    let is_it = |own: &Routing| matches!(own, Routing::Rule(rule) if wording::is_rule(rule, &gone));
                    self.tell_gone(is_it).await?;
                    continue;
                }
                Heard::Lost => continue,
            };
            if self.is_refresh(&event, requester) {
                continue;
            }
            let event = self.attribute(event, requester);
            self.send(event).await?;
        }
        Ok(())
    }

    /// One of ours that is gone is told, and no longer ours.
    async fn tell_gone(&mut self, is_it: impl Fn(&Routing) -> bool) -> Result<(), Abandoned> {
        let gone = self.routings.extract_if(.., |own| is_it(own));
        for what in gone.collect::<Vec<_>>() {
            self.warden.release(&Ward::Routing(what.removal_bytes()));
            self.send(Event::RoutingGone(what)).await?;
        }
        Ok(())
    }

    /// Whether it only says that a request of ours began a lifetime anew.
    fn is_refresh(&mut self, event: &Event, requester: u32) -> bool {
        match event {
            Event::Address(address)
                if [self.requests.port, self.refresher.port()].contains(&requester) =>
            {
                !self.told.insert(address.key)
            }
            Event::AddressGone { key, .. } => {
                self.told.remove(key);
                false
            }
            // What somebody else did to an address is news.
            Event::Address(address) => {
                self.told.remove(&address.key);
                false
            }
            Event::LinkGone { index } => {
                self.told.retain(|key| key.ifindex != *index);
                false
            }
            Event::Snapshot(_)
            | Event::Link(_)
            | Event::LinkDone { .. }
            | Event::RoutingDone { .. }
            | Event::RoutingGone(_)
            | Event::GuardDone { .. }
            | Event::Unleased(_)
            | Event::Done { .. } => false,
        }
    }

    /// Says whether a removal was ours.
    fn attribute(&mut self, event: Event, requester: u32) -> Event {
        let Event::AddressGone { key, .. } = event else {
            return event;
        };
        let noted = self.own_removals.iter().position(|own| *own == key);
        let ours = match noted {
            Some(at) => {
                self.own_removals.remove(at);
                true
            }
            None => requester == self.requests.port,
        };
        let origin = if ours { Origin::Ours } else { Origin::Others };
        Event::AddressGone { key, origin }
    }

    async fn report_snapshot(&mut self) -> Result<(), Abandoned> {
        loop {
            match self.snapshot().await {
                Ok(snapshot) => {
                    self.own_removals.clear();
                    self.told.clear();
                    self.send(Event::Snapshot(snapshot)).await?;
                    return self.look_for_routings().await;
                }
                // Reading again is all that can be done; the pause keeps a
                // persistent fault from eating the processor.
                Err(_) => {
                    if self.events.is_closed() {
                        return Err(Abandoned);
                    }
                    tokio::time::sleep(REOPEN_PAUSE).await;
                    if let Ok(requests) = Requests::open() {
                        self.requests = requests;
                    }
                }
            }
        }
    }

    /// Tells which of our routes and rules are not there any more, after reports of it may
    /// have been lost.
    async fn look_for_routings(&mut self) -> Result<(), Abandoned> {
        if self.routings.is_empty() {
            return Ok(());
        }
        // Without an answer they count as there: nothing of what is needed hangs on it.
        let Ok((routes, rules)) = self.all_routings().await else {
            return Ok(());
        };
        self.tell_gone(|own| match own {
            Routing::Route(own) => !routes.iter().any(|route| wording::is_route(own, route)),
            Routing::Rule(own) => !rules.iter().any(|rule| wording::is_rule(own, rule)),
        })
        .await
    }

    async fn all_routings(
        &self,
    ) -> Result<(Vec<RouteMessage>, Vec<RuleMessage>), rtnetlink::Error> {
        let (mut routes, mut rules) = (Vec::new(), Vec::new());
        let mut protocols = BTreeSet::new();
        for own in &self.routings {
            if let Routing::Route(route) = own {
                let v6 = route.destination.0.is_ipv6();
                protocols.insert((v6, route.protocol));
            }
        }
        // A host that speaks BGP has a million others, which are not read for this.
        let filtering = Requests::filtering().map_err(|_| rtnetlink::Error::RequestFailed)?;
        for (v6, protocol) in protocols {
            let mut like_ours = RouteMessage::default();
            like_ours.header.address_family = match v6 {
                true => AddressFamily::Inet6,
                false => AddressFamily::Inet,
            };
            like_ours.header.protocol = protocol.into();
            let mut found = Box::pin(filtering.handle.route().get(like_ours).execute());
            while let Some(message) = found.try_next().await? {
                routes.push(message);
            }
        }
        for version in [IpVersion::V4, IpVersion::V6] {
            let mut found = Box::pin(self.requests.handle.rule().get(version).execute());
            while let Some(message) = found.try_next().await? {
                rules.push(message);
            }
        }
        Ok((routes, rules))
    }

    async fn snapshot(&self) -> Result<Snapshot, rtnetlink::Error> {
        let mut snapshot = Snapshot::default();
        let mut links = Box::pin(self.requests.handle.link().get().execute());
        while let Some(message) = links.try_next().await? {
            snapshot.links.extend(watch::link(&message));
        }
        let mut addresses = Box::pin(self.requests.handle.address().get().execute());
        while let Some(message) = addresses.try_next().await? {
            snapshot.addresses.extend(watch::address(&message));
        }
        if self.requests.connection.is_finished() {
            return Err(rtnetlink::Error::RequestFailed);
        }
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::View;
    use std::future::poll_fn;

    /// Reading needs no privilege, so this runs against the real kernel anywhere;
    /// a refused or impossible change must come back as an answer.
    #[test]
    fn the_real_kernel_gives_a_snapshot_and_answers_requests() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut kernel = RtNetlink::open().unwrap();
        runtime.block_on(async {
            let mut view = View::default();
            let first = poll_fn(|cx| kernel.poll_event(cx)).await.unwrap();
            assert!(matches!(first, Event::Snapshot(_)));
            view.apply(&first);
            assert!(view.link_by_name("lo").is_some_and(|link| link.loopback));
            // There is no interface with this index.
            let key = AddressKey {
                ifindex: 0x7fff_fff0,
                addr: [192, 0, 2, 1].into(),
                prefix: 32,
            };
            kernel.add_address(&AddressSpec::new(key));
            let answer = tokio::time::timeout(Duration::from_secs(10), async {
                loop {
                    let event = poll_fn(|cx| kernel.poll_event(cx)).await.unwrap();
                    if let Event::Done {
                        operation, result, ..
                    } = event
                    {
                        return (operation, result);
                    }
                }
            })
            .await
            .unwrap();
            assert_eq!(answer.0, Operation::Add);
            assert!(matches!(answer.1, Err(Error::Kernel(_))), "{answer:?}");
        });
    }
}
