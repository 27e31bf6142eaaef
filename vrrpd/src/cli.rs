//! The command line, as keepalived's getopt reads it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser};

/// Options of keepalived(8). What each of them does here is said where it is used.
#[derive(Debug, Default, Parser)]
#[command(
    name = "vrrpd",
    disable_help_flag = true,
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true
)]
pub(crate) struct Options {
    #[arg(short = 'f', long = "use-file", allow_hyphen_values = true)]
    pub(crate) use_file: Option<PathBuf>,
    #[arg(short = 'P', long = "vrrp")]
    pub(crate) vrrp: bool,
    #[arg(short = 'C', long = "check")]
    pub(crate) check: bool,
    #[arg(short = 'B', long = "no_bfd")]
    pub(crate) no_bfd: bool,
    #[arg(long = "all")]
    pub(crate) all: bool,
    #[arg(short = 'l', long = "log-console")]
    pub(crate) log_console: bool,
    #[arg(short = 'D', long = "log-detail")]
    pub(crate) log_detail: bool,
    #[arg(short = 'S', long = "log-facility", allow_hyphen_values = true)]
    pub(crate) log_facility: Option<String>,
    #[arg(short = 'G', long = "no-syslog")]
    pub(crate) no_syslog: bool,
    #[arg(short = 'g', long = "log-file", num_args = 0..=1, require_equals = true)]
    pub(crate) log_file: Option<Option<PathBuf>>,
    #[arg(short = 'u', long = "umask", allow_hyphen_values = true)]
    pub(crate) umask: Option<String>,
    #[arg(short = 'X', long = "release-vips")]
    pub(crate) release_vips: bool,
    #[arg(short = 'V', long = "dont-release-vrrp")]
    pub(crate) dont_release_vrrp: bool,
    #[arg(short = 'I', long = "dont-release-ipvs")]
    pub(crate) dont_release_ipvs: bool,
    #[arg(short = 'R', long = "dont-respawn")]
    pub(crate) dont_respawn: bool,
    #[arg(short = 'n', long = "dont-fork")]
    pub(crate) dont_fork: bool,
    #[arg(short = 'd', long = "dump-conf")]
    pub(crate) dump_conf: bool,
    #[arg(short = 'p', long = "pid", allow_hyphen_values = true)]
    pub(crate) pid: Option<PathBuf>,
    #[arg(short = 'r', long = "vrrp_pid", allow_hyphen_values = true)]
    pub(crate) vrrp_pid: Option<PathBuf>,
    #[arg(short = 'T', long = "genhash")]
    pub(crate) genhash: bool,
    #[arg(short = 'c', long = "checkers_pid", allow_hyphen_values = true)]
    pub(crate) checkers_pid: Option<PathBuf>,
    #[arg(short = 'a', long = "address-monitoring")]
    pub(crate) address_monitoring: bool,
    #[arg(short = 'b', long = "bfd_pid", allow_hyphen_values = true)]
    pub(crate) bfd_pid: Option<PathBuf>,
    #[arg(short = 'x', long = "snmp")]
    pub(crate) snmp: bool,
    #[arg(short = 'A', long = "snmp-agent-socket", allow_hyphen_values = true)]
    pub(crate) snmp_agent_socket: Option<String>,
    #[arg(short = 's', long = "namespace", allow_hyphen_values = true)]
    pub(crate) namespace: Option<String>,
    #[arg(short = 'm', long = "core-dump")]
    pub(crate) core_dump: bool,
    #[arg(short = 'M', long = "core-dump-pattern", num_args = 0..=1, require_equals = true)]
    pub(crate) core_dump_pattern: Option<Option<String>>,
    #[arg(short = 'e', long = "all-config")]
    pub(crate) all_config: bool,
    #[arg(short = 'i', long = "config-id", allow_hyphen_values = true)]
    pub(crate) config_id: Option<String>,
    /// Ours: where everything that happens is written down.
    #[arg(long = "record", allow_hyphen_values = true)]
    pub(crate) record: Option<PathBuf>,
    #[arg(long = "signum")]
    pub(crate) signum: Option<String>,
    /// `Some(None)`: to standard error; `Some(Some(file))`: appended to the file.
    #[arg(short = 't', long = "config-test", num_args = 0..=1, require_equals = true)]
    pub(crate) config_test: Option<Option<PathBuf>>,
    #[arg(short = 'v', long = "version", action = ArgAction::SetTrue)]
    pub(crate) version: bool,
    #[arg(short = 'h', long = "help", action = ArgAction::SetTrue)]
    pub(crate) help: bool,
    /// Words that are no options: keepalived names them and goes on.
    #[arg(hide = true)]
    pub(crate) unexpected: Vec<OsString>,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// The one line keepalived prints before it exits with 1.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Options, String> {
    let mut command = Options::command();
    let words = split_attached(&command, arguments.clone());
    let words = std::iter::once(OsString::from("vrrpd")).chain(words);
    let matches = command
        .try_get_matches_from_mut(words)
        .map_err(|error| complaint(&error, &arguments))?;
    Options::from_arg_matches(&matches).map_err(|error| complaint(&error, &arguments))
}

