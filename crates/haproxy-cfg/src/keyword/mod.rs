//! Keyword tables: one row a keyword, with where it may stand, how many arguments it takes, what
//! becomes of it, and its handler.

pub(crate) mod bind;
pub(crate) mod global;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod option;
pub(crate) mod proxy;
pub(crate) mod rules;
pub(crate) mod server;
pub(crate) mod threads;
pub(crate) mod timeout;
pub(crate) mod tune;

use crate::draft::{Draft, Kind};
use crate::line::Line;
use crate::model::ProxyKind;
use crate::reader::Reader;

/// The global section.
pub(crate) const GLOBAL: u8 = 1;
/// `defaults`
pub(crate) const DEFAULTS: u8 = 2;
/// `frontend`
pub(crate) const FRONTEND: u8 = 4;
/// `backend`
pub(crate) const BACKEND: u8 = 8;
/// `listen`
pub(crate) const LISTEN: u8 = 16;
/// All sections of proxies: the handler itself warns where it is of no use.
pub(crate) const PROXY: u8 = DEFAULTS | FRONTEND | BACKEND | LISTEN;
/// Known in `defaults` only to be refused there.
pub(crate) const NO_DEFAULTS: u8 = 32;

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It does what it does in HAProxy.
    Full,
    /// It is read and checked, and has no effect here for the reason given.
    Accepted(&'static str),
    /// A clear error with the reason given.
    Refused(&'static str),
}

/// What reads a keyword's line.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// A keyword of the global section.
    Global(fn(&mut Reader<'_>, &Line)),
    /// An integer of the global section; `true` if it may be given only once.
    Number(bool),
    /// A keyword of a proxy.
    Proxy(fn(&mut Reader<'_>, &mut Draft, &Line)),
    /// Nothing to do.
    Nothing,
}

/// One keyword.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Where it is known.
    pub(crate) sections: u8,
    /// The most arguments; `None` if the handler counts them.
    pub(crate) arity: Option<usize>,
    pub(crate) status: Status,
    pub(crate) handler: Handler,
}

/// A section that cannot be used here.
pub(crate) struct OtherSection {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
}

/// Sections of HAProxy that are refused as a whole.
pub(crate) const OTHER_SECTIONS: &[OtherSection] = &[
    OtherSection {
        name: "peers",
        reason: "stick tables are not synchronised.",
    },
    OtherSection {
        name: "resolvers",
        reason: "names are looked up once, at start.",
    },
    OtherSection {
        name: "userlist",
        reason: "there is no HTTP authentication in TCP mode.",
    },
    OtherSection {
        name: "mailers",
        reason: "no mail is sent.",
    },
    OtherSection {
        name: "program",
        reason: "no other programs are started.",
    },
    OtherSection {
        name: "cache",
        reason: "there is no HTTP cache in TCP mode.",
    },
    OtherSection {
        name: "ring",
        reason: "logs go to datagram sockets and descriptors only.",
    },
    OtherSection {
        name: "log-forward",
        reason: "syslog is not forwarded.",
    },
    OtherSection {
        name: "http-errors",
        reason: "there are no HTTP errors in TCP mode.",
    },
    OtherSection {
        name: "fcgi-app",
        reason: "there is no FastCGI in TCP mode.",
    },
];

/// All rows.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    global::ROWS.iter().chain(proxy::ROWS).chain(rules::ROWS)
}

/// The row of that name in one of these sections.
pub(crate) fn find(name: &str, sections: u8) -> Option<&'static Row> {
    rows().find(|row| row.name == name && row.sections & sections != 0)
}

/// Names known in these sections, in the order of the tables.
pub(crate) fn names(sections: u8) -> impl Iterator<Item = &'static str> {
    rows()
        .filter(move |row| row.sections & sections != 0)
        .map(|row| row.name)
}

/// The bit of a section.
pub(crate) const fn section_bit(kind: Kind) -> u8 {
    match kind {
        Kind::Defaults => DEFAULTS,
        Kind::Proxy(ProxyKind::Frontend) => FRONTEND,
        Kind::Proxy(ProxyKind::Backend) => BACKEND,
        Kind::Proxy(ProxyKind::Listen) => LISTEN,
    }
}

/// Whether a keyword's messages have the short form of `server` lines.
pub(crate) fn is_server(word: &str) -> bool {
    matches!(word, "server" | "server-template" | "default-server")
}
