//! Two hosts that differ only in whose daemons they run, for holding ours
//! against the originals.

use std::net::Ipv4Addr;

use anyhow::Result;

use crate::host::{Host, HostSpec};
use crate::lab::Lab;
use crate::pair::Implementation;
use crate::protocol::Ending;
use crate::{binaries, fixtures};

/// Both hosts; each has the owner's files, and both kinds of daemons at hand.
#[derive(Debug)]
pub struct Contest {
    lab: Lab,
}

/// What a program said, without what may differ: process ids, version, path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How it ended.
    pub ending: Ending,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error, normalised.
    pub stderr: String,
}

impl Contest {
    /// Makes the hosts.
    pub fn start() -> Result<Self> {
        let mut specs = Vec::new();
        for (name, last) in [("ours", 252), ("original", 251)] {
            let mut spec = HostSpec::new(name, Ipv4Addr::new(10, 0, 254, last));
            for (ours, original) in [("proxyd", "haproxy"), ("vrrpd", "keepalived")] {
                binaries::original(original)?;
                spec.binaries.push((binaries::ours(ours)?, ours.to_owned()));
                spec.links.push((original.to_owned(), ours.to_owned()));
            }
            specs.push(spec);
        }
        let lab = Lab::start(&specs)?;
        for spec in &specs {
            let host = lab.host(&spec.name)?;
            host.write("/etc/haproxy/haproxy.cfg", fixtures::HAPROXY_CFG)?;
            host.write("/etc/keepalived/keepalived.conf", fixtures::KEEPALIVED_CONF)?;
        }
        Ok(Self { lab })
    }

    /// The host of one kind of daemon.
    pub fn host(&self, whose: Implementation) -> Result<&Host> {
        self.lab.host(match whose {
            Implementation::Ours => "ours",
            Implementation::Original => "original",
        })
    }

    /// Writes a file on both hosts.
    pub fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        for whose in [Implementation::Ours, Implementation::Original] {
            self.host(whose)?.write(path, content)?;
        }
        Ok(())
    }

    /// What one kind of balancer says to these arguments.
    pub fn balancer(&self, whose: Implementation, arguments: &[&str]) -> Result<Verdict> {
        self.say(whose, whose.balancer(), arguments)
    }

    /// What one kind of router says to these arguments.
    pub fn router(&self, whose: Implementation, arguments: &[&str]) -> Result<Verdict> {
        self.say(whose, whose.router(), arguments)
    }

    fn say(&self, whose: Implementation, program: &str, arguments: &[&str]) -> Result<Verdict> {
        let argv: Vec<&str> = [program].iter().chain(arguments).copied().collect();
        let output = self.host(whose)?.run(&argv)?;
        Ok(Verdict {
            ending: output.ending,
            stdout: output.stdout,
            // Some messages begin with the program as it was called.
            stderr: normal(&output.stderr).replace(program, "PROGRAM"),
        })
    }
}

/// Replaces process ids in parentheses, and the version and path lines haproxy
/// puts before its first message.
pub fn normal(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        if line.contains("haproxy version is") || line.contains("path to executable is") {
            continue;
        }
        let mut rest = line;
        while let Some(open) = rest.find('(') {
            let (head, tail) = rest.split_at(open + 1);
            let digits = tail.chars().take_while(char::is_ascii_digit).count();
            let (number, after) = tail.split_at(digits);
            lines.push_str(head);
            lines.push_str(if digits > 0 && after.starts_with(')') {
                "PID"
            } else {
                number
            });
            rest = after;
        }
        lines.push_str(rest);
        lines.push('\n');
    }
    lines
}
