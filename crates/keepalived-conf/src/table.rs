//! The keyword tables: one row a keyword and block.

use crate::pass::{Fatal, Pass};
use crate::report::Process;
use crate::text::Line;

mod addresses;
mod checkers;
mod encap;
mod garp_group;
mod global;
mod instance;
mod iproute;
mod notify;
mod root;
mod routes;
mod rules;
mod script;
mod tracking;
mod watched;

pub(crate) use checkers::Lvs;
pub(crate) use checkers::end::complete as complete_lvs;

/// Where a keyword may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Block {
    /// Outside every block.
    Root,
    /// `global_defs`
    Global,
    /// `vrrp_script`
    Script,
    /// `vrrp_instance`
    Instance,
    /// `authentication` in `vrrp_instance`
    Authentication,
    /// `vrrp_sync_group`
    SyncGroup,
    /// `vrrp_track_process`
    TrackProcess,
    /// `track_file`
    TrackFile,
    /// `track_group`
    TrackGroup,
    /// `garp_group`
    GarpGroup,
    /// `virtual_server`
    VirtualServer,
    /// `real_server` in `virtual_server`
    RealServer,
    /// `HTTP_GET` and `SSL_GET` in `real_server`
    HttpCheck,
    /// `url` in those
    Url,
    /// `TCP_CHECK`, `PING_CHECK` and a `host` of `SMTP_CHECK`
    TcpCheck,
    /// `SMTP_CHECK`
    SmtpCheck,
    /// `DNS_CHECK`
    DnsCheck,
    /// `MISC_CHECK`
    MiscCheck,
    /// `UDP_CHECK`
    UdpCheck,
    /// `BFD_CHECK`
    BfdCheck,
    /// `FILE_CHECK`
    FileCheck,
    /// `SSL`
    Ssl,
}

impl Block {
    /// Every block with keywords that act, in the order of the documentation.
    pub(crate) const ALL: [Self; 10] = [
        Self::Root,
        Self::Global,
        Self::Script,
        Self::Instance,
        Self::Authentication,
        Self::SyncGroup,
        Self::TrackProcess,
        Self::TrackFile,
        Self::TrackGroup,
        Self::GarpGroup,
    ];

    /// Its keywords.
    pub(crate) const fn rows(self) -> &'static [Row] {
        match self {
            Self::Root => root::ROWS,
            Self::Global => global::ROWS,
            Self::Script => script::ROWS,
            Self::Instance => instance::ROWS,
            Self::Authentication => instance::AUTHENTICATION,
            Self::SyncGroup => tracking::SYNC_GROUP,
            Self::TrackProcess => watched::PROCESS,
            Self::TrackFile => watched::FILE,
            Self::TrackGroup => tracking::TRACK_GROUP,
            Self::GarpGroup => garp_group::ROWS,
            Self::VirtualServer => checkers::server::ROWS,
            Self::RealServer => checkers::real::ROWS,
            Self::HttpCheck => checkers::checks::HTTP,
            Self::Url => checkers::checks::URL,
            Self::TcpCheck => checkers::checks::TCP,
            Self::SmtpCheck => checkers::checks::SMTP,
            Self::DnsCheck => checkers::checks::DNS,
            Self::MiscCheck => checkers::checks::MISC,
            Self::UdpCheck => checkers::checks::UDP,
            Self::BfdCheck => checkers::checks::BFD,
            Self::FileCheck => checkers::checks::FILE,
            Self::Ssl => checkers::server::SSL,
        }
    }

    /// As documentation calls it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Root => "Outside every block",
            Self::Global => "`global_defs`",
            Self::Script => "`vrrp_script NAME`",
            Self::Instance => "`vrrp_instance NAME`",
            Self::Authentication => "`authentication` in `vrrp_instance`",
            Self::SyncGroup => "`vrrp_sync_group NAME`",
            Self::TrackProcess => "`vrrp_track_process NAME`",
            Self::TrackFile => "`track_file NAME`",
            Self::TrackGroup => "`track_group NAME`",
            Self::GarpGroup => "`garp_group`",
            Self::VirtualServer => "`virtual_server`",
            Self::RealServer => "`real_server`",
            Self::HttpCheck => "`HTTP_GET` and `SSL_GET`",
            Self::Url => "`url`",
            Self::TcpCheck => "`TCP_CHECK`, `PING_CHECK` and `host`",
            Self::SmtpCheck => "`SMTP_CHECK`",
            Self::DnsCheck => "`DNS_CHECK`",
            Self::MiscCheck => "`MISC_CHECK`",
            Self::UdpCheck => "`UDP_CHECK`",
            Self::BfdCheck => "`BFD_CHECK`",
            Self::FileCheck => "`FILE_CHECK`",
            Self::Ssl => "`SSL`",
        }
    }
}

