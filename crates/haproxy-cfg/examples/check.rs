//! Prints what `haproxy -c` prints: `check -c -f FILE...`.

use std::io::Write;
use std::process::ExitCode;

use haproxy_cfg::{Console, Host, argv};

fn main() -> ExitCode {
    let executable = std::env::current_exe()
        .ok()
        .map(|path| path.display().to_string());
    let mut console = Console::new(std::process::id(), executable);
    let output = match argv::parse(std::env::args_os().collect()) {
        Ok(args) => haproxy_cfg::check(&args, &Host, &mut console),
        Err(_) => return ExitCode::FAILURE,
    };
    let written = std::io::stdout()
        .write_all(&output.stdout)
        .and_then(|()| std::io::stderr().write_all(&output.stderr));
    if written.is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(output.code)
}