/// Brings `-tFILE` (an optional value, attached) into the form clap reads: getopt
/// takes all that follows the letter, and `-t FILE` is an option and a stray word.
fn split_attached(command: &clap::Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let mut words = Vec::with_capacity(arguments.len());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            words.push(argument);
            words.extend(arguments);
            return words;
        }
        let Some(cluster) = bytes
            .strip_prefix(b"-")
            .filter(|rest| !rest.is_empty() && !rest.starts_with(b"-"))
        else {
            words.push(argument);
            continue;
        };
        for (at, letter) in cluster.iter().enumerate() {
            let rest = cluster.get(at + 1..).unwrap_or_default();
            match value_of(command, *letter) {
                Value::None => words.push(short(*letter)),
                Value::Optional(long) if !rest.is_empty() => {
                    words.push(with_value(long.as_bytes(), rest));
                    break;
                }
                Value::Optional(_) => words.push(short(*letter)),
                Value::Required => {
                    words.push(short(*letter));
                    if !rest.is_empty() {
                        words.push(OsStr::from_bytes(rest).to_owned());
                    } else if let Some(value) = arguments.next() {
                        words.push(value);
                    }
                    break;
                }
            }
        }
    }
    words
}

enum Value<'a> {
    None,
    Optional(&'a str),
    Required,
}

fn value_of(command: &clap::Command, letter: u8) -> Value<'_> {
    let found = command
        .get_arguments()
        .find(|argument| argument.get_short() == Some(char::from(letter)));
    match found {
        Some(argument) if argument.is_require_equals_set() => {
            Value::Optional(argument.get_long().unwrap_or_default())
        }
        Some(argument) if argument.get_action().takes_values() => Value::Required,
        _ => Value::None,
    }
}

fn short(letter: u8) -> OsString {
    OsString::from_vec(vec![b'-', letter])
}

fn with_value(long: &[u8], value: &[u8]) -> OsString {
    OsString::from_vec([b"--", long, b"=", value].concat())
}

/// keepalived's words for what clap found.
fn complaint(error: &clap::Error, arguments: &[OsString]) -> String {
    let invalid = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.split(' ').next().unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    // The word as it was written: with its value, or cut short.
    let written = |with_value: bool| {
        let words = arguments.iter().map(|word| word.to_string_lossy());
        let mut words = words.take_while(|word| word != "--").filter(|word| {
            let name = word.split('=').next().unwrap_or_default();
            let long = name.len() > 2 && invalid.starts_with(name);
            long && (!with_value || word.contains('='))
        });
        words.next().map(std::borrow::Cow::into_owned)
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let word = written(true).unwrap_or(invalid);
            format!("Unknown option {word}")
        }
        // A value for an option that has none.
        ErrorKind::TooManyValues => {
            let word = written(true).unwrap_or(invalid);
            format!("Unknown option {word}")
        }
        _ => {
            // clap names an option by its long form; getopt's user mostly typed the letter.
            let letter = Options::command()
                .get_arguments()
                .find(|argument| {
                    argument.get_long().map(|long| format!("--{long}")) == Some(invalid.clone())
                })
                .and_then(clap::Arg::get_short);
            let option = match letter {
                Some(letter) if written(false).is_none() => format!("-{letter}"),
                _ => invalid,
            };
            format!("Missing parameter for option {option}")
        }
    }
}

