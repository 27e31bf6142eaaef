//! Reading a whole configuration, and `haproxy -c`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cfgtext::Sources;

use crate::argv::{Action, Args};
use crate::env::{Environment, reason};
use crate::model::Config;
use crate::reader::{Ending, Reader};
use crate::report::{Console, Level, Message, Output};
use crate::{resolve, text};

/// What reading a configuration gave.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The configuration; `None` if something in it is fatal.
    pub config: Option<Config>,
    /// Every message in the original's order, those about the outcome included.
    pub messages: Vec<Message>,
    /// The files as they were read.
    pub sources: Sources,
    /// Whether there were warnings.
    pub warned: bool,
    /// Whether all further messages are to be withheld (`-q` or global `quiet`, without `-V`).
    pub muted: bool,
}

/// Reads all files and folders that the command line names.
#[must_use]
pub fn load(args: &Args, environment: &dyn Environment) -> Loaded {
    let mut reader = Reader::new(args, environment);
    reader.muted = args.quiet;
    let mut proceed = true;
    match files(args, environment) {
        Ok(files) => {
            for file in files {
                if !read(&mut reader, &file) {
                    proceed = false;
                    break;
                }
            }
        }
        Err(error) => {
            reader.alert(error);
            reader.fatal = true;
            proceed = false;
        }
    }
    let mut config = None;
    if proceed && reader.fatal {
        reader.alert("Fatal errors found in configuration.");
    } else if proceed {
        config = resolve::resolve(&mut reader);
        if config.is_none() && !reader.address_failed {
            reader.alert("Fatal errors found in configuration.");
        }
    }
    let strict = args.zero_warning || reader.zero_warning;
    if config.is_some() && strict && reader.warned {
        reader.alert("Some warnings were found and 'zero-warning' is set. Aborting.");
        config = None;
    }
    Loaded {
        config,
        warned: reader.warned,
        muted: reader.muted && !args.verbose,
        messages: reader.messages,
        sources: reader.sources,
    }
}

/// The files that the command line names, folders replaced by the `*.cfg` in them.
fn files(args: &Args, environment: &dyn Environment) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in &args.configs {
        let name = || text::encode(path.as_os_str().as_bytes());
        let is_dir = environment.is_dir(path).map_err(|error| {
            format!(
                "Cannot open configuration file/directory {} : {}",
                name(),
                reason(&error)
            )
        })?;
        if !is_dir {
            files.push(path.clone());
            continue;
        }
        let mut names = environment.list(path).map_err(|error| {
            format!(
                "Cannot open configuration directory {} : {}",
                name(),
                reason(&error)
            )
        })?;
        names.retain(|name| {
            let name = name.as_bytes();
            !name.starts_with(b".") && name.ends_with(b".cfg")
        });
        names.sort();
        files.extend(names.into_iter().map(|found| path.join(found)));
    }
    if files.is_empty() {
        return Err(String::from(
            "No configuration file was found in the folders given.",
        ));
    }
    Ok(files)
}

/// Reads one file; false if the others are not to be read.
fn read(reader: &mut Reader<'_>, path: &Path) -> bool {
    let name = text::encode(OsStr::as_bytes(path.as_os_str()));
    let bytes = match reader.environment.read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            reader.fatal(format!(
                "Could not open configuration file {name} : {}",
                reason(&error)
            ));
            return false;
        }
    };
    let before = std::mem::take(&mut reader.fatal);
    let ending = reader.file(&name, &bytes);
    if reader.fatal && !reader.abandoned {
        reader.alert(format!("Error(s) found in configuration file : {name}"));
    }
    reader.fatal |= before;
    ending == Ending::Read
}

/// `haproxy -cc CONDITION`: what it prints, and exit code 0 if the condition holds, 1 if it does
/// not, 2 if it cannot be read.
#[must_use]
pub fn condition(args: &Args, environment: &dyn Environment, console: &mut Console) -> Output {
    let mut output = Output::default();
    let Action::Condition(expression) = &args.action else {
        output.code = 2;
        return output;
    };
    let variables = environment.variables();
    let lookup = |name: &[u8]| {
        variables
            .iter()
            .find(|(known, _)| known.as_bytes() == name)
            .map(|(_, value)| value.as_bytes().to_vec())
    };
    let expression = text::encode(expression.as_bytes());
    match crate::condition::evaluate(&expression, &lookup) {
        Ok(true) => {}
        Ok(false) => output.code = 1,
        Err(error) => {
            let message = format!("config : Failed to evaluate condition: {}", error.what);
            output.stderr = console.render(Level::Alert, &message);
            output.code = 2;
        }
    }
    output
}

/// `haproxy -c`: what it prints and its exit code.
#[must_use]
pub fn check(args: &Args, environment: &dyn Environment, console: &mut Console) -> Output {
    let loaded = load(args, environment);
    let mut output = Output::default();
    for message in &loaded.messages {
        output
            .stderr
            .extend(console.render(message.level, &message.text));
    }
    let Some(config) = &loaded.config else {
        output.code = 1;
        return output;
    };
    let say = |output: &mut Output, text: &str| {
        if !loaded.muted {
            output.stdout.extend(text.bytes());
        }
    };
    if loaded.warned {
        say(&mut output, "Warnings were found.\n");
    }
    if config.has_listener() {
        say(&mut output, "Configuration file is valid\n");
    } else {
        say(
            &mut output,
            "Configuration file has no error but will not start (no listener) => exit(2).\n",
        );
        output.code = 2;
    }
    output
}
