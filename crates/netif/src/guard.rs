//! What a host drops of packets for and from addresses it only routes for, by nf_tables.
//!
//! All of it is two tables, one a family, that are replaced whole in one transaction: there is
//! no moment with half of the rules. They belong to the netlink socket that made them
//! (`NFT_TABLE_F_OWNER`): they go with the daemon, however it ends, and a `flush ruleset` of
//! somebody else leaves them alone.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};

use netlink_sys::{Socket, SocketAddr, protocols};

use crate::kernel::Error;
use crate::nft::{Batch, Expression, Family, Hook, Set};

/// `EOPNOTSUPP` and `EINVAL`: a kernel before 5.12 knows no owners.
const NO_OWNERS: [i32; 2] = [95, 22];
/// `ENOENT`
const NO_SUCH_TABLE: i32 = 2;
/// Bytes of one answer; the request is not sent back with it.
const ANSWERS: usize = 64 * 1024;

/// Everything that is to be dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guard {
    /// The tables' name. One that is there from before is replaced.
    pub table: String,
    /// Priority of the chains at their hooks, as the kernel counts it: 0 is `filter`.
    pub priority: i32,
    /// Whether each rule counts packets and bytes.
    pub counters: bool,
    /// Packets to and from these are dropped, except for neighbour discovery.
    pub addresses: Vec<Guarded>,
    /// Links on top of others that hosts learn from nothing but adverts.
    pub virtual_links: Vec<VirtualLink>,
}

/// An address the host does not answer on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guarded {
    /// The address.
    pub address: IpAddr,
    /// The link of one that means something on its link alone (fe80::/10).
    pub link: Option<Side>,
}

/// How a rule names a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// By its name, whichever link has it then.
    Name(String),
    /// By its index.
    Index(u32),
}

/// A link whose reports of group membership go out over the one below: with the link's own
/// hardware address a backup would teach switches where the master is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualLink {
    /// Its index.
    pub index: u32,
    /// The index of the link below.
    pub base: u32,
    /// Whether it speaks IPv6; if not, IPv4.
    pub v6: bool,
}

impl Guard {
    /// Whether there is nothing to do for it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.virtual_links.is_empty()
    }
}

/// The netlink socket that owns the tables.
#[derive(Debug, Default)]
pub(crate) struct Firewall {
    socket: Option<Socket>,
    /// Names of the tables that stand, by family.
    stands: Vec<(Family, String)>,
}

impl Firewall {
    /// Has the kernel drop what `guard` says and nothing else.
    pub(crate) fn set(&mut self, guard: &Guard) -> Result<(), Error> {
        let outcome = match self.replace(guard, true) {
            Err(Error::Kernel(errno)) if NO_OWNERS.contains(&errno) => self.replace(guard, false),
            outcome => outcome,
        };
        if outcome.is_ok() {
            let families = [Family::V4, Family::V6].into_iter();
            let stand = families.filter(|family| !of_family(guard, *family).is_empty());
            self.stands = stand.map(|family| (family, guard.table.clone())).collect();
        }
        outcome
    }

