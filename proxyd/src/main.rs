//! The TCP load balancer daemon.
//!
//! [`process`] is everything about being a process: command line, binding,
//! privileges, background, master and worker, signals. [`control`] is the
//! running load balancer.

mod control;
mod process;

fn main() -> std::process::ExitCode {
    process::main()
}
