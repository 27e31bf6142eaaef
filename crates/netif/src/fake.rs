//! A kernel in memory, for tests: it can be told to fail, to lose events and to
//! let lifetimes run out.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::guard::Guard;
use crate::kernel::{Error, Event, Kernel, Operation, Origin};
use crate::model::{Address, AddressKey, AddressSpec, Link, Macvlan, Snapshot};
use crate::routing::Routing;

#[derive(Debug, Default)]
struct State {
    links: Vec<Link>,
    addresses: Vec<Address>,
    routings: Vec<Routing>,
    routing_requests: Vec<(Routing, bool)>,
    routing_refusals: Vec<i32>,
    guards: Vec<Guard>,
    promoted: BTreeSet<String>,
    guard_refusal: Option<i32>,
    events: VecDeque<Event>,
    requests: Vec<(Operation, AddressSpec)>,
    refusals: Vec<(Operation, i32)>,
    losing_events: bool,
    closed: bool,
    waker: Option<Waker>,
}

impl State {
    fn report(&mut self, event: Event) {
        if !self.losing_events {
            self.events.push_back(event);
        }
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            links: self.links.clone(),
            addresses: self.addresses.clone(),
        }
    }

    fn perform(&mut self, operation: Operation, spec: &AddressSpec) {
        self.requests.push((operation, spec.clone()));
        let refusal = self
            .refusals
            .iter()
            .position(|(refused, _)| *refused == operation)
            .map(|at| self.refusals.remove(at).1);
        let result = match refusal {
            Some(errno) => Err(Error::Kernel(errno)),
            None => {
                match operation {
                    Operation::Add | Operation::Refresh => self.set(spec),
                    Operation::Remove => self.remove(spec.key, Origin::Ours),
                }
                Ok(())
            }
        };
        self.events.push_back(Event::Done {
            operation,
            key: spec.key,
            result,
        });
        self.wake();
    }

    fn set(&mut self, spec: &AddressSpec) {
        let address = Address {
            key: spec.key,
            scope: spec.scope,
            label: spec.label.clone(),
            secondary: false,
            tentative: false,
            dad_failed: false,
            lifetime: spec.lifetime,
        };
        match self.addresses.iter_mut().find(|old| old.key == spec.key) {
            Some(old) => *old = address.clone(),
            None => self.addresses.push(address.clone()),
        }
        self.report(Event::Address(address));
    }

    fn change_routing(&mut self, what: &Routing, set: bool) {
        self.routing_requests.push((what.clone(), set));
        let refusal = match set {
            true => self.routing_refusals.pop(),
            false => None,
        };
        if refusal.is_none() {
            self.routings.retain(|old| old != what);
        }
        if set && refusal.is_none() {
            self.routings.push(what.clone());
        }
        self.events.push_back(Event::RoutingDone {
            what: what.clone(),
            set,
            result: refusal.map_or(Ok(()), |errno| Err(Error::Kernel(errno))),
        });
        self.wake();
    }

    fn remove(&mut self, key: AddressKey, origin: Origin) {
        let before = self.addresses.len();
        self.addresses.retain(|address| address.key != key);
        if self.addresses.len() < before {
            self.report(Event::AddressGone { key, origin });
        }
    }
}

/// The kernel's side as the daemon sees it.
#[derive(Debug)]
pub struct Fake {
    state: Rc<RefCell<State>>,
}

/// The test's hold on a [`Fake`].
#[derive(Debug, Clone)]
pub struct FakeHandle {
    state: Rc<RefCell<State>>,
}

impl Fake {
    /// A kernel with these links and no address; the snapshot is ready to be read.
    #[must_use]
    pub fn new(links: Vec<Link>) -> (Self, FakeHandle) {
        let mut state = State {
            links,
            ..State::default()
        };
        let snapshot = state.snapshot();
        state.events.push_back(Event::Snapshot(snapshot));
        let state = Rc::new(RefCell::new(state));
        let handle = FakeHandle {
            state: Rc::clone(&state),
        };
        (Self { state }, handle)
    }
}

impl Kernel for Fake {
    fn add_address(&mut self, spec: &AddressSpec) {
        self.state.borrow_mut().perform(Operation::Add, spec);
    }

