//! A laboratory for pairs of load balancers: hosts made of Linux namespaces,
//! joined by virtual wires, in which our daemons and the originals run
//! side by side.
//!
//! - [`lab`] makes hosts and wires and takes all of them away again;
//! - [`host`] starts programs inside a host and looks at them;
//! - [`pair`] is the owner's set-up: two balancers, three API-server stand-ins, one client;
//! - [`duel`] is two routers and nothing else: every way to speak VRRP, every trouble;
//! - [`ground`] is two hosts and what lies in their kernels beside the addresses;
//! - [`owners`] tells who held the virtual address when;
//! - [`traffic`] tells which backend answered the client, how fast, and what was lost;
//! - [`capture`] records the wire and asks tshark what it thinks of it.
//!
//! Nothing of the machine's own network is touched: every host has its own
//! network, mount, process, host-name and IPC namespace, and what the lab puts on disk
//! lives in one temporary directory. A lab ends with the value that holds it,
//! and with the process that made it, however that process ends.
#![warn(missing_docs)]

pub mod binaries;
pub mod capture;
pub mod clock;
pub mod differential;
pub mod duel;
pub mod fixtures;
pub mod forgery;
pub mod ground;
pub mod host;
pub mod lab;
pub mod node;
pub mod owners;
pub mod pair;
pub mod pki;
pub mod protocol;
pub mod scenario;
pub mod syslog;
pub mod task;
pub mod traffic;
pub mod wait;
