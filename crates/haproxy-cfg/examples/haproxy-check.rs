//! Prints what `haproxy -c` and `haproxy -cc` print: `haproxy-check -c -f FILE...`.

use std::io::Write;
use std::process::ExitCode;

use haproxy_cfg::argv::{self, Action, ArgvError};
use haproxy_cfg::report::Output;
use haproxy_cfg::{Console, Host, Level};

fn main() -> ExitCode {
    let executable = std::env::current_exe()
        .ok()
        .map(|path| path.display().to_string());
    let mut console = Console::new(std::process::id(), executable);
    let output = match argv::parse(std::env::args_os().collect()) {
        Ok(args) if matches!(args.action, Action::Condition(_)) => {
            haproxy_cfg::condition(&args, &Host, &mut console)
        }
        Ok(args) => haproxy_cfg::check(&args, &Host, &mut console),
        Err(ArgvError::Usage) => Output {
            code: 1,
            ..Output::default()
        },
        Err(ArgvError::Alert(text) | ArgvError::VersionAlert(text)) => Output {
            stderr: console.render(Level::Alert, &text),
            code: 1,
            ..Output::default()
        },
    };
    let written = std::io::stdout()
        .write_all(&output.stdout)
        .and_then(|()| std::io::stderr().write_all(&output.stderr));
    if written.is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(output.code)
}
