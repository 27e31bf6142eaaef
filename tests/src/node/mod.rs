//! The side of the lab that runs inside its namespaces: the program `e2e-node`.
//!
//! | first argument | job |
//! |---|---|
//! | `keeper` | outside all namespaces: starts the switch, removes the lab's directory at the end |
//! | `namespace` | makes a set of namespaces and waits for its first process |
//! | `agent` | first process of a host: starts programs, reports, reaps |
//! | `api-server` | TLS stand-in of a Kubernetes API server |
//! | `client` | connects again and again and says who answered |
//! | `poke` | makes one connection that does not go as it should |
//! | `forge` | sends one VRRP packet of any kind |
//! | `flood` | sends many of them a second |
//! | `arp` | reports every gratuitous ARP on the wire |

mod agent;
mod api_server;
mod arp;
mod client;
mod forge;
mod namespace;
mod poke;
mod tls;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use api_server::{ApiServerSpec, Manner};
pub use arp::Sighting;
pub use client::{Attempt, ClientSpec, Outcome};
pub use forge::{FloodSpec, ForgeSpec};
pub use poke::{PokeSpec, Then};

/// Runs one of the jobs; the second argument is its specification in JSON.
pub fn main(args: Vec<OsString>) -> ExitCode {
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            let _unwritable = writeln!(std::io::stderr(), "e2e-node: {error:#}");
            ExitCode::from(70)
        }
    }
}

fn run(args: &[OsString]) -> Result<ExitCode> {
    let job = args.first().and_then(|a| a.to_str()).unwrap_or("");
    let spec = args.get(1).and_then(|a| a.to_str()).unwrap_or("null");
    match job {
        "keeper" => namespace::keep(&parse(spec)?),
        "namespace" => namespace::enter(&parse(spec)?),
        "agent" => agent::serve(&parse(spec)?),
        "api-server" => api_server::serve(&parse(spec)?),
        "client" => client::drive(&parse(spec)?),
        "poke" => poke::poke(&parse(spec)?),
        "forge" => forge::forge(&parse(spec)?),
        "flood" => forge::flood(&parse(spec)?),
        "arp" => arp::listen(),
        other => bail!("no such job: {other:?}"),
    }
}

fn parse<T: DeserializeOwned>(spec: &str) -> Result<T> {
    serde_json::from_str(spec).with_context(|| format!("cannot read the specification {spec}"))
}

/// Prints one JSON line and flushes it, since somebody waits for it.
fn report<T: Serialize>(value: &T) -> Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush()?;
    Ok(())
}
