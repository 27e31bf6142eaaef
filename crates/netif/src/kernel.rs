//! The trait between a daemon and the kernel.

use std::collections::BTreeSet;
use std::fmt;
use std::task::{Context, Poll};

use crate::guard::Guard;
use crate::model::{Address, AddressKey, AddressSpec, Link, Macvlan, Snapshot};
use crate::routing::Routing;

/// What a daemon's loop may ask of the kernel, and what it hears from it.
///
/// Requests never block and never fail at once: each is answered by one
/// [`Event::Done`]. Requests for different addresses are carried out in the order
/// given; of several waiting requests for the same address only the newest is
/// carried out, so the backlog cannot outgrow the number of addresses.
pub trait Kernel {
    /// Sets an address, or gives an existing one the lifetime asked for. One that
    /// differs in more from what was removed just before takes its place.
    fn add_address(&mut self, spec: &AddressSpec);

    /// Prolongs the lifetime of an address that is held. A refresh which could not
    /// be handed to the kernel within the lifetime it asks for is dropped.
    fn refresh_address(&mut self, spec: &AddressSpec);

    /// Removes an address; of the specification only the key and the peer count.
    /// One that is already gone counts as removed.
    fn remove_address(&mut self, spec: &AddressSpec);

    /// Makes a link, sets it up and the host so that it answers for its own addresses
    /// alone. A link of its name that was left behind is replaced. Answered by one
    /// [`Event::LinkDone`].
    fn make_macvlan(&mut self, link: &Macvlan);

    /// As [`Kernel::make_macvlan`] for one that must not outlive the daemon: when that is
    /// killed, it goes as soon as the lifetimes of addresses are over, and the settings of the
    /// host are as they were before it.
    fn lease_macvlan(&mut self, link: &Macvlan);

    /// Removes a link that [`Kernel::make_macvlan`] made, after all requests about
    /// addresses given before; one that is gone counts as removed. Answered by one
    /// [`Event::LinkDone`].
    fn remove_macvlan(&mut self, link: &Macvlan);

    /// On these interfaces alone, the addresses left stay when the first of their network is
    /// removed (`promote_secondaries` of IPv4); the settings of others are as they were
    /// before, once no request about addresses waits. What is refused stays as it is.
    fn promote_secondaries(&mut self, interfaces: &BTreeSet<String>);

    /// Sets a route or a rule, in order with the requests about addresses; one that is
    /// there already counts as set. Answered by one [`Event::RoutingDone`]. From then on
    /// its removal by others is told.
    fn set_routing(&mut self, what: &Routing);

    /// As [`Kernel::set_routing`] for what must not outlive the daemon: it goes when the daemon
    /// is killed, or hangs for longer than the lifetimes its loop gives addresses.
    fn lease_routing(&mut self, what: &Routing);

    /// Removes a route or a rule, in order with the requests about addresses; one that
    /// is gone counts as removed. Answered by one [`Event::RoutingDone`].
    fn remove_routing(&mut self, what: &Routing);

    /// Has the kernel drop what `guard` says and nothing else, in order with the requests
    /// about addresses. Answered by one [`Event::GuardDone`], unless a newer one that
    /// follows at once takes its place.
    fn guard(&mut self, guard: &Guard);

    /// The next event; `Ready(None)` once the connection to the kernel is lost for
    /// good. The first event is an [`Event::Snapshot`].
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>>;

    /// Whether requests are still under way.
    fn is_busy(&self) -> bool;
}

/// Which request an [`Event::Done`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// [`Kernel::add_address`].
    Add,
    /// [`Kernel::refresh_address`].
    Refresh,
    /// [`Kernel::remove_address`].
    Remove,
}

/// Who caused a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A request made through this very [`Kernel`].
    Ours,
    /// Somebody else, or the kernel itself (a lifetime ran out).
    Others,
}

/// What the kernel reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The whole state, at the start and after events were lost (`ENOBUFS`).
    Snapshot(Snapshot),
    /// A link is new or changed.
    Link(Link),
    /// A link is gone.
    LinkGone {
        /// Its index.
        index: u32,
    },
    /// An address is new or changed.
    Address(Address),
    /// An address is gone.
    AddressGone {
        /// Which.
        key: AddressKey,
        /// By whose doing.
        origin: Origin,
    },
    /// A route or a rule was set or removed, or could not be.
    RoutingDone {
        /// Which.
        what: Routing,
        /// Whether it was to be set; if not, removed.
        set: bool,
        /// How it went.
        result: Result<(), Error>,
    },
    /// A route or a rule that was set through this very [`Kernel`] is gone without
    /// having been removed through it.
    RoutingGone(Routing),
    /// What was to be leased by [`Kernel::lease_routing`] and [`Kernel::lease_macvlan`] would
    /// outlive the daemon, for that reason.
    Unleased(String),
    /// What is dropped was set, or could not be.
    GuardDone {
        /// What is to be dropped.
        guard: Guard,
        /// How it went.
        result: Result<(), Error>,
    },
    /// A link was made or removed, or could not be.
    LinkDone {
        /// Which.
        link: Macvlan,
        /// Whether it was to be made; if not, removed.
        made: bool,
        /// How it went.
        result: Result<(), Error>,
    },
    /// A request was carried out, failed, or was overtaken by a newer one.
    Done {
        /// What was asked.
        operation: Operation,
        /// For which address.
        key: AddressKey,
        /// How it went.
        result: Result<(), Error>,
    },
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The kernel refused; the number is its `errno`.
    #[error("{}", ErrnoText(*.0))]
    Kernel(i32),
    /// A newer request for the same address came before this one was sent.
    #[error("overtaken by a newer request")]
    Superseded,
    /// A refresh waited longer than the lifetime it asks for.
    #[error("refresh came too late")]
    Late,
    /// The link to build upon is missing.
    #[error("no interface {0}")]
    NoLink(String),
    /// A setting in /proc/sys was refused.
    #[error("{0}")]
    Setting(String),
    /// The netlink connection broke.
    #[error("netlink connection lost: {0}")]
    Connection(String),
}

struct ErrnoText(i32);

impl fmt::Display for ErrnoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", std::io::Error::from_raw_os_error(self.0))
    }
}
