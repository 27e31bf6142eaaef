//! Local time, as `localtime_r(3)` gives it.

/// A moment broken down in the host's time zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalTime {
    /// Year of our era.
    pub year: i32,
    /// Month, 1..=12.
    pub month: u8,
    /// Day of the month, 1..=31.
    pub day: u8,
    /// Hour, 0..=23.
    pub hour: u8,
    /// Minute, 0..=59.
    pub minute: u8,
    /// Second, 0..=60.
    pub second: u8,
    /// Day of the week, 0 is Sunday.
    pub weekday: u8,
    /// Seconds east of UTC.
    pub utc_offset: i32,
}

/// Reads the time zone of the host.
///
/// Call it before `chroot(2)`: afterwards `/etc/localtime` may be out of reach.
pub fn load_zone() {
    unsafe extern "C" {
        fn tzset();
    }
    // SAFETY: tzset takes no argument; it is called at start with one thread,
    // so nobody changes the environment while it reads TZ.
    unsafe { tzset() }
}

/// Breaks `seconds` since 1970 UTC down in the local time zone.
///
/// A moment no calendar can hold gives the year 1900. Each thread remembers the last second it
/// asked for: log lines of one second need the zone's rules once.
pub fn local(seconds: i64) -> LocalTime {
    thread_local! {
        static LAST: std::cell::Cell<Option<(i64, LocalTime)>> =
            const { std::cell::Cell::new(None) };
    }
    match LAST.get() {
        Some((last, known)) if last == seconds => known,
        _ => {
            let broken = break_down(seconds);
            LAST.set(Some((seconds, broken)));
            broken
        }
    }
}

fn break_down(seconds: i64) -> LocalTime {
    // SAFETY: an all-zero `tm` is valid, its only pointer may be null.
    let mut broken: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of this frame, and localtime_r
    // keeps no reference to them.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut broken) };
    let small = |value: libc::c_int| u8::try_from(value).unwrap_or_default();
    LocalTime {
        year: broken.tm_year.saturating_add(1900),
        month: small(broken.tm_mon).saturating_add(1),
        day: small(broken.tm_mday),
        hour: small(broken.tm_hour),
        minute: small(broken.tm_min),
        second: small(broken.tm_sec),
        weekday: small(broken.tm_wday),
        utc_offset: i32::try_from(broken.tm_gmtoff).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_moment_is_broken_down() {
        load_zone();
        // 2001-09-09T01:46:40Z; the offset undoes whatever zone the host has.
        let probe = local(1_000_000_000);
        assert_eq!(local(1_000_000_000), probe, "remembered");
        assert_ne!(local(1_000_000_001), probe);
        let utc = local(1_000_000_000 - i64::from(probe.utc_offset));
        assert_eq!((utc.year, utc.month, utc.day), (2001, 9, 9));
        assert_eq!((utc.hour, utc.minute, utc.second), (1, 46, 40));
        assert_eq!(utc.weekday, 0);
    }
}
