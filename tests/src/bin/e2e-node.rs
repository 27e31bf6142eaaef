//! The program that runs inside the lab's namespaces; see `e2e::node`.

fn main() -> std::process::ExitCode {
    e2e::node::main(std::env::args_os().skip(1).collect())
}
