//! The haproxy command line (management guide, section 3).
//!
//! It has single-dash options of several letters and values in the next argument, so it is read
//! by hand: the first letter decides, some letters look at the second, the rest is ignored.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What the process shall do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Action {
    /// Serve.
    #[default]
    Run,
    /// `-c`: check the configuration and exit.
    Check,
    /// `-cc <condition>`: evaluate a condition and exit.
    Condition(OsString),
    /// `-v`: print the version.
    Version,
    /// `-vv`: print the version and how it was built.
    BuildOptions,
}

/// How old processes are told to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// `-sf`: finish what they are doing (SIGUSR1).
    Finish,
    /// `-st`: stop at once (SIGTERM).
    Terminate,
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Args {
    /// `argv[0]`, which names the process.
    pub program: OsString,
    /// What to do.
    pub action: Action,
    /// `-f` and all after `--`, in order: files and folders.
    pub configs: Vec<PathBuf>,
    /// `-D`: detach.
    pub daemon: bool,
    /// `-W` or `-Ws`: master-worker mode.
    pub master_worker: bool,
    /// `-Ws`: tell systemd when it is up.
    pub systemd: bool,
    /// `-d`: debug mode, which stays in the foreground.
    pub debug: bool,
    /// `-db`: stay in the foreground.
    pub foreground: bool,
    /// `-V`: messages even under `-q`.
    pub verbose: bool,
    /// `-q`: no messages.
    pub quiet: bool,
    /// `-dD`: show diagnostic messages too.
    pub diagnostics: bool,
    /// `-dW`: any warning is fatal.
    pub zero_warning: bool,
    /// `-dr`: a server whose name cannot be resolved is no error.
    pub tolerate_unresolved: bool,
    /// `-dS`: no splice(2).
    pub no_splice: bool,
    /// `-dR`: no SO_REUSEPORT.
    pub no_reuseport: bool,
    /// `-dL`: list loaded objects after the check.
    pub dump_libraries: bool,
    /// `-p`: where to write the process id.
    pub pidfile: Option<PathBuf>,
    /// `-n`: the process's connection limit; it wins over the config.
    pub maxconn: Option<u32>,
    /// `-N`: connection limit of a proxy that sets none.
    pub proxy_maxconn: Option<u32>,
    /// `-m`: memory limit in MiB.
    pub memory: Option<u32>,
    /// `-L`: this node's name among peers.
    pub localpeer: Option<OsString>,
    /// `-C`: the folder to change to before files are read.
    pub directory: Option<PathBuf>,
    /// `-x`: the socket to fetch listening sockets from.
    pub fetch_from: Option<OsString>,
    /// `-S`: addresses of the master's own command socket.
    pub master_sockets: Vec<OsString>,
    /// `-sf` / `-st`: how old processes are told to go.
    pub replace: Option<Replace>,
    /// The old processes.
    pub old_pids: Vec<i32>,
}

/// Why a command line cannot be used. In each case the exit code is 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgvError {
    /// Print version and usage.
    Usage,
    /// Print this alert.
    Alert(String),
    /// Print the version on stdout, then this alert.
    VersionAlert(String),
}

