//! What has to be true of a connection that is over.
//!
//! Without an abort on either side everything is exact: every byte and both FINs arrive, there is no
//! reset, and the record says `--` with the right counts. After an abort (a reset, or a close that
//! leaves something unread) the rules are these, as observed with HAProxy 2.6:
//!
//! 1. What was received is the beginning of what was sent, and the record's counts lie between what
//!    the other side got and what was sent.
//! 2. A side that is still there always learns of the end.
//! 3. A client's reset becomes a reset at the server, unless the server had sent its FIN already:
//!    then its connection is merely closed.
//! 4. A server's reset becomes a FIN at the client, after all that was read from the server. Only a
//!    client that sends what no server takes any more gets a reset for it, as from any closed peer.
//! 5. A plain close is a FIN: as long as nothing comes for the side that has closed, all that it sent
//!    arrives, and the end is an ordinary one.
//!    A kernel without room to remember closed connections answers even an acknowledgement with a
//!    reset then: all has arrived all the same, but the relay cannot know that nobody meant it.
//! 6. The record blames the side that aborted (the first one, if both did), or nobody if both
//!    directions were complete before the abort was seen.

use std::sync::LazyLock;

use relay::{Cause, Peer as Address, Stage};

use crate::field::Record;
use crate::peer::{End, Peer};
use crate::plan::How;

/// Both ends of a connection and what the relay said of it. The server is missing if the relay never
/// came to it.
#[derive(Debug)]
pub struct Case<'a> {
    pub client: &'a Peer,
    pub server: Option<&'a Peer>,
    pub record: &'a Record,
    pub address: Address,
}

macro_rules! hold {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

/// What may happen besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Nothing: timeouts are out of reach.
    Strict,
    /// Timeouts as short as stalls: any session may be ended for its silence. Whoever is blamed for
    /// that, nothing is lost unnoticed.
    Timeouts,
}

pub fn judge(case: &Case<'_>, rules: Rules) -> Result<(), String> {
    let record = case.record;
    hold!(
        record.client == case.address,
        "the record is of another client"
    );
    hold!(record.retries == 0, "there were retries");
    let timed_out = matches!(
        record.termination.cause,
        Cause::ClientTimeout | Cause::ServerTimeout
    );
    if timed_out && rules == Rules::Timeouts {
        return case
            .server
            .map_or(Ok(()), |server| within(case.client, server, record));
    }
    let aborted = (
        case.client.aborted.is_some(),
        case.server.is_some_and(|server| server.aborted.is_some()),
    );
    match (case.server, aborted) {
        (Some(server), (false, false)) => exact(case.client, server, record),
        (Some(server), _) => after_abort(case.client, server, record),
        (None, (false, _)) => Err("the relay never came to the server".into()),
        (None, (true, _)) => without_server(record),
    }
}

/// Nobody aborted.
fn exact(client: &Peer, server: &Peer, record: &Record) -> Result<(), String> {
    for (name, from, to) in [("up", client, server), ("down", server, client)] {
        hold!(from.write_error.is_none(), "{name}: writing failed");
        hold!(
            to.received == from.sent,
            "{name}: {} bytes of {} arrived",
            to.received,
            from.sent
        );
        hold!(to.end == Some(End::Fin), "{name}: ended with {:?}", to.end);
    }
    hold!(
        (record.bytes_in, record.bytes_out) == (client.sent, server.sent),
        "the record's counts are wrong"
    );
    hold!(
        (record.termination.cause, record.termination.stage) == (Cause::Normal, Stage::Normal),
        "the record says {}",
        record.termination
    );
    Ok(())
}

/// Nothing but beginnings arrived, nothing was counted that was not, and everybody knows the end.
fn within(client: &Peer, server: &Peer, record: &Record) -> Result<(), String> {
    between("up", server.received, record.bytes_in, client.sent)?;
    between("down", client.received, record.bytes_out, server.sent)?;
    for (name, peer) in [("client", client), ("server", server)] {
        hold!(
            peer.aborted.is_some() || peer.end.is_some(),
            "the {name} was left in the dark"
        );
    }
    Ok(())
}

