//! How many connections the process takes and how many descriptors that needs
//! (management guide, section 5; the arithmetic was measured).

use haproxy_cfg::model::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::control::default_pipes;

/// Descriptors for standard streams and the process itself.
const RESERVED: u64 = 10;
/// Descriptors each thread needs for its own event loop.
const PER_THREAD: u64 = 3;
/// Descriptors of the two pipes that a connection may splice through.
const PIPE_DESCRIPTORS: u64 = 4;
/// A computed `maxconn` is never lower.
const LOWEST_MAXCONN: u64 = 100;

/// What the descriptor limit was, or may be raised to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// In force now.
    pub(crate) soft: u64,
    /// The highest that an unprivileged process may ask for.
    pub(crate) hard: u64,
}

impl Descriptors {
    /// The limits of this process; an unlimited one is the largest number.
    pub(crate) fn of_process() -> Self {
        let limit = getrlimit(Resource::Nofile);
        Self {
            soft: limit.current.unwrap_or(u64::MAX),
            hard: limit.maximum.unwrap_or(u64::MAX),
        }
    }
}

/// Whether the process runs under a master, which needs a channel to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supervision {
    /// It stands alone.
    None,
    /// `-W`.
    Master,
}

/// The numbers a start is planned with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Connections at the same time.
    pub(crate) maxconn: u32,
    /// Whether `maxconn` was computed here.
    pub(crate) computed: bool,
    /// Descriptors needed for that.
    pub(crate) maxsock: u64,
    /// Descriptor limit to ask for.
    pub(crate) nofile: u64,
}

/// Plans for `config` on `threads` worker threads.
///
/// `maxconn` is the command line's `-n`, which wins over the configuration's.
pub(crate) fn plan(
    config: &Config,
    threads: usize,
    supervision: Supervision,
    maxconn: Option<u32>,
    available: Descriptors,
) -> Plan {
    let reserved = reserved(config, threads, supervision);
    let wanted = maxconn
        .filter(|count| *count > 0)
        .or(config.global.maxconn.filter(|count| *count > 0));
    // `nosplice` changes nothing about the figures of the original.
    let splices = config.proxies.iter().any(|proxy| {
        let options = &proxy.options;
        options.splice_auto == Some(true) || options.splice_request || options.splice_response
    });
    let connections = match wanted {
        Some(count) => u64::from(count),
        None => {
            let mut limit = available.soft.max(available.hard);
            if let Some(ceiling) = config.global.fd_hard_limit {
                limit = limit.min(u64::from(ceiling));
            }
            let room = limit.saturating_sub(reserved);
            // Two sockets a connection, and half a descriptor more if pipes
            // have to be had.
            let count = if splices { room * 2 / 5 } else { room / 2 };
            count.max(LOWEST_MAXCONN)
        }
    };
    let pipes = match config.global.maxpipes {
        Some(count) => u64::from(count),
        None if splices => u64::from(default_pipes(narrow(connections))),
        None => 0,
    };
    let maxsock = reserved + 2 * connections + 2 * pipes;
    let nofile = config
        .global
        .ulimit_n
        .filter(|count| *count > 0)
        .map_or(maxsock, u64::from);
    Plan {
        maxconn: narrow(connections),
        computed: wanted.is_none(),
        maxsock,
        nofile,
    }
}

fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What is needed before the first connection comes.
fn reserved(config: &Config, threads: usize, supervision: Supervision) -> u64 {
    let running = || config.proxies.iter().filter(|proxy| !proxy.disabled);
    let listeners: usize = running().map(|proxy| proxy.binds.len()).sum();
    let checks = running()
        .flat_map(|proxy| &proxy.servers)
        .filter(|server| server.check.is_some())
        .count();
    let master = u64::from(supervision == Supervision::Master);
    let stats = config.global.stats_sockets.len() as u64 + master;
    let clients = if stats > 0 {
        u64::from(config.global.stats_maxconn)
    } else {
        0
    };
    RESERVED + (listeners + checks) as u64 + stats + clients + PER_THREAD * threads as u64
}

/// A limit that could not be had; the text is the original's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Cannot raise FD limit to {wanted}, limit is {limit}.")]
pub(crate) struct CannotRaise {
    wanted: u64,
    limit: u64,
}

/// Raises the descriptor limit to what the plan needs; it is never lowered.
///
/// # Errors
/// The system does not allow that many. Unless the start ends there, as many
/// as it allows are set.
pub(crate) fn raise(plan: &Plan, strict: bool) -> Result<(), CannotRaise> {
    let now = Descriptors::of_process();
    let hard = now.hard.max(plan.nofile);
    if plan.nofile > now.soft && set(plan.nofile, hard).is_err() {
        if !strict {
            // Privilege to go beyond the hard limit is missing: take all there is.
            let _ = set(now.hard, now.hard);
        }
        return Err(CannotRaise {
            wanted: plan.nofile,
            limit: Descriptors::of_process().soft,
        });
    }
    if plan.nofile == plan.maxsock {
        // Pipes to splice through are no part of the original's arithmetic.
        // Where there is room for them, they must not cost connections.
        let spare = plan.maxsock + PIPE_DESCRIPTORS * u64::from(plan.maxconn);
        let spare = spare.min(now.hard);
        if spare > Descriptors::of_process().soft {
            let _ = set(spare, hard);
        }
    }
    Ok(())
}

