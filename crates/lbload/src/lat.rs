//! One connection at a time, with pauses: what a lonely client feels.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::exchange::GRACE;
use crate::report::Report;
use crate::wire::{self, MESSAGE};

/// Times `count` connections: how long connect took, when the first reply was there
/// (counted from the connect), and how long the second took.
pub(crate) fn isolated(target: SocketAddrV4, count: usize, gap: Duration) -> Result<Report> {
    let mut report = Report::default();
    let begin = Instant::now();
    for serial in 0..count {
        match one(target, serial as u64, &mut report) {
            Ok(()) => report.done += 1,
            Err(error) if error.kind() == ErrorKind::InvalidData => report.error("wrong bytes"),
            Err(error) => report.error(&error.kind().to_string()),
        }
        // Each failure may take as long as the patience is.
        if report.failures() >= 3 {
            break;
        }
        std::thread::sleep(gap);
    }
    report.secs = begin.elapsed().as_secs_f64();
    report.sent = report.done * 2 * MESSAGE as u64;
    report.received = report.sent;
    Ok(report)
}

fn one(target: SocketAddrV4, serial: u64, report: &mut Report) -> std::io::Result<()> {
    let start = Instant::now();
    let mut stream = TcpStream::connect_timeout(&SocketAddr::V4(target), GRACE)?;
    let connected = start.elapsed();
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(GRACE))?;
    ask(&mut stream, serial * 2)?;
    let first = start.elapsed();
    let start = Instant::now();
    ask(&mut stream, serial * 2 + 1)?;
    let second = start.elapsed();
    for (what, took) in [
        ("connect", connected),
        ("first_reply", first),
        ("second_reply", second),
    ] {
        report.sample(what, took.as_nanos() as u64);
    }
    Ok(())
}

fn ask(stream: &mut TcpStream, serial: u64) -> std::io::Result<()> {
    let request = wire::message(serial);
    stream.write_all(&request)?;
    let mut reply = [0; MESSAGE];
    stream.read_exact(&mut reply)?;
    if reply == request {
        Ok(())
    } else {
        Err(ErrorKind::InvalidData.into())
    }
}
