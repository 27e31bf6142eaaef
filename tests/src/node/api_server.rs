//! A stand-in for a Kubernetes API server: it speaks TLS and answers one line with its name.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde::{Deserialize, Serialize};

/// Nobody is listened to for longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a stand-in needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiServerSpec {
    /// What it answers.
    pub name: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its certificate, DER.
    pub certificate: PathBuf,
    /// Its private key, PKCS#8 DER.
    pub key: PathBuf,
    /// What it does with a client.
    pub manner: Manner,
}

/// What a stand-in does after a client's first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manner {
    /// Answers its name and closes.
    Answer,
    /// Answers its name and stays until the client leaves.
    Linger,
}

/// Listens until the host ends.
pub(super) fn serve(spec: &ApiServerSpec) -> Result<ExitCode> {
    let config = super::tls::server(&spec.certificate, &spec.key)?;
    let listener = TcpListener::bind(spec.listen)
        .with_context(|| format!("cannot listen on {}", spec.listen))?;
    super::report(&"listening")?;
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let (config, spec) = (Arc::clone(&config), spec.clone());
        std::thread::spawn(move || {
            // Health checks end in an error here: their hello is no TLS of today.
            let _client_gone = answer(stream, config, &spec);
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>, spec: &ApiServerSpec) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut tls = StreamOwned::new(ServerConnection::new(config)?, stream);
    let mut line = String::new();
    BufReader::new(&mut tls).read_line(&mut line)?;
    tls.write_all(spec.name.as_bytes())?;
    tls.flush()?;
    if spec.manner == Manner::Linger {
        let mut rest = Vec::new();
        let _end = tls.read_to_end(&mut rest);
    }
    tls.conn.send_close_notify();
    tls.flush()?;
    tls.sock.shutdown(Shutdown::Write)?;
    let mut rest = Vec::new();
    tls.sock.read_to_end(&mut rest)?;
    Ok(())
}
