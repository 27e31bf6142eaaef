//! Scheduling class of the process.

use std::io;

/// Runs the calling thread under `SCHED_RR` with this priority (1..=99);
/// children and new processes fall back to the ordinary class.
///
/// # Errors
/// `EPERM` without `CAP_SYS_NICE`, `EINVAL` outside the range.
pub fn set_round_robin(priority: u8) -> io::Result<()> {
    round_robin(0, priority)
}

/// The same for another thread of this process, by its [`thread_id`].
///
/// # Errors
/// As [`set_round_robin`], and `ESRCH` if there is none.
pub fn set_round_robin_of(thread: i32, priority: u8) -> io::Result<()> {
    // 0 would be the calling one.
    if thread <= 0 {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    round_robin(thread, priority)
}

/// The calling thread's number, as [`set_round_robin_of`] takes it.
#[must_use]
pub fn thread_id() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

fn round_robin(thread: i32, priority: u8) -> io::Result<()> {
    let param = libc::sched_param {
        sched_priority: i32::from(priority),
    };
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the parameter block outlives the call and is only read.
    crate::check(unsafe { libc::sched_setscheduler(thread, policy, &raw const param) })?;
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
            let own = set_round_robin_of(thread_id(), 200).unwrap_err();
            assert_eq!(own.raw_os_error(), error.raw_os_error());
            let nobody = set_round_robin_of(0, 1).unwrap_err();
            assert_eq!(nobody.raw_os_error(), Some(libc::ESRCH));
        })
        .join()
        .unwrap();
    }
}
