//! What was on the wire, and what tshark thinks of it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::libc::SIGINT;

use crate::lab::Lab;
use crate::task::Task;

/// How long the recorder may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A recording of VRRP and ARP on some hosts' wires.
#[derive(Debug)]
pub struct Capture {
    recorder: Task,
    file: PathBuf,
}

/// One frame as tshark reads it.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// Which hardware address sent it.
    pub source: String,
    /// tshark's protocol stack, as `eth:ethertype:ip:vrrp`.
    pub protocols: String,
    /// What tshark has to say against it: expert messages and bad checksums.
    pub complaints: Vec<String>,
    /// The priority, if it is an advert.
    pub priority: Option<u8>,
    /// Destination address of IP, empty for ARP.
    pub destination: String,
    /// Time to live of IP.
    pub ttl: Option<u8>,
    /// Type of service byte of IP, as tshark prints it.
    pub tos: String,
    /// Seconds since the epoch.
    pub time: f64,
    /// The address a gratuitous ARP announces, if it is one.
    pub gratuitous: Option<Ipv4Addr>,
}

impl Frame {
    /// Whether it is an advert.
    pub fn is_advert(&self) -> bool {
        self.protocols.contains("vrrp")
    }
}

/// The columns [`frames`] asks tshark for.
const FIELDS: [&str; 13] = [
    "eth.src",
    "frame.protocols",
    "_ws.expert.message",
    "_ws.malformed",
    "vrrp.checksum.status",
    "ip.checksum.status",
    "vrrp.prio",
    "ip.dst",
    "ip.ttl",
    "ip.dsfield",
    "frame.time_epoch",
    "arp.src.proto_ipv4",
    "arp.dst.proto_ipv4",
];

impl Capture {
    /// Starts recording at the switch's end of these hosts' wires.
    pub fn start(lab: &Lab, hosts: &[&str]) -> Result<Self> {
        Self::start_of(lab, hosts, "ip proto 112 or arp")
    }

    /// The same for what passes this filter of libpcap.
    pub fn start_of(lab: &Lab, hosts: &[&str], filter: &str) -> Result<Self> {
        let file = lab.dir().join("wire.pcapng");
        let name = file.to_string_lossy().into_owned();
        let mut argv = vec!["dumpcap".to_owned(), "-q".to_owned(), "-w".to_owned(), name];
        for host in hosts {
            argv.extend([
                "-i".to_owned(),
                format!("p-{host}"),
                "-f".to_owned(),
                filter.to_owned(),
            ]);
        }
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let recorder = lab.switch().spawn(&argv)?;
        recorder.wait_line("File:", PATIENCE)?;
        Ok(Self { recorder, file })
    }

    /// Ends the recording and has tshark read it.
    pub fn finish(self) -> Result<Vec<Frame>> {
        self.recorder.signal(SIGINT)?;
        self.recorder.wait(PATIENCE)?;
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(&self.file).args([
            "-n",
            "-T",
            "fields",
            "-E",
            "separator=/t",
            "-E",
            "occurrence=a",
        ]);
        for preference in [
            "ip.check_checksum:TRUE",
            // The address moves from one host to the other: that is the point.
            "arp.detect_duplicate_ips:FALSE",
        ] {
            tshark.args(["-o", preference]);
        }
        for field in FIELDS {
            tshark.args(["-e", field]);
        }
        let output = tshark.output().context("cannot run tshark")?;
        if !output.status.success() {
            bail!("tshark: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(frames(&String::from_utf8_lossy(&output.stdout)))
    }
}

fn frames(table: &str) -> Vec<Frame> {
    table.lines().map(frame).collect()
}

fn frame(line: &str) -> Frame {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or("").to_owned();
    let (source, protocols, expert, malformed, vrrp_sum, ip_sum) =
        (next(), next(), next(), next(), next(), next());
    let mut complaints = Vec::new();
    for (what, text) in [("expert", expert), ("malformed", malformed)] {
        if !text.is_empty() {
            complaints.push(format!("{what}: {text}"));
        }
    }
    for (what, status) in [("VRRP", vrrp_sum), ("IP", ip_sum)] {
        // 1 is tshark's "Good"; a frame without that header has none.
        if !status.is_empty() && status != "1" && status != "Good" {
            complaints.push(format!("{what} checksum status {status}"));
        }
    }
    let (priority, destination, ttl, tos, time) = (next(), next(), next(), next(), next());
    let (sender, target) = (next(), next());
    Frame {
        source,
        protocols,
        complaints,
        priority: priority.parse().ok(),
        destination,
        ttl: ttl.parse().ok(),
        tos,
        time: time.parse().unwrap_or_default(),
        gratuitous: sender.parse().ok().filter(|_| sender == target),
    }
}
