//! Processes: fork, and what `prctl(2)` says about this one.

use std::io;
use std::os::unix::process::CommandExt as _;

use nix::unistd::{ForkResult, Pid};

/// Which side of a [`fork`] the caller is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// The caller, with the new process' id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Splits the process in two.
///
/// # Errors
/// `EBUSY` if the process already has several threads: in the copy every lock
/// another thread held would stay locked for ever. Otherwise as `fork(2)`.
pub fn fork() -> io::Result<Fork> {
    if thread_count().is_some_and(|threads| threads != 1) {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    // SAFETY: with one thread there is no lock the copy could find taken by
    // somebody who does not exist in it.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Fork::Parent(child)),
        ForkResult::Child => Ok(Fork::Child),
    }
}

/// How many threads this process has; `None` where `/proc` is not mounted.
pub fn thread_count() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

/// Whether a core dump is written when the process dies by a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreDump {
    /// Allowed again, although the user id changed.
    Enabled,
    /// Refused.
    Disabled,
}

/// `PR_SET_DUMPABLE`: keeps or refuses core dumps after a change of user.
///
/// # Errors
/// As `prctl(2)`.
pub fn set_core_dump(core: CoreDump) -> io::Result<()> {
    let value: libc::c_ulong = match core {
        CoreDump::Enabled => 1,
        CoreDump::Disabled => 0,
    };
    // SAFETY: this prctl takes one integer and touches no memory of ours.
    crate::check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, value, 0, 0, 0) })?;
    Ok(())
}

/// `PR_SET_NO_NEW_PRIVS`: from now on no `execve` of this process or its
/// children raises privileges. Cannot be undone.
///
/// # Errors
/// As `prctl(2)`.
pub fn set_no_new_privileges() -> io::Result<()> {
    // SAFETY: this prctl takes integers only and touches no memory of ours.
    crate::check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    Ok(())
}

/// `PR_SET_PDEATHSIG`: the signal this process gets when its parent dies.
/// Survives neither `fork` nor a change of user id.
///
/// # Errors
/// As `prctl(2)`.
pub fn set_parent_death_signal(signal: nix::sys::signal::Signal) -> io::Result<()> {
    // SAFETY: this prctl takes one integer and touches no memory of ours.
    crate::check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong, 0, 0, 0) })?;
    Ok(())
}

/// What this command starts gets `signal` when the thread that starts it ends: also when its
/// whole process is killed. A program that raises its privileges loses that again.
pub fn end_with_starter(command: &mut std::process::Command, signal: nix::sys::signal::Signal) {
    // SAFETY: between `fork` and `execve` this makes one system call, allocates nothing and
    // takes no lock.
    unsafe { command.pre_exec(move || set_parent_death_signal(signal)) };
}

/// `PR_SET_NAME` for the calling thread: the name in `/proc/PID/comm`, cut to
/// 15 bytes. Threads started later inherit it.
///
/// # Errors
/// As `prctl(2)`.
pub fn set_thread_name(name: &std::ffi::CStr) -> io::Result<()> {
    // SAFETY: the pointer is to a terminated string that outlives the call;
    // the kernel copies at most 16 bytes of it.
    crate::check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) })?;
    Ok(())
}

/// Gives faults (SIGSEGV, SIGBUS) their default action again: the process dies
/// by the signal. The Rust runtime's handler swallows the first one that
/// another process sends.
///
/// # Errors
/// As `sigaction(2)`.
pub fn default_fault_action() -> io::Result<()> {
    use nix::sys::signal::{SigHandler, Signal, signal};
    for which in [Signal::SIGSEGV, Signal::SIGBUS] {
        // SAFETY: the default action runs no code of ours.
        unsafe { signal(which, SigHandler::SigDfl) }?;
    }
    Ok(())
}

/// Keeps all memory of the process, mapped now or later, from being paged out.
///
/// # Errors
/// As `mlockall(2)`: `ENOMEM` beyond the limit, `EPERM` without privilege.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: locking pages changes no content and takes no pointer.
    crate::check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) })?;
    Ok(())
}

/// Undoes [`lock_memory`].
///
/// # Errors
/// As `munlockall(2)`.
pub fn unlock_memory() -> io::Result<()> {
    // SAFETY: unlocking pages changes no content and takes no pointer.
    crate::check(unsafe { libc::munlockall() })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_started_ends_with_it() {
        use nix::sys::signal::Signal;
        use std::os::unix::process::ExitStatusExt as _;
        let starter = std::thread::spawn(|| {
            let mut command = std::process::Command::new("/bin/sleep");
            end_with_starter(command.arg("600"), Signal::SIGTERM);
            command.spawn().unwrap()
        });
        let mut child = starter.join().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn fork_is_refused_beside_other_threads() {
        // The test harness runs this test on a thread of its own.
        let error = fork().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
    }

    #[test]
    fn names_are_cut_by_the_kernel() {
        std::thread::spawn(|| {
            set_thread_name(c"a-name-of-twenty-chr").unwrap();
            let tid = nix::unistd::gettid();
            let comm = std::fs::read_to_string(format!("/proc/self/task/{tid}/comm")).unwrap();
            assert_eq!(comm, "a-name-of-twent\n");
        })
        .join()
        .unwrap();
    }

    #[test]
    fn flags_of_the_process_are_set() {
        std::thread::spawn(|| {
            set_no_new_privileges().unwrap();
            let tid = nix::unistd::gettid();
            let status = std::fs::read_to_string(format!("/proc/self/task/{tid}/status")).unwrap();
            assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
        })
        .join()
        .unwrap();
        set_core_dump(CoreDump::Disabled).unwrap();
        set_core_dump(CoreDump::Enabled).unwrap();
        set_parent_death_signal(nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    #[test]
    fn faults_sent_from_outside_are_fatal_again() {
        default_fault_action().unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:\t"))
            .unwrap();
        let caught = u64::from_str_radix(caught, 16).unwrap();
        let bits = [libc::SIGSEGV, libc::SIGBUS].map(|signal| 1_u64 << (signal - 1));
        assert_eq!(bits.map(|bit| caught & bit), [0, 0]);
    }

    #[test]
    fn memory_is_locked_or_the_reason_is_told() {
        match lock_memory() {
            Ok(()) => unlock_memory().unwrap(),
            Err(error) => assert!(matches!(
                error.raw_os_error(),
                Some(libc::EPERM | libc::ENOMEM | libc::EAGAIN)
            )),
        }
    }
}