    fn refresh_address(&mut self, spec: &AddressSpec) {
        self.state.borrow_mut().perform(Operation::Refresh, spec);
    }

    fn remove_address(&mut self, spec: &AddressSpec) {
        self.state.borrow_mut().perform(Operation::Remove, spec);
    }

    fn make_macvlan(&mut self, link: &Macvlan) {
        let mut state = self.state.borrow_mut();
        let base = state
            .links
            .iter()
            .find(|base| base.name == link.base)
            .cloned();
        let result = match base {
            Some(base) => {
                let index = state.links.iter().map(|link| link.index).max().unwrap_or(0) + 1;
                let made = Link {
                    index,
                    name: link.name.clone(),
                    mac: link.mac.to_vec(),
                    ..base
                };
                state.links.push(made.clone());
                state.report(Event::Link(made));
                Ok(())
            }
            None => Err(Error::NoLink(link.base.clone())),
        };
        state.report(Event::LinkDone {
            link: link.clone(),
            made: true,
            result,
        });
    }

    fn lease_macvlan(&mut self, link: &Macvlan) {
        self.make_macvlan(link);
    }

    fn remove_macvlan(&mut self, link: &Macvlan) {
        let mut state = self.state.borrow_mut();
        let gone = state.links.iter().position(|made| made.name == link.name);
        if let Some(index) = gone.map(|at| state.links.remove(at).index) {
            state
                .addresses
                .retain(|address| address.key.ifindex != index);
            state.report(Event::LinkGone { index });
        }
        state.report(Event::LinkDone {
            link: link.clone(),
            made: false,
            result: Ok(()),
        });
    }

    fn promote_secondaries(&mut self, interfaces: &BTreeSet<String>) {
        self.state.borrow_mut().promoted.clone_from(interfaces);
    }

    fn set_routing(&mut self, what: &Routing) {
        self.state.borrow_mut().change_routing(what, true);
    }

    fn lease_routing(&mut self, what: &Routing) {
        self.set_routing(what);
    }

    fn remove_routing(&mut self, what: &Routing) {
        self.state.borrow_mut().change_routing(what, false);
    }

    fn guard(&mut self, guard: &Guard) {
        let mut state = self.state.borrow_mut();
        let refusal = state.guard_refusal;
        state.guards.push(guard.clone());
        let result = refusal.map_or(Ok(()), |errno| Err(Error::Kernel(errno)));
        let guard = guard.clone();
        state.report(Event::GuardDone { guard, result });
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.state.borrow_mut();
        if let Some(event) = state.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn is_busy(&self) -> bool {
        let state = self.state.borrow();
        state.events.iter().any(|event| {
            matches!(
                event,
                Event::Done { .. } | Event::LinkDone { .. } | Event::RoutingDone { .. }
            )
        })
    }
}

impl FakeHandle {
    /// The next request of that kind is refused with `errno`.
    pub fn refuse(&self, operation: Operation, errno: i32) {
        self.state.borrow_mut().refusals.push((operation, errno));
    }

    /// Every request so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<(Operation, AddressSpec)> {
        self.state.borrow().requests.clone()
    }

