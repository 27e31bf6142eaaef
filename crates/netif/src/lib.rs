//! Links, addresses, routes, rules and what the host drops, behind one trait.
//!
//! [`Kernel`] is what a daemon's loop talks to: it hands over address requests
//! without ever waiting for them, and reads back what the kernel reports.
//! [`RtNetlink`] does it over rtnetlink on a thread of its own, because a netlink
//! send blocks inside the kernel for as long as anybody else holds the routing
//! lock; [`Fake`] does it in memory and can be told to fail.
//!
//! The daemon mirrors the kernel in a [`View`], fed by the same events.
//!
//! Nothing here refreshes an address by itself: the lifetime of a leased address
//! is only ever prolonged by a request from the daemon's loop, and a request that
//! waited too long is dropped instead of being carried out late. That is what
//! makes the lease a proof of life of the loop and not of some thread.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod fake;
mod guard;
mod kernel;
mod macvlan;
mod model;
mod nft;
mod queue;
mod refresh;
mod routing;
mod rtnl;
mod view;
mod warden;
mod watch;
mod wording;

pub use fake::{Fake, FakeHandle};
pub use guard::{Guard, Guarded, Side, VirtualLink};
pub use kernel::{Error, Event, Kernel, Operation, Origin};
pub use model::{Address, AddressFlags, AddressKey, AddressSpec, Link, Macvlan, Scope, Snapshot};
pub use routing::{Hop, Network, RouteSpec, Routing, RuleSpec};
pub use rtnl::RtNetlink;
pub use view::{Change, View};
pub use warden::{Program, watch};