fn after_abort(client: &Peer, server: &Peer, record: &Record) -> Result<(), String> {
    within(client, server, record)?;
    let cause = record.termination.cause;
    let blamed = match cause {
        Cause::ClientAbort => client.aborted.is_some(),
        Cause::ServerAbort => server.aborted.is_some(),
        Cause::Normal => true,
        _ => false,
    };
    hold!(blamed, "the record blames {cause:?}");
    if cause == Cause::Normal {
        hold!(
            client.aborted != Some(How::Reset) || client.fin_sent,
            "a reset of the client's before its FIN went unnoticed"
        );
        hold!(
            server.aborted != Some(How::Reset) || server.fin_sent,
            "a reset of the server's before its FIN went unnoticed"
        );
    }
    if server.aborted.is_none() {
        client_aborted(client, server, record)?;
    }
    if client.aborted.is_none() {
        server_aborted(client, server, record)?;
    }
    Ok(())
}

/// What the server saw of a client's abort.
fn client_aborted(client: &Peer, server: &Peer, record: &Record) -> Result<(), String> {
    if server.end == Some(End::Fin) && server.heard_first && record.connected {
        hold!(
            client.aborted == Some(How::Close) || client.fin_sent,
            "the client's reset became a FIN"
        );
        hold!(
            server.received == client.sent,
            "the server got a FIN after {} of {} bytes",
            server.received,
            client.sent
        );
    }
    if client.aborted == Some(How::Close) && server.sent == 0 && client.sent > 0 {
        hold!(
            server.received == client.sent && server.end == Some(End::Fin),
            "{} of {} bytes and {:?} came of a plain close",
            server.received,
            client.sent,
            server.end
        );
        hold!(
            ordinary(record, Cause::ClientAbort),
            "a plain close is logged as {}",
            record.termination
        );
    }
    Ok(())
}

/// What the client saw of a server's abort.
fn server_aborted(client: &Peer, server: &Peer, record: &Record) -> Result<(), String> {
    if client.sent > server.received {
        return Ok(());
    }
    hold!(
        client.end == Some(End::Fin),
        "the server's end became a reset"
    );
    hold!(
        client.received == record.bytes_out,
        "{} of {} bytes read were delivered",
        client.received,
        record.bytes_out
    );
    if server.aborted == Some(How::Close) {
        hold!(
            client.received == server.sent && ordinary(record, Cause::ServerAbort),
            "{} of {} bytes and {} came of a plain close",
            client.received,
            server.sent,
            record.termination
        );
    }
    Ok(())
}

/// Whether the record blames nobody, or the side that the kernel has forgotten.
fn ordinary(record: &Record, forgotten: Cause) -> bool {
    let cause = record.termination.cause;
    cause == Cause::Normal || (cause == forgotten && forgotten_connections() > *FORGOTTEN_BEFORE)
}

/// What was forgotten before the first run of this process.
pub static FORGOTTEN_BEFORE: LazyLock<u64> = LazyLock::new(forgotten_connections);

/// Connections whose ends the kernel had no room to remember, since the machine started.
fn forgotten_connections() -> u64 {
    let text = std::fs::read_to_string("/proc/self/net/netstat").unwrap_or_default();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let mut both = names.split_whitespace().zip(values.split_whitespace());
    both.find(|(name, _)| *name == "TCPTimeWaitOverflow")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0)
}

/// The client was gone before the server connection stood.
fn without_server(record: &Record) -> Result<(), String> {
    hold!(!record.connected, "a connected server that nobody saw");
    hold!(
        record.termination.cause == Cause::ClientAbort,
        "the record says {}",
        record.termination
    );
    hold!(record.bytes_out == 0, "bytes from nowhere");
    Ok(())
}

fn between(name: &str, got: u64, counted: u64, sent: u64) -> Result<(), String> {
    hold!(
        got <= counted && counted <= sent,
        "{name}: {got} received, {counted} in the record, {sent} sent"
    );
    Ok(())
}
