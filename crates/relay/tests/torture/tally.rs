//! What a run has covered.

use std::time::Duration;

use relay::{Cause, Stage};

use crate::peer::{End, Peer};
use crate::plan::{How, Kind, Plan};
use crate::verdict::Case;

/// Counts of connections, unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub connections: u64,
    /// Received and checked at the servers, and at the clients.
    pub bytes_up: u64,
    pub bytes_down: u64,
    /// According to the records.
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Not a byte either way, and both ends in order.
    pub nothing: u64,
    pub large: u64,
    pub switching: u64,
    pub slow: u64,
    /// All that was read from a server that then aborted was more than a mebibyte, and arrived.
    pub partings: u64,
    /// Exact in both directions.
    pub exact: u64,
    /// The server's bytes arrived after the client's FIN.
    pub client_half: u64,
    pub server_half: u64,
    /// Both sent their FIN before they heard the other's.
    pub both_at_once: u64,
    pub client_resets: u64,
    pub server_resets: u64,
    pub client_closes: u64,
    pub server_closes: u64,
    /// Both aborted.
    pub both_abort: u64,
    /// Aborts after a mebibyte or more was sent either way.
    pub bulk_aborts: u64,
    /// A server that saw a reset because the client aborted.
    pub reset_at_server: u64,
    /// A server that saw a FIN although the client aborted.
    pub fin_at_server: u64,
    pub fin_at_client: u64,
    pub reset_at_client: u64,
    /// The client was gone before a server connection stood.
    pub unconnected: u64,
    /// Connections with a piece of one byte, and with one of a mebibyte and more.
    pub single_bytes: u64,
    pub giants: u64,
    /// Termination states: `--`, `CD`, `SD`, `CR`, others.
    pub normal: u64,
    pub client_abort: u64,
    pub server_abort: u64,
    pub request: u64,
    pub timeouts: u64,
    pub other: u64,
    /// The longest connection, and its number.
    pub slowest: (Duration, u64),
}

impl Tally {
    pub fn add(&mut self, plan: &Plan, case: &Case<'_>) {
        let yes = u64::from;
        self.connections += 1;
        let (client, server) = (case.client, case.server);
        let record = case.record;
        self.bytes_down += client.received;
        self.bytes_up += server.map_or(0, |server| server.received);
        self.bytes_in += record.bytes_in;
        self.bytes_out += record.bytes_out;
        self.large += yes(plan.kind == Kind::Large);
        self.switching += yes(plan.kind == Kind::Switching);
        self.slow += yes(plan.kind == Kind::Slow);
        let turns = || plan.client.turns.iter().chain(&plan.server.turns);
        self.single_bytes += yes(turns().any(|turn| turn.piece == 1));
        self.giants += yes(turns().any(|turn| turn.piece >= 1 << 20));
        let how = |peer: &Peer| peer.aborted;
        let (ours, theirs) = (how(client), server.and_then(how));
        self.client_resets += yes(ours == Some(How::Reset));
        self.client_closes += yes(ours == Some(How::Close));
        self.server_resets += yes(theirs == Some(How::Reset));
        self.server_closes += yes(theirs == Some(How::Close));
        self.both_abort += yes(ours.is_some() && theirs.is_some());
        match (record.termination.cause, record.termination.stage) {
            (Cause::Normal, _) => self.normal += 1,
            (Cause::ClientAbort, Stage::Data) => self.client_abort += 1,
            (Cause::ServerAbort, Stage::Data) => self.server_abort += 1,
            (Cause::ClientAbort, Stage::Request) => self.request += 1,
            (Cause::ClientTimeout | Cause::ServerTimeout, _) => self.timeouts += 1,
            _ => self.other += 1,
        }
        let Some(server) = server else {
            self.unconnected += 1;
            return;
        };
        if ours.is_none() && theirs.is_none() {
            self.exact += 1;
            self.nothing += yes(client.sent == 0 && server.sent == 0);
            self.client_half += yes(client.received_after_fin > 0 && !client.heard_first);
            self.server_half += yes(server.received_after_fin > 0 && !server.heard_first);
            self.both_at_once += yes(!client.heard_first && !server.heard_first);
            return;
        }
        self.bulk_aborts += yes(client.sent.max(server.sent) >= 1 << 20);
        if theirs.is_none() {
            self.reset_at_server += yes(server.end == Some(End::Reset));
            self.fin_at_server += yes(server.end == Some(End::Fin));
        }
        if ours.is_none() {
            let whole = client.received == record.bytes_out && client.received >= 1 << 20;
            self.partings += yes(whole);
            self.reset_at_client += yes(client.end == Some(End::Reset));
            self.fin_at_client += yes(client.end == Some(End::Fin));
        }
    }
}

impl Tally {
    /// Fails if an ordinary run has left something out. A ring has connected before it looks at the
    /// client.
    pub fn is_complete(&self, over_ring: bool) {
        macro_rules! seen {
            ($($field:ident)*) => { $(assert!(self.$field > 0, "no {}: {self:#?}", stringify!($field));)* };
        }
        seen!(bytes_up bytes_down nothing large switching slow partings exact client_half server_half
            both_at_once client_resets server_resets client_closes server_closes both_abort
            reset_at_server fin_at_server fin_at_client
            single_bytes giants normal client_abort server_abort);
        if !over_ring {
            seen!(unconnected request);
        }
    }
}
