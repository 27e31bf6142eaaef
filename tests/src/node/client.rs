//! A client that connects again and again and says how it went.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::pki::SERVICE;

/// What a client needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientSpec {
    /// Where it connects to.
    pub target: SocketAddr,
    /// The certificate it trusts, DER.
    pub authority: PathBuf,
    /// From the start of one attempt to the start of the next.
    pub every: Duration,
    /// When it gives an attempt up.
    pub limit: Duration,
    /// How many attempts; `None`: until it is stopped.
    pub count: Option<u64>,
}

/// One attempt to be served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// When it started.
    pub started: Moment,
    /// When it was over.
    pub ended: Moment,
    /// How it went.
    pub outcome: Outcome,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The backend of this name answered.
    Answered(String),
    /// Nobody did, for this reason.
    Lost(String),
}

/// Makes attempts until told to stop.
pub(super) fn drive(spec: &ClientSpec) -> Result<ExitCode> {
    let config = super::tls::client(&spec.authority)?;
    let mut next = Instant::now();
    let mut made = 0;
    while spec.count.is_none_or(|count| made < count) {
        let started = Moment::now();
        let outcome = match attempt(spec, &config) {
            Ok(name) => Outcome::Answered(name),
            Err(error) => Outcome::Lost(format!("{error:#}")),
        };
        super::report(&Attempt {
            started,
            ended: Moment::now(),
            outcome,
        })?;
        made += 1;
        next = (next + spec.every).max(Instant::now());
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(ExitCode::SUCCESS)
}

fn attempt(spec: &ClientSpec, config: &Arc<ClientConfig>) -> Result<String> {
    let stream = TcpStream::connect_timeout(&spec.target, spec.limit).context("connect")?;
    stream.set_read_timeout(Some(spec.limit))?;
    stream.set_write_timeout(Some(spec.limit))?;
    let name = ServerName::try_from(SERVICE)?;
    let mut tls = StreamOwned::new(ClientConnection::new(Arc::clone(config), name)?, stream);
    tls.write_all(b"who are you\n").context("handshake")?;
    let mut answer = String::new();
    tls.read_to_string(&mut answer).context("answer")?;
    Ok(answer)
}
