//! What follows a failed attempt to connect (`retries`, `option redispatch`).

use crate::record::Cause;
use crate::snapshot::Redispatch;

/// The part of a backend's configuration that decides about failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// `retries`.
    pub(crate) retries: u32,
    /// `option redispatch`.
    pub(crate) redispatch: Redispatch,
    /// `timeout connect` in milliseconds, if set: it also bounds the pause between attempts.
    pub(crate) timeout_connect: Option<u64>,
    /// `option abortonclose`.
    pub(crate) abort_on_close: bool,
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Refused, unreachable or broken.
    Refused,
    /// No answer within `timeout connect`.
    TimedOut,
    /// No socket, port or memory here.
    Resource,
}

impl Failure {
    pub(crate) const fn cause(self) -> Cause {
        match self {
            Self::Refused => Cause::ServerAbort,
            Self::TimedOut => Cause::ServerTimeout,
            Self::Resource => Cause::Resource,
        }
    }
}

/// What the pool looks like at the moment of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Situation {
    /// Usable servers that are no backups.
    pub(crate) active: u32,
    /// The server that failed is still in service.
    pub(crate) server_up: bool,
    /// The algorithm takes turns: any other server is as good.
    pub(crate) takes_turns: bool,
}

/// What to do after a failed attempt. Pauses are in milliseconds, 0 = at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// No attempt is left.
    GiveUp,
    /// The same server again.
    SameServer {
        /// Wait so long first.
        pause: u64,
    },
    /// Let balancing choose again.
    OtherServer {
        /// Wait so long first.
        pause: u64,
    },
}

/// Decides after `made` retries have been made already. A refused connection is most likely
/// refused again, so the same server gets a pause of a second (at most `timeout connect`); a
/// timeout was pause enough.
pub(crate) fn next(failure: Failure, made: u32, situation: Situation, policy: &Policy) -> Next {
    if failure == Failure::Resource || made >= policy.retries {
        return Next::GiveUp;
    }
    let moves = may_move(made + 1, situation, policy);
    let alone = !moves || situation.active <= 1;
    let pause = match failure {
        Failure::Refused if alone => policy.timeout_connect.unwrap_or(1000).min(1000),
        Failure::Refused | Failure::TimedOut | Failure::Resource => 0,
    };
    if moves {
        Next::OtherServer { pause }
    } else {
        Next::SameServer { pause }
    }
}

fn may_move(retry: u32, situation: Situation, policy: &Policy) -> bool {
    let due = match policy.redispatch {
        Redispatch::Off => return false,
        Redispatch::Every(interval) => interval > 0 && retry.is_multiple_of(interval),
        Redispatch::BeforeLast(last) => {
            let interval = (policy.retries + 1).saturating_sub(last);
            interval > 0 && retry.is_multiple_of(interval)
        }
    };
    due || !situation.server_up || (situation.takes_turns && situation.active > 1)
}