fn set(soft: u64, hard: u64) -> rustix::io::Result<()> {
    let limit = Rlimit {
        current: Some(soft),
        maximum: Some(hard),
    };
    setrlimit(Resource::Nofile, limit)
}

/// The original's complaint if the limit in force does not reach.
pub(crate) fn too_low(plan: &Plan) -> Option<String> {
    let limit = Descriptors::of_process().soft;
    (limit < plan.maxsock).then(|| {
        format!(
            "FD limit ({limit}) too low for maxconn={}/maxsock={needed}. \
             Please raise 'ulimit-n' to {needed} or more to avoid any trouble.",
            plan.maxconn,
            needed = plan.maxsock,
        )
    })
}

/// `-m`: limits the address space to this many megabytes.
///
/// # Errors
/// The original's words.
pub(crate) fn limit_memory(megabytes: u32) -> Result<(), String> {
    let bytes = u64::from(megabytes) * 1024 * 1024;
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    setrlimit(Resource::As, limit).map_err(|_| format!("Cannot fix MEM limit to {megabytes} megs."))
}

/// Forbids new processes from now on (`insecure-fork-wanted` is not set), as
/// the original does. All threads must exist: they count as well.
pub(crate) fn forbid_new_processes() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // A precaution only; nothing depends on it.
    let _ = setrlimit(Resource::Nproc, none);
}

#[cfg(test)]
mod tests {
    use haproxy_cfg::model::{Global, Options, Proxy};

    use super::*;

    const PLENTY: Descriptors = Descriptors {
        soft: 1024,
        hard: 20_000,
    };

    fn config(listeners: u16, change: impl FnOnce(&mut Global)) -> Config {
        let mut config = crate::process::tests::config_with_binds(listeners);
        change(&mut config.global);
        config
    }

    fn check(config: &Config, threads: usize, expected: (u32, u64)) {
        let plan = plan(config, threads, Supervision::None, None, PLENTY);
        assert_eq!((plan.maxconn, plan.maxsock), expected);
    }

    /// Figures of `show info` of haproxy 2.6.12 with a limit of 20000.
    #[test]
    fn numbers_are_the_originals() {
        check(&config(1, |_| ()), 2, (9991, 19_999));
        check(&config(3, |_| ()), 2, (9990, 19_999));
        check(
            &config(1, |global| global.maxconn = Some(2_000_000)),
            2,
            (2_000_000, 4_000_017),
        );
        let stats = |global: &mut Global| {
            global.stats_sockets = crate::process::tests::stats_sockets(1);
        };
        check(&config(1, stats), 2, (9986, 20_000));
        check(
            &config(1, |global| {
                stats(global);
                global.maxconn = Some(500);
            }),
            2,
            (500, 1028),
        );
        check(
            &config(1, |global| {
                stats(global);
                global.fd_hard_limit = Some(600);
            }),
            2,
            (286, 600),
        );
        let mut spliced = config(1, stats);
        for proxy in &mut spliced.proxies {
            let Proxy { options, .. } = proxy;
            *options = Options {
                splice_auto: Some(true),
                ..Options::default()
            };
        }
        check(&spliced, 2, (7988, 19_998));
        // One thread, `maxconn 100` and its like; `nosplice` makes no difference.
        for (maxconn, maxpipes, expected) in [(100, None, 275), (100, Some(7), 239), (3, None, 37)]
        {
            spliced.global.maxconn = Some(maxconn);
            spliced.global.maxpipes = maxpipes;
            for nosplice in [false, true] {
                spliced.global.nosplice = nosplice;
                check(&spliced, 1, (maxconn, expected));
            }
        }
    }

    #[test]
    fn a_master_costs_a_channel_and_its_clients() {
        let plan = plan(&config(1, |_| ()), 2, Supervision::Master, None, PLENTY);
        assert_eq!(plan.maxconn, 9986);
    }

    #[test]
    fn the_command_line_wins_and_zero_means_computed() {
        let config = config(1, |global| global.maxconn = Some(50));
        let plan_with = |wanted| plan(&config, 2, Supervision::None, wanted, PLENTY).maxconn;
        assert_eq!(plan_with(Some(100)), 100);
        assert_eq!(plan_with(Some(0)), 50);
        assert_eq!(plan_with(None), 50);
    }

    #[test]
    fn a_computed_limit_has_a_floor() {
        let tiny = Descriptors {
            soft: 110,
            hard: 110,
        };
        let plan = plan(&config(1, |_| ()), 2, Supervision::None, None, tiny);
        assert_eq!(plan.maxconn, 100);
        assert!(plan.computed);
    }

    #[test]
    fn the_complaints_are_the_originals() {
        let error = CannotRaise {
            wanted: 4_000_017,
            limit: 20_000,
        };
        assert_eq!(
            error.to_string(),
            "Cannot raise FD limit to 4000017, limit is 20000."
        );
        let huge = Plan {
            maxconn: 9986,
            computed: true,
            maxsock: u64::MAX,
            nofile: 0,
        };
        let soft = Descriptors::of_process().soft;
        if soft < u64::MAX {
            assert!(too_low(&huge).unwrap().starts_with(&format!(
                "FD limit ({soft}) too low for maxconn=9986/maxsock="
            )));
        }
    }
}
