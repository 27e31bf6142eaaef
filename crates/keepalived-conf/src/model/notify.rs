//! Who is told of changes.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::env::Credentials;

/// A program, its words, and whom to run it as. No shell reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments; never empty.
    pub argv: Vec<OsString>,
    /// Whom to run it as.
    pub user: Credentials,
}

/// Whom a block tells of its changes: the `notify` keywords.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyDef {
    /// `notify_master`
    pub master: Option<Command>,
    /// `notify_backup`
    pub backup: Option<Command>,
    /// `notify_fault`
    pub fault: Option<Command>,
    /// `notify_stop`
    pub stop: Option<Command>,
    /// `notify_master_rx_lower_pri`
    pub lower_priority: Option<Command>,
    /// `notify_deleted`, which may stand without a command; without the keyword a deletion
    /// is told as a fault.
    pub deleted: Option<Option<Command>>,
    /// `notify`
    pub any: Option<Command>,
    /// `notify_priority_changes`, or what `global_defs` says.
    pub priority_changes: bool,
}

/// `notify_fifo` or `vrrp_notify_fifo`, with its script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FifoDef {
    /// Where it is.
    pub path: PathBuf,
    /// Who may read it, if somebody is named.
    pub owner: Option<Credentials>,
    /// What reads it: started with the path as its last argument.
    pub script: Option<Command>,
}