/// Reads a command line; the first element is the program's name.
///
/// # Errors
/// [`ArgvError`] for what the original refuses.
pub fn parse(arguments: Vec<OsString>) -> Result<Args, ArgvError> {
    let mut arguments = arguments.into_iter();
    let mut args = Args {
        program: arguments.next().unwrap_or_default(),
        ..Args::default()
    };
    let mut rest = arguments.collect::<std::collections::VecDeque<_>>();
    while let Some(argument) = rest.pop_front() {
        let Some(flag) = argument.as_bytes().strip_prefix(b"-") else {
            return Err(ArgvError::Usage);
        };
        match flag {
            [b'v', b'v', ..] => args.action = Action::BuildOptions,
            [b'v', ..] => args.action = Action::Version,
            [b'-', ..] => {
                args.configs.extend(rest.drain(..).map(PathBuf::from));
            }
            [b'd', letters @ ..] => debug_flag(&mut args, letters)?,
            [b'c', b'c', ..] => match rest.pop_front() {
                Some(condition) => {
                    args.action = Action::Condition(condition);
                    return Ok(args);
                }
                None => return Err(ArgvError::Usage),
            },
            [b'c', ..] => args.action = Action::Check,
            [b'D', ..] => args.daemon = true,
            [b'W', b's', ..] => {
                args.master_worker = true;
                args.systemd = true;
            }
            [b'W', ..] => args.master_worker = true,
            [b'q', ..] => args.quiet = true,
            [b'V', ..] => args.verbose = true,
            [b'x', ..] => match rest.pop_front() {
                Some(path) if !path.as_bytes().starts_with(b"-") => args.fetch_from = Some(path),
                _ => {
                    return Err(ArgvError::VersionAlert(String::from(
                        "Unix socket path expected with the -x flag\n",
                    )));
                }
            },
            [b's', kind @ (b'f' | b't'), ..] => {
                args.replace = Some(if *kind == b'f' {
                    Replace::Finish
                } else {
                    Replace::Terminate
                });
                pid_list(&mut args, *kind, &mut rest)?;
            }
            [letter, ..] => {
                let Some(value) = rest.pop_front() else {
                    return Err(if b"fpnmNLCS".contains(letter) {
                        ArgvError::Alert(String::from("failed to copy argv."))
                    } else {
                        ArgvError::Usage
                    });
                };
                valued_flag(&mut args, *letter, value)?;
            }
            [] => return Err(ArgvError::Usage),
        }
        if matches!(args.action, Action::Version | Action::BuildOptions) {
            return Ok(args);
        }
    }
    if args.configs.is_empty() {
        return Err(ArgvError::Usage);
    }
    Ok(args)
}

/// The flags that begin with `-d`.
fn debug_flag(args: &mut Args, letters: &[u8]) -> Result<(), ArgvError> {
    match letters {
        [b'b', ..] => args.foreground = true,
        [b'D', ..] => args.diagnostics = true,
        [b'W', ..] => args.zero_warning = true,
        [b'r', ..] => args.tolerate_unresolved = true,
        [b'S', ..] => args.no_splice = true,
        [b'R', ..] => args.no_reuseport = true,
        [b'L', ..] => args.dump_libraries = true,
        // Pollers, memory, name look-ups, TLS and keyword lists: there is nothing here to change,
        // and no debug mode is meant either.
        [b'e' | b'p' | b'M' | b'G' | b'V' | b'K', ..] => {}
        _ => args.debug = true,
    }
    Ok(())
}

/// The flags with a value in the next argument.
fn valued_flag(args: &mut Args, letter: u8, value: OsString) -> Result<(), ArgvError> {
    match letter {
        b'f' => args.configs.push(PathBuf::from(value)),
        b'p' => args.pidfile = Some(PathBuf::from(value)),
        b'n' => args.maxconn = Some(number(&value)),
        b'N' => args.proxy_maxconn = Some(number(&value)),
        b'm' => args.memory = Some(number(&value)),
        b'L' => args.localpeer = Some(value),
        b'C' => args.directory = Some(PathBuf::from(value)),
        b'S' => args.master_sockets.push(value),
        _ => return Err(ArgvError::Usage),
    }
    Ok(())
}

/// Takes process ids up to the next flag.
fn pid_list(
    args: &mut Args,
    kind: u8,
    rest: &mut std::collections::VecDeque<OsString>,
) -> Result<(), ArgvError> {
    while let Some(word) = rest.front() {
        if word.as_bytes().starts_with(b"-") {
            break;
        }
        let text = word.to_string_lossy();
        let Ok(pid) = text.parse::<i32>() else {
            return Err(ArgvError::Alert(format!(
                "-s{} option: some bytes unconsumed in PID list {{{text}}}",
                char::from(kind)
            )));
        };
        args.old_pids.push(pid);
        rest.pop_front();
    }
    Ok(())
}

/// Digits up to the first other byte, as atol(3) reads them; 0 if there are none.
fn number(value: &OsStr) -> u32 {
    value
        .as_bytes()
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_u32, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(u32::from(digit - b'0'))
        })
}
