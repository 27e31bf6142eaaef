//! What must hold of every session, whatever happens to it.

use super::peer::Peer;
use crate::record::{Cause, Stage};
use crate::session::{Actions, Direction, Event, Farewell, Flow, Phase, Session, Side, Unsent};

/// Remembers what has happened to a session so far.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// Bytes read from the client and from the server.
    pub(super) read: [u64; 2],
    fins: [bool; 2],
    ends: [bool; 2],
    /// The server connection was given up, and how its peer was left.
    server: Option<(Peer, Farewell)>,
    attempts: u32,
    /// Whom events have given a reason to blame: client gone, client slow, server gone, server slow.
    reasons: Vec<Cause>,
}

macro_rules! hold {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

impl Witness {
    /// Checks one event and what came of it. `held` is what waited when it came.
    pub(super) fn after(
        &mut self,
        before: &Session,
        event: Event,
        after: &Session,
        actions: Actions,
        held: Unsent,
    ) -> Result<(), String> {
        self.note(event);
        phases(before.phase, after.phase)?;
        for (was, is) in [(before.up, after.up), (before.down, after.down)] {
            hold!(is as u8 >= was as u8, "a direction opens again");
        }
        hold!(
            actions.finish == (after.phase == Phase::Over),
            "over without an end, or the reverse"
        );
        hold!(
            before.termination.cause == Cause::Normal || before.termination == after.termination,
            "the first culprit does not stay"
        );
        let cause = after.termination.cause;
        hold!(
            cause == Cause::Normal || self.reasons.contains(&cause),
            "{cause:?} is blamed without a reason"
        );
        hold!(
            (cause == Cause::Normal) == (after.termination.stage == Stage::Normal)
                || matches!(cause, Cause::Killed | Cause::ServerDown),
            "a culprit without a stage, or the reverse"
        );
        self.fins(after, actions, held)?;
        self.losses(before, event, actions)?;
        hold!(!actions.failed || actions.finish, "failed and goes on");
        hold!(
            !actions.connect || after.phase == Phase::Connecting,
            "connects while {:?}",
            after.phase
        );
        hold!(
            !actions.choose || (before.phase == Phase::Fresh && after.phase == Phase::Waiting),
            "chooses while {:?}",
            before.phase
        );
        if actions.next.is_some() && before.phase == Phase::Connecting {
            self.attempts += 1;
            hold!(after.retries == self.attempts, "retries are miscounted");
        }
        Ok(())
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Ended(Side::Client) => self.ends[0] = true,
            Event::Ended(Side::Server) => self.ends[1] = true,
            _ => {}
        }
        self.reasons.extend(match event {
            Event::Broken(Side::Client) | Event::ClientLeft(_) => Some(Cause::ClientAbort),
            Event::Broken(Side::Server) | Event::ServerDeaf | Event::NoServer => {
                Some(Cause::ServerAbort)
            }
            Event::Failed(failure, _) => Some(failure.cause()),
            Event::QueueTimeout => Some(Cause::ServerTimeout),
            Event::Silent(Side::Client) | Event::Stalled(Side::Client) => {
                Some(Cause::ClientTimeout)
            }
            Event::Silent(Side::Server) | Event::Stalled(Side::Server) => {
                Some(Cause::ServerTimeout)
            }
            Event::Killed(cause) => Some(cause),
            Event::Begun
            | Event::Assigned
            | Event::Connected
            | Event::PauseOver
            | Event::Ended(_)
            | Event::Flushed(_) => None,
        });
    }

    /// A FIN goes out once, after the source's end and behind its last byte. A client that stalls
    /// is the exception: what it does not take is dropped, and it gets the end at once.
    fn fins(&mut self, after: &Session, actions: Actions, held: Unsent) -> Result<(), String> {
        let given_up = after.termination.cause != Cause::Normal;
        let stalled = actions.discard == Some(Direction::Down);
        for (side, shut, waits, ended) in [
            (0, actions.shut_server, held.up, self.ends[0]),
            (1, actions.shut_client, held.down && !stalled, self.ends[1]),
        ] {
            if !shut {
                continue;
            }
            hold!(!self.fins[side], "a second FIN");
            hold!(!waits, "a FIN before the last byte");
            hold!(ended || given_up, "a FIN out of nothing");
            hold!(
                side == 1 || self.server.is_none(),
                "a FIN for a server that is gone"
            );
            self.fins[side] = true;
        }
        Ok(())
    }

    /// Bytes are dropped only when somebody is to blame, and a reset goes out only for a side that
    /// could still be sending or taking.
    fn losses(&self, before: &Session, event: Event, actions: Actions) -> Result<(), String> {
        if actions.discard.is_some() {
            let lost = matches!(
                event,
                Event::Stalled(_) | Event::Broken(Side::Server) | Event::ServerDeaf
            );
            hold!(lost, "{event:?} drops bytes");
        }
        if let Some(farewell) = actions.drop_server {
            // The last event of all may drop a server that is gone already; it changes nothing.
            hold!(
                self.server.is_none() || actions.finish,
                "a server is dropped twice"
            );
            if event == Event::Broken(Side::Client) {
                let expected = if before.down == Flow::Open {
                    Farewell::Reset
                } else {
                    Farewell::Close
                };
                hold!(
                    farewell == expected,
                    "a client's reset becomes {farewell:?}"
                );
            }
        }
        Ok(())
    }

    pub(super) fn server_told(&mut self, server: Peer, farewell: Farewell) {
        self.server = Some((server, farewell));
    }

    /// A session nobody is to blame for has delivered all there was, both ways, and both FINs.
    pub(super) fn at_the_end(&self, session: &Session, client: &Peer) -> Result<(), String> {
        if session.termination.cause != Cause::Normal {
            return Ok(());
        }
        let Some((server, farewell)) = &self.server else {
            return Err("a normal end without a server".into());
        };
        hold!(*farewell == Farewell::Close, "a normal end by a reset");
        hold!(client.fin && server.fin, "a normal end without both FINs");
        let sent = [client.sent, server.sent];
        hold!(
            self.read == sent,
            "{:?} of {sent:?} bytes were read",
            self.read
        );
        let reached = [server.reached(), client.reached()];
        hold!(reached == sent, "{reached:?} of {sent:?} bytes arrived");
        Ok(())
    }
}

/// The ways the drawing at the head of the module shows, and no others.
fn phases(before: Phase, after: Phase) -> Result<(), String> {
    let ways: &[Phase] = match before {
        Phase::Fresh => &[Phase::Waiting],
        Phase::Waiting => &[Phase::Connecting],
        Phase::Connecting => &[Phase::Pausing, Phase::Waiting, Phase::Relaying],
        Phase::Pausing => &[Phase::Waiting, Phase::Connecting],
        Phase::Relaying | Phase::Over => &[],
    };
    let allowed = before == after || after == Phase::Over || ways.contains(&after);
    hold!(allowed, "from {before:?} to {after:?}");
    Ok(())
}
