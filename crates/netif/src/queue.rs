//! Requests on their way to the kernel: ordered, coalescing, bounded by the number of
//! addresses, routes and rules.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::guard::Guard;
use crate::kernel::Operation;
use crate::model::{AddressKey, AddressSpec, Macvlan};
use crate::routing::Routing;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Set {
        spec: AddressSpec,
        operation: Operation,
        /// After this moment a refresh would prolong a lease that the loop no
        /// longer vouches for.
        good_until: Option<Instant>,
        /// What has to go first: the kernel changes only the lifetime of an address
        /// that is there, not its label, scope, broadcast or peer.
        instead_of: Option<AddressSpec>,
    },
    Remove(AddressSpec),
}

impl Request {
    pub(crate) const fn key(&self) -> AddressKey {
        match self {
            Self::Set { spec, .. } | Self::Remove(spec) => spec.key,
        }
    }

    pub(crate) const fn operation(&self) -> Operation {
        match self {
            Self::Set { operation, .. } => *operation,
            Self::Remove(_) => Operation::Remove,
        }
    }

    pub(crate) fn add(spec: &AddressSpec) -> Self {
        Self::Set {
            spec: spec.clone(),
            operation: Operation::Add,
            good_until: None,
            instead_of: None,
        }
    }

    pub(crate) fn refresh(spec: &AddressSpec, now: Instant) -> Self {
        let good_until = spec
            .lifetime
            .map(|seconds| now + Duration::from_secs(u64::from(seconds)));
        Self::Set {
            spec: spec.clone(),
            operation: Operation::Refresh,
            good_until,
            instead_of: None,
        }
    }

    /// Takes over what `old`, which it overtakes, would have removed.
    fn overtake(&mut self, old: Self) {
        let Self::Set {
            spec, instead_of, ..
        } = self
        else {
            return;
        };
        let removed = match old {
            Self::Remove(removed) => Some(removed),
            Self::Set { instead_of, .. } => instead_of,
        };
        *instead_of = removed.filter(|removed| !removed.differs_only_in_lifetime(spec));
    }

    /// Whether carrying it out at `now` would be too late.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        match self {
            Self::Set { good_until, .. } => good_until.is_some_and(|limit| now > limit),
            Self::Remove(_) => false,
        }
    }
}

/// What the thread is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    Address(Request),
    Routing(Change),
    Guard(Guard),
    Make {
        link: Macvlan,
        /// It must not outlive the daemon.
        leased: bool,
    },
    Unmake(Macvlan),
    /// The interfaces with `promote_secondaries`.
    Promote(BTreeSet<String>),
}

/// A route or rule to be set or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) what: Routing,
    /// If not, it is to be removed.
    pub(crate) set: bool,
    /// It must not outlive the daemon.
    pub(crate) leased: bool,
}

/// One place in the order.
#[derive(Debug)]
enum Place {
    Address(AddressKey),
    Routing(Change),
    Guard(Guard),
}

#[derive(Debug, Default)]
struct Waiting {
    /// Links to be made or removed, when no address waits: addresses are removed
    /// before the link they are on, and set when it has been heard of.
    links: VecDeque<Task>,
    requests: BTreeMap<AddressKey, Request>,
    order: VecDeque<Place>,
    /// Requests overtaken since the last look.
    superseded: Vec<(Operation, AddressKey)>,
    /// The same of routes and rules.
    overtaken: Vec<Change>,
    /// One request has been taken and not been answered yet.
    in_flight: bool,
    closed: bool,
}

/// The queue; one end in the daemon's loop, the other in the netlink thread.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

impl Queue {
    // A panic elsewhere cannot leave the plain collections half changed.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request. A waiting one for the same address is overtaken: its place
    /// in the order stays, its content is the newer one's.
    /// Where the old one removes what the new one cannot change in place, that
    /// becomes part of the new one.
    pub(crate) fn push(&self, mut request: Request) {
        let key = request.key();
        let mut waiting = self.lock();
        match waiting.requests.remove(&key) {
            None => waiting.order.push_back(Place::Address(key)),
            Some(old) => {
                waiting.superseded.push((old.operation(), key));
                request.overtake(old);
            }
        }
        waiting.requests.insert(key, request);
        drop(waiting);
        self.wake.notify_one();
    }

