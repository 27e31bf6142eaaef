//! What a virtual router wants done.

use std::net::IpAddr;

use vrrp_proto::vrrp::Advert;

use crate::log::LogLine;
use crate::settings::Address;
use crate::state::State;

/// A side effect as data. A driver performs actions in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this advert to the group, or to each unicast peer.
    SendAdvert(Advert),
    /// Send one gratuitous ARP (IPv4) or unsolicited neighbour advertisement
    /// (IPv6) for `address` out of `interface`.
    SendGarp {
        /// The address announced.
        address: IpAddr,
        /// The interface it is announced on.
        interface: String,
    },
    /// Set an address; it is no error if it is there already.
    AddAddress {
        /// What to set.
        address: Address,
        /// Kernel lifetime in whole seconds; `None` for good.
        lifetime: Option<u32>,
    },
    /// Begin the kernel lifetime of an address anew; if it is gone, set it.
    RefreshAddress {
        /// What to refresh.
        address: Address,
        /// Kernel lifetime in whole seconds.
        lifetime: u32,
    },
    /// Remove an address; it is no error if it is not there.
    RemoveAddress(Address),
    /// Set the virtual routes and, behind them, the virtual rules of the
    /// router, which the driver knows; what is there already is no error. At a
    /// reload of a master the driver itself sets what is new and removes what
    /// is no longer configured.
    SetRoutes,
    /// Remove the virtual rules and then the virtual routes that are set for
    /// the router, whatever its settings say by now; what is not there is no
    /// error.
    RemoveRoutes,
    /// Tell scripts and FIFOs.
    Notify {
        /// What happened.
        what: Notification,
        /// The effective priority.
        priority: u8,
    },
    /// Write a line to the log.
    Log(LogLine),
}

/// What a notify script or FIFO is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notification {
    /// The router entered this state. [`State::Init`] is never told. Right
    /// after the start an unhealthy router tells [`State::Fault`] although no
    /// log line says so.
    Entered(State),
    /// The router stopped.
    Stop,
    /// As master it heard an advert of lower priority.
    MasterReceivedLowerPriority,
    /// Its effective priority changed in this state.
    PriorityChanged(State),
}
