//! Signals for a process without an event loop, such as a master that only
//! waits for its workers. Event-driven processes use `tokio::signal`.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Signals that are held back from their usual action and read one by one.
///
/// They stay blocked when the value is dropped, and across `fork` and
/// `execve`: none is lost while a new image of the program starts. A child
/// that shall react to them calls [`unblock_all`].
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
}

impl Signals {
    /// Blocks these signals in the calling thread and starts to read them.
    ///
    /// # Errors
    /// As `signalfd(2)`.
    pub fn block(signals: &[Signal]) -> io::Result<Self> {
        let set: SigSet = signals.iter().copied().collect();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = SignalFd::with_flags(&set, flags)?;
        Ok(Self { descriptor })
    }

    /// Waits for one of them, at most this long; `None` waits for ever.
    ///
    /// # Errors
    /// As `poll(2)` and `read(2)`; an interruption is no error.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<Option<Signal>> {
        let timeout = timeout.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        });
        let mut fds = [PollFd::from_borrowed_fd(
            self.descriptor.as_fd(),
            PollFlags::IN,
        )];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(info) = self.descriptor.read_signal()? else {
            return Ok(None);
        };
        let number = i32::try_from(info.ssi_signo).unwrap_or_default();
        Ok(Signal::try_from(number).ok())
    }
}

/// Lets every signal through again.
///
/// # Errors
/// As `sigprocmask(2)`.
pub fn unblock_all() -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_signals_are_read_in_turn() {
        std::thread::spawn(|| {
            let signals = Signals::block(&[Signal::SIGUSR2]).unwrap();
            assert_eq!(signals.wait(Some(Duration::ZERO)).unwrap(), None);
            // `raise` signals the calling thread alone.
            nix::sys::signal::raise(Signal::SIGUSR2).unwrap();
            let got = signals.wait(Some(Duration::from_secs(5))).unwrap();
            assert_eq!(got, Some(Signal::SIGUSR2));
            assert_eq!(signals.wait(Some(Duration::ZERO)).unwrap(), None);
            unblock_all().unwrap();
        })
        .join()
        .unwrap();
    }
}
