//! Prints what `keepalived -t -f FILE` prints, for runs beside the original:
//! `cargo run -p keepalived-conf --example check -- FILE...`. `--compat` prints the
//! documentation of the keywords.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is all it does"
)]

use std::path::Path;
use std::process::ExitCode;

use keepalived_conf::{Options, SystemEnvironment, compat_markdown, load};

fn main() -> ExitCode {
    let mut code = 0;
    let mut rich = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--compat" => print!("{}", compat_markdown()),
            "--rich" => rich = true,
            "--marked" => {}
            file => {
                let loaded = load(Path::new(file), &Options::default(), &SystemEnvironment);
                for line in loaded.test_lines() {
                    eprintln!("{line}");
                }
                for line in loaded.own_lines() {
                    println!("{line}");
                }
                if rich {
                    for diagnostic in &loaded.diagnostics {
                        println!("{}", cfgtext::render::rich(&loaded.sources, diagnostic));
                    }
                    println!("{:#?}", loaded.config);
                }
                code = loaded.test_exit;
            }
        }
    }
    ExitCode::from(code)
}
