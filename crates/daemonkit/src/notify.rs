//! Messages to the service manager (`sd_notify(3)`).
//!
//! Without `NOTIFY_SOCKET` in the environment all of them do nothing. They are
//! best effort: a service manager that went away stops nothing here.

use sd_notify::NotifyState;

/// `READY=1` and `MAINPID=<this process>`: up, or up again after a reload.
pub fn ready() {
    let pid = std::process::id();
    let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::MainPid(pid)]);
}

/// `RELOADING=1` with the moment it began, which `Type=notify-reload` wants.
pub fn reloading() {
    let _ = match NotifyState::monotonic_usec_now() {
        Ok(moment) => sd_notify::notify(&[NotifyState::Reloading, moment]),
        Err(_) => sd_notify::notify(&[NotifyState::Reloading]),
    };
}

/// `STOPPING=1`.
pub fn stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}

/// `STATUS=<text>`: a line for `systemctl status`.
pub fn status(text: &str) {
    let _ = sd_notify::notify(&[NotifyState::Status(text)]);
}

/// `WATCHDOG=1`: still alive.
pub fn watchdog() {
    let _ = sd_notify::notify(&[NotifyState::Watchdog]);
}