    /// Adds a route or rule; what waits for the same one is overtaken.
    pub(crate) fn push_routing(&self, what: &Routing, set: bool, leased: bool) {
        let mut waiting = self.lock();
        let same = |place: &Place| matches!(place, Place::Routing(change) if change.what == *what);
        if let Some(at) = waiting.order.iter().position(same)
            && let Some(Place::Routing(old)) = waiting.order.remove(at)
        {
            waiting.overtaken.push(old);
        }
        let what = what.clone();
        let place = Place::Routing(Change { what, set, leased });
        waiting.order.push_back(place);
        drop(waiting);
        self.wake.notify_one();
    }

    /// Adds what is to be dropped. One that would have been carried out just before is
    /// overtaken; others keep their place, for addresses are set behind them.
    pub(crate) fn push_guard(&self, guard: &Guard) {
        let mut waiting = self.lock();
        if matches!(waiting.order.back(), Some(Place::Guard(_))) {
            waiting.order.pop_back();
        }
        waiting.order.push_back(Place::Guard(guard.clone()));
        drop(waiting);
        self.wake.notify_one();
    }

    /// Adds a link to be made or removed.
    pub(crate) fn push_link(&self, task: Task) {
        self.lock().links.push_back(task);
        self.wake.notify_one();
    }

    /// Waits for the next request. `None` once closed and empty.
    pub(crate) async fn next(&self) -> Option<Task> {
        loop {
            let notified = self.wake.notified();
            {
                let mut waiting = self.lock();
                if let Some(place) = waiting.order.pop_front() {
                    let task = match place {
                        Place::Address(key) => waiting.requests.remove(&key).map(Task::Address),
                        Place::Routing(change) => Some(Task::Routing(change)),
                        Place::Guard(guard) => Some(Task::Guard(guard)),
                    };
                    waiting.in_flight = task.is_some();
                    if task.is_some() {
                        return task;
                    }
                    continue;
                }
                if let Some(task) = waiting.links.pop_front() {
                    waiting.in_flight = true;
                    return Some(task);
                }
                if waiting.closed {
                    return None;
                }
            }
            notified.await;
        }
    }

    /// The request taken last has been answered.
    pub(crate) fn finished(&self) {
        self.lock().in_flight = false;
    }

    /// Requests overtaken since the last call.
    pub(crate) fn take_superseded(&self) -> Vec<(Operation, AddressKey)> {
        std::mem::take(&mut self.lock().superseded)
    }

    /// Changes of routes and rules overtaken since the last call.
    pub(crate) fn take_overtaken(&self) -> Vec<Change> {
        std::mem::take(&mut self.lock().overtaken)
    }

    pub(crate) fn is_busy(&self) -> bool {
        let waiting = self.lock();
        waiting.in_flight || !waiting.order.is_empty() || !waiting.links.is_empty()
    }