    /// The links there are now.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        self.state.borrow().links.clone()
    }

    /// The addresses set now.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.state.borrow().addresses.clone()
    }

    /// The next route or rule to be set is refused with `errno`.
    pub fn refuse_routing(&self, errno: i32) {
        self.state.borrow_mut().routing_refusals.push(errno);
    }

    /// The interfaces that have `promote_secondaries` now.
    #[must_use]
    pub fn promoted(&self) -> BTreeSet<String> {
        self.state.borrow().promoted.clone()
    }

    /// Everything that was to be dropped so far, one after the other.
    #[must_use]
    pub fn guards(&self) -> Vec<Guard> {
        self.state.borrow().guards.clone()
    }

    /// From now on what is to be dropped is refused with `errno`, if that is one.
    pub fn refuse_guard(&self, errno: Option<i32>) {
        self.state.borrow_mut().guard_refusal = errno;
    }

    /// Routes and rules set now, in order.
    #[must_use]
    pub fn routings(&self) -> Vec<Routing> {
        self.state.borrow().routings.clone()
    }

    /// Every request about routes and rules so far, and whether it was to set.
    #[must_use]
    pub fn routing_requests(&self) -> Vec<(Routing, bool)> {
        self.state.borrow().routing_requests.clone()
    }

    /// Somebody else removes a route or rule.
    pub fn remove_foreign_routing(&self, what: &Routing) {
        let mut state = self.state.borrow_mut();
        let before = state.routings.len();
        state.routings.retain(|old| old != what);
        if state.routings.len() < before {
            state.report(Event::RoutingGone(what.clone()));
        }
    }

    /// A link appears or changes.
    pub fn set_link(&self, link: Link) {
        let mut state = self.state.borrow_mut();
        match state.links.iter_mut().find(|old| old.index == link.index) {
            Some(old) => *old = link.clone(),
            None => state.links.push(link.clone()),
        }
        state.report(Event::Link(link));
    }

    /// A link and its addresses go away.
    pub fn drop_link(&self, index: u32) {
        let mut state = self.state.borrow_mut();
        state.links.retain(|link| link.index != index);
        state
            .addresses
            .retain(|address| address.key.ifindex != index);
        state.report(Event::LinkGone { index });
    }

    /// Somebody else sets an address.
    pub fn add_foreign_address(&self, spec: &AddressSpec) {
        self.state.borrow_mut().set(spec);
    }

    /// Somebody else removes an address, or its lifetime runs out.
    pub fn remove_foreign_address(&self, key: AddressKey) {
        self.state.borrow_mut().remove(key, Origin::Others);
    }

    /// From now on change events are lost, as when the socket buffer overflows.
    pub fn lose_events(&self) {
        self.state.borrow_mut().losing_events = true;
    }

    /// Events come again, beginning with a whole snapshot.
    pub fn resynchronise(&self) {
        let mut state = self.state.borrow_mut();
        state.losing_events = false;
        let snapshot = state.snapshot();
        state.report(Event::Snapshot(snapshot));
    }

    /// The connection is lost for good.
    pub fn close(&self) {
        let mut state = self.state.borrow_mut();
        state.closed = true;
        state.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Change, View};

    fn drain(fake: &mut Fake, view: &mut View) -> (Vec<Change>, Vec<Result<(), Error>>) {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut changes, mut results) = (Vec::new(), Vec::new());
        while let Poll::Ready(Some(event)) = fake.poll_event(&mut cx) {
            if let Event::Done { result, .. } = &event {
                results.push(result.clone());
            }
            changes.extend(view.apply(&event));
        }
        (changes, results)
    }

    fn spec() -> AddressSpec {
        let mut spec = AddressSpec::new(AddressKey {
            ifindex: 2,
            addr: [10, 0, 254, 253].into(),
            prefix: 16,
        });
        spec.lifetime = Some(3);
        spec
    }

    #[test]
    fn refused_requests_change_nothing_and_say_so() {
        let (mut fake, handle) = Fake::new(Vec::new());
        let mut view = View::default();
        handle.refuse(Operation::Add, 1);
        fake.add_address(&spec());
        let (changes, results) = drain(&mut fake, &mut view);
        assert_eq!(changes, []);
        assert_eq!(results, [Err(Error::Kernel(1))]);
        fake.add_address(&spec());
        let (changes, results) = drain(&mut fake, &mut view);
        assert_eq!((changes.len(), results), (1, vec![Ok(())]));
        assert!(view.holds(spec().key));
    }

    #[test]
    fn lost_events_are_made_good_by_the_snapshot() {
        let (mut fake, handle) = Fake::new(Vec::new());
        let mut view = View::default();
        fake.add_address(&spec());
        drain(&mut fake, &mut view);
        handle.lose_events();
        handle.remove_foreign_address(spec().key);
        assert_eq!(drain(&mut fake, &mut view).0, []);
        assert!(view.holds(spec().key));
        handle.resynchronise();
        assert_eq!(
            drain(&mut fake, &mut view).0,
            [Change::AddressGone {
                key: spec().key,
                origin: Origin::Others
            }]
        );
    }
}
