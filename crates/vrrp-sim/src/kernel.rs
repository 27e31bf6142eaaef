//! What the kernel of a node holds: virtual addresses, for a while.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vrrp_core::{Duration, Time};

/// The kernel batches removals: one may come this much early ...
const EARLY: Duration = Duration::from_millis(20);
/// ... or this much late (measured: 2.03 s, 3.18 s and 4.30 s for 2, 3 and 4).
pub(crate) const LATE: Duration = Duration::from_millis(300);

/// The virtual addresses on one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kernel {
    /// The addresses held. The number is new whenever one is set, so that an
    /// expiry belongs to one lease only.
    held: BTreeMap<IpAddr, u64>,
    generation: u64,
}

/// When a lease will end, if nobody refreshes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    pub(crate) at: Time,
    pub(crate) generation: u64,
}

impl Kernel {
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        self.held.contains_key(&address)
    }

    /// Sets or refreshes an address.
    pub(crate) fn set(
        &mut self,
        now: Time,
        address: IpAddr,
        lifetime: Option<u32>,
        random: &mut fastrand::Rng,
    ) -> Option<Expiry> {
        self.generation += 1;
        self.held.insert(address, self.generation);
        lifetime.map(|seconds| {
            let spread = random.u64(0..=(EARLY + LATE).as_nanos());
            let at = now + Duration::from_secs(u64::from(seconds)) - EARLY + Duration(spread);
            Expiry {
                at,
                generation: self.generation,
            }
        })
    }

    pub(crate) fn remove(&mut self, address: IpAddr) {
        self.held.remove(&address);
    }

    /// A lease ended; whether it was the present one.
    pub(crate) fn expire(&mut self, address: IpAddr, generation: u64) -> bool {
        let present = self.held.get(&address) == Some(&generation);
        if present {
            self.remove(address);
        }
        present
    }
}