/// What becomes of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It acts as in keepalived.
    Full,
    /// It is read and has nothing to act on, for the reason given; nothing is said.
    Accepted(&'static str),
    /// It would act in keepalived and does not here: a warning says so, with the reason.
    Refused(&'static str),
}

/// What a handler gives: to go on, or to give up as keepalived does.
pub(crate) type Handled = Result<(), Fatal>;

/// Takes one line.
pub(crate) type Handler = fn(&mut Pass<'_>, &Line) -> Handled;

/// What is done with a keyword's line.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    /// It is a line of its own.
    Take(Handler),
    /// It is read and dropped, a block with all that is in it.
    Skip,
    /// It begins a block of keywords.
    Enter {
        /// Takes its first line.
        open: Handler,
        /// What may stand in it.
        inside: Block,
        /// Takes its end.
        close: fn(&mut Pass<'_>),
    },
    /// It begins a block of lines that are no keywords, and has a name.
    NamedList {
        /// Takes its first line.
        open: Handler,
        /// Takes one line of it.
        entry: Handler,
        /// Takes its end.
        close: fn(&mut Pass<'_>),
    },
    /// It begins a block of lines that are no keywords.
    List {
        /// Takes one line of it.
        entry: Handler,
        /// Takes its end, told how many lines there were.
        close: fn(&mut Pass<'_>, usize),
    },
}

/// One keyword in one block.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What follows it, as the manual writes it.
    pub(crate) arguments: &'static str,
    pub(crate) status: Status,
    /// Which process acts on it; decides for rows of [`Block::Root`] alone.
    pub(crate) process: Process,
    pub(crate) action: Action,
    /// What it does, for the documentation.
    pub(crate) summary: &'static str,
}

impl Row {
    /// A keyword of a line, in full.
    const fn full(
        name: &'static str,
        arguments: &'static str,
        take: Handler,
        summary: &'static str,
    ) -> Self {
        Self {
            name,
            arguments,
            status: Status::Full,
            process: Process::Vrrp,
            action: Action::Take(take),
            summary,
        }
    }

    /// A keyword of a line that has nothing to act on here.
    const fn accepted(
        name: &'static str,
        arguments: &'static str,
        take: Handler,
        why: &'static str,
    ) -> Self {
        Self {
            name,
            arguments,
            status: Status::Accepted(why),
            process: Process::Vrrp,
            action: Action::Take(take),
            summary: "",
        }
    }

    /// A keyword of a line whose effect is not there.
    const fn refused(
        name: &'static str,
        arguments: &'static str,
        take: Handler,
        why: &'static str,
    ) -> Self {
        Self {
            name,
            arguments,
            status: Status::Refused(why),
            process: Process::Vrrp,
            action: Action::Take(take),
            summary: "",
        }
    }

    /// Whether a block outside every other one is looked at by this process; files are
    /// tracked for virtual servers as well.
    pub(crate) fn is_read_by(&self, process: Process) -> bool {
        self.process == process || process == Process::Checker && self.name == "track_file"
    }

    const fn with_process(self, process: Process) -> Self {
        Self { process, ..self }
    }

    const fn with_action(self, action: Action) -> Self {
        Self { action, ..self }
    }
}

/// A keyword that needs no look at its words.
fn nothing(_: &mut Pass<'_>, _: &Line) -> Handled {
    Ok(())
}

/// The end of a block that needs no look.
fn no_close(_: &mut Pass<'_>) {}

/// The end of a list that needs no look.
fn no_list_close(_: &mut Pass<'_>, _: usize) {}
