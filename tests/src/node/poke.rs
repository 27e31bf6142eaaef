//! Connections that do not go as they should.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use socket2::SockRef;

/// Nothing is waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PokeSpec {
    /// Where to.
    pub target: SocketAddr,
    /// What is sent.
    pub send: String,
    /// How it goes on.
    pub then: Then,
}

/// What a client does after it has sent what it has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// Closes its half and reads to the end.
    Finish,
    /// Reads to the end, then closes.
    Read,
    /// Waits so long for the bytes to be passed on, then resets the connection.
    ResetAfter(Duration),
}

/// Makes the connection and says how many bytes came back.
pub(super) fn poke(spec: &PokeSpec) -> Result<ExitCode> {
    let mut stream = TcpStream::connect_timeout(&spec.target, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(spec.send.as_bytes())?;
    let mut back = Vec::new();
    match spec.then {
        Then::Finish => stream.shutdown(Shutdown::Write)?,
        Then::Read => {}
        Then::ResetAfter(time) => {
            std::thread::sleep(time);
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            drop(stream);
            super::report(&0)?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    // The end may be a reset: what came until then counts.
    let _end = stream.read_to_end(&mut back);
    super::report(&back.len())?;
    Ok(ExitCode::SUCCESS)
}
