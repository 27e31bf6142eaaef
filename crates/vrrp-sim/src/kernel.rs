//! What the kernel of a node holds: the virtual address, for a while.

use vrrp_core::{Duration, Time};

/// The kernel batches removals: one may come this much early ...
const EARLY: Duration = Duration::from_millis(20);
/// ... or this much late (measured: 2.03 s, 3.18 s and 4.30 s for 2, 3 and 4).
pub(crate) const LATE: Duration = Duration::from_millis(300);

/// The virtual address on one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kernel {
    held: bool,
    /// Set anew whenever the address is set or removed, so that an expiry
    /// belongs to one lease only.
    generation: u64,
}

/// When a lease will end, if nobody refreshes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    pub(crate) at: Time,
    pub(crate) generation: u64,
}

impl Kernel {
    pub(crate) const fn holds(&self) -> bool {
        self.held
    }

    /// Sets or refreshes the address.
    pub(crate) fn set(
        &mut self,
        now: Time,
        lifetime: Option<u32>,
        random: &mut fastrand::Rng,
    ) -> Option<Expiry> {
        self.held = true;
        self.generation += 1;
        lifetime.map(|seconds| {
            let spread = random.u64(0..=(EARLY + LATE).as_nanos());
            let at = now + Duration::from_secs(u64::from(seconds)) - EARLY + Duration(spread);
            Expiry {
                at,
                generation: self.generation,
            }
        })
    }

    pub(crate) fn remove(&mut self) {
        self.held = false;
        self.generation += 1;
    }

    /// A lease ended; whether it was the present one.
    pub(crate) fn expire(&mut self, generation: u64) -> bool {
        let present = self.held && self.generation == generation;
        if present {
            self.remove();
        }
        present
    }
}
