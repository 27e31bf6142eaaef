//! What instances track.

use std::ffi::OsString;
use std::path::PathBuf;

use vrrp_core::settings::Sense;
use vrrp_core::time::Duration;

use crate::env::Credentials;

/// One `vrrp_script` that some instance tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptDef {
    /// Its name.
    pub name: String,
    /// The program, its path resolved, and its arguments; never empty. No shell reads it.
    pub argv: Vec<OsString>,
    /// `interval`: from one start to the next, at least 1 s.
    pub interval: Duration,
    /// `timeout`: when a run counts as failed; the interval unless given.
    pub timeout: Duration,
    /// Whether `timeout` is in the file; dumps show it.
    pub own_timeout: bool,
    /// `rise`, at least 1: successes in a row before it counts as succeeding.
    pub rise: u32,
    /// `fall`, at least 1: failures in a row before it counts as failing.
    pub fall: u32,
    /// `weight`, -254..=254; an instance may override it.
    pub weight: i16,
    /// `weight N reverse`.
    pub sense: Sense,
    /// Whom to run it as: `user`, `script_user`, `keepalived_script`, or the daemon itself.
    pub user: Credentials,
    /// `init_fail`: it counts as failing before its first result.
    pub init_fail: bool,
}

/// One `track_file` (or `vrrp_track_file`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackFileDef {
    /// Its name.
    pub name: String,
    /// The file that holds a number.
    pub path: PathBuf,
    /// `init_file`: the number written at the start, and whether over a file that is there.
    pub initial: Option<(i32, bool)>,
    /// `weight`, for instances that give none; dumps show it.
    pub weight: i16,
    /// `weight N reverse`
    pub sense: Sense,
}

/// One `vrrp_track_process`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackProcessDef {
    /// Its name.
    pub name: String,
    /// Name or path of the program, and the arguments it must have; never empty.
    pub command: Vec<OsString>,
    /// `param_match`
    pub param_match: Option<ParamMatch>,
    /// `quorum`, at least 1: so many have to run.
    pub quorum: u32,
    /// `quorum_max`: no more than so many may run.
    pub quorum_max: Option<u32>,
    /// `fork_delay` (or `delay`): how long it has to be more before it counts.
    pub fork_delay: Duration,
    /// `terminate_delay` (or `delay`): how long it has to be fewer before it counts.
    pub terminate_delay: Duration,
    /// `full_command`: the command line is compared, not the name of the process.
    pub full_command: bool,
    /// `weight`, for instances that give none; dumps show it.
    pub weight: i16,
    /// `weight N reverse`
    pub sense: Sense,
}

/// `param_match` of a [`TrackProcessDef`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParamMatch {
    /// `initial`: the last argument may be longer.
    Initial,
    /// `partial`: more arguments may follow.
    Partial,
}