    /// The socket once more: what it owns stays as long as anybody has it.
    pub(crate) fn share(&mut self) -> Option<OwnedFd> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open().ok()?,
        };
        let socket = self.socket.insert(socket);
        socket.as_fd().try_clone_to_owned().ok()
    }

    fn replace(&mut self, guard: &Guard, owned: bool) -> Result<(), Error> {
        for family in [Family::V4, Family::V6] {
            let new = of_family(guard, family);
            let own = |stand: &&(Family, String)| stand.0 == family && stand.1 == guard.table;
            if !new.is_empty() && self.stands.iter().find(own).is_none() {
                // One that another process left behind; whoever still owns it says so.
                let mut batch = Batch::new();
                batch.remove_table(family, &guard.table);
                match self.transact(batch) {
                    Ok(()) | Err(Error::Kernel(NO_SUCH_TABLE)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let mut batch = Batch::new();
        for (family, table) in &self.stands {
            batch.remove_table(*family, table);
        }
        for family in [Family::V4, Family::V6] {
            let new = of_family(guard, family);
            if !new.is_empty() {
                write(&mut batch, family, &new, owned);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.transact(batch)
    }

    /// Sends a transaction; the kernel has carried it out or refused it by the time it is sent.
    fn transact(&mut self, batch: Batch) -> Result<(), Error> {
        let broken = |error: io::Error| match error.raw_os_error() {
            Some(errno) => Error::Kernel(errno),
            None => Error::Connection(error.to_string()),
        };
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open().map_err(broken)?,
        };
        let socket = self.socket.insert(socket);
        socket.send(&batch.finish(), 0).map_err(broken)?;
        let mut outcome = Ok(());
        let mut answers = Vec::with_capacity(ANSWERS);
        // The socket does not wait: what there is to say has been said.
        while socket.recv(&mut answers, 0).is_ok() {
            if let (Some(errno), Ok(())) = (crate::nft::refusal(&answers), &outcome) {
                outcome = Err(Error::Kernel(errno));
            }
            answers.clear();
        }
        outcome
    }
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(protocols::NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    socket.set_cap_ack(true)?;
    Ok(socket)
}

/// The part of one family.
fn of_family(guard: &Guard, family: Family) -> Guard {
    let v6 = family == Family::V6;
    let mut part = guard.clone();
    part.addresses
        .retain(|guarded| guarded.address.is_ipv6() == v6);
    part.virtual_links.retain(|link| link.v6 == v6);
    part.addresses.sort();
    part.addresses.dedup();
    part
}

/// A family's table: its sets, its chains, its rules.
fn write(batch: &mut Batch, family: Family, guard: &Guard, owned: bool) {
    let table = guard.table.as_str();
    batch.add_table(family, table, owned);
    let counted = |mut rule: Vec<Expression>, verdict: Expression| {
        if guard.counters {
            rule.push(Expression::Counter);
        }
        rule.push(verdict);
        rule
    };
    batch.add_chain(family, table, "out", Hook::Out, guard.priority);
    if !guard.virtual_links.is_empty() {
        let links = guard.virtual_links.iter();
        let pairs = links.map(|link| (link.index.to_ne_bytes(), link.base.to_ne_bytes()));
        let map = Set::link_map("vmac_map", pairs.collect());
        batch.add_set(family, table, &map);
        let mut report = Expression::is_report(family);
        report.extend(Expression::goes_out_over_macvlan());
        report.extend(Expression::again_over_base(family, &map));
        let rule = counted(report, Expression::Drop);
        batch.add_rule(family, table, "out", &rule);
        if family == Family::V6 {
            let links = guard.virtual_links.iter();
            let links = links.map(|link| link.index.to_ne_bytes().to_vec());
            let set = Set::links("vmac_set", links.collect());
            batch.add_set(family, table, &set);
            let mut solicit = Expression::is_router_solicitation();
            solicit.extend(Expression::goes_out_over(&set));
            let rule = counted(solicit, Expression::Drop);
            batch.add_rule(family, table, "out", &rule);
        }
    }
    if guard.addresses.is_empty() {
        return;
    }
    batch.add_chain(family, table, "in", Hook::In, guard.priority);
    let mut sets = Vec::new();
    let global = guard.addresses.iter().filter(|one| one.link.is_none());
    let global: Vec<IpAddr> = global.map(|one| one.address).collect();
    if !global.is_empty() {
        sets.push((Set::addresses("vips", family, &global), None));
    }
    let named = |one: &Guarded| matches!(one.link, Some(Side::Name(_)));
    for (name, by_name) in [("vips_link_local_name", true), ("vips_link_local", false)] {
        let local = guard.addresses.iter();
        let local: Vec<&Guarded> = local
            .filter(|one| one.link.is_some() && named(one) == by_name)
            .collect();
        if !local.is_empty() {
            sets.push((
                Set::addresses_on_links(name, by_name, &local),
                Some(by_name),
            ));
        }
    }
    for (set, _) in &sets {
        batch.add_set(family, table, set);
    }
    for (chain, inwards) in [("in", true), ("out", false)] {
        if family == Family::V6 {
            let rule = counted(Expression::is_neighbour_discovery(), Expression::Accept);
            batch.add_rule(family, table, chain, &rule);
        }
        for (set, by_name) in &sets {
            let tests = Expression::address_is_in(family, inwards, *by_name, set);
            batch.add_rule(family, table, chain, &counted(tests, Expression::Drop));
        }
    }
}
