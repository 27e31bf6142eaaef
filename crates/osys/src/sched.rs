//! Scheduling class of the process.

use std::io;

/// Runs the calling thread under `SCHED_RR` with this priority (1..=99);
/// children and new processes fall back to the ordinary class.
///
/// # Errors
/// `EPERM` without `CAP_SYS_NICE`, `EINVAL` outside the range.
pub fn set_round_robin(priority: u8) -> io::Result<()> {
    let param = libc::sched_param {
        sched_priority: i32::from(priority),
    };
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the parameter block outlives the call and is only read.
    crate::check(unsafe { libc::sched_setscheduler(0, policy, &raw const param) })?;
    Ok(())
}

/// Puts the calling thread back into the ordinary time-sharing class.
///
/// # Errors
/// As `sched_setscheduler(2)`.
pub fn set_ordinary() -> io::Result<()> {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameter block outlives the call and is only read.
    crate::check(unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const param) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_outside_the_range_are_refused() {
        std::thread::spawn(|| {
            let error = set_round_robin(200).unwrap_err();
            assert!(matches!(
                error.raw_os_error(),
                Some(libc::EINVAL | libc::EPERM)
            ));
            set_ordinary().unwrap();
        })
        .join()
        .unwrap();
    }
}