/// The answer to `-h`. Options that mean nothing here say so.
pub(crate) const USAGE: &str = "\
Usage: vrrpd [OPTION...]
  -f, --use-file=FILE          Use the specified configuration file
                                default '/etc/keepalived/keepalived.conf'
  -P, --vrrp                   Only run with VRRP subsystem (always so)
  -C, --check                  Not available without -P: there is no health-checker subsystem
  -B, --no_bfd                 Don't run BFD subsystem (always so)
      --all                    Accepted; there is one process only
  -l, --log-console            Log messages to local console
  -D, --log-detail             Detailed log messages
  -S, --log-facility=([0-7]|local[0-7]|user|daemon)
                               Set syslog facility to LOG_LOCAL[0-7], user or daemon (default)
  -G, --no-syslog              Don't log via syslog
  -g, --log-file[=FILE]        Not available: lines go to syslog, with -l to standard error
  -u, --umask=MASK             umask for file creation (in numeric form)
  -X, --release-vips           Drop VIP on transition from signal (always so)
  -V, --dont-release-vrrp      Don't remove VRRP VIPs on daemon stop (leased ones run out)
  -I, --dont-release-ipvs      Accepted; there is no IPVS topology
  -R, --dont-respawn           Accepted; there are no child processes to respawn
  -n, --dont-fork              Don't fork the daemon process
  -d, --dump-conf              Dump the configuration data
  -p, --pid=FILE               Use specified pidfile for parent process
  -r, --vrrp_pid=FILE          Use specified pidfile for VRRP child process (the same process)
  -T, --genhash                Not available: there is no genhash utility
  -c, --checkers_pid=FILE      Accepted; there is no checkers process
  -a, --address-monitoring     Report all address additions/deletions notified via netlink
  -b, --bfd_pid=FILE           Accepted; there is no BFD process
  -x, --snmp                   Not available: there is no SNMP subsystem
  -A, --snmp-agent-socket=FILE Not available: there is no SNMP subsystem
  -s, --namespace=NAME         Run in network namespace NAME
  -m, --core-dump              Produce core dump if terminate abnormally
  -M, --core-dump-pattern=PATN Also set /proc/sys/kernel/core_pattern to PATN (default 'core')
  -e, --all-config             Error if any configuration file missing (same as includet)
  -i, --config-id id           Skip any configuration lines beginning '@' that don't match id
                                or any lines beginning @^ that do match.
                                The config-id defaults to the node name if option not used
      --record=FILE            Write down in FILE all that the virtual routers are told and do,
                                without passwords, to be played again
      --signum=SIGFUNC         Return signal number for STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON
  -t, --config-test[=LOG_FILE] Check the configuration for obvious errors, output to
                                stderr by default
  -v, --version                Display the version number
  -h, --help                   Display this help message
";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, String> {
        parse(arguments.iter().map(OsString::from).collect())
    }

    #[test]
    fn clusters_attached_values_and_abbreviations_are_getopts() {
        let options = read(&[
            "-nlDf/etc/k.conf",
            "-p",
            "-n",
            "--vrrp_p=/run/v",
            "-i",
            "lb1",
        ])
        .unwrap();
        assert!(options.dont_fork && options.log_console && options.log_detail);
        assert_eq!(options.use_file, Some(PathBuf::from("/etc/k.conf")));
        // A value may begin with a dash.
        assert_eq!(options.pid, Some(PathBuf::from("-n")));
        assert_eq!(options.vrrp_pid, Some(PathBuf::from("/run/v")));
        assert_eq!(options.config_id.as_deref(), Some("lb1"));
    }

    #[test]
    fn the_test_log_must_be_attached() {
        let plain = read(&["-t", "log", "-f", "x"]).unwrap();
        assert_eq!(plain.config_test, Some(None));
        assert_eq!(plain.unexpected, ["log"]);
        for words in [
            ["-tlog", "-nfx"].as_slice(),
            &["-ntlog", "-fx"],
            &["--config-test=log", "-f", "x"],
            &["--config-t=log", "-f", "x"],
        ] {
            let options = read(words).unwrap();
            assert_eq!(
                options.config_test,
                Some(Some(PathBuf::from("log"))),
                "{words:?}"
            );
            assert_eq!(options.use_file, Some(PathBuf::from("x")));
        }
    }

    #[test]
    fn the_last_of_several_wins() {
        let options = read(&["-f", "a", "-f", "b", "-n", "-n"]).unwrap();
        assert_eq!(options.use_file, Some(PathBuf::from("b")));
    }

    #[test]
    fn faults_are_told_in_keepaliveds_words() {
        for (words, expected) in [
            (["-Z"].as_slice(), "Unknown option -Z"),
            (&["-nZ"], "Unknown option -Z"),
            (&["--nosuch"], "Unknown option --nosuch"),
            (&["-f"], "Missing parameter for option -f"),
            (&["-i"], "Missing parameter for option -i"),
            (&["--debug"], "Unknown option --debug"),
            (&["--nosuch=1"], "Unknown option --nosuch=1"),
            (&["--release-vips=1"], "Unknown option --release-vips=1"),
            (&["--vrrp_p"], "Missing parameter for option --vrrp_pid"),
        ] {
            assert_eq!(read(words).map(drop), Err(expected.to_owned()), "{words:?}");
        }
    }

    #[test]
    fn the_usage_names_every_option() {
        for argument in Options::command().get_arguments() {
            if let Some(long) = argument.get_long() {
                assert!(USAGE.contains(&format!("--{long}")), "{long}");
            }
        }
    }
}