    /// No more requests come; what waits is still carried out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u8) -> AddressKey {
        AddressKey {
            ifindex: 2,
            addr: [10, 0, 0, last].into(),
            prefix: 24,
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn the_newest_request_for_an_address_wins_and_keeps_its_place() {
        let queue = Queue::default();
        queue.push(Request::add(&AddressSpec::new(key(1))));
        queue.push(Request::add(&AddressSpec::new(key(2))));
        queue.push(Request::Remove(AddressSpec::new(key(1))));
        assert!(queue.is_busy());
        assert_eq!(queue.take_superseded(), [(Operation::Add, key(1))]);
        queue.close();
        block_on(async {
            assert_eq!(
                queue.next().await,
                Some(Task::Address(Request::Remove(AddressSpec::new(key(1)))))
            );
            let Some(Task::Address(second)) = queue.next().await else {
                panic!("nothing waits");
            };
            assert_eq!((second.key(), second.operation()), (key(2), Operation::Add));
            queue.finished();
            assert!(!queue.is_busy());
            assert_eq!(queue.next().await, None);
        });
    }

    #[test]
    fn what_cannot_be_changed_in_place_is_replaced() {
        let old = AddressSpec::new(key(1));
        let mut renewed = old.clone();
        renewed.lifetime = Some(3);
        let mut labelled = renewed.clone();
        labelled.label = Some("eth0:vip".to_owned());
        let mut wider = labelled.clone();
        wider.scope = crate::Scope::LINK;
        for (requests, expected) in [
            (vec![Request::add(&renewed)], None),
            (vec![Request::add(&labelled)], Some(&old)),
            // The removal is not forgotten when the addition is overtaken in turn.
            (
                vec![
                    Request::add(&labelled),
                    Request::refresh(&labelled, Instant::now()),
                ],
                Some(&old),
            ),
            (
                vec![Request::add(&labelled), Request::add(&wider)],
                Some(&old),
            ),
        ] {
            let queue = Queue::default();
            queue.push(Request::Remove(old.clone()));
            for request in requests {
                queue.push(request);
            }
            let Some(Task::Address(Request::Set { instead_of, .. })) = block_on(queue.next())
            else {
                panic!("nothing waits");
            };
            assert_eq!(instead_of.as_ref(), expected);
        }
    }

    #[test]
    fn a_link_goes_after_the_addresses() {
        let link = Macvlan {
            name: "vrrp.1".to_owned(),
            base: "eth0".to_owned(),
            mac: [0, 0, 0x5e, 0, 1, 1],
            v6: false,
        };
        let queue = Queue::default();
        queue.push_link(Task::Unmake(link.clone()));
        let removal = Request::Remove(AddressSpec::new(key(1)));
        queue.push(removal.clone());
        queue.close();
        block_on(async {
            assert_eq!(queue.next().await, Some(Task::Address(removal)));
            assert_eq!(queue.next().await, Some(Task::Unmake(link)));
            assert!(queue.is_busy());
            queue.finished();
            assert!(!queue.is_busy());
            assert_eq!(queue.next().await, None);
        });
    }

    #[test]
    fn routes_keep_their_place_among_the_addresses() {
        let route = |last| -> Routing {
            let hop = crate::Hop::default();
            crate::RouteSpec::new(([192, 0, 2, last].into(), 32), hop).into()
        };
        let queue = Queue::default();
        let removal = Request::Remove(AddressSpec::new(key(1)));
        queue.push_routing(&route(1), true, false);
        queue.push_routing(&route(2), false, false);
        queue.push(removal.clone());
        // The removal overtakes what was to be set.
        queue.push_routing(&route(1), false, false);
        let change = |last, set| Change {
            what: route(last),
            set,
            leased: false,
        };
        assert_eq!(queue.take_overtaken(), [change(1, true)]);
        queue.close();
        block_on(async {
            for expected in [
                Task::Routing(change(2, false)),
                Task::Address(removal),
                Task::Routing(change(1, false)),
            ] {
                assert_eq!(queue.next().await, Some(expected));
            }
            assert_eq!(queue.next().await, None);
        });
    }

    #[test]
    fn what_is_dropped_keeps_its_place_among_the_addresses() {
        let queue = Queue::default();
        let guard = |name: &str| Guard {
            table: name.to_owned(),
            ..Guard::default()
        };
        let addition = Request::add(&AddressSpec::new(key(1)));
        queue.push_guard(&guard("a"));
        queue.push_guard(&guard("b"));
        queue.push(addition.clone());
        queue.push_guard(&guard("c"));
        queue.close();
        block_on(async {
            for expected in [
                Task::Guard(guard("b")),
                Task::Address(addition),
                Task::Guard(guard("c")),
            ] {
                assert_eq!(queue.next().await, Some(expected));
            }
            assert_eq!(queue.next().await, None);
        });
    }

    #[test]
    fn ten_thousand_requests_for_two_addresses_stay_two() {
        let queue = Queue::default();
        for round in 0..10_000_u32 {
            let last = u8::from(round % 2 == 0);
            queue.push(Request::add(&AddressSpec::new(key(last))));
            queue.take_superseded();
        }
        assert_eq!(queue.lock().order.len(), 2);
        assert_eq!(queue.lock().requests.len(), 2);
    }

    #[test]
    fn a_refresh_is_late_once_its_lifetime_has_passed() {
        let now = Instant::now();
        let mut spec = AddressSpec::new(key(1));
        spec.lifetime = Some(3);
        let refresh = Request::refresh(&spec, now);
        assert!(!refresh.is_late(now + Duration::from_secs(3)));
        assert!(refresh.is_late(now + Duration::from_millis(3001)));
        assert!(!Request::add(&spec).is_late(now + Duration::from_secs(60)));
        assert!(!Request::Remove(AddressSpec::new(key(1))).is_late(now + Duration::from_secs(60)));
    }
}
