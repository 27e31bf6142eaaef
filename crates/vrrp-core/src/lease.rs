//! How long the kernel keeps a virtual address that nobody refreshes.
//!
//! A router that is killed or hangs can remove nothing, so its addresses are
//! set with a lifetime L and refreshed while it is alive. Three rules bind L,
//! with A the advertisement interval, D the adverts a backup waits for
//! (`down_timer_adverts`, normally 3), and r the time between two refreshes:
//!
//! 1. *No second owner.* A backup takes over D * A + skew after the last
//!    advert. Addresses are refreshed together with every advert, so after the
//!    last one they live for L: L <= D * A means that they are gone first, but
//!    for the kernel's lateness. The kernel removes an address up to 0.3 s
//!    after its lifetime ended, IPv4 and IPv6 alike; the skew covers this in
//!    version 2 for priorities up to about 180. For higher ones, and in version
//!    3 with short intervals, two owners may be seen for up to 0.3 s.
//! 2. *No loss while alive.* L > 2 r: one late or lost refresh costs nothing.
//! 3. *Whole seconds*, as the kernel counts them. A single second would leave a
//!    busy machine no slack when it is refreshed each second, so it is
//!    [`MIN_LEASE_SECONDS`] at least unless rule 1 wants one second.
//!
//! So L = D * A rounded down, 3 s for `advert_int 1`, 30 s for
//! `advert_int 10`, and r = A. For a shorter L, r is the largest A / k with
//! L > 2 r. A refresh between two adverts lengthens the stay after the last
//! advert to L + A - r, which for D = 3 is below 3 A whenever k > 1 (k = 2
//! needs L <= 2 A, and 2 A + A / 2 < 3 A), so rule 1 still holds.
//!
//! # Short intervals
//!
//! With D * A below two seconds L is one second, the least there is. Down to
//! D * A = 1 s, `advert_int 0.34`, rule 1 holds. Below, the lifetime outlasts
//! the wait of the backups: after a kill the addresses of `advert_int 0.1` are
//! on two hosts for 0.7 s to 1 s (without a lease: until somebody comes).
//! Nothing finer exists in the kernel, and to give an address up between two
//! adverts of a living master would be worse; the announcements of the new
//! owner win meanwhile. [`Instance::safe_lease`] is `None` there, so that a
//! driver can say so.
//!
//! Rule 1 gives way to rules 2 and 3 as well with `down_timer_adverts` 1 or 2:
//! the overlap is then at most L.

use crate::settings::Instance;
use crate::time::Duration;

/// The shortest lifetime used, in seconds, where the interval allows it; see the
/// module's text on short intervals.
pub const MIN_LEASE_SECONDS: u32 = 2;
/// The shortest lifetime the kernel knows.
const SHORTEST: u32 = 1;

/// `vrrp_address_lease` in `global_defs`: the kernel lifetime of virtual
/// addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Lease {
    /// The longest safe one: 3 s at `advert_int 1`.
    #[default]
    Auto,
    /// This many seconds, raised to what is possible: [`MIN_LEASE_SECONDS`], or
    /// one second if a backup waits for less than that.
    Seconds(u32),
    /// Addresses are set for good.
    Off,
}

/// A lifetime and how often it is begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeasePlan {
    /// Kernel lifetime in whole seconds.
    pub lifetime: u32,
    /// Time between two refreshes; a whole part of the advertisement interval.
    pub refresh: Duration,
}

impl Instance {
    /// The lease in force; `None` if addresses are set for good.
    #[must_use]
    pub fn lease_plan(&self) -> Option<LeasePlan> {
        let lifetime = match self.lease {
            Lease::Auto => whole_seconds(self.silence()),
            Lease::Seconds(seconds) => seconds,
            Lease::Off => return None,
        }
        .max(self.least_lease());
        let twice = self.advert_interval.times(2).as_nanos();
        let lifetime_nanos = Duration::from_secs(u64::from(lifetime)).as_nanos();
        // The smallest k with lifetime > 2 * interval / k; never zero parts.
        let parts = twice / lifetime_nanos + 1;
        Some(LeasePlan {
            lifetime,
            refresh: self.advert_interval.part(parts),
        })
    }

    /// The longest lifetime in seconds that ends before any backup with the
    /// same settings takes over; `None` if there is none that is also long
    /// enough for a living master.
    #[must_use]
    pub fn safe_lease(&self) -> Option<u32> {
        let seconds = whole_seconds(self.silence());
        (seconds >= self.least_lease() && self.down_timer_adverts >= 3).then_some(seconds)
    }

    fn least_lease(&self) -> u32 {
        let waits = Duration::from_secs(u64::from(MIN_LEASE_SECONDS));
        if self.down_timer_adverts >= 3 && self.silence() < waits {
            SHORTEST
        } else {
            MIN_LEASE_SECONDS
        }
    }
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use super::*;

    fn plan(interval: Duration, adverts: u8, lease: Lease) -> Option<(u32, Duration)> {
        let mut instance = Instance::new("V", "eth0", NonZeroU8::MIN);
        instance.advert_interval = interval;
        instance.down_timer_adverts = adverts;
        instance.lease = lease;
        instance
            .lease_plan()
            .map(|plan| (plan.lifetime, plan.refresh))
    }

    #[test]
    fn the_default_is_three_adverts() {
        let second = Duration::from_secs(1);
        assert_eq!(plan(second, 3, Lease::Auto), Some((3, second)));
        assert_eq!(
            plan(Duration::from_secs(10), 3, Lease::Auto),
            Some((30, Duration::from_secs(10)))
        );
        assert_eq!(plan(second, 3, Lease::Off), None);
        // Shorter than the kernel can count: the least it can.
        let tenth = Duration::from_millis(100);
        assert_eq!(plan(tenth, 3, Lease::Auto), Some((1, tenth)));
        assert_eq!(
            plan(Duration::from_millis(500), 3, Lease::Auto),
            Some((1, Duration::from_millis(250)))
        );
        let longer = Duration::from_millis(700);
        assert_eq!(plan(longer, 3, Lease::Auto), Some((2, longer)));
        assert_eq!(
            plan(second, 1, Lease::Auto),
            Some((2, Duration::from_millis(500)))
        );
        assert_eq!(
            plan(second, 3, Lease::Seconds(0)),
            Some((2, Duration::from_millis(500)))
        );
    }

    #[test]
    fn the_three_rules_hold_for_every_interval_and_lease() {
        for interval in 1..=255_u64 {
            let advert = Duration::from_secs(interval);
            for lease in [Lease::Auto]
                .into_iter()
                .chain((1..=u32::try_from(interval).unwrap() * 3).map(Lease::Seconds))
            {
                let (lifetime, refresh) = plan(advert, 3, lease).unwrap();
                let life = Duration::from_secs(u64::from(lifetime));
                assert!(lifetime >= MIN_LEASE_SECONDS);
                assert!(
                    life > refresh.times(2),
                    "{interval} {lease:?}: two refreshes fit"
                );
                assert!(refresh <= advert);
                // Hung right after the last refresh before the next advert.
                let after_last_advert = life + (advert - refresh);
                assert!(
                    after_last_advert <= advert.times(3),
                    "{interval} {lease:?}: gone in time"
                );
            }
        }
    }

    #[test]
    fn short_intervals_keep_the_rules_down_to_a_third_of_a_second() {
        for hundredths in 1..=300_u64 {
            let advert = Duration::from_millis(hundredths * 10);
            let (lifetime, refresh) = plan(advert, 3, Lease::Auto).unwrap();
            let life = Duration::from_secs(u64::from(lifetime));
            assert!(life > refresh.times(2), "{advert}: two refreshes fit");
            assert!(refresh <= advert);
            let after_last_advert = life + (advert - refresh);
            assert_eq!(
                after_last_advert <= advert.times(3),
                hundredths >= 34,
                "{advert}: gone in time"
            );
        }
    }

    #[test]
    fn what_is_safe() {
        let mut instance = Instance::new("V", "eth0", NonZeroU8::MIN);
        assert_eq!(instance.safe_lease(), Some(3));
        instance.down_timer_adverts = 1;
        assert_eq!(instance.safe_lease(), None);
        instance.down_timer_adverts = 3;
        instance.advert_interval = Duration::from_millis(100);
        assert_eq!(instance.safe_lease(), None);
    }
}
